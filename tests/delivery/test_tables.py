"""A table that is written is the table that is read; a spoilt one is one line."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from churn_clv.delivery.tables import read_table, write_table
from churn_clv.errors import InputError


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_table_comes_back_with_its_ids_as_text(tmp_path: Path, suffix: str) -> None:
    frame = pd.DataFrame({"clv": [1.5, -2.0]}, index=pd.Index(["007", "8"], name="customer_id"))
    write_table(frame, tmp_path / f"t.{suffix}")
    back = read_table(tmp_path / f"t.{suffix}")
    assert back["customer_id"].tolist() == ["007", "8"]
    assert back["clv"].tolist() == [1.5, -2.0]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("t.parquet", b"PAR1 and no more", "cannot be read as Parquet"),
        ("t.parquet", b"", "cannot be read as Parquet"),
        ("t.csv", "customer_id,segment\na,caf\u00e9\n".encode("cp1252"), "is not UTF-8 text"),
        ("t.csv", b"", "is empty"),
        ("t.csv", b"customer_id,clv\na,1\nb,2,3\n", "cannot be read as CSV"),
        ("t.txt", b"x", "must end in .csv or .parquet"),
    ],
)
def test_a_spoilt_table_is_one_line(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_table(tmp_path / name)
    assert str(caught.value).startswith(str(tmp_path / name))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_table_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_table(tmp_path / "t.csv")
