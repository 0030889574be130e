"""How good churn probabilities were at telling customers apart and at being right on average."""

from __future__ import annotations

import numpy as np

from churn_clv.evaluation.weighted import TINY, Weighted, mean_of, tied_groups, top_share


def auc(churned: np.ndarray, risk: np.ndarray) -> Weighted:
    """Prepare the area under the ROC curve: P(a churner is ranked above a stayer), ties counting half.

    Examples
    --------
    >>> float(auc(np.array([0, 1, 1, 0]), np.array([0.1, 0.9, 0.4, 0.4]))(np.ones(4)))
    0.875
    """
    order, starts = tied_groups(risk)
    positive = churned[order].astype(float)

    def evaluate(weights: np.ndarray) -> float:
        w = weights[order]
        churners = np.add.reduceat(w * positive, starts)
        stayers = np.add.reduceat(w * (1 - positive), starts)
        below = np.cumsum(stayers) - stayers / 2
        total = churners.sum() * stayers.sum()
        return float((churners * below).sum() / total) if total > 0 else float("nan")

    return evaluate


def average_precision(churned: np.ndarray, risk: np.ndarray) -> Weighted:
    """Prepare the mean precision over the recall gained, from the highest risk down."""
    order, starts = tied_groups(-risk)
    positive = churned[order].astype(float)

    def evaluate(weights: np.ndarray) -> float:
        w = weights[order]
        churners = np.add.reduceat(w * positive, starts)
        everyone = np.add.reduceat(w, starts)
        precision = np.cumsum(churners) / np.maximum(np.cumsum(everyone), TINY)
        return float((precision * churners).sum() / churners.sum()) if churners.sum() > 0 else float("nan")

    return evaluate


def log_loss(churned: np.ndarray, risk: np.ndarray) -> Weighted:
    """Prepare the mean negative log likelihood of the outcomes, in nats a customer."""
    p = np.clip(risk, TINY, 1 - TINY)
    return mean_of(-(churned * np.log(p) + (1 - churned) * np.log1p(-p)))


def brier(churned: np.ndarray, risk: np.ndarray) -> Weighted:
    """Prepare the mean squared difference between probability and outcome."""
    return mean_of((risk - churned) ** 2)


def brier_skill(churned: np.ndarray, risk: np.ndarray) -> Weighted:
    """Prepare the share of the base rate's Brier score that the model removes: 1 is perfect, 0 no better than the rate.

    The base rate is that of the judged customers themselves, which no model could know beforehand.

    Examples
    --------
    >>> float(brier_skill(np.array([0, 1]), np.array([0.25, 0.75]))(np.ones(2)))
    0.75
    """
    score = brier(churned, risk)

    def evaluate(weights: np.ndarray) -> float:
        rate = float((weights * churned).sum() / weights.sum())
        return 1 - score(weights) / (rate * (1 - rate)) if 0 < rate < 1 else float("nan")

    return evaluate


def top_decile_lift(churned: np.ndarray, risk: np.ndarray) -> Weighted:
    """Prepare the churn rate of the tenth with the highest risk, divided by that of everyone."""
    capture = top_share(churned, risk, 0.1)
    return lambda weights: capture(weights) / 0.1
