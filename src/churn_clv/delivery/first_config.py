"""A first config for a stranger's log: columns by their names and contents, dates by its length."""

from __future__ import annotations

import re
from datetime import date, timedelta
from pathlib import Path
from typing import Literal

import pandas as pd
import yaml

from churn_clv.data.contract import Columns, ReadingRules, known_zone, setting
from churn_clv.data.csv_files import read_header, wrong_encoding
from churn_clv.data.sources import PARQUET_SUFFIXES, no_such_file
from churn_clv.data.transactions import TransactionLog, read_transactions
from churn_clv.delivery.atomic import whole_file
from churn_clv.errors import InputError

SAMPLE_ROWS = 2000
SHORTEST_LOG_DAYS = 30
# The first pattern that a column's name matches wins; a name is compared in lower case.
_NAMES = {
    "customer_id": (
        "customer.?id",
        "customer",
        "client",
        "household",
        "user",
        "member",
        "account",
        "buyer",
        "cust",
        "kunde",
    ),
    "date": ("date", "timestamp", "datetime", "day", "time", "created", "datum"),
    "amount": ("amount", "revenue", "sales", "total", "spend", "value", "price", "betrag"),
}
_FORMATS = ("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M", "%d.%m.%Y %H:%M",
            "%d/%m/%Y %H:%M:%S", "%m/%d/%Y %H:%M:%S")  # fmt: skip
_ISO = re.compile(r"\d{4}[-/]\d{2}[-/]\d{2}.*|\d{8}")


def write_first_config(log: Path, out: Path | None) -> tuple[Path, list[str]]:
    """Write a config for a log and return its path and what was guessed.

    Raises
    ------
    InputError
        If the log cannot be read or is too short for a run, no column looks like a customer or a date, or the config
        exists already.
    """
    name = re.sub(r"[^A-Za-z0-9._-]", "-", log.name.split(".")[0]).strip("-._")[:64] or "log"
    path = out or Path("configs") / f"{name}.yaml"
    if path.exists():
        raise InputError(f"{path}: exists already; name another place with --out")
    try:
        data, windows, remarks = _guess(log)
    except InputError as error:
        # What a config can set, init cannot be told.
        hint = "; init only guesses: write a config with that key yourself" if " in a config" in str(error) else ""
        raise InputError(f"{error}{hint}") from None
    content = yaml.safe_dump({"name": name, "data": data, "windows": windows}, sort_keys=False)
    header = f"# A first guess from {log.name}: read the columns and dates, then run churn-clv check {path}\n"
    whole_file(path, lambda p: p.write_text(header + content, encoding="utf-8"))
    return path, remarks


def _guess(log: Path) -> tuple[dict[str, object], dict[str, date], list[str]]:
    """The sections data and windows of a log's config, and what to tell the user of them."""
    sample = _sample(log)
    columns = guess_columns(sample)
    date_format = guess_date_format(sample[columns["date"]].dropna().astype("str"))
    decimal: Literal[".", ","] = "," if _has_decimal_comma(sample, columns.get("amount")) else "."
    timezone = _timezone(log, columns["date"])
    rules = ReadingRules(date_format=date_format, decimal=decimal, timezone=timezone or "UTC")
    read = read_transactions(log, Columns(columns["customer_id"], columns["date"], columns.get("amount")), rules)
    data: dict[str, object] = {"path": str(log), "columns": columns | ({} if "amount" in columns else {"amount": None})}
    data |= {"date_format": date_format} if date_format else {}
    data |= {"decimal": decimal} if decimal == "," else {}
    data |= {"timezone": timezone} if timezone else {}
    remarks = [f"{role}: column {column!r}" for role, column in columns.items()]
    remarks += [] if "amount" in columns else ["no column looks like an amount: value will be counted in purchases"]
    remarks += [f"timezone: {timezone}, as the Parquet file has it"] if timezone else []
    found = f"log: {read.n_customers:,} customers, {read.first_day} to {read.last_day}"
    return data, _windows(log, read), [*remarks, found]


