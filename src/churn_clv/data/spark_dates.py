"""Dates in a format of their own on Spark: a strptime pattern as DuckDB reads it, in Spark's functions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from churn_clv.errors import InputError

if TYPE_CHECKING:
    from sqlglot import exp

_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
# Specifier -> its part of a pattern of Java's. Digits are taken as DuckDB does: as many as fit, none given back.
_PARTS = {
    "Y": r"(\d{1,4}+)", "y": r"(\d{1,2}+)", "m": r"(\d{1,2}+)", "d": r"(\d{1,2}+)", "H": r"(\d{1,2}+)",
    "I": r"(\d{1,2}+)", "M": r"(\d{1,2}+)", "S": r"(\d{1,2}+)", "f": r"(?:\d{1,6}+)", "p": "([ap]m)",
    "b": f"({'|'.join(name[:3] for name in _MONTHS)})", "B": f"({'|'.join(_MONTHS)})",
    "a": f"(?:{'|'.join(name[:3] for name in _DAYS)})", "A": f"(?:{'|'.join(_DAYS)})", "z": r"([+-]\d{2}(?::?\d{2})?)",
}  # fmt: skip


def strptime(text: exp.Expr, pattern: str) -> exp.Expr:
    """Return the moment that a text tells, NULL where it is not written so; with %z in UTC.

    Fractions of a second are read and left out: a day is all that is kept.

    Raises
    ------
    InputError
        For a specifier that is not read on Spark.
    """
    java, found = _compiled(pattern)

    def part(name: str) -> exp.Expr | None:
        if name not in found:
            return None
        return _call("NULLIF", _call("REGEXP_EXTRACT", text.copy(), java, found.index(name) + 1), "")

    def number(name: str, otherwise: int) -> exp.Expr:
        from sqlglot import exp

        digits = part(name)
        return _expression(otherwise) if digits is None else exp.cast(digits, "INT")

    moment = _call("TRY_MAKE_TIMESTAMP", _year(part, number), _month(part, number), number("d", 1), _hour(part, number),
                   number("M", 0), number("S", 0))  # fmt: skip
    offset = part("z")
    return moment if offset is None else _call("TIMESTAMPADD", _unit(), _minutes(offset), moment)


def _compiled(pattern: str) -> tuple[str, list[str]]:
    """Return Java's pattern of a strptime pattern, and the specifiers of its groups in their order."""
    text, found = "", []
    for piece in re.findall(r"%-?.|\s+|.", pattern, flags=re.DOTALL):
        name = piece.lstrip("%-") if piece.startswith("%") and len(piece) > 1 else None
        if piece == "%%" or name is None:
            text += r"\s+" if piece.isspace() else re.escape(piece[-1])
        elif name not in _PARTS or name in found:
            raise InputError(
                f"date_format {pattern!r}: {piece!r} is not read on Spark (or twice): write it with %Y %y %m %d %H %I %M "
                "%S %f %p %b %B %a %A %z, or the dates as YYYY-MM-DD"
            )
        else:
            text += _PARTS[name]
            found += [] if _PARTS[name].startswith("(?:") else [name]
    return rf"(?i)\A{text}\z", found


def _year(part: Any, number: Any) -> exp.Expr:
    from sqlglot import exp

    if part("y") is None:
        return number("Y", 1900)
    short = number("y", 0)
    return exp.Case().when(short < 69, short.copy() + 2000).else_(short.copy() + 1900)


def _month(part: Any, number: Any) -> exp.Expr:
    from sqlglot import exp

    for name in ("b", "B"):
        word = part(name)
        if word is not None:
            names = exp.Array(expressions=[exp.Literal.string(month[:3]) for month in _MONTHS])
            first = _call("LOWER", _call("SUBSTRING", word, 1, 3))
            return exp.cast(_call("NULLIF", _call("ARRAY_POSITION", names, first), 0), "INT")
    return number("m", 1)


def _hour(part: Any, number: Any) -> exp.Expr:
    from sqlglot import exp

    if part("I") is None:
        return number("H", 0)
    clock = number("I", 0)
    half = _call("MOD", clock.copy(), 12)
    later = (
        exp.Case().when(_call("LOWER", part("p") or exp.Literal.string("am")).eq("pm"), half + 12).else_(half.copy())
    )
    return exp.Case().when(clock.between(1, 12), later)


def _minutes(offset: exp.Expr) -> exp.Expr:
    """Minutes to add to a local time to come to UTC."""
    from sqlglot import exp

    plain = _call("RPAD", _call("REPLACE", offset, ":", ""), 5, "0")
    hours = exp.cast(_call("SUBSTRING", plain, 2, 2), "INT")
    minutes = exp.cast(_call("SUBSTRING", plain.copy(), 4, 2), "INT")
    size = exp.paren(hours * 60 + minutes)
    return exp.Case().when(_call("SUBSTRING", plain.copy(), 1, 1).eq("+"), exp.Neg(this=size)).else_(size.copy())


def _unit() -> exp.Expr:
    from sqlglot import exp

    return exp.Var(this="MINUTE")


def _call(name: str, *arguments: Any) -> exp.Expr:
    from sqlglot import exp

    return exp.Anonymous(this=name, expressions=[_expression(argument) for argument in arguments])


def _expression(value: Any) -> exp.Expr:
    from sqlglot import exp

    return value if isinstance(value, exp.Expr) else exp.convert(value)
