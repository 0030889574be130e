"""The figures of a run on contracts: is the risk right, where do the customers stand, what moves the risk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from churn_clv.evaluation.accuracy_figures import reliability
from churn_clv.evaluation.figure_data import calibration_curve
from churn_clv.evaluation.figure_style import MODEL, QUIET, RIVAL, plain, sheet, style
from churn_clv.evaluation.grid_figures import foot, grid_figure
from churn_clv.evaluation.labels import percent, rounded, shorten
from churn_clv.segments.grid import Grid

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def contract_figures(
    judged: pd.DataFrame, current: pd.DataFrame, judged_grid: pd.DataFrame, grid: Grid, moves: pd.DataFrame, unit: str
) -> dict[str, Figure]:
    """Draw every figure of a run on contracts, by name, in the order of its page.

    Parameters
    ----------
    judged
        Every customer: churned and churn_probability (out of fold).
    current, judged_grid
        Cells of the customers who are still there, and of all with realised_churn.
    moves
        From `drivers`; where it is empty no figure is drawn of it.
    """
    risk, churned = judged["churn_probability"], judged["churned"]
    figures = {
        "grid_current": current_grid(current, judged_grid, grid, unit),
        "reliability": reliability(calibration_curve(churned, risk), risk, float(churned.mean()), None),
    }
    return figures if moves.empty else figures | {"drivers": driver_ranges(moves)}


def current_grid(table: pd.DataFrame, judged: pd.DataFrame, grid: Grid, unit: str) -> Figure:
    """Draw the cells of the customers who are still there, with what became of everyone who stood in them."""
    realised = judged["realised_churn"].reindex(table.index)

    def lines(cell: pd.Series) -> list[str]:
        known = realised[cell.name]
        return [
            f"{cell['customers']:,} ({percent(cell['share'])})",
            f"at risk {rounded(cell['value_at_risk'])}",
            f"of all here, left: {percent(known)}" if np.isfinite(known) else "of all here: nobody",
        ]

    figure = grid_figure(table, grid, table["churn_probability"], lines, "The customers who are still there", 1.0)
    figure.axes[0].set_xlabel("risk tier, by the predicted probability of leaving")
    figure.axes[0].set_ylabel(plain(f"value tier, by value in {unit} a month"))
    figure.axes[1].set_ylabel("predicted churn, mean")
    foot(figure, f"In each cell: customers (share of all who are there), value at risk in {unit} a month; and of all\n"
                 "customers of the table who fall into it, the share that left.")  # fmt: skip
    return figure


def driver_ranges(moves: pd.DataFrame, top: int = 12) -> Figure:
    """Draw how far the values of each feature lower and raise the log-odds of churn."""
    shown = moves.head(top)[::-1]
    with style():
        figure = sheet("What moves the predicted risk", max(0.36 * len(shown) + 1.2, 2.2))
        axes, rows = figure.add_subplot(), np.arange(len(shown))
        axes.barh(rows, shown["lowers_by"].clip(upper=0), color=MODEL, height=0.55, label="lowers the risk")
        axes.barh(rows, shown["raises_by"].clip(lower=0), color=RIVAL, height=0.55, label="raises the risk")
        axes.axvline(0, color=QUIET, linewidth=1)
        axes.set_yticks(rows, [plain(shorten(str(name))) for name in shown.index])
        for y, (_, row) in zip(rows, shown.iterrows(), strict=True):
            for words, at, sign in ((row["lowers"], row["lowers_by"], -1), (row["raises"], row["raises_by"], 1)):
                if sign * at > 0:
                    axes.annotate(plain(shorten(str(words), 24)), (at, y), (4 * sign, 0), textcoords="offset points",
                                  va="center", ha="left" if sign > 0 else "right", fontsize=8.5)  # fmt: skip
        widest = float(shown[["lowers_by", "raises_by"]].abs().to_numpy().max())
        axes.set(xlim=(-1.75 * widest, 1.75 * widest), xlabel="mean contribution to the log-odds of leaving")
        axes.grid(False, axis="y")
        axes.legend(loc="lower right")
    return figure
