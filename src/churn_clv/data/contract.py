"""What a user may say about a log: the names of its columns and how to read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from typing import Literal

Value = str | int | float | bool | None


@dataclass(frozen=True)
class Columns:
    """Names, in the user's file, of the columns with a meaning here. None: the log has no such column."""

    customer_id: str = "customer_id"
    date: str = "date"
    amount: str | None = "amount"
    order_id: str | None = None
    product_id: str | None = None
    quantity: str | None = None
    channel: str | None = None

    def mapped(self) -> dict[str, str]:
        """Return role -> the user's name for every column that is mapped."""
        roles = {field.name: getattr(self, field.name) for field in fields(self)}
        return {role: name for role, name in roles.items() if name is not None}


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
    start, end: first and last day to keep, both included.
    drop_rows: lines to leave out; a line goes when every column named in one mapping holds one of its values.
    """

    date_format: str | None = None
    decimal: Literal[".", ","] = "."
    delimiter: str | None = None
    encoding: str = "utf-8"
    timezone: str = "UTC"
    duplicates: Literal["keep", "drop"] = "keep"
    missing_customer_id: Literal["drop", "error"] = "drop"
    purchase_rule: Literal["purchase_line", "positive_net"] = "purchase_line"
    start: date | None = None
    end: date | None = None
    drop_rows: Sequence[Mapping[str, Sequence[Value]]] = ()
