"""Log-likelihood of the models in which a customer may leave at a purchase: BG/NBD and MBG/NBD.

A customer who had y chances to leave (y = x repeat purchases in BG/NBD; y = x + 1 in MBG/NBD, where the first
purchase is a chance too) contributes, with lambda ~ Gamma(r, alpha) and p ~ Beta(a, b),

    L = prod_{j<x} (r+j) alpha^r (alpha+T)^-(r+x)  prod_{j<y} (b+j)/(a+b+j)
        [1 + 1{y>0} a/(b+y-1) ((alpha+T)/(alpha+t_x))^(r+x)]

so only the bracket needs a pass over the rows: products over j need the histograms of x and y, and powers of
alpha + T need a table over the distinct times.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from churn_clv.models.distinct_rows import Array, Codes, DistinctRows, refuse_unfittable

BLOCK = 1 << 14


class DropoutAtPurchase:
    """The log-likelihood of a set of weighted rows as a function of (r, alpha, a, b), with derivatives."""

    def __init__(self, rows: DistinctRows, first_purchase_counts: bool) -> None:
        self.total_weight = float(rows.weight.sum())
        self.purchases = float(rows.weight @ rows.frequency)
        self._x_above = exceedances(rows.frequency, rows.weight)
        y = rows.frequency + 1 if first_purchase_counts else rows.frequency
        self._y_above = exceedances(y, rows.weight)
        self._times = rows.times
        self._n_at_age = np.bincount(rows.age_at, rows.weight, minlength=rows.times.size)
        self._x_at_age = np.bincount(rows.age_at, rows.weight * rows.frequency, minlength=rows.times.size)
        keep = slice(None) if first_purchase_counts else rows.frequency > 0
        self._x = rows.frequency[keep]
        self._y_at = y[keep].astype(np.intp)
        self._recency_at: Codes = rows.recency_at[keep]
        self._age_at: Codes = rows.age_at[keep]
        self._weight = rows.weight[keep]

    def __call__(self, params: Array) -> tuple[float, Array, Array]:
        """Return log-likelihood, gradient and Hessian by r, alpha, a, b."""
        value, gradient, hessian = self._rates(*params[:2])
        for part in (self._survived(*params[2:]), self._leaving(*params)):
            value += part[0]
            gradient += part[1]
            hessian += part[2]
        return value, gradient, hessian

    def _rates(self, r: float, alpha: float) -> tuple[float, Array, Array]:
        j = np.arange(self._x_above.size)
        log_growth, slope, bend = growth_tables(self._times, alpha)
        k = r * self._n_at_age + self._x_at_age
        X = self.purchases
        value = self._x_above @ (np.log(r + j) - np.log(alpha)) - k @ log_growth
        gradient = np.zeros(4)
        gradient[0] = self._x_above @ (1 / (r + j)) - self._n_at_age @ log_growth
        gradient[1] = -X / alpha - k @ slope
        hessian = np.zeros((4, 4))
        hessian[0, 0] = -(self._x_above @ (1 / (r + j) ** 2))
        hessian[0, 1] = hessian[1, 0] = -(self._n_at_age @ slope)
        hessian[1, 1] = X / alpha**2 - k @ bend
        return float(value), gradient, hessian

    def _survived(self, a: float, b: float) -> tuple[float, Array, Array]:
        j = np.arange(float(self._y_above.size))
        own, both = 1 / (b + j), 1 / (a + b + j)
        M = self._y_above
        value = float(M @ log_ratio(b + j, a))
        gradient = np.array([0, 0, -(M @ both), M @ (own - both)])
        hessian = np.zeros((4, 4))
        hessian[2:, 2:] = M @ both**2
        hessian[3, 3] -= M @ own**2
        return value, gradient, hessian

    def _leaving(self, r: float, alpha: float, a: float, b: float) -> tuple[float, Array, Array]:
        tables = growth_tables(self._times, alpha)
        chances = np.arange(int(self._y_at.max(initial=0)) + 1)
        # b + (y - 1), not (b + y) - 1: a tiny b must survive at y = 1; y = 0 has no chance and never gets here
        q = 1 / (b + np.maximum(chances - 1, 0))
        sums = np.zeros(18)
        for begin in range(0, self._x.size, BLOCK):
            sums += self._block(slice(begin, begin + BLOCK), r, tables, np.log(a * q), q)
        return _assemble(sums, a)

    def _block(self, at: slice, r: float, tables: tuple[Array, ...], log_aq: Array, q_table: Array) -> Array:
        L, L1, L2 = tables
        age, recency, y, k = self._age_at[at], self._recency_at[at], self._y_at[at], r + self._x[at]
        weight = self._weight[at]
        d = L[age] - L[recency]
        e = L1[age] - L1[recency]
        bend = (L2[age] - L2[recency]) * k
        q = q_table[y]
        softplus, s, variance = soft(log_aq[y] + k * d)
        ws = weight * s
        return _row_sums(weight, softplus, ws, weight * variance, d, k * e, q, e, bend)


def _row_sums(weight: Array, softplus: Array, s: Array, v: Array, d: Array, ke: Array, q: Array,
              e: Array, bend: Array) -> Array:  # fmt: skip
    vd, ve, vq, sq = v * d, v * ke, v * q, s * q
    return np.array(
        [
            _dot(weight, softplus),
            s.sum(), _dot(s, d), _dot(s, ke), sq.sum(), _dot(sq, q), _dot(s, e), _dot(s, bend),
            v.sum(), vd.sum(), ve.sum(), vq.sum(),
            _dot(vd, d), _dot(vd, ke), _dot(vd, q), _dot(ve, ke), _dot(ve, q), _dot(vq, q),
        ]
    )  # fmt: skip


def _assemble(sums: Array, a: float) -> tuple[float, Array, Array]:
    """Chain rule from the exponent w = ln a - ln(b+y-1) + (r+x) d to (r, alpha, a, b)."""
    value, s, sd, ske, sq, sqq, se, sbend, v, vd, ve, vq, vdd, vde, vdq, vee, veq, vqq = sums
    gradient = np.array([sd, ske, s / a, -sq])
    hessian = np.array(
        [
            [vdd, vde + se, vd / a, -vdq],
            [vde + se, vee + sbend, ve / a, -veq],
            [vd / a, ve / a, (v - s) / a**2, -vq / a],
            [-vdq, -veq, -vq / a, vqq + sqq],
        ]
    )
    return float(value), gradient, hessian


def _dot(left: Array, right: Array) -> float:
    # einsum, not BLAS: threaded BLAS spins on vectors this short
    return float(np.einsum("i,i->", left, right))


def exceedances(counts: Array, weight: Array) -> Array:
    """Return the weight of rows with count > j, for j = 0 .. max - 1."""
    refuse_unfittable(counts)
    histogram = np.bincount(counts.astype(np.intp), weight, minlength=1)
    return np.ascontiguousarray(histogram[::-1].cumsum()[::-1][1:])


def growth_tables(times: Array, alpha: float) -> tuple[Array, Array, Array]:
    """Return ln(1 + t/alpha) with its first and second derivative by alpha."""
    sum_ = alpha + times
    slope = -times / (alpha * sum_)
    return np.log1p(times / alpha), slope, -slope * (alpha + sum_) / (alpha * sum_)


def log_ratio(b: Array, a: float) -> Array:
    """Return ln(b / (a + b)) without loss where a is small or large."""
    share: Array = a / (a + b)
    return np.where(share < 0.5, np.log1p(-share), np.log(b / (a + b)))


def soft(w: Array) -> tuple[Array, Array, Array]:
    """Return ln(1 + e^w), its first and its second derivative, without overflow."""
    small = np.exp(-np.abs(w))
    high = 1 / (1 + small)
    low = small * high
    positive: NDArray[np.bool_] = w > 0
    softplus = np.maximum(w, 0) + np.log1p(small)
    return softplus, np.where(positive, high, low), high * low
