"""Expected maximum profit: every threshold and save rate tried one by one, and campaigns whose profit is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import beta

from churn_clv.evaluation.bootstrap import bootstrap_weights
from churn_clv.evaluation.profit import RetentionCosts, contacted_share, expected_maximum_profit

N = 80
RNG = np.random.default_rng(6)
RISK = RNG.random(N)
CHURNED = (RNG.random(N) < RISK**2).astype(float)
ONES = np.ones(N)
TIGHT = RetentionCosts(customer_value=30, incentive=6, contact_cost=2, save_rate_alpha=2, save_rate_beta=5)
ALL_COSTS = {"the paper's": RetentionCosts(), "tight": TIGHT, "uniform": RetentionCosts(60, 5, 3, 1, 1)}

cases = pytest.mark.parametrize("costs", ALL_COSTS.values(), ids=ALL_COSTS)


def tried(
    churned: np.ndarray, risk: np.ndarray, weights: np.ndarray, costs: RetentionCosts, rates: int = 20_000
) -> tuple[float, float]:
    """Profit and share contacted, by trying every threshold (and nobody) at the middles of equally likely save rates."""
    saves = beta.ppf((np.arange(rates) + 0.5) / rates, costs.save_rate_alpha, costs.save_rate_beta)
    best, share = np.zeros(rates), np.zeros(rates)
    for threshold in np.unique(risk):
        contacted = weights * (risk >= threshold) / weights.sum()
        leavers, stayers = (contacted * churned).sum(), (contacted * (1 - churned)).sum()
        saved = saves * (costs.customer_value - costs.incentive) - costs.contact_cost
        profit = leavers * saved - stayers * (costs.incentive + costs.contact_cost)
        share, best = np.where(profit > best, contacted.sum(), share), np.maximum(profit, best)
    return float(best.mean()), float(share.mean())


@cases
@pytest.mark.parametrize("risk", [RISK, RISK.round(1), 1 - RISK], ids=["distinct", "tied", "reversed"])
@pytest.mark.parametrize("weights", [ONES, bootstrap_weights(N, 1, seed=3)[0]], ids=["ones", "bootstrap"])
def test_profit_and_contacts_equal_those_of_trying_everything(
    weights: np.ndarray, risk: np.ndarray, costs: RetentionCosts
) -> None:
    profit, share = tried(CHURNED, risk, weights, costs)
    # 20,000 save rates: the profit is smooth in them, the share jumps at each threshold by up to all customers.
    assert expected_maximum_profit(costs)(CHURNED, risk)(weights) == pytest.approx(profit, rel=1e-4, abs=1e-5)
    assert contacted_share(costs)(CHURNED, risk)(weights) == pytest.approx(share, abs=5e-4)


def mean_over_save_rates(each: object, costs: RetentionCosts) -> float:
    density = beta(costs.save_rate_alpha, costs.save_rate_beta).pdf
    return float(quad(lambda g: max(each(g), 0) * density(g), 0, 1, epsabs=1e-12, limit=200)[0])  # type: ignore[operator]


@cases
def test_a_ranking_that_knows_nothing_contacts_everyone_or_nobody(costs: RetentionCosts) -> None:
    rate = CHURNED.mean()

    def everyone(g: float) -> float:
        saved = g * (costs.customer_value - costs.incentive)
        return float(rate * saved - costs.contact_cost - (1 - rate) * costs.incentive)

    found = expected_maximum_profit(costs)(CHURNED, np.full(N, 0.4))(ONES)
    assert found == pytest.approx(mean_over_save_rates(everyone, costs), rel=1e-6, abs=1e-9)


@cases
def test_a_perfect_ranking_contacts_leavers_only(costs: RetentionCosts) -> None:
    def leavers(g: float) -> float:
        return float(CHURNED.mean() * (g * (costs.customer_value - costs.incentive) - costs.contact_cost))

    found = expected_maximum_profit(costs)(CHURNED, CHURNED)(ONES)
    assert found == pytest.approx(mean_over_save_rates(leavers, costs), rel=1e-6)
    assert contacted_share(costs)(CHURNED, CHURNED)(ONES) <= CHURNED.mean() + 1e-12


def test_where_contact_is_free_everyone_is_contacted_and_the_ranking_is_worth_nothing() -> None:
    free = RetentionCosts(customer_value=50, incentive=0, contact_cost=0)
    for risk in (RISK, 1 - RISK, CHURNED):
        # 50 for each leaver who is saved, at a mean save rate of 6 / 20
        assert expected_maximum_profit(free)(CHURNED, risk)(ONES) == pytest.approx(50 * 0.3 * CHURNED.mean())
    assert contacted_share(free)(CHURNED, RISK.round(1))(ONES) == pytest.approx(1 - unprofitable_end(RISK.round(1)))


def unprofitable_end(risk: np.ndarray) -> float:
    """Share of customers at the end of the list after the last leaver: free to contact, and nothing to gain."""
    return float((risk < risk[CHURNED == 1].min()).mean())


@cases
def test_only_the_order_of_risks_matters(costs: RetentionCosts) -> None:
    metric = expected_maximum_profit(costs)
    for same in (RISK**5, np.exp(9 * RISK), RISK / 1000):
        assert metric(CHURNED, same)(ONES) == pytest.approx(metric(CHURNED, RISK)(ONES), rel=1e-12)


@cases
def test_no_ranking_earns_more_than_the_perfect_or_less_than_none(costs: RetentionCosts) -> None:
    metric, rng = expected_maximum_profit(costs), np.random.default_rng(2)
    least, most = metric(CHURNED, np.ones(N))(ONES), metric(CHURNED, CHURNED)(ONES)
    for _ in range(50):
        assert least - 1e-12 <= metric(CHURNED, rng.random(N).round(2))(ONES) <= most + 1e-12


def test_where_nobody_leaves_nobody_is_contacted() -> None:
    assert expected_maximum_profit(TIGHT)(np.zeros(N), RISK)(ONES) == 0
    assert contacted_share(TIGHT)(np.zeros(N), RISK)(ONES) == 0


def test_profit_scales_with_the_currency() -> None:
    cents = RetentionCosts(3000, 600, 200, 2, 5)
    one, hundred = (expected_maximum_profit(c)(CHURNED, RISK)(ONES) for c in (TIGHT, cents))
    assert hundred == pytest.approx(100 * one, rel=1e-12)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"contact_cost": -1.0}, "not negative"),
        ({"incentive": float("nan")}, "finite"),
        ({"incentive": 200.0}, "below customer_value"),
        ({"save_rate_beta": 0.0}, "above 0"),
    ],
)
def test_costs_that_cannot_be_are_refused(wrong: dict[str, float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        RetentionCosts(**wrong)
