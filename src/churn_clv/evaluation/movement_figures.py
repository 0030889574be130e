"""Who moved: the flows between lifecycle stages, and the migration between the cells of a grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from churn_clv.evaluation.figure_style import WIDTH, percents, plain, sheet, style
from churn_clv.evaluation.grid_figures import foot
from churn_clv.evaluation.heat_cells import bare, colour_bar, empty_cell, heat_cell, outline, scale
from churn_clv.evaluation.labels import day, percent, shorten
from churn_clv.segments.migration import GONE, NEW, row_shares
from churn_clv.segments.small_groups import withheld, withheld_moves

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours for stages; grey for those who come and go.
COLOURS = ("#56b4e9", "#009e73", "#0072b2", "#e69f00", "#d55e00", "#cc79a7", "#f0e442")
COMING, GOING = "#b3b3b3", "#808080"
SAID = {NEW: "not yet customers", GONE: "no longer placed"}
BRIEFLY = {NEW: "to come", GONE: "gone"}
BAR, GAP = 0.025, 0.03  # half a bar's width, in ways between two days; gap between bars, of all customers
ROOM = 0.36  # for names at either end, of the way between the first and the last day
LETTERS = 0.034  # of the picture's height

Bars = dict[tuple[int, str], tuple[float, float]]


def lifecycle_flow(
    flows: pd.DataFrame | Sequence[pd.DataFrame], order: Sequence[str], *days: date, smallest: int = 1
) -> Figure:
    """Draw how many customers went from which stage to which, as bands between columns of bars.

    Parameters
    ----------
    flows
        From `segments.migration.flows`, between two days; or several such frames, each beginning where the last ended.
    order
        The stages, drawn from the top.
    days
        One more than there are frames.
    smallest
        No number is written of fewer customers, nor where one could be worked out.

    Raises
    ------
    ValueError
        If there are not as many days.
    """
    steps = [flows] if isinstance(flows, pd.DataFrame) else list(flows)
    if len(days) != len(steps) + 1:
        raise ValueError(f"{len(steps)} frames of flows lie between {len(steps) + 1} days: got {len(days)} days")
    names = [NEW, *order, GONE]
    bars = _bars(steps, names)
    colours = dict(zip(order, cycle(COLOURS), strict=False)) | {NEW: COMING, GONE: GOING}
    depth = max((top + height for top, height in bars.values()), default=1.0)
    with style():
        figure = sheet("Where customers went between the stages", 5.6)
        axes = figure.add_subplot()
        axes.set(xlim=(-ROOM * len(steps), (1 + ROOM) * len(steps)), ylim=(1.015 * depth, 0))
        for k, step in enumerate(steps):
            _bands(axes, _ordered(step, names).join(_told(step, smallest)), k, bars, colours, LETTERS * depth)
        _draw_bars(axes, bars, len(steps), colours, LETTERS * depth, smallest)
        axes.set_xticks(range(len(days)), [day(when) for when in days])
        axes.set_yticks([])
        axes.set(xlabel="day on which customers were placed", ylabel="customers, by height")
        bare(axes)
        note = "Beside a bar: its stage and customers. In a band: how many went that way, where there is room."
        foot(figure, f"{note}\nTo come: not yet customers on that day; gone: no longer placed.")
    return figure


def migration_figure(
    matrix: pd.DataFrame, before_day: date, after_day: date, order: Sequence[str], smallest: int = 1
) -> Figure:
    """Draw which share of each segment went where, with the counts; those who stayed are outlined.

    Parameters
    ----------
    matrix
        From `segments.migration.migration_matrix`.
    order
        The segments, drawn from the top and from the left.
    smallest
        Cells of fewer customers are left out, and those from which they could be worked out.
    """
    counts = matrix.reindex(index=_with(order, NEW, matrix.T), columns=_with(order, GONE, matrix), fill_value=0)
    hidden, few = withheld_moves(counts, smallest), withheld(counts.sum(axis=1), smallest)
    shares, at = row_shares(counts), [*range(len(order)), len(order) + 0.3]
    down, across = at[: counts.shape[0]], at[: counts.shape[1]]
    with style():
        figure = sheet(
            "Who stayed and who moved", max(0.46 * len(down) + 2.4, 4.2), max(WIDTH, 0.48 * len(across) + 2.4)
        )
        axes, colours = figure.add_subplot(), scale("Blues", 0, 1, 10)
        for y, (row, numbers) in zip(down, counts.iterrows(), strict=True):
            for x, (column, n) in zip(across, numbers.items(), strict=True):
                if hidden.loc[row, column]:
                    empty_cell(axes, x, y)
                elif n:
                    told = [percent(float(shares.loc[row, column])).replace("under ", "<"), _count(int(n))]
                    heat_cell(axes, x, y, colours, float(shares.loc[row, column]), told)
        for k in range(len(order)):
            outline(axes, k, k)
        axes.set(xlim=(-0.55, across[-1] + 0.55), ylim=(down[-1] + 0.55, -0.55))
        heads = [plain(_said(name)) for name in counts.columns]
        axes.set_xticks(across, heads, rotation=40, ha="left", rotation_mode="anchor")
        axes.set_yticks(
            down, [plain(f"{_said(name)}{'' if few[name] else f' ({n:,})'}") for name, n in counts.sum(axis=1).items()]
        )
        axes.xaxis.set_ticks_position("top")
        axes.set_xlabel(f"segment on {day(after_day)}")
        axes.set_ylabel(f"segment on {day(before_day)}\n(customers)")
        bare(axes)
        percents(colour_bar(figure, axes, colours, "share of the row"))
        foot(
            figure,
            "In each cell: share of the row's customers, and how many. Outlined: those who stayed. White: nobody."
            + ("\nHatched: too few customers to be shown, or needed to hide such." if hidden.to_numpy().any() else ""),
        )
    return figure


def _with(order: Sequence[str], apart: str, by_column: pd.DataFrame) -> list[str]:
    """The segments and, if anybody came or went, these."""
    return [*order, apart] if apart in by_column and by_column[apart].any() else list(order)


def _ordered(step: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Flows in the order of the drawing, from the top."""
    rank = {name: k for k, name in enumerate(names)}
    sorting = step.assign(a=step["before"].map(rank), b=step["after"].map(rank)).sort_values(["a", "b"])
    return sorting[["before", "after", "customers"]]


