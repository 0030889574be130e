"""The answer of an experiment on disk: effects with intervals, their figure, and the sentences for its file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import yaml

from churn_clv.delivery.atomic import whole_file
from churn_clv.delivery.experiment import Experiment, comparison
from churn_clv.delivery.experiment_page import render_experiment
from churn_clv.delivery.report import write_figures
from churn_clv.delivery.run_folder import metrics_of, stamped_folder
from churn_clv.delivery.tables import write_table
from churn_clv.evaluation.effect_figures import PANELS, effects_figure
from churn_clv.evaluation.effects import against_rival, comparable, effect_sentence, paired_effects, unpaired_effects
from churn_clv.evaluation.judgement import NAMES
from churn_clv.train import Run


@dataclass(frozen=True)
class Result:
    """What is kept of a run until all have run: its judged customers, metric tables and metrics."""

    judged: pd.DataFrame
    tables: Mapping[str, pd.DataFrame]
    metrics: dict[str, float]

    @classmethod
    def of(cls, run: Run) -> Result:
        columns = ["churn_probability", "expected_spend", "segment", "purchases", "spend"]
        return cls(run.judged[columns], run.judgement.tables(), metrics_of(run))


def effects_of(asked: Experiment, results: Mapping[str, Mapping[str, Result]]) -> pd.DataFrame:
    """Compare the variants on each log, indexed by (log, variant, task, metric).

    With the first variant, paired where customers and outcomes are the same, else not; or, where the experiment says
    `against`, each with a baseline judged beside it.
    """
    found = {}
    for log, variants in results.items():
        (first, reference), *others = variants.items()
        evaluation = asked.logs[log][first].evaluation
        for name, result in variants.items() if asked.against else others:
            if asked.against:
                found[(log, name)] = against_rival(result.tables, asked.against)
            elif comparable(result.judged, reference.judged):
                found[(log, name)] = paired_effects(
                    result.judged, reference.judged, samples=evaluation.bootstrap_samples, seed=evaluation.seed
                )
            else:
                found[(log, name)] = unpaired_effects(result.tables, reference.tables)
    return pd.concat(found, names=["log", "variant"])


def reference_of(asked: Experiment) -> str:
    """Return what the variants are compared with, in words."""
    if asked.against:
        return " and ".join(dict.fromkeys(NAMES.get(name, name) for name in asked.against.values()))
    return next(iter(next(iter(asked.logs.values()))))


def sentences(effects: pd.DataFrame) -> list[str]:
    """Say the effects on what decides, log by log."""
    return [
        f"{log}: {effect_sentence(variant, task, metric, row)}"
        for (log, variant, task, metric), row in effects.iterrows()
        if (task, metric) in PANELS
    ]


def write_effects(
    asked: Experiment, name: str, effects: pd.DataFrame, results: Mapping[str, Mapping[str, Result]], root: Path
) -> Path:
    """Write ``root/<experiment>-comparison/<time>/``: experiment.html, effects.csv, metrics.csv and figures/effects.png."""
    started = datetime.now(UTC)
    metrics = {f"{log}: {variant}": r.metrics for log, named in results.items() for variant, r in named.items()}
    figure, reference = effects_figure(effects, reference_of(asked)), reference_of(asked)
    tables = {log: comparison({v: r.metrics for v, r in named.items()}) for log, named in results.items()}

    def fill(folder: Path, title: str) -> None:
        write_table(effects, folder / "effects.csv")
        write_table(pd.DataFrame(metrics).rename_axis("metric"), folder / "metrics.csv")
        page = render_experiment(name, asked.question, reference, effects, tables, sentences(effects), figure, started)
        (folder / "experiment.html").write_text(page, encoding="utf-8")
        write_figures({"effects": figure}, folder / "figures")

    return stamped_folder(root / f"{name}-comparison", started, fill)


def write_measured(path: Path, lines: list[str]) -> None:
    """Put the measured sentences at the end of an experiment's file, in place of those of before; the rest stays as it is."""
    text = path.read_text(encoding="utf-8")
    kept = text.split("\nmeasured:")[0].rstrip("\n")
    block = yaml.safe_dump({"measured": lines}, allow_unicode=True, width=200, sort_keys=False)
    whole_file(path, lambda partial: partial.write_text(f"{kept}\n{block}", encoding="utf-8"))
