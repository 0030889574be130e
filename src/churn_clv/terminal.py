"""A run on the terminal: its stages as they pass, its figures when it ends, and what to open."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

import duckdb
import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from churn_clv.checks.findings import Finding
from churn_clv.config import Config
from churn_clv.contractual import ContractualRun, train_contracts
from churn_clv.contractual_config import ContractualConfig
from churn_clv.data.cleaning import CleaningReport
from churn_clv.data.privacy import check_key
from churn_clv.data.scratch import clear_dead
from churn_clv.delivery.atomic import check_writable
from churn_clv.delivery.backtest_folder import write_backtest, write_comparison
from churn_clv.delivery.contract_folder import write_contract_run
from churn_clv.delivery.everyone_scores import score_everyone
from churn_clv.delivery.experiment import Experiment, compared_over_origins, comparison, origins_table
from churn_clv.delivery.experiment_folder import (
    Result,
    effects_of,
    reference_of,
    sentences,
    write_effects,
    write_measured,
)
from churn_clv.delivery.leaderboard import reached
from churn_clv.delivery.mlflow_page import check_experiment
from churn_clv.delivery.run_folder import SCORES, write_run
from churn_clv.delivery.store import check_store
from churn_clv.delivery.tracking import Logged, log_backtest, log_contract_run, log_run
from churn_clv.errors import InputError
from churn_clv.evaluation.judgement import NAMES, RUN, best_rival
from churn_clv.rolling import TASKS, Rolling, roll
from churn_clv.train import Run, train

SHOWN = (
    ("churn", "auc"), ("churn", "log_loss"), ("churn", "calibration_error"), ("value", "normalised_gini"),
    ("value", "top_10_percent_capture"), ("value", "rmse"), ("value", "bias"),
)  # fmt: skip
CONTRACT_SHOWN = (
    ("churn", "auc"), ("churn", "log_loss"), ("churn", "brier"), ("churn", "average_precision"),
    ("churn", "top_decile_lift"),
)  # fmt: skip
LEVEL_STYLES = {"error": "bold red", "warning": "bold yellow", "note": "dim"}
_Result = TypeVar("_Result")


def train_and_log(config: Config, out: Path, question: dict[str, str] | None = None) -> Run:
    """Train, write the run folder, log to MLflow and print what came of it.

    Places that cannot be written and a store that does not answer are refused before the work begins.
    """
    check_key()
    _make_ready(out / config.name, config.tracking.experiment)
    started = datetime.now(UTC)
    with within_limits(), progress_of(config.name) as progress:
        run = train(config, progress)
        if run.whole is not None:
            scored = partial(score_everyone, run, run.whole, out, progress)
            run = _timed(run, "score everyone", progress, scored)
        folder = _timed(run, "write the report", progress, lambda: write_run(run, out, started))
        with kept(folder):
            logged = _timed(run, "log to MLflow", progress, lambda: log_run(run, folder, question))
    _print_run(run, folder, logged)
    if run.everyone is not None:
        run.everyone.close()
        shutil.rmtree(run.everyone.folder.parent, ignore_errors=True)
    return run


def train_contracts_and_log(config: ContractualConfig, out: Path) -> ContractualRun:
    """Train on contracts, write the run folder, log to MLflow and print what came of it; see `train_and_log`."""
    _make_ready(out / config.name, config.tracking.experiment)
    started = datetime.now(UTC)
    with progress_of(config.name) as progress:
        run = train_contracts(config, progress)
        folder = _timed(run, "write the report", progress, lambda: write_contract_run(run, out, started))
        with kept(folder):
            page, board = _timed(run, "log to MLflow", progress, lambda: log_contract_run(run, folder))
    print_cleaning(run.contracts.cleaning, "Table")
    title = f"{config.name}: {run.judgement.customers:,} contracts, {config.evaluation.folds}-fold cross-fitting"
    places = {"Model": str(folder / "model"), "MLflow": reached(page), "Leaderboard": reached(board)}
    _print_results(run, _metrics_table(title, {"churn": run.judgement.churn}, CONTRACT_SHOWN), folder, places)
    return run


def backtest_and_log(config: Config, out: Path, question: dict[str, str] | None = None) -> Rolling:
    """Backtest over rolling origins, write the folder, log to MLflow and print what came of it; see `train_and_log`."""
    _make_ready(out / f"{config.name}-backtest", config.tracking.experiment)
    started = datetime.now(UTC)
    with within_limits(), progress_of(f"{config.name} backtest") as progress:
        rolling = roll(config, progress)
        folder = write_backtest(rolling, out, started)
        progress("log to MLflow")
        with kept(folder):
            page = log_backtest(rolling, folder, question)
    console = Console(highlight=False)
    print_cleaning(rolling.evidence.log.cleaning)
    console.print(f"{len(rolling.backtest.origins)} origins, {len(rolling.backtest.apart)} without overlap: "
                  f"{', '.join(str(day) for day in rolling.backtest.apart)}; horizon {rolling.horizon_days} days", soft_wrap=True)  # fmt: skip
    for task in TASKS:
        print_frame(origins_table(rolling.summary(task), task), f"{task}, mean over origins")
    for crowned in rolling.crowns():
        for sentence in crowned.sentences(NAMES):
            console.print(f"- {sentence}", soft_wrap=True)
    for note in rolling.notes:
        console.print(f"- At some origin: {note}", soft_wrap=True)
    console.print(f"Folder  {folder}\nMLflow  {reached(page)}", soft_wrap=True)
    return rolling


def _make_ready(folder: Path, experiment: str) -> None:
    """Refuse what a run could not end in, before its work begins; clear away what runs that are gone left there."""
    check_writable(folder)
    for place in (folder, folder.parent):
        clear_dead(place)
    check_store()
    check_experiment(experiment)


@contextmanager
def within_limits() -> Iterator[None]:
    """Say in one line that the engine's memory or its disk does not suffice.

    Raises
    ------
    InputError
        In place of the engine's error.
    """
    try:
        yield
    except duckdb.OutOfMemoryException:
        raise InputError(
            "the engine's memory does not suffice: raise data.memory_limit, and name a folder for the rest in data.spill_directory"
        ) from None
    except duckdb.IOException as failure:
        raise InputError(f"the engine cannot read or write a file: {str(failure).splitlines()[0][:200]}") from None


@contextmanager
def kept(folder: Path) -> Iterator[None]:
    """Say what is there already when the program is stopped while it logs to MLflow."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        print(f"{folder} is complete; MLflow has not taken all of it: churn-clv log {folder}", file=sys.stderr)
        raise


