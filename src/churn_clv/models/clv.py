"""Customer lifetime value from a purchase model and a spend model."""

from __future__ import annotations

import numpy as np
import pandas as pd

from churn_clv.models.distinct_rows import Array
from churn_clv.models.gamma_gamma import GammaGammaModel
from churn_clv.models.prediction_intervals import clv_intervals
from churn_clv.models.purchase_model import PurchaseModel, check_horizon, continuous_rate
from churn_clv.models.quadrature import gauss_legendre

__all__ = ["clv_intervals", "discounted_clv", "residual_clv", "value_if_active"]

NODES = 24  # enough for 1e-12 where the horizon is at most e^4 times the model's shortest scale
NODES_PER_E_FOLD = 6
GONE = 45.0  # e^-45 of a value is below rounding


def discounted_clv(
    purchase_model: PurchaseModel,
    spend_model: GammaGammaModel,
    summary: pd.DataFrame,
    *,
    horizon: float,
    annual_discount_rate: float,
    periods_per_year: float,
    steps: int | None = None,
) -> pd.Series:
    """Return each customer's expected discounted spend in (T, T + horizon].

    Parameters
    ----------
    horizon
        In the summary's time unit.
    annual_discount_rate, periods_per_year
        The yearly rate, and how many summary time units a year has (365.25 for days, 52.18 for weeks).
    steps
        None discounts every purchase at its own time. A whole number cuts the horizon into that many equal
        steps and discounts at the end of each, as monthly tables do.

    Returns
    -------
    A series named ``clv``, indexed like the summary, in the currency of the spend model.

    References
    ----------
    Fader, Hardie & Lee (2005), RFM and CLV, Journal of Marketing Research 42(4), 415-430.
    """
    purchases = discounted_purchases(
        purchase_model,
        summary,
        horizon=horizon,
        annual_discount_rate=annual_discount_rate,
        periods_per_year=periods_per_year,
        steps=steps,
    )
    return (purchases * spend_model.expected_spend(summary)).rename("clv")


def discounted_purchases(
    purchase_model: PurchaseModel,
    summary: pd.DataFrame,
    *,
    horizon: float,
    annual_discount_rate: float,
    periods_per_year: float,
    steps: int | None = None,
) -> pd.Series:
    """Return each customer's expected purchases in (T, T + horizon], each discounted to T.

    The parameters are those of `discounted_clv`, which this is for customers who spend 1 a purchase.
    """
    check_horizon(horizon)
    delta = continuous_rate(annual_discount_rate, periods_per_year)
    times, factors = (
        discount_nodes(horizon, delta, purchase_model.shortest_scale())
        if steps is None
        else _stepwise(horizon, delta, steps)
    )
    purchases = purchase_model.weighted_expected_purchases(summary, times, factors)
    return purchases.rename("discounted_purchases")


def residual_clv(
    purchase_model: PurchaseModel,
    spend_model: GammaGammaModel,
    summary: pd.DataFrame,
    *,
    annual_discount_rate: float,
    periods_per_year: float,
) -> pd.Series:
    """Return each customer's expected discounted spend over an endless horizon (DERT times expected spend)."""
    purchases = purchase_model.discounted_expected_residual_purchases(summary, annual_discount_rate, periods_per_year)
    return (purchases * spend_model.expected_spend(summary)).rename("residual_clv")


def value_if_active(
    purchase_model: PurchaseModel, spend_model: GammaGammaModel, summary: pd.DataFrame, *, horizon: float
) -> pd.Series:
    """Return each customer's expected spend in the horizon given at least one purchase in it.

    It is V_res / (1 - R) with V_res the expected spend and R the probability of no purchase. Being alive cancels,
    so it stays finite where the probability of a purchase goes to 0.
    """
    check_horizon(horizon)
    if horizon == 0:
        raise ValueError("value_if_active needs a horizon above 0: nobody buys in no time")
    purchases = purchase_model.purchases_if_active(summary, horizon)
    return (purchases * spend_model.expected_spend(summary)).rename("value_if_active")


def _stepwise(horizon: float, delta: float, steps: int) -> tuple[Array, Array]:
    """Return ends of steps and factors such that sum f_k E(t_k) discounts each step's purchases at its end."""
    if not (steps >= 1 and steps == int(steps)):
        raise ValueError(f"steps must be a whole number of at least 1, got {steps!r}")
    ends = horizon * np.arange(1, steps + 1) / steps
    discount = np.exp(-delta * ends)
    return ends, discount - np.append(discount[1:], 0.0)


def discount_nodes(horizon: float, delta: float, scale: float) -> tuple[Array, Array]:
    """Return nodes and factors of int exp(-delta t) dE(t) = exp(-delta H) E(H) + delta int exp(-delta t) E(t) dt.

    Nodes lie evenly (in Gauss and Legendre's sense) on ln(1 + t/scale), where the expectation is smooth however
    long the horizon; times so late that the discount leaves nothing of them are left out.
    """
    if delta == 0:
        return np.array([horizon]), np.ones(1)
    last = min(horizon, GONE / delta)
    length = np.log1p(last / scale)
    nodes, weights = gauss_legendre(max(NODES, int(np.ceil(NODES_PER_E_FOLD * length))))
    v = length * (nodes + 1) / 2
    t = np.minimum(scale * np.expm1(v), last)
    inner = delta * np.exp(-delta * t) * (t + scale) * weights * length / 2
    return np.append(t, last), np.append(inner, np.exp(-delta * last))
