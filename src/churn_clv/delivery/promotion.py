"""Whether a run's model becomes champion: its config and the champion's forecast at the same past origins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from pydantic import ValidationError

from churn_clv.backtest import Backtest
from churn_clv.config import Config, load_config
from churn_clv.data.fingerprint import fingerprint
from churn_clv.delivery.champions import Candidate, champion_of, crown_version, find
from churn_clv.delivery.model_folder import DIGESTS, read_model
from churn_clv.delivery.store import check_store
from churn_clv.errors import InputError
from churn_clv.evaluation.judgement import CALIBRATED
from churn_clv.evaluation.succession import Succession, succession
from churn_clv.rolling import TASKS, Rolling, roll

HOLDOUT = (
    "churn/log_loss", "churn/auc", "churn/calibration_error", "value/normalised_gini", "value/top_10_percent_capture",
    "value/bias",
)  # fmt: skip
# What a customer's future is: where two runs differ here, their figures answer different questions.
_SAME_DATA = ("source", "currency", "purchase_rule", "margin_rate", "duplicates", "missing_customer_id", "sample_customers", "simulated")  # fmt: skip
_LONGEST_NOTE = 4000


@dataclass(frozen=True)
class LoggedRun:
    """A registered version with what its run logged: config, methods, figures and tags."""

    candidate: Candidate
    config: Config
    methods: Mapping[str, str]
    calibrated: bool
    metrics: Mapping[str, float]
    tags: Mapping[str, str]

    @property
    def horizon_days(self) -> int:
        return (self.config.windows.holdout_end - self.config.windows.calibration_end).days


@dataclass(frozen=True)
class Promotion:
    """What came of a promotion. outcome: first, rule, forced, refused, or already where it is champion."""

    candidate: Candidate
    champion: Candidate | None
    outcome: str
    reason: str
    sentences: tuple[str, ...] = ()
    holdout: pd.DataFrame | None = None

    @property
    def granted(self) -> bool:
        return self.outcome != "refused"


def promote(run: str, force: str | None = None, progress: Callable[[str], None] = lambda stage: None) -> Promotion:
    """Make a run's model champion if the champion rule says so, or for a reason that is recorded.

    Parameters
    ----------
    run
        A run's id, `model/version` or `model@alias`.
    force
        Why a model that the rule refuses becomes champion all the same.

    Raises
    ------
    InputError
        For a run or model that is not there, a model whose files do not hold, and, unless forced, two runs that cannot
        be compared.
    """
    if force is not None and not force.strip():
        raise InputError("--force: say why; the reason is recorded with the model")
    check_store()
    candidate = find(run)
    before = champion_of(candidate.model)
    if before is not None and before.version == candidate.version:
        return Promotion(candidate, before, "already", "it is champion already")
    check_files(candidate)
    if before is None:
        return _first(candidate, force)
    refusals, sentences, holdout = _compared(candidate, before, force is not None, progress)
    if refusals and force is None:
        return Promotion(candidate, before, "refused", "; ".join(refusals), sentences, holdout)
    how, why = ("forced", str(force).strip()) if refusals else ("rule", "it won by the champion rule")
    told = {
        "promotion_duels": "\n".join(sentences)[:_LONGEST_NOTE],
        "promotion_refusals": "; ".join(refusals)[:_LONGEST_NOTE] or "none",
    }
    crown_version(candidate, before, how, why, told)
    return Promotion(candidate, before, how, why, sentences, holdout)


def check_files(candidate: Candidate) -> None:
    """See that the registered model's files are there, whole and readable by this program.

    Raises
    ------
    InputError
        Naming the version and what is wrong.
    """
    import mlflow

    try:
        place = Path(mlflow.artifacts.download_artifacts(f"models:/{candidate}"))
        listings = list(place.rglob(DIGESTS))
        if not listings:
            raise InputError(f"no {DIGESTS}")
        read_model(listings[0].parent)
    except (mlflow.exceptions.MlflowException, OSError, InputError) as error:
        cause = str(error).splitlines()[0][:400]
        raise InputError(
            f"{candidate}: its model cannot be loaded, so it cannot be champion ({cause}); train again"
        ) from None


def logged_run(candidate: Candidate) -> LoggedRun:
    """Read back what the run of a version logged.

    Raises
    ------
    InputError
        If its config or its methods are not there, or are of another version of this program.
    """
    import mlflow

    client = mlflow.MlflowClient()
    run = client.get_run(candidate.run_id)
    content = _config_content(client, candidate)
    used = {
        task: run.data.params.get(f"methods.{task}") or content.get(task, {}).get("method", "auto") for task in TASKS
    }
    if "auto" in used.values():
        raise InputError(f"{candidate}: its run did not log the methods it chose (an older churn-clv); train again")
    data = content.get("data")
    rules = data.pop("drop_rows", []) if isinstance(data, dict) else []
    try:
        config = Config.model_validate(content)
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise InputError(
            f"{candidate}: its logged config is not one of this churn-clv ({where}); train again"
        ) from None
    if rules:
        config = _with_its_rules(config, candidate, run.data.tags.get("run_folder", ""))
    calibrated = run.data.params.get("methods.calibrated") == "True"
    return LoggedRun(candidate, config, used, calibrated, dict(run.data.metrics), dict(run.data.tags))


def holdout_table(challenger: LoggedRun, champion: LoggedRun) -> pd.DataFrame:
    """Return the figures of each run's own holdout with bootstrap standard errors, as text."""
    return pd.DataFrame({str(run.candidate): {m: _with_error(run.metrics, m) for m in HOLDOUT} for run in (challenger, champion)})  # fmt: skip


