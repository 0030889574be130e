"""A question asked of several runs: one base config, named patches of it, one comparison."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from churn_clv.config import Config, ConfigError, Name, parse_config, read_yaml
from churn_clv.evaluation.judgement import RUN
from churn_clv.train import Run

SHOWN = (
    ("churn", "auc"), ("churn", "log_loss"), ("churn", "calibration_error"), ("value", "normalised_gini"), ("value", "rmse"),
)  # fmt: skip


@dataclass(frozen=True)
class Experiment:
    question: str
    runs: dict[str, Config]


class _Asked(BaseModel):
    """The file of an experiment."""

    model_config = ConfigDict(extra="forbid", strict=True)
    question: str
    base: str
    runs: dict[Name, dict[str, Any] | None] = Field(min_length=1)
    answer: str = ""


def load_experiment(path: Path) -> Experiment:
    """Read an experiment: question, base (a config's path), runs (name -> nested patch of the base), answer.

    Raises
    ------
    ConfigError
        Naming the file, and the run and key at fault.
    """
    try:
        asked = _Asked.model_validate(read_yaml(path))
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, f['loc']))}: {f['msg'][0].lower()}{f['msg'][1:]}" for f in error.errors()]
        raise ConfigError(f"{path}: " + "; ".join(faults)) from None
    base = read_yaml(Path(asked.base))
    model = parse_config(base, source=asked.base).registered_model
    return Experiment(asked.question.strip(), {
        name: _variant(base, changes or {}, name, model, f"{path}: runs.{name}", path.stem) for name, changes in asked.runs.items()
    })  # fmt: skip


def _variant(
    base: dict[str, Any], changes: dict[str, Any], name: str, model: str, source: str, experiment: str
) -> Config:
    """One run: siblings in one MLflow experiment, and versions of one registered model."""
    patched = merged(base, changes)
    named = {"name": f"{base['name']}-{name}", "tracking": {"registered_model": model, "experiment": experiment}}
    return parse_config(patched | named, source=source)


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
