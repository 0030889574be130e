"""churn-clv: the commands. With `terminal`, the only room that prints."""

from __future__ import annotations

import errno
import io
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from churn_clv import __version__, model_commands
from churn_clv.log_options import (
    Amount,
    CustomerId,
    DateColumn,
    DateFormat,
    Decimal,
    Delimiter,
    Encoding,
    LastDay,
    Log,
    Timezone,
)
from churn_clv.score_command import score
from churn_clv.stopping import LAST_WORD, stoppable

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="What is each customer worth, who is about to leave, and what do we do about it: from a transaction log.",
)
STOPPED = {130, 143}  # by SIGINT, by SIGTERM
# What a disk answers that is full, read-only or somebody else's, or to a name that is none.
_REFUSED = {
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR,
    errno.EINVAL,
}  # fmt: skip

Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Override a key of the config; may be repeated."),
]
Runs = Annotated[Path, typer.Option(help="Where run folders are written.")]


def main() -> None:
    """Run the program; bad input is one line on standard error and exit code 2."""
    # Before numpy is loaded: the models' sums are short, and idle BLAS threads spin.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name that the terminal's encoding lacks stops nothing
    with stoppable() as asked:
        try:
            code = app(standalone_mode=False) or 0
            if sys.stdout is not None:
                sys.stdout.flush()
        except KeyboardInterrupt:
            code = 130
        except SystemExit as end:
            # Typer leaves in silence where the reader of a pipe has gone.
            code = _unheard(end.__context__) if isinstance(end.__context__, BrokenPipeError) else int(end.code or 0)
        except Exception as error:
            # DuckDB makes an error of its own of what the signal raised.
            code = 128 + asked[0] if asked else _refused(error)
    if code in STOPPED:
        print(LAST_WORD, file=sys.stderr)
    sys.exit(code)


def _refused(error: Exception) -> int:
    """Say what was wrong with the input, the command's words or the disk; raise what is the program's own fault."""
    from churn_clv.errors import InputError

    usage_error: Any = typer.BadParameter.__base__
    if isinstance(error, InputError):
        return _last_word(str(error), 2)
    if isinstance(error, usage_error):
        return _last_word(f"{error.format_message()} (--help explains)", 2)
    if isinstance(error, OSError) and error.filename is None and _is_deaf():
        return _unheard(error)
    if isinstance(error, OSError) and error.errno in _REFUSED:
        return _last_word(_named(error), 2)
    raise error


def _unheard(error: OSError) -> int:
    """Say that nobody can be told what the command did."""
    return _last_word(
        f"standard output cannot be written ({error.strerror}): the files that were finished stand, the last words are lost",
        1,
    )


