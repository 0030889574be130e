"""What a model scores, in parts: the customers of a log, or the rows of a customer table."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd

from churn_clv.customer_table import check_table, table_columns
from churn_clv.data import engine
from churn_clv.data.cleaning import CleaningReport
from churn_clv.data.log_parts import parts_of
from churn_clv.data.sources import data_files, expanded
from churn_clv.delivery.batch import given, open_new_log
from churn_clv.delivery.customer_files import CustomerFile, customer_files, read_batches
from churn_clv.delivery.database import DatabaseTable, copy_table, database_table, is_address, rows_of
from churn_clv.delivery.model_folder import ScoringModel
from churn_clv.errors import InputError
from churn_clv.score_log import customer_table


@dataclass(frozen=True)
class ScoreInput:
    """What is to be scored.

    source: a file, a folder, or the URL of a database's table. as_of: the day to score on; None is a log's last day, and
    untold of a customer table. columns, manner, attributes, events: of a log, as in
    `churn_clv.delivery.batch.open_new_log`; of a customer table its customer_id and how a CSV file is written.
    memory_limit: of DuckDB, such as "4GB"; beyond it a log is worked on on disk, beside the output.
    """

    source: str
    as_of: date | None = None
    columns: Mapping[str, str | None] = field(default_factory=dict)
    manner: Mapping[str, Any] = field(default_factory=dict)
    attributes: Path | None = None
    events: Path | None = None
    memory_limit: str | None = None

    @property
    def table(self) -> DatabaseTable | None:
        return database_table(self.source) if is_address(self.source) else None

    @property
    def path(self) -> Path | None:
        return None if is_address(self.source) else expanded(self.source)

    @property
    def label(self) -> str:
        return str(self.path) if self.table is None else self.table.label

    def identity(self) -> dict[str, Any]:
        """Return what tells this input from another: path, size and time of every file; of a table its row count."""
        told = {"as_of": str(self.as_of), "columns": dict(self.columns), "manner": dict(self.manner)}
        beside = [_stamps(path) for path in (self.attributes, self.events) if path is not None]
        if self.table is not None:
            return told | {"beside": beside, "table": [self.table.place, self.table.label, rows_of(self.table)]}
        return told | {"beside": beside, "files": _stamps(self.path or Path())}


def _stamps(path: Path) -> list[list[Any]]:
    stats = {file: file.stat() for file in data_files(expanded(path))}
    return [[str(file), stat.st_size, stat.st_mtime_ns] for file, stat in stats.items()]


@dataclass(frozen=True)
class OpenInput:
    """An input that passed its door. parts: what makes the customer table of each part; cleaning is None of a table."""

    parts: Iterator[Callable[[], pd.DataFrame]]
    as_of: date | None
    cleaning: CleaningReport | None = None
    remarks: tuple[str, ...] = ()


@contextmanager
def opened(asked: ScoreInput, scoring: ScoringModel, room: Path, resumed: bool, rows: int) -> Iterator[OpenInput]:
    """Open an input in parts of so many customers.

    Parameters
    ----------
    room
        A folder for what does not fit into memory, and for the copy of a database's table.
    resumed
        Whether parts of this input are scored already, so that a copy that is there is taken.

    Raises
    ------
    InputError
        If the input is neither, or an option is given that is the other's.
    """
    source = _copied(database_table(asked.source), room, resumed) if asked.path is None else asked.path
    rules = replace(scoring.rules, **given(asked.manner))
    files = customer_files(source, rules)
    of_logs = {"--date": asked.columns.get("date"), "--amount": asked.columns.get("amount")}
    if not all(file.is_table for file in files) or any(of_logs.values()):
        with closing(_room(asked.memory_limit, room)) as connection:
            yield _open_log(asked, scoring, source, connection, rows)
        return
    misplaced = {"--attributes": asked.attributes, "--events": asked.events} | {
        f"--{name.replace('_', '-')}": asked.manner.get(name) for name in ("date_format", "timezone")
    }
    wrong = [name for name, value in misplaced.items() if value is not None]
    if wrong:
        raise InputError(
            f"{', '.join(wrong)}: of a log; the input is a customer table (it has columns frequency, recency and T), "
            "which holds all that the model reads; if it is a log, say --date"
        )
    yield OpenInput(_table_parts(asked, scoring, files, rows), asked.as_of)


def _copied(table: DatabaseTable, room: Path, resumed: bool) -> Path:
    copy = room / (re.sub(r"[^\w.-]", "_", table.label) + ".parquet")
    if not (resumed and copy.is_file()):
        copy_table(table, copy)
    return copy


def _room(memory_limit: str | None, room: Path) -> duckdb.DuckDBPyConnection:
    try:
        return engine.connect(memory_limit, spill_directory=str(room / "spill"))
    except duckdb.Error:
        raise InputError(f"--memory-limit: {memory_limit!r} is no amount of memory; write for example 4GB") from None


def _open_log(
    asked: ScoreInput, scoring: ScoringModel, source: Path, connection: duckdb.DuckDBPyConnection, rows: int
) -> OpenInput:
    new = open_new_log(
        scoring, source, asked.as_of, asked.columns, asked.manner, asked.attributes, asked.events, connection
    )
    parts = (partial(customer_table, scoring.models, part, new.as_of, new.attributes)
             for part in parts_of(new.log, new.as_of, rows))  # fmt: skip
    return OpenInput(parts, new.as_of, new.log.cleaning, new.remarks)


def _table_parts(
    asked: ScoreInput, scoring: ScoringModel, files: list[CustomerFile], rows: int
) -> Iterator[Callable[[], pd.DataFrame]]:
    rules = replace(scoring.rules, **given(asked.manner))
    customer_id = asked.columns.get("customer_id") or "customer_id"
    seen = np.array([], dtype=np.uint64)
    for place, batch in read_batches(files, table_columns(scoring.models), customer_id, rules, rows):
        if batch.empty:
            continue
        seen = _with_new(seen, batch, place)
        yield partial(_checked, scoring, batch, place)


def _with_new(seen: np.ndarray, batch: pd.DataFrame, place: str) -> np.ndarray:
    """Return the digests of all ids so far, in order; an id of an earlier batch is refused."""
    if "customer_id" not in batch:
        return seen
    ids = batch["customer_id"].dropna().astype("str")
    new = np.sort(pd.util.hash_pandas_object(ids, index=False).to_numpy(np.uint64))
    at = np.searchsorted(seen, new)
    again = int((seen[np.minimum(at, seen.size - 1)] == new).sum()) if seen.size else 0
    if again:
        raise InputError(
            f"{place}: customer_id: {again:,} rows repeat a customer of earlier rows; the table wants one each"
        )
    return np.sort(np.concatenate([seen, new]), kind="stable")  # of two sorted runs: one pass


def _checked(scoring: ScoringModel, batch: pd.DataFrame, place: str) -> pd.DataFrame:
    try:
        return check_table(scoring.models, batch)
    except InputError as error:
        raise InputError(f"{place}: {error}") from None
