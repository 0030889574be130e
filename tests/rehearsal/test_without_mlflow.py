"""The hand-over in an environment of its requirements.txt alone: no MLflow, no DuckDB, and the same answers."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from tests.rehearsal.conftest import BARE, Delivery, call, megabytes

from churn_clv.data.simulate import simulate_log

pytestmark = pytest.mark.rehearsal


def production(delivery: Delivery, venv: Path, *words: object, expected: int = 0) -> str:
    command = [venv / "bin/python", "-m", "churn_clv.delivery.production", *words]
    return call(command, delivery.handover, BARE | {"PYTHONPATH": "code"}, expected)


def test_the_environment_is_under_250_megabytes(without_mlflow: Path) -> None:
    size = megabytes(without_mlflow)
    print(f"\nwithout MLflow: {size:.0f} MB")
    assert size < 250


def test_the_check_verifies_every_file_and_finds_no_difference_twice(delivery: Delivery, without_mlflow: Path) -> None:
    for _ in range(2):  # the first leaves nothing behind that the second would refuse
        said = production(delivery, without_mlflow, "check", ".")
        facts = {line.split(":")[0]: line.split(":")[1].strip() for line in said.splitlines()}
        assert facts["golden rows"] == "64"
        assert float(facts["largest difference"]) == 0.0
        assert int(facts["files verified"]) == len((delivery.handover / "SHA256SUMS").read_text().splitlines())
    print(f"\n{said}")


def test_a_customer_table_is_scored_as_in_research(delivery: Delivery, without_mlflow: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "customers.csv", tmp_path / "scores.csv"
    delivery.table.to_csv(source, index=False)
    said = production(delivery, without_mlflow, "score", ".", source, out, "--as-of", delivery.day)
    assert said.startswith(f"{len(delivery.table)} customers scored")
    scores = pd.read_csv(out, dtype={"customer_id": "str"}).set_index("customer_id")
    assert (scores["churn_probability"] == delivery.answer["churn_probability"]).all()
    # A sum may be ordered otherwise by another build of numpy: a last digit.
    pd.testing.assert_frame_equal(scores, delivery.answer, check_dtype=False, rtol=1e-12, atol=0)


def test_another_horizon_is_forecast_and_what_was_cut_for_the_trained_one_is_empty(
    delivery: Delivery, without_mlflow: Path, tmp_path: Path
) -> None:
    source, out = tmp_path / "customers.csv", tmp_path / "scores.csv"
    delivery.table.to_csv(source, index=False)
    production(delivery, without_mlflow, "score", ".", source, out, "--horizon-days", 30)
    scores = pd.read_csv(out, dtype={"customer_id": "str"}).set_index("customer_id")
    assert (scores["horizon_days"] == 30).all()
    assert scores["segment"].isna().all()
    # Who buys in 30 days buys in the trained 182 as well.
    assert (scores["expected_purchases"] <= delivery.answer["expected_purchases"] + 1e-12).all()


def test_a_raw_log_without_duckdb_is_one_line_that_names_what_to_install(
    delivery: Delivery, without_mlflow: Path, tmp_path: Path
) -> None:
    log = tmp_path / "log.csv"
    simulate_log(customers=5, seed=1).to_csv(log, index=False)
    said = production(delivery, without_mlflow, "score", ".", log, tmp_path / "x.csv", expected=2)
    wanted = next(line for line in (delivery.handover / "requirements-log.txt").read_text().split() if "duckdb" in line)
    assert f"pip install {wanted}" in said
    assert len(said.splitlines()) == 1


def test_a_changed_file_is_refused_and_nothing_is_written(
    delivery: Delivery, without_mlflow: Path, tmp_path: Path
) -> None:
    source, trees = tmp_path / "customers.csv", delivery.handover / "churn.lightgbm.txt"
    delivery.table.to_csv(source, index=False)
    whole = trees.read_bytes()
    try:
        trees.write_bytes(whole[: len(whole) // 2])
        said = production(delivery, without_mlflow, "score", ".", source, tmp_path / "scores.csv", expected=2)
    finally:
        trees.write_bytes(whole)
    assert "churn.lightgbm.txt: changed" in said
    assert [path.name for path in tmp_path.iterdir()] == ["customers.csv"]
