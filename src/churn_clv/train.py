"""One run, start to finish: read this first.

A log is cut at `calibration_end`. Models fitted on what was known then are judged on the holdout; then they are
refitted on the whole log and the customers are scored for real, in the grid that the judged scores froze.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import pandas as pd

from churn_clv.choice import Choice, choose
from churn_clv.config import Config
from churn_clv.customer_table import known_from
from churn_clv.data.features import outcomes_after
from churn_clv.data.fingerprint import fingerprint
from churn_clv.data.log import Log
from churn_clv.data.log_parts import panel_of
from churn_clv.data.open_log import open_attributes, open_log, open_log_on_spark
from churn_clv.data.simulate import Truth
from churn_clv.data.spark_log import SparkLog
from churn_clv.data.summary import summarize
from churn_clv.data.transactions import TransactionLog
from churn_clv.data.windows import LabelWindow, Windows, resolve_windows
from churn_clv.evaluation.intervals import interval_quality
from churn_clv.evaluation.judgement import RUN, Judgement, judge
from churn_clv.evaluation.labels import Unit
from churn_clv.everyone import Everyone
from churn_clv.fits import Evidence, fit_models
from churn_clv.models import ModelWarning
from churn_clv.models.known import Known
from churn_clv.rivals import rival_forecasts
from churn_clv.score import SCORED_NUMBERS, FittedModels, corrected_model, score_known
from churn_clv.score_log import customer_table, score
from churn_clv.segmentation import Segmentation, check_given, segment
from churn_clv.segments.accounts import check_accounts
from churn_clv.segments.cell_reasons import cell_reasons
from churn_clv.segments.grid import cell_table
from churn_clv.stages import Clock

Progress = Callable[[str], None]


@dataclass
class Run:
    """What a run found: everything a report, a score file or MLflow needs.

    customers: the customer table as of the last day, which the production models scored. Where a panel stands for the log's
    customers, all of this is of the panel, but the models' fits; whole is everyone's log then, everyone their scores.
    """

    config: Config
    log: TransactionLog
    windows: Windows
    choice: Choice
    models: FittedModels
    judged_models: FittedModels
    judged: pd.DataFrame
    judged_grid: pd.DataFrame
    judgement: Judgement
    customers: pd.DataFrame
    scores: pd.DataFrame
    production_grid: pd.DataFrame
    cell_reasons: pd.DataFrame
    segmentation: Segmentation
    outside_training: pd.Series
    fingerprint: str
    notes: list[str]
    seconds: dict[str, float] = field(default_factory=dict)
    whole: TransactionLog | SparkLog | None = None
    given: pd.DataFrame | None = None
    everyone: Everyone | None = None

    @property
    def customers_of_log(self) -> int:
        """How many customers the log has, the panel's or not."""
        return (self.whole or self.log).n_customers

    @property
    def on_a_panel(self) -> bool:
        """Whether a panel that is less than everyone was judged."""
        return len(self.scores) < self.total["customers"]

    @property
    def total(self) -> pd.Series:
        """All scored customers: customers, churn_probability (mean), expected_spend, value_at_risk and clv (sums)."""
        if self.everyone is not None:
            return self.everyone.total
        sums = self.scores[["expected_spend", "value_at_risk", "clv"]].sum()
        means = {"customers": float(len(self.scores)), "churn_probability": self.scores["churn_probability"].mean()}
        return pd.concat([sums, pd.Series(means)])


