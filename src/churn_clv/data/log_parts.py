"""A cleaned log in parts, each of some customers with all their days, so that no more than one part is described at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date

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
    bounds = [
        row[0]
        for row in engine.run(log.connection, engine.query("log_parts"), {"as_of": as_of, "customers": customers})
    ]
    for after, until in zip([None, *bounds], [*bounds, None], strict=True):
        with log.connection.cursor() as own:
            engine.run(
                own,
                "CREATE TEMP TABLE customer_days AS SELECT * FROM memory.main.customer_days "
                "WHERE coalesce(customer_id > $after, TRUE) AND coalesce(customer_id <= $until, TRUE)",
                {"after": after, "until": until},
            )
            for name in _ALIKE[: 1 + log.has_events]:
                engine.run(
                    own,
                    f"CREATE TEMP VIEW {name} AS FROM memory.main.{name} SEMI JOIN customer_days USING (customer_id)",
                )
            yield replace(log, connection=own)
