"""Summarize the customers of a simulated log beside lifetimes, pandas and polars: each alone in a process.

    python benchmarks/summary.py --lines 10000000

"read": lifetimes, pandas and polars read the Parquet files into a frame; ours reads, checks, cleans and reports, and
merges each customer's days. "work" begins with what was read in memory: at one cutoff, frequency, recency, T and mean
spend. "from the file" works on the files themselves: polars lazily and streaming; ours with customer_days.sql and
summary.sql on the typed columns, without the door's checks, and with the one query of `churn-clv summary-sql`, which
takes the lines as they are. Ratios are lifetimes' processor time over the
contestant's: of the work alone, and of the whole from the files. The figures found must agree: frequency, recency and
T exactly, money to 1e-9.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import tempfile
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from measured import Clock, Contestant, alone, options, race, simulated_log, table

if TYPE_CHECKING:
    import pandas as pd

CUTOFF = date(2024, 7, 1)
COLUMNS = ["frequency", "recency", "T", "monetary_value"]


def by_lifetimes(log: Path, clock: Clock) -> pd.DataFrame:
    """Summarize with lifetimes."""
    import pandas as pd
    from lifetimes.utils import summary_data_from_transaction_data

    with clock.stage("read"):
        lines = pd.read_parquet(log)
    with clock.stage("work"):
        return summary_data_from_transaction_data(
            lines, "customer_id", "date", monetary_value_col="amount", observation_period_end=pd.Timestamp(CUTOFF)
        )


def by_pandas(log: Path, clock: Clock) -> pd.DataFrame:
    """Summarize with two groupings of pandas."""
    import pandas as pd

    with clock.stage("read"):
        lines = pd.read_parquet(log)
    with clock.stage("work"):
        known = lines[lines["date"] <= pd.Timestamp(CUTOFF)]
        days = known.groupby(["customer_id", "date"], sort=False)["amount"].sum().reset_index()
        first = days.groupby("customer_id")["date"].transform("min")
        days["repeat_amount"] = days["amount"].where(days["date"] > first)
        customers = days.groupby("customer_id").agg(
            first=("date", "min"), last=("date", "max"), n=("date", "size"), money=("repeat_amount", "mean")
        )
        return pd.DataFrame(
            {
                "frequency": customers["n"] - 1.0,
                "recency": (customers["last"] - customers["first"]).dt.days.astype(float),
                "T": (pd.Timestamp(CUTOFF) - customers["first"]).dt.days.astype(float),
                "monetary_value": customers["money"].fillna(0.0),
            }
        )


def polars_query(lines: Any) -> Any:
    """The summary as a lazy query of polars."""
    import polars as pl

    end = pl.lit(CUTOFF)
    days = (
        lines.with_columns(pl.col("date").cast(pl.Date)).filter(pl.col("date") <= end)
        .group_by("customer_id", "date").agg(pl.col("amount").sum())
    )  # fmt: skip
    first, last, n = pl.col("date").min(), pl.col("date").max(), pl.len().cast(pl.Float64)
    customers = days.group_by("customer_id").agg(
        first=first, last=last, n=n, all=pl.col("amount").sum(), begin=pl.col("amount").sort_by("date").first()
    )
    return customers.select(
        "customer_id",
        frequency=pl.col("n") - 1,
        recency=(pl.col("last") - pl.col("first")).dt.total_days().cast(pl.Float64),
        T=(end - pl.col("first")).dt.total_days().cast(pl.Float64),
        monetary_value=pl.when(pl.col("n") > 1)
        .then((pl.col("all") - pl.col("begin")) / (pl.col("n") - 1))
        .otherwise(0.0),
    ).sort("customer_id")


def by_polars(log: Path, clock: Clock) -> pd.DataFrame:
    """Summarize with polars, the lines in memory."""
    import polars as pl

    with clock.stage("read"):
        lines = pl.read_parquet(polars_path(log))
    with clock.stage("work"):
        found = polars_query(lines.lazy()).collect()
    return found.to_pandas().set_index("customer_id")


def by_polars_streaming(log: Path, clock: Clock) -> pd.DataFrame:
    """Summarize with polars, streaming from the files."""
    import polars as pl

    with clock.stage("work"):
        found = polars_query(pl.scan_parquet(polars_path(log))).collect(engine="streaming")
    return found.to_pandas().set_index("customer_id")


def polars_path(log: Path) -> str:
    """Files as polars names them."""
    return str(log / "*.parquet") if log.is_dir() else str(log)


def by_ours(log: Path, clock: Clock) -> pd.DataFrame:
    """Summarize a log that passed the door."""
    from data_room import through_the_door

    from churn_clv.data.summary import summarize

    cleaned = through_the_door(log, clock)
    with clock.stage("work"):
        return summarize(cleaned, CUTOFF)


def by_our_sql(log: Path, clock: Clock) -> pd.DataFrame:
    """Summarize with the SQL alone, from the files."""
    from data_room import typed_columns

    from churn_clv.data.summary import summarize

    with clock.stage("work"):
        return summarize(typed_columns(log), CUTOFF)


def by_sql_of_lines(log: Path, clock: Clock) -> pd.DataFrame:
    """Summarize with the query of `churn-clv summary-sql`, from the files."""
    import duckdb

    from churn_clv.delivery.summary_sql import summary_sql

    query = summary_sql("sales", CUTOFF)
    with clock.stage("work"):
        connection = duckdb.connect(config={"threads": 1})  # as lifetimes; two cost more processor time here
        connection.read_parquet(polars_path(log)).create_view("sales")
        return connection.execute(query).df().set_index("customer_id")


CONTESTANTS: dict[str, Contestant] = {
    "lifetimes": by_lifetimes, "pandas": by_pandas, "polars": by_polars, "polars_streaming": by_polars_streaming,
    "ours": by_ours, "our_sql": by_our_sql, "sql_of_lines": by_sql_of_lines,
}  # fmt: skip
WORDS = {
    "lifetimes": "lifetimes", "pandas": "pandas", "polars": "polars", "polars_streaming": "polars, from the file",
    "ours": "ours, with the whole door", "our_sql": "ours, SQL from the file", "sql_of_lines": "ours, summary-sql, one thread",
}  # fmt: skip


def compare(kept: Path) -> str:
    """Check that all found the same."""
    import numpy as np
    import pandas as pd

    found = {path.stem: pd.read_parquet(path).sort_index()[COLUMNS] for path in sorted(kept.glob("*.parquet"))}
    (first, reference), *others = found.items()
    for name, summary in others:
        assert list(summary.index) == list(reference.index), name
        assert (summary[COLUMNS[:3]] == reference[COLUMNS[:3]]).all(axis=None), name
        np.testing.assert_allclose(summary["monetary_value"], reference["monetary_value"], rtol=1e-9, err_msg=name)
    return f"{len(reference):,} customers; {first}, {', '.join(name for name, _ in others)} agree"


def main() -> None:
    """Run the race."""
    given = options(__doc__, lines=1_000_000, repeats=3).parse_args()
    if given.only:
        alone(CONTESTANTS, given.only, given.log, given.keep)
        return
    log = given.log or simulated_log(given.lines, given.scratch)
    with tempfile.TemporaryDirectory() as kept:
        figures = race(__file__, CONTESTANTS, given, log, Path(kept))
        print(f"summary of {log.name} at {CUTOFF}: processor seconds, wall of the whole; ratios to lifetimes")
        print(table(figures, WORDS, "lifetimes"))
        print(compare(Path(kept)), flush=True)


if __name__ == "__main__":
    main()
