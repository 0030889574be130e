"""Open the log of a run, whether it is a file, a packaged data set or a simulation."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from churn_clv.data import datasets, engine
from churn_clv.data.contract import Columns, EventsTable, ReadingRules
from churn_clv.data.read_events import read_events
from churn_clv.data.simulate import simulate_log
from churn_clv.data.small_tables import read_small_table
from churn_clv.data.sources import expanded, no_such_file
from churn_clv.data.spark_engine import spark_session
from churn_clv.data.spark_log import SparkLog, read_events_on_spark, read_transactions_on_spark
from churn_clv.data.transactions import TransactionLog, read_transactions
from churn_clv.errors import InputError, nearest

_Log = TypeVar("_Log", TransactionLog, SparkLog)
# More texts than this name customers rather than groups of them, and the categories leave with the model.
MOST_TEXTS = 50
# Data set -> its frame, and what its columns mean.
DATASETS = {
    "cdnow": (datasets.cdnow, Columns(quantity="quantity")),
    "cdnow_sample": (datasets.cdnow_sample, Columns(quantity="quantity")),
    "complete_journey": (
        datasets.complete_journey,
        Columns(date="timestamp", order_id="order_id", product_id="product_id", quantity="quantity"),
    ),
}


def open_log(
    source: str,
    path: str | None,
    columns: Columns,
    rules: ReadingRules,
    *,
    events: EventsTable | None = None,
    use_events: bool = True,
    simulated: dict[str, Any] | None = None,
    memory_limit: str | None = None,
    threads: int | None = None,
    spill_directory: str | None = None,
) -> TransactionLog:
    """Read and clean a log.

    Parameters
    ----------
    source
        ``"file"``, ``"simulated"`` or the name of a packaged data set, whose columns are known.
    path, columns
        Of a file.
    events
        A file of events that are no purchases; without it, those that a packaged data set brings.
    use_events
        Whether events are read at all.
    simulated
        Arguments of `simulate_log`, for a simulated log.
    memory_limit, threads, spill_directory
        See `churn_clv.data.engine.connect`.

    Raises
    ------
    InputError
        See `read_transactions` and `read_events`.
    """
    connection = engine.connect(memory_limit, threads, spill_directory)
    lines = _lines(source, path, simulated)
    log = read_transactions(lines, known_columns(source, columns), rules, connection)
    log = with_events(log, source, events, rules, read_events) if use_events else log
    engine.lock(connection)
    return log


def open_log_on_spark(
    source: str,
    path: str | None,
    columns: Columns,
    rules: ReadingRules,
    *,
    events: EventsTable | None = None,
    use_events: bool = True,
    simulated: dict[str, Any] | None = None,
    master: str | None = None,
) -> SparkLog:
    """Read and clean a log on Spark; the parameters are those of `open_log`.

    Parameters
    ----------
    path
        Of files that every machine of the cluster sees under it, or an address such as s3a://bucket/log.
    master
        See `churn_clv.data.spark_engine.spark_session`.
    """
    far = source == "file" and path is not None and "://" in path
    lines = path if far and path else _lines(source, path, simulated)
    session = spark_session(master)
    log = read_transactions_on_spark(lines, known_columns(source, columns), rules, session=session)
    return with_events(log, source, events, rules, read_events_on_spark) if use_events else log


def _lines(source: str, path: str | None, simulated: dict[str, Any] | None) -> Path | pd.DataFrame:
    if source != "file":
        return simulate_log(**(simulated or {})) if source == "simulated" else DATASETS[source][0]()
    lines = expanded(path or "")
    if not os.path.exists(lines):
        raise InputError(f"data.path: {no_such_file(lines)}")
    return lines


def with_events(
    log: _Log,
    source: str,
    events: EventsTable | None,
    rules: ReadingRules,
    read: Callable[[Any, _Log, EventsTable, ReadingRules], _Log],
) -> _Log:
    """Return the log with the events of a file or of its data set, or as it is where there are none."""
    if events is None:
        if source != "complete_journey":
            return log
        return read(datasets.complete_journey_events(), log, EventsTable("", kind="kind"), rules)
    try:
        found = read(events.path, log, events, rules)
    except InputError as error:
        raise InputError(f"data.events.path: {error}") from None
    if found.events is not None and found.events.rows_in and not found.events.rows_out:
        raise InputError(
            f"data.events.path: {events.path}: none of the {found.events.rows_in:,} events is left; if the customers are not "
            f"those of the log, check the ids in {events.customer_id!r}"
        )
    return found


def known_columns(source: str, columns: Columns) -> Columns:
    """Return the columns of a log: a packaged data set's own, or those the config names for a file."""
    if source == "simulated":
        return Columns()
    return columns if source == "file" else DATASETS[source][1]


def open_attributes(source: str, path: str | None, customer_id: str) -> pd.DataFrame | None:
    """Return customer attributes indexed by customer_id (text), or None where there are none.

    Raises
    ------
    InputError
        If the file cannot be read, its id column is missing, a customer has two rows, or a column holds more than
        50 different texts: such a column tells who a customer is, and the fitted model keeps every text as a category.
    """
    if path is None:
        return datasets.complete_journey_households().set_index("customer_id") if source == "complete_journey" else None
    try:
        return read_attributes(expanded(path), customer_id)
    except InputError as error:
        raise InputError(f"data.attributes.path: {error}") from None


def read_attributes(file: Path, customer_id: str) -> pd.DataFrame:
    """Read and check a table of attributes; see `open_attributes`."""
    table = read_small_table(file, text_column=customer_id)
    if customer_id not in table.columns:
        raise InputError(
            f"{file}: no column {customer_id!r}{nearest(customer_id, table.columns)}; columns: {list(table.columns)}"
        )
    table = table.astype({customer_id: "str"}).set_index(customer_id).rename_axis("customer_id")
    if not table.index.is_unique:
        raise InputError(
            f"{file}: {int(table.index.duplicated().sum())} rows repeat a customer; give one row a customer"
        )
    refuse_identifying(file, table)
    refuse_infinite(file, table)
    return table


def refuse_infinite(file: Path, table: pd.DataFrame) -> None:
    """Refuse numbers that no model can read."""
    rows = np.isinf(table.select_dtypes(include="float")).sum()
    if rows.any():
        told = ", ".join(f"{name!r} in {n:,} row{'s' if n > 1 else ''}" for name, n in rows[rows > 0].items())
        raise InputError(f"{file}: infinite numbers: {told}; leave them empty, or leave the column out")


def refuse_identifying(file: Path, table: pd.DataFrame) -> None:
    """Refuse columns of text, or of anything but numbers, with so many values that they may name customers."""
    texts = table.select_dtypes(exclude="number").astype("str").nunique()
    many = [str(name) for name in texts.index[texts > MOST_TEXTS]]
    if many:
        raise InputError(
            f"{file}: more than {MOST_TEXTS} different texts in {', '.join(map(repr, many))}: leave it out or group it"
        )
