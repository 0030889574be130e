"""What a user may say about a log: the names of its columns and how to read it; and what no reader could follow."""

from __future__ import annotations

import codecs
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from churn_clv.errors import InputError

Value = str | int | float | bool | None
Spend = Literal["repeat", "all"]  # the purchase days that monetary_value averages
ValueIs = Literal["revenue", "margin", "purchases"]  # what a customer-day's amount means


def setting(rule: str) -> str:
    """Say where a reading rule that the command line knows as well is set.

    >>> setting("date_format")
    'data.date_format in a config, --date-format on the command line'
    """
    return f"data.{rule} in a config, --{rule.replace('_', '-')} on the command line"


@dataclass(frozen=True)
class Columns:
    """Names, in the user's file, of the columns with a meaning here. None: the log has no such column.

    margin: what a line leaves after its costs; value is then counted in it, and a purchase still decided on the amount.
    """

    customer_id: str = "customer_id"
    date: str = "date"
    amount: str | None = "amount"
    order_id: str | None = None
    product_id: str | None = None
    quantity: str | None = None
    channel: str | None = None
    margin: str | None = None

    def mapped(self) -> dict[str, str]:
        """Return role -> the user's name for every column that is mapped."""
        roles = {field.name: getattr(self, field.name) for field in fields(self)}
        return {role: name for role, name in roles.items() if name is not None}


@dataclass(frozen=True)
class EventsTable:
    """A file of events that are no purchases, and its columns. kind None: every line is of the one kind "event"."""

    path: str
    customer_id: str = "customer_id"
    date: str = "date"
    kind: str | None = None


@dataclass(frozen=True)
class ReadingRules:
    """How to read a log. Every default is the documented one of the data contract.

    date_format: strptime pattern ("%d/%m/%Y"); None accepts ISO dates and timestamps, YYYYMMDD, YYYY/MM/DD.
    decimal: the mark in amounts and quantities.
    delimiter: of CSV; None finds it in the header line.
    encoding: of CSV; a byte order mark is accepted.
    timezone: the zone whose calendar day is taken, for timestamps that carry an offset.
    duplicates: whether a line identical to an earlier one, in every column of the file, counts again.
    missing_customer_id: whether lines without a customer are left out or refused.
    purchase_rule: a customer-day is a purchase if it has a line of amount >= 0, or if its net amount is > 0.
    margin_rate: the share of every amount, in (0, 1] and taken to a millionth, that is margin; value is counted in it.
    start, end: first and last day to keep, both included.
    drop_rows: lines to leave out; a line goes when every column named in one mapping holds one of its values.
    sample_customers: keep so many customers, chosen by a digest of their ids; None keeps all.
    """

    date_format: str | None = None
    decimal: Literal[".", ","] = "."
    delimiter: str | None = None
    encoding: str = "utf-8"
    timezone: str = "UTC"
    duplicates: Literal["keep", "drop"] = "keep"
    missing_customer_id: Literal["drop", "error"] = "drop"
    purchase_rule: Literal["purchase_line", "positive_net"] = "purchase_line"
    margin_rate: float | None = None
    start: date | None = None
    end: date | None = None
    drop_rows: Sequence[Mapping[str, Sequence[Value]]] = ()
    sample_customers: int | None = None


def check_margin(columns: Columns, rules: ReadingRules) -> None:
    """Refuse two sources of the margin, a rate that is none, and margins of a log without amounts."""
    rate = rules.margin_rate
    if columns.margin is None and rate is None:
        return
    if columns.margin is not None and rate is not None:
        raise InputError(
            f"margin_rate {rate:g} and the margin column {columns.margin!r} are both given: "
            "remove data.margin_rate or data.columns.margin"
        )
    if rate is not None and not 1e-6 <= rate <= 1:
        raise InputError(f"margin_rate {rate:g} is not within (0, 1]: it is a share of the amount, 0.3 is 30 %")
    if columns.amount is None:
        raise InputError(
            "a margin is given for a log without amounts, which say what is a purchase and what a refund: "
            "name the column in data.columns.amount, or remove data.margin_rate and data.columns.margin"
        )


def is_utf8(encoding: str) -> bool:
    """Tell whether a name means UTF-8; an unknown name, or one of no text such as base64, is an error."""
    try:
        codec = codecs.lookup(encoding)
    except (LookupError, ValueError):
        raise InputError(f"encoding {encoding!r} is unknown: use a Python name such as 'utf-8' or 'cp1252'") from None
    if not codec._is_text_encoding or codec.name == "undefined":  # as open() asks
        raise InputError(f"encoding {encoding!r} is no text encoding: use one such as 'utf-8' or 'cp1252'")
    return codec.name in {"utf-8", "utf-8-sig"}


def check_delimiter(mark: str) -> None:
    """Refuse what cannot part the fields of a line."""
    if len(mark) != 1 or mark in '"\r\n' or mark.isalnum() or not (mark.isprintable() or mark == "\t"):
        raise InputError(
            f"delimiter {mark!r} cannot be one: it is one character, no letter, digit or quotation mark: "
            "use ',', ';', '|' or a tab"
        )


def known_zone(name: str) -> ZoneInfo:
    """Return a time zone by its IANA name."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: "Europe" is a folder of zones
        raise unknown_zone(name) from None


def unknown_zone(name: str) -> InputError:
    """Return the error for what is no zone."""
    return InputError(f"timezone {name!r} is unknown: use a name such as 'Europe/Berlin' or 'UTC'")
