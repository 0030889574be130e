"""Rolling origins as a picture: how much each method gained on the reference, origin by origin and on the mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from churn_clv.evaluation.figure_style import MODEL, QUIET, sheet, style
from churn_clv.evaluation.judgement import DIRECTION
from churn_clv.evaluation.labels import shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN = {"churn": ("log_loss", "log loss, nats a customer"), "value": ("normalised_gini", "normalised Gini")}


def gains(
    figures: Mapping[str, pd.DataFrame],
    summaries: Mapping[str, pd.DataFrame],
    references: Mapping[str, str],
    apart: Sequence[object],
    names: Mapping[str, str],
) -> Figure:
    """Draw the gain of every method over a reference: dots are origins, bars the mean with its 95 % interval.

    Calibrated methods are left out: they are compared with themselves, not with the reference.

    Parameters
    ----------
    figures, summaries
        Task -> one row an origin, columns (metric, method); and what `over_origins` made of it.
    references
        Task -> the method the others are compared with.
    apart
        Origins whose holdouts do not overlap; the others are drawn hollow and count in no interval.
    """
    tasks = [task for task in SHOWN if task in figures]
    rows = max(len(_methods(figures[t], t, references[t])) for t in tasks)
    with style():
        figure = sheet("How much better than the simplest method, origin by origin?", 2.1 + 0.32 * rows, width=9.6)
        for axis, task in zip(figure.subplots(1, len(tasks), squeeze=False)[0], tasks, strict=True):
            _panel(axis, task, figures[task], summaries[task], references[task], apart, names)
        against = ", ".join(dict.fromkeys(names.get(references[t], references[t]) for t in tasks))
        note = f"Against {against}. Dots: origins (hollow: overlapping another, not counted). Bars: mean gain and its 95 % interval. Right is better."
        figure.supxlabel(note, x=0.01, ha="left", fontsize=8.5, color=QUIET)
        return figure


def _methods(figures: pd.DataFrame, task: str, reference: str) -> list[str]:
    return [m for m in figures[SHOWN[task][0]].columns if m != reference and not str(m).endswith("_calibrated")]


def _panel(
    axis: Axes,
    task: str,
    figures: pd.DataFrame,
    summary: pd.DataFrame,
    reference: str,
    apart: Sequence[object],
    names: Mapping[str, str],
) -> None:
    metric, unit = SHOWN[task]
    methods = _methods(figures, task, reference)[::-1]
    gain = DIRECTION[metric] * figures[metric].sub(figures[(metric, reference)], axis=0)
    independent = figures.index.isin(list(apart))
    for place, method in enumerate(methods):
        for rows, inside in ((independent, QUIET), (~independent, "white")):
            axis.plot(gain.loc[rows, method], [place] * int(rows.sum()), "o", markersize=4.5, zorder=3,
                      markerfacecolor=inside, markeredgecolor=QUIET)  # fmt: skip
        row = summary.loc[(metric, method)]
        axis.plot([row["gain_low"], row["gain_high"]], [place, place], color=MODEL, linewidth=2.2)
        axis.plot(row["gain"], place, "|", color=MODEL, markersize=13, markeredgewidth=2.4)
    axis.set_ylim(-0.8, len(methods) - 0.2)
    axis.axvline(0, color=QUIET, linewidth=1, linestyle="--")
    axis.set_yticks(range(len(methods)), [shorten(names.get(m, m)) for m in methods])
    axis.set(title=task.capitalize(), xlabel=f"gain in {unit}")
    axis.grid(axis="y", visible=False)
