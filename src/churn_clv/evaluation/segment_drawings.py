"""Every figure of a run's segments by name: which of its frames each is drawn from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from itertools import pairwise
from typing import TYPE_CHECKING

import pandas as pd

from churn_clv.evaluation import cohort_figures, movement_figures, segment_figures
from churn_clv.evaluation.figures import unit_of
from churn_clv.evaluation.shown import shown_cohorts, shown_groups, shown_profile
from churn_clv.segments.concentration import concentration_curve
from churn_clv.segments.lifecycle import STAGES
from churn_clv.segments.migration import flows, migration_matrix

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from churn_clv.train import Run


def segment_figures_of(run: Run) -> dict[str, Figure]:
    """Draw every figure of a run's segments.

    Returns
    -------
    Mapping of name -> figure. What a log without amounts cannot have is left out: `segments_not_drawn` says which and why.
    """
    missing = segments_not_drawn(run)
    return {name: draw(run) for name, draw in SEGMENT_DRAWINGS.items() if name not in missing}


def segments_not_drawn(run: Run) -> dict[str, str]:
    """Say which figures of its segments a run cannot have, and why."""
    reasons, cohorts = {}, shown_cohorts(run)
    if not unit_of(run).has_amount:
        reasons["budget"] = (
            "The log has no amounts, so nobody can say what a contact costs and earns: no figure of the budget."
        )
    elif not shown_groups(run, run.segmentation.budgets["segment"])["contacted"].notna().any():
        reasons["budget"] = "Every cell has too few customers to contact to be shown: no figure of the budget."
    if cohorts.activity.empty:
        reasons["retention"] = "Every cohort has too few customers to be shown: no figure of who bought again."
    if cohorts.calibration.empty:
        reasons["cohort_calibration"] = (
            "Every cohort has too few customers to be shown: no figure of the cohorts' forecasts."
        )
    return reasons


def stage_flows(run: Run) -> tuple[list[pd.DataFrame], list[date]]:
    """Return the flows between lifecycle stages from day to day, and the days, the last of them calibration_end."""
    placed = run.segmentation.placements
    stages = [placement.scores["lifecycle_stage"] for placement in placed]
    steps = [flows(before, after, STAGES) for before, after in pairwise(stages)]
    return steps, [placement.day for placement in placed]


def last_migration(run: Run) -> tuple[pd.DataFrame, date, date]:
    """Return the migration between the cells of the grid over the last period before calibration_end, and its days."""
    before, after = run.segmentation.placements[-2:]
    matrix = migration_matrix(before.scores["segment"], after.scores["segment"], cells(run))
    return matrix, before.day, after.day


def cells(run: Run) -> list[str]:
    """Return the names of the grid's cells: the highest value first, and within it the lowest risk."""
    grid, names = run.judged_models.grid, run.judged_grid["segment"]
    return [str(names[risk, value]) for value in reversed(grid.value_tiers) for risk in grid.risk_tiers]


def curves(run: Run) -> dict[str, pd.DataFrame]:
    """Return the concentration curves of what was expected of the judged customers, what they brought, and CLV today."""
    noun = unit_of(run).noun
    return {
        f"expected {noun}": concentration_curve(run.segmentation.placements[-1].scores["expected_spend"]),
        f"realised {noun} in the holdout": concentration_curve(run.segmentation.placements[-1].scores["spend"]),
        "CLV of today's customers": concentration_curve(run.scores["clv"]),
    }


def _rfm(run: Run) -> Figure:
    judged, smallest = run.segmentation.placements[-1].scores, run.config.privacy.smallest_group
    return segment_figures.rfm_figure(judged, unit_of(run), run.windows.horizon_days, smallest)


def _lifecycle_flow(run: Run) -> Figure:
    steps, days = stage_flows(run)
    return movement_figures.lifecycle_flow(steps, STAGES, *days, smallest=run.config.privacy.smallest_group)


def _outcomes_lifecycle(run: Run) -> Figure:
    table = shown_groups(run, run.segmentation.outcomes["lifecycle_stage"])
    return segment_figures.segment_outcomes(table[table["customers"] > 0], "lifecycle stage", unit_of(run))


def _pareto(run: Run) -> Figure:
    return segment_figures.pareto_curve(curves(run), unit_of(run))


def _cluster_profile(run: Run) -> Figure:
    return segment_figures.cluster_profile(*shown_profile(run, "cluster"))


def _migration(run: Run) -> Figure:
    return movement_figures.migration_figure(*last_migration(run), cells(run), run.config.privacy.smallest_group)


def _budget(run: Run) -> Figure:
    table = shown_groups(run, run.segmentation.budgets["segment"])
    return segment_figures.budget_figure(table[table["contacted"].notna()], unit_of(run))


def _retention(run: Run) -> Figure:
    cohorts = shown_cohorts(run)
    return cohort_figures.retention_heatmap(cohorts.activity, cohorts.period)


def _cohort_calibration(run: Run) -> Figure:
    cohorts = shown_cohorts(run)
    return cohort_figures.cohort_forecasts(cohorts.calibration, cohorts.period, unit_of(run), run.windows.horizon_days)


SEGMENT_DRAWINGS: Mapping[str, Callable[[Run], Figure]] = {
    "rfm": _rfm,
    "lifecycle_flow": _lifecycle_flow,
    "outcomes_lifecycle": _outcomes_lifecycle,
    "pareto": _pareto,
    "cluster_profile": _cluster_profile,
    "migration": _migration,
    "budget": _budget,
    "retention": _retention,
    "cohort_calibration": _cohort_calibration,
}
