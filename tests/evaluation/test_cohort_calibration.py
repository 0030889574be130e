"""Forecasts by cohort: figures of slow counting, right models inside, wrong ones outside."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from churn_clv.evaluation.cohort_calibration import calibration_sentences, cohort_calibration, cohort_fit
from churn_clv.models import BetaGeoModel

# Fader, Hardie & Lee (2005), Marketing Science 24(2), section 4: CDNOW, in weeks.
CDNOW = BetaGeoModel.from_params(r=0.243, alpha=4.414, a=0.793, b=2.426)
HORIZON, COHORTS, SIZE = 26.0, 60, 250


@pytest.fixture(scope="module")
def history() -> pd.DataFrame:
    """60 cohorts of 250 customers whose true parameters are CDNOW's, with what they bought in 26 weeks after."""
    ages = np.repeat(np.linspace(8.0, 60.0, COHORTS), SIZE)
    drawn = CDNOW.simulate(ages, seed=11, horizon=HORIZON)
    labels = np.repeat([f"c{k:02d}" for k in range(COHORTS)], SIZE)
    return drawn.assign(cohort=labels).set_axis([f"id{k:05d}" for k in range(len(drawn))])


@pytest.fixture(scope="module")
def judged(history: pd.DataFrame) -> pd.DataFrame:
    summary = history[["frequency", "recency", "T"]].astype(float)
    expected = CDNOW.expected_purchases(summary, HORIZON)
    risk = CDNOW.probability_no_purchase(summary, HORIZON)
    return summary.assign(churn_probability=risk, expected_purchases=expected, expected_spend=20 * expected)


@pytest.fixture(scope="module")
def outcomes(history: pd.DataFrame) -> pd.DataFrame:
    """Spend of 20 a purchase on average, exponential: the sum of n is Gamma(n)."""
    rng = np.random.default_rng(12)
    bought = history["holdout_frequency"].astype(float)
    return pd.DataFrame({"purchases": bought, "spend": 20 * rng.gamma(np.maximum(bought, 1e-9)) * (bought > 0)})


def test_each_figure_is_that_of_slow_counting(
    history: pd.DataFrame, judged: pd.DataFrame, outcomes: pd.DataFrame
) -> None:
    found = cohort_calibration(judged, outcomes, history["cohort"])
    for cohort in ("c00", "c31", "c59"):
        ids = [i for i in judged.index if history.loc[i, "cohort"] == cohort]
        row = found.loc[cohort]
        assert row["customers"] == len(ids) == SIZE
        assert row["churn_forecast"] == pytest.approx(sum(judged.loc[i, "churn_probability"] for i in ids) / SIZE)
        assert row["churn_realised"] == sum(outcomes.loc[i, "purchases"] == 0 for i in ids) / SIZE
        for name in ("purchases", "spend"):
            values = [outcomes.loc[i, name] for i in ids]
            mean = sum(values) / SIZE
            error = (sum((v - mean) ** 2 for v in values) / (SIZE - 1) / SIZE) ** 0.5
            assert row[f"{name}_forecast"] == pytest.approx(sum(judged.loc[i, f"expected_{name}"] for i in ids) / SIZE)
            assert row[f"{name}_realised"] == pytest.approx(mean)
            assert row[f"{name}_high"] == pytest.approx(mean + 1.96 * error)
            assert row[f"{name}_low"] == pytest.approx(mean - 1.96 * error)


def test_realised_churn_has_wilsons_interval() -> None:
    # Newcombe (1998), Statistics in Medicine 17, table I, method 3: 81 of 263 gives .2553 to .3662
    ids = [f"i{k}" for k in range(263)]
    judged = pd.DataFrame({"churn_probability": 0.3, "expected_purchases": 1.0, "expected_spend": 1.0}, index=ids)
    outcomes = pd.DataFrame({"purchases": [0] * 81 + [1] * 182, "spend": 1.0}, index=ids)
    row = cohort_calibration(judged, outcomes, pd.Series("all", ids)).loc["all"]
    assert (row["churn_low"], row["churn_high"]) == pytest.approx((0.2553, 0.3662), abs=5e-5)


def test_the_true_model_is_inside_for_about_nineteen_cohorts_of_twenty(
    history: pd.DataFrame, judged: pd.DataFrame, outcomes: pd.DataFrame
) -> None:
    found = cohort_calibration(judged, outcomes, history["cohort"])
    # 57 of 60 expected; P(52 or fewer) = .02 for a binomial at .95, and skewed spend covers a little less
    for name in ("churn", "purchases", "spend"):
        assert (found[f"{name}_verdict"] == "inside").sum() >= 53, name


def test_a_cohort_of_other_customers_is_outside_and_named(
    history: pd.DataFrame, judged: pd.DataFrame, outcomes: pd.DataFrame
) -> None:
    """The members of one cohort bought nothing but for ten: the forecast was for customers like all."""
    gone = history.index[history["cohort"] == "c05"][10:]
    changed = outcomes.copy()
    changed.loc[gone] = 0.0
    changed.loc[history.index[history["cohort"] == "c05"][:10]] = 1.0
    found = cohort_calibration(judged, changed, history["cohort"])
    assert found.loc["c05", ["churn_verdict", "purchases_verdict", "spend_verdict"]].tolist() == ["outside"] * 3
    for sentence in calibration_sentences(found, "margin"):
        assert "c05 forecast" in sentence
    assert [s.split(":")[0] for s in calibration_sentences(found, "margin")] == [
        "Churn", "Purchases a customer", "Margin a customer",
    ]  # fmt: skip


