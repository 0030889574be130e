"""Log-likelihood of Pareto/NBD by quadrature, with gradient and Hessian.

A customer is alive at T, or left at a time y after her last purchase (Schmittlein, Morrison & Colombo 1987):

    L = prod_{j<x} (r+j) alpha^r (alpha+T)^-(r+x) [ (beta/(beta+T))^s + B ],
    B = int_{t_x}^{T} ((alpha+T)/(alpha+y))^(r+x) (beta/(beta+y))^s s/(beta+y) dy

The published form of B is a difference of two 2F1, which cancels and overflows. The integrand itself is smooth and
positive, so Gauss-Legendre on a logarithmic scale is exact to rounding; its derivatives by the parameters are the
same integral with simple factors.
"""

from __future__ import annotations

import numpy as np

from churn_clv.models.distinct_rows import Array, DistinctRows
from churn_clv.models.dropout_at_purchase import exceedances, growth_tables
from churn_clv.models.quadrature import gauss_legendre

NODES = 64
DEPTH = 44.0  # beyond e^-44 of its start the integrand is below rounding
BLOCK = 1 << 11


class ParetoLikelihood:
    """The log-likelihood of a set of weighted rows as a function of (r, alpha, s, beta), with derivatives."""

    def __init__(self, rows: DistinctRows) -> None:
        self._x_above = exceedances(rows.frequency, rows.weight)
        self._times = rows.times
        self._n_at_age = np.bincount(rows.age_at, rows.weight, minlength=rows.times.size)
        self._x_at_age = np.bincount(rows.age_at, rows.weight * rows.frequency, minlength=rows.times.size)
        self._x = rows.frequency
        self._recency, self._age = rows.times[rows.recency_at], rows.times[rows.age_at]
        self._weight = rows.weight
        self._purchases = float(rows.weight @ rows.frequency)

    def __call__(self, params: Array) -> tuple[float, Array, Array]:
        """Return log-likelihood, gradient and Hessian by r, alpha, s, beta."""
        value, gradient, hessian = self._rates(params)
        for begin in range(0, self._x.size, BLOCK):
            part = self._block(slice(begin, begin + BLOCK), params)
            value += part[0]
            gradient += part[1]
            hessian += part[2]
        return value, gradient, hessian

    def _rates(self, params: Array) -> tuple[float, Array, Array]:
        """Everything but the logarithm of the bracket."""
        r, alpha = params[:2]
        j = np.arange(self._x_above.size)
        growth, slope, bend = growth_tables(self._times, alpha)
        k = r * self._n_at_age + self._x_at_age
        value = self._x_above @ (np.log(r + j) - np.log(alpha)) - k @ growth
        gradient, hessian = np.zeros(4), np.zeros((4, 4))
        gradient[0] = self._x_above @ (1 / (r + j)) - self._n_at_age @ growth
        gradient[1] = -self._purchases / alpha - k @ slope
        hessian[0, 0] = -(self._x_above @ (1 / (r + j) ** 2))
        hessian[0, 1] = hessian[1, 0] = -(self._n_at_age @ slope)
        hessian[1, 1] = self._purchases / alpha**2 - k @ bend
        return float(value), gradient, hessian

    def _block(self, at: slice, params: Array) -> tuple[float, Array, Array]:
        """Log of a sum of positive terms (alive at T, and one for each quadrature node)."""
        x, T = self._x[at], self._age[at]
        y, log_weight = dropout_nodes(x, self._recency[at], T, params)
        log_term, first, second = _log_terms(x, T, y, log_weight, params)
        peak = log_term.max(axis=1, keepdims=True)
        share = np.exp(log_term - peak)
        total = share.sum(axis=1)
        share /= total[:, None]
        weight = self._weight[at]
        value = weight @ (peak[:, 0] + np.log(total))
        mean = np.einsum("nk,ink->in", share, first)
        weighted = share * weight[:, None]
        hessian = -np.einsum("in,jn,n->ij", mean, mean, weight)
        for i in range(4):
            for j in range(i, 4):
                cross = np.einsum("nk,nk,nk->", weighted, first[i], first[j])
                hessian[i, j] += cross
                if i != j:
                    hessian[j, i] += cross
        for (i, j), bend in second.items():
            extra = np.einsum("nk,nk->", weighted, np.broadcast_to(bend, weighted.shape))
            hessian[i, j] += extra
            if i != j:
                hessian[j, i] += extra
        return float(value), mean @ weight, hessian


def dropout_nodes(x: Array, t_x: Array, T: Array, params: Array) -> tuple[Array, Array]:
    """Return times y between t_x and T, one row per customer, and the logarithms of their quadrature weights.

    With m = min(alpha, beta) the nodes lie evenly on the scale ln(y + m); the range ends where the integrand has
    fallen by e^-DEPTH.
    """
    r, alpha, s, beta = params
    m = min(alpha, beta)
    node, weight = gauss_legendre(NODES)
    span = np.log1p((T - t_x) / (m + t_x))
    # the logarithm of the integrand times dy/dv falls at least this fast in v
    fall = (r + x) * (m + t_x) / (alpha + t_x) + (s + 1) * (m + t_x) / (beta + t_x) - 1
    span = np.where(fall > 0, np.minimum(span, DEPTH / np.maximum(fall, 1e-300)), span)
    v = span[:, None] * (node + 1) / 2
    y = np.minimum(t_x[:, None] + (m + t_x)[:, None] * np.expm1(v), T[:, None])
    with np.errstate(divide="ignore"):
        log_weight = np.log(weight / 2) + np.log(span)[:, None] + np.log(y + m)
    return y, log_weight


def _log_terms(
    x: Array, T: Array, y: Array, log_weight: Array, params: Array
) -> tuple[Array, Array, dict[tuple[int, int], Array]]:
    """Return the logarithms of the terms of the bracket, their gradients and their non-zero second derivatives.

    Column 0 is the term of a customer alive at T, the others are the quadrature nodes.
    """
    r, alpha, s, beta = params
    at = np.concatenate([T[:, None], y], axis=1)
    left = np.ones(at.shape[1])
    left[0] = 0.0
    k = (r + x)[:, None]
    growth, slope, bend = growth_tables(at, alpha)
    top, top_slope, top_bend = growth_tables(T[:, None], alpha)
    fade, fade_slope, fade_bend = growth_tables(at, beta)
    d, d1, d2 = top - growth, top_slope - slope, top_bend - bend
    log_term = k * d - s * fade + left * (np.log(s) - np.log(beta + at))
    log_term[:, 1:] += log_weight
    first = np.stack([d, k * d1, -fade + left / s, -s * fade_slope - left / (beta + at)])
    second = {
        (0, 1): d1,
        (1, 1): k * d2,
        (2, 2): -left / s**2,
        (2, 3): -fade_slope,
        (3, 3): -s * fade_bend + left / (beta + at) ** 2,
    }
    return log_term, first, second


def log_dead_terms(x: Array, t_x: Array, T: Array, params: Array) -> Array:
    """Return ln of P(left before T) over P(alive at T), given the history."""
    result = np.empty_like(T)
    for begin in range(0, x.size, BLOCK):
        at = slice(begin, begin + BLOCK)
        y, log_weight = dropout_nodes(x[at], t_x[at], T[at], params)
        terms = _log_terms(x[at], T[at], y, log_weight, params)[0]
        peak = terms[:, 1:].max(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            total = np.log(np.exp(terms[:, 1:] - peak[:, None]).sum(axis=1)) + peak - terms[:, 0]
        result[at] = np.where(np.isfinite(peak), total, -np.inf)
    return result
