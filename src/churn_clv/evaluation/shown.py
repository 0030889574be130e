"""What of a run's groups of customers its pages, figures and tables show: none of fewer than `privacy.smallest_group`."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from churn_clv.segments.small_groups import CONTACTS, withheld, withheld_moves, without_small_groups

# The divisions whose segments are sums of the grid's cells.
AXES = ("value_tier", "risk_tier")
# What is computed of the sizes of a scheme's segments, or, as the skill of a tree, from the largest of them.
SIZES = ("smallest_share", "largest_share", "effective_segments", "tree_skill", "reachable", "in_reachable")

if TYPE_CHECKING:
    from churn_clv.contractual import ContractualRun
    from churn_clv.segmentation import Cohorts
    from churn_clv.train import Run


def shown_groups(run: Run | ContractualRun, table: pd.DataFrame) -> pd.DataFrame:
    """Return a table of groups without the numbers of those that are left out; see `without_small_groups`."""
    return without_small_groups(table, run.config.privacy.smallest_group)


def shown_moves(run: Run, counts: pd.DataFrame) -> pd.DataFrame:
    """Return a table of counts with what is left out missing; see `withheld_moves`."""
    hidden = withheld_moves(counts, run.config.privacy.smallest_group)
    return counts.astype(float).mask(hidden) if hidden.to_numpy().any() else counts


def margins_are_shown(run: Run, grid: pd.DataFrame) -> bool:
    """Whether every cell of a grid is shown, so that the sums of its rows and columns may be."""
    return bool(shown_groups(run, grid)["customers"].notna().all())


def shown_budgets(run: Run) -> dict[str, pd.DataFrame]:
    """Return the budgets without what is left out: with the sums of its rows and columns, cells of the grid could be found.

    Where a cell is left out there are no budgets by tier, and where those to be contacted in a cell are, the budgets by tier
    have nothing of contacts.
    """
    budgets = {name: shown_groups(run, table) for name, table in run.segmentation.budgets.items()}
    if not margins_are_shown(run, run.production_grid):
        return {name: table for name, table in budgets.items() if name not in AXES}
    cells = run.segmentation.budgets["segment"]["contacted"]
    if budgets["segment"]["contacted"].notna().equals(cells.notna()):
        return budgets
    return budgets | {axis: budgets[axis].assign(**dict.fromkeys(CONTACTS, np.nan)) for axis in AXES}


def shown_quality(run: Run) -> pd.DataFrame:
    """Return how the schemes were judged, without figures from which the size of a segment that is left out follows."""
    found, smallest = run.segmentation.quality.drop(columns="missing_ids"), run.config.privacy.smallest_group
    left = [withheld(run.judged[str(scheme)].value_counts(), smallest).any() for scheme in found.index]
    return found.assign(**{name: found[name].mask(left) for name in SIZES}) if any(left) else found


def shown_cohorts(run: Run) -> Cohorts:
    """Return the cohorts without those that are left out, and without money of few customers.

    The table keeps every cohort, those left out without numbers.
    """
    cohorts, smallest = run.segmentation.cohorts, run.config.privacy.smallest_group
    activity = _of_shown(cohorts.activity, cohorts.activity["customers"].groupby(level="cohort").first(), smallest)
    few = activity.groupby(level="cohort")["active"].transform(lambda active: withheld(active, smallest)).astype(bool)
    if few.any():
        activity = activity.assign(**{name: activity[name].astype(float).mask(few) for name in ("purchases", "spend")})
    calibration, fit = (_of_shown(table, table["customers"], smallest) for table in (cohorts.calibration, cohorts.fit))
    payback = None if cohorts.payback is None else _of_shown(cohorts.payback, cohorts.payback["customers"], smallest)
    table = shown_groups(run, cohorts.table)
    return replace(cohorts, activity=activity, table=table, calibration=calibration, fit=fit, payback=payback)


def _of_shown(table: pd.DataFrame, customers: pd.Series, smallest: int) -> pd.DataFrame:
    """The rows of a table, which has a level `cohort`, whose cohort is shown."""
    left = customers.index[withheld(customers, smallest)]
    return table[~table.index.get_level_values("cohort").isin(left)]


def shown_changes(run: Run, changes: pd.DataFrame) -> pd.DataFrame:
    """Return what changed about those who moved, but of moves that are left out; nothing where those who stayed are.

    A feature that few of them have is left out, too.
    """
    smallest = run.config.privacy.smallest_group
    movers = changes.groupby("move")["movers"].max()
    left = withheld_ways(run, pd.concat([movers, pd.Series({"stayed": changes["stayers"].max()})]))
    if left["stayed"]:
        return changes.head(0)
    enough = (changes["movers"] >= smallest) & (changes["stayers"] >= smallest)
    return changes[enough & ~changes["move"].isin(left.index[left])]


def withheld_ways(run: Run, customers: pd.Series) -> pd.Series:
    """Return which of the customers who moved up, moved down or stayed are left out."""
    return withheld(customers, run.config.privacy.smallest_group)


def shown_profile(run: Run, scheme: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the differences and the descriptions of the clusters, but of those that are left out."""
    found = run.segmentation
    profile = shown_groups(run, found.profiles[scheme])
    left = profile.index[profile["customers"].isna()]
    differences = found.differences[scheme]
    return differences[~differences["cluster"].isin(left)], profile.drop(index=left)


def shown_acceptance(run: Run) -> pd.DataFrame:
    """Return the acceptance list of the judged grid, its words without the figures of cells that are left out."""
    found = run.segmentation.acceptance
    left = run.judged_grid.index[shown_groups(run, run.judged_grid)["customers"].isna()]
    names = [rf"risk {re.escape(risk)}, value {re.escape(value)} " for risk, value in left]
    if not names:
        return found
    told = found.assign(words=[_without(words, names) for words in found["words"]])
    return told.assign(figure=told["figure"].mask(told.index == "effective_cells"))


def _without(words: str, names: list[str]) -> str:
    """The parts of a sentence that name none of some cells, and how many do."""
    parts = words.split("; ")
    kept = [part for part in parts if not any(re.search(name, part) for name in names)]
    more = len(parts) - len(kept)
    return "; ".join([*kept, *([f"{more} about cells that are not shown"] if more else [])])


def tenths_are_shown(run: Run | ContractualRun, customers: int) -> bool:
    """Whether a tenth of so many customers is enough to be shown."""
    return customers >= 10 * run.config.privacy.smallest_group
