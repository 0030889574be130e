"""A run on disk: scores, grid, metrics, figures, report and model, in a folder that appears when it is complete."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from churn_clv.data.open_log import known_columns
from churn_clv.delivery.atomic import NameTaken, whole_folder
from churn_clv.delivery.model_card import CARD, model_card
from churn_clv.delivery.model_folder import model_files, write_model
from churn_clv.delivery.report import render_report, write_figures
from churn_clv.delivery.segment_lists import write_segmentation
from churn_clv.delivery.segments_page import render_segments
from churn_clv.delivery.tables import write_table
from churn_clv.errors import InputError
from churn_clv.evaluation.figures import figures_of
from churn_clv.evaluation.model_drawings import model_figures_of
from churn_clv.evaluation.segment_drawings import segment_figures_of
from churn_clv.evaluation.shown import margins_are_shown, shown_groups
from churn_clv.everyone import PARTS
from churn_clv.train import Run

# The figures of the models that the report shows; all of them stand in the run's folder, as the page has to stay small.
IN_REPORT = ("clv_ranking",)
# What the production models read of every customer: what monitoring compares later customers with.
CUSTOMERS = "customers.parquet"
# Metrics that count customers who are chosen.
COUNTS = ("actions/contacted", "actions/win_back")
SCORES, PANEL_SCORES = "scores", "panel_scores.parquet"
_STAMP = "%Y%m%dT%H%M%SZ"


def write_run(run: Run, root: Path, started: datetime) -> Path:
    """Write everything a run found into ``root/<config>/<time>/`` and return that folder.

    Raises
    ------
    InputError
        If the place cannot be written. An interrupted writing leaves no folder under the final name.
    """
    if run.whole is not None and run.everyone is None:
        raise InputError("the run stands on a panel: score everyone first (churn_clv.delivery.everyone_scores)")
    return stamped_folder(root / run.config.name, started, lambda folder, name: _fill(folder, run, name, started))


def stamped_folder(parent: Path, started: datetime, fill: Callable[[Path, str], None]) -> Path:
    """Fill ``parent/<time>/`` and return it; `fill` gets the folder to write into and the run's name.

    Raises
    ------
    InputError
        If the place cannot be written. An interrupted filling leaves no folder under the final name.
    """
    for folder in _names(parent, started):
        try:
            with whole_folder(folder) as partial:
                fill(partial, f"{parent.name} {folder.name}")
            return folder
        except NameTaken:
            continue
    raise InputError(f"{parent}: holds a hundred runs of this second already")


def _fill(folder: Path, run: Run, run_name: str, started: datetime) -> None:
    figures = figures_of(run)
    (folder / "config.yaml").write_text(run.config.to_yaml(), encoding="utf-8")
    write_table(run.customers, folder / CUSTOMERS)
    _write_scores(run, folder)
    write_table(run.judged, folder / "judged_scores.parquet")
    write_table(both_grids(run), folder / "grid.csv")
    write_segmentation(run, folder)
    (folder / "metrics.json").write_text(json.dumps(summary_of(run), indent=1), encoding="utf-8")
    models = model_figures_of(run)
    write_figures(figures | models, folder / "figures")
    shown = figures | {name: models[name] for name in IN_REPORT if name in models}
    html = render_report(run, shown, generated_at=started, run_name=run_name)
    (folder / "report.html").write_text(html, encoding="utf-8")
    segment_figures = segment_figures_of(run)
    write_figures(segment_figures, folder / "figures")
    page = render_segments(run, segment_figures, generated_at=started, run_name=run_name)
    (folder / "segments.html").write_text(page, encoding="utf-8")
    (folder / "model").mkdir()
    write_model(folder / "model", files_of(run))


def _write_scores(run: Run, folder: Path) -> None:
    """One table for people and programs, or, of everyone beside a panel, Parquet files; their own folder stays for the lists."""
    if run.everyone is None:
        write_table(run.scores, folder / "scores.parquet")
        write_table(run.scores, folder / "scores.csv")
        return
    write_table(run.scores, folder / PANEL_SCORES)
    shutil.copytree(run.everyone.folder, folder / SCORES, copy_function=_link)


def _link(source: str, target: str) -> None:
    """Put a part under its new name without a second copy, where both stand on one disk."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def files_of(run: Run) -> dict[str, str]:
    """Return the hand-over files of the run's production models."""
    data, windows = run.config.data, run.windows
    about = {
        "config": run.config.name, "currency": data.currency, "trained_as_of": str(windows.score_as_of),
        "calibration_end": str(windows.calibration_end), "holdout_end": str(windows.holdout_end),
        "metrics": run.judgement.metrics(), "notes": run.notes, "data_fingerprint": run.fingerprint,
    }  # fmt: skip
    files = model_files(run.models, known_columns(data.source, data.column_names()), data.reading_rules(), about)
    return files | {CARD: model_card(run)}


