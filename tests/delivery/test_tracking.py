"""One run in MLflow: found again by its name, judged by its metrics, its model loaded and asked."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import mlflow
import pandas as pd
import pytest

from churn_clv.delivery.model_folder import read_model
from churn_clv.delivery.run_folder import write_run
from churn_clv.delivery.scoring_code import scoring_requirements, scoring_sources
from churn_clv.delivery.tracking import Logged, log_run
from churn_clv.errors import InputError
from churn_clv.train import Run


@pytest.fixture(scope="module")
def logged(small_run: Run, migrated_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Logged:
    import shutil

    place = tmp_path_factory.mktemp("tracked")
    store = shutil.copy(migrated_store, place / "mlflow.db")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store}")
        patch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
        folder = write_run(small_run, place / "runs", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
        yield log_run(small_run, folder)


def test_the_runs_page_says_which_run_it_is_and_how_good(small_run: Run, logged: Logged):
    run = mlflow.get_run(logged.run_id)
    assert run.info.run_name == "small (spend_days=all) 2026-01-02 03:04:05"
    assert run.info.status == "FINISHED"
    note = run.data.tags["mlflow.note.content"]
    assert note.startswith("**small**, holdout 2024-06-30 to 2024-12-15 (168 days): churn AUC ")
    assert run.data.tags["data_fingerprint"] == small_run.fingerprint


def test_challenger_is_named_when_its_run_is_finished(small_run: Run, logged: Logged, bare_folder: Path, monkeypatch):
    seen: list[tuple[str, str]] = []

    def name(client: mlflow.MlflowClient, model: str, alias: str, version: str) -> None:
        run = client.get_model_version(model, version).run_id
        seen.append((alias, client.get_run(run).info.status))

    monkeypatch.setattr(mlflow.MlflowClient, "set_registered_model_alias", name)
    log_run(small_run, bare_folder)
    assert seen == [("challenger", "FINISHED")]


def test_every_metric_of_the_run_is_logged_with_its_standard_error(small_run: Run, logged: Logged):
    metrics = mlflow.get_run(logged.run_id).data.metrics
    for name, value in small_run.judgement.metrics().items():
        assert metrics[name] == pytest.approx(value, rel=1e-12)
    assert {"churn/auc_se", "value/normalised_gini_se", "grid/effective_cells"} <= set(metrics)


def test_report_config_and_figures_are_artifacts_and_hold_no_customer(small_run: Run, logged: Logged):
    client = mlflow.MlflowClient()
    names = {item.path for item in client.list_artifacts(logged.run_id)}
    assert {"report.html", "config.yaml", "metrics.json", "grid.csv", "figures", "score_sample.json"} <= names
    sample = client.download_artifacts(logged.run_id, "score_sample.json")
    assert "customer_id" not in Path(sample).read_text()


def test_the_registered_challenger_answers_as_the_run_did_without_pickle(small_run: Run, logged: Logged, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    model = mlflow.pyfunc.load_model(f"models:/{logged.model_name}@challenger")
    lines = small_run.log.connection.execute(
        "SELECT customer_id, CAST(day AS VARCHAR) AS date, amount FROM transactions"
    ).df()
    answer = model.predict(lines, params={"as_of": str(small_run.windows.score_as_of)}).set_index("customer_id")
    expected = small_run.scores.assign(as_of=small_run.scores["as_of"].astype("str"))
    pd.testing.assert_frame_equal(answer, expected, check_dtype=False, rtol=1e-12)


def test_the_registered_model_carries_the_scoring_code_its_requirements_and_a_digest(logged: Logged, tmp_path: Path):
    place = Path(mlflow.artifacts.download_artifacts(f"models:/{logged.model_name}@challenger", dst_path=str(tmp_path)))
    code = {path.relative_to(place / "code").as_posix() for path in (place / "code").rglob("*") if path.is_file()}
    assert code == set(scoring_sources())
    wanted = [f"mlflow-skinny=={version('mlflow-skinny')}", *scoring_requirements(with_log=False)]
    assert (place / "requirements.txt").read_text().split() == wanted
    tags = mlflow.MlflowClient().get_model_version(logged.model_name, logged.model_version).tags
    read_model(place / "artifacts" / "fitted", tags["sha256"])
    with pytest.raises(InputError, match="is not the list whose digest was announced"):
        read_model(place / "artifacts" / "fitted", "0" * 64)


def test_nothing_in_the_registered_model_is_a_pickle(logged: Logged, tmp_path: Path):
    place = Path(mlflow.artifacts.download_artifacts(f"models:/{logged.model_name}@challenger", dst_path=str(tmp_path)))
    files = [path for path in place.rglob("*") if path.is_file()]
    assert len(files) > 100
    for path in files:
        assert path.suffix in {".py", ".sql", ".json", ".txt", ".yaml", ".md", ""}
        path.read_text(encoding="utf-8")


def test_a_dead_tracking_server_is_one_error_and_the_folder_stays(small_run: Run, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://user:secret@127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    folder = write_run(small_run, tmp_path, datetime(2026, 1, 2, tzinfo=UTC))
    try:
        with pytest.raises(InputError, match="complete in") as refused:
            log_run(small_run, folder)
    finally:
        mlflow.set_tracking_uri(None)
    assert "secret" not in str(refused.value)
    assert (folder / "report.html").is_file()
