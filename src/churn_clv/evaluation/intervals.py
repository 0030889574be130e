"""Whether prediction intervals for purchase counts hold what they promise on a holdout."""

from __future__ import annotations

import numpy as np
import pandas as pd

from churn_clv.models.purchase_model import PurchaseModel

LEVELS = (0.80, 0.90, 0.95)
DRAWS = 400
MOST_CUSTOMERS = 10_000


def interval_quality(
    model: PurchaseModel, summary: pd.DataFrame, purchases: pd.Series, horizon: float, seed: int
) -> dict[str, float]:
    """Judge the model's predictive distributions of the holdout's purchase counts.

    Every draw takes new parameters from their uncertainty and new purchases from each customer's posterior
    predictive. At most 10,000 customers, drawn at random, are looked at.

    Parameters
    ----------
    summary
        frequency, recency and T at the start of the holdout, in the unit of `horizon`.
    purchases
        Purchase days in the holdout, by customer_id.

    Returns
    -------
    coverage_80, coverage_90, coverage_95: share of customers inside the central interval. Counts are whole numbers, so even
    a right model covers more than its level. width_80, width_90, width_95: mean width of those intervals, in purchases: of
    two models that cover enough, the narrower says more. pit_ks: largest distance between the distribution of the randomised
    probability integral transform and the uniform one, which it is for a right model; pit_ks_noise_95: what a right model
    shows in 95 % of samples of this size.

    References
    ----------
    Czado, Gneiting & Held (2009), Predictive Model Assessment for Count Data, Biometrics 65(4), section 2.1.
    """
    from scipy.stats import kstest, kstwo

    rng = np.random.default_rng(seed)
    chosen = summary.sample(min(len(summary), MOST_CUSTOMERS), random_state=seed)
    actual = purchases.reindex(chosen.index).to_numpy()[:, None]
    models = model.draw_models(DRAWS, rng)
    drawn = np.column_stack([m.sample_purchases(chosen, horizon, 1, seed + k) for k, m in enumerate(models, start=1)])
    result = {}
    for level in LEVELS:
        low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=1, method="inverted_cdf")
        percent = f"{100 * level:.0f}"
        result[f"coverage_{percent}"] = float(((low <= actual[:, 0]) & (actual[:, 0] <= high)).mean())
        result[f"width_{percent}"] = float((high - low).mean())
    below, equal = (drawn < actual).mean(axis=1), (drawn == actual).mean(axis=1)
    pit = below + rng.random(len(chosen)) * equal
    result["pit_ks"] = float(kstest(pit, "uniform").statistic)
    result["pit_ks_noise_95"] = float(kstwo.ppf(0.95, len(chosen)))
    return result
