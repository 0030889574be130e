"""churn-clv: the program's only room that prints."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from churn_clv import __version__

if TYPE_CHECKING:
    import pandas as pd

    from churn_clv.config import Config
    from churn_clv.data.cleaning import CleaningReport
    from churn_clv.delivery.tracking import Logged
    from churn_clv.train import Run

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
    help="What is each customer worth, who is about to leave, and what do we do about it: from a transaction log.",
)  # fmt: skip
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Override a key of the config; may be repeated."),
]
Day = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="A day, YYYY-MM-DD.")]
CustomerId = Annotated[str, typer.Option(help="The log's column with the customer.")]
DateColumn = Annotated[str, typer.Option("--date", help="The log's column with the date or timestamp.")]
Amount = Annotated[str | None, typer.Option(help="The log's column with the amount; --amount '' for a log without.")]


def main() -> None:
    """Run the program; bad input is one line on standard error and exit code 2."""
    from churn_clv.errors import InputError

    # Before numpy is loaded: the models' sums are short, and idle BLAS threads spin.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        app()
    except InputError as error:
        print(f"churn-clv: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("churn-clv: interrupted; nothing unfinished was left under a final name", file=sys.stderr)
        sys.exit(130)


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False) -> None:
    if version:
        print(f"churn-clv {__version__}")
        raise typer.Exit


@app.command()
def train(
    config: Annotated[Path, typer.Argument(help="The run's YAML, for example configs/cdnow.yaml.")],
    set_: Set = None,
    out: Annotated[Path, typer.Option(help="Where run folders are written.")] = Path("runs"),
) -> None:
    """Fit, judge on the holdout, refit, score, draw the grid; write a run folder and an MLflow run."""
    from churn_clv.config import ConfigError, load_config
    from churn_clv.data.windows import WindowError

    loaded = load_config(config, set_ or [])
    try:
        _train_and_log(loaded, out)
    except WindowError as error:
        raise ConfigError(f"{config}: {error}") from None


@app.command()
def init(
    log: Annotated[Path, typer.Argument(help="A CSV or Parquet log.")],
    out: Annotated[
        Path | None, typer.Option(help="Where to write the config; left out, configs/<log's name>.yaml.")
    ] = None,
) -> None:
    """Write a first config, guessed from a log: which columns, which dates."""
    from churn_clv.delivery.first_config import write_first_config

    path, remarks = write_first_config(log, out)
    for remark in remarks:
        print(remark)
    print(f"wrote {path}; read it, then run: churn-clv train {path}")


@app.command()
def summary(
    log: Annotated[Path, typer.Argument(help="A CSV or Parquet log, or a folder of such files.")],
    out: Annotated[Path, typer.Argument(help="The summary, .csv or .parquet.")],
    end: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="Last day that counts, YYYY-MM-DD.")],
    customer_id: CustomerId = "customer_id",
    date_column: DateColumn = "date",
    amount: Amount = "amount",
    spend: Annotated[
        Literal["repeat", "all"], typer.Option(help="Days that monetary_value averages; 'repeat' leaves out the first.")
    ] = "repeat",
    date_format: Annotated[str | None, typer.Option(help="strptime pattern of the dates, such as %d/%m/%Y.")] = None,
    decimal: Annotated[Literal[".", ","], typer.Option(help="Decimal mark of the amounts.")] = ".",
) -> None:
    """Write frequency, recency, T (days) and monetary_value: one row a customer."""
    from churn_clv.data.contract import Columns, ReadingRules
    from churn_clv.data.summary import summarize
    from churn_clv.data.transactions import read_transactions
    from churn_clv.delivery.tables import check_table_path, write_table

    check_table_path(out)
    rules = ReadingRules(date_format=date_format, decimal=decimal, end=end.date())
    columns = Columns(customer_id=customer_id, date=date_column, amount=amount or None)
    cleaned = read_transactions(log, columns, rules)
    days = {"frequency": "int64", "recency": "int64", "T": "int64"}
    frame = summarize(cleaned, end.date(), spend).drop(columns="monetary_days").astype(days)
    write_table(frame, out)
    _print_cleaning(cleaned.cleaning)
    print(f"wrote {out}: {len(frame):,} customers as of {end.date()}")


@app.command()
def simulate(
    out: Annotated[Path, typer.Argument(help="The log, .csv or .parquet.")],
    customers: Annotated[int, typer.Option(min=1, help="How many customers.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random numbers.")] = 1,
    start: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="First day.")] = datetime(2023, 1, 1),  # noqa: DTZ001
    days: Annotated[int, typer.Option(min=2, help="Length of the log in days.")] = 730,
    arrival_days: Annotated[int, typer.Option(min=1, help="Days over which first purchases are spread.")] = 365,
    parameter: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="A true parameter: r, alpha, a, b (days), p, q, v.")
    ] = None,
) -> None:
    """Draw a transaction log from BG/NBD and Gamma-Gamma with known parameters."""
    from churn_clv.data.simulate import parse_truth, simulate_log
    from churn_clv.delivery.tables import check_table_path, write_table
    from churn_clv.errors import InputError

    check_table_path(out)
    try:
        frame = simulate_log(
            customers=customers,
            seed=seed,
            start=start.date(),
            days=days,
            arrival_days=arrival_days,
            truth=parse_truth(parameter or []),
        )
    except ValueError as error:
        raise InputError(str(error)) from None
    write_table(frame.set_index("customer_id"), out)
    print(f"wrote {out}: {len(frame):,} transactions of {customers:,} customers")


@app.command()
def score(
    model: Annotated[Path, typer.Argument(help="A run folder, its model folder, or a hand-over folder.")],
    log: Annotated[Path, typer.Argument(help="A CSV or Parquet log of any customers.")],
    out: Annotated[Path, typer.Argument(help="The scores, .csv or .parquet.")],
    as_of: Day = None,
    customer_id: Annotated[
        str | None, typer.Option(help="The log's column with the customer; left out, as in training.")
    ] = None,
    date_column: Annotated[
        str | None, typer.Option("--date", help="The log's column with the date; left out, as in training.")
    ] = None,
    amount: Annotated[
        str | None, typer.Option(help="The log's column with the amount; left out, as in training.")
    ] = None,
) -> None:
    """Score the customers of a log, known or never seen, with a fitted model."""
    from churn_clv.delivery.batch import score_file
    from churn_clv.delivery.tables import write_table

    given = {"customer_id": customer_id, "date": date_column, "amount": amount}
    scores, cleaning = score_file(model, log, out, as_of.date() if as_of else None, given)
    write_table(scores, out)
    _print_cleaning(cleaning)
    print(f"wrote {out}: {len(scores):,} customers as of {scores['as_of'].iloc[0]}")


@app.command()
def report(
    scores: Annotated[Path, typer.Argument(help="A score file (.csv or .parquet), or a run folder.")],
    out: Annotated[Path | None, typer.Argument(help="The page, .html; left out, beside the scores.")] = None,
) -> None:
    """Lay out a score file as a grid on one page, or say where a run's report is."""
    from churn_clv.delivery.run_folder import report_of
    from churn_clv.delivery.score_page import write_score_page

    print(f"Report: {report_of(scores)}" if scores.is_dir() else f"wrote {write_score_page(scores, out)}")


