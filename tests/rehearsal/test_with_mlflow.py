"""The registered model in the environment that it asks for: loaded without pickle, home or network, and served."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pandas as pd
import pytest
from tests.rehearsal.conftest import BARE, Delivery, Server, call, megabytes

from churn_clv.delivery.model_folder import read_model
from churn_clv.errors import InputError

pytestmark = pytest.mark.rehearsal
ROWS = 1000
SECRET = "secret-customer"  # noqa: S105 (an id that must not come back)


def test_the_environment_is_under_320_megabytes(with_skinny: Path) -> None:
    size = megabytes(with_skinny)
    print(f"\nwith mlflow-skinny: {size:.0f} MB")
    assert size < 320


def test_it_answers_as_research_did_without_pickle_home_or_network(
    delivery: Delivery, with_skinny: Path, tmp_path: Path
) -> None:
    source, out, empty = tmp_path / "customers.csv", tmp_path / "scores.csv", tmp_path / "empty"
    empty.mkdir()
    delivery.table.to_csv(source, index=False)
    words = [with_skinny / "bin/python", Path(__file__).parent / "ask_mlflow.py", delivery.registered, source, out]
    print("\n" + call([*words, delivery.day], empty, BARE))
    scores = pd.read_csv(out, dtype={"customer_id": "str"}).set_index("customer_id")
    assert (scores["churn_probability"] == delivery.answer["churn_probability"]).all()
    pd.testing.assert_frame_equal(scores, delivery.answer, check_dtype=False, rtol=1e-12, atol=0)
    assert not list(empty.iterdir())


def test_the_registry_holds_the_digest_of_the_registered_files(delivery: Delivery) -> None:
    fitted = delivery.registered / "artifacts" / "fitted"
    assert read_model(fitted, delivery.digest_tag).about["config"] == "simulated"
    with pytest.raises(InputError, match="is not the list whose digest was announced"):
        read_model(fitted, "0" * 64)


def test_the_steps_of_the_image_make_a_model_that_answers_alike(
    delivery: Delivery, with_skinny: Path, tmp_path: Path
) -> None:
    """What a builder of the image would run of Python, in the environment that the image would have."""
    steps = [
        line for line in (delivery.handover / "Dockerfile").read_text().splitlines() if line.startswith("RUN python")
    ]
    (commands,) = [line.removeprefix("RUN ").split(" && ") for line in steps]
    assert len(commands) == 2
    for command in commands:
        words = [with_skinny / "bin/python", *command.replace("/opt/model", str(tmp_path / "model")).split()[1:]]
        call(words, delivery.handover, BARE | {"PYTHONPATH": "code"})
    source, out = tmp_path / "customers.csv", tmp_path / "scores.csv"
    delivery.table.to_csv(source, index=False)
    words = [with_skinny / "bin/python", Path(__file__).parent / "ask_mlflow.py", tmp_path / "model", source, out]
    call([*words, delivery.day], tmp_path, BARE)
    scores = pd.read_csv(out, dtype={"customer_id": "str"}).set_index("customer_id")
    pd.testing.assert_frame_equal(scores, delivery.answer, check_dtype=False, rtol=1e-12, atol=0)


# --- the server


def split(table: pd.DataFrame, **params: Any) -> dict[str, Any]:
    """As JSON that keeps every digit; pandas' own writes ten."""
    cells = table.astype(object).where(table.notna(), None)
    content = {"dataframe_split": {"columns": list(table), "data": cells.to_numpy().tolist()}}
    return content | ({"params": params} if params else {})


def ask(server: Server, content: Any, kind: str = "application/json") -> tuple[int, str]:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    try:
        with urlopen(Request(server.address, data=body, headers={"Content-Type": kind})) as answer:  # noqa: S310
            return answer.status, answer.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()


def scored(server: Server, delivery: Delivery, table: pd.DataFrame) -> pd.DataFrame:
    status, text = ask(server, split(table, as_of=delivery.day))
    assert status == 200, text
    return pd.DataFrame(json.loads(text)["predictions"]).set_index("customer_id")


