"""Read a log of any source into two checked tables: its lines and its customer-days."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd

from churn_clv.data import engine
from churn_clv.data.cleaning import CleaningReport, reasons_against, refuse, report_on
from churn_clv.data.contract import Columns, ReadingRules, ValueIs, check_margin, known_zone, setting, unknown_zone
from churn_clv.data.roles import roles
from churn_clv.data.scratch import scratch
from churn_clv.data.sources import Header, Source, open_source
from churn_clv.errors import InputError, shortened


@dataclass(frozen=True)
class TransactionLog:
    """A log that passed the door; its lines stand in `connection` as `transactions` and `customer_days`.

    transactions: customer_id VARCHAR, day DATE, amount DOUBLE (money; NULL where the log has no amounts), and
    order_id, product_id, channel VARCHAR, quantity, margin DOUBLE where mapped; in no order. customer_days, in order:
    customer_id VARCHAR, day DATE, amount DOUBLE (the day's value), is_purchase BOOLEAN (decided on the lines' amounts),
    lines INTEGER, first_day DATE (of the customer's purchases; NULL where there is none), gap INTEGER (days since the purchase
    day before; NULL where there is none). `value_is` says what that value is: the day's net "revenue", its net "margin", or, without
    amounts, "purchases", of which every day counts 1.0.

    events: what cleaning did to the events that are no purchases; None where none were read. They stand as
    `events`: customer_id VARCHAR (customers of the log only), day DATE, kind VARCHAR; in no order.
    """

    connection: duckdb.DuckDBPyConnection
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
        return frozenset(self.connection.table("transactions").columns)

    def frame(self, sql: str, values: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """Return what a query on the log's tables finds; `values` are bound to its $names."""
        return self.connection.execute(sql, values or {}).df()


def read_transactions(
    source: Path | str | pd.DataFrame,
    columns: Columns | None = None,
    rules: ReadingRules | None = None,
    connection: duckdb.DuckDBPyConnection | None = None,
) -> TransactionLog:
    """Read, check and clean a transaction log.

    source: a CSV or Parquet file, a folder of such files, or a frame. A connection that is given stays
    unlocked, so that more inputs can be read: its owner calls `engine.lock`. Without one, a new connection
    is opened, and locked.

    Raises
    ------
    InputError
        What was got, how many rows, the first of them, and what to do; never a customer's id.

    Examples
    --------
    >>> frame = pd.DataFrame({"customer_id": ["a", "a", "b"], "date": "2024-01-05", "amount": [10.0, -4, 3]})
    >>> log = read_transactions(frame)
    >>> log.connection.table("customer_days").fetchall()[0]
    ('a', datetime.date(2024, 1, 5), 6.0, True, 2, datetime.date(2024, 1, 5), None)
    """
    columns, rules = columns or Columns(), rules or ReadingRules()
    room = engine.connect() if connection is None else connection
    try:
        log = admit(source, columns, rules, room)
    except duckdb.OutOfMemoryException:
        raise InputError(
            "the log does not fit into the engine's memory limit: in a config name a folder for the rest in data.spill_directory, or "
            "raise data.memory_limit; churn-clv score has --memory-limit; elsewhere use a machine with more memory"
        ) from None
    if connection is None:
        engine.lock(room)
    return log


def admit(
    source: Path | str | pd.DataFrame,
    columns: Columns,
    rules: ReadingRules,
    connection: duckdb.DuckDBPyConnection,
) -> TransactionLog:
    """Stage the lines, refuse what is broken, build the tables, report."""
    check_margin(columns, rules)
    with scratch() as place:
        opened = open_source(source, rules, connection, place)
        stage_sound(connection, opened, columns, rules)
    build_tables(connection, columns, rules)
    first_day, last_day, n_customers = extent(connection, opened.label)
    cleaning = report_on(connection, columns, rules)
    engine.run(connection, "DROP TABLE staged")
    has_amount, value_is = columns.amount is not None, value_of(columns, rules)
    return TransactionLog(connection, cleaning, has_amount, first_day, last_day, n_customers, value_is)


def value_of(columns: Columns, rules: ReadingRules) -> ValueIs:
    """Return what a customer-day's amount means."""
    if columns.amount is None:
        return "purchases"
    return "revenue" if columns.margin is None and rules.margin_rate is None else "margin"


def stage_sound(
    connection: duckdb.DuckDBPyConnection,
    source: Source,
    columns: Columns,
    rules: ReadingRules,
    called: str = "transactions",
) -> None:
    """Stage the lines and refuse what is broken; `called` says what the lines are."""
    stage(connection, source, columns, rules)
    if reasons_against(connection, source):
        # Several threads stage rows in any order; only one tells the right line of the file.
        with engine.one_thread(connection):
            stage(connection, source.in_order(), columns, rules)
    refuse(connection, source, columns, rules, called)