@contextmanager
def progress_of(name: str) -> Iterator[Callable[[str], None]]:
    """Show the stage that runs, on a terminal in place, elsewhere line by line."""
    console = Console(stderr=True, highlight=False)
    with console.status(name) as status:

        def progress(stage: str) -> None:
            status.update(f"{name}: {stage}")
            if not console.is_terminal:
                console.print(f"{name}: {stage}")

        yield progress


def print_cleaning(cleaning: CleaningReport, what: str = "Log") -> None:
    """Print rows in and out, and every rule that touched a row."""
    touched = [step.told for step in cleaning.steps if step.rows]
    rules = ": " + "; ".join(touched) if touched else ""
    print(f"{what}: {cleaning.rows_in:,} rows in, {cleaning.rows_out:,} out{rules}")


def print_frame(frame: pd.DataFrame, first: str) -> None:
    """Print a frame as a table, its index as the column `first`."""
    table = Table(first, *map(str, frame.columns))
    for name, row in frame.iterrows():
        table.add_row(str(name), *map(str, row))
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 200  # a file or a pipe has no width that columns would have to fit
    console.print(table)


def print_findings(findings: Sequence[Finding], config: Path) -> None:
    """Print what a check found, one line each, and whether the config would train."""
    console = Console(highlight=False)
    for found in findings:
        level = Text(f"{found.level:<8}", LEVEL_STYLES[found.level])
        console.print(level.append(f"{found.where}: {found.what}", "not bold default"), soft_wrap=True)
    counts = {level: sum(found.level == level for found in findings) for level in LEVEL_STYLES}
    told = ", ".join(f"{n} {level}{'s' * (n != 1)}" for level, n in counts.items() if n or level != "note")
    verdict = "churn-clv train would fail" if counts["error"] else "nothing stands in the way of churn-clv train"
    console.print(Text(f"{config}: {told}: {verdict}"), soft_wrap=True)


