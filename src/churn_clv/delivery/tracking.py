"""The only writer to MLflow: one run per trained config, with its model registered."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from churn_clv.backtest import Backtest
from churn_clv.contractual import ContractualRun
from churn_clv.delivery.code_version import code_tags
from churn_clv.delivery.contract_folder import contract_metrics
from churn_clv.delivery.leaderboard import leaderboard_of, page_of, prepare_leaderboard
from churn_clv.delivery.mlflow_model import model_parts
from churn_clv.delivery.model_folder import DIGESTS
from churn_clv.delivery.monitor_folder import Monitored
from churn_clv.delivery.run_folder import metrics_of, parameters_of
from churn_clv.delivery.run_tags import contract_tags_of, flat, run_name, tags_of
from churn_clv.delivery.store import DEFAULT_ARTIFACTS, DEFAULT_STORE, prepared_store, quiet, without_credentials
from churn_clv.errors import InputError
from churn_clv.evaluation.judgement import NAMES
from churn_clv.rolling import TASKS, Rolling
from churn_clv.train import Run

# What MLflow takes in a metric's name; an attribute may be called anything.
_SAFE = re.compile(r"[^\w./ -]")


@dataclass(frozen=True)
class Logged:
    """Where a run stands in MLflow."""

    run_id: str
    experiment_id: str
    model_name: str
    model_version: str

    @property
    def page(self) -> str:
        return page_of(self.experiment_id, self.run_id)

    @property
    def leaderboard(self) -> str:
        return leaderboard_of(self.experiment_id)


def log_run(run: Run, folder: Path, question: dict[str, str] | None = None) -> Logged:
    """Write a finished run to MLflow and register its model.

    A run of its own becomes the model's `challenger`. The variants of an experiment, which come with the tags of their
    `question`, are versions without an alias: asking a question moves nothing that others rely on.

    The store is MLFLOW_TRACKING_URI, by default a sqlite file in the working directory.

    Raises
    ------
    InputError
        If the store does not answer; the run's folder is complete already.
    """
    import mlflow

    tags = tags_of(run, folder) | (question or {})
    name = run_name(run.config, folder, variant=tags.get("variant"))
    with _run_in_store(name, run.config.tracking.experiment, folder, tags) as (experiment, run_id):
        mlflow.log_input(_dataset(run.config.data.source, run.fingerprint), context="training")
        _log_config(run.config.shareable())
        mlflow.log_params(_methods(run))
        _log_files(folder)
        mlflow.log_artifacts(str(folder / "segments"), "segments")
        mlflow.log_artifact(str(folder / "segments.html"))
        for name, table in {"acceptance": run.segmentation.acceptance, "quality": run.segmentation.quality}.items():
            mlflow.log_table(table.drop(columns="missing_ids", errors="ignore").reset_index(), f"{name}.json")
        mlflow.log_table(_sample_without_ids(run.scores), "score_sample.json")
        model = _log_model(folder)
        mlflow.log_metrics(_numbers(run), model_id=model.model_id)
        if run.choice.backtest is not None:
            _log_origins(run.choice.backtest)
        if run.choice.trials is not None:
            _log_trials(run.choice.trials)
        version_number = _register(
            run.config.registered_model, model, run_id, digest_of(folder / "model"), question is None
        )
        return Logged(run_id, experiment, run.config.registered_model, version_number)


def log_contract_run(run: ContractualRun, folder: Path) -> tuple[str, str]:
    """Write a finished run on contracts to MLflow, its model as text files; return the addresses of its page and the
    leaderboard.

    Raises
    ------
    InputError
        If the store does not answer; the run's folder is complete already.
    """
    import mlflow

    tags, name = contract_tags_of(run, folder), run_name(run.config, folder)
    with _run_in_store(name, run.config.tracking.experiment, folder, tags) as (experiment, run_id):
        mlflow.log_input(_dataset("contracts", run.fingerprint), context="training")
        _log_config(run.config.model_dump(mode="json"))
        _log_files(folder)
        mlflow.log_artifacts(str(folder / "model"), "model")
        mlflow.log_metrics(contract_metrics(run) | _seconds(run.seconds))
        return page_of(experiment, run_id), leaderboard_of(experiment)


def log_backtest(rolling: Rolling, folder: Path, question: dict[str, str] | None = None) -> str:
    """Write a backtest to MLflow, each origin as a child run, and return the address of its page.

    Raises
    ------
    InputError
        If the store does not answer; the backtest's folder is complete already.
    """
    import mlflow

    crowns = {f"champion_{c.task}": c.champion if c.crowned else "too few windows" for c in rolling.crowns()}
    words = "\n".join(f"- {line}" for c in rolling.crowns() for line in c.sentences(NAMES))
    tags = {"mlflow.note.content": words, "kind": "backtest"} | crowns | code_tags() | (question or {})
    name = run_name(rolling.config, folder, "backtest", tags.get("variant"))
    with _run_in_store(name, rolling.config.tracking.experiment, folder, tags) as (experiment, run_id):
        _log_config(rolling.config.shareable())
        mlflow.log_artifacts(str(folder))
        means = {f"{task}/{metric}/{method}": row["mean"] for task in TASKS
                 for (metric, method), row in rolling.summary(task).iterrows()}  # fmt: skip
        mlflow.log_metrics({key: value for key, value in means.items() if value == value})
        _log_origins(rolling.backtest)
        return page_of(experiment, run_id)


def log_monitoring(monitored: Monitored, folder: Path) -> str:
    """Write what monitoring found to MLflow, beside the run that was monitored, and return the address of its page.

    Raises
    ------
    InputError
        If the store does not answer; the folder is complete already.
    """
    import mlflow

    found, run = monitored.found, monitored.run
    words = "\n".join([f"**{found.verdict}**", "", *(f"- {reason.sentence}" for reason in found.reasons)])
    tags = {
        "kind": "monitor", "verdict": found.verdict, "monitored": f"{run.parent.name} {run.name}",
        "mlflow.note.content": words,
    } | code_tags()  # fmt: skip
    name = f"monitor {run.parent.name} {found.as_of_before} to {found.as_of_after}"
    with _run_in_store(name, monitored.experiment, folder, tags) as (experiment, run_id):
        mlflow.log_params({"as_of_before": str(found.as_of_before), "as_of_after": str(found.as_of_after)})
        mlflow.log_metrics({_SAFE.sub("_", name): value for name, value in found.metrics.items()})
        mlflow.log_artifacts(str(folder))
        return page_of(experiment, run_id)


def _log_origins(backtest: Backtest) -> None:
    """Each origin as a child of the active run."""
    import mlflow

    for origin in backtest.origins:
        tags = {"kind": "origin", "independent": str(origin.as_of in backtest.apart).lower()}
        with _child(f"origin {origin.as_of}", tags):
            figures = {"churn": backtest.churn.loc[origin.as_of], "value": backtest.value.loc[origin.as_of]}
            mlflow.log_params({"as_of": str(origin.as_of), "horizon_days": origin.windows.horizon_days})
            mlflow.log_metrics({f"{task}/{metric}/{method}": float(value) for task, row in figures.items()
                                for (metric, method), value in row.items() if value == value})  # fmt: skip


def _log_trials(trials: pd.DataFrame) -> None:
    """Each trial of the search as a child of the active run."""
    import mlflow

    for number, trial in trials.iterrows():
        with _child(f"trial {number}", {"kind": "trial"}):
            mlflow.log_params({name: trial[name] for name in trials.columns if name != "log_loss"})
            mlflow.log_metric("search/log_loss", float(trial["log_loss"]))


def _child(name: str, tags: dict[str, str]) -> Any:
    """Open a run below the active one; MLflow would put it into the default experiment."""
    import mlflow

    parent = mlflow.active_run().info
    return mlflow.start_run(experiment_id=parent.experiment_id, run_name=name, nested=True, tags=tags)


@contextmanager
def _run_in_store(name: str, experiment: str, folder: Path, tags: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Open a run of an experiment and give both ids; a store that does not take it is one line."""
    import mlflow

    quiet()
    try:
        with prepared_store():
            experiment_id = _experiment(experiment)
            prepare_leaderboard(experiment_id)
        with _killed_is_said(), mlflow.start_run(experiment_id=experiment_id, run_name=name, tags=tags) as active:
            yield experiment_id, active.info.run_id
    except mlflow.exceptions.MlflowException as error:
        store = os.environ.get("MLFLOW_TRACKING_URI", DEFAULT_STORE)
        refused = without_credentials(f"MLflow at {store} did not take the run: {str(error)[:200]}")
        raise InputError(f"{refused}; the run itself is complete in {folder}") from None