def _bars(steps: Sequence[pd.DataFrame], names: Sequence[str]) -> Bars:
    """Top and height of each bar by (day, stage), in customers."""
    sizes: dict[tuple[int, str], float] = {}
    for k, step in enumerate(steps):
        for column, side in (("before", k), ("after", k + 1)):
            for name, n in step.groupby(column)["customers"].sum().items():
                sizes[side, str(name)] = max(sizes.get((side, str(name)), 0.0), float(n))
    sides = range(len(steps) + 1)
    gap = GAP * max(sum(n for (k, _), n in sizes.items() if k == side) for side in sides)
    bars: Bars = {}
    for side in sides:
        top = 0.0
        for name in (name for name in names if (side, name) in sizes):
            bars[side, name] = (top, sizes[side, name])
            top += sizes[side, name] + gap
    return bars


def _bands(axes: Axes, step: pd.DataFrame, k: int, bars: Bars, colours: Mapping[str, str], letters: float) -> None:
    """Draw the bands of one step: they leave a bar in the order of where they go, and arrive in that of their origin."""
    along, way = np.linspace(k + BAR, k + 1 - BAR, 60), np.linspace(0, 1, 60)
    bend = way**2 * (3 - 2 * way)
    left, right = ({name: top for (side, name), (top, _) in bars.items() if side == at} for at in (k, k + 1))
    for _, (before, after, n, told) in step.iterrows():
        upper = left[before] + (right[after] - left[before]) * bend
        # A white edge tells wide bands of one origin apart; around a hairline it would be a scratch.
        edge = 0.5 if n >= letters / 2 else 0.0
        axes.fill_between(along, upper, upper + n, facecolor=_paler(colours[before]), edgecolor="white", linewidth=edge)
        if n >= letters and told:
            axes.text(k + BAR + 0.02, left[before] + n / 2, f"{n:,}", ha="left", va="center", fontsize=9)
        left[before] += n
        right[after] += n


def _told(step: pd.DataFrame, smallest: int) -> pd.Series:
    """Whether the number of each flow may be written."""
    hidden = withheld_moves(step.pivot_table("customers", "before", "after", aggfunc="sum", fill_value=0), smallest)
    pairs = zip(step["before"], step["after"], strict=True)
    return pd.Series([not hidden.loc[before, after] for before, after in pairs], step.index, dtype=bool, name="told")


def _draw_bars(axes: Axes, bars: Bars, steps: int, colours: Mapping[str, str], letters: float, smallest: int) -> None:
    """Draw the bars with their names beside them."""
    from matplotlib.patches import Rectangle

    left: set[tuple[int, str]] = set()
    for k in range(steps + 1):
        heights = pd.Series({name: height for (side, name), (_, height) in bars.items() if side == k}, dtype=float)
        left |= {(k, str(name)) for name in heights.index[withheld(heights, smallest)]}
    lowest = dict.fromkeys(range(steps + 1), -letters)
    for (side, name), (top, height) in bars.items():
        axes.add_patch(Rectangle((side - BAR, top), 2 * BAR, height, facecolor=colours[name], linewidth=0))
        # A thin bar's name moves down, so that it does not lie on the one above.
        at = max(top + height / 2, lowest[side] + letters * 1.05)
        lowest[side] = at
        number = "" if (side, name) in left else f" {height:,.0f}"
        words = plain(f"{BRIEFLY.get(name, shorten(name, 15))}{number}")
        x, align = (side + BAR + 0.03, "left") if side == steps else (side - BAR - 0.03, "right")
        box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 1} if 0 < side < steps else None
        axes.text(x, at, words, ha=align, va="center", fontsize=9, bbox=box)


def _paler(colour: str) -> tuple[float, ...]:
    """A colour mixed half and half with white."""
    from matplotlib.colors import to_rgb

    return tuple((1 + channel) / 2 for channel in to_rgb(colour))


def _count(customers: int) -> str:
    """A number of customers that fits a small cell: thousands from six digits on."""
    return f"{customers:,}" if customers < 100_000 else f"{customers / 1000:,.0f}k"


def _said(name: object) -> str:
    return SAID.get(str(name), shorten(str(name), 24))
