"""Churn features of every customer at one or many cutoffs, and what the customer did next."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import pandas as pd

from churn_clv.data.engine import query
from churn_clv.data.transactions import TransactionLog
from churn_clv.data.windows import LabelWindow
from churn_clv.errors import InputError

# What the churn model reads of behaviour; its other features are customer attributes.
BEHAVIOUR = (
    "frequency", "silence_share", "mean_gap_days", "gap_variation", "last_gap_ratio", "overdue_ratio",
    "purchases_last_28_days", "purchases_last_91_days", "purchases_share_last_91_days", "mean_amount",
    "largest_amount", "first_amount", "last_amount_ratio", "amount_last_91_days", "lines_per_purchase",
    "refund_days", "p_alive",
)  # fmt: skip


def features_at(log: TransactionLog, cutoffs: Sequence[date]) -> pd.DataFrame:
    """Describe the behaviour of every customer who had bought by a cutoff, at each cutoff.

    Nothing after the cutoff enters a row, and neither tenure nor the calendar does: a single cohort is older in
    production than it ever was in training, so age reaches the churn model through the purchase model's forecast.

    Returns
    -------
    DataFrame indexed by (cutoff, customer_id), float64, with the columns of `BEHAVIOUR` but p_alive. Days:
    mean_gap_days. Counts: frequency, purchases_last_*_days, lines_per_purchase, refund_days. Money, in the log's
    currency: mean_amount, largest_amount, first_amount, amount_last_91_days. The rest are ratios. NaN where a
    customer has too few purchases for the feature.
    """
    rows = log.connection.execute(query("features"), {"cutoffs": list(cutoffs)}).df()
    return _indexed(rows)


def outcomes_after(log: TransactionLog, labels: Sequence[LabelWindow]) -> pd.DataFrame:
    """Count what every customer known at a cutoff did in the horizon after it.

    Returns
    -------
    DataFrame indexed by (cutoff, customer_id): purchases (purchase days) and spend (net of refunds, in the log's
    currency), 0 for customers who did nothing. Churn in the horizon is ``purchases == 0``.
    """
    parameters = {"cutoffs": [w.cutoff for w in labels], "horizons": [w.horizon_days for w in labels]}
    return _indexed(log.connection.execute(query("outcomes"), parameters).df())


def with_attributes(features: pd.DataFrame, attributes: pd.DataFrame | None) -> pd.DataFrame:
    """Join customer attributes (indexed by customer_id) to features; customers without any get missing values.

    Raises
    ------
    InputError
        If an attribute has the name of a feature.
    """
    if attributes is None:
        return features
    taken = sorted(set(attributes.columns) & set(BEHAVIOUR))
    if taken:
        raise InputError(
            f"data.attributes: the columns {taken} have the names of features; rename them in the attributes table"
        )
    joined = features.join(attributes, on="customer_id", how="left")
    return joined.reindex(features.index)


def _indexed(rows: pd.DataFrame) -> pd.DataFrame:
    rows["cutoff"] = pd.to_datetime(rows["cutoff"]).dt.date
    return rows.set_index(["cutoff", "customer_id"])
