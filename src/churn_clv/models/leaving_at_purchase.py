"""The part that BG/NBD and MBG/NBD share: a customer may leave at a purchase, with her own probability p."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from churn_clv.models import starts
from churn_clv.models.conditional_expectation import expected_while_alive
from churn_clv.models.diagnosis import diagnose_leaving_at_purchase
from churn_clv.models.distinct_rows import Array, DistinctRows
from churn_clv.models.dropout_at_purchase import DropoutAtPurchase
from churn_clv.models.fitting import Coordinates, Likelihood
from churn_clv.models.futures import Futures
from churn_clv.models.maximum_likelihood import Minimum
from churn_clv.models.purchase_model import PurchaseModel
from churn_clv.models.residual import residual_leaving_at_purchase
from churn_clv.models.special import log_rising

COORDINATES = Coordinates(
    names=("ln r", "ln r/alpha", "logit a/(a+b)", "ln (a+b)"),
    to_params=starts.to_params,
    by_theta=starts.by_theta,
    log_jacobian=starts.log_jacobian,
    lower=starts.LOWER,
    upper=starts.UPPER,
    # beyond these the likelihood often has more than one maximum: r, mean dropout .05 to .9, a + b
    ordinary=(np.array([np.log(0.03), -np.inf, np.log(0.05), np.log(0.5)]), np.log([10.0, np.inf, 9.0, 30.0])),
    centre=np.array([np.log(0.6), np.nan, np.log(0.25), np.log(3.0)]),
)


class LeavingAtPurchase(PurchaseModel):
    """lambda ~ Gamma(r, alpha); after each chance the customer leaves with p ~ Beta(a, b)."""

    parameter_names = ("r", "alpha", "a", "b")
    coordinates = COORDINATES
    first_purchase_counts: ClassVar[bool]

    def _likelihood(self, rows: DistinctRows) -> Likelihood:
        return DropoutAtPurchase(rows, self.first_purchase_counts)

    def _starts(self, rate: float, few_customers: bool) -> tuple[Array, list[Array]]:
        return starts.first_start(rate), starts.grid_of_starts(rate, few_customers)

    def _diagnose(self, end: Minimum, rows: DistinctRows) -> tuple[list[int], str | None]:
        return diagnose_leaving_at_purchase(end, rows)

    def _four(self) -> tuple[float, float, float, float]:
        r, alpha, a, b = (self.params_[name] for name in self.parameter_names)
        return r, alpha, a, b

    def _survived(self, x: Array) -> Array:
        """Return the second shape of p given x: b plus the chances to leave that were not taken."""
        return self.params_["b"] + x + (1.0 if self.first_purchase_counts else 0.0)

    def _dead_log_odds(self, x: Array, t_x: Array, T: Array) -> Array:
        r, alpha, a, b = self._four()
        before_last = b + x if self.first_purchase_counts else np.where(x > 0, b + (x - 1), np.inf)
        with np.errstate(divide="ignore"):
            # ln a/(b+y-1) + (r+x) ln (alpha+T)/(alpha+t_x), -inf without a chance to leave
            return np.log(a / before_last) + (r + x) * np.log1p((T - t_x) / (alpha + t_x))

    def shortest_scale(self) -> float:
        r, alpha, a, b = self._four()
        # (1 + p t/A)^-k bends at t = A / (k p), A >= alpha, and k p is near k a / (a + c): highest for x = 0 or many
        return alpha * min(1.0, 1 / a, (a + b) / (a * (r + 1)))

    def _mean_if_alive(self, x: Array, T: Array, t: Array) -> Array:
        r, alpha, a, _ = self._four()
        return expected_while_alive(a, self._survived(x), r + x, alpha + T, t)

    def _some_if_alive(self, x: Array, T: Array, t: float) -> Array:
        # nobody alive leaves before her next purchase, so only the rate decides
        r, alpha, _, _ = self._four()
        return -np.expm1(-(r + x) * np.log1p(t / (alpha + T)))

    def _pmf_if_alive(self, n: float, x: Array, T: Array, t: float) -> Array:
        """Fader, Hardie & Lee (2005) eq. 8 with the posterior shapes in place of r, alpha, b."""
        from scipy.special import betainc, gammaln, xlogy

        r, alpha, a, _ = self._four()
        k, A, c = r + x, alpha + T, self._survived(x)
        growth = np.log1p(t / A)
        stayed = np.exp(log_rising(c, n) - log_rising(a + c, n))
        still = np.exp(log_rising(k, n) - gammaln(n + 1) - k * growth + xlogy(n, t / (A + t)))
        if n == 0:
            return still
        return stayed * (still + a / (c + (n - 1)) * betainc(n, k, t / (A + t)))

    def _futures_if_alive(self, x: Array, T: Array, rng: np.random.Generator) -> Futures:
        r, alpha, a, _ = self._four()
        rate = rng.gamma(r + x) / (alpha + T)
        leave = rng.beta(a, self._survived(x))
        with np.errstate(divide="ignore", over="ignore"):
            # purchases up to and with the one after which she leaves: geometric, endless where leave is 0
            limit = np.floor(np.log(rng.random(x.size)) / np.log1p(-leave)) + 1
        return Futures(rate, limit, np.full(x.size, np.inf))

    def _dert_if_alive(self, x: Array, T: Array, delta: float) -> Array:
        r, alpha, a, _ = self._four()
        return residual_leaving_at_purchase(a, self._survived(x), r + x, alpha + T, delta)
