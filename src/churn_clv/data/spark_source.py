"""Where a log on Spark can come from: CSV and Parquet files, folders of them, pandas frames."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from churn_clv.data import csv_files, engine
from churn_clv.data.contract import ReadingRules, setting
from churn_clv.data.sources import Header, data_files, expanded, foreign_type, frame_source, kind_of, refuse_twins
from churn_clv.data.spark_engine import failures
from churn_clv.errors import InputError, shortened

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import Column, DataFrame, SparkSession

# What Spark says where a file is at fault, and not the cluster.
_FAULTS = (
    "FAILED_READ_FILE", "MALFORMED", "CANNOT_READ_FILE", "UNABLE_TO_INFER_SCHEMA", "CANNOT_MERGE_SCHEMAS", "PARQUET",
    "COLUMN_ALREADY_EXISTS", "PATH_NOT_FOUND", "INVALID_PARAMETER_VALUE.CHARSET", "gzip", "GZIP",
)  # fmt: skip
_LINES_OF_TEXT = """
SELECT count(*) FILTER (WHERE length(replace(value, '"', '')) % 2 <> length(value) % 2), count(*) FILTER (WHERE NOT is_valid_utf8(value))
FROM {lines}
"""


@dataclass(frozen=True)
class SparkSource(Header):
    """Lines still to be read by Spark as columns c0, c1, ..., and what its failures mean to the user."""

    lines: DataFrame
    explain: Callable[[Exception], InputError]

    def fault(self, failure: Exception) -> Exception:
        """Return what to raise for a failure of Spark: the file's fault in our words, any other as it is."""
        return self.explain(failure) if any(word in str(failure) for word in _FAULTS) else failure


def open_on_spark(source: Path | str | pd.DataFrame, rules: ReadingRules, session: SparkSession) -> SparkSource:
    """Find out what a source is and make its lines readable by Spark, without reading them.

    A path must mean the same on every machine of the cluster. With a scheme ("s3a://...", "hdfs://...") it is Parquet.
    """
    if isinstance(source, pd.DataFrame):
        return _frame(source, session)
    if "://" in str(source):
        return _remote(str(source), session)
    path = expanded(source)
    try:
        paths = data_files(path)
        if kind_of(paths[0]) == "parquet":
            return _parquet(path, paths, session)
        return _csv(path, paths, rules, session)
    except OSError as failure:
        raise InputError(f"{shortened(path.name, 80)}: cannot be opened ({failure.strerror})") from None


def _frame(frame: pd.DataFrame, session: SparkSession) -> SparkSource:
    """DuckDB types a frame's columns, so that both engines read the same."""
    import pyarrow as pa

    with engine.connect() as local:
        read = frame_source(frame, local)
        table = read.lines.to_arrow_table()
    micro = [
        field.with_type(pa.timestamp("us", field.type.tz)) if pa.types.is_timestamp(field.type) else field
        for field in table.schema
    ]
    lines = session.createDataFrame(table.cast(pa.schema(micro), safe=False))
    return SparkSource(
        read.label, read.columns, read.types, _nowhere, lines, lambda _: InputError(f"{read.label}: cannot be read")
    )


def _nowhere(row: int) -> str:
    return "not looked for on Spark"


def _uris(paths: list[Path]) -> list[str]:
    """Return files as Hadoop's globs that mean only them."""
    return ["file://" + re.sub(r"([\[\]{}*?\\])", r"\\\1", str(path)) for path in paths]


def _parquet(path: Path, paths: list[Path], session: SparkSession) -> SparkSource:
    def explain(_: Exception) -> InputError:
        why = "damaged, cut short, or its parts differ" if path.is_dir() else "damaged or cut short"
        return InputError(f"{path.name}: cannot be read as Parquet ({why}): fetch it again")

    schema = _one_schema(paths, explain)
    reader = session.read.option("basePath", f"file://{path.resolve()}") if path.is_dir() else session.read
    return _of_columns(path.name, lambda: reader.parquet(*_uris(paths)), schema, explain)


def _remote(address: str, session: SparkSession) -> SparkSource:
    label = address.rstrip("/").rsplit("/", 1)[-1]
    if label.lower().endswith((".csv", ".txt", ".tsv", ".gz")):
        raise InputError(
            f"{label}: CSV is read from a path that every machine has; write Parquet to {address!r} instead"
        )

    def explain(_: Exception) -> InputError:
        return InputError(f"{label}: cannot be read as Parquet (is it there, whole, and are its parts alike?)")

    return _of_columns(label, lambda: session.read.parquet(address), None, explain)


