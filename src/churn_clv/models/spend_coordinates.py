"""Coordinates without a money unit for Gamma-Gamma: theta = (ln p, ln q, ln(p v / q))."""

from __future__ import annotations

from itertools import product

import numpy as np

from churn_clv.models.fitting import Coordinates
from churn_clv.models.maximum_likelihood import Array, to_log_scale

JACOBIAN = np.array([[1, 0, 0], [0, 1, 0], [-1, 1, 1]], dtype=float)
WIDEST = np.log(1e6)


def to_params(theta: Array) -> Array:
    """Return (p, q, v)."""
    return np.exp(JACOBIAN @ theta)


def by_theta(theta: Array, gradient: Array, hessian: Array) -> tuple[Array, Array]:
    """Turn derivatives by (p, q, v) into derivatives by theta."""
    g, h = to_log_scale(to_params(theta), gradient, hessian)
    return JACOBIAN.T @ g, JACOBIAN.T @ h @ JACOBIAN


def log_jacobian(theta: Array) -> Array:
    """Return the derivatives of (ln p, ln q, ln v) by theta, which are constant."""
    return JACOBIAN


def first_start() -> Array:
    """Return one ordinary start, for spend in units of its geometric mean."""
    return np.array([np.log(3.0), np.log(3.5), 0.0])


def grid_of_starts() -> list[Array]:
    """Return nine starts over variation within and between customers."""
    return [np.array([np.log(p), np.log(q), 0.0]) for p, q in product((0.3, 2.0, 20.0), (1.2, 4.0, 40.0))]


COORDINATES = Coordinates(
    names=("ln p", "ln q", "ln p v/q"),
    to_params=to_params,
    by_theta=by_theta,
    log_jacobian=log_jacobian,
    lower=np.full(3, -WIDEST),
    upper=np.full(3, WIDEST),
    ordinary=(np.log([0.05, 0.3, 1e-300]), np.log([300.0, 300.0, 1e300])),
    centre=np.array([np.log(3.0), np.log(3.5), np.nan]),
)
