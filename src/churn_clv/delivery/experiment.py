"""A question asked of several runs: one or more base configs, named patches of each, one comparison."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import pandas as pd
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from churn_clv.config import Config, Name, parse_config
from churn_clv.errors import ConfigError, InputError
from churn_clv.evaluation.judgement import NAMES
from churn_clv.evaluation.over_origins import over_origins
from churn_clv.rolling import Rolling
from churn_clv.sections import checked, override
from churn_clv.yaml_file import read_yaml

SHOWN = (
    ("churn", "auc"), ("churn", "log_loss"), ("churn", "calibration_error"), ("value", "normalised_gini"), ("value", "rmse"),
)  # fmt: skip
ALSO_SHOWN = (
    "purchases/coverage_90", "purchases/pit_ks", "purchases/pit_ks_noise_95", "grid/rank_correlation", "grid/effective_cells", "grid/same_cell", "grid/criteria_failed",
    "segments/segment/spend_epsilon2", "segments/segment/churn_epsilon2",
)  # fmt: skip


@dataclass(frozen=True)
class Experiment:
    """A question and the runs that answer it.

    logs: name of a base config -> variant -> its config; the first variant is what the others are compared with.
    backtest: whether each is backtested over origins instead of trained. against: task -> a baseline of the runs' own, with
    which each variant is compared instead of with the first.
    """

    question: str
    logs: dict[str, dict[str, Config]]
    backtest: bool = False
    against: Mapping[Task, str] = field(default_factory=dict)

    @property
    def runs(self) -> dict[str, Config]:
        """Every run by its name."""
        return {config.name: config for variants in self.logs.values() for config in variants.values()}


Task = Literal["churn", "value"]


class _Asked(BaseModel):
    """The file of an experiment."""

    model_config = ConfigDict(extra="forbid", strict=True)
    question: str
    base: Annotated[
        list[str], BeforeValidator(lambda file: [file] if isinstance(file, str) else file), Field(min_length=1)
    ]
    every_run: dict[str, Any] = {}
    runs: dict[Name, dict[str, Any] | None] = Field(min_length=1)
    backtest: bool = False
    against: dict[Task, str] = {}
    answer: str = ""
    measured: list[str] = []


def load_experiment(path: Path, overrides: Sequence[str] = ()) -> Experiment:
    """Read an experiment: question, base (a config's path, or several), runs (name -> nested patch of the base), answer;
    every_run is a patch that all of them share.

    backtest: true asks over rolling origins instead of one holdout. against: {churn: bg_nbd_gamma_gamma} compares each run
    with a baseline of its own. measured is what `churn-clv experiment --write` put there. `overrides` are laid over every
    run.

    Raises
    ------
    ConfigError
        Naming the file, and the run and key at fault.
    """
    asked = checked(_Asked, read_yaml(path), str(path))
    logs = {}
    for file in asked.base:
        base = merged(read_yaml(Path(file)), asked.every_run)
        override(base, overrides, Config)
        parsed = parse_config(base, source=file)
        if parsed.name in logs:
            raise ConfigError(f"{path}: base: two configs are called {parsed.name!r}; each log once")
        logs[parsed.name] = {
            name: _variant(base, changes or {}, name, parsed.registered_model, f"{path}: runs.{name}", path.stem)
            for name, changes in asked.runs.items()
        }
    return Experiment(asked.question.strip(), logs, asked.backtest, dict(asked.against))


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


def comparison(metrics: Mapping[str, Mapping[str, float]]) -> pd.DataFrame:
    """Return one row a metric, one column a variant, as text: figures on the holdout with bootstrap standard errors."""
    rows = {}
    for variant, found in metrics.items():
        held = {
            f"{task}/{metric}": (found.get(f"{task}/{metric}"), found.get(f"{task}/{metric}_se"))
            for task, metric in SHOWN
        }
        cells = {
            name: "" if value is None else f"{value:.4f} ± {error or 0:.4f}" for name, (value, error) in held.items()
        }
        more = {name: f"{found[name]:.4f}" for name in ALSO_SHOWN if name in found}
        rows[variant] = {name.replace("_", " "): text for name, text in (cells | more).items()}
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
