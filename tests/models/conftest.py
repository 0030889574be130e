"""CDNOW's 1/10 sample as the papers use it: exact weeks, calibration to 1997-09-30, holdout of 39 weeks."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pandas as pd
import pytest

CDNOW_END = pd.Timestamp("1997-09-30")


def weekly_summary(log: pd.DataFrame, end: pd.Timestamp, weeks: int) -> pd.DataFrame:
    """Build the summary by pandas, apart from the package's own SQL."""
    days = log.groupby(["customer_id", "date"], as_index=False)["amount"].sum()
    before, after = days[days["date"] <= end], days[days["date"] > end]
    first = before.groupby("customer_id")["date"].min()
    last = before.groupby("customer_id")["date"].max()
    repeat = before[before["date"] > before["customer_id"].map(first)]
    summary = pd.DataFrame(
        {
            "frequency": before.groupby("customer_id").size() - 1,
            "recency": (last - first).dt.days / 7,
            "T": (end - first).dt.days / 7,
        }
    )
    summary["monetary_value"] = repeat.groupby("customer_id")["amount"].mean().reindex(summary.index).fillna(0.0)
    held = after[after["date"] <= end + pd.Timedelta(weeks=weeks)].groupby("customer_id").size()
    summary["holdout_frequency"] = held.reindex(summary.index).fillna(0).astype(int)
    return summary


@pytest.fixture(scope="session")
def cdnow() -> pd.DataFrame:
    package = importlib.util.find_spec("lifetimes")
    assert package is not None and package.origin is not None
    path = Path(package.origin).parent / "datasets" / "CDNOW_sample.txt"
    names = ["master_id", "customer_id", "date", "quantity", "amount"]
    log = pd.read_csv(path, sep=r"\s+", header=None, names=names, dtype={"date": str})
    log["date"] = pd.to_datetime(log["date"], format="%Y%m%d")
    return weekly_summary(log, CDNOW_END, 39)


@pytest.fixture(scope="session")
def grocery() -> pd.DataFrame:
    folder = Path(os.environ.get("CHURN_CLV_DATA", Path(__file__).parents[2] / "data"))
    path = folder / "grocery_elog.parquet"
    if not path.exists():
        pytest.skip("grocery_elog.parquet is not installed: put it into data/ or point CHURN_CLV_DATA at its folder")
    log = pd.read_parquet(path)
    log.columns = ["customer_id", "date"]
    log["date"] = pd.to_datetime(log["date"])
    return weekly_summary(log.assign(amount=1.0), pd.Timestamp("2006-12-31"), 52)
