"""Remove customers from the tables that this program wrote on this machine.

First every table is read to its end, so that a file that cannot be read stops the purge before anything was changed; then those
that hold one of the customers are written anew, each whole. Doing it again finds nothing and is no error.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

import yaml

from churn_clv.data.privacy import PSEUDONYM, has_pseudonym_key, pseudonym, pseudonym_key
from churn_clv.delivery.atomic import whole_file
from churn_clv.delivery.spreadsheet import safe_text
from churn_clv.delivery.tables import TABLE_SUFFIXES
from churn_clv.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

ID = "customer_id"
NOT_REMOVED = (
    "Not touched: the log itself (the next run reads it again), what was fitted or added up from these customers, MLflow, "
    "what was handed over or sent, backups. docs/privacy.md says what to do about each."
)
_MOST_CSV_CELL = 2**27


@dataclass(frozen=True)
class Purged:
    """What a purge found: rows removed by table, how many of the customers stood in any, files that want a look by hand.

    naming: configs whose `drop_rows` name one of the customers. leftovers: what interrupted runs left, which is not read.
    """

    rows: dict[Path, int]
    asked: int
    found: int
    naming: tuple[Path, ...]
    leftovers: tuple[Path, ...]

    def sentences(self) -> list[str]:
        """Say what was removed, and what wants a look by hand."""
        removed = f"Removed {sum(self.rows.values()):,} rows of {self.found:,} of {self.asked:,} customers from {len(self.rows):,} tables."
        told = [
            removed
            if self.rows
            else f"Found nowhere: none of {self.asked:,} customers stands in any table; nothing was changed."
        ]
        told += [
            f"{config}: data.drop_rows names some of them; a run from it would need them there, so it was left as it is."
            for config in self.naming
        ]
        if self.leftovers:
            told.append(
                f"{len(self.leftovers):,} files that interrupted runs left were not read, such as {self.leftovers[0]}: delete them "
                "when no run is going on."
            )
        return told


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
    """Remove customers from every CSV and Parquet table with a column customer_id, or pseudonym, below some places.

    Parameters
    ----------
    ids
        As the log has them.
    places
        Folders, or single tables.

    Raises
    ------
    InputError
        If a place is missing or a table cannot be read; nothing was changed then.
    """
    wanted = _names_of(ids)
    files = sorted({file for place in places for file in _files(place)})
    tables = [file for file in files if file.suffix in TABLE_SUFFIXES]
    hits = {table: _hits(table, wanted) for table in tables}
    hit = {table: names for table, (rows, names) in hits.items() if rows}
    for table in hit:
        _rewrite(table, wanted)
    found = {wanted[name] for names in hit.values() for name in names}
    configs = [file for file in files if file.name == "config.yaml" and _drops(file) & set(ids)]
    leftovers = [file for file in files if file not in tables and _is_leftover(file)]
    return Purged({table: hits[table][0] for table in hit}, len(ids), len(found), tuple(configs), tuple(leftovers))


def _names_of(ids: Collection[str]) -> dict[str, str]:
    """Every name under which a table may hold a customer: the id, as a spreadsheet is given it, the pseudonym."""
    names = {name: one for one in ids for name in (one, safe_text(one))}
    if not has_pseudonym_key():
        return names
    key = pseudonym_key()
    return names | {pseudonym(one, key): one for one in ids}


def _files(place: Path) -> Iterator[Path]:
    if not place.exists():
        raise InputError(f"{place}: no such file or folder")
    if place.is_file():
        if place.suffix not in TABLE_SUFFIXES:
            raise InputError(f"{place}: is neither .csv nor .parquet; nothing was changed")
        yield place.resolve()
        return
    yield from (file.resolve() for file in place.rglob("*") if file.is_file() and not file.is_symlink())


def _is_leftover(file: Path) -> bool:
    return any(part.startswith(".churn_clv_") or part.endswith(".partial") for part in file.parts)


def _drops(config: Path) -> set[str]:
    """The values that a resolved config leaves out of the log by name."""
    try:
        content = yaml.safe_load(config.read_text(encoding="utf-8"))
        rules = content["data"]["drop_rows"]
        return {str(value) for rule in rules for values in rule.values() for value in values}
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError, AttributeError):
        return set()


def _hits(table: Path, wanted: Collection[str]) -> tuple[int, set[str]]:
    """How many rows of a table are of the customers, and under which names."""
    try:
        return _count(_parquet_ids(table) if table.suffix == ".parquet" else _csv_ids(table), wanted)
    except (OSError, ValueError, csv.Error) as error:  # Arrow's errors are ValueErrors or OSErrors
        raise InputError(
            f"{table}: cannot be read as {'Parquet' if table.suffix == '.parquet' else 'CSV'} ({type(error).__name__}): mend or "
            "delete it; nothing was changed"
        ) from None


def _count(ids: Iterable[str], wanted: Collection[str]) -> tuple[int, set[str]]:
    rows, names = 0, set()
    for name in ids:
        if name in wanted:
            rows += 1
            names.add(name)
    return rows, names


def _rewrite(table: Path, wanted: Collection[str]) -> None:
    write = _write_parquet if table.suffix == ".parquet" else _write_csv
    whole_file(table, lambda partial: write(table, partial, wanted))


def _id_column(names: list[str]) -> int | None:
    return next((names.index(name) for name in (ID, PSEUDONYM) if name in names), None)


def _open_csv(path: Path, mode: str = "r") -> IO[str]:
    return path.open(mode, encoding="utf-8", newline="")


def _csv_ids(table: Path) -> Iterator[str]:
    csv.field_size_limit(_MOST_CSV_CELL)
    with _open_csv(table) as lines:
        rows = csv.reader(lines, strict=True)
        header = next(rows, [])
        column = _id_column(header)
        if column is None:
            return
        for row in rows:
            if len(row) != len(header):
                raise ValueError("a row of another length than the header")
            yield row[column]


def _write_csv(table: Path, partial: Path, wanted: Collection[str]) -> None:
    with _open_csv(table) as lines, _open_csv(partial, "w") as out:
        rows, writer = csv.reader(lines, strict=True), csv.writer(out, lineterminator="\n")
        header = next(rows)
        column = _id_column(header)
        writer.writerow(header)
        writer.writerows(row for row in rows if column is None or row[column] not in wanted)


def _parquet_ids(table: Path) -> Iterator[str]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(table) as file:
        column = _id_column(list(file.schema_arrow.names))
        # All columns are read: a damage in any of them must stop the purge before it begins.
        for batch in file.iter_batches() if column is not None else ():
            yield from _texts(batch, column)


def _write_parquet(table: Path, partial: Path, wanted: Collection[str]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(table) as file, pq.ParquetWriter(partial, file.schema_arrow) as out:
        column = _id_column(list(file.schema_arrow.names))
        for batch in file.iter_batches():
            out.write_batch(batch.filter(pa.array([name not in wanted for name in _texts(batch, column)])))


def _texts(batch: pa.RecordBatch, column: int | None) -> list[str]:
    return [] if column is None else list(map(str, batch.column(column).to_pylist()))
