"""A table of contracts, one row a customer, read and checked: features, who left, and what each pays a month."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from churn_clv.data.cleaning import CleaningReport, CleaningStep
from churn_clv.data.open_log import refuse_identifying
from churn_clv.data.small_tables import read_small_table
from churn_clv.errors import InputError, nearest, shortened

RESERVED = "start"  # the column of a reason that every customer shares
_SHOWN_VALUES = 5  # a churn column with more may be one of ids by mistake, and no message repeats an id


@dataclass(frozen=True)
class ContractColumns:
    """Names, in the user's file, of the columns with a meaning here; all others, less `ignore`, are features."""

    customer_id: str = "customer_id"
    churn: str = "churn"
    churned_value: str | int | float | bool = "Yes"
    value: str = "value"
    ignore: tuple[str, ...] = ()


@dataclass(frozen=True)
class Contracts:
    """One row a customer, everything indexed by customer_id (text) in its order, so that the file's order never matters.

    features: numbers (missing allowed) and categories as text; churned: 1 for those who left; value: currency a month.
    """

    features: pd.DataFrame
    churned: pd.Series
    value: pd.Series
    cleaning: CleaningReport

    @property
    def fingerprint(self) -> str:
        """Return 16 hexadecimal digits that change with any cell of the table, and not with the order of its rows."""
        whole = self.features.assign(**{"\0churned": self.churned, "\0value": self.value})
        cells = pd.util.hash_pandas_object(whole).to_numpy().tobytes()
        return hashlib.sha256(repr(list(whole.columns)).encode() + cells).hexdigest()[:16]


def read_contracts(path: Path, columns: ContractColumns) -> Contracts:
    """Read a table of contracts, CSV (UTF-8) or Parquet.

    Numbers stay numbers; text that holds only numbers and blanks becomes numbers; blank cells are missing and stay so;
    booleans are the categories yes and no. A column with one value only is left out. The value column is a feature too.

    Raises
    ------
    InputError
        If the file cannot be read, a named column is missing, ids are missing or repeated, the churn column is not
        filled with exactly two values, the value is not a number from 0 up, a number is infinite, or a column holds
        more than 50 different texts.
    """
    table = read_small_table(path, text_column=columns.customer_id).rename(columns=str)
    check_columns(path, table, [columns.customer_id, columns.churn, columns.value, *columns.ignore])
    table = _by_customer(path, table, columns.customer_id)
    churned = _churned(path, table[columns.churn], columns)
    read = table.drop(columns=[columns.churn, *columns.ignore]).apply(as_feature)
    _refuse_numbers(path, read, columns.value)
    features, steps = _told(table, read)
    if features.empty:
        raise InputError(f"{path}: no column is left to learn from; columns: {list(table.columns)}")
    refuse_identifying(path, features)
    if RESERVED in features.columns:
        raise InputError(
            f"{path}: a column is named {RESERVED!r}, which has a meaning of its own here: rename or ignore it"
        )
    value = read[columns.value].astype(float).rename("value")
    return Contracts(features, churned, value, CleaningReport(len(table), len(table), tuple(steps)))


def read_known_columns(
    path: Path, customer_id: str, value: str, numbers: Sequence[str], texts: Sequence[str]
) -> tuple[pd.DataFrame, pd.Series, CleaningReport]:
    """Read customers of whom it is not known whether they will leave, for a model that was fitted on these columns.

    Returns
    -------
    The features in the model's types and the value, indexed by customer_id in its order, and what reading did.

    Raises
    ------
    InputError
        As `read_contracts`, or if a column holds text where the model learned from numbers, or the other way round.
    """
    table = read_small_table(path, text_column=customer_id).rename(columns=str)
    features = [*numbers, *texts]
    check_columns(path, table, [customer_id, value, *features])
    read = _by_customer(path, table, customer_id)[list(dict.fromkeys([value, *features]))].apply(as_feature)
    _refuse_numbers(path, read, value)
    for name in features:
        is_number = pd.api.types.is_numeric_dtype(read[name])
        if is_number != (name in numbers) and read[name].notna().any():
            was, now = ("text", "numbers") if is_number else ("numbers", "text")
            raise InputError(f"{path}: {name!r} holds {now}; in training it held {was}: write it as it was")
    typed = read[features].astype(dict.fromkeys(numbers, float) | dict.fromkeys(texts, "str"))
    steps = [
        CleaningStep(f"{name}: empty cell", int(n), 0, "kept as missing") for name, n in typed.isna().sum().items() if n
    ]
    return typed, read[value].astype(float), CleaningReport(len(read), len(read), tuple(steps))


