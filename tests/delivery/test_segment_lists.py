"""Lists a segment: everybody once, names that no file system minds, and a command that says what it cannot list."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churn_clv import cli
from churn_clv.delivery.segment_lists import LISTED, _file_names, lists_of, write_lists
from churn_clv.delivery.tables import write_table
from churn_clv.errors import InputError


def customers(segments: list[str], scheme: str = "segment") -> pd.DataFrame:
    """Customers whose expected spend grows with their place."""
    index = pd.Index([f"{k:03d}" for k in range(len(segments))], name="customer_id")
    frame = pd.DataFrame({scheme: segments}, index=index)
    spend = np.arange(len(frame), dtype=float)
    return frame.assign(expected_spend=spend, T=50.0, recency=20.0, clv=-1.0, private="not listed")


def call(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr("sys.argv", ["churn-clv", *map(str, arguments)])
    try:
        cli.main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


# --- names of files


@given(st.lists(st.text(max_size=90), min_size=1, max_size=30, unique=True))
@settings(deadline=None)
def test_any_names_of_segments_make_distinct_plain_file_names(segments: list[str]) -> None:
    names = list(_file_names(sorted(segments)).values())
    assert len(set(names)) == len(segments)
    for name in names:
        assert name and set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
        assert len(name.encode()) <= 70, "with its ending below the 255 bytes of a file system"


def test_names_that_are_devices_ways_up_or_taken_by_a_number_are_put_aside() -> None:
    found = _file_names(["CON", "nul", "..", "a 2", "a!", "a", "a 3", "LPT1"])
    assert found == {"CON": "segment-con", "nul": "segment-nul", "..": "segment", "a 2": "a-2", "a!": "a", "a": "a-3",
                     "a 3": "a-3-2", "LPT1": "segment-lpt1"}  # fmt: skip


def test_file_names_do_not_depend_on_the_order_of_customers(tmp_path: Path) -> None:
    frame = customers(["a b", "a-b", "a_b"] * 4)
    first = write_lists(frame, "segment", tmp_path / "one")
    again = write_lists(frame.iloc[::-1], "segment", tmp_path / "two")
    assert [path.name for path in first] == [path.name for path in again]
    for one, two in zip(first, again, strict=True):
        assert one.read_bytes() == two.read_bytes()


# --- what is in a list


def test_every_customer_is_in_exactly_one_list_the_best_first(tmp_path: Path) -> None:
    frame = customers(["x", "y", "x", "z", "x"])
    paths = write_lists(frame, "segment", tmp_path)
    found = {path.name: pd.read_parquet(path) for path in paths if path.suffix == ".parquet"}
    assert {name: list(table.index) for name, table in found.items()} == {
        "x.parquet": ["004", "002", "000"], "y.parquet": ["001"], "z.parquet": ["003"],
    }  # fmt: skip
    assert list(found["x.parquet"].columns) == [name for name in LISTED if name in frame]
    assert "private" not in found["x.parquet"]


def test_a_scheme_of_ones_own_is_written_beside_the_usual_columns(tmp_path: Path) -> None:
    frame = customers(["x", "y"], "my_scheme")
    write_lists(frame, "my_scheme", tmp_path)
    assert "my_scheme" in pd.read_csv(tmp_path / "x.csv")


def test_formulas_are_neutralised_in_csv_and_raw_in_parquet(tmp_path: Path) -> None:
    frame = customers(["=cmd()", "+sum"])
    frame.index = pd.Index(["=cmd()", "@x"], name="customer_id")
    frame["reasons"] = ["-1; =HYPERLINK(1)", "\tx"]
    write_lists(frame, "segment", tmp_path)
    safe, raw = pd.read_csv(tmp_path / "cmd.csv"), pd.read_parquet(tmp_path / "cmd.parquet")
    assert safe[["customer_id", "segment", "reasons"]].to_numpy().tolist() == [
        ["'=cmd()", "'=cmd()", "'-1; =HYPERLINK(1)"]
    ]
    assert (raw.index[0], raw["segment"].iloc[0]) == ("=cmd()", "=cmd()")
    # a number below zero stays a number
    assert safe["clv"].tolist() == [-1.0]


def test_customers_without_a_segment_are_refused_and_not_forgotten(tmp_path: Path) -> None:
    frame = customers(["x", "y", "x"])
    frame.loc["001", "segment"] = None
    with pytest.raises(InputError, match="1 of 3 customers have no segment"):
        write_lists(frame, "segment", tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_column_that_tells_customers_is_no_scheme(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match="expected_spend has 101 different values, more than 100: it names no segments"
    ):
        write_lists(customers(["x"] * 101), "expected_spend", tmp_path)


# --- the command


def test_the_command_writes_lists_of_a_score_file_and_of_a_folder_of_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "runs" / "shop" / "20260101T000000Z"
    run.mkdir(parents=True)
    write_table(customers(["x", "y", "x"]), run / "scores.parquet")
    (run / "metrics.json").write_text("{}")
    write_table(customers(["new", "lost", "new"], "lifecycle_stage"), tmp_path / "scores.csv")
    assert call(monkeypatch, "lists", tmp_path / "scores.csv", tmp_path / "a", "--by", "lifecycle_stage") == 0
    assert "wrote 2 lists of lifecycle_stage" in capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [
        "lost.csv",
        "lost.parquet",
        "new.csv",
        "new.parquet",
    ]
    assert pd.read_parquet(tmp_path / "a" / "new.parquet").index.tolist() == ["002", "000"]
    assert pd.read_parquet(tmp_path / "a" / "new.parquet")["days_since_purchase"].tolist() == [30.0, 30.0]
    assert call(monkeypatch, "lists", tmp_path / "runs", tmp_path / "b") == 0
    assert len(list((tmp_path / "b").iterdir())) == 4


@pytest.mark.parametrize(
    ("table", "by", "says"),
    [
        ("scores.csv", "segmnt", "no scheme 'segmnt' among the scores (did you mean 'segment'?)"),
        ("strange.csv", "segment", "no column expected_spend, T, recency, so these are no scores of a log"),
        ("absent.csv", "segment", "no such file"),
    ],
)
def test_what_cannot_be_listed_is_one_line_with_exit_code_2_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], table: str, by: str, says: str
) -> None:
    write_table(customers(["x", "y"]), tmp_path / "scores.csv")
    (tmp_path / "strange.csv").write_text("customer_id,segment\n1,x\n")
    assert call(monkeypatch, "lists", tmp_path / table, tmp_path / "out", "--by", by) == 2
    told = capsys.readouterr()
    assert says in told.err and told.err.count("\n") == 1 and not told.out
    assert not [path for path in tmp_path.iterdir() if "out" in path.name]


def test_lists_are_of_the_same_customers_whether_the_scores_are_csv_or_parquet(tmp_path: Path) -> None:
    frame = customers(["x", "x", "=y"])
    frame.index = pd.Index(["+49 30 1", "'-7", "-7"], name="customer_id")
    found = []
    for suffix in ("csv", "parquet"):
        write_table(frame, tmp_path / f"scores.{suffix}")
        for key in (None, b"k" * 32):
            lists = lists_of(tmp_path / f"scores.{suffix}", "segment", tmp_path / f"{suffix}{key is None}", key)
            found.append({path.name: path.read_bytes() for path in lists if path.suffix == ".csv"})
        raw = pd.read_parquet(tmp_path / f"{suffix}True" / "x.parquet")
        assert sorted(raw.index) == ["'-7", "+49 30 1"]
    assert found[0] == found[2] and found[1] == found[3]


def test_scores_with_text_for_numbers_are_one_line(tmp_path: Path) -> None:
    write_table(customers(["x", "y"]).assign(T="canary"), tmp_path / "scores.csv")
    with pytest.raises(InputError, match="column T holds text where numbers belong: score again") as refused:
        lists_of(tmp_path / "scores.csv", "segment", tmp_path / "out")
    assert "canary" not in str(refused.value)


def test_a_folder_that_exists_is_not_written_into(tmp_path: Path) -> None:
    write_table(customers(["x", "y"]), tmp_path / "scores.csv")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("kept")
    with pytest.raises(InputError, match="exists already; nothing was overwritten"):
        lists_of(tmp_path / "scores.csv", "segment", tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]
