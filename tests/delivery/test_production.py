"""What the receiving team runs: CSV in parts, scored as in research, refused in one line, never half written."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from churn_clv.delivery import mlflow_model, production
from churn_clv.delivery.model_folder import write_model
from churn_clv.delivery.run_folder import files_of
from churn_clv.score_log import customer_table
from churn_clv.train import Run

DIGEST_OF_ANOTHER = "0" * 64


@pytest.fixture(scope="module")
def folder(small_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("handed")
    write_model(place, files_of(small_run))
    return place


@pytest.fixture(scope="module")
def table(small_run: Run) -> pd.DataFrame:
    return customer_table(small_run.models, small_run.log, small_run.windows.score_as_of).reset_index()


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(production, "_CHUNK", 300)  # 800 customers: two whole parts and a rest


def score(folder: Path, source: Path, *more: str) -> int:
    return production.main(["score", str(folder), str(source), str(source.with_name("scores.csv")), *more])


def test_a_table_in_parts_is_scored_as_in_research(
    small_run: Run, folder: Path, table: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "customers.csv"
    # More columns, another order, a byte order mark: what tables from elsewhere have.
    table.assign(note="x")[[*table.columns[::-1], "note"]].to_csv(source, index=False, encoding="utf-8-sig")
    assert score(folder, source, "--as-of", str(small_run.windows.score_as_of)) == 0
    assert capsys.readouterr().out.startswith("800 customers scored")
    found = pd.read_csv(tmp_path / "scores.csv", dtype={"customer_id": "str"}).set_index("customer_id")
    expected = small_run.scores.assign(as_of=small_run.scores["as_of"].astype("str"))
    assert found["churn_probability"].equals(expected["churn_probability"])
    # CLV sums over what a part has in common: a last digit.
    pd.testing.assert_frame_equal(found, expected, check_dtype=False, rtol=1e-12)


def test_ids_stay_what_they_were_unless_a_spreadsheet_would_run_them(
    folder: Path, table: pd.DataFrame, tmp_path: Path
) -> None:
    source, ids = tmp_path / "customers.csv", ["007", "NA", "1e5", "=1+1"]
    table.head(4).assign(customer_id=ids).to_csv(source, index=False)
    assert score(folder, source) == 0
    found = pd.read_csv(tmp_path / "scores.csv", dtype="str", keep_default_na=False)
    assert found["customer_id"].tolist() == ["007", "NA", "1e5", "'=1+1"]
    assert (found["as_of"] == "").all()


BAD = {
    "a customer in two parts": (lambda t: pd.concat([t, t.head(2)]), "2 of 802 rows repeat a customer"),
    "text in the third part": (
        lambda t: t.assign(
            frequency=["abc" if k == 700 else 1.0 for k in range(len(t))], recency=1.0, monetary_days=2.0
        ),
        "rows 601 to 800: frequency: 1 of 200 rows hold something that is no number",
    ),
    "a missing column": (lambda t: t.drop(columns="recency"), "rows 1 to 300: recency: the model reads this column"),
    "no customers": (lambda t: t.head(0), "holds no customers"),
    "a column twice": (lambda t: pd.concat([t, t[["T"]]], axis=1), "T: the table has the column more than once"),
    "neither table nor log": (lambda t: t[["customer_id"]], "neither a customer table"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_table_is_one_line_and_leaves_no_scores(
    folder: Path, table: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    change, reason = BAD[name]
    change(table).to_csv(tmp_path / "customers.csv", index=False)
    assert score(folder, tmp_path / "customers.csv") == 2
    said = capsys.readouterr().err
    assert reason in said
    assert said.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["customers.csv"]


def test_bad_questions_are_one_line(
    folder: Path, table: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, here = tmp_path / "customers.csv", str(folder)
    table.head(3).to_csv(source, index=False)
    for words, reason in (
        (["score", here, str(tmp_path / "none.csv"), "out.csv"], "cannot be read"),
        (["score", here, str(source), str(source)], "is the input itself"),
        (["score", here, str(source), "out.csv", "--as-of", "31.12.2024"], "is not a day as in 2024-12-31"),
        (["score", here, str(source), str(tmp_path / "out.csv"), "--horizon-days", "0"], "horizon_days: 0 is not"),
        (["check", here, "--digest", DIGEST_OF_ANOTHER], "is not the list whose digest was announced"),
        (["check", str(tmp_path)], "is not a complete model folder"),
    ):
        assert production.main(words) == 2
        said = capsys.readouterr().err
        assert reason in said
        assert said.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["customers.csv"]
    assert mlflow_model.main([str(tmp_path), str(tmp_path / "model")]) == 2


def test_the_check_says_how_many_rows_it_compared_and_how_far_they_are(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert production.main(["check", str(folder)]) == 0
    facts = dict(line.split(":", 1) for line in capsys.readouterr().out.splitlines())
    assert int(facts["golden rows"]) == 64
    assert float(facts["largest difference"]) < 1e-12
    assert {"import", "load", "packages"} <= set(facts)


def test_a_raw_log_is_scored_where_duckdb_is(small_run: Run, folder: Path, tmp_path: Path) -> None:
    lines = small_run.log.connection.execute("SELECT customer_id, day AS date, amount FROM transactions").df()
    lines.to_csv(tmp_path / "log.csv", index=False)
    assert score(folder, tmp_path / "log.csv", "--as-of", str(small_run.windows.score_as_of)) == 0
    found = pd.read_csv(tmp_path / "scores.csv", dtype={"customer_id": "str"}).set_index("customer_id")
    expected = small_run.scores.assign(as_of=small_run.scores["as_of"].astype("str"))
    pd.testing.assert_frame_equal(found, expected, check_dtype=False, rtol=1e-12)