def _log_config(content: dict[str, Any]) -> None:
    import mlflow

    mlflow.log_params(flat(content))
    mlflow.log_text(yaml.safe_dump(content, sort_keys=False), "config.yaml")


def _methods(run: Run) -> dict[str, str]:
    """How the run forecast risk and value in the end, whoever chose it: what a champion is compared by."""
    used = run.choice.methods
    return {
        "methods.churn": used.churn,
        "methods.value": used.value,
        "methods.calibrated": str(used.calibrator is not None),
    }


def _log_files(folder: Path) -> None:
    """What a run folder holds without customers."""
    import mlflow

    mlflow.log_artifacts(str(folder / "figures"), "figures")
    for file in ("report.html", "metrics.json", "grid.csv"):
        mlflow.log_artifact(str(folder / file))


@contextmanager
def _killed_is_said() -> Iterator[None]:
    """End the active run as KILLED, not as FAILED, when the user or the system stops the program."""
    import mlflow

    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        mlflow.MlflowClient().set_terminated(mlflow.last_active_run().info.run_id, "KILLED")
        raise


def _log_model(folder: Path) -> Any:
    import mlflow

    with model_parts(folder / "model") as parts:
        return mlflow.pyfunc.log_model(name="model", **parts)


def digest_of(model: Path) -> str:
    """Return the SHA-256 of a model folder's list of digests: who knows it from elsewhere knows every file."""
    return hashlib.sha256((model / DIGESTS).read_bytes()).hexdigest()


