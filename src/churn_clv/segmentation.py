"""The segments of a run: how good they are, how customers move between them, and what acting on them is expected to earn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cached_property
from itertools import pairwise

import pandas as pd

from churn_clv.data.cohorts import Period, acquired_between, cohort_activity, cohort_of, cohort_period
from churn_clv.data.engine import query
from churn_clv.data.features import outcomes_after
from churn_clv.data.small_tables import read_small_table
from churn_clv.data.sources import expanded
from churn_clv.data.summary import summarize
from churn_clv.data.windows import DAYS_PER_YEAR, LabelWindow, Windows, duration_days
from churn_clv.errors import InputError
from churn_clv.evaluation.cohort_calibration import cohort_calibration, cohort_fit
from churn_clv.evaluation.equity import Equity, customer_equity, own_error_of_total
from churn_clv.evaluation.payback import payback
from churn_clv.fits import Evidence
from churn_clv.models.known import Known
from churn_clv.playbook_file import load_playbook
from churn_clv.score import FittedModels, placed
from churn_clv.score_log import known_to
from churn_clv.segments.acceptance import accept
from churn_clv.segments.accounts import acquisition_costs, other_values
from churn_clv.segments.cluster_words import describe, differences
from churn_clv.segments.lists import LookAlikes, look_alikes, win_back
from churn_clv.segments.migration import moves, what_changed
from churn_clv.segments.outcomes import outcomes_by
from churn_clv.segments.outreach import budget_table, contact_plan
from churn_clv.segments.quality import quality
from churn_clv.segments.retention import cohort_table
from churn_clv.segments.rfm_rival import Rival, rfm_rival
from churn_clv.segments.schemes import SCHEMES, behaviour, in_order, without_dates

FEWEST_RIVAL_CUSTOMERS = 50
GRID = "segment"
ALL_SCHEMES = (GRID, *SCHEMES)
BUDGETED = (GRID, "value_tier", "risk_tier", *SCHEMES)


@dataclass(frozen=True)
class Placement:
    """Customers scored and placed on a day, and the behaviour behind it."""

    day: date
    scores: pd.DataFrame
    behaviour: pd.DataFrame


@dataclass(frozen=True)
class Movement:
    """What changed between two placements of the same models and cuts; `changes` along each axis of the grid."""

    before: Placement
    after: Placement
    changes: dict[str, pd.DataFrame]


@dataclass(frozen=True)
class Cohorts:
    """Customers by the period of their first purchase: activity and worth today, and how the forecasts held for each."""

    period: Period
    activity: pd.DataFrame
    table: pd.DataFrame
    calibration: pd.DataFrame
    fit: pd.DataFrame
    payback: pd.DataFrame | None


@dataclass(frozen=True)
class Segmentation:
    """Everything about the segments of a run that a report, a folder of lists or MLflow needs.

    placements: the judged models' at three days, the last of them calibration_end. production: the day's customers by the
    refitted models and the same cuts. plan: what contacting each of them is expected to cost and to earn.
    """

    acceptance: pd.DataFrame
    quality: pd.DataFrame
    outcomes: dict[str, pd.DataFrame]
    placements: tuple[Placement, ...]
    movements: tuple[Movement, ...]
    production: Placement
    profiles: dict[str, pd.DataFrame]
    differences: dict[str, pd.DataFrame]
    plan: pd.DataFrame
    budgets: dict[str, pd.DataFrame]
    win_back: pd.DataFrame
    look_alikes: LookAlikes
    other_values: pd.DataFrame
    prospects: pd.Index
    cohorts: Cohorts
    equity: Equity

    @cached_property
    def metrics(self) -> dict[str, float]:
        """Return the segments' figures under stable names."""
        found = {f"grid/{name}": figure for name, figure in self.acceptance["figure"].items()}
        for scheme, row in self.quality.iterrows():
            found |= {
                f"segments/{scheme}/{name}": row[name]
                for name in ("spend_epsilon2", "churn_epsilon2", "stayed", "kappa")
            }
        planned = self.budgets[GRID].sum()
        found |= {
            "grid/criteria_failed": float((self.acceptance["passes"] == False).sum()),  # noqa: E712 (None is neither)
            "actions/contacted": planned["contacted"], "actions/expected_profit": planned["contact_profit"],
            "actions/expected_outlay": planned["outlay"], "actions/win_back": float(len(self.win_back)),
            "equity/total": self.equity.total, "equity/low": self.equity.low, "equity/high": self.equity.high,
        }  # fmt: skip
        return {name: float(value) for name, value in found.items() if value == value}


