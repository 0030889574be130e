"""What the tests of MLflow share: a run logged without its figures, which take longer to draw than all the rest."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from churn_clv.config import Config
from churn_clv.delivery.model_folder import write_model
from churn_clv.delivery.run_folder import files_of
from churn_clv.delivery.tracking import Logged, log_run
from churn_clv.train import Run


@pytest.fixture(scope="module")
def bare_folder(small_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with the real model, and every other file that logging needs as a stub."""
    folder = tmp_path_factory.mktemp("runs") / "20260102T030405Z"
    for name in ("figures", "segments", "model"):
        (folder / name).mkdir(parents=True)
    for name in ("report.html", "segments.html", "metrics.json", "grid.csv", "figures/a.txt", "segments/a.txt"):
        (folder / name).write_text("{}")
    write_model(folder / "model", files_of(small_run))
    return folder


@pytest.fixture(scope="module")
def module_store(migrated_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An MLflow store and a working directory of the module's own."""
    place = tmp_path_factory.mktemp("mlflow")
    store = f"sqlite:///{shutil.copy(migrated_store, place / 'mlflow.db')}"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setenv("MLFLOW_TRACKING_URI", store)
        yield store


LogAs = Callable[..., Logged]


@pytest.fixture(scope="module")
def log_as(small_run: Run, bare_folder: Path, module_store: str) -> LogAs:
    """Log the small run as if it had used other methods, or another config."""

    def log(churn: str, value: str, config: Config | None = None, model: str = "shop") -> Logged:
        own = config or small_run.config
        named = own.model_copy(update={"tracking": own.tracking.model_copy(update={"registered_model": model})})
        methods = replace(small_run.choice.methods, churn=churn, value=value)
        return log_run(replace(small_run, config=named, choice=replace(small_run.choice, methods=methods)), bare_folder)

    return log
