"""Where the MLflow UI shows a run, and the prepared view with which an experiment's list of runs opens.

The UI keeps shared views as tags of an experiment: `mlflow.sharedViewState.<key>`, JSON of its own state. The format is
not documented; it was read and tried with MLflow 3.17.2.
"""

from __future__ import annotations

import hashlib
import json
import os
from typing import Any

from churn_clv.delivery.store import without_credentials

PORT = 5000
KEY = "leaderboard"
TAG = f"mlflow.sharedViewState.{KEY}"
# Columns behind the run's name, in this order; a column that no run of the experiment has is not shown.
COLUMNS = (
    ("metrics", "churn/auc"), ("metrics", "churn/log_loss"), ("metrics", "churn/calibration_error"),
    ("metrics", "value/normalised_gini"), ("metrics", "value/top_10_percent_capture"), ("metrics", "value/bias"),
    ("metrics", "grid/criteria_failed"), ("metrics", "seconds/total"), ("tags", "winner"), ("tags", "loses_to_baseline"),
    ("tags", "champion_churn"), ("tags", "champion_value"), ("tags", "warnings"), ("tags", "data"),
)  # fmt: skip
_SIGNATURE = "churn_clv_digest"  # the UI reads only the keys it knows


def page_of(experiment_id: str, run_id: str) -> str:
    """Return the address of a run's page."""
    return f"{_server()}/#/experiments/{experiment_id}/runs/{run_id}?workflowType=machine_learning"


def leaderboard_of(experiment_id: str) -> str:
    """Return the address of the experiment's list of runs with the prepared columns."""
    return f"{_server()}/#/experiments/{experiment_id}/runs?workflowType=machine_learning&viewStateShareKey={KEY}"


def reached(address: str) -> str:
    """Return an address with what has to run first: on this machine the UI, at a tracking server nothing."""
    return f"{address}  (after: make ui)" if address.startswith(f"http://127.0.0.1:{PORT}/") else address


def leaderboard() -> str:
    """Return the prepared view as the UI reads it, signed, so that one that somebody changed is told from ours."""
    names = [f"{kind}.`{name}`" for kind, name in COLUMNS]
    widths = {column: _width(kind, name) for column, (kind, name) in zip(names, COLUMNS, strict=True)}
    view = {
        "searchFilter": "", "orderByKey": "attributes.start_time", "orderByAsc": False, "startTime": "ALL",
        "lifecycleFilter": "Active", "modelVersionFilter": "All Runs", "datasetsFilter": [], "viewMaximized": True,
        "selectedColumns": names, "columnOrder": names, "columnWidths": widths,
    }  # fmt: skip
    return json.dumps(view | {_SIGNATURE: _digest(view)})


def is_ours(view: str) -> bool:
    """Return whether a stored view is one that this program, of whatever version, wrote and nobody changed since.

    >>> is_ours(leaderboard()), is_ours(leaderboard().replace("churn/auc", "churn/brier")), is_ours("deflate;abc")
    (True, False, False)
    """
    try:
        content = json.loads(view)
    except json.JSONDecodeError:
        return False
    return isinstance(content, dict) and content.pop(_SIGNATURE, None) == _digest(content)


def prepare_leaderboard(experiment_id: str) -> None:
    """Give an experiment the prepared view where it has none, or an older one of ours; a changed one is left alone."""
    import mlflow

    client = mlflow.MlflowClient()
    present = client.get_experiment(experiment_id).tags.get(TAG)
    if present is None or (present != leaderboard() and is_ours(present)):
        client.set_experiment_tag(experiment_id, TAG, leaderboard())


def leaderboard_named(experiment: str) -> str:
    """Return the address of the list of runs of an experiment that has been logged to, by its name."""
    import mlflow

    return leaderboard_of(mlflow.get_experiment_by_name(experiment).experiment_id)


def _width(kind: str, name: str) -> int:
    """Pixels: a metric's name is longer than its digits, a tag's text longer than its name."""
    return 28 + int(6.5 * len(name)) if kind == "metrics" else 150


def _server() -> str:
    """The UI's address: a tracking server's own, or the one that `make ui` opens on this machine."""
    store = os.environ.get("MLFLOW_TRACKING_URI", "")
    return without_credentials(store.rstrip("/")) if store.startswith("http") else f"http://127.0.0.1:{PORT}"


def _digest(view: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(view, sort_keys=True).encode()).hexdigest()[:16]
