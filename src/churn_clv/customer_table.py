"""The customer table: what the models read of customers on one day, one row each. It is all that scoring needs.

`churn_clv.score_log` makes it from a log; a warehouse may make it itself.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import NamedTuple

import numpy as np
import pandas as pd

from churn_clv.data.feature_names import BEHAVIOURAL_NAMES, FEATURE_SETS, SUMMARY, event_columns
from churn_clv.errors import InputError, nearest
from churn_clv.models.known import Known
from churn_clv.score import FittedModels, score_known, trained_attributes
from churn_clv.segments.schemes import CLUSTERED

_COUNTS = ("frequency", "recency", "T", "monetary_days")
# Beyond these the models' sums leave what a float can hold.
_MOST_DAYS, _MOST_MONEY = 1e9, 1e15
LONGEST_HORIZON_DAYS = 36_525
# What cuts that were frozen for one horizon say nothing of for another.
_PLACED = ("value_tier", "risk_tier", "segment", "action", "lifecycle_stage", "value_class", "pareto_tier")


class Column(NamedTuple):
    """A column of the table: number or text, and whether a cell may be empty."""

    name: str
    kind: str
    may_be_empty: bool


def table_columns(models: FittedModels) -> list[Column]:
    """Return the columns that a model reads, beside customer_id: the summary, behaviour, events, attributes.

    An attribute or an event may be unknown of a customer, and a customer may be too new for some behaviour; the summary
    is always known.
    """
    events = event_columns(models.settings.event_kinds)
    attributes = trained_attributes(models)
    read = {*models.churn.feature_names, *models.value.feature_names, *CLUSTERED}
    behaviour = [name for name in FEATURE_SETS["rich"] if name in read and name not in SUMMARY]
    levels = attribute_levels(models)
    cost = models.accounts.cost_to_serve
    columns = [Column(name, "number", False) for name in SUMMARY]
    columns += [Column(name, "number", True) for name in (*behaviour, *events)]
    columns += [Column(name, "text" if name in levels else "number", True) for name in attributes]
    return columns + ([] if cost is None else [Column(cost, "number", True)])


def attribute_levels(models: FittedModels) -> dict[str, list[str]]:
    """Return the levels that the models and the clusters learned of each attribute that is a category."""
    found: dict[str, list[str]] = {}
    for trees in (models.churn.trees, *models.value.trees):
        found |= {} if trees is None else trees.categories_
    for clusters in (models.schemes.clusters, models.schemes.map_clusters):
        for column in clusters.columns:
            if column.kind == "level" and column.feature not in found:
                found[column.feature] = [
                    c.level for c in clusters.columns if (c.feature, c.kind) == (column.feature, "level")
                ]
    return found


def score_table(
    models: FittedModels,
    table: pd.DataFrame,
    as_of: date | str,
    horizon_days: int | None = None,
    with_reasons: bool = True,
) -> pd.DataFrame:
    """Score the customers of a table, from `check_table` or `churn_clv.score_log.customer_table`.

    Parameters
    ----------
    as_of
        The day of the table; it stands in the scores.
    horizon_days
        The days to forecast; None is the horizon of the training. Over another one the purchase model carries the
        forecast, and the columns whose cuts were frozen for the training's (tiers, segment, action, lifecycle stage,
        value class, Pareto tier) are empty.
    with_reasons
        False leaves the column reasons out, which takes most of the time where trees are read.

    Returns
    -------
    DataFrame indexed by customer_id with `SCORE_COLUMNS`. Days: recency, T, horizon_days. Currency of the log:
    monetary_value, value_to_date (net, of all days since the first purchase), expected_spend_per_purchase, expected_spend (V_res,
    undiscounted, over the horizon), value_if_active (V_act), value_at_risk (R V_act), clv (discounted, over the CLV
    horizon). Probabilities: p_alive, churn_probability (R). V_res = (1 - R) V_act holds exactly.
    p_alive is the purchase model's own: the churn model corrects R, not p_alive. The segments are those of the grid and
    of `churn_clv.segments.schemes`, by the cuts that the models carry.

    Raises
    ------
    InputError
        If the horizon is not a whole number of days from 1 to 36,525.
    """
    days = models.settings.horizon_days if horizon_days is None else _checked_horizon(horizon_days)
    own = days == models.settings.horizon_days
    models = replace(models, settings=replace(models.settings, horizon_days=days))
    known, attributes = known_from(models, table), attributes_of(models, table)
    contributions = models.churn.contributions(known) if with_reasons else None
    scores = score_known(models, known, contributions, as_of, attributes)
    return scores if own else scores.assign(**dict.fromkeys(_PLACED, None))


def _checked_horizon(horizon_days: int) -> int:
    if horizon_days != int(horizon_days) or not 1 <= horizon_days <= LONGEST_HORIZON_DAYS:
        raise InputError(
            f"horizon_days: {horizon_days} is not a whole number of days from 1 to {LONGEST_HORIZON_DAYS:,}"
        )
    return int(horizon_days)


def attributes_of(models: FittedModels, table: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of a table that are customer attributes, accounts included."""
    taken = {*SUMMARY, *BEHAVIOURAL_NAMES, *event_columns(models.settings.event_kinds)}
    return table[[name for name in table if name not in taken]]


