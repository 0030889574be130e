"""How good forecasts of counts and money were: their size, their order and who holds the most."""

from __future__ import annotations

import numpy as np
import pandas as pd

from churn_clv.evaluation.weighted import Weighted, mean_of, tied_groups


def normalised_gini(actual: np.ndarray, predicted: np.ndarray) -> Weighted:
    """Prepare the Gini index of the actual amounts ordered by prediction, divided by that of the perfect order.

    Examples
    --------
    >>> spend = np.array([0.0, 1.0, 5.0, 20.0])
    >>> float(normalised_gini(spend, spend ** 2)(np.ones(4)))
    1.0
    """
    by_prediction, best = _gini(actual, predicted), _gini(actual, actual)

    def evaluate(weights: np.ndarray) -> float:
        perfect = best(weights)
        return by_prediction(weights) / perfect if perfect > 0 else float("nan")

    return evaluate


def rmse(actual: np.ndarray, predicted: np.ndarray) -> Weighted:
    """Prepare the root mean squared error, in the unit of the actuals."""
    squared = mean_of((actual - predicted) ** 2)
    return lambda weights: float(np.sqrt(squared(weights)))


def mae(actual: np.ndarray, predicted: np.ndarray) -> Weighted:
    """Prepare the mean absolute error, in the unit of the actuals. It favours medians: no headline for means."""
    return mean_of(np.abs(actual - predicted))


def bias(actual: np.ndarray, predicted: np.ndarray) -> Weighted:
    """Prepare the predicted total over the actual total, minus 1."""

    def evaluate(weights: np.ndarray) -> float:
        total = float((weights * actual).sum())
        return float((weights * predicted).sum()) / total - 1 if total != 0 else float("nan")

    return evaluate


def spearman(actual: np.ndarray, predicted: np.ndarray) -> Weighted:
    """Prepare the correlation of the ranks (ranks are those of the whole sample, also under bootstrap weights)."""
    a, b = (pd.Series(v).rank().to_numpy() for v in (actual, predicted))

    def evaluate(weights: np.ndarray) -> float:
        da, db = a - np.average(a, weights=weights), b - np.average(b, weights=weights)
        scale = np.sqrt((weights * da * da).sum() * (weights * db * db).sum())
        return float((weights * da * db).sum() / scale) if scale > 0 else float("nan")

    return evaluate


def _gini(actual: np.ndarray, predicted: np.ndarray) -> Weighted:
    order, starts = tied_groups(predicted)
    values = actual[order]

    def evaluate(weights: np.ndarray) -> float:
        w = weights[order]
        people, money = np.add.reduceat(w, starts), np.add.reduceat(w * values, starts)
        if money.sum() == 0:
            return float("nan")
        lorenz = np.cumsum(money) / money.sum()
        area = (people * (lorenz - money / money.sum() / 2)).sum() / people.sum()
        return float(1 - 2 * area)

    return evaluate
