"""Expected purchases of a living customer who may leave at each purchase (BG/NBD, MBG/NBD).

With lambda ~ Gamma(k, A) and p ~ Beta(a, c) for a living customer,

    g(t) = E_p[ (1 - (1 + p t / A)^-k) / p ]

The papers write it with 2F1, which overflows for frequent buyers and is singular at a = 1. Two stable routes are
used here: a power series in z = t / (A + t) after Euler's transformation with the factor (a - 1) divided out
(DLMF 15.8.1), and, where that converges slowly or cancels, quadrature over logit p.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from churn_clv.models.quadrature import beta_mean

Array = NDArray[np.float64]

MAX_TERMS = 400
BLOCK = 2048
# beyond these the terms of the series grow before they fall, and digits are lost
LARGEST_LOSS = 1e3
LARGEST_SHAPE, LOWEST_D, HIGHEST_D = 30.0, -8.0, 60.0


def expected_while_alive(a: float, c: Array, k: Array, A: Array, t: Array) -> Array:
    """Return g(t) for arrays that broadcast against each other."""
    c, k, A, t = np.broadcast_arrays(c, k, A, t)
    shape = t.shape
    c, k, A, t = (np.ascontiguousarray(v, dtype=float).ravel() for v in (c, k, A, t))
    z = t / (A + t)
    D = a + c - 1 - k
    safe = (a <= LARGEST_SHAPE) & (D >= LOWEST_D) & (D <= HIGHEST_D)
    result = np.zeros_like(t)
    result[safe], done = _series(a, c[safe], D[safe], z[safe], np.log1p(t[safe] / A[safe]))
    safe[safe] = done
    rest = ~safe & (t > 0)
    if rest.any():
        result[rest] = _quadrature(a, c[rest], k[rest], t[rest] / A[rest])
    # rounding must not lift the mean above the Poisson mean without dropout
    return np.minimum(np.maximum(result, 0.0), k * t / A).reshape(shape)


def _series(a: float, c: Array, D: Array, z: Array, log_growth: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Return g by the power series, and where it converged without cancellation."""
    total, largest, done = _sum_series(a, c, D, z)
    head = (a + c - 1) * _phi(a - 1, log_growth)
    damp = np.exp(-(a - 1) * log_growth)
    g = head - damp * total
    done &= np.maximum(np.abs(head), damp * largest) <= LARGEST_LOSS * np.abs(g)
    return g, done


def _sum_series(a: float, c: Array, D: Array, z: Array) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Sum (a)_(n-1) (D)_n / ((a+c)_(n-1) n!) z^n; return sums, largest terms, and which sums converged."""
    sums, peaks, done = np.zeros_like(z), np.zeros_like(z), np.zeros(z.size, dtype=bool)
    place = np.arange(z.size)
    term = D * z
    total, largest = term.copy(), np.abs(term)
    for n in range(1, MAX_TERMS):
        term = term * ((D + n) * z) * ((a + n - 1) / (n + 1)) / (a - 1 + n + c)
        total += term
        np.maximum(largest, np.abs(term), out=largest)
        if n % 4:
            continue
        # past the hump the tail is at most geometric with ratio z
        small = np.abs(term) <= 1e-16 * (1 - z) * np.abs(total)
        if np.count_nonzero(small) * 4 >= small.size:
            at = place[small]
            sums[at], peaks[at], done[at] = total[small], largest[small], True
            left = ~small
            place = place[left]
            c, D, z, term, total, largest = (v[left] for v in (c, D, z, term, total, largest))
            if not place.size:
                break
    return sums, peaks, done


def _phi(power: float, log_growth: Array) -> Array:
    """Return (1 - e^(-power L)) / power, which is L at power 0."""
    if power == 0:
        return log_growth.copy()
    return -np.expm1(-power * log_growth) / power


def _quadrature(a: float, c: Array, k: Array, ratio: Array) -> Array:
    """Integrate over p in blocks of states, t / A = ratio."""
    result = np.empty_like(c)
    for begin in range(0, c.size, BLOCK):
        at = slice(begin, begin + BLOCK)
        result[at] = _quadrature_block(a, c[at], k[at], ratio[at])
    return result


def _quadrature_block(a: float, c: Array, k: Array, ratio: Array) -> Array:
    def purchases(p: Array) -> Array:
        return np.asarray(-np.expm1(-k[:, None] * np.log1p(p * ratio[:, None])) / p)

    at_one = -np.expm1(-k * np.log1p(ratio))
    return beta_mean(purchases, a, c, at_zero=k * ratio, at_one=at_one, steepness=(k + 1) * ratio / 2)
