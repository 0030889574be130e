"""CSV that a spreadsheet opens safely. It needs pandas only, as it travels with every model."""

from __future__ import annotations

import pandas as pd

# A cell that begins like this is run as a formula by spreadsheets (OWASP CSV injection), full-width forms included.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001 (the full-width forms are meant)


def spreadsheet_safe(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with an apostrophe before text cells and names of columns that begin like a formula.

    Examples
    --------
    >>> spreadsheet_safe(pd.DataFrame({"customer_id": ["=1+1", "7"], "clv": [-2.0, 3.0]}))["customer_id"].tolist()
    ["'=1+1", '7']
    """
    text = {name: column for name, column in frame.items() if not pd.api.types.is_numeric_dtype(column)}
    safe = frame.assign(**{str(name): column.map(_safe) for name, column in text.items()})
    return safe.rename(columns=_safe)


def safe_text(text: str) -> str:
    """Return a text with an apostrophe before it if it begins like a formula, and line ends that CSV quotes.

    A carriage return alone is not quoted: what follows would begin a row, for a spreadsheet and for other programs.
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text
    return f"'{lines}" if lines.startswith(_FORMULA) else lines


def _safe(cell: object) -> object:
    return safe_text(cell) if isinstance(cell, str) else cell
