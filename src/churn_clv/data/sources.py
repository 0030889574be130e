"""Where a log can come from: CSV and Parquet files, folders of them, pandas frames."""

from __future__ import annotations

import glob
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pandas as pd

from churn_clv.data import csv_files
from churn_clv.data.contract import ReadingRules, setting
from churn_clv.data.csv_files import called
from churn_clv.errors import InputError, nearest, shortened

if TYPE_CHECKING:
    import pyarrow as pa

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
            listed = ", ".join(text if text.isprintable() else repr(text) for text in list(self.columns)[:30])
            hint = nearest(name, self.columns)
            if len(self.columns) == 1:
                remedy += f" If another mark parts the columns: {setting('delimiter')}."
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
    path = expanded(source)
    try:
        return file_source(path, rules, connection, scratch)
    except OSError as failure:
        raise InputError(f"{shortened(path.name, 80)}: cannot be opened ({failure.strerror})") from None


def expanded(path: Path | str) -> Path:
    """Return a path with the home folder in place of ~."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise InputError(f"{path}: there is no such home folder") from None


def file_source(path: Path, rules: ReadingRules, connection: duckdb.DuckDBPyConnection, scratch: Path) -> Source:
    """Open a file, or a folder of files, by its kind."""
    paths = data_files(path)
    if kind_of(paths[0]) == "parquet":
        return parquet_source(path, paths, connection)
    return csv_source(path, paths, rules, connection, scratch)


def data_files(path: Path) -> list[Path]:
    """Return the data files that a path means: itself, or what a folder holds, in which all is read or refused."""
    if not path.exists():
        raise no_such_file(path)
    if not path.is_dir():
        kind_of(path)
        if not path.is_file():
            raise InputError(f"{called(path)}: is a device or pipe: write the log to a file first")
        return [nameable(path.absolute())]
    inside = sorted(p for p in path.absolute().rglob("*") if not hidden(p.relative_to(path.absolute())))
    found = [nameable(p) for p in inside if is_data_file(p)]
    if not found:
        raise InputError(f"{path}: the folder holds no .csv, .txt, .tsv or .parquet file")
    if len({kind_of(p) for p in found}) > 1:
        raise InputError(f"{path}: the folder mixes CSV and Parquet files: keep one kind in it")
    strays = [p for p in inside if (p.is_symlink() and p.is_dir()) or not (p.is_dir() or is_data_file(p))]
    if strays:
        raise InputError(
            f"{path}: the folder holds {len(strays):,} that would not be read (first: {called(strays[0])}): move them out of it, "
            "or begin their names with an underscore"
        )
    return found


def is_data_file(path: Path) -> bool:
    """Tell whether a path is a file that a folder's log is read from."""
    return path.is_file() and data_suffix(path) in CSV_SUFFIXES | PARQUET_SUFFIXES


def nameable(path: Path) -> Path:
    """Return a path, or refuse one whose name no engine can be told."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise InputError(f"{called(path)}: its name is not UTF-8: rename it") from None
    return path


def no_such_file(path: Path) -> InputError:
    """Return the error for a path that leads nowhere, with the nearest name beside it."""
    if path.is_symlink():
        return InputError(f"{called(path)}: is a link to a file that is not there")
    siblings = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    label = str(path) if str(path).isprintable() else called(path)
    return InputError(f"{label}: no such file{nearest(path.name, siblings)}")


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
        f"{called(path)}: files of this kind are not read: export it as .csv (.txt, .tsv, also .gz) or .parquet"
    )


def parquet_source(path: Path, paths: list[Path], connection: duckdb.DuckDBPyConnection) -> Source:
    """Open Parquet files; folders named key=value become columns; ids such as 007 stay as they are."""
    label = called(path)

    def explain(failure: Exception, part: Path = path) -> InputError:
        if "ive partition" in str(failure):
            return InputError(
                f"{called(part)}: some of its files stand in folders key=value that others lack: make them agree"
            )
        if "Invalid string encoding" in str(failure):
            return InputError(f"{called(part)}: a column of bytes is no UTF-8 text: write it as text")
        return InputError(f"{called(part)}: cannot be read as Parquet (damaged or cut short?): fetch it again")

    def read(chosen: list[Path]) -> duckdb.DuckDBPyRelation:
        escaped = [glob.escape(str(p)) for p in chosen]
        # Older writers do not mark text as such.
        return connection.read_parquet(escaped, binary_as_string=True, hive_partitioning=path.is_dir())

    names = one_schema(label, paths, explain)
    refuse_twins(label, names)
    if path.is_dir():
        refuse_keys_in_files(label, paths, names)
    try:
        lines = read(paths)
    except duckdb.Error as failure:
        raise explain(failure) from None
    place = partial(place_in, paths, read, lambda part, row: None)
    types = types_of(lines)
    # DuckDB renames columns that differ in case only.
    columns = dict(zip([*names, *lines.columns[len(names) :]], lines.columns, strict=True))
    return Source(label, columns, types, place, lines, explain)


def one_schema(label: str, paths: list[Path], explain: Callable[[Exception, Path], InputError]) -> list[str]:
    """Return the names of the columns that all files share; DuckDB would cast the later files to the first one's types."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schemas = []
    for part in paths:
        try:
            schemas.append([(field.name, plain_type(field.type)) for field in pq.read_schema(part)])
        except (pa.ArrowException, OSError, ValueError) as failure:
            raise explain(failure, part) from None
    first = dict(schemas[0])
    for part, schema in zip(paths, map(dict, schemas), strict=True):
        for name in [*first, *schema]:
            if schema.get(name) not in (first.get(name), "null"):  # null: no value in that part at all
                raise InputError(
                    f"{label}: column {name!r} is {schema.get(name, 'not')} in {called(part)} and "
                    f"{first.get(name, 'not')} in {called(paths[0])}: make them agree"
                )
    return [name for name, _ in schemas[0]]


def plain_type(kind: pa.DataType) -> str:
    """Return the name of a type, whichever way Arrow keeps it in memory."""
    text = str(kind.value_type if hasattr(kind, "dictionary") or str(kind).startswith("dictionary") else kind)
    return text.removeprefix("large_").removesuffix("_view")


def refuse_keys_in_files(label: str, paths: list[Path], names: list[str]) -> None:
    """Refuse a folder key=value whose key is a column of the files as well: DuckDB would take the folder's."""
    known = {name.lower(): name for name in names}
    for part in paths:
        for key in (folder.partition("=")[0] for folder in part.parent.parts if "=" in folder):
            if key.lower() in known:
                raise InputError(
                    f"{label}: column {known[key.lower()]!r} stands in the files and in folder names such as {key}=...: rename one"
                )


def csv_source(
    path: Path, paths: list[Path], rules: ReadingRules, connection: duckdb.DuckDBPyConnection, scratch: Path
) -> Source:
    """Open CSV files whose header lines agree."""
    label = called(path)
    names, delimiter = csv_files.read_header(paths[0], rules.encoding, rules.delimiter)
    for other in paths[1:]:
        if csv_files.read_header(other, rules.encoding, delimiter)[0] != names:
            raise InputError(f"{label}: {called(other)} has other columns than {called(paths[0])}: make them agree")
    refuse_twins(label, names)

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
        label, columns, types_of(lines), place, lines, lambda failure: csv_files.explain(failure, label, paths)
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
            return f"{called(part)} {words}" if len(paths) > 1 else words
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
