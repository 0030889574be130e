"""A task that fails once is done again, and nothing shows of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from tests.spark.conftest import LOGS, written

from churn_clv.customer_table import score_table
from churn_clv.data import spark_log
from churn_clv.data.features import features_at
from churn_clv.data.simulate import simulate_log
from churn_clv.data.spark_log import SparkLog, read_transactions_on_spark
from churn_clv.data.spark_source import SparkSource, open_on_spark
from churn_clv.data.summary import summarize
from churn_clv.data.transactions import read_transactions
from churn_clv.delivery.score_parts import write_scores
from churn_clv.delivery.spark_scores import customer_table_on_spark, score_on_spark
from churn_clv.errors import InputError
from churn_clv.score import FittedModels
from churn_clv.score_log import customer_table
from churn_clv.train import Run

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [pytest.mark.spark, pytest.mark.filterwarnings("ignore:PySpark does not yet")]


def losing_work() -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return two pieces of work that fail in the first attempt of every task, half done: on lines, and on a customer table.

    Functions within a function travel to the workers whole; the workers know no test files.
    """

    def fails_once() -> None:
        from pyspark import TaskContext

        task = TaskContext.get()
        if task is not None and task.attemptNumber() == 0:
            raise RuntimeError("a machine was lost")

    def lines(batches: Iterator[Any]) -> Iterator[Any]:
        for batch in batches:
            yield batch
            fails_once()

    def scores(models: FittedModels, table: pd.DataFrame, as_of: Any) -> pd.DataFrame:
        from churn_clv.customer_table import score_table

        fails_once()
        return score_table(models, table, "").assign(as_of=as_of)

    return lines, scores


def failing_source(*arguments: Any) -> SparkSource:
    found = open_on_spark(*arguments)
    return replace(found, lines=found.lines.mapInArrow(losing_work()[0], found.lines.schema))


def test_a_summary_and_features_after_lost_tasks(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = LOGS["odd"]
    frame = odd.lines()
    monkeypatch.setattr(spark_log, "open_on_spark", failing_source)
    log = read_transactions_on_spark(written(frame, tmp_path / "log"), odd.columns, odd.rules, session=spark)
    expected = read_transactions(frame, odd.columns, odd.rules)
    assert log.cleaning == expected.cleaning
    pd.testing.assert_frame_equal(summarize(log, odd.days[2]), summarize(expected, odd.days[2]), rtol=1e-12)
    pd.testing.assert_frame_equal(features_at(log, odd.days), features_at(expected, odd.days), rtol=1e-9)
    log.release()


@pytest.fixture(scope="module")
def simulated(small_run: Run, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkLog]:
    lines = written(simulate_log(customers=800, seed=5), tmp_path_factory.mktemp("small") / "lines")
    log = read_transactions_on_spark(lines, session=spark)
    yield log
    log.release()


def test_the_customer_table_made_on_spark_is_that_of_duckdb(small_run: Run, simulated: SparkLog) -> None:
    as_of, models = small_run.windows.score_as_of, small_run.models
    duck = read_transactions(simulate_log(customers=800, seed=5))
    expected = customer_table(models, duck, as_of)
    found = customer_table_on_spark(models, simulated, as_of, None).toPandas().set_index("customer_id")
    pd.testing.assert_frame_equal(found.sort_index(), expected, rtol=1e-9, check_index_type=False)


@pytest.mark.parametrize("lost", [False, True])
def test_everyone_scored_on_spark_is_scored_as_on_one_machine(
    small_run: Run, simulated: SparkLog, tmp_path: Path, lost: bool
) -> None:
    import pyarrow.parquet as pq

    as_of, models = small_run.windows.score_as_of, small_run.models
    score = partial(losing_work()[1], as_of=as_of) if lost else None
    score_on_spark(models, simulated, as_of, f"file://{tmp_path}/out", score=score)
    table = customer_table(models, read_transactions(simulate_log(customers=800, seed=5)), as_of)
    expected = score_table(models, table, "").assign(as_of=as_of)
    write_scores(expected, tmp_path / "expected.parquet")

    parts = sorted((tmp_path / "out").glob("part-*.parquet"))
    schema, wanted = pq.read_schema(parts[0]), pq.read_schema(tmp_path / "expected.parquet")
    assert len(parts) > 1
    assert schema.names == wanted.names
    assert [str(kind) for kind in schema.types] == [str(kind).removeprefix("large_") for kind in wanted.types]
    found = pd.read_parquet(tmp_path / "out").set_index("customer_id").sort_index()
    pd.testing.assert_frame_equal(found[list(expected)], expected, rtol=1e-9, check_dtype=False, check_index_type=False)


def test_scores_are_never_written_over(small_run: Run, simulated: SparkLog, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="exists already"):
        score_on_spark(small_run.models, simulated, small_run.windows.score_as_of, str(tmp_path))
