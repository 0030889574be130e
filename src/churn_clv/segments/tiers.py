"""Customers by what they are worth: value classes, Pareto tiers, composite value and share of wallet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from churn_clv.errors import InputError
from churn_clv.segments.concentration import reaching

CLASSES = ["high", "potential", "low", "negative", "unknown"]
TIERS = ["A", "B", "C", "unknown"]


@dataclass(frozen=True)
class ParetoCuts:
    """Least value (currency) of tiers A and B, taken once at a reference snapshot; tier C is everybody below."""

    a: float
    b: float

    def to_dict(self) -> dict[str, float]:
        return {"a": self.a, "b": self.b}

    @classmethod
    def from_dict(cls, content: Mapping[str, float]) -> ParetoCuts:
        return cls(float(content["a"]), float(content["b"]))


def freeze_pareto(value: pd.Series, a: float = 0.8, b: float = 0.95) -> ParetoCuts:
    """Take the cuts of the tiers: A brings the share `a` of the total value, A and B together the share `b`.

    Customers of equal value stay together, so a tier may bring more than its share. Where the total is not positive
    nobody is in A or B. Customers without a value take no part.

    Raises
    ------
    ValueError
        If not 0 < a <= b <= 1.
    InputError
        If no customer has a value.

    Examples
    --------
    >>> freeze_pareto(pd.Series([70.0, 10.0, 10.0, 6.0, 4.0]))
    ParetoCuts(a=10.0, b=6.0)
    """
    if not 0 < a <= b <= 1:
        raise ValueError(f"shares are {a} and {b}: wanted 0 < a <= b <= 1")
    amounts = -np.sort(-value.dropna().to_numpy(dtype=float))
    if amounts.size == 0:
        raise InputError(f"none of {len(value)} customers has a value: no Pareto tiers")
    if amounts.sum() <= 0:
        nobody = float(np.nextafter(amounts[0], np.inf))
        return ParetoCuts(nobody, nobody)
    return ParetoCuts(*(float(amounts[reaching(amounts, share)]) for share in (a, b)))


def pareto_tiers(cuts: ParetoCuts, value: pd.Series) -> pd.Series:
    """Place customers in tiers A, B, C by frozen cuts; a value on a cut belongs to the upper tier, a missing one is unknown.

    Examples
    --------
    >>> pareto_tiers(ParetoCuts(10.0, 6.0), pd.Series([70.0, 10.0, 6.0, 4.0, None])).tolist()
    ['A', 'A', 'B', 'C', 'unknown']
    """
    names = np.select([value.isna(), value >= cuts.a, value >= cuts.b], ["unknown", "A", "B"], default="C")
    return pd.Series(names, index=value.index, name="pareto_tier", dtype=object)


@dataclass(frozen=True)
class ClassCuts:
    """Least V_res of the high and least V_act of the potential customers (currency), taken once at a reference snapshot."""

    expected_spend: float
    value_if_active: float

    def to_dict(self) -> dict[str, float]:
        return {"expected_spend": self.expected_spend, "value_if_active": self.value_if_active}

    @classmethod
    def from_dict(cls, content: Mapping[str, float]) -> ClassCuts:
        return cls(float(content["expected_spend"]), float(content["value_if_active"]))


def freeze_value_classes(scores: pd.DataFrame, share: float = 0.8) -> ClassCuts:
    """Take the cuts of the value classes: those are high who bring a share of V_res, and as many stand out by V_act.

    Parameters
    ----------
    scores
        expected_spend (V_res) and value_if_active (V_act), currency; customers without either take no part.

    Raises
    ------
    InputError
        If no customer has both.

    Examples
    --------
    >>> scores = pd.DataFrame({"expected_spend": [90.0, 6, 3, 1], "value_if_active": [100.0, 10, 150, 20]})
    >>> freeze_value_classes(scores)
    ClassCuts(expected_spend=90.0, value_if_active=150.0)
    """
    known = scores[["expected_spend", "value_if_active"]].dropna()
    if known.empty:
        raise InputError(f"none of {len(scores)} customers has expected_spend and value_if_active: no value classes")
    high = freeze_pareto(known["expected_spend"], share, share).a
    active = -np.sort(-known["value_if_active"].to_numpy(dtype=float))
    count = int((known["expected_spend"] >= high).sum())
    least = active[count - 1] if count else np.nextafter(active[0], np.inf)
    return ClassCuts(high, float(least))


def value_classes(cuts: ClassCuts, scores: pd.DataFrame, contribution: pd.Series | None = None) -> pd.Series:
    """Give every customer one value class, the first of these that applies.

    unknown: expected_spend or value_if_active is missing. negative: `contribution` is below 0. high: expected spend V_res
    reaches its cut. potential: spend if active, V_act, reaches its cut, and risk stands between. low: neither does.

    Parameters
    ----------
    cuts
        From `freeze_value_classes` at the reference snapshot.
    scores
        expected_spend (V_res) and value_if_active (V_act), currency, one row a customer.
    contribution
        What each customer left over in the past, from `contribution`, aligned by index; None, or missing for a customer,
        counts nobody as negative.

    Returns
    -------
    Series ``value_class``, by customer.

    Examples
    --------
    >>> scores = pd.DataFrame({"expected_spend": [90.0, 20, 5, 90], "value_if_active": [100.0, 80, 9, 100]})
    >>> value_classes(ClassCuts(50.0, 80.0), scores, pd.Series([10.0, 10, 10, -3])).tolist()
    ['high', 'potential', 'low', 'negative']
    """
    earned = pd.Series(np.nan, scores.index) if contribution is None else contribution.reindex(scores.index)
    rules = {
        "unknown": scores[["expected_spend", "value_if_active"]].isna().any(axis=1),
        "negative": earned < 0,
        "high": scores["expected_spend"] >= cuts.expected_spend,
        "potential": scores["value_if_active"] >= cuts.value_if_active,
    }
    names = np.select(list(rules.values()), list(rules), default="low")
    return pd.Series(names, index=scores.index, name="value_class", dtype=object)


def contribution(accounts: pd.DataFrame) -> pd.Series:
    """Return margin less refunds and cost to serve (currency), by customer.

    Parameters
    ----------
    accounts
        margin, and of refunds and cost_to_serve those that are given, as amounts of at least 0, all of one period. Leave
        refunds out where the margin is already net of them. Missing refunds or cost count as 0, missing margin stays so.

    Raises
    ------
    InputError
        If margin is not there, or a refund or cost is negative (it would be added).

    Examples
    --------
    >>> contribution(pd.DataFrame({"margin": [30.0, 30.0], "refunds": [0.0, 25.0], "cost_to_serve": [5.0, 15.0]})).tolist()
    [25.0, -10.0]
    """
    _require(accounts, ["margin"], "contribution")
    net = accounts["margin"].astype(float)
    for name in accounts.columns.intersection(["refunds", "cost_to_serve"]):
        below = accounts[name] < 0
        if below.any():
            raise InputError(
                f"{name} of {below.sum()} of {len(accounts)} customers is negative: give it as a positive amount"
            )
        net = net - accounts[name].fillna(0)
    return net.rename("contribution")


def composite_value(frame: pd.DataFrame, weights: Mapping[str, float]) -> pd.Series:
    """Add up standardised columns by weight: a value of more than money, 0 for the average customer.

    Parameters
    ----------
    frame
        One row a customer, more is better in every column (clv, loyalty, referrals, satisfaction ...), any units.
    weights
        Column -> weight, none negative, sum 1.

    Returns
    -------
    Series ``composite_value`` in standard deviations (population), by customer; missing where a weighted column is. A
    column in which all are alike adds nothing.

    Raises
    ------
    InputError
        If a weighted column is not there, a weight is negative, or the weights do not sum to 1.

    Examples
    --------
    >>> frame = pd.DataFrame({"clv": [10.0, 30.0], "referrals": [4.0, 0.0]}, ["c1", "c2"])
    >>> composite_value(frame, {"clv": 0.75, "referrals": 0.25}).to_dict()
    {'c1': -0.5, 'c2': 0.5}
    """
    _require(frame, list(weights), "composite value")
    negative = [name for name, weight in weights.items() if not weight >= 0]
    if negative:
        raise InputError(f"weights of {', '.join(negative)} are negative: turn the column round where less is better")
    if abs(sum(weights.values()) - 1) > 1e-9:
        raise InputError(f"weights of the composite value sum to {sum(weights.values()):g}: they must sum to 1")
    columns = frame[list(weights)].astype(float)
    deviation = columns.std(ddof=0)
    # Rounding leaves a deviation of about 1e-16 of the mean where all are alike.
    varies = deviation > 1e-12 * columns.abs().mean()
    standard = (columns - columns.mean()).where(varies | columns.isna(), 0.0) / deviation.where(varies, 1.0)
    total = (standard * pd.Series(weights, dtype=float)).sum(axis=1, skipna=False)
    return total.rename("composite_value")


def share_of_wallet(spend: pd.Series, total_spend: pd.Series) -> pd.Series:
    """Return the share of all a customer spends in the category that is spent here.

    Parameters
    ----------
    spend, total_spend
        Currency, same period and category, aligned by index of `spend`. Missing where the total is missing or 0.

    Raises
    ------
    InputError
        If a customer spends more here than in total, or an amount is negative.

    References
    ----------
    Cooil et al. (2007), Journal of Marketing 71(1).

    Examples
    --------
    >>> share_of_wallet(pd.Series([20.0, 5.0]), pd.Series([80.0, None])).tolist()
    [0.25, nan]
    """
    total = total_spend.reindex(spend.index).astype(float)
    faulty = (spend > total * (1 + 1e-9)) | (spend < 0) | (total < 0)
    if faulty.any():
        raise InputError(
            f"{faulty.sum()} of {len(spend)} customers spend more here than in total, or a negative amount: "
            "check period and currency of both columns"
        )
    return (spend / total.where(total > 0)).rename("share_of_wallet")


def _require(frame: pd.DataFrame, wanted: list[str], what: str) -> None:
    absent = [name for name in wanted if name not in frame]
    if absent:
        raise InputError(f"{what} needs {', '.join(wanted)}; not in the frame: {', '.join(absent)}")
