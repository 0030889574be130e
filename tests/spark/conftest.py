"""Logs read by both engines: from several files on a Spark of two cores and four partitions, and on DuckDB."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from churn_clv.data import datasets
from churn_clv.data.contract import Columns, EventsTable, ReadingRules
from churn_clv.data.read_events import read_events
from churn_clv.data.simulate import simulate_log
from churn_clv.data.spark_engine import spark_session
from churn_clv.data.spark_log import SparkLog, read_events_on_spark, read_transactions_on_spark
from churn_clv.data.transactions import TransactionLog, read_transactions

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

FILES = 5


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    """Spark on two cores, which tries a task four times before it gives up."""
    from pyspark.sql import SparkSession

    settings = {
        "spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false", "spark.sql.shuffle.partitions": "3",
        "spark.sql.execution.arrow.maxRecordsPerBatch": "200",
        # Small tables would be one partition and one broadcast otherwise.
        "spark.sql.adaptive.coalescePartitions.enabled": "false", "spark.sql.files.openCostInBytes": "1048576",
    }  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        SparkSession.builder.master("local[2,4]").appName("tests").config(map=settings).getOrCreate()
        session = spark_session()
        session.sparkContext.setLogLevel("OFF")
        yield session
        session.stop()


@dataclass(frozen=True)
class Both:
    """One log on both engines, and three days to ask them about."""

    duck: TransactionLog
    spark: SparkLog
    days: tuple[date, date, date]


@dataclass(frozen=True)
class Data:
    """A log to compare: its lines, or where they are, and how they are read."""

    lines: Callable[[], pd.DataFrame]
    days: tuple[date, date, date]
    columns: Columns = field(default_factory=Columns)
    rules: ReadingRules = field(default_factory=ReadingRules)
    events: Callable[[], pd.DataFrame] | None = None
    kinds: EventsTable = field(default_factory=lambda: EventsTable("", kind="kind"))


def shared(name: str) -> pd.DataFrame:
    """Return one of the public logs that cannot be packaged, from the folder that CHURN_CLV_DATA names."""
    return pd.read_parquet(Path(os.environ["CHURN_CLV_DATA"]) / f"{name}.parquet")


def journey_events() -> pd.DataFrame:
    """Campaigns on their first day, and coupons, of the complete journey: integer ids, days and texts."""
    campaigns = shared("complete_journey_campaigns").merge(
        shared("complete_journey_campaign_descriptions"), on="campaign_id"
    )
    got = campaigns.assign(date=campaigns["start_date"], kind="campaign " + campaigns["campaign_type"])
    used = shared("complete_journey_coupon_redemptions")
    used = used.assign(date=used["redemption_date"], kind="coupon redemption")
    events = pd.concat([got, used], ignore_index=True).rename(columns={"household_id": "customer_id"})
    return events[["customer_id", "date", "kind"]]


def odd() -> pd.DataFrame:
    """Refunds, also before any purchase and alone on their day; zeros, fine amounts, odd ids, twins, missing texts."""
    rng = np.random.default_rng(23)
    ids = np.array(["007", "0007", "7", "Zoë", "zoe", "Ω-1", "😀", "a b", "O'Hara", '"q"', "x\\y", "ß", "ß2", "1e5x"])
    n = 1_500
    sign = rng.choice([0.0, -1.0, 1.0], n, p=[0.08, 0.25, 0.67])
    frame = pd.DataFrame(
        {
            "customer_id": np.concatenate(
                [ids[rng.integers(0, len(ids), 300)], rng.integers(0, 90, n - 300).astype(str)]
            ),
            "date": pd.Timestamp("2023-03-01") + pd.to_timedelta(rng.integers(0, 86_400 * 400, n), unit="s"),
            "amount": sign * rng.gamma(2, 20, n).round(rng.choice([0, 2, 7])),
            "order_id": [None if k % 17 == 0 else f"o{k % 700}" for k in range(n)],
            "product_id": [None if k % 23 == 0 else f"p{k % 41}" for k in range(n)],
            "quantity": rng.choice([1.0, 2.0, 2.5, np.nan], n),
            "channel": rng.choice(["web", "shop", "Telefon", ""], n),
        }
    )
    fine = frame.assign(amount=frame["amount"] + np.where(np.arange(n) % 5 == 0, 4.5e-7, 0.0))
    return pd.concat([fine, fine.head(90), fine.tail(30)], ignore_index=True)


def odd_events() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    kinds = np.array(["Visit", "call-centre", "Type A (mail)"])
    days = pd.Timestamp("2023-03-01") + pd.to_timedelta(rng.integers(0, 400, 600), unit="D")
    ids = np.append(np.array(["007", "Zoë", "nobody"]), np.arange(60).astype(str))
    return pd.DataFrame(
        {"customer_id": ids[rng.integers(0, 63, 600)], "date": days, "kind": kinds[rng.integers(0, 3, 600)]}
    )


ODD = Columns(order_id="order_id", product_id="product_id", quantity="quantity", channel="channel")
ODD_DAYS = (date(2023, 7, 1), date(2023, 12, 31), date(2024, 3, 1))
RETAIL = Columns(date="timestamp", order_id="order_id", product_id="product_id", quantity="quantity")
LOGS = {
    "cdnow": Data(
        datasets.cdnow, (date(1997, 4, 1), date(1997, 9, 30), date(1998, 6, 30)), Columns(quantity="quantity")
    ),
    "simulated": Data(
        partial(simulate_log, customers=2_000, seed=4), (date(2023, 6, 30), date(2024, 1, 31), date(2024, 12, 30))
    ),
    "odd": Data(odd, ODD_DAYS, ODD, ReadingRules(start=date(2023, 3, 10)), odd_events),
    "odd, other rules": Data(
        odd, ODD_DAYS, ODD,
        ReadingRules(
            duplicates="drop", purchase_rule="positive_net", margin_rate=0.3, sample_customers=60,
            drop_rows=[{"product_id": ["p7", None], "quantity": [2]}, {"channel": ["Telefon"]}], end=date(2024, 3, 20),
        ),
    ),
    "online_retail_ii": Data(
        partial(shared, "online_retail_ii"), (date(2010, 6, 9), date(2011, 6, 9), date(2011, 12, 9)), RETAIL,
        ReadingRules(
            drop_rows=[
                {"in_sheet_overlap": [True], "sheet": ["Year 2009-2010"]},
                {"product_id": ["POST", "DOT", "C2", "BANK CHARGES", "ADJUST", "AMAZONFEE", "CRUK"]},
            ]
        ),
    ),
    "grocery_elog": Data(
        partial(shared, "grocery_elog"), (date(2006, 9, 30), date(2007, 6, 30), date(2007, 12, 29)), Columns(amount=None)
    ),
    "complete_journey": Data(
        partial(shared, "complete_journey_transactions"), (date(2017, 4, 1), date(2017, 8, 1), date(2017, 12, 31)),
        Columns(date="timestamp", order_id="order_id", product_id="product_id", quantity="quantity"),
        events=journey_events,
    ),
}  # fmt: skip
SHARED = {"online_retail_ii", "grocery_elog", "complete_journey"}


def written(frame: pd.DataFrame, folder: Path) -> Path:
    """Write a frame as several Parquet files, its rows in another order."""
    folder.mkdir()
    mixed = frame.sample(frac=1, random_state=1)
    for number in range(FILES):
        mixed.iloc[number::FILES].to_parquet(folder / f"part-{number}.parquet", index=False)
    return folder


def read_both(data: Data, folder: Path, spark: SparkSession) -> Both:
    frame = data.lines()
    duck = read_transactions(frame, data.columns, data.rules, connection())
    log = read_transactions_on_spark(written(frame, folder / "lines"), data.columns, data.rules, session=spark)
    if data.events is not None:
        events = data.events()
        duck = read_events(events, duck, data.kinds, data.rules)
        log = read_events_on_spark(written(events, folder / "events"), log, data.kinds, data.rules)
    return Both(duck, log, data.days)


def connection() -> Any:
    from churn_clv.data import engine

    return engine.connect()


@pytest.fixture(scope="module", params=LOGS)
def both(
    request: pytest.FixtureRequest, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Both]:
    if request.param in SHARED and "CHURN_CLV_DATA" not in os.environ:
        pytest.skip("CHURN_CLV_DATA does not say where the public logs are")
    found = read_both(LOGS[request.param], tmp_path_factory.mktemp("log"), spark)
    yield found
    found.spark.release()
