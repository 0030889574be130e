"""The same question at many origins: every method forecasts from what was known then, and is compared with what came.

One holdout is one date's luck. Origins whose holdouts overlap are shown, but only those that do not overlap are
counted as independent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd

from churn_clv.data.description import describe
from churn_clv.data.features import outcomes_after
from churn_clv.data.windows import LabelWindow, Windows, resolve_windows
from churn_clv.errors import InputError
from churn_clv.evaluation.judgement import CALIBRATED
from churn_clv.evaluation.metrics import VALUE_METRICS, churn_metrics
from churn_clv.evaluation.profit import RetentionCosts
from churn_clv.fits import Evidence, description_at, known_at, past_of
from churn_clv.models.calibrator import PlattCalibrator
from churn_clv.models.known import Known, Past
from churn_clv.models.risk import METHODS as CHURN_METHODS
from churn_clv.models.risk import TREES, RiskModel, past_tree_inputs
from churn_clv.models.risk import fit_members as fit_churn_members
from churn_clv.models.tuning import SEARCHED, search
from churn_clv.models.value import METHODS as VALUE_METHODS
from churn_clv.models.value import ValueModel
from churn_clv.models.value import fit_members as fit_value_members
from churn_clv.rivals import pareto_at

PARETO = "pareto_nbd"  # shown beside the methods, never champion


@dataclass(frozen=True)
class Origin:
    """One origin: what every method forecast there, and what came."""

    windows: Windows
    outcomes: pd.DataFrame
    risk: pd.DataFrame
    spend: pd.DataFrame
    tree_settings: Mapping[str, Any]

    @property
    def as_of(self) -> date:
        return self.windows.calibration_end

    @property
    def churned(self) -> np.ndarray:
        return (self.outcomes["purchases"] == 0).to_numpy(float)


@dataclass(frozen=True)
class Backtest:
    """Forecasts and outcomes at every origin.

    churn, value: one row an origin, columns (metric, method). apart: origins whose holdouts do not overlap.
    """

    origins: tuple[Origin, ...]
    apart: tuple[date, ...]
    churn: pd.DataFrame
    value: pd.DataFrame

    def figures(self, task: str, only_apart: bool = True) -> pd.DataFrame:
        """Return the figures of a task, by default only of origins that count as independent."""
        table = self.churn if task == "churn" else self.value
        return table.loc[list(self.apart)] if only_apart else table


def backtest(
    evidence: Evidence,
    windows: Sequence[Windows],
    apart: Sequence[date],
    methods: Mapping[str, Sequence[str]],
    risk_of_value: str | Callable[[pd.DataFrame], str],
    progress: Callable[[str], None] = lambda stage: None,
) -> Backtest:
    """Forecast at every origin by every method and compare with what came.

    Parameters
    ----------
    windows
        One per origin; see `churn_clv.data.windows.rolling_origins`.
    apart
        The origins that count as independent.
    methods
        "churn" and "value" -> methods, from the simplest to the most complex.
    risk_of_value
        The churn method whose R enters value, or a function that chooses it from the churn figures of the origins apart.

    Returns
    -------
    Backtest. For each churn method stands beside it `<method>_calibrated`, with a calibrator learned on the origins
    that were over by then; it is missing at the first origins. Origins at which a model could not be fitted are left
    out and noted.

    Raises
    ------
    InputError
        If no origin is left.
    """
    drafts, why = [], ""
    for window in windows:
        progress(f"forecast as of {window.calibration_end}")
        try:
            drafts.append(_draft(evidence, window, methods))
        except InputError as error:
            why = str(error)
            evidence.notes.append(f"Origin {window.calibration_end} is left out: {why}.")
    if not drafts:
        raise InputError(f"at none of {len(windows)} origins could a model be fitted ({why})")
    apart = [draft.as_of for draft in drafts if draft.as_of in apart]
    risks = [_with_calibrated(drafts, k) for k in range(len(drafts))]
    costs = evidence.config.evaluation.retention_costs()
    churn = _figures("churn", drafts, risks, costs)
    chosen = risk_of_value if isinstance(risk_of_value, str) else risk_of_value(churn.loc[list(apart)])
    spends = [draft.spend(risk[chosen]) for draft, risk in zip(drafts, risks, strict=True)]
    origins = tuple(
        Origin(d.windows, d.outcomes, risk, spend, d.tree_settings)
        for d, risk, spend in zip(drafts, risks, spends, strict=True)
    )
    return Backtest(origins, tuple(apart), churn, _figures("value", drafts, spends, costs))


def windows_at(evidence: Evidence, origins: Sequence[date], horizon_days: int, main: Windows) -> list[Windows]:
    """Return the windows of each origin; at the run's own calibration_end those of the run."""
    found = []
    for day in origins:
        if day == main.calibration_end and horizon_days == main.horizon_days:
            found.append(main)
            continue
        end = day + timedelta(days=horizon_days)
        found.append(
            resolve_windows(first_day=evidence.log.first_day, last_day=max(end, main.score_as_of), calibration_end=day,
                            holdout_end=end, score_as_of=max(end, main.score_as_of))
        )  # fmt: skip
    return found


def calibrator_from(backtest: Backtest, method: str) -> tuple[PlattCalibrator | None, str]:
    """Return a calibrator learned on all origins apart if it would have won on at least three of them, and why.

    At each origin the calibrator learned on the origins before; it wins where that lowered the log loss.
    """
    figures = backtest.figures("churn")
    gains = (figures[("log_loss", method)] - figures[("log_loss", method + CALIBRATED)]).dropna()
    wins = int((gains > 0).sum())
    tried = f"a calibrator learned on earlier origins lowered the log loss at {wins} of {len(gains)} origins"
    if wins < 3 or wins < 2 / 3 * len(gains) or gains.mean() <= 0:
        return None, f"No calibrator: {tried} (three, and two thirds of them, are asked for)."
    known = [o for o in backtest.origins if o.as_of in backtest.apart]
    return _platt(known, method), f"Calibrator: {tried} (mean gain {gains.mean():.4f})."


