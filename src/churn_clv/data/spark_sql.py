"""The data room's SQL, which is DuckDB's, as Spark understands it: sqlglot translates, and the rules below mend the rest.

Spark runs in ANSI mode and in UTC: what overflows or divides by zero fails instead of becoming NULL, as DuckDB never
gives a NULL there either.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from sqlglot import exp

# What a row is called on Spark, where rows have no number: its digest.
ROW = "row_hash"
# Columns of money and quantity, all DOUBLE.
_DOUBLES = frozenset({"amount", "margin", "quantity"})
# DuckDB's trim takes every blank of Unicode, Spark's the space alone.
_BLANKS = " \u00a0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u202f\u205f\u3000"


class Statement(NamedTuple):
    """A statement on Spark: a query, the table that it fills, or the table that goes."""

    query: str
    creates: str | None = None
    drops: str | None = None


def statement(sql: str, values: Mapping[str, Any] | None = None) -> Statement:
    """Translate one statement of DuckDB's dialect; `values` take the places of its $names.

    Examples
    --------
    >>> statement("SELECT $day - min(day) AS days, day - 28 AS before FROM t", {"day": date(2024, 1, 2)}).query
    "SELECT DATEDIFF(CAST('2024-01-02' AS DATE), MIN(`day`)) AS `days`, `day` - 28 AS `before` FROM `t`"
    """
    from sqlglot import exp

    tree = _bound(_parsed(sql).copy(), values or {})
    if isinstance(tree, exp.Drop):
        return Statement("", drops=tree.args["tables"][0].name)
    if isinstance(tree, exp.Create):
        if tree.expression.args.get("limit") is None:
            tree.expression.set("order", None)  # a table on Spark has no order
        return Statement(_text(tree.expression), creates=tree.this.name)
    return Statement(_text(tree))


def bound(sql: str, values: Mapping[str, Any]) -> str:
    """Return a query of DuckDB's dialect with its values written into it.

    >>> bound("SELECT $name AS x", {"name": "O'Hara"})
    "SELECT\\n  'O''Hara' AS x"
    """
    return _bound(_parsed(sql).copy(), values).sql(dialect="duckdb", pretty=True, comments=False)


@lru_cache(maxsize=256)
def _parsed(sql: str) -> exp.Expr:
    import sqlglot

    return sqlglot.parse_one(sql, read="duckdb")


def _bound(tree: exp.Expr, values: Mapping[str, Any]) -> exp.Expr:
    from sqlglot import exp

    for place in list(tree.find_all(exp.Placeholder)):
        if place.name not in values:
            raise KeyError(f"no value is given for ${place.name}")
        place.replace(literal(values[place.name]))
    return tree


def literal(value: Any) -> exp.Expr:
    """Return a value as a part of a query: never as text that is parsed.

    >>> literal("O'Hara \\\\ ; --").sql("spark")
    "'O\\\\'Hara \\\\\\\\ ; --'"
    """
    from sqlglot import exp

    match value:
        case None:
            return exp.null()
        case bool():
            return exp.true() if value else exp.false()
        case int() | Decimal():
            return exp.Literal.number(str(value)) if value >= 0 else exp.Neg(this=exp.Literal.number(str(-value)))
        case float() if math.isfinite(value):
            return exp.cast(exp.Literal.string(repr(value)), "DOUBLE")
        case str():
            return exp.Literal.string(value)
        case date() if not isinstance(value, datetime):
            return exp.cast(exp.Literal.string(value.isoformat()), "DATE")
        case list() | tuple():
            return exp.Array(expressions=[literal(part) for part in value])
    raise TypeError(f"{type(value).__name__} cannot be bound to a query on Spark")


def _text(query: exp.Expr) -> str:
    for rule in _RULES:
        rule(query)
    return query.sql(dialect="spark", identify=True, comments=False)


def _without_names(query: exp.Expr) -> None:
    """Put named subqueries where they are used.

    sqlglot would move all of them to the front, where two of one name cannot stand; and Spark numbers them, and then finds
    a kept table no longer by its plan.
    """
    from sqlglot import exp

    for named in reversed(list(query.find_all(exp.With))):
        whole = named.parent
        named.pop()
        known: dict[str, exp.Expr] = {}
        for part in [*named.expressions, whole]:
            body = part.this if isinstance(part, exp.CTE) else part
            for table in list(body.find_all(exp.Table)):
                if table.name in known:
                    inner = exp.Subquery(this=known[table.name].copy())
                    table.replace(exp.alias_(inner, table.alias or table.name, table=True))
            known[part.alias] = body


def _replace_all(query: exp.Expr, kind: type[Any], change: Callable[[Any], exp.Expr | None]) -> None:
    """Replace every node of a kind for which `change` has something else, the inner ones first."""
    for node in reversed(list(query.find_all(kind))):
        new = change(node)
        if new is not None:
            node.replace(new)


def _call(name: str, *arguments: exp.Expr) -> exp.Expr:
    from sqlglot import exp

    return exp.Anonymous(this=name, expressions=list(arguments))


def _days_between_dates(query: exp.Expr) -> None:
    """A difference of dates is a number of days; Spark's is an interval."""
    from sqlglot import exp

    dates = _date_names(query)

    def days(node: exp.Sub) -> exp.Expr | None:
        if _is_date(node.this, dates) and _is_date(node.expression, dates):
            return _call("DATEDIFF", node.this, node.expression)
        return None

    _replace_all(query, exp.Sub, days)


