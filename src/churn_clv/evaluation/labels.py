"""Plain words and units for what figures and reports show."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np

from churn_clv.data.contract import ValueIs

FEATURES: Mapping[str, str] = {
    "frequency": "repeat purchases",
    "silence_share": "silence since the last purchase / tenure",
    "mean_gap_days": "mean gap between purchases, days",
    "gap_variation": "irregularity of the gaps",
    "last_gap_ratio": "last gap / mean gap",
    "overdue_ratio": "silence since the last purchase / mean gap",
    "purchases_share_last_91_days": "share of purchases in the last 91 days",
    "mean_amount": "mean amount of a purchase",
    "largest_amount": "largest amount of a purchase",
    "first_amount": "amount of the first purchase",
    "last_amount_ratio": "last amount / mean amount",
    "lines_per_purchase": "lines per purchase",
    "refund_days": "days with refunds only",
    "p_alive": "p_alive of the purchase model",
    "btyd_log_odds": "the purchase model's forecast of risk",
    "btyd_purchases": "the purchase model's forecast of purchases",
    "tenure_days": "days since the first purchase",
    "days_since_last_purchase": "days since the last purchase",
    "days_since_purchase": "days since the last purchase",
    "median_gap_days": "usual gap between purchases, days",
    "longest_gap_days": "longest gap between purchases, days",
    "silence_to_longest_gap": "silence since the last purchase / longest gap",
    "purchases_trend_91_days": "last quarter's share of the last half year's purchases",
    "purchases_season_last_year": "purchases in this season last year",
    "weekend_share": "share of purchases at weekends",
    "busiest_month_share": "share of purchases in the busiest month",
    "sd_amount": "variation of the amounts",
    "median_amount": "usual amount of a purchase",
    "smallest_amount": "smallest amount of a purchase",
    "zero_amount_share": "share of purchases without an amount",
    "amount_trend_91_days": "last quarter's share of the last half year's amount",
    "recent_amount_ratio": "mean amount of the last 91 days / earlier",
    "refunded_amount": "amount refunded",
    "refund_share": "share of the amount refunded",
    "days_since_last_refund": "days since the last refund",
    "distinct_products": "different products",
    "distinct_products_last_91_days": "different products in the last 91 days",
    "products_per_purchase": "different products per purchase",
    "repeated_product_share": "share of products bought again",
    "orders_per_purchase": "orders per purchase day",
    "quantity_per_purchase": "items per purchase",
    "distinct_channels": "channels used",
}
WINDOWED = (
    (r"purchases_last_(\d+)_days", "purchases in the last {0} days"),
    (r"amount_last_(\d+)_days", "amount in the last {0} days"),
    (r"event_(.+)_last_(\d+)_days", "{0}: number in the last {1} days"),
    (r"event_(.+)_count", "{0}: number so far"),
    (r"event_(.+)_days_since_last", "days since the last {0}"),
)
MODELS: Mapping[str, str] = {
    "BetaGeoModel": "BG/NBD",
    "ModifiedBetaGeoModel": "MBG/NBD",
    "ParetoNBDModel": "Pareto/NBD",
    "GammaGammaModel": "Gamma-Gamma",
    "ChurnModel": "LightGBM churn model",
}


@dataclass(frozen=True)
class Unit:
    """What value is counted in: revenue or margin, in a currency or the unnamed unit of the log's amounts, or purchases."""

    currency: str | None
    value_is: ValueIs = "revenue"

    @property
    def has_amount(self) -> bool:
        return self.value_is != "purchases"

    @property
    def noun(self) -> str:
        return "spend" if self.value_is == "revenue" else self.value_is

    @property
    def name(self) -> str:
        """The unit behind a number; empty where the amounts have no named currency."""
        return (self.currency or "") if self.has_amount else "purchases"

    @property
    def axis(self) -> str:
        """The unit on an axis, never empty."""
        return self.name or "unit of the log's amounts"

    def amount(self, value: float) -> str:
        """Return a value with its unit.

        Examples
        --------
        >>> Unit("USD").amount(359667.2), Unit(None).amount(12.34), Unit("USD", "purchases").amount(0.5)
        ('360,000 USD', '12.3', '0.5 purchases')
        """
        return f"{rounded(value)} {self.name}".strip()


def feature(name: str) -> str:
    """Return a feature in plain words; a customer attribute keeps its own name.

    Examples
    --------
    >>> feature("purchases_last_182_days"), feature("event_campaign_count"), feature("household_size")
    ('purchases in the last 182 days', 'campaign: number so far', 'household_size')
    """
    for pattern, words in WINDOWED:
        found = re.fullmatch(pattern, name)
        if found:
            return words.format(*(shorten(part.replace("_", " ")) for part in found.groups()))
    return FEATURES.get(name, shorten(name))


def model(fitted: object) -> str:
    """Return the name under which the field knows a fitted model."""
    return MODELS.get(type(fitted).__name__, type(fitted).__name__)


def rounded(value: float, digits: int = 3) -> str:
    """Return a number to three significant digits with thousands separators; a dash where there is none.

    Examples
    --------
    >>> rounded(1234567), rounded(0.01234), rounded(12.0)
    ('1,230,000', '0.0123', '12')
    """
    if not np.isfinite(value):
        return "–"  # noqa: RUF001 (typography)
    if value == 0:
        return "0"
    decimals = digits - 1 - int(np.floor(np.log10(abs(value))))
    text = f"{round(value, decimals):,.{max(decimals, 0)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def percent(share: float, decimals: int = 0) -> str:
    """Return a share as a percentage; a dash where there is none.

    Examples
    --------
    >>> percent(0.5), percent(0.002), percent(0.0)
    ('50 %', 'under 1 %', '0 %')
    """
    if not np.isfinite(share):
        return "–"  # noqa: RUF001 (typography)
    smallest = 10.0**-decimals
    return f"under {smallest:g} %" if 0 < 100 * share < smallest / 2 else f"{100 * share:.{decimals}f} %"


def estimate(value: float, low: float, high: float) -> str:
    """Return a value with its interval, all to the decimals that the interval's width deserves.

    Examples
    --------
    >>> estimate(8.641, 6.9, 10.38), estimate(89.17, 83.07, 95.27), estimate(5.0, float("nan"), float("nan"))
    ('8.6 (6.9 to 10.4)', '89 (83 to 95)', '5')
    """
    if not np.isfinite(low + high) or low >= high:
        return rounded(value)
    decimals = int(np.clip(1 - np.floor(np.log10(high - low)), 0, 4))
    return f"{value:z,.{decimals}f} ({low:z,.{decimals}f} to {high:z,.{decimals}f})"


def day(when: date) -> str:
    """Return a date as a person writes it.

    Examples
    --------
    >>> day(date(1998, 6, 30))
    '30 June 1998'
    """
    return f"{when.day} {when:%B %Y}"


def shorten(text: str, length: int = 36) -> str:
    """Return a name of the user's own, printable and cut to a length."""
    printable = "".join(c if c.isprintable() else " " for c in text)
    return printable if len(printable) <= length else printable[: length - 1] + "…"