def _is_deaf() -> bool:
    """Tell whether standard output is closed or full, and then take no more words for it."""
    try:
        print(flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True
    return False


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    if version:
        print(f"churn-clv {__version__}")
        raise typer.Exit


@app.command()
def train(
    config: Annotated[Path, typer.Argument(help="The run's YAML, for example configs/cdnow.yaml.")],
    set_: Set = None,
    out: Runs = Path("runs"),
) -> None:
    """Fit, judge on the holdout, refit, score, draw the grid; write a run folder and an MLflow run."""
    from churn_clv.contractual_config import ContractualConfig, load_run
    from churn_clv.terminal import train_and_log, train_contracts_and_log

    loaded = load_run(config, set_ or [])
    if isinstance(loaded, ContractualConfig):
        train_contracts_and_log(loaded, out)
        return
    with _file_of_the_windows(str(config)):
        train_and_log(loaded, out)


@app.command()
def check(
    config: Annotated[Path, typer.Argument(help="The run's YAML, for example configs/cdnow.yaml.")],
    set_: Set = None,
    out: Runs = Path("runs"),
) -> None:
    """Say what would make train fail or surprise, before any training; writes nothing, exits 2 if train would fail."""
    from churn_clv.checks.run import check as looked_at
    from churn_clv.terminal import print_findings, within_limits

    with within_limits():
        findings = looked_at(config, set_ or [], out)
    print_findings(findings, config)
    if any(found.level == "error" for found in findings):
        raise typer.Exit(2)


@app.command()
def backtest(
    config: Annotated[Path, typer.Argument(help="The run's YAML, for example configs/cdnow.yaml.")],
    set_: Set = None,
    out: Runs = Path("runs"),
) -> None:
    """Compare the methods at many origins of the log, and say who is champion; trains nothing for production."""
    from churn_clv.config import load_config
    from churn_clv.terminal import backtest_and_log

    loaded = load_config(config, set_ or [])
    with _file_of_the_windows(str(config)):
        backtest_and_log(loaded, out)


@app.command()
def init(
    log: Annotated[Path, typer.Argument(help="A CSV or Parquet log.")],
    out: Annotated[Path | None, typer.Option(help="The config; left out, configs/<log's name>.yaml.")] = None,
) -> None:
    """Write a first config, guessed from a log: which columns, which dates."""
    from churn_clv.delivery.first_config import write_first_config

    path, remarks = write_first_config(log, out)
    for remark in remarks:
        print(remark)
    print(f"wrote {path}; read it, then run: churn-clv check {path}, and churn-clv train {path}")


@app.command()
def summary(
    log: Log,
    out: Annotated[Path, typer.Argument(help="The summary, .csv or .parquet.")],
    end: LastDay,
    customer_id: CustomerId = "customer_id",
    date_column: DateColumn = "date",
    amount: Amount = "amount",
    spend: Annotated[
        Literal["repeat", "all"], typer.Option(help="Days that monetary_value averages; 'repeat' leaves out the first.")
    ] = "repeat",
    date_format: DateFormat = None,
    decimal: Decimal = ".",
    delimiter: Delimiter = None,
    encoding: Encoding = "utf-8",
    timezone: Timezone = "UTC",
) -> None:
    """Write frequency, recency, T (days) and monetary_value: one row a customer."""
    from churn_clv.data.contract import Columns, ReadingRules
    from churn_clv.data.summary import require_known_customers, summarize
    from churn_clv.data.transactions import read_transactions
    from churn_clv.delivery.tables import check_output, write_table
    from churn_clv.terminal import print_cleaning

    check_output(out, log)
    _check_summary(log, out, end.date(), customer_id, date_column)
    rules = ReadingRules(
        date_format=date_format, decimal="," if decimal == "," else ".", delimiter=delimiter,
        encoding=encoding or "utf-8", timezone=timezone or "UTC", end=end.date(),
    )  # fmt: skip
    columns = Columns(customer_id=customer_id or "", date=date_column or "", amount=amount or None)
    cleaned = read_transactions(log, columns, rules)
    frame = summarize(cleaned, end.date(), spend)
    require_known_customers(frame, end.date())
    days = {"frequency": "int64", "recency": "int64", "T": "int64"}
    write_table(frame.drop(columns=["monetary_days", "value_to_date"]).astype(days), out)
    print_cleaning(cleaned.cleaning)
    print(f"wrote {_on_one_line(out)}: {len(frame):,} customers as of {end.date()}")


def _check_summary(log: Path, out: Path, end: date, customer_id: str | None, date_column: str | None) -> None:
    """Refuse a last day that has not been, roles without a column, and an output that the next run would read as the log."""
    from churn_clv.errors import InputError

    if end > datetime.now(UTC).date() + timedelta(days=1):
        raise InputError(
            f"--end {end}: is in the future: T would count days that have not been; name the log's last whole day"
        )
    for option, name in (("--customer-id", customer_id), ("--date", date_column)):
        if not name:
            raise InputError(f"{option} '': name the column; only --amount may be empty, for a log without amounts")
    if Path(os.path.realpath(log)) in Path(os.path.realpath(out)).parents:
        raise InputError(
            f"{out}: stands in the folder of the log, and would be read as a part of it: name a place outside"
        )


@app.command()
def simulate(
    out: Annotated[Path, typer.Argument(help="The log, .csv or .parquet; else a new folder, of any size.")],
    customers: Annotated[int, typer.Option(min=1, help="How many customers.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random numbers.")] = 1,
    start: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="First day.")] = datetime(2023, 1, 1),  # noqa: DTZ001
    days: Annotated[int, typer.Option(min=2, help="Length of the log in days.")] = 730,
    arrival_days: Annotated[int, typer.Option(min=1, help="Days over which first purchases are spread.")] = 365,
    parameter: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="A true parameter: r, alpha (days), a, b, p, q, v."),
    ] = None,
) -> None:
    """Draw a transaction log from BG/NBD and Gamma-Gamma with known parameters."""
    from churn_clv.data.simulate import parse_truth
    from churn_clv.delivery.simulated_logs import write_simulated
    from churn_clv.errors import InputError

    try:
        truth = parse_truth(parameter or [])
    except ValueError as error:
        raise InputError(str(error)) from None
    lines = write_simulated(
        out, customers=customers, seed=seed, start=start.date(), days=days, arrival_days=arrival_days, truth=truth
    )
    print(f"wrote {out}: {lines:,} transactions of {customers:,} customers")


