"""Reading a log: what comes in comes out the same, whatever the file looks like, and the report adds up."""

from __future__ import annotations

import gzip
import json
import random
import re
from datetime import date, datetime
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churn_clv.data import engine
from churn_clv.data.contract import Columns, ReadingRules
from churn_clv.data.transactions import TransactionLog, read_transactions
from churn_clv.errors import InputError

HEADER = "customer_id,date,amount\n"
LINES = HEADER + "007,2024-01-05,10.50\n007,2024-02-01,4\n9007199254740993,2024-01-05,1\n"
DAYS = [
    ("007", date(2024, 1, 5), 10.5, True, 1),
    ("007", date(2024, 2, 1), 4.0, True, 1),
    ("9007199254740993", date(2024, 1, 5), 1.0, True, 1),
]


def days(log: TransactionLog) -> list[tuple[object, ...]]:
    """Return the customer-days as they stand."""
    return engine.run(log.connection, "SELECT * EXCLUDE (first_day, gap) FROM customer_days")


def read_text(
    folder: Path, text: str, *options: object, name: str = "log.csv", encoding: str = "utf-8"
) -> TransactionLog:
    """Write a CSV file and read it."""
    (folder / name).write_bytes(text.encode(encoding))
    return read_transactions(folder / name, *options)  # type: ignore[arg-type]


def frame(*rows: tuple[object, object, object]) -> pd.DataFrame:
    """Return a log as a frame."""
    return pd.DataFrame(list(rows), columns=["customer_id", "date", "amount"])


def steps(log: TransactionLog) -> dict[str, tuple[int, int]]:
    """Return rule -> (rows touched, rows removed)."""
    return {step.rule: (step.rows, step.removed) for step in log.cleaning.steps}


# --- the same log in many clothes


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (LINES, "utf-8"),
        (LINES, "utf-8-sig"),
        (LINES.replace("\n", "\r\n"), "utf-8"),
        (LINES.replace("\n", "\r\n", 2), "utf-8"),
        (LINES.replace("\n", "\r"), "utf-8"),
        (LINES.rstrip(), "utf-8"),
        (LINES.replace("\n", "\n\n"), "utf-8"),
        (LINES.replace(",", ";"), "utf-8"),
        (LINES.replace(",", "\t"), "utf-8"),
        (LINES.replace(",", "|"), "utf-8"),
        (re.sub("[^,\n]+", '"\\g<0>"', LINES), "utf-8"),
        (LINES.replace("customer_id,date", " customer_id , date "), "utf-8"),
        (LINES.replace(",2024", ", 2024"), "utf-8"),
        (LINES.replace("10.50", "1.05e1"), "utf-8"),
        (LINES.replace("10.50", "+10.50"), "utf-8"),
        (LINES.replace("-0", "/0"), "utf-8"),
        (LINES.replace("2024-02-01", "20240201"), "utf-8"),
        (LINES.replace("2024-02-01", "2024-02-01T23:59:59.999"), "utf-8"),
        (LINES.replace("2024-02-01", "2024-02-01 00:00"), "utf-8"),
    ],
)  # fmt: skip
def test_a_csv_reads_the_same_in_any_clothes(text: str, encoding: str, tmp_path: Path) -> None:
    assert days(read_text(tmp_path, text, encoding=encoding)) == DAYS


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "cp1252", "latin-1"])
def test_an_encoding_that_is_named_is_read(encoding: str, tmp_path: Path) -> None:
    log = read_text(
        tmp_path,
        HEADER + "café,2024-01-05,1\n",
        Columns(),
        ReadingRules(encoding=encoding),
        encoding=encoding,
    )
    assert days(log)[0][0] == "café"


def test_decimal_commas_are_read_where_the_rules_say_so(tmp_path: Path) -> None:
    text = LINES.replace(",", ";").replace("10.50", "10,50")
    assert days(read_text(tmp_path, text, Columns(), ReadingRules(decimal=","))) == DAYS


