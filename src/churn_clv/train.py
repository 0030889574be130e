"""One run, start to finish: read this first.

A log is cut at `calibration_end`. Models fitted on what was known then are judged on the holdout; then they are
refitted on the whole log and the customers are scored for real, in the grid that the judged scores froze.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from datetime import date, timedelta
from io import StringIO

import pandas as pd

from churn_clv.config import Config
from churn_clv.data.features import features_at, outcomes_after, with_attributes
from churn_clv.data.fingerprint import fingerprint
from churn_clv.data.open_log import open_attributes, open_log
from churn_clv.data.simulate import Truth
from churn_clv.data.summary import summarize
from churn_clv.data.transactions import TransactionLog
from churn_clv.data.windows import LabelWindow, Windows, duration_days, resolve_windows
from churn_clv.errors import InputError
from churn_clv.evaluation.intervals import interval_quality
from churn_clv.evaluation.judgement import Judgement, judge
from churn_clv.models import BetaGeoModel, GammaGammaModel, ModelWarning, ModifiedBetaGeoModel, ParetoNBDModel
from churn_clv.models.baselines import LastPurchaseRule, RFMLogistic
from churn_clv.models.churn import ChurnModel
from churn_clv.models.purchase_model import PurchaseModel
from churn_clv.score import FittedModels, ValueSettings, churn_inputs, expected_spend, score, value_and_risk
from churn_clv.segments.grid import Grid, cell_table, freeze_grid

Progress = Callable[[str], None]
FEWEST_CUSTOMERS = 20
PURCHASE_MODELS: dict[str, type[PurchaseModel]] = {
    "bg_nbd": BetaGeoModel,
    "mbg_nbd": ModifiedBetaGeoModel,
    "pareto_nbd": ParetoNBDModel,
}


@dataclass
class Run:
    """What a run found: everything a report, a score file or MLflow needs."""

    config: Config
    log: TransactionLog
    windows: Windows
    models: FittedModels
    judged_models: FittedModels
    judged: pd.DataFrame
    judged_grid: pd.DataFrame
    judgement: Judgement
    scores: pd.DataFrame
    production_grid: pd.DataFrame
    outside_training: pd.Series
    fingerprint: str
    notes: list[str]
    seconds: dict[str, float] = field(default_factory=dict)


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
    clock = _Clock(progress)
    notes: list[str] = []
    with clock.stage("read the log"):
        log, attributes = _open(config)
        windows = _windows(config, log)
    with clock.stage("fit as of calibration_end"), _noted(notes):
        judged_models = fit_models(config, log, windows.calibration_end, windows.labels, attributes, None, notes)
    with clock.stage("judge on the holdout"):
        judged = score(judged_models, log, windows.calibration_end, attributes)
        outcomes = _holdout_outcomes(log, windows)
        intervals = _intervals(config, log, windows, judged_models, outcomes)
        rivals = _rivals(config, log, windows, judged_models)
        judgement = judge(judged, outcomes, rivals, intervals=intervals, **config.evaluation.model_dump())
        judged_grid = cell_table(judged_models.grid, judged, outcomes)
    with clock.stage("refit on the whole log"), _noted(notes):
        models = fit_models(
            config, log, windows.score_as_of, windows.production_labels, attributes, judged_models.grid, notes
        )
    with clock.stage("score the customers"):
        scores = score(models, log, windows.score_as_of, attributes)
        production_grid = cell_table(models.grid, scores)
        outside = _outside_training(config, log, windows, models, attributes)
    notes += _remarks(windows, judgement)
    return Run(
        config, log, windows, models, judged_models, judged.join(outcomes), judged_grid, judgement, scores,
        production_grid, outside, fingerprint(log), list(dict.fromkeys(notes)), clock.seconds,
    )  # fmt: skip


def fit_models(
    config: Config,
    log: TransactionLog,
    as_of: date,
    labels: tuple[LabelWindow, ...],
    attributes: pd.DataFrame | None,
    grid: Grid | None,
    notes: list[str],
) -> FittedModels:
    """Fit every model on what was known on a day; without a grid, freeze one from that day's scores."""
    value = config.value
    summary = summarize(log, as_of, value.spend_days)
    check_enough(summary, as_of)
    purchases = fit_purchases(config, summary, as_of)
    spend = fit_spend(config, summary) if log.has_amount else None
    churn = fit_churn(config, log, labels, attributes, notes)
    settings = ValueSettings(
        (config.windows.holdout_end - config.windows.calibration_end).days, duration_days(value.clv_horizon),
        value.annual_discount_rate, value.spend_days,
    )  # fmt: skip
    ungridded = FittedModels(purchases, spend, churn, grid or Grid((), ()), settings)
    if grid is not None:
        return ungridded
    features = with_attributes(features_at(log, [as_of]), attributes).droplevel("cutoff")
    reference = value_and_risk(ungridded, summary, features)
    cuts = config.grid
    frozen = freeze_grid(reference["value_if_active"], reference["churn_probability"], cuts.value_cuts, cuts.risk_cuts)
    return FittedModels(purchases, spend, churn, frozen, settings)