def train(config: Config, progress: Progress = lambda stage: None) -> Run:
    """Run a config: read, fit, judge, refit, score.

    Parameters
    ----------
    config
        The run; see `churn_clv.config`.
    progress
        Called with the name of each stage as it begins.

    Returns
    -------
    Run. Nothing is written.

    Raises
    ------
    InputError
        For a log or dates that the run cannot stand on, in one line.
    """
    clock = Clock(progress)
    notes: list[str] = []
    with clock.stage("read the log"):
        evidence = open_evidence(config, notes)
        log, given = evidence.log, evidence.given
        windows = resolved_windows(config, log)
        check_given(evidence, windows)
    with clock.stage("choose the methods"), noted(notes):
        choice = choose(evidence, windows, progress)
    with clock.stage("fit as of calibration_end"), noted(notes):
        judged_models = fit_models(evidence, windows.calibration_end, windows.labels, choice.methods)
    with clock.stage("judge on the holdout"):
        judged = score(judged_models, log, windows.calibration_end, given)
        outcomes = _holdout_outcomes(log, windows)
        intervals = _intervals(config, log, windows, judged_models, outcomes)
        with noted(notes):
            rivals = rival_forecasts(evidence, windows, judged_models)
        judgement = judge(
            judged, outcomes, rivals, intervals=intervals, costs=config.evaluation.retention_costs(),
            bootstrap_samples=config.evaluation.bootstrap_samples, seed=config.evaluation.seed,
            learned=_learned(log, windows), counted_in=Unit(config.data.currency, log.value_is).noun,
        )  # fmt: skip
        judged_grid = cell_table(judged_models.grid, judged, outcomes, judged_models.playbook)
    with clock.stage("refit on the whole log"), noted(notes):
        models = fit_models(evidence, windows.score_as_of, windows.production_labels, choice.methods, judged_models)
    with clock.stage("score the customers"):
        customers = customer_table(models, log, windows.score_as_of, given)
        known = known_from(models, customers)
        contributions = models.churn.contributions(known)
        scores = score_known(models, known, contributions, windows.score_as_of, given)
        production_grid = cell_table(models.grid, scores, playbook=models.playbook)
        why = _cell_reasons(models, known, contributions, scores)
        outside = _outside_training(models, known)
    with clock.stage("judge the segments and plan actions"):
        biases = _past_biases(choice, judgement, notes)
        segmentation = segment(
            evidence, windows, judged_models, judged.join(outcomes), models, known, scores, biases
        )  # fmt: skip
    learned = [_labels(windows)] if judged_models.churn.members or judged_models.value.members else []
    notes += [*choice.headlines, *learned, *judgement.sentences()]
    return Run(
        config, log, windows, choice, models, judged_models, judged.join(outcomes), judged_grid, judgement, customers,
        scores, production_grid, why, segmentation, outside, fingerprint(evidence.whole or log), list(dict.fromkeys(notes)), clock.seconds,
        evidence.whole, given,
    )  # fmt: skip


def _intervals(
    config: Config, log: TransactionLog, windows: Windows, models: FittedModels, outcomes: pd.DataFrame
) -> dict[str, float]:
    """How well the purchase model's prediction intervals held on the holdout."""
    summary = summarize(log, windows.calibration_end, config.value.spend_days)
    horizon, seed = windows.horizon_days, config.evaluation.seed
    return interval_quality(models.purchases, summary, outcomes["purchases"], horizon, seed)


def open_evidence(config: Config, notes: list[str]) -> Evidence:
    """Read the log, its events and its customers' attributes."""
    log, attributes = opened_log(config), opened_attributes(config)
    if log.events is not None:
        touched = [step.told for step in log.events.steps if step.rows]
        left_out = f": {'; '.join(touched)}" if touched else ""
        notes.append(f"Events: {log.events.rows_in:,} rows in, {log.events.rows_out:,} out{left_out}.")
    check_accounts(config.segments.accounts(), attributes, list(SCORED_NUMBERS))
    return with_panel(config, log, attributes, notes)


def opened_log(config: Config) -> TransactionLog | SparkLog:
    """Read the log and its events, on the engine that the config names."""
    data = config.data
    asked: dict[str, Any] = {
        "events": data.events_table(), "use_events": data.use_events,
        "simulated": data.simulated.model_dump() | {"truth": Truth(**data.simulated.truth)},
    }  # fmt: skip
    where = (data.source, data.path, data.column_names(), data.reading_rules())
    return (
        open_log_on_spark(*where, **asked, master=data.spark_master)
        if data.engine == "spark" else
        open_log(*where, **asked, memory_limit=data.memory_limit, threads=data.threads, spill_directory=data.spill_directory)
    )  # fmt: skip


def opened_attributes(config: Config) -> pd.DataFrame | None:
    """Read what is given of the customers; None where nothing is, or where it is not to be used."""
    data, table = config.data, config.data.attributes
    if not data.use_attributes:
        return None
    return open_attributes(data.source, table.path if table else None, table.customer_id if table else "customer_id")


