"""A log in our engine: through the whole door, or with the SQL of its days alone on columns that need no check."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from measured import Clock

from churn_clv.data import engine
from churn_clv.data.cleaning import CleaningReport
from churn_clv.data.transactions import TransactionLog, read_transactions

# What is right on a simulated log needs neither parsing nor a report.
TYPED_COLUMNS = """
CREATE VIEW staged AS
SELECT customer_id, CAST(date AS DATE) AS day, amount, CAST(NULL AS DOUBLE) AS margin, CAST(NULL AS VARCHAR) AS fate
FROM read_parquet({files})
"""


def through_the_door(log: Path, clock: Clock) -> TransactionLog:
    """Read, check and clean a log."""
    with clock.stage("read"):
        return read_transactions(log)


def typed_columns(log: Path, threads: int | None = None) -> TransactionLog:
    """Make customer-days of a log whose columns are known to be right."""
    connection = engine.connect(threads=threads)
    files = [str(path) for path in sorted(log.rglob("*.parquet"))] if log.is_dir() else [str(log)]
    engine.run(connection, TYPED_COLUMNS.format(files=files))
    terms = {"positive_net": False, "has_margin": False, "margin_rate": 1.0}
    engine.run(connection, engine.query("customer_days"), terms)
    engine.run(connection, "CREATE VIEW transactions AS SELECT customer_id, day, amount FROM staged")
    return TransactionLog(connection, CleaningReport.__new__(CleaningReport), True, date.min, date.max, 0)
