"""A run on contracts as one self-contained HTML page: who is about to leave, how sure that is, and what moves it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from churn_clv.contractual import ContractualRun
from churn_clv.delivery.report import Picture, moment, picture, rendered, versions
from churn_clv.delivery.report_sentences import small_cells
from churn_clv.delivery.report_tables import Cell, Table, count_cell, shown, verdict
from churn_clv.delivery.report_words import CAUTION, METRICS, MetricWords
from churn_clv.evaluation.cross_fitting import NAMES
from churn_clv.evaluation.judgement import RUN
from churn_clv.evaluation.labels import percent, rounded
from churn_clv.evaluation.shown import shown_groups

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WORDS = {
    "grid_current": ("answer", "The customers who are still there by value and risk; darker cells are riskier. What "
                     "became of everyone in a cell shows whether its name is earned."),
    "reliability": ("quality", "Customers in ten groups of rising predicted risk: where the points lie on the dashed line, the "
                    "predicted risk is the share that really left. Every point is a prediction for customers unseen."),
    "drivers": ("drivers", "For each column the values that lower and raise the risk most, by their mean contribution; "
                "0.7 more log-odds doubles the odds of leaving."),
}  # fmt: skip


def render_contract_page(
    run: ContractualRun, figures: Mapping[str, Figure], *, generated_at: datetime, run_name: str
) -> str:
    """Write a run on contracts as one HTML page that needs no network and holds no customer ids."""
    about = {"run_name": run_name, "generated_at": moment(generated_at), "pictures": _pictures(figures)}
    return rendered("contract_page.html.j2", about | _answer(run) | _quality(run) | _table(run) | _details(run))


def currency_of(run: ContractualRun) -> str:
    """Return what value is counted in, never empty."""
    return run.config.contract.currency or "units of the table"


def _answer(run: ContractualRun) -> dict[str, Any]:
    scores, grid, unit = run.scores, shown_groups(run, run.current_grid), currency_of(run)
    leaving = scores["churn_probability"].sum()
    most = grid["value_at_risk"][grid["customers"] > 0].nlargest(3)
    return {
        "customers": len(run.judged), "left": int(run.judged["churned"].sum()), "caution": CAUTION,
        "headline": [
            (f"{len(scores):,}", "customers who are still there"),
            (f"{rounded(leaving)} ({percent(leaving / len(scores))})",
             "as many of them as customers like them have left: the sum of their risks"),
            (f"{rounded(scores['monthly_value'].sum())} {unit}", "what they bring a month"),
            (f"{rounded(scores['value_at_risk'].sum())} {unit}", "a month at risk: risk times value, summed"),
        ],
        "answer": [
            *(
                f"The largest value at risk, {rounded(at_risk)} {unit} a month, lies in {_cell(grid.loc[key])}: "
                f"{percent(grid.loc[key, 'share'])} of the customers who are still there."
                for key, at_risk in most[:1].items()
            ),
            "A risk is the share that left among customers of the table who look alike, over the time that the churn column "
            "covers: a forecast as far as the next such time is like the last. Value at risk is an upper bound of what leaving costs, not what a campaign can win back.",
        ],
        "to_do": [
            f"{_cell(grid.loc[key])}, {grid.loc[key]['customers']:,.0f} customers, {rounded(at_risk)} {unit} a month at risk. "
            f"{grid.loc[key]['action']}." for key, at_risk in most.items()
        ],
        "grid_table": _grid_table(run, unit),
        "small": small_cells(run, run.current_grid),
    }  # fmt: skip


def _quality(run: ContractualRun) -> dict[str, Any]:
    judgement = run.judgement
    auc = judgement.by_fold["auc"]
    spread = (
        f"Over the {len(auc)} folds the AUC is {auc.mean():.3f} on average (standard deviation {auc.std(ddof=1):.3f})."
    )
    return {
        "folds": run.config.evaluation.folds, "churn_rate": judgement.churn_rate,
        "verdicts": [*judgement.sentences(), spread, judgement.calibration_sentence()],
        "comparison": _comparison(judgement.churn), "by_fold": _by_fold(judgement.by_fold), "driver_table": _drivers(run),
    }  # fmt: skip


def _table(run: ContractualRun) -> dict[str, Any]:
    contract, report = run.config.contract, run.contracts.cleaning
    rows = [[Cell(s.rule), _number(s.rows), Cell(s.action)] for s in report.steps] or [
        [Cell("nothing"), *[Cell("")] * 2]
    ]
    said = {*run.judgement.sentences(), run.judgement.calibration_sentence()}
    return {
        "features": run.contracts.features.shape[1],
        "churn_words": f"the column {contract.churn}, {contract.churned_value} for who left",
        "value_words": f"the column {contract.value}, in {currency_of(run)} a month",
        "ignored": ", ".join(contract.ignore),
        "reading": Table("What reading changed", ["Column and rule", "Rows", "What was done"], [("", rows)]),
        "notes": [note for note in run.notes if note not in said],
    }


def _details(run: ContractualRun) -> dict[str, Any]:
    losses = run.model.cross_validation_
    words = (
        f"The model to hand over is fitted on all customers: LightGBM with {run.model.rounds_} trees, starting from the "
        f"log-odds of the churn rate. Cross-validated log loss while it chose its trees: {losses['chosen']:.4f}, against "
        f"{losses['base_rate']:.4f} for the churn rate alone. The figures of section 2 are those to believe."
    )
    seconds = [(stage, f"{seconds:.1f} s") for stage, seconds in run.seconds.items()]
    return {"model_words": words, "config": run.config.to_yaml(), "versions": versions(), "seconds": seconds}


def _grid_table(run: ContractualRun, unit: str) -> Table:
    grid, realised = (shown_groups(run, table) for table in (run.current_grid, run.judged_grid))
    head = ["Cell", "Value tier", "Risk tier", "Customers", "Share", f"Value at risk, {unit} a month", "Predicted churn",
            "Of all in the cell, left", "95 % interval", "What to do"]  # fmt: skip
    rows = []
    for value in reversed(run.grid.value_tiers):
        for risk in run.grid.risk_tiers:
            cell, all_here = grid.loc[(risk, value)], realised.loc[(risk, value)]
            low, high = all_here["realised_churn_low"], all_here["realised_churn_high"]
            between = f"{100 * low:.0f} to {100 * high:.0f} %" if np.isfinite(low) else "–"  # noqa: RUF001 (typography)
            rows.append([
                Cell(cell["segment"]), Cell(value), Cell(risk), count_cell(cell["customers"]), _share(cell["share"]),
                Cell(rounded(cell["value_at_risk"]), float(cell["value_at_risk"])), _share(cell["churn_probability"]),
                _share(all_here["realised_churn"]), Cell(between, right=True), Cell(cell["action"]),
            ])  # fmt: skip
    return Table("Grid: the customers who are still there", head, [("", rows)])


def _comparison(table: pd.DataFrame) -> Table:
    groups = []
    for metric in dict.fromkeys(table.index.get_level_values("metric")):
        words = METRICS.get(("churn", metric), MetricWords(str(metric).replace("_", " "), ""))
        title = f"{words.name}: {words.reading}" if words.reading else words.name
        groups.append((title, [_compared(metric, str(name), row) for name, row in table.loc[metric].iterrows()]))
    head = ["Model", "Value", "Standard error", "This run minus it", "95 % interval", "In words"]
    note = "Errors by drawing customers anew (bootstrap) with the fitted models as they are, paired between models."
    return Table("Churn: this run and its rivals on customers they never saw", head, groups, note)


def _compared(metric: str, name: str, row: pd.Series) -> list[Cell]:
    value, error = (Cell(shown(metric, row[c]), float(row[c])) for c in ("value", "standard_error"))
    if name == RUN:
        return [Cell("This run"), value, error, Cell(""), Cell(""), Cell("")]
    rival = NAMES.get(name, name)
    difference = Cell(shown(metric, row["difference"], "+"), float(row["difference"]))
    low, high = (shown(metric, row[c], "+") for c in ("difference_low", "difference_high"))
    between = Cell(f"{low} to {high}", right=True)
    return [Cell(rival[0].upper() + rival[1:]), value, error, difference, between, Cell(verdict(metric, row))]


def _by_fold(by_fold: pd.DataFrame) -> Table:
    rows = [
        [Cell(f"{int(k) + 1}"), _number(row["customers"]), _number(row["churned"]), Cell(f"{row['auc']:.3f}", float(row["auc"]))]
        for k, row in by_fold.iterrows()
    ]  # fmt: skip
    return Table("By fold", ["Fold", "Customers", "Left", "AUC of this run"], [("", rows)])


def _drivers(run: ContractualRun) -> Table:
    rows = [
        [Cell(str(name)), Cell(f"{row['strength']:.2f}", float(row["strength"])), Cell(str(row["raises"])),
         _odds(row["raises_by"]), Cell(str(row["lowers"])), _odds(row["lowers_by"])]
        for name, row in run.drivers.iterrows()
    ]  # fmt: skip
    head = ["Column", "Strength, log-odds", "Raises the risk most", "Odds times", "Lowers it most", "Odds times"]
    note = "Strength: mean size of the contribution. Odds times: the factor that the value's customers get on average."
    return Table("Columns by how far they move the risk", head, [("", rows)], note)


def _pictures(figures: Mapping[str, Figure]) -> dict[str, list[Picture]]:
    sections: dict[str, list[Picture]] = {"answer": [], "quality": [], "drivers": []}
    for name, figure in figures.items():
        section, words = WORDS[name]
        sections[section].append(
            picture(figure, words, f"Figure: {words} The numbers are in the tables of this section.")
        )
    return sections


def _cell(cell: pd.Series) -> str:
    risk, value = cell.name
    tiers = f"value {value}, risk {risk}"
    return tiers if cell["segment"] == tiers else f"{cell['segment']} ({tiers})"


def _number(number: float) -> Cell:
    return Cell(f"{number:,.0f}", float(number))


def _share(share: float) -> Cell:
    return Cell(percent(share), float(share))


def _odds(log_odds: float) -> Cell:
    return Cell(f"{np.exp(log_odds):.2f}", float(np.exp(log_odds)))
