"""Fitted models -> one row per customer: the same code in research and in production. It reads no log: see `score_log`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import pandas as pd

from churn_clv.data.contract import Spend, ValueIs
from churn_clv.data.feature_names import BEHAVIOURAL_NAMES, Description, event_columns
from churn_clv.data.windows import DAYS_PER_YEAR
from churn_clv.evaluation.labels import model as model_name
from churn_clv.models.clv import discounted_purchases
from churn_clv.models.gamma_gamma import GammaGammaModel
from churn_clv.models.known import Known
from churn_clv.models.purchase_model import PurchaseModel
from churn_clv.models.reasons import reasons
from churn_clv.models.risk import RiskModel
from churn_clv.models.value import ValueModel
from churn_clv.segments.accounts import Accounts, past_contribution
from churn_clv.segments.grid import Grid, place
from churn_clv.segments.playbook import Playbook
from churn_clv.segments.schemes import LABELS, Schemes, labels

SCORE_COLUMNS = [
    "as_of", "horizon_days", "frequency", "recency", "T", "monetary_value", "value_to_date", "p_alive",
    "expected_purchases", "expected_spend_per_purchase", "expected_spend", "clv", "value_if_active", "value_at_risk",
    "churn_probability", "value_tier", "risk_tier", "segment", "action", *LABELS, "reasons",
]  # fmt: skip


# Scores that are numbers, which a composite value may weight.
SCORED_NUMBERS = (
    "frequency",
    "value_to_date",
    "p_alive",
    "expected_purchases",
    "expected_spend",
    "clv",
    "value_if_active",
)


@dataclass(frozen=True)
class ValueSettings:
    """What the fitted numbers mean: horizons in days, the yearly discount rate, the days behind monetary_value.

    feature_set and event_kinds say which features the trees read. currency: unit of the amounts, empty where none was named.
    value_is: what the amounts are, "revenue", "margin" or "purchases".
    """

    horizon_days: int
    clv_horizon_days: int
    annual_discount_rate: float
    spend_days: Spend
    feature_set: str = "behaviour"
    event_kinds: tuple[str, ...] = ()
    currency: str = ""
    value_is: ValueIs = "revenue"

    @property
    def description(self) -> Description:
        """What is described of the customers that are scored: the segments read behaviour, whatever the trees read."""
        return Description("behaviour" if self.feature_set == "rfm" else self.feature_set, tuple(self.event_kinds))


@dataclass(frozen=True)
class FittedModels:
    """Everything that scores a customer: parameters, cut points and plans, no customer's data.

    spend is None for a log without amounts: every purchase then counts as 1.
    """

    purchases: PurchaseModel
    spend: GammaGammaModel | None
    churn: RiskModel
    value: ValueModel
    grid: Grid
    schemes: Schemes
    playbook: Playbook
    accounts: Accounts
    settings: ValueSettings


def score_known(
    models: FittedModels,
    known: Known,
    contributions: pd.DataFrame | None,
    as_of: date | str,
    attributes: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Score customers of whom the models know `known`; see `churn_clv.customer_table.score_table` for the columns.

    Parameters
    ----------
    contributions
        The churn model's own for these customers; None leaves the column reasons out.
    attributes
        By customer id, accounts included; None where there are none.
    """
    scores = placed(models, known, attributes).assign(as_of=as_of)
    if contributions is None:
        return scores[[name for name in SCORE_COLUMNS if name != "reasons"]]
    inputs, currency = models.churn.tree_inputs(known), models.settings.currency
    told = without_unknown(contributions, inputs, event_columns(models.settings.event_kinds))
    scores["reasons"] = reasons(told, inputs, known.summary, currency=currency, corrected=corrected_model(models))
    return scores[SCORE_COLUMNS]


def without_unknown(contributions: pd.DataFrame, inputs: pd.DataFrame, events: list[str]) -> pd.DataFrame:
    """Leave no reason in the events of customers of whom none is known: unknown is not none. Each row stands for itself."""
    read = [name for name in events if name in inputs.columns]
    if not read:
        return contributions
    known = inputs[read].notna().any(axis=1)
    return contributions.assign(**{name: contributions[name].where(known, 0.0) for name in read})


def placed(models: FittedModels, known: Known, attributes: pd.DataFrame | None) -> pd.DataFrame:
    """Score the customers and give each a cell of the grid and a segment of every scheme."""
    scores = value_and_risk(models.churn, models.value, models.settings, known)
    horizon_days = models.settings.horizon_days
    to_date = known.summary["value_to_date"]
    scores = scores.join(place(models.grid, scores, models.playbook)).join(to_date).assign(horizon_days=horizon_days)
    margin_rate = 1.0 if models.settings.value_is == "margin" else models.playbook.margin_rate
    earned = past_contribution(models.accounts, to_date, attributes, margin_rate)
    return scores.join(labels(models.schemes, scores, known.features, earned))


def corrected_model(models: FittedModels) -> str:
    """Return the name of the purchase model whose forecast the trees correct; empty where they correct none."""
    trees = models.churn.trees
    return model_name(models.purchases) if trees is not None and trees.start == "offset" else ""


def trained_attributes(models: FittedModels) -> list[str]:
    """Return the names of the customer attributes that the models and the segments were trained with."""
    events = event_columns(models.settings.event_kinds)
    read = dict.fromkeys([*models.churn.feature_names, *models.value.feature_names, *models.schemes.attributes])
    return [name for name in read if name not in BEHAVIOURAL_NAMES and name not in events]


def value_and_risk(churn: RiskModel, value_model: ValueModel, settings: ValueSettings, known: Known) -> pd.DataFrame:
    """Combine the models into value and risk of each customer, before any grid.

    The purchase and spend models say what an active customer is worth; the risk model says how likely activity is.
    Purchases, spend and CLV carry its P(active), so that all of them agree with the risk shown.
    """
    summary = known.summary
    risk = churn.predict_probability(known)
    value = value_model.forecast(known, risk)
    scores = summary[["frequency", "recency", "T", "monetary_value"]].copy()
    scores["p_alive"] = known.purchases.probability_alive(summary)
    scores["churn_probability"] = risk
    scores["expected_purchases"] = (1 - risk) * known.purchases_if_active
    scores["expected_spend_per_purchase"] = value["value_if_active"] / known.purchases_if_active
    scores["value_if_active"] = value["value_if_active"]
    scores["expected_spend"] = value["expected_spend"]
    scores["value_at_risk"] = risk * value["value_if_active"]
    discounted = discounted_purchases(
        known.purchases, summary, horizon=settings.clv_horizon_days,
        annual_discount_rate=settings.annual_discount_rate, periods_per_year=DAYS_PER_YEAR,
    )  # fmt: skip
    # The purchase model's CLV, scaled as its spend in the horizon was. Where that is 0, nothing is expected beyond it either.
    own = known.own_spend.clip(lower=1e-12 * known.spend_per_purchase)
    scores["clv"] = known.spend_per_purchase * discounted * scores["expected_spend"] / own
    return scores