def answer_with_effects(
    asked: Experiment, file: Path, results: Mapping[str, Mapping[str, Result]], out: Path, write: bool
) -> None:
    """Print and write what each variant changed, log by log; with `write`, into the experiment's file too."""
    for log, named in results.items():
        print_frame(comparison({name: result.metrics for name, result in named.items()}), f"{log}: metric")
    if len(next(iter(results.values()))) == 1 and not asked.against:
        return  # one variant is compared with nothing
    effects = effects_of(asked, results)
    print(f"Compared with {reference_of(asked)}:")
    for line in sentences(effects):
        print(f"- {line}")
    print(f"Folder  {write_effects(asked, file.stem, effects, results, out)}")
    if write:
        write_measured(file, sentences(effects))
        print(f"wrote the measured effects into {file}; the answer is yours to write")


def write_and_print_comparison(name: str, runs: Mapping[str, Rolling], out: Path) -> None:
    """Print the methods of several backtests side by side, all against the simplest of the first, and write them."""
    for task in TASKS:
        table = origins_table(compared_over_origins(runs, task), task)
        print_frame(table, f"{task}: run and method, mean over origins")
    print(f"Folder  {write_comparison(name, runs, out, datetime.now(UTC))}")


def _timed(
    run: Run | ContractualRun, stage: str, progress: Callable[[str], None], work: Callable[[], _Result]
) -> _Result:
    progress(stage)
    start = time.perf_counter()
    result = work()
    run.seconds[stage] = time.perf_counter() - start
    return result


def _print_run(run: Run, folder: Path, logged: Logged) -> None:
    print_cleaning(run.log.cleaning)
    title = f"{run.config.name}: holdout {run.windows.calibration_end} to {run.windows.holdout_end}"
    model = f"models:/{logged.model_name}/{logged.model_version}"
    places = {
        "Segments": str(folder / "segments.html"),
        "Lists": str(folder / "lists"),
        "Model": model,
        "MLflow": reached(logged.page),
        "Leaderboard": reached(logged.leaderboard),
    }
    _print_results(run, _metrics_table(title, run.judgement.tables(), SHOWN), folder, places)


def _print_results(run: Run | ContractualRun, results: Table, folder: Path, places: dict[str, str]) -> None:
    console = Console(highlight=False)
    console.print(_times(run.seconds), results)
    for note in run.notes:
        console.print(f"- {note}", soft_wrap=True)
    scores = next(folder / name for name in ("scores.csv", SCORES) if (folder / name).exists())
    files = {"Report": folder / "report.html", "Scores": scores, "Grid": folder / "grid.csv"}
    for what, where in (files | places).items():
        console.print(f"{what:<11} {where}", soft_wrap=True)


def _times(by_stage: Mapping[str, float]) -> Table:
    table = Table("stage", title="Seconds by stage", title_justify="left")
    table.add_column("s", justify="right")
    for stage, seconds in by_stage.items():
        table.add_row(stage, f"{seconds:.1f}")
    table.add_row("all", f"{sum(by_stage.values()):.1f}")
    return table


def _metrics_table(title: str, tables: Mapping[str, pd.DataFrame], shown: Sequence[tuple[str, str]]) -> Table:
    table = Table("metric", title=title, title_justify="left")
    for heading in ("this run", "± s.e.", "best rival"):
        table.add_column(heading, justify="right")
    table.add_column("which")
    for task, metric in shown:
        rows = tables[task].loc[metric]
        own, (rival, value) = rows.loc[RUN], best_rival(rows["value"], metric)
        name = f"{task} {metric.replace('_', ' ')}"
        table.add_row(name, f"{own['value']:.3f}", f"{own['standard_error']:.3f}", f"{value:.3f}", rival)
    return table