def _first(candidate: Candidate, force: str | None) -> Promotion:
    """The first champion has nobody to beat; whether it loses to a baseline is said."""
    import mlflow

    tags = mlflow.MlflowClient().get_run(candidate.run_id).data.tags
    against = tags.get("winner", "unknown")
    losses = tags.get("loses_to_baseline", "no")
    words = f"Against its baselines on its own holdout it {against}" + (f" ({losses})." if losses != "no" else ".")
    why = f"the first champion of this model{f'; {force.strip()}' if force else ''}"
    crown_version(candidate, None, "first", why, {"promotion_duels": words})
    return Promotion(candidate, None, "first", why, (words,))


def _compared(
    candidate: Candidate, before: Candidate, forced: bool, progress: Callable[[str], None]
) -> tuple[tuple[str, ...], tuple[str, ...], pd.DataFrame | None]:
    """Why the rule refuses the candidate, the duels in words, and the single holdouts."""
    try:
        challenger, champion = logged_run(candidate), logged_run(before)
        found, where = duels(challenger, champion, progress)
    except InputError as error:
        if not forced:
            raise
        return (f"not compared: {error}",), (), None
    notes = (
        []
        if _same_holdout(challenger, champion)
        else ["The two runs were judged on different holdouts: their figures are not comparable."]
    )
    return found.refusals, (where, *found.sentences(), *notes), holdout_table(challenger, champion)


def duels(challenger: LoggedRun, champion: LoggedRun, progress: Callable[[str], None]) -> tuple[Succession, str]:
    """Let both forecast at the same origins of the challenger's log; return who won, and where that was.

    Raises
    ------
    InputError
        If the runs are about different data, or the log is not there any more or has changed.
    """
    refuse_different_data(challenger, champion)
    progress(f"backtest {challenger.candidate}")
    first = _rolled(challenger, challenger.config, progress)
    _refuse_changed_log(challenger, fingerprint(first.evidence.whole or first.evidence.log))
    progress(f"backtest {champion.candidate}")
    new, old = first.backtest, _rolled(champion, on_the_log_of(challenger, champion), progress).backtest
    shared = [day for day in new.apart if day in old.apart]
    figures = {task: _side_by_side(task, shared, {str(r.candidate): (b, r) for r, b in ((challenger, new), (champion, old))})
               for task in TASKS}  # fmt: skip
    where = f"{len(shared)} origins without overlap ({_days(shared)}), horizon {first.horizon_days} days."
    return succession(figures, str(challenger.candidate), str(champion.candidate)), where


def _refuse_changed_log(run: LoggedRun, found: str) -> None:
    trained_on = run.tags.get("data_fingerprint", found)
    if found != trained_on:
        raise InputError(
            f"{run.candidate}: its log has changed since it was trained (fingerprint {found}, was {trained_on}); train again"
        )