def _date_names(query: exp.Expr) -> set[str]:
    """Names of the columns that are dates: those of the log's tables, and whatever is made of dates."""
    from sqlglot import exp

    found: set[str] = {"day", "first_day"}
    while True:
        more = {alias.alias for alias in query.find_all(exp.Alias) if _is_date(alias.this, found)} - found
        if not more:
            return found
        found |= more


def _is_date(node: exp.Expr, dates: set[str]) -> bool:
    from sqlglot import exp

    if isinstance(node, exp.Column):
        return node.name in dates
    if isinstance(node, exp.Cast):  # an array of dates is made into rows of them
        return node.to.is_type("DATE", "ARRAY<DATE>")
    if isinstance(node, exp.Case):
        return any(_is_date(branch.args["true"], dates) for branch in node.args["ifs"])
    if isinstance(node, exp.Add | exp.Sub):
        return _is_date(node.this, dates) and not _is_date(node.expression, dates)
    passing = (
        exp.Paren, exp.Min, exp.Max, exp.Lag, exp.Lead, exp.FirstValue, exp.LastValue, exp.AnyValue, exp.Coalesce,
        exp.Greatest, exp.Least, exp.Nullif, exp.ArgMax, exp.ArgMin, exp.Window, exp.Filter, exp.Explode,
    )  # fmt: skip
    return isinstance(node, passing) and _is_date(node.this, dates)


def _one_generator(query: exp.Expr) -> None:
    """Lists side by side become rows side by side; Spark allows one generator a SELECT."""
    from sqlglot import exp

    for select in query.find_all(exp.Select):
        lists = [item for item in select.expressions if isinstance(item.unalias(), exp.Explode)]
        if len(lists) > 1:
            if len(lists) < len(select.expressions):
                raise NotImplementedError("lists beside other columns have no translation: join them")
            zipped = _call("INLINE", _call("ARRAYS_ZIP", *(item.unalias().this for item in lists)))
            names = [exp.to_identifier(item.alias) for item in lists]
            select.set("expressions", [exp.Aliases(this=zipped, expressions=names)])


def _extremes_skip_nulls(query: exp.Expr) -> None:
    """arg_max and arg_min leave out rows without the value that is asked for; Spark's return the NULL."""
    from sqlglot import exp

    for kind, name in ((exp.ArgMax, "MAX_BY"), (exp.ArgMin, "MIN_BY")):

        def extreme(node: Any, name: str = name) -> exp.Expr:
            known = exp.Case().when(node.this.copy().is_(exp.null()).not_(), node.expression)
            return _call(name, node.this, known)

        _replace_all(query, kind, extreme)


def _float_division(query: exp.Expr) -> None:
    """A quotient is a DOUBLE, of integers and decimals as well; by 0 it is infinite or, of 0, no number."""
    from sqlglot import exp

    def quotient(node: exp.Div) -> exp.Expr:
        above, below = exp.cast(node.this, "DOUBLE"), exp.cast(node.expression, "DOUBLE")
        plain = exp.Div(this=above, expression=below)
        if isinstance(node.expression, exp.Literal) or _is_never_zero(node.expression):
            return plain
        infinite = exp.Mul(this=above.copy(), expression=exp.cast(exp.Literal.string("Infinity"), "DOUBLE"))
        return exp.Case().when(below.copy().eq(0), infinite).else_(plain)

    _replace_all(query, exp.Div, quotient)


def _is_never_zero(node: exp.Expr) -> bool:
    from sqlglot import exp

    return isinstance(node, exp.Nullif) and node.expression.name == "0"


def _money_is_rounded_as_duckdb_does(query: exp.Expr) -> None:
    """TRY_CAST to a decimal rounds the number times its scale; Spark rounds the shortest text of the number."""
    from sqlglot import exp

    def rounded(node: exp.TryCast) -> exp.Expr | None:
        if node.to.this != exp.DType.DECIMAL:
            return None
        scale = literal(float(10 ** int(node.to.expressions[1].name)))
        product = _call("ROUND", exp.Mul(this=exp.paren(exp.cast(node.this, "DOUBLE")), expression=scale))
        return exp.TryCast(this=exp.Div(this=product, expression=scale.copy()), to=node.to)

    _replace_all(query, exp.TryCast, rounded)


