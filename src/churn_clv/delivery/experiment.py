"""A question asked of several runs: one base config, named patches of it, one comparison."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from churn_clv.config import Config, Name, parse_config
from churn_clv.errors import ConfigError, InputError
from churn_clv.evaluation.judgement import NAMES, RUN
from churn_clv.evaluation.over_origins import over_origins
from churn_clv.rolling import Rolling
from churn_clv.sections import override
from churn_clv.train import Run
from churn_clv.yaml_file import read_yaml

SHOWN = (
    ("churn", "auc"), ("churn", "log_loss"), ("churn", "calibration_error"), ("value", "normalised_gini"), ("value", "rmse"),
)  # fmt: skip


@dataclass(frozen=True)
class Experiment:
    """A question, the runs that answer it, and whether each is backtested over origins instead of trained."""

    question: str
    runs: dict[str, Config]
    backtest: bool = False


class _Asked(BaseModel):
    """The file of an experiment."""

    model_config = ConfigDict(extra="forbid", strict=True)
    question: str
    base: str
    every_run: dict[str, Any] = {}
    runs: dict[Name, dict[str, Any] | None] = Field(min_length=1)
    backtest: bool = False
    answer: str = ""


def load_experiment(path: Path, overrides: Sequence[str] = ()) -> Experiment:
    """Read an experiment: question, base (a config's path), runs (name -> nested patch of the base), answer;
    every_run is a patch that all of them share.

    backtest: true asks over rolling origins instead of one holdout. `overrides` are laid over every run.

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
    base = merged(read_yaml(Path(asked.base)), asked.every_run)
    override(base, overrides, Config)
    model = parse_config(base, source=asked.base).registered_model
    return Experiment(asked.question.strip(), {
        name: _variant(base, changes or {}, name, model, f"{path}: runs.{name}", path.stem) for name, changes in asked.runs.items()
    }, asked.backtest)  # fmt: skip


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


OVER_ORIGINS = {
    "churn": ("log_loss", "auc", "calibration_error", "calibration_slope"),
    "value": ("normalised_gini", "top_10_percent_capture", "bias", "rmse"),
}


def origins_table(summary: pd.DataFrame, task: str) -> pd.DataFrame:
    """Return one row a method as text: means over origins, and the gain on the metric that decides."""
    decisive, *_ = OVER_ORIGINS[task]
    rows = {}
    for method in summary.loc[decisive].index:
        cells = {m.replace("_", " "): f"{summary.loc[(m, method), 'mean']:.4f}" for m in OVER_ORIGINS[task]}
        row = summary.loc[(decisive, method)]
        interval = f" ({row['gain_low']:+.4f} to {row['gain_high']:+.4f})" if row["windows"] > 1 else ""
        cells["gain (95 %)"] = f"{row['gain']:+.4f}{interval}"
        cells["wins"] = f"{row['wins']:.0f} of {row['windows']:.0f}"
        # A calibrated method has no figure at the first origins: its means are over fewer than the others'.
        cells["origins"] = f"{row['origins']:.0f}"
        rows[NAMES.get(method, method)] = cells
    return pd.DataFrame.from_dict(rows, orient="index")


def joined_figures(runs: Mapping[str, Rolling], task: str) -> pd.DataFrame:
    """Return the figures of several backtests over the same origins side by side: methods become ``run: method``."""
    tables = {}
    for name, rolling in runs.items():
        table = rolling.backtest.figures(task, only_apart=False)
        tables[name] = table.rename(columns={m: f"{name}: {m}" for m in table.columns.unique("method")}, level="method")
    return pd.concat(tables.values(), axis=1)


def compared_over_origins(runs: Mapping[str, Rolling], task: str) -> pd.DataFrame:
    """Compare the methods of several backtests, origin by origin, with the simplest method of the first.

    Raises
    ------
    InputError
        If the runs have different origins: then nothing is paired.
    """
    first, *others = runs.values()
    for other in others:
        if other.backtest.apart != first.backtest.apart:
            raise InputError("the runs of the experiment have different origins; only equal ones can be compared")
    name = next(iter(runs))
    reference = f"{name}: {first.methods[task][0]}"
    return over_origins(joined_figures(runs, task), reference, first.backtest.apart)