def _one_schema(paths: list[Path], explain: Callable[[Exception], InputError]) -> pa.Schema:
    """Return the schema that all files share; Spark itself would fill a column that a part lacks with NULLs."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        first, *others = (pq.read_schema(part).remove_metadata() for part in paths)
    except (pa.ArrowException, OSError) as failure:
        raise explain(failure) from None
    if any(other.names != first.names or other.types != first.types for other in others):
        raise explain(ValueError("schemas differ"))
    return first


def _of_columns(
    label: str, read: Callable[[], DataFrame], schema: pa.Schema | None, explain: Callable[[Exception], InputError]
) -> SparkSource:
    """Name the columns of Parquet files c0, c1, ..., and make each of a type that DuckDB knows as well."""
    try:
        found = read()
    except failures() as failure:
        raise explain(failure) from None
    names = found.columns
    refuse_twins(label, names)
    plain = found.toDF(*(f"c{i}" for i in range(len(names))))
    stored = {} if schema is None else dict(zip(schema.names, schema.types, strict=True))
    chosen, types = [], {}
    for name, field in zip(names, plain.schema.fields, strict=True):
        column, kind = _as_duckdb(field.name, field.dataType, stored.get(name))
        chosen.append(column.alias(field.name))
        types[field.name] = (name in stored and foreign_type(stored[name])) or kind
    return SparkSource(label, dict(zip(names, types, strict=True)), types, _nowhere, plain.select(*chosen), explain)


def _as_duckdb(name: str, kind: Any, stored: Any) -> tuple[Column, str]:
    """Return a column and its type under DuckDB's name; `stored`: the file's own, where it is known."""
    import pyarrow as pa
    from pyspark.sql import functions as f
    from pyspark.sql import types as t

    column = f.col(name)
    if stored is not None and pa.types.is_timestamp(stored):
        if isinstance(kind, t.LongType):  # nanoseconds
            column = f.expr(f"timestamp_micros({name} DIV 1000)")
        if stored.tz is None:  # INT96 as well, which Spark takes for moments in UTC
            return column.cast("timestamp_ntz"), "TIMESTAMP"
        return column.cast("timestamp"), "TIMESTAMP WITH TIME ZONE"
    simple = {
        t.StringType: "VARCHAR", t.LongType: "BIGINT", t.IntegerType: "INTEGER", t.ShortType: "SMALLINT",
        t.ByteType: "TINYINT", t.DoubleType: "DOUBLE", t.FloatType: "FLOAT", t.DateType: "DATE",
        t.TimestampType: "TIMESTAMP WITH TIME ZONE", t.TimestampNTZType: "TIMESTAMP", t.BooleanType: "BOOLEAN",
        t.BinaryType: "BLOB",
    }  # fmt: skip
    if type(kind) in simple:
        return column, simple[type(kind)]
    if isinstance(kind, t.DecimalType):
        return column, f"DECIMAL({kind.precision},{kind.scale})"
    return column.cast("string"), "STRUCT" if not isinstance(kind, t.ArrayType) else "LIST[]"


def _csv(path: Path, paths: list[Path], rules: ReadingRules, session: SparkSession) -> SparkSource:
    """Read CSV as columns of text by the header lines, which are read here; an empty field is NULL."""
    names, delimiter = csv_files.read_header(paths[0], rules.encoding, rules.delimiter)
    for other in paths[1:]:
        if csv_files.read_header(other, rules.encoding, delimiter)[0] != names:
            raise InputError(f"{path.name}: {other.name} has other columns than {paths[0].name}: make them agree")
    refuse_twins(path.name, names)
    encoding = _charset(path.name, rules.encoding)
    _refuse_unreadable(path.name, paths, rules.encoding, session)
    columns = [f"c{i}" for i in range(len(names))]
    read = session.read.csv(
        _uris(paths), schema=", ".join(f"{name} STRING" for name in columns), sep=delimiter, encoding=encoding,
        header=True, quote='"', escape='"', mode="FAILFAST", nullValue="", emptyValue="",
        ignoreLeadingWhiteSpace=False, ignoreTrailingWhiteSpace=False,
    )  # fmt: skip
    lines = read.selectExpr(*(f"nullif({name}, '') AS {name}" for name in columns))

    def explain(_: Exception) -> InputError:
        return InputError(
            f"{path.name}: a line cannot be read as CSV with the {len(names)} fields of the header: "
            f"mend the file or set {setting('delimiter')}"
        )

    types = dict.fromkeys(columns, "VARCHAR")
    named = dict(zip(names, columns, strict=True))
    return SparkSource(path.name, named, types, _nowhere, lines, explain, delimiter=delimiter)


def _charset(label: str, encoding: str) -> str:
    """Return Java's name of an encoding in which a line end is one byte."""
    if csv_files.is_utf8(encoding):
        return "UTF-8"
    name = codecs.lookup(encoding).name
    if "\n".encode(name) != b"\n":
        raise InputError(f"{label}: {encoding} text is not read on Spark: save it as UTF-8")
    return name


def _refuse_unreadable(label: str, paths: list[Path], encoding: str, session: SparkSession) -> None:
    """Refuse records over several lines, which parts of a file cannot be read with, and what is no UTF-8."""
    open_lines, not_utf8 = session.sql(_LINES_OF_TEXT, lines=session.read.text(_uris(paths))).collect()[0]
    if not_utf8 and csv_files.is_utf8(encoding):
        raise csv_files.wrong_encoding(Path(label), encoding)
    if open_lines:
        raise InputError(
            f"{label}: {open_lines:,} lines open or close a quotation mark without its pair; on Spark no field may "
            "hold a line end: write the log as Parquet"
        )
