"""The tables of the segments' page: budgets and plans, what the members of each segment did, clusters, quality."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from churn_clv.delivery.report_tables import WITHHELD, Cell, Table, count_cell, in_order, range_cell, share_cell
from churn_clv.evaluation.labels import Unit, day, feature, percent, rounded
from churn_clv.evaluation.segment_figures import feature_words
from churn_clv.evaluation.shown import shown_groups, shown_profile, shown_quality
from churn_clv.segments.playbook import NO_CONTACT
from churn_clv.segments.schemes import in_order as scheme_order
from churn_clv.segments.small_groups import CONTACTS, withheld_words

if TYPE_CHECKING:
    from churn_clv.train import Run

# What a segment of each scheme is called, and the scheme as a whole.
SEGMENT_OF = {
    "pareto_tier": "Pareto tier", "lifecycle_stage": "lifecycle stage", "rfm_segment": "RFM segment",
    "value_class": "value class", "cluster": "cluster", "map_cluster": "cluster of the map",
}  # fmt: skip
SCHEME = {
    "segment": "value-by-risk grid", "rfm_segment": "RFM segments", "lifecycle_stage": "lifecycle stages",
    "value_class": "value classes", "pareto_tier": "Pareto tiers", "cluster": "clusters by k-means",
    "map_cluster": "clusters by a self-organising map",
}  # fmt: skip
MOST_FEATURES = 3
_SIDE = r"(?:above|at most) [-+.e\d]+"
_ASKED = re.compile(rf"(\S+) ({_SIDE})(?: and ({_SIDE}))?")
_COUNTED = re.compile(r"frequency|purchases_last_\d+_days|event_.*_(count|days)")


def grid_budget(run: Run, unit: Unit) -> Table:
    """Return what is done for the customers of each cell, by which channel, and what that is expected to cost and earn."""
    whole, grid = run.segmentation.budgets["segment"], run.models.grid
    budget, customers, groups = shown_groups(run, whole), shown_groups(run, run.production_grid), []
    for tier in reversed(grid.value_tiers):
        cells = in_order(customers, [tier], grid.risk_tiers)
        rows = [_cell_row(run, key, cell, budget, unit) for key, cell in cells]
        groups.append((f"Value {tier}", rows))
    everybody = whole.sum(min_count=1)
    if 0 < everybody["contacted"] < run.config.privacy.smallest_group:
        everybody = everybody.mask(everybody.index.isin(CONTACTS))
    total = [Cell("All customers"), count_cell(everybody["customers"]), share_cell(1.0), Cell("")]
    groups.append(("Total", [total + _money(everybody, unit)]))
    head = ["Cell", "Customers", "Share", "What to do (channel)", *_money_heads(unit)]
    what = "Whom to contact" if unit.has_amount else "What to do"
    caption = f"{what}, by cell of the grid: customers as of {day(run.windows.score_as_of)}"
    return Table(caption, head, groups)


def scheme_budget(run: Run, scheme: str, unit: Unit) -> Table:
    """Return the plan of each segment of a scheme that has customers, and what is spent on them."""
    plans = run.models.playbook.plans(scheme)
    whole = run.segmentation.budgets[scheme].reindex(_named(run, scheme)).dropna(subset="customers")
    budget = shown_groups(run, whole)
    rows = [
        [
            Cell(titled(str(name))), count_cell(row["customers"]), share_cell(row["customers"] / whole["customers"].sum()),
            share_cell(row["value_share"]), Cell(_planned(*plans.loc[str(name), ["action", "channel"]])), *_money(row, unit),
        ]
        for name, row in budget.iterrows()
    ]  # fmt: skip
    head = [
        titled(SEGMENT_OF[scheme]), "Customers", "Share", f"Share of expected {unit.noun}",
        "Plan for those whom no cell contacts (channel)" if unit.has_amount else "What to do (channel)", *_money_heads(unit, "Contacted by their cell"),
    ]  # fmt: skip
    note = _notes(run, without_customers(list(budget.index), _named(run, scheme)), budget)
    plan = "Plan and budget" if unit.has_amount else "Plan"
    return Table(f"{plan} by {SEGMENT_OF[scheme]}", head, [("", rows)], note)


def outcome_table(run: Run, scheme: str, unit: Unit) -> Table:
    """Return what was forecast of the members of each segment and what they did; segments without members are named."""
    table = run.segmentation.outcomes[scheme]
    held = shown_groups(run, table)[table["customers"] > 0]
    rows = [
        [
            Cell(titled(str(name))), count_cell(row["customers"]), share_cell(row["share"]), share_cell(row["churn_probability"]),
            share_cell(row["realised_churn"]),
            range_cell(100 * row["realised_churn_low"], 100 * row["realised_churn_high"], " %"),
            number(row["expected_spend"]), number(row["realised_spend"]),
            range_cell(row["realised_spend_low"], row["realised_spend_high"]),
        ]
        for name, row in held.iterrows()
    ]  # fmt: skip
    head = [
        titled(SEGMENT_OF[scheme]), "Customers then", "Share", "Predicted churn", "Realised churn", "95 % interval",
        in_unit(f"Expected {unit.noun}", unit), in_unit(f"Realised {unit.noun}", unit), "95 % interval",
    ]  # fmt: skip
    windows = run.windows
    caption = (
        f"{titled(SCHEME[scheme])}: what was forecast on {day(windows.calibration_end)}, and what happened in the "
        f"{windows.horizon_days} days after it (means a customer)"
    )
    return Table(caption, head, [("", rows)], _notes(run, without_customers(list(held.index), list(table.index)), held))


def cluster_table(run: Run, scheme: str, unit: Unit) -> Table:
    """Return what sets each cluster apart, the rules that find it, and what is spent on it."""
    found = run.segmentation
    whole = found.budgets[scheme]
    profile, budget, everyone = found.profiles[scheme], shown_groups(run, whole), whole["customers"].sum()
    described, rows = shown_profile(run, scheme)[1].index, []
    for name, row in profile.iterrows():
        spent = budget.loc[name] if name in budget.index else whole.sum() * 0
        told = [Cell(_distinguished(found.differences[scheme], str(name))), Cell(rule_words(row["rules"]))]
        if not (spent["customers"] >= 0 and name in described):
            told = [Cell(WITHHELD), Cell(WITHHELD)]
        counts = [count_cell(spent["customers"]), share_cell(spent["customers"] / everyone)]
        rows.append(
            [
                Cell(titled(str(name))),
                *counts,
                *told,
                share_cell(row["found"] if name in described else np.nan),
                *_money(spent, unit)[:2],
            ]
        )
    head = ["Cluster", "Customers", "Share", "What sets it apart: mean (everyone's mean)", "Rules that find it",
            "Share its rules find", *_money_heads(unit)[:2]]  # fmt: skip
    caption = (
        f"The {SCHEME[scheme]}: customers as of {day(run.windows.score_as_of)}, highest expected {unit.noun} first"
    )
    return Table(caption, head, [("", rows)], _notes(run, "", budget))


def quality_table(run: Run, unit: Unit) -> Table:
    """Return how well every scheme tells customers apart, stays and can be described."""
    head = [
        "View", "Segments", "Largest segment", f"Differences in {unit.noun} explained", "Differences in churn explained",
        "Customers in the same segment a period later", "The same beyond chance (kappa; 1 is all)",
        "Customers whose segment three questions tell", "Customers in segments of at least 1 %",
    ]  # fmt: skip
    rows = [
        [
            Cell(titled(SCHEME[str(name)])), count_cell(row["segments"]), share_cell(row["largest_share"]),
            share_cell(row["spend_epsilon2"], 1), share_cell(row["churn_epsilon2"], 1), share_cell(row["stayed"]),
            number(row["kappa"], 2), share_cell(row["tree_accuracy"]), share_cell(row["in_reachable"]),
        ]
        for name, row in shown_quality(run).iterrows()
    ]  # fmt: skip
    return Table("Every view judged alike, on the same customers and what they did in the holdout", head, [("", rows)])


def values_table(run: Run) -> Table | None:
    """Return how the other values of customers are distributed; None where none was given."""
    values = run.segmentation.other_values
    if values.empty or not len(values.columns):
        return None
    rows = [[Cell(words), *_spread(values[name], name)] for name, words in VALUES.items() if name in values]
    head = ["Value", "Customers with it", "Lowest tenth below", "Median", "Highest tenth above"]
    return Table("Other values of the customers, as the settings name them", head, [("", rows)])


VALUES = {
    "share_of_wallet": "Share of wallet: part of what a customer spends in the category that is spent here",
    "composite_value": "Composite value, in standard deviations from the average customer",
}


def in_unit(name: str, unit: Unit) -> str:
    """Return a head with the unit of its amounts; purchases are their own.

    Examples
    --------
    >>> in_unit("Expected spend", Unit("USD")), in_unit("Expected purchases", Unit(None, "purchases"))
    ('Expected spend (USD)', 'Expected purchases')
    """
    return f"{name} ({unit.axis})" if unit.has_amount else name


def without_customers(held: list[str], names: list[str]) -> str:
    """Name the segments of a scheme that nobody is in."""
    nobody = [str(name) for name in names if name not in held and name != "unknown"]
    return f"Nobody is in: {', '.join(nobody)}." if nobody else ""


def _notes(run: Run, nobody: str, shown: pd.DataFrame) -> str:
    """Say which segments nobody is in, and which are left out."""
    return " ".join(words for words in (nobody, withheld_words(shown, run.config.privacy.smallest_group)) if words)


def rule_words(rules: str) -> str:
    """Speak of features in plain words in the rules of a tree: shares in percent, counts in whole numbers.

    Examples
    --------
    >>> rule_words("frequency above 0.5 and at most 5.5 and silence_share at most 0.4; mean_amount above 26.38")
    'repeat purchases 1 or more and at most 5 and share of time silent at most 40 %, or mean amount of a purchase above 26.4'
    """
    return ", or ".join(_ASKED.sub(_in_words, rule) for rule in rules.split("; "))


def _in_words(asked: re.Match[str]) -> str:
    name, *sides = asked.groups()
    told = [_bound(name, *side.rsplit(" ", 1)) for side in sides if side]
    return f"{plain_feature(name)} {' and '.join(told)}"


def _bound(name: str, side: str, threshold: str) -> str:
    value = float(threshold)
    if name.endswith("_share"):
        return f"{side} {percent(value)}"
    if _COUNTED.fullmatch(name) and value % 1 == 0.5:
        most = "0" if value < 1 else f"at most {np.floor(value):.0f}"
        return f"{np.ceil(value):.0f} or more" if side == "above" else most
    return f"{side} {rounded(value)}"


def plain_feature(name: str) -> str:
    """Return a feature as a marketer says it."""
    return "share of time silent" if name == "silence_share" else feature(name)


def number(value: float, decimals: int | None = None) -> Cell:
    """Return a number to three digits, at most two decimals, or to so many; a dash where there is none."""
    if not np.isfinite(value):
        return Cell("–", right=True)  # noqa: RUF001 (typography)
    text = f"{value:.{decimals}f}" if decimals is not None else rounded(value)
    if decimals is None and 0 < abs(value) < 1:
        text = f"{value:.2f}" if abs(value) >= 0.005 else "under 0.01"
    return Cell(text, float(value))


def _cell_row(run: Run, key: tuple[str, str], cell: pd.Series, budget: pd.DataFrame, unit: Unit) -> list[Cell]:
    risk, value = key
    plan = run.models.playbook.plan_for(value, risk)
    spent = budget.loc[plan.segment] if plan.segment in budget.index else budget.sum() * 0
    about = [Cell(f"{cell['segment']} (risk {risk})"), count_cell(cell["customers"]), share_cell(cell["share"])]
    return [*about, Cell(_planned(plan.action, plan.channel)), *_money(spent, unit)]


def _money_heads(unit: Unit, contacted: str = "Contacted") -> list[str]:
    if not unit.has_amount:
        return []
    return [
        contacted, f"Budget: expected outlay ({unit.axis})", f"Expected profit ({unit.axis})",
        f"Budget a customer ({unit.axis})",
    ]  # fmt: skip


def _money(row: pd.Series, unit: Unit) -> list[Cell]:
    if not unit.has_amount:
        return []
    a_customer = row["outlay"] / row["customers"] if row["customers"] > 0 else np.nan
    return [count_cell(row["contacted"]), number(row["outlay"]), number(row["contact_profit"]), number(a_customer)]


def _planned(action: str, channel: str) -> str:
    return f"{action} ({'no contact' if channel == NO_CONTACT else channel})"


def titled(name: str) -> str:
    """Return a name as it stands at the beginning of a cell or sentence."""
    return name[:1].upper() + name[1:]


def _named(run: Run, scheme: str) -> list[str]:
    return scheme_order(scheme, run.models.schemes)


def _distinguished(differences: pd.DataFrame, cluster: str) -> str:
    own = differences[(differences["cluster"] == cluster) & (differences["difference"] != 0)]
    return (
        "; ".join(_said(row) for _, row in own.drop_duplicates("feature").head(MOST_FEATURES).iterrows())
        or "like everyone"
    )


def _said(row: pd.Series) -> str:
    name, level = row["feature"], row["level"]
    words = feature_words(name, level) if level else plain_feature(name)
    mean, everyone = (
        percent(row[column]) if level or name.endswith("_share") else number(row[column]).text
        for column in ("mean", "everyone")
    )
    return f"{words} {mean} ({everyone})"


def _spread(values: pd.Series, name: str) -> list[Cell]:
    known = values.dropna()
    ends = [float(known.quantile(share)) for share in (0.1, 0.5, 0.9)]
    told = [share_cell(end) if name == "share_of_wallet" else number(end, 2) for end in ends]
    return [count_cell(len(known)), *told]
