"""One quiet style for every figure: told apart by colour, by shade and by shape, so that grey print works too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, safe for the colour-blind; as greys they fall from dark to light in this order.
ACTUAL, MODEL, RIVAL, QUIET = "#1a1a1a", "#0072b2", "#e69f00", "#767676"
HEAT = "cividis"
WIDTH = 7.2
SETTINGS = {
    "font.family": ["DejaVu Sans"],
    "font.size": 9.5,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.labelsize": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": QUIET,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e3e3e3",
    "grid.linewidth": 0.7,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "figure.facecolor": "white",
    "lines.linewidth": 1.8,
    "hatch.linewidth": 0.6,
    # Text becomes outlines and ids a fixed salt: the same picture on every machine, byte for byte.
    "svg.fonttype": "path",
    "svg.hashsalt": "churn-clv",
}


@contextmanager
def style() -> Iterator[None]:
    """Draw and save in the style, and leave matplotlib's settings as they were."""
    import matplotlib

    with matplotlib.rc_context(SETTINGS):
        yield


def sheet(title: str, height: float, width: float = WIDTH) -> Figure:
    """Return an empty figure with a title; sizes in inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    figure.suptitle(plain(title), x=0.01, ha="left", fontsize=11, fontweight="bold")
    return figure


def plain(text: str) -> str:
    """Return text that matplotlib does not read as a formula.

    Examples
    --------
    >>> print(plain("US$ in A$"))
    US\\$ in A\\$
    """
    return text.replace("$", r"\$")


def thousands(axis: Axes, which: str = "y") -> None:
    """Write the tick labels of an axis with thousands separators."""
    from matplotlib.ticker import FuncFormatter

    getattr(axis, f"{which}axis").set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))


def percents(axis: Axes, which: str = "y") -> None:
    """Write the tick labels of an axis of shares as percentages."""
    from matplotlib.ticker import PercentFormatter

    getattr(axis, f"{which}axis").set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))


def ink_on(colour: tuple[float, ...]) -> str:
    """Return black or white, whichever contrasts more with a background (WCAG's relative luminance)."""
    channels = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in colour[:3]]
    return "white" if float(np.dot([0.2126, 0.7152, 0.0722], channels)) < 0.18 else "black"
