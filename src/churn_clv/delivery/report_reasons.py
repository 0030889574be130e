"""Why customers are at risk: the commonest reasons of each cell, and what a reason is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from churn_clv.delivery.report_tables import Cell, Table, count_cell, in_order
from churn_clv.delivery.report_words import TREES_ONLY
from churn_clv.evaluation.labels import percent
from churn_clv.evaluation.shown import shown_groups

if TYPE_CHECKING:
    from churn_clv.train import Run


def reasons_table(run: Run) -> Table | None:
    """Return for each production cell what raises its members' risk and what speaks for them; None without trees."""
    if not _rounds(run):
        return None
    cells = run.cell_reasons
    head = ["Cell", "Value tier", "Risk tier", "Customers", "Raises the risk most often", "And", "Speaks for them"]
    rows = []
    for (risk, value), cell in in_order(
        shown_groups(run, run.production_grid), run.models.grid.value_tiers, run.models.grid.risk_tiers
    ):
        if cell["customers"] > 0 and (risk, value) in cells.index:
            told = [_told(cells.loc[(risk, value)], slot) for slot in ("raises", "raises_too", "lowers")]
            rows.append([Cell(cell["segment"]), Cell(value), Cell(risk), count_cell(cell["customers"]), *told])
    note = (
        f"{_about(run)}The value is the median of those whom the feature moves that way, the share that of the cell's "
        f"customers who have it among their reasons; {_reasons_file(run)} names the reasons of each customer. Reasons are what moves "
        "the model, not causes: a campaign that changes a reason need not change the risk."
        f"{TREES_ONLY.get(run.models.churn.method, '')}"
    )
    return Table("Why customers are at risk, by cell (production)", head, [("", rows)], note)


def without_reasons(run: Run) -> str:
    """Say why there is no table of reasons; nothing where there is one."""
    if _rounds(run):
        return ""
    return (
        "The risk model has no trees, so there are no reasons beyond the purchases themselves: how often, how recently and "
        f"for how long a customer has bought. {_reasons_file(run)} tells them for each customer."
    )


def _reasons_file(run: Run) -> str:
    return "scores.csv" if run.everyone is None else "of the panel, panel_scores.parquet"


def _rounds(run: Run) -> int:
    trees = run.models.churn.trees
    return 0 if trees is None else trees.rounds_


def _about(run: Run) -> str:
    trees = run.models.churn.trees
    beyond = "What the trees add to the purchase model's forecast, which has counted purchases and silence already. "
    return beyond if trees is not None and trees.start == "offset" else ""


def _told(cell: object, slot: str) -> Cell:
    text, share = cell[slot], cell[f"{slot}_share"]  # type: ignore[index]
    return Cell(f"{text} ({percent(share)})") if isinstance(text, str) else Cell("–")  # noqa: RUF001 (typography)
