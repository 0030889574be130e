"""What purchase and spend models fit: customers who are alike in one row, counted by the engine."""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

import pandas as pd

from churn_clv.data.contract import Spend
from churn_clv.data.engine import query
from churn_clv.data.log import Log


class FitRows(NamedTuple):
    """Rows that count as many customers as `customers` says: all that the likelihoods need.

    histories: frequency, recency and T (days). spend: monetary_days and monetary_value, as `summarize` gives them.
    """

    histories: pd.DataFrame
    spend: pd.DataFrame

    @property
    def customers(self) -> int:
        return int(self.histories["customers"].sum())


def fit_rows(log: Log, cutoff: date, spend: Spend = "repeat") -> FitRows:
    """Count the customers known at a cutoff by their history, and by their spend; see `churn_clv.data.summary.summarize`.

    The fits are exact on them: a likelihood is a sum over customers, and equal ones add the same. 10 million customers
    of two years have some 2 million different histories.

    Returns
    -------
    FitRows; customers is float64, the rows are in order, so no order of the log's shows.

    Examples
    --------
    >>> from churn_clv.data.transactions import read_transactions
    >>> frame = pd.DataFrame({"customer_id": ["a", "b", "b", "c"], "amount": [10.0, 20.0, 40.0, 5.0],
    ...                       "date": ["2024-01-11", "2024-01-08", "2024-01-31", "2024-01-11"]})
    >>> found = fit_rows(read_transactions(frame), date(2024, 2, 10))
    >>> found.histories.to_numpy().tolist()
    [[0.0, 0.0, 30.0, 2.0], [1.0, 23.0, 33.0, 1.0]]
    >>> found.spend.to_numpy().tolist()
    [[0.0, 0.0, 2.0], [1.0, 40.0, 1.0]]
    """
    counted = query("fit_rows").replace("FROM summary", "FROM (" + query("summary") + ")")
    rows = log.frame(counted, {"cutoff": cutoff, "spend": spend})
    of_histories = rows.pop("of_histories").to_numpy(dtype=bool)
    return FitRows(
        rows.loc[of_histories, ["frequency", "recency", "T", "customers"]].reset_index(drop=True),
        rows.loc[~of_histories, ["monetary_days", "monetary_value", "customers"]].reset_index(drop=True),
    )
