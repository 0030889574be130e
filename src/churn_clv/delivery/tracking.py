"""What MLflow is told of each kind of run: one page per trained config, with its model registered."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from churn_clv.backtest import Backtest
from churn_clv.contractual import ContractualRun
from churn_clv.data.privacy import has_pseudonym_key, pseudonym_key, pseudonyms
from churn_clv.delivery.code_version import code_tags
from churn_clv.delivery.contract_folder import contract_metrics
from churn_clv.delivery.mlflow_page import Child, Logged, Page, log_page
from churn_clv.delivery.monitor_folder import Monitored
from churn_clv.delivery.run_folder import metrics_of, parameters_of
from churn_clv.delivery.run_tags import contract_tags_of, flat, run_name, tags_of
from churn_clv.evaluation.judgement import NAMES
from churn_clv.evaluation.shown import shown_acceptance, shown_quality
from churn_clv.rolling import TASKS, Rolling
from churn_clv.train import Run

# What MLflow takes in a metric's name; an attribute may be called anything.
_SAFE = re.compile(r"[^\w./ -]")
# What a run folder holds without customers.
_FILES = [("figures", "figures"), *((file, None) for file in ("report.html", "metrics.json", "grid.csv"))]


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
    return log_page(page_of_run(run, folder, question), folder)


def page_of_run(run: Run, folder: Path, question: dict[str, str] | None = None) -> Page:
    """Return what MLflow is told of a run."""
    tags, config = tags_of(run, folder) | (question or {}), run.config.shareable()
    tables = {
        "acceptance": shown_acceptance(run),
        "quality": shown_quality(run),
    }
    tables = {name: table.reset_index() for name, table in tables.items()}
    origins = _origins(run.choice.backtest) if run.choice.backtest is not None else []
    trials = _trials(run.choice.trials) if run.choice.trials is not None else []
    return Page(
        run_name(run.config, folder, variant=tags.get("variant")), run.config.tracking.experiment, tags,
        flat(config) | _methods(run), _numbers(run),
        [*_FILES, ("segments", "segments"), ("segments.html", None)],
        yaml.safe_dump(config, sort_keys=False), (run.config.data.source, run.fingerprint),
        {name: _split(table) for name, table in (tables | {"score_sample": _sample_without_ids(run.scores)}).items()},
        [*origins, *trials], run.config.registered_model, question is None,
    )  # fmt: skip


def log_contract_run(run: ContractualRun, folder: Path) -> tuple[str, str]:
    """Write a finished run on contracts to MLflow, its model as text files; return the addresses of its page and the
    leaderboard.

    Raises
    ------
    InputError
        If the store does not answer; the run's folder is complete already.
    """
    config = run.config.model_dump(mode="json")
    page = Page(
        run_name(run.config, folder), run.config.tracking.experiment, contract_tags_of(run, folder), flat(config),
        contract_metrics(run) | _seconds(run.seconds), [*_FILES, ("model", "model")],
        yaml.safe_dump(config, sort_keys=False), ("contracts", run.fingerprint),
    )  # fmt: skip
    logged = log_page(page, folder)
    return logged.page, logged.leaderboard


def log_backtest(rolling: Rolling, folder: Path, question: dict[str, str] | None = None) -> str:
    """Write a backtest to MLflow, each origin as a child run, and return the address of its page.

    Raises
    ------
    InputError
        If the store does not answer; the backtest's folder is complete already.
    """
    crowns = {f"champion_{c.task}": c.champion if c.crowned else "too few windows" for c in rolling.crowns()}
    words = "\n".join(f"- {line}" for c in rolling.crowns() for line in c.sentences(NAMES))
    tags = {"mlflow.note.content": words, "kind": "backtest"} | crowns | code_tags() | (question or {})
    means = {f"{task}/{metric}/{method}": row["mean"] for task in TASKS
             for (metric, method), row in rolling.summary(task).iterrows()}  # fmt: skip
    config = rolling.config.shareable()
    page = Page(
        run_name(rolling.config, folder, "backtest", tags.get("variant")), rolling.config.tracking.experiment, tags,
        flat(config), {key: value for key, value in means.items() if value == value},
        [file for file in _all_of(folder) if file[0] != "config.yaml"],  # it may name customers, in data.drop_rows
        yaml.safe_dump(config, sort_keys=False), children=_origins(rolling.backtest),
    )  # fmt: skip
    return log_page(page, folder).page


def log_monitoring(monitored: Monitored, folder: Path) -> str:
    """Write what monitoring found to MLflow, beside the run that was monitored, and return the address of its page.

    Raises
    ------
    InputError
        If the store does not answer; the folder is complete already.
    """
    found, run = monitored.found, monitored.run
    words = "\n".join([f"**{found.verdict}**", "", *(f"- {reason.sentence}" for reason in found.reasons)])
    tags = {
        "kind": "monitor", "verdict": found.verdict, "monitored": f"{run.parent.name} {run.name}",
        "mlflow.note.content": words,
    } | code_tags()  # fmt: skip
    name = f"monitor {run.parent.name} {found.as_of_before} to {found.as_of_after}"
    days = {"as_of_before": str(found.as_of_before), "as_of_after": str(found.as_of_after)}
    metrics = {_SAFE.sub("_", name): value for name, value in found.metrics.items()}
    return log_page(Page(name, monitored.experiment, tags, days, metrics, _all_of(folder)), folder).page


def _all_of(folder: Path) -> list[tuple[str, str | None]]:
    """Everything in a folder, each subfolder under its own name."""
    return [(path.name, path.name if path.is_dir() else None) for path in sorted(folder.iterdir())]


def _origins(backtest: Backtest) -> list[Child]:
    """Each origin as a run of its own."""
    children = []
    for origin in backtest.origins:
        figures = {"churn": backtest.churn.loc[origin.as_of], "value": backtest.value.loc[origin.as_of]}
        metrics = {f"{task}/{metric}/{method}": float(value) for task, row in figures.items()
                   for (metric, method), value in row.items() if value == value}  # fmt: skip
        tags = {"kind": "origin", "independent": str(origin.as_of in backtest.apart).lower()}
        params = {"as_of": str(origin.as_of), "horizon_days": origin.windows.horizon_days}
        children.append(Child(f"origin {origin.as_of}", tags, params, metrics))
    return children


def _trials(trials: pd.DataFrame) -> list[Child]:
    """Each trial of the search as a run of its own."""
    names = [name for name in trials.columns if name != "log_loss"]
    return [
        Child(f"trial {number}", {"kind": "trial"}, {name: str(trial[name]) for name in names}, {"search/log_loss": float(trial["log_loss"])})
        for number, trial in trials.iterrows()
    ]  # fmt: skip


def _split(table: pd.DataFrame) -> str:
    return str(table.to_json(orient="split", index=False, date_format="iso", double_precision=15))


def _methods(run: Run) -> dict[str, str]:
    """How the run forecast risk and value in the end, whoever chose it: what a champion is compared by."""
    used = run.choice.methods
    return {
        "methods.churn": used.churn,
        "methods.value": used.value,
        "methods.calibrated": str(used.calibrator is not None),
    }


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
    """Some customers' scores: with pseudonyms where the environment has a key for them, else without any name.

    Who is drawn, and in which order, nobody can repeat: from a seed and the log's ids it would follow whose each row is.
    """
    chosen = scores.sample(min(rows, len(scores)), random_state=np.random.default_rng())
    named = [pseudonyms(chosen.index, pseudonym_key())] if has_pseudonym_key() else []
    sample = chosen.reset_index(drop=True).assign(as_of=chosen["as_of"].astype("str").to_numpy())
    return sample.assign(**{str(names.name): names for names in named})
