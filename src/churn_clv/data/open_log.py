"""Open the log of a run, whether it is a file, a packaged data set or a simulation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from churn_clv.data import datasets, engine
from churn_clv.data.contract import Columns, ReadingRules
from churn_clv.data.simulate import simulate_log
from churn_clv.data.transactions import TransactionLog, read_transactions
from churn_clv.errors import InputError, nearest

# Data set -> its frame, and what its columns mean.
DATASETS = {
    "cdnow": (datasets.cdnow, Columns(quantity="quantity")),
    "cdnow_sample": (datasets.cdnow_sample, Columns(quantity="quantity")),
    "complete_journey": (
        datasets.complete_journey,
        Columns(date="timestamp", order_id="order_id", product_id="product_id", quantity="quantity"),
    ),
}


def open_log(
    source: str,
    path: str | None,
    columns: Columns,
    rules: ReadingRules,
    *,
    simulated: dict[str, Any] | None = None,
    memory_limit: str | None = None,
) -> TransactionLog:
    """Read and clean a log.

    Parameters
    ----------
    source
        ``"file"``, ``"simulated"`` or the name of a packaged data set, whose columns are known.
    path, columns
        Of a file.
    simulated
        Arguments of `simulate_log`, for a simulated log.

    Raises
    ------
    InputError
        See `read_transactions`.
    """
    connection = engine.connect(memory_limit=memory_limit)
    if source == "file":
        lines: Path | pd.DataFrame = Path(path or "")
    else:
        lines = simulate_log(**(simulated or {})) if source == "simulated" else DATASETS[source][0]()
    log = read_transactions(lines, known_columns(source, columns), rules, connection)
    engine.lock(connection)
    return log


def known_columns(source: str, columns: Columns) -> Columns:
    """Return the columns of a log: a packaged data set's own, or those the config names for a file."""
    if source == "simulated":
        return Columns()
    return columns if source == "file" else DATASETS[source][1]


def open_attributes(source: str, path: str | None, customer_id: str) -> pd.DataFrame | None:
    """Return customer attributes indexed by customer_id (text), or None where there are none.

    Raises
    ------
    InputError
        If the file or its id column is missing, or a customer has two rows.
    """
    if path is None:
        return datasets.complete_journey_households().set_index("customer_id") if source == "complete_journey" else None
    file = Path(path)
    if not file.is_file():
        raise InputError(f"data.attributes.path: {file}: no such file")
    table = (
        pd.read_parquet(file) if file.suffix in {".parquet", ".pq"} else pd.read_csv(file, dtype={customer_id: "str"})
    )
    if customer_id not in table.columns:
        raise InputError(
            f"{file}: no column {customer_id!r}{nearest(customer_id, table.columns)}; columns: {list(table.columns)}"
        )
    table = table.astype({customer_id: "str"}).set_index(customer_id).rename_axis("customer_id")
    if not table.index.is_unique:
        raise InputError(
            f"{file}: {int(table.index.duplicated().sum())} rows repeat a customer; give one row a customer"
        )
    return table
