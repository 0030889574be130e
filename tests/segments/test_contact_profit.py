"""Contacting pays above the break-even risk, and the greedy choice is within one contact's profit of the best one."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from churn_clv.segments.contact_profit import (
    ContactTerms,
    allocate,
    break_even_risk,
    contact_profit,
    expected_outlay,
)

TERMS = ContactTerms(margin_rate=0.4, save_rate=0.3, incentive=10.0, take_up=0.25, contact_cost=1.5)


def scores_of(risk: list[float], value: list[float]) -> pd.DataFrame:
    index = pd.Index([f"c{k:03d}" for k in range(len(risk))], name="customer_id")
    return pd.DataFrame({"churn_probability": risk, "value_if_active": value}, index=index, dtype=float)


def drawn(n: int, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return scores_of(list(rng.beta(2, 1, n)), list(rng.gamma(2, 80, n)))


# --- profit


def test_profit_is_the_mean_of_simulated_campaigns() -> None:
    scores = scores_of([0.7], [150.0])
    rng, n = np.random.default_rng(3), 400_000
    leaver = rng.random(n) < 0.7
    saved = leaver & (rng.random(n) < TERMS.save_rate)
    took = saved | (~leaver & (rng.random(n) < TERMS.take_up))
    # who stays unasked would have brought the margin anyway: only the saved bring it because of the contact
    gain = 60.0 * saved - 10.0 * took - 1.5
    outlay = 10.0 * took + 1.5
    # four standard errors of the simulated mean
    assert contact_profit(scores, TERMS).iloc[0] == pytest.approx(gain.mean(), abs=4 * gain.std() / np.sqrt(n))
    assert expected_outlay(scores, TERMS).iloc[0] == pytest.approx(outlay.mean(), abs=4 * outlay.std() / np.sqrt(n))


def test_a_contact_that_saves_nobody_only_costs() -> None:
    scores = drawn(50)
    nobody = contact_profit(scores, replace(TERMS, save_rate=0.0))
    np.testing.assert_allclose(nobody, -(1 - scores["churn_probability"]) * 0.25 * 10 - 1.5)
    assert (nobody <= -1.5).all()


def test_sure_stayers_cost_the_offer_and_sure_leavers_bring_the_saved() -> None:
    found = contact_profit(scores_of([0.0, 1.0], [200.0, 200.0]), TERMS)
    assert found.tolist() == pytest.approx([-0.25 * 10 - 1.5, 0.3 * (200 * 0.4 - 10) - 1.5])


def test_a_free_contact_without_offer_earns_the_value_at_risk_that_is_saved() -> None:
    scores = drawn(50)
    free = replace(TERMS, incentive=0.0, contact_cost=0.0, margin_rate=1.0)
    at_risk = scores["churn_probability"] * scores["value_if_active"]
    np.testing.assert_allclose(contact_profit(scores, free), 0.3 * at_risk)


def test_profit_changes_sign_at_the_break_even_risk() -> None:
    scores = drawn(300)
    least = break_even_risk(scores, TERMS)
    reachable = least[least < 1]
    assert 50 < len(reachable) < 300, "both kinds must be there"
    some = scores.loc[reachable.index]
    np.testing.assert_allclose(contact_profit(some.assign(churn_probability=reachable), TERMS), 0, atol=1e-12)
    above, below = (reachable + 1e-6).clip(upper=1), reachable - 1e-6
    assert (contact_profit(some.assign(churn_probability=above), TERMS) > 0).all()
    assert (contact_profit(some.assign(churn_probability=below), TERMS) < 0).all()
    never = scores.drop(reachable.index).assign(churn_probability=1.0)
    assert (contact_profit(never, TERMS) <= 0).all()


def test_measured_save_rates_take_the_constants_place_by_id() -> None:
    scores = drawn(40)
    constant = pd.Series(TERMS.save_rate, index=scores.index)
    for function in (contact_profit, expected_outlay, break_even_risk):
        pd.testing.assert_series_equal(function(scores, TERMS, constant[::-1]), function(scores, TERMS))
    measured = constant.copy()
    measured.iloc[7] = -0.2
    changed = contact_profit(scores, TERMS, measured.sample(frac=1, random_state=1)) != contact_profit(scores, TERMS)
    assert changed[changed].index.tolist() == [scores.index[7]]


def test_a_contact_that_drives_away_those_worth_keeping_never_pays() -> None:
    scores = scores_of([0.9, 0.9], [500.0, 900.0])
    worse = pd.Series(-0.1, index=scores.index)
    assert (contact_profit(scores, TERMS, worse) < 0).all()
    assert np.isinf(break_even_risk(scores, TERMS, worse)).all()


def test_no_offer_is_taken_by_those_whom_a_contact_drives_away() -> None:
    scores = drawn(10)
    worse, nobody = (pd.Series(rate, index=scores.index) for rate in (-0.3, 0.0))
    pd.testing.assert_series_equal(expected_outlay(scores, TERMS, worse), expected_outlay(scores, TERMS, nobody))
    assert (contact_profit(scores, TERMS, worse) < contact_profit(scores, TERMS, nobody))[
        scores["value_if_active"] * 0.4 > 10
    ].all()


# --- allocation


def best_profit(profit: pd.Series, outlay: pd.Series, budget: float) -> float:
    """The 0-1 knapsack by trying every subset."""
    return max(
        float(profit[list(subset)].sum())
        for size in range(len(profit) + 1)
        for subset in combinations(profit.index, size)
        if outlay[list(subset)].sum() <= budget + 1e-9
    )


def offers(seed: int, costs: list[float]) -> tuple[pd.Series, pd.Series]:
    """Nine customers, ids not in order, some contacts at a loss."""
    rng, ids = np.random.default_rng(seed), list("ihgfedcba")
    return pd.Series(rng.normal(1, 4, 9).round(1), index=ids), pd.Series(rng.choice(costs, 9), index=ids)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("budget", [0.0, 1.5, 4.0, 7.5, 100.0])
def test_with_equal_outlays_no_subset_within_the_budget_earns_more(seed: int, budget: float) -> None:
    profit, outlay = offers(seed, [1.5])
    chosen = allocate(profit, outlay, budget)
    assert profit[chosen].sum() == pytest.approx(best_profit(profit, outlay, budget))
    assert outlay[chosen].sum() <= budget
    assert (profit[chosen] > 0).all()
    assert chosen.index.equals(profit.index)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("budget", [0.5, 2.0, 3.7, 6.0, 100.0])
def test_with_different_outlays_greedy_is_within_one_contacts_profit_of_the_best_subset(
    seed: int, budget: float
) -> None:
    profit, outlay = offers(seed, [0.0, 0.4, 1.0, 1.7, 3.0])
    chosen = allocate(profit, outlay.sample(frac=1, random_state=1), budget)
    assert outlay[chosen].sum() <= budget + 1e-9
    assert (profit[chosen] > 0).all()
    gap = best_profit(profit, outlay, budget) - profit[chosen].sum()
    passed_over = profit[(profit > 0) & ~chosen]
    if passed_over.empty:
        assert gap == pytest.approx(0, abs=1e-9)
    else:
        first = (
            (passed_over / outlay[passed_over.index]).sort_index().sort_values(ascending=False, kind="stable").index[0]
        )
        assert -1e-9 <= gap < profit[first]


def test_greedy_can_miss_the_best_subset_by_nearly_one_contact() -> None:
    profit, outlay = pd.Series({"a": 1.1, "b": 9.0}), pd.Series({"a": 1.0, "b": 9.0})
    chosen = allocate(profit, outlay, 9.0)
    assert chosen.to_dict() == {"a": True, "b": False}, "the bound of the docstring is nearly reached: 7.9 of 9"


def test_what_the_rest_of_the_budget_does_not_pay_is_passed_over_for_what_it_does() -> None:
    profit = pd.Series({"a": 9.0, "b": 16.0, "c": 3.0, "d": 1.0, "e": 0.9})
    outlay = pd.Series({"a": 1.0, "b": 4.0, "c": 2.0, "d": 1.0, "e": 1.0})
    assert allocate(profit, outlay, 4.0).to_dict() == {"a": True, "b": False, "c": True, "d": True, "e": False}


def test_the_choice_does_not_depend_on_the_order_of_rows() -> None:
    profit = pd.Series(np.repeat([3.0, 1.0, 0.0, -1.0], 5), index=[f"c{k:02d}" for k in range(20)])
    outlay = pd.Series(1.0, index=profit.index)
    chosen = allocate(profit, outlay, 7.0)
    assert chosen[chosen].index.tolist() == ["c00", "c01", "c02", "c03", "c04", "c05", "c06"]
    for seed in range(5):
        shuffled = profit.sample(frac=1, random_state=seed)
        pd.testing.assert_series_equal(allocate(shuffled, outlay, 7.0).sort_index(), chosen)


def test_a_budget_pays_whole_contacts_and_decimals_count_as_written() -> None:
    profit = pd.Series(1.0, index=range(10))
    dime = pd.Series(0.1, index=range(10))
    assert allocate(profit, dime, 0.3).sum() == 3, "three times .1 is .30000000000000004 in binary"
    assert allocate(profit, dime, 0.29).sum() == 2
    assert allocate(profit, 0 * dime, 0.0).sum() == 10, "what costs nothing needs no budget"
    assert allocate(profit, dime, np.inf).sum() == 10
    assert allocate(profit[:0], dime[:0], 5.0).empty


# --- refusals


@pytest.mark.parametrize(
    "wrong",
    [{"save_rate": 1.1}, {"take_up": -0.1}, {"margin_rate": 0.0}, {"contact_cost": np.inf}, {"incentive": -1.0}],
)
def test_impossible_terms_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        replace(TERMS, **wrong)


def test_customers_without_what_the_formula_needs_are_counted_and_refused() -> None:
    scores = drawn(5)
    with pytest.raises(ValueError, match="1 of 5 customers have no churn_probability"):
        contact_profit(scores.assign(churn_probability=[0.1, np.nan, 0.2, 0.3, 0.4]), TERMS)
    with pytest.raises(ValueError, match="2 of 5 customers have no measured save_rate"):
        contact_profit(scores, TERMS, pd.Series(0.1, index=scores.index[:3]))
    with pytest.raises(ValueError, match="repeat a customer id"):
        contact_profit(pd.concat([scores, scores]), TERMS)
    profit, outlay = contact_profit(scores, TERMS), expected_outlay(scores, TERMS)
    with pytest.raises(ValueError, match="not negative"):
        allocate(profit, outlay, -1.0)
    with pytest.raises(ValueError, match="not negative"):
        allocate(profit, outlay, np.nan)
    with pytest.raises(ValueError, match="1 of 5 customers have no expected profit"):
        allocate(profit.where(profit.index != "c000"), outlay, 1.0)
    with pytest.raises(ValueError, match="2 of 5 customers have no expected profit, or no outlay"):
        allocate(profit, outlay[:3], 1.0)
    with pytest.raises(ValueError, match="5 of 5 .* outlay of at least 0"):
        allocate(profit, -outlay, 1.0)
