"""What a feature of one customer says in words that a marketer reads."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

LONGEST = 40  # characters of a name or value of the user's own


def number(value: float) -> str:
    """Return a number as it is read: two digits under ten, whole from there on.

    >>> number(3.24), number(0.128), number(12345.6), number(2.0), number(0.001)
    ('3.2', '0.13', '12,346', '2', 'under 0.01')
    """
    if 0 < value < 0.005:
        return "under 0.01"
    if abs(value) >= 9.95:
        return f"{value:,.0f}"
    text = f"{value:.1f}" if abs(value) >= 0.95 else f"{value:.2f}"
    return text.rstrip("0").rstrip(".") or "0"


def percent(share: float) -> str:
    """Return a share as a percentage.

    >>> percent(0.256), percent(0.001)
    ('26 %', 'under 1 %')
    """
    return "under 1 %" if 0 < share < 0.005 else f"{100 * share:.0f} %"


class Phrase(NamedTuple):
    """Wordings of a feature: of any value (a place {n} for it), of a missing one, of exactly one, and of none.

    Features `about` the same thing are one reason, not two.
    """

    many: str
    missing: str
    one: str = ""
    none: str = ""
    about: str = ""
    shown: Callable[[float], str] = number
    is_money: bool = False


NO_AMOUNT, NO_PRODUCT = "no amount known", "no product known"
NO_GAP = "too few purchases for a usual gap"
PHRASES: Mapping[str, Phrase] = {
    "frequency": Phrase("{n} repeat purchases", "no purchases known", "one repeat purchase", "no repeat purchase yet"),
    "tenure_days": Phrase("a customer for {n} days", "no first purchase known", "a customer since yesterday",
                          "a customer since today"),
    "days_since_last_purchase": Phrase("last purchase {n} days ago", "no last purchase known", "last purchase yesterday",
                                       "last purchase today", "silence"),
    "silence_share": Phrase("silent for {n} of the time since the first purchase", "no first purchase known", "",
                            "last purchase today", "silence", percent),
    "overdue_ratio": Phrase("silent {n} times as long as their usual gap", NO_GAP,
                            "silent as long as their usual gap", "last purchase today", "silence"),
    "silence_to_longest_gap": Phrase("silent {n} times as long as their longest gap", NO_GAP,
                                     "silent as long as their longest gap", "last purchase today", "silence"),
    "mean_gap_days": Phrase("a purchase every {n} days on average", NO_GAP, "a purchase every day on average", "", "gaps"),
    "median_gap_days": Phrase("usual gap of {n} days", NO_GAP, "usual gap of one day", "", "gaps"),
    "longest_gap_days": Phrase("longest gap of {n} days", NO_GAP, "longest gap of one day", "", "longest gap"),
    "purchases_season_last_year": Phrase("{n} purchases in this season last year", "no purchases known",
                                         "one purchase in this season last year",
                                         "no purchase in this season last year", "season"),
    "purchases_trend_91_days": Phrase("{n} of the last half year's purchases in its second half",
                                      "no purchase in the last half year", "",
                                      "no purchase in the second half of the last half year", "recent purchases",
                                      percent),
    "amount_trend_91_days": Phrase("{n} of the last half year's spend in its second half", "no spend in the last half year",
                                   "", "no spend in the second half of the last half year", "recent amounts", percent),
    "weekend_share": Phrase("{n} of their purchases at weekends", "no purchases known", "", "no purchase at a weekend",
                            "weekends", percent),
    "busiest_month_share": Phrase("{n} of their purchases in one month of the year", "no purchases known",
                                  about="months", shown=percent),
    "gap_variation": Phrase("gaps between purchases that vary by {n}", "too few purchases to tell how regular they are",
                            "", "perfectly regular purchases", "regularity", percent),
    "last_gap_ratio": Phrase("last gap {n} times the usual one", NO_GAP, "last gap as long as the usual one", "", "last gap"),
    "mean_amount": Phrase("{n} a purchase on average", NO_AMOUNT, "", "", "amounts", is_money=True),
    "median_amount": Phrase("usual purchase {n}", NO_AMOUNT, "", "", "amounts", is_money=True),
    "smallest_amount": Phrase("smallest purchase {n}", NO_AMOUNT, "", "", "smallest amount", is_money=True),
    "sd_amount": Phrase("purchases that vary by {n}", "too few purchases to tell how amounts vary", "",
                        "purchases all of one amount", "amount variation", is_money=True),
    "zero_amount_share": Phrase("{n} of their purchases without an amount", NO_AMOUNT, "", "no purchase without an amount",
                                "zero amounts", percent),
    "recent_amount_ratio": Phrase("purchases of the last 91 days {n} times their earlier amount",
                                  "no recent and earlier amounts to compare",
                                  "purchases of the last 91 days as large as earlier ones", "", "amount trend"),
    "largest_amount": Phrase("largest purchase {n}", NO_AMOUNT, "", "", "amounts", is_money=True),
    "first_amount": Phrase("first purchase {n}", NO_AMOUNT, "", "", "first amount", is_money=True),
    "last_amount_ratio": Phrase("last purchase {n} times their average amount", NO_AMOUNT,
                                "last purchase as large as usual", "", "last amount"),
    "refunded_amount": Phrase("{n} refunded", NO_AMOUNT, "", "nothing refunded", "refunds", is_money=True),
    "refund_share": Phrase("{n} of their spend refunded", NO_AMOUNT, "", "nothing refunded", "refunds", percent),
    "days_since_last_refund": Phrase("last refund {n} days ago", "no refund so far", "last refund yesterday",
                                     "last refund today", "refunds"),
    "distinct_products": Phrase("{n} different products so far", NO_PRODUCT, "one product so far", "", "products"),
    "distinct_products_last_91_days": Phrase("{n} different products in the last 91 days", NO_PRODUCT,
                                             "one product in the last 91 days", "no product in the last 91 days",
                                             "recent purchases"),
    "products_per_purchase": Phrase("{n} different products a purchase", NO_PRODUCT, "one product a purchase"),
    "repeated_product_share": Phrase("{n} of the products bought again", NO_PRODUCT, "", "no product bought again",
                                     "repeated products", percent),
    "orders_per_purchase": Phrase("{n} orders a purchase day", "no orders known", "one order a purchase day"),
    "quantity_per_purchase": Phrase("{n} items a purchase", "no quantities known", "one item a purchase"),
    "distinct_channels": Phrase("{n} channels used", "no channel known", "one channel used"),
    "refund_days": Phrase("{n} days with refunds only", "no refunds known", "one day with refunds only",
                          "no day with refunds only", "refunds"),
    "lines_per_purchase": Phrase("{n} order lines a purchase", "no order lines known", "one order line a purchase"),
    "p_alive": Phrase("a chance of {n} to be still a customer", "no chance known", shown=percent),
    "btyd_log_odds": Phrase("a risk of {n} by their purchase pattern alone", "no forecast known", about="forecast",
                            shown=lambda log_odds: percent(1 / (1 + math.exp(-log_odds)))),
    "btyd_purchases": Phrase("{n} purchases expected by their purchase pattern alone", "no forecast known", "one purchase expected by their purchase pattern alone", "", "forecast"),
}  # fmt: skip
# Names with a window or a kind in them: its groups fill {0} and {1}.
PATTERNS: list[tuple[re.Pattern[str], Phrase]] = [
    (re.compile(r"purchases_last_(\d+)_days"),
     Phrase("{n} purchases in the last {0} days", "no purchases known", "one purchase in the last {0} days",
            "no purchase in the last {0} days", "recent purchases")),
    (re.compile(r"purchases_share_last_(\d+)_days"),
     Phrase("{n} of their purchases in the last {0} days", "no purchases known", "",
            "none of their purchases in the last {0} days", "recent purchases", percent)),
    (re.compile(r"amount_last_(\d+)_days"),
     Phrase("a total of {n} in the last {0} days", NO_AMOUNT, "", "no amounts in the last {0} days", "recent amounts",
            is_money=True)),
    (re.compile(r"event_(.+)_last_(\d+)_days"),
     Phrase("{0}: {n} in the last {1} days", "no {0} known", "{0}: one in the last {1} days",
            "no {0} in the last {1} days", "{0}")),
    (re.compile(r"event_(.+)_count"),
     Phrase("{0}: {n} so far", "no {0} known", "{0}: one so far", "no {0} so far", "{0}")),
    (re.compile(r"event_(.+)_days_since_last"),
     Phrase("last {0} {n} days ago", "no {0} so far", "last {0} yesterday", "last {0} today", "{0}")),
]  # fmt: skip


def known_phrase(name: str) -> Phrase | None:
    """Return the wordings of a feature that the package computes, with its window; None for a customer attribute."""
    if name in PHRASES:
        return PHRASES[name]
    for pattern, phrase in PATTERNS:
        found = pattern.fullmatch(name)
        if found:
            return phrase._replace(
                many=_filled(phrase.many, found), missing=_filled(phrase.missing, found), one=_filled(phrase.one, found),
                none=_filled(phrase.none, found), about=_filled(phrase.about, found),
            )  # fmt: skip
    return None


def worded(name: str, value: object, currency: str = "") -> str:
    """Return what a feature's value says of a customer.

    Parameters
    ----------
    value
        A number, text, or a missing value.
    currency
        Unit behind amounts of money.

    Examples
    --------
    >>> worded("purchases_last_91_days", 2.0), worded("purchases_last_28_days", 0.0)
    ('2 purchases in the last 91 days', 'no purchase in the last 28 days')
    >>> worded("income", "35-49K"), worded("household_size", float("nan")), worded("mean_amount", 34.5, "EUR")
    ('income = 35-49K', 'household size unknown', '34 EUR a purchase on average')
    """
    phrase = known_phrase(name)
    if phrase is None or isinstance(value, str):
        readable = _printable(name.replace("_", " "))
        return f"{readable} unknown" if _is_missing(value) else f"{readable} = {_plain(value)}"
    if _is_missing(value):
        return phrase.missing
    return _in_words(phrase, float(value), currency)  # type: ignore[arg-type]


def about(name: str) -> str:
    """Return what a feature is about: features about the same thing are one reason."""
    phrase = known_phrase(name)
    return phrase.about if phrase is not None and phrase.about else name


def _in_words(phrase: Phrase, value: float, currency: str) -> str:
    shown = phrase.shown(value)
    if value == 0 and phrase.none:
        return phrase.none
    if shown == "1" and phrase.one:
        return phrase.one
    return phrase.many.replace("{n}", f"{shown} {currency}".strip() if phrase.is_money else shown)


def _filled(text: str, found: re.Match[str]) -> str:
    """Put a name's window or kind in the places {0} and {1}, at once, so that a kind's own braces stay."""
    groups = [_printable(group.replace("_", " ")) for group in found.groups()]
    return re.sub(r"\{(\d)\}", lambda place: groups[int(place[1])], text)


def _is_missing(value: object) -> bool:
    return value is None or value != value or str(value) == "<NA>"


def _plain(value: object) -> str:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number(float(value)) if is_number else _printable(str(value))  # type: ignore[arg-type]


def _printable(text: str) -> str:
    clean = "".join(c if c.isprintable() else " " for c in text)
    return clean if len(clean) <= LONGEST else clean[: LONGEST - 1] + "…"


def said(name: str, value: object, currency: str, corrected: str, raises: bool) -> str:
    """Return a feature as a reason. The p_alive of a forecast that is corrected says where that forecast is wrong.

    >>> said("p_alive", 0.97, "", "BG/NBD", True), said("p_alive", 0.97, "", "", False)
    ('customers of this pattern come back less often than BG/NBD expects', 'a chance of 97 % to be still a customer')
    """
    if not corrected or name != "p_alive":
        return worded(name, value, currency)
    return f"customers of this pattern come back {'less' if raises else 'more'} often than {corrected} expects"
