"""Figures of several origins in one table: mean, spread, worst, and the paired gain over a reference."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from churn_clv.evaluation.champion import mean_interval
from churn_clv.evaluation.judgement import DIRECTION


def over_origins(figures: pd.DataFrame, reference: str, apart: Sequence[object]) -> pd.DataFrame:
    """Summarize figures over origins.

    Parameters
    ----------
    figures
        One row an origin, columns (metric, method).
    reference
        The method that every other is compared with, origin by origin.
    apart
        Origins whose holdouts do not overlap: only they enter the interval of the gain.

    Returns
    -------
    DataFrame indexed by (metric, method): mean, sd and worst over all origins that have the figure, origins; gain
    (mean paired improvement on the reference over the origins apart, positive is better), gain_low, gain_high (95 %,
    Student's t), wins and windows (origins apart). Biases, slopes and intercepts gain by coming nearer to their target.

    Examples
    --------
    >>> columns = pd.MultiIndex.from_product([["auc"], ["old", "new"]], names=["metric", "method"])
    >>> figures = pd.DataFrame([[.70, .72], [.71, .72], [.69, .72]], columns=columns)
    >>> over_origins(figures, "old", [0, 1, 2]).loc[("auc", "new"), ["mean", "gain", "wins"]].round(3).tolist()
    [0.72, 0.02, 3.0]
    """
    rows = {}
    for metric in figures.columns.unique(0):
        errors = np.abs(figures[metric] - TARGET[metric]) if metric in TARGET else -DIRECTION[metric] * figures[metric]
        for method in figures[metric].columns:
            values = figures[(metric, method)]
            gains = (errors[reference] - errors[method]).loc[list(apart)].dropna().to_numpy(float)
            gain, low, high = mean_interval(gains) if gains.size else (np.nan, np.nan, np.nan)
            worst = values.loc[errors[method].idxmax()] if errors[method].notna().any() else np.nan
            rows[(metric, method)] = {
                "mean": values.mean(), "sd": values.std(ddof=1), "worst": worst, "origins": int(values.notna().sum()),
                "gain": gain, "gain_low": low, "gain_high": high, "wins": int((gains > _EQUAL).sum()), "windows": gains.size,
            }  # fmt: skip
    table = pd.DataFrame.from_dict(rows, orient="index")
    table.index = pd.MultiIndex.from_tuples(table.index, names=["metric", "method"])
    return table


_EQUAL = 1e-9  # the same forecast by another road is no win
# Metrics that are right at a value, not better the larger or smaller they are.
TARGET = {"bias": 0.0, "calibration_slope": 1.0, "calibration_intercept": 0.0}
