"""Scoring a table of PostgreSQL: a customer table and a log, with names and types as databases have them."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa

from churn_clv.config import parse_config
from churn_clv.data.simulate import simulate_log
from churn_clv.data.transactions import read_transactions
from churn_clv.delivery.batch import score_file
from churn_clv.delivery.model_folder import read_model, write_model
from churn_clv.delivery.run_folder import files_of
from churn_clv.delivery.score_in_parts import score_in_parts
from churn_clv.delivery.score_input import ScoreInput
from churn_clv.errors import InputError
from churn_clv.score_log import customer_table
from churn_clv.train import train

AS_OF = date(2024, 12, 15)


@pytest.fixture(scope="module")
def place(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model; a log of customers it has never seen; and this log and their customer table in the database."""
    place = tmp_path_factory.mktemp("scoring")
    config = {
        "name": "small",
        "data": {"source": "simulated", "simulated": {"customers": 600, "seed": 5}},
        "windows": {"calibration_end": date(2024, 6, 30), "holdout_end": AS_OF},
        "churn": {"method": "offset_hybrid", "max_rounds": 40},
        "value": {"method": "hurdle"},
        "evaluation": {"bootstrap_samples": 20},
    }
    (place / "model").mkdir()
    write_model(place / "model", files_of(train(parse_config(config, source="test"))))
    log = simulate_log(customers=300, seed=77)
    log = log.assign(customer_id=(log["customer_id"].astype("int64") + 1000).astype("str"))
    log.to_parquet(place / "log.parquet")
    table = customer_table(read_model(place / "model").models, read_transactions(place / "log.parquet"), AS_OF)
    engine = sa.create_engine(postgres_url)
    with engine.begin() as connection:
        connection.execute(sa.text('CREATE SCHEMA "odd ""schema"'))
        table.to_sql("customers", connection, schema='odd "schema')
        money = {"amount": sa.Numeric(12, 2), "date": sa.DateTime(timezone=True), "customer_id": sa.BigInteger}
        log.astype({"customer_id": "int64"}).assign(date=log["date"].dt.tz_localize("UTC")).to_sql(
            "Sales", connection, index=False, dtype=money
        )
    engine.dispose()
    return place


@pytest.fixture(scope="module")
def expected(place: Path) -> pd.DataFrame:
    return score_file(place / "model", place / "log.parquet", AS_OF, {}, {}, None).scores


@pytest.mark.parametrize("table", ['odd "schema.customers', "Sales", "public.Sales"])
def test_a_table_of_the_database_gives_the_scores_of_the_file(
    postgres_url: str, place: Path, expected: pd.DataFrame, tmp_path: Path, table: str
) -> None:
    url = sa.make_url(postgres_url).update_query_dict({"table": table}).render_as_string(hide_password=False)
    score_in_parts(place / "model", ScoreInput(url, AS_OF), tmp_path / "scores.parquet", part_rows=64)
    found = pd.read_parquet(tmp_path / "scores.parquet").loc[expected.index]
    rest = [name for name in expected if name != "clv"]
    pd.testing.assert_frame_equal(found[rest], expected[rest], check_dtype=False, check_exact=True)
    np.testing.assert_allclose(found["clv"], expected["clv"], rtol=1e-13)  # summed by BLAS, by number of rows
    assert [path.name for path in tmp_path.iterdir()] == ["scores.parquet"]


def test_what_is_not_in_the_database_is_named_and_no_password_is(
    postgres_url: str, place: Path, tmp_path: Path
) -> None:
    url = sa.make_url(postgres_url).set(password="canary")  # noqa: S106 (to be looked for)
    for table, says in {"Salles": "no table 'Salles'.*'Sales'", "shop.Sales": "no schema 'shop'"}.items():
        named = url.update_query_dict({"table": table}).render_as_string(hide_password=False)
        with pytest.raises(InputError, match=says) as refused:
            score_in_parts(place / "model", ScoreInput(named), tmp_path / "scores.csv")
        assert "canary" not in str(refused.value)
    assert not list(tmp_path.iterdir())