def check_given(evidence: Evidence, windows: Windows) -> None:
    """Refuse, before anything is fitted, what was given for the segments and does not fit the log.

    Raises
    ------
    InputError
        If the playbook, the save rates or the acquisition costs cannot be read or leave a customer out, if customers spent more
        here than in total, or if money is named for a log without amounts.
    """
    actions, accounts = evidence.config.actions, evidence.accounts
    load_playbook(actions.playbook)
    summary = summarize(evidence.log, windows.score_as_of)
    if actions.save_rates is not None:
        buyers = evidence.everyone.frame(query("acquired"), {"as_of": windows.score_as_of})["customer_id"]
        _rates(actions.save_rates, pd.Index(buyers))
    acquisition_costs(accounts, summary.index, evidence.given)
    other_values(replace(accounts, weights={}), summary, evidence.given)
    money = {
        "actions.budget": actions.budget, "segments.total_spend": accounts.total_spend,
        "segments.cost_to_serve": accounts.cost_to_serve, "segments.acquisition_cost": accounts.acquisition_cost,
    }  # fmt: skip
    named = [key for key, given in money.items() if given is not None]
    if evidence.log.value_is == "purchases" and named:
        raise InputError(
            f"{', '.join(named)}: money means nothing in a log without amounts, where purchases are counted; map "
            "data.columns.amount, or leave it out"
        )
    if evidence.log.value_is == "margin" and accounts.total_spend is not None:
        raise InputError(
            "segments.total_spend: the log's value is margin, which is no share of what customers spend; leave it out, or "
            "leave out data.columns.margin and data.margin_rate"
        )


def segment(
    evidence: Evidence,
    windows: Windows,
    judged_models: FittedModels,
    judged: pd.DataFrame,
    models: FittedModels,
    known: Known,
    scores: pd.DataFrame,
    biases: Sequence[float],
) -> Segmentation:
    """Judge the segments on the holdout, follow customers between them, and plan what is done with today's.

    Parameters
    ----------
    judged
        Scores made at calibration_end with the holdout's purchases and spend.
    known, scores
        Today's customers: what the production models read, and their scores.
    biases
        Relative errors of past totals of value, one an origin whose holdouts do not overlap.

    Raises
    ------
    InputError
        If the save rates cannot be read or the accounts do not fit the log.
    """
    placements = _placements(evidence, windows, judged_models, judged)
    outcomes = judged[["purchases", "spend"]]
    before, now = placements[-2], placements[-1]
    plan = contact_plan(
        scores, models.playbook, value_is=evidence.log.value_is, budget=evidence.config.actions.budget,
        save_rate=_rates(evidence.config.actions.save_rates, scores.index),
    )  # fmt: skip
    production = Placement(windows.score_as_of, scores, behaviour(scores, known.features, models.schemes.attributes))
    both = {"cluster": models.schemes.clusters, "map_cluster": models.schemes.map_clusters}
    return Segmentation(
        acceptance=accept(
            judged_models.grid, judged, outcomes, value_cuts=evidence.config.grid.cuts()[0],
            risk_cuts=evidence.config.grid.cuts()[1], earlier=before.scores, rival=_rival(evidence, windows, judged),
            seed=evidence.config.segments.seed,
        ),
        quality=quality(
            {name: judged[name] for name in ALL_SCHEMES}, outcomes, now.behaviour,
            {name: before.scores[name] for name in ALL_SCHEMES}, seed=evidence.config.segments.seed,
        ),
        outcomes={name: outcomes_by(judged, name, in_order(name, judged_models.schemes)) for name in SCHEMES},
        placements=placements,
        movements=tuple(_movement(judged_models, *pair) for pair in pairwise(placements)),
        production=production,
        profiles={name: describe(found, production.behaviour) for name, found in both.items()},
        differences={name: differences(found, production.behaviour) for name, found in both.items()},
        plan=plan,
        budgets={name: budget_table(plan, scores, name) for name in BUDGETED},
        win_back=win_back(scores, plan),
        look_alikes=look_alikes(
            scores, without_dates(known.features), scores["pareto_tier"] == "A", currency=models.settings.currency,
            seed=evidence.config.segments.seed,
        ),
        other_values=other_values(models.accounts, scores, evidence.given),
        prospects=_prospects(evidence),
        cohorts=_cohorts(evidence, windows, judged_models, judged, models, scores),
        equity=_equity(evidence, models, known, scores, biases),
    )  # fmt: skip


