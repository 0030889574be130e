"""The grid: V_res + value at risk = V_act, tiers that hold at their edges, and two placements that never mix."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import churn_clv.train as train_room
from churn_clv.models import BetaGeoModel, GammaGammaModel
from churn_clv.models.clv import value_if_active
from churn_clv.segments.grid import (
    VALUE_AXES,
    Grid,
    Quantiles,
    ValueShares,
    cell_table,
    exact_cuts,
    freeze_grid,
    place,
)
from churn_clv.segments.playbook import Playbook, default_playbook
from churn_clv.train import Run

TERCILES = "terciles"


def scores_of(value: list[float], risk: list[float]) -> pd.DataFrame:
    """Scores of customers whose V_act and R are given."""
    index = pd.Index([f"{k:03d}" for k in range(len(value))], name="customer_id")
    frame = pd.DataFrame({"value_if_active": value, "churn_probability": risk}, index=index, dtype=float)
    frame["expected_spend"] = (1 - frame["churn_probability"]) * frame["value_if_active"]
    frame["value_at_risk"] = frame["churn_probability"] * frame["value_if_active"]
    return frame.assign(clv=frame["expected_spend"] * 2)


def placed(grid: Grid, scores: pd.DataFrame) -> pd.DataFrame:
    return scores.join(place(grid, scores))


def drawn(n: int, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return scores_of(list(rng.gamma(2, 50, n)), list(rng.beta(2, 1, n)))


# --- placing


def test_a_value_on_a_cut_belongs_to_the_upper_tier() -> None:
    grid = Grid((50.0, 100.0), (0.3, 0.6))
    below = float(np.nextafter(50.0, 0))
    found = place(grid, scores_of([below, 50, 99, 100, 1e9], [0, np.nextafter(0.3, 0), 0.3, 0.6, 1]))
    assert found["value_tier"].tolist() == ["low", "mid", "mid", "high", "high"]
    assert found["risk_tier"].tolist() == ["low", "low", "mid", "high", "high"]


def test_each_customer_gets_the_plan_of_the_own_cell() -> None:
    scores = drawn(500)
    found = place(freeze_grid(scores["value_if_active"], scores["churn_probability"], TERCILES, TERCILES), scores)
    assert found.index.equals(scores.index)
    for row in found.itertuples():
        plan = default_playbook().plan_for(row.value_tier, row.risk_tier)
        assert (row.segment, row.action) == (plan.segment, plan.action)
    assert set(zip(found["value_tier"], found["risk_tier"], strict=True)) == {
        (plan.value, plan.risk) for plan in default_playbook().grid
    }


def test_a_playbook_of_ones_own_names_the_cells_of_customers_and_table_alike() -> None:
    scores = drawn(200)
    grid = freeze_grid(scores["value_if_active"], scores["churn_probability"], TERCILES, TERCILES)
    content = default_playbook().to_dict()
    own = Playbook.from_dict(content | {"grid": [{**content["grid"][0], "segment": "Stars", "action": "Thank them"}]})
    found = place(grid, scores, own)
    stars = found["segment"] == "Stars"
    assert stars.any() and (found.loc[stars, "action"] == "Thank them").all()
    assert (stars == ((found["value_tier"] == "high") & (found["risk_tier"] == "low"))).all()
    assert found.loc[~stars, "segment"].str.startswith("value ").all(), "a cell without a plan names itself"
    table = cell_table(grid, scores.join(found), playbook=own)
    assert table.loc[("low", "high"), ["segment", "action"]].tolist() == ["Stars", "Thank them"]


def test_placing_depends_on_the_customer_alone() -> None:
    scores = drawn(200)
    grid = freeze_grid(scores["value_if_active"], scores["churn_probability"], TERCILES, TERCILES)
    whole = place(grid, scores)
    pd.testing.assert_frame_equal(place(grid, scores.iloc[::-7]), whole.iloc[::-7])
    assert place(grid, scores.iloc[:0]).empty


# --- freezing


def test_terciles_split_customers_into_thirds_up_to_rounding() -> None:
    scores = drawn(3000)
    grid = freeze_grid(scores["value_if_active"], scores["churn_probability"], TERCILES, TERCILES)
    for tier in ("value_tier", "risk_tier"):
        shares = place(grid, scores)[tier].value_counts(normalize=True)
        # rounding to two digits may move one customer in fifty
        assert shares.between(1 / 3 - 0.021, 1 / 3 + 0.021).all(), shares
    for cut in (*grid.value_cuts, *grid.risk_cuts):
        assert cut == float(f"{cut:.2g}"), "two digits a person can remember"


def test_rounding_never_moves_more_than_one_customer_in_fifty() -> None:
    narrow = pd.Series(np.linspace(100.0, 101.0, 300))
    grid = freeze_grid(narrow, narrow / 200, TERCILES, TERCILES)
    counts = np.bincount(np.searchsorted(grid.value_cuts, narrow, side="right"))
    assert counts.tolist() == [100, 100, 100]


def test_fixed_cuts_are_taken_as_they_are() -> None:
    scores = drawn(50)
    grid = freeze_grid(scores["value_if_active"], scores["churn_probability"], [12.345, 67.891], [0.5])
    assert grid == Grid((12.345, 67.891), (0.5,))
    assert grid.risk_tiers == ["low", "high"]


def test_customers_who_are_all_alike_are_one_tier() -> None:
    same = pd.Series([5.0] * 30)
    grid = freeze_grid(same, same / 10, TERCILES, TERCILES)
    assert grid == Grid((), ())
    scores = scores_of([5.0] * 30, [0.5] * 30)
    table = cell_table(grid, placed(grid, scores))
    assert table["customers"].tolist() == [30]
    assert table.index.tolist() == [("all", "all")]


@pytest.mark.parametrize(
    "ties", [[1.0] * 80 + [2.0] * 20, [1.0] * 20 + [2.0] * 80, [1.0] * 50 + [2.0] * 50, [1.0, 2.0, 3.0] * 20]
)
def test_ties_stay_together_and_no_tier_is_empty(ties: list[float]) -> None:
    values = pd.Series(ties)
    grid = freeze_grid(values, values / 10, TERCILES, [0.5])
    tier = np.searchsorted(grid.value_cuts, values, side="right")
    assert len(set(zip(ties, tier, strict=True))) == len(set(ties)), "equal values in different tiers"
    assert set(tier) == set(range(len(grid.value_cuts) + 1)), "a tier without anybody at the reference"


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=60))
def test_any_values_give_cuts_in_order_and_nobody_beyond_them(values: list[float]) -> None:
    series = pd.Series(values)
    cuts = freeze_grid(series, series, TERCILES, [0.5]).value_cuts
    assert list(cuts) == sorted(set(cuts))
    assert len(cuts) <= 2
    # the lowest and the highest tier always have somebody; between the cuts of two customers there is nobody
    tiers = np.searchsorted(cuts, series, side="right")
    assert {0, len(cuts)} <= set(tiers)


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_fewer_customers_than_cells_are_placed_all_the_same(n: int) -> None:
    scores = drawn(n)
    grid = freeze_grid(scores["value_if_active"], scores["churn_probability"], TERCILES, TERCILES)
    table = cell_table(grid, placed(grid, scores))
    assert table["customers"].sum() == n
    assert len(table) == len(grid.value_tiers) * len(grid.risk_tiers)


@pytest.mark.parametrize("axis", VALUE_AXES)
def test_a_grid_survives_its_dictionary(axis: Any) -> None:
    grid = Grid((1 / 3, 100.0), (0.1 + 0.2,), axis)
    assert Grid.from_dict(json.loads(json.dumps(grid.to_dict()))) == grid


def test_quantiles_have_their_shares_of_the_customers_below() -> None:
    scores = drawn(2000)
    quantiles = Quantiles((0.5, 0.8, 0.95))
    grid = freeze_grid(scores["value_if_active"], scores["churn_probability"], quantiles, Quantiles((0.25,)))
    assert (grid.value_tiers, grid.risk_tiers) == (["1 of 4", "2 of 4", "3 of 4", "4 of 4"], ["low", "high"])
    below = [(scores["value_if_active"] < cut).mean() for cut in grid.value_cuts]
    # rounding may move one customer in fifty
    np.testing.assert_allclose(below, quantiles.shares, atol=0.021)


def test_value_shares_are_brought_by_the_customers_above() -> None:
    scores = drawn(2000)
    shares = ValueShares((0.5, 0.8))
    value = scores["value_if_active"]
    low, high = exact_cuts(value, shares)
    for cut, share in ((high, 0.5), (low, 0.8)):
        # the customer on the cut is the one who completes the share
        assert value[value >= cut].sum() >= share * value.sum() > value[value > cut].sum()
    grid = freeze_grid(value, scores["churn_probability"], shares, [0.5])
    found = place(grid, scores)["value_tier"]
    exact = np.searchsorted([low, high], value, side="right")
    moved = found.map({"low": 0, "mid": 1, "high": 2}).to_numpy() != exact
    assert moved.mean() <= 0.02, "rounding moves more than one customer in fifty"


def test_where_nobody_brings_value_there_are_no_shares_to_cut() -> None:
    nothing = pd.Series([0.0] * 10 + [-1.0])
    assert freeze_grid(nothing, pd.Series(0.5, nothing.index), ValueShares((0.8,)), [0.5]).value_cuts == ()


def test_value_tiers_cut_the_axis_that_is_named_and_no_other() -> None:
    scores = drawn(300)
    for axis in VALUE_AXES[:2]:
        grid = freeze_grid(scores[axis], scores["churn_probability"], Quantiles((0.5,)), [0.5], axis)
        expected = np.where(scores[axis] >= grid.value_cuts[0], "high", "low")
        assert (place(grid, scores)["value_tier"] == expected).all()
        with pytest.raises(ValueError, match=f"3 of 300 customers lack {axis} or churn_probability"):
            place(grid, scores.assign(**{axis: scores[axis].mask(np.arange(300) < 3)}))


@given(
    st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=40),
    st.lists(st.floats(0.01, 0.99), min_size=1, max_size=4, unique=True).map(sorted),
    st.sampled_from([Quantiles, ValueShares]),
)
def test_any_scores_fall_into_exactly_one_cell_whatever_the_cuts(
    values: list[float], shares: list[float], kind: type[Quantiles] | type[ValueShares]
) -> None:
    scores = scores_of(values, [k / len(values) for k in range(len(values))])
    grid = freeze_grid(scores["value_if_active"], scores["churn_probability"], kind(tuple(shares)), "terciles")
    assert list(grid.value_cuts) == sorted(set(grid.value_cuts)) and len(grid.value_cuts) <= len(shares)
    found = place(grid, scores)
    assert found.notna().all(axis=None) and found.index.equals(scores.index)
    assert cell_table(grid, scores.join(found))["customers"].sum() == len(values)


# --- cells


def test_cells_add_up_to_their_customers() -> None:
    scores = drawn(400)
    grid = Grid((60.0, 120.0), (0.5, 0.8))
    table = cell_table(grid, placed(grid, scores))
    assert table["customers"].sum() == 400
    assert table["share"].sum() == pytest.approx(1)
    for total in ("expected_spend", "value_at_risk", "clv"):
        assert table[total].sum() == pytest.approx(scores[total].sum(), rel=1e-12)
    np.testing.assert_allclose(
        table["expected_spend"] + table["value_at_risk"], table["value_if_active"] * table["customers"]
    )


def test_a_cell_without_anybody_is_shown_empty_and_not_left_out() -> None:
    grid = Grid((50.0, 100.0), (0.3, 0.6))
    scores = scores_of([10, 20, 200], [0.1, 0.2, 0.9])
    outcomes = pd.DataFrame({"purchases": [1.0, 0, 0], "spend": [9.0, 0, 0]}, index=scores.index)
    table = cell_table(grid, placed(grid, scores), outcomes)
    assert len(table) == 9
    empty = table[table["customers"] == 0]
    assert len(empty) == 7
    assert (empty[["share", "expected_spend", "value_at_risk", "clv"]] == 0).all().all()
    assert empty[["churn_probability", "value_if_active", "realised_churn", "realised_spend"]].isna().all().all()
    assert table[["segment", "action"]].notna().all().all(), "an empty cell keeps its name and plan"


def test_realised_figures_are_those_of_the_cells_own_members() -> None:
    scores = drawn(400)
    grid = Grid((60.0, 120.0), (0.5, 0.8))
    rng = np.random.default_rng(8)
    outcomes = pd.DataFrame({"purchases": rng.poisson(1, 400), "spend": rng.gamma(1, 30, 400)}, index=scores.index)
    scores = placed(grid, scores)
    table = cell_table(grid, scores, outcomes.sample(frac=1, random_state=1))
    for (risk, value), cell in table.iterrows():
        members = scores.index[(scores["risk_tier"] == risk) & (scores["value_tier"] == value)]
        mine = outcomes.loc[members]
        assert cell["realised_churn"] == pytest.approx((mine["purchases"] == 0).mean())
        assert cell["realised_spend"] == pytest.approx(mine["spend"].mean())
        error = 1.96 * mine["spend"].std() / np.sqrt(len(mine))
        assert cell["realised_spend_high"] - cell["realised_spend"] == pytest.approx(error)


def test_interval_of_realised_churn_is_wilsons() -> None:
    # Newcombe (1998), Statistics in Medicine 17, table I, method 3: 81 of 263 gives .2553 to .3662; 0 of 20 gives 0 to .1611
    for churned, n, low, high in ((81, 263, 0.2553, 0.3662), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)):
        scores = scores_of([1.0] * n, [0.5] * n)
        purchases = [0.0] * churned + [1.0] * (n - churned)
        outcomes = pd.DataFrame({"purchases": purchases, "spend": purchases}, index=scores.index)
        grid = Grid((), ())
        [row] = cell_table(grid, placed(grid, scores), outcomes).itertuples()
        assert row.realised_churn_low == pytest.approx(low, abs=5e-5)
        assert row.realised_churn_high == pytest.approx(high, abs=5e-5)


# --- the two identities of the design


def test_within_one_purchase_model_v_res_over_p_active_is_the_mean_spend_of_those_who_buy() -> None:
    purchases = BetaGeoModel.from_params(r=0.6, alpha=30.0, a=0.7, b=2.5)
    spend = GammaGammaModel.from_params(p=6.0, q=5.0, v=60.0)
    summary = pd.DataFrame(
        {
            "frequency": [0.0, 1.0, 4.0, 12.0],
            "recency": [0.0, 60.0, 300.0, 350.0],
            "T": [200.0, 300.0, 330.0, 500.0],
            "monetary_value": [0.0, 40.0, 90.0, 120.0],
            "monetary_days": [0.0, 1.0, 4.0, 12.0],
        },
        index=pd.Index(["none", "one", "some", "many"], name="customer_id"),
    )
    horizon, size = 180.0, 40_000
    draws = purchases.sample_purchases(summary, horizon, size, seed=3).to_numpy().astype(float)
    rng = np.random.default_rng(4)
    # a customer's rate of spend given x purchases of mean m: nu ~ Gamma(q + p x, rate v + x m) (Fader & Hardie 2013)
    shape = 5.0 + 6.0 * summary["monetary_days"].to_numpy()
    rate = 60.0 + (summary["monetary_days"] * summary["monetary_value"]).to_numpy()
    nu = rng.gamma(shape[:, None], 1 / rate[:, None], draws.shape)
    money = np.where(draws > 0, rng.gamma(np.maximum(6.0 * draws, 1e-9)), 0.0) / nu

    v_res = purchases.expected_purchases(summary, horizon) * spend.expected_spend(summary)
    no_purchase = purchases.probability_no_purchase(summary, horizon)
    v_act = value_if_active(purchases, spend, summary, horizon=horizon)
    np.testing.assert_allclose(v_res / (1 - no_purchase), v_act, rtol=1e-9)
    for k, customer in enumerate(summary.index):
        bought = money[k][draws[k] > 0]
        error = bought.std(ddof=1) / np.sqrt(bought.size)
        assert error < 0.03 * bought.mean(), "too few draws to tell"
        assert abs(bought.mean() - v_act[customer]) < 4 * error, customer
        assert abs((draws[k] == 0).mean() - no_purchase[customer]) < 4 * np.sqrt(0.25 / size)


@pytest.mark.parametrize("placement", ["judged", "scores"])
def test_v_res_and_value_at_risk_add_up_to_v_act(small_run: Run, placement: str) -> None:
    scores: pd.DataFrame = getattr(small_run, placement)
    total = scores["expected_spend"] + scores["value_at_risk"]
    np.testing.assert_allclose(total, scores["value_if_active"], rtol=1e-12)
    risk, value = scores["churn_probability"], scores["value_if_active"]
    np.testing.assert_allclose(scores["expected_spend"], (1 - risk) * value, rtol=1e-12)
    assert risk.between(0, 1).all()
    assert (value > 0).all()
    per_purchase = scores["expected_purchases"] * scores["expected_spend_per_purchase"]
    np.testing.assert_allclose(per_purchase, scores["expected_spend"], rtol=1e-12)


# --- two placements, never mixed


def test_the_cuts_are_frozen_at_calibration_end(small_run: Run) -> None:
    assert small_run.models.grid == small_run.judged_models.grid
    at_end = freeze_grid(small_run.judged["value_if_active"], small_run.judged["churn_probability"], TERCILES, TERCILES)
    assert small_run.models.grid == at_end


@pytest.mark.odd
def test_holdout_outcomes_are_never_tabulated_by_production_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.conftest import small_config

    calls: list[tuple[pd.DataFrame, pd.DataFrame | None]] = []
    original = train_room.cell_table

    def spy(
        grid: Grid, scores: pd.DataFrame, outcomes: pd.DataFrame | None = None, *rest: Any, **named: Any
    ) -> pd.DataFrame:
        calls.append((scores, outcomes))
        return original(grid, scores, outcomes, *rest, **named)

    monkeypatch.setattr(train_room, "cell_table", spy)
    run = train_room.train(small_config())
    assert len(calls) == 2
    [judged_call] = [call for call in calls if call[1] is not None]
    [production_call] = [call for call in calls if call[1] is None]
    assert set(judged_call[0]["as_of"]) == {run.windows.calibration_end}
    assert set(production_call[0]["as_of"]) == {run.windows.score_as_of}
    assert judged_call[0]["risk_tier"].equals(run.judged["risk_tier"])
    assert not any("realised" in column for column in run.production_grid.columns)
    assert not {"purchases", "spend"} & set(run.scores.columns)


def test_the_judged_grid_shows_the_outcomes_after_calibration_end(small_run: Run) -> None:
    judged: Any = small_run.judged
    cells = judged.groupby(["risk_tier", "value_tier"])
    found = small_run.judged_grid
    expected = cells["purchases"].agg(lambda p: (p == 0).mean()).reindex(found.index)
    np.testing.assert_allclose(found["realised_churn"], expected)
    np.testing.assert_allclose(found["realised_spend"], cells["spend"].mean().reindex(found.index))
