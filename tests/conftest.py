"""What several test files stand on."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import churn_clv.delivery.drawn as drawn_room
import churn_clv.segments.schemes as schemes_room
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


def train_on(folder: Path, log: pd.DataFrame, attributes: pd.DataFrame | None = None, **sections: Any) -> Run:
    """Train on a log from a file, with methods that are named: a backtest would fit everything six times more."""
    log.to_parquet(folder / "log.parquet")
    data: dict[str, Any] = {"source": "file", "path": str(folder / "log.parquet"), **sections.pop("data", {})}
    if attributes is not None:
        attributes.to_parquet(folder / "attributes.parquet")
        data["attributes"] = {"path": str(folder / "attributes.parquet")}
    content = {
        "name": "odd",
        "data": data,
        "windows": {"calibration_end": date(2024, 6, 30), "holdout_end": date(2024, 12, 1)},
        "churn": {"learning_rate": 0.1, "max_rounds": 40, "method": "offset_hybrid", **sections.pop("churn", {})},
        "value": {"method": "hurdle", **sections.pop("value", {})},
        "evaluation": {"bootstrap_samples": 20},
    }
    return train(parse_config(content | sections, source="test"))


FULL_DPI = drawn_room.DPI
ALL_NUMBERS, ALL_SHAPES = schemes_room.NUMBERS, schemes_room.SHAPES


@pytest.fixture(scope="session", autouse=True)
def few_candidates() -> Iterator[None]:
    """Choose among few numbers of clusters: all of them take half of a small run, and have tests of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schemes_room, "NUMBERS", (3, 4))
        patch.setattr(schemes_room, "SHAPES", ((2, 2),))
        yield


@pytest.fixture(scope="session", autouse=True)
def coarse_pictures() -> Iterator[None]:
    """Draw small pictures: most tests ask whether a figure is there; the size of a page is tested with FULL_DPI."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drawn_room, "DPI", 40)
        yield


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
