"""What a model may be asked with: a customer table, or a raw log, told apart by its columns."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from pathlib import Path

import pandas as pd

from churn_clv.customer_table import score_table, table_columns
from churn_clv.data.contract import Columns, ReadingRules
from churn_clv.data.feature_names import SUMMARY
from churn_clv.delivery.model_folder import ScoringModel, roles_read
from churn_clv.errors import InputError, shortened

_HALF = re.compile("[\ud800-\udfff]")


def is_log(names: Iterable[str], day: str = "date") -> bool:
    """Say whether columns are those of a raw log (a day, and nothing counted), or those of a customer table.

    >>> is_log(["customer_id", "date", "amount"]), is_log(["customer_id", "frequency", "recency", "T"])
    (True, False)

    Raises
    ------
    InputError
        If they are neither.
    """
    present = set(names)
    if present & set(SUMMARY):
        return False
    if day in present:
        return True
    raise InputError(
        f"neither a customer table, which has columns customer_id, {', '.join(SUMMARY)}, nor a log, which has columns "
        f"customer_id and {day}: name the columns so"
    )


def refuse_unstorable(asked: pd.DataFrame) -> None:
    """Refuse what JSON can write and no column can hold: a whole number beyond any float, and half a character.

    Raises
    ------
    InputError
        Naming the column and how many rows.
    """
    for name, column in asked.items():
        broken = sum(map(_is_unstorable, column)) if column.dtype == object else 0
        if broken:
            raise InputError(
                f"{name}: {broken:,} of {len(asked):,} rows hold what no table can: a number beyond 1e308, or half a "
                "character (a lone surrogate)"
            )


def _is_unstorable(cell: object) -> bool:
    if isinstance(cell, str):
        return _HALF.search(cell) is not None
    return isinstance(cell, int) and abs(cell) > sys.float_info.max


def with_numbers(scoring: ScoringModel, table: pd.DataFrame) -> pd.DataFrame:
    """Return a customer table with numbers where they came as text, as all that MLflow reads from CSV does.

    Raises
    ------
    InputError
        Naming the column and how many rows hold no number.
    """
    numbers = [c.name for c in table_columns(scoring.models) if c.kind == "number" and c.name in table]
    return table.assign(**{name: _number(table[name]) for name in numbers})


def log_scores(
    scoring: ScoringModel, log: Path | pd.DataFrame, as_of: str, horizon_days: int | None, duckdb: str
) -> pd.DataFrame:
    """Score the customers of a raw log as of a day, by default its last one.

    Parameters
    ----------
    log
        A frame whose columns are called by their roles (customer_id, date, amount, ...), days as ISO text; or a file
        like the training log.
    duckdb
        The requirement that reads a log, for the error where it is not installed.

    Returns
    -------
    DataFrame indexed by customer_id, as `churn_clv.customer_table.score_table`.

    Raises
    ------
    InputError
        Naming the column or the package, never a customer.
    """
    try:
        from churn_clv.data.transactions import read_transactions
        from churn_clv.score_log import customer_table
    except ModuleNotFoundError as error:
        if error.name != "duckdb":
            raise
        raise InputError(
            f"a raw log is read by DuckDB, which is not installed here: pip install {duckdb}, or give a customer table"
        ) from None
    end = day_of(as_of)
    columns, rules = _reading(scoring, log)
    read = read_transactions(log, columns, replace(rules, end=end))
    day = end or read.last_day
    return score_table(scoring.models, customer_table(scoring.models, read, day), day, horizon_days)


def day_of(as_of: str) -> date | None:
    """Return a day written as ISO text; None for an empty text."""
    try:
        return date.fromisoformat(as_of) if as_of else None
    except ValueError:
        raise InputError(f"as_of: {shortened(as_of)} is not a day as in 2024-12-31") from None


def _number(column: pd.Series) -> pd.Series:
    if pd.api.types.is_numeric_dtype(column):
        return column
    found = pd.to_numeric(column, errors="coerce").astype(float)
    wrong = found.isna() & column.notna()
    if wrong.any():
        raise InputError(
            f"{column.name}: {int(wrong.sum()):,} of {len(column):,} rows hold something that is no number"
        )
    return found


def _reading(scoring: ScoringModel, log: Path | pd.DataFrame) -> tuple[Columns, ReadingRules]:
    if isinstance(log, Path):
        return scoring.needed, scoring.rules
    trained = scoring.rules
    roles = {role: role for role in roles_read(scoring.models, scoring.columns)}
    rules = ReadingRules(purchase_rule=trained.purchase_rule, margin_rate=trained.margin_rate)
    return replace(Columns(amount=None), **roles), rules
