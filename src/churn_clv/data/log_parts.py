"""A cleaned log in parts, each of some customers with all their days, so that no more than one part is described at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from typing import Any

import duckdb

from churn_clv.data import engine
from churn_clv.data.transactions import TransactionLog

_ALIKE = ("transactions", "events")


def parts_of(log: TransactionLog, as_of: date, customers: int) -> Iterator[TransactionLog]:
    """Part a log by customer id, in order; what reads the log reads a part of it unchanged.

    Every part stands on a connection of its own, in tables that hide those of the log, and is closed when the next one
    is asked for. Its extent and its cleaning are still the whole log's.

    Parameters
    ----------
    customers
        How many customers known at `as_of` a part holds; the last may hold fewer.
    """
    values = {"as_of": as_of, "customers": customers}
    bounds = [row for (row,) in engine.run(log.connection, engine.query("log_parts"), values)]
    for after, until in zip([-1, *bounds], [*bounds, 2**62], strict=True):
        with log.connection.cursor() as own:
            _hide(own, log, "SELECT * FROM {log}.customer_days WHERE rowid > $after AND rowid <= $until",
                  {"after": after, "until": until}, "VIEW")  # fmt: skip
            yield replace(log, connection=own)


def panel_of(log: TransactionLog, customers: int) -> TransactionLog:
    """Return the part of a log that is of a random sample of its customers, on a connection of its own.

    The sample is that of `panel.sql`. Its extent and its cleaning are still the whole log's; n_customers is the panel's.
    """
    own = log.connection.cursor()
    engine.run(own, f"CREATE TEMP TABLE panel AS {engine.query('panel')}", {"customers": customers})
    days = "SELECT * FROM {log}.customer_days SEMI JOIN panel USING (customer_id) ORDER BY customer_id, day"
    _hide(own, log, days, {}, "TABLE")
    return replace(log, connection=own, n_customers=min(customers, log.n_customers))


def _hide(
    own: duckdb.DuckDBPyConnection, log: TransactionLog, customer_days: str, values: dict[str, Any], lines_as: str
) -> None:
    """Fill temporary tables that hide those of the log: its days as a query says, and their customers' lines and events."""
    whole = engine.schema(own)
    engine.run(own, f"CREATE TEMP TABLE customer_days AS {customer_days.format(log=whole)}", values)
    for name in _ALIKE[: 1 + log.has_events]:
        engine.run(
            own, f"CREATE TEMP {lines_as} {name} AS FROM {whole}.{name} SEMI JOIN customer_days USING (customer_id)"
        )
