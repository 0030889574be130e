"""The schemes beside the grid: frozen cuts that survive JSON, and labels that depend on the customer alone."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.conftest import ALL_NUMBERS, ALL_SHAPES

import churn_clv.segments.schemes as schemes_room
from churn_clv.errors import InputError
from churn_clv.score_log import known_to
from churn_clv.segments import rfm
from churn_clv.segments.grid import freeze_grid, place
from churn_clv.segments.schemes import (
    CLUSTERED,
    LABELS,
    SCHEMES,
    Schemes,
    behaviour,
    freeze_schemes,
    in_order,
    labels,
    without_dates,
)
from churn_clv.train import Run


@pytest.fixture(scope="module")
def features(small_run: Run) -> pd.DataFrame:
    known = known_to(small_run.models, small_run.log, small_run.windows.score_as_of, None)
    size = len(known.features)
    return known.features.assign(region=np.where(np.arange(size) % 2, "north", "south"))


@pytest.fixture(scope="module")
def schemes(small_run: Run, features: pd.DataFrame) -> Schemes:
    return freeze_schemes(small_run.scores, features, ["region"], seed=1)


def test_cuts_that_went_through_json_give_identical_labels(
    small_run: Run, features: pd.DataFrame, schemes: Schemes
) -> None:
    back = Schemes.from_dict(json.loads(json.dumps(schemes.to_dict())))
    assert back == schemes
    earned = pd.Series(np.linspace(-10, 100, len(features)), features.index)
    pd.testing.assert_frame_equal(
        labels(back, small_run.scores, features, earned), labels(schemes, small_run.scores, features, earned)
    )


def test_labels_depend_neither_on_who_else_is_scored_nor_on_the_order_of_rows(
    small_run: Run, features: pd.DataFrame, schemes: Schemes
) -> None:
    whole = labels(schemes, small_run.scores, features)
    for some in (whole.index[::-7], whole.index[:1], whole.index[::-1]):
        found = labels(schemes, small_run.scores.loc[some], features.loc[some])
        pd.testing.assert_frame_equal(found, whole.loc[some])
    # features are taken by customer id
    pd.testing.assert_frame_equal(labels(schemes, small_run.scores, features.iloc[::-1]), whole)


def test_the_order_of_rows_moves_no_cut(small_run: Run, features: pd.DataFrame, schemes: Schemes) -> None:
    drawn = small_run.scores.sample(frac=1, random_state=3)
    assert freeze_schemes(drawn, features.loc[drawn.index], ["region"], seed=1) == schemes


def test_each_customer_has_one_segment_of_each_scheme_and_a_score_of_one_to_five(
    small_run: Run, features: pd.DataFrame, schemes: Schemes
) -> None:
    found = labels(schemes, small_run.scores, features)
    assert list(found.columns) == list(LABELS)
    assert found.index.equals(small_run.scores.index)
    for scheme in SCHEMES:
        assert set(found[scheme]) <= set(in_order(scheme, schemes)), scheme
    for score in rfm.SCORES:
        assert found[score].between(1, 5).all()


def test_the_run_labels_its_customers_by_these_schemes(small_run: Run) -> None:
    known = known_to(small_run.models, small_run.log, small_run.windows.score_as_of, None)
    found = labels(small_run.models.schemes, small_run.scores, known.features)
    # a simulated log has no refunds and no costs, so nobody is negative with or without the contribution
    pd.testing.assert_frame_equal(small_run.scores[list(LABELS)], found)


def test_clusters_read_behaviour_and_attributes_and_no_date(small_run: Run, features: pd.DataFrame) -> None:
    days = pd.Timestamp(2020, 1, 1) + pd.to_timedelta(np.arange(len(features)), unit="D")
    dated = features.assign(since=days)
    assert "since" not in without_dates(dated)
    found = freeze_schemes(small_run.scores, dated, ["region", "since"], seed=1)
    assert found.attributes == ["region"]
    read = {column.feature for column in found.clusters.columns}
    assert read <= {*CLUSTERED, "region"}
    assert not read & {"T", "tenure_days", "churn_probability", "expected_spend", "value_if_active"}


def test_all_the_numbers_of_clusters_of_a_run_are_tried(
    small_run: Run, features: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the fixture `few_candidates` of all other tests takes some away
    monkeypatch.setattr(schemes_room, "NUMBERS", ALL_NUMBERS)
    monkeypatch.setattr(schemes_room, "SHAPES", ALL_SHAPES)
    found = freeze_schemes(small_run.scores, features, [], seed=1)
    assert [candidate.shape for candidate in found.clusters.candidates] == [(1, k) for k in (3, 4, 5, 6, 7, 8)]
    assert [candidate.shape for candidate in found.map_clusters.candidates] == list(ALL_SHAPES)
    assert set(labels(found, small_run.scores, features)["cluster"]) <= set(found.clusters.names)


def test_behaviour_is_told_in_days_purchases_and_money(small_run: Run, features: pd.DataFrame) -> None:
    found = behaviour(small_run.scores, features, ["region"])
    customer = found.index[7]
    row = small_run.scores.loc[customer]
    assert found.loc[customer, "days_since_purchase"] == row["T"] - row["recency"]
    assert found.loc[customer, "tenure_days"] == row["T"]
    assert list(found.columns) == ["days_since_purchase", "tenure_days", "frequency", *[c for c in CLUSTERED if c != "frequency"], "region"]  # fmt: skip


@pytest.mark.parametrize("column", ["frequency", "recency", "monetary_value"])
def test_a_missing_summary_is_refused_with_a_count(
    small_run: Run, features: pd.DataFrame, schemes: Schemes, column: str
) -> None:
    holes = small_run.scores.copy()
    holes[column] = holes[column].astype(float).mask(np.arange(len(holes)) < 3)
    with pytest.raises(InputError, match=rf"3 of {len(holes)} customers have a missing or infinite"):
        labels(schemes, holes, features)


def test_missing_predictions_are_unknown_and_never_a_guess(
    small_run: Run, features: pd.DataFrame, schemes: Schemes
) -> None:
    first = np.arange(len(features)) < 4
    holes = small_run.scores.assign(
        **{name: small_run.scores[name].mask(first) for name in ("churn_probability", "expected_spend")}
    )
    found = labels(schemes, holes, features)
    assert (found.loc[first, ["lifecycle_stage", "value_class", "pareto_tier"]] == "unknown").all(axis=None)
    assert not (found.loc[~first, ["lifecycle_stage", "value_class", "pareto_tier"]] == "unknown").any(axis=None)
    with pytest.raises(ValueError, match=f"4 of {len(features)} customers lack value_if_active or churn_probability"):
        place(small_run.models.grid, holes)


@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_finite_customer_has_exactly_one_segment(
    data: st.DataObject, small_run: Run, features: pd.DataFrame, schemes: Schemes
) -> None:
    """Amounts up to 1e12 and below zero, risks of 0 and 1, ages of 0: the labels are still of the scheme."""
    size = data.draw(st.integers(1, 6))
    index = pd.Index([f"c{k}" for k in range(size)], name="customer_id")

    def drawn(low: float, high: float) -> list[float]:
        return data.draw(st.lists(st.floats(low, high), min_size=size, max_size=size))

    age = np.array(drawn(0, 1e5))
    scores = pd.DataFrame({"T": age, "recency": age * drawn(0, 1), "frequency": np.floor(drawn(0, 1e4)),
                           "monetary_value": drawn(-1e12, 1e12), "expected_spend": drawn(-1e12, 1e12),
                           "value_if_active": drawn(-1e12, 1e12), "churn_probability": drawn(0, 1),
                           "p_alive": drawn(0, 1)}, index=index)  # fmt: skip
    told = pd.DataFrame({"silence_share": drawn(0, 1), "mean_amount": drawn(-1e12, 1e12),
                         "purchases_last_91_days": np.floor(drawn(0, 91)), "region": "a new one"}, index=index)  # fmt: skip
    found = labels(schemes, scores, told)
    for scheme in SCHEMES:
        assert found[scheme].isin(in_order(scheme, schemes)).all(), scheme
    cells = place(small_run.models.grid, scores)
    assert cells.index.equals(index)
    assert cells["value_tier"].isin(small_run.models.grid.value_tiers).all()
    assert cells["risk_tier"].isin(small_run.models.grid.risk_tiers).all()
    own = freeze_grid(scores["value_if_active"], scores["churn_probability"], "terciles", "terciles")
    assert place(own, scores).notna().all(axis=None)
