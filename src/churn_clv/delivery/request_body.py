"""What may stand in a request to the served model: MLflow's four shapes of JSON, or CSV, read into one frame."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pandas as pd

from churn_clv.delivery.spreadsheet import spreadsheet_plain
from churn_clv.errors import InputError

JSON, CSV = "application/json", "text/csv"
SHAPES = ("dataframe_split", "dataframe_records", "instances", "inputs")


def read_body(body: bytes, content_type: str) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return the rows and the parameters that were sent, cells as they were written, unknown ones None.

    Every row has to say every column itself; what is unknown is null, in CSV an empty cell and no word for it (a region
    may be called NA). The frame has a column of objects for every name.

    Examples
    --------
    >>> frame, params = read_body(b'{"instances": [{"customer_id": "007", "T": 30}], "params": {"as_of": ""}}', JSON)
    >>> frame.to_dict("records"), params
    ([{'customer_id': '007', 'T': 30}], {'as_of': ''})
    >>> read_body(b"customer_id,T\\n007,", "text/csv; charset=utf-8")[0].to_dict("records")
    [{'customer_id': '007', 'T': None}]

    Raises
    ------
    InputError
        If it is neither; never with a cell or a name of what was sent.
    """
    kind, _, rest = content_type.partition(";")
    if rest.strip().lower() not in {"", "charset=utf-8"}:
        raise InputError("Content-Type: send UTF-8, and no parameter but charset=utf-8")
    if kind.strip().lower() == CSV:
        return _from_csv(body), {}
    if kind.strip().lower() == JSON:
        return _from_json(body)
    raise InputError(f"Content-Type: send {JSON} or {CSV}")


def _from_json(body: bytes) -> tuple[pd.DataFrame, dict[str, Any]]:
    try:
        content = json.loads(body.decode("utf-8-sig"), object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        raise InputError(f"the body is no JSON: {error}") from None
    except InputError:
        raise
    except UnicodeDecodeError as error:
        raise InputError(f"the body is no UTF-8: byte {error.start:,}") from None
    except RecursionError:
        raise InputError("the body is nested too deeply") from None
    except ValueError:  # Python reads whole numbers of at most 4,300 digits
        raise InputError("the body holds a whole number of thousands of digits") from None
    shapes = [shape for shape in SHAPES if isinstance(content, dict) and shape in content]
    if len(shapes) != 1 or set(content) - {*shapes, "params"}:
        raise InputError(f"the body: wants an object with one of {', '.join(SHAPES)}, beside it params or nothing")
    params = content.get("params")
    if not isinstance(params, dict | None):
        raise InputError("params: is no object")
    shape, sent = shapes[0], content[shapes[0]]
    if shape == "dataframe_split":
        return _from_split(sent), params or {}
    if shape == "inputs" and isinstance(sent, dict):
        return _from_columns(sent), params or {}
    return _from_records(shape, sent), params or {}


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise InputError(f"the body: an object has {len(pairs) - len(found):,} of its keys more than once")
    return found


def _from_split(sent: Any) -> pd.DataFrame:
    if not isinstance(sent, dict) or not {"columns", "data"} <= set(sent) <= {"columns", "data", "index"}:
        raise InputError("dataframe_split: wants an object with columns and data")
    return _frame("dataframe_split", sent["columns"], sent["data"])


def _from_records(shape: str, sent: Any) -> pd.DataFrame:
    if not isinstance(sent, list) or not all(isinstance(row, dict) for row in sent):
        raise InputError(f"{shape}: wants a list of objects, one a row")
    names = list(sent[0]) if sent else []
    other = sum(set(row) != set(names) for row in sent)
    if other:
        raise InputError(f"{shape}: {other:,} of {len(sent):,} rows have other columns than the first; write null")
    return _frame(shape, names, [[row[name] for name in names] for row in sent])


def _from_columns(sent: dict[str, Any]) -> pd.DataFrame:
    cells = list(sent.values())
    if not all(isinstance(column, list) for column in cells) or len(set(map(len, cells))) > 1:
        raise InputError("inputs: wants a list of cells for every column, all of one length")
    return _frame("inputs", list(sent), [list(row) for row in zip(*cells, strict=True)])


def _from_csv(body: bytes) -> pd.DataFrame:
    try:
        rows = list(csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True))
    except UnicodeDecodeError as error:
        raise InputError(f"the body is no UTF-8: byte {error.start:,}") from None
    except csv.Error as error:
        raise InputError(f"the body is no CSV: {error}") from None
    names, *cells = rows or [[]]
    filled = [[cell or None for cell in row] for row in cells if row]
    return spreadsheet_plain(_frame("the body", names, filled))


def _frame(shape: str, names: Any, rows: Any) -> pd.DataFrame:
    """Columns of cells as they are: a column of their own kind would make 7 beside an empty cell 7.0, another id."""
    if not isinstance(names, list) or not all(isinstance(name, str) and _is_utf8(name) for name in names):
        raise InputError(f"{shape}: wants columns as a list of names")
    if len(set(names)) < len(names):
        raise InputError(f"{shape}: {len(names) - len(set(names)):,} of {len(names):,} columns have another's name")
    if not isinstance(rows, list):
        raise InputError(f"{shape}: wants data as a list of rows")
    torn = sum(not isinstance(row, list) or len(row) != len(names) for row in rows)
    if torn:
        raise InputError(f"{shape}: {torn:,} of {len(rows):,} rows have not a cell for each of {len(names):,} columns")
    return pd.DataFrame(rows, columns=names, dtype=object)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # half a character, which JSON can write
        return False
    return True
