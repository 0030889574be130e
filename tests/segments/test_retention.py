"""Retention and the cohort table: shares of who was acquired together, nothing shown of what is not over."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from churn_clv.data.cohorts import cohort_activity, cohort_of
from churn_clv.data.simulate import simulate_log
from churn_clv.data.summary import summarize
from churn_clv.data.transactions import TransactionLog, read_transactions
from churn_clv.segments.retention import cohort_table, retention


@pytest.fixture(scope="module")
def log() -> TransactionLog:
    return read_transactions(simulate_log(customers=600, seed=8))


@pytest.fixture(scope="module")
def activity(log: TransactionLog) -> pd.DataFrame:
    return cohort_activity(log, log.last_day, "month")


@pytest.fixture(scope="module")
def cohorts(log: TransactionLog) -> pd.Series:
    return cohort_of(log, log.last_day, "month")


@pytest.fixture(scope="module")
def scores(log: TransactionLog) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    scored = summarize(log, log.last_day, "all")
    return scored.assign(p_alive=rng.random(len(scored)), expected_spend=rng.gamma(2, 10, len(scored)), clv=1.0)


def table_of(rows: dict[tuple[str, int], tuple]) -> pd.DataFrame:
    index = pd.MultiIndex.from_tuples(rows, names=["cohort", "age"])
    return pd.DataFrame(list(rows.values()), index, columns=["customers", "active", "purchases", "spend", "complete"])


SMALL = table_of(
    {
        ("2024-01", 0): (4, 4, 5, 40.0, True),
        ("2024-01", 1): (4, 1, 1, 8.0, True),
        ("2024-01", 2): (4, 3, 3, 4.0, False),
        ("2024-02", 0): (1, 1, 1, 9.0, True),
        ("2024-02", 1): (1, 0, 0, -2.0, False),
    }
)


def test_an_unfinished_period_is_not_shown_as_a_drop_and_the_future_is_missing() -> None:
    found = retention(SMALL)
    expected = [[1.0, 0.25, np.nan], [1.0, np.nan, np.nan]]
    np.testing.assert_array_equal(found.to_numpy(), expected)
    assert found.index.tolist() == ["2024-01", "2024-02"]
    assert found.columns.tolist() == [0, 1, 2]


def test_the_small_table_has_the_figures_worked_out_by_hand() -> None:
    scores = pd.DataFrame(
        {"frequency": [0, 1, 2, 0, 3], "p_alive": [0.5, 0.7, 0.9, 0.3, 1.0], "expected_spend": [1, 2, 3, 4, 50.0],
         "clv": [2.0, 4, 6, 8, 90]}, index=list("abcde"),
    )  # fmt: skip
    found = cohort_table(SMALL, scores, pd.Series(["2024-01"] * 4 + ["2024-02"], index=list("abcde")))
    assert found.loc["2024-01"].tolist() == pytest.approx([4, 2, 10.0, 13.0, 0.5, 0.6, 2.5, 5.0])
    assert found.loc["2024-02"].tolist() == pytest.approx([1, 1, 9.0, 7.0, 1.0, 1.0, 50.0, 90.0])


def test_cohorts_add_up_to_the_base(
    log: TransactionLog, activity: pd.DataFrame, cohorts: pd.Series, scores: pd.DataFrame
) -> None:
    found = cohort_table(activity, scores, cohorts)
    assert found["customers"].sum() == len(scores)
    n = found["customers"]
    for column in ("p_alive", "expected_spend", "clv"):
        assert (n * found[column]).sum() == pytest.approx(scores[column].sum())
    assert (n * found["bought_again"]).sum() == pytest.approx((scores["frequency"] > 0).sum())
    assert (n * found["cumulative_spend"]).sum() == pytest.approx((scores["monetary_value"] * scores["monetary_days"]).sum())  # fmt: skip
    assert (found["cumulative_spend"] >= found["first_period_spend"]).all()


def test_no_share_is_above_one_or_below_zero(activity: pd.DataFrame) -> None:
    found = retention(activity)
    assert ((found >= 0) & (found <= 1) | found.isna()).all(axis=None)
    # the log ends on 30 December: the last period of every cohort is not over
    assert (found.notna().sum(axis=1) == activity["complete"].groupby(level="cohort").sum()).all()


def test_the_order_of_customers_makes_no_difference(
    activity: pd.DataFrame, cohorts: pd.Series, scores: pd.DataFrame
) -> None:
    mixed = cohort_table(activity, scores.sample(frac=1, random_state=2), cohorts.sample(frac=1, random_state=3))
    pd.testing.assert_frame_equal(mixed, cohort_table(activity, scores, cohorts))


def test_one_customer_is_a_cohort() -> None:
    activity = table_of({("2024", 0): (1, 1, 1, 5.0, False)})
    found = cohort_table(activity, pd.DataFrame({"frequency": [0]}, index=["a"]), pd.Series({"a": "2024"}))
    assert found.loc["2024"].tolist() == [1, 0, 5.0, 5.0, 0.0]
    assert np.isnan(retention(activity).loc["2024", 0])


def test_scores_of_another_day_or_log_are_refused(
    activity: pd.DataFrame, cohorts: pd.Series, scores: pd.DataFrame
) -> None:
    with pytest.raises(ValueError, match="1 of 600 scored customers have no cohort"):
        cohort_table(activity, scores, cohorts.iloc[1:])
    with pytest.raises(ValueError, match="1 of 12 cohorts have other customers in the scores"):
        cohort_table(activity, scores.iloc[1:], cohorts)
    with pytest.raises(ValueError, match="scores: 1 rows repeat a customer id"):
        cohort_table(activity, pd.concat([scores, scores.iloc[:1]]), cohorts)
