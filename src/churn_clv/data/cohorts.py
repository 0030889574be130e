"""Acquisition cohorts: customers by the calendar period of their first purchase, and what each cohort did since."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from types import MappingProxyType
from typing import Literal

import numpy as np
import pandas as pd

from churn_clv.data.engine import query
from churn_clv.data.log import Log
from churn_clv.errors import InputError

Period = Literal["week", "month", "quarter", "year"]
FEWEST_COHORTS = 6
# Period, the longest first -> pandas' name of it, and how a cohort is written: labels sort in the order of time.
_CALENDAR: Mapping[Period, tuple[str, str]] = MappingProxyType(
    {"year": ("Y-DEC", "%Y"), "quarter": ("Q-DEC", "%Y-Q%q"), "month": ("M", "%Y-%m"), "week": ("W-SUN", "%Y-%m-%d")}
)


def cohort_period(first_day: date, last_day: date) -> Period:
    """Choose the longest calendar period that cuts the days of acquisition into at least six cohorts.

    There are then 6 to 23 of them, unless customers came for less than six weeks (fewer) or more than 23 years.

    Parameters
    ----------
    first_day, last_day
        First and last day on which a customer was acquired (`acquired_between`), not of the log: CDNOW's customers all
        came within 12 of its 78 weeks.

    Raises
    ------
    ValueError
        If the days are out of order.

    Examples
    --------
    >>> cohort_period(date(1997, 1, 1), date(1997, 3, 25)), cohort_period(date(2009, 12, 1), date(2011, 12, 9))
    ('week', 'quarter')
    """
    if last_day < first_day:
        raise ValueError(f"last_day {last_day} is before first_day {first_day}")
    for period in _CALENDAR:
        first, last = _numbers(pd.Series([first_day, last_day]), period)
        if last - first + 1 >= FEWEST_COHORTS:
            return period
    return "week"


def acquired_between(log: Log, as_of: date) -> tuple[date, date]:
    """Return the first and the last day, up to `as_of`, on which a customer was acquired.

    Raises
    ------
    InputError
        If nobody had bought by then.
    """
    acquired = log.frame(query("acquired"), {"as_of": as_of})["first_day"]
    if acquired.empty:
        raise InputError(f"no customer has a purchase up to {as_of}: there are no cohorts; take a later day")
    return pd.Timestamp(acquired.min()).date(), pd.Timestamp(acquired.max()).date()


def cohort_of(log: Log, as_of: date, period: Period) -> pd.Series:
    """Return the cohort of every customer who had bought by a day.

    Returns
    -------
    Series `cohort` indexed by customer_id (text), in order of it: the period of the first purchase, as "1997",
    "1997-Q1", "1997-01" or, for a week, the date of its Monday. Labels sort in the order of time.

    Examples
    --------
    >>> from churn_clv.data.transactions import read_transactions
    >>> frame = pd.DataFrame({"customer_id": ["a", "b", "b"], "amount": 1.0,
    ...                       "date": ["2024-01-31", "2024-02-01", "2024-03-01"]})
    >>> cohort_of(read_transactions(frame), date(2024, 3, 31), "month").to_dict()
    {'a': '2024-01', 'b': '2024-02'}
    """
    rows = log.frame(query("acquired"), {"as_of": as_of})
    return pd.Series(_labels(rows["first_day"], period), index=pd.Index(rows["customer_id"]), name="cohort")


def cohort_activity(log: Log, as_of: date, period: Period) -> pd.DataFrame:
    """Count what each cohort did in each calendar period from its own to the one of `as_of`.

    Age is counted in periods of the calendar: 0 is the period of the first purchase, of which a customer sees a part
    only, 1 the next one. Nothing after `as_of` is seen. The first cohort of a log that begins in the middle of a
    business holds old customers too, whose first purchases lie before the log.

    Returns
    -------
    DataFrame indexed by (cohort, age), all ages from 0 on: customers (acquired in the cohort), active (customers with
    a purchase in that period), purchases (purchase days), spend (net value in the log's currency, refunds lower it;
    margin or purchases where `log.value_is` says so), complete (False in the period that `as_of` cuts). Periods in
    which nobody was acquired have no rows.

    Examples
    --------
    >>> from churn_clv.data.transactions import read_transactions
    >>> frame = pd.DataFrame({"customer_id": ["a", "b", "b"], "amount": [5.0, 2.0, 3.0],
    ...                       "date": ["2024-01-31", "2024-01-05", "2024-02-01"]})
    >>> cohort_activity(read_transactions(frame), date(2024, 2, 10), "month")
                 customers  active  purchases  spend  complete
    cohort  age
    2024-01 0            2       2          2    7.0      True
            1            2       1          1    3.0     False
    """
    rows = log.frame(query("cohort_activity"), {"as_of": as_of, "period": period})
    today = pd.Period(as_of, _CALENDAR[period][0])
    cohort = _numbers(rows["cohort"], period)
    found = rows.assign(cohort=_labels(rows["cohort"], period), age=_numbers(rows["period"], period) - cohort)
    oldest = pd.Series(today.ordinal - cohort, index=found["cohort"]).groupby(level=0).first()
    every = _ages(oldest)
    table = found.set_index(["cohort", "age"])[["active", "purchases", "spend"]].reindex(every, fill_value=0)
    # Every customer buys in the period that acquires her.
    table.insert(0, "customers", table["active"].groupby(level="cohort").transform("first"))
    is_last = every.get_level_values("age") == oldest.reindex(every.get_level_values("cohort"))
    counts = {"customers": "int64", "active": "int64", "purchases": "int64", "spend": "float64"}
    return table.astype(counts).assign(complete=~is_last.to_numpy() | (today.end_time.date() == as_of))


def _ages(oldest: pd.Series) -> pd.MultiIndex:
    """Every age of every cohort, given its oldest."""
    pairs = [(label, age) for label, last in oldest.items() for age in range(last + 1)]
    return pd.MultiIndex.from_tuples(pairs, names=["cohort", "age"])


def _numbers(days: pd.Series, period: Period) -> np.ndarray:
    """Number the calendar periods that days lie in, one after the other."""
    return pd.PeriodIndex(pd.to_datetime(days), freq=_CALENDAR[period][0]).astype("int64").to_numpy()


def _labels(days: pd.Series, period: Period) -> np.ndarray:
    freq, form = _CALENDAR[period]
    codes, starts = pd.factorize(pd.PeriodIndex(pd.to_datetime(days), freq=freq).asfreq("D", how="start"))
    return np.asarray(starts.strftime(form), dtype=object)[codes]
