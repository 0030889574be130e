"""What MLflow is told of a folder, as plain values: written beside the results, sent to the store, and sent later if need be."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd
from pydantic import ConfigDict, TypeAdapter, ValidationError

from churn_clv.delivery.atomic import whole_file
from churn_clv.delivery.leaderboard import leaderboard_of, page_of, prepare_leaderboard
from churn_clv.delivery.mlflow_model import model_parts
from churn_clv.delivery.model_folder import DIGESTS
from churn_clv.delivery.processes import this_process
from churn_clv.delivery.store import (
    DEFAULT_ARTIFACTS,
    DEFAULT_STORE,
    cause_of,
    impatient,
    prepared_store,
    quiet,
    refusals,
    store_lock,
    without_credentials,
)
from churn_clv.errors import InputError

# Stands in a folder as long as MLflow has not taken all of it.
PAGE = "mlflow.json"


class ExperimentDeleted(InputError):
    """The experiment is in MLflow's bin: nothing can be logged there until it is restored."""


@dataclass(frozen=True)
class Child:
    """A run below a page: an origin, or a trial of a search."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    name: str
    tags: dict[str, str]
    params: dict[str, Any]
    metrics: dict[str, float]


@dataclass(frozen=True)
class Page:
    """One run of MLflow. config: YAML; data: name and fingerprint; tables: name -> JSON, split; files: path in the folder and
    artifact folder; model: the registered model of the folder's `model`; challenger: whether it gets that alias."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    name: str
    experiment: str
    tags: dict[str, str]
    params: dict[str, str]
    metrics: dict[str, float]
    files: list[tuple[str, str | None]]
    config: str | None = None
    data: tuple[str, str] | None = None
    tables: dict[str, str] = field(default_factory=dict)
    children: list[Child] = field(default_factory=list)
    model: str | None = None
    challenger: bool = False


@dataclass(frozen=True)
class Logged:
    """Where a run stands in MLflow; a backtest and a run on contracts have no model there."""

    run_id: str
    experiment_id: str
    model_name: str = ""
    model_version: str = ""

    @property
    def page(self) -> str:
        return page_of(self.experiment_id, self.run_id)

    @property
    def leaderboard(self) -> str:
        return leaderboard_of(self.experiment_id)


def log_page(page: Page, folder: Path) -> Logged:
    """Write a page to MLflow; until all of it is there, it stands in the folder, for `log_later`.

    The model's alias is set last, when the run is FINISHED: it never names half a model.

    Raises
    ------
    InputError
        If the store does not take it; the folder is complete already.
    """
    whole_file(folder / PAGE, lambda path: path.write_text(json.dumps(asdict(page)), encoding="utf-8"))
    with _said_of(folder):
        with prepared_store():
            experiment = _experiment(page.experiment)
            prepare_leaderboard(experiment)
        with _run(experiment, page.name, page.tags) as run_id:
            _log_content(page, folder)
            version = _register(page.model, folder, run_id, page.metrics) if page.model else ""
            for child in page.children:
                _log_child(experiment, child)
        if page.model and page.challenger:
            _challenge(page.model, version)
    (folder / PAGE).unlink(missing_ok=True)
    return Logged(run_id, experiment, page.model or "", version)


def log_later(folder: Path) -> Logged:
    """Write to MLflow what a folder holds and MLflow has not taken.

    Raises
    ------
    InputError
        As `waiting_page`, or if the store does not take it.
    """
    return log_page(waiting_page(folder), folder)


def waiting_page(folder: Path) -> Page:
    """Return what MLflow has not taken of a folder.

    Raises
    ------
    InputError
        If the folder has nothing that is left to log, or its page is damaged or names what lies outside the folder.
    """
    try:
        page = TypeAdapter(Page).validate_python(json.loads((folder / PAGE).read_text(encoding="utf-8")))
        for table in page.tables.values():
            _frame(table)
    except OSError:
        raise InputError(
            f"{folder}: holds no {PAGE}, so nothing of it is left to log: MLflow has it, or it is no folder of a run"
        ) from None
    except ValidationError as error:
        raise _damaged(folder, f"{error.error_count()} of its entries are missing or of another kind") from None
    except (ValueError, TypeError, RecursionError):  # not UTF-8, cut, no JSON, or not of a table
        raise _damaged(folder, "it is not the JSON that was written there") from None
    _refuse_outside(page, folder)
    return page


def check_experiment(name: str) -> None:
    """Refuse an experiment that is deleted in MLflow, before any work is done for it; none is made.

    Raises
    ------
    InputError
        If it is deleted, or the store does not answer.
    """
    try:
        _found_experiment(name)
    except refusals() as error:
        store = without_credentials(os.environ["MLFLOW_TRACKING_URI"])
        raise InputError(f"MLFLOW_TRACKING_URI: the store {store} does not answer: {cause_of(error)}") from None


def digest_of(model: Path) -> str:
    """Return the SHA-256 of a model folder's list of digests: who knows it from elsewhere knows every file."""
    return hashlib.sha256((model / DIGESTS).read_bytes()).hexdigest()


def _frame(table: str) -> pd.DataFrame:
    return pd.DataFrame(**json.loads(table))


