"""Where a log can come from: CSV and Parquet files, folders of them, pandas frames."""

from __future__ import annotations

import glob
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

import duckdb
import pandas as pd

from churn_clv.data import csv_files
from churn_clv.data.contract import ReadingRules, setting
from churn_clv.data.csv_files import called
from churn_clv.data.engine import quote
from churn_clv.data.header_names import NAME_LIKE, listed
from churn_clv.errors import InputError, nearest, shortened

if TYPE_CHECKING:
    import pyarrow as pa

CSV_SUFFIXES = {".csv", ".txt", ".tsv"}
PARQUET_SUFFIXES = {".parquet", ".pq"}
# What marks a folder as a table in which other files than those that lie there count -> its name.
TABLES = {"_delta_log": "Delta", ".hoodie": "Hudi", "metadata/*.metadata.json": "Iceberg"}
FILE = "the file of a row"
NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True)
class Header:
    """What a source calls its columns, and how to point at one of its rows."""

    label: str
    columns: dict[str, str]  # the user's name -> the engine's
    types: dict[str, str]  # the engine's name -> its type, as DuckDB calls it
    place: Callable[[int], str]
    delimiter: str | None = field(default=None, kw_only=True)  # of CSV

    def name_of(self, role: str, name: str, remedy: str) -> str:
        """Return the engine's name of a user's column."""
        if name not in self.columns:
            hint = nearest(name, [column[:80] for column in self.columns])
            if len(self.columns) == 1:
                remedy += f" If another mark parts the columns: {setting('delimiter')}."
            raise InputError(
                f"{self.label}: no column {shortened(name, 80)} for {role}{hint}; {listed(name, self.columns)} {remedy}"
            )
        return self.columns[name]


@dataclass(frozen=True)
class Source(Header):
    """Lines still to be read by DuckDB, and what its failures mean to the user."""

    lines: duckdb.DuckDBPyRelation
    explain: Callable[[duckdb.Error], InputError]
    frame: pd.DataFrame | None = None  # what the lines are, where they lie in memory
    reread: Callable[[], duckdb.DuckDBPyRelation] | None = (
        None  # the lines in their order, where that takes more than one thread
    )

    def in_order(self) -> Source:
        """Return the source so that a single thread finds its rows in the order of the files."""
        return self if self.reread is None else replace(self, lines=self.reread())

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
        raise InputError(f"{shortened(path, 80)}: there is no such home folder") from None


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
    label = shown(path)
    refuse_table(path)
    inside = sorted(p for p in path.absolute().rglob("*") if not hidden(p.relative_to(path.absolute())))
    found = [nameable(p) for p in inside if is_data_file(p)]
    if not found:
        raise InputError(f"{label}: the folder holds no .csv, .txt, .tsv or .parquet file")
    if len({kind_of(p) for p in found}) > 1:
        raise InputError(f"{label}: the folder mixes CSV and Parquet files: keep one kind in it")
    strays = [p for p in inside if (p.is_symlink() and p.is_dir()) or not (p.is_dir() or is_data_file(p))]
    if strays:
        raise InputError(
            f"{label}: the folder holds {len(strays):,} that would not be read (first: {called(strays[0])}): move them out of it, "
            "or begin their names with an underscore"
        )
    return found


def shown(path: Path) -> str:
    """Return a path as one line may hold it: the whole, or its last part where the whole is long or breaks the line."""
    text = str(path)
    return text if text.isprintable() and len(text) <= 200 else called(path)


def refuse_table(path: Path) -> None:
    """Refuse a folder, or one with a folder, that is a table with a list of its own of the files that count."""
    for mark, kind in TABLES.items():
        if any(True for _ in path.rglob(mark)):
            raise InputError(
                f"{shown(path)}: holds a table of {kind}, in which files that were removed or replaced still lie and would be counted: "
                "export its current version as Parquet"
            )


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
    return InputError(f"{shown(path)}: no such file{nearest(path.name, siblings)}")


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
        if "Invalid string encoding" in str(failure):
            return InputError(f"{called(part)}: a column of bytes is no UTF-8 text: write it as text")
        return InputError(f"{called(part)}: cannot be read as Parquet (damaged or cut short?): fetch it again")

    def read(chosen: list[Path]) -> duckdb.DuckDBPyRelation:
        files = ", ".join(text_of(glob.escape(str(p))) for p in chosen)
        # Older writers do not mark text as such. DuckDB's own keys would be those above the folder as well, and no text.
        read = f"FROM read_parquet([{files}], binary_as_string = true, hive_partitioning = false, filename = '{FILE}')"
        return connection.sql(
            f"SELECT * EXCLUDE ({quote(FILE)}){''.join(f', {key}' for key in columns_of_keys)} {read}"
        )

    fields = one_schema(label, paths, explain)
    names = [name for name, _ in fields]
    keys = keys_of(path, paths)
    columns_of_keys = [value_of_key(path, key) for key in keys]
    refuse_keys_in_files(label, keys, names)
    refuse_twins(label, [*names, *map(unquote, keys)])
    try:
        lines = read(paths)
    except duckdb.Error as failure:
        raise explain(failure) from None
    place = partial(place_in, paths, read, lambda part, row: None)
    # DuckDB renames columns that differ in case only.
    columns = dict(zip([*names, *map(unquote, keys)], lines.columns, strict=True))
    told = {columns[name]: foreign for name, kind in fields if (foreign := foreign_type(kind))}
    return Source(label, columns, types_of(lines) | told, place, lines, explain)