@pytest.mark.parametrize("name", ["log.tsv", "log.txt", "LOG.CSV", "a*.csv", "a[b].csv", "it's.csv", "ä ö.csv"])
def test_the_name_of_a_file_is_taken_as_it_is(name: str, tmp_path: Path) -> None:
    (tmp_path / "ab.csv").write_text("other,columns\n1,2\n")  # what a glob would find too
    assert days(read_text(tmp_path, LINES, name=name)) == DAYS


def test_gzip_is_read(tmp_path: Path) -> None:
    (tmp_path / "log.csv.gz").write_bytes(gzip.compress(LINES.encode()))
    assert days(read_transactions(tmp_path / "log.csv.gz")) == DAYS


def test_a_folder_is_read_as_the_sum_of_its_parts(tmp_path: Path) -> None:
    head, *lines = LINES.splitlines(keepends=True)
    for i, line in enumerate(lines):
        (tmp_path / f"month={i}").mkdir()
        (tmp_path / f"month={i}" / "part.csv").write_text(head + line)
    (tmp_path / "_SUCCESS").write_text("")
    (tmp_path / ".hidden.csv").write_text("x")
    assert days(read_transactions(tmp_path)) == DAYS


def test_partitioned_parquet_is_read(tmp_path: Path) -> None:
    parts = pd.DataFrame(DAYS, columns=["customer_id", "date", "amount", "p", "n"])
    for i, part in parts.groupby(parts["date"]):
        (tmp_path / f"day={i}").mkdir()
        part.to_parquet(tmp_path / f"day={i}" / "part.parquet")
    assert days(read_transactions(tmp_path)) == DAYS
    assert days(read_transactions(tmp_path, Columns(date="day"))) == DAYS


@pytest.mark.parametrize(
    "dates",
    [
        ["2024-01-05", "2024-02-01", "2024-01-05"],
        [date(2024, 1, 5), date(2024, 2, 1), date(2024, 1, 5)],
        pd.to_datetime(["2024-01-05 23:59", "2024-02-01 00:00", "2024-01-05 12:00"]),
        pd.to_datetime(["2024-01-05", "2024-02-01", "2024-01-05"]).astype("datetime64[s]"),
        pd.to_datetime(["2024-01-05", "2024-02-01", "2024-01-05"]).tz_localize("UTC"),
        pd.Series([pd.Timestamp("2024-01-05"), pd.Timestamp("2024-02-01"), date(2024, 1, 5)], dtype=object),
        [20240105, 20240201, 20240105],
        pd.Categorical(["2024-01-05", "2024-02-01", "2024-01-05"]),
    ],
    ids=["text", "dates", "datetimes", "seconds", "zoned", "mixed objects", "whole numbers", "categories"],
)
@pytest.mark.parametrize("suffix", ["frame", "parquet"])
def test_a_frame_reads_the_same_with_dates_of_any_type(dates: object, suffix: str, tmp_path: Path) -> None:
    log = pd.DataFrame({"customer_id": [row[0] for row in DAYS], "date": dates, "amount": [10.5, 4, 1]})
    if suffix == "frame":
        before = log.copy()
        assert days(read_transactions(log)) == DAYS
        pd.testing.assert_frame_equal(log, before)
    elif log["date"].map(type).nunique() == 1:
        log.to_parquet(tmp_path / "log.parquet")
        assert days(read_transactions(tmp_path / "log.parquet")) == DAYS


@pytest.mark.parametrize(
    "ids",
    [
        np.array([9007199254740993, 7], dtype="int64"),
        np.array([18446744073709551615, 7], dtype="uint64"),
        pd.array([9007199254740993, 7], dtype="Int64"),
        pd.Categorical(["007", "0x1F"]),
        np.array(["Ünïcode", "顧客"], dtype=object),
        np.array([9007199254740993, "007"], dtype=object),
        np.array(["a b", "1e5"], dtype=object),
        np.array(["0", "000"], dtype=object),
        np.array(["a", "u00a0"], dtype=object),
    ],
    ids=["int64", "uint64", "Int64", "categories", "unicode", "mixed", "inner space", "zeros", "letters"],
)
def test_ids_are_kept_exactly_as_text(ids: object, tmp_path: Path) -> None:
    log = pd.DataFrame({"customer_id": ids, "date": "2024-01-05", "amount": 1.0})
    wanted = sorted(str(i) for i in log["customer_id"])
    assert [row[0] for row in days(read_transactions(log))] == wanted
    log.astype({"customer_id": str}).to_csv(tmp_path / "log.csv", index=False)
    assert [row[0] for row in days(read_transactions(tmp_path / "log.csv"))] == wanted


