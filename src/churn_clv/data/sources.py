"""Where a log can come from: CSV and Parquet files, folders of them, pandas frames."""

from __future__ import annotations

import glob
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import duckdb
import pandas as pd

from churn_clv.data import csv_files
from churn_clv.data.contract import ReadingRules
from churn_clv.errors import InputError, nearest, shortened

CSV_SUFFIXES = {".csv", ".txt", ".tsv"}
PARQUET_SUFFIXES = {".parquet", ".pq"}


@dataclass(frozen=True)
class Header:
    """What a source calls its columns, and how to point at one of its rows."""

    label: str
    columns: dict[str, str]  # the user's name -> the engine's
    types: dict[str, str]  # the engine's name -> its type, as DuckDB calls it
    place: Callable[[int], str]

    def name_of(self, role: str, name: str, remedy: str) -> str:
        """Return the engine's name of a user's column."""
        if name not in self.columns:
            listed = ", ".join(list(self.columns)[:30])
            hint = nearest(name, self.columns)
            raise InputError(f"{self.label}: no column {name!r} for {role}{hint}; it has: {listed}. {remedy}")
        return self.columns[name]


@dataclass(frozen=True)
class Source(Header):
    """Lines still to be read by DuckDB, and what its failures mean to the user."""

    lines: duckdb.DuckDBPyRelation
    explain: Callable[[duckdb.Error], InputError]
    frame: pd.DataFrame | None = None  # what the lines are, where they lie in memory

    def show(self, connection: duckdb.DuckDBPyConnection, name: str) -> None:
        """Make the lines readable under a name; a view of a frame cannot stand in a database's file."""
        if self.frame is None:
            self.lines.create_view(name, replace=True)
        else:
            connection.register(name, self.frame)


def types_of(lines: duckdb.DuckDBPyRelation) -> dict[str, str]:
    """Return the names of a relation's columns -> their types."""
    return dict(zip(lines.columns, map(str, lines.types), strict=True))


def open_source(
    source: Path | str | pd.DataFrame,
    rules: ReadingRules,
    connection: duckdb.DuckDBPyConnection,
    scratch: Path,
) -> Source:
    """Find out what a source is and make its lines readable by DuckDB, without reading them."""
    if isinstance(source, pd.DataFrame):
        return frame_source(source, connection)
    path = Path(source).expanduser()
    try:
        return file_source(path, rules, connection, scratch)
    except OSError as failure:
        raise InputError(f"{shortened(path.name, 80)}: cannot be opened ({failure.strerror})") from None


def file_source(path: Path, rules: ReadingRules, connection: duckdb.DuckDBPyConnection, scratch: Path) -> Source:
    """Open a file, or a folder of files, by its kind."""
    paths = data_files(path)
    if kind_of(paths[0]) == "parquet":
        return parquet_source(path, paths, connection)
    return csv_source(path, paths, rules, connection, scratch)


def data_files(path: Path) -> list[Path]:
    """Return the data files that a path means: itself, or what a folder holds."""
    if not path.exists():
        raise no_such_file(path)
    if not path.is_dir():
        kind_of(path)
        if not path.is_file():
            raise InputError(f"{path.name}: is a device or pipe: write the log to a file first")
        return [path.resolve()]
    inside = [p for p in path.rglob("*") if p.is_file() and not hidden(p.relative_to(path))]
    found = sorted(p.resolve() for p in inside if data_suffix(p) in CSV_SUFFIXES | PARQUET_SUFFIXES)
    if not found:
        raise InputError(f"{path}: the folder holds no .csv, .txt, .tsv or .parquet file")
    if len({kind_of(p) for p in found}) > 1:
        raise InputError(f"{path}: the folder mixes CSV and Parquet files: keep one kind in it")
    return found


def no_such_file(path: Path) -> InputError:
    """Return the error for a path that leads nowhere, with the nearest name beside it."""
    siblings = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    return InputError(f"{path}: no such file{nearest(path.name, siblings)}")


def hidden(path: Path) -> bool:
    """Tell whether any part of a path is hidden or a marker such as _SUCCESS."""
    return any(part.startswith((".", "_")) for part in path.parts)


def data_suffix(path: Path) -> str:
    """Return the suffix that says what a file is, without .gz."""
    return Path(path.name.lower().removesuffix(".gz")).suffix


def kind_of(path: Path) -> str:
    """Tell CSV from Parquet by the name."""
    if data_suffix(path) in CSV_SUFFIXES:
        return "csv"
    if path.suffix.lower() in PARQUET_SUFFIXES:
        return "parquet"
    raise InputError(
        f"{path.name}: files of this kind are not read: export it as .csv (.txt, .tsv, also .gz) or .parquet"
    )