def guess_columns(sample: pd.DataFrame) -> dict[str, str]:
    """Return role -> column for customer_id, date and, where there is one, amount.

    Examples
    --------
    >>> guess_columns(pd.DataFrame({"user": ["7"], "order_date": ["2024-01-31"], "total": ["9.50"]}))
    {'customer_id': 'user', 'date': 'order_date', 'amount': 'total'}
    """
    found: dict[str, str] = {}
    for role, patterns in _NAMES.items():
        candidates = [c for c in sample.columns if c not in found.values() and _may_be(role, sample[c])]
        named = [c for pattern in patterns for c in candidates if re.search(pattern, str(c).lower())]
        # Dates are known by their look, whatever the column is called; a customer or an amount is not.
        named += candidates if role == "date" else []
        if named:
            found[role] = str(named[0])
        elif role != "amount":
            raise InputError(
                f"no column looks like the {role}; name it in a config under data.columns. Columns: {list(sample.columns)}"
            )
    return found


def guess_date_format(dates: pd.Series) -> str | None:
    """Return the strptime pattern that reads every sampled date, None for ISO dates.

    Raises
    ------
    InputError
        If none does, or day and month cannot be told apart.
    """
    if dates.str.fullmatch(_ISO).all():
        return None
    fitting = [f for f in _FORMATS if pd.to_datetime(dates, format=f, errors="coerce").notna().all()]
    if not fitting:
        raise InputError(
            f"no known pattern reads all of the first {len(dates)} dates; write a config with data.date_format"
        )
    if len(fitting) > 1:
        raise InputError(
            f"the first {len(dates)} dates fit {' and '.join(fitting)}; write a config with the right data.date_format"
        )
    return fitting[0]


def _sample(log: Path) -> pd.DataFrame:
    if not log.is_file():
        raise InputError(f"{log}: is a folder; give one of its files") if log.is_dir() else no_such_file(log)
    sample = _few_parquet_rows(log) if log.suffix.lower() in PARQUET_SUFFIXES else _few_csv_rows(log)
    if sample.empty:
        raise InputError(f"{log}: has a header but no rows: transactions are needed")
    return sample


def _few_csv_rows(log: Path) -> pd.DataFrame:
    _, delimiter = read_header(log, "utf-8", None)
    try:
        return pd.read_csv(log, sep=delimiter, nrows=SAMPLE_ROWS, dtype="str", encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise wrong_encoding(log, "utf-8") from None
    except ValueError:  # pandas' message would repeat a customer's row
        raise InputError(
            f"{log}: its first rows cannot be read as CSV: mend the quoting, or set {setting('delimiter')}"
        ) from None


def _few_parquet_rows(log: Path) -> pd.DataFrame:
    import pyarrow.parquet as parquet

    try:
        batch = next(parquet.ParquetFile(log).iter_batches(SAMPLE_ROWS), None)
    except (OSError, ValueError) as error:
        raise InputError(f"{log}: not a Parquet file that can be read: {str(error).splitlines()[0][:160]}") from None
    return pd.DataFrame() if batch is None else batch.to_pandas().astype("str")


def _may_be(role: str, column: pd.Series) -> bool:
    values = column.dropna().astype("str")
    if role == "amount":
        return bool(values.str.fullmatch(r"-?\d+(?:[.,]\d+)*").mean() > 0.9)
    if role == "date":
        return bool(values.str.fullmatch(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}.*|\d{8}").mean() > 0.9)
    return True


def _has_decimal_comma(sample: pd.DataFrame, amount: str | None) -> bool:
    return amount is not None and bool(sample[amount].dropna().astype("str").str.fullmatch(r"-?\d+,\d+").any())


def _timezone(log: Path, date_column: str) -> str | None:
    """The zone of a Parquet timestamp, whose local days are meant; None for UTC, offsets, and anything else."""
    if log.suffix.lower() not in PARQUET_SUFFIXES:
        return None
    import pyarrow.parquet as parquet

    zone = getattr(parquet.read_schema(log).field(date_column).type, "tz", None)
    try:
        return zone if zone and known_zone(zone).key != "UTC" else None
    except InputError:
        return None


def _windows(log: Path, read: TransactionLog) -> dict[str, date]:
    """A holdout of 26 weeks at the log's end, in a short log of a third of it."""
    days = (read.last_day - read.first_day).days
    if days < SHORTEST_LOG_DAYS:
        raise InputError(
            f"{log}: runs from {read.first_day} to {read.last_day}: {days} days between them are too few for models "
            f"and a holdout to judge them, at least {SHORTEST_LOG_DAYS} are needed; take a longer log"
        )
    horizon = min(timedelta(weeks=26), timedelta(days=days // 3))
    return {"calibration_end": read.last_day - horizon, "holdout_end": read.last_day}