def test_line_ends_within_quotes_are_read_right_in_a_file_of_many_blocks(tmp_path: Path) -> None:
    # A thread that starts in the middle of a quoted note takes its second line for a row.
    notes = ["x", '"a, b"', '"two\nlines"', '"say ""hi"", ok\n,,,\n2024-01-01"', '""']
    choose, n = random.Random(3), 300_000
    with (tmp_path / "log.csv").open("w", newline="") as out:
        out.write("customer_id,date,amount,note\n")
        for i in range(n):
            out.write(f"c{i % 1000},2024-01-{i % 28 + 1:02d},{i % 100}.25,{choose.choice(notes)}\n")
    log = read_transactions(tmp_path / "log.csv", connection=engine.connect(threads=2))
    read = engine.run(log.connection, "SELECT count(*), sum(amount) FROM transactions")
    assert read == [(n, sum(i % 100 + 0.25 for i in range(n)))]


# --- days and time zones


@pytest.mark.parametrize(
    ("moment", "zone", "day"),
    [
        ("2024-07-01T23:30:00Z", "UTC", date(2024, 7, 1)),
        ("2024-07-01T23:30:00Z", "Europe/London", date(2024, 7, 2)),  # British Summer Time
        ("2024-01-01T23:30:00Z", "Europe/London", date(2024, 1, 1)),
        (
            "2024-03-31T00:59:59+00:00",
            "Europe/Berlin",
            date(2024, 3, 31),
        ),  # the hour that daylight saving skips
        ("2024-10-26 22:30:00.5+0000", "Europe/Berlin", date(2024, 10, 27)),
        ("2024-07-01 01:00+05:30", "UTC", date(2024, 6, 30)),
        ("2024-07-01 01:00:00-08", "Asia/Tokyo", date(2024, 7, 1)),
    ],
)
def test_a_timestamp_with_an_offset_falls_on_the_local_day(moment: str, zone: str, day: date) -> None:
    rules = ReadingRules(timezone=zone)
    assert days(read_transactions(frame(("a", moment, 1)), rules=rules))[0][1] == day
    zoned = pd.Timestamp(datetime.fromisoformat(moment))
    assert days(read_transactions(frame(("a", zoned, 1)), rules=rules))[0][1] == day


def test_a_timestamp_without_an_offset_is_local_already() -> None:
    log = read_transactions(frame(("a", "2024-07-01T23:30:00", 1)), rules=ReadingRules(timezone="Asia/Tokyo"))
    assert days(log)[0][1] == date(2024, 7, 1)


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("05/01/2024", "%d/%m/%Y"), ("01/05/2024", "%m/%d/%Y"), ("5.1.24", "%d.%m.%y"),
        ("Jan 5, 2024", "%b %d, %Y"),
        ("05/01/2024 23:30", "%d/%m/%Y %H:%M"), ("05/01/2024 23:30 -0200", "%d/%m/%Y %H:%M %z"),
    ],
)  # fmt: skip
def test_a_date_format_is_followed(text: str, pattern: str) -> None:
    rules = ReadingRules(date_format=pattern)
    expected = date(2024, 1, 6) if "%z" in pattern else date(2024, 1, 5)  # 23:30 at -02:00 is the next day in UTC
    assert days(read_transactions(frame(("a", text, 1)), rules=rules))[0][1] == expected


# --- purchases, refunds, money