def check_enough(summary: pd.DataFrame, as_of: date) -> None:
    """Refuse a log with too few customers to fit, let alone to judge."""
    if len(summary) < FEWEST_CUSTOMERS:
        raise InputError(
            f"only {len(summary)} customers had bought by {as_of}; a run needs at least {FEWEST_CUSTOMERS} there "
            "(windows.calibration_end) to fit and judge models"
        )


def fit_purchases(config: Config, summary: pd.DataFrame, as_of: date) -> PurchaseModel:
    """Fit the purchase model with the configured engine; the answers always come from our own formulas."""
    if not (summary["frequency"] > 0).any():
        raise InputError(
            f"none of the {len(summary)} customers known on {as_of} had bought on a second day by then; without repeat "
            "buyers no purchase rate can be learned: use a later date, or check that data.columns.customer_id "
            "is the customer and not the order"
        )
    model = PURCHASE_MODELS[config.value.purchase_model]
    if config.value.engine == "lifetimes":
        return model.from_lifetimes(_lifetimes_fit(model.lifetimes_name, summary, ["frequency", "recency", "T"]))
    return model().fit(summary)


def fit_spend(config: Config, summary: pd.DataFrame) -> GammaGammaModel:
    """Fit Gamma-Gamma with the configured engine and see that it has an answer for every customer."""
    try:
        if config.value.engine == "lifetimes":
            used = summary[(summary["monetary_days"] > 0) & (summary["monetary_value"] > 0)]
            fitter = _lifetimes_fit(GammaGammaModel.lifetimes_name, used, ["monetary_days", "monetary_value"])
            model = GammaGammaModel.from_lifetimes(fitter)
        else:
            model = GammaGammaModel().fit(summary)
        model.expected_spend(summary)
    except ValueError as error:
        raise InputError(
            f"no spend model: {error}; data.columns.amount: null counts purchases instead of money"
        ) from error
    return model


def fit_churn(
    config: Config,
    log: TransactionLog,
    labels: tuple[LabelWindow, ...],
    attributes: pd.DataFrame | None,
    notes: list[str],
) -> ChurnModel:
    """Fit the churn model on past cutoffs, each with the forecast a purchase model made from what was known then."""
    usable = [label for label in labels if _has_repeat_buyers(log, label.cutoff, config)]
    if not usable:
        cutoffs = ", ".join(str(label.cutoff) for label in labels)
        raise InputError(f"windows.label_cutoffs: no customer had bought twice by {cutoffs}; use later cutoffs")
    notes += [
        f"Label cutoff {w.cutoff} is left out: nobody had bought twice by then." for w in labels if w not in usable
    ]
    features = with_attributes(features_at(log, [label.cutoff for label in usable]), attributes)
    churned = (outcomes_after(log, usable)["purchases"] == 0).astype(float).rename("churned")
    parts = [past_inputs(config, log, label, features.xs(label.cutoff, level="cutoff")) for label in usable]
    inputs, offset = (pd.concat(column, names=["cutoff", "customer_id"]).reindex(features.index) for column in (
        {w.cutoff: part[0] for w, part in zip(usable, parts, strict=True)},
        {w.cutoff: part[1] for w, part in zip(usable, parts, strict=True)},
    ))  # fmt: skip
    model = ChurnModel(**config.churn.model_dump()).fit(inputs, churned, offset.rename("offset"))
    notes += [f"Churn model: {model.note_}."] if model.note_ else []
    return model


