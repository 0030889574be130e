"""What all metrics stand on: functions of customer weights, and groups of equal predictions.

A metric is prepared once and then evaluated under any customer weights: ones give the plain figure, multinomial weights
one bootstrap draw.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Weighted = Callable[[np.ndarray], float]
Metric = Callable[[np.ndarray, np.ndarray], Weighted]
TINY = 1e-12


def mean_of(losses: np.ndarray) -> Weighted:
    """Prepare the mean of one loss a customer."""
    # Not a dot product: threaded BLAS spins on vectors this short.
    return lambda weights: float((weights * losses).sum() / weights.sum())


def tied_groups(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the order of rising scores, and where each group of equal scores starts in it."""
    order = np.argsort(scores, kind="stable")
    ordered = scores[order]
    return order, np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))


def top_share(actual: np.ndarray, predicted: np.ndarray, share: float = 0.1) -> Weighted:
    """Prepare the part of the actual total that the predicted top `share` of customers brings; ties are split evenly."""
    order, starts = tied_groups(-predicted)
    values = actual[order]

    def evaluate(weights: np.ndarray) -> float:
        w = weights[order]
        people, money = np.add.reduceat(w, starts), np.add.reduceat(w * values, starts)
        if money.sum() == 0:
            return float("nan")
        at = np.concatenate([[0.0], np.cumsum(people)]) / people.sum()
        return float(np.interp(share, at, np.concatenate([[0.0], np.cumsum(money)])) / money.sum())

    return evaluate
