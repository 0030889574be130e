"""The value-by-risk grid as a picture: where customers stand, and what their like did."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from churn_clv.evaluation.figure_style import ink_on, percents, plain, sheet, style
from churn_clv.evaluation.labels import Unit, estimate, percent, rounded
from churn_clv.segments.grid import Grid

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Lines = Callable[[pd.Series], list[str]]


def judged_grid(table: pd.DataFrame, grid: Grid, unit: Unit, horizon_days: int) -> Figure:
    """Draw what the members of each cell really did in the holdout.

    Parameters
    ----------
    table
        From `cell_table` with outcomes.
    """

    def lines(cell: pd.Series) -> list[str]:
        low, high = 100 * cell["realised_churn_low"], 100 * cell["realised_churn_high"]
        return [
            f"{cell['customers']:,.0f} ({percent(cell['share'])})",
            f"churn {percent(cell['realised_churn'])} ({low:.0f} to {high:.0f})",
            f"{unit.noun} {estimate(cell['realised_spend'], cell['realised_spend_low'], cell['realised_spend_high'])}",
        ]

    title = f"What customers did in the {horizon_days} days after they were placed"
    figure = grid_figure(table, grid, table["realised_churn"], lines, title, 0.98)
    _label(figure.axes[0], unit, horizon_days)
    figure.axes[1].set_ylabel("realised churn in the holdout")
    note = f"In each cell: customers (share of all), realised churn, mean {unit.noun} a customer in {unit.axis};\n"
    foot(figure, note + "in brackets 95 % intervals.")
    return figure


def production_grid(table: pd.DataFrame, judged: pd.DataFrame, grid: Grid, unit: Unit, horizon_days: int) -> Figure:
    """Draw the forecast of each cell of today's customers, and what its judged members did.

    Parameters
    ----------
    table
        From `cell_table`, of forecasts.
    judged
        From `cell_table` with outcomes: other dates, the same cuts.
    """
    realised = judged["realised_churn"].reindex(table.index)

    def lines(cell: pd.Series) -> list[str]:
        known = realised[cell.name]
        return [
            f"{cell['customers']:,.0f} ({percent(cell['share'])})",
            f"expected {rounded(cell['expected_spend'])}",
            f"at risk {rounded(cell['value_at_risk'])}",
            "judged members:",
            f"realised churn {percent(known)}" if np.isfinite(known) else "none, or not shown",
        ]

    title = f"Today's customers: forecast for the next {horizon_days} days"
    figure = grid_figure(table, grid, table["churn_probability"], lines, title, 1.3)
    _label(figure.axes[0], unit, horizon_days)
    figure.axes[1].set_ylabel("predicted churn, mean")
    note = (
        f"In each cell: customers (share of all), expected {unit.noun} and value at risk, totals in {unit.axis};\n"
        "judged members: the customers of an earlier date who stood in this cell."
    )
    foot(figure, note)
    return figure


def grid_figure(
    table: pd.DataFrame, grid: Grid, shade: pd.Series, lines: Lines, title: str, cell_height: float
) -> Figure:
    """Draw a heatmap of shares, value tiers rising upwards and risk tiers to the right."""
    risks, values = grid.risk_tiers, grid.value_tiers
    with style():
        figure = sheet(title, cell_height * len(values) + 1.7, max(1.95 * len(risks) + 1.75, 6.6))
        axes = figure.add_subplot()
        shares = shade.unstack("risk_tier").reindex(index=values, columns=risks).to_numpy(float)
        image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, origin="lower", aspect="auto")
        axes.grid(False)
        axes.set_xticks(range(len(risks)), _tier_labels(risks, [f"{100 * c:.3g} %" for c in grid.risk_cuts]))
        axes.set_yticks(range(len(values)), _tier_labels(values, [f"{c:,.4g}" for c in grid.value_cuts]))
        axes.tick_params(length=0)
        for (risk, value), cell in table.iterrows():
            _write_cell(axes, risks.index(risk), values.index(value), cell, lines, image)
        bar = figure.colorbar(image, ax=axes, fraction=0.05, pad=0.02)
        bar.outline.set_visible(False)
        percents(bar.ax)
        bar.ax.grid(False)
    return figure


def _write_cell(axes: Axes, x: int, y: int, cell: pd.Series, lines: Lines, image: Any) -> None:
    from matplotlib.patches import Rectangle

    name = plain(str(cell["segment"]))
    axes.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, fill=False, edgecolor="white", linewidth=2))
    if not cell["customers"] > 0:
        nobody = "no customers" if cell["customers"] == 0 else "not shown"
        axes.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor="#f2f2f2", edgecolor="white", hatch="//"))
        axes.text(x, y, f"{name}\n{nobody}", ha="center", va="center", fontsize=9)
        return
    shade = image.cmap(image.norm(image.get_array()[y, x]))
    rows = [plain(line) for line in lines(cell)]
    ink = ink_on(shade)
    # One bold line above, the others below: positions in points, so that they hold at any cell size.
    pitch = 12.5
    top = pitch * len(rows) / 2
    for k, text in enumerate([name, *rows]):
        axes.annotate(
            text, (x, y), (0, top - pitch * k), textcoords="offset points", ha="center", va="center", color=ink,
            fontsize=9, fontweight="bold" if k == 0 else "normal",
        )  # fmt: skip


def _label(axes: Axes, unit: Unit, horizon_days: int) -> None:
    axes.set_xlabel("risk tier, by the predicted probability of no purchase")
    axes.set_ylabel(plain(f"value tier, by expected {unit.noun} if active,\n{unit.axis} in {horizon_days} days"))


def foot(figure: Figure, text: str) -> None:
    figure.supxlabel(plain(text), x=0.01, ha="left", fontsize=9)


def _tier_labels(tiers: list[str], cuts: list[str]) -> list[str]:
    """Name each tier with its bounds."""
    if not cuts:
        return tiers
    inner = [f"{low} to {high}" for low, high in pairwise(cuts)]
    bounds = [f"under {cuts[0]}", *inner, f"{cuts[-1]} and more"]
    return [f"{tier}\n{bound}" for tier, bound in zip(tiers, bounds, strict=True)]