def text_of(value: str) -> str:
    """Return a text as SQL says it."""
    return "'" + value.replace("'", "''") + "'"


def keys_of(path: Path, paths: list[Path]) -> list[str]:
    """Return the keys of the folders key=value below a folder, as they are written; all files must have the same."""
    if not path.is_dir():
        return []
    found = [
        [part.partition("=")[0] for part in file.parent.relative_to(path.absolute()).parts if "=" in part]
        for file in paths
    ]
    for file, keys in zip(paths, found, strict=True):
        if sorted(keys) != sorted(found[0]):
            raise InputError(
                f"{called(path)}: some of its files stand in folders key=value that others lack (first: {called(file)}): make them agree"
            )
    return found[0]


def value_of_key(path: Path, key: str) -> str:
    """Return what the folder key=value of a row's file says, as text, to the letter."""
    below = f"substr({quote(FILE)}, {len(str(path.absolute())) + 1})"
    value = f"regexp_extract({below}, {text_of(f'/{re.escape(key)}=([^/]*)/')}, 1)"
    return f"nullif(url_decode({value}), '{NO_VALUE}') AS {quote(unquote(key))}"


def foreign_type(kind: pa.DataType) -> str | None:
    """Return what Arrow calls a type that DuckDB would take for plain numbers or text, or None."""
    import pyarrow as pa

    if pa.types.is_duration(kind):
        return "DURATION"
    if isinstance(kind, pa.BaseExtensionType) and kind.extension_name != "arrow.uuid":
        return f"EXTENSION {kind.extension_name}"
    return None


def one_schema(
    label: str, paths: list[Path], explain: Callable[[Exception, Path], InputError]
) -> list[tuple[str, pa.DataType]]:
    """Return the columns that all files share; DuckDB would cast the later files to the first one's types."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    read = []
    for part in paths:
        try:
            read.append([(column.name, column.type) for column in pq.read_schema(part)])
        except (pa.ArrowException, OSError, ValueError) as failure:
            raise explain(failure, part) from None
    schemas = [{name: plain_type(kind) for name, kind in fields} for fields in read]
    first = schemas[0]
    for part, schema in zip(paths, schemas, strict=True):
        for name in [*first, *schema]:
            if schema.get(name) not in (first.get(name), "null"):  # null: no value in that part at all
                raise InputError(
                    f"{label}: column {shortened(name, 80)} is {schema.get(name, 'not')} in {called(part)} and "
                    f"{first.get(name, 'not')} in {called(paths[0])}: make them agree"
                )
        refuse_mistakable(label, part, list(schema), list(first))
    return read[0]


def refuse_mistakable(label: str, part: Path, names: list[str], first: list[str]) -> None:
    """Refuse columns that differ in case only and stand in another order in a part: DuckDB would take one for the other."""
    alike = Counter(map(str.lower, names))
    twins = [name for name in names if alike[name.lower()] > 1]
    if twins and names != first:
        raise InputError(
            f"{label}: columns such as {shortened(twins[0], 80)} differ in case only and stand in another order in {called(part)}: rename one"
        )


def plain_type(kind: pa.DataType) -> str:
    """Return the name of a type, whichever way Arrow keeps it in memory."""
    text = str(kind.value_type if hasattr(kind, "dictionary") or str(kind).startswith("dictionary") else kind)
    return text.removeprefix("large_").removesuffix("_view")


def refuse_keys_in_files(label: str, keys: list[str], names: list[str]) -> None:
    """Refuse a folder key=value whose key is a column of the files as well: either could be meant."""
    known = {name.lower(): name for name in names}
    for key in keys:
        if unquote(key).lower() in known:
            raise InputError(
                f"{label}: column {shortened(known[unquote(key).lower()], 80)} stands in the files and in folder names such as "
                f"{shortened(key, 80)[1:-1]}=...: rename one"
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

    plain = {part: readable(part) for part in paths}

    def read(chosen: list[Path], parallel: bool = False) -> duckdb.DuckDBPyRelation:
        return csv_files.read_csv(connection, [plain[part] for part in chosen], len(names), delimiter, parallel)

    def line(part: Path, row: int) -> int | None:
        return csv_files.line_number(part, rules.encoding, delimiter, row)

    columns = {name: f"c{i}" for i, name in enumerate(names)}
    place = partial(place_in, paths, read, line)
    lines = read(paths, in_parallel)
    return Source(
        label, columns, types_of(lines), place, lines, lambda failure: csv_files.explain(failure, label, paths),
        # What several threads may read is cut into blocks, which even a single one takes in any order.
        reread=partial(read, paths), delimiter=delimiter,
    )  # fmt: skip


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
        # What is no name of a column may be a customer, where the header is missing.
        told = f"column {shortened(twins[0], 80)}" if NAME_LIKE.fullmatch(twins[0]) else "a column's name"
        raise InputError(f"{label}: {told} stands {names.count(twins[0])} times: rename or remove one")
