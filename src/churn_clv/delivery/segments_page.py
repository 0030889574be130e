"""The segments of a run as one self-contained HTML page: whom to contact first, then whether the segments may be trusted.

A page of its own: with their figures the report would be too large for MLflow's artifact view, see `report.picture`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from churn_clv.delivery import grid_verdict, segment_history
from churn_clv.delivery import segment_sentences as sentences
from churn_clv.delivery import segment_tables as tables
from churn_clv.delivery.figure_words import words_of
from churn_clv.delivery.report import Picture, moment, picture, rendered
from churn_clv.delivery.report_words import segment_glossary
from churn_clv.evaluation.figures import unit_of
from churn_clv.evaluation.labels import Unit, day
from churn_clv.evaluation.segment_drawings import segments_not_drawn

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from churn_clv.train import Run

PLANNED = ("pareto_tier", "lifecycle_stage", "rfm_segment", "value_class")
CLUSTERED = ("cluster", "map_cluster")


def render_segments(run: Run, figures: Mapping[str, Figure], *, generated_at: datetime, run_name: str) -> str:
    """Write the segments of a run as one HTML page that needs no network and holds no customer ids.

    Parameters
    ----------
    run
        From `train`.
    figures
        Name -> figure, from `segment_figures_of`.
    generated_at, run_name
        Shown on the page.
    """
    unit = unit_of(run)
    about = {"run_name": run_name, "generated_at": moment(generated_at), "pictures": _pictures(run, figures)}
    return rendered("segments_page.html.j2", about | _actions(run, unit) | _views(run, unit) | _history(run, unit))


def _actions(run: Run, unit: Unit) -> dict[str, Any]:
    return {
        "headline": sentences.headline(run, unit),
        "panel": sentences.panel(run),
        "whom": sentences.whom(run, unit),
        "caution": sentences.caution(run) if unit.has_amount else "",
        "grid_budget": tables.grid_budget(run, unit),
        "not_drawn": list(segments_not_drawn(run).values()) if unit.has_amount else [],
        "lists": sentences.lists(run),
        "budgets": [tables.scheme_budget(run, scheme, unit) for scheme in PLANNED],
        "verdict": grid_verdict.verdict_sentence(run.segmentation.acceptance),
        "acceptance": grid_verdict.acceptance_table(run, unit),
        "portfolio": sentences.portfolio(run, unit),
    }


def _views(run: Run, unit: Unit) -> dict[str, Any]:
    return {
        "outcomes": {scheme: tables.outcome_table(run, scheme, unit) for scheme in run.segmentation.outcomes},
        "young_log": sentences.young_log(run),
        "concentration": sentences.concentration(run),
        "clusters": [tables.cluster_table(run, scheme, unit) for scheme in CLUSTERED],
        "cluster_strength": sentences.cluster_strength(run),
        "quality": tables.quality_table(run, unit),
        "best_views": sentences.best_views(run, unit),
        "restless_rfm": sentences.restless_rfm(run),
        "values": tables.values_table(run),
        "glossary": segment_glossary(unit, run.judged_models.schemes.lifecycle),
        "unit": unit,
    }


def _history(run: Run, unit: Unit) -> dict[str, Any]:
    return {
        "movement_days": sentences.movement_days(run),
        "movement": segment_history.movement_table(run),
        "cohorts": segment_history.cohort_table(run, unit),
        "cohort_words": sentences.cohort_words(run, unit),
        "worth": sentences.worth(run, unit),
        "paid_back": sentences.paid_back(run, unit),
        "scored": day(run.windows.score_as_of),
        "judged_on": day(run.windows.calibration_end),
        "horizon_days": run.windows.horizon_days,
    }


def _pictures(run: Run, figures: Mapping[str, Figure]) -> dict[str, list[Picture]]:
    """Each figure under its own name, as a list that is empty where it was not drawn."""
    from churn_clv.evaluation.segment_drawings import SEGMENT_DRAWINGS

    return {
        name: [picture(figures[name], *words_of(name, run))] if name in figures else [] for name in SEGMENT_DRAWINGS
    }
