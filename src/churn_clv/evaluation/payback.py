"""Whether the cost of acquiring customers has come back, cohort by cohort."""

from __future__ import annotations

import numpy as np
import pandas as pd

from churn_clv.data.cohorts import Period
from churn_clv.evaluation.labels import Unit
from churn_clv.segments.retention import members

BACK, EXPECTED, NOT_EXPECTED, OPEN = "paid back", "expected", "not expected", "not yet"


def cumulative_margin(activity: pd.DataFrame, margin_rate: float = 1.0) -> pd.DataFrame:
    """Return the margin a customer that each cohort has brought by each age, the unfinished period included.

    Parameters
    ----------
    activity
        From `cohort_activity`.
    margin_rate
        Share of the spend that is margin; 1 where the log's amounts are margins.

    Returns
    -------
    DataFrame, one row a cohort, one column an age, in the log's currency; missing where the period has not begun.

    Examples
    --------
    >>> ages = pd.MultiIndex.from_tuples([("1997-01", 0), ("1997-01", 1)], names=["cohort", "age"])
    >>> cumulative_margin(pd.DataFrame({"customers": 2, "spend": [30.0, 10.0]}, index=ages), 0.5)
    age        0     1
    cohort
    1997-01  7.5  10.0
    """
    if not 0 < margin_rate <= 1:
        raise ValueError(f"margin_rate is a share above 0 and at most 1, got {margin_rate!r}")
    a_customer = margin_rate * activity["spend"] / activity["customers"]
    return a_customer.groupby(level="cohort").cumsum().unstack("age")


def payback(
    activity: pd.DataFrame,
    cohorts: pd.Series,
    cost: float | pd.Series,
    *,
    clv: pd.Series | None = None,
    margin_rate: float = 1.0,
) -> pd.DataFrame:
    """Tell for each cohort whether its margin has covered what its customers cost to acquire, and at which age.

    Parameters
    ----------
    activity
        From `cohort_activity`.
    cohorts
        Customer -> cohort, from `cohort_of`, of the same day.
    cost
        What acquiring a customer cost, in the log's currency: one number, or one a customer by id.
    clv
        Forecast of what each customer will still spend, by id; without it nothing is said of the cohorts not there yet.
    margin_rate
        Share of the spend that is margin, for past and forecast; 1 where the log's amounts are margins.

    Returns
    -------
    DataFrame indexed by cohort, money a customer: customers, cost, earned (margin so far), age (periods since the
    acquisition that have begun), payback_age (the first at which the margin has reached the cost; missing where it has not),
    forecast (margin still to come; missing without clv) and verdict: "paid back", "expected" or "not expected" (by the
    forecast), or "not yet" without one. Later refunds may take a payback away again.

    Raises
    ------
    ValueError
        If a cost is missing, negative or not finite, or a customer has no forecast.
    """
    margins = cumulative_margin(activity, margin_rate)
    costs = _mean_cost(cost, cohorts).reindex(margins.index)
    there = margins.ge(costs, axis=0)
    table = pd.DataFrame(
        {
            "customers": activity["customers"].groupby(level="cohort").first(),
            "cost": costs,
            "earned": margins.ffill(axis=1).iloc[:, -1],
            "age": margins.notna().sum(axis=1) - 1,
            "payback_age": there.idxmax(axis=1).where(there.any(axis=1)).astype(float),
            "forecast": margin_rate * _mean(clv, cohorts, "clv") if clv is not None else np.nan,
        }
    )
    ahead = np.where(table["earned"] + table["forecast"] >= table["cost"], EXPECTED, NOT_EXPECTED)
    not_there = pd.Series(ahead, index=table.index).where(table["forecast"].notna(), OPEN)
    return table.assign(verdict=not_there.mask(table["payback_age"].notna(), BACK)).rename_axis("cohort")


def payback_sentences(table: pd.DataFrame, period: Period, unit: Unit, clv_horizon_days: int) -> list[str]:
    """Say for each cohort when it paid back, or what is still missing and whether the forecast covers it.

    Examples
    --------
    >>> row = {"cost": 20.0, "earned": 12.0, "age": 2, "payback_age": float("nan"), "forecast": 5.0}
    >>> table = pd.DataFrame([row | {"verdict": "not expected"}], index=["2024-01"])
    >>> print(payback_sentences(table, "month", Unit("EUR"), 365)[0])
    2024-01: 12 EUR of 20 EUR a customer earned after 2 months; the forecast for the next 365 days, 5 EUR, leaves 3 EUR open.
    """
    return [f"{cohort}: {_told(row, period, unit, clv_horizon_days)}." for cohort, row in table.iterrows()]


def _told(row: pd.Series, period: Period, unit: Unit, days: int) -> str:
    cost, earned = unit.amount(row["cost"]), unit.amount(row["earned"])
    if row["verdict"] == BACK:
        return f"{cost} a customer paid back {_after(row['payback_age'], period)}; {earned} so far"
    so_far = f"{earned} of {cost} a customer earned {_after(row['age'], period)}"
    if row["verdict"] == OPEN:
        return so_far
    gap = row["cost"] - row["earned"] - row["forecast"]
    verb = "covers the rest" if row["verdict"] == EXPECTED else f"leaves {unit.amount(gap)} open"
    return f"{so_far}; the forecast for the next {days} days, {unit.amount(row['forecast'])}, {verb}"


def _after(age: float, period: Period) -> str:
    if age == 0:
        return f"in the {period} of acquisition"
    return f"after {age:.0f} {period}{'s' if age > 1 else ''}"


def _mean_cost(cost: float | pd.Series, cohorts: pd.Series) -> pd.Series:
    costs = cost if isinstance(cost, pd.Series) else pd.Series(float(cost), index=cohorts.index)
    wrong = int((~(np.isfinite(costs) & (costs >= 0))).sum())
    if wrong:
        raise ValueError(
            f"{wrong} of {len(costs)} acquisition costs are missing, negative or not finite: want 0 or more"
        )
    return _mean(costs, cohorts, "cost")


def _mean(values: pd.Series, cohorts: pd.Series, what: str) -> pd.Series:
    """The mean a cohort of a figure that every customer must have."""
    found = values.reindex(cohorts.index)
    if found.isna().any():
        raise ValueError(f"{what}: {int(found.isna().sum())} of {len(found)} customers of the cohorts have none")
    return found.groupby(members(found.to_frame(), cohorts)).mean()
