"""Remove customers from the tables that this program wrote on this machine.

First every table is read to its end, so that one of this program's that cannot be read stops the purge before anything was
changed; then those that hold one of the customers are written anew, each whole. Tables of others, such as the log, are only
named. Doing it again finds nothing and is no error.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

from churn_clv.data.csv_files import DELIMITERS, fields_of
from churn_clv.data.privacy import KEY, PSEUDONYM, has_pseudonym_key, pseudonym, pseudonym_key
from churn_clv.data.sources import CSV_SUFFIXES, PARQUET_SUFFIXES
from churn_clv.delivery.atomic import whole_file
from churn_clv.delivery.mlflow_page import PAGE
from churn_clv.delivery.spreadsheet import plain_text
from churn_clv.errors import InputError
from churn_clv.yaml_file import read_yaml

if TYPE_CHECKING:
    import pyarrow as pa

ID = "customer_id"
# By such columns beside the id a table is known as this program's: scores and lists, those of contracts, customer tables.
TELLING = (
    frozenset({"churn_probability", "value_if_active"}),
    frozenset({"churn_probability", "monthly_value", "risk_tier"}),
    frozenset({"frequency", "recency", "T"}),
)
# The list of prospects has no other column than this.
PROSPECTS = frozenset({"lifecycle_stage"})
NOT_REMOVED = (
    "Not touched: the log itself (the next run reads it again), what was fitted or added up from these customers, MLflow, "
    "what was handed over or sent, backups. docs/privacy.md says what to do about each."
)
# What may hold a table and cannot be looked into.
UNREADABLE = {
    ".xlsx", ".xls", ".xlsm", ".xlsb", ".ods", ".gz", ".zip", ".bz2", ".xz", ".zst", ".7z", ".tar", ".tgz", ".feather",
    ".arrow", ".orc", ".pkl", ".db", ".sqlite", ".duckdb",
}  # fmt: skip
_TABLES = CSV_SUFFIXES | PARQUET_SUFFIXES
_MOST_CSV_CELL = 2**27
_LONGEST_HEADER = 2**20


@dataclass(frozen=True)
class Purged:
    """What a purge found.

    rows: removed, by table. asked, found: customers, those whose rows were removed. searched: this program's tables that were
    read. foreign: rows of the customers in tables of others, which stay. sealed: tables of pseudonyms without the key to
    them. unread: files and links that may hold a table and were not read. naming: configs whose `drop_rows` name one of the
    customers. waiting: what MLflow has not taken, with a score sample. leftovers: what interrupted runs left, which is not read.
    """

    rows: dict[Path, int]
    asked: int
    found: int
    searched: int = 0
    foreign: dict[Path, int] = field(default_factory=dict)
    sealed: tuple[Path, ...] = ()
    unread: tuple[Path, ...] = ()
    naming: tuple[Path, ...] = ()
    waiting: tuple[Path, ...] = ()
    leftovers: tuple[Path, ...] = ()

    @property
    def saw_all(self) -> bool:
        """Whether every table was looked into."""
        return not self.sealed and not self.unread

    def sentences(self) -> list[str]:
        """Say what was removed, and what wants a look by hand."""
        removed = (
            f"Removed {_counted(sum(self.rows.values()), 'row')} of {self.found:,} of {_counted(self.asked, 'customer')} from "
            f"{_counted(len(self.rows), 'table')}."
        )
        told = [removed if self.rows else self._nothing()]
        told += [
            f"{table}: {_counted(rows, 'row')} of them, but not this program's: left as it is."
            for table, rows in self.foreign.items()
        ]
        told += [
            f"{config}: data.drop_rows names some of them; a run from it would need them there, so it was left as it is."
            for config in self.naming
        ]
        told += [
            f"{page}: waits for MLflow with scores of up to 100 customers, which were not searched: churn-clv log "
            f"{page.parent}, then as for MLflow, or delete it."
            for page in self.waiting
        ]
        if self.sealed:
            told.append(
                f"Not searched: {_counted(len(self.sealed), 'table')} of pseudonyms, as {KEY} is not set, such as "
                f"{self.sealed[0]}: set the key that they were made with and run it again."
            )
        told += [f"{file}: cannot be searched: look into it by hand." for file in self.unread]
        if self.leftovers:
            told.append(
                f"Not read: {_counted(len(self.leftovers), 'file')} that interrupted runs left, such as {self.leftovers[0]}: "
                "delete them when no run is going on."
            )
        return told

    def _nothing(self) -> str:
        if not self.searched:
            return "Nothing was changed: there is no table of this program that could be searched."
        return (
            f"Nothing was changed: none of {_counted(self.asked, 'customer')} stands in "
            f"{_counted(self.searched, 'table')} of this program that could be searched."
        )


@dataclass(frozen=True)
class _Table:
    """A table with a column of customers: its columns, and how a CSV is written."""

    path: Path
    columns: tuple[str, ...]
    delimiter: str = ","
    encoding: str = "utf-8"
    line_end: str = "\n"

    @property
    def customers(self) -> int:
        return next(self.columns.index(name) for name in (ID, PSEUDONYM) if name in self.columns)

    @property
    def is_own(self) -> bool:
        others = {*self.columns} - {ID, PSEUDONYM}
        return others == PROSPECTS or any(telling <= others for telling in TELLING)

    @property
    def is_sealed(self) -> bool:
        return ID not in self.columns and not has_pseudonym_key()

    @property
    def is_parquet(self) -> bool:
        return self.path.suffix.lower() in PARQUET_SUFFIXES


def purge_listed(listing: Path, places: Iterable[Path], standard_input: IO[bytes]) -> Purged:
    """Remove the customers that a file names, one id a line, or, for `-`, standard input; see `purge`.

    Ids are no argument of the command: other users see those, and the shell keeps them.

    Raises
    ------
    InputError
        If the list cannot be read or names nobody, or as `purge`.
    """
    if str(listing) == "-":
        return purge(_ids(standard_input.read(), "standard input"), places)
    try:
        content = listing.read_bytes()
    except OSError as error:
        raise InputError(
            f"the list of customers cannot be read ({error.strerror}): want a file with one id a line, or - for standard "
            "input; ids themselves are no argument, as other users and the shell's history would see them"
        ) from None
    return purge(_ids(content, str(listing)), places)


def _ids(content: bytes, source: str) -> frozenset[str]:
    try:
        ids = frozenset(content.decode("utf-8-sig").replace("\r\n", "\n").split("\n")) - {""}
    except UnicodeDecodeError:
        raise InputError(f"{source}: is not UTF-8 text: want one customer id a line") from None
    if not ids:
        raise InputError(f"{source}: holds no customer id: want one a line")
    return ids


def purge(ids: Collection[str], places: Iterable[Path]) -> Purged:
    """Remove customers from every table of this program, CSV or Parquet, below some places.

    A table is this program's if it has a column customer_id, or pseudonym, and the columns of a score file, list or customer
    table beside it; every other one is left as it is.

    Parameters
    ----------
    ids
        As the log has them.
    places
        Folders, or single tables.

    Raises
    ------
    InputError
        If a place is missing or a table of this program cannot be read; nothing was changed then.
    """
    wanted = _names_of(ids)
    files = sorted({file for place in places for file in _files(place)})
    finished = [file for file in files if not _is_leftover(file)]
    unread = {file for file in finished if not _is_plain(file) or file.suffix.lower() in UNREADABLE}
    tables, unclear = _tables([file for file in finished if file not in unread and file.suffix.lower() in _TABLES])
    open_tables = [table for table in tables if not table.is_sealed]
    hits, broken = _all_hits(open_tables, wanted)
    own = {table: hit for table, hit in hits.items() if table.is_own and hit[0]}
    naming = tuple(file for file in finished if file.name == "config.yaml" and _drops(file) & set(ids))
    for table in own:
        _rewrite(table, wanted)
    return Purged(
        rows={table.path: rows for table, (rows, _) in own.items()},
        asked=len(ids),
        found=len({wanted[name] for _, names in own.values() for name in names}),
        searched=sum(table.is_own for table in hits),
        foreign={table.path: rows for table, (rows, _) in hits.items() if rows and not table.is_own},
        sealed=tuple(table.path for table in tables if table.is_sealed),
        unread=tuple(sorted({*unread, *unclear, *broken})),
        naming=naming,
        waiting=tuple(file for file in finished if file.name == PAGE and b"score_sample" in file.read_bytes()),
        leftovers=tuple(file for file in files if file not in finished),
    )


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"


def _names_of(ids: Collection[str]) -> dict[str, str]:
    """Every name under which a table may hold a customer: the id, the pseudonym."""
    names = {one: one for one in ids}
    if not has_pseudonym_key():
        return names
    key = pseudonym_key()
    return names | {pseudonym(one, key): one for one in ids}


def _files(place: Path) -> Iterator[Path]:
    """Files, links that may lead to tables, which are never followed, and folders that may not be read."""
    if not place.exists():
        raise InputError(f"{place}: no such file or folder")
    if place.is_file():
        if place.suffix.lower() not in _TABLES:
            raise InputError(f"{place}: is neither CSV nor Parquet by its name; nothing was changed")
        yield place.resolve()
        return
    for file in place.resolve().rglob("*"):
        if file.is_symlink():
            if file.is_dir() or file.suffix.lower() in _TABLES | UNREADABLE:
                yield file
        elif file.is_file() or (file.is_dir() and not os.access(file, os.R_OK | os.X_OK)):
            yield file


def _is_plain(file: Path) -> bool:
    return file.is_file() and not file.is_symlink()


def _is_leftover(file: Path) -> bool:
    return any(part.startswith(".churn_clv_") or part.endswith(".partial") for part in file.parts)


def _drops(config: Path) -> set[str]:
    """The values that a resolved config leaves out of the log by name."""
    try:
        rules = read_yaml(config)["data"]["drop_rows"]
        values = [value for rule in rules for values in rule.values() for value in values]
    except (InputError, KeyError, TypeError, AttributeError):
        return set()
    return {str(value) for value in values if isinstance(value, str | int | float)}


def _tables(files: Iterable[Path]) -> tuple[list[_Table], list[Path]]:
    """The tables with a column of customers, and files whose columns cannot be told."""
    tables, unclear = [], []
    for file in files:
        try:
            table = _opened(file)
        except UnicodeDecodeError:
            unclear.append(file)
            continue
        except (OSError, ValueError) as error:  # Arrow's errors are ValueErrors or OSErrors
            raise _unreadable(file, error) from None
        tables += [] if table is None else [table]
    return tables, unclear


def _unreadable(file: Path, error: Exception) -> InputError:
    kind = "Parquet" if file.suffix.lower() in PARQUET_SUFFIXES else "CSV"
    return InputError(
        f"{file}: cannot be read as {kind} ({type(error).__name__}): mend it, or move it elsewhere; nothing was changed"
    )


def _opened(file: Path) -> _Table | None:
    """A table by its columns; None where no column is of customers."""
    if file.suffix.lower() in PARQUET_SUFFIXES:
        import pyarrow.parquet as pq

        table = _Table(file, tuple(pq.read_schema(file).names))
        return table if {ID, PSEUDONYM} & {*table.columns} else None
    with file.open("rb") as content:
        line = content.readline(_LONGEST_HEADER)
    if b"\0" in line:
        raise UnicodeDecodeError("utf-8", line, 0, 1, "UTF-16, or no text")
    encoding, line_end = (
        "utf-8-sig" if line.startswith(b"\xef\xbb\xbf") else "utf-8",
        "\r\n" if line.endswith(b"\r\n") else "\n",
    )
    header = line.decode(encoding, errors="replace").rstrip("\r\n")
    parted = ((mark, fields_of(header, mark)) for mark in DELIMITERS)
    found = next(((mark, names) for mark, names in parted if {ID, PSEUDONYM} & {*names}), None)
    return None if found is None else _Table(file, tuple(found[1]), found[0], encoding, line_end)


def _all_hits(
    tables: Iterable[_Table], wanted: Collection[str]
) -> tuple[dict[_Table, tuple[int, set[str]]], list[Path]]:
    """How many rows of each table are of the customers, and under which names; and tables of others that cannot be read."""
    hits, broken = {}, []
    for table in tables:
        try:
            hits[table] = _hits(_parquet_ids(table) if table.is_parquet else _csv_ids(table), wanted)
        except (OSError, ValueError, csv.Error) as error:
            if table.is_own:
                raise _unreadable(table.path, error) from None
            broken.append(table.path)
    return hits, broken


def _hits(ids: Iterable[str], wanted: Collection[str]) -> tuple[int, set[str]]:
    rows, names = 0, set()
    for name in ids:
        if name in wanted:
            rows += 1
            names.add(name)
    return rows, names


def _rewrite(table: _Table, wanted: Collection[str]) -> None:
    write = _write_parquet if table.is_parquet else _write_csv
    whole_file(table.path, lambda partial: write(table, partial, wanted))


def _csv_rows(table: _Table) -> Iterator[list[str]]:
    """The rows below the header; blank lines are none."""
    csv.field_size_limit(_MOST_CSV_CELL)
    with table.path.open(encoding=table.encoding, newline="") as lines:
        rows = csv.reader(lines, delimiter=table.delimiter, strict=True)
        next(rows)
        for row in filter(None, rows):
            if len(row) != len(table.columns):
                raise ValueError("a row of another length than the header")
            yield row


def _csv_ids(table: _Table) -> Iterator[str]:
    return (plain_text(row[table.customers]) for row in _csv_rows(table))


def _write_csv(table: _Table, partial: Path, wanted: Collection[str]) -> None:
    with partial.open("w", encoding=table.encoding, newline="") as out:
        writer = csv.writer(out, delimiter=table.delimiter, lineterminator=table.line_end)
        writer.writerow(table.columns)
        writer.writerows(row for row in _csv_rows(table) if plain_text(row[table.customers]) not in wanted)


def _parquet_ids(table: _Table) -> Iterator[str]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(table.path) as file:
        # All columns are read: a damage in any of them must stop the purge before it begins.
        for batch in file.iter_batches():
            yield from _texts(batch, table)


def _write_parquet(table: _Table, partial: Path, wanted: Collection[str]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(table.path) as file:
        # A dictionary would be written whole, with the names of those who are gone.
        schema = pa.schema(
            [field.with_type(_plain(field.type)) for field in file.schema_arrow], file.schema_arrow.metadata
        )
        with pq.ParquetWriter(partial, schema) as out:
            for batch in file.iter_batches():
                kept = batch.filter(pa.array([name not in wanted for name in _texts(batch, table)]))
                out.write_batch(kept.cast(schema))


def _plain(kind: pa.DataType) -> pa.DataType:
    import pyarrow as pa

    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _texts(batch: pa.RecordBatch, table: _Table) -> list[str]:
    return list(map(str, batch.column(table.customers).to_pylist()))
