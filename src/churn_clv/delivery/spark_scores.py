"""Everyone scored on Spark: the customer table is made and kept there, the models travel to the executors as text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import pandas as pd

from churn_clv.customer_table import check_table, score_table
from churn_clv.data.at_cutoffs import joined
from churn_clv.data.contract import Columns, ReadingRules
from churn_clv.data.engine import query, quote
from churn_clv.data.feature_names import EVENT_MEASURES, SUMMARY, event_columns
from churn_clv.data.features import features_read
from churn_clv.data.spark_engine import failures
from churn_clv.data.spark_log import SparkLog
from churn_clv.delivery.golden_rows import GOLDEN, golden_customers
from churn_clv.delivery.model_folder import model_files, model_of
from churn_clv.delivery.score_parts import arrow_scores
from churn_clv.errors import InputError
from churn_clv.score import FittedModels, trained_attributes

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

PART_CUSTOMERS = 50_000
Score = Callable[[FittedModels, pd.DataFrame], pd.DataFrame]


def score_on_spark(
    models: FittedModels,
    log: SparkLog,
    as_of: date,
    out: str,
    attributes: pd.DataFrame | None = None,
    with_reasons: bool = True,
    score: Score | None = None,
) -> None:
    """Score every customer who had bought by a day, on the executors, into a new folder of Parquet files.

    Parameters
    ----------
    out
        A folder that every machine sees, or an address ("s3a://..."). Spark's _SUCCESS in it says that it is whole.
    attributes
        Customer attributes indexed by customer_id; those of the training that are not among them are empty.
    score
        What is written of a part of the customer table, indexed by customer_id with a date in as_of; by default
        `churn_clv.customer_table.score_table`. It travels to the executors, where this package must be installed.

    Raises
    ------
    InputError
        If nobody had bought by then, the folder exists, or an attribute is called like a column of the table.
    """
    from pyspark.sql.pandas.types import from_arrow_schema

    files = tuple(sorted(model_files(models, Columns(), ReadingRules(), {}).items()))
    scored = score or partial(_scores, as_of=as_of, with_reasons=with_reasons)
    example = golden_customers(models, dict(files)[GOLDEN])
    schema = _plain(arrow_scores(scored(models, check_table(models, example))).schema)
    table = customer_table_on_spark(models, log, as_of, attributes)
    parts = max(log.connection.session.sparkContext.defaultParallelism, -(-log.n_customers // PART_CUSTOMERS))
    shipped = log.connection.session.sparkContext.broadcast(files)

    def part(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        loaded = _loaded(shipped.value)
        for batch in batches:
            if batch.num_rows:
                found = scored(loaded, check_table(loaded, batch.to_pandas()))
                yield from arrow_scores(found).cast(schema).to_batches()

    rows = table.repartition(parts, "customer_id").mapInArrow(part, from_arrow_schema(schema))
    try:
        rows.write.parquet(out)
    except failures() as failure:
        if "PATH_ALREADY_EXISTS" not in str(failure):
            raise
        raise InputError(f"{out}: exists already; name a new folder, nothing was overwritten") from None
    shipped.destroy()


def _scores(models: FittedModels, table: pd.DataFrame, as_of: date, with_reasons: bool) -> pd.DataFrame:
    return score_table(models, table, "", with_reasons=with_reasons).assign(as_of=as_of)


@lru_cache(maxsize=2)
def _loaded(files: tuple[tuple[str, str], ...]) -> FittedModels:
    """Load the models once a Python of an executor, and see that they answer there as they do here."""
    return model_of(dict(files), "the model sent to an executor").models


def _plain(schema: pa.Schema) -> pa.Schema:
    """Return a schema without the large texts of pandas, which Spark takes for another type."""
    import pyarrow as pa

    fields = [pa.field(f.name, pa.string() if pa.types.is_large_string(f.type) else f.type) for f in schema]
    return pa.schema(fields)


def customer_table_on_spark(
    models: FittedModels, log: SparkLog, as_of: date, attributes: pd.DataFrame | None
) -> DataFrame:
    """Return `churn_clv.score_log.customer_table` as rows on Spark, with a column customer_id.

    Raises
    ------
    InputError
        If nobody had bought by then, or an attribute is called like a column of the table.
    """
    from pyspark.sql import functions as f

    sql, values = table_query(models, log, as_of)
    table = log.rows(sql, values)
    if log.frame("SELECT 1 AS n FROM customer_days WHERE first_day <= $day LIMIT 1", {"day": as_of}).empty:
        raise InputError(f"no customer has a purchase up to {as_of}: nothing to score; take a later day")
    if attributes is not None:
        taken = sorted(set(attributes.columns) & set(table.columns))
        if taken:
            raise InputError(f"data.attributes: the columns {taken} have the names of features; rename them")
        table = table.join(_on_spark(log, attributes), "customer_id", "left")
    unknown = [name for name in trained_attributes(models) if name not in table.columns]
    return table.withColumns({name: f.lit(None).cast("double") for name in unknown})


def _on_spark(log: SparkLog, attributes: pd.DataFrame) -> DataFrame:
    import pyarrow as pa

    text = [name for name in attributes if not pd.api.types.is_numeric_dtype(attributes[name])]
    plain = attributes.assign(**{name: attributes[name].astype("string") for name in text})
    arrow = pa.Table.from_pandas(plain.rename_axis("customer_id").reset_index(), preserve_index=False)
    return log.connection.session.createDataFrame(arrow.cast(_plain(arrow.schema)))


def table_query(models: FittedModels, log: SparkLog, as_of: date) -> tuple[str, dict[str, Any]]:
    """Return the query that makes the customer table but for attributes, and its values: summary, behaviour, events."""
    told = models.settings.description
    queries, columns = features_read(log, told.feature_set)
    chosen = ["s.customer_id", *(f"s.{quote(name)}" for name in SUMMARY)]
    chosen += [f"f.{quote(name)}" for name in columns if name != "frequency"]
    parts = [f"({query('summary')}) AS s", f"JOIN ({joined(queries, columns)}) AS f ON f.customer_id = s.customer_id"]
    values: dict[str, Any] = {"cutoff": as_of, "spend": models.settings.spend_days, "cutoffs": [as_of]}
    for number, kind in enumerate(told.event_kinds):
        values |= {"kinds": list(told.event_kinds), f"kind_{number}": kind}
        chosen += _event_columns(kind, f"e{number}" if log.has_events else None)
        if log.has_events:
            events = f"SELECT * FROM ({query('events')}) AS found WHERE kind = $kind_{number}"  # noqa: S608
            parts.append(f"LEFT JOIN ({events}) AS e{number} ON e{number}.customer_id = s.customer_id")
    return f"SELECT {', '.join(chosen)} FROM {' '.join(parts)}", values  # noqa: S608


def _event_columns(kind: str, found: str | None) -> list[str]:
    """What `churn_clv.data.events.events_at` gives of a kind; NULL where the log comes without events."""
    expressions = []
    for measure in EVENT_MEASURES.values():
        column = f"{found}.{measure}"
        known = column if measure == "days_since_last" else f"coalesce({column}, 0)"
        expressions.append(f"CAST({'NULL' if found is None else known} AS DOUBLE)")
    return [f"{text} AS {quote(name)}" for text, name in zip(expressions, event_columns([kind]), strict=True)]
