"""How parts of a score file are written, and joined to one file without holding more than one of them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from churn_clv.delivery.tables import TABLE_SUFFIXES, spreadsheet_safe
from churn_clv.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

Merge = Callable[[list[Path], Path], object]


def check_place(out: Path, source: Path | None) -> None:
    """Refuse an output of another kind than .csv, .parquet or a new folder, or one that its input would hold.

    Parameters
    ----------
    source
        The input's file or folder; None for a table of a database.
    """
    if out.suffix not in (*TABLE_SUFFIXES, ""):
        raise InputError(f"{out}: the name must end in .csv or .parquet, or, for a folder of Parquet files, in neither")
    if out.suffix == "" and out.exists():
        raise InputError(f"{out}: exists already; name a new folder, nothing was overwritten")
    if out.suffix and out.is_dir():
        raise InputError(f"{out}: is a folder; name a file, nothing was overwritten")
    if source is None or not source.exists():
        return
    if out.exists() and source.samefile(out):
        raise InputError(f"{out}: is the input itself; name another output, nothing was overwritten")
    if source.is_dir() and source.resolve() in out.resolve().parents:
        raise InputError(
            f"{out}: lies in the folder that is the input, and would be read as part of it; write it elsewhere"
        )


def write_scores(scores: pd.DataFrame, path: Path, header: bool = True) -> None:
    """Write a part of the scores, its index included, as CSV or Parquet by the file's ending.

    As `churn_clv.delivery.tables.write_table`; every part has the same types, whatever it holds. `header`: of CSV.
    """
    if path.suffix == ".csv":
        spreadsheet_safe(scores.reset_index()).to_csv(path, index=False, header=header)
        return
    import pyarrow.parquet as pq

    pq.write_table(arrow_scores(scores), path)


def arrow_scores(scores: pd.DataFrame) -> pa.Table:
    """Return scores as Arrow keeps them, their index last; the types are the same whatever the scores hold."""
    import pyarrow as pa

    text = [name for name in scores.columns if name != "as_of" and not pd.api.types.is_numeric_dtype(scores[name])]
    same = scores.astype(dict.fromkeys(text, "str"))
    table = pa.Table.from_pandas(same)
    day = table.schema.get_field_index("as_of")
    return table.set_column(day, "as_of", table.column("as_of").cast(pa.date32()))


def merge_into(suffix: str) -> Merge | None:
    """Return how parts become one file; None for a folder, whose parts stay what they are."""
    return {".csv": _join_text, ".parquet": _join_parquet, "": None}[suffix]


def _join_text(parts: list[Path], whole: Path) -> None:
    with whole.open("wb") as out:
        for part in parts:
            with part.open("rb") as text:
                shutil.copyfileobj(text, out)


def _join_parquet(parts: list[Path], whole: Path) -> None:
    import pyarrow.parquet as pq

    with pq.ParquetWriter(whole, pq.read_schema(parts[0])) as out:
        for part in parts:
            out.write_table(pq.read_table(part))
