"""How good the forecasts were: calibration, gain, deciles, and what the churn model looks at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from churn_clv.evaluation.figure_style import (
    ACTUAL,
    MODEL,
    QUIET,
    RIVAL,
    percents,
    plain,
    sheet,
    style,
    thousands,
)
from churn_clv.evaluation.labels import Unit, feature, percent, rounded

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def reliability(curve: pd.DataFrame, risk: pd.Series, base_rate: float, horizon_days: int | None) -> Figure:
    """Draw predicted against realised churn, with the customers behind it.

    Parameters
    ----------
    curve
        From `calibration_curve`.
    risk
        Every customer's predicted probability, for the histogram.
    base_rate
        Share of all customers who bought nothing, or left.
    horizon_days
        How far the risk looks ahead; None for contracts, where customers leave instead of buying nothing.
    """
    outcome = "bought nothing\nin the holdout" if horizon_days else "left"
    event = f"no purchase in {horizon_days} days" if horizon_days else "leaving"
    with style():
        figure = sheet("Are the churn probabilities right?", 5.2)
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3.2, 1])
        above.plot([0, 1], [0, 1], color=QUIET, linewidth=1, linestyle="--", label="perfect")
        above.axhline(base_rate, color=RIVAL, linewidth=1.2, linestyle=":")
        text = f"all customers: {percent(base_rate)}"
        above.annotate(text, (0, base_rate), (2, 4), textcoords="offset points", va="bottom")
        error = np.clip([curve["realised"] - curve["low"], curve["high"] - curve["realised"]], 0, None)
        label = f"this run, {len(curve)} groups of about {curve['customers'].median():,.0f} customers, 95 % intervals"
        dots = {"fmt": "o-", "color": MODEL, "markersize": 4.5, "capsize": 2.5, "linewidth": 1.2}
        above.errorbar(curve["predicted"], curve["realised"], error, label=label, **dots)
        above.set(ylim=(0, 1.02), xlim=(0, 1), ylabel=f"share that {outcome}")
        above.legend(loc="lower right")
        below.hist(risk, bins=np.linspace(0, 1, 41).tolist(), color=MODEL, edgecolor="white", linewidth=0.5)
        below.set(xlabel=f"predicted probability of {event}", ylabel="customers")
        percents(above)
        percents(below, "x")
        thousands(below)
    return figure


def gain(curve: pd.DataFrame, best: pd.DataFrame, table: pd.DataFrame, unit: Unit, horizon_days: int) -> Figure:
    """Draw which share of the holdout's spend the best forecasts hold, and spend by tenth of customers.

    Parameters
    ----------
    curve, best
        From `gain_curve`, ordered by the forecast and by the outcome itself.
    table
        From `deciles`.
    """
    with style():
        figure = sheet(f"Does the forecast find the customers who bring the {unit.noun}?", 3.9)
        left, right = figure.subplots(1, 2)
        left.plot(best["customers"], best["total"], color=QUIET, linewidth=1.2, linestyle="--", label="perfect order")
        left.plot(curve["customers"], curve["total"], color=MODEL, label="by this run's forecast")
        left.plot([0, 1], [0, 1], color=QUIET, linewidth=1, linestyle=":", label="at random")
        tenth = float(np.interp(0.1, curve["customers"], curve["total"]))
        left.plot([0.1], [tenth], "o", color=MODEL, markersize=5)
        text = f"best tenth: {percent(tenth)}"
        left.annotate(text, (0.1, tenth), (9, -11), textcoords="offset points", backgroundcolor="white")
        left.set(
            xlabel="share of customers, best forecast first", ylabel=f"share of the holdout's {unit.noun}", xlim=(0, 1)
        )
        left.set_ylim(min(0.0, float(curve["total"].min())), max(1.02, float(best["total"].max()) + 0.02))
        left.legend(loc="lower right")
        percents(left)
        percents(left, "x")
        _decile_bars(right, table, unit, horizon_days)
    return figure


def importances(shares: pd.Series, corrects: bool = True, top: int = 12) -> Figure:
    """Draw each feature's share of what the churn model's trees gain.

    Parameters
    ----------
    shares
        Feature -> share of the total split gain, largest first.
    corrects
        Whether the trees start from the purchase model's forecast and correct it.
    """
    beyond = " beyond the purchase model" if corrects else ""
    shown = shares.head(top)[::-1]
    with style():
        figure = sheet(f"What the churn model looks at{beyond}", max(0.27 * len(shown) + 1.2, 2.2))
        axes = figure.add_subplot()
        axes.barh(range(len(shown)), shown.to_numpy(), color=MODEL, height=0.7)
        axes.set_yticks(range(len(shown)), [plain(feature(str(name))) for name in shown.index])
        for y, share in enumerate(shown):
            axes.annotate(percent(share), (share, y), (4, 0), textcoords="offset points", va="center", fontsize=9)
        axes.set(xlabel="share of the trees' total gain", ylabel="feature", xlim=(0, 1.12 * float(shown.max())))
        axes.grid(False, axis="y")
        percents(axes, "x")
    return figure


def _decile_bars(axes: Axes, table: pd.DataFrame, unit: Unit, horizon_days: int) -> None:
    x, wide = table.index.to_numpy(float), 0.4
    error = [table["actual"] - table["low"], table["high"] - table["actual"]]
    axes.bar(x - wide / 2, table["actual"], wide, color=ACTUAL, label="actual, 95 % intervals")
    axes.errorbar(x - wide / 2, table["actual"], error, fmt="none", ecolor=QUIET, capsize=2, linewidth=1)
    axes.bar(x + wide / 2, table["expected"], wide, color="#9ecae1", edgecolor=MODEL, linewidth=0.6, label="expected")
    best = table.iloc[0]
    if np.isfinite(best["lift"]):
        axes.annotate(f"{rounded(best['lift'], 2)} times the mean", (1, max(best["high"], best["expected"])), (2, 3),
                      textcoords="offset points", ha="left", va="bottom")  # fmt: skip
    axes.margins(y=0.14)
    axes.set_ylim(bottom=min(0.0, float(table[["low", "actual", "expected"]].min().min())))
    axes.set_xticks(table.index.tolist())
    axes.set_xlabel("tenth of customers, best forecast first")
    axes.set_ylabel(plain(f"mean {unit.noun} a customer,\n{unit.axis} in {horizon_days} days"))
    axes.legend(loc="upper right", bbox_to_anchor=(1, 0.9))
    axes.grid(False, axis="x")
    thousands(axes)
