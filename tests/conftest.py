"""What several test files stand on."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import pytest

from churn_clv.config import Config, parse_config
from churn_clv.train import Run, train


def small_config() -> Config:
    """A run on 800 simulated customers: two years, a holdout of 24 weeks."""
    return parse_config(
        {
            "name": "small",
            "data": {"source": "simulated", "currency": "EUR", "simulated": {"customers": 800, "seed": 5}},
            "windows": {"calibration_end": date(2024, 6, 30), "holdout_end": date(2024, 12, 15)},
            "value": {"spend_days": "all"},
            "evaluation": {"bootstrap_samples": 50},
        },
        source="test",
    )


@pytest.fixture(scope="session")
def small_run() -> Run:
    """A finished run on 800 simulated customers; shared, so nobody may write to it."""
    return train(small_config())


@pytest.fixture(scope="session")
def migrated_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow store with its tables made: the first use takes seconds, so it happens once and is copied."""
    import mlflow

    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    mlflow.set_tracking_uri(f"sqlite:///{path}")
    mlflow.search_experiments(max_results=1)
    return path


@pytest.fixture
def empty_store(migrated_store: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a fresh MLflow store."""
    return f"sqlite:///{shutil.copy(migrated_store, tmp_path_factory.mktemp('own') / 'mlflow.db')}"
