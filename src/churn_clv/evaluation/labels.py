"""Plain words and units for what figures and reports show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np

FEATURES: Mapping[str, str] = {
    "frequency": "repeat purchases",
    "silence_share": "silence since the last purchase / tenure",
    "mean_gap_days": "mean gap between purchases, days",
    "gap_variation": "irregularity of the gaps",
    "last_gap_ratio": "last gap / mean gap",
    "overdue_ratio": "silence since the last purchase / mean gap",
    "purchases_last_28_days": "purchases in the last 28 days",
    "purchases_last_91_days": "purchases in the last 91 days",
    "purchases_share_last_91_days": "share of purchases in the last 91 days",
    "mean_amount": "mean amount of a purchase",
    "largest_amount": "largest amount of a purchase",
    "first_amount": "amount of the first purchase",
    "last_amount_ratio": "last amount / mean amount",
    "amount_last_91_days": "amount in the last 91 days",
    "lines_per_purchase": "lines per purchase",
    "refund_days": "days with refunds only",
    "p_alive": "p_alive of the purchase model",
}
MODELS: Mapping[str, str] = {
    "BetaGeoModel": "BG/NBD",
    "ModifiedBetaGeoModel": "MBG/NBD",
    "ParetoNBDModel": "Pareto/NBD",
    "GammaGammaModel": "Gamma-Gamma",
    "ChurnModel": "LightGBM churn model",
}


@dataclass(frozen=True)
class Unit:
    """What value is counted in: a currency, an unnamed unit of the log's amounts, or purchases."""

    currency: str | None
    has_amount: bool

    @property
    def noun(self) -> str:
        return "spend" if self.has_amount else "purchases"

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
        >>> Unit("USD", True).amount(359667.2), Unit(None, True).amount(12.34), Unit("USD", False).amount(0.5)
        ('360,000 USD', '12.3', '0.5 purchases')
        """
        return f"{rounded(value)} {self.name}".strip()


def feature(name: str) -> str:
    """Return a feature in plain words; a customer attribute keeps its own name."""
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
