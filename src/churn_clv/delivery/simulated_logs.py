"""A simulated log as a file, or as a folder of Parquet files where it is too long for memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from churn_clv.data.simulate import simulate_log, simulate_parts
from churn_clv.delivery.atomic import whole_folder
from churn_clv.delivery.score_parts import check_place
from churn_clv.delivery.tables import write_table
from churn_clv.errors import InputError


def write_simulated(out: Path, **drawn: Any) -> int:
    """Draw a log and write it; return how many transactions it has.

    Parameters
    ----------
    out
        A .csv or .parquet file, or a new folder, which is filled part by part.
    drawn
        Arguments of `churn_clv.data.simulate.simulate_log`, or of `simulate_parts` for a folder.

    Raises
    ------
    InputError
        For a name of another kind, a folder that exists, or arguments that make no log.
    """
    check_place(out, None)
    try:
        return _write_file(out, drawn) if out.suffix else _write_folder(out, drawn)
    except ValueError as error:
        raise InputError(str(error)) from None


def _write_file(out: Path, drawn: dict[str, Any]) -> int:
    log = simulate_log(**drawn)
    write_table(log.set_index("customer_id"), out)
    return len(log)


def _write_folder(out: Path, drawn: dict[str, Any]) -> int:
    lines = 0
    with whole_folder(out) as folder:
        for number, part in enumerate(simulate_parts(**drawn)):
            part.to_parquet(folder / f"part-{number:05d}.parquet", index=False)
            lines += len(part)
    return lines
