"""The served model's answers: the model's own, and for what is no question one line; over HTTP in tests/rehearsal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mlflow
import pytest

from churn_clv.delivery.endpoint import answer, main
from churn_clv.delivery.mlflow_model import save
from churn_clv.delivery.request_body import CSV, JSON

RELEASE = Path(__file__).parents[1] / "golden/release_0_1_0"
SECRET = "canary-7f3a"  # noqa: S105 (an id that must not come back)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    place = tmp_path_factory.mktemp("served") / "model"
    save(RELEASE, place)
    return mlflow.pyfunc.load_model(str(place))


def asked(model: Any, body: bytes, kind: str = JSON) -> tuple[int, Any]:
    found = answer(model, body, kind)
    return found.status_code, json.loads(bytes(found.body))


def rows_of(model: Any) -> dict[str, Any]:
    example = model.input_example
    return {"columns": list(example), "data": example.astype(object).where(example.notna(), None).to_numpy().tolist()}


def test_json_and_csv_get_the_answers_of_the_model(model: Any) -> None:
    expected = model.predict(model.input_example)
    status, told = asked(model, json.dumps({"dataframe_split": rows_of(model)}).encode())
    assert status == 200
    assert [row["clv"] for row in told["predictions"]] == expected["clv"].tolist()
    status, by_csv = asked(model, model.input_example.to_csv(index=False).encode(), CSV)
    assert (status, by_csv) == (200, told)


def test_a_raw_log_by_csv_keeps_its_ids(model: Any) -> None:
    status, told = asked(model, b"customer_id,date,amount\n007,2024-01-01,3\n007,2024-02-01,4.5\n8,2024-02-02,1\n", CSV)
    assert (status, [row["customer_id"] for row in told["predictions"]]) == (200, ["007", "8"])


def test_parameters_are_those_of_the_model(model: Any) -> None:
    content = {"dataframe_split": rows_of(model), "params": {"as_of": "2024-12-31", "horizon_days": 30}}
    _, told = asked(model, json.dumps(content).encode())
    assert {(row["as_of"], row["horizon_days"]) for row in told["predictions"]} == {("2024-12-31", 30)}


def test_refusals_of_body_model_and_parameters_are_400_and_a_line(model: Any, caplog: pytest.LogCaptureFixture) -> None:
    rows = rows_of(model)
    named = rows | {"data": [[f"{SECRET}-{k}", *row[1:]] for k, row in enumerate(rows["data"])]}
    torn = {"columns": ["customer_id", "T", SECRET], "data": [[SECRET, 1, 2]]}
    for content, reason in (
        ({"dataframe_split": 5}, "dataframe_split: wants"),
        ({"dataframe_split": torn}, "frequency, recency, monetary_value"),
        ({"dataframe_split": {"columns": [SECRET], "data": [[1]]}}, "the input has no rows, or none of the columns"),
        ({"dataframe_split": rows, "params": {"horizon_days": -1}}, "horizon_days: -1 is not"),
        ({"dataframe_split": named, "params": {"horizon_days": "x"}}, ""),
        (
            {"dataframe_split": rows, "params": {SECRET: 1}},
            "params: 1 of 1 are unknown; the model takes as_of, horizon_days",
        ),
    ):
        status, told = asked(model, json.dumps(content).encode())
        assert (status, set(told)) == (400, {"error_code", "message"})
        assert told["message"].startswith(reason)
        assert SECRET not in told["message"]
    assert SECRET not in caplog.text


def test_a_folder_that_is_no_model_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"{tmp_path}: holds no MLmodel")
    assert said.count("\n") == 1
