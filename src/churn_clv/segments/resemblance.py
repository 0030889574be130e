"""What tells a group of customers from the rest, and who of the rest resembles it: by how they buy, not by their money.

Scaling is that of `churn_clv.segments.scaling`: skewed numbers as log(1 + x), everything in standard deviations,
categories as 0/1 columns, a missing number the median and a column of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from churn_clv.errors import InputError
from churn_clv.models.reason_phrases import known_phrase, percent, worded
from churn_clv.segments.scaling import Column, readable, scaling

FOLDS = 5
FEWEST = 10  # customers in the group, and in the rest, from which a resemblance is learned
PENALTY = 10.0  # of the squared coefficients: features that say the same share the weight instead of cancelling out
# Money and forecasts of a score frame: they say again what the group was chosen by.
FORECASTS = frozenset({
    "p_alive", "btyd_purchases", "btyd_log_odds", "churn_probability", "expected_purchases", "expected_spend",
    "expected_spend_per_purchase", "monetary_value", "clv", "value_if_active", "value_at_risk",
})  # fmt: skip
PROFILE = ["feature", "level", "difference", "top", "rest", "words"]


@dataclass(frozen=True)
class Resemblance:
    """How much each customer is like the group, said by models that were not fitted to the customer.

    Attributes
    ----------
    probability
        Held-out probability to belong to the group, by customer id, group and rest.
    contributions
        What each feature adds to its log-odds, where the group's side of the feature is the customer's too; else 0.
    auc
        Held-out probability that of a member and another customer the member is the more alike; 0.5 is chance.
    """

    probability: pd.Series
    contributions: pd.DataFrame
    auc: float


def without_money(features: pd.DataFrame) -> pd.DataFrame:
    """Leave out amounts of money and forecasts: a group that was chosen by value would be told by its definition."""
    names = [name for name in map(str, features.columns) if name not in FORECASTS and not _is_money(name)]
    return features.rename(columns=str)[names]


def resemblance(features: pd.DataFrame, group: pd.Series, *, seed: int = 0) -> Resemblance | None:
    """Learn from how they buy who belongs to a group, and ask of each customer a model that did not see the customer.

    A logistic regression in each of 5 folds, so that nobody is alike because the model remembers the answer. Who of the
    rest is given a high probability behaves like the group and is not in it yet.

    Parameters
    ----------
    features
        Numbers, truth values and categories by customer id, missing ones allowed, in any order of rows.
    group
        True for its members, same customers.
    seed
        Of the folds.

    Returns
    -------
    Resemblance; None where it cannot be learned: fewer than 10 in the group or in the rest, or no feature differs.

    Raises
    ------
    InputError
        If a customer is not in both, or a feature is infinite or a date.

    Examples
    --------
    >>> features = pd.DataFrame({"frequency": [9.0, 8, 7, 9, 8, 1, 0, 2, 1, 8] * 5})
    >>> found = resemblance(features, pd.Series([True, True, True, True, True, False, False, False, False, False] * 5))
    >>> found.probability.nlargest(25).index.isin(range(9, 50, 10)).sum(), round(found.auc, 2)
    (np.int64(5), 0.91)
    """
    ordered, members = _aligned(features, group)
    columns, _ = scaling(ordered)
    if min(members.sum(), (~members).sum()) < FEWEST or not columns:
        return None
    values = _scaled(columns, ordered)
    probability, added = _cross_fitted(values, members, seed)
    side = np.sign(values[members].mean(axis=0) - values[~members].mean(axis=0))
    shared = np.where(values * side > 0, added, 0.0)
    by_feature = pd.DataFrame(shared, index=ordered.index).T.groupby([c.feature for c in columns], sort=False).sum().T
    return Resemblance(
        pd.Series(probability, index=ordered.index, name="resemblance"), by_feature, _auc(members, probability)
    )


def profile(features: pd.DataFrame, top: pd.Series, currency: str = "") -> pd.DataFrame:
    """Compare the top customers with the rest, feature by feature, the largest difference first.

    Parameters
    ----------
    features
        As in `resemblance`; money may be among them.
    top
        True for the top customers, same customers.
    currency
        Unit of the amounts.

    Returns
    -------
    DataFrame with columns feature, level (of a category, or "(missing)"; else empty), difference (mean of the top less
    mean of the rest, in standard deviations of everyone, of log(1 + x) where the number is skewed), top and rest (means in
    the feature's unit; the share of customers for a level), words. Features that are the same for everybody are left out,
    and rows that say in words what one above them says; no rows where all or nobody is top.

    Raises
    ------
    InputError
        As `resemblance`.

    Examples
    --------
    >>> features = pd.DataFrame({"frequency": [9.0, 8, 1, 0], "region": ["north", "south", "south", "south"]})
    >>> profile(features, pd.Series([True, True, False, False]))["words"].tolist()
    ['8.5 repeat purchases on average (the rest: 0.5)', 'region = north: 50 % (the rest: 0 %)',
     'region = south: 50 % (the rest: 100 %)']
    """
    ordered, members = _aligned(features, top)
    columns, _ = scaling(ordered)
    if not columns or members.all() or not members.any():
        return pd.DataFrame(columns=PROFILE)
    plain, values = readable(columns, ordered), _scaled(columns, ordered)
    rows = []
    for k, column in enumerate(columns):
        difference = float(values[members, k].mean() - values[~members, k].mean()) / float(values[:, k].std())
        means = float(plain[members, k].mean()), float(plain[~members, k].mean())
        rows.append([column.feature, column.shown_level, difference, *means, _said(column, *means, currency)])
    table = pd.DataFrame(rows, columns=PROFILE)
    order = table.assign(size=-table["difference"].abs()).sort_values(["size", "feature", "level"]).index
    return table.loc[order].drop_duplicates("words").reset_index(drop=True)


def _cross_fitted(values: np.ndarray, members: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Held-out probability of each row, and what each column adds to its log-odds."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold

    probability, added = np.empty(len(members)), np.empty(values.shape)
    for seen, unseen in StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(values, members):
        model = LogisticRegression(C=1 / PENALTY, max_iter=1000).fit(values[seen], members[seen])
        probability[unseen] = model.predict_proba(values[unseen])[:, 1]
        added[unseen] = model.coef_[0] * values[unseen]
    return probability, added


def _auc(members: np.ndarray, probability: np.ndarray) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(members, probability))


def _aligned(features: pd.DataFrame, group: pd.Series) -> tuple[pd.DataFrame, np.ndarray]:
    """Features in the order of the ids, so that the order of rows never matters, and who is a member."""
    if not (features.index.is_unique and group.index.is_unique):
        raise InputError("a customer occurs twice: one row a customer is wanted in the features and in the group")
    unknown = len(features.index.symmetric_difference(group.dropna().index))
    if unknown:
        raise InputError(
            f"{unknown} customers are in only one of features ({len(features)} rows) and group ({group.count()} known): "
            "give both for the same customers"
        )
    ordered = features.sort_index()
    return ordered, group.reindex(ordered.index).to_numpy(dtype=bool)


def _scaled(columns: tuple[Column, ...], features: pd.DataFrame) -> np.ndarray:
    values = readable(columns, features)
    for k, column in enumerate(columns):
        measured = column.measured(values[:, k])
        values[:, k] = (measured - measured.mean()) / measured.std()
    return values


def _is_money(name: str) -> bool:
    phrase = known_phrase(name)
    return phrase is not None and phrase.is_money


def _said(column: Column, top: float, rest: float, currency: str) -> str:
    if column.kind == "level":
        return f"{worded(column.feature, column.level)}: {percent(top)} (the rest: {percent(rest)})"
    if column.kind == "missing":
        return f"{worded(column.feature, None)}: {percent(top)} (the rest: {percent(rest)})"
    words = worded(column.feature, top, currency).removesuffix(" on average")
    return f"{words} on average (the rest: {_number(column.feature, rest)})"


def _number(feature: str, value: float) -> str:
    phrase = known_phrase(feature)
    return phrase.shown(value) if phrase is not None else f"{value:.3g}"
