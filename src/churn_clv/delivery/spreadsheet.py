"""CSV that a spreadsheet opens safely. It needs pandas only, as it travels with every model."""

from __future__ import annotations

from collections.abc import Callable

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
    return _each_text(frame, safe_text)


def spreadsheet_plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame that was read from such a CSV without the apostrophes that `spreadsheet_safe` put there.

    Examples
    --------
    >>> spreadsheet_plain(pd.DataFrame({"customer_id": ["'=1+1", "''-7", "'n"]}))["customer_id"].tolist()
    ['=1+1', "'-7", "'n"]
    """
    return _each_text(frame, plain_text)


def safe_text(text: str) -> str:
    """Return a text with an apostrophe before it if it begins like a formula, and line ends that CSV quotes.

    It gets one, too, if apostrophes stand before what is like a formula, so that no two texts become the same. A carriage
    return alone is not quoted: what follows would begin a row, for a spreadsheet and for other programs.
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text
    return f"'{lines}" if lines.lstrip("'").startswith(_FORMULA) else lines


def plain_text(text: str) -> str:
    """Return the text that `safe_text` made another of."""
    return text[1:] if text.startswith("'") and text.lstrip("'").startswith(_FORMULA) else text


def _each_text(frame: pd.DataFrame, change: Callable[[str], str]) -> pd.DataFrame:
    def changed(cell: object) -> object:
        return change(cell) if isinstance(cell, str) else cell

    text = {name: column for name, column in frame.items() if not pd.api.types.is_numeric_dtype(column)}
    return frame.assign(**{str(name): column.map(changed) for name, column in text.items()}).rename(columns=changed)
