"""A log and a day -> fitted models: each is fitted on what was known that day and on labels complete by then.

Purchase and spend models fit every customer of the log; trees and cuts learn from the panel, which may be all of them.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from io import StringIO
from typing import Any

import pandas as pd

from churn_clv.config import Config
from churn_clv.data.description import describe
from churn_clv.data.events import event_kinds
from churn_clv.data.feature_names import Description
from churn_clv.data.features import outcomes_after
from churn_clv.data.fit_rows import FitRows, fit_rows
from churn_clv.data.log import Log
from churn_clv.data.spark_log import SparkLog
from churn_clv.data.summary import summarize
from churn_clv.data.transactions import TransactionLog
from churn_clv.data.windows import LabelWindow, duration_days
from churn_clv.errors import InputError
from churn_clv.models import BetaGeoModel, GammaGammaModel, ModifiedBetaGeoModel, ParetoNBDModel
from churn_clv.models.calibrator import PlattCalibrator
from churn_clv.models.known import Known, Past
from churn_clv.models.purchase_model import PurchaseModel
from churn_clv.models.risk import RiskModel
from churn_clv.models.value import METHODS as VALUE_METHODS
from churn_clv.models.value import ValueModel
from churn_clv.playbook_file import load_playbook
from churn_clv.score import FittedModels, ValueSettings, value_and_risk
from churn_clv.segments.accounts import Accounts
from churn_clv.segments.grid import Grid, freeze_grid
from churn_clv.segments.playbook import Playbook
from churn_clv.segments.schemes import Schemes, freeze_schemes

FEWEST_CUSTOMERS = 20
PURCHASE_MODELS: dict[str, type[PurchaseModel]] = {
    "bg_nbd": BetaGeoModel,
    "mbg_nbd": ModifiedBetaGeoModel,
    "pareto_nbd": ParetoNBDModel,
}


@dataclass(frozen=True)
class Evidence:
    """What a run stands on: its config, the log with its events, and what was given of each customer.

    log: of the panel, which stands for everyone. whole: of everyone, where the panel is less.
    given: customer attributes by id, accounts included; `attributes` are those that models may read.
    """

    config: Config
    log: TransactionLog
    given: pd.DataFrame | None = None
    notes: list[str] = field(default_factory=list)
    whole: TransactionLog | SparkLog | None = None

    @property
    def everyone(self) -> Log:
        return self.whole or self.log

    @cached_property
    def accounts(self) -> Accounts:
        return self.config.segments.accounts()

    @cached_property
    def playbook(self) -> Playbook:
        return load_playbook(self.config.actions.playbook)

    @cached_property
    def attributes(self) -> pd.DataFrame | None:
        return None if self.given is None else self.given.drop(columns=self.accounts.columns(self.given))


@dataclass(frozen=True)
class Methods:
    """How risk and value are forecast, with LightGBM's settings, and the calibrator if one has earned its place."""

    churn: str
    value: str
    trees: Mapping[str, Any]
    calibrator: PlattCalibrator | None = None


def fit_models(
    evidence: Evidence,
    as_of: date,
    labels: Sequence[LabelWindow],
    methods: Methods,
    reference: FittedModels | None = None,
) -> FittedModels:
    """Fit every model on what was known on a day; cut points are those of `reference`, or frozen from that day's scores."""
    config = evidence.config
    description = description_at(evidence, labels)
    settings = ValueSettings(
        (config.windows.holdout_end - config.windows.calibration_end).days, duration_days(config.value.clv_horizon),
        config.value.annual_discount_rate, config.value.spend_days, description.feature_set, description.event_kinds,
        config.data.currency or "", evidence.log.value_is,
    )  # fmt: skip
    features = describe(evidence.log, [as_of], settings.description, evidence.attributes).droplevel("cutoff")
    known = known_at(evidence, as_of, settings.horizon_days, features)
    past = past_of(evidence, labels, description, with_spend=bool(VALUE_METHODS[methods.value]))
    churn = RiskModel(methods.churn, methods.trees).fit(past)
    churn.calibrator = methods.calibrator
    if churn.note:
        evidence.notes.append(f"Churn model: {churn.note}.")
    value = ValueModel(methods.value, methods.trees).fit(past)
    grid, schemes = (reference.grid, reference.schemes) if reference else _cuts(
        evidence, known, value_and_risk(churn, value, settings, known).assign(horizon_days=settings.horizon_days)
    )  # fmt: skip
    return FittedModels(
        known.purchases, known.spend, churn, value, grid, schemes, evidence.playbook, evidence.accounts, settings
    )


