"""Lists of customers for a purpose: whom to win back, and who of the rest resembles the top customers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from churn_clv.errors import InputError
from churn_clv.models.reason_phrases import percent, worded
from churn_clv.models.reasons import strongest
from churn_clv.segments.resemblance import FEWEST, resemblance, without_money

WIN_BACK = [
    "rank", "segment", "action", "channel", "contact", "contact_profit", "expected_outlay", "value_if_active", "value_at_risk",
    "churn_probability", "p_alive", "days_since_purchase", "lifecycle_stage", "reasons",
]  # fmt: skip
LEAVING = ["declining", "lost"]
LOOK_ALIKES = ["rank", "resemblance", "speaks_for", "segment", "expected_spend", "value_if_active", "churn_probability"]
SHARE = 0.1  # of the rest: a list as long as a campaign, not a segment
LEAST_AUC = 0.6  # below it top and rest are hardly told apart, and who is listed is luck


def win_back(scores: pd.DataFrame, plan: pd.DataFrame) -> pd.DataFrame:
    """List whom to win back: customers of the highest value tier who leave or have left, where a contact pays.

    Leaving is the lifecycle stage declining or lost, or the highest risk tier. The value axis is what an active customer
    spends: what would come back. Left out is whom a contact is expected to lose money on, or who has none in the
    playbook; without amounts nobody is left out. A single risk tier is not the highest; a single value tier is.

    Parameters
    ----------
    scores
        value_tier, risk_tier, lifecycle_stage, segment, action, reasons, p_alive, churn_probability, T and recency (days),
        value_if_active and value_at_risk (currency), one row a customer.
    plan
        From `churn_clv.segments.outreach.contact_plan`, for the same customers.

    Returns
    -------
    DataFrame indexed by customer, with the columns WIN_BACK: the highest contact_profit first (without amounts the highest
    value at risk), equals in the order of the id. contact says who is within the budget. May be empty.

    Raises
    ------
    InputError
        If a column is not there, a customer has no plan, or a score is missing.
    """
    needed = ["T", "recency", "value_tier", "risk_tier", "lifecycle_stage", "segment", "action", "reasons", "p_alive",
              "churn_probability", "value_if_active", "value_at_risk"]  # fmt: skip
    _require(scores, needed, "a win-back list")
    _same(scores.index, plan.index, "plan")
    known = plan.reindex(scores.index)
    profit = known["contact_profit"].astype(float)
    leaving = scores["lifecycle_stage"].isin(LEAVING) | _highest(scores["risk_tier"], alone=False)
    listed = leaving & _highest(scores["value_tier"], alone=True) & ((profit > 0) | profit.isna())
    members = scores.assign(
        days_since_purchase=scores["T"] - scores["recency"],
        **{name: known[name] for name in ("channel", "contact", "contact_profit", "expected_outlay")},
    )[listed]
    return _ranked(members, ["contact_profit", "value_at_risk"])[WIN_BACK]


@dataclass(frozen=True)
class LookAlikes:
    """Customers of the rest who resemble the top, and how well the two are told apart (held-out AUC; None if not at all)."""

    customers: pd.DataFrame
    top: int
    rest: int
    auc: float | None

    @property
    def words(self) -> str:
        """How much the list is worth believing, in a sentence."""
        if self.auc is None:
            return (
                f"No look-alikes: {self.top:,} top and {self.rest:,} other customers; it takes {FEWEST} of each, and "
                "something in which they differ"
            )
        found = f"{len(self.customers):,}" if self.auc >= LEAST_AUC else "No"
        return (
            f"{found} look-alikes of {self.top:,} top customers among {self.rest:,} others: of a top customer and another "
            f"one, habits without money tell the top one in {percent(self.auc)} of the pairs (50 % is chance)"
        )


def look_alikes(
    scores: pd.DataFrame, features: pd.DataFrame, top: pd.Series, *, currency: str = "", seed: int = 0
) -> LookAlikes:
    """List the customers of the rest who resemble the top customers most, by what is not money.

    Of the rest, the tenth with the highest held-out probability to be a top customer, as far as it is above the top's
    share (the probability of anybody), without the highest risk tier: who leaves is a case for `win_back`. Amounts and forecasts take no part: a top chosen by value would be told by its
    definition. Where the top is chosen by expected spend, how often and how lately somebody bought is much of the
    definition still; leave such columns out of `features` to ask only who they are and how they buy.

    That they resemble the top does not say that a campaign makes them top: test it against a control group.

    Parameters
    ----------
    scores
        segment, risk_tier, expected_spend and value_if_active (currency), churn_probability, one row a customer.
    features
        Behaviour and attributes of the same customers.
    top
        True for the top customers, by customer id, such as those of Pareto tier A.
    currency
        Unit of the amounts.
    seed
        Of the folds.

    Returns
    -------
    LookAlikes, its customers with the columns LOOK_ALIKES, the most alike first, equals in the order of the id:
    resemblance (0 to 1), speaks_for (the features that add most to it, in words). Nobody is listed where the resemblance
    cannot be learned: fewer than 10 top or other customers, no feature in which they differ, or an AUC below .6.

    Raises
    ------
    InputError
        If a column is not there, a score is missing, or the three are not about the same customers.
    """
    _require(scores, ["risk_tier", *LOOK_ALIKES[3:]], "a list of look-alikes")
    _same(scores.index, features.index, "features")
    _same(scores.index, top.dropna().index, "top")
    others = ~top.reindex(scores.index).astype(bool)
    used = without_money(features).reindex(scores.index)
    found = resemblance(used, ~others, seed=seed)
    counts = int((~others).sum()), int(others.sum())
    if found is None or found.auc < LEAST_AUC:
        nobody = pd.DataFrame(columns=LOOK_ALIKES, index=scores.index[:0])
        return LookAlikes(nobody, *counts, found.auc if found else None)
    alike = found.probability.reindex(scores.index)[others & ~_highest(scores["risk_tier"], alone=False)]
    most = alike[alike > counts[0] / len(scores)].sort_index(kind="stable").nlargest(int(np.ceil(SHARE * counts[1])))
    listed = scores.loc[most.index].assign(resemblance=most)
    listed["speaks_for"] = _speaks_for(found.contributions.loc[most.index], used.loc[most.index], currency)
    return LookAlikes(_ranked(listed, ["resemblance"])[LOOK_ALIKES], *counts, found.auc)


def _speaks_for(contributions: pd.DataFrame, features: pd.DataFrame, currency: str) -> list[str]:
    """The two features that add most to each customer's resemblance, in words; empty where none does."""
    named = strongest(contributions)[["raises", "raises_too"]].to_numpy(dtype=object).tolist()
    values = features.to_dict("list")
    return [
        "; ".join(worded(name, values[name][row], currency) for name in names if isinstance(name, str))
        for row, names in enumerate(named)
    ]


