"""The door of Spark: what it reads, how it reads it, and what it refuses, beside the door of DuckDB."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from churn_clv.data.contract import Columns, EventsTable, ReadingRules
from churn_clv.data.read_events import read_events
from churn_clv.data.spark_engine import spark_session
from churn_clv.data.spark_log import SparkLog, read_events_on_spark, read_transactions_on_spark
from churn_clv.data.transactions import read_transactions
from churn_clv.errors import InputError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [pytest.mark.spark, pytest.mark.filterwarnings("ignore:PySpark does not yet")]
DAYS = "SELECT customer_id, day, amount, is_purchase, lines, first_day FROM customer_days ORDER BY customer_id, day"
PLAIN = "customer_id,date,amount\n"


@pytest.fixture(autouse=True, scope="module")
def interpreted(spark: SparkSession) -> Iterator[None]:
    """Logs of three lines: writing and compiling Java for them would be all the work."""
    names = {"spark.sql.codegen.wholeStage": "false", "spark.sql.codegen.factoryMode": "NO_CODEGEN"}
    for name, value in names.items():
        spark.conf.set(name, value)
    yield
    for name in names:
        spark.conf.unset(name)


def same(source: Any, columns: Columns, rules: ReadingRules, spark: SparkSession) -> pd.DataFrame:
    """Read a source on both engines, see that they agree, and return the days."""
    duck = read_transactions(source, columns, rules)
    log = read_transactions_on_spark(source, columns, rules, session=spark)
    found = days_of(log)
    pd.testing.assert_frame_equal(found, duck.frame(DAYS))
    assert log.cleaning == duck.cleaning
    return found


def days_of(log: SparkLog) -> pd.DataFrame:
    found = log.frame(DAYS)
    log.release()
    return found


def refused(source: Any, rules: ReadingRules, spark: SparkSession, columns: Columns | None = None) -> tuple[str, str]:
    """Return what DuckDB and Spark say of a source that both refuse."""
    with pytest.raises(InputError) as duck:
        read_transactions(source, columns, rules)
    with pytest.raises(InputError) as here:
        read_transactions_on_spark(source, columns, rules, session=spark)
    return str(duck.value), str(here.value)


def test_csv_with_semicolons_decimal_commas_and_days_first(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(
        'kunde;datum;betrag;note\n007;1.2.2024;12,50;"ein; Semikolon"\nZoë;29.02.24;-3,0;\n"";3.2.2024;1;\n0007;3.2.2024 ;1e1;x\n',
        encoding="cp1252",
    )
    columns = Columns("kunde", "datum", "betrag")
    rules = ReadingRules(date_format="%d.%m.%Y", decimal=",", encoding="cp1252")
    (tmp_path / "b.csv").write_text("kunde;datum;betrag;note\nZoë;28.02.2024;3,25;\n", encoding="cp1252")
    duck, here = refused(tmp_path, rules, spark, columns)
    assert here.replace("not looked for on Spark", "a.csv line 3") == duck
    (tmp_path / "a.csv").write_text(
        (tmp_path / "a.csv").read_text(encoding="cp1252").replace("02.24", "02.2024"), encoding="cp1252"
    )
    found = same(tmp_path, columns, rules, spark)
    assert found["customer_id"].tolist() == ["0007", "007", "Zoë", "Zoë"]
    assert found["amount"].tolist() == [10.0, 12.5, 3.25, -3.0]


NAIVE = ["2024-01-31", "2024-01-31 23:59", "2024-01-31T23:59:59.999999999", "20240131", "2024/01/31", "1970-01-01"]
WITH_OFFSET = [
    "2024-01-31 23:30:00+02:00",
    "2024-01-31 00:30:00+01:00",
    "2024-01-31T23:30:00Z",
    "2024-03-31 23:30:00.5-05",
]


@pytest.mark.parametrize("texts", [NAIVE, WITH_OFFSET])
def test_every_way_to_write_an_iso_date(spark: SparkSession, tmp_path: Path, texts: list[str]) -> None:
    (tmp_path / "log.csv").write_text(PLAIN + "".join(f"c{k},{text},1\n" for k, text in enumerate(texts)))
    rules = ReadingRules(timezone="America/New_York")
    assert len(same(tmp_path / "log.csv", Columns(), rules, spark)) == len(texts)


@pytest.mark.parametrize(
    ("pattern", "texts"),
    [
        ("%d/%m/%y %H:%M", ["1/2/24 3:4", "01/02/69 00:00", "31/12/68 23:59"]),
        ("%d %b %Y", ["1 feb 2024", "29 FEB 2024", "3  Mar 1999"]),
        ("%A, %d %B %Y", ["Monday, 1 January 2024"]),
        ("%m/%d/%Y %I:%M %p", ["2/1/2024 12:30 AM", "2/1/2024 12:30 pm", "12/31/2023 1:05 PM"]),
        ("%Y%m%d", ["20240105", "2024105"]),
        (
            "%Y-%m-%dT%H:%M:%S.%f%z",
            ["2024-01-31T23:30:00.5+0200", "2024-01-31T23:30:00.5-02", "2024-02-01T00:10:00.1+05:30"],
        ),
    ],
)
def test_dates_in_a_format_of_their_own(spark: SparkSession, tmp_path: Path, pattern: str, texts: list[str]) -> None:
    (tmp_path / "log.csv").write_text(
        "customer_id;date;amount\n" + "".join(f"c{k};{t};1\n" for k, t in enumerate(texts))
    )
    rules = ReadingRules(date_format=pattern, end=date(2025, 1, 1), start=date(1971, 1, 1), timezone="Asia/Tokyo")
    same(tmp_path / "log.csv", Columns(), rules, spark)


def test_a_format_that_is_not_read_on_spark_is_named(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(f"{PLAIN}a,2024-060,1\n")
    with pytest.raises(InputError, match=r"date_format '%Y-%j': '%j' is not read on Spark"):
        read_transactions_on_spark(tmp_path / "log.csv", rules=ReadingRules(date_format="%Y-%j"), session=spark)


@pytest.mark.parametrize(
    "lines",
    [
        "a,2024-01-01,\nb,2024-01-01,1\n", "a,2024-01-01,1.5.2\n", "a,01/02/2024,1\n", "a,,1\n", "a,2030-01-01,1\n",
        "a,1969-12-31,1\n", "a,2024-01-01,1e12\n", "1.0,2024-01-01,1\n2.0,2024-01-01,1\n", "1.5e+10,2024-01-01,1\n",
        " a,2024-01-01,1\n", "a\u00a0,2024-01-01,1\n", "a,2024-01-01 10:00:00Z,1\nb,2024-01-01 10:00:00,1\n", "",
        "NA,2024-01-01,1\n",
    ],
)  # fmt: skip
def test_what_duckdb_refuses_spark_refuses_in_the_same_words(spark: SparkSession, tmp_path: Path, lines: str) -> None:
    file = tmp_path / "log.csv"
    file.write_text(PLAIN + lines, encoding="utf-8")
    duck, here = refused(file, ReadingRules(missing_customer_id="error"), spark)
    assert here.replace("not looked for on Spark", "line 2") == duck


def test_missing_amounts_of_a_frame_are_refused_alike(spark: SparkSession) -> None:
    frame = pd.DataFrame({"customer_id": ["a", "b"], "date": "2024-01-05", "amount": [float("nan"), 1.0]})
    duck, here = refused(frame, ReadingRules(), spark)
    assert here.replace("not looked for on Spark", "row 1") == duck


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f'{PLAIN}a,2024-01-01,"1\n"\n', "no field may hold a line end"),
        (f"{PLAIN}a,2024-01-01\n", "cannot be read as CSV with the 3 fields of the header"),
        (f"{PLAIN}a,2024-01-01,1,2\n", "cannot be read as CSV with the 3 fields of the header"),
        ("customer_id,day,amount\na,2024-01-01,1\n", "no column 'date' for date"),
    ],
)
def test_csv_that_cannot_be_read_is_refused_by_name(spark: SparkSession, tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "log.csv").write_text(text)
    with pytest.raises(InputError, match=said):
        read_transactions_on_spark(tmp_path / "log.csv", session=spark)


def test_bytes_that_are_no_utf8_are_refused(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_bytes(b"customer_id,date,amount\nZo\xeb,2024-01-01,1\n")
    with pytest.raises(InputError, match="is not utf-8 text"):
        read_transactions_on_spark(tmp_path / "log.csv", session=spark)


def test_gzip_a_byte_order_mark_and_windows_line_ends(spark: SparkSession, tmp_path: Path) -> None:
    text = "\ufeffcustomer_id,date,amount\r\na,2024-01-01,1\r\n\r\nb,2024-01-02,2\r\n"
    with gzip.open(tmp_path / "log.csv.gz", "wb") as file:
        file.write(text.encode())
    assert len(same(tmp_path / "log.csv.gz", Columns(), ReadingRules(), spark)) == 2


def test_parquet_in_folders_named_by_a_column(spark: SparkSession, tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "customer_id": ["1", "2", "3"],
            "date": pd.to_datetime(["2024-01-01", "2024-02-03", "2024-02-04"]),
            "amount": 1.5,
        }
    )
    for month, part in frame.groupby(frame["date"].dt.month):
        (tmp_path / "my [log]" / f"month={month}").mkdir(parents=True)
        part.astype({"date": "datetime64[ns]"}).to_parquet(tmp_path / "my [log]" / f"month={month}" / "x.parquet")
    (tmp_path / "my [log]" / "_SUCCESS").touch()
    found = same(tmp_path / "my [log]", Columns(), ReadingRules(drop_rows=[{"month": [1]}]), spark)
    assert found["customer_id"].tolist() == ["2", "3"]


def test_parts_of_other_columns_are_refused_and_not_filled_with_nothing(spark: SparkSession, tmp_path: Path) -> None:
    frame = pd.DataFrame({"customer_id": ["1"], "date": ["2024-01-01"], "amount": [1.5]})
    frame.to_parquet(tmp_path / "a.parquet")
    frame.drop(columns="amount").to_parquet(tmp_path / "b.parquet")
    with pytest.raises(InputError, match="its parts differ"):
        read_transactions_on_spark(tmp_path, session=spark)


def test_two_logs_at_once_do_not_meet(spark: SparkSession) -> None:
    frame = pd.DataFrame({"customer_id": ["a"], "date": "2024-01-05", "amount": [1.0]})
    one = read_transactions_on_spark(frame, session=spark)
    two = read_transactions_on_spark(frame.assign(customer_id="b"), session=spark)
    assert [list(days_of(log)["customer_id"]) for log in (one, two)] == [["a"], ["b"]]


def test_events_of_more_than_fifty_kinds_are_refused_alike(spark: SparkSession) -> None:
    lines = pd.DataFrame({"customer_id": ["a"] * 60, "date": "2024-01-05", "amount": 1.0})
    events = lines.assign(kind=[f"kind {k}" for k in range(60)])
    table = EventsTable("", kind="kind")
    from churn_clv.data import engine

    log = read_transactions_on_spark(lines, session=spark)
    with pytest.raises(InputError) as duck:
        read_events(events, read_transactions(lines, connection=engine.connect()), table, ReadingRules())
    with pytest.raises(InputError) as here:
        read_events_on_spark(events, log, table, ReadingRules())
    log.release()
    assert str(here.value) == str(duck.value)


def test_the_session_that_runs_is_taken_and_left_as_it_is(spark: SparkSession) -> None:
    before = dict(spark.conf.getAll)
    assert spark_session("local[7]").sparkContext is spark.sparkContext
    log = read_transactions_on_spark(
        pd.DataFrame({"customer_id": ["a"], "date": "2024-01-05", "amount": [1.0]}), session=spark
    )
    assert replace(log).frame("SELECT count(*) AS n FROM customer_days")["n"].tolist() == [1]
    log.release()
    assert dict(spark.conf.getAll) == before
