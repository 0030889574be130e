"""The customer table: the same scores as from the log, in any order of rows and columns, and refusals by column name."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from churn_clv.customer_table import attribute_levels, check_table, score_table, table_columns
from churn_clv.data.windows import DAYS_PER_YEAR
from churn_clv.delivery.golden_rows import golden_customers, golden_text, replay
from churn_clv.delivery.synthetic_customers import AS_OF, synthetic_customers
from churn_clv.errors import InputError
from churn_clv.models.clv import discounted_clv
from churn_clv.score_log import customer_table, score
from churn_clv.train import Run


@pytest.fixture(scope="module")
def table(small_run: Run) -> pd.DataFrame:
    return customer_table(small_run.models, small_run.log, small_run.windows.score_as_of)


def as_given(table: pd.DataFrame) -> pd.DataFrame:
    """As a warehouse would give it: the customer in a column, integers where they are whole, columns it does not need."""
    whole = {name: table[name].astype(int) for name in ("frequency", "recency", "T", "monetary_days")}
    given = table.assign(**whole, nobody_asked="x").reset_index()
    return given.assign(customer_id="c-" + given["customer_id"])


def test_a_table_from_elsewhere_gets_the_scores_of_the_log(small_run: Run, table: pd.DataFrame):
    models, day = small_run.models, small_run.windows.score_as_of
    expected = score(models, small_run.log, day).rename(index=lambda name: f"c-{name}")
    given = as_given(table).sample(frac=1, random_state=1)
    given = given[given.columns[::-1]]
    found = score_table(models, check_table(models, given), day)
    pd.testing.assert_frame_equal(found.loc[expected.index], expected, rtol=1e-12)


def test_batches_get_the_scores_of_the_whole(small_run: Run, table: pd.DataFrame):
    models = small_run.models
    whole = score_table(models, table, "2024-12-31")
    parts = [score_table(models, part, "2024-12-31") for part in (table[:1], table[1:300], table[300:])]
    pd.testing.assert_frame_equal(pd.concat(parts), whole, rtol=1e-12)


def test_another_horizon_is_carried_by_the_purchase_model_and_gets_no_cell(small_run: Run, table: pd.DataFrame):
    models = small_run.models
    own, half, twice = (score_table(models, table, "", days) for days in (None, 84, 336))
    assert own["horizon_days"].eq(168).all()
    assert own["segment"].notna().all()
    assert half["segment"].isna().all()
    assert half["rfm_segment"].equals(own["rfm_segment"])
    for less, more in ((half, own), (own, twice)):
        assert (less["churn_probability"] >= more["churn_probability"]).all()
        assert (less["expected_purchases"] <= more["expected_purchases"]).all()


def test_clv_over_its_own_horizon_is_scaled_as_spend_in_the_horizon_is(small_run: Run, table: pd.DataFrame):
    # The textbook's CLV (Fader, Hardie & Lee 2005, JMR) times what the churn model makes of the spend in the horizon.
    models, settings = small_run.models, small_run.models.settings
    scores = score_table(models, table, "")
    clv = discounted_clv(
        models.purchases, models.spend, table, horizon=settings.clv_horizon_days,
        annual_discount_rate=settings.annual_discount_rate, periods_per_year=DAYS_PER_YEAR,
    )  # fmt: skip
    spend = models.purchases.expected_purchases(table, settings.horizon_days) * models.spend.expected_spend(table)
    np.testing.assert_allclose(scores["clv"], clv * scores["expected_spend"] / spend, rtol=1e-12)


@pytest.mark.parametrize("days", [0, -5, 1.5, 40_000])
def test_a_horizon_that_is_none_is_refused(small_run: Run, table: pd.DataFrame, days: float):
    with pytest.raises(InputError, match=r"horizon_days: .* from 1 to 36,525"):
        score_table(small_run.models, table, "", days)  # type: ignore[arg-type]


def broken(column: str, value: object):
    return lambda given: given.assign(**{column: [value, *given[column].tolist()[1:]]})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda t: t.drop(columns="recency"), r"^recency: the model reads this column, which the table has not"),
        (lambda t: t.rename(columns={"mean_amount": "mean_amonut"}), r"^mean_amount \(did you mean 'mean_amonut'\?\)"),
        (lambda t: t.drop(columns="customer_id"), r"^customer_id: the table has no such column"),
        (broken("customer_id", None), r"^customer_id: 1 of 800 rows have none"),
        (broken("customer_id", " "), r"^customer_id: 1 of 800 rows have none"),
        (lambda t: pd.concat([t, t[:2]]), r"^customer_id: 2 of 802 rows repeat a customer"),
        (lambda t: t.assign(customer_id=np.arange(len(t)) + 0.5), r"^customer_id: the ids are decimal numbers"),
        (lambda t: pd.concat([t, t[["T"]]], axis=1), r"^T: the table has the column more than once"),
        (broken("frequency", "many"), r"^frequency: holds .*, the model wants numbers"),
        (broken("frequency", -1), r"^frequency: 1 of 800 rows are negative"),
        (broken("frequency", 0.5), r"^frequency: 1 of 800 rows are no whole numbers"),
        (broken("T", np.nan), r"^T: 1 of 800 rows are empty"),
        (broken("monetary_value", np.inf), r"^monetary_value: 1 of 800 rows are infinite"),
        (broken("recency", 10_000), r"^recency: 1 of 800 rows are not between 0 and T"),
        (lambda t: t.assign(recency=t["recency"].where(t["frequency"] == 0, 0)), r"rows disagree with frequency"),
        (lambda t: t.assign(monetary_days=t["frequency"]), r"^monetary_days: 800 of 800 rows are not frequency \+ 1"),
    ],
)  # fmt: skip
def test_a_table_that_no_log_could_give_is_refused_by_column(small_run: Run, table: pd.DataFrame, damage, message: str):
    with pytest.raises(InputError, match=message) as caught:
        check_table(small_run.models, damage(as_given(table)))
    assert "c-" not in str(caught.value)


def test_what_is_unknown_of_a_customer_may_be_an_empty_cell(small_run: Run, table: pd.DataFrame):
    empty = [column.name for column in table_columns(small_run.models) if column.may_be_empty]
    assert "mean_gap_days" in empty
    once = as_given(table).assign(mean_gap_days=np.nan)
    scores = score_table(small_run.models, check_table(small_run.models, once), "")
    assert np.isfinite(scores["churn_probability"]).all()


def test_golden_rows_are_made_up_and_a_model_that_answers_otherwise_is_refused(small_run: Run):
    models = small_run.models
    text = golden_text(models, synthetic_customers(models), str(AS_OF))
    customers = golden_customers(models, text)
    assert len(customers) >= 50
    assert customers["customer_id"].str.startswith("synthetic-").all()
    assert (customers["frequency"] == 0).any()
    assert replay(models, text) == 0.0
    models.purchases.params_["alpha"] *= 1 + 1e-6
    try:
        with pytest.raises(InputError, match=r"golden rows: .* differs in \d+ of \d+ made-up customers"):
            replay(models, text)
    finally:
        models.purchases.params_["alpha"] /= 1 + 1e-6


def test_a_model_without_categories_has_no_levels(small_run: Run):
    assert attribute_levels(small_run.models) == {}


def test_scoring_a_table_needs_numpy_scipy_pandas_and_lightgbm_only():
    forbidden = ["duckdb", "pydantic", "yaml", "pyarrow", "mlflow", "sklearn", "matplotlib", "typer"]
    code = f"""
import sys
class Door:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {forbidden!r}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Door())
import churn_clv.delivery.model_folder, churn_clv.customer_table
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
