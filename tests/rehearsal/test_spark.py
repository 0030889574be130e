"""The registered model as a function of Spark: a column of scores, equal to what pandas answers."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from tests.rehearsal.conftest import Delivery, call
from tests.rehearsal.test_page import block

from churn_clv.delivery.mlflow_model import save

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [
    pytest.mark.spark,
    *(
        pytest.mark.filterwarnings(f"ignore:{said}")
        for said in ("PySpark does not yet", "toPandas attempted", "The copy keyword")
    ),
]


@pytest.fixture(scope="module")
def spark() -> Iterator[SparkSession]:
    """Spark on two cores of this machine, its Python this one."""
    from pyspark.sql import SparkSession

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        settings = {
            "spark.ui.enabled": "false", "spark.sql.shuffle.partitions": "4",
            "spark.sql.execution.arrow.maxRecordsPerBatch": "100",
        }  # fmt: skip
        builder = SparkSession.builder.master("local[2]").appName("rehearsal")
        session = builder.config(map=settings).getOrCreate()
        yield session
        session.stop()


@pytest.fixture(scope="module")
def function(spark: SparkSession, delivery: Delivery) -> Any:
    import mlflow

    return mlflow.pyfunc.spark_udf(spark, str(delivery.registered), env_manager="local", params={"as_of": delivery.day})


def asked(spark: SparkSession, table: pd.DataFrame, function: Any) -> pd.DataFrame:
    from pyspark.sql.functions import struct

    customers = spark.createDataFrame(table).repartition(4)
    return customers.select(function(struct(*customers.columns)).alias("scored")).select("scored.*").toPandas()


def test_spark_answers_as_pandas_did_in_every_column(spark: SparkSession, delivery: Delivery, function: Any) -> None:
    found = asked(spark, delivery.table, function).set_index("customer_id").loc[delivery.answer.index]
    assert found.columns.tolist() == delivery.answer.columns.tolist()
    pd.testing.assert_frame_equal(found, delivery.answer, check_dtype=False, rtol=1e-9, atol=0)


def test_the_types_of_the_result_are_those_of_the_output_schema(delivery: Delivery, function: Any) -> None:
    kinds = {field.name: field.dataType.typeName() for field in function.returnType}
    assert kinds["customer_id"] == kinds["segment"] == kinds["reasons"] == "string"
    assert kinds["clv"] == kinds["churn_probability"] == "double"
    assert kinds["horizon_days"] == kinds["recency_score"] == "long"
    assert list(kinds) == ["customer_id", *delivery.answer.columns]


def test_a_raw_log_is_refused_because_a_function_sees_batches_not_customers(spark: SparkSession, function: Any) -> None:
    log = pd.DataFrame({"customer_id": ["a", "a"], "date": ["2024-01-01", "2024-02-01"], "amount": [3.0, 4.0]})
    with pytest.raises(Exception, match="a raw log cannot be scored by a Spark function"):
        asked(spark, log, function)


def test_a_wrong_row_fails_the_job_by_the_name_of_its_column(
    spark: SparkSession, delivery: Delivery, function: Any
) -> None:
    with pytest.raises(Exception, match="recency: 1 of 1 rows are not between 0 and T"):
        asked(spark, delivery.table.head(1).assign(recency=1e6), function)


def test_the_page_for_the_receiving_team_scores_on_spark(delivery: Delivery, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    save(delivery.handover, tmp_path / "served")
    delivery.table.head(20).to_csv(tmp_path / "customers.csv", index=False)
    environment = os.environ | {"PYSPARK_PYTHON": sys.executable, "OMP_NUM_THREADS": "1", "SPARK_LOCAL_IP": "127.0.0.1"}
    said = call([sys.executable, "-c", block("python rehearsal", "spark_udf")], tmp_path / "here", environment)
    rows = [line.strip("|").split("|") for line in said.splitlines() if line.startswith("|")][1:]
    expected = delivery.answer["churn_probability"]
    assert len(rows) == 20
    for name, risk, _ in rows:
        assert float(risk) == pytest.approx(expected[name.strip()], rel=1e-9)