@pytest.mark.parametrize(
    ("amounts", "net", "by_line", "by_net"),
    [
        ([10, -4], 6.0, True, True),
        ([10, -10], 0.0, True, False),
        ([10, -40], -30.0, True, False),
        ([-4], -4.0, False, False),
        ([0], 0.0, True, False),
        ([0, -1], -1.0, True, False),
    ],
)
def test_a_purchase_day_follows_the_rule(amounts: list[float], net: float, by_line: bool, by_net: bool) -> None:
    log = frame(*(("a", "2024-01-05", amount) for amount in amounts))
    wanted = [("a", date(2024, 1, 5), net, by_line, len(amounts))]
    assert days(read_transactions(log)) == wanted
    assert days(read_transactions(log, rules=ReadingRules(purchase_rule="positive_net"))) == [
        (*wanted[0][:3], by_net, wanted[0][4])
    ]


def test_without_amounts_every_day_is_one_purchase_of_value_one() -> None:
    log = read_transactions(frame(("a", "2024-01-05", 7), ("a", "2024-01-05", 8)), Columns(amount=None))
    assert not log.has_amount
    assert days(log) == [("a", date(2024, 1, 5), 1.0, True, 2)]
    assert engine.run(log.connection, "SELECT DISTINCT amount FROM transactions") == [(None,)]


def test_cents_add_up_exactly() -> None:
    log = frame(*(("a", "2024-01-05", 0.1) for _ in range(1000)))
    assert days(read_transactions(log))[0][2] == 100.0


money = st.decimals(-(10**6), 10**6, places=3).map(float)
line = st.tuples(st.sampled_from("abc"), st.sampled_from(["2024-01-05", "2024-01-06", "2024-03-01"]), money)


@settings(max_examples=25, deadline=None)
@given(st.lists(line, min_size=1, max_size=30), st.permutations(range(30)))
def test_the_order_of_rows_changes_no_bit(lines: list[tuple[str, str, float]], order: list[int]) -> None:
    shuffled = [lines[i] for i in order if i < len(lines)]
    for duplicates in ("keep", "drop"):
        one, other = (
            read_transactions(frame(*rows), rules=ReadingRules(duplicates=duplicates)) for rows in (lines, shuffled)
        )
        assert days(one) == days(other)
        assert one.cleaning == other.cleaning


def test_rows_in_several_row_groups_and_threads_change_no_bit(tmp_path: Path) -> None:
    draw = np.random.default_rng(5)
    n = 300_000  # more than two of DuckDB's row groups of 122,880
    log = pd.DataFrame(
        {
            "customer_id": draw.integers(0, 500, n).astype(str),
            "date": pd.Timestamp("2024-01-01") + pd.to_timedelta(draw.integers(0, 30, n), unit="D"),
            "amount": draw.normal(10, 30, n),
        }
    )
    log.to_parquet(tmp_path / "a.parquet", row_group_size=50_000)
    log.sample(frac=1, random_state=1).to_parquet(tmp_path / "b.parquet", row_group_size=70_000)
    one = read_transactions(tmp_path / "a.parquet", connection=engine.connect(threads=1))
    other = read_transactions(tmp_path / "b.parquet", connection=engine.connect(threads=4))
    assert days(one) == days(other)


# --- the report


MESSY = frame(
    ("a", "2024-01-05", 10.0), ("a", "2024-01-05", 10.0), ("a", "2024-01-07", -3.0), ("b", "2024-01-05", 0.0),
    ("", "2024-01-05", 1.0), (None, "never", 1.0), ("NA", "2024-01-05", 1.0), ("c", "2023-12-31", 1.0),
    ("c", "2024-06-01", "text"), ("d", "2024-01-05", -5.0), ("e", "2024-01-05", 0.1234567),
    ("TEST", "2024-01-05", 9.0),
)  # fmt: skip


