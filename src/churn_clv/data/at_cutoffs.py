"""Queries that answer for many cutoffs in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from churn_clv.data.engine import query
from churn_clv.data.transactions import TransactionLog


def rows_at(log: TransactionLog, name: str, **values: Any) -> pd.DataFrame:
    """Run `<name>.sql`, whose rows have a cutoff and a customer_id, and return them indexed by these two."""
    return indexed(log.frame(query(name), values))


def joined_at(log: TransactionLog, names: Sequence[str], columns: Sequence[str], **values: Any) -> pd.DataFrame:
    """Run several such queries as one and return some of their columns; the first says which rows there are."""
    first, *others = (f"({query(name)})" for name in names)
    parts = [first, *(f"LEFT JOIN {text} USING (cutoff, customer_id)" for text in others)]
    chosen = ", ".join(["cutoff", "customer_id", *columns])
    return indexed(log.frame(f"SELECT {chosen} FROM {' '.join(parts)} ORDER BY cutoff, customer_id", values))  # noqa: S608


def indexed(rows: pd.DataFrame) -> pd.DataFrame:
    """Index rows by cutoff, as a date, and customer_id."""
    return rows.assign(cutoff=pd.to_datetime(rows["cutoff"]).dt.date).set_index(["cutoff", "customer_id"])
