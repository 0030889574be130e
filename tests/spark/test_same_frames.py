"""DuckDB and Spark tell the same of a log: counts and dates exactly, money to 1e-9, in the same columns and types."""

from __future__ import annotations

import pandas as pd
import pytest
from tests.spark.conftest import Both

from churn_clv.data.cohorts import acquired_between, cohort_activity, cohort_of, cohort_period
from churn_clv.data.contract import Spend
from churn_clv.data.events import event_kinds, events_at
from churn_clv.data.feature_names import FEATURE_SETS
from churn_clv.data.features import features_at, outcomes_after
from churn_clv.data.fingerprint import fingerprint
from churn_clv.data.fit_rows import fit_rows
from churn_clv.data.summary import summarize
from churn_clv.data.windows import LabelWindow

pytestmark = [pytest.mark.spark, pytest.mark.filterwarnings("ignore:PySpark does not yet")]


def assert_same(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    """Whole numbers and dates exactly; the engines divide and take roots of equal sums, whose last digits may differ."""
    pd.testing.assert_frame_equal(found, expected, rtol=1e-9, atol=1e-12)
    whole = [name for name in expected if (expected[name].dropna() % 1 == 0).all()]
    pd.testing.assert_frame_equal(found[whole], expected[whole], check_exact=True)


def test_the_cleaning_reports_agree(both: Both) -> None:
    for name in (
        "cleaning",
        "has_amount",
        "first_day",
        "last_day",
        "n_customers",
        "value_is",
        "events",
        "line_columns",
    ):
        assert getattr(both.spark, name) == getattr(both.duck, name), name


@pytest.mark.parametrize("spend", ["repeat", "all"])
def test_the_summaries_agree(both: Both, spend: Spend) -> None:
    for day in both.days[1:]:
        assert_same(summarize(both.spark, day, spend), summarize(both.duck, day, spend))


@pytest.mark.parametrize("feature_set", FEATURE_SETS)
def test_the_features_agree_at_three_cutoffs(both: Both, feature_set: str) -> None:
    found, expected = (features_at(log, both.days, feature_set) for log in (both.spark, both.duck))
    assert len(expected.index.unique("cutoff")) == 3
    assert_same(found, expected)


def test_the_outcomes_agree(both: Both) -> None:
    labels = [LabelWindow(day, days) for day, days in zip(both.days[:2], (30, 77), strict=True)]
    assert_same(outcomes_after(both.spark, labels), outcomes_after(both.duck, labels))


def test_the_cohorts_agree(both: Both) -> None:
    as_of = both.days[-1]
    period = cohort_period(*acquired_between(both.duck, as_of))
    assert acquired_between(both.spark, as_of) == acquired_between(both.duck, as_of)
    assert_same(cohort_activity(both.spark, as_of, period), cohort_activity(both.duck, as_of, period))
    pd.testing.assert_series_equal(cohort_of(both.spark, as_of, period), cohort_of(both.duck, as_of, period))


def test_the_events_agree(both: Both) -> None:
    if not both.duck.has_events:
        pytest.skip("the log has no events")
    kinds = event_kinds(both.duck, both.days[1])
    assert kinds
    assert event_kinds(both.spark, both.days[1]) == kinds
    asked = [*kinds, "unheard_of"]
    assert_same(events_at(both.spark, both.days, asked), events_at(both.duck, both.days, asked))


def test_the_rows_that_models_fit_agree(both: Both) -> None:
    found, expected = fit_rows(both.spark, both.days[-1]), fit_rows(both.duck, both.days[-1])
    assert_same(found.histories, expected.histories)
    assert found.spend["customers"].sum() == expected.spend["customers"].sum() == expected.customers


def test_the_fingerprints_agree(both: Both) -> None:
    assert fingerprint(both.spark) == fingerprint(both.duck)


def test_a_panel_brought_here_is_the_panel_of_duckdb(both: Both) -> None:
    few = both.duck.n_customers // 3
    panel, day = both.spark.panel(few), both.days[-1]
    everyone = summarize(both.duck, day)
    digests = both.duck.frame(
        "SELECT DISTINCT customer_id, md5(customer_id) AS digest FROM customer_days WHERE first_day IS NOT NULL "
        "ORDER BY digest, customer_id"
    )
    chosen = everyone.loc[everyone.index.isin(digests["customer_id"].head(few))]
    pd.testing.assert_frame_equal(summarize(panel, day), chosen)
    assert panel.n_customers == few
    assert panel.line_columns == both.duck.line_columns
