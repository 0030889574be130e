"""What became of the customers acquired together: who bought in each period since, and what they are worth today."""

from __future__ import annotations

import pandas as pd

TODAY = ("p_alive", "expected_spend", "clv")


def retention(activity: pd.DataFrame) -> pd.DataFrame:
    """Return the share of each cohort that bought in each period since its acquisition.

    Without contracts nobody sees who has left: a customer who skips a period may buy in the next, so a row may rise again
    and is no curve of survival.

    Parameters
    ----------
    activity
        From `cohort_activity`.

    Returns
    -------
    DataFrame, one row a cohort, one column an age (0, the period of acquisition, is 1): shares, missing where the
    period is not over or has not begun.

    References
    ----------
    Fader & Hardie (2007), Journal of Interactive Marketing 21(1), 76-90: retention can be seen under contracts only.

    Examples
    --------
    >>> ages = pd.MultiIndex.from_tuples([("1997-01", 0), ("1997-01", 1), ("1997-02", 0)], names=["cohort", "age"])
    >>> counts = {"customers": [4, 4, 5], "active": [4, 1, 5], "complete": [True, True, False]}
    >>> retention(pd.DataFrame(counts, index=ages))
    age        0     1
    cohort
    1997-01  1.0  0.25
    1997-02  NaN   NaN
    """
    share = (activity["active"] / activity["customers"]).where(activity["complete"])
    return share.unstack("age")


def cohort_table(activity: pd.DataFrame, scores: pd.DataFrame, cohorts: pd.Series) -> pd.DataFrame:
    """Summarize each cohort: its size, what it brought so far, and what its members are worth today.

    Parameters
    ----------
    activity
        From `cohort_activity`, as of the day of the scores.
    scores
        One row a customer: frequency, and of p_alive, expected_spend and clv (currency) those that there are.
    cohorts
        Customer -> cohort, from `cohort_of`.

    Returns
    -------
    DataFrame indexed by cohort: customers, periods (complete ones since the acquisition, its own included),
    first_period_spend and cumulative_spend (a customer, in what the activity counts), bought_again (share with a second
    purchase day) and the means of p_alive, expected_spend and clv.

    Raises
    ------
    ValueError
        If a scored customer has no cohort, or the customers of a cohort are not those of the activity.

    Examples
    --------
    >>> ages = pd.MultiIndex.from_tuples([("1997-01", 0), ("1997-01", 1)], names=["cohort", "age"])
    >>> counts = {"customers": [2, 2], "spend": [30.0, 10.0], "complete": [True, True]}
    >>> scores = pd.DataFrame({"frequency": [0, 1], "p_alive": [0.2, 0.6]}, index=["a", "b"])
    >>> table = cohort_table(pd.DataFrame(counts, index=ages), scores, pd.Series("1997-01", ["a", "b"]))
    >>> table[["customers", "cumulative_spend", "bought_again", "p_alive"]]
             customers  cumulative_spend  bought_again  p_alive
    cohort
    1997-01          2              20.0           0.5      0.4
    """
    here = members(scores, cohorts)
    by_age = activity.groupby(level="cohort")
    customers = by_age["customers"].first()
    _require_same(customers, here)
    table = pd.DataFrame(
        {
            "customers": customers,
            "periods": by_age["complete"].sum().astype("int64"),
            "first_period_spend": by_age["spend"].first() / customers,
            "cumulative_spend": by_age["spend"].sum() / customers,
            "bought_again": (scores["frequency"] > 0).groupby(here).mean(),
        }
    )
    return table.join(scores[[c for c in TODAY if c in scores.columns]].groupby(here).mean()).rename_axis("cohort")


def members(scores: pd.DataFrame, cohorts: pd.Series) -> pd.Series:
    """Return the cohort of each scored customer, in the scores' order.

    Raises
    ------
    ValueError
        If an id occurs twice or a scored customer has no cohort.
    """
    for what, index in (("scores", scores.index), ("cohorts", cohorts.index)):
        if not index.is_unique:
            raise ValueError(f"{what}: {int(index.duplicated().sum())} rows repeat a customer id; want one each")
    found = cohorts.reindex(scores.index)
    if found.isna().any():
        raise ValueError(
            f"{int(found.isna().sum())} of {len(found)} scored customers have no cohort; "
            "ask for the cohorts of the day of the scores"
        )
    return found.rename("cohort")


def _require_same(customers: pd.Series, here: pd.Series) -> None:
    counted = here.value_counts().reindex(customers.index.union(here.unique()), fill_value=0)
    wrong = int((counted != customers.reindex(counted.index, fill_value=0)).sum())
    if wrong:
        raise ValueError(
            f"{wrong} of {len(counted)} cohorts have other customers in the scores than in the activity: "
            "both must be of the same day, log and period"
        )
