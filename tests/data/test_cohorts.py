"""Cohorts: every customer-day counted once, in the period and at the age that counting by hand gives."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from churn_clv.data.cohorts import Period, acquired_between, cohort_activity, cohort_of, cohort_period
from churn_clv.data.contract import Columns
from churn_clv.data.simulate import simulate_log
from churn_clv.data.transactions import TransactionLog, read_transactions
from churn_clv.errors import InputError

AS_OF = date(2024, 4, 10)
ROWS = [
    ("a", "2024-01-05", 10.0),
    ("a", "2024-01-20", 5.0),
    ("a", "2024-02-03", 4.0),
    ("a", "2024-03-01", -2.0),  # a day of refunds alone
    ("a", "2024-04-02", 1.0),
    ("b", "2024-01-31", 20.0),
    ("c", "2024-01-15", -7.0),  # before the first purchase: acquires nobody, counts nowhere
    ("c", "2024-02-10", 8.0),
    ("c", "2024-04-05", 2.0),
    ("c", "2024-04-11", 100.0),  # after AS_OF
    ("d", "2024-04-20", 50.0),  # acquired after AS_OF
    ("e", "2024-02-01", -3.0),  # refunds only
]
COLUMNS = ["customers", "active", "purchases", "spend", "complete"]


def read(rows: list[tuple[str, str, float]]) -> TransactionLog:
    return read_transactions(pd.DataFrame(rows, columns=["customer_id", "date", "amount"]))


def number(day: date, period: Period) -> int:
    """Count periods of the calendar, weeks from Monday 5 January 1970."""
    return {
        "week": (day - date(1970, 1, 5)).days // 7,
        "month": 12 * day.year + day.month - 1,
        "quarter": 4 * day.year + (day.month - 1) // 3,
        "year": day.year,
    }[period]


def label(day: date, period: Period) -> str:
    return {
        "week": str(day - timedelta(days=day.weekday())),
        "month": f"{day.year}-{day.month:02d}",
        "quarter": f"{day.year}-Q{(day.month + 2) // 3}",
        "year": str(day.year),
    }[period]


def by_hand(days: dict[str, list], as_of: date, period: Period) -> pd.DataFrame:
    """The same table, one customer-day at a time."""
    rows: dict[tuple[str, int], list] = {}
    for history in days.values():
        known = [d for d in history if d.day <= as_of]
        first = next((d.day for d in known if d.is_purchase), None)
        if first is None:
            continue
        start = number(first, period)
        for age in range(number(as_of, period) - start + 1):
            here = [d for d in known if d.day >= first and number(d.day, period) == start + age]
            bought = sum(d.is_purchase for d in here)
            row = rows.setdefault((label(first, period), age), [0, 0, 0, Decimal(0), True])
            row[0] += 1
            row[1] += bought > 0
            row[2] += bought
            row[3] += sum((d.amount for d in here), Decimal(0))
            row[4] = number(as_of + timedelta(days=1), period) > start + age
    table = pd.DataFrame.from_dict(rows, orient="index", columns=COLUMNS)
    table.index = pd.MultiIndex.from_tuples(table.index, names=["cohort", "age"])
    return table.astype({"spend": float}).sort_index()


def test_a_small_log_gives_the_figures_counted_by_hand() -> None:
    found = cohort_activity(read(ROWS), AS_OF, "month")
    assert found.index.tolist() == [("2024-01", 0), ("2024-01", 1), ("2024-01", 2), ("2024-01", 3),
                                    ("2024-02", 0), ("2024-02", 1), ("2024-02", 2)]  # fmt: skip
    assert found.to_numpy().tolist() == [
        [2, 2, 3, 35.0, True],
        [2, 1, 1, 4.0, True],
        [2, 0, 0, -2.0, True],
        [2, 1, 1, 1.0, False],
        [1, 1, 1, 8.0, True],
        [1, 0, 0, 0.0, True],
        [1, 1, 1, 2.0, False],
    ]
    assert cohort_of(read(ROWS), AS_OF, "month").to_dict() == {"a": "2024-01", "b": "2024-01", "c": "2024-02"}
    assert acquired_between(read(ROWS), AS_OF) == (date(2024, 1, 5), date(2024, 2, 10))


@pytest.mark.parametrize("period", ["week", "month", "quarter", "year"])
@pytest.mark.parametrize("as_of", [date(2023, 5, 17), date(2023, 12, 31), date(2024, 6, 30)])
def test_activity_equals_a_slow_count_of_days_with_every_oddity(
    odd_log: TransactionLog, odd_days: dict, as_of: date, period: Period
) -> None:
    # exact: money is summed as decimals
    found, expected = cohort_activity(odd_log, as_of, period), by_hand(odd_days, as_of, period)
    pd.testing.assert_frame_equal(found, expected, check_exact=True, check_index_type=False)


@pytest.mark.parametrize("period", ["week", "month", "quarter", "year"])
def test_each_customer_is_in_the_cohort_of_the_first_purchase(
    odd_log: TransactionLog, odd_days: dict, period: Period
) -> None:
    as_of, first = date(2023, 12, 31), {}
    for customer, history in odd_days.items():
        days = [d.day for d in history if d.is_purchase and d.day <= as_of]
        if days:
            first[customer] = label(min(days), period)
    found = cohort_of(odd_log, as_of, period)
    assert found.to_dict() == first
    assert found.index.is_monotonic_increasing
    sizes = cohort_activity(odd_log, as_of, period)["customers"].groupby(level="cohort").first()
    assert sizes.to_dict() == found.value_counts().to_dict()


def test_activity_of_a_simulated_log_adds_up_to_the_log() -> None:
    frame = simulate_log(customers=500, seed=3)
    log = read_transactions(frame)
    found = cohort_activity(log, log.last_day, "month")
    days = frame.groupby(["customer_id", "date"]).size()
    assert found["purchases"].sum() == len(days)
    # cents: each of some thousand amounts has two decimals, the sum in floating point is off by far less
    assert found["spend"].sum() == pytest.approx(frame["amount"].sum(), abs=1e-6)
    assert found["customers"].groupby(level=0).first().sum() == 500
    assert (found.xs(0, level="age")["active"] == found.xs(0, level="age")["customers"]).all()


def test_nothing_after_the_day_is_seen() -> None:
    frame = simulate_log(customers=200, seed=4)
    as_of = date(2023, 9, 14)
    later = frame["date"] > pd.Timestamp(as_of)
    vandalised = pd.concat(
        [
            frame[~later],
            frame[later].assign(amount=-1e6),
            frame[~later].assign(date=pd.Timestamp("2024-06-01"), customer_id="x" + frame["customer_id"]),
        ]
    )
    clean, dirty = read_transactions(frame), read_transactions(vandalised)
    assert acquired_between(clean, as_of) == acquired_between(dirty, as_of)
    for period in ("week", "month", "quarter", "year"):
        pd.testing.assert_frame_equal(
            cohort_activity(clean, as_of, period), cohort_activity(dirty, as_of, period), check_exact=True
        )
        pd.testing.assert_series_equal(cohort_of(clean, as_of, period), cohort_of(dirty, as_of, period))


def test_the_last_period_is_complete_only_on_its_last_day() -> None:
    log = read([("a", "2024-01-05", 1.0)])
    assert not cohort_activity(log, date(2024, 3, 30), "quarter")["complete"].any()
    assert cohort_activity(log, date(2024, 3, 31), "quarter")["complete"].all()
    assert cohort_activity(log, date(2024, 1, 7), "week")["complete"].tolist() == [True], "a Sunday ends the week"
    assert cohort_activity(log, date(2024, 1, 8), "week")["complete"].tolist() == [True, False]


def test_without_amounts_value_is_counted_in_purchases() -> None:
    frame = pd.DataFrame([r[:2] for r in ROWS if r[2] > 0], columns=["customer_id", "date"])
    found = cohort_activity(read_transactions(frame, Columns(amount=None)), AS_OF, "month")
    assert (found["spend"] == found["purchases"]).all()
    assert found["purchases"].sum() == 7


def test_a_log_in_which_nobody_has_bought_has_no_cohorts() -> None:
    log = read([("a", "2024-01-05", -1.0)])
    assert cohort_activity(log, AS_OF, "month").empty
    assert cohort_activity(log, AS_OF, "month").columns.tolist() == COLUMNS
    assert cohort_of(log, AS_OF, "month").empty
    with pytest.raises(InputError, match="no customer has a purchase up to 2024-04-10"):
        acquired_between(log, AS_OF)


def test_a_period_that_acquired_nobody_has_no_rows_but_ages_go_on_counting() -> None:
    log = read([("a", "2024-01-05", 1.0), ("b", "2024-04-05", 1.0), ("a", "2024-04-06", 2.0)])
    found = cohort_activity(log, date(2024, 4, 30), "month")
    assert found.index.unique("cohort").tolist() == ["2024-01", "2024-04"]
    assert found.loc[("2024-01", 3), "spend"] == 2.0


def test_the_period_gives_six_to_twenty_three_cohorts() -> None:
    # up to 22 years, which touch 23; the docstring names the limit
    rng, seen = np.random.default_rng(2), defaultdict(int)
    for days in [*range(35, 1500), *range(1500, 8000, 7)]:
        first = date(2000, 1, 1) + timedelta(days=int(rng.integers(0, 1500)))
        last = first + timedelta(days=days)
        period = cohort_period(first, last)
        cohorts = number(last, period) - number(first, period) + 1
        assert cohorts <= 23
        assert cohorts >= 6
        seen[period] += 1
    assert set(seen) == {"week", "month", "quarter", "year"}
    assert cohort_period(date(2024, 1, 1), date(2024, 1, 1)) == "week"
    with pytest.raises(ValueError, match="is before first_day"):
        cohort_period(date(2024, 1, 2), date(2024, 1, 1))


def test_labels_sort_in_the_order_of_time_over_the_turn_of_a_year() -> None:
    days = pd.date_range("1996-11-20", "1998-02-10")
    log = read_transactions(pd.DataFrame({"customer_id": [f"{k:04d}" for k in range(len(days))], "date": days, "amount": 1.0}))  # fmt: skip
    for period in ("week", "month", "quarter", "year"):
        labels = cohort_of(log, date(1998, 3, 1), period)
        assert labels.tolist() == [label(d.date(), period) for d in days]
        assert labels.is_monotonic_increasing
