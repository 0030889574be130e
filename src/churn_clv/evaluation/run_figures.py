"""Several runs side by side: every figure with the interval that its standard error gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd

from churn_clv.evaluation.figure_style import MODEL, QUIET, plain, sheet, style
from churn_clv.evaluation.labels import shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 3


def runs_side_by_side(figures: Mapping[str, pd.DataFrame], note: str) -> Figure:
    """Draw one panel a metric: a dot a run, and a bar of 1.96 standard errors to each side.

    Parameters
    ----------
    figures
        Panel title -> one row a run, columns value and standard_error (missing where the metric has none).
    note
        What stands under the panels, such as on what the runs were judged.
    """
    rows = -(-len(figures) // COLUMNS)
    runs = max(len(table) for table in figures.values())
    with style():
        figure = sheet("How good are the runs?", 1.1 + rows * (1.1 + 0.3 * runs), width=10.5)
        panels = figure.subplots(rows, COLUMNS, squeeze=False, sharey=True).ravel()
        for axis, (title, table) in zip(panels, figures.items(), strict=False):
            _panel(axis, title, table)
        for axis in panels[len(figures) :]:
            axis.set_visible(False)
        figure.supxlabel(plain(note), x=0.01, ha="left", fontsize=8.5, color=QUIET)
        return figure


def _panel(axis: Axes, title: str, table: pd.DataFrame) -> None:
    places = range(len(table))
    axis.errorbar(table["value"], places, xerr=1.96 * table["standard_error"].fillna(0.0), fmt="o", color=MODEL,
                  markersize=5, capsize=3, linewidth=1.6)  # fmt: skip
    axis.set_yticks(list(places), [plain(shorten(str(name))) for name in table.index])
    axis.set_ylim(len(table) - 0.4, -0.6)
    axis.set_title(plain(title))
    axis.grid(axis="y", visible=False)
