"""Segments as pictures: RFM, clusters, what the members of each segment did, and what acting on them may earn."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from churn_clv.evaluation.figure_style import (
    ACTUAL,
    MODEL,
    QUIET,
    RIVAL,
    WIDTH,
    percents,
    plain,
    sheet,
    style,
    thousands,
)
from churn_clv.evaluation.grid_figures import foot
from churn_clv.evaluation.heat_cells import bare, colour_bar, empty_cell, heat_cell, outline, scale
from churn_clv.evaluation.labels import Unit, feature, percent, rounded, shorten
from churn_clv.segments.rfm import REGIONS, SEGMENT_OF
from churn_clv.segments.scaling import MISSING
from churn_clv.segments.small_groups import withheld

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SCORES = range(1, 6)
MOST_FEATURES = 16
PARETO = 0.8
LOOKS: tuple[dict[str, Any], ...] = (
    {"color": ACTUAL, "linestyle": "-"}, {"color": MODEL, "linestyle": "--"}, {"color": RIVAL, "linestyle": "-."},
    {"color": "#009e73", "linestyle": (0, (1, 1))},
)  # fmt: skip


def rfm_figure(placed: pd.DataFrame, unit: Unit, horizon_days: int, smallest: int = 1) -> Figure:
    """Draw the 25 pairs of recency and frequency scores, the named segments outlined, with what their customers did.

    Parameters
    ----------
    placed
        Judged customers: recency_score, frequency_score, and purchases and spend in the holdout.
    smallest
        Cells of fewer customers are left out, and those from which they could be worked out.
    """
    cells = placed.assign(churned=placed["purchases"] == 0).groupby(["recency_score", "frequency_score"])
    table = cells.agg(customers=("churned", "size"), churn=("churned", "mean"), spend=("spend", "mean"))
    left = rfm_withheld(table["customers"], smallest)
    with style():
        figure = sheet(f"RFM segments, and what they did in the {horizon_days} days after", 6.5)
        axes, colours = figure.add_subplot(), scale("Blues", 0, 1, 10)
        titled = {_titled_cell(region, table): name for name, region in REGIONS.items()}
        for pair in SEGMENT_OF:
            name = [f"*{line}" for line in _two_lines(titled[pair])] if pair in titled else []
            if pair not in table.index:
                empty_cell(axes, *pair, [*name, "nobody"])
                continue
            if left[pair]:
                empty_cell(axes, *pair, [*name, "not shown"])
                continue
            cell = table.loc[pair]
            numbers = [
                f"{cell['customers']:,.0f}",
                f"churn {percent(cell['churn'])}",
                f"{unit.noun} {rounded(cell['spend'] if unit.has_amount else round(cell['spend'], 1))}",
            ]
            heat_cell(axes, *pair, colours, cell["churn"], [*name, *numbers])
        for recency, frequency in REGIONS.values():
            outline(axes, recency[0], frequency[0], len(recency), len(frequency))
        _rfm_axes(axes)
        percents(colour_bar(figure, axes, colours, "churn: share that bought nothing"))
        note = f"In each cell: customers, share that bought nothing in {horizon_days} days, mean {unit.noun} a customer"
        money = f" in\n{unit.axis}. " if unit.has_amount else ".\n"
        foot(figure, f"{note}{money}Hatched: nobody, or too few. Scores: fifths of the customers, 5 is best.")
    return figure


def rfm_withheld(customers: pd.Series, smallest: int) -> pd.Series:
    """Return which pairs of scores are left out, where the number of customers of each named segment may be known.

    Parameters
    ----------
    customers
        By recency_score and frequency_score.
    """
    names = pd.Series([SEGMENT_OF[pair] for pair in customers.index], customers.index)
    of_segment = withheld(customers.groupby(names).sum(), smallest)
    inside = customers.groupby(names).transform(lambda members: withheld(members, smallest))
    return inside.astype(bool) | names.map(of_segment)


def cluster_profile(differences: pd.DataFrame, description: pd.DataFrame) -> Figure:
    """Draw how each cluster differs from everyone, feature by feature, the most telling features first.

    Parameters
    ----------
    differences, description
        From `cluster_words.differences` and `cluster_words.describe`.
    """
    clusters, heat = list(description.index), _told_apart(differences)
    most = float(np.clip(heat.abs().to_numpy().max(initial=0), 1, 3))
    shown = heat.reindex(columns=clusters).head(MOST_FEATURES)
    with style():
        figure = sheet(
            "What distinguishes the clusters", max(0.27 * len(shown) + 2.0, 3.6), max(WIDTH, 4.6 + 0.48 * len(clusters))
        )
        axes, colours = figure.add_subplot(), scale("PuOr_r", -most, most, 9)
        for y, (_, row) in enumerate(shown.iterrows()):
            for x, difference in enumerate(row):
                if np.isfinite(difference):
                    heat_cell(axes, x, y, colours, difference, [_signed(difference)])
                else:
                    empty_cell(axes, x, y)
        axes.set(xlim=(-0.5, len(clusters) - 0.5), ylim=(max(len(shown), 1) - 0.5, -0.5))
        axes.set_xticks(range(len(clusters)), _cluster_heads(description))
        axes.set_yticks(range(len(shown)), [plain(name) for name in shown.index])
        axes.xaxis.set_ticks_position("top")
        axes.set_xlabel("cluster, its customers, share of all")
        axes.set_ylabel("what is known of a customer")
        bare(axes)
        colour_bar(figure, axes, colours, "standard deviations from everyone").yaxis.set_major_formatter("{x:+g}")
        foot(figure, _cluster_note(heat))
    return figure


def pareto_curve(curves: Mapping[str, pd.DataFrame], unit: Unit) -> Figure:
    """Draw how few customers bring how much of the value, and where each curve reaches 80 %.

    Parameters
    ----------
    curves
        What is added up, as in "expected spend", to its `concentration_curve`.
    """
    with style():
        figure = sheet(f"How few customers bring how much of the {unit.noun}?", 4.6)
        axes = figure.add_subplot()
        axes.plot([0, 1], [0, 1], color=QUIET, linewidth=1, linestyle=":", label="if all brought the same")
        axes.axhline(PARETO, color=QUIET, linewidth=1, linestyle="--")
        axes.annotate(
            f"{percent(PARETO)} of the {unit.noun}",
            (1, PARETO),
            (-2, -3),
            textcoords="offset points",
            ha="right",
            va="top",
        )
        for (name, curve), look in zip(curves.items(), cycle(LOOKS), strict=False):
            reached = crossing(curve)
            axes.plot(curve["customers_share"], curve["value_share"], label=_pareto_words(name, reached), **look)
            if np.isfinite(reached):
                axes.vlines(reached, 0, PARETO, color=look["color"], linewidth=0.9, linestyle=look["linestyle"])
                axes.plot([reached], [PARETO], "o", color=look["color"], markersize=5)
        highest = max([1.0, *(float(curve["value_share"].fillna(0).max()) for curve in curves.values())])
        axes.set(xlim=(0, 1), ylim=(0, 1.02 * highest))
        axes.set(xlabel="share of customers, those who bring most first", ylabel=f"share of the total {unit.noun}")
        corner = "lower right" if highest < 1.2 else "upper right"  # where no curve runs
        axes.legend(loc=corner, frameon=True, facecolor="white", edgecolor="none", framealpha=0.9)
        percents(axes)
        percents(axes, "x")
    return figure


def segment_outcomes(table: pd.DataFrame, name: str, unit: Unit) -> Figure:
    """Draw realised churn and spend of each segment with intervals, the forecast as a hollow mark beside.

    Parameters
    ----------
    table
        From `segments.outcomes.outcomes_by`.
    name
        What the scheme is called, as in "lifecycle stage".
    """
    with style():
        figure = sheet(f"What each {name} did in the holdout", 0.42 * len(table) + 1.8)
        left, right = figure.subplots(1, 2, sharey=True)
        rows = np.arange(len(table))
        _dots(left, rows, table, "realised_churn", "churn_probability")
        _dots(right, rows, table, "realised_spend", "expected_spend")
        labels = [plain(f"{shorten(str(s), 28)}\n{n:,.0f} customers") for s, n in table["customers"].items()]
        left.set_yticks(rows, labels)
        left.set(ylim=(len(table) - 0.5, -0.5), xlim=(-0.02, 1.02))
        left.set_ylabel(plain(name), labelpad=8)
        left.set_xlabel("share that bought nothing")
        right.set_xlabel(plain(f"mean {unit.noun} a customer, {unit.axis}"))
        right.set_xlim(left=min(0.0, right.get_xlim()[0]))
        percents(left, "x")
        thousands(right, "x")
        handles, told = left.get_legend_handles_labels()
        figure.legend(handles[::-1], told[::-1], loc="outside lower center", ncols=2)
    return figure


def budget_figure(table: pd.DataFrame, unit: Unit) -> Figure:
    """Draw what contacting the customers of each segment is expected to cost and to earn.

    Parameters
    ----------
    table
        From `segments.outreach.budget_table`.
    """
    rows = np.arange(len(table))
    with style():
        figure = sheet("What the contacts are expected to cost and to earn", 0.55 * len(table) + 1.7)
        axes = figure.add_subplot()
        axes.barh(rows - 0.2, table["contact_profit"], 0.36, color=MODEL, label="expected profit, outlay taken off")
        look: dict[str, Any] = {"color": "#f7d59b", "edgecolor": "#8a5a00", "linewidth": 0.7, "hatch": "///"}
        axes.barh(rows + 0.2, table["outlay"], 0.36, label="outlay", **look)
        for y, (_, row) in zip(rows, table.iterrows(), strict=True):
            _bar_numbers(axes, float(y), row)
        told = zip(table.index, table["contacted"], table["customers"], strict=True)
        labels = [plain(f"{shorten(str(s), 28)}\n{contacted:,.0f} of {n:,.0f} contacted") for s, contacted, n in told]
        axes.set_yticks(rows, labels)
        axes.axvline(0, color=QUIET, linewidth=1)
        axes.set(ylim=(max(len(table), 1) - 0.5, -0.5))
        axes.set_ylabel("segment", labelpad=8)
        axes.set_xlabel(plain(f"total of the segment, {unit.axis}"))
        axes.margins(x=0.16)
        axes.grid(False, axis="y")
        thousands(axes, "x")
        figure.legend(loc="outside lower center", ncols=2)
    return figure


def _titled_cell(region: tuple[tuple[int, ...], tuple[int, ...]], table: pd.DataFrame) -> tuple[int, int]:
    """The cell of a region that carries its name: the first from the upper left that has customers, if any has."""
    cells = [(r, f) for f in sorted(region[1], reverse=True) for r in region[0]]
    return next((cell for cell in cells if cell in table.index), cells[0])


def _two_lines(name: str) -> list[str]:
    """A name broken where its halves are most alike in length."""
    words = name.split()
    breaks = [(" ".join(words[:k]), " ".join(words[k:])) for k in range(1, len(words))]
    return [name] if len(name) < 12 or not breaks else list(min(breaks, key=lambda pair: max(map(len, pair))))


def _rfm_axes(axes: Axes) -> None:
    axes.set(xlim=(0.48, 5.52), ylim=(0.48, 5.52))
    axes.set_xticks(SCORES, ["1\nlongest ago", "2", "3", "4", "5\nmost recent"])
    axes.set_yticks(SCORES, ["1\nfewest", "2", "3", "4", "5\nmost"])
    axes.set_xlabel("recency score: how long ago was the last purchase?")
    axes.set_ylabel("frequency score: how many purchases so far?")
    bare(axes)


def _told_apart(differences: pd.DataFrame) -> pd.DataFrame:
    """Feature in words x cluster, the feature that differs most anywhere first."""
    names = [feature_words(*pair) for pair in zip(differences["feature"], differences["level"], strict=True)]
    wide = differences.assign(words=names).pivot_table("difference", "words", "cluster", sort=False)
    return wide.loc[wide.abs().max(axis=1).sort_values(ascending=False, kind="stable").index]


def feature_words(name: str, level: str) -> str:
    """Return a feature, or one level of it, in plain words.

    Examples
    --------
    >>> feature_words("channel", "shop"), feature_words("frequency", MISSING)
    ('channel: shop', 'repeat purchases: unknown')
    """
    words = shorten(feature(name), 44)
    return f"{words}: {'unknown' if level == MISSING else shorten(level, 24)}" if level else words


def _signed(difference: float) -> str:
    text = f"{difference:+z.1f}".replace("-", "\N{MINUS SIGN}")
    return "0" if text == "+0.0" else text


def _cluster_heads(description: pd.DataFrame) -> list[str]:
    sizes = zip(description.index, description["customers"], description["share"], strict=True)
    heads = [plain(f"{shorten(str(name), 18)}\n{size:,.0f}\n{percent(share)}") for name, size, share in sizes]
    # Many clusters are narrow columns: name and number under each other.
    return heads if len(heads) <= 5 else [head.replace(" ", "\n", 1) for head in heads]


def _cluster_note(heat: pd.DataFrame) -> str:
    if heat.empty:
        return "No feature differs between customers: there is nothing to tell clusters apart by."
    note = "+1.0: the cluster's mean lies one standard deviation of all customers above everyone's mean."
    more = len(heat) - MOST_FEATURES
    return f"{note}\n{more} features that differ less are not shown." if more > 0 else note


def crossing(curve: pd.DataFrame) -> float:
    """Return the share of customers at which a concentration curve first reaches 80 %; not a number without shares.

    Examples
    --------
    >>> crossing(pd.DataFrame({"customers_share": [0.0, 0.25, 1.0], "value_share": [0.0, 0.8, 1.0]}))
    0.25
    """
    share, customers = curve["value_share"].to_numpy(), curve["customers_share"].to_numpy()
    reached = np.flatnonzero(share >= PARETO)
    if not reached.size:
        return float("nan")
    end = reached[0]
    return float(np.interp(PARETO, share[end - 1 : end + 1], customers[end - 1 : end + 1]))


def _pareto_words(name: str, reached: float) -> str:
    if not np.isfinite(reached):
        return plain(f"{shorten(name)}: no positive total, so no shares")
    return plain(f"{shorten(name)}: {percent(reached)} of customers bring {percent(PARETO)}")


def _dots(axes: Axes, rows: np.ndarray, table: pd.DataFrame, realised: str, forecast: str) -> None:
    middle = table[realised]
    error = np.clip([middle - table[f"{realised}_low"], table[f"{realised}_high"] - middle], 0, None)
    dots: dict[str, Any] = {"fmt": "o", "color": ACTUAL, "markersize": 5, "capsize": 3, "linewidth": 1.4}
    axes.errorbar(middle, rows - 0.12, xerr=error, label="realised, with 95 % interval", **dots)
    marks: dict[str, Any] = {"markersize": 6, "markerfacecolor": "white", "markeredgecolor": MODEL}
    axes.plot(table[forecast], rows + 0.16, "D", label="forecast, mean", markeredgewidth=1.6, **marks)
    for y in rows[(table["customers"] == 0).to_numpy()]:
        axes.annotate("nobody", (0.02, y), xycoords=("axes fraction", "data"), va="center", color=QUIET)
    axes.grid(False, axis="y")


def _bar_numbers(axes: Axes, y: float, row: pd.Series) -> None:
    if row["contacted"] == 0:
        axes.annotate("nobody contacted" if row["customers"] else "no customers", (0, y), (4, 0), va="center",
                      textcoords="offset points", color=QUIET)  # fmt: skip
        return
    for at, value in ((y - 0.2, row["contact_profit"]), (y + 0.2, row["outlay"])):
        if not np.isfinite(value):
            continue
        shift, side = (4, "left") if value >= 0 else (-4, "right")
        axes.annotate(rounded(value), (value, at), (shift, 0), textcoords="offset points", va="center", ha=side)
