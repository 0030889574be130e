"""The summary as one SELECT over a table of transactions, for engines that hold them."""

from __future__ import annotations

from datetime import date
from typing import get_args

from churn_clv import __version__
from churn_clv.data.contract import Columns, Spend
from churn_clv.data.engine import query, quote
from churn_clv.data.spark_sql import bound, statement
from churn_clv.delivery.export_sql import quoted_table
from churn_clv.errors import InputError, shortened

DIALECTS = ("duckdb", "spark")  # both are executed by our tests


def summary_sql(
    table: str, end: date, spend: Spend = "repeat", columns: Columns | None = None, dialect: str = "duckdb"
) -> str:
    """Write the summary of `churn_clv.data.summary.summarize` as one SELECT over a table of transactions.

    Parameters
    ----------
    table
        ``name``, ``schema.name`` or ``catalog.schema.name``. Its lines are taken as they are: ids and dates present, refunds
        negative. `churn-clv summary` checks and cleans a log first; this does not.
    end
        The last day that is known.
    columns
        Names of the table's columns for customer_id, date and amount.
    dialect
        A name in `DIALECTS`.

    Returns
    -------
    A comment and the SELECT, without a semicolon; a row a customer with the columns of `summarize`, in no order.

    Raises
    ------
    InputError
        If the dialect, the spend rule or the table's name is none, or the table has no amounts.
    """
    if dialect not in DIALECTS:
        raise InputError(f"dialect {shortened(dialect)} is not one of {', '.join(DIALECTS)}")
    if spend not in get_args(Spend):
        raise InputError(f"spend {shortened(spend)} is not one of {', '.join(get_args(Spend))}")
    names = columns or Columns()
    if names.amount is None:
        raise InputError("a summary in SQL needs amounts: name their column")
    chosen = f"{quote(names.customer_id)} AS customer_id, CAST({quote(names.date)} AS DATE) AS day, {quote(names.amount)} AS amount"
    lines = f"(SELECT {chosen} FROM {quoted_table(table).sql('duckdb')})"  # noqa: S608 (quoted names)
    text = query("summary_of_lines").replace("WITH days AS", f"WITH lines AS NOT MATERIALIZED {lines},\n\ndays AS", 1)
    values = {"cutoff": end, "spend": spend}
    told = bound(text, values) if dialect == "duckdb" else statement(text, values).query
    about = f"Summary as of {end}, monetary_value of {spend} purchase days; written by churn-clv {__version__} for {dialect}."
    return f"-- {about}\n{told}\n"
