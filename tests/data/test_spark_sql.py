"""The data room's SQL in Spark's words. What Spark answers to it is asked in tests/spark, by make spark."""

from __future__ import annotations

import sys
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import churn_clv.data
from churn_clv.data.engine import query
from churn_clv.data.spark_engine import spark_session
from churn_clv.data.spark_sql import literal, statement
from churn_clv.errors import InputError

DAY = date(2024, 1, 31)
VALUES: dict[str, Any] = {
    "as_of": DAY, "cutoff": DAY, "cutoffs": [DAY], "until": DAY, "start": None, "end": None, "latest": DAY, "fewest": 10,
    "kinds": ["visit"], "names": ["visit"], "horizons": [30], "period": "week", "spend": "all", "customers": 5,
    "timezone": "UTC", "iso": True, "number": r"\d+", "missing_customer": "no_customer", "has_amount": True,
    "has_margin": False, "positive_net": False, "margin_rate": Decimal("0.3"), "by": "segment",
    "place": 1,
}  # fmt: skip
FILES = sorted(path.stem for path in Path(churn_clv.data.__file__).parent.glob("*.sql"))
# Functions of DuckDB that mean something else to Spark, or nothing.
FOREIGN = (
    "REGEXP_FULL_MATCH", "TRY_STRPTIME", "TIMEZONE(", "ISFINITE", "HASH(", "ROWID", "ARG_MAX", "ARG_MIN", "QUANTILE_CONT",
    "PERCENTILE_CONT", "UNNEST", "MD5_NUMBER", "ISODOW", "LIST_CONTAINS", "EXCLUDE", "$",
)  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_no_function_that_only_duckdb_knows_reaches_spark(name: str) -> None:
    told = statement(query(name), VALUES).query.replace("XXHASH64(", "").upper()
    assert not [word for word in FOREIGN if word in told.replace(r"\D", "")]


def test_a_value_cannot_become_sql() -> None:
    evil = "'; DROP TABLE x; -- \\"
    told = statement("SELECT * FROM t WHERE a = $a", {"a": evil}).query
    assert told == r"SELECT * FROM `t` WHERE `a` = '\'; DROP TABLE x; -- \\'"


def test_a_name_cannot_become_sql() -> None:
    assert statement('SELECT "a`; DROP TABLE x" FROM t').query == "SELECT `a``; DROP TABLE x` FROM `t`"


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, "NULL"), (True, "TRUE"), (-3, "-3"), (0.1, "CAST('0.1' AS DOUBLE)"), (Decimal("0.30"), "0.30"),
        (DAY, "CAST('2024-01-31' AS DATE)"), ([1, "a"], "ARRAY(1, 'a')"),
    ],
)  # fmt: skip
def test_values_of_every_kind(value: Any, told: str) -> None:
    assert literal(value).sql("spark") == told


def test_a_value_of_another_kind_is_no_text_by_chance() -> None:
    with pytest.raises(TypeError, match="object cannot be bound"):
        literal(object())


def test_a_name_without_a_value_is_an_error() -> None:
    with pytest.raises(KeyError, match="no value is given for \\$b"):
        statement("SELECT $a, $b", {"a": 1})


@pytest.mark.parametrize(
    ("duckdb", "spark"),
    [
        ("SELECT max(day) - min(day) FROM t", "SELECT DATEDIFF(MAX(`day`), MIN(`day`)) FROM `t`"),
        ("SELECT lag(day) OVER (ORDER BY n) AS before, day - before AS gap, gap - 1 FROM t",
         "SELECT LAG(`day`) OVER (ORDER BY `n` NULLS LAST) AS `before`, DATEDIFF(`day`, `before`) AS `gap`, `gap` - 1 FROM `t`"),
        ("SELECT day - 28 FROM t", "SELECT `day` - 28 FROM `t`"),
        ("SELECT a / nullif(b, 0) FROM t", "SELECT CAST(`a` AS DOUBLE) / CAST(NULLIF(`b`, 0) AS DOUBLE) FROM `t`"),
        ("SELECT a / b FROM t",
         "SELECT CASE WHEN CAST(`b` AS DOUBLE) = 0 THEN CAST(`a` AS DOUBLE) * CAST('Infinity' AS DOUBLE) "
         "ELSE CAST(`a` AS DOUBLE) / CAST(`b` AS DOUBLE) END FROM `t`"),
        ("SELECT * FROM (WITH a AS (SELECT 1 AS x) FROM a) JOIN (WITH a AS (SELECT 2 AS x) FROM a) USING (x)",
         "SELECT * FROM (SELECT * FROM (SELECT 1 AS `x`) AS `a`) JOIN (SELECT * FROM (SELECT 2 AS `x`) AS `a`) USING (`x`)"),
        ("SELECT arg_max(a, b) FROM t", "SELECT MAX_BY(`a`, CASE WHEN NOT `a` IS NULL THEN `b` END) FROM `t`"),
        ("SELECT isodow(day) FROM t", "SELECT WEEKDAY(`day`) + 1 FROM `t`"),
        ("SELECT a FROM t LIMIT CAST(5 AS BIGINT)", "SELECT `a` FROM `t` LIMIT 5"),
        (r"SELECT regexp_full_match(a, 'x|[$]\$') FROM t", r"SELECT `a` RLIKE '\\A(?:x|[$]\\$)\\z' FROM `t`"),
        ("SELECT unnest([1]) AS a, unnest(['x']) AS b",
         "SELECT INLINE(ARRAYS_ZIP(ARRAY(1), ARRAY('x'))) AS (`a`, `b`)"),
        ("SELECT min(rowid) FROM t", "SELECT MIN(`row_hash`) FROM `t`"),
    ],
)  # fmt: skip
def test_what_sqlglot_alone_would_get_wrong(duckdb: str, spark: str) -> None:
    assert statement(duckdb).query == spark


def test_a_table_is_filled_by_a_query_without_named_parts_and_order() -> None:
    told = statement("CREATE OR REPLACE TABLE t AS WITH a AS (SELECT 1 AS x) SELECT x FROM a AS b ORDER BY x")
    assert told.creates == "t"
    assert told.query == "SELECT `x` FROM (SELECT 1 AS `x`) AS `b`"
    assert statement("DROP TABLE t").drops == "t"


def test_without_pyspark_one_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyspark", None)
    monkeypatch.setitem(sys.modules, "pyspark.errors", None)
    with pytest.raises(InputError, match=r"pip install 'churn-clv\[spark\]'"):
        spark_session("local[2]")
