"""The MLflow model asked as its users ask: tables and logs, whole numbers and text, strangers, and what it must refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException

from churn_clv.customer_table import score_table, table_columns
from churn_clv.delivery.mlflow_model import save
from churn_clv.score_log import customer_table
from churn_clv.train import Run

SECRET = "secret-customer"  # noqa: S105 (an id that must not come back)


@pytest.fixture(scope="module")
def place(bare_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("saved") / "model"
    save(bare_folder / "model", place)
    return place


@pytest.fixture(scope="module")
def model(place: Path) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
        return mlflow.pyfunc.load_model(str(place))


@pytest.fixture(scope="module")
def table(small_run: Run) -> pd.DataFrame:
    return customer_table(small_run.models, small_run.log, small_run.windows.score_as_of).reset_index()


def as_research(small_run: Run) -> pd.DataFrame:
    return small_run.scores.assign(as_of=small_run.scores["as_of"].astype("str"))


def ask(model: Any, frame: pd.DataFrame, **params: Any) -> pd.DataFrame:
    return model.predict(frame, params=params).set_index("customer_id")


def test_a_customer_table_is_answered_as_in_research(small_run: Run, model: Any, table: pd.DataFrame) -> None:
    found = ask(model, table, as_of=str(small_run.windows.score_as_of))
    pd.testing.assert_frame_equal(found, as_research(small_run), check_exact=True, check_dtype=False)


def test_a_raw_log_is_answered_as_its_customer_table(small_run: Run, model: Any, table: pd.DataFrame) -> None:
    lines = small_run.log.connection.execute(
        "SELECT customer_id, CAST(day AS VARCHAR) AS date, amount FROM transactions"
    ).df()
    day = str(small_run.windows.score_as_of)
    found = ask(model, lines, as_of=day, horizon_days=30)
    expected = ask(model, table, as_of=day, horizon_days=30)
    # Days are added up in no order: a last digit.
    pd.testing.assert_frame_equal(found, expected, check_dtype=False, rtol=1e-12)


def test_whole_numbers_text_and_a_row_by_itself_are_answered_alike(model: Any, table: pd.DataFrame) -> None:
    expected = ask(model, table)
    counts = ["frequency", "recency", "T", "monetary_days"]
    pd.testing.assert_frame_equal(ask(model, table.astype(dict.fromkeys(counts, "int64"))), expected)
    text = table.assign(**{name: table[name].map(repr) for name in counts})
    pd.testing.assert_frame_equal(ask(model, text), expected)
    alone = pd.concat([ask(model, table.iloc[[k]]) for k in range(5)])
    assert alone["churn_probability"].equals(expected["churn_probability"].head(5))
    # CLV sums over what a batch has in common: a last digit.
    pd.testing.assert_frame_equal(alone, expected.head(5), rtol=1e-12)


def test_a_stranger_and_a_customer_with_one_purchase_are_answered(small_run: Run, model: Any) -> None:
    log = pd.DataFrame({"customer_id": ["new", "two", "two"], "date": ["2024-11-01", "2024-03-01", "2024-11-20"],
                        "amount": [30.0, 20.0, 25.0]})  # fmt: skip
    found = ask(model, log, as_of="2024-12-15")
    assert found.index.tolist() == ["new", "two"]
    assert found.loc["new", ["frequency", "recency", "T"]].tolist() == [0, 0, 44]
    assert found["churn_probability"].between(0, 1).all()
    assert (found[["clv", "expected_spend", "value_if_active"]] > 0).all(axis=None)
    assert not set(found.index) & set(small_run.scores.index)


def test_another_horizon_is_the_models_own_forecast_over_it(small_run: Run, model: Any, table: pd.DataFrame) -> None:
    found = ask(model, table, horizon_days=400)
    expected = score_table(small_run.models, table.set_index("customer_id"), "", 400)
    pd.testing.assert_series_equal(found["expected_spend"], expected["expected_spend"], check_exact=True)
    assert (found["horizon_days"] == 400).all()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"recency": None}, "recency: 3 of 3 rows are empty"),
        ({"T": "abc"}, "T: 3 of 3 rows hold something that is no number"),
        ({"recency": 1e6}, "recency: 3 of 3 rows are not between 0 and T"),
        ({"monetary_value": np.inf}, "monetary_value: 3 of 3 rows are infinite"),
        ({"customer_id": SECRET}, "customer_id: 2 of 3 rows repeat a customer"),
        ({"customer_id": None}, "customer_id: 3 of 3 rows have none"),
    ],
)
def test_a_wrong_column_is_refused_by_name_as_a_bad_request_without_its_rows(
    model: Any, table: pd.DataFrame, change: dict[str, Any], reason: str
) -> None:
    bad = table.head(3).assign(customer_id=[f"{SECRET}-{k}" for k in range(3)]).assign(**change)
    with pytest.raises(MlflowException, match=f"^{reason}") as refused:
        model.predict(bad)
    assert refused.value.get_http_status_code() == 400
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("name", ["customer_id", "recency", "monetary_value"])
def test_a_missing_column_is_refused_by_name(model: Any, table: pd.DataFrame, name: str) -> None:
    with pytest.raises(MlflowException, match=f"^{name}: the "):
        model.predict(table.drop(columns=name))


def test_no_rows_neither_table_nor_log_and_impossible_questions_are_refused(model: Any, table: pd.DataFrame) -> None:
    for frame, params, reason in (
        (table.head(0), {}, "the input has no rows"),
        (pd.DataFrame({"who": ["x"]}), {}, "the input has no rows, or none of the columns"),
        (pd.DataFrame({"customer_id": ["x"]}), {}, "neither a customer table"),
        (table, {"as_of": "31.12.2024"}, "as_of: '31.12.2024' is not a day as in"),
        (table, {"horizon_days": -1}, "horizon_days: -1 is not a whole number of days"),
    ):
        with pytest.raises(MlflowException, match=f"^{reason}"):
            model.predict(frame, params=params)


def test_a_servers_own_words_do_not_reach_a_refusal(model: Any, table: pd.DataFrame) -> None:
    """MLflow's server writes the rows it was sent before the reason, into the exception."""
    with pytest.raises(MlflowException) as refused:
        model.predict(table.head(2).assign(recency=-1))
    refused.value.message = f"Failed to predict data '{SECRET}'"
    assert SECRET not in refused.value.serialize_as_json()
    assert "recency: 2 of 2 rows" in refused.value.serialize_as_json()


