"""Queries that answer for many cutoffs in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from churn_clv.data.engine import query
from churn_clv.data.log import Log


def rows_at(log: Log, name: str, **values: Any) -> pd.DataFrame:
    """Run `<name>.sql`, whose rows have a cutoff and a customer_id, and return them indexed by these two."""
    return indexed(log.frame(query(name), values))


def joined(names: Sequence[str], columns: Sequence[str]) -> str:
    """Return several such queries as one that gives some of their columns; the first says which rows there are."""
    first, *others = (f"({query(name)})" for name in names)
    parts = [first, *(f"LEFT JOIN {text} USING (cutoff, customer_id)" for text in others)]
    return f"SELECT {', '.join(['cutoff', 'customer_id', *columns])} FROM {' '.join(parts)}"  # noqa: S608


def joined_at(log: Log, names: Sequence[str], columns: Sequence[str], **values: Any) -> pd.DataFrame:
    """Run several such queries as one; see `joined`."""
    return indexed(log.frame(joined(names, columns), values))


def indexed(rows: pd.DataFrame) -> pd.DataFrame:
    """Index rows by cutoff, as a date, and customer_id, and put them into that order."""
    # Few cutoffs stand in many rows: only the levels become Python's dates.
    cutoff, days = pd.factorize(rows["cutoff"], sort=True)
    customer, ids = pd.factorize(rows["customer_id"], sort=True)
    levels = [pd.Index(pd.to_datetime(days).date, dtype=object), ids]
    order = np.lexsort((customer, cutoff))
    index = pd.MultiIndex(levels=levels, codes=[cutoff[order], customer[order]], names=["cutoff", "customer_id"])
    return rows.drop(columns=["cutoff", "customer_id"]).take(order).set_axis(index)
