"""What a request may hold, by MLflow's protocol (its docs: "scoring protocol") and RFC 4180, and what is refused."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churn_clv.delivery.request_body import CSV, JSON, read_body
from churn_clv.errors import InputError

SECRET = "canary-7f3a"  # noqa: S105 (an id that must not come back)
ROWS = [{"customer_id": SECRET, "T": 30, "region": None}, {"customer_id": "007", "T": 2.5, "region": "north"}]
NAMES = list(ROWS[0])
CELLS = [list(row.values()) for row in ROWS]


def sent(content: Any, kind: str = JSON) -> pd.DataFrame:
    return read_body(json.dumps(content).encode(), kind)[0]


@pytest.mark.parametrize(
    "content",
    [
        {"dataframe_split": {"columns": NAMES, "data": CELLS}},
        {"dataframe_split": {"columns": NAMES, "data": CELLS, "index": [4, 5]}},
        {"dataframe_records": ROWS},
        {"instances": ROWS},
        {"instances": [ROWS[0], dict(reversed(ROWS[1].items()))]},
        {"inputs": ROWS},
        {"inputs": {name: [row[name] for row in ROWS] for name in NAMES}},
    ],
)
def test_every_shape_of_mlflows_protocol_is_the_same_rows(content: dict[str, Any]) -> None:
    found = sent(content)
    assert found.columns.tolist() == NAMES
    assert found.astype(object).where(found.notna(), None).to_dict("records") == ROWS


def test_a_whole_number_stays_whole_beside_an_empty_cell() -> None:
    """As a number column of pandas it would be 7.0, another category or id."""
    found = sent({"dataframe_split": {"columns": ["customer_id", "region"], "data": [[7, 7], ["7.5", None]]}})
    assert found["customer_id"].map(str).tolist() == ["7", "7.5"]
    assert found["region"].map(str).tolist() == ["7", "None"]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\0")), min_size=2, max_size=2)
    )
)
def test_csv_is_read_as_it_was_written(rows: list[list[str]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([["customer_id", "region"], *rows])
    found = read_body(text.getvalue().encode(), CSV)[0]
    if not any(cell.startswith("'") for row in rows for cell in row):
        assert found.astype(object).where(found.notna(), None).to_numpy().tolist() == [
            [cell or None for cell in row] for row in rows
        ]


def test_a_word_in_csv_is_no_empty_cell() -> None:
    """As in batch scoring (delivery/production.py), where a text column may hold it."""
    assert read_body(b"customer_id,region\n1,NA\n2,\n", CSV)[0]["region"].tolist()[0] == "NA"


def test_parameters_come_beside_the_rows() -> None:
    assert read_body(json.dumps({"inputs": ROWS, "params": {"as_of": "2024-05-31"}}).encode(), JSON)[1] == {"as_of": "2024-05-31"}  # fmt: skip
    assert read_body(json.dumps({"inputs": ROWS, "params": None}).encode(), JSON)[1] == {}


@pytest.mark.parametrize(
    ("body", "kind", "reason"),
    [
        (b"", JSON, "the body is no JSON: Expecting value"),
        (f'{{"inputs": [{SECRET}'.encode(), JSON, "the body is no JSON: Expecting value: line 1 column 13"),
        (b"\xff\xfe{}", JSON, "the body is no UTF-8: byte 0"),
        (b"[" * 100_000, JSON, "the body is nested too deeply"),
        (b'{"inputs": ' + b"9" * 5000 + b"}", JSON, "the body holds a whole number of thousands of digits"),
        (b'{"inputs": [], "inputs": []}', JSON, "the body: an object has 1 of its keys more than once"),
        (f'"{SECRET}"'.encode(), JSON, "the body: wants an object with one of dataframe_split"),
        (b'{"inputs": [], "instances": []}', JSON, "the body: wants an object with one of"),
        (f'{{"inputs": [], "{SECRET}": 1}}'.encode(), JSON, "the body: wants an object with one of"),
        (b'{"inputs": [], "params": [1]}', JSON, "params: is no object"),
        (b'{"dataframe_split": [1]}', JSON, "dataframe_split: wants an object with columns and data"),
        (b'{"dataframe_split": {"data": []}}', JSON, "dataframe_split: wants an object with columns and data"),
        (b'{"dataframe_split": {"columns": [1], "data": [[1]]}}', JSON, "dataframe_split: wants columns as a list of names"),
        (b'{"dataframe_split": {"columns": ["\\ud800"], "data": [[1]]}}', JSON, "dataframe_split: wants columns as a list of names"),
        (b'{"dataframe_split": {"columns": "a", "data": [[1]]}}', JSON, "dataframe_split: wants columns as a list of names"),
        (b'{"dataframe_split": {"columns": ["a", "a"], "data": []}}', JSON, "dataframe_split: 1 of 2 columns have another's name"),
        (b'{"dataframe_split": {"columns": ["a"], "data": {}}}', JSON, "dataframe_split: wants data as a list of rows"),
        (b'{"dataframe_split": {"columns": ["a", "b"], "data": [[1], 2, [1, 2]]}}', JSON,
         "dataframe_split: 2 of 3 rows have not a cell for each of 2 columns"),
        (b'{"dataframe_records": {"a": 1}}', JSON, "dataframe_records: wants a list of objects"),
        (b'{"instances": [{"a": 1, "b": 1}, {"a": 2}, {"b": 2}]}', JSON, "instances: 2 of 3 rows have other columns than the first"),
        (b'{"inputs": {"a": [1, 2], "b": [1]}}', JSON, "inputs: wants a list of cells for every column, all of one length"),
        (b'{"inputs": {"a": 1}}', JSON, "inputs: wants a list of cells"),
        (b'{"inputs": 5}', JSON, "inputs: wants a list of objects"),
        (f'customer_id,T\n"{SECRET}'.encode(), CSV, "the body is no CSV: unexpected end of data"),
        (f"customer_id,T\n{SECRET}".encode(), CSV, "the body: 1 of 1 rows have not a cell for each of 2 columns"),
        (f"customer_id,customer_id\n{SECRET},1".encode(), CSV, "the body: 1 of 2 columns have another's name"),
        (b"a,b\n\xff,1", CSV, "the body is no UTF-8: byte 4"),
        (b"{}", "", "Content-Type: send application/json or text/csv"),
        (b"{}", "text/plain", "Content-Type: send application/json or text/csv"),
        (b"{}", f"{JSON}; charset=utf-16", "Content-Type: send UTF-8"),
    ],
)  # fmt: skip
def test_what_is_no_request_is_refused_in_one_line_without_its_cells(body: bytes, kind: str, reason: str) -> None:
    with pytest.raises(InputError) as refused:
        read_body(body, kind)
    assert str(refused.value).startswith(reason)
    assert SECRET not in str(refused.value)
    assert "\n" not in str(refused.value)


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.binary(max_size=60), st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(
        st.sampled_from(["dataframe_split", "dataframe_records", "inputs", "instances", "columns", "data", "params", "a"]),
        inner, max_size=3)), max_leaves=12).map(lambda content: json.dumps(content).encode())),
    st.sampled_from([JSON, CSV]))  # fmt: skip
def test_any_body_is_rows_or_one_error(body: bytes, kind: str) -> None:
    try:
        frame, params = read_body(body, kind)
    except InputError:
        return
    assert isinstance(frame, pd.DataFrame)
    assert isinstance(params, dict)
