"""Names of what is known of a customer: the summary, behaviour, events. Names only, so that scoring needs no engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from types import MappingProxyType

# The columns of `churn_clv.data.summary.summarize`.
SUMMARY = ("frequency", "recency", "T", "monetary_value", "monetary_days", "value_to_date")

# Query -> the columns it gives. The first needs nothing but customer-days.
QUERIES: Mapping[str, tuple[str, ...]] = {
    "features": (
        "frequency", "silence_share", "mean_gap_days", "gap_variation", "last_gap_ratio", "overdue_ratio",
        "purchases_last_28_days", "purchases_last_91_days", "purchases_share_last_91_days", "mean_amount",
        "largest_amount", "first_amount", "last_amount_ratio", "amount_last_91_days", "lines_per_purchase",
        "refund_days",
    ),
    "features_rich": (
        "tenure_days", "days_since_last_purchase", "median_gap_days", "longest_gap_days", "silence_to_longest_gap",
        "purchases_last_182_days", "purchases_last_364_days", "purchases_trend_91_days", "purchases_season_last_year",
        "weekend_share", "busiest_month_share", "sd_amount", "median_amount", "smallest_amount", "zero_amount_share",
        "amount_last_28_days", "amount_last_182_days", "amount_last_364_days", "amount_trend_91_days",
        "recent_amount_ratio",
    ),
    "features_refunds": ("refunded_amount", "refund_share", "days_since_last_refund"),
    "features_products": (
        "distinct_products", "distinct_products_last_91_days", "products_per_purchase", "repeated_product_share",
    ),
    "features_orders": ("orders_per_purchase",),
    "features_quantity": ("quantity_per_purchase",),
    "features_channels": ("distinct_channels",),
}  # fmt: skip
# Query -> the column of the log without which it says nothing.
NEEDS = {
    "features_refunds": "amount",
    "features_products": "product_id",
    "features_orders": "order_id",
    "features_quantity": "quantity",
    "features_channels": "channel",
}
MONEY = frozenset(name for name in QUERIES["features_rich"] if "amount" in name)

FEATURE_SETS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "rfm": ("frequency", "silence_share", "mean_gap_days", "overdue_ratio", "mean_amount"),
        "behaviour": QUERIES["features"],
        "rich": tuple(chain.from_iterable(QUERIES.values())),
    }
)
# What the churn model reads of behaviour by default.
BEHAVIOUR = (*FEATURE_SETS["behaviour"], "p_alive")
# Every name that behaviour of any set may take: no customer attribute may have it.
BEHAVIOURAL_NAMES = frozenset(FEATURE_SETS["rich"]) | {"p_alive", "btyd_log_odds", "btyd_purchases"}

# Column's ending -> column of events.sql.
EVENT_MEASURES = {
    "last_28_days": "last_28_days",
    "last_91_days": "last_91_days",
    "count": "ever",
    "days_since_last": "days_since_last",
}


@dataclass(frozen=True)
class Description:
    """Which features a model reads: a set of behaviour, and kinds of events in the order of their columns."""

    feature_set: str = "behaviour"
    event_kinds: tuple[str, ...] = ()


def event_columns(kinds: Sequence[str]) -> list[str]:
    """Return the names of the columns that `events_at` gives for some kinds of events.

    >>> event_columns(["visit"])
    ['event_visit_last_28_days', 'event_visit_last_91_days', 'event_visit_count', 'event_visit_days_since_last']
    """
    return [f"event_{kind}_{ending}" for kind in kinds for ending in EVENT_MEASURES]
