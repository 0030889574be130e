"""A question asked of several runs: one base config, named patches of it, one comparison."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from churn_clv.config import Config, ConfigError, parse_config, read_yaml
from churn_clv.evaluation.judgement import RUN
from churn_clv.train import Run

_KEYS = {"question", "base", "runs", "answer"}
SHOWN = (
    ("churn", "auc"),
    ("churn", "log_loss"),
    ("churn", "calibration_error"),
    ("value", "normalised_gini"),
    ("value", "rmse"),
)


@dataclass(frozen=True)
class Experiment:
    question: str
    runs: dict[str, Config]


def load_experiment(path: Path) -> Experiment:
    """Read an experiment: question, base (a config's path), runs (name -> nested patch of the base), answer.

    Raises
    ------
    ConfigError
        Naming the file, and the run and key at fault.
    """
    content = read_yaml(path)
    unknown, missing = set(content) - _KEYS, {"question", "base", "runs"} - set(content)
    if unknown or missing:
        raise ConfigError(
            f"{path}: unknown keys {sorted(unknown)}, missing keys {sorted(missing)}; the keys are {sorted(_KEYS)}"
        )
    base = read_yaml(Path(content["base"]))
    configs = {}
    for name, changes in content["runs"].items():
        patched = merged(base, changes or {})
        # Siblings in one MLflow experiment, and versions of one registered model.
        model = f"churn-clv-{patched['name']}"
        patched["tracking"] = {"registered_model": model} | patched.get("tracking", {}) | {"experiment": path.stem}
        patched["name"] = f"{patched['name']}-{name}"
        configs[str(name)] = parse_config(patched, source=f"{path}: runs.{name}")
    return Experiment(str(content["question"]).strip(), configs)


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with nested `changes` laid over it; neither is written to.

    Examples
    --------
    >>> merged({"value": {"engine": "native", "spend_days": "all"}}, {"value": {"spend_days": "repeat"}})
    {'value': {'engine': 'native', 'spend_days': 'repeat'}}
    """
    result = copy.deepcopy(dict(base))
    for key, value in changes.items():
        inner = result.get(key)
        result[key] = (
            merged(inner, value) if isinstance(inner, dict) and isinstance(value, dict) else copy.deepcopy(value)
        )
    return result


def comparison(runs: Mapping[str, Run]) -> pd.DataFrame:
    """Return one row a metric, one column a variant: figures on the holdout with bootstrap standard errors, as text."""
    rows = {}
    for name, run in runs.items():
        tables = run.judgement.tables()
        cells = {f"{task} {metric.replace('_', ' ')}": tables[task].loc[(metric, RUN)] for task, metric in SHOWN}
        # "90" in the name of a coverage is its level in per cent.
        held = {f"purchases {key.replace('_', ' ')}": f"{value:.4f}" for key, value in run.judgement.intervals.items()}
        figures = {label: f"{cell['value']:.4f} ± {cell['standard_error']:.4f}" for label, cell in cells.items()}
        rows[name] = figures | held
    return pd.DataFrame(rows)
