"""Fitted models -> one row per customer: the same code in research and in production."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from churn_clv.data.features import BEHAVIOUR, features_at, with_attributes
from churn_clv.data.summary import Spend, require_known_customers, summarize
from churn_clv.data.transactions import TransactionLog
from churn_clv.data.windows import DAYS_PER_YEAR
from churn_clv.models.churn import ChurnModel
from churn_clv.models.clv import discounted_purchases
from churn_clv.models.gamma_gamma import GammaGammaModel
from churn_clv.models.purchase_model import PurchaseModel
from churn_clv.segments.grid import Grid, place

SCORE_COLUMNS = [
    "as_of", "horizon_days", "frequency", "recency", "T", "monetary_value", "p_alive", "expected_purchases",
    "expected_spend_per_purchase", "expected_spend", "clv", "value_if_active", "value_at_risk", "churn_probability",
    "value_tier", "risk_tier", "segment", "action",
]  # fmt: skip


@dataclass(frozen=True)
class ValueSettings:
    """What the fitted numbers mean: horizons in days, the yearly discount rate, the days behind monetary_value."""

    horizon_days: int
    clv_horizon_days: int
    annual_discount_rate: float
    spend_days: Spend


@dataclass(frozen=True)
class FittedModels:
    """Everything that scores a customer: parameters and cut points, no customer's data.

    spend is None for a log without amounts: every purchase then counts as 1.
    """

    purchases: PurchaseModel
    spend: GammaGammaModel | None
    churn: ChurnModel
    grid: Grid
    settings: ValueSettings


def score(
    models: FittedModels, log: TransactionLog, as_of: date, attributes: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Score every customer who had bought by a day, from what was known on it.

    Parameters
    ----------
    log
        A cleaned log; days after `as_of` are not looked at.
    attributes
        Customer attributes indexed by customer_id, if the churn model was trained with them; None counts them as
        missing.

    Returns
    -------
    DataFrame indexed by customer_id with `SCORE_COLUMNS`. Days: recency, T, horizon_days. Currency of the log:
    monetary_value, expected_spend_per_purchase, expected_spend (V_res, undiscounted, over the horizon),
    value_if_active (V_act), value_at_risk (R V_act), clv (discounted, over the CLV horizon). Probabilities:
    p_alive, churn_probability (R). V_res = (1 - R) V_act holds exactly.
    p_alive is the purchase model's own: the churn model corrects R, not p_alive.
    """
    summary = summarize(log, as_of, models.settings.spend_days)
    require_known_customers(summary, as_of)
    features = with_attributes(features_at(log, [as_of]), attributes).droplevel("cutoff")
    if attributes is None:
        features = features.assign(**dict.fromkeys(trained_attributes(models), float("nan")))
    scores = value_and_risk(models, summary, features)
    scores = scores.join(place(models.grid, scores))
    scores.insert(0, "as_of", as_of)
    scores.insert(1, "horizon_days", models.settings.horizon_days)
    return scores[SCORE_COLUMNS]


def trained_attributes(models: FittedModels) -> list[str]:
    """Return the names of the customer attributes that the churn model was trained with."""
    return [name for name in models.churn.features_ if name not in BEHAVIOUR]


def value_and_risk(models: FittedModels, summary: pd.DataFrame, features: pd.DataFrame) -> pd.DataFrame:
    """Combine the models into value and risk of each customer, before any grid.

    The purchase and spend models say what an active customer is worth; the churn model, which starts from the purchase
    model's own R, says how likely activity is. Purchases, spend and CLV are those of the purchase model
    with its P(active) replaced by the churn model's, so that all of them agree with the risk shown.
    """
    settings = models.settings
    horizon = settings.horizon_days
    own_risk = models.purchases.probability_no_purchase(summary, horizon)
    inputs, offset = churn_inputs(models.purchases, summary, features, horizon)
    risk = models.churn.predict_probability(inputs, offset)
    purchases_if_active = models.purchases.purchases_if_active(summary, horizon)
    spend = expected_spend(models.spend, summary)
    scores = summary[["frequency", "recency", "T", "monetary_value"]].copy()
    scores["p_alive"] = models.purchases.probability_alive(summary)
    scores["churn_probability"] = risk
    scores["expected_purchases"] = (1 - risk) * purchases_if_active
    scores["expected_spend_per_purchase"] = spend
    scores["value_if_active"] = purchases_if_active * spend
    scores["expected_spend"] = (1 - risk) * scores["value_if_active"]
    scores["value_at_risk"] = risk * scores["value_if_active"]
    discounted = discounted_purchases(
        models.purchases, summary, horizon=settings.clv_horizon_days,
        annual_discount_rate=settings.annual_discount_rate, periods_per_year=DAYS_PER_YEAR,
    )  # fmt: skip
    # With P(active) = 0 by the purchase model both factors vanish: nothing is expected beyond the horizon either.
    scores["clv"] = spend * discounted * (1 - risk) / (1 - own_risk).clip(lower=1e-12)
    return scores


def churn_inputs(
    purchases: PurchaseModel, summary: pd.DataFrame, features: pd.DataFrame, horizon_days: int
) -> tuple[pd.DataFrame, pd.Series]:
    """Return what the churn model reads at one cutoff: features with p_alive, and the offset.

    The offset is the purchase model's log-odds of no purchase in the horizon, finite also where the probability
    rounds to 0 or 1. Both are rounded to six decimals and indexed like `features`.
    """
    known = summary.loc[features.index]
    p = purchases.probability_no_purchase(known, horizon_days).clip(1e-12, 1 - 1e-12)
    # Rounded, so that the last digits of a fit, which differ between programs, choose no tree.
    offset = (np.log(p) - np.log1p(-p)).round(6).rename("offset")
    return features.assign(p_alive=purchases.probability_alive(known).round(6)), offset


def expected_spend(spend_model: GammaGammaModel | None, summary: pd.DataFrame) -> pd.Series:
    """Return the expected amount per purchase day; 1 for a log without amounts, so that value counts purchases."""
    if spend_model is None:
        return pd.Series(1.0, index=summary.index, name="expected_spend")
    return spend_model.expected_spend(summary)
