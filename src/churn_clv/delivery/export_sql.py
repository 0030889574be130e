"""Fitted purchase and spend models as one SELECT, for warehouses that score without Python."""

from __future__ import annotations

from typing import TYPE_CHECKING

from churn_clv import __version__
from churn_clv.delivery.export_query import written
from churn_clv.delivery.export_rules import LARGEST_AGE, MOST_PURCHASES
from churn_clv.delivery.export_trial import BOUND, Asked, near_enough
from churn_clv.errors import InputError, shortened
from churn_clv.models.fitted import FittedModel
from churn_clv.models.gamma_gamma import GammaGammaModel
from churn_clv.models.purchase_model import PurchaseModel
from churn_clv.score import FittedModels

if TYPE_CHECKING:
    from sqlglot import exp

DIALECTS = ("duckdb", "spark", "postgres", "bigquery", "snowflake")
EXECUTED = ("duckdb", "postgres")  # by our tests; the others are only parsed


def scoring_sql(
    purchases: PurchaseModel,
    spend: GammaGammaModel | None,
    *,
    horizon_days: int,
    clv_horizon_days: int,
    annual_discount_rate: float,
    dialect: str,
    table: str,
    currency: str = "",
) -> str:
    """Write fitted models as one SELECT over a summary table, tried on DuckDB against the models themselves.

    Parameters
    ----------
    purchases
        A fitted BG/NBD, MBG/NBD or Pareto/NBD whose time unit is the day.
    spend
        A fitted Gamma-Gamma; None takes every purchase as worth 1 and reads no amounts.
    horizon_days, clv_horizon_days, annual_discount_rate
        Horizon of the forecasts and of the CLV, in days, and the yearly rate of `discounted_purchases`.
    dialect
        A name in `DIALECTS`.
    table
        The summary table, ``name`` or ``schema.name``, with the columns of `summarize`: customer_id, frequency,
        recency, T, and with a spend model monetary_value and monetary_days.
    currency
        Unit of the amounts, for the comment on top.

    Returns
    -------
    A comment and the SELECT, without a semicolon. Its columns: customer_id, p_alive, probability_no_purchase,
    expected_purchases, expected_spend_per_purchase, expected_spend, clv; NULL where a history is none.

    Raises
    ------
    InputError
        If the dialect or the table's name is none, or no rule within reach comes within `BOUND` of Python.
    """
    if dialect not in DIALECTS:
        raise InputError(f"dialect {shortened(dialect)} is not one of {', '.join(DIALECTS)}")
    place = quoted_table(table)
    asked = Asked(purchases, spend, float(horizon_days), float(clv_horizon_days), annual_discount_rate)
    query, error = near_enough(asked)
    header = "".join(f"-- {_one_line(line)}\n" for line in _header(asked, error, dialect, table, currency))
    return header + written(query, dialect, place) + "\n"


def model_sql(models: FittedModels, dialect: str, table: str) -> str:
    """Write a run's purchase and spend model as SQL, with the run's own horizons, rate and currency."""
    settings = models.settings
    return scoring_sql(
        models.purchases,
        models.spend,
        horizon_days=settings.horizon_days,
        clv_horizon_days=settings.clv_horizon_days,
        annual_discount_rate=settings.annual_discount_rate,
        dialect=dialect,
        table=table,
        currency=settings.currency,
    )


def quoted_table(name: str) -> exp.Expr:
    """Return a table's name, every part of it quoted, so that it is a name and nothing else."""
    from sqlglot import exp

    parts = name.split(".")
    if len(parts) > 3 or not all(part.strip() and part.isprintable() for part in parts):
        raise InputError(f"table {shortened(name)} is no name; give table, schema.table or catalog.schema.table")
    return exp.Table(
        **dict(
            zip(("this", "db", "catalog"), (exp.to_identifier(p, quoted=True) for p in reversed(parts)), strict=False)
        )
    )


def _header(asked: Asked, error: float, dialect: str, table: str, currency: str) -> list[str]:
    money = currency or "unit of the amounts"
    spend = "no amounts: every purchase counts 1" if asked.spend is None else _described(asked.spend)
    needs = "customer_id, frequency (repeat purchases), recency and T (days)"
    if asked.spend is not None:
        needs += f", monetary_value (mean spend a purchase, {money}), monetary_days (purchases behind that mean)"
    tests = "executed" if dialect in EXECUTED else "not executed, only parsed,"
    return [
        f"Scores of customers by {_described(asked.purchases)}; spend by {spend}.",
        f"Written by churn-clv {__version__} for {dialect}; {tests} by the authors' tests.",
        f"Reads {table}: {needs}. Names are quoted: their case counts.",
        f"expected_purchases, expected_spend, probability_no_purchase: in {asked.horizon:g} days after T. clv: "
        f"in {asked.clv_horizon:g} days, discounted at {asked.annual_discount_rate:.6g} a year. Money in {money}.",
        f"Error: at most {BOUND:g} relative to the Python models; {error:.1g} was the largest over the hard histories "
        "this SQL was tried on in DuckDB when it was written.",
        f"NULL: scores of histories that cannot be (missing, negative, recency > T, ...), or with T > {LARGEST_AGE:.0f} or "
        f"frequency > {MOST_PURCHASES:.0f}, for which the error is not known.",
        "What is below 1e-100 counts as nothing: a probability of 1e-200 is given as 1e-130, or as 0.",
    ]


def _described(model: FittedModel) -> str:
    return f"{type(model).__name__} ({', '.join(f'{name} = {value!r}' for name, value in model.params_.items())})"


def _one_line(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)
