"""A cell of a heat map that says its numbers, in ink that can be read on its colour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from churn_clv.evaluation.figure_style import ACTUAL, ink_on, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure

PITCH = 12.0  # points from line to line


def scale(name: str, low: float, high: float, steps: int) -> ScalarMappable:
    """Return a colour scale between two values, in steps: a page keeps few colours of a picture, and so does the eye."""
    import matplotlib
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    return ScalarMappable(Normalize(low, high, clip=True), matplotlib.colormaps[name].resampled(steps))


def heat_cell(axes: Axes, x: float, y: float, colours: ScalarMappable, value: float, lines: Sequence[str]) -> None:
    """Colour the unit square around a point by a value and write lines into it."""
    from matplotlib.patches import Rectangle

    colour = tuple(map(float, colours.to_rgba(np.asarray(value))))
    axes.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=colour, edgecolor="white", linewidth=1.5))
    write_lines(axes, x, y, lines, ink_on(colour))


def empty_cell(axes: Axes, x: float, y: float, lines: Sequence[str] = ()) -> None:
    """Hatch the unit square around a point: nobody is there."""
    from matplotlib.patches import Rectangle

    corner = (x - 0.5, y - 0.5)
    axes.add_patch(Rectangle(corner, 1, 1, linewidth=0, facecolor="#f2f2f2", edgecolor="#d0d0d0", hatch="//"))
    axes.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor="white", linewidth=1.5))
    write_lines(axes, x, y, lines, "black", "#f2f2f2")


def write_lines(axes: Axes, x: float, y: float, lines: Sequence[str], ink: str, ground: str | None = None) -> None:
    """Write lines around a point, a line that begins with an asterisk in bold; in points, so that any cell size holds."""
    top = PITCH * (len(lines) - 1) / 2
    box = {"facecolor": ground, "edgecolor": "none", "pad": 0.8} if ground else None
    for k, line in enumerate(lines):
        axes.annotate(
            plain(line.removeprefix("*")), (x, y), (0, top - PITCH * k), textcoords="offset points", ha="center",
            va="center", color=ink, fontsize=9, fontweight="bold" if line.startswith("*") else "normal", bbox=box,
        )  # fmt: skip


def outline(axes: Axes, x: float, y: float, wide: int = 1, high: int = 1) -> None:
    """Draw a dark line around cells, of which the lower left one is around the point."""
    from matplotlib.patches import Rectangle

    axes.add_patch(Rectangle((x - 0.5, y - 0.5), wide, high, fill=False, edgecolor=ACTUAL, linewidth=1.8))


def bare(axes: Axes) -> None:
    """Take grid, spines and tick marks off a panel of cells."""
    axes.grid(False)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def colour_bar(figure: Figure, axes: Axes, colours: ScalarMappable, label: str) -> Axes:
    """Put the scale beside the panel and return its axes."""
    bar = figure.colorbar(colours, ax=axes, fraction=0.04, pad=0.02, aspect=30)
    bar.outline.set_visible(False)
    bar.ax.grid(False)
    bar.ax.set_ylabel(plain(label))
    return bar.ax
