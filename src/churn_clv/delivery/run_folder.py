"""A run on disk: scores, grid, metrics, figures, report and model, in a folder that appears when it is complete."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from churn_clv.data.open_log import known_columns
from churn_clv.delivery.atomic import whole_folder
from churn_clv.delivery.handover import model_files, write_model
from churn_clv.delivery.report import render_report, write_figures
from churn_clv.delivery.tables import write_table
from churn_clv.errors import InputError
from churn_clv.evaluation.figures import figures_of
from churn_clv.train import Run

_STAMP = "%Y%m%dT%H%M%SZ"


def write_run(run: Run, root: Path, started: datetime) -> Path:
    """Write everything a run found into ``root/<config>/<time>/`` and return that folder.

    Raises
    ------
    InputError
        If the place cannot be written. An interrupted writing leaves no folder under the final name.
    """
    folder = _free_name(root / run.config.name, started)
    with whole_folder(folder) as partial:
        figures = figures_of(run)
        (partial / "config.yaml").write_text(run.config.to_yaml(), encoding="utf-8")
        write_table(run.scores, partial / "scores.parquet")
        write_table(run.scores, partial / "scores.csv")
        write_table(run.judged, partial / "judged_scores.parquet")
        write_table(both_grids(run), partial / "grid.csv")
        (partial / "metrics.json").write_text(json.dumps(summary_of(run), indent=1), encoding="utf-8")
        write_figures(figures, partial / "figures")
        html = render_report(run, figures, generated_at=started, run_name=f"{run.config.name} {folder.name}")
        (partial / "report.html").write_text(html, encoding="utf-8")
        (partial / "model").mkdir()
        write_model(partial / "model", files_of(run))
    return folder


def files_of(run: Run) -> dict[str, str]:
    """Return the hand-over files of the run's production models."""
    data, windows = run.config.data, run.windows
    about = {
        "config": run.config.name, "currency": data.currency, "trained_as_of": str(windows.score_as_of),
        "calibration_end": str(windows.calibration_end), "holdout_end": str(windows.holdout_end),
        "metrics": run.judgement.metrics(), "notes": run.notes, "data_fingerprint": run.fingerprint,
    }  # fmt: skip
    return model_files(run.models, known_columns(data.source, data.column_names()), data.reading_rules(), about)


def both_grids(run: Run) -> pd.DataFrame:
    """Return the judged and the production grid in one table, never mixed in a row."""
    return pd.concat({"judged": run.judged_grid, "production": run.production_grid}, names=["grid"])


def summary_of(run: Run) -> dict[str, Any]:
    """Return the run as plain values, for JSON: metrics, dates, cleaning, notes, times."""
    windows = run.windows
    return {
        "config": run.config.name,
        "metrics": metrics_of(run),
        "comparison": {task: _records(table) for task, table in run.judgement.tables().items()},
        "windows": {
            "first_day": str(windows.first_day), "calibration_end": str(windows.calibration_end),
            "holdout_end": str(windows.holdout_end), "score_as_of": str(windows.score_as_of),
            "horizon_days": windows.horizon_days,
            "labels": [{"cutoff": str(w.cutoff), "horizon_days": w.horizon_days} for w in windows.labels],
        },
        "parameters": parameters_of(run),
        "grid_cuts": run.models.grid.to_dict(),
        "share_outside_training": run.outside_training.to_dict(),
        "cleaning": run.log.cleaning.to_dict(),
        "data_fingerprint": run.fingerprint,
        "notes": run.notes,
        "seconds": run.seconds,
    }  # fmt: skip


def metrics_of(run: Run) -> dict[str, float]:
    """Return every metric of the run under its documented name."""
    scores, grid = run.scores, run.judged_grid
    share = grid["share"][grid["share"] > 0]
    totals = {
        "production/customers": float(len(scores)),
        "production/expected_spend": float(scores["expected_spend"].sum()),
        "production/value_at_risk": float(scores["value_at_risk"].sum()),
        "production/clv": float(scores["clv"].sum()),
        "production/mean_churn_probability": float(scores["churn_probability"].mean()),
        "grid/axis_rank_correlation": float(run.judged["churn_probability"].corr(run.judged["value_if_active"], method="spearman")),
        "grid/effective_cells": float(np.exp(-(share * np.log(share)).sum())),
    }  # fmt: skip
    return run.judgement.metrics() | {name: value for name, value in totals.items() if value == value}


def parameters_of(run: Run) -> dict[str, dict[str, float]]:
    """Return the fitted parameters of the judged and the production models."""
    found = {}
    for stage, models in (("judged", run.judged_models), ("production", run.models)):
        found[f"{stage}/purchases"] = dict(models.purchases.params_)
        if models.spend is not None:
            found[f"{stage}/spend"] = dict(models.spend.params_)
    return found


def latest_run(root: Path) -> Path:
    """Return the newest complete run folder under `root`, of any config.

    Raises
    ------
    InputError
        If there is none.
    """
    folders = [p.parent for p in root.glob("*/*/metrics.json") if not p.parent.name.startswith(".")]
    if not folders:
        raise InputError(f"{root}: holds no complete run yet; run 'make train' first")
    return max(folders, key=lambda folder: folder.name)


def report_of(folder: Path) -> Path:
    """Return the report of a run folder, or of the newest run below a folder of runs."""
    run = folder if (folder / "metrics.json").is_file() else latest_run(folder)
    return run / "report.html"


def started_at(folder: Path) -> datetime:
    """Return when the run of a folder began, in UTC, from the folder's name."""
    return datetime.strptime(folder.name.split("-")[0], _STAMP).replace(tzinfo=UTC)


def _free_name(parent: Path, started: datetime) -> Path:
    stamp = started.astimezone(UTC).strftime(_STAMP)
    names = [stamp, *(f"{stamp}-{k}" for k in range(2, 100))]
    return next(parent / name for name in names if not (parent / name).exists())


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    rows = table.reset_index().astype(object)
    return rows.where(rows.notna(), None).to_dict("records")
