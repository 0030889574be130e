"""What a customer who was active at her last opportunity will do: p ~ Beta(a, b), leaving with theta ~ Beta(gamma, d).

Every quantity is a sum of positive terms over the coming opportunities, each term a ratio times the one before: no
difference of Gamma functions, and no exception at gamma = 1 as in the paper's closed forms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from churn_clv.models.bgbb_likelihood import OpportunityRows, Whole
from churn_clv.models.distinct_rows import Array
from churn_clv.models.quadrature import beta_mean


@dataclass(frozen=True)
class OpportunityFuture:
    """Posterior shapes, one row per distinct history: a = alpha + x, b = beta + n - x, d = delta + n."""

    a: Array
    b: Array
    gamma: float
    d: Array

    @classmethod
    def after(cls, rows: OpportunityRows, params: Array) -> Self:
        """Return the posterior shapes of customers active at n."""
        alpha, beta, gamma, delta = params
        return cls(alpha + rows.x, beta + (rows.n - rows.x), float(gamma), delta + rows.n)

    def still_there(self) -> Array:
        """Return P(active at the next opportunity), E(1 - theta)."""
        return self.d / (self.gamma + self.d)

    def mean(self, m: int | Whole) -> Array:
        """Return the expected transactions at the next m opportunities, E(p) sum_k E(1 - theta)^k."""
        stay, total = np.ones_like(self.d), np.zeros(np.broadcast_shapes(self.d.shape, np.shape(m)))
        for k in range(int(np.max(m, initial=0))):
            stay *= (self.d + k) / (self.gamma + self.d + k)
            total += np.where(k < m, stay, 0.0)
        return self.a / (self.a + self.b) * total

    def some(self, m: int) -> Array:
        """Return P(at least one transaction): the first one comes at opportunity k + 1, before she leaves."""
        total = np.zeros_like(self.d)
        first = self.a / (self.a + self.b) * self.still_there()
        for k in range(m):
            total += first
            first = first * (self.b + k) / (self.a + self.b + k + 1)
            first = first * (self.d + k + 1) / (self.gamma + self.d + k + 1)
        return np.minimum(total, 1.0)

    def pmf(self, y: int, m: int) -> Array:
        """Return P(y transactions at m opportunities): all y while she stays for i of them, i = y .. m."""
        if y > m:
            return np.zeros_like(self.d)
        k = np.arange(y)
        # ln P(y transactions at the first y opportunities, all of them hers); ln, as it may be too small for a float
        ratios = (self.a[:, None] + k) / ((self.a + self.b)[:, None] + k)
        ratios = ratios * (self.d[:, None] + k) / (self.gamma + self.d[:, None] + k)
        log_stay = np.log(ratios).sum(axis=1)
        total = np.zeros_like(self.d)
        for i in range(y, m):
            total += np.exp(log_stay) * self.gamma / (self.gamma + self.d + i)
            log_stay += np.log((i + 1) / (i + 1 - y) * (self.b + (i - y)) / (self.a + self.b + i))
            log_stay += np.log((self.d + i) / (self.gamma + self.d + i))
        return total + np.exp(log_stay)

    def residual(self, rate: float) -> Array:
        """Return E(p) E[(1 - theta) / (rate + theta)], the sum over k of ((1 - theta) / (1 + rate))^k."""
        zero = np.zeros_like(self.d)
        steepness = np.full_like(self.d, (1 + rate) / rate)
        periods = beta_mean(
            lambda theta: (1 - theta) / (rate + theta), self.gamma, self.d, zero + 1 / rate, zero, steepness
        )
        return self.a / (self.a + self.b) * periods

    def draw(self, place: Whole, rng: np.random.Generator) -> tuple[Array, Array]:
        """Draw, for customers at these places, p and the number of opportunities before leaving."""
        p = rng.beta(self.a[place], self.b[place])
        leave = rng.beta(self.gamma, self.d[place])
        with np.errstate(divide="ignore"):
            # capped far beyond any horizon, so that a leave of 0 gives a whole number too
            stays = np.minimum(np.floor(np.log(rng.random(place.size)) / np.log1p(-leave)), 1e15)
        return p, stays
