"""A backtest on disk: every figure of every origin, what it comes to, who is champion, and the picture."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import pandas as pd

from churn_clv.delivery.experiment import compared_over_origins, joined_figures
from churn_clv.delivery.report import write_figures
from churn_clv.delivery.run_folder import stamped_folder
from churn_clv.delivery.tables import write_table
from churn_clv.evaluation.judgement import NAMES
from churn_clv.evaluation.origin_figures import gains
from churn_clv.rolling import TASKS, Rolling


def write_backtest(rolling: Rolling, root: Path, started: datetime) -> Path:
    """Write a backtest into ``root/<config>-backtest/<time>/`` and return that folder.

    origins.csv: task, origin, independent, metric, method, value; summary.csv: what `over_origins` makes of it;
    backtest.json: windows, methods and the champions with their reasons; figures/gains.png.

    Raises
    ------
    InputError
        If the place cannot be written. An interrupted writing leaves no folder under the final name.
    """
    parent = root / f"{rolling.config.name}-backtest"
    return stamped_folder(parent, started, lambda folder, name: _fill(folder, rolling))


def write_comparison(name: str, runs: Mapping[str, Rolling], root: Path, started: datetime) -> Path:
    """Write an experiment's comparison into ``root/<experiment>-comparison/<time>/``: comparison.csv and gains.png.

    Raises
    ------
    InputError
        If the place cannot be written, or the runs have different origins.
    """
    summaries = {task: compared_over_origins(runs, task) for task in TASKS}
    figures = {task: joined_figures(runs, task) for task in TASKS}
    run, first = next(iter(runs.items()))
    references = {task: f"{run}: {first.methods[task][0]}" for task in TASKS}

    def fill(folder: Path, title: str) -> None:
        write_table(pd.concat(summaries, names=["task"]), folder / "comparison.csv")
        picture = gains(figures, summaries, references, first.backtest.apart, {})
        write_figures({"gains": picture}, folder / "figures")

    return stamped_folder(root / f"{name}-comparison", started, fill)


def _fill(folder: Path, rolling: Rolling) -> None:
    found = rolling.backtest
    (folder / "config.yaml").write_text(rolling.config.to_yaml(), encoding="utf-8")
    figures = {task: found.figures(task, only_apart=False) for task in TASKS}
    summaries = {task: rolling.summary(task) for task in TASKS}
    write_table(long_table(figures, found.apart), folder / "origins.csv")
    write_table(pd.concat(summaries, names=["task"]), folder / "summary.csv")
    (folder / "backtest.json").write_text(json.dumps(about(rolling), indent=1), encoding="utf-8")
    references = {task: rolling.methods[task][0] for task in TASKS}
    write_figures({"gains": gains(figures, summaries, references, found.apart, NAMES)}, folder / "figures")


def long_table(figures: Mapping[str, pd.DataFrame], apart: tuple[object, ...]) -> pd.DataFrame:
    """Return one row a figure: task, origin, metric and method as index, and whether the origin is independent."""
    tall = {task: table.stack(["metric", "method"]).dropna().rename("value") for task, table in figures.items()}
    table = pd.concat(tall, names=["task"]).to_frame()
    return table.assign(independent=table.index.get_level_values("origin").isin(list(apart)))


def about(rolling: Rolling) -> dict[str, object]:
    """Return the backtest in plain values: its dates, its methods, its champions and why."""
    found = rolling.backtest
    return {
        "config": rolling.config.name,
        "horizon_days": rolling.horizon_days,
        "step_days": rolling.step_days,
        "origins": [
            {
                "as_of": str(o.as_of), "independent": o.as_of in found.apart, "customers": len(o.outcomes),
                "churn_rate": float(o.churned.mean()), "tree_settings": dict(o.tree_settings),
                "labels": [{"cutoff": str(w.cutoff), "horizon_days": w.horizon_days} for w in o.windows.labels],
            }
            for o in found.origins
        ],
        "methods": {task: list(methods) for task, methods in rolling.methods.items()},
        "champions": {c.task: c.champion if c.crowned else None for c in rolling.crowns()},
        "sentences": [line for c in rolling.crowns() for line in c.sentences(NAMES)],
        "notes": rolling.notes,
    }  # fmt: skip