def test_a_handful_of_buyers_says_nothing_of_means_but_something_of_churn() -> None:
    ids = list("abcdefgh")
    judged = pd.DataFrame({"churn_probability": 0.5, "expected_purchases": 9.0, "expected_spend": 9.0}, index=ids)
    outcomes = pd.DataFrame({"purchases": [1, 1, 1, 1, 0, 0, 0, 0], "spend": [5.0] * 4 + [0.0] * 4}, index=ids)
    row = cohort_calibration(judged, outcomes, pd.Series("x", ids)).loc["x"]
    assert row[["churn_verdict", "purchases_verdict", "spend_verdict"]].tolist() == ["inside", "too few", "too few"]
    assert row[["purchases_low", "spend_high"]].isna().all()
    told = calibration_sentences(cohort_calibration(judged, outcomes, pd.Series("x", ids)))
    assert "0 of 0 cohorts" in told[1]
    assert "1 with too few buyers to tell" in told[1]


def test_one_customer_is_a_cohort_without_an_interval() -> None:
    judged = pd.DataFrame({"churn_probability": [0.5], "expected_purchases": 1.0, "expected_spend": 1.0}, index=["a"])
    outcomes = pd.DataFrame({"purchases": [3.0], "spend": [-2.0]}, index=["a"])
    row = cohort_calibration(judged, outcomes, pd.Series({"a": "x"})).loc["x"]
    assert row["purchases_verdict"] == "too few"
    assert (row["churn_low"], row["spend_realised"]) == (0.0, -2.0)


def test_purchases_are_never_below_zero_but_spend_may_be() -> None:
    ids = [f"i{k:02d}" for k in range(40)]
    judged = pd.DataFrame({"churn_probability": 0.8, "expected_purchases": 1.0, "expected_spend": 1.0}, index=ids)
    outcomes = pd.DataFrame({"purchases": [1, 1, 1, 1, 90] + [0] * 35, "spend": [1.0, 1, 1, 1, -90] + [0.0] * 35}, index=ids)  # fmt: skip
    row = cohort_calibration(judged, outcomes, pd.Series("x", ids)).loc["x"]
    assert row["purchases_low"] == 0
    assert row["spend_low"] < 0


def test_the_true_model_fits_the_past_of_every_cohort(history: pd.DataFrame, judged: pd.DataFrame) -> None:
    found = cohort_fit(judged, history["cohort"], CDNOW)
    # as above: 57 of 60 expected
    assert (found["repeats_verdict"] == "inside").sum() >= 53
    # all members of a cohort have the same age here, so the forecast is one number of the model
    age = judged.loc[history["cohort"] == "c10", "T"].iloc[0]
    assert found.loc["c10", "repeats_forecast"] == pytest.approx(CDNOW.expected_purchases_new_customer(age))
    assert found.loc["c10", "repeats_realised"] == judged.loc[history["cohort"] == "c10", "frequency"].mean()


def test_old_customers_in_the_first_cohort_of_a_log_do_not_fit(history: pd.DataFrame, judged: pd.DataFrame) -> None:
    """Customers alive long before the log begins buy more than new ones: three times as much here."""
    old = judged.assign(frequency=judged["frequency"].mask(history["cohort"] == "c59", 3 * judged["frequency"]))
    found = cohort_fit(old, history["cohort"], CDNOW)
    assert found.loc["c59", "repeats_verdict"] == "outside"
    [told] = calibration_sentences(found)
    assert told.startswith("Fit, repeat purchases a customer: ")
    assert "c59 forecast" in told


def test_the_order_of_customers_makes_no_difference(
    history: pd.DataFrame, judged: pd.DataFrame, outcomes: pd.DataFrame
) -> None:
    mixed = cohort_calibration(judged.sample(frac=1, random_state=1), outcomes[::-1], history["cohort"])
    # means of the same numbers in another order: equal to rounding
    pd.testing.assert_frame_equal(mixed, cohort_calibration(judged, outcomes, history["cohort"]), rtol=1e-12)


def test_customers_without_cohort_or_outcome_are_refused(
    history: pd.DataFrame, judged: pd.DataFrame, outcomes: pd.DataFrame
) -> None:
    with pytest.raises(ValueError, match="2 of 15000 judged customers have no outcome"):
        cohort_calibration(judged, outcomes.iloc[2:], history["cohort"])
    with pytest.raises(ValueError, match="3 of 15000 scored customers have no cohort"):
        cohort_calibration(judged, outcomes, history["cohort"].iloc[3:])
    with pytest.raises(ValueError, match="3 of 15000 scored customers have no cohort"):
        cohort_fit(judged, history["cohort"].iloc[3:], CDNOW)