def parquet_source(path: Path, paths: list[Path], connection: duckdb.DuckDBPyConnection) -> Source:
    """Open Parquet files; folders named key=value become columns."""

    def explain(failure: duckdb.Error) -> InputError:
        why = "damaged, cut short, or its parts differ" if path.is_dir() else "damaged or cut short"
        return InputError(f"{path.name}: cannot be read as Parquet ({why}): fetch it again")

    def read(chosen: list[Path]) -> duckdb.DuckDBPyRelation:
        escaped = [glob.escape(str(p)) for p in chosen]
        # Older writers do not mark text as such.
        return connection.read_parquet(escaped, binary_as_string=True, hive_partitioning=path.is_dir())

    try:
        lines = read(paths)
    except duckdb.Error as failure:
        raise explain(failure) from None
    place = partial(place_in, paths, read, lambda part, row: None)
    types = types_of(lines)
    return Source(path.name, {name: name for name in types}, types, place, lines, explain)


def csv_source(
    path: Path, paths: list[Path], rules: ReadingRules, connection: duckdb.DuckDBPyConnection, scratch: Path
) -> Source:
    """Open CSV files whose header lines agree."""
    names, delimiter = csv_files.read_header(paths[0], rules.encoding, rules.delimiter)
    for other in paths[1:]:
        if csv_files.read_header(other, rules.encoding, delimiter)[0] != names:
            raise InputError(f"{path.name}: {other.name} has other columns than {paths[0].name}: make them agree")
    refuse_twins(path.name, names)

    surveys = {part: csv_files.survey(part, rules.encoding, delimiter) for part in paths}
    in_parallel = not any(found.records_over_lines for found in surveys.values())

    def readable(part: Path) -> Path:
        plain = csv_files.is_utf8(rules.encoding) and not surveys[part].mixed_line_ends
        return part if plain else csv_files.as_plain_utf8(part, rules.encoding, scratch)

    def read(chosen: list[Path]) -> duckdb.DuckDBPyRelation:
        plain = [readable(part) for part in chosen]
        return csv_files.read_csv(connection, plain, len(names), delimiter, in_parallel)

    def line(part: Path, row: int) -> int | None:
        return csv_files.line_number(part, rules.encoding, delimiter, row)

    columns = {name: f"c{i}" for i, name in enumerate(names)}
    place = partial(place_in, paths, read, line)
    lines = read(paths)
    return Source(
        path.name, columns, types_of(lines), place, lines, lambda failure: csv_files.explain(failure, path.name)
    )


def place_in(
    paths: list[Path],
    read: Callable[[list[Path]], duckdb.DuckDBPyRelation],
    line: Callable[[Path, int], int | None],
    row: int,
) -> str:
    """Return the place of a row (from 0) of several files taken together as words: file, line or row."""
    for part in paths:
        inside = read([part]).count("*").fetchall()[0][0] if len(paths) > 1 else row + 1
        if row < inside:
            number = line(part, row)
            words = f"line {number:,}" if number else f"row {row + 1:,}"
            return f"{part.name} {words}" if len(paths) > 1 else words
        row -= inside
    return f"row {row + 1:,}"


def frame_source(frame: pd.DataFrame, connection: duckdb.DuckDBPyConnection) -> Source:
    """Open a pandas frame; columns that are neither numbers nor datetimes are read as text."""
    names = [str(name) for name in frame.columns]
    refuse_twins("the frame", names)
    # A copy, because DuckDB 2.0 cannot read a frame that is a backward view of another.
    plain = frame.set_axis([f"c{i}" for i in range(len(names))], axis=1).copy()
    plain = plain.assign(**{name: as_text(plain[name]) for name in map(str, plain) if needs_text(plain[name])})
    columns = {name: f"c{i}" for i, name in enumerate(names)}

    def explain(failure: duckdb.Error) -> InputError:
        return InputError("the frame: DuckDB cannot read one of its columns: convert it to text, numbers or datetimes")

    try:
        lines = connection.from_df(plain)
    except duckdb.Error as failure:
        raise explain(failure) from None
    return Source("the frame", columns, types_of(lines), lambda row: f"row {row + 1:,}", lines, explain, plain)


def needs_text(column: pd.Series) -> bool:
    """Tell whether DuckDB would have to guess the type of a pandas column."""
    return not (pd.api.types.is_numeric_dtype(column) or pd.api.types.is_datetime64_any_dtype(column))


def as_text(column: pd.Series) -> pd.Series:
    """Return a column as text; objects that are floats stay floats, so that float ids are recognised."""
    if pd.api.types.infer_dtype(column, skipna=True) in {"floating", "mixed-integer-float"}:
        return column.astype("float64")
    return column.astype("string")


def refuse_twins(label: str, names: list[str]) -> None:
    """Refuse a source with two columns of one name."""
    twins = [name for name, times in Counter(names).items() if times > 1 and name]
    if twins:
        raise InputError(f"{label}: column {twins[0]!r} stands {names.count(twins[0])} times: rename or remove one")
