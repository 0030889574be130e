"""An experiment as one self-contained HTML page: the question, what each variant changed, and every figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import pandas as pd

from churn_clv.delivery.report import moment, picture, rendered
from churn_clv.delivery.report_tables import Cell, Table
from churn_clv.delivery.report_words import METRICS, TASKS, MetricWords

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ALTERNATIVE = "One panel a metric; in each, one dot a variant and log with its 95 % interval. The same figures stand in the tables below."
EXPLAINED = {"spend_explained": "spend explained by the cells", "churn_explained": "churn explained by the cells"}


def render_experiment(
    name: str, question: str, reference: str, effects: pd.DataFrame, comparisons: Mapping[str, pd.DataFrame],
    sentences: Sequence[str], figure: Figure, when: datetime,
) -> str:  # fmt: skip
    """Return the page; it needs no network, and names are escaped.

    Parameters
    ----------
    effects
        Indexed by (log, variant, task, metric); see `churn_clv.evaluation.effects`.
    comparisons
        Log -> one row a metric, one column a variant, as text.
    """
    return rendered("experiment_page.html.j2", {
        "name": name, "question": question, "reference": reference, "generated_at": moment(when), "sentences": sentences,
        "pictures": [picture(figure, f"Gains over {reference} with 95 % intervals.", ALTERNATIVE)],
        "effects": [_effects(str(log), rows.droplevel("log")) for log, rows in effects.groupby(level="log", sort=False)],
        "metrics": [_metrics(log, table) for log, table in comparisons.items()],
    })  # fmt: skip


def _effects(log: str, rows: pd.DataFrame) -> Table:
    groups = []
    for variant, own in rows.groupby(level="variant", sort=False):
        groups.append((str(variant), [_effect(str(t), str(m), row) for (_, t, m), row in own.iterrows()]))
    head = ["Metric", "This variant", "Compared with", "Gain", "95 % interval", "Smallest visible", "In words"]
    return Table(f"{log}: what each variant changed", head, groups)


def _effect(task: str, metric: str, row: pd.Series) -> list[Cell]:
    words = METRICS.get((task, metric), MetricWords(EXPLAINED.get(metric, metric.replace("_", " ")), "")).name
    interval = f"{row['gain_low']:+z.4f} to {row['gain_high']:+z.4f}"
    numbers = [Cell(f"{row[c]:,.4f}", float(row[c])) for c in ("value", "reference")]
    return [
        Cell(f"{TASKS.get(task, 'Grid')}: {words}"), *numbers, Cell(f"{row['gain']:+z.4f}", float(row["gain"])),
        Cell(interval if row["paired"] else f"{interval}, not paired", right=True),
        Cell(f"{row['smallest_visible']:.4f}", float(row["smallest_visible"])), Cell(str(row["decision"])),
    ]  # fmt: skip


def _metrics(log: str, table: pd.DataFrame) -> Table:
    rows = [
        [Cell(str(name)), *(Cell(str(text), right=True) for text in row)]
        for name, row in zip(table.index, table.to_numpy(), strict=True)
    ]
    return Table(
        f"{log}: figures on the holdout, with bootstrap standard errors",
        ["Metric", *map(str, table.columns)],
        [("", rows)],
    )