@pytest.mark.parametrize("duplicates", ["keep", "drop"])
def test_the_report_counts_every_rule_and_adds_up(duplicates: str) -> None:
    rules = ReadingRules(
        duplicates=duplicates,  # type: ignore[arg-type]
        start=date(2024, 1, 1),
        end=date(2024, 3, 31),
        drop_rows=[{"customer_id": ["TEST"]}],
    )
    log = read_transactions(MESSY, rules=rules)
    one_if_dropped = 1 if duplicates == "drop" else 0
    assert steps(log) == {
        "drop_rows: customer_id, 1 value": (1, 1),
        "without a customer id": (3, 3),
        "before start 2024-01-01": (1, 1),
        "after end 2024-03-31": (1, 1),
        "exact duplicate of an earlier line": (1, one_if_dropped),
        "refund line (amount < 0)": (2, 0),
        "zero amount": (1, 0),
        "line on a day without a purchase": (2, 0),
        "amount finer than a millionth": (1, 0),
    }
    report = log.cleaning
    assert report.rows_in - sum(step.removed for step in report.steps) == report.rows_out == 6 - one_if_dropped
    assert engine.run(log.connection, "SELECT count(*) FROM transactions") == [(report.rows_out,)]
    assert (log.first_day, log.last_day, log.n_customers) == (date(2024, 1, 5), date(2024, 1, 7), 4)
    assert json.loads(json.dumps(report.to_dict()))["rows_in"] == len(MESSY)
    assert report.to_frame()["removed"].sum() == report.rows_in - report.rows_out


def test_lines_are_duplicates_only_if_every_column_of_the_file_agrees() -> None:
    log = frame(("a", "2024-01-05", 1), ("a", "2024-01-05", 1)).assign(hour=[9, 10])
    assert steps(read_transactions(log))["exact duplicate of an earlier line"] == (0, 0)
    assert steps(read_transactions(log.assign(hour=9)))["exact duplicate of an earlier line"] == (1, 0)


@pytest.mark.parametrize(
    ("rule", "left"),
    [
        ({"flag": [True]}, "bcd"),
        ({"code": ["POST", "M"]}, "bd"),
        ({"flag": [False], "code": ["M"]}, "abd"),
        ({"amount": [0]}, "abd"),
        ({"code": [None]}, "abc"),
        ({"code": ["'; DROP TABLE staged; --"]}, "abcd"),
    ],
)  # fmt: skip
def test_drop_rows_leaves_out_what_meets_every_condition_of_a_rule(
    rule: dict[str, list[object]], left: str, tmp_path: Path
) -> None:
    log = pd.DataFrame({
        "customer_id": list("abcd"), "date": "2024-01-05", "amount": [1.0, 2.0, 0.0, 4.0],
        "flag": [True, False, False, False], "code": ["POST", "x", "M", None],
    })  # fmt: skip
    log.to_csv(tmp_path / "log.csv", index=False)
    log.to_parquet(tmp_path / "log.parquet")
    for source in (log, tmp_path / "log.csv", tmp_path / "log.parquet"):
        read = read_transactions(source, rules=ReadingRules(drop_rows=[rule]))  # type: ignore[list-item]
        assert "".join(str(row[0]) for row in days(read)) == left


def test_a_broken_row_that_is_left_out_anyway_is_no_error() -> None:
    broken = frame(("a", "2024-01-05", 1), ("b", "1900-01-01", 1), ("", "never", "ten"), ("c", "9999-12-31", 1))
    rules = ReadingRules(start=date(2024, 1, 1), end=date(2024, 12, 31))
    assert read_transactions(broken, rules=rules).cleaning.rows_out == 1


def test_optional_columns_arrive_under_their_roles() -> None:
    log = frame(("a", "2024-01-05", 1)).assign(o=["0001"], q=["2"], shop=["web"])
    read = read_transactions(log, Columns(order_id="o", quantity="q", channel="shop"))
    result = engine.run(read.connection, "SELECT order_id, quantity, channel FROM transactions")
    assert result == [("0001", 2.0, "web")]


# --- the locked room