def known_from(models: FittedModels, table: pd.DataFrame) -> Known:
    """Return what the models know of a table's customers."""
    accounts = models.accounts.columns(attributes_of(models, table))
    features = table.drop(columns=[*SUMMARY[1:], *accounts])
    return Known(table[list(SUMMARY)], features, models.purchases, models.spend, models.settings.horizon_days)


def check_table(models: FittedModels, table: pd.DataFrame) -> pd.DataFrame:
    """Return a table from anywhere as the models want it, indexed by customer_id as text; more columns are left out.

    Raises
    ------
    InputError
        Naming the column, how many rows are concerned, and what to do; never a customer.
    """
    wanted = table_columns(models)
    identified = _identified(table)
    _refuse_absent([column.name for column in wanted], identified)
    for column in wanted:
        _check_column(column, identified[column.name])
    _check_summary(identified, models.settings.spend_days)
    numbers = {c.name: identified[c.name].astype(float) for c in wanted if c.kind == "number"}
    texts = {c.name: _text(identified[c.name]) for c in wanted if c.kind == "text"}
    return pd.DataFrame({c.name: numbers.get(c.name, texts.get(c.name)) for c in wanted}, index=identified.index)


def _identified(table: pd.DataFrame) -> pd.DataFrame:
    if "customer_id" in table:
        table = table.set_index("customer_id")
    elif table.index.name != "customer_id":
        raise InputError(f"customer_id: the table has no such column{nearest('customer_id', map(str, table.columns))}")
    if table.columns.has_duplicates:
        twice = sorted(set(map(str, table.columns[table.columns.duplicated()])))
        raise InputError(f"{', '.join(twice)}: the table has the column more than once; keep one")
    ids = table.index
    missing = int(ids.isna().sum()) + int((ids[ids.notna()].astype(str).str.strip() == "").sum())
    if missing:
        raise InputError(
            f"customer_id: {missing:,} of {len(ids):,} rows have none; leave them out, or name the customer"
        )
    if pd.api.types.is_float_dtype(ids.dtype):
        raise InputError("customer_id: the ids are decimal numbers, which lose digits; give them as text")
    text = ids.astype(str)
    if text.has_duplicates:
        rows = int(text.duplicated().sum())
        raise InputError(f"customer_id: {rows:,} of {len(ids):,} rows repeat a customer; the table wants one row each")
    return table.set_axis(text.rename("customer_id"))


def _refuse_absent(wanted: list[str], table: pd.DataFrame) -> None:
    names = list(map(str, table.columns))
    absent = [name for name in wanted if name not in names]
    if absent:
        others = [name for name in names if name not in wanted]
        told = ", ".join(f"{name}{nearest(name, others)}" for name in absent[:5])
        more = f" and {len(absent) - 5} more" if len(absent) > 5 else ""
        raise InputError(
            f"{told}{more}: the model reads {'these columns, which the table has' if len(absent) > 1 else 'this column, which the table has'} "
            "not; what is unknown of a customer may be an empty cell"
        )


def _check_column(column: Column, values: pd.Series) -> None:
    rows = len(values)
    if column.kind == "number":
        if not pd.api.types.is_numeric_dtype(values) and not values.isna().all():
            raise InputError(f"{column.name}: holds {values.dtype}, the model wants numbers")
        infinite = int(np.isinf(values.astype(float)).sum())
        if infinite:
            raise InputError(
                f"{column.name}: {infinite:,} of {rows:,} rows are infinite; give a number or an empty cell"
            )
    empty = int(values.isna().sum())
    if empty and not column.may_be_empty:
        raise InputError(f"{column.name}: {empty:,} of {rows:,} rows are empty; every customer with a purchase has one")


def _check_summary(table: pd.DataFrame, spend_days: str) -> None:
    """Refuse what no history of purchases can be."""
    rows = len(table)
    faults = {name: (table[name] < 0, "negative") for name in _COUNTS}
    faults["recency"] = (
        (table["recency"] < 0) | (table["recency"] > table["T"]), "not between 0 and T (days from first to last purchase)"
    )  # fmt: skip
    for name, (wrong, fault) in faults.items():
        if wrong.any():
            raise InputError(f"{name}: {int(wrong.sum()):,} of {rows:,} rows are {fault}")
    for name in SUMMARY:
        most = _MOST_DAYS if name in _COUNTS else _MOST_MONEY
        vast = int((table[name].abs() > most).sum())
        if vast:
            raise InputError(f"{name}: {vast:,} of {rows:,} rows are beyond {most:,.0f}; check what the column holds")
    for name in ("frequency", "monetary_days"):
        broken = int((table[name] % 1 != 0).sum())
        if broken:
            raise InputError(f"{name}: {broken:,} of {rows:,} rows are no whole numbers; it counts purchase days")
    once = int(((table["frequency"] == 0) != (table["recency"] == 0)).sum())
    if once:
        raise InputError(
            f"recency: {once:,} of {rows:,} rows disagree with frequency: recency is 0 exactly where frequency is 0"
        )
    days = table["frequency"] + (spend_days == "all")
    apart = int((table["monetary_days"] != days).sum())
    if apart:
        meant = "frequency + 1 (all purchase days)" if spend_days == "all" else "frequency (repeat days only)"
        raise InputError(f"monetary_days: {apart:,} of {rows:,} rows are not {meant}, as this model was trained")


def _text(values: pd.Series) -> pd.Series:
    """Categories as text, whatever they came as; empty stays empty."""
    return values.astype("str").where(values.notna(), None)
