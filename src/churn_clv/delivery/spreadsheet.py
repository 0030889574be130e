"""CSV that a spreadsheet opens safely. It needs pandas only, as it travels with every model."""

from __future__ import annotations

import pandas as pd

# A cell that begins like this is run as a formula by spreadsheets (OWASP CSV injection), full-width forms included.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")  # noqa: RUF001 (the full-width forms are meant)


def spreadsheet_safe(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with an apostrophe before text cells that begin like a formula.

    Examples
    --------
    >>> spreadsheet_safe(pd.DataFrame({"customer_id": ["=1+1", "7"], "clv": [-2.0, 3.0]}))["customer_id"].tolist()
    ["'=1+1", '7']
    """
    text = {name: column for name, column in frame.items() if not pd.api.types.is_numeric_dtype(column)}
    return frame.assign(**{str(name): column.map(_safe) for name, column in text.items()})


def _safe(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