def check_columns(path: Path, table: pd.DataFrame, needed: Sequence[str]) -> None:
    """Refuse a table without a needed column, and name the one that was meant."""
    for name in needed:
        if name not in table.columns:
            raise InputError(
                f"{path}: no column {name!r}{nearest(name, table.columns)}; columns: {list(table.columns)}"
            )


def as_feature(column: pd.Series) -> pd.Series:
    """Return a column as numbers (float, missing as NaN) or as text categories, blanks as missing.

    Examples
    --------
    >>> as_feature(pd.Series(["29.85", " ", "108"])).tolist(), as_feature(pd.Series(["DSL", "", "No"])).tolist()
    ([29.85, nan, 108.0], ['DSL', nan, 'No'])
    """
    if pd.api.types.infer_dtype(column, skipna=True) == "boolean":
        return column.map({True: "yes", False: "no"}).astype("str")
    if pd.api.types.is_numeric_dtype(column):
        return column.astype(float)
    text = column.astype("str").str.strip()
    text = text.mask(text == "")
    numbers = pd.to_numeric(text, errors="coerce")
    is_number = bool(text.notna().any()) and bool(numbers.notna().eq(text.notna()).all())
    return numbers.astype(float) if is_number else text


def _by_customer(path: Path, table: pd.DataFrame, name: str) -> pd.DataFrame:
    """The table indexed by customer, in the order of the ids."""
    missing = int((table[name].isna() | (table[name].astype("str").str.strip() == "")).sum())
    if missing:
        raise InputError(
            f"{path}: {name!r} is missing in {missing:,} of {len(table):,} rows: give every row its customer"
        )
    indexed = table.astype({name: "str"}).set_index(name).rename_axis("customer_id").sort_index()
    repeated = int(indexed.index.duplicated().sum())
    if repeated:
        raise InputError(f"{path}: {repeated:,} of {len(table):,} rows repeat a customer: give one row a customer")
    if indexed.empty:
        raise InputError(f"{path}: holds no customer: a header line and rows are needed")
    return indexed


def _churned(path: Path, column: pd.Series, columns: ContractColumns) -> pd.Series:
    """1 where the churn column has the value that means leaving; the column must hold two values and no gap."""
    name, meaning = columns.churn, columns.churned_value
    missing = int((column.isna() | (column.astype("str").str.strip() == "")).sum())
    if missing:
        raise InputError(
            f"{path}: {name!r} is missing in {missing:,} of {len(column):,} rows: leave out customers of whom it is "
            "not known yet whether they left"
        )
    found = column.drop_duplicates()
    some = ", ".join(shortened(value) for value in found) if len(found) <= _SHOWN_VALUES else f"{len(found):,} values"
    left = column.astype("str") == str(meaning) if isinstance(meaning, str) else column == meaning
    if not left.any():
        raise InputError(f"{path}: {name!r} holds {some}, never {meaning!r}: set contract.churned_value")
    if len(found) != 2:
        raise InputError(f"{path}: {name!r} holds {some}: it needs exactly two, {meaning!r} and that of who stayed")
    return left.astype(float).rename("churned")


def _refuse_numbers(path: Path, read: pd.DataFrame, value: str) -> None:
    """Refuse infinite numbers, and a value that is not an amount from 0 up for everyone."""
    for name, column in read.select_dtypes("number").items():
        if infinite := int(np.isinf(column).sum()):
            raise InputError(
                f"{path}: {name!r} is infinite in {infinite:,} of {len(read):,} rows: leave the cell empty"
            )
    column = read[value]
    if not pd.api.types.is_numeric_dtype(column):
        raise InputError(
            f"{path}: {value!r} holds text, such as {shortened(column.dropna().min())}, where numbers belong"
        )
    for fault, rows in (("missing", column.isna()), ("negative", column < 0)):
        if rows.any():
            raise InputError(
                f"{path}: {value!r} is {fault} in {int(rows.sum()):,} of {len(read):,} rows: a customer's value a "
                "month is needed, 0 where there is none"
            )


def _told(table: pd.DataFrame, read: pd.DataFrame) -> tuple[pd.DataFrame, list[CleaningStep]]:
    """The columns that tell customers apart, and what reading did to each column."""
    steps, kept = [], []
    for name, column in read.items():
        parsed = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_numeric_dtype(table[name])
        if parsed:
            steps.append(
                CleaningStep(f"{name}: text that holds numbers", int(column.notna().sum()), 0, "read as numbers")
            )
        if missing := int(column.isna().sum()):
            steps.append(CleaningStep(f"{name}: empty cell", missing, 0, "kept as missing"))
        if column.nunique(dropna=False) > 1:
            kept.append(name)
        else:
            steps.append(CleaningStep(f"{name}: the same for everyone", len(column), 0, "column left out"))
    return read[kept], steps
