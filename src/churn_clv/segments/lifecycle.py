"""Lifecycle stage of each customer: prospect, new, growing, loyal, declining, lost, from what the models say.

Churn risk R is the leading quantity: p_alive alone cannot call a one-time buyer lost where the purchase model lets
customers leave only at a purchase (BG/NBD gives them p_alive = 1).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from churn_clv.errors import InputError

STAGES = ["prospect", "new", "growing", "loyal", "declining", "lost", "unknown"]
WINDOW_DAYS = 91  # of the feature purchases_last_91_days
NEEDED = ["T", "recency", "frequency", "churn_probability", "p_alive", "purchases_last_91_days"]


@dataclass(frozen=True)
class LifecycleRules:
    """Thresholds of the stages; `for_horizon` sets those that depend on the horizon of churn_probability.

    new_days
        A customer is new for so long after the first purchase.
    lost_silence_days
        Days without a purchase that count as churn: the horizon, so that the past is judged as the future is.
    lost_risk, lost_p_alive
        Lost needs R of at least `lost_risk`, and either that silence or p_alive of at most `lost_p_alive`.
    declining_risk
        R from which a customer declines: the upper fixed cut of the value-by-risk grid.
    trend
        Standard deviations by which the last 91 days differ from the customer's own pace (1.28: a constant pace shows
        more on one side in about one of ten customers).
    loyal_frequency
        Repeat purchases from which a customer who neither grows nor declines is loyal.
    """

    new_days: float
    lost_silence_days: float
    lost_risk: float = 0.8
    lost_p_alive: float = 0.1
    declining_risk: float = 0.6
    trend: float = 1.28
    loyal_frequency: int = 3

    @classmethod
    def for_horizon(cls, horizon_days: int) -> LifecycleRules:
        """Return the default rules: new for a quarter of a year or the horizon, whichever is shorter."""
        return cls(new_days=float(min(WINDOW_DAYS, horizon_days)), lost_silence_days=float(horizon_days))


def purchase_trend(frame: pd.DataFrame) -> pd.Series:
    """Return how far the repeat purchases of the last 91 days are from the customer's own pace, in standard deviations.

    At a constant pace each of the `frequency` repeat purchases falls into the window with probability 91 / T, so their
    number is binomial. 0 where the window is the whole history or there is no repeat purchase: no trend can be seen.

    Parameters
    ----------
    frame
        T (days), frequency (repeat purchase days), purchases_last_91_days (purchase days, the first one included).

    Examples
    --------
    >>> frame = pd.DataFrame({"T": 364.0, "frequency": [12.0, 12, 0], "purchases_last_91_days": [6.0, 0, 0]})
    >>> purchase_trend(frame).tolist()
    [2.0, -2.0, 0.0]
    """
    age, repeats = frame["T"], frame["frequency"]
    recent = frame["purchases_last_91_days"] - (age < WINDOW_DAYS)
    inside = (WINDOW_DAYS / age.clip(lower=WINDOW_DAYS)).astype(float)
    deviation = np.sqrt(repeats * inside * (1 - inside))
    known = recent.notna() & repeats.notna() & age.notna()
    trend = (recent - repeats * inside) / deviation.where(deviation > 0)
    return trend.fillna(0.0).where(known).rename("purchase_trend")


def lifecycle_stages(frame: pd.DataFrame, rules: LifecycleRules, prospects: pd.Index | None = None) -> pd.Series:
    """Give every customer exactly one stage, the first of these that applies.

    unknown (a quantity is missing); lost; new; declining (R, or a falling trend); growing (a rising trend with two
    repeat purchases or more in the window, or not yet `loyal_frequency` repeat purchases); loyal.

    Parameters
    ----------
    frame
        One row a customer: T and recency (days), frequency, churn_probability (R), p_alive, purchases_last_91_days.
    prospects
        Ids of known persons without a purchase, where given; they follow the customers.

    Returns
    -------
    Series ``lifecycle_stage``, by customer, prospects at the end.

    Raises
    ------
    InputError
        If a column is not there, an R or p_alive is outside 0 to 1, or prospects have purchases.

    Examples
    --------
    >>> frame = pd.DataFrame({"T": [20.0, 400, 400], "recency": [0.0, 390, 100], "frequency": [0.0, 12, 2],
    ...     "churn_probability": [0.7, 0.1, 0.9], "p_alive": [1.0, 0.98, 0.3],
    ...     "purchases_last_91_days": [1.0, 3, 0]}, ["c1", "c2", "c3"])
    >>> lifecycle_stages(frame, LifecycleRules.for_horizon(180), pd.Index(["p1"])).to_dict()
    {'c1': 'new', 'c2': 'loyal', 'c3': 'lost', 'p1': 'prospect'}
    """
    _check(frame)
    stage = np.select(*_rules(frame, rules), default="loyal")
    stages = pd.Series(stage, index=frame.index, name="lifecycle_stage", dtype=object)
    if prospects is None or prospects.empty:
        return stages
    bought = prospects.isin(frame.index)
    if bought.any():
        raise InputError(
            f"{bought.sum()} of {len(prospects)} prospects have purchases: they are customers, leave them out"
        )
    waiting = pd.Series("prospect", index=prospects.unique(), dtype=object)
    return pd.concat([stages, waiting]).rename("lifecycle_stage").rename_axis(frame.index.name)


def _rules(frame: pd.DataFrame, rules: LifecycleRules) -> tuple[list[pd.Series], list[str]]:
    risk, age, trend = frame["churn_probability"], frame["T"], purchase_trend(frame)
    silent = age - frame["recency"] >= rules.lost_silence_days
    recent = frame["purchases_last_91_days"] - (age < WINDOW_DAYS)
    rising = (trend > rules.trend) & (recent >= 2)
    stages = {
        "unknown": frame[NEEDED].isna().any(axis=1),
        "lost": (risk >= rules.lost_risk) & (silent | (frame["p_alive"] <= rules.lost_p_alive)),
        "new": age <= rules.new_days,
        "declining": (risk >= rules.declining_risk) | (trend < -rules.trend),
        "growing": rising | (frame["frequency"] < rules.loyal_frequency),
    }
    return list(stages.values()), list(stages)


def _check(frame: pd.DataFrame) -> None:
    absent = [name for name in NEEDED if name not in frame]
    if absent:
        raise InputError(f"lifecycle stages need {', '.join(NEEDED)}; not in the frame: {', '.join(absent)}")
    for name in ("churn_probability", "p_alive"):
        outside = (frame[name] < 0) | (frame[name] > 1)
        if outside.any():
            raise InputError(f"{name} of {outside.sum()} of {len(frame)} customers is outside 0 to 1: no probability")
