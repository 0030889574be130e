"""What each variant of an experiment gained, log by log, with its interval."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from churn_clv.evaluation.figure_style import MODEL, QUIET, RIVAL, sheet, style
from churn_clv.evaluation.labels import shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANELS = {
    ("churn", "log_loss"): "churn: gain in log loss,\nnats a customer",
    ("value", "normalised_gini"): "value: gain in\nnormalised Gini",
    ("grid", "spend_explained"): "grid: gain in variance of\nspend explained",
}


def effects_figure(effects: pd.DataFrame, reference: str) -> Figure:
    """Draw the gain of every variant over the reference, with its 95 % interval.

    Parameters
    ----------
    effects
        Indexed by (log, variant, task, metric), with the columns of `churn_clv.evaluation.effects`.
    reference
        What the variants are compared with, in words.
    """
    shown = [panel for panel in PANELS if panel in set(effects.index.droplevel(["log", "variant"]))]
    rows = list(dict.fromkeys(effects.index.droplevel(["task", "metric"])))
    with style():
        figure = sheet(f"How much better than {reference}?", 2.0 + 0.34 * len(rows), width=9.6)
        axes = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
        for axis, panel in zip(axes, shown, strict=True):
            _panel(axis, effects, panel, rows)
        axes[0].set_yticks(range(len(rows)), [shorten(f"{log}: {variant}") for log, variant in reversed(rows)])
        note = "Dots: gain on the holdout, bars: 95 % interval. Right is better. Blue: better, orange: worse, beyond the error; hollow: no difference seen."
        figure.supxlabel(note, x=0.01, ha="left", fontsize=8.5, color=QUIET)
        return figure


def _panel(axis: Axes, effects: pd.DataFrame, panel: tuple[str, str], rows: list[tuple[str, str]]) -> None:
    for place, key in enumerate(reversed(rows)):
        if (*key, *panel) not in effects.index:
            continue
        row = effects.loc[(*key, *panel)]
        seen = not row["gain_low"] <= 0 <= row["gain_high"]
        colour = QUIET if not seen else MODEL if row["gain"] > 0 else RIVAL
        axis.plot([row["gain_low"], row["gain_high"]], [place, place], color=colour, linewidth=2)
        axis.plot(
            row["gain"], place, "o", markersize=6, markeredgecolor=colour, markerfacecolor=colour if seen else "white"
        )
    axis.axvline(0, color=QUIET, linewidth=1, linestyle="--")
    axis.set_ylim(-0.7, len(rows) - 0.3)
    axis.set_xlabel(PANELS[panel])
    axis.grid(axis="y", visible=False)
    axis.locator_params(axis="x", nbins=5)
