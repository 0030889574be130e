"""What a living Pareto/NBD customer will do: lambda ~ Gamma(k, A), dropout rate mu ~ Gamma(s, B)."""

from __future__ import annotations

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
    y, log_y, log_weight = _times(np.zeros_like(k), k, A, t)
    log_f = np.log(k / A)[:, None] + log_y - (k[:, None] + 1) * np.log1p(y / A[:, None])
    log_f -= s * np.log1p(y / B[:, None])
    return np.minimum(np.exp(log_f + log_weight).sum(axis=1), 1.0)


def pmf(n: float, k: Array, A: Array, s: float, B: Array, t: float) -> Array:
    """Return P(n purchases): alive through t, or left at y after n purchases."""
    if n == 0:
        return 1 - some(k, A, s, B, t)
    if t == 0:
        return np.zeros_like(k)
    through = np.exp(_log_count(n, k, A, t) - s * np.log1p(t / B))
    y, log_y, log_weight = _times(np.full_like(k, n), k, A, t)
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


def _times(n: Array, k: Array, A: Array, t: float) -> tuple[Array, Array, Array]:
    """Return times in (0, t], their logarithms and log weights, around the peak of y^(n+1) / (A+y)^(k+n+1)."""
    node, weight = gauss_legendre(NODES)
    peak = np.log((n + 1) * A / k)
    spread = np.sqrt(3 * DEPTH * (1 / (n + 1) + 1 / k))
    high = np.minimum(np.log(t), peak + spread + 2 * DEPTH / k)
    low = np.minimum(high, peak) - spread.clip(max=DEPTH / (n + 1)) - DEPTH / (n + 1)
    half = (high - low)[:, None] / 2
    log_y = low[:, None] + half * (node + 1)
    return np.exp(log_y), log_y, np.log(half * weight)