def _cuts(evidence: Evidence, known: Known, scores: pd.DataFrame) -> tuple[Grid, Schemes]:
    """Freeze the cut points of the grid and of every scheme from the scores of one day."""
    section, attributes = evidence.config.grid, evidence.attributes
    grid = freeze_grid(scores[section.value_axis], scores["churn_probability"], *section.cuts(), section.value_axis)
    traits = [] if attributes is None else [str(name) for name in attributes.columns]
    return grid, freeze_schemes(scores, known.features, traits, evidence.config.segments.seed)


def description_at(evidence: Evidence, labels: Sequence[LabelWindow]) -> Description:
    """Say which features models learn from; kinds of events count only if they had been seen by the last label cutoff."""
    kinds = event_kinds(evidence.log, labels[-1].cutoff)
    return Description(evidence.config.churn.features, tuple(kinds))


def known_at(evidence: Evidence, as_of: date, horizon_days: int, features: pd.DataFrame) -> Known:
    """Fit purchase and spend model on what was known on a day; `features` are that day's."""
    config = evidence.config
    rows = fit_rows(evidence.everyone, as_of, config.value.spend_days)
    check_enough(rows, as_of)
    purchases = fit_purchases(config, rows, as_of)
    spend = fit_spend(config, rows) if evidence.log.has_amount else None
    summary = summarize(evidence.log, as_of, config.value.spend_days)
    return Known(summary.loc[features.index], features, purchases, spend, horizon_days)


def past_of(evidence: Evidence, labels: Sequence[LabelWindow], description: Description, with_spend: bool) -> Past:
    """What models may learn from: past cutoffs, each with the forecasts that were possible then, and what came after.

    Cutoffs at which no purchase model, or no spend model where one is asked for, could have been fitted are left out
    and noted.

    Raises
    ------
    InputError
        If no cutoff is left.
    """
    features = describe(evidence.log, [label.cutoff for label in labels], description, evidence.attributes)
    known, why = {}, ""
    for label in labels:
        try:
            here = features.xs(label.cutoff, level="cutoff") if label.cutoff in features.index.levels[0] else None
            known[label.cutoff] = past_inputs(evidence, label, here, with_spend)
        except InputError as error:
            why = str(error)
            evidence.notes.append(f"Label cutoff {label.cutoff} is left out: {why}.")
    used = [label for label in labels if label.cutoff in known]
    check_learned(labels, used, why)
    return Past(known, outcomes_after(evidence.log, used))


def past_inputs(evidence: Evidence, label: LabelWindow, features: pd.DataFrame | None, with_spend: bool) -> Known:
    """What models would have read at a past cutoff: purchase and spend model are fitted on what was known then."""
    config = evidence.config
    rows = fit_rows(evidence.everyone, label.cutoff, config.value.spend_days)
    with_spend = with_spend and evidence.log.has_amount
    check_past(rows, with_spend)
    if features is None:
        raise InputError("nobody of the panel had bought by then")
    purchases = fit_purchases(config, rows, label.cutoff)
    spend = fit_spend(config, rows) if with_spend else None
    summary = summarize(evidence.log, label.cutoff, config.value.spend_days)
    return Known(summary.loc[features.index], features, purchases, spend, label.horizon_days)


