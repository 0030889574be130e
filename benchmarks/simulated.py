"""Simulated summaries in whole days for the benchmarks: BG/NBD purchases, Gamma-Gamma spend, known parameters."""

from __future__ import annotations

import numpy as np
import pandas as pd

from churn_clv.models import BetaGeoModel, GammaGammaModel

PURCHASES = {"r": 0.8, "alpha": 45.0, "a": 0.7, "b": 3.5}
SPEND = {"p": 6.0, "q": 4.0, "v": 90.0}


def daily_summary(customers: int, seed: int) -> pd.DataFrame:
    """Return frequency, recency, T in whole days (T from 30 to 730) and the mean spend of repeat purchases."""
    rng = np.random.default_rng(seed)
    ages = rng.integers(30, 731, customers).astype(float)
    summary = BetaGeoModel.from_params(**PURCHASES).simulate(ages, seed=seed + 1)
    summary["recency"] = np.ceil(summary["recency"])  # a repeat purchase is at least a day after the first
    x = summary["frequency"].to_numpy()
    model = GammaGammaModel.from_params(**SPEND)
    nu = model.draw_rates(np.zeros(customers), np.zeros(customers), rng)
    mean = rng.gamma(SPEND["p"] * np.maximum(x, 1)) / nu / np.maximum(x, 1)
    summary["monetary_value"] = np.where(x > 0, np.maximum(mean.round(2), 0.01), 0.0)
    return summary
