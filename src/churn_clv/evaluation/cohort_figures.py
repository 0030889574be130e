"""Acquisition cohorts as pictures: who bought again in which period, and whether the forecasts held for each cohort."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from churn_clv.data.cohorts import Period
from churn_clv.evaluation.cohort_calibration import INSIDE, OUTSIDE, TOO_FEW
from churn_clv.evaluation.figure_style import (
    ACTUAL,
    MODEL,
    QUIET,
    RIVAL,
    ink_on,
    percents,
    plain,
    sheet,
    style,
    thousands,
)
from churn_clv.evaluation.grid_figures import foot
from churn_clv.evaluation.labels import Unit
from churn_clv.segments.retention import retention

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_WRITTEN = 12  # ages; with more of them there is no room for a number of nine points in a cell
TALL_ROW, LOW_ROW = 0.27, 0.2
# Verdict -> face, edge and legend of the forecast's mark.
MARKS: Mapping[str, tuple[str, str, str]] = MappingProxyType(
    {
        INSIDE: ("white", MODEL, "forecast, inside the interval"),
        OUTSIDE: (RIVAL, MODEL, "forecast, outside the interval"),
        TOO_FEW: ("#e3e3e3", QUIET, "forecast, too few buyers to tell"),
    }
)


def retention_heatmap(activity: pd.DataFrame, period: Period) -> Figure:
    """Draw the share of each cohort that bought in each period after its acquisition, with the cohorts' sizes.

    Cells that the day of the log cuts are hatched, those that lie in the future are blank; age 0, in which every
    customer bought, is left out.

    Parameters
    ----------
    activity
        From `cohort_activity`.
    """
    share = retention(activity).drop(columns=0)
    begun = activity["active"].unstack("age").notna().reindex(columns=share.columns).to_numpy(bool)
    sizes = activity["customers"].groupby(level="cohort").first()
    with style():
        figure = sheet(f"Which share of each cohort bought again, {period} by {period}?", _height(TALL_ROW, len(share)))
        axes = figure.add_subplot()
        _heat(axes, share, begun, figure)
        _cohorts(axes, sizes, period)
        axes.set_xlabel(f"{period}s since the {period} of the first purchase")
        note = f"Share of a cohort (%) with a purchase in that {period}: who skips one may come back. Hatched: not over yet."
        foot(figure, note)
    return figure


def _height(row: float, rows: int) -> float:
    """The height of a figure, in inches; with few rows its axis label needs it."""
    return max(row * rows + 2.0, 3.6)


def _cohorts(axes: Axes, sizes: pd.Series, period: Period) -> None:
    """Write every cohort with its size on the y axis, the oldest at the top."""
    axes.set_yticks(range(len(sizes)), [plain(f"{cohort} ({n:,})") for cohort, n in sizes.items()])
    axes.set_ylim(len(sizes) - 0.5, -0.5)
    from_monday = ", from Monday" if period == "week" else ""
    axes.set_ylabel(f"{period} of the first purchase{from_monday}\n(customers)")
    axes.tick_params(axis="y", length=0)


def _heat(axes: Axes, share: pd.DataFrame, begun: np.ndarray, figure: Figure) -> None:
    from matplotlib.patches import Rectangle
    from matplotlib.ticker import MaxNLocator

    shares = share.to_numpy(float)
    top = float(np.nan_to_num(shares).max(initial=0.0))
    columns = max(shares.shape[1], 1)
    image = axes.imshow(
        shares if shares.size else np.full((len(share), 1), np.nan), cmap="Blues", vmin=0, vmax=top or 1.0,
        aspect="auto", extent=(0.5, columns + 0.5, len(share) - 0.5, -0.5), interpolation="nearest",
    )  # fmt: skip
    for y, x in np.argwhere(begun & ~np.isfinite(shares)):
        hatched: dict[str, Any] = {"facecolor": "#f2f2f2", "edgecolor": "#a8a8a8", "hatch": "////", "linewidth": 0}
        axes.add_patch(Rectangle((x + 0.5, y - 0.5), 1, 1, **hatched))
    if columns <= MOST_WRITTEN:
        _write(axes, shares, image)
    axes.grid(False)
    axes.tick_params(length=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    bar = figure.colorbar(image, ax=axes, fraction=0.05, pad=0.02)
    bar.outline.set_visible(False)
    bar.ax.set_ylabel("share of the cohort that bought")
    bar.ax.grid(False)
    percents(bar.ax)


def _write(axes: Axes, shares: np.ndarray, image: Any) -> None:
    """Write each share into its cell, in per cent."""
    for (y, x), share in np.ndenumerate(shares):
        if np.isfinite(share):
            ink = ink_on(image.cmap(image.norm(share)))
            axes.text(x + 1, y, f"{100 * share:.0f}", ha="center", va="center", color=ink, fontsize=9)


def cohort_forecasts(table: pd.DataFrame, period: Period, unit: Unit, horizon_days: int) -> Figure:
    """Draw what was forecast for each cohort against what its members did, with 95 % intervals.

    Parameters
    ----------
    table
        From `cohort_calibration`.
    """
    panels = {
        "churn": f"share that bought nothing\nin {horizon_days} days",
        "purchases": f"purchases a customer\nin {horizon_days} days",
        "spend": f"{unit.noun} a customer, {unit.axis}\nin {horizon_days} days",
    }
    if not unit.has_amount:
        del panels["spend"]  # it would be the purchases once more
    return _compared(table, panels, "Did the forecasts hold for every cohort?", period)


def cohort_fits(table: pd.DataFrame, period: Period) -> Figure:
    """Draw the repeat purchases that the purchase model expects of each cohort against those it made.

    Parameters
    ----------
    table
        From `cohort_fit`.
    """
    panels = {"repeats": "repeat purchases a customer, from the first purchase to the end of calibration"}
    return _compared(table, panels, "Does one purchase model fit every cohort?", period)


def _compared(table: pd.DataFrame, panels: dict[str, str], title: str, period: Period) -> Figure:
    with style():
        figure = sheet(title, _height(LOW_ROW, len(table)))
        every = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axes, (name, label) in zip(every, panels.items(), strict=True):
            _panel(axes, table, name)
            axes.set_xlabel(plain(label))
        percents(every[0], "x") if "churn" in panels else None
        _cohorts(every[0], table["customers"], period)
        found = [axes.get_legend_handles_labels() for axes in every]
        handles = {label: handle for some in found for handle, label in zip(*some, strict=True)}
        figure.legend(handles.values(), handles.keys(), loc="outside lower left", ncols=2)
    return figure


def _panel(axes: Axes, table: pd.DataFrame, name: str) -> None:
    ends = ("forecast", "realised", "low", "high")
    forecast, realised, low, high = (table[f"{name}_{end}"].to_numpy(float) for end in ends)
    y, error = np.arange(len(table)), np.nan_to_num(np.clip([realised - low, high - realised], 0, None))
    dots: dict[str, Any] = {"fmt": "o", "color": ACTUAL, "markersize": 4, "capsize": 2, "linewidth": 1.1}
    axes.errorbar(realised, y, xerr=error, label="what happened, 95 % interval", **dots)
    for verdict, (face, edge, label) in MARKS.items():
        rows = (table[f"{name}_verdict"] == verdict).to_numpy()
        if rows.any():
            axes.plot(forecast[rows], y[rows], "D", markersize=5.5, markerfacecolor=face, markeredgecolor=edge,
                      markeredgewidth=1.3, label=label, zorder=3)  # fmt: skip
    axes.grid(False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.locator_params(axis="x", nbins=4)
    thousands(axes, "x")
