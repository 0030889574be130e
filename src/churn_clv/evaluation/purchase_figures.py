"""The purchase model against the purchases: in time, by count, and what it expects of whom."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from churn_clv.evaluation.figure_style import ACTUAL, HEAT, MODEL, QUIET, RIVAL, percents, sheet, style, thousands
from churn_clv.evaluation.labels import day

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def tracking(weeks: pd.DataFrame, calibration_end: date, customers: int, model_name: str) -> Figure:
    """Draw repeat purchases, actual and expected, as a running total and week by week.

    Parameters
    ----------
    weeks
        From `weekly_repeats`.
    """
    with style():
        figure = sheet(f"Repeat purchases of the {customers:,} customers known on {day(calibration_end)}", 5.4)
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=[1.4, 1])
        panels = ((above, "_total", "repeat purchases\nsince the start"), (below, "", "repeat purchases\na week"))
        for axes, suffix, label in panels:
            axes.plot(weeks.index, weeks[f"actual{suffix}"], color=ACTUAL, linewidth=1.4, label="actual")
            axes.plot(
                weeks.index, weeks[f"expected{suffix}"], color=MODEL, linestyle="--", label=f"expected by {model_name}"
            )
            axes.axvline(_x(calibration_end), color=QUIET, linewidth=1)
            axes.set(ylabel=label, ylim=(0, None))
            thousands(axes)
        _name_sides(above, calibration_end)
        above.legend(loc="lower right")
        below.set_xlabel("end of week")
        _dates(below)
    return figure


def frequency_fit(counts: pd.DataFrame, model_name: str) -> Figure:
    """Draw customers by repeat purchases in calibration, actual and by the purchase model.

    Parameters
    ----------
    counts
        From `repeat_counts`.
    """
    with style():
        figure = sheet(f"Does {model_name} reproduce how often customers bought?", 3.7)
        axes = figure.add_subplot()
        x, wide = np.arange(len(counts)), 0.4
        axes.bar(x - wide / 2, counts["actual"], wide, color=ACTUAL, label="actual")
        axes.bar(
            x + wide / 2,
            counts["expected"],
            wide,
            color="#9ecae1",
            edgecolor=MODEL,
            linewidth=0.6,
            label=f"{model_name}, fitted",
        )
        rows = zip(_count_labels(counts.index), counts["actual"], counts["expected"], strict=True)
        axes.set_xticks(x, [f"{name}\n{actual:,.0f}\n{expected:,.0f}" for name, actual, expected in rows])
        axes.set_xlabel(f"repeat purchases in the calibration period; beneath: customers, actual and by {model_name}")
        axes.set_ylabel("customers")
        axes.grid(False, axis="x")
        axes.legend(loc="upper right")
        thousands(axes)
    return figure


def holdout_by_frequency(means: pd.DataFrame, model_name: str, horizon_days: int) -> Figure:
    """Draw mean holdout purchases by calibration frequency: actual, this run, the purchase model alone.

    Parameters
    ----------
    means
        From `means_by_frequency` with the forecasts this_run and purchase_model.
    """
    with style():
        figure = sheet("Purchases in the holdout, by repeat purchases before it", 3.9)
        axes = figure.add_subplot()
        x = np.arange(len(means))
        series = [
            ("actual", "o", "-", ACTUAL, "actual, 95 % intervals"),
            ("this_run", "s", "--", MODEL, "this run"),
            ("purchase_model", "^", ":", RIVAL, f"{model_name} alone"),
        ]
        error = [means["actual"] - means["low"], means["high"] - means["actual"]]
        # The last group gathers several counts: no line leads to it.
        for column, _, line, colour, _ in series:
            axes.plot(x[:-1], means[column].iloc[:-1], line, color=colour, linewidth=1.4)
        axes.errorbar(x, means["actual"], error, fmt="none", ecolor=ACTUAL, capsize=3)
        for column, mark, _, colour, label in series:
            axes.plot(x, means[column], mark, color=colour, markersize=5.5, label=label)
        labels = [f"{c}\nn = {n:,}" for c, n in zip(_count_labels(means.index), means["customers"], strict=True)]
        axes.set_xticks(x, labels)
        axes.set_xlabel("repeat purchases in the calibration period; n customers")
        axes.set(ylabel=f"mean purchases a customer\nin {horizon_days} days", ylim=(0, None))
        axes.legend(loc="upper left")
    return figure


def frequency_recency(states: pd.DataFrame, horizon_days: int, model_name: str) -> Figure:
    """Draw what the purchase model makes of frequency and recency at one age.

    Parameters
    ----------
    states
        frequency, recency, T (days), expected_purchases and p_alive of each possible customer.
    """
    age = states["T"].iloc[0]
    with style():
        figure = sheet(f"{model_name}: customers whose first purchase was {age:,.0f} days ago", 3.9)
        panels = figure.subplots(1, 2, sharey=True)
        named = (("expected_purchases", f"purchases expected in {horizon_days} days"), ("p_alive", "p_alive"))
        for axes, (column, label) in zip(panels, named, strict=True):
            table = states.pivot(index="recency", columns="frequency", values=column)
            top = 1.0 if column == "p_alive" else float(np.nanmax(table.to_numpy()))
            mesh = axes.pcolormesh(
                table.columns, table.index, table, cmap=HEAT, vmin=0, vmax=top, shading="nearest", rasterized=True
            )
            bar = figure.colorbar(mesh, ax=axes, location="top", aspect=30)
            bar.set_label(label)
            bar.ax.grid(False)
            axes.set_xlabel("frequency, repeat purchases")
            axes.xaxis.get_major_locator().set_params(integer=True)
            axes.grid(False)
            if column == "p_alive":
                percents(bar.ax, "x")
        panels[0].set_ylabel("recency, days from first\nto last purchase")
    return figure


def purchase_timing(sample: pd.DataFrame, calibration_end: date) -> Figure:
    """Draw the purchase days of a sample of customers, one line each, without saying who they are.

    Parameters
    ----------
    sample
        From `sample_of_days`.
    """
    lines = int(sample["row"].max()) + 1
    with style():
        figure = sheet(f"When customers buy: {lines} customers drawn at random", 0.06 * lines + 1.6)
        axes = figure.add_subplot()
        first, later = sample[sample["first"]], sample[~sample["first"]]
        spans = sample.groupby("row")["day"].agg(["min", "max"])
        axes.hlines(spans.index, spans["min"], spans["max"], color="#d0d0d0", linewidth=0.8)
        axes.plot(
            first["day"], first["row"], "o", markerfacecolor="white", color=RIVAL, markersize=4, label="first purchase"
        )
        axes.plot(later["day"], later["row"], "o", color=MODEL, markersize=3, label="repeat purchase")
        axes.axvline(_x(calibration_end), color=QUIET, linewidth=1)
        axes.set_ylim(-1.5, lines + 0.5)
        axes.set_yticks([])
        axes.set(ylabel="one line a customer, by first purchase", xlabel="date")
        axes.grid(False, axis="y")
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower right", ncols=2)
        _name_sides(axes, calibration_end)
        _dates(axes)
    return figure


def _name_sides(axes: Axes, calibration_end: date) -> None:
    """Say on top of the axes which side of the line was known and which was not."""
    at = (_x(calibration_end), 1.0)
    for text, shift, side in (("← known", -5, "right"), ("holdout →", 5, "left")):
        axes.annotate(
            text, at, (shift, 2), xycoords=("data", "axes fraction"), textcoords="offset points", ha=side, va="bottom",
            color="#444444",
        )  # fmt: skip


def _x(when: date) -> float:
    """Return where a date stands on an axis of dates."""
    from matplotlib.dates import date2num

    return float(date2num(when))


def _dates(axes: Axes) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=4, maxticks=9)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(
        ConciseDateFormatter(locator, show_offset=False, formats=_FORMATS, zero_formats=_ZERO)
    )


_FORMATS = ["%Y", "%b", "%d %b", "%H:%M", "%H:%M", "%S"]
_ZERO = ["", "%b\n%Y", "%d %b", "%d %b", "%H:%M", "%H:%M"]


def _count_labels(counts: pd.Index) -> list[str]:
    """Name counts; the last stands for itself and more."""
    names = [str(n) for n in counts]
    return [*names[:-1], f"{names[-1]}+"] if len(names) > 7 else names
