"""The command that scores: a log, a customer table, or a table of contracts."""

from __future__ import annotations

import resource
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from churn_clv.log_options import (
    Amount,
    CustomerId,
    DateColumn,
    DateFormat,
    Decimal,
    Delimiter,
    Encoding,
    Timezone,
)

if TYPE_CHECKING:
    from churn_clv.delivery.score_in_parts import Outcome

Source = Annotated[
    str,
    typer.Argument(
        metavar="INPUT",
        help="A log, or a customer table (columns frequency, recency and T): CSV, Parquet, a folder of either, or a "
        "database's table, such as postgresql+psycopg://user@host/db?table=schema.customers.",
    ),
]
Output = Annotated[
    Path, typer.Argument(metavar="OUTPUT", help="The scores: .csv, .parquet, or a new folder of Parquet files.")
]
AsOf = Annotated[
    datetime | None,
    typer.Option(formats=["%Y-%m-%d"], help="Day to score on; left out, the log's last, and unsaid of a table."),
]


def score(
    model: Annotated[Path, typer.Argument(help="A hand-over, a run folder, or a folder of runs (the newest counts).")],
    source: Source,
    out: Output,
    as_of: AsOf = None,
    horizon: Annotated[
        str | None, typer.Option(help="How far to forecast, such as '26 weeks'; left out, as in training.")
    ] = None,
    no_reasons: Annotated[
        bool, typer.Option("--no-reasons", help="Leave the column reasons out, which takes most of the time.")
    ] = False,
    customer_id: CustomerId = None,
    date_column: DateColumn = None,
    amount: Amount = None,
    date_format: DateFormat = None,
    decimal: Decimal = None,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    timezone: Timezone = None,
    attributes: Annotated[
        Path | None,
        typer.Option(help="Of a log: customer attributes, one row a customer, with a column customer_id."),
    ] = None,
    events: Annotated[
        Path | None,
        typer.Option(help="Of a log: events that are no purchases, with columns customer_id, date and kind."),
    ] = None,
    memory_limit: Annotated[
        str | None, typer.Option(help="Of a log: memory for reading it, such as 4GB; beyond it the disk is used.")
    ] = None,
) -> None:
    """Score customers, known or never seen, in bounded memory; what is not said is as in training.

    A run that was stopped is gone on with when it is called again; the output appears only when it is whole.
    """
    from churn_clv.delivery.batch import model_folder
    from churn_clv.delivery.contract_score import is_contract_model
    from churn_clv.delivery.score_in_parts import score_in_parts
    from churn_clv.delivery.score_input import ScoreInput
    from churn_clv.terminal import progress_of

    columns = {"customer_id": customer_id, "date": date_column, "amount": amount}
    manner = {
        "date_format": date_format, "decimal": decimal, "delimiter": delimiter, "encoding": encoding, "timezone": timezone,
    }  # fmt: skip
    if is_contract_model(model_folder(model)):
        of_logs = {
            "as_of": as_of, "horizon": horizon, "date": date_column, "amount": amount, "attributes": attributes,
            "events": events, "memory_limit": memory_limit, "no_reasons": no_reasons or None,
        } | manner  # fmt: skip
        _score_contracts(
            model_folder(model), source, out, customer_id, [k for k, v in of_logs.items() if v is not None]
        )
        return
    asked = ScoreInput(source, as_of.date() if as_of else None, columns, manner, attributes, events, memory_limit)
    started = time.perf_counter()
    with progress_of("score") as progress:
        outcome = score_in_parts(model, asked, out, _days(horizon), not no_reasons, progress)
    _print_outcome(outcome, out, time.perf_counter() - started)


def _days(horizon: str | None) -> int | None:
    from churn_clv.data.windows import duration_days
    from churn_clv.errors import InputError

    try:
        return None if horizon is None else duration_days(horizon)
    except ValueError as error:
        raise InputError(f"--horizon: {error}") from None


def _print_outcome(outcome: Outcome, out: Path, seconds: float) -> None:
    from churn_clv.terminal import print_cleaning

    if outcome.cleaning is not None:
        print_cleaning(outcome.cleaning)
    for remark in outcome.remarks:
        print(remark)
    for name, customers in outcome.unseen.items():
        print(
            f"{name}: {customers:,} customers have a level that no customer of the training had; it counts as missing."
        )
    day = f" as of {outcome.as_of}" if outcome.as_of else ""
    print(f"wrote {out}: {outcome.customers:,} customers{day}, by the model in {outcome.model}")
    here = outcome.customers - outcome.resumed
    before = f" ({outcome.resumed:,} had been scored before the work was stopped)" if outcome.resumed else ""
    print(
        f"{here:,} rows in {seconds:.1f} s, {here / seconds:,.0f} rows/s; peak memory {_peak_memory():,.0f} MB{before}"
    )


def _peak_memory() -> float:
    """The most memory that this process has had, in MB; Linux counts in KiB, macOS in bytes."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / 1e6 if sys.platform == "darwin" else most * 1024 / 1e6


def _score_contracts(folder: Path, table: str, out: Path, customer_id: str | None, of_logs: list[str]) -> None:
    """Score a table instead of a log, by a model of contracts."""
    from churn_clv.delivery.contract_score import score_contracts
    from churn_clv.delivery.tables import check_output, write_table
    from churn_clv.errors import InputError
    from churn_clv.terminal import print_cleaning

    check_output(out, Path(table))
    if of_logs:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in of_logs)
        raise InputError(f"{options}: of a log; the model in {folder} scores a table of contracts as it stands")
    scores, read = score_contracts(folder, Path(table), customer_id)
    write_table(scores, out)
    print_cleaning(read, "Table")
    print(
        "Customers of the training table were seen by this model; the run's own scores of them are by models that did not."
    )
    print(f"wrote {out}: {len(scores):,} customers, by the model in {folder}")
