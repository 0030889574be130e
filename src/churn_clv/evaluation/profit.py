"""What a retention campaign guided by a churn ranking would earn: the expected maximum profit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from churn_clv.evaluation.weighted import Metric, tied_groups


@dataclass(frozen=True)
class RetentionCosts:
    """What a campaign costs and saves, in the log's currency a customer.

    The save rate, the share of contacted leavers who take the offer and stay, is not known before the campaign: it is
    Beta distributed with mean ``save_rate_alpha / (save_rate_alpha + save_rate_beta)``, by default .3. The defaults are
    those of the paper, which has telephone customers in mind: give those of the business.

    Parameters
    ----------
    customer_value
        What a customer who was kept brings, before the incentive.
    incentive
        What the offer costs for each who takes it: every contacted stayer, and the leavers who are saved.
    contact_cost
        What each contact costs.
    save_rate_alpha, save_rate_beta
        Parameters of the save rate's Beta distribution.

    Raises
    ------
    ValueError
        If a cost is negative, the incentive is not below the customer value, or a Beta parameter is not positive.

    References
    ----------
    Verbraken, Verbeke & Baesens (2013), A Novel Profit Maximizing Metric for Measuring Classification Performance of
    Customer Churn Prediction Models, IEEE Transactions on Knowledge and Data Engineering 25(5), 961-973.
    """

    customer_value: float = 200.0
    incentive: float = 10.0
    contact_cost: float = 1.0
    save_rate_alpha: float = 6.0
    save_rate_beta: float = 14.0

    def __post_init__(self) -> None:
        numbers = (self.customer_value, self.incentive, self.contact_cost, self.save_rate_alpha, self.save_rate_beta)
        if not np.isfinite(numbers).all() or self.incentive < 0 or self.contact_cost < 0:
            raise ValueError(f"{self}: costs must be finite and not negative")
        if self.incentive >= self.customer_value:
            raise ValueError(f"{self}: incentive must be below customer_value, or no customer is worth keeping")
        if self.save_rate_alpha <= 0 or self.save_rate_beta <= 0:
            raise ValueError(f"{self}: save_rate_alpha and save_rate_beta must be above 0")


def expected_maximum_profit(costs: RetentionCosts) -> Metric:
    """Return the metric of a campaign's profit, in the log's currency a customer, averaged over the save rate.

    For each save rate the campaign contacts the riskiest customers down to the threshold that pays best on the judged
    customers, and nobody where nothing pays. Only the order of the risks matters, not their level.

    At a save rate g, contacting customers of whom a share r leaves earns ``g r (V - d) - f - d (1 - r)`` a head (V
    customer value, d incentive, f contact cost). The best threshold is where this turns negative along the convex hull
    of the ROC curve. The hull's segments are the blocks of the isotonic regression of churn on risk, so the mean over
    g is a sum over blocks of incomplete Beta functions.

    References
    ----------
    Verbraken, Verbeke & Baesens (2013), IEEE Transactions on Knowledge and Data Engineering 25(5), 961-973: the average
    profit of a retention campaign and its expected maximum.

    Examples
    --------
    >>> metric = expected_maximum_profit(RetentionCosts(incentive=0, contact_cost=0))
    >>> round(metric(np.array([1, 0]), np.array([0.9, 0.1]))(np.ones(2)), 9)  # half of the customers x 200 x .3
    30.0
    """
    return lambda churned, risk: _campaign(churned, risk, costs).profit


def contacted_share(costs: RetentionCosts) -> Metric:
    """Return the metric of the share of customers whom the most profitable campaign contacts, averaged likewise."""
    return lambda churned, risk: _campaign(churned, risk, costs).contacted


@dataclass(frozen=True)
class _Campaign:
    costs: RetentionCosts
    order: np.ndarray
    starts: np.ndarray
    churned: np.ndarray

    def profit(self, weights: np.ndarray) -> float:
        people, rates = self._blocks(weights)
        chance, saved = _paying(rates, self.costs)
        gained = rates * (self.costs.customer_value - self.costs.incentive) * saved - _spent(rates, self.costs) * chance
        return float((people * gained).sum() / people.sum())

    def contacted(self, weights: np.ndarray) -> float:
        people, rates = self._blocks(weights)
        return float((people * _paying(rates, self.costs)[0]).sum() / people.sum())

    def _blocks(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """People and churn rate of the segments of the ROC curve's convex hull."""
        from scipy.optimize import isotonic_regression

        w = weights[self.order]
        people, churners = np.add.reduceat(w, self.starts), np.add.reduceat(w * self.churned, self.starts)
        drawn = np.flatnonzero(people)
        people, churners = people[drawn], churners[drawn]
        edges = isotonic_regression(churners / people, weights=people, increasing=False).blocks[:-1]
        people = np.add.reduceat(people, edges)
        return people, np.add.reduceat(churners, edges) / people


def _campaign(churned: np.ndarray, risk: np.ndarray, costs: RetentionCosts) -> _Campaign:
    order, starts = tied_groups(-risk)
    return _Campaign(costs, order, starts, churned[order].astype(float))


def _spent(rates: np.ndarray, costs: RetentionCosts) -> np.ndarray:
    """What contacting a customer costs before any is saved: stayers take the incentive too."""
    return costs.contact_cost + costs.incentive * (1 - rates)


def _paying(rates: np.ndarray, costs: RetentionCosts) -> tuple[np.ndarray, np.ndarray]:
    """Probability that the save rate makes a contact pay, and the save rate's mean over just those cases."""
    from scipy.special import betaincc

    a, b = costs.save_rate_alpha, costs.save_rate_beta
    gain = rates * (costs.customer_value - costs.incentive)
    with np.errstate(divide="ignore", invalid="ignore"):
        least = np.where(gain > 0, np.minimum(_spent(rates, costs) / gain, 1), 1.0)
    return betaincc(a, b, least), a / (a + b) * betaincc(a + 1, b, least)
