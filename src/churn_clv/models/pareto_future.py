"""What a living Pareto/NBD customer will do: lambda ~ Gamma(k, A), dropout rate mu ~ Gamma(s, B)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from churn_clv.models.distinct_rows import Array
from churn_clv.models.quadrature import gauss_legendre
from churn_clv.models.special import log_rising

NODES = 256
DEPTH = 44.0


def expected(k: Array, A: Array, s: float, B: Array, t: Array) -> Array:
    """Return k/A times the expected time alive in t, (1 - ((B+t)/B)^(1-s)) B / (s - 1), also at s = 1."""
    growth = np.log1p(t / B)
    spent = growth if s == 1 else -np.expm1(-(s - 1) * growth) / (s - 1)
    return k / A * np.minimum(B * spent, t)


def some(k: Array, A: Array, s: float, B: Array, t: float) -> Array:
    """Return P(at least one purchase): the first one comes at y, before dropout.

    int_0^t (B/(B+y))^s k A^k / (A+y)^(k+1) dy, on the scale ln y.
    """
    if t == 0:
        return np.zeros_like(k)
    y, log_y, log_weight = _times(0.0, A, k + 1, B, s, t)
    log_f = np.log(k / A)[:, None] + log_y - (k[:, None] + 1) * np.log1p(y / A[:, None])
    log_f -= s * np.log1p(y / B[:, None])
    return np.minimum(np.exp(log_f + log_weight).sum(axis=1), 1.0)


def pmf(n: float, k: Array, A: Array, s: float, B: Array, t: float) -> Array:
    """Return P(n purchases): alive through t, or left at y after n purchases."""
    if t == 0:
        return np.full_like(k, n == 0)
    through = np.exp(_log_count(n, k, A, t) - s * np.log1p(t / B))
    y, log_y, log_weight = _times(n, A, k + n, B, s + 1, t)
    log_f = _log_count(n, k[:, None], A[:, None], y) + np.log(s) + log_y
    log_f -= (s + 1) * np.log1p(y / B[:, None]) + np.log(B)[:, None]
    return through + np.exp(log_f + log_weight).sum(axis=1)


def residual(k: Array, A: Array, s: float, B: Array, delta: float) -> Array:
    """Return k/A int_0^inf exp(-delta t) (B/(B+t))^s dt by the trapezoidal rule in ln t."""
    high = np.log(DEPTH / delta)
    low = np.minimum(-np.log(delta), np.log(B / s)) - DEPTH
    spacing = (high - low) / (NODES - 1)
    t = np.exp(low[:, None] + spacing[:, None] * np.arange(NODES))
    return k / A * spacing * (t * np.exp(-delta * t - s * np.log1p(t / B[:, None]))).sum(axis=1)


def _log_count(n: float, k: Array, A: Array, t: Array | float) -> Array:
    """Return ln of the negative binomial probability of n purchases in t."""
    from scipy.special import gammaln

    return log_rising(k, n) - gammaln(n + 1) - k * np.log1p(t / A) + n * np.log(t / (A + t))


def _times(n: float, A: Array, k: Array, B: Array, s: float, t: float) -> tuple[Array, Array, Array]:
    """Return times y in (0, t], their logarithms and log weights, for integrands y^n (A+y)^-k (B+y)^-s dy.

    On the scale u = ln y that is concave in logarithms: the nodes span what lies within e^-DEPTH of its peak.
    """

    def log_integrand(u: Array) -> Array:
        y = np.exp(u)
        return (n + 1) * u - k * np.log1p(y / A) - s * np.log1p(y / B)

    node, weight = gauss_legendre(NODES)
    peak = np.minimum(np.log(_peak_time(n + 1, A, k, B, s)), np.log(t))
    top = log_integrand(peak)
    # from y = (n+1)/4 min(A/k, B/s) downwards the logarithm falls by at least (n+1)/2 per unit of u
    steep = np.log((n + 1) / 4 * np.minimum(A / k, B / s))
    left = _reach(lambda d: top - log_integrand(peak - d), np.maximum(peak - steep, 0.0) + 2 * DEPTH / (n + 1))
    right = _reach(lambda d: top - log_integrand(peak + d), np.log(t) - peak)
    half = (left + right)[:, None] / 2
    log_y = (peak - left)[:, None] + half * (node + 1)
    return np.exp(log_y), log_y, np.log(half * weight)


def _peak_time(n: float, A: Array, k: Array, B: Array, s: float) -> Array:
    """Return the y > 0 where n = k y/(A+y) + s y/(B+y), for k + s > n."""
    square, linear, constant = k + s - n, n * (A + B) - k * B - s * A, n * A * B
    root = np.sqrt(linear**2 + 4 * square * constant)
    return np.where(linear > 0, (linear + root) / (2 * square), 2 * constant / (root - np.minimum(linear, 0)))


def _reach(drop: Callable[[Array], Array], limit: Array) -> Array:
    """Return the distance up to which ``drop``, rising from 0, stays below DEPTH; at most the limit."""
    near, far = np.zeros_like(limit), limit
    for _ in range(16):  # the range need not be sharp, only hold everything
        middle = (near + far) / 2
        inside = drop(middle) < DEPTH
        near, far = np.where(inside, middle, near), np.where(inside, far, middle)
    return far