def check_past(rows: FitRows, with_spend: bool) -> None:
    """Refuse a past cutoff by which nobody had bought twice, or, where a spend model is needed, had spent anything."""
    if not has_repeats(rows):
        raise InputError("nobody had bought twice by then")
    if with_spend:
        check_spend(rows)


def check_learned(labels: Sequence[LabelWindow], used: Sequence[LabelWindow], why: str) -> None:
    """Refuse past cutoffs none of which is used; `why` is that of the last one."""
    if not used:
        cutoffs = ", ".join(str(label.cutoff) for label in labels)
        raise InputError(f"windows.label_cutoffs: nothing can be learned at {cutoffs} ({why}); use later cutoffs")


def check_enough(rows: FitRows, as_of: date) -> None:
    """Refuse a log with too few customers to fit, let alone to judge."""
    if rows.customers < FEWEST_CUSTOMERS:
        raise InputError(
            f"only {rows.customers} customer{'s' * (rows.customers != 1)} had bought by {as_of}; a run needs at least {FEWEST_CUSTOMERS} there "
            "(windows.calibration_end) to fit and judge models"
        )


def has_repeats(rows: FitRows) -> bool:
    """Tell whether anybody had bought on a second day."""
    return bool((rows.histories["frequency"] > 0).any())


def check_repeats(rows: FitRows, as_of: date) -> None:
    """Refuse a day by which nobody had bought on a second day."""
    if not has_repeats(rows):
        raise InputError(
            f"none of the {rows.customers} customers known on {as_of} had bought on a second day by then; without repeat "
            "buyers no purchase rate can be learned: use a later date, or check that data.columns.customer_id "
            "is the customer and not the order"
        )


def fit_purchases(config: Config, rows: FitRows, as_of: date) -> PurchaseModel:
    """Fit the purchase model with the configured engine; the answers always come from our own formulas."""
    check_repeats(rows, as_of)
    model = PURCHASE_MODELS[config.value.purchase_model]
    if config.value.engine == "lifetimes":
        return model.from_lifetimes(_lifetimes_fit(model.lifetimes_name, rows.histories, ["frequency", "recency", "T"]))
    return model().fit(rows.histories, weights=rows.histories["customers"])


def check_spend(rows: FitRows) -> None:
    """Refuse customers none of whom has a positive mean amount."""
    if not ((rows.spend["monetary_days"] > 0) & (rows.spend["monetary_value"] > 0)).any():
        raise InputError(
            "no spend model: nobody has a positive mean amount on the days that value.spend_days counts; "
            "data.columns.amount: null counts purchases instead of money"
        )


def fit_spend(config: Config, rows: FitRows) -> GammaGammaModel:
    """Fit Gamma-Gamma with the configured engine and see that it has an answer for every customer."""
    check_spend(rows)
    spend = rows.spend
    try:
        if config.value.engine == "lifetimes":
            used = spend[(spend["monetary_days"] > 0) & (spend["monetary_value"] > 0)]
            fitter = _lifetimes_fit(GammaGammaModel.lifetimes_name, used, ["monetary_days", "monetary_value"])
            model = GammaGammaModel.from_lifetimes(fitter)
        else:
            model = GammaGammaModel().fit(spend, weights=spend["customers"])
        model.expected_spend(spend)
    except ValueError as error:
        raise InputError(
            f"no spend model: {error}; data.columns.amount: null counts purchases instead of money"
        ) from error
    return model


def _lifetimes_fit(fitter: str, rows: pd.DataFrame, columns: list[str]) -> object:
    """Fit by lifetimes, without its warnings and its print-outs."""
    with warnings.catch_warnings(), redirect_stdout(StringIO()):
        warnings.simplefilter("ignore")
        import lifetimes
        from lifetimes.utils import ConvergenceError

        try:
            return getattr(lifetimes, fitter)().fit(*(rows[c] for c in columns), weights=rows["customers"])
        except ConvergenceError:
            raise InputError(
                f"lifetimes' {fitter} did not converge on {rows['customers'].sum():.0f} customers; use value.engine: native"
            ) from None
