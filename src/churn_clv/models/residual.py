"""Discounted expected residual purchases of a living customer, over an endless horizon."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from churn_clv.models.quadrature import beta_mean, gamma_nodes

Array = NDArray[np.float64]

BLOCK = 256


def residual_leaving_at_purchase(a: float, c: Array, k: Array, A: Array, delta: float) -> Array:
    """Return E[lambda / (lambda p + delta)] for lambda ~ Gamma(k, A), p ~ Beta(a, c).

    Given lambda and p, purchases come at rate lambda exp(-lambda p t); this is their present value.
    """
    result = np.empty_like(c)
    for begin in range(0, c.size, BLOCK):
        at = slice(begin, begin + BLOCK)
        result[at] = _block(a, c[at], k[at], A[at], delta)
    return result


def _block(a: float, c: Array, k: Array, A: Array, delta: float) -> Array:
    # E[lambda h(lambda)] under Gamma(k, A) is k/A times E[h] under Gamma(k + 1, A)
    rates, weights = gamma_nodes(k + 1, A)
    mean_rate = k / A

    def value(p: Array) -> Array:
        total = np.zeros_like(p)
        for node in range(rates.shape[1]):
            total += weights[:, node, None] / (rates[:, node, None] * p + delta)
        return mean_rate[:, None] * total

    one = value(np.ones((c.size, 1)))[:, 0]
    return beta_mean(value, a, c, at_zero=mean_rate / delta, at_one=one, steepness=(k + 1) / (A * delta))
