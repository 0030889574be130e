"""Tables small enough for pandas: customer attributes, score files."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from churn_clv.data.sources import PARQUET_SUFFIXES
from churn_clv.errors import InputError


def read_small_table(path: Path, text_column: str) -> pd.DataFrame:
    """Read a CSV (UTF-8) or Parquet table, with one column of a CSV kept as text.

    Raises
    ------
    InputError
        If the file is missing, empty, damaged or not UTF-8; the message never repeats a row.
    """
    from pyarrow import ArrowException

    if not path.is_file():
        raise InputError(f"{path}: no such file")
    is_parquet = path.suffix.lower() in PARQUET_SUFFIXES
    try:
        return pd.read_parquet(path) if is_parquet else pd.read_csv(path, dtype={text_column: "str"})
    except pd.errors.EmptyDataError:
        raise InputError(f"{path}: is empty: a header line and rows are needed") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: is not UTF-8 text: save it as 'CSV UTF-8' or as Parquet") from None
    except (OSError, ValueError, ArrowException):
        kind = "Parquet (damaged or cut short?)" if is_parquet else "CSV (quotes or numbers of fields that do not fit?)"
        raise InputError(f"{path}: cannot be read as {kind}: write it again") from None
