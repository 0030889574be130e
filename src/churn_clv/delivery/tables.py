"""Tables for people and programs: CSV that a spreadsheet opens safely, Parquet as it is."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from churn_clv.data.small_tables import read_small_table
from churn_clv.delivery.atomic import whole_file
from churn_clv.delivery.spreadsheet import spreadsheet_plain, spreadsheet_safe
from churn_clv.errors import InputError

TABLE_SUFFIXES = (".csv", ".parquet")


def write_table(frame: pd.DataFrame, path: Path) -> None:
    """Write a frame, its index included, as CSV or Parquet by the file's ending; the file appears whole.

    In CSV a text cell that a spreadsheet would run as a formula gets a leading apostrophe; numbers stay numbers and
    Parquet stays raw.

    Raises
    ------
    InputError
        For another ending, or a place that cannot be written.
    """
    check_table_path(path)
    if path.suffix == ".parquet":
        whole_file(path, lambda partial: frame.to_parquet(partial))
    else:
        whole_file(path, lambda partial: spreadsheet_safe(frame.reset_index()).to_csv(partial, index=False))


def read_table(path: Path) -> pd.DataFrame:
    """Read a table written by `write_table`, with customer_id as text and what it put before texts taken off.

    Raises
    ------
    InputError
        If the file is missing, empty or damaged.
    """
    check_table_path(path)
    table = read_small_table(path, text_column="customer_id")
    return table.reset_index() if path.suffix == ".parquet" else spreadsheet_plain(table)


def check_table_path(path: Path) -> None:
    """Refuse a file name that ends neither in .csv nor in .parquet."""
    if path.suffix not in TABLE_SUFFIXES:
        raise InputError(f"{path}: the name must end in .csv or .parquet, to say which it is")


def check_output(out: Path, source: Path) -> None:
    """Refuse an output that is no table's name, or would replace the file it is made from."""
    check_table_path(out)
    if out.exists() and source.exists() and out.samefile(source):
        raise InputError(f"{out}: is the input itself; name another output, nothing was overwritten")
