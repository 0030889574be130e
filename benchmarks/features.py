"""Describe the customers of a simulated log at six cutoffs beside pandas and polars: each alone in a process.

    python benchmarks/features.py --lines 10000000

The columns are those of the feature set "behaviour"; pandas and polars compute the same ones. pandas runs twice: with its
customers numbered first, and with the text ids of the log. "read": pandas and polars read the Parquet files into a
frame; ours reads, checks, cleans and reports, and merges each customer's days. "days": each contestant's own customer-days
in memory, where "work", the features alone, begins. "in parts": as everyone is scored, 100,000 customers at a time, each
part's features forgotten before the next, and on one thread, as pandas runs: two take more processor time. Peak memory is that of the whole process, the finished frame included. Ratios
are processor time of pandas with numbered customers over the contestant's. What is found must agree to 1e-9.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from measured import Clock, Contestant, alone, options, race, simulated_log, table
from summary import polars_path

if TYPE_CHECKING:
    import pandas as pd

    from churn_clv.data.transactions import TransactionLog

CUTOFFS = [date(2024, month, 1) for month in range(2, 8)]
PART_CUSTOMERS = 100_000


def by_pandas(log: Path, clock: Clock) -> pd.DataFrame:
    """Number the customers first, as who knows pandas well would."""
    import pandas as pd

    with clock.stage("read"):
        lines = pd.read_parquet(log)
    with clock.stage("days"):
        lines["customer_id"], ids = pd.factorize(lines["customer_id"], sort=True)
        days = pandas_days(lines)
        del lines
    with clock.stage("work"):
        features = pandas_at_cutoffs(days)
        features.index = features.index.set_levels(ids.take(features.index.levels[1]), level=1)
        return features


def by_plain_pandas(log: Path, clock: Clock) -> pd.DataFrame:
    """Group by the ids as they stand in the log."""
    import pandas as pd

    with clock.stage("read"):
        lines = pd.read_parquet(log)
    with clock.stage("days"):
        days = pandas_days(lines)
        del lines
    with clock.stage("work"):
        return pandas_at_cutoffs(days)


def pandas_at_cutoffs(days: pd.DataFrame) -> pd.DataFrame:
    """Work out the gaps once, then describe cutoff after cutoff."""
    import pandas as pd

    bought = days[days["best"] >= 0].drop(columns="best")
    refunds = days.loc[days["best"] < 0, ["customer_id", "date"]]
    bought["gap"] = bought["date"].diff().dt.days.where(~bought["customer_id"].ne(bought["customer_id"].shift()))
    bought["gap_squared"] = bought["gap"] ** 2
    found = {cutoff: pandas_features(bought, refunds, pd.Timestamp(cutoff)) for cutoff in CUTOFFS}
    return pd.concat(found, names=["cutoff", "customer_id"])


def pandas_days(lines: pd.DataFrame) -> pd.DataFrame:
    """Return one row a customer and day, in order."""
    by_day = lines.groupby(["customer_id", "date"])["amount"]
    return by_day.agg(amount="sum", best="max", lines="size").reset_index()


def pandas_features(bought: pd.DataFrame, refunds: pd.DataFrame, cutoff: pd.Timestamp) -> pd.DataFrame:
    """Describe the customers known at one cutoff."""
    import numpy as np
    import pandas as pd

    known = bought[bought["date"] <= cutoff]
    customers = known.groupby("customer_id").agg(
        n=("date", "size"), first=("date", "first"), last=("date", "last"), gap_squared=("gap_squared", "sum"),
        last_gap=("gap", "last"), total=("amount", "sum"), largest=("amount", "max"), earliest=("amount", "first"),
        latest=("amount", "last"), lines=("lines", "sum"),
    )  # fmt: skip
    recent = known[known["date"] > cutoff - pd.Timedelta(days=91)]
    last_91 = recent.groupby("customer_id")["amount"].agg(["size", "sum"]).reindex(customers.index)
    latest = recent[recent["date"] > cutoff - pd.Timedelta(days=28)]
    last_28 = latest.groupby("customer_id").size().reindex(customers.index)
    refunded = refunds[refunds["date"] <= cutoff].groupby("customer_id").size().reindex(customers.index)
    x, n = (customers["n"] - 1).astype(float), customers["n"]
    silence = (cutoff - customers["last"]).dt.days
    repeats = x.where(x > 0)
    mean_gap = (customers["last"] - customers["first"]).dt.days / repeats
    variance = (customers["gap_squared"] / repeats - mean_gap**2).clip(lower=0)
    mean = customers["total"] / n
    return pd.DataFrame(
        {
            "frequency": x,
            "silence_share": silence / (cutoff - customers["first"]).dt.days.clip(lower=1),
            "mean_gap_days": mean_gap,
            "gap_variation": (np.sqrt(variance) / mean_gap).where(x > 1),
            "last_gap_ratio": customers["last_gap"] / mean_gap,
            "overdue_ratio": silence / mean_gap,
            "purchases_last_28_days": last_28.fillna(0.0),
            "purchases_last_91_days": last_91["size"].fillna(0.0),
            "purchases_share_last_91_days": last_91["size"].fillna(0.0) / n,
            "mean_amount": mean,
            "largest_amount": customers["largest"],
            "first_amount": customers["earliest"],
            "last_amount_ratio": customers["latest"] / mean.where(mean != 0),
            "amount_last_91_days": last_91["sum"].fillna(0.0),
            "lines_per_purchase": customers["lines"] / n,
            "refund_days": refunded.fillna(0.0),
        }
    )


def by_polars(log: Path, clock: Clock) -> pd.DataFrame:
    """Describe with lazy queries of polars, the lines in memory."""
    import polars as pl

    with clock.stage("read"):
        lines = pl.read_parquet(polars_path(log))
    with clock.stage("days"):
        days = (
            lines.lazy().with_columns(pl.col("date").cast(pl.Date)).group_by("customer_id", "date")
            .agg(best=pl.col("amount").max(), amount=pl.col("amount").sum(), lines=pl.len())
            .sort("customer_id", "date").collect()
        )  # fmt: skip
        del lines
    with clock.stage("work"):
        gap = (pl.col("date") - pl.col("date").shift(1)).dt.total_days()
        same = pl.col("customer_id") == pl.col("customer_id").shift(1)
        bought = days.lazy().filter(pl.col("best") >= 0).with_columns(gap=pl.when(same).then(gap)).collect().lazy()
        refunds = days.lazy().filter(pl.col("best") < 0)
        del days
        parts = [polars_features(bought, refunds, cutoff) for cutoff in CUTOFFS]
        found = pl.concat(parts).collect()
    return found.to_pandas().set_index(["cutoff", "customer_id"])


def polars_features(bought: Any, refunds: Any, cutoff: date) -> Any:
    """The customers known at one cutoff, as a lazy query of polars."""
    import polars as pl

    day, amount, gap = pl.col("date"), pl.col("amount"), pl.col("gap").cast(pl.Float64)
    last_91 = day > cutoff - timedelta(days=91)
    customers = bought.filter(day <= cutoff).group_by("customer_id").agg(
        n=pl.len().cast(pl.Float64), first=day.first(), last=day.last(), gap_squared=(gap * gap).sum(),
        last_gap=gap.last(), last_28=(day > cutoff - timedelta(days=28)).sum().cast(pl.Float64),
        last_91=last_91.sum().cast(pl.Float64), total=amount.sum(), largest=amount.max(), earliest=amount.first(),
        latest=amount.last(), total_last_91=amount.filter(last_91).sum(), lines=pl.col("lines").sum(),
    )  # fmt: skip
    refunded = refunds.filter(day <= cutoff).group_by("customer_id").agg(refund_days=pl.len().cast(pl.Float64))
    end, n, x = pl.lit(cutoff), pl.col("n"), pl.col("n") - 1
    repeats = pl.when(x > 0).then(x)
    silence = (end - pl.col("last")).dt.total_days()
    mean_gap = (pl.col("last") - pl.col("first")).dt.total_days() / repeats
    variance = (pl.col("gap_squared") / repeats - mean_gap.pow(2)).clip(lower_bound=0)
    mean = pl.col("total") / n
    return customers.join(refunded, on="customer_id", how="left").select(
        "customer_id",
        cutoff=end,
        frequency=x,
        silence_share=silence / (end - pl.col("first")).dt.total_days().clip(lower_bound=1),
        mean_gap_days=mean_gap,
        gap_variation=pl.when(x > 1).then(variance.sqrt() / mean_gap),
        last_gap_ratio=pl.col("last_gap") / mean_gap,
        overdue_ratio=silence / mean_gap,
        purchases_last_28_days=pl.col("last_28"),
        purchases_last_91_days=pl.col("last_91"),
        purchases_share_last_91_days=pl.col("last_91") / n,
        mean_amount=mean,
        largest_amount=pl.col("largest"),
        first_amount=pl.col("earliest"),
        last_amount_ratio=pl.when(mean != 0).then(pl.col("latest") / mean),
        amount_last_91_days=pl.col("total_last_91"),
        lines_per_purchase=pl.col("lines") / n,
        refund_days=pl.col("refund_days").fill_null(0.0),
    ).sort("customer_id")  # fmt: skip


def by_ours(log: Path, clock: Clock) -> pd.DataFrame:
    """Describe a log that passed the door."""
    from data_room import through_the_door

    from churn_clv.data.features import features_at

    cleaned = through_the_door(log, clock)
    with clock.stage("work"):
        return features_at(cleaned, CUTOFFS)


def by_our_sql(log: Path, clock: Clock) -> pd.DataFrame:
    """Describe with the SQL alone, from the files."""
    from data_room import typed_columns

    from churn_clv.data.features import features_at

    with clock.stage("days"):
        days = typed_columns(log)
    with clock.stage("work"):
        return features_at(days, CUTOFFS)


@dataclass(frozen=True)
class InParts:
    """Features that nobody holds together: of one part of the customers after the other, as scoring everyone reads them."""

    log: TransactionLog

    def parts(self) -> Iterator[pd.DataFrame]:
        """Describe each part at all cutoffs."""
        from churn_clv.data.features import features_at
        from churn_clv.data.log_parts import parts_of

        for part in parts_of(self.log, CUTOFFS[-1], PART_CUSTOMERS):
            yield features_at(part, CUTOFFS)

    def to_parquet(self, path: Path) -> None:
        """Put all parts together, once measured, to compare them."""
        import pandas as pd

        pd.concat(list(self.parts())).to_parquet(path)


def in_our_parts(log: Path, clock: Clock) -> InParts:
    """Describe part after part, each forgotten before the next, on one thread."""
    from data_room import typed_columns

    with clock.stage("days"):
        found = InParts(typed_columns(log, threads=1))
    with clock.stage("work"):
        for _ in found.parts():
            pass
    return found


CONTESTANTS: dict[str, Contestant] = {
    "pandas": by_pandas, "pandas_plain": by_plain_pandas, "polars": by_polars, "ours": by_ours,
    "our_sql": by_our_sql, "our_parts": in_our_parts,
}  # fmt: skip
WORDS = {
    "pandas": "pandas, ids numbered first", "pandas_plain": "pandas, ids as they are", "polars": "polars",
    "ours": "ours, with the whole door",
    "our_sql": "ours, SQL from the file", "our_parts": "in parts, one thread",
}  # fmt: skip


def compare(kept: Path) -> str:
    """Check, column by column, that all found the same."""
    import numpy as np
    import pandas as pd

    paths = sorted(kept.glob("*.parquet"))
    index = ["cutoff", "customer_id"]
    orders = {path.stem: pd.read_parquet(path, columns=[]).index for path in paths}
    first = paths[0]
    keys = {name: index.to_frame(index=False).astype({"cutoff": "datetime64[s]", "customer_id": "str"}) for name, index in orders.items()}  # fmt: skip
    order = {name: np.lexsort((key["customer_id"], key["cutoff"])) for name, key in keys.items()}
    reference = keys[first.stem].iloc[order[first.stem]].reset_index(drop=True)
    columns = [name for name in pd.read_parquet(first).columns if name not in index]
    for path in paths[1:]:
        assert keys[path.stem].iloc[order[path.stem]].reset_index(drop=True).equals(reference), path.stem
        for name in columns:
            one, other = (pd.read_parquet(p, columns=[name])[name].to_numpy()[order[p.stem]] for p in (first, path))
            # gap_variation near 0 is the root of what is left of a difference: 1e-9 of the mean gap, absolutely.
            np.testing.assert_allclose(other, one, rtol=1e-9, atol=1e-9, err_msg=f"{path.stem}: {name}")
    return f"{len(reference):,} rows of {len(columns)} features; {', '.join(path.stem for path in paths)} agree"


def main() -> None:
    """Run the race."""
    given = options(__doc__, lines=1_000_000, repeats=3).parse_args()
    if given.only:
        alone(CONTESTANTS, given.only, given.log, given.keep)
        return
    log = given.log or simulated_log(given.lines, given.scratch)
    with tempfile.TemporaryDirectory() as kept:
        figures = race(__file__, CONTESTANTS, given, log, Path(kept))
        print(
            f"features of {log.name} at {len(CUTOFFS)} cutoffs: processor seconds, wall of the whole; ratios to pandas"
        )
        print(table(figures, WORDS, "pandas"))
        print(compare(Path(kept)), flush=True)


if __name__ == "__main__":
    main()
