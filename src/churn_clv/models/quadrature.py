"""Means over Beta and Gamma distributions by the trapezoidal rule on the whole line.

On the logit (Beta) or log (Gamma) scale the integrands are analytic in a strip and fall off exponentially, so
equally spaced nodes converge geometrically (Trefethen & Weideman 2014, SIAM Review 56(3), 385-458).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from churn_clv.models.special import log_beta

Array = NDArray[np.float64]

NODES = 192
DEPTH = 42.0  # e^-42 is below rounding
SMALL_SHAPE = 5.0  # a Beta shape under this has a tail too long for the nodes: the tail is taken out exactly


@cache
def gauss_legendre(nodes: int) -> tuple[Array, Array]:
    """Return nodes and weights on [-1, 1]."""
    node, weight = np.polynomial.legendre.leggauss(nodes)
    node.setflags(write=False)
    weight.setflags(write=False)
    return node, weight


def beta_mean(
    f: Callable[[Array], Array], a: float, c: Array, at_zero: Array, at_one: Array, steepness: Array
) -> Array:
    """Return E f(p) for p ~ Beta(a, c), one row per value of c.

    ``f`` maps a matrix of p (row, node) to values; ``at_zero`` and ``at_one`` are its limits, and ``steepness``
    is about -f'(0)/f(0). Where a shape is small, f(0)(1-p)^m and f(1)p are subtracted, whose means are known.
    """
    c = np.asarray(c, dtype=float)
    m = np.maximum(steepness, 1.0)
    left = at_zero if a < SMALL_SHAPE else np.zeros_like(c)
    right = np.where(c < SMALL_SHAPE, at_one, 0.0)
    log_p, log_q, spacing = _logit_nodes(a, c, m)
    p = np.exp(log_p)
    log_density = a * log_p + c[:, None] * log_q
    rest = f(p) - left[:, None] * np.exp(m[:, None] * log_q) - right[:, None] * p
    known = left * np.exp(log_beta(a, c + m) - log_beta(a, c)) + right * a / (a + c)
    peak = log_density.max(axis=1, keepdims=True)
    density = np.exp(log_density - peak)
    # with both tails inside the nodes the density normalises itself, without a logarithm of a Beta function
    inside = (a >= SMALL_SHAPE) & (c >= SMALL_SHAPE)
    mass = np.where(inside, density.sum(axis=1), np.exp(log_beta(a, c) - peak[:, 0]) / spacing)
    return np.asarray((density * rest).sum(axis=1) / mass + known)


def _logit_nodes(a: float, c: Array, m: Array) -> tuple[Array, Array, Array]:
    """Return ln p, ln(1 - p) at equally spaced logits that hold all of the integrand, and the spacing."""
    a_left = a + 1 if a < SMALL_SHAPE else a
    c_right = np.where(c < SMALL_SHAPE, c + 1, c)
    low = _depth_at(np.full_like(c, a_left), c, -1.0)
    if a < SMALL_SHAPE:
        low = np.minimum(low, -np.log(m) - DEPTH / a_left)
    high = np.maximum(_depth_at(np.full_like(c, a), c_right, 1.0), low + 1e-3)
    spacing = (high - low) / (NODES - 1)
    y = low[:, None] + spacing[:, None] * np.arange(NODES)
    small = np.log1p(np.exp(-np.abs(y)))
    return np.minimum(y, 0) - small, np.minimum(-y, 0) - small, spacing


def _depth_at(a: Array, c: Array, side: float) -> Array:
    """Return the logit on one side of the mode where a ln p + c ln(1 - p) is DEPTH below its peak."""
    mode = np.log(a / c)
    peak = _log_kernel(mode, a, c)
    near = np.zeros_like(c)
    far = np.sqrt(3 * DEPTH * (1 / a + 1 / c)) + 2 * DEPTH / (a if side < 0 else c)
    for _ in range(30):
        middle = (near + far) / 2
        inside = peak - _log_kernel(mode + side * middle, a, c) < DEPTH
        near, far = np.where(inside, middle, near), np.where(inside, far, middle)
    return mode + side * far


def _log_kernel(y: Array, a: Array, c: Array) -> Array:
    return a * np.minimum(y, 0) + c * np.minimum(-y, 0) - (a + c) * np.log1p(np.exp(-np.abs(y)))


def gamma_nodes(k: Array, A: Array, nodes: int = 224) -> tuple[Array, Array]:
    """Return nodes and normalised weights, one row each, for means over Gamma(k, rate A) with k >= 1."""
    mode = np.log(k / A)
    spread = np.sqrt(3 * DEPTH / k)
    low = mode - spread - DEPTH / k
    high = mode + np.minimum(spread, np.log1p(3 * DEPTH / k) + 1)
    y = low[:, None] + ((high - low) / (nodes - 1))[:, None] * np.arange(nodes)
    scaled = y - mode[:, None]
    log_density = k[:, None] * (scaled - np.expm1(scaled))
    weights = np.exp(log_density)
    return np.exp(y), weights / weights.sum(axis=1, keepdims=True)
