"""How good predictions were: each metric prepared once, then evaluated under any customer weights.

A metric is a function of customer weights: ones give the plain figure, multinomial weights one bootstrap draw. The
same draws serve every model of a run, so differences between models are paired.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

Weighted = Callable[[np.ndarray], float]
_CLIP = 1e-12


def auc(churned: np.ndarray, risk: np.ndarray) -> Weighted:
    """Prepare the area under the ROC curve: P(a churner is ranked above a stayer), ties counting half.

    Examples
    --------
    >>> float(auc(np.array([0, 1, 1, 0]), np.array([0.1, 0.9, 0.4, 0.4]))(np.ones(4)))
    0.875
    """
    order, starts = _tied_groups(risk)
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
    order, starts = _tied_groups(-risk)
    positive = churned[order].astype(float)

    def evaluate(weights: np.ndarray) -> float:
        w = weights[order]
        churners = np.add.reduceat(w * positive, starts)
        everyone = np.add.reduceat(w, starts)
        precision = np.cumsum(churners) / np.maximum(np.cumsum(everyone), _CLIP)
        return float((precision * churners).sum() / churners.sum()) if churners.sum() > 0 else float("nan")

    return evaluate


def log_loss(churned: np.ndarray, risk: np.ndarray) -> Weighted:
    """Prepare the mean negative log likelihood of the outcomes, in nats a customer."""
    p = np.clip(risk, _CLIP, 1 - _CLIP)
    return _mean(-(churned * np.log(p) + (1 - churned) * np.log1p(-p)))


def brier(churned: np.ndarray, risk: np.ndarray) -> Weighted:
    """Prepare the mean squared difference between probability and outcome."""
    return _mean((risk - churned) ** 2)


def calibration_error(churned: np.ndarray, risk: np.ndarray, bins: int = 10) -> Weighted:
    """Prepare the expected calibration error: mean |predicted - observed| over bins of equally many customers."""
    edges = np.quantile(risk, np.linspace(0, 1, bins + 1)[1:-1])
    bin_of = np.searchsorted(edges, risk, side="right")
    gap = churned - risk

    def evaluate(weights: np.ndarray) -> float:
        return float(np.abs(np.bincount(bin_of, weights * gap, bins)).sum() / weights.sum())

    return evaluate


def calibration_error_noise(risk: np.ndarray, seed: int, draws: int = 200, bins: int = 10) -> float:
    """Return the 95 % point of the calibration error that a perfectly calibrated model shows at this size."""
    rng, ones = np.random.default_rng(seed), np.ones(risk.size)
    errors = [calibration_error((rng.random(risk.size) < risk).astype(float), risk, bins)(ones) for _ in range(draws)]
    return float(np.quantile(errors, 0.95))


def calibration_slope(churned: np.ndarray, risk: np.ndarray) -> Weighted:
    """Prepare the slope of the outcome on logit(risk) by logistic regression; 1 is neither over- nor underconfident."""
    p = np.clip(risk, 1e-6, 1 - 1e-6)
    logit = np.log(p) - np.log1p(-p)
    centred = logit - logit.mean()
    # A bootstrap draw's slope is near the sample's, so it is sought from there.
    start = _logistic_line(centred, churned, np.ones_like(p), (0.0, 0.0))

    def evaluate(weights: np.ndarray) -> float:
        return _logistic_line(centred, churned, weights, start)[1]

    return evaluate


def _logistic_line(
    z: np.ndarray, churned: np.ndarray, weights: np.ndarray, start: tuple[float, float]
) -> tuple[float, float]:
    """Level and slope of the logistic regression of the outcome on z, by Newton with step halving; nan where none exists."""
    churners = float((weights * churned).sum())
    if not 0 < churners < weights.sum() or np.ptp(z[weights > 0]) == 0:
        return float("nan"), float("nan")
    level, slope = start if np.isfinite(start).all() else (0.0, 0.0)
    sign = 1 - 2 * churned

    def loss(level: float, slope: float) -> float:
        return float((weights * np.logaddexp(0, sign * (level + slope * z))).sum())

    now = loss(level, slope)
    for _ in range(50):
        fitted = 1 / (1 + np.exp(-np.clip(level + slope * z, -700, 700)))
        rest, bend = weights * (churned - fitted), weights * fitted * (1 - fitted)
        hessian = np.array([[bend.sum(), (bend * z).sum()], [(bend * z).sum(), (bend * z * z).sum()]])
        hessian[np.diag_indices(2)] *= 1 + 1e-10
        step = np.linalg.solve(hessian, [rest.sum(), (rest * z).sum()])
        while (after := loss(level + step[0], slope + step[1])) > now + 1e-9 and np.abs(step).max() > 1e-10:
            step = step / 2
        level, slope, now = level + float(step[0]), slope + float(step[1]), after
        if np.abs(step).max() < 1e-7:
            break
    return level, slope


def top_decile_lift(churned: np.ndarray, risk: np.ndarray) -> Weighted:
    """Prepare the churn rate of the tenth with the highest risk, divided by that of everyone."""
    capture = top_share(churned, risk, 0.1)
    return lambda weights: capture(weights) / 0.1


def top_share(actual: np.ndarray, predicted: np.ndarray, share: float = 0.1) -> Weighted:
    """Prepare the part of the actual total that the predicted top `share` of customers brings; ties are split evenly."""
    order, starts = _tied_groups(-predicted)
    values = actual[order]

    def evaluate(weights: np.ndarray) -> float:
        w = weights[order]
        people, money = np.add.reduceat(w, starts), np.add.reduceat(w * values, starts)
        if money.sum() == 0:
            return float("nan")
        at = np.concatenate([[0.0], np.cumsum(people)]) / people.sum()
        return float(np.interp(share, at, np.concatenate([[0.0], np.cumsum(money)])) / money.sum())

    return evaluate


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
    squared = _mean((actual - predicted) ** 2)
    return lambda weights: float(np.sqrt(squared(weights)))


def mae(actual: np.ndarray, predicted: np.ndarray) -> Weighted:
    """Prepare the mean absolute error, in the unit of the actuals. It favours medians: no headline for means."""
    return _mean(np.abs(actual - predicted))


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


CHURN_METRICS: Mapping[str, Callable[[np.ndarray, np.ndarray], Weighted]] = {
    "auc": auc,
    "log_loss": log_loss,
    "brier": brier,
    "average_precision": average_precision,
    "calibration_error": calibration_error,
    "calibration_slope": calibration_slope,
    "top_decile_lift": top_decile_lift,
}
VALUE_METRICS: Mapping[str, Callable[[np.ndarray, np.ndarray], Weighted]] = {
    "normalised_gini": normalised_gini,
    "top_10_percent_capture": top_share,
    "rmse": rmse,
    "mae": mae,
    "bias": bias,
    "spearman": spearman,
}


def bootstrap_weights(n: int, samples: int, seed: int) -> np.ndarray:
    """Draw how often each of n customers appears in each bootstrap sample: (samples, n), rows sum to n."""
    rng = np.random.default_rng(seed)
    return np.stack([np.bincount(rng.integers(0, n, n), minlength=n) for _ in range(samples)]).astype(float)


def compare(
    metrics: Mapping[str, Callable[[np.ndarray, np.ndarray], Weighted]],
    actual: np.ndarray,
    predictions: Mapping[str, np.ndarray],
    weights: np.ndarray,
) -> pd.DataFrame:
    """Evaluate every metric for every model, with bootstrap errors paired against the first model.

    Parameters
    ----------
    predictions
        Model name -> one prediction a customer. The first model is the one under judgement.
    weights
        Bootstrap draws, from `bootstrap_weights`.

    Returns
    -------
    DataFrame indexed by (metric, model) with value, standard_error, and, for the first model minus this one,
    difference, difference_low and difference_high (95 % percentile interval).
    """
    rows = []
    ones = np.ones(actual.size)
    for metric, prepare in metrics.items():
        evaluated = {model: prepare(actual, p) for model, p in predictions.items()}
        draws = {model: np.array([f(w) for w in weights]) for model, f in evaluated.items()}
        plain = {model: f(ones) for model, f in evaluated.items()}
        first = next(iter(predictions))
        for model in predictions:
            gap = draws[first] - draws[model]
            low, high = np.nanquantile(gap, [0.025, 0.975]) if np.isfinite(gap).any() else (np.nan, np.nan)
            error = np.nanstd(draws[model], ddof=1) if np.isfinite(draws[model]).sum() > 1 else np.nan
            rows.append((metric, model, plain[model], error, plain[first] - plain[model], low, high))
    columns = ["metric", "model", "value", "standard_error", "difference", "difference_low", "difference_high"]
    return pd.DataFrame(rows, columns=columns).set_index(["metric", "model"])


def _mean(losses: np.ndarray) -> Weighted:
    # Not a dot product: threaded BLAS spins on vectors this short.
    return lambda weights: float((weights * losses).sum() / weights.sum())


def _tied_groups(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The order of rising scores, and where each group of equal scores starts in it."""
    order = np.argsort(scores, kind="stable")
    ordered = scores[order]
    return order, np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))


def _gini(actual: np.ndarray, predicted: np.ndarray) -> Weighted:
    order, starts = _tied_groups(predicted)
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
