"""95 % intervals hold the truth about 95 % of the time (C2), and forecasts are calibrated (C3): 200-set versions."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kstest

from churn_clv.models import BetaGeoModel, GammaGammaModel, ModifiedBetaGeoModel

SETS = 200
TRUTHS = [
    BetaGeoModel.from_params(r=0.6, alpha=6.0, a=0.8, b=2.5),
    ModifiedBetaGeoModel.from_params(r=0.8, alpha=6.0, a=0.8, b=2.5),
]


def holds(model: BetaGeoModel | ModifiedBetaGeoModel | GammaGammaModel, truth: dict[str, float]) -> pd.Series:
    table, true = model.confidence_intervals(0.95), pd.Series(truth)
    return (table["lower"] < true) & (true < table["upper"])


@pytest.mark.parametrize("truth", TRUTHS, ids=["BG/NBD", "MBG/NBD"])
def test_intervals_of_purchase_parameters_cover_the_truth(truth: BetaGeoModel | ModifiedBetaGeoModel) -> None:
    # 89 to 99 %: four binomial standard errors (.0154) of 200 sets around .95
    ages = np.random.default_rng(0).uniform(26, 78, 5000)
    fits = [type(truth)().fit(truth.simulate(ages, seed=seed)) for seed in range(SETS)]
    covered = pd.DataFrame([holds(model, truth.params_) for model in fits]).mean()
    assert covered.between(0.89, 0.99).all(), covered


def test_intervals_of_spend_parameters_cover_the_truth() -> None:
    truth, rows = {"p": 4.0, "q": 4.0, "v": 40.0}, []
    for seed in range(SETS):
        rng = np.random.default_rng(seed)
        x = rng.geometric(0.3, 3000)
        nu = rng.gamma(truth["q"], 1 / truth["v"], x.size)
        spend = pd.DataFrame({"frequency": x, "monetary_value": rng.gamma(truth["p"] * x) / nu / x})
        rows.append(holds(GammaGammaModel().fit(spend), truth))
    assert pd.DataFrame(rows).mean().between(0.89, 0.99).all()


def test_the_pit_of_holdout_counts_is_uniform() -> None:
    # C3 on 40 sets: at most 2 with a Kolmogorov-Smirnov p below .01 (binomial: more has probability .008)
    truth, small = TRUTHS[0], 0
    for seed in range(40):
        summary = truth.simulate(np.full(1500, 39.0), seed=seed, horizon=39.0)
        counts = summary["holdout_frequency"].to_numpy()
        n = np.arange(counts.max() + 1)
        pmf = BetaGeoModel().fit(summary).purchase_count_pmf(summary, n, 39.0).to_numpy()
        own = np.arange(counts.size), counts
        u = np.cumsum(pmf, axis=1)[own] - np.random.default_rng([seed, 5]).random(counts.size) * pmf[own]
        small += kstest(u, "uniform").pvalue < 0.01
    assert small <= 2