def _placements(
    evidence: Evidence, windows: Windows, models: FittedModels, judged: pd.DataFrame
) -> tuple[Placement, ...]:
    """Place customers by the same models and cuts at three days, a period apart; of a short log a quarter of it."""
    end = windows.calibration_end
    wanted = duration_days(evidence.config.segments.period)
    kept = max(1, min(wanted, (end - windows.first_day).days // 4))
    if kept < wanted:
        evidence.notes.append(
            f"segments.period: {wanted} days are more than a quarter of the history; movement is told over {kept} days."
        )
    period = timedelta(days=kept)
    days = (end - 2 * period, end - period, end)
    found = []
    for day in days:
        known = known_to(models, evidence.log, day, evidence.given)
        scores = judged if day == end else placed(models, known, evidence.given)
        found.append(Placement(day, scores, behaviour(scores, known.features, models.schemes.attributes)))
    return tuple(found)


def _movement(models: FittedModels, before: Placement, after: Placement) -> Movement:
    tiers = {"value_tier": models.grid.value_tiers, "risk_tier": models.grid.risk_tiers}
    behaviours = (before.behaviour, after.behaviour)
    changes = {
        axis: what_changed(moves(before.scores[axis], after.scores[axis], order), *behaviours)
        for axis, order in tiers.items()
    }
    return Movement(before, after, changes)


def _rival(evidence: Evidence, windows: Windows, judged: pd.DataFrame) -> Rival:
    """An RFM 3 x 3 of the same customers; its forecasts are what the same cells did one horizon before, if anybody was."""
    end, horizon = windows.calibration_end, windows.horizon_days
    start = end - timedelta(days=horizon)
    summary = summarize(evidence.log, end, "all").loc[judged.index]
    past = summarize(evidence.log, start, "all")
    if start <= windows.first_day or len(past) < FEWEST_RIVAL_CUSTOMERS:
        return rfm_rival(summary)
    did = outcomes_after(evidence.log, [LabelWindow(start, horizon)]).droplevel("cutoff")
    return rfm_rival(summary, past, did)


def save_rates(path: str) -> pd.Series:
    """Read measured save rates by customer; see `contact_plan`.

    Raises
    ------
    InputError
        If the file has no column customer_id or save_rate, repeats a customer, or holds text for numbers.
    """
    table = read_small_table(expanded(path), text_column="customer_id")
    absent = [name for name in ("customer_id", "save_rate") if name not in table.reset_index()]
    if absent:
        raise InputError(f"actions.save_rates: {path}: no column {', '.join(absent)}")
    rates = table.reset_index().astype({"customer_id": "str"}).set_index("customer_id")["save_rate"]
    if not rates.index.is_unique:
        raise InputError(f"actions.save_rates: {path}: {int(rates.index.duplicated().sum())} rows repeat a customer")
    if not pd.api.types.is_numeric_dtype(rates):
        raise InputError(f"actions.save_rates: {path}: the column save_rate holds text, not numbers")
    return rates


def _rates(path: str | None, customers: pd.Index) -> pd.Series | None:
    """The save rates of customers, all of whom must have one."""
    if path is None:
        return None
    found = save_rates(path).reindex(customers)
    missing = int((~found.between(-1, 1)).sum())
    if missing:
        raise InputError(
            f"actions.save_rates: {path}: {missing:,} of {len(found):,} scored customers have no save_rate from -1 to 1; "
            "give every customer one"
        )
    return found


def _prospects(evidence: Evidence) -> pd.Index:
    """Persons of the attributes table who have never bought."""
    if evidence.given is None:
        return pd.Index([], dtype=object, name="customer_id")
    buyers = evidence.everyone.frame("SELECT DISTINCT customer_id FROM customer_days WHERE first_day IS NOT NULL")
    return evidence.given.index.difference(pd.Index(buyers["customer_id"])).rename("customer_id")


def _cohorts(
    evidence: Evidence, windows: Windows, judged_models: FittedModels, judged: pd.DataFrame,
    models: FittedModels, scores: pd.DataFrame,
) -> Cohorts:  # fmt: skip
    log, today = evidence.log, windows.score_as_of
    period = cohort_period(*acquired_between(log, today))
    activity, members = cohort_activity(log, today, period), cohort_of(log, today, period)
    then = members.reindex(judged.index)
    cost = acquisition_costs(models.accounts, members.index, evidence.given)
    margin_rate = 1.0 if log.value_is == "margin" else models.playbook.margin_rate
    return Cohorts(
        period, activity, cohort_table(activity, scores, members),
        cohort_calibration(judged, judged[["purchases", "spend"]], then),
        cohort_fit(judged, then, judged_models.purchases),
        None if cost is None else payback(activity, members, cost, clv=scores["clv"], margin_rate=margin_rate),
    )  # fmt: skip


def _equity(
    evidence: Evidence, models: FittedModels, known: Known, scores: pd.DataFrame, biases: Sequence[float]
) -> Equity:
    settings = models.settings
    own = own_error_of_total(
        models.purchases, models.spend, known.summary, horizon=settings.clv_horizon_days,
        annual_discount_rate=settings.annual_discount_rate, periods_per_year=DAYS_PER_YEAR, seed=evidence.config.segments.seed,
    )  # fmt: skip
    return customer_equity(scores["clv"], own, biases)
