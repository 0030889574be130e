"""Simulate data sets, fit each, and count how often the 95 % intervals hold the truth.

    python benchmarks/coverage.py --sets 1000 --customers 5000

Also prints the mean and standard deviation of the estimates' z-scores on the log scale, and how often the
randomised probability integral transform (PIT) of holdout counts looks uniform (Kolmogorov-Smirnov p > .01).
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import warnings

import numpy as np
import pandas as pd

from churn_clv.models import BetaGeoModel, GammaGammaModel, ModifiedBetaGeoModel, ParetoNBDModel
from churn_clv.models.purchase_model import PurchaseModel

TRUTHS: list[PurchaseModel] = [
    BetaGeoModel.from_params(r=0.6, alpha=6.0, a=0.8, b=2.5),
    ModifiedBetaGeoModel.from_params(r=0.8, alpha=6.0, a=0.8, b=2.5),
    ParetoNBDModel.from_params(r=0.6, alpha=8.0, s=0.8, beta=12.0),
]
SPEND = {"p": 4.0, "q": 4.0, "v": 40.0}


def purchase_scores(truth: PurchaseModel, customers: int, seed: int) -> pd.Series:
    """Return the z-score of each parameter's logarithm for one simulated data set."""
    ages = np.random.default_rng(seed).uniform(26, 78, customers)
    model = type(truth)().fit(truth.simulate(ages, seed=seed))
    return log_scores(model, pd.Series(truth.params_))


def spend_scores(customers: int, seed: int) -> pd.Series:
    """Return the z-scores of a Gamma-Gamma fit to simulated spend."""
    rng = np.random.default_rng(seed)
    x = rng.geometric(0.3, customers)
    nu = rng.gamma(SPEND["q"], 1 / SPEND["v"], customers)
    frame = pd.DataFrame({"frequency": x, "monetary_value": rng.gamma(SPEND["p"] * x) / nu / x})
    return log_scores(GammaGammaModel().fit(frame), pd.Series(SPEND))


def log_scores(model: PurchaseModel | GammaGammaModel, truth: pd.Series) -> pd.Series:
    """Return (ln estimate - ln truth) / (standard error / estimate)."""
    estimate = pd.Series(model.params_)
    return np.log(estimate / truth) / (model.standard_errors_ / estimate)


def pit_p_value(truth: PurchaseModel, customers: int, seed: int) -> float:
    """Fit, forecast the holdout's counts, and test their randomised PIT for uniformity."""
    from scipy.stats import kstest

    rng = np.random.default_rng(seed)
    summary = truth.simulate(np.full(customers, 39.0), seed=seed, horizon=39.0)
    counts = summary["holdout_frequency"].to_numpy()
    model = type(truth)().fit(summary)
    n = np.arange(counts.max() + 1)
    pmf = model.purchase_count_pmf(summary, n, 39.0).to_numpy()
    up_to = np.cumsum(pmf, axis=1)[np.arange(customers), counts]
    u = up_to - rng.random(customers) * pmf[np.arange(customers), counts]
    return float(kstest(u, "uniform").pvalue)


def report(name: str, scores: pd.DataFrame) -> None:
    """Print coverage and the scores' moments by parameter."""
    known = scores.dropna()
    for parameter in known:
        z = known[parameter]
        print(
            f"{name:22s} {parameter:6s} sets {len(z):5d}  coverage {(z.abs() < 1.959964).mean():.3f}  "
            f"z mean {z.mean():+.2f} sd {z.std():.2f}",
            flush=True,
        )
    if len(known) < len(scores):
        print(f"{name:22s} without standard errors (boundary maxima): {len(scores) - len(known)}")


def main() -> None:
    """Run all models."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=int, default=1000)
    parser.add_argument("--customers", type=int, default=5000)
    parser.add_argument("--pit-sets", type=int, default=200)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    report("GammaGammaModel", pd.DataFrame([spend_scores(options.customers, seed) for seed in range(options.sets)]))
    for truth in TRUTHS:
        name = type(truth).__name__
        # Pareto/NBD integrates numerically: a tenth of the sets takes as long
        sets = options.sets if not isinstance(truth, ParetoNBDModel) else options.sets // 5
        report(name, pd.DataFrame([purchase_scores(truth, options.customers, seed) for seed in range(sets)]))
        if not isinstance(truth, ParetoNBDModel):
            values = np.array([pit_p_value(truth, 2000, seed) for seed in range(options.pit_sets)])
            print(f"{name:22s} PIT uniform (KS p > .01) in {(values > 0.01).mean():.3f} of {values.size} sets")


if __name__ == "__main__":
    main()