def stage(connection: duckdb.DuckDBPyConnection, source: Source, columns: Columns, rules: ReadingRules) -> None:
    """Read every line once into the table `staged`, parsed and with its fate."""
    check_manner(connection, rules)
    sql, values = staging(source, columns, rules)
    try:
        source.show(connection, "source_lines")
        engine.run(connection, sql, values)
        engine.run(connection, "DROP VIEW source_lines")
    except duckdb.OutOfMemoryException:
        raise  # not the file's fault
    except duckdb.IOException as failure:
        if "write" in str(failure).lower() or "no space" in str(failure).lower():
            raise  # the disk's
        raise source.explain(failure) from None
    except duckdb.Error as failure:
        raise source.explain(failure) from None


def staging(source: Header, columns: Columns, rules: ReadingRules) -> tuple[str, dict[str, Any]]:
    """Return the statement that fills `staged` from the view `source_lines`, for any engine, and its values."""
    latest = datetime.now(known_zone(rules.timezone)).date() + timedelta(days=1)  # a shop may be a day ahead of it
    raw, chosen = roles(source, columns, rules)
    values = chosen | {
        "timezone": rules.timezone,
        "iso": rules.date_format is None,
        "number": number_pattern(rules.decimal),
        "missing_customer": "no_customer" if rules.missing_customer_id == "drop" else "error:no_customer",
        "start": rules.start,
        "end": rules.end,
        "latest": latest,
        "has_amount": columns.amount is not None,
        "has_margin": columns.margin is not None,
    }
    return engine.query("cleaning").replace("raw_lines", f"({raw})"), values


def check_manner(connection: duckdb.DuckDBPyConnection, rules: ReadingRules) -> None:
    """Refuse a time zone or a pattern of dates that DuckDB does not know."""
    try:
        engine.run(
            connection,
            "SELECT timezone($zone, CAST('2024-01-05' AS TIMESTAMPTZ))",
            {"zone": known_zone(rules.timezone).key},
        )
    except duckdb.Error:
        raise unknown_zone(rules.timezone) from None
    if rules.date_format is None:
        return
    check_date_format(rules.date_format)
    try:
        engine.run(connection, "SELECT try_strptime('', $format) IS NULL", {"format": rules.date_format})
    except duckdb.Error:
        raise InputError(
            f"date_format {rules.date_format!r} is no strptime pattern: write for example '%d/%m/%Y %H:%M' "
            f"as {setting('date_format')}"
        ) from None


def check_date_format(pattern: str) -> None:
    """Refuse a pattern that tells no day, or a zone by its letters, which stand for several zones.

    >>> check_date_format("%d.%m.%Y")
    """
    parts = set(re.findall(r"%-?(.)", pattern))
    if "Z" in parts:
        raise InputError(
            f"date_format {shortened(pattern, 80)}: letters of zones (%Z) are not read, since they stand for several: write offsets "
            "such as +0100 and %z, or local times without a zone"
        )
    tells_day = parts & set("xc") or (parts & set("Yy") and ("j" in parts or ("d" in parts and parts & set("mbB"))))
    if not tells_day and not {"G", "V"} <= parts and parts <= set("aAbBcdfgGHIjmMnpSuUVwWxXyYz%-"):
        raise InputError(
            f"date_format {shortened(pattern, 80)}: a day, a month and a year are needed: write for example '%d/%m/%Y' as "
            f"{setting('date_format')}"
        )


def number_pattern(decimal: str) -> str:
    """Return the pattern of a number without thousands separators."""
    mark = "[.]" if decimal == "." else ","
    return rf"[+-]?(\d+({mark}\d*)?|{mark}\d+)([eE][+-]?\d+)?"


def build_tables(connection: engine.Connection, columns: Columns, rules: ReadingRules) -> None:
    """Fill `transactions` with the lines kept and `customer_days` with their days."""
    if rules.duplicates == "drop":
        engine.run(connection, engine.query("drop_duplicates"))
    if rules.sample_customers is not None:
        engine.run(connection, engine.query("sample_customers"), {"customers": rules.sample_customers})
    optional = [
        role for role in ("order_id", "product_id", "quantity", "channel", "margin") if role in columns.mapped()
    ]
    listed = ", ".join(["customer_id", "day", "amount", *optional])
    engine.run(
        connection,
        f"CREATE OR REPLACE TABLE transactions AS SELECT {listed} FROM staged WHERE fate IS NULL",  # noqa: S608
    )
    manner = {
        "positive_net": rules.purchase_rule == "positive_net",
        "has_margin": columns.margin is not None,
        "margin_rate": Decimal(str(1.0 if rules.margin_rate is None else rules.margin_rate)),
    }
    engine.run(connection, engine.query("customer_days"), manner)


def extent(connection: engine.Connection, label: str) -> tuple[date, date, int]:
    """Return the first and the last day of the sound lines, those outside a sample included, and the number of customers."""
    [(first_day, last_day)] = engine.run(
        connection, "SELECT min(day), max(day) FROM staged WHERE fate IS NULL OR fate = 'outside_sample'"
    )
    [(customers,)] = engine.run(connection, "SELECT count(DISTINCT customer_id) FROM customer_days")
    if first_day is None:
        [(rows,)] = engine.run(connection, "SELECT count(*) FROM staged")
        raise InputError(
            f"{label}: no transaction is left of {rows:,} row{'s' if rows > 1 else ''}: check the last day (--end, data.end), data.start, "
            "data.drop_rows and the id column"
        )
    return first_day, last_day, customers