def test_the_signature_describes_both_inputs_and_what_comes_out(small_run: Run, model: Any) -> None:
    signature = model.metadata.signature
    names = signature.inputs.input_names()
    assert {column.name for column in table_columns(small_run.models)} | {"customer_id", "date", "amount"} == set(names)
    assert signature.inputs.required_input_names() == []
    assert [param.name for param in signature.params.params] == ["as_of", "horizon_days"]
    kinds = {"string": "O", "double": "f", "long": "i"}
    wanted = {name: kinds[spec.type.name] for name, spec in signature.outputs.input_dict().items()}
    found = small_run.scores.reset_index()
    assert {n: found[n].dtype.kind if pd.api.types.is_numeric_dtype(found[n]) else "O" for n in found} == wanted


def test_the_example_is_made_up_and_the_model_answers_it(small_run: Run, model: Any, place: Path) -> None:
    example = model.input_example
    assert example["customer_id"].str.startswith("synthetic-").all()
    assert not set(example["customer_id"]) & set(small_run.scores.index)
    assert len(model.predict(example)) == len(example)


def test_what_is_saved_names_no_place_of_this_machine(place: Path, bare_folder: Path) -> None:
    for path in place.rglob("*"):
        assert path.is_dir() or str(bare_folder) not in path.read_text(encoding="utf-8")
