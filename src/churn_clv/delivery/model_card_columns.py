"""The columns that a model reads and the scores that it gives, for its card: unit and plain meaning of each."""

from __future__ import annotations

import re
from typing import NamedTuple

from churn_clv.customer_table import Column, attribute_levels, table_columns
from churn_clv.data.feature_names import BEHAVIOURAL_NAMES, SUMMARY, event_columns
from churn_clv.delivery.markdown import code, plain
from churn_clv.delivery.report_words import TERMS
from churn_clv.evaluation.labels import Unit, feature
from churn_clv.score import FittedModels

# What a name ends or begins with tells its unit; {u}: the currency. The first that fits counts.
_UNITS = (
    (r"event_.+_days_since_last", "days"), (r"event_.+", "events"),
    (r".*(share|trend).*", "share, 0 to 1"), (r".*(ratio|variation|_to_longest_gap)", "ratio"),
    (r"recency|T|.*days_since.*|.*gap_days|tenure_days", "days"), (r"refund_days|monetary_days", "days counted"),
    (r".*per_purchase", "per purchase"), (r".*amount.*|monetary_value|value_to_date", "{u}"),
    (r"frequency|purchases_.*", "purchase days"), (r"distinct_(products|channels).*", "counted"),
)  # fmt: skip
MOST_LEVELS = 12


class Term(NamedTuple):
    """A quantity: what it is called, the column of scores or input that holds it, its unit and meaning."""

    name: str
    column: str
    unit: str
    meaning: str


def input_rows(models: FittedModels, unit: Unit) -> list[list[str]]:
    """Return a row a column of the customer table: name, type, unit, whether a cell may be empty, meaning."""
    first = ["`customer_id`", "text", "", "no", "The customer, one row each. Kept as it is: leading zeros count."]
    own = {*SUMMARY, *BEHAVIOURAL_NAMES, *event_columns(models.settings.event_kinds)}
    rows = [first]
    for column in table_columns(models):
        attribute = column.name not in own
        rows.append([
            code(column.name), column.kind, plain("" if attribute else unit_of(column.name, unit)),
            "yes" if column.may_be_empty else "no", _meaning(column, models, attribute),
        ])  # fmt: skip
    return rows


def level_rows(models: FittedModels) -> list[list[str]]:
    """Return a row a category: its name, how many levels were seen in training, and which, if they are few."""
    return [
        [
            code(name),
            str(len(levels)),
            ", ".join(map(plain, levels)) if len(levels) <= MOST_LEVELS else "too many to list",
        ]
        for name, levels in sorted(attribute_levels(models).items())
    ]


def unit_of(name: str, unit: Unit) -> str:
    """Return the unit of the summary's, of behaviour's and of events' columns.

    >>> [unit_of(name, Unit("EUR")) for name in ("recency", "amount_trend_91_days", "amount_last_91_days", "frequency")]
    ['days', 'share, 0 to 1', 'EUR', 'purchase days']
    """
    return next((words.format(u=unit.axis) for pattern, words in _UNITS if re.fullmatch(pattern, name)), "")


def terms(models: FittedModels, unit: Unit) -> list[Term]:
    """Return the definitions of what goes in and what comes out."""
    meaning = {name.format(n=unit.noun): text.format(n=unit.noun) for name, text in TERMS}
    settings, money = models.settings, unit.axis
    ahead = f" The horizon is {settings.horizon_days} days."
    clv = f" Here over {settings.clv_horizon_days} days at {100 * settings.annual_discount_rate:g} % a year."
    return [
        Term("frequency", "frequency", "purchase days", meaning["frequency"]),
        Term("recency", "recency", "days", meaning["recency"]),
        Term("T", "T", "days", meaning["T"]),
        Term("monetary_value", "monetary_value", money, _monetary_value(models)),
        Term("R", "churn_probability", "probability", meaning["R, churn probability"] + ahead),
        Term("p_alive", "p_alive", "probability", meaning["p_alive"]),
        Term("expected purchases", "expected_purchases", "purchase days", "Purchase days expected in the horizon, risk included."),
        Term("V_act", "value_if_active", money, meaning["V_act, value if active"]),
        Term("V_res", "expected_spend", money, meaning[f"V_res, expected {unit.noun}"]),
        Term("value at risk", "value_at_risk", money, meaning["value at risk"]),
        Term("clv", "clv", money, meaning["CLV"] + clv),
        Term("value to date", "value_to_date", money, f"Net {unit.noun} of all days since the first purchase, refunds taken off."),
        Term("reasons", "reasons", "words", meaning["reasons"]),
    ]  # fmt: skip


def _monetary_value(models: FittedModels) -> str:
    if models.settings.spend_days == "all":
        return "Mean amount of a purchase day, over all purchase days; monetary_days is frequency + 1."
    return (
        "Mean amount of a purchase day, over the days after the first purchase only; 0 for a one-time buyer. monetary_days "
        "is frequency."
    )


_SUMMARY_MEANING = {
    "frequency": "purchase days after the first",
    "recency": "days from the first to the last purchase",
    "T": "days from the first purchase to the day of the table",
    "monetary_value": "mean amount of a purchase day, see the definitions",
    "monetary_days": "the purchase days behind monetary_value",
    "value_to_date": "net amount of all days since the first purchase, refunds taken off",
}


def _meaning(column: Column, models: FittedModels, attribute: bool) -> str:
    if attribute and column.name == models.accounts.cost_to_serve:
        return "cost to serve the customer so far"
    if attribute:
        return (
            "customer attribute, as in training; a category, see below"
            if column.kind == "text"
            else "customer attribute, as in training"
        )
    return plain(_SUMMARY_MEANING.get(column.name) or feature(column.name))
