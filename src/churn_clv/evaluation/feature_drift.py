"""What changed about customers between two days: every column compared, like with like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from churn_clv.data.feature_names import BEHAVIOURAL_NAMES, SUMMARY
from churn_clv.errors import InputError
from churn_clv.evaluation.same_age import FEWEST, SameAge, same_age
from churn_clv.evaluation.stability_index import (
    DRIFT,
    MAJOR_DRIFT,
    StabilityIndex,
    holm,
    is_category,
    kolmogorov_smirnov,
    stability_index,
    total_variation,
)

AGE = "T"
# They rise by one a day whoever the customers are.
CALENDAR = (AGE, "tenure_days")
SCORES = (
    "churn_probability",
    "p_alive",
    "expected_purchases",
    "value_if_active",
    "expected_spend",
    "clv",
)
ALL, SAME_AGE, NOBODY = "all customers", "customers of the same age", "nobody"


def kind_of(name: str) -> str:
    """Return what a column is: a score, behaviour, calendar or attribute.

    Examples
    --------
    >>> [kind_of(name) for name in ("clv", "frequency", "event_visit_count", "T", "income")]
    ['score', 'behaviour', 'behaviour', 'calendar', 'attribute']
    """
    if name in CALENDAR:
        return "calendar"
    if name in SCORES:
        return "score"
    return "behaviour" if name in SUMMARY or name in BEHAVIOURAL_NAMES or name.startswith("event_") else "attribute"


def feature_drift(
    before: pd.DataFrame, after: pd.DataFrame, drift: float = DRIFT, major: float = MAJOR_DRIFT
) -> pd.DataFrame:
    """Compare every column of two customer tables.

    Scores and behaviour change with age, so they are judged between customers of the same age; attributes do not, and
    are judged between all customers. Days since the first purchase are shown, and not judged. Nothing is judged on
    fewer than 100 customers on either side.

    Parameters
    ----------
    before, after
        One row a customer, with T (days) and any further columns, each as of its own day. A column that `after` lacks
        counts as missing for all.
    drift, major
        The indices above which a change raises an alarm, and a major one, if it is beyond chance.

    Returns
    -------
    DataFrame indexed by column, in the order of `before`: kind (see `kind_of`), compared (who with whom), category
    (whether it is one), psi (all customers), psi_same_age, index and noise (the one that is judged, and what it stays
    under by chance 999 times of 1,000), ks, ks_p_value (Holm's correction for all columns), total_variation
    (categories), missing_before and missing_after (shares), median_before, mean_before, median_after, mean_after (of
    those compared), alarm and major.

    Raises
    ------
    InputError
        If a column holds numbers on one day and text on the other.
    """
    ages = same_age(before[AGE], after[AGE])
    columns = after.reindex(columns=before.columns)
    rows = {str(name): _compared(str(name), before[name], columns[name], ages) for name in before.columns}
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("feature")
    judged = (table["kind"] != "calendar") & (table["compared"] != NOBODY)
    return table.assign(
        ks_p_value=holm(table["ks_p_value"].tolist()),
        alarm=judged & (table["index"] > table["noise"].clip(lower=drift)),
        major=judged & (table["index"] > table["noise"].clip(lower=major)),
    )


@dataclass(frozen=True)
class _Pair:
    """Two groups to be judged alike: the earlier day's column with its weights, the later day's."""

    whom: str
    before: pd.Series
    after: pd.Series
    weights: np.ndarray

    @cached_property
    def index(self) -> StabilityIndex:
        return stability_index(self.before, self.after, self.weights)


def _compared(name: str, before: pd.Series, after: pd.Series, ages: SameAge) -> dict[str, object]:
    _require_alike(name, before, after)
    plain = _Pair(ALL, before, after, np.ones(len(before)))
    aged = _Pair(SAME_AGE, before, after[ages.compared], ages.weights) if ages.possible else None
    ageless = kind_of(name) in ("attribute", "calendar")
    pair = plain if ageless or aged is None else aged
    few = min(len(before), len(after)) < FEWEST
    judged = not few and (ageless or aged is not None)
    index = pair.index if judged else StabilityIndex(np.nan, np.nan)
    return {
        "kind": kind_of(name), "compared": pair.whom if judged else NOBODY, "category": is_category(before),
        "psi": plain.index.value, "psi_same_age": np.nan if aged is None else aged.index.value,
        "index": index.value, "noise": index.noise, **_distances(pair, judged and name not in CALENDAR),
        "missing_before": before.isna().mean(), "missing_after": after.isna().mean(),
        **_typical(before, "before", pair.weights), **_typical(pair.after, "after", np.ones(len(pair.after))),
    }  # fmt: skip


def _require_alike(name: str, before: pd.Series, after: pd.Series) -> None:
    if before.notna().any() and after.notna().any() and is_category(before) != is_category(after):
        was, now = ("categories" if is_category(c) else "numbers" for c in (before, after))
        raise InputError(f"column {name!r} held {was} before and holds {now} after: read it alike on both days")


def _distances(pair: _Pair, judged: bool) -> dict[str, float]:
    """The figures beside the index; without a p-value where nothing is to be judged."""
    if is_category(pair.before):
        varied = total_variation(pair.before, pair.after, pair.weights)
        return {"ks": np.nan, "ks_p_value": np.nan, "total_variation": varied}
    found = kolmogorov_smirnov(pair.before, pair.after, pair.weights)
    return {"ks": found.gap, "ks_p_value": found.p_value if judged else np.nan, "total_variation": np.nan}


def _typical(column: pd.Series, day: str, weights: np.ndarray) -> dict[str, float]:
    known = column.notna().to_numpy() & (weights > 0)
    if is_category(column) or not known.any():
        return {f"median_{day}": np.nan, f"mean_{day}": np.nan}
    values, w = column.to_numpy(dtype=float)[known], weights[known]
    order = np.argsort(values)
    middle = np.searchsorted(np.cumsum(w[order]), w.sum() / 2)
    return {f"median_{day}": float(values[order][middle]), f"mean_{day}": float((values * w).sum() / w.sum())}


def unknown_categories(after: pd.DataFrame, levels: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Count the customers whose category the model has never met, which it reads as missing.

    Returns
    -------
    DataFrame indexed by feature: customers, share (of all), categories (how many different unknown ones).

    Examples
    --------
    >>> now = pd.DataFrame({"region": ["north", "moon", None, "moon"]})
    >>> unknown_categories(now, {"region": ["north", "south"]}).to_dict("index")
    {'region': {'customers': 2, 'share': 0.5, 'categories': 1}}
    """
    rows = {}
    for name, known in levels.items():
        column = after[name].dropna().astype("str") if name in after else pd.Series(dtype="str")
        unknown = column[~column.isin(list(known))]
        rows[name] = (len(unknown), len(unknown) / max(len(after), 1), unknown.nunique())
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["customers", "share", "categories"])
    return table.rename_axis("feature")