app.command()(score)


@app.command()
def report(
    scores: Annotated[Path, typer.Argument(help="A score file (.csv or .parquet), a run folder, or a folder of runs.")],
    out: Annotated[Path | None, typer.Argument(help="The page, .html; left out, beside the scores.")] = None,
) -> None:
    """Lay out a score file as a grid on one page, or say where a run's report is."""
    from churn_clv.delivery.run_folder import latest_run
    from churn_clv.delivery.score_page import write_score_page

    if scores.is_dir():
        print(f"Report: {latest_run(scores) / 'report.html'}")
    else:
        print(f"wrote {write_score_page(scores, out)}")


@app.command()
def lists(
    scores: Annotated[Path, typer.Argument(help="A score file (.csv or .parquet), a run folder, or a folder of runs.")],
    out: Annotated[Path, typer.Argument(help="A new folder for the lists.")],
    by: Annotated[
        str, typer.Option(help="Column that names the segments: rfm_segment, lifecycle_stage, value_class, ...")
    ] = "segment",
    pseudonyms: Annotated[
        bool,
        typer.Option("--pseudonyms", help="Lists to send away: pseudonyms by CHURN_CLV_PSEUDONYM_KEY in place of ids."),
    ] = False,
) -> None:
    """Write one list of customers a segment, as CSV that is safe in a spreadsheet and as Parquet."""
    from churn_clv.data.privacy import pseudonym_key
    from churn_clv.delivery.run_folder import scores_of
    from churn_clv.delivery.segment_lists import lists_of

    written = lists_of(scores_of(scores), by, out, pseudonym_key() if pseudonyms else None)
    kinds = sorted({path.suffix for path in written})
    print(f"wrote {len(written) // len(kinds)} lists of {by} to {out}, each as {' and '.join(kinds)}")


@app.command()
def purge(
    ids: Annotated[
        Path,
        typer.Argument(help="A file with one customer id a line; - reads them from standard input.", allow_dash=True),
    ],
    places: Annotated[
        list[Path], typer.Argument(help="Folders, or CSV and Parquet tables, such as runs and scores.csv.")
    ],
) -> None:
    """Remove customers from score files, lists and customer tables on this machine; says what it cannot remove.

    Exit code 1: something could not be searched.
    """
    from churn_clv.delivery.purge import NOT_REMOVED, purge_listed

    found = purge_listed(ids, places, sys.stdin.buffer)
    for table, rows in found.rows.items():
        print(f"{table}: {rows:,} row{'s' * (rows != 1)} removed")
    for sentence in found.sentences():
        print(sentence)
    print(NOT_REMOVED)
    raise typer.Exit(0 if found.saw_all else 1)


