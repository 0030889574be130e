"""The only writer to MLflow: one run per trained config, with its model registered."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from churn_clv.delivery.run_folder import metrics_of, parameters_of, started_at
from churn_clv.delivery.store import DEFAULT_ARTIFACTS, DEFAULT_STORE, prepared_store, quiet, without_credentials
from churn_clv.errors import InputError
from churn_clv.train import Run

PORT = 5000
_LIBRARIES = ("lifetimes", "lightgbm", "mlflow", "pandas", "numpy", "scipy", "duckdb", "scikit-learn")
_SERVING = (
    "duckdb",
    "jinja2",
    "lightgbm",
    "mlflow",
    "numpy",
    "pandas",
    "pyarrow",
    "pydantic",
    "pyyaml",
    "scikit-learn",
    "scipy",
)
_HEADLINES = (
    ("churn AUC", "churn/auc", ".3f"), ("log loss", "churn/log_loss", ".3f"),
    ("calibration error", "churn/calibration_error", ".3f"), ("normalised Gini of spend", "value/normalised_gini", ".3f"),
    ("holdout spend in the predicted top 10 %", "value/top_10_percent_capture", ".1%"),
    ("error of the predicted total spend", "value/bias", "+.1%"),
)  # fmt: skip


@dataclass(frozen=True)
class Logged:
    """Where a run stands in MLflow."""

    run_id: str
    experiment_id: str
    model_name: str
    model_version: str

    @property
    def page(self) -> str:
        return f"http://127.0.0.1:{PORT}/#/experiments/{self.experiment_id}/runs/{self.run_id}?workflowType=machine_learning"


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

    quiet()
    try:
        with prepared_store():
            experiment = _experiment(run.config.tracking.experiment)
        name = f"{run.config.name} {started_at(folder):%Y-%m-%d %H:%M:%S}"
        tags = _tags(run, folder) | (question or {})
        with _killed_is_said(), mlflow.start_run(experiment_id=experiment, run_name=name, tags=tags) as active:
            mlflow.log_input(_dataset(run), context="training")
            mlflow.log_params(_flat(run.config.shareable()))
            mlflow.log_text(yaml.safe_dump(run.config.shareable(), sort_keys=False), "config.yaml")
            mlflow.log_artifacts(str(folder / "figures"), "figures")
            for file in ("report.html", "metrics.json", "grid.csv"):
                mlflow.log_artifact(str(folder / file))
            mlflow.log_table(_sample_without_ids(run.scores), "score_sample.json")
            model = _log_model(run, folder)
            mlflow.log_metrics(_numbers(run), model_id=model.model_id)
            version_number = _register(run.config.registered_model, model, active.info.run_id, question is None)
            return Logged(active.info.run_id, experiment, run.config.registered_model, version_number)
    except mlflow.exceptions.MlflowException as error:
        store = os.environ.get("MLFLOW_TRACKING_URI", DEFAULT_STORE)
        refused = without_credentials(f"MLflow at {store} did not take the run: {str(error)[:200]}")
        raise InputError(f"{refused}; the run itself is complete in {folder}") from None


@contextmanager
def _killed_is_said() -> Iterator[None]:
    """End the active run as KILLED, not as FAILED, when the user or the system stops the program."""
    import mlflow

    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        mlflow.MlflowClient().set_terminated(mlflow.last_active_run().info.run_id, "KILLED")
        raise


def _log_model(run: Run, folder: Path) -> Any:
    import mlflow
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema

    package = Path(__file__).parents[1]
    amount = [ColSpec(DataType.double, "amount")] if run.models.spend is not None else []
    inputs = Schema([ColSpec(DataType.string, "customer_id"), ColSpec(DataType.string, "date"), *amount])
    params = ParamSchema([ParamSpec("as_of", DataType.string, "")])
    return mlflow.pyfunc.log_model(
        name="model",
        python_model=str(package / "delivery" / "serving.py"),
        artifacts={"fitted": str(folder / "model")},
        code_paths=[str(package)],
        signature=ModelSignature(inputs=inputs, outputs=_output_schema(run.scores), params=params),
        input_example=_synthetic_log(bool(amount)),
        pip_requirements=[f"{name}=={version(name)}" for name in _SERVING],
    )


def _register(name: str, model: Any, run_id: str, challenger: bool) -> str:
    """Add the model as the newest version and point `challenger` at it, last: the alias never names half a model."""
    import mlflow

    client = mlflow.MlflowClient()
    try:
        client.create_registered_model(name)
    except mlflow.exceptions.MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    added = client.create_model_version(name, source=model.model_uri, run_id=run_id, model_id=model.model_id)
    if challenger:
        client.set_registered_model_alias(name, "challenger", added.version)
    return str(added.version)


def _dataset(run: Run) -> Any:
    """The log by name and fingerprint only: no profile, no rows, no path."""
    from mlflow.data.code_dataset_source import CodeDatasetSource
    from mlflow.data.meta_dataset import MetaDataset

    return MetaDataset(CodeDatasetSource(tags={}), name=run.config.data.source, digest=run.fingerprint)


def _output_schema(scores: pd.DataFrame) -> Any:
    from mlflow.types import ColSpec, DataType, Schema

    def kind(name: str) -> DataType:
        if not pd.api.types.is_numeric_dtype(scores[name]):
            return DataType.string
        return DataType.long if pd.api.types.is_integer_dtype(scores[name]) else DataType.double

    return Schema([ColSpec(DataType.string, "customer_id"), *(ColSpec(kind(name), name) for name in scores.columns)])


def _synthetic_log(with_amount: bool) -> pd.DataFrame:
    """Three made-up customers: no line of a real log leaves the run."""
    log = pd.DataFrame({
        "customer_id": ["example-1", "example-1", "example-1", "example-2", "example-3", "example-3"],
        "date": ["2024-01-03", "2024-02-10", "2024-05-01", "2024-03-15", "2024-01-20", "2024-04-02"],
        "amount": [20.0, 35.5, 18.0, 60.0, 12.5, 14.0],
    })  # fmt: skip
    return log if with_amount else log.drop(columns="amount")


def _tags(run: Run, folder: Path) -> dict[str, str]:
    losses = sorted({f"{task}: {rival}" for task, rival, verdict in run.judgement.verdicts() if verdict == "loses"})
    tags = {
        "mlflow.note.content": _headline(run),
        "config": run.config.name,
        "data": f"{run.log.n_customers:,} customers, {run.windows.first_day} to {run.log.last_day}",
        "data_fingerprint": run.fingerprint,
        "loses_to_baseline": "; ".join(losses) or "no",
        "diagnoses": " ".join(m.diagnosis_ for m in (run.models.purchases, run.models.spend) if m and m.diagnosis_)
        or "none",
        "run_folder": folder.name,
        "seeds": f"churn {run.config.churn.seed}, bootstrap {run.config.evaluation.seed}",
        "libraries": ", ".join(f"{name} {version(name)}" for name in _LIBRARIES),
    }
    return tags | _git()


def _headline(run: Run) -> str:
    """What the run's page shows first: which run this is and how good, the figures before any table."""
    metrics, windows = run.judgement.metrics(), run.windows
    figures = ", ".join(f"{label} {format(metrics[key], form)}" for label, key, form in _HEADLINES if key in metrics)
    return "\n".join([
        f"**{run.config.name}**, holdout {windows.calibration_end} to {windows.holdout_end} ({windows.horizon_days} days): {figures}.",
        "", f"{run.log.n_customers:,} customers, scored as of {windows.score_as_of}.",
        "", *[f"- {sentence}" for sentence in run.judgement.sentences()],
    ])  # fmt: skip


