"""A log and a day -> the customer table and the scores. It needs DuckDB; scoring a table that is there does not."""

from __future__ import annotations

from datetime import date

import pandas as pd

from churn_clv.customer_table import known_from, score_table
from churn_clv.data.description import describe
from churn_clv.data.summary import require_known_customers, summarize
from churn_clv.data.transactions import TransactionLog
from churn_clv.models.known import Known
from churn_clv.score import FittedModels, trained_attributes


def customer_table(
    models: FittedModels, log: TransactionLog, as_of: date, attributes: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Return what fitted models read of every customer who had bought by a day, indexed by customer_id.

    Parameters
    ----------
    log
        A cleaned log; days after `as_of` are not looked at.
    attributes
        Customer attributes indexed by customer_id; those of the training that are not among them are empty.

    Raises
    ------
    InputError
        If nobody had bought by then, or an attribute is called like a column of the table.
    """
    summary = summarize(log, as_of, models.settings.spend_days)
    require_known_customers(summary, as_of)
    features = describe(log, [as_of], models.settings.description, attributes).droplevel("cutoff")
    unknown = [name for name in trained_attributes(models) if name not in features.columns]
    behaviour = features.drop(columns="frequency").assign(**dict.fromkeys(unknown, float("nan")))
    return summary.loc[features.index].join(behaviour)


def known_to(models: FittedModels, log: TransactionLog, as_of: date, attributes: pd.DataFrame | None) -> Known:
    """Return what fitted models know of a log's customers on a day; see `customer_table`."""
    return known_from(models, customer_table(models, log, as_of, attributes))


def score(
    models: FittedModels, log: TransactionLog, as_of: date, attributes: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Score every customer who had bought by a day, from what was known on it.

    The parameters are those of `customer_table`, the columns those of `churn_clv.customer_table.score_table`.
    """
    return score_table(models, customer_table(models, log, as_of, attributes), as_of)
