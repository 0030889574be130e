"""A customer table in CSV or Parquet files, or a folder of them, read in batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pandas as pd

from churn_clv.customer_table import Column
from churn_clv.data import csv_files
from churn_clv.data.contract import ReadingRules
from churn_clv.data.sources import data_files, kind_of
from churn_clv.delivery.spreadsheet import spreadsheet_plain
from churn_clv.errors import InputError, shortened

if TYPE_CHECKING:
    import pyarrow as pa

# What tells a customer table from a log.
TELLING = {"frequency", "recency", "T"}


@dataclass(frozen=True)
class CustomerFile:
    """A file of a customer table: its columns, and those that the names of its folders (key=value) give every row."""

    path: Path
    columns: tuple[str, ...]
    folders: dict[str, str | None]
    delimiter: str = ","

    @property
    def is_table(self) -> bool:
        return {*self.columns, *self.folders} >= TELLING


def customer_files(source: Path, rules: ReadingRules) -> list[CustomerFile]:
    """Return the files that a path means, without reading more of them than their columns."""
    return [_opened(path, source.resolve(), rules) for path in data_files(source)]


def read_batches(
    files: Sequence[CustomerFile], wanted: Sequence[Column], customer_id: str, rules: ReadingRules, rows: int
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Read files in batches of so many rows; the last of a file may be shorter.

    Parameters
    ----------
    wanted
        The columns that the model reads; others are left out.
    customer_id
        The id's column, which is called customer_id in the batches.

    Returns
    -------
    For each batch where it stands, in words, and the batch.
    """
    for file in files:
        first = 1
        for batch in _batches_of(file, wanted, customer_id, rules, rows):
            last = first + len(batch) - 1
            yield f"{file.path.name}, rows {first:,} to {last:,}", _with_folders(batch, file, wanted, customer_id)
            first = last + 1


def _opened(path: Path, source: Path, rules: ReadingRules) -> CustomerFile:
    folders = _of_folders(path, source)
    if kind_of(path) == "csv":
        names, delimiter = csv_files.read_header(path, rules.encoding, rules.delimiter)
        return CustomerFile(path, tuple(names), folders, delimiter)
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return CustomerFile(path, tuple(pq.read_schema(path).names), folders)
    except (pa.ArrowException, OSError):
        raise _damaged(path) from None


def _of_folders(path: Path, source: Path) -> dict[str, str | None]:
    """Return what the names of the folders between a source and its file say, as Hive writes it."""
    named = path.relative_to(source).parts[:-1] if source in path.parents else ()
    pairs = (part.split("=", 1) for part in named if "=" in part)
    return {unquote(key): None if value == "__HIVE_DEFAULT_PARTITION__" else unquote(value) for key, value in pairs}


def _batches_of(
    file: CustomerFile, wanted: Sequence[Column], customer_id: str, rules: ReadingRules, rows: int
) -> Iterator[pd.DataFrame]:
    needed = {customer_id, *(column.name for column in wanted)}
    # Where one is missing, all are read: whoever refuses the table then knows what else is called alike.
    complete = needed <= {*file.columns, *file.folders}
    names = [name for name in file.columns if name in needed] if complete else [*file.columns]
    if len(set(names)) < len(names):
        raise InputError(f"{file.path.name}: the header names a column more than once; keep one")
    if kind_of(file.path) == "csv":
        return _csv_batches(file, names, wanted, customer_id, rules, rows)
    return _parquet_batches(file.path, names, rows)


def _csv_batches(
    file: CustomerFile, names: list[str], wanted: Sequence[Column], customer_id: str, rules: ReadingRules, rows: int
) -> Iterator[pd.DataFrame]:
    text = {customer_id: "str"} | {column.name: "str" for column in wanted if column.kind == "text"}
    try:
        with pd.read_csv(
            file.path, sep=file.delimiter, decimal=rules.decimal, encoding=rules.encoding, header=0, names=[*file.columns],
            usecols=names, dtype={name: kind for name, kind in text.items() if name in names}, index_col=False, low_memory=False, chunksize=rows,
        ) as batches:  # fmt: skip
            yield from map(spreadsheet_plain, batches)
    except UnicodeDecodeError:
        raise csv_files.wrong_encoding(file.path, rules.encoding) from None
    except (ValueError, OSError, EOFError):
        raise InputError(
            f"{file.path.name}: cannot be read as CSV (quotes or numbers of fields that do not fit?)"
        ) from None


def _parquet_batches(path: Path, names: list[str], rows: int) -> Iterator[pd.DataFrame]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20) as file:
            for batch in file.iter_batches(batch_size=rows, columns=names):
                table = pa.Table.from_batches([batch])
                yield table.cast(_plain(table.schema)).to_pandas(ignore_metadata=True)
    except (pa.ArrowException, OSError):
        raise _damaged(path) from None


def _plain(schema: pa.Schema) -> pa.Schema:
    """Money as numbers, and text as text where older writers did not mark it or have encoded it."""
    import pyarrow as pa

    def plain(kind: pa.DataType) -> pa.DataType:
        if pa.types.is_decimal(kind):
            return pa.float64()
        if pa.types.is_dictionary(kind):
            return plain(kind.value_type)
        return pa.string() if pa.types.is_binary(kind) else kind

    return pa.schema([field.with_type(plain(field.type)) for field in schema])


def _with_folders(batch: pd.DataFrame, file: CustomerFile, wanted: Sequence[Column], customer_id: str) -> pd.DataFrame:
    """Return a batch with the id's usual name, and the columns that folders name."""
    kinds = {column.name: column.kind for column in wanted} | {customer_id: "text"}
    told = {name: value for name, value in file.folders.items() if name in kinds and name not in batch}
    same = {name: _number(name, value) if kinds[name] == "number" else value for name, value in told.items()}
    return batch.assign(**same).rename(columns={customer_id: "customer_id"})


def _number(name: str, value: str | None) -> float:
    try:
        return float("nan" if value is None else value)
    except ValueError:
        raise InputError(f"{name}: a folder's name gives it as {shortened(value)}, the model wants numbers") from None


def _damaged(path: Path) -> InputError:
    return InputError(f"{path.name}: cannot be read as Parquet (damaged or cut short): fetch it again")
