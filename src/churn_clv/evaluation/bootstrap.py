"""Bootstrap errors over customers: the same draws for every model, so that differences between models are paired."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from churn_clv.evaluation.weighted import Metric


def bootstrap_weights(n: int, samples: int, seed: int) -> np.ndarray:
    """Draw how often each of n customers appears in each bootstrap sample: (samples, n), rows sum to n."""
    rng = np.random.default_rng(seed)
    return np.stack([np.bincount(rng.integers(0, n, n), minlength=n) for _ in range(samples)]).astype(float)


def compare(
    metrics: Mapping[str, Metric],
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
