"""A first config for a stranger's log: columns by their names and contents, dates by its length."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pandas as pd
import yaml

from churn_clv.data.contract import Columns, ReadingRules
from churn_clv.data.csv_files import read_header
from churn_clv.data.transactions import TransactionLog, read_transactions
from churn_clv.delivery.atomic import whole_file
from churn_clv.errors import InputError

SAMPLE_ROWS = 2000
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
        If the log cannot be read, no column looks like a customer or a date, or the config exists already.
    """
    sample = _sample(log)
    columns = guess_columns(sample)
    dates = sample[columns["date"]].dropna().astype("str")
    date_format = guess_date_format(dates)
    decimal = _decimal(sample, columns.get("amount"))
    rules = ReadingRules(date_format=date_format, decimal="," if decimal == "," else ".")
    read = read_transactions(log, Columns(columns["customer_id"], columns["date"], columns.get("amount")), rules)
    name = re.sub(r"[^A-Za-z0-9._-]", "-", log.name.split(".")[0]).strip("-._") or "log"
    path = out or Path("configs") / f"{name}.yaml"
    if path.exists():
        raise InputError(f"{path}: exists already; name another place with --out")
    content = _config(name, log, columns, date_format, decimal, read)
    header = f"# A first guess from {log.name}: check the columns and dates, then run churn-clv train {path}\n"
    whole_file(path, lambda p: p.write_text(header + yaml.safe_dump(content, sort_keys=False), encoding="utf-8"))
    remarks = [f"{role}: column {column!r}" for role, column in columns.items()]
    amounts = [] if "amount" in columns else ["no column looks like an amount: value will be counted in purchases"]
    return path, [*remarks, *amounts, f"log: {read.n_customers:,} customers, {read.first_day} to {read.last_day}"]


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
        raise InputError(f"{log}: no such file")
    if log.suffix in {".parquet", ".pq"}:
        return _few_parquet_rows(log)
    _, delimiter = read_header(log, "utf-8", None)
    try:
        return pd.read_csv(log, sep=delimiter, nrows=SAMPLE_ROWS, dtype="str", encoding="utf-8-sig")
    except (UnicodeDecodeError, ValueError) as error:
        raise InputError(f"{log}: cannot be sampled: {str(error).splitlines()[0][:160]}") from None


def _few_parquet_rows(log: Path) -> pd.DataFrame:
    import pyarrow.parquet as parquet

    try:
        batch = next(parquet.ParquetFile(log).iter_batches(SAMPLE_ROWS), None)
    except (OSError, ValueError) as error:
        raise InputError(f"{log}: not a Parquet file that can be read: {str(error).splitlines()[0][:160]}") from None
    if batch is None:
        raise InputError(f"{log}: holds no rows")
    return batch.to_pandas().astype("str")


def _may_be(role: str, column: pd.Series) -> bool:
    values = column.dropna().astype("str")
    if role == "amount":
        return bool(values.str.fullmatch(r"-?\d+(?:[.,]\d+)*").mean() > 0.9)
    if role == "date":
        return bool(values.str.fullmatch(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}.*|\d{8}").mean() > 0.9)
    return True


def _decimal(sample: pd.DataFrame, amount: str | None) -> str:
    return "," if amount and sample[amount].dropna().astype("str").str.fullmatch(r"-?\d+,\d+").any() else "."


def _config(
    name: str, log: Path, columns: dict[str, str], date_format: str | None, decimal: str, read: TransactionLog
) -> dict[str, object]:
    horizon = min(timedelta(weeks=26), timedelta(days=max((read.last_day - read.first_day).days // 3, 1)))
    data: dict[str, object] = {"path": str(log), "columns": columns | ({} if "amount" in columns else {"amount": None})}
    data |= {"date_format": date_format} if date_format else {}
    data |= {"decimal": decimal} if decimal == "," else {}
    windows = {"calibration_end": read.last_day - horizon, "holdout_end": read.last_day}
    return {"name": name, "data": data, "windows": windows}