@dataclass(frozen=True)
class _Draft:
    windows: Windows
    outcomes: pd.DataFrame
    risk: pd.DataFrame
    known: Known
    value: Mapping[str, ValueModel]
    pareto_spend: pd.Series
    tree_settings: Mapping[str, Any]

    @property
    def as_of(self) -> date:
        return self.windows.calibration_end

    def spend(self, risk: pd.Series) -> pd.DataFrame:
        columns = {name: model.forecast(self.known, risk)["expected_spend"] for name, model in self.value.items()}
        return pd.DataFrame(columns | {PARETO: self.pareto_spend})


def _draft(evidence: Evidence, window: Windows, methods: Mapping[str, Sequence[str]]) -> _Draft:
    description = description_at(evidence, window.labels)
    as_of, horizon = window.calibration_end, window.horizon_days
    features = describe(evidence.log, [as_of], description, evidence.attributes).droplevel("cutoff")
    known = known_at(evidence, as_of, horizon, features)
    past = past_of(evidence, window.labels, description, with_spend=any(VALUE_METHODS[m] for m in methods["value"]))
    trees, _ = tuned(evidence, past, methods["churn"])
    pareto = pareto_at(known)
    risk = _risks(known, past, methods["churn"], trees).assign(**{PARETO: pareto.own_risk})
    members = fit_value_members(_members(VALUE_METHODS, methods["value"]), past, trees)
    value = {name: ValueModel(name, trees).fit(past, members) for name in methods["value"]}
    outcomes = outcomes_after(evidence.log, [LabelWindow(as_of, horizon)]).droplevel("cutoff").loc[known.summary.index]
    return _Draft(window, outcomes, risk, known, value, pareto.own_spend, trees)


def tuned(evidence: Evidence, past: Past, methods: Sequence[str]) -> tuple[dict[str, Any], pd.DataFrame | None]:
    """Return LightGBM's settings and the trials of the search: the configured ones and None where no search is asked for."""
    settings, asked = evidence.config.churn.trees(), evidence.config.churn.search
    with_trees = [m for m in methods if set(CHURN_METHODS[m]) & set(TREES)]
    if asked is None or not with_trees:
        return settings, None
    inputs, offset = past_tree_inputs(with_trees[0], past)
    fixed = {name: value for name, value in settings.items() if name not in SEARCHED}
    try:
        found, trials = search(
            inputs, past.churned, offset, trials=asked.trials, seconds=asked.seconds, seed=settings["seed"], fixed=fixed,
            start="base_rate" if offset is None else "offset",
        )  # fmt: skip
    except ValueError as error:
        evidence.notes.append(f"No search for LightGBM's settings: {error}.")
        return settings, None
    return settings | found, trials


def _risks(known: Known, past: Past, methods: Sequence[str], trees: Mapping[str, Any]) -> pd.DataFrame:
    members = fit_churn_members(_members(CHURN_METHODS, methods), past, trees)
    risk = {name: RiskModel(name, trees).fit(past, members).predict_probability(known) for name in methods}
    return pd.DataFrame(risk)


def _members(methods: Mapping[str, tuple[str, ...]], chosen: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(member for name in chosen for member in methods[name]))


def _with_calibrated(drafts: Sequence[_Draft], k: int) -> pd.DataFrame:
    """The risks of an origin, and each calibrated on the origins that were over when it began."""
    here = drafts[k]
    before = [d for d in drafts[:k] if d.windows.holdout_end <= here.as_of]
    risk = here.risk.copy()
    for name in here.risk.columns:
        if before and name in CHURN_METHODS:
            log_odds = _platt(before, name).transform(_logit(here.risk[name]))
            risk[name + CALIBRATED] = 1 / (1 + np.exp(-log_odds))
    return risk


def _platt(origins: Sequence[Origin] | Sequence[_Draft], method: str) -> PlattCalibrator:
    log_odds = pd.concat([_logit(o.risk[method]) for o in origins], ignore_index=True)
    churned = pd.concat([(o.outcomes["purchases"] == 0).astype(float) for o in origins], ignore_index=True)
    return PlattCalibrator().fit(log_odds, churned)


def _logit(risk: pd.Series) -> pd.Series:
    p = risk.clip(1e-12, 1 - 1e-12)
    return np.log(p) - np.log1p(-p)


def _figures(
    task: str, drafts: Sequence[_Draft], predictions: Sequence[pd.DataFrame], costs: RetentionCosts
) -> pd.DataFrame:
    """One row an origin, columns (metric, method)."""
    metrics = churn_metrics(costs) if task == "churn" else VALUE_METRICS
    rows = {}
    for draft, predicted in zip(drafts, predictions, strict=True):
        actual = (draft.outcomes["purchases"] == 0).astype(float) if task == "churn" else draft.outcomes["spend"]
        ones = np.ones(len(actual))
        rows[draft.as_of] = {
            (metric, name): prepare(actual.to_numpy(float), predicted[name].to_numpy(float))(ones)
            for metric, prepare in metrics.items()
            for name in predicted.columns
        }
    table = pd.DataFrame.from_dict(rows, orient="index")
    table.columns = pd.MultiIndex.from_tuples(table.columns, names=["metric", "method"])
    return table.rename_axis("origin")
