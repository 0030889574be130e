"""Runs side by side: their figures with standard errors, which is best beyond the error, and what their settings differ in."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from churn_clv.config import shareable
from churn_clv.delivery.run_tags import flat
from churn_clv.delivery.store import check_store
from churn_clv.errors import InputError
from churn_clv.evaluation.effects import SHOWN as EFFECTS
from churn_clv.evaluation.effects import comparable, effect_sentence, paired_effects
from churn_clv.evaluation.judgement import DIRECTION
from churn_clv.evaluation.over_origins import TARGET

# What is printed; the page has every metric with a standard error.
SHOWN = (
    "churn/log_loss", "churn/auc", "churn/calibration_error", "churn/brier", "value/normalised_gini",
    "value/top_10_percent_capture", "value/rmse", "value/bias", "purchases/normalised_gini", "grid/criteria_failed",
    "production/expected_spend", "seconds/total",
)  # fmt: skip
DECISIVE = (("churn", "log_loss"), ("value", "normalised_gini"))
# A name, a place in MLflow and the seeds of errors are no settings that make a run better.
_NO_SETTING = re.compile(
    r"name$|tracking\.|data\.(memory_limit|spill_directory|threads|engine|spark_master)$|evaluation\."
)
_PAIRED = ["churn_probability", "expected_spend", "segment", "purchases", "spend"]
_SAMPLES, _SEED = 200, 1


@dataclass(frozen=True)
class ComparedRun:
    """What is known of a run: its metrics, its settings, what it was judged on, and the judged customers where they are."""

    name: str
    metrics: Mapping[str, float]
    settings: Mapping[str, str]
    data: str
    judged: pd.DataFrame | None = None

    @property
    def judged_on(self) -> str:
        """The log by fingerprint, and the holdout; of contracts, which have none, the table."""
        holdout = [
            self.settings[key] for key in ("windows.calibration_end", "windows.holdout_end") if key in self.settings
        ]
        return f"log {self.data}" + (f", holdout {' to '.join(holdout)}" if holdout else "")


def read_runs(names: Sequence[str]) -> list[ComparedRun]:
    """Return the runs meant by run folders, ids or names of MLflow runs, or names of configs (the newest run counts).

    Raises
    ------
    InputError
        If there are fewer than two, one cannot be found, or has no figures of a holdout.
    """
    if len(names) < 2:
        raise InputError("a comparison needs two runs or more")
    folders = [Path(name) for name in names]
    if not all((folder / "metrics.json").is_file() for folder in folders):
        check_store()
    found = [
        _of_folder(folder) if (folder / "metrics.json").is_file() else _of_mlflow(name)
        for name, folder in zip(names, folders, strict=True)
    ]
    return _told_apart(found)


def apart(runs: Sequence[ComparedRun]) -> str:
    """Say what the runs were judged on where that is not the same; empty where they can be compared."""
    places = dict.fromkeys(run.judged_on for run in runs)
    if len(places) == 1:
        return ""
    told = "; ".join(f"{', '.join(run.name for run in runs if run.judged_on == place)}: {place}" for place in places)
    return f"Not comparable: the runs were judged on different data ({told}). No run is marked as best."


def figures_of(runs: Sequence[ComparedRun], metric: str) -> pd.DataFrame:
    """Return one row a run: value and standard_error of a metric, missing where a run has none."""
    rows = {run.name: (run.metrics.get(metric, np.nan), run.metrics.get(f"{metric}_se", np.nan)) for run in runs}
    return pd.DataFrame.from_dict(rows, orient="index", columns=["value", "standard_error"])


def best(figures: pd.DataFrame, metric: str) -> str | None:
    """Return the run that is better than every other by more than the error of the difference; None where there is none.

    The errors are taken as independent. Runs judged on the same customers err alike, so this says "best" too rarely rather
    than too often.

    Examples
    --------
    >>> figures = pd.DataFrame({"value": [.80, .75, .74], "standard_error": [.01, .01, .01]}, index=["a", "b", "c"])
    >>> best(figures, "churn/auc"), best(figures[1:], "churn/auc"), best(figures[:2], "churn/log_loss")
    ('a', None, 'b')
    """
    name = metric.split("/")[-1]
    if len(figures) < 2 or figures.isna().to_numpy().any() or (name not in DIRECTION and name not in TARGET):
        return None
    values = figures["value"]
    merit = -(values - TARGET[name]).abs() if name in TARGET else DIRECTION[name] * values
    first = merit.idxmax()
    error = np.hypot(figures["standard_error"], figures.loc[first, "standard_error"]).drop(first)
    return str(first) if ((merit[first] - merit.drop(first)) > 1.96 * error).all() else None


def comparison_of(runs: Sequence[ComparedRun], metrics: Sequence[str] = SHOWN) -> pd.DataFrame:
    """Return one row a metric, one column a run, as text: value and standard error, `*` at the best beyond the error."""
    same, rows = not apart(runs), {}
    for metric in metrics:
        figures = figures_of(runs, metric)
        if figures["value"].isna().all():
            continue
        ahead = best(figures, metric) if same else None
        rows[metric] = {name: _text(row, name == ahead) for name, row in figures.iterrows()}
    return pd.DataFrame.from_dict(rows, orient="index", columns=[run.name for run in runs])


def judged_metrics(runs: Sequence[ComparedRun]) -> list[str]:
    """Return every metric that some run has with a standard error, in the order in which runs log them."""
    names = dict.fromkeys(name for run in runs for name in run.metrics if f"{name}_se" in run.metrics)
    return sorted(names, key=lambda name: ["churn", "value", "purchases"].index(name.split("/")[0]))


def differences(runs: Sequence[ComparedRun]) -> pd.DataFrame:
    """Return one row a setting in which the runs differ, one column a run; settings that not every run names are left out."""
    shared = [key for key in runs[0].settings if all(key in run.settings for run in runs)]
    rows = {
        key: {run.name: run.settings[key] for run in runs}
        for key in shared
        if not _NO_SETTING.match(key) and len({run.settings[key] for run in runs}) > 1
    }
    return pd.DataFrame.from_dict(rows, orient="index", columns=[run.name for run in runs])


def paired_sentences(runs: Sequence[ComparedRun], only: Sequence[tuple[str, str]] = tuple(EFFECTS)) -> list[str]:
    """Say what every run gains on the first one, on the same customers; empty where not all came as run folders.

    only: the (task, metric) that are told, by default every one of `churn_clv.evaluation.effects`.
    """
    first, *others = runs
    judged = [run.judged for run in runs if run.judged is not None]
    if len(judged) < len(runs) or not all(comparable(frame, judged[0]) for frame in judged[1:]):
        return []
    return [
        effect_sentence(f"{run.name} against {first.name}", task, metric, row)
        for run, frame in zip(others, judged[1:], strict=True)
        for (task, metric), row in paired_effects(frame, judged[0], samples=_SAMPLES, seed=_SEED).iterrows()
        if (task, metric) in only
    ]


def _of_folder(folder: Path) -> ComparedRun:
    content = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    settings = shareable(yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8")))
    stages = content.get("seconds", {})
    metrics = content["metrics"] | {"seconds/total": float(sum(stages.values()))}
    return ComparedRun(
        f"{folder.parent.name} {folder.name}", metrics, flat(settings), content["data_fingerprint"], _judged(folder)
    )


def _judged(folder: Path) -> pd.DataFrame | None:
    from churn_clv.delivery.tables import read_table

    path = folder / "judged_scores.parquet"
    if not path.is_file():
        return None
    frame = read_table(path)
    return frame.set_index("customer_id")[_PAIRED] if {*_PAIRED, "customer_id"} <= set(frame.columns) else None


def _of_mlflow(name: str) -> ComparedRun:
    run = _found(name)
    metrics = dict(run.data.metrics)
    if not any(f"{metric}_se" in metrics for metric in metrics):
        raise InputError(
            f"{name}: its MLflow run has no figures of a holdout (a backtest or an origin?); name a training run"
        )
    return ComparedRun(
        run.info.run_name, metrics, dict(run.data.params), run.data.tags.get("data_fingerprint", "unknown")
    )


def _found(name: str) -> Any:
    """The MLflow run of this id, else the newest of this name, else the newest of this config."""
    import mlflow

    client = mlflow.MlflowClient()
    if re.fullmatch(r"[0-9a-f]{32}", name):
        try:
            return client.get_run(name)
        except mlflow.exceptions.MlflowException:
            raise InputError(f"{name}: no such run in this MLflow store") from None
    if not re.search(r"[\"'`]", name):
        everywhere = [found.experiment_id for found in client.search_experiments()]
        for where in ("attributes.run_name", "tags.config"):
            runs = client.search_runs(
                everywhere, f"{where} = '{name}'", max_results=1, order_by=["attributes.start_time DESC"]
            )
            if runs:
                return runs[0]
    raise InputError(f"{name}: no run folder here, and no MLflow run of this id or name; see churn-clv ui")


def _told_apart(runs: Sequence[ComparedRun]) -> list[ComparedRun]:
    """The runs under names that differ."""
    names = [run.name for run in runs]
    return [
        run if names.count(run.name) == 1
        else ComparedRun(f"{run.name} ({k})", run.metrics, run.settings, run.data, run.judged)
        for k, run in enumerate(runs, start=1)
    ]  # fmt: skip


def _text(row: pd.Series, ahead: bool) -> str:
    value, error = row["value"], row["standard_error"]
    if np.isnan(value):
        return "-"
    figure = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4f}" if not np.isnan(error) else f"{value:g}"
    return figure + (f" ± {error:.4f}" if not np.isnan(error) else "") + (" *" if ahead else "")
