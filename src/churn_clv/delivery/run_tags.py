"""What an MLflow run is called and tagged with: which run this is, how good, on what data, by which code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from churn_clv.config import Config
from churn_clv.contractual import ContractualRun
from churn_clv.contractual_config import ContractualConfig
from churn_clv.delivery.code_version import code_tags
from churn_clv.delivery.run_folder import started_at
from churn_clv.train import Run

_HEADLINES = (
    ("churn AUC", "churn/auc", ".3f"), ("log loss", "churn/log_loss", ".3f"),
    ("calibration error", "churn/calibration_error", ".3f"), ("normalised Gini of value", "value/normalised_gini", ".3f"),
    ("holdout value in the predicted top 10 %", "value/top_10_percent_capture", ".1%"),
    ("error of the predicted total value", "value/bias", "+.1%"),
)  # fmt: skip
# Sections whose keys make one run another model of the same data; the rest is data, dates and how errors are estimated.
_TELLING = ("value", "churn", "grid", "segments", "actions")
_LONGEST_NAME = 140


def run_name(config: Config | ContractualConfig, folder: Path, kind: str = "", variant: str | None = None) -> str:
    """Return a name a person can tell apart: config, kind, what differs from the defaults, and when it began (UTC).

    A variant of an experiment says in its config's name what differs.
    """
    settings = "" if variant else ", ".join(changed_settings(config))
    limit = _LONGEST_NAME - len(config.name)
    shortened = settings if len(settings) <= limit else settings[:limit].rsplit(",", 1)[0] + ", ..."
    words = [config.name, kind, f"({shortened})" if shortened else "", f"{started_at(folder):%Y-%m-%d %H:%M:%S}"]
    return " ".join(word for word in words if word)


def changed_settings(config: Config | ContractualConfig) -> list[str]:
    """Return what a config says of the models that is not the default, as `key=value`; with its section where two have it.

    Examples
    --------
    >>> from datetime import date
    >>> from churn_clv.config import parse_config
    >>> windows = {"calibration_end": date(2024, 6, 30), "holdout_end": date(2024, 12, 30)}
    >>> churn = {"method": "lightgbm", "search": {"trials": 5}}
    >>> changed_settings(parse_config({"name": "a", "data": {"source": "cdnow"}, "windows": windows, "churn": churn}, source="a"))
    ['churn.method=lightgbm', 'search.trials=5']
    """
    sections = {name: getattr(config, name) for name in _TELLING if name in type(config).model_fields}
    keys = [key for section in sections.values() for key in type(section).model_fields]
    found = []
    for name, section in sections.items():
        for key, words in _changed(section):
            found.append(words if keys.count(key) == 1 else f"{name}.{words}")
    return found


def _changed(section: BaseModel, prefix: str = "") -> list[tuple[str, str]]:
    """The outermost key and `key=value` of everything that is not the default."""
    found: list[tuple[str, str]] = []
    for key, field in type(section).model_fields.items():
        value = getattr(section, key)
        if value == field.get_default(call_default_factory=True):
            continue
        if isinstance(value, BaseModel):
            found += [(key, words) for _, words in _changed(value, f"{prefix}{key}.")]
        else:
            found.append((key, f"{prefix}{key}={_short(value)}"))
    return found


def _short(value: Any) -> str:
    """A value on one line, as it would stand in a config."""
    return yaml.safe_dump(value, default_flow_style=True, width=10_000).removesuffix("\n").removesuffix("\n...")


def flat(content: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Return nested settings as `section.key` -> text.

    >>> flat({"value": {"engine": "native"}, "name": "a"})
    {'value.engine': 'native', 'name': 'a'}
    """
    found: dict[str, str] = {}
    for key, value in content.items():
        if isinstance(value, dict) and value:
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = str(value)[:500]
    return found


