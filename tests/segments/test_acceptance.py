"""The acceptance list: a true model passes, and each planted fault is found by its own criterion and named."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from churn_clv.segments.acceptance import _cut_cvs, accept
from churn_clv.segments.grid import Grid, Quantiles, ValueShares, exact_cuts, freeze_grid, place
from churn_clv.segments.rfm_rival import Rival
from churn_clv.train import Run

Case = tuple[Grid, pd.DataFrame, pd.DataFrame]


def case(n: int = 30_000, seed: int = 1, risk: np.ndarray | None = None, value: np.ndarray | None = None) -> Case:
    """A grid of customers whose outcomes are drawn from their own forecasts."""
    rng = np.random.default_rng(seed)
    value = rng.gamma(4, 25, n) if value is None else value
    risk = rng.beta(2, 2, n) if risk is None else risk
    index = pd.Index([f"c{k:05d}" for k in range(n)], name="customer_id")
    judged = pd.DataFrame({"churn_probability": risk, "value_if_active": value}, index=index)
    judged["expected_spend"], judged["value_at_risk"] = (1 - risk) * value, risk * value
    grid = freeze_grid(judged["value_if_active"], judged["churn_probability"], "terciles", "terciles")
    bought = rng.random(n) >= risk
    spend = np.where(bought, value * rng.gamma(4, 1 / 4, n), 0.0)
    outcomes = pd.DataFrame({"purchases": bought.astype(float), "spend": spend}, index=index)
    return grid, judged.join(place(grid, judged)), outcomes


@pytest.fixture(scope="module")
def true() -> Case:
    return case()


def test_forecasts_that_are_the_truth_pass_every_criterion(true: Case) -> None:
    grid, judged, outcomes = true
    rng = np.random.default_rng(5)
    noisy = judged.assign(churn_probability=rng.permutation(judged["churn_probability"]))
    rival = Rival(grid, noisy[["churn_probability", "expected_spend"]].join(place(grid, noisy)))
    table = accept(grid, judged, outcomes.sample(frac=1, random_state=1), earlier=judged, rival=rival)
    assert len(table) == 12
    assert table["passes"].tolist() == [True] * 12, table["words"].tolist()
    assert table["words"].str.len().min() > 20
    assert table.loc["same_cell", "figure"] == 1


def test_nothing_given_is_written_to(true: Case) -> None:
    grid, judged, outcomes = true
    kept = judged.copy(), outcomes.copy()
    first, second = accept(grid, judged, outcomes), accept(grid, judged, outcomes)
    pd.testing.assert_frame_equal(first, second)
    pd.testing.assert_frame_equal(judged, kept[0])
    pd.testing.assert_frame_equal(outcomes, kept[1])


# --- order


def test_a_cell_in_the_wrong_order_is_named_with_its_intervals(true: Case) -> None:
    grid, judged, outcomes = true
    lucky = judged.index[(judged["risk_tier"] == "high") & (judged["value_tier"] == "mid")]
    outcomes = outcomes.copy()
    outcomes.loc[lucky] = [1.0, 500.0]
    table = accept(grid, judged, outcomes)
    churn, spend = table.loc["monotone_churn"], table.loc["monotone_spend"]
    assert (churn["figure"], churn["passes"]) == (1, False)
    assert "risk high, value mid 0.00 (" in churn["words"]
    assert "intervals apart" in churn["words"]
    assert (spend["figure"], spend["passes"]) == (1, False)
    assert "risk high, value mid 500 (500 to 500) above risk high, value high" in spend["words"]
    assert table.loc["calibration_churn", "figure"] == table.loc["calibration_spend", "figure"] == 1


def test_exceptions_within_noise_cannot_be_told() -> None:
    index = pd.Index([f"c{k}" for k in range(40)])
    judged = pd.DataFrame({"churn_probability": [0.4, 0.6] * 20, "value_if_active": 10.0}, index=index)
    judged = judged.assign(expected_spend=[6.0, 4.0] * 20, value_at_risk=[4.0, 6.0] * 20)
    grid = Grid((), (0.5,))
    bought = np.array([1.0, 0.0] * 20)
    bought[[1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21]] = 1  # 11 of the 20 risky buy
    bought[[0, 2, 4, 6, 8, 10, 12, 14, 16, 18]] = 0  # 10 of the 20 safe do not
    outcomes = pd.DataFrame({"purchases": bought, "spend": bought * 10}, index=index)
    row = accept(grid, judged.join(place(grid, judged)), outcomes, risk_cuts=[0.5]).loc["monotone_churn"]
    assert row["figure"] == 1
    assert row["passes"] is None
    assert "intervals overlap" in row["words"]


# --- level


def test_a_forecast_beyond_tolerance_and_interval_is_off_in_every_cell(true: Case) -> None:
    grid, judged, outcomes = true
    hopeful = judged.assign(churn_probability=judged["churn_probability"] - 0.1)
    dear = judged.assign(expected_spend=judged["expected_spend"] * 1.3, value_if_active=judged["value_if_active"] * 1.3)
    # 3300 customers a cell: the interval of churn is within .017, of spend within 6 %
    assert accept(grid, hopeful, outcomes).loc["calibration_churn", "figure"] == 9
    table = accept(grid, dear, outcomes)
    assert table.loc["calibration_spend", "figure"] == table.loc["buyers_spend", "figure"] == 9
    assert not table.loc[["calibration_spend", "buyers_spend"], "passes"].any()
    assert table.loc["calibration_churn", "passes"] is True


def test_tolerances_hold_at_their_edges() -> None:
    # 100 000 alike: the interval of a churn of .5 is .0031 wide, and each buyer spends the same
    n = 100_000
    index = pd.RangeIndex(n)
    outcomes = pd.DataFrame({"purchases": [1.0, 0.0] * (n // 2), "spend": [20.0, 0.0] * (n // 2)}, index=index)
    for risk, value, churn_passes, buyers_pass in ((0.529, 22.9, True, True), (0.531, 23.1, False, False)):
        judged = pd.DataFrame({"churn_probability": risk, "value_if_active": value}, index=index)
        judged = judged.assign(expected_spend=(1 - risk) * value, value_at_risk=risk * value)
        judged = judged.assign(risk_tier="all", value_tier="all")
        table = accept(Grid((), ()), judged, outcomes)
        assert table.loc["calibration_churn", "passes"] is churn_passes
        assert table.loc["buyers_spend", "passes"] is buyers_pass


def test_a_small_cell_is_judged_by_its_interval() -> None:
    grid, judged, outcomes = case(n=90, seed=4)
    table = accept(grid, judged, outcomes)
    gaps = (judged["churn_probability"] - (outcomes["purchases"] == 0)).groupby(
        [judged["risk_tier"], judged["value_tier"]]
    )
    assert (gaps.mean().abs() > 0.03).sum() >= 5, "with ten a cell the tolerance alone would fail most"
    # each of nine cells is outside a 95 % interval once in twenty
    assert table.loc["calibration_churn", "figure"] <= 1


# --- the rest


def test_effective_cells_are_nine_when_even_and_one_when_all_sit_together(true: Case) -> None:
    assert accept(*true).loc["effective_cells", "figure"] == pytest.approx(9, abs=0.05)
    n = 3000
    alike = case(n=n, risk=np.full(n, 0.5), value=np.full(n, 10.0))
    row = accept(*alike).loc["effective_cells"]
    assert (row["figure"], row["passes"]) == (pytest.approx(1), False)
    fixed = accept(*alike, value_cuts=[], risk_cuts=[0.3, 0.6]).loc["effective_cells"]
    assert fixed["passes"] is None
    assert np.isnan(fixed["limit"])


def test_effective_cells_of_published_shares() -> None:
    # Hill (1973), Ecology 54(2): the exponential of the entropy of shares 1/2, 1/4, 1/4 is 2^1.5
    n = 4000
    value = np.repeat([1.0, 2.0, 3.0, 3.0], n // 4)
    _, judged, outcomes = case(n=n, value=value)
    grid = Grid((1.5, 2.5), ())
    judged = judged.drop(columns=["value_tier", "risk_tier", "segment", "action"])
    table = accept(grid, judged.join(place(grid, judged)), outcomes)
    assert table.loc["effective_cells", "figure"] == pytest.approx(2**1.5)


def test_the_correlation_is_spearmans(true: Case) -> None:
    from scipy.stats import spearmanr

    grid, judged, outcomes = case(n=500, risk=np.round(np.linspace(0.1, 0.9, 500), 1))
    found = accept(grid, judged, outcomes).loc["rank_correlation", "figure"]
    assert found == pytest.approx(spearmanr(judged["churn_probability"], judged["value_if_active"]).statistic)
    both = case(n=500, risk=np.linspace(0.1, 0.9, 500), value=np.linspace(90, 10, 500))
    row = accept(*both).loc["rank_correlation"]
    assert (row["figure"], row["passes"]) == (pytest.approx(-1), False)


def test_the_spread_of_the_cuts_is_that_of_drawn_bootstrap_samples() -> None:
    rng = np.random.default_rng(2)
    values = rng.gamma(2, 50, 151)
    drawn = np.sort(rng.choice(values, (20_000, 151)), axis=1)
    slow = [drawn[:, k].std() / drawn[:, k].mean() for k in (50, 100)]
    # 20 000 draws each: a standard deviation has a standard error of about half a percent
    assert _cut_cvs(values, "terciles", np.random.default_rng(3), draws=20_000) == pytest.approx(slow, rel=0.03)


def test_few_customers_have_unstable_cuts_and_fixed_cuts_have_none(true: Case) -> None:
    assert accept(*true).loc["threshold_cv", "figure"] < 0.03
    few = case(n=60)
    row = accept(*few).loc["threshold_cv"]
    assert row["passes"] is False
    fixed = accept(*few, value_cuts=[50.0, 100.0], risk_cuts=[0.3, 0.6]).loc["threshold_cv"]
    assert (fixed["figure"], fixed["passes"]) == (0, True)


def test_the_spread_of_shares_of_the_total_is_that_of_drawn_bootstrap_samples() -> None:
    rng = np.random.default_rng(2)
    values = rng.gamma(2, 50, 151)
    cuts = ValueShares((0.5, 0.8))
    slow = np.array([exact_cuts(pd.Series(rng.choice(values, 151)), cuts) for _ in range(2000)])
    # 2000 draws each: a standard deviation has a standard error of 1.6 percent
    found = _cut_cvs(values, cuts, np.random.default_rng(3), draws=10_000)
    assert found == pytest.approx(slow.std(axis=0) / slow.mean(axis=0), rel=0.1)


def test_cuts_other_than_terciles_are_judged_by_their_own_spread_and_cells_are_not_gated() -> None:
    _, judged, outcomes = case(n=600)
    scores = judged.drop(columns=["risk_tier", "value_tier", "segment", "action"])
    for value_cuts in (Quantiles((0.5, 0.99)), ValueShares((0.8, 0.95))):
        grid = freeze_grid(scores["value_if_active"], scores["churn_probability"], value_cuts, [0.5])
        table = accept(grid, scores.join(place(grid, scores)), outcomes, value_cuts=value_cuts, risk_cuts=[0.5], seed=1)
        [worst] = [max(_cut_cvs(scores["value_if_active"].to_numpy(), value_cuts, np.random.default_rng(1)))]
        assert table.loc["threshold_cv", "figure"] == pytest.approx(worst)
        assert "the least stable cut, value cut" in table.loc["threshold_cv", "words"]
        cells = table.loc["effective_cells"]
        assert cells["passes"] is None and np.isnan(cells["limit"])


def test_the_correlation_is_of_the_axis_that_is_cut(true: Case) -> None:
    _, judged, outcomes = true
    scores = judged.drop(columns=["risk_tier", "value_tier", "segment", "action"])
    grid = freeze_grid(scores["expected_spend"], scores["churn_probability"], "terciles", "terciles", "expected_spend")
    row = accept(grid, scores.join(place(grid, scores)), outcomes).loc["rank_correlation"]
    # risk is in expected spend already: it is counted twice, and the criterion says so
    assert row["figure"] == pytest.approx(scores["expected_spend"].corr(scores["churn_probability"], "spearman"))
    assert row["figure"] < -0.5 and row["passes"] is False


def test_the_same_cell_is_counted_over_those_placed_both_times(true: Case) -> None:
    grid, judged, outcomes = true
    earlier = judged[["risk_tier", "value_tier"]].iloc[1000:].copy()
    earlier.iloc[:8700] = ["nowhere", "none"]
    earlier = pd.concat([earlier, earlier.iloc[:5].rename(index=lambda c: f"gone {c}")]).sample(frac=1, random_state=2)
    row = accept(grid, judged, outcomes, earlier=earlier).loc["same_cell"]
    assert row["figure"] == pytest.approx(0.7)
    assert row["passes"] is False
    assert "1000 are new, 5 gone" in row["words"]
    assert accept(grid, judged, outcomes).loc["same_cell", "passes"] is None


def test_risk_counted_twice_breaks_the_identity(true: Case) -> None:
    grid, judged, outcomes = true
    wrong = judged.assign(value_at_risk=judged["churn_probability"] * judged["expected_spend"])
    assert accept(grid, wrong, outcomes).loc["identity", "passes"] is False


# --- RFM


def test_a_rival_that_ranks_and_forecasts_better_is_not_beaten(true: Case) -> None:
    grid, judged, outcomes = true
    worse = judged.assign(churn_probability=1 - judged["churn_probability"])
    placed = worse.drop(columns=["risk_tier", "value_tier", "segment", "action"])
    upside_down = placed.join(place(grid, placed))
    table = accept(grid, upside_down, outcomes, rival=Rival(grid, judged))
    assert table.loc[["rfm_monotone", "rfm_calibration"], "passes"].tolist() == [False, False]
    assert table.loc["rfm_monotone", "figure"] >= 6
    silent = accept(grid, judged, outcomes, rival=Rival(grid, judged[["risk_tier", "value_tier"]]))
    assert silent.loc[["rfm_monotone", "rfm_calibration"], "passes"].tolist() == [True, None]


# --- edges


@pytest.mark.parametrize("n", [1, 2, 5])
def test_fewer_customers_than_cells_are_judged_all_the_same(n: int) -> None:
    table = accept(*case(n=n, seed=3))
    assert len(table) == 12
    assert table.loc["identity", "passes"] is True
    assert set(table["passes"]) <= {True, False, None}


def test_when_nobody_buys_spend_cannot_be_told() -> None:
    grid, judged, outcomes = case(n=300)
    table = accept(grid, judged, outcomes * 0)
    assert table.loc[["calibration_spend", "buyers_spend"], "passes"].tolist() == [None, None]
    assert table.loc["calibration_churn", "passes"] is False


def test_a_single_buyer_says_nothing_about_a_cell() -> None:
    grid, judged, outcomes = case(n=300)
    buyer = outcomes.index[outcomes["purchases"] > 0][0]
    bought = pd.DataFrame(0.0, index=outcomes.index, columns=outcomes.columns)
    bought.loc[buyer] = outcomes.loc[buyer]
    row = accept(grid, judged, bought).loc["buyers_spend"]
    assert row["passes"] is None
    assert np.isnan(row["figure"])


def test_customers_without_scores_or_outcomes_are_counted_and_refused(true: Case) -> None:
    grid, judged, outcomes = true
    with pytest.raises(ValueError, match="2 of 30000 customers have no outcome"):
        accept(grid, judged, outcomes.iloc[2:])
    with pytest.raises(ValueError, match="1 of 30000 judged customers lack a score"):
        accept(
            grid, judged.assign(churn_probability=judged["churn_probability"].where(judged.index != "c00000")), outcomes
        )
    with pytest.raises(ValueError, match="repeat a customer id"):
        accept(grid, pd.concat([judged, judged[:3]]), outcomes)
    with pytest.raises(ValueError, match="no customers"):
        accept(grid, judged[:0], outcomes)
    with pytest.raises(ValueError, match="7 customers are in only one"):
        accept(grid, judged, outcomes, rival=Rival(grid, judged.iloc[7:]))


def test_a_runs_judged_grid_can_be_accepted_as_it_is(small_run: Run) -> None:
    judged = small_run.judged
    table = accept(small_run.models.grid, judged, judged[["purchases", "spend"]])
    assert table.loc["identity", "passes"] is True
    churn = small_run.judged_grid["realised_churn"].unstack().loc[["low", "mid", "high"]]
    wrong = int((churn.diff().iloc[1:] < 0).to_numpy().sum())
    assert table.loc["monotone_churn", "figure"] == wrong
