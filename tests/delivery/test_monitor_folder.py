"""The monitor command: a run's model against a later log, table or run; what it writes, logs and exits with."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from typer.testing import CliRunner

from churn_clv.cli import app
from churn_clv.data.contract import Columns, ReadingRules
from churn_clv.delivery.model_folder import model_files, write_model
from churn_clv.delivery.monitor_folder import limits_of, monitor_model, write_monitoring
from churn_clv.delivery.run_folder import CUSTOMERS
from churn_clv.delivery.tables import write_table
from churn_clv.delivery.tracking import log_monitoring
from churn_clv.errors import InputError
from churn_clv.score_log import customer_table
from churn_clv.train import Run


@pytest.fixture(scope="module")
def old(small_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder as of calibration_end, so that the log knows what came after."""
    folder = tmp_path_factory.mktemp("runs") / "small" / "20240701T000000Z"
    (folder / "model").mkdir(parents=True)
    models, day = small_run.judged_models, small_run.windows.calibration_end
    about = {"metrics": small_run.judgement.metrics()}
    write_model(folder / "model", model_files(models, Columns(), ReadingRules(), about))
    write_table(customer_table(models, small_run.log, day), folder / CUSTOMERS)
    (folder / "metrics.json").write_text(json.dumps({"windows": {"score_as_of": str(day)}}))
    (folder / "config.yaml").write_text(small_run.config.to_yaml())
    return folder


@pytest.fixture(scope="module")
def log(small_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("later") / "log.parquet"
    lines = "SELECT customer_id, day AS date, amount FROM transactions"
    small_run.log.connection.execute(lines).df().to_parquet(path)
    return path


def test_the_later_log_shows_what_became_of_the_promise(small_run: Run, old: Path, log: Path):
    day = small_run.windows.holdout_end
    found = monitor_model(old, log, day).found
    assert (found.as_of_before, found.as_of_after) == (small_run.windows.calibration_end, day)
    # Who was known at calibration_end was judged on the holdout, by the same model over the same days.
    judged = small_run.judged
    assert found.promise is not None
    totals = found.promise.totals
    assert totals.loc["purchases", "promised"] == pytest.approx(judged["expected_purchases"].sum(), rel=1e-9)
    assert totals.loc["purchases", "happened"] == judged["purchases"].sum()
    assert totals.loc["spend", "happened"] == pytest.approx(judged["spend"].sum(), rel=1e-9)
    assert totals.loc["no_purchase", "happened"] == (judged["purchases"] == 0).sum()


def test_a_later_table_says_the_same_as_the_log_it_was_made_from(small_run: Run, old: Path, log: Path, tmp_path: Path):
    day = small_run.windows.holdout_end
    write_table(customer_table(small_run.judged_models, small_run.log, day), tmp_path / "later.csv")
    by_table, by_log = (monitor_model(old, path, day).found.metrics for path in (tmp_path / "later.csv", log))
    assert by_table == pytest.approx(by_log, rel=1e-9)
    with pytest.raises(InputError, match=r"later\.csv: is a customer table, which does not say .* --as-of"):
        monitor_model(old, tmp_path / "later.csv")


def test_a_run_is_no_later_than_itself(old: Path):
    with pytest.raises(InputError, match="monitoring wants a later day"):
        monitor_model(old, old)


def test_a_run_of_an_older_program_is_refused(old: Path, log: Path, tmp_path: Path):
    import shutil

    copy = shutil.copytree(old, tmp_path / "small" / old.name)
    (copy / CUSTOMERS).unlink()
    with pytest.raises(InputError, match=rf"keeps no {CUSTOMERS} .* train again"):
        monitor_model(copy, log)


def test_the_model_may_err_as_much_as_it_did_on_its_holdout(old: Path):
    assert limits_of({"value/bias": -0.5}).ratio_high == pytest.approx(2.0)
    assert limits_of({"value/bias": 0.05}) == limits_of({})
    assert limits_of({"value/bias": -1.0}) == limits_of({})


def test_what_was_found_is_written_whole_and_logged_without_a_customer(
    small_run: Run, old: Path, log: Path, tmp_path: Path, module_store: str
):
    monitored = monitor_model(old, log, small_run.windows.holdout_end)
    folder = write_monitoring(monitored, tmp_path, datetime(2026, 1, 2, tzinfo=UTC))
    assert folder == tmp_path / "small-monitor" / "20260102T000000Z"
    told = json.loads((folder / "monitor.json").read_text())
    assert told["verdict"] == monitored.found.verdict
    log_monitoring(monitored, folder)
    [run] = mlflow.search_runs(search_all_experiments=True, filter_string="tags.kind = 'monitor'", output_format="list")
    assert run.data.tags["verdict"] == monitored.found.verdict
    assert run.data.metrics["monitor/actual_to_expected/purchases"] == pytest.approx(
        told["metrics"]["monitor/actual_to_expected/purchases"]
    )


def test_a_strange_name_of_an_attribute_is_a_metric_all_the_same(
    old: Path, log: Path, tmp_path: Path, module_store: str, small_run: Run
):
    monitored = monitor_model(old, log, small_run.windows.holdout_end)
    drift = monitored.found.drift.rename(index={"frequency": "who? {me}"})
    odd = replace(monitored, found=replace(monitored.found, drift=drift))
    page = log_monitoring(odd, write_monitoring(odd, tmp_path, datetime(2026, 1, 3, tzinfo=UTC)))
    metrics = mlflow.get_run(page.split("/runs/")[1].split("?")[0]).data.metrics
    assert metrics["monitor/psi/who_ _me_"] == pytest.approx(monitored.found.metrics["monitor/psi/frequency"])


@pytest.mark.parametrize("spoil", [False, True])
def test_the_exit_code_is_the_verdict(
    small_run: Run, old: Path, log: Path, tmp_path: Path, module_store: str, spoil: bool
):
    later = pd.read_parquet(log)
    if spoil:  # nobody has come back since
        later = later[pd.to_datetime(later["date"]).dt.date <= small_run.windows.calibration_end]
    later.to_parquet(tmp_path / "log.parquet")
    day = str(small_run.windows.holdout_end)
    done = CliRunner().invoke(
        app, ["monitor", str(old), str(tmp_path / "log.parquet"), "--as-of", day, "--out", str(tmp_path / "found")]
    )
    verdict = done.stdout.splitlines()[0].split(": ")[-1]
    assert done.exit_code == {"as it was": 0, "watch": 3, "retrain": 4}[verdict], done.output
    assert verdict == "retrain" or not spoil
