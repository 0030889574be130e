"""Whether churn probabilities mean what they say: calibration error, slope and intercept."""

from __future__ import annotations

import numpy as np

from churn_clv.evaluation.weighted import Weighted

ALLOWED = 0.02
_NEAREST = 1e-6  # a probability nearer to 0 or 1 counts as this near: log-odds stay finite


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


def calibration_error_allowed(risk: np.ndarray, seed: int) -> float:
    """Return the calibration error that a run is allowed: .02, or the noise of right probabilities where that is more."""
    return max(ALLOWED, calibration_error_noise(risk, seed))


def calibration_slope(churned: np.ndarray, risk: np.ndarray) -> Weighted:
    """Prepare the slope of the outcome on logit(risk) by logistic regression; 1 is neither over- nor underconfident."""
    logit = _log_odds(risk)
    centred = logit - logit.mean()
    # A bootstrap draw's slope is near the sample's, so it is sought from there.
    start = _logistic_line(centred, churned, np.ones_like(logit), (0.0, 0.0))

    def evaluate(weights: np.ndarray) -> float:
        return _logistic_line(centred, churned, weights, start)[1]

    return evaluate


def calibration_intercept(churned: np.ndarray, risk: np.ndarray) -> Weighted:
    """Prepare the shift of all log-odds that makes the mean risk right (calibration in the large); 0 needs none.

    Above 0, fewer were expected to leave than did. The slope is held at 1.

    References
    ----------
    Cox (1958), Two Further Applications of a Model for Binary Regression, Biometrika 45(3/4), 562-565.
    """
    logit = _log_odds(risk)
    start = _shift(logit, churned, np.ones_like(logit), 0.0)

    def evaluate(weights: np.ndarray) -> float:
        return _shift(logit, churned, weights, start)

    return evaluate


def _log_odds(risk: np.ndarray) -> np.ndarray:
    p = np.clip(risk, _NEAREST, 1 - _NEAREST)
    return np.log(p) - np.log1p(-p)


def _shift(z: np.ndarray, churned: np.ndarray, weights: np.ndarray, start: float) -> float:
    """The level at which the mean of the logistic of level + z is the churn rate; nan where every level is too near."""
    people, churners = float(weights.sum()), float((weights * churned).sum())
    if not 0 < churners < people:
        return float("nan")
    # At these levels every customer is below, or above, the rate: the root lies between.
    rate = np.log(churners) - np.log(people - churners)
    low, high = rate - z.max(), rate - z.min()
    level = float(np.clip(start if np.isfinite(start) else 0.0, low, high))
    for _ in range(100):
        fitted = 1 / (1 + np.exp(-(level + z)))
        excess = float((weights * fitted).sum()) - churners
        low, high = (low, level) if excess > 0 else (level, high)
        bend = float((weights * fitted * (1 - fitted)).sum())
        newton = level - excess / bend if bend > 0 else np.nan
        new = newton if low <= newton <= high else (low + high) / 2
        if abs(new - level) < 1e-9:
            return float(new)
        level = new
    return level


def _logistic_line(
    z: np.ndarray, churned: np.ndarray, weights: np.ndarray, start: tuple[float, float]
) -> tuple[float, float]:
    """Level and slope of the logistic regression of the outcome on z, by damped Newton; nan where none exists.

    A Newton step that moves no log-odds by more than 1 always lowers the loss (Bach 2010, Electronic Journal of
    Statistics 4, proposition 1), so longer ones are cut to that and the loss itself is never computed.
    """
    z, churned, weights = z[weights > 0], churned[weights > 0], weights[weights > 0]
    churners = float((weights * churned).sum())
    if not 0 < churners < weights.sum() or np.ptp(z) == 0:
        return float("nan"), float("nan")
    level, slope = start if np.isfinite(start).all() else (0.0, 0.0)
    for _ in range(200):
        fitted = 1 / (1 + np.exp(-np.clip(level + slope * z, -700, 700)))
        rest, bend = weights * (churned - fitted), weights * fitted * (1 - fitted)
        bent = bend * z
        hessian = np.array([[bend.sum(), bent.sum()], [bent.sum(), (bent * z).sum()]])
        hessian[np.diag_indices(2)] *= 1 + 1e-10
        step = np.linalg.solve(hessian, [rest.sum(), (rest * z).sum()])
        step = step / max(np.abs(step[0] + step[1] * np.array([z.min(), z.max()])).max(), 1.0)
        level, slope = level + float(step[0]), slope + float(step[1])
        if np.abs(step).max() < 1e-7:
            break
    return level, slope
