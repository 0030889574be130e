"""Put numbers, nodes and formulas into the SQL files of the export; the result is a tree that any dialect can be made of."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import TYPE_CHECKING

from churn_clv.delivery.export_rules import Rows

if TYPE_CHECKING:
    from sqlglot import exp

SUMMARY = "summary_table"  # stands for the user's table

# Functions that not every dialect has, or that lose digits, overflow or raise in one; u stands for the argument. Exponents
# stay within 300, so that a product of two is still a number: PostgreSQL raises where others give 0.
FORMULAS = {
    "log_one_plus": "CASE WHEN u < 0.001 THEN u * (1 - u * (0.5 - u * (0.3333333333333333 - u * 0.25))) ELSE LN(1 + u) END",
    "one_minus_exp": "CASE WHEN u < 0.001 THEN u * (1 - u * 0.5 * (1 - u * 0.3333333333333333 * (1 - u * 0.25))) "
    "WHEN u < 40 THEN 1 - EXP(-u) ELSE 1 END",
    # (1 - e^-u) / u
    "mean_decay": "CASE WHEN ABS(u) < 0.001 THEN 1 - u * 0.5 * (1 - u * 0.3333333333333333 * (1 - u * 0.25)) "
    "WHEN u < 40 THEN (1 - EXP(-u)) / u ELSE 1 / u END",
    # 1 - (1 + u)^-k
    "some_bought": "CASE WHEN (k + 1) * u < 0.0001 "
    "THEN k * u * (1 - (k + 1) * u * 0.5 * (1 - (k + 2) * u * 0.3333333333333333)) "
    "ELSE 1 - EXP(-LEAST(k * LN(1 + u), 300)) END",
    # e^-u; NULL stays NULL, which LEAST would not have
    "vanishing": "CASE WHEN u > 300 THEN 0 ELSE EXP(-u) END",
    "within_range": "CASE WHEN u < -300 THEN -300 WHEN u > 300 THEN 300 ELSE u END",
}
WITH_MATERIALIZED = ("duckdb", "postgres")
ONE_A_PURCHASE = "CAST(1 AS DOUBLE)"
# Fader & Hardie (2013), note 025, eq. 5; NULL where the mean does not exist
GAMMA_GAMMA = """
    CASE WHEN monetary_days BETWEEN 0 AND 1000000000 AND monetary_days = FLOOR(monetary_days)
        AND monetary_value BETWEEN -1000000000000000 AND 1000000000000000 AND :p * monetary_days + :q - 1 > 0
    THEN :p * (:v + monetary_days * CASE WHEN monetary_value > 0 THEN CAST(monetary_value AS DOUBLE) ELSE 0 END)
        / (:p * monetary_days + :q - 1) END
"""


def scoring_query(
    model: str,
    numbers: Mapping[str, float],
    tables: Mapping[str, tuple[tuple[str, ...], Rows]],
    spend: Mapping[str, float] | None,
) -> exp.Expr:
    """Return the query over `SUMMARY`, in terms that every dialect has.

    Parameters
    ----------
    model
        The purchase model's SQL file, without its ending.
    numbers
        Value of each ``$name`` in the files.
    tables
        Tables of constants that the files read: name -> (columns, rows).
    spend
        Gamma-Gamma's p, q and v; None where every purchase counts 1.
    """
    spent = _parsed(ONE_A_PURCHASE if spend is None else GAMMA_GAMMA)
    parts = {name: _constants(name, *content) for name, content in tables.items()}
    parts["purchase_model"] = _filled(_parsed(_text(model)), numbers, parts)
    parts["spend_model"] = _filled(spent, spend or {}, {})
    return _filled(_parsed(_text("export_scores")), numbers, parts)


def written(query: exp.Expr, dialect: str, table: exp.Expr) -> str:
    """Return the query as text in a dialect, over the user's table."""
    from sqlglot import exp

    def adapt(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.CTE) and dialect not in WITH_MATERIALIZED:
            node.set("materialized", None)
        return table.copy() if isinstance(node, exp.Table) and node.name == SUMMARY else node

    return query.transform(adapt).sql(dialect, identify=True, pretty=True, comments=False)


def _number(value: float) -> exp.Expr:
    """Return a double: bare digits are a decimal in most dialects, which rounds as it likes."""
    from sqlglot import exp

    return exp.cast(exp.Literal.string(repr(float(value))), "double")


def _filled(query: exp.Expr, numbers: Mapping[str, float], parts: Mapping[str, exp.Expr]) -> exp.Expr:
    from sqlglot import exp

    def fill(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.Placeholder):
            return _number(numbers[node.name])
        if isinstance(node, exp.Anonymous) and node.name in FORMULAS:
            return _formula(node.name, node.expressions[0])
        if isinstance(node, exp.Anonymous):
            return exp.paren(parts[node.name].copy())
        if isinstance(node, exp.Table) and node.name in parts:
            return exp.Subquery(this=parts[node.name].copy(), alias=exp.TableAlias(this=exp.to_identifier(node.name)))
        return node

    return query.transform(fill)


def _formula(name: str, argument: exp.Expr) -> exp.Expr:
    """The formula with a column in it: an argument that is a formula itself would be worked out many times."""
    from sqlglot import exp

    if not isinstance(argument, exp.Column):
        raise TypeError(f"{name} takes a column, not {argument.sql()}")

    def put(node: exp.Expr) -> exp.Expr:
        return argument.copy() if isinstance(node, exp.Column) and node.name == "u" else node

    return exp.paren(_parsed(FORMULAS[name]).transform(put))


def _constants(name: str, columns: tuple[str, ...], rows: Rows) -> exp.Expr:
    from sqlglot import exp

    values = exp.values([tuple(map(repr, row)) for row in rows], alias=f"{name}_given", columns=columns)
    return exp.select(*(exp.alias_(exp.cast(exp.column(c), "double"), c) for c in columns)).from_(values)


def _parsed(sql: str) -> exp.Expr:
    import sqlglot

    return sqlglot.parse_one(sql, read="duckdb")


def _text(name: str) -> str:
    return files(__package__).joinpath(f"{name}.sql").read_text("utf-8")
