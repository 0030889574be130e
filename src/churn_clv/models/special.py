"""Logarithms of Gamma ratios that keep their digits for large arguments."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

LARGE = 30.0


def log_rising(z: ArrayLike, n: ArrayLike) -> Array:
    """Return ln Gamma(z + n) - ln Gamma(z), exact where z is large and n is not."""
    from scipy.special import gammaln

    z, n = np.broadcast_arrays(np.asarray(z, dtype=float), np.asarray(n, dtype=float))
    direct = gammaln(z + n) - gammaln(z)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        stirling = (z + n - 0.5) * np.log1p(n / z) + n * np.log(z) - n + _remainder(z + n) - _remainder(z)
    return np.where(z < LARGE, direct, stirling)


def log_beta(a: ArrayLike, b: ArrayLike) -> Array:
    """Return ln B(a, b) without the cancellation of three large logarithms."""
    from scipy.special import gammaln

    a, b = np.broadcast_arrays(np.asarray(a, dtype=float), np.asarray(b, dtype=float))
    low, high = np.minimum(a, b), np.maximum(a, b)
    return np.asarray(gammaln(low) - log_rising(high, low))


def _remainder(z: Array) -> Array:
    """Return Stirling's series after the leading terms of ln Gamma(z)."""
    u = 1 / z**2
    return np.asarray((1 / 12 - u * (1 / 360 - u * (1 / 1260 - u / 1680))) / z)


def digamma_rise(z: ArrayLike, n: ArrayLike) -> Array:
    """Return psi(z + n) - psi(z)."""
    from scipy.special import digamma

    z, n = np.broadcast_arrays(np.asarray(z, dtype=float), np.asarray(n, dtype=float))
    high, low = 1 / (z + n), 1 / z
    large = np.log1p(n / z) - (high - low) / 2 - (_digamma_tail(high) - _digamma_tail(low))
    return np.where(z < LARGE, digamma(z + n) - digamma(z), large)


def trigamma_rise(z: ArrayLike, n: ArrayLike) -> Array:
    """Return psi'(z + n) - psi'(z); psi'(z) itself for n = 0."""
    from scipy.special import polygamma

    z, n = np.broadcast_arrays(np.asarray(z, dtype=float), np.asarray(n, dtype=float))
    return np.where(n == 0, polygamma(1, z), polygamma(1, z + n) - polygamma(1, z))


def _digamma_tail(u: Array) -> Array:
    square = u**2
    return np.asarray(square * (1 / 12 - square * (1 / 120 - square / 252)))
