"""Coordinates without a time unit, and where to start in them, for BG/NBD and MBG/NBD.

theta = (ln r, ln of the mean rate r/alpha, logit of the mean dropout a/(a+b), ln (a+b)).
"""

from __future__ import annotations

from itertools import product

import numpy as np

from churn_clv.models.maximum_likelihood import Array, to_log_scale

WIDEST = np.log(1e7)
LOWER, UPPER = np.full(4, -WIDEST), np.full(4, WIDEST)


def to_params(theta: Array) -> Array:
    """Return (r, alpha, a, b)."""
    stay = 1 / (1 + np.exp(theta[2]))
    leave = 1 / (1 + np.exp(-theta[2]))
    r, spread = np.exp(theta[0]), np.exp(theta[3])
    return np.array([r, np.exp(theta[0] - theta[1]), spread * leave, spread * stay])


def to_theta(params: Array) -> Array:
    """Return the coordinates of (r, alpha, a, b)."""
    r, alpha, a, b = params
    return np.array([np.log(r), np.log(r / alpha), np.log(a / b), np.log(a + b)])


def by_theta(theta: Array, gradient: Array, hessian: Array) -> tuple[Array, Array]:
    """Turn derivatives by (r, alpha, a, b) into derivatives by theta."""
    g, h = to_log_scale(to_params(theta), gradient, hessian)
    J = log_jacobian(theta)
    bend = np.zeros((4, 4))
    leave = 1 / (1 + np.exp(-theta[2]))
    bend[2, 2] = -leave * (1 - leave) * (g[2] + g[3])
    return J.T @ g, J.T @ h @ J + bend


def log_jacobian(theta: Array) -> Array:
    """Return the derivatives of (ln r, ln alpha, ln a, ln b) by theta."""
    leave = 1 / (1 + np.exp(-theta[2]))
    return np.array([[1, 0, 0, 0], [1, -1, 0, 0], [0, 0, 1 - leave, 1], [0, 0, -leave, 1]], dtype=float)


def first_start(rate: float) -> Array:
    """Return one ordinary start; ``rate`` is purchases per unit of observed time."""
    return np.array([np.log(0.6), np.log(1.6 * rate), _logit(0.2), np.log(3.0)])


def grid_of_starts(rate: float, few_customers: bool = False) -> list[Array]:
    """Return starts over heterogeneity, dropout and its spread: 27, or 80 where few customers leave many maxima."""
    shapes, dropouts, spreads = [0.3, 1.5, 10.0], [0.003, 0.05, 0.3], [0.3, 3.0, 30.0]
    if few_customers:
        shapes, dropouts, spreads = [0.05, *shapes], [*dropouts, 0.6, 0.9], [0.03, *spreads]
    grid = product(shapes, dropouts, spreads)
    return [np.array([np.log(r), np.log(rate / (1 - p)), _logit(p), np.log(s)]) for r, p, s in grid]


def _logit(p: float) -> float:
    return float(np.log(p / (1 - p)))