def _numbers(run: Run) -> dict[str, float]:
    fitted = {
        f"parameters/{model}/{name}": value
        for model, params in parameters_of(run).items()
        for name, value in params.items()
    }
    seconds = {f"seconds/{stage.replace(' ', '_')}": value for stage, value in run.seconds.items()}
    return metrics_of(run) | fitted | seconds


def _sample_without_ids(scores: pd.DataFrame, rows: int = 100) -> pd.DataFrame:
    sample = scores.sample(min(rows, len(scores)), random_state=0).reset_index(drop=True)
    return sample.assign(as_of=sample["as_of"].astype("str"))


def _flat(content: dict[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in content.items():
        flat |= (
            _flat(value, f"{prefix}{key}.")
            if isinstance(value, dict) and value
            else {f"{prefix}{key}": str(value)[:500]}
        )
    return flat


def _git() -> dict[str, str]:
    """Commit and whether the checkout had changes, when the program runs in one."""
    where = Path(__file__).parent

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(["git", *arguments], cwd=where, capture_output=True, text=True, timeout=10)  # noqa: S603, S607
        except (FileNotFoundError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    commit, changes = git("rev-parse", "HEAD"), git("status", "--porcelain", "--untracked-files=no")
    return {} if commit is None else {"mlflow.source.git.commit": commit, "git_dirty": str(bool(changes)).lower()}


def _experiment(name: str) -> str:
    import mlflow

    found = mlflow.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    local = os.environ["MLFLOW_TRACKING_URI"].startswith("sqlite")
    return str(
        mlflow.create_experiment(name, artifact_location=Path(DEFAULT_ARTIFACTS).resolve().as_uri() if local else None)
    )