def _damaged(folder: Path, why: str) -> InputError:
    return InputError(f"{folder / PAGE}: is damaged or of another version: {why}; delete it, or run the training again")


def _refuse_outside(page: Page, folder: Path) -> None:
    """Refuse a page by which a file from elsewhere would leave this machine: who wrote the folder need not be its user."""
    for name in [name for entry in page.files for name in entry if name is not None] + [*page.tables]:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or not path.parts or "\0" in name:
            raise _damaged(folder, "it names a file outside its folder")
    for name in [*(name for name, _ in page.files), *(["model"] if page.model else [])]:
        parts = [folder / part for part in (PurePosixPath(name), *PurePosixPath(name).parents) if part.name]
        if any(path.is_symlink() for path in (*parts, *(folder / name).rglob("*"))):
            raise _damaged(folder, "it names a link, which may lead outside its folder")


def _log_content(page: Page, folder: Path) -> None:
    import mlflow

    if page.data is not None:
        with store_lock():  # of two runs that bring the same data at once MLflow fails one
            mlflow.log_input(_dataset(*page.data), context="training")
    mlflow.log_params(page.params)
    if page.config is not None:
        mlflow.log_text(page.config, "config.yaml")
    for name, place in page.files:
        path = folder / name
        mlflow.log_artifacts(str(path), place) if path.is_dir() else mlflow.log_artifact(str(path), place)
    for name, table in page.tables.items():
        mlflow.log_table(_frame(table), f"{name}.json")
    if page.model is None:
        mlflow.log_metrics(page.metrics)


def _register(name: str, folder: Path, run_id: str, metrics: dict[str, float]) -> str:
    """Log the folder's model with the metrics, and add it as the newest version."""
    import mlflow

    with model_parts(folder / "model") as parts:
        model = mlflow.pyfunc.log_model(name="model", **parts)
    mlflow.log_metrics(metrics, model_id=model.model_id)
    client = mlflow.MlflowClient()
    with store_lock():  # MLflow numbers versions by the last one and gives up after some collisions
        return _newest_version(client, name, folder, run_id, model)


def _newest_version(client: Any, name: str, folder: Path, run_id: str, model: Any) -> str:
    import mlflow

    try:
        client.create_registered_model(name)
    except mlflow.exceptions.MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    tags = {"sha256": digest_of(folder / "model")}
    added = client.create_model_version(name, source=model.model_uri, run_id=run_id, model_id=model.model_id, tags=tags)
    return str(added.version)


def _challenge(name: str, version: str) -> None:
    import mlflow

    mlflow.MlflowClient().set_registered_model_alias(name, "challenger", version)


def _log_child(experiment: str, child: Child) -> None:
    """Below the active run; MLflow would put it into the default experiment."""
    import mlflow

    with _run(experiment, child.name, child.tags, nested=True):
        mlflow.log_params(child.params)
        mlflow.log_metrics(child.metrics)


@contextmanager
def _run(experiment: str, name: str, tags: dict[str, str], nested: bool = False) -> Iterator[str]:
    """Open a run and end it as what became of it: KILLED where the user or the system stops the program."""
    import mlflow

    active = mlflow.start_run(experiment_id=experiment, run_name=name, nested=nested, tags=tags | this_process())
    try:
        yield str(active.info.run_id)
    except BaseException as error:
        status = "KILLED" if isinstance(error, (KeyboardInterrupt, SystemExit)) else "FAILED"
        # Why it ends is what is told, not that a store which is gone cannot be told.
        with impatient(), suppress(*refusals()):
            mlflow.end_run(status)
        raise
    mlflow.end_run()


@contextmanager
def _said_of(folder: Path) -> Iterator[None]:
    """Say in one line that the store does not take a run, and what to do."""
    quiet()
    later = f"the run itself is complete in {folder}; log it later: churn-clv log {folder}"
    try:
        yield
    except ExperimentDeleted as error:
        raise InputError(f"{error}; {later}") from None
    except refusals() as error:
        store = without_credentials(os.environ.get("MLFLOW_TRACKING_URI", DEFAULT_STORE))
        raise InputError(f"MLflow at {store} did not take the run: {cause_of(error)}; {later}") from None


def _dataset(name: str, fingerprint: str) -> Any:
    """The data by name and fingerprint only: no profile, no rows, no path."""
    from mlflow.data.code_dataset_source import CodeDatasetSource
    from mlflow.data.meta_dataset import MetaDataset

    return MetaDataset(CodeDatasetSource(tags={}), name=name, digest=fingerprint)


def _found_experiment(name: str) -> str | None:
    import mlflow

    found = mlflow.get_experiment_by_name(name)
    if found is None:
        return None
    if found.lifecycle_stage == "deleted":
        raise ExperimentDeleted(
            f"the experiment {name!r} is deleted in MLflow: restore it (mlflow experiments restore --experiment-id "
            f"{found.experiment_id}), or set tracking.experiment to another name"
        )
    return str(found.experiment_id)


def _experiment(name: str) -> str:
    import mlflow

    found = _found_experiment(name)
    if found is not None:
        return found
    local = os.environ["MLFLOW_TRACKING_URI"].startswith("sqlite")
    return str(
        mlflow.create_experiment(name, artifact_location=Path(DEFAULT_ARTIFACTS).resolve().as_uri() if local else None)
    )
