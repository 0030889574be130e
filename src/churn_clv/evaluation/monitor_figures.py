"""Has the model aged? Its promise beside what happened, and its scores on both days."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from churn_clv.evaluation.ageing import Limits, ratio_limits
from churn_clv.evaluation.figure_style import ACTUAL, MODEL, QUIET, RIVAL, percents, plain, sheet, style
from churn_clv.evaluation.labels import Unit, day, rounded
from churn_clv.evaluation.promises import KeptPromise

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BAND = "#dcebf5"


def promise_figure(kept: KeptPromise, limits: Limits, unit: Unit, elapsed_days: int) -> Figure:
    """Draw actual / expected with its limits, and promised beside realised risk.

    Parameters
    ----------
    kept
        From `evaluation.promises.judge_promise`.
    elapsed_days
        The days that the promise was about.
    """
    with style():
        figure = sheet("Was the promise kept?", 3.9)
        left, right = figure.subplots(1, 2, width_ratios=[1, 1.15])
        _ratios(left, kept, limits, unit)
        _reliability(right, kept.by_risk, elapsed_days)
    return figure


def _ratios(axes: Axes, kept: KeptPromise, limits: Limits, unit: Unit) -> None:
    names = {"no_purchase": "customers\nwithout a\npurchase", "purchases": "purchases", "spend": unit.noun}
    shown = [name for name in names if name in kept.totals.index]
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.8}
    for y, name in enumerate(shown):
        low, high = ratio_limits(name, kept, limits)
        axes.barh(y, high - low, 0.5, left=low, color=BAND, label="kept" if y == 0 else None)
        row = kept.totals.loc[name]
        error = [[row["actual_to_expected"] - row["low"]], [row["high"] - row["actual_to_expected"]]]
        label = "happened, 95 % interval" if y == 0 else None
        axes.errorbar(
            row["actual_to_expected"], y, xerr=np.nan_to_num(error), fmt="o", color=ACTUAL, capsize=3, label=label
        )
        text = f"{row['actual_to_expected']:.2f}"
        axes.annotate(text, (row["actual_to_expected"], y), (0, 9), textcoords="offset points", ha="center", bbox=box)
    axes.axvline(1, color=QUIET, linewidth=1, linestyle="--")
    axes.set_yticks(range(len(shown)), [plain(names[name]) for name in shown])
    axes.set(ylim=(len(shown) - 0.4, -0.6), xlabel="actual / expected (1: as promised)")
    axes.set_title("Totals")
    axes.grid(False, axis="y")
    axes.legend(loc="upper center", bbox_to_anchor=(0.4, -0.2), ncols=1)


def _reliability(axes: Axes, curve: pd.DataFrame, elapsed_days: int) -> None:
    axes.plot([0, 1], [0, 1], color=QUIET, linewidth=1, linestyle="--", label="as promised")
    error = np.clip([curve["realised"] - curve["low"], curve["high"] - curve["realised"]], 0, None)
    label = f"{len(curve)} groups of about {curve['customers'].median():,.0f}\ncustomers, 95 % intervals"
    dots: dict[str, Any] = {"fmt": "o-", "color": MODEL, "markersize": 4.5, "capsize": 2.5, "linewidth": 1.2}
    axes.errorbar(curve["predicted"], curve["realised"], error, label=label, **dots)
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="promised risk of no purchase")
    axes.set_ylabel(f"share without a purchase\nin the {elapsed_days} days")
    axes.set_title("By promised risk")
    axes.legend(loc="lower right")
    percents(axes)
    percents(axes, "x")


def score_shares(distributions: pd.DataFrame, unit: Unit, days: tuple[date, date], horizon_days: int) -> Figure:
    """Draw how customers spread over risk and expected value on both days.

    Parameters
    ----------
    distributions
        From `churn_clv.monitoring.Monitoring`.
    """
    with style():
        figure = sheet("How the scores spread on both days", 3.8)
        left, right = figure.subplots(1, 2)
        risk, spend = (distributions.loc[name].reset_index() for name in ("churn_probability", "expected_spend"))
        edges = [*risk["low"], 1.0]
        left.stairs(risk["before"], edges, fill=True, color="#c9c9c9", label=day(days[0]))
        left.stairs(risk["after"], edges, color=MODEL, linewidth=1.8, label=day(days[1]))
        left.set(xlim=(0, 1), xlabel=f"risk of no purchase in {horizon_days} days", ylabel="share of customers")
        left.legend(loc="best")
        percents(left, "x")
        _tenths(right, spend, unit, days, horizon_days)
        for axes in (left, right):
            percents(axes)
    return figure


def _tenths(axes: Axes, table: pd.DataFrame, unit: Unit, days: tuple[date, date], horizon_days: int) -> None:
    at, wide = np.arange(len(table)), 0.4
    axes.bar(at - wide / 2, table["before"], wide, color="#c9c9c9", label=day(days[0]))
    axes.bar(at + wide / 2, table["after"], wide, color=MODEL, label=day(days[1]))
    edges = [rounded(float(high), 2) for high in table["high"][:-1]]
    last = f"over {edges[-1]}" if edges else "all"
    axes.set_xticks(
        at, [plain(f"to {edge}") for edge in edges] + [last], rotation=60, ha="right", rotation_mode="anchor"
    )
    name = f"expected {unit.noun}" if unit.has_amount else "expected purchases"
    axes.set(xlabel=plain(f"{name} in {horizon_days} days, {unit.axis}"), ylabel="share of customers")
    axes.grid(False, axis="x")


def drift_figure(drift: pd.DataFrame, names: dict[str, str], limit: float, top: int = 12) -> Figure:
    """Draw the stability index of the columns that changed most, with what chance brings and the limit.

    Parameters
    ----------
    drift
        From `evaluation.feature_drift.feature_drift`; columns that were not judged are left out.
    names
        Columns in plain words.
    """
    judged = drift[drift["compared"] != "nobody"].query("kind != 'calendar'").nlargest(top, "index")[::-1]
    with style():
        figure = sheet("Which columns changed most", max(0.27 * len(judged) + 1.8, 2.8))
        axes = figure.add_subplot()
        at = range(len(judged))
        axes.barh(at, judged["index"], 0.62, color=np.where(judged["alarm"], RIVAL, MODEL))
        axes.plot(
            judged["noise"],
            at,
            "|",
            color=ACTUAL,
            markersize=11,
            markeredgewidth=2,
            label="chance stays under this 999 times of 1,000",
        )
        axes.axvline(limit, color=QUIET, linestyle="--", linewidth=1, label=f"limit {limit:g}")
        axes.set_yticks(at, [plain(names[str(name)]) for name in judged.index])
        axes.set(xlabel="population stability index (0: alike)", ylabel="column", ylim=(-0.7, len(judged) - 0.3))
        axes.grid(False, axis="y")
        axes.legend(loc="upper center", bbox_to_anchor=(0.4, -0.55 / max(0.27 * len(judged), 1)), ncols=2)
    return figure