@app.command()
def handover(
    run: Annotated[Path | None, typer.Argument(help="A run folder; left out, the latest run.")] = None,
    out: Annotated[Path, typer.Option(help="Where hand-over folders are written.")] = Path("handover"),
    runs: Annotated[Path, typer.Option(help="Where run folders are.")] = Path("runs"),
) -> None:
    """Copy a run's model, checked, to a folder for the production team: text files, digests, no customer's data."""
    from churn_clv.delivery.handover import hand_over
    from churn_clv.delivery.run_folder import latest_run

    folder, digest = hand_over(run or latest_run(runs), out)
    print(f"wrote {folder}\nsha256 of its SHA256SUMS: {digest}")


@app.command()
def experiment(
    question: Annotated[
        Path, typer.Argument(help="An experiment's YAML, for example experiments/first_purchase.yaml.")
    ],
    out: Annotated[Path, typer.Option(help="Where run folders are written.")] = Path("runs"),
) -> None:
    """Run an experiment's configs as sibling MLflow runs and print their comparison."""
    from churn_clv.delivery.experiment import comparison, load_experiment

    asked = load_experiment(question)
    print(asked.question)
    runs = {
        name: _train_and_log(config, out, {"question": asked.question, "variant": name})
        for name, config in asked.runs.items()
    }
    _print_table(comparison(runs), "metric")


