"""The segments over time, in tables: who moved and what changed about them, and the customers by when they were won."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from churn_clv.delivery.report_tables import Cell, Table, count_cell, share_cell
from churn_clv.delivery.segment_tables import in_unit, number, titled
from churn_clv.evaluation.labels import Unit, day, feature, rounded
from churn_clv.evaluation.shown import shown_changes, shown_groups, withheld_ways
from churn_clv.segments.migration import moves, stability
from churn_clv.segments.small_groups import in_words, withheld_words

if TYPE_CHECKING:
    from churn_clv.segmentation import Movement
    from churn_clv.train import Run

LARGE_ENOUGH = 0.2  # Cohen's small effect
MOST_FEATURES = 3
# Age is the same news for everybody, and silence as a share of it repeats the silence in days.
UNTOLD = ("tenure_days", "silence_share")
MOVES = {
    ("value_tier", "up"): "Up to a higher value tier", ("value_tier", "down"): "Down to a lower value tier",
    ("risk_tier", "down"): "Down to a lower risk tier", ("risk_tier", "up"): "Up to a higher risk tier",
}  # fmt: skip


def movement_table(run: Run) -> Table:
    """Return for each period who stayed, who moved along value and risk, and what changed about them."""
    groups = [
        (_period(movement, run.config.privacy.smallest_group), _moved(run, movement))
        for movement in run.segmentation.movements
    ]
    head = ["Move", "Customers", "Share", "What changed about them (those who stayed in their tier in brackets), mean"]
    note = (
        "Named are the features whose change differs most from that of those who stayed, at most "
        f"{MOST_FEATURES} of them. What changed along with a move need not have caused it. The counts from cell to cell are "
        "in segments/migration_*.csv."
    )
    return Table("Who moved between the cells of the grid: the same models and cuts on every day", head, groups, note)


def cohort_table(run: Run, unit: Unit) -> Table:
    """Return the customers by when they were won: how many bought again, what they brought and are expected to bring."""
    cohorts, settings = run.segmentation.cohorts, run.models.settings
    table = shown_groups(run, cohorts.table)
    named = {"week": "Week of the first purchase (its Monday)"}.get(
        cohorts.period, f"{cohorts.period} of the first purchase"
    )
    money = [
        in_unit(f"{titled(unit.noun)} so far", unit), in_unit(f"Expected {unit.noun}, {settings.horizon_days} days", unit),
        f"CLV, {settings.clv_horizon_days} days ({unit.axis})",
    ]  # fmt: skip
    rows = [
        [
            Cell(str(name)), count_cell(row["customers"]), share_cell(row["bought_again"]),
            number(row["cumulative_spend"]), number(row["expected_spend"]), number(row["clv"]),
        ]
        for name, row in table.iterrows()
    ]  # fmt: skip
    caption = f"Customers by when they were won, means a customer, as of {day(run.windows.score_as_of)}"
    left = withheld_words(table, run.config.privacy.smallest_group)
    return Table(caption, [titled(named), "Customers", "Bought again", *money], [("", rows)], left)


def changes_words(changes: pd.DataFrame, move: str) -> str:
    """Name the features whose change sets the movers most apart from those who stayed, with both changes.

    Parameters
    ----------
    changes
        From `churn_clv.segments.migration.what_changed`.
    move
        "up" or "down".
    """
    own = changes[(changes["move"] == move) & ~changes["feature"].isin(UNTOLD)]
    telling = own[own["difference"].abs() >= LARGE_ENOUGH].head(MOST_FEATURES)
    told = [
        f"{feature(str(row['feature']))} {_signed(row['mean_change_movers'])} ({_signed(row['mean_change_stayers'])})"
        for _, row in telling.iterrows()
    ]
    if told:
        return "; ".join(told)
    return "too few to say" if own["difference"].isna().all() else "nothing that stands out from those who stayed"


def _moved(run: Run, movement: Movement) -> list[list[Cell]]:
    before, after = movement.before.scores, movement.after.scores
    steady = stability(before["segment"], after["segment"])
    stayed = [Cell("Stayed in their cell"), count_cell(round(steady.stayed * steady.customers) if steady.customers else 0),
              share_cell(steady.stayed), Cell("")]  # fmt: skip
    grid, rows = run.judged_models.grid, [stayed]
    for (axis, move), words in MOVES.items():
        order = grid.value_tiers if axis == "value_tier" else grid.risk_tiers
        made = moves(before[axis], after[axis], order)["move"].value_counts()
        count = int(made.get(move, 0))
        if withheld_ways(run, made.reindex(["up", "down", "stayed"], fill_value=0))[move]:
            rows.append([Cell(words), count_cell(np.nan), share_cell(np.nan), Cell("too few customers to be shown")])
        elif len(order) > 1:
            why = changes_words(shown_changes(run, movement.changes[axis]), move) if count else "nobody"
            share = count / steady.customers if steady.customers else np.nan
            rows.append([Cell(words), count_cell(count), share_cell(share, 1), Cell(why)])
    return rows


def _period(movement: Movement, smallest: int) -> str:
    steady = stability(movement.before.scores["segment"], movement.after.scores["segment"])
    return (
        f"{day(movement.before.day)} to {day(movement.after.day)}: {steady.customers:,} customers on both days, "
        f"{in_words(steady.new, smallest)} new, {in_words(steady.gone, smallest)} no longer placed"
    )


def _signed(change: float) -> str:
    text = rounded(change) if abs(change) >= 1 or change == 0 else f"{change:z.2f}"
    return f"+{text}" if change > 0 else text.replace("-", "\N{MINUS SIGN}")