HOSTILE = ['"; drop table x; --', "a.b", "select", "it's", "{}", "c0", "%s", "$start", "naïve 顧客"]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_column_name_is_only_a_name(name: str, tmp_path: Path) -> None:
    log = pd.DataFrame({"customer_id": ["a", "b"], "date": "2024-01-05", name: [1.0, 2.0]})
    log.to_parquet(tmp_path / "log.parquet")
    log.to_csv(tmp_path / "log.csv", index=False)
    for source in (log, tmp_path / "log.parquet", tmp_path / "log.csv"):
        read = read_transactions(source, Columns(amount=name), ReadingRules(drop_rows=[{name: [2]}, {name: ["'x"]}]))
        assert days(read) == [("a", date(2024, 1, 5), 1.0, True, 1)]


def test_a_hostile_id_is_only_an_id() -> None:
    hostile = "'); DROP TABLE customer_days; --"
    assert days(read_transactions(frame((hostile, "2024-01-05", 1))))[0][0] == hostile


@pytest.fixture(scope="module")
def locked() -> duckdb.DuckDBPyConnection:
    """Return the connection of a log that was read."""
    return read_transactions(frame(("a", "2024-01-05", 1))).connection


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM read_text('/etc/hostname')",
        "SELECT * FROM read_text('../../etc/hostname')",
        "SELECT * FROM '/etc/hostname.csv'",
        "SELECT * FROM glob('/etc/*')",
        "SELECT * FROM read_csv('http://127.0.0.1:9/x.csv')",
        "COPY customer_days TO 'out.csv'",
        "EXPORT DATABASE 'out'",
        "ATTACH 'out.duckdb'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "SET lock_configuration = false",
        "SET temp_directory = '/tmp'",
        "RESET memory_limit",
        "SELECT * FROM LINES_OF_PYTHON",
    ],
)
def test_a_locked_connection_reaches_nothing_outside(
    statement: str, locked: duckdb.DuckDBPyConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    LINES_OF_PYTHON = MESSY  # noqa: F841  # what a replacement scan would find
    with pytest.raises(duckdb.Error):
        locked.execute(statement)
    assert list(tmp_path.iterdir()) == []
    assert engine.run(locked, "SELECT count(*) FROM customer_days") == [(1,)]


def test_a_symlink_out_of_the_folder_is_shut_too(locked: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    (tmp_path / "link.txt").symlink_to("/etc/hostname")
    with pytest.raises(duckdb.Error):
        locked.execute("SELECT * FROM read_text($path)", {"path": str(tmp_path / "link.txt")})


def test_a_connection_that_is_lent_stays_open_until_its_owner_locks_it(tmp_path: Path) -> None:
    connection = engine.connect()
    log = read_transactions(frame(("a", "2024-01-05", 1)), connection=connection)
    again = read_transactions(frame(("b", "2024-01-05", 1)), connection=connection)
    assert log.connection is connection
    assert days(again) == [("b", date(2024, 1, 5), 1.0, True, 1)]
    engine.lock(connection)
    with pytest.raises(duckdb.Error):
        connection.execute("SELECT * FROM glob('*')")


def test_reading_leaves_only_the_two_tables_and_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    log = read_transactions(frame(("a", "2024-01-05", 1)))
    assert sorted(engine.run(log.connection, "SELECT table_name FROM duckdb_tables()")) == [
        ("customer_days",),
        ("transactions",),
    ]
    assert engine.run(log.connection, "SELECT view_name FROM duckdb_views() WHERE NOT internal") == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.odd
def test_a_log_beyond_the_memory_limit_spills_or_says_so(tmp_path: Path) -> None:
    path = tmp_path / "log.parquet"
    numbers = np.arange(1_500_000)
    pd.DataFrame({"customer_id": numbers.astype(str), "date": pd.Timestamp("2024-01-05"), "amount": 1.0}).to_parquet(
        path
    )
    spill = tmp_path / "spill"
    log = read_transactions(path, connection=engine.connect("160MB", 1, str(spill)))
    assert log.n_customers == len(numbers)
    with pytest.raises(InputError, match="memory limit"):
        read_transactions(path, connection=engine.connect("60MB", 1))
