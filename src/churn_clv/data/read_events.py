"""Let a table of events in by the door of the log."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pandas as pd

from churn_clv.data import engine
from churn_clv.data.cleaning import CleaningReport, CleaningStep, removals
from churn_clv.data.contract import Columns, EventsTable, ReadingRules
from churn_clv.data.scratch import scratch
from churn_clv.data.sources import Header, open_source
from churn_clv.data.transactions import TransactionLog, stage_sound
from churn_clv.errors import InputError

# More kinds than this are no kinds, and each would be four columns.
MOST_KINDS = 50


def read_events(
    source: Path | str | pd.DataFrame, log: TransactionLog, table: EventsTable, rules: ReadingRules
) -> TransactionLog:
    """Read and check events of a log's customers, and return the log with them.

    Parameters
    ----------
    source
        A CSV or Parquet file, a folder of such files, or a frame; `table` names its columns.
    log
        Its connection must not be locked yet.
    rules
        Those of the log: dates are written the same way, and its `start`, `end`, `duplicates` and
        `missing_customer_id` hold here as well. Its `drop_rows` speak of the log's columns and do not.

    Returns
    -------
    The log with `events` set. Kinds are lower case, with an underscore for everything but letters and digits.
    Events of customers who are not in the log are left out, and counted.

    Raises
    ------
    InputError
        For ids and dates as `read_transactions`; for an event without a kind, and for more than 50 kinds.
    """
    columns, own = as_lines(table, rules)
    room = log.connection
    with scratch() as place:
        opened = open_source(source, own, room, place)
        check_names(opened, table)
        stage_sound(room, opened, columns, own, called="events")
    return replace(log, events=build_events(room, opened.label, table, rules))


def as_lines(table: EventsTable, rules: ReadingRules) -> tuple[Columns, ReadingRules]:
    """Return how events are read by the door of the log."""
    # The kind takes the place of the channel, a text like it.
    columns = Columns(table.customer_id, table.date, None, channel=table.kind)
    return columns, replace(rules, drop_rows=(), margin_rate=None)


def build_events(connection: engine.Connection, label: str, table: EventsTable, rules: ReadingRules) -> CleaningReport:
    """Fill `events` with the staged ones of the log's customers, and count."""
    _, own = as_lines(table, rules)
    if own.duplicates == "drop":
        engine.run(connection, engine.query("drop_duplicates"))
    names = kind_names(connection, label, table)
    engine.run(connection, engine.query("read_events"), {"kinds": list(names), "names": list(names.values())})
    report = report_on(connection, own)
    engine.run(connection, "DROP TABLE staged")
    return report


def check_names(source: Header, table: EventsTable) -> None:
    """Refuse columns that are not there, each by its own key."""
    for key in ("customer_id", "date", "kind"):
        name = getattr(table, key)
        if name is not None:
            source.name_of(key, name, f"Name the right column: data.events.{key} in a config.")


def kind_names(connection: engine.Connection, label: str, table: EventsTable) -> dict[str, str]:
    """Return each kind as it is written -> its name here; of events without a column of kinds, none."""
    if table.kind is None:
        return {}
    written = Counter(
        dict(engine.run(connection, "SELECT channel, count(*) FROM staged WHERE fate IS NULL GROUP BY channel"))
    )
    names = {kind: name_of_kind(kind or "") for kind in written}
    nameless = sum(written[kind] for kind, name in names.items() if not name)
    if nameless:
        raise InputError(
            f"{label}: column {table.kind!r}: no kind, which has a letter or a digit, in {nameless:,} "
            f"row{'s' if nameless > 1 else ''}: fill it in or leave the rows out"
        )
    if len(set(names.values())) > MOST_KINDS:
        raise InputError(
            f"{label}: column {table.kind!r}: {len(set(names.values())):,} kinds of events; at most {MOST_KINDS}: group them"
        )
    return names


def name_of_kind(kind: str) -> str:
    """Return a kind of events as part of a column's name.

    >>> name_of_kind("Type A (mail)")
    'type_a_mail'
    """
    return re.sub(r"[\W_]+", "_", kind.lower()).strip("_")


def report_on(connection: engine.Connection, rules: ReadingRules) -> CleaningReport:
    """Count what was left out of the events; rows out are those of customers of the log."""
    fates = dict(engine.run(connection, "SELECT fate, count(*) FROM staged GROUP BY fate"))
    [(kept,)] = engine.run(connection, "SELECT count(*) FROM events")
    steps = removals(fates, rules)
    if rules.duplicates == "drop":
        twins = fates.get("duplicate", 0)
        steps.append(CleaningStep("exact duplicate of an earlier line", twins, twins, "left out"))
    strangers = fates.get(None, 0) - kept
    steps.append(CleaningStep("event of a customer who is not in the log", strangers, strangers, "left out"))
    return CleaningReport(sum(fates.values()), kept, tuple(steps))
