"""Metric names are stable and documented: docs/metrics.md against what a run logs."""

from __future__ import annotations

import re
from pathlib import Path

import mlflow
import pytest

from churn_clv.config import load_config
from churn_clv.delivery.run_folder import metrics_of, parameters_of
from churn_clv.train import Run, train

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def documented(section: str) -> dict[str, list[str]]:
    """Name -> the other cells of its row."""
    text = PAGE.read_text(encoding="utf-8").split(f"## {section}")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `([^`]+)` \| (.*) \|$", text, flags=re.M)
    assert rows
    return {name: [cell.strip() for cell in cells.split("|")] for name, cells in rows}


def matches(row: str, name: str) -> bool:
    return re.fullmatch(re.sub(r"<[^>]+>", "[^/]+", re.sub(r"([.*+])", r"\\\1", row)), name) is not None


@pytest.fixture(scope="module")
def metrics(log_as) -> dict[str, float]:
    return mlflow.get_run(log_as("offset_hybrid", "hurdle").run_id).data.metrics


def test_every_metric_of_a_run_is_documented_and_every_documented_one_is_logged(metrics: dict[str, float]):
    rows = documented("A run on a log")
    plain = [name for name in metrics if not (name.endswith("_se") and name.removesuffix("_se") in metrics)]
    assert [name for name in plain if not any(matches(row, name) for row in rows)] == []
    assert [row for row in rows if not any(matches(row, name) for name in plain)] == []


def test_standard_errors_are_logged_for_exactly_those_that_promise_one(metrics: dict[str, float]):
    rows = documented("A run on a log")
    promised = {name for name, cells in rows.items() if cells[1] == "yes"}
    assert {name.removesuffix("_se") for name in metrics if name.endswith("_se")} == promised


@pytest.mark.odd
def test_the_config_on_a_runs_page_repeats_the_run_with_identical_metrics(small_run: Run, log_as, tmp_path: Path):
    page = log_as("offset_hybrid", "hurdle").run_id
    again = train(load_config(mlflow.artifacts.download_artifacts(f"runs:/{page}/config.yaml", dst_path=str(tmp_path))))
    assert metrics_of(again) == metrics_of(small_run)
    assert parameters_of(again) == parameters_of(small_run)
    assert again.fingerprint == small_run.fingerprint
