"""Has a model aged? What changed about its customers between two days, and whether it kept its promise to them.

Two questions, answered apart. Drift: do customers of the same age look as they did? Promise: did the customers of the
earlier day do what was forecast of them? A model may be right about customers who have changed, and wrong about customers
who look the same; only the second calls for another model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np
import pandas as pd

from churn_clv.errors import InputError
from churn_clv.evaluation.ageing import (
    VERDICTS,
    Customers,
    Limits,
    Reason,
    Verdict,
    broken_promises,
    drifts,
    spoilt,
    worst,
)
from churn_clv.evaluation.feature_drift import AGE, SCORES, feature_drift, unknown_categories
from churn_clv.evaluation.promises import PROMISED, KeptPromise, judge_promise
from churn_clv.evaluation.stability_index import freeze_bins
from churn_clv.segments.migration import Stability, migration_matrix, stability
from churn_clv.segments.small_groups import SMALLEST_GROUP

LIMITS = Limits()
DISTRIBUTED = ("churn_probability", "expected_spend")
_TIERS = ("all", "low", "mid", "high")


@dataclass(frozen=True)
class Monitoring:
    """What monitoring found; tables of groups, no row of a customer.

    Attributes
    ----------
    as_of_before, as_of_after, horizon_days
        The two days, and how far the scores look ahead.
    customers
        How many there are, and how many came and went.
    drift
        From `evaluation.feature_drift.feature_drift`, scores included.
    unknown
        From `evaluation.feature_drift.unknown_categories`.
    promise
        What became of the promise; None where none can be judged, and `no_promise` says why.
    migration, stability
        Counts by segment before and after, and how alike the placements are.
    segments
        All segments, from low to high risk and value.
    distributions
        Indexed by (score, low, high): shares of customers before and after with a score above low and up to high.
    limits
        By which it was judged.
    smallest_group
        Fewer customers are counted neither in the metrics nor in the reasons.
    """

    as_of_before: date
    as_of_after: date
    horizon_days: int
    customers: Customers
    drift: pd.DataFrame
    unknown: pd.DataFrame
    promise: KeptPromise | None
    no_promise: str
    migration: pd.DataFrame
    stability: Stability
    segments: list[str]
    distributions: pd.DataFrame
    limits: Limits
    smallest_group: int = SMALLEST_GROUP

    @property
    def elapsed_days(self) -> int:
        return (self.as_of_after - self.as_of_before).days

    @cached_property
    def reasons(self) -> list[Reason]:
        """Everything that is not as it was, the gravest first."""
        promised = [] if self.promise is None else list(broken_promises(self.promise, self.limits))
        drifted = drifts(self.drift, self.promise is not None, self.limits)
        found = [*promised, *drifted, *spoilt(self.customers, self.unknown, self.limits, self.smallest_group)]
        return sorted(found, key=lambda reason: -VERDICTS.index(reason.verdict))

    @property
    def verdict(self) -> Verdict:
        """As it was, watch (something changed, and the model still kept its promise), or retrain."""
        return worst(self.reasons)

    @cached_property
    def metrics(self) -> dict[str, float]:
        """Return every figure under a stable name; those that could not be computed, or tell of few customers, are left out.

        verdict: 0 as it was, 1 watch, 2 retrain.
        """
        found: dict[str, float] = {
            "verdict": VERDICTS.index(self.verdict), "elapsed_days": self.elapsed_days,
            "alarms": self.drift["alarm"].sum(), "migration/stayed": self.stability.stayed, "migration/kappa": self.stability.kappa,
        }  # fmt: skip
        left, unknown = self.customers.withheld(self.smallest_group), self.unknown
        found |= {f"customers/{name}": n for name, n in self.customers._asdict().items() if name not in left}
        for column in ("psi", "psi_same_age", "ks", "total_variation"):
            found |= {f"{column}/{name}": value for name, value in self.drift[column].items()}
        found |= {f"psi_noise/{name}": value for name, value in self.drift["noise"].items()}
        found |= {f"missing/{name}": value for name, value in self.drift["missing_after"].items()}
        told = unknown["share"][(unknown["customers"] >= self.smallest_group) | (unknown["customers"] == 0)]
        found |= {f"unknown/{name}": share for name, share in told.items()}
        if self.promise is not None:
            for name, row in self.promise.totals.iterrows():
                found |= {f"{figure}/{name}": value for figure, value in row.items()}
            found["calibration_error"] = self.promise.calibration_error
            found["calibration_error_noise"] = self.promise.calibration_error_noise
        return {f"monitor/{name}": float(value) for name, value in found.items() if value == value}


def monitor(
    before: pd.DataFrame,
    after: pd.DataFrame,
    scores_before: pd.DataFrame,
    scores_after: pd.DataFrame,
    promise: pd.DataFrame | None,
    levels: Mapping[str, Sequence[str]],
    as_of_before: date,
    as_of_after: date,
    limits: Limits = LIMITS,
) -> Monitoring:
    """Compare a model's customers of two days, and its promise with what happened between them.

    Parameters
    ----------
    before, after
        One row a customer, indexed by customer_id, each as of its own day: frequency, T (days), and any other columns of
        the summary, features and attributes.
    scores_before, scores_after
        `score.SCORE_COLUMNS` of the same customers by the same model.
    promise
        Of the customers of `before`, over exactly the days between the two: churn_probability, expected_purchases,
        expected_spend (currency). None where the model cannot look that far or that near.
    levels
        Categorical feature -> the categories that the model has learned.
    limits
        Where a figure stops being as it was.

    Raises
    ------
    InputError
        If a table is empty, names a customer twice, lacks a column or belongs to other customers than its scores; if the
        days are in the wrong order; or if most customers did not grow older by the days between them.
    """
    elapsed = (as_of_after - as_of_before).days
    _check(before, after, scores_before, scores_after, promise, elapsed)
    both = before.index.intersection(after.index)
    happened, agreeing = _happened(before, after, scores_before, scores_after, both, elapsed)
    order = _segment_order(pd.concat([scores_before, scores_after]))
    was, now = _with_scores(before, scores_before), _with_scores(after, scores_after)
    horizon, kept = int(scores_before["horizon_days"].iloc[0]), None
    no_promise = _why_not(promise, agreeing, horizon, elapsed)
    if promise is not None and not no_promise:
        kept = judge_promise(promise.loc[agreeing, PROMISED], happened, scores_before.loc[agreeing, "segment"], order)
    segments = scores_before["segment"].astype(object), scores_after["segment"].astype(object)
    n, m, common = len(before), len(after), len(both)
    return Monitoring(
        as_of_before, as_of_after, horizon, Customers(n, m, common, m - common, n - common, common - len(agreeing)),
        feature_drift(was, now, limits.drift, limits.major_drift), unknown_categories(after, levels), kept, no_promise,
        migration_matrix(*segments, order), stability(*segments), order, _distributions(scores_before, scores_after), limits,
    )  # fmt: skip


def _check(
    before: pd.DataFrame, after: pd.DataFrame, scores_before: pd.DataFrame, scores_after: pd.DataFrame,
    promise: pd.DataFrame | None, elapsed: int,
) -> None:  # fmt: skip
    if elapsed < 1:
        raise InputError(f"the later day must be after the earlier one: {elapsed} days lie between them")
    for name, table, scores in (("earlier", before, scores_before), ("later", after, scores_after)):
        if table.empty or not table.index.is_unique:
            raise InputError(
                f"the {name} table has {len(table)} rows, {int(table.index.duplicated().sum())} of them twice"
            )
        _require_customers(f"the {name} scores", scores, table)
        lacking = [c for c in (AGE, "frequency") if c not in table]
        lacking += [c for c in (*SCORES, "value_to_date", "segment", "horizon_days") if c not in scores]
        if lacking:
            raise InputError(f"the {name} day lacks the columns {lacking}")
    if promise is not None:
        _require_customers("the promise", promise, before)


def _require_customers(name: str, frame: pd.DataFrame, table: pd.DataFrame) -> None:
    alike = frame.index.is_unique and len(frame) == len(table) and table.index.isin(frame.index).all()
    if not alike:
        raise InputError(f"{name} ({len(frame)} rows) are not of the {len(table)} customers of their table")


def _happened(
    before: pd.DataFrame, after: pd.DataFrame, scores_before: pd.DataFrame, scores_after: pd.DataFrame,
    both: pd.Index, elapsed: int,
) -> tuple[pd.DataFrame, pd.Index]:  # fmt: skip
    """What customers did between the days, and of whom that can be said."""
    purchases = after.loc[both, "frequency"] - before.loc[both, "frequency"]
    spend = scores_after.loc[both, "value_to_date"] - scores_before.loc[both, "value_to_date"]
    older = after.loc[both, AGE] - before.loc[both, AGE]
    aged = (older - elapsed).abs() < 1
    if len(both) and aged.mean() < 0.5:
        raise InputError(
            f"{int((~aged).sum()):,} of {len(both):,} customers did not grow older by {elapsed} days, but by {older.median():.0f} "
            "in the middle: the tables are not of these two days"
        )
    agreeing = both[aged & (purchases >= 0)]
    return pd.DataFrame({"purchases": purchases, "spend": spend}).loc[agreeing], agreeing


def _why_not(promise: pd.DataFrame | None, agreeing: pd.Index, horizon: int, elapsed: int) -> str:
    if promise is None:
        return (
            f"The model's forecasts look exactly {horizon} days ahead, and {elapsed} days have passed: what it promised cannot "
            f"be compared with what happened. Monitor {horizon} days after the earlier day."
        )
    return (
        ""
        if len(agreeing)
        else "No customer of the earlier day is known on the later one: nothing that was promised can be judged."
    )


def _with_scores(table: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """A customer table with its scores beside it; a score wins over a feature of its name.

    The days behind monetary_value are the frequency once more.
    """
    return table.drop(columns=[*SCORES, "monetary_days", "value_to_date"], errors="ignore").join(scores[list(SCORES)])


def _segment_order(scores: pd.DataFrame) -> list[str]:
    """The segments from low to high risk, and within it from low to high value."""
    places = scores[["risk_tier", "value_tier", "segment"]].drop_duplicates().astype("str")
    places = places.assign(risk=places["risk_tier"].map(_tier_rank), value=places["value_tier"].map(_tier_rank))
    return list(dict.fromkeys(places.sort_values(["risk", "value", "segment"])["segment"]))


def _tier_rank(tier: str) -> int:
    """The place of a tier in its order, whether named or numbered ("2 of 5")."""
    return _TIERS.index(tier) if tier in _TIERS else int(tier.split()[0])


def _distributions(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """Shares of customers by score: risk in twentieths, spend in the tenths of the earlier day."""
    rows = {}
    for name in DISTRIBUTED:
        edges = np.arange(0, 21) / 20
        if name != "churn_probability":
            inner = freeze_bins(before[name]).edges or tuple(np.unique(before[name])[:-1])
            edges = np.array([-np.inf, *inner, np.inf])
        was, now = (
            np.bincount(np.searchsorted(edges[1:-1], s[name], side="left"), minlength=edges.size - 1)
            for s in (before, after)
        )
        for k in range(edges.size - 1):
            rows[name, edges[k], edges[k + 1]] = (was[k] / len(before), now[k] / len(after))
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["before", "after"])
    return table.set_axis(pd.MultiIndex.from_tuples(list(rows), names=["score", "low", "high"]))