def past_inputs(
    config: Config, log: TransactionLog, label: LabelWindow, features: pd.DataFrame
) -> tuple[pd.DataFrame, pd.Series]:
    """What the churn model would have read at a past cutoff: the purchase model is fitted on what was known then."""
    summary = summarize(log, label.cutoff, config.value.spend_days)
    return churn_inputs(fit_purchases(config, summary, label.cutoff), summary, features, label.horizon_days)


def _rivals(config: Config, log: TransactionLog, windows: Windows, models: FittedModels) -> dict[str, pd.DataFrame]:
    """The predictions to beat, made from the same past: columns churn_probability, expected_purchases, expected_spend."""
    end, horizon, days = windows.calibration_end, windows.horizon_days, config.value.spend_days
    summary = summarize(log, end, days)
    purchases = models.purchases.expected_purchases(summary, horizon)
    rivals = {
        f"{config.value.purchase_model}_gamma_gamma": pd.DataFrame({
            "churn_probability": models.purchases.probability_no_purchase(summary, horizon),
            "expected_purchases": purchases,
            "expected_spend": purchases * expected_spend(models.spend, summary),
        }),
        "last_period": _last_period(log, windows, summary.index),
    }  # fmt: skip
    past = pd.concat(
        {w.cutoff: summarize(log, w.cutoff, days) for w in windows.labels}, names=["cutoff", "customer_id"]
    )
    churned = (outcomes_after(log, windows.labels)["purchases"] == 0).astype(float)
    labels = churned.reindex(past.index)
    rivals["logistic_rfm"] = RFMLogistic().fit(past, labels).predict_probability(summary).to_frame()
    rivals["last_purchase_rule"] = LastPurchaseRule().fit(past, labels).predict_probability(summary).to_frame()
    return rivals


def _intervals(
    config: Config, log: TransactionLog, windows: Windows, models: FittedModels, outcomes: pd.DataFrame
) -> dict[str, float]:
    """How well the purchase model's prediction intervals held on the holdout."""
    summary = summarize(log, windows.calibration_end, config.value.spend_days)
    horizon, seed = windows.horizon_days, config.evaluation.seed
    return interval_quality(models.purchases, summary, outcomes["purchases"], horizon, seed)


def _last_period(log: TransactionLog, windows: Windows, customers: pd.Index) -> pd.DataFrame:
    """The forecast that the last horizon repeats itself, for old customers and for those who were new in it."""
    period = LabelWindow(windows.calibration_end - timedelta(days=windows.horizon_days), windows.horizon_days)
    columns = {"purchases": "expected_purchases", "spend": "expected_spend"}
    old = outcomes_after(log, [period]).droplevel("cutoff").rename(columns=columns)
    everyone = summarize(log, windows.calibration_end, "all")
    new = everyone[everyone["T"] < windows.horizon_days]
    first = pd.DataFrame(
        {"expected_purchases": new["monetary_days"], "expected_spend": new["monetary_value"] * new["monetary_days"]}
    )
    return pd.concat([old, first]).reindex(customers).fillna(0.0)


