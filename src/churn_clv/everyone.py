"""Scores of every customer of a log that is too large for one frame: in Parquet parts, added up by the engine."""

from __future__ import annotations

import glob
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

from churn_clv.data import engine
from churn_clv.data.privacy import PSEUDONYM, pseudonym
from churn_clv.segments.contact_profit import allocate

PARTS = "part-*.parquet"
_BUDGET = [
    "customers",
    "contacted",
    "outlay",
    "outlay_a_customer",
    "contact_profit",
    "profit_if_all",
    "value",
    "value_share",
]


@dataclass(frozen=True)
class Everyone:
    """Where the scores of all customers stand, in which part of a log's customers, and what they add up to.

    folder: Parquet files with `churn_clv.score.SCORE_COLUMNS` but reasons, and channel, contact_profit, expected_outlay (currency),
    win_back. connection: a DuckDB in which they are the view `scored`, with `contact`: whom to contact within the budget.
    """

    folder: Path
    connection: duckdb.DuckDBPyConnection

    def totals(self, by: Iterable[str]) -> pd.DataFrame:
        """Add up the customers by some of their columns.

        Returns
        -------
        DataFrame indexed by the columns: customers, churn_probability and value_if_active (means), expected_spend,
        value_at_risk and clv (totals, currency), win_back (customers), contacted, outlay and contact_profit (of the contacted) and
        profit_if_all; missing where the log has no amounts.
        """
        columns = list(by)
        text = engine.query("score_totals").replace("$by", ", ".join(map(engine.quote, columns)))
        return self.connection.execute(text).df().set_index(columns)

    @cached_property
    def total(self) -> pd.Series:
        """What everyone adds up to: the row of `totals` for all."""
        return self.totals(["as_of"]).iloc[0]

    def segments(self, column: str) -> list[str]:
        """Return the different values of a column as text, as `write` compares them."""
        rows = engine.run(self.connection, f"SELECT DISTINCT CAST({engine.quote(column)} AS VARCHAR) FROM scored")  # noqa: S608
        return sorted(text for (text,) in rows)

    def budget(self, scheme: str) -> pd.DataFrame:
        """Return what `churn_clv.segments.outreach.budget_table` would, of everyone."""
        table = self.totals([scheme]).rename(columns={"expected_spend": "value"})
        table = table.sort_values("value", ascending=False, kind="stable")
        total = table["value"].sum()
        return table.assign(
            outlay_a_customer=table["outlay"] / table["customers"],
            value_share=table["value"] / total if total else np.nan,
        )[_BUDGET]

    def add_pseudonyms(self, key: bytes) -> None:
        """Give `scored` a column of pseudonyms, for lists that leave."""
        self.connection.create_function(
            "pseudonym", lambda customer_id: pseudonym(customer_id, key), ["VARCHAR"], "VARCHAR"
        )
        engine.run(self.connection, "ALTER VIEW scored RENAME TO identified")
        engine.run(
            self.connection,
            f"CREATE VIEW scored AS SELECT *, pseudonym(customer_id) AS {engine.quote(PSEUDONYM)} FROM identified",  # noqa: S608
        )

    def close(self) -> None:
        """Let the engine go; the parts stay."""
        self.connection.close()

    def write(self, where: str, values: list[str], order: str, columns: list[str], out: Path) -> None:
        """Write the customers that meet a condition, in order, to a Parquet file, without holding them in memory."""
        told = ", ".join(map(engine.quote, columns))
        rows = f"SELECT {told} FROM scored WHERE {where} ORDER BY {order}, customer_id"  # noqa: S608 (our own texts)
        out.parent.mkdir(parents=True, exist_ok=True)
        target = str(out).replace("'", "''")
        self.connection.execute(f"COPY ({rows}) TO '{target}' (FORMAT parquet)", values).fetchall()


def gather(
    folder: Path, budget: float | None, memory_limit: str | None, threads: int | None, spill_directory: str
) -> Everyone:
    """Open the parts of a folder and choose whom to contact: all who are expected to earn, or those whom the budget pays.

    Parameters
    ----------
    budget
        See `churn_clv.segments.contact_profit.allocate`; the profits and outlays of those who may earn are held in memory.
    """
    connection = engine.connect(memory_limit, threads, spill_directory)
    connection.read_parquet(glob.escape(str(folder)) + f"/{PARTS}").create_view("parts")
    engine.run(connection, "CREATE TABLE passed_over (customer_id VARCHAR)")
    if budget is not None:
        _pass_over(connection, budget)
    engine.run(
        connection,
        "CREATE VIEW scored AS SELECT *, T - recency AS days_since_purchase, coalesce(contact_profit > 0, FALSE) "
        "AND customer_id NOT IN (FROM passed_over) AS contact FROM parts",
    )
    return Everyone(folder, connection)


def _pass_over(connection: duckdb.DuckDBPyConnection, budget: float) -> None:
    earning = "SELECT customer_id, contact_profit, expected_outlay FROM parts WHERE contact_profit > 0"
    offers = connection.execute(earning).df().set_index("customer_id")
    chosen = allocate(offers["contact_profit"], offers["expected_outlay"], budget)
    connection.register("over", chosen.index[~chosen].to_frame(index=False))
    engine.run(connection, "INSERT INTO passed_over SELECT customer_id FROM over")
    connection.unregister("over")
