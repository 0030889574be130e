"""The frames behind the figures: numbers first, so that every figure can also be had as a table."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd

from churn_clv.data.transactions import TransactionLog
from churn_clv.evaluation.deciles import decile_table
from churn_clv.models.purchase_model import PurchaseModel
from churn_clv.segments.grid import wilson

DAYS_OF_COHORT = """
    SELECT customer_id, day, min(day) OVER (PARTITION BY customer_id) AS first_day
    FROM customer_days
    WHERE is_purchase AND day <= $until
    QUALIFY first_day <= $known_on
    ORDER BY customer_id, day
"""


def purchase_days(log: TransactionLog, known_on: date, until: date) -> pd.DataFrame:
    """Return the purchase days, up to a day, of the customers who had bought by an earlier one.

    Returns
    -------
    DataFrame with customer_id, day and first_day (dates), in order.
    """
    return log.frame(DAYS_OF_COHORT, {"known_on": known_on, "until": until})


def calibration_curve(churned: pd.Series, risk: pd.Series, bins: int = 10) -> pd.DataFrame:
    """Compare predicted with realised churn in bins of equally many customers; equal predictions share a bin.

    Returns
    -------
    DataFrame, one row a bin: predicted and realised (means), low and high (Wilson 95 %), customers.

    References
    ----------
    Wilson (1927), Journal of the American Statistical Association 22, 209-212.
    """
    edges = np.unique(np.quantile(risk, np.linspace(0, 1, bins + 1)[1:-1]))
    pairs = pd.DataFrame({"risk": risk.to_numpy(), "churned": churned.to_numpy(float)})
    groups = pairs.groupby(np.searchsorted(edges, risk, side="right"))
    realised, customers = groups["churned"].mean(), groups.size()
    low, high = wilson(realised, customers)
    columns = {
        "predicted": groups["risk"].mean(),
        "realised": realised,
        "low": low,
        "high": high,
        "customers": customers,
    }
    return pd.DataFrame(columns).reset_index(drop=True)


def gain_curve(actual: pd.Series, predicted: pd.Series) -> pd.DataFrame:
    """Accumulate the actual total from the highest prediction down; customers with equal predictions enter together.

    Returns
    -------
    DataFrame with customers and total, both cumulative shares from 0 to 1.

    Examples
    --------
    >>> gain_curve(pd.Series([9.0, 1.0, 0.0, 0.0]), pd.Series([2.0, 1.0, 1.0, 0.5]))["total"].tolist()
    [0.0, 0.9, 1.0, 1.0]
    """
    pairs = pd.DataFrame({"predicted": predicted.to_numpy(float), "actual": actual.to_numpy(float)})
    groups = pairs.groupby("predicted")["actual"].agg(["size", "sum"]).sort_index(ascending=False)
    shares = groups.cumsum() / groups.sum()
    start = pd.DataFrame({"size": [0.0], "sum": [0.0]})
    return pd.concat([start, shares], ignore_index=True).rename(columns={"size": "customers", "sum": "total"})


def deciles(actual: pd.Series, predicted: pd.Series, churned: pd.Series | None = None) -> pd.DataFrame:
    """Compare actual with expected means by tenths of the customers, the highest predictions first.

    Customers with equal predictions share what they did, so that no order of rows shows.

    Returns
    -------
    DataFrame indexed by decile (1 the highest): customers, actual, low and high (normal 95 %), expected,
    lift (actual over the mean of everyone), actual_over_expected and, with `churned`, realised_churn.
    """
    table = decile_table(actual, predicted, churned).rename(
        columns={"actual_mean": "actual", "predicted_mean": "expected", "actual_over_predicted": "actual_over_expected"}
    )
    n, squares = table["customers"], decile_table(actual**2, predicted)["actual_mean"]
    variance = (squares - table["actual"] ** 2).clip(lower=0)
    error = 1.96 * np.sqrt(variance / (n - 1).where(n > 1))
    mean = float(actual.mean())
    return table.drop(columns=["predicted_total", "actual_total"]).assign(
        low=table["actual"] - error, high=table["actual"] + error, lift=table["actual"] / (mean if mean else np.nan)
    )


def weekly_repeats(days: pd.DataFrame, model: PurchaseModel, calibration_end: date, until: date) -> pd.DataFrame:
    """Count repeat purchases a week, actual and expected by a purchase model from each customer's first day on.

    The expectation adds E[X(t - first purchase)] of a new customer over the cohort, so that customers who began at
    different times each count from their own start.

    Parameters
    ----------
    days
        From `purchase_days`. Weeks are cut so that one ends on `calibration_end`; an incomplete last week is left out.

    Returns
    -------
    DataFrame indexed by week_end: actual, expected (in that week), actual_total, expected_total (since the start).

    References
    ----------
    Fader, Hardie & Lee (2005), Marketing Science 24(2), figures 3 and 4.
    """
    first, when = (pd.to_datetime(days[c]) for c in ("first_day", "day"))
    before = -(-(calibration_end - first.min().date()).days // 7)
    after = (until - calibration_end).days // 7
    ends = pd.DatetimeIndex([calibration_end + timedelta(days=7 * k) for k in range(-before, after + 1)])
    repeats = np.sort(when[when > first].to_numpy())
    actual = np.searchsorted(repeats, ends.to_numpy(), side="right")
    starts = first[when == first].value_counts()
    ages = np.maximum((ends.to_numpy()[:, None] - starts.index.to_numpy()[None, :]) // np.timedelta64(1, "D"), 0)
    by_age = np.asarray(model.expected_purchases_new_customer(np.arange(ages.max() + 1.0)))
    totals = pd.DataFrame({"actual_total": actual, "expected_total": by_age[ages] @ starts.to_numpy()}, index=ends)
    weekly = totals.diff().set_axis(["actual", "expected"], axis=1)
    return weekly.join(totals).iloc[1:].rename_axis("week_end")


def repeat_counts(frequency: pd.Series, age: pd.Series, model: PurchaseModel, top: int = 7) -> pd.DataFrame:
    """Count customers by repeat purchases, actual and expected by a purchase model; the last row is `top` and more.

    Returns
    -------
    DataFrame indexed by frequency (0 to top): actual, expected (customers).
    """
    counts = np.arange(top)
    expected = sum(
        n * np.asarray(model.purchase_count_pmf(None, counts, float(T))) for T, n in age.value_counts().items()
    )
    actual = frequency.clip(upper=top).value_counts().reindex(range(top + 1), fill_value=0)
    frame = pd.DataFrame({"actual": actual, "expected": np.append(expected, len(age) - np.sum(expected))})
    return frame.rename_axis("frequency")


def means_by_frequency(frequency: pd.Series, actual: pd.Series, forecasts: pd.DataFrame, top: int = 7) -> pd.DataFrame:
    """Average holdout purchases, actual and by each forecast, over customers of equal frequency.

    Those with a frequency of `top` and more are one group.

    Returns
    -------
    DataFrame indexed by frequency: customers, actual, low and high (normal 95 %), and the columns of `forecasts`.
    """
    known = forecasts.reindex(frequency.index).assign(actual=actual.reindex(frequency.index))
    groups = known.groupby(frequency.clip(upper=top).astype(int))
    means, customers = groups.mean(), groups.size().rename("customers")
    error = 1.96 * groups["actual"].std(ddof=1) / np.sqrt(customers)
    return means.assign(customers=customers, low=means["actual"] - error, high=means["actual"] + error)


def frequency_recency_states(age: float, highest: int) -> pd.DataFrame:
    """Return a summary of every frequency (from 1 on) and recency that a customer of an age can have.

    Frequency 0 is left out: its recency is always 0.
    """
    recency = np.unique(np.linspace(1, max(age, 1), 60).round())
    frequency = np.arange(1, highest + 1)
    x, t_x = np.meshgrid(frequency, recency)
    states = {"frequency": x.ravel().astype(float), "recency": t_x.ravel(), "T": float(age)}
    possible = pd.DataFrame(states)
    return possible[possible["frequency"] <= possible["recency"]].reset_index(drop=True)


def sample_of_days(days: pd.DataFrame, customers: int, seed: int) -> pd.DataFrame:
    """Draw customers at random and number them by first and last purchase; their ids are left behind.

    Returns
    -------
    DataFrame with row (0 on), day, first (whether it is the customer's first purchase day).
    """
    ids = days["customer_id"].drop_duplicates().sort_values()
    chosen = ids.sample(min(customers, len(ids)), random_state=seed)
    kept = days[days["customer_id"].isin(chosen)]
    order = kept.groupby("customer_id")["day"].agg(["min", "max"]).sort_values(["min", "max"])
    row = pd.Series(range(len(order)), index=order.index)
    numbered = {"row": kept["customer_id"].map(row), "day": kept["day"], "first": kept["day"] == kept["first_day"]}
    return pd.DataFrame(numbered).reset_index(drop=True)
