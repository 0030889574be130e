"""Trust-region Newton on unconstrained coordinates: one fitter for every model of the room."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Derivatives = tuple[float, Array, Array]
Objective = Callable[[Array], Derivatives]

GRADIENT_TOLERANCE = 1e-9
MAX_STEPS = 150
LARGEST_RADIUS = 4.0


class ModelWarning(UserWarning):
    """A model was fitted, but its maximum needs to be read with care."""


@dataclass(frozen=True)
class Minimum:
    """Where a search ended: coordinates, value, first and second derivatives, and the box it kept to."""

    theta: Array
    value: float
    gradient: Array
    hessian: Array
    evaluations: int
    lower: Array
    upper: Array

    @property
    def free(self) -> NDArray[np.bool_]:
        """Coordinates that are not held by a bound."""
        return _free(self.theta, self.gradient, self.lower, self.upper)

    @property
    def smallest_eigenvalue(self) -> float:
        """Smallest curvature over the free coordinates; 0 when a bound holds one of them."""
        if not self.free.all():
            return 0.0
        return float(np.linalg.eigvalsh(self.hessian)[0])

    @property
    def stationary(self) -> bool:
        """Whether no free coordinate can improve the value beyond rounding."""
        g = np.where(self.free, self.gradient, 0.0)
        if np.abs(g).max(initial=0.0) <= 1e-8:
            return True
        return _decrement(g, self.hessian) <= 1e-13 * max(1.0, abs(self.value))


def minimise(objective: Objective, start: Array, lower: Array, upper: Array) -> Minimum:
    """Minimise a smooth function in a box by Newton steps of limited length.

    ``objective`` returns value, gradient and Hessian. Directions of negative curvature are followed with the
    absolute value of their curvature, so that every step goes down.
    """
    theta = np.clip(np.asarray(start, dtype=float), lower, upper)
    value, gradient, hessian = objective(theta)
    radius = 1.0
    evaluations = 1
    for _ in range(MAX_STEPS):
        free = _free(theta, gradient, lower, upper)
        step = _newton_step(gradient, hessian, free, radius)
        if np.abs(np.where(free, gradient, 0.0)).max() <= GRADIENT_TOLERANCE or not step.any():
            break
        trial = np.clip(theta + step, lower, upper)
        proposal = objective(trial)
        evaluations += 1
        promised = _promised(gradient, hessian, trial - theta)
        gained = value - proposal[0]
        if _better(gained, promised, gradient, proposal[1], free):
            length = float(np.linalg.norm(step))
            radius = min(LARGEST_RADIUS, max(radius, 2 * length)) if gained > 0.5 * promised else length
            theta, (value, gradient, hessian) = trial, proposal
        else:
            radius = float(np.linalg.norm(step)) / 4
            if radius < 1e-10:
                break
    return Minimum(theta, value, gradient, hessian, evaluations, lower, upper)


def best_minimum(objective: Objective, starts: Iterable[Array], lower: Array, upper: Array) -> Minimum:
    """Search from several starts and keep the lowest end."""
    ends = (minimise(objective, start, lower, upper) for start in starts)
    return min(ends, key=lambda end: end.value)


def to_log_scale(params: Array, gradient: Array, hessian: Array) -> tuple[Array, Array]:
    """Turn derivatives by positive parameters into derivatives by their logarithms."""
    g = params * gradient
    return g, hessian * np.outer(params, params) + np.diag(g)


def _free(theta: Array, gradient: Array, lower: Array, upper: Array) -> NDArray[np.bool_]:
    held_low = (theta <= lower) & (gradient > 0)
    held_high = (theta >= upper) & (gradient < 0)
    return np.asarray(~(held_low | held_high))


def _newton_step(gradient: Array, hessian: Array, free: NDArray[np.bool_], radius: float) -> Array:
    step = np.zeros_like(gradient)
    if not free.any():
        return step
    curvature, axes = np.linalg.eigh(hessian[np.ix_(free, free)])
    # a floor far below any identified curvature: flat directions then move by the radius, not to infinity
    curvature = np.maximum(np.abs(curvature), 1e-14)
    slope = axes.T @ gradient[free]
    move = -slope / curvature
    length = float(np.linalg.norm(move))
    if length > radius:
        move = -slope / (curvature + _damping(slope, curvature, radius))
    step[free] = axes @ move
    return step


def _damping(slope: Array, curvature: Array, radius: float) -> float:
    """Levenberg's constant that makes the step as long as the radius (bisection on a monotone function)."""
    low, high = 0.0, float(np.linalg.norm(slope)) / radius
    for _ in range(60):
        middle = (low + high) / 2
        too_long = np.linalg.norm(slope / (curvature + middle)) > radius
        low, high = (middle, high) if too_long else (low, middle)
    return high


def _promised(gradient: Array, hessian: Array, step: Array) -> float:
    return float(-(gradient @ step) - 0.5 * step @ hessian @ step)


def _better(gained: float, promised: float, old: Array, new: Array, free: NDArray[np.bool_]) -> bool:
    if not np.isfinite(gained):
        return False
    if gained > 1e-4 * abs(promised) and gained > 0:
        return True
    # at the level of rounding the value can no longer judge a step; the gradient still can
    return gained > -1e-13 and float(np.abs(new[free]).max()) < 0.5 * float(np.abs(old[free]).max())


def _decrement(gradient: Array, hessian: Array) -> float:
    curvature, axes = np.linalg.eigh(hessian)
    slope = axes.T @ gradient
    return float(0.5 * np.sum(slope**2 / np.maximum(np.abs(curvature), 1e-14)))
