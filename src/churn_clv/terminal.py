"""A run on the terminal: its stages as they pass, its figures when it ends, and what to open."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import pandas as pd
from rich.console import Console
from rich.table import Table

from churn_clv.config import Config
from churn_clv.data.cleaning import CleaningReport
from churn_clv.delivery.atomic import check_writable
from churn_clv.delivery.run_folder import write_run
from churn_clv.delivery.store import check_store
from churn_clv.delivery.tracking import Logged, log_run
from churn_clv.evaluation.judgement import RUN, best_rival
from churn_clv.train import Run, train

SHOWN = (
    ("churn", "auc"), ("churn", "log_loss"), ("churn", "calibration_error"), ("value", "normalised_gini"),
    ("value", "top_10_percent_capture"), ("value", "rmse"), ("value", "bias"),
)  # fmt: skip
_Result = TypeVar("_Result")


def train_and_log(config: Config, out: Path, question: dict[str, str] | None = None) -> Run:
    """Train, write the run folder, log to MLflow and print what came of it.

    Places that cannot be written and a store that does not answer are refused before the work begins.
    """
    check_writable(out / config.name)
    check_store()
    console, started = Console(stderr=True, highlight=False), datetime.now(UTC)
    with console.status(config.name) as status:

        def progress(stage: str) -> None:
            status.update(f"{config.name}: {stage}")
            if not console.is_terminal:
                console.print(f"{config.name}: {stage}")

        run = train(config, progress)
        folder = _timed(run, "write the report", progress, lambda: write_run(run, out, started))
        logged = _timed(run, "log to MLflow", progress, lambda: log_run(run, folder, question))
    _print_run(run, folder, logged)
    return run


def print_cleaning(cleaning: CleaningReport) -> None:
    """Print rows in and out, and every rule that touched a row."""
    touched = [f"{step.rows:,} {step.rule} ({step.action})" for step in cleaning.steps if step.rows]
    rules = ": " + "; ".join(touched) if touched else ""
    print(f"Log: {cleaning.rows_in:,} rows in, {cleaning.rows_out:,} out{rules}")


def print_frame(frame: pd.DataFrame, first: str) -> None:
    """Print a frame as a table, its index as the column `first`."""
    table = Table(first, *map(str, frame.columns))
    for name, row in frame.iterrows():
        table.add_row(str(name), *map(str, row))
    Console(highlight=False).print(table)


def _timed(run: Run, stage: str, progress: Callable[[str], None], work: Callable[[], _Result]) -> _Result:
    progress(stage)
    start = time.perf_counter()
    result = work()
    run.seconds[stage] = time.perf_counter() - start
    return result


def _print_run(run: Run, folder: Path, logged: Logged) -> None:
    console = Console(highlight=False)
    print_cleaning(run.log.cleaning)
    console.print(_times(run), _results(run))
    for note in run.notes:
        console.print(f"- {note}", soft_wrap=True)
    places = {
        "Report": folder / "report.html", "Scores": folder / "scores.csv", "Grid": folder / "grid.csv",
        "Model": f"models:/{logged.model_name}/{logged.model_version}", "MLflow": f"{logged.page}  (after: make ui)",
    }  # fmt: skip
    for what, where in places.items():
        console.print(f"{what:<7} {where}", soft_wrap=True)


def _times(run: Run) -> Table:
    table = Table("stage", title="Seconds by stage", title_justify="left")
    table.add_column("s", justify="right")
    for stage, seconds in run.seconds.items():
        table.add_row(stage, f"{seconds:.1f}")
    table.add_row("all", f"{sum(run.seconds.values()):.1f}")
    return table


def _results(run: Run) -> Table:
    title = f"{run.config.name}: holdout {run.windows.calibration_end} to {run.windows.holdout_end}"
    table = Table("metric", title=title, title_justify="left")
    for heading in ("this run", "± s.e.", "best rival"):
        table.add_column(heading, justify="right")
    table.add_column("which")
    for task, metric in SHOWN:
        rows = run.judgement.tables()[task].loc[metric]
        own, (rival, value) = rows.loc[RUN], best_rival(rows["value"], metric)
        name = f"{task} {metric.replace('_', ' ')}"
        table.add_row(name, f"{own['value']:.3f}", f"{own['standard_error']:.3f}", f"{value:.3f}", rival)
    return table