def _numbers_as_duckdb_writes_them(query: exp.Expr) -> None:
    """The text of an amount: Spark writes 1.0E7 where DuckDB writes 10000000.0."""
    from sqlglot import exp

    def plain(node: exp.Cast) -> exp.Expr | None:
        is_text = node.to.this in exp.DataType.TEXT_TYPES
        if not is_text or not isinstance(node.this, exp.Column) or node.this.name not in _DOUBLES:
            return None
        money = exp.cast(exp.cast(node.this.copy(), "DECIMAL(38, 6)"), "TEXT")
        short = _call("REGEXP_REPLACE", money, literal(r"0{1,5}\z"), literal(""))
        size = _call("ABS", node.this.copy())
        ordinary = exp.or_(size.eq(0), exp.and_(size.copy() >= literal(1e-4), size.copy() < literal(1e15)))
        return exp.Case().when(ordinary, short).else_(exp.Cast(this=node.this, to=node.to))

    for node in list(query.find_all(exp.Cast)):
        new = None if isinstance(node, exp.TryCast) else plain(node)
        if new is not None:
            node.replace(new)


def _patterns(query: exp.Expr) -> None:
    """Patterns are RE2's, where $ is the very end; Java's also matches before a last line end."""
    from sqlglot import exp

    for node in query.find_all(exp.RegexpLike):
        node.set("expression", literal(_java(node.expression.name)))


def _java(pattern: str) -> str:
    return re.sub(r"\\.|\[(?:\\.|[^\]])*\]|\$", lambda found: r"\z" if found[0] == "$" else found[0], pattern)


def _functions(query: exp.Expr) -> None:
    """Functions that sqlglot passes on by their DuckDB names, or under a name that means something else."""
    from sqlglot import exp

    _replace_all(
        query, exp.Anonymous, lambda node: _FUNCTIONS.get(node.name.lower(), lambda *_: None)(*node.expressions)
    )
    _replace_all(query, exp.RegexpFullMatch, lambda node: _full_match(node.this, node.expression))
    _replace_all(query, exp.Trim, lambda node: None if node.expression else _trimmed(node.this))
    _replace_all(query, exp.DayOfWeekIso, lambda node: _call("WEEKDAY", node.this) + 1)
    # The growing median: PERCENTILE_CONT takes no ordered window, PERCENTILE does.
    _replace_all(query, exp.PercentileCont, lambda node: _call("PERCENTILE", node.this, node.expression))


def _trimmed(text: exp.Expr) -> exp.Expr:
    from sqlglot import exp

    return exp.Trim(this=text, expression=literal(_BLANKS), position="BOTH")


def _full_match(text: exp.Expr, pattern: exp.Expr) -> exp.Expr:
    from sqlglot import exp

    return exp.RegexpLike(this=text, expression=literal(rf"\A(?:{_java(pattern.name)})\z"))


def _row_digest(*columns: exp.Expr) -> exp.Expr:
    """xxhash64 passes over NULLs, so that their places are hashed as well."""
    from sqlglot import exp

    places = [part for column in columns for part in (column, column.copy().is_(exp.null()))]
    return _call("XXHASH64", *places)


def _digest_of_all(query: exp.Expr) -> None:
    """bit_xor(md5_number(x)) has 128 bits, twice what Spark's has: hexadecimal digits, the first byte first."""
    from sqlglot import exp

    def halves(node: exp.BitwiseXorAgg) -> exp.Expr | None:
        if node.this.name.lower() != "md5_number":
            return None
        parts = []
        for start in (1, 17):
            digits = _call("SUBSTRING", _call("MD5", node.this.expressions[0].copy()), literal(start), literal(16))
            half = exp.cast(_call("CONV", digits, literal(16), literal(-10)), "BIGINT")
            parts.append(_call("LPAD", _call("HEX", _call("BIT_XOR", half)), literal(16), literal("0")))
        return _call("CONCAT", *parts)

    _replace_all(query, exp.BitwiseXorAgg, halves)


def _rows_have_no_number(query: exp.Expr) -> None:
    from sqlglot import exp

    for column in query.find_all(exp.Column):
        if column.name == "rowid":
            column.set("this", exp.to_identifier(ROW))


def _limit_is_a_number(query: exp.Expr) -> None:
    """LIMIT takes an integer, no cast of one."""
    from sqlglot import exp

    for limit in query.find_all(exp.Limit):
        if isinstance(limit.expression, exp.Cast):
            limit.set("expression", limit.expression.this)


def _strptime(text: exp.Expr, pattern: exp.Expr) -> exp.Expr:
    from churn_clv.data.spark_dates import strptime

    return strptime(text, pattern.name)


_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "hash": _row_digest,
    "isfinite": lambda moment: moment.is_(literal(None)).not_(),  # no date of Spark's is infinite
    "timezone": lambda zone, moment: _call("FROM_UTC_TIMESTAMP", moment, zone),
    "try_strptime": _strptime,
}
_RULES: Sequence[Callable[[exp.Expr], None]] = (
    _without_names,
    _days_between_dates,
    _one_generator,
    _extremes_skip_nulls,
    _float_division,
    _money_is_rounded_as_duckdb_does,
    _numbers_as_duckdb_writes_them,
    _patterns,
    _functions,
    _digest_of_all,
    _rows_have_no_number,
    _limit_is_a_number,
)