def refuse_different_data(challenger: LoggedRun, champion: LoggedRun) -> None:
    """Raise one error that names every key in which two runs are about different data."""
    new, old = challenger.config.data, champion.config.data
    pairs = {f"data.{key}": (getattr(new, key), getattr(old, key)) for key in _SAME_DATA}
    pairs["horizon in days"] = (challenger.horizon_days, champion.horizon_days)
    pairs["data.columns.margin given"] = (new.columns.margin is not None, old.columns.margin is not None)
    pairs["data.columns.amount given"] = (new.columns.amount is not None, old.columns.amount is not None)
    apart = [f"{key} {ours!s:.60} and {theirs!s:.60}" for key, (ours, theirs) in pairs.items() if ours != theirs]
    if apart:
        raise InputError(
            f"{challenger.candidate} and the champion {champion.candidate} are about different data and cannot be compared: "
            f"{'; '.join(apart)}; give one of them a model of its own (tracking.registered_model)"
        )


def on_the_log_of(challenger: LoggedRun, champion: LoggedRun) -> Config:
    """Return the champion's config on the challenger's log and dates, with its own models and its own choice of inputs."""
    ours, theirs = challenger.config, champion.config
    inputs = {key: getattr(theirs.data, key) for key in ("use_attributes", "use_events")}
    same_end = ours.windows.calibration_end == theirs.windows.calibration_end
    labels = {
        "label_cutoffs": theirs.windows.label_cutoffs if same_end else None, "label_horizon": theirs.windows.label_horizon,
    }  # fmt: skip
    return theirs.model_copy(update={
        "data": ours.data.model_copy(update=inputs), "windows": ours.windows.model_copy(update=labels), "backtest": ours.backtest,
    })  # fmt: skip


def _rolled(run: LoggedRun, config: Config, progress: Callable[[str], None]) -> Rolling:
    """The run's methods, and no others, at every origin one horizon apart."""
    methods = {task: [run.methods[task]] for task in TASKS}
    fixed = config.model_copy(update={
        "churn": config.churn.model_copy(update={"method": run.methods["churn"]}),
        "value": config.value.model_copy(update={"method": run.methods["value"]}),
        "backtest": config.backtest.model_copy(update=methods | {"horizon": None, "step": None}),
    })  # fmt: skip
    try:
        return roll(fixed, progress)
    except InputError as error:
        raise InputError(f"{run.candidate}: cannot be backtested on the challenger's log: {error}") from None


def _side_by_side(task: str, origins: list[date], runs: Mapping[str, tuple[Backtest, LoggedRun]]) -> pd.DataFrame:
    """One row an origin, columns (metric, run)."""
    columns: dict[tuple[str, str], pd.Series] = {}
    for name, (backtest, run) in runs.items():
        table, method = backtest.figures(task).loc[origins], run.methods[task]
        for metric in table.columns.unique("metric"):
            columns[(str(metric), name)] = _own(table, str(metric), method, run.calibrated)
    return pd.DataFrame(columns)


def _own(table: pd.DataFrame, metric: str, method: str, calibrated: bool) -> pd.Series:
    """A method's figure; with its calibrator where origins that were over by then could teach one."""
    plain = table[(metric, method)]
    if calibrated and (metric, method + CALIBRATED) in table.columns:
        return table[(metric, method + CALIBRATED)].fillna(plain)
    return plain


def _config_content(client: Any, candidate: Candidate) -> dict[str, Any]:
    import mlflow

    try:
        path = Path(client.download_artifacts(candidate.run_id, "config.yaml"))
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (mlflow.exceptions.MlflowException, OSError) as error:
        cause = str(error).splitlines()[0][:200]
        raise InputError(f"{candidate}: its run's config.yaml cannot be read ({cause}); train again") from None
    return dict(content)


def _with_its_rules(config: Config, candidate: Candidate, folder: str) -> Config:
    """Take the rules that leave rows out from the run's folder: MLflow is told how many values they have, not which."""
    path = Path("runs") / config.name / Path(folder).name / "config.yaml"
    if not path.is_file():
        raise InputError(
            f"{candidate}: data.drop_rows names values, which MLflow was not told, so its log can be read again only beside its "
            f"run's folder, and {path} is not there"
        )
    rules = load_config(path).data.drop_rows
    return config.model_copy(update={"data": config.data.model_copy(update={"drop_rows": rules})})


def _same_holdout(challenger: LoggedRun, champion: LoggedRun) -> bool:
    keys = ("data_fingerprint", "holdout")
    return all(challenger.tags.get(key) == champion.tags.get(key) for key in keys)


def _with_error(metrics: Mapping[str, float], name: str) -> str:
    if name not in metrics:
        return "-"
    error = metrics.get(f"{name}_se")
    return f"{metrics[name]:.4f}" + (f" ± {error:.4f}" if error is not None else "")


def _days(origins: list[date]) -> str:
    return ", ".join(map(str, origins)) or "none"
