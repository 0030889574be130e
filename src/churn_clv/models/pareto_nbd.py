"""Pareto/NBD: dropout at any time, at the customer's own rate."""

from __future__ import annotations

from itertools import product

import numpy as np

from churn_clv.models import pareto_future
from churn_clv.models.diagnosis import diagnose_pareto
from churn_clv.models.distinct_rows import Array, DistinctRows
from churn_clv.models.fitting import Coordinates, Likelihood
from churn_clv.models.futures import Futures
from churn_clv.models.maximum_likelihood import Minimum, to_log_scale
from churn_clv.models.pareto_likelihood import ParetoLikelihood, log_dead_terms
from churn_clv.models.purchase_model import PurchaseModel

# theta = (ln r, ln r/alpha, ln s, ln s/beta): two shapes and two mean rates
JACOBIAN = np.array([[1, 0, 0, 0], [1, -1, 0, 0], [0, 0, 1, 0], [0, 0, 1, -1]], dtype=float)
WIDEST = np.log(1e7)


def _to_params(theta: Array) -> Array:
    return np.exp(JACOBIAN @ theta)


def _by_theta(theta: Array, gradient: Array, hessian: Array) -> tuple[Array, Array]:
    g, h = to_log_scale(_to_params(theta), gradient, hessian)
    return JACOBIAN.T @ g, JACOBIAN.T @ h @ JACOBIAN


def _log_jacobian(theta: Array) -> Array:
    return JACOBIAN


COORDINATES = Coordinates(
    names=("ln r", "ln r/alpha", "ln s", "ln s/beta"),
    to_params=_to_params,
    by_theta=_by_theta,
    log_jacobian=_log_jacobian,
    lower=np.full(4, -WIDEST),
    upper=np.full(4, WIDEST),
    ordinary=(np.array([np.log(0.02), -np.inf, np.log(0.02), np.log(0.01)]), np.log([20.0, np.inf, 20.0, 100.0])),
    centre=np.array([np.log(0.6), np.nan, np.log(0.6), np.nan]),
)


class ParetoNBDModel(PurchaseModel):
    """Pareto/NBD purchase model.

    While active a customer buys at rate lambda ~ Gamma(r, alpha) and leaves at rate mu ~ Gamma(s, beta), whether
    she buys or not; lambda and mu are independent.

    Parameters
    ----------
    prior
        Optional regulariser: the standard deviation of a normal prior on ln r and ln s around 0.6.

    References
    ----------
    Schmittlein, Morrison & Colombo (1987), Counting Your Customers, Management Science 33(1), 1-24;
    Fader & Hardie (2005), note 009, and Fader, Hardie & Lee (2005), JMR 42(4), eq. 6, for DERT.

    Examples
    --------
    >>> import pandas as pd
    >>> model = ParetoNBDModel.from_params(r=0.5534, alpha=10.5802, s=0.6061, beta=11.6562)
    >>> summary = pd.DataFrame({"frequency": [26], "recency": [30.857142857], "T": [31.0]}, index=["c1"])
    >>> round(float(model.expected_purchases(summary, horizon=52)["c1"]), 2)
    25.45
    """

    parameter_names = ("r", "alpha", "s", "beta")
    lifetimes_name = "ParetoNBDFitter"
    coordinates = COORDINATES
    sifting_rows = 300

    def _likelihood(self, rows: DistinctRows) -> Likelihood:
        return ParetoLikelihood(rows)

    def _starts(self, rate: float, few_customers: bool) -> tuple[Array, list[Array]]:
        grid = product((0.3, 1.5, 10.0), (0.3, 1.5, 10.0), (0.05, 0.5, 5.0))
        starts = [np.log([r, rate * (1 + drop), s, drop]) for r, s, drop in grid]
        return np.log([0.6, 1.5 * rate, 0.6, 0.6]), starts

    def _diagnose(self, end: Minimum, rows: DistinctRows) -> tuple[list[int], str | None]:
        return diagnose_pareto(end, rows)

    def _four(self) -> tuple[float, float, float, float]:
        r, alpha, s, beta = (self.params_[name] for name in self.parameter_names)
        return r, alpha, s, beta

    def _dead_log_odds(self, x: Array, t_x: Array, T: Array) -> Array:
        return log_dead_terms(x, t_x, T, np.array(self._four()))

    def shortest_scale(self) -> float:
        _, _, s, beta = self._four()
        return beta / max(s, 1.0)

    def _mean_if_alive(self, x: Array, T: Array, t: Array) -> Array:
        r, alpha, s, beta = self._four()
        return pareto_future.expected(r + x, alpha + T, s, beta + T, t)

    def _some_if_alive(self, x: Array, T: Array, t: float) -> Array:
        r, alpha, s, beta = self._four()
        return pareto_future.some(r + x, alpha + T, s, beta + T, t)

    def _pmf_if_alive(self, n: float, x: Array, T: Array, t: float) -> Array:
        r, alpha, s, beta = self._four()
        return pareto_future.pmf(n, r + x, alpha + T, s, beta + T, t)

    def _futures_if_alive(self, x: Array, T: Array, rng: np.random.Generator) -> Futures:
        r, alpha, s, beta = self._four()
        rate = rng.gamma(r + x) / (alpha + T)
        leave = rng.gamma(s, size=x.size) / (beta + T)
        with np.errstate(divide="ignore", over="ignore"):
            lifetime = rng.standard_exponential(x.size) / leave
        return Futures(rate, np.full(x.size, np.inf), lifetime)

    def _dert_if_alive(self, x: Array, T: Array, delta: float) -> Array:
        r, alpha, s, beta = self._four()
        return pareto_future.residual(r + x, alpha + T, s, beta + T, delta)
