"""Platt's calibrator: a line through the log-odds, learned where the outcome is known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from churn_clv.models.boosting import Array


class PlattCalibrator:
    """Log-odds -> intercept + slope x log-odds, by maximum likelihood.

    Attributes
    ----------
    intercept_, slope_ : the line; 0 and 1 change nothing.
    note_ : a sentence where the likelihood has no maximum, or has it at a negative slope; else None.

    References
    ----------
    Platt (1999), Advances in Large Margin Classifiers, 61-74, without his prior on the labels; Cox (1958),
    Biometrika 45, 562-565: intercept and slope as the test of calibration.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> true = pd.Series(rng.normal(size=20_000))
    >>> churned = (rng.random(20_000) < 1 / (1 + np.exp(-true))).astype(float)
    >>> fitted = PlattCalibrator().fit(2 * true + 1, pd.Series(churned))  # twice too sure, and shifted by 1
    >>> round(fitted.slope_, 1), round(fitted.intercept_, 1)
    (0.5, -0.5)
    """

    def fit(self, log_odds: pd.Series, churned: pd.Series, weights: pd.Series | None = None) -> PlattCalibrator:
        """Learn the line from forecasts and what came of them.

        Parameters
        ----------
        log_odds
            Forecasts made without the outcome, finite.
        churned
            0 or 1, indexed like `log_odds`.
        weights
            Weight of each row, same index, not negative; None weighs all alike.

        Raises
        ------
        ValueError
            If the three are not indexed alike, or a log-odds is not finite.
        """
        x, y, w = _checked(log_odds, churned, weights)
        self.intercept_, self.slope_, self.note_ = 0.0, 1.0, _why_not(x[w > 0], y[w > 0])
        if self.note_ is not None:
            return self
        self.intercept_, self.slope_ = _most_likely_line(x, y, w)
        if self.slope_ < 0:
            self.note_ = (
                f"the calibrator's best slope is {self.slope_:.2f}: the forecast ranks these customers backwards, and a "
                "calibrator cannot mend that; it gives everyone the base rate"
            )
            left = float(w @ y)
            self.intercept_, self.slope_ = float(np.log(left / (w.sum() - left))), 0.0
        return self

    def transform(self, log_odds: pd.Series) -> pd.Series:
        """Return the calibrated log-odds, indexed like `log_odds`."""
        return (self.intercept_ + self.slope_ * log_odds).rename("log_odds")

    def to_dict(self) -> dict[str, Any]:
        """Return the line, ready for JSON."""
        return {"intercept": self.intercept_, "slope": self.slope_, "note": self.note_}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> PlattCalibrator:
        """Build the calibrator from `to_dict`."""
        calibrator = cls()
        calibrator.intercept_, calibrator.slope_ = content["intercept"], content["slope"]
        calibrator.note_ = content["note"]
        return calibrator


def _most_likely_line(x: Array, y: Array, w: Array) -> tuple[float, float]:
    """Newton on standardised log-odds, each step halved until it helps; the likelihood is concave."""
    center = np.average(x, weights=w)
    scale = np.sqrt(np.average((x - center) ** 2, weights=w))
    design = np.column_stack([np.ones_like(x), (x - center) / scale])
    line = np.array([center, scale])  # the forecast as it is

    def loss(at: Array) -> float:
        return float(w @ (np.logaddexp(0, design @ at) - y * (design @ at)))

    for _ in range(100):
        p = 1 / (1 + np.exp(-np.clip(design @ line, -500, 500)))
        hessian = (design * (w * np.maximum(p * (1 - p), 1e-12))[:, None]).T @ design
        step = np.linalg.solve(hessian, design.T @ (w * (p - y)))
        while loss(line - step) > loss(line) and np.abs(step).max() > 1e-12:
            step = step / 2
        line = line - step
        if np.abs(step).max() < 1e-10:
            break
    slope = line[1] / scale
    return float(line[0] - slope * center), float(slope)


def _why_not(x: Array, y: Array) -> str | None:
    if np.unique(y).size < 2:
        return "all outcomes are the same, so nothing can be calibrated: the forecast stays as it is"
    left, stayed = x[y == 1], x[y == 0]
    if np.ptp(x) == 0:
        return "all forecasts are the same, so no line can be drawn: the forecast stays as it is"
    if left.min() >= stayed.max() or stayed.min() >= left.max():
        return "the forecast separates the outcomes completely, so no slope is the best: the forecast stays as it is"
    return None


def _checked(log_odds: pd.Series, churned: pd.Series, weights: pd.Series | None) -> tuple[Array, Array, Array]:
    weights = pd.Series(1.0, index=log_odds.index) if weights is None else weights
    for other, name in ((churned, "churned"), (weights, "weights")):
        if not log_odds.index.equals(other.index):
            raise ValueError(f"log_odds ({len(log_odds)} rows) and {name} ({len(other)} rows) are not indexed alike")
    x, y, w = (column.to_numpy(float) for column in (log_odds, churned, weights))
    if not np.isfinite(x).all():
        raise ValueError(f"log_odds is not finite in {int((~np.isfinite(x)).sum())} of {x.size} rows")
    if not np.isin(y, (0, 1)).all() or not (np.isfinite(w) & (w >= 0)).all():
        raise ValueError("churned must be 0 or 1, and weights finite and not negative")
    return x, y, w
