"""Frequency, recency, T and monetary_value of every customer at a cutoff."""

from __future__ import annotations

from datetime import date

import pandas as pd

from churn_clv.data.contract import Spend
from churn_clv.data.engine import query
from churn_clv.data.log import Log
from churn_clv.errors import InputError


def summarize(log: Log, cutoff: date, spend: Spend = "repeat") -> pd.DataFrame:
    """Summarize each customer's purchase days up to and including a cutoff.

    Parameters
    ----------
    log
        A cleaned log, from `read_transactions`.
    cutoff
        Last day that is known; customers who first bought later are absent.
    spend
        Which purchase days `monetary_value` averages: ``"repeat"`` leaves the first day out, as the papers do.

    Returns
    -------
    DataFrame indexed by customer_id (text), all columns float64:
    frequency (purchase days after the first), recency (days from first to last purchase), T (days from first
    purchase to cutoff), monetary_value (mean amount per purchase day, in the log's currency; 0 where no day
    counts), monetary_days (the number of days behind that mean, Gamma-Gamma's x) and value_to_date (the net value of all
    days since the first purchase, days of refunds alone included; in the log's currency).

    References
    ----------
    Fader, Hardie & Lee (2005), Marketing Science 24(2), section 3: (x, t_x, T) is all BG/NBD needs.
    lifetimes' `summary_data_from_transaction_data` gives the same figures.

    Examples
    --------
    >>> from churn_clv.data.transactions import read_transactions
    >>> frame = pd.DataFrame({"customer_id": ["a", "a", "a", "b"], "amount": [10.0, 20.0, 40.0, 5.0],
    ...                       "date": ["2024-01-01", "2024-01-08", "2024-01-31", "2024-01-11"]})
    >>> summarize(read_transactions(frame), date(2024, 2, 10)).T
    customer_id        a     b
    frequency        2.0   0.0
    recency         30.0   0.0
    T               40.0  30.0
    monetary_value  30.0   0.0
    monetary_days    2.0   0.0
    value_to_date   70.0   5.0
    """
    rows = log.frame(query("summary") + " ORDER BY customer_id", {"cutoff": cutoff, "spend": spend})
    return rows.set_index("customer_id")


def require_known_customers(summary: pd.DataFrame, as_of: date) -> None:
    """Refuse a summary in which nobody is known.

    Raises
    ------
    InputError
        If no customer had bought up to and including `as_of`, as in a log of refunds only.
    """
    if summary.empty:
        raise InputError(
            f"no customer has a purchase up to {as_of}: nothing to score; "
            "take a later day, or a log with purchases (refunds alone are none)"
        )