def _open(config: Config) -> tuple[TransactionLog, pd.DataFrame | None]:
    data = config.data
    simulated = data.simulated.model_dump() | {"truth": Truth(**data.simulated.truth)}
    log = open_log(
        data.source,
        data.path,
        data.column_names(),
        data.reading_rules(),
        simulated=simulated,
        memory_limit=data.memory_limit,
    )
    table = data.attributes
    return log, open_attributes(
        data.source, table.path if table else None, table.customer_id if table else "customer_id"
    )


def _outside_training(
    config: Config, log: TransactionLog, windows: Windows, models: FittedModels, attributes: pd.DataFrame | None
) -> pd.Series:
    """Per feature, the share of scored customers outside the range the churn model learned from."""
    features = with_attributes(features_at(log, [windows.score_as_of]), attributes).droplevel("cutoff")
    summary = summarize(log, windows.score_as_of, config.value.spend_days)
    inputs, _ = churn_inputs(models.purchases, summary, features, windows.horizon_days)
    return models.churn.share_outside_training(inputs)


def _windows(config: Config, log: TransactionLog) -> Windows:
    w = config.windows
    return resolve_windows(
        first_day=log.first_day, last_day=_known_until(config, log), calibration_end=w.calibration_end, holdout_end=w.holdout_end,
        label_cutoffs=w.label_cutoffs, label_horizon=w.label_horizon, score_as_of=w.score_as_of,
    )  # fmt: skip


def _known_until(config: Config, log: TransactionLog) -> date:
    """The last day the log speaks of: where the config names it, days without a purchase at the end are known too."""
    drawn = config.data.simulated
    if config.data.source == "simulated":
        return drawn.start + timedelta(days=drawn.days - 1)
    return config.data.end or log.last_day


def _holdout_outcomes(log: TransactionLog, windows: Windows) -> pd.DataFrame:
    return outcomes_after(log, [LabelWindow(windows.calibration_end, windows.horizon_days)]).droplevel("cutoff")


def _has_repeat_buyers(log: TransactionLog, cutoff: date, config: Config) -> bool:
    return bool((summarize(log, cutoff, config.value.spend_days)["frequency"] > 0).any())


def _lifetimes_fit(fitter: str, frame: pd.DataFrame, columns: list[str]) -> object:
    """Fit by lifetimes, without its warnings and its print-outs."""
    with warnings.catch_warnings(), redirect_stdout(StringIO()):
        warnings.simplefilter("ignore")
        import lifetimes
        from lifetimes.utils import ConvergenceError

        try:
            return getattr(lifetimes, fitter)().fit(*(frame[c] for c in columns))
        except ConvergenceError:
            raise InputError(
                f"lifetimes' {fitter} did not converge on {len(frame)} customers; use value.engine: native"
            ) from None


def _remarks(windows: Windows, judgement: Judgement) -> list[str]:
    full = windows.has_full_horizon_labels
    horizons = sorted({label.horizon_days for label in windows.labels})
    labels = (
        f"The churn model learned from {len(windows.labels)} past cutoffs with labels of the full horizon "
        f"({windows.horizon_days} days)." if full else
        f"No past label of the full horizon ({windows.horizon_days} days) exists; the churn model learned from "
        f"{len(windows.labels)} cutoffs with labels of {', '.join(map(str, horizons))} days, carried over by the offset."
    )  # fmt: skip
    calibrator = "No calibrator is fitted on top of the churn model; the holdout shows how far its probabilities hold."
    return [labels, calibrator, *judgement.sentences()]


class _Clock:
    """Names the stage that runs and keeps how long each took, in seconds of wall time."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self._progress(name)
        start = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - start


@contextmanager
def _noted(notes: list[str]) -> Iterator[None]:
    """Keep what the models warn of as notes of the run instead of lines on the terminal."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ModelWarning)
        yield
    notes += [str(w.message) for w in caught if issubclass(w.category, ModelWarning)]
    for other in caught:
        if not issubclass(other.category, ModelWarning):
            warnings.warn_explicit(other.message, other.category, other.filename, other.lineno)
