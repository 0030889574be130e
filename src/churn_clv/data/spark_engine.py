"""The Spark that runs the data room's SQL files in DuckDB's place."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import duckdb
import pandas as pd

from churn_clv.data.spark_sql import statement
from churn_clv.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

# Of a log's own session; the caller's stays as it is.
_SETTINGS = {
    "spark.sql.session.timeZone": "UTC",  # no answer depends on where the machine stands
    "spark.sql.ansi.enabled": "true",  # what overflows fails, as in DuckDB
    "spark.sql.timestampType": "TIMESTAMP_LTZ",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.sql.parquet.binaryAsString": "true",  # older writers do not mark text as such
    "spark.sql.legacy.parquet.nanosAsLong": "true",  # made moments again by the reader
    "spark.sql.csv.parser.columnPruning.enabled": "false",  # a line of too few fields must be seen
    "spark.sql.legacy.javaCharsets": "true",  # cp1252 and its like
    "spark.sql.caseSensitive": "true",
    "spark.sql.sources.partitionColumnTypeInference.enabled": "false",  # customer_id=007 stays itself
}


def spark_session(master: str | None = None) -> SparkSession:
    """Return the session that is active, or start one.

    Parameters
    ----------
    master
        As ``"local[4]"`` or ``"spark://host:7077"``; None leaves it to spark-submit and Spark's settings.

    Raises
    ------
    InputError
        If PySpark is not installed, or no Spark can be started.
    """
    try:
        from pyspark.sql import SparkSession
    except ImportError:
        raise InputError(
            "data.engine: spark needs PySpark, which is not installed: pip install 'churn-clv[spark]' (and Java 17)"
        ) from None
    if SparkSession.getActiveSession() is not None:
        return SparkSession.builder.getOrCreate()  # not the active one itself, which may be a log's own
    if master is not None and master.startswith("local"):
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # another Python may lack this package
    builder = SparkSession.builder.appName("churn-clv")
    try:
        return (builder if master is None else builder.master(master)).getOrCreate()
    except failures() as failure:
        raise InputError(f"Spark cannot be started ({type(failure).__name__}): is Java 17 installed?") from None


def failures() -> tuple[type[Exception], ...]:
    """Return what Spark raises: its own errors, and Java's that PySpark does not translate."""
    from py4j.protocol import Py4JJavaError
    from pyspark.errors import PySparkException

    return PySparkException, Py4JJavaError


@dataclass
class SparkConnection:
    """Tables on Spark that answer the data room's SQL, as a connection of DuckDB does.

    Tables are kept in memory and on disk of the executors. What is lost with one of them is computed again from the
    files, to the same rows: nothing in the SQL is random, and no order of rows has a say.
    """

    session: SparkSession
    tables: dict[str, DataFrame] = field(default_factory=dict)

    def execute(self, sql: str, values: Mapping[str, Any] | None = None) -> SparkAnswer:
        """Run a statement of DuckDB's dialect; a table that it creates is worked out at once."""
        told = statement(sql, values)
        if told.drops is not None:
            self.drop(told.drops)
            return SparkAnswer(None)
        found = self.session.sql(told.query)
        if told.creates is not None:
            self.keep(told.creates, found)
            return SparkAnswer(None)
        return SparkAnswer(found)

    def query(self, sql: str, values: Mapping[str, Any] | None = None) -> DataFrame:
        """Return what a query finds, still to be worked out on Spark."""
        return self.session.sql(statement(sql, values).query)

    def keep(self, name: str, rows: DataFrame) -> None:
        """Work rows out and keep them as a table; one of that name goes."""
        from pyspark.storagelevel import StorageLevel

        kept = rows.persist(StorageLevel.MEMORY_AND_DISK)
        kept.count()
        before = self.tables.get(name)
        kept.createOrReplaceTempView(name)
        self.tables[name] = kept
        if before is not None:
            before.unpersist()

    def drop(self, name: str) -> None:
        """Forget a table, if it is there."""
        rows = self.tables.pop(name, None)
        self.session.catalog.dropTempView(name)
        if rows is not None:
            rows.unpersist()

    def close(self) -> None:
        """Forget every table."""
        for name in list(self.tables):
            self.drop(name)


@dataclass(frozen=True)
class SparkAnswer:
    """The rows of a query, brought here when they are asked for; None of a statement that has none."""

    rows: DataFrame | None

    def fetchall(self) -> list[tuple[Any, ...]]:
        return [] if self.rows is None else [tuple(row) for row in self.rows.collect()]

    def arrow(self) -> pa.Table:
        if self.rows is None:
            raise TypeError("the statement is no query")
        return self.rows.toArrow()

    def df(self) -> pd.DataFrame:
        """Return the rows as DuckDB does: the same types."""
        return duckdb.from_arrow(self.arrow()).df()


def own_connection(session: SparkSession) -> SparkConnection:
    """Return a connection whose tables and settings are no one else's."""
    own = session.newSession()
    chosen = {name: value for name, value in session.conf.getAll.items() if own.conf.isModifiable(name)}
    for name, value in (chosen | _SETTINGS).items():  # a new session forgets what was set in the one it comes from
        own.conf.set(name, value)
    return SparkConnection(own)