@app.command()
def ui(port: Annotated[int, typer.Option(min=1, max=65535, help="Port on this machine.")] = 5000) -> None:
    """Open the MLflow UI on the store that training writes to, on this machine only."""
    from churn_clv.delivery.store import serve_ui

    print(f"MLflow: http://127.0.0.1:{port} (Ctrl-C stops it)", flush=True)
    raise typer.Exit(max(serve_ui(port), 0))


def _train_and_log(config: Config, out: Path, tags: dict[str, str] | None = None) -> Run:
    """One run with its progress on the terminal: train, write the folder, log to MLflow, print what to open."""
    from rich.console import Console

    from churn_clv.train import train as run_config

    console, started = Console(stderr=True, highlight=False), datetime.now(UTC)
    with console.status("start") as status:

        def progress(stage: str) -> None:
            status.update(f"{config.name}: {stage}")

        run = run_config(config, progress)
        clock = datetime.now(UTC)
        progress("write the report")
        from churn_clv.delivery.run_folder import write_run

        folder = write_run(run, out, started)
        run.seconds["write the report"] = (datetime.now(UTC) - clock).total_seconds()
        clock = datetime.now(UTC)
        progress("log to MLflow")
        from churn_clv.delivery.tracking import log_run

        logged = log_run(run, folder, tags)
        run.seconds["log to MLflow"] = (datetime.now(UTC) - clock).total_seconds()
    _print_run(run, folder, logged)
    return run


def _print_run(run: Run, folder: Path, logged: Logged) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    _print_cleaning(run.log.cleaning)
    times = Table(title="Seconds by stage", title_justify="left")
    times.add_column("stage")
    times.add_column("s", justify="right")
    for stage, seconds in run.seconds.items():
        times.add_row(stage, f"{seconds:.1f}")
    times.add_row("all", f"{sum(run.seconds.values()):.1f}")
    console.print(times)
    console.print(_closing_table(run))
    for note in run.notes:
        console.print(f"- {note}", soft_wrap=True)
    for what, where in (("Report", folder / "report.html"), ("Scores", folder / "scores.csv"), ("Grid", folder / "grid.csv"),
                        ("Model", f"models:/{logged.model_name}/{logged.model_version} (challenger)"),
                        ("MLflow", f"{logged.page}  (after: make ui)")):  # fmt: skip
        console.print(f"{what:<7} {where}", soft_wrap=True)


def _closing_table(run: Run) -> object:
    from rich.table import Table

    table = Table(
        title=f"{run.config.name}: holdout {run.windows.calibration_end} to {run.windows.holdout_end}",
        title_justify="left",
    )
    for heading in ("metric", "this run", "± s.e.", "best rival", "which"):
        table.add_column(heading, justify="left" if heading in ("metric", "which") else "right")
    from churn_clv.evaluation.judgement import best_rival

    for task, metric in (("churn", "auc"), ("churn", "log_loss"), ("churn", "calibration_error"), ("value", "normalised_gini"),
                         ("value", "top_10_percent_capture"), ("value", "rmse")):  # fmt: skip
        rows = run.judgement.tables()[task].loc[metric]
        own, (rival, value) = rows.loc["this_run"], best_rival(rows["value"], metric)
        table.add_row(
            f"{task} {metric.replace('_', ' ')}",
            f"{own['value']:.3f}",
            f"{own['standard_error']:.3f}",
            f"{value:.3f}",
            rival,
        )
    return table


def _print_cleaning(cleaning: CleaningReport) -> None:
    touched = [f"{step.rows:,} {step.rule} ({step.action})" for step in cleaning.steps if step.rows]
    print(
        f"Log: {cleaning.rows_in:,} rows in, {cleaning.rows_out:,} out" + (": " + "; ".join(touched) if touched else "")
    )


def _print_table(frame: pd.DataFrame, first: str) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(first, *map(str, frame.columns))
    for name, row in frame.iterrows():
        table.add_row(str(name), *map(str, row))
    Console(highlight=False).print(table)


if __name__ == "__main__":
    main()
