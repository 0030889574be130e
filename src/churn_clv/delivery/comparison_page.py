"""Several runs as one self-contained HTML page and a picture."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from churn_clv.delivery.atomic import whole_file
from churn_clv.delivery.compare import (
    SHOWN,
    ComparedRun,
    apart,
    comparison_of,
    differences,
    figures_of,
    judged_metrics,
    paired_sentences,
)
from churn_clv.delivery.report import moment, picture, rendered
from churn_clv.delivery.report_tables import Cell, Table
from churn_clv.delivery.report_words import METRICS, TASKS, MetricWords
from churn_clv.evaluation.figure_style import style
from churn_clv.evaluation.run_figures import runs_side_by_side

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEGEND = "*: better than every other run by more than the error of the difference, errors taken as independent."
ALTERNATIVE = "One panel a metric; in each, one dot a run with a bar of 1.96 standard errors to each side. The same figures stand in the table below."


def write_comparison_page(runs: Sequence[ComparedRun], folder: Path) -> list[Path]:
    """Write comparison.html and comparison.png into a folder, which is made if need be, and return their paths.

    Raises
    ------
    InputError
        If the folder cannot be written.
    """
    figure = comparison_figure(runs)
    page = render_comparison(runs, figure, datetime.now(UTC))
    html, png = folder / "comparison.html", folder / "comparison.png"
    whole_file(html, lambda partial: partial.write_text(page, encoding="utf-8"))
    with style():
        whole_file(png, lambda partial: figure.savefig(partial, format="png", dpi=130, metadata={"Software": None}))
    return [html, png]


def comparison_figure(runs: Sequence[ComparedRun]) -> Figure:
    """Draw the metrics that are printed and have a standard error."""
    shown = [name for name in SHOWN if name in judged_metrics(runs)]
    where = "Judged on " + "; ".join(dict.fromkeys(run.judged_on for run in runs))
    note = apart(runs) and "Judged on different data: the runs cannot be compared."
    return runs_side_by_side({_title(name): figures_of(runs, name) for name in shown}, note or f"{where}. Bars: 1.96 standard errors.")  # fmt: skip


def render_comparison(runs: Sequence[ComparedRun], figure: Figure, when: datetime) -> str:
    """Return the page as HTML; it needs no network, and names are escaped."""
    return rendered("comparison.html.j2", {
        "runs": runs, "generated_at": moment(when), "apart": apart(runs), "legend": LEGEND,
        "paired": paired_sentences(runs),
        "figures": _table("Figures on the holdout, with bootstrap standard errors", "Metric", comparison_of(runs, judged_metrics(runs)), True),
        "others": _table("Other figures", "Figure", comparison_of(runs, [name for name in SHOWN if name not in judged_metrics(runs)]), False),
        "settings": _table("Settings in which the runs differ", "Setting", differences(runs), False),
        "pictures": [picture(figure, "Each run's figures and 1.96 standard errors to each side.", ALTERNATIVE)],
    })  # fmt: skip


def _table(caption: str, first: str, frame: pd.DataFrame, named: bool) -> Table:
    rows = [
        [Cell(_named(str(name)) if named else str(name)), *(Cell(str(text), right=named) for text in row)]
        for name, row in zip(frame.index, frame.to_numpy(), strict=True)
    ]
    return Table(caption, [first, *map(str, frame.columns)], [("", rows)])


def _named(metric: str) -> str:
    """A metric in words, with how to read it."""
    task, _, name = metric.partition("/")
    words = METRICS.get((task, name), MetricWords(name.replace("_", " "), ""))
    reading = f" ({words.reading})" if words.reading else ""
    return f"{TASKS.get(task, task)}: {words.name}{reading}"


def _title(metric: str) -> str:
    return metric.replace("/", ": ").replace("_", " ")