def many(delivery: Delivery) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A thousand rows, the run's customers under more ids, and what research answered for them."""
    rounds = range(ROWS // len(delivery.table) + 1)
    table = pd.concat([delivery.table.assign(customer_id=delivery.table["customer_id"] + f"-{k}") for k in rounds])
    answer = pd.concat([delivery.answer.rename(index=lambda name, k=k: f"{name}-{k}") for k in rounds])
    return table.head(ROWS), answer.head(ROWS)


def test_one_row_and_a_thousand_are_answered_as_in_research(server: Server, delivery: Delivery) -> None:
    table, answer = many(delivery)
    seconds = []
    for rows in (1, ROWS):
        for _ in range(5):
            started = time.perf_counter()
            found = scored(server, delivery, table.head(rows))
            seconds.append(time.perf_counter() - started)
        pd.testing.assert_frame_equal(
            found, answer.head(rows), check_dtype=False, rtol=1e-12, atol=0, check_names=False
        )
    print(f"\n1 row {sorted(seconds[:5])[2] * 1e3:.0f} ms, {ROWS} rows {sorted(seconds[5:])[2] * 1e3:.0f} ms")


def test_eight_requests_at_a_time_are_answered_as_one_batch(server: Server, delivery: Delivery) -> None:
    table, answer = many(delivery)
    parts = [table.iloc[k::8] for k in range(8)]
    with ThreadPoolExecutor(8) as pool:
        found = pd.concat(pool.map(lambda part: scored(server, delivery, part), parts)).loc[answer.index]
    pd.testing.assert_frame_equal(found, answer, check_dtype=False, rtol=1e-12, atol=0, check_names=False)


def test_records_whole_numbers_and_a_customer_with_one_purchase_are_answered(
    server: Server, delivery: Delivery
) -> None:
    once = delivery.table[delivery.table["frequency"] == 0].head(1)
    (row,) = once.astype(object).where(once.notna(), None).to_dict("records")
    whole = {
        name: int(value) if isinstance(value, float) and value.is_integer() else value for name, value in row.items()
    }
    assert any(type(value) is int for value in whole.values())
    status, text = ask(server, {"dataframe_records": [whole], "params": {"as_of": delivery.day}})
    assert status == 200, text
    (answer,) = json.loads(text)["predictions"]
    expected = delivery.answer.loc[row["customer_id"]]
    assert answer["churn_probability"] == expected["churn_probability"]
    assert answer["clv"] == pytest.approx(expected["clv"], rel=1e-12)


def broken(delivery: Delivery, **changes: Any) -> dict[str, Any]:
    table = delivery.table.head(3).astype(object)
    return split(table.assign(customer_id=[f"{SECRET}-{k}" for k in range(3)], **changes))


BAD = {
    "a wrong column": ({"recency": None}, "recency"),
    "text in a number": ({"T": "abc"}, "T: 3 of 3 rows hold something that is no number"),
    "recency beyond T": ({"recency": 1e6}, "recency: 3 of 3 rows are not between 0 and T"),
    "negative purchases": ({"frequency": -1}, "frequency: 3 of 3 rows are negative"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_value_is_refused_by_the_name_of_its_column_and_without_rows(
    server: Server, delivery: Delivery, name: str
) -> None:
    changes, reason = BAD[name]
    status, text = ask(server, broken(delivery, **changes))
    assert (status, reason in text, SECRET in text) == (400, True, False), text


def test_a_missing_column_no_rows_and_a_bad_day_are_refused_with_the_reason(server: Server, delivery: Delivery) -> None:
    table = delivery.table.head(2).assign(customer_id=[f"{SECRET}-0", f"{SECRET}-1"])
    log = pd.DataFrame({"customer_id": [SECRET], "date": ["2024-01-01"], "amount": [3.0]})
    for content, reason in (
        (split(table.rename(columns={"recency": "recentcy"})), "recency: the model reads this column"),
        (split(table.head(0)), "the input has no rows"),
        ({"dataframe_records": []}, "the input has no rows"),
        (split(table, as_of="31.12.2024"), "is not a day as in 2024-12-31"),
        (split(table, horizon_days=-5), "horizon_days: -5 is not"),
        (split(pd.concat([table, table])), "customer_id: 2 of 4 rows repeat a customer"),
        (split(pd.DataFrame({"who": [SECRET]})), "the input has no rows, or none of the columns"),
        (split(log), "pip install duckdb=="),
    ):
        status, text = ask(server, content)
        assert (status, reason in text, SECRET in text) == (400, True, False), text


def test_csv_is_answered_and_its_ids_stay_text(server: Server, delivery: Delivery) -> None:
    table = delivery.table.head(3).assign(customer_id=["007", "8", "=1+1"])
    status, text = ask(server, table.to_csv(index=False).encode(), kind="text/csv")
    assert status == 200, text
    found = pd.DataFrame(json.loads(text)["predictions"])
    assert found["customer_id"].tolist() == ["007", "8", "=1+1"]
    assert found["churn_probability"].tolist() == delivery.answer["churn_probability"].head(3).tolist()


def test_what_is_no_request_is_refused_in_a_line_and_no_customer_is_repeated(
    server: Server, delivery: Delivery
) -> None:
    deep = b'{"dataframe_split": ' + b"[" * 100_000
    for content, kind, expected in (
        (f"{{{SECRET}".encode(), "application/json", 400),
        ([{"customer_id": SECRET}], "application/json", 400),
        (deep, "application/json", 400),
        (f'customer_id,T\n"{SECRET}'.encode(), "text/csv", 400),
        (SECRET.encode(), "text/plain", 400),
        (b" " * (65 * 2**20), "text/csv", 413),
    ):
        status, text = ask(server, content, kind)
        assert (status, SECRET in text, "Traceback" in text, "\n" in text) == (expected, False, False, False), text
    # MLflow judges the parameters, and repeats what it was sent to who sent it.
    wrong = split(delivery.table.head(1).assign(customer_id=SECRET), horizon_days="x")
    assert ask(server, wrong)[0] == 400
    assert scored(server, delivery, delivery.table.head(1)).shape[0] == 1, "the server lives"
    assert SECRET not in server.log.read_text()


def test_mlflows_own_server_answers_good_questions_alike(
    server: Server, mlflows_server: Server, delivery: Delivery
) -> None:
    table = delivery.table.head(20)
    asked = split(table, as_of=delivery.day, horizon_days=90)
    assert json.loads(ask(mlflows_server, asked)[1]) == json.loads(ask(server, asked)[1])
    assert ask(mlflows_server, broken(delivery, recency=1e6))[0] == 400
    assert SECRET not in mlflows_server.log.read_text()