def _register(name: str, model: Any, run_id: str, digest: str, challenger: bool) -> str:
    """Add the model as the newest version and point `challenger` at it, last: the alias never names half a model."""
    import mlflow

    client = mlflow.MlflowClient()
    try:
        client.create_registered_model(name)
    except mlflow.exceptions.MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    added = client.create_model_version(
        name, source=model.model_uri, run_id=run_id, model_id=model.model_id, tags={"sha256": digest}
    )
    if challenger:
        client.set_registered_model_alias(name, "challenger", added.version)
    return str(added.version)


def _dataset(name: str, fingerprint: str) -> Any:
    """The data by name and fingerprint only: no profile, no rows, no path."""
    from mlflow.data.code_dataset_source import CodeDatasetSource
    from mlflow.data.meta_dataset import MetaDataset

    return MetaDataset(CodeDatasetSource(tags={}), name=name, digest=fingerprint)


def _numbers(run: Run) -> dict[str, float]:
    fitted = {
        f"parameters/{model}/{name}": value
        for model, params in parameters_of(run).items()
        for name, value in params.items()
    }
    return metrics_of(run) | fitted | _seconds(run.seconds) | _system()


def _system() -> dict[str, float]:
    """What the program has used so far: peak memory, and processor time of itself and its threads."""
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF)
    # Linux counts kilobytes, macOS bytes.
    scale = 1e3 if sys.platform == "linux" else 1.0
    return {
        "system/peak_memory_mb": used.ru_maxrss * scale / 1e6,
        "system/processor_seconds": used.ru_utime + used.ru_stime,
    }


def _seconds(by_stage: dict[str, float]) -> dict[str, float]:
    stages = {f"seconds/{stage.replace(' ', '_')}": value for stage, value in by_stage.items()}
    return stages | {"seconds/total": sum(by_stage.values())}


def _sample_without_ids(scores: pd.DataFrame, rows: int = 100) -> pd.DataFrame:
    sample = scores.sample(min(rows, len(scores)), random_state=0).reset_index(drop=True)
    return sample.assign(as_of=sample["as_of"].astype("str"))


def _experiment(name: str) -> str:
    import mlflow

    found = mlflow.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    local = os.environ["MLFLOW_TRACKING_URI"].startswith("sqlite")
    return str(
        mlflow.create_experiment(name, artifact_location=Path(DEFAULT_ARTIFACTS).resolve().as_uri() if local else None)
    )
