"""S10: a name in a database, a log or a table of scores is a name, whatever it says."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from urllib.parse import quote_plus

import duckdb
import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa
import sqlglot

from churn_clv.data.contract import Columns, ReadingRules
from churn_clv.data.summary import summarize
from churn_clv.data.transactions import read_transactions
from churn_clv.delivery.database import copy_table, database_table, rows_of
from churn_clv.delivery.segment_lists import lists_of
from churn_clv.delivery.summary_sql import summary_sql

NAMES = [
    '"; drop table kept; --',
    "'; drop table kept; --",
    "a.b c",
    "$x {y} %s :z ?",
    "x\\",
    "`kept`",
    "[kept]",
    "顧客",
    "select",
    "/*",
    "a\nb",
]


@pytest.mark.parametrize("name", NAMES[:8])
def test_a_table_of_a_database_and_its_columns_are_copied_under_any_names(tmp_path: Path, name: str) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'shop.db'}")
    quoted = engine.dialect.identifier_preparer.quote_identifier
    table = name.replace(".", "_")  # a dot parts schema and table in the address
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE kept (x INTEGER)")
        connection.exec_driver_sql(f"CREATE TABLE {quoted(table)} ({quoted(name)} TEXT, n INTEGER)")
        connection.exec_driver_sql(f"INSERT INTO {quoted(table)} VALUES (?, 1)", (name,))  # noqa: S608 (quoted)
    asked = database_table(f"sqlite:///{tmp_path / 'shop.db'}?table={quote_plus(table)}")
    assert (asked.name, rows_of(asked)) == (table, 1)
    copy_table(asked, tmp_path / "copy.parquet")
    assert pd.read_parquet(tmp_path / "copy.parquet").to_dict("list") == {name: [name], "n": [1]}
    assert sa.inspect(engine).has_table("kept")


@pytest.mark.parametrize("name", NAMES[:6])
def test_the_printed_summary_is_one_select_under_any_names_and_gives_what_the_command_gives(name: str) -> None:
    log = pd.DataFrame({"customer_id": ["a", "a", "b"], "date": pd.to_datetime(["2024-01-01", "2024-02-01", "2024-01-05"]),
                        "amount": [1.0, 2.0, 3.0]})  # fmt: skip
    named = log.set_axis([name, f"{name} day", f"{name} money"], axis=1)
    columns, end = Columns(*named.columns), date(2024, 3, 1)
    sql = summary_sql("kept", end, "repeat", columns)
    assert len(sqlglot.parse(sql, dialect="duckdb")) == 1
    connection = duckdb.connect()
    connection.register("kept", named)
    found = connection.execute(sql).df().set_index("customer_id").sort_index()
    expected = summarize(read_transactions(named, columns, ReadingRules(end=end)), end, "repeat").sort_index()
    assert found["frequency"].astype(int).to_dict() == expected["frequency"].astype(int).to_dict() == {"a": 1, "b": 0}
    assert connection.execute("SELECT count(*) FROM kept").fetchall() == [(3,)]


TOTALLED = ["contact_profit", "expected_outlay", "churn_probability", "value_if_active", "value_at_risk", "clv"]


@pytest.mark.parametrize("in_parts", [False, True])
def test_lists_are_made_by_any_column_and_of_any_segments(tmp_path: Path, in_parts: bool) -> None:
    numbers = np.arange(len(NAMES), dtype=float)
    for column in (NAMES[0], NAMES[3]):
        scores = pd.DataFrame({"customer_id": [f"c{k}" for k in range(len(NAMES))], column: NAMES, "expected_spend": numbers,
                               "as_of": date(2024, 1, 1), "T": 9.0, "recency": 1.0, "win_back": True, **dict.fromkeys(TOTALLED, 1.0)})  # fmt: skip
        source = tmp_path / f"scores-{NAMES.index(column)}"
        if in_parts:
            source.mkdir()
        place = source / "part-00000.parquet" if in_parts else source.with_suffix(".parquet")
        scores.set_index("customer_id").to_parquet(place)
        paths = lists_of(source if in_parts else place, column, tmp_path / f"lists-{NAMES.index(column)}")
        tables = [pd.read_parquet(path).reset_index() for path in paths if path.suffix == ".parquet"]
        assert sorted(name for table in tables for name in table[column]) == sorted(NAMES)
