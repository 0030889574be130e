"""From a log-likelihood and scale-free coordinates to a verified maximum."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from churn_clv.models.maximum_likelihood import Array, Minimum, Objective, best_minimum, minimise

Likelihood = Callable[[Array], tuple[float, Array, Array]]

FEW_CUSTOMERS = 500
SMALL_CURVATURE = 1e-5
FLAT_CURVATURE = 1e-9


@dataclass(frozen=True)
class Coordinates:
    """Unconstrained coordinates of a model: how to reach its parameters, where to search, what is ordinary."""

    names: tuple[str, ...]
    to_params: Callable[[Array], Array]
    by_theta: Callable[[Array, Array, Array], tuple[Array, Array]]
    log_jacobian: Callable[[Array], Array]
    lower: Array
    upper: Array
    ordinary: tuple[Array, Array]
    centre: Array


@dataclass(frozen=True)
class Sample:
    """A log-likelihood with the weight behind it."""

    likelihood: Likelihood
    weight: float


def objective(sample: Sample, coordinates: Coordinates, prior: float | None) -> Objective:
    """Return the mean negative log-likelihood (plus the prior) by theta, with derivatives."""

    def mean_negative(theta: Array) -> tuple[float, Array, Array]:
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            value, gradient, hessian = sample.likelihood(coordinates.to_params(theta))
            g, h = coordinates.by_theta(theta, gradient, hessian)
        n = sample.weight
        value, g, h = -value / n, -g / n, -h / n
        if prior is None:
            return value, g, h
        pull = (theta - coordinates.centre) / (prior**2 * n)
        held = np.isfinite(coordinates.centre)
        pull = np.where(held, pull, 0.0)
        value += 0.5 * float(np.sum(np.where(held, pull * (theta - coordinates.centre), 0.0)))
        return value, g + pull, h + np.diag(np.where(held, 1 / (prior**2 * n), 0.0))

    return mean_negative


def search(
    sample: Sample, small: Sample, coordinates: Coordinates, first: Array, grid: list[Array], prior: float | None
) -> Minimum:
    """Fit from one start; where the end looks doubtful, from the whole grid.

    ``small`` is a part of the sample on which the grid of starts is sifted.
    """
    lower, upper = coordinates.lower, coordinates.upper
    goal = objective(sample, coordinates, prior)
    end = minimise(goal, first, lower, upper)
    if not grid or not doubtful(end, sample, coordinates):
        return end
    if small is not sample:
        sifted = objective(small, coordinates, prior)
        grid = [minimise(sifted, start, lower, upper).theta for start in [*grid, end.theta]]
        grid = sorted(grid, key=lambda theta: sifted(theta)[0])[:3]
    other = best_minimum(goal, grid, lower, upper)
    return other if other.value < end.value else end


def doubtful(end: Minimum, sample: Sample, coordinates: Coordinates) -> bool:
    """Whether a single search may have ended in the wrong place."""
    low, high = coordinates.ordinary
    strange = bool(np.any((end.theta < low) | (end.theta > high)))
    few = sample.weight < FEW_CUSTOMERS
    return strange or few or not end.stationary or end.smallest_eigenvalue < SMALL_CURVATURE


def covariance(end: Minimum, sample: Sample, coordinates: Coordinates, held: list[int]) -> Array:
    """Return the inverse information of the parameters; nan for those that lean on a held coordinate."""
    theta = end.theta
    size = theta.size
    kept = [i for i in range(size) if i not in held]
    information = end.hessian[np.ix_(kept, kept)] * sample.weight
    result = np.full((size, size), np.nan)
    if not kept or np.linalg.eigvalsh(information / sample.weight)[0] < FLAT_CURVATURE:
        return result
    params = coordinates.to_params(theta)
    jacobian = coordinates.log_jacobian(theta) * params[:, None]
    known = [k for k in range(size) if not np.any(jacobian[k, held])]
    inner = jacobian[np.ix_(known, kept)]
    result[np.ix_(known, known)] = inner @ np.linalg.inv(information) @ inner.T
    return result
