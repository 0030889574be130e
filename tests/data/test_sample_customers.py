"""A sample of customers: whole histories, the same on every machine, nested, and counted in the cleaning report."""

from __future__ import annotations

import hashlib
from datetime import date

import pandas as pd

from churn_clv.data.contract import ReadingRules
from churn_clv.data.simulate import simulate_log
from churn_clv.data.transactions import TransactionLog, read_transactions

LOG = simulate_log(customers=300, seed=9, start=date(2024, 1, 1), days=200, arrival_days=100)


def read(n: int | None, log: pd.DataFrame = LOG) -> TransactionLog:
    return read_transactions(log, rules=ReadingRules(sample_customers=n))


def ids(log: TransactionLog) -> list[str]:
    return [row[0] for row in log.connection.sql("SELECT DISTINCT customer_id FROM transactions ORDER BY 1").fetchall()]


def test_the_sample_is_the_customers_with_the_lowest_md5() -> None:
    """Slow oracle: Python's own md5 over every id."""
    everyone = sorted(set(LOG["customer_id"]), key=lambda name: hashlib.md5(name.encode()).hexdigest())  # noqa: S324
    assert ids(read(40)) == sorted(everyone[:40])


def test_histories_are_whole_and_the_order_of_rows_does_not_matter() -> None:
    kept = read(40)
    of_them = LOG[LOG["customer_id"].isin(ids(kept))]
    assert kept.cleaning.rows_out == len(of_them)
    shuffled = read(40, LOG.sample(frac=1, random_state=1))
    query = "SELECT * FROM customer_days ORDER BY ALL"
    assert kept.connection.sql(query).fetchall() == shuffled.connection.sql(query).fetchall()


def test_a_larger_sample_holds_the_smaller_and_one_as_large_as_the_log_is_the_log() -> None:
    assert set(ids(read(40))) < set(ids(read(100)))
    assert ids(read(10_000)) == ids(read(None))


def test_the_log_speaks_of_the_same_days_whoever_is_sampled() -> None:
    few, everyone = read(3), read(None)
    assert (few.first_day, few.last_day, few.n_customers) == (everyone.first_day, everyone.last_day, 3)


def test_what_is_left_out_is_counted() -> None:
    report = read(40).cleaning
    [step] = [step for step in report.steps if "sample" in step.rule]
    assert step.rule == "of a customer outside the sample of 40"
    assert step.removed == report.rows_in - report.rows_out == len(LOG) - report.rows_out > 0
