"""Churn features of every customer at one or many cutoffs, and what the customer did next."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import pandas as pd

from churn_clv.data.at_cutoffs import joined_at, rows_at
from churn_clv.data.feature_names import BEHAVIOURAL_NAMES, FEATURE_SETS, MONEY, NEEDS, QUERIES, SUMMARY
from churn_clv.data.log import Log
from churn_clv.data.windows import LabelWindow
from churn_clv.errors import InputError


def features_at(log: Log, cutoffs: Sequence[date], feature_set: str = "behaviour") -> pd.DataFrame:
    """Describe the behaviour of every customer who had bought by a cutoff, at each cutoff.

    Nothing after the cutoff enters a row. Of "rfm" and "behaviour" neither tenure nor the calendar does: a single
    cohort is older in production than it ever was in training, so age reaches the churn model through the purchase
    model's forecast. "rich" has both, for logs whose customers come all the time.

    Parameters
    ----------
    feature_set
        A key of `FEATURE_SETS`.

    Returns
    -------
    DataFrame indexed by (cutoff, customer_id), float64, NaN where a customer has too little history for a feature.
    Money is in the log's currency, and margin where `log.value_is` says so (refunded_amount is always revenue);
    a purchase is a purchase day. The columns are those of the set, in its order. "rich" leaves out what the log
    cannot tell: products, orders, quantity and channels where the column is not mapped, and, of what it adds to
    "behaviour", all money where the log has no amounts.

    The less obvious columns: a *_ratio compares with the customer's own mean (overdue_ratio: days since the last
    purchase with the mean gap; recent_amount_ratio: mean amount of the last 91 days with the mean before). A
    *_trend_91_days is the share of the last 91 days in the last 182. purchases_season_last_year: purchases in
    (cutoff - 364, cutoff - 273] days. busiest_month_share: purchases in the customer's busiest month of the
    calendar. refund_share: refunded of gross money. repeated_product_share: products on a purchase day that the
    customer had bought before.
    """
    return joined_at(log, *features_read(log, feature_set), cutoffs=list(cutoffs))


def features_read(log: Log, feature_set: str) -> tuple[list[str], list[str]]:
    """Return which queries tell a set's features of a log, and the columns, in their order, that the log can tell."""
    wanted = FEATURE_SETS[feature_set]
    mapped = log.line_columns - (set() if log.has_amount else {"amount"})
    names = [name for name, columns in QUERIES.items() if not set(columns).isdisjoint(wanted)]
    queries = [name for name in names if NEEDS.get(name) in {None, *mapped}]
    found = {column for name in queries for column in QUERIES[name]} - (frozenset() if log.has_amount else MONEY)
    return queries, [column for column in wanted if column in found]


def outcomes_after(log: Log, labels: Sequence[LabelWindow]) -> pd.DataFrame:
    """Count what every customer known at a cutoff did in the horizon after it.

    Returns
    -------
    DataFrame indexed by (cutoff, customer_id): purchases (purchase days) and spend (net of refunds, in the log's
    currency; margin where `log.value_is` says so), 0 for customers who did nothing. Churn in the horizon is
    ``purchases == 0``.
    """
    cutoffs, horizons = [w.cutoff for w in labels], [w.horizon_days for w in labels]
    return rows_at(log, "outcomes", cutoffs=cutoffs, horizons=horizons)


def with_attributes(features: pd.DataFrame, attributes: pd.DataFrame | None) -> pd.DataFrame:
    """Join customer attributes (indexed by customer_id) to features; customers without any get missing values.

    Raises
    ------
    InputError
        If an attribute has the name of a feature, of this set or of another, or of a column of the summary.
    """
    if attributes is None:
        return features
    taken = sorted(set(attributes.columns) & {*BEHAVIOURAL_NAMES, *SUMMARY, *features.columns})
    if taken:
        raise InputError(
            f"data.attributes: the columns {taken} have the names of features; rename them in the attributes table"
        )
    joined = features.join(attributes, on="customer_id", how="left")
    return joined.reindex(features.index)