def _ranked(members: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    ordered = members.sort_index(kind="stable").sort_values(by, ascending=False, kind="stable")
    return ordered.assign(rank=np.arange(1, len(ordered) + 1))


def _highest(tiers: pd.Series, *, alone: bool) -> pd.Series:
    """Whether a tier is the highest of its axis: high, or 4 of 4; the only one (all) where it counts."""
    words = tiers.astype(str)
    last = words.str.fullmatch(r"(\d+) of \1")
    return (words == "high") | last | ((words == "all") & alone)


def _require(scores: pd.DataFrame, columns: list[str], what: str) -> None:
    absent = [name for name in columns if name not in scores]
    if absent:
        raise InputError(f"{what} needs {', '.join(columns)}; not among the scores: {', '.join(absent)}")
    missing = int(scores[columns].isna().any(axis=1).sum())
    if missing:
        raise InputError(
            f"{missing} of {len(scores)} customers lack a score that {what} needs: score them, or leave them out"
        )


def _same(customers: pd.Index, others: pd.Index, name: str) -> None:
    if not (customers.is_unique and others.is_unique):
        raise InputError(f"scores or {name} have a customer twice: one row a customer is wanted")
    strange = len(customers.symmetric_difference(others))
    if strange:
        raise InputError(
            f"{strange} customers are in only one of scores ({len(customers)} rows) and {name} ({len(others)} known): "
            "give both for the same customers"
        )