def tags_of(run: Run, folder: Path) -> dict[str, str]:
    """Return the tags of a run on a log: its headline, its data, who won, what the models warned of, its code."""
    warned = warnings_of(run)
    diagnoses = [m.diagnosis_ for m in (run.models.purchases, run.models.spend) if m and m.diagnosis_]
    tags = {
        "mlflow.note.content": _headline(run),
        "config": run.config.name,
        "data": f"{run.customers_of_log:,} customers, {run.windows.first_day} to {run.log.last_day}",
        "data_fingerprint": run.fingerprint,
        "holdout": f"{run.windows.calibration_end} to {run.windows.holdout_end}",
        "warnings": str(len(warned)),
        "warnings_text": "\n".join(warned)[:4000] or "none",
        "diagnoses": " ".join(diagnoses) or "none",
        "run_folder": folder.name,
        "seeds": f"churn {run.config.churn.seed}, bootstrap {run.config.evaluation.seed}",
    }
    return tags | _against_baselines(run.judgement.verdicts()) | code_tags()


def contract_tags_of(run: ContractualRun, folder: Path) -> dict[str, str]:
    """Return the tags of a run on contracts."""
    found, judgement = run.judgement.metrics(), run.judgement
    figures = ", ".join(f"{label} {format(found[key], form)}" for label, key, form in _HEADLINES if key in found)
    title = f"**{run.config.name}**, contracts, {run.config.evaluation.folds}-fold cross-fitting: {figures}."
    tags = {
        "mlflow.note.content": "\n".join([title, "", *[f"- {sentence}" for sentence in judgement.sentences()]]),
        "config": run.config.name,
        "data": f"{judgement.customers:,} contracts, {len(run.scores):,} of them current",
        "data_fingerprint": run.fingerprint,
        "run_folder": folder.name,
        "seeds": f"churn {run.config.churn.seed}, folds and bootstrap {run.config.evaluation.seed}",
    }
    return tags | _against_baselines(judgement.verdicts()) | code_tags()


def _against_baselines(verdicts: list[tuple[str, str, str]]) -> dict[str, str]:
    losses = sorted({f"{task}: {rival}" for task, rival, verdict in verdicts if verdict == "loses"})
    return {"winner": winner(verdicts), "loses_to_baseline": "; ".join(losses) or "no"}


def winner(verdicts: list[tuple[str, str, str]]) -> str:
    """Say in a few words how a run stands against its baselines, from (task, rival, verdict).

    >>> winner([("churn", "a", "wins"), ("value", "b", "wins")]), winner([("churn", "a", "wins"), ("value", "b", "ties")])
    ('beats all baselines', 'ties with 1 of 2')
    >>> winner([("churn", "a", "loses"), ("value", "b", "ties")])
    'loses to 1 of 2'
    """
    outcomes = [verdict for _, _, verdict in verdicts]
    for verdict, words in (("loses", "loses to"), ("ties", "ties with")):
        if verdict in outcomes:
            return f"{words} {outcomes.count(verdict)} of {len(outcomes)}"
    return "beats all baselines" if outcomes else "no baseline"


def warnings_of(run: Run) -> list[str]:
    """Return what the models and the data warned of: the run's notes without its verdicts, choices and plain facts."""
    said = {*run.judgement.sentences(), *run.choice.sentences}
    return [note for note in run.notes if note not in said and not note.startswith(_FACTS)]


_FACTS = ("The churn model learned from", "Events: ", "A random panel of")


def _headline(run: Run) -> str:
    """What the run's page shows first: which run this is and how good, the figures before any table."""
    metrics, windows = run.judgement.metrics(), run.windows
    figures = ", ".join(f"{label} {format(metrics[key], form)}" for label, key, form in _HEADLINES if key in metrics)
    return "\n".join([
        f"**{run.config.name}**, holdout {windows.calibration_end} to {windows.holdout_end} ({windows.horizon_days} days): {figures}.",
        "", f"{run.total['customers']:,.0f} customers, scored as of {windows.score_as_of}.",
        "", *[f"- {sentence}" for sentence in run.judgement.sentences()],
    ])  # fmt: skip
