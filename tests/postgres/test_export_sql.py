"""The SELECT of export-sql on a real PostgreSQL: the same scores as Python's, and no overflow on the way."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import create_engine, text

from churn_clv.delivery.export_sql import scoring_sql
from churn_clv.delivery.export_trial import Asked, hard_histories
from churn_clv.models import BetaGeoModel, GammaGammaModel, ModifiedBetaGeoModel, ParetoNBDModel
from churn_clv.models.purchase_model import PurchaseModel

pytestmark = pytest.mark.postgres

SPEND = GammaGammaModel.from_params(p=6.25, q=3.74, v=15.44)
HOSTILE = 'x"; DROP TABLE summary; --'
# Fits of CDNOW in days (their sources: tests/delivery/test_export_sql.py), and limits where exp and ln leave their range
MODELS: list[PurchaseModel] = [
    BetaGeoModel.from_params(r=0.243, alpha=30.898, a=0.793, b=2.426),
    ModifiedBetaGeoModel.from_params(r=0.525, alpha=43.281, a=0.891, b=1.614),
    ParetoNBDModel.from_params(r=0.553, alpha=74.046, s=0.606, beta=81.683),
    BetaGeoModel.from_params(r=0.3, alpha=30.0, a=1.0, b=1e-4),
    BetaGeoModel.from_params(r=0.3, alpha=30.0, a=1e-5, b=100.0),
    BetaGeoModel.from_params(r=0.3, alpha=0.1, a=1e5, b=1e6),
    ParetoNBDModel.from_params(r=0.01, alpha=0.1, s=1.0, beta=1e4),
]


def scores_of(purchases: PurchaseModel, summary: pd.DataFrame, url: str, table: str = "summary") -> pd.DataFrame:
    sql = scoring_sql(
        purchases,
        SPEND,
        horizon_days=365,
        clv_horizon_days=1096,
        annual_discount_rate=0.1,
        dialect="postgres",
        table=table,
    )
    engine = create_engine(url)
    summary.to_sql(table, engine, index_label="customer_id", if_exists="replace")
    with engine.connect() as connection:
        scores = pd.read_sql(text(sql.replace(":", "\\:")), connection).set_index("customer_id")
    engine.dispose()
    return scores.loc[summary.index]


@pytest.mark.parametrize("purchases", MODELS, ids=repr)
def test_postgresql_answers_as_the_python_model_does(purchases: PurchaseModel, postgres_url: str) -> None:
    summary = hard_histories(SPEND)
    expected = Asked(purchases, SPEND, 365.0, 1096.0, 0.1).scores(summary)
    scores = scores_of(purchases, summary, postgres_url)
    # the bound that the SQL's own header states; what is under 1e-100 counts as nothing
    pd.testing.assert_frame_equal(scores, expected, rtol=1e-6, atol=1e-100, check_names=False)


def test_a_history_that_cannot_be_gets_null(postgres_url: str) -> None:
    rows = [[2, 9, 5], [1.5, 1, 5], [-1, 0, 5], [0, 3, 5], [1, None, 5], [1, 1, 1e6], [1, 1, None], [1, 1, 5]]
    summary = pd.DataFrame(rows, columns=["frequency", "recency", "T"]).assign(monetary_value=3.0, monetary_days=1)
    for purchases in MODELS[:3]:
        scores = scores_of(purchases, summary, postgres_url)
        assert scores.isna().all(axis=1).tolist() == [True] * 7 + [False]


def test_a_hostile_name_is_read_and_the_other_table_stays(postgres_url: str) -> None:
    summary = hard_histories(SPEND).iloc[:50]
    plain = scores_of(MODELS[0], summary, postgres_url)
    pd.testing.assert_frame_equal(scores_of(MODELS[0], summary, postgres_url, HOSTILE), plain)
    engine = create_engine(postgres_url)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM summary")).scalar() == 50
    engine.dispose()


def test_whole_numbers_and_decimals_score_as_doubles_do(postgres_url: str) -> None:
    summary = pd.DataFrame(
        {"frequency": [0, 4], "recency": [0, 80], "T": [90, 90], "monetary_value": [0, 7], "monetary_days": [0, 4]}
    )
    whole = scores_of(MODELS[0], summary, postgres_url)
    engine = create_engine(postgres_url)
    with engine.begin() as connection:
        connection.execute(
            text(
                'CREATE TABLE exact AS SELECT customer_id, frequency\\:\\:integer, recency\\:\\:numeric, "T"\\:\\:numeric, monetary_value\\:\\:numeric(12, 2), monetary_days\\:\\:bigint FROM summary'
            )
        )
        sql = scoring_sql(
            MODELS[0],
            SPEND,
            horizon_days=365,
            clv_horizon_days=1096,
            annual_discount_rate=0.1,
            dialect="postgres",
            table="exact",
        )
        exact = pd.read_sql(text(sql), connection).set_index("customer_id").loc[summary.index]
    engine.dispose()
    np.testing.assert_allclose(exact, whole, rtol=1e-12)