def with_panel(
    config: Config, log: TransactionLog | SparkLog, given: pd.DataFrame | None, notes: list[str]
) -> Evidence:
    """Take the panel of a log that has more customers, or that is not in this machine."""
    most = config.data.panel_customers or log.n_customers
    if most < log.n_customers:
        notes.append(
            f"A random panel of {most:,} of the {log.n_customers:,} customers stands for all in what the trees learned and in what is "
            "judged and described; purchase and spend model fit all of them, and all of them are scored."
        )
    elif isinstance(log, TransactionLog):
        return Evidence(config, log, given, notes)
    panel = panel_of(log, most) if isinstance(log, TransactionLog) else log.panel(most)
    return Evidence(config, panel, given, notes, whole=log)


def _cell_reasons(
    models: FittedModels, known: Known, contributions: pd.DataFrame, scores: pd.DataFrame
) -> pd.DataFrame:
    return cell_reasons(
        contributions, models.churn.tree_inputs(known), scores, models.settings.currency, corrected_model(models)
    )


def _past_biases(choice: Choice, judgement: Judgement, notes: list[str]) -> list[float]:
    """Relative errors of total value: on the holdout, and at the earlier origins that chose the methods."""
    found = [float(judgement.value.loc[("bias", RUN), "value"])]
    if choice.backtest is not None:
        found += choice.backtest.figures("value")[("bias", choice.methods.value)].tolist()
    nothing = sum(bias <= -1 for bias in found)
    if nothing:
        notes.append(
            f"At {nothing} of {len(found)} past dates the total was forecast as nothing: the interval of the customer "
            "equity leaves them out, it is too narrow."
        )
    return [bias for bias in found if bias > -1]


def _outside_training(models: FittedModels, known: Known) -> pd.Series:
    """Per feature, the share of scored customers outside the range the churn model learned from."""
    if models.churn.trees is None:
        return pd.Series(dtype=float, name="share_outside_training")
    return models.churn.trees.share_outside_training(models.churn.tree_inputs(known))


def resolved_windows(config: Config, log: Log) -> Windows:
    w = config.windows
    return resolve_windows(
        first_day=log.first_day, last_day=known_until(config, log), calibration_end=w.calibration_end, holdout_end=w.holdout_end,
        label_cutoffs=w.label_cutoffs, label_horizon=w.label_horizon, score_as_of=w.score_as_of,
    )  # fmt: skip


def known_until(config: Config, log: Log) -> date:
    """The last day the log speaks of: where the config names it, days without a purchase at the end are known too."""
    drawn = config.data.simulated
    if config.data.source == "simulated":
        return drawn.start + timedelta(days=drawn.days - 1)
    return config.data.end or log.last_day


def _holdout_outcomes(log: TransactionLog, windows: Windows) -> pd.DataFrame:
    return outcomes_after(log, [LabelWindow(windows.calibration_end, windows.horizon_days)]).droplevel("cutoff")


def _learned(log: TransactionLog, windows: Windows) -> pd.Series | None:
    """1 where a customer of a past label bought nothing, by cutoff and customer; only of labels as long as the holdout."""
    labels = [label for label in windows.labels if label.horizon_days == windows.horizon_days]
    return (outcomes_after(log, labels)["purchases"] == 0).astype(float) if labels else None


def _labels(windows: Windows) -> str:
    """Say what the models that learn from labels learned from."""
    full = windows.has_full_horizon_labels
    horizons = sorted({label.horizon_days for label in windows.labels})
    return (
        f"The churn model learned from {len(windows.labels)} past cutoffs with labels of the full horizon "
        f"({windows.horizon_days} days)." if full else
        f"No past label of the full horizon ({windows.horizon_days} days) exists; the churn model learned from "
        f"{len(windows.labels)} cutoffs with labels of {', '.join(map(str, horizons))} days, carried over by the purchase model."
    )  # fmt: skip


@contextmanager
def noted(notes: list[str]) -> Iterator[None]:
    """Keep what the models warn of as notes of the run instead of lines on the terminal."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ModelWarning)
        yield
    notes += [str(w.message) for w in caught if issubclass(w.category, ModelWarning)]
    for other in caught:
        if not issubclass(other.category, ModelWarning):
            warnings.warn_explicit(other.message, other.category, other.filename, other.lineno)
