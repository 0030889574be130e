"""A table of attributes is read, or it is one line that names the key; it never carries names out of the house."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from churn_clv.data.contract import Columns, ReadingRules
from churn_clv.data.open_log import open_attributes, open_log
from churn_clv.errors import InputError


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        open_attributes("file", str(path), "customer_id")
    message = str(caught.value)
    assert message.startswith(f"data.attributes.path: {path}: ")
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.parquet", b"PAR1 and no more", "cannot be read as Parquet"),
        ("a.pq", b"", "cannot be read as Parquet"),
        ("a.csv", "customer_id,city\na,M\u00fcnchen\n".encode("latin-1"), "is not UTF-8 text"),
        ("a.csv", b"", "is empty"),
        ("a.csv", b"\n\n", "is empty"),
        ("a.csv", b"customer_id,city\na,b\nc,d,e,f\n", "cannot be read as CSV"),
        ("a.csv", b'customer_id,city\na,"b\n', "cannot be read as CSV"),
        ("a.csv", b"id,city\na,b\n", "no column 'customer_id'"),
        ("a.csv", b"customer_id,city\na,b\na,c\n", "1 rows repeat a customer"),
    ],
)
def test_a_broken_table_is_refused_by_its_key(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert says in refusal(path)


def test_a_missing_table_is_refused_by_its_key(tmp_path: Path) -> None:
    assert "no such file" in refusal(tmp_path / "a.csv")


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_texts_that_tell_who_a_customer_is_are_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    ids = [f"{k:03d}" for k in range(51)]
    frame = pd.DataFrame({"customer_id": ids, "email": [f"{k}@example.org" for k in ids], "age": np.arange(51)})
    frame.to_csv(path, index=False) if suffix == "csv" else frame.to_parquet(path)
    message = refusal(path)
    assert "more than 50 different texts in 'email'" in message
    assert "@" not in message
    frame.head(50).to_csv(path, index=False) if suffix == "csv" else frame.head(50).to_parquet(path)
    table = open_attributes("file", str(path), "customer_id")
    assert table is not None
    assert list(table.columns) == ["email", "age"]


def test_a_log_that_is_not_there_is_refused_by_its_key(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("x")
    with pytest.raises(InputError, match=r"data\.path: .*lgo\.csv: no such file \(did you mean 'log\.csv'\?\)"):
        open_log("file", str(tmp_path / "lgo.csv"), Columns(), ReadingRules())