@app.command()
def handover(
    run: Annotated[
        str,
        typer.Argument(
            help="A run folder, a folder of runs (the newest counts), champion, MODEL@ALIAS or MODEL/VERSION."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Where hand-over folders are written.")] = Path("handover"),
) -> None:
    """Write a model, checked, with the code that scores, for the production team: text files, digests, no customer's data."""
    from churn_clv.delivery.handover import write_handover
    from churn_clv.delivery.handover_source import source_of

    source = source_of(run)
    folder, digest = write_handover(source, out)
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    print(f"wrote {folder}, the model of {source.origin}: {len(sizes)} files, {sum(sizes) / 1e6:.1f} MB")
    print(f"sha256 of its SHA256SUMS: {digest}")
    if source.remark:
        print(source.remark)


@app.command("export-sql")
def export_sql(
    model: Annotated[Path, typer.Argument(help="A hand-over, a run folder, or a folder of runs (the newest counts).")],
    dialect: Annotated[str, typer.Option(help="duckdb, spark, postgres, bigquery or snowflake.")] = "duckdb",
    table: Annotated[str, typer.Option(help="The summary table, [schema.]name.")] = "summary",
    out: Annotated[Path | None, typer.Option(help="The .sql file; left out, the query is printed.")] = None,
) -> None:
    """Write the purchase and spend models as one SELECT over a summary table, to score without Python."""
    from churn_clv.delivery.atomic import whole_file
    from churn_clv.delivery.batch import model_folder
    from churn_clv.delivery.export_sql import model_sql
    from churn_clv.delivery.model_folder import read_model

    sql = model_sql(read_model(model_folder(model)).models, dialect, table)
    if out is None:
        print(sql, end="")
    else:
        whole_file(out, lambda path: path.write_text(sql, encoding="utf-8"))
        print(f"wrote {out}: a SELECT over {table} for {dialect}")


@app.command("summary-sql")
def summary_sql(
    table: Annotated[str, typer.Argument(help="The table of transactions, [schema.]name.")],
    end: LastDay,
    customer_id: CustomerId = "customer_id",
    date_column: DateColumn = "date",
    amount: Amount = "amount",
    spend: Annotated[
        Literal["repeat", "all"], typer.Option(help="Days that monetary_value averages; 'repeat' leaves out the first.")
    ] = "repeat",
    dialect: Annotated[str, typer.Option(help="duckdb or spark.")] = "duckdb",
) -> None:
    """Print the summary as one SELECT over a table of clean transactions: what export-sql reads."""
    from churn_clv.data.contract import Columns
    from churn_clv.delivery.summary_sql import summary_sql as written

    columns = Columns(customer_id=customer_id or "", date=date_column or "", amount=amount or None)
    print(written(table, end.date(), spend, columns, dialect), end="")


@app.command()
def experiment(
    question: Annotated[Path, typer.Argument(help="An experiment's YAML, for example experiments/engine.yaml.")],
    set_: Set = None,
    out: Runs = Path("runs"),
    write: Annotated[
        bool, typer.Option("--write", help="Put the measured effects into the experiment's file.")
    ] = False,
) -> None:
    """Run an experiment's configs as sibling MLflow runs and print their comparison."""
    from churn_clv.delivery.experiment import load_experiment
    from churn_clv.delivery.experiment_folder import Result
    from churn_clv.delivery.leaderboard import leaderboard_named, reached
    from churn_clv.terminal import answer_with_effects, backtest_and_log, train_and_log, write_and_print_comparison

    asked = load_experiment(question, set_ or [])
    print(asked.question)
    trained: dict[str, dict[str, Result]] = {}
    for log, variants in asked.logs.items():
        rolled = {}
        for name, config in variants.items():
            tags = {"question": asked.question, "variant": name, "log": log}
            with _file_of_the_windows(f"{question}: runs.{name}"):
                if asked.backtest:
                    rolled[name] = backtest_and_log(config, out, tags)
                else:
                    trained.setdefault(log, {})[name] = Result.of(train_and_log(config, out, tags))
        if rolled:
            write_and_print_comparison(f"{question.stem}-{log}" if len(asked.logs) > 1 else question.stem, rolled, out)
    if trained:
        answer_with_effects(asked, question, trained, out, write)
    print(f"Leaderboard {reached(leaderboard_named(config.tracking.experiment))}")


app.command()(model_commands.log)
app.command()(model_commands.promote)
app.command()(model_commands.rollback)
app.command()(model_commands.compare)
app.command()(model_commands.monitor)


@app.command()
def ui(port: Annotated[int, typer.Option(min=1, max=65535, help="Port on this machine.")] = 5000) -> None:
    """Open the MLflow UI on the store that training writes to, on this machine only."""
    from churn_clv.delivery.store import serve_ui

    print(f"MLflow: http://127.0.0.1:{port} (Ctrl-C stops it)", flush=True)
    raise typer.Exit(max(serve_ui(port), 0))


@contextmanager
def _file_of_the_windows(source: str) -> Iterator[None]:
    """Name the file of a date that the log does not allow, which only reading the log could show."""
    from churn_clv.data.windows import WindowError
    from churn_clv.errors import ConfigError

    try:
        yield
    except WindowError as error:
        raise ConfigError(f"{source}: {error}") from None


def _named(error: OSError) -> str:
    """Say which file the system refused, where it says so itself."""
    from churn_clv.delivery.atomic import room_left

    if error.filename is None:
        return f"{error.strerror or error}: a file that the system does not name; temporary ones are in {tempfile.gettempdir()}"
    path = Path(str(error.filename))
    named = str(path) if len(str(path)) <= 200 else f"{path.name[:80]}..."
    return f"{named}: {error.strerror}{room_left(path, error)}"


def _last_word(message: str, code: int) -> int:
    print(f"churn-clv: {_on_one_line(message)}", file=sys.stderr)
    return code


def _on_one_line(text: object) -> str:
    """Return a text with what would break or colour its line written out."""
    return "".join(c if c.isprintable() or c == "\u00a0" else repr(c)[1:-1] for c in str(text))


if __name__ == "__main__":
    main()
