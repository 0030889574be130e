"""A whole run whose data steps run on Spark."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from churn_clv.config import parse_config
from churn_clv.data.simulate import simulate_log
from churn_clv.data.summary import summarize
from churn_clv.data.transactions import read_transactions
from churn_clv.delivery.everyone_scores import score_everyone
from churn_clv.delivery.summary_sql import summary_sql
from churn_clv.train import Run, train

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark


def run_of(engine: str, path: Path, panel: int | None) -> Run:
    content = {
        "name": "either",
        "data": {"path": str(path), "engine": engine, "panel_customers": panel},
        "windows": {"calibration_end": date(2024, 7, 1), "holdout_end": date(2024, 12, 30)},
        "churn": {"method": "offset_hybrid", "num_threads": 1},
        "value": {"method": "hurdle"},
        "evaluation": {"bootstrap_samples": 20},
    }
    run = train(parse_config(content, source="test"))
    assert run.whole is not None
    return score_everyone(run, run.whole, path.parent / engine, lambda stage: None)


def scores(run: Run) -> pd.DataFrame:
    assert run.everyone is not None
    found = run.everyone.connection.sql("FROM parts ORDER BY customer_id").df()
    return found.set_index("customer_id")


def test_a_run_on_spark_is_the_run_on_duckdb(spark: SparkSession, tmp_path: Path) -> None:
    """The slow oracle is the other engine: the same rows are fitted and the same panel judged, so all figures agree."""
    log = tmp_path / "log"
    log.mkdir()
    frame = simulate_log(customers=700, seed=8)
    for number in range(3):
        frame.iloc[number::3].to_parquet(log / f"part-{number}.parquet", index=False)
    duck, found = run_of("duckdb", log, 250), run_of("spark", log, 250)
    assert found.fingerprint == duck.fingerprint
    assert found.log.cleaning == duck.log.cleaning
    assert found.models.purchases.params_ == duck.models.purchases.params_
    assert found.models.spend is not None and duck.models.spend is not None
    assert found.models.spend.params_ == pytest.approx(duck.models.spend.params_, rel=1e-9)
    assert found.judgement.metrics() == pytest.approx(duck.judgement.metrics(), rel=1e-9, abs=1e-12, nan_ok=True)
    wanted = scores(duck)
    pd.testing.assert_frame_equal(scores(found)[list(wanted)], wanted, rtol=1e-9, check_dtype=False)
    pd.testing.assert_frame_equal(found.production_grid, duck.production_grid, rtol=1e-9)
    assert found.segmentation.equity.total == pytest.approx(duck.segmentation.equity.total, rel=1e-9)


def test_a_log_on_spark_no_larger_than_the_panel_is_judged_whole(spark: SparkSession, tmp_path: Path) -> None:
    log = tmp_path / "log.parquet"
    simulate_log(customers=200, seed=8).to_parquet(log, index=False)
    run = run_of("spark", log, None)
    assert run.everyone is not None
    assert len(run.scores) == run.everyone.total["customers"]
    assert not any("panel" in note for note in run.notes)


def test_the_summary_as_sql_runs_on_spark(spark: SparkSession) -> None:
    """The oracle is the summary of the cleaned log on DuckDB; refunds stand alone, within a day and before a purchase."""
    lines = simulate_log(customers=200, seed=8)
    back = lines.sample(frac=0.3, random_state=1)
    days = pd.to_timedelta([k % 3 * 40 - 40 for k in range(len(back))], unit="D")
    table = pd.concat([lines, back.assign(amount=-back["amount"], date=back["date"] + days)], ignore_index=True)
    spark.createDataFrame(table).repartition(4).createOrReplaceTempView("sales")
    for spend in ("repeat", "all"):
        query = summary_sql("sales", date(2024, 3, 1), spend, dialect="spark")  # type: ignore[arg-type]
        found = spark.sql(query).toPandas().set_index("customer_id").sort_index()
        wanted = summarize(read_transactions(table), date(2024, 3, 1), spend)  # type: ignore[arg-type]
        pd.testing.assert_frame_equal(found, wanted, rtol=1e-9, check_dtype=False, check_index_type=False)