def both_grids(run: Run) -> pd.DataFrame:
    """Return the judged and the production grid in one table, never mixed in a row, without cells of few customers."""
    grids = {"judged": run.judged_grid, "production": run.production_grid}
    return pd.concat({name: shown_groups(run, table) for name, table in grids.items()}, names=["grid"])


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
    """Return every metric of the run under its documented name, but numbers about few customers."""
    found = run.judgement.metrics() | _totals(run) | run.segmentation.metrics
    if run.everyone is not None:
        found["actions/win_back"] = float(run.everyone.total["win_back"])
    few = {name for name in COUNTS if 0 < found.get(name, 0) < run.config.privacy.smallest_group}
    if "actions/contacted" in few:
        few |= {"actions/expected_profit", "actions/expected_outlay"}
    if not margins_are_shown(run, run.judged_grid):
        few |= {"grid/effective_cells"}
    return {name: value for name, value in found.items() if value == value and name not in few}


def _totals(run: Run) -> dict[str, float]:
    """What all scored customers add up to."""
    named = {"customers": "customers", "churn_probability": "mean_churn_probability"}
    named |= {name: name for name in ("expected_spend", "value_at_risk", "clv")}
    return {f"production/{name}": float(run.total[column]) for column, name in named.items()}


def parameters_of(run: Run) -> dict[str, dict[str, float]]:
    """Return the fitted parameters of the judged and the production models."""
    found = {}
    for stage, models in (("judged", run.judged_models), ("production", run.models)):
        found[f"{stage}/purchases"] = dict(models.purchases.params_)
        if models.spend is not None:
            found[f"{stage}/spend"] = dict(models.spend.params_)
    return found


def latest_run(place: Path) -> Path:
    """Return a run folder itself, or the newest complete run below a folder of runs, of one config or of all.

    Raises
    ------
    InputError
        If there is none.
    """
    if (place / "metrics.json").is_file():
        return place
    folders = [path.parent for depth in ("*", "*/*") for path in place.glob(f"{depth}/metrics.json")]
    complete = [folder for folder in folders if not folder.name.startswith(".")]
    if not complete:
        raise InputError(f"{place}: holds no complete run; train first (make train)")
    return max(complete, key=lambda folder: folder.name)


def scores_of(place: Path) -> Path:
    """Return where the scores of a run folder, or of the newest run below a folder, stand: a file, or a folder of parts;
    another file is its own answer."""
    if not place.is_dir() or any(place.glob(PARTS)):
        return place
    run = latest_run(place)
    return run / SCORES if (run / SCORES).is_dir() else run / "scores.parquet"


def started_at(folder: Path) -> datetime:
    """Return when the run of a folder began, in UTC, from the folder's name."""
    return datetime.strptime(folder.name.split("-")[0], _STAMP).replace(tzinfo=UTC)


def _names(parent: Path, started: datetime) -> list[Path]:
    stamp = started.astimezone(UTC).strftime(_STAMP)
    return [parent / stamp, *(parent / f"{stamp}-{k}" for k in range(2, 100))]


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    rows = table.reset_index().astype(object)
    return rows.where(rows.notna(), None).to_dict("records")
