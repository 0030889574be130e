"""The prepared view of an experiment: there after the first run, ours to renew, and the user's to keep."""

from __future__ import annotations

import json

import mlflow
import pytest

from churn_clv.delivery.leaderboard import (
    COLUMNS,
    TAG,
    is_ours,
    leaderboard,
    leaderboard_of,
    page_of,
    prepare_leaderboard,
    reached,
)
from churn_clv.train import Run


@pytest.fixture
def experiment(empty_store: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", empty_store)
    mlflow.set_tracking_uri(empty_store)
    return mlflow.create_experiment("asked")


def view_of(experiment: str) -> str:
    return mlflow.MlflowClient().get_experiment(experiment).tags[TAG]


def test_a_logged_run_leaves_the_view_at_its_experiment(log_as):
    logged = log_as("purchase_model", "hurdle")
    assert view_of(logged.experiment_id) == leaderboard()
    assert logged.leaderboard == leaderboard_of(logged.experiment_id)


def test_every_column_is_a_metric_or_tag_that_some_run_logs(small_run: Run, log_as):
    run = mlflow.get_run(log_as("purchase_model", "hurdle").run_id)
    of_backtests = {("tags", "champion_churn"), ("tags", "champion_value")}
    known = {("metrics", name) for name in run.data.metrics} | {("tags", name) for name in run.data.tags}
    assert set(COLUMNS) - known == of_backtests


def test_the_view_is_json_in_the_shape_of_the_ui_of_mlflow_3_17():
    """Keys read in the UI's code and tried in a browser; columns are `metrics.` or `tags.` and the name in backticks."""
    view = json.loads(leaderboard())
    assert view["selectedColumns"][0] == "metrics.`churn/auc`"
    assert view["columnOrder"] == view["selectedColumns"]
    assert set(view["columnWidths"]) == set(view["selectedColumns"])
    assert {"searchFilter", "orderByKey", "orderByAsc", "startTime", "lifecycleFilter", "modelVersionFilter", "datasetsFilter"} <= set(view)  # fmt: skip
    assert len(leaderboard()) < 5000  # an experiment's tag holds no more on every store


def test_a_view_that_the_user_changed_is_left_alone(experiment: str):
    prepare_leaderboard(experiment)
    changed = leaderboard().replace("churn/auc", "churn/brier")
    mlflow.MlflowClient().set_experiment_tag(experiment, TAG, changed)
    prepare_leaderboard(experiment)
    assert view_of(experiment) == changed


def test_an_older_view_of_ours_is_renewed(experiment: str, monkeypatch: pytest.MonkeyPatch):
    with monkeypatch.context() as before:
        before.setattr("churn_clv.delivery.leaderboard.COLUMNS", COLUMNS[:3])
        older = leaderboard()
        prepare_leaderboard(experiment)
    assert older != leaderboard()
    assert is_ours(older)
    assert view_of(experiment) == older
    prepare_leaderboard(experiment)
    assert view_of(experiment) == leaderboard()


@pytest.mark.parametrize("text", ["", "null", "[]", "deflate;eJyrVg==", '{"churn_clv_digest": "0"}'])
def test_what_is_not_ours_is_not_taken_for_ours(text: str):
    assert not is_ours(text)


def test_links_lead_to_the_tracking_server_without_its_password_or_to_this_machine(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db")
    local = leaderboard_of("3")
    assert (
        local
        == "http://127.0.0.1:5000/#/experiments/3/runs?workflowType=machine_learning&viewStateShareKey=leaderboard"
    )
    assert reached(local) == f"{local}  (after: make ui)"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://me:secret@mlflow.example/")
    assert page_of("3", "abc").startswith("https://mlflow.example/#/experiments/3/runs/abc")
    assert reached(leaderboard_of("3")) == leaderboard_of("3")
