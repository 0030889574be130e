"""Read a log on Spark: the door, the tables and the counts are those of DuckDB, in Spark's words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from churn_clv.data import engine
from churn_clv.data.cleaning import CleaningReport, refuse, report_on
from churn_clv.data.contract import Columns, EventsTable, ReadingRules, ValueIs, check_margin
from churn_clv.data.read_events import as_lines, build_events, check_names
from churn_clv.data.spark_engine import SparkConnection, failures, own_connection
from churn_clv.data.spark_source import SparkSource, open_on_spark
from churn_clv.data.transactions import TransactionLog, build_tables, check_manner, extent, staging, value_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


@dataclass(frozen=True)
class SparkLog:
    """A log that passed the door on Spark; attributes and tables are those of `TransactionLog`, in no order.

    The tables are kept on the executors until `release`. What is lost there is computed again from the files, which must
    therefore stay as they are.
    """

    connection: SparkConnection
    cleaning: CleaningReport
    has_amount: bool
    first_day: date
    last_day: date
    n_customers: int
    value_is: ValueIs = "revenue"
    events: CleaningReport | None = None

    @property
    def has_events(self) -> bool:
        return self.events is not None

    @property
    def line_columns(self) -> frozenset[str]:
        """The columns of `transactions`: the optional ones stand there where they are mapped."""
        return frozenset(self.connection.tables["transactions"].columns)

    def frame(self, sql: str, values: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """Return what a query, in DuckDB's dialect, finds in the log's tables; `values` are bound to its $names."""
        return self.connection.execute(sql, values).df()

    def rows(self, sql: str, values: Mapping[str, Any] | None = None) -> DataFrame:
        """Return what `frame` would, left on Spark."""
        return self.connection.query(sql, values)

    def panel(self, customers: int) -> TransactionLog:
        """Bring the log of a random sample of customers, that of `panel.sql`, to a DuckDB of this machine.

        Its extent and its cleaning are still the whole log's; n_customers is the panel's. The lines of the sample must
        fit into this machine's memory once.
        """
        local = engine.connect()
        chosen = engine.query("panel")
        for name, order in (("customer_days", " ORDER BY customer_id, day"), ("transactions", ""), ("events", "")):
            if name in self.connection.tables:
                lines = f"SELECT t.* FROM {name} AS t SEMI JOIN ({chosen}) AS p ON p.customer_id = t.customer_id"  # noqa: S608
                local.register("arrived", self.connection.execute(lines, {"customers": customers}).arrow())
                engine.run(local, f"CREATE TABLE {name} AS SELECT * FROM arrived{order}")  # noqa: S608
                local.unregister("arrived")
        engine.lock(local)
        return TransactionLog(
            local, self.cleaning, self.has_amount, self.first_day, self.last_day, min(customers, self.n_customers),
            self.value_is, self.events,
        )  # fmt: skip

    def release(self) -> None:
        """Free what Spark keeps of the log; it answers no more."""
        self.connection.close()


def read_transactions_on_spark(
    source: Path | str | pd.DataFrame,
    columns: Columns | None = None,
    rules: ReadingRules | None = None,
    *,
    session: SparkSession,
) -> SparkLog:
    """Read, check and clean a transaction log on Spark; see `churn_clv.data.transactions.read_transactions`.

    Parameters
    ----------
    source
        Files or folders that every machine of the cluster sees under the same path, an address of Parquet
        ("s3a://..."), or a frame. CSV is UTF-8 or of one byte a character, and no field holds a line end.
    session
        From `spark_session`; the log gets tables and settings of its own within it.

    Raises
    ------
    InputError
        As on DuckDB, without the place of the first row, which Spark does not know.
    """
    columns, rules = columns or Columns(), rules or ReadingRules()
    check_margin(columns, rules)
    connection = own_connection(session)
    try:
        opened = _stage(connection, source, columns, rules, lambda _: None, "transactions")
        build_tables(connection, columns, rules)
        first_day, last_day, n_customers = extent(connection, opened.label)
        cleaning = report_on(connection, columns, rules)
        engine.run(connection, "DROP TABLE staged")
    except BaseException:
        connection.close()
        raise
    has_amount, value_is = columns.amount is not None, value_of(columns, rules)
    return SparkLog(connection, cleaning, has_amount, first_day, last_day, n_customers, value_is)


def read_events_on_spark(
    source: Path | str | pd.DataFrame, log: SparkLog, table: EventsTable, rules: ReadingRules
) -> SparkLog:
    """Read events of a log's customers and return the log with them; see `churn_clv.data.read_events.read_events`."""
    columns, own = as_lines(table, rules)
    opened = _stage(log.connection, source, columns, own, lambda found: check_names(found, table), "events")
    return replace(log, events=build_events(log.connection, opened.label, table, rules))


def _stage(
    connection: SparkConnection,
    source: Path | str | pd.DataFrame,
    columns: Columns,
    rules: ReadingRules,
    check: Callable[[SparkSource], None],
    called: str,
) -> SparkSource:
    """Read every line once into the table `staged`, and refuse what is broken."""
    with engine.connect() as local:
        check_manner(local, rules)
    opened = open_on_spark(source, rules, connection.session)
    check(opened)
    sql, values = staging(opened, columns, rules)
    opened.lines.createOrReplaceTempView("source_lines")
    try:
        engine.run(connection, sql, values)
    except failures() as failure:
        raise opened.fault(failure) from None
    connection.session.catalog.dropTempView("source_lines")
    refuse(connection, opened, columns, rules, called)
    return opened
