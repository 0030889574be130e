"""A run on contracts on disk: scores, grid, metrics, page and model, in a folder that appears when it is complete."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from churn_clv import __version__
from churn_clv.contractual import ContractualRun
from churn_clv.delivery.contract_page import currency_of, render_contract_page
from churn_clv.delivery.model_folder import write_model
from churn_clv.delivery.report import write_figures
from churn_clv.delivery.run_folder import stamped_folder
from churn_clv.delivery.tables import write_table
from churn_clv.evaluation.contract_figures import contract_figures
from churn_clv.evaluation.shown import shown_groups

CONTRACT_MODEL = "contract.json"
CONTRACT_FORMAT = 1


def write_contract_run(run: ContractualRun, root: Path, started: datetime) -> Path:
    """Write everything a run on contracts found into ``root/<config>/<time>/`` and return that folder.

    Raises
    ------
    InputError
        If the place cannot be written. An interrupted writing leaves no folder under the final name.
    """
    return stamped_folder(root / run.config.name, started, lambda folder, name: _fill(folder, run, name, started))


def _fill(folder: Path, run: ContractualRun, run_name: str, started: datetime) -> None:
    current, judged = shown_groups(run, run.current_grid), shown_groups(run, run.judged_grid)
    figures = contract_figures(run.judged, current, judged, run.grid, run.drivers, currency_of(run))
    (folder / "config.yaml").write_text(run.config.to_yaml(), encoding="utf-8")
    write_table(run.scores, folder / "scores.parquet")
    write_table(run.scores, folder / "scores.csv")
    write_table(run.judged, folder / "judged_scores.parquet")
    write_table(contract_grids(run), folder / "grid.csv")
    (folder / "metrics.json").write_text(json.dumps(contract_summary(run), indent=1), encoding="utf-8")
    write_figures(figures, folder / "figures")
    page = render_contract_page(run, figures, generated_at=started, run_name=run_name)
    (folder / "report.html").write_text(page, encoding="utf-8")
    (folder / "model").mkdir()
    write_model(folder / "model", contract_files(run))


def contract_files(run: ContractualRun) -> dict[str, str]:
    """Return the hand-over files of the model fitted on all customers: text, no customer's data."""
    contract = run.config.contract
    content = {
        "format": CONTRACT_FORMAT, "churn_clv": __version__, "written_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "about": {"config": run.config.name, "currency": contract.currency, "metrics": run.judgement.metrics(),
                  "notes": run.notes, "data_fingerprint": run.fingerprint},
        "grid": run.grid.to_dict(),
        "columns": {"customer_id": contract.customer_id, "value": contract.value},
    }  # fmt: skip
    return {CONTRACT_MODEL: json.dumps(content, indent=1)} | run.model.to_files()


def contract_grids(run: ContractualRun) -> pd.DataFrame:
    """Return the cells of all customers and of those who are still there in one table, never mixed in a row."""
    grids = {"judged": run.judged_grid, "current": run.current_grid}
    return pd.concat({name: shown_groups(run, table) for name, table in grids.items()}, names=["grid"])


def contract_metrics(run: ContractualRun) -> dict[str, float]:
    """Return every metric of the run under its documented name."""
    scores = run.scores
    return run.judgement.metrics() | {
        "current/customers": float(len(scores)),
        "current/monthly_value": float(scores["monthly_value"].sum()),
        "current/value_at_risk": float(scores["value_at_risk"].sum()),
        "current/mean_churn_probability": float(scores["churn_probability"].mean()),
        "model/rounds": float(run.model.rounds_),
    }


def contract_summary(run: ContractualRun) -> dict[str, Any]:
    """Return the run as plain values, for JSON."""
    return {
        "config": run.config.name,
        "metrics": contract_metrics(run),
        "comparison": {"churn": _records(run.judgement.churn)},
        "by_fold": _records(run.judgement.by_fold),
        "drivers": _records(run.drivers),
        "grid_cuts": run.grid.to_dict(),
        "cleaning": run.contracts.cleaning.to_dict(),
        "data_fingerprint": run.fingerprint,
        "notes": run.notes,
        "seconds": run.seconds,
    }


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    rows = table.reset_index().astype(object)
    return rows.where(rows.notna(), None).to_dict("records")
