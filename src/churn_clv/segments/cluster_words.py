"""What distinguishes each cluster, in the features' own units and by the rules of a small decision tree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from churn_clv.segments.clusters import Clusters, place
from churn_clv.segments.scaling import MISSING, Column, readable

DEPTH = 3
NO_RULE = f"no rule of at most {DEPTH} questions leads here"


class Rule(NamedTuple):
    """A leaf of the tree: what it asks in words, the segment of most of its customers, how many, and how many of it."""

    words: str
    segment: str
    customers: int
    right: int


class _Bound(NamedTuple):
    column: int
    above: bool
    threshold: float


def differences(clusters: Clusters, features: pd.DataFrame) -> pd.DataFrame:
    """Compare each cluster with everyone, feature by feature, the largest difference first.

    Returns
    -------
    DataFrame with columns cluster, feature, level (of a category, or "(missing)"; else empty), difference (mean of the
    cluster less mean of everyone, in standard deviations of everyone; of log(1 + x) where the clusters take it), mean and
    everyone (means in the feature's unit; the share of customers for a level).

    Raises
    ------
    InputError
        As `place`.

    Examples
    --------
    >>> from churn_clv.segments.clusters import fit_kmeans
    >>> spend = pd.Series([1.0, 2, 3, 91, 92, 93] * 5)
    >>> clusters = fit_kmeans(pd.DataFrame({"spend": spend}), spend, numbers=[2])
    >>> differences(clusters, pd.DataFrame({"spend": spend})).loc[0, ["mean", "everyone"]].tolist()
    [92.0, 47.0]
    """
    ordered = features.sort_index()
    values, labels = readable(clusters.columns, ordered), place(clusters, ordered).to_numpy()
    measured = np.column_stack([c.measured(values[:, k]) for k, c in enumerate(clusters.columns)] or [values])
    rows = []
    for name in clusters.names:
        inside = labels == name
        for k, column in enumerate(clusters.columns if inside.any() else ()):
            difference = _standardised(measured[:, k], inside)
            means = [float(values[inside, k].mean()), float(values[:, k].mean())]
            rows.append([name, column.feature, column.shown_level, difference, *means])
    table = pd.DataFrame(rows, columns=["cluster", "feature", "level", "difference", "mean", "everyone"])
    order = table.assign(size=-table["difference"].abs()).sort_values(["cluster", "size", "feature", "level"]).index
    return table.loc[order].reset_index(drop=True)


def describe(clusters: Clusters, features: pd.DataFrame, *, most: int = 3, seed: int = 0) -> pd.DataFrame:
    """Describe each cluster by what distinguishes it and by the rules that find its customers.

    Returns
    -------
    DataFrame indexed by cluster: customers, share, features (the `most` features that differ most from everyone, in
    words), rules (the leaves of a tree of depth 3, in words), found (share of the cluster's customers that its rules
    find; not a number where it has none), accuracy (share of all customers in the cluster their leaf names, on the
    customers the tree was grown on; the same in each row).

    Raises
    ------
    InputError
        As `place`.

    Examples
    --------
    >>> from churn_clv.segments.clusters import fit_kmeans
    >>> spend = pd.Series([1.0, 2, 3, 91, 92, 93] * 5)
    >>> clusters = fit_kmeans(pd.DataFrame({"spend": spend}), spend, numbers=[2])
    >>> describe(clusters, pd.DataFrame({"spend": spend}))[["features", "rules"]].iloc[0].tolist()
    ['spend 92 on average (everyone 47)', 'spend above 47']
    """
    ordered = features.sort_index()
    labels = place(clusters, ordered)
    found = rules(clusters.columns, ordered, labels, seed=seed)
    told = differences(clusters, ordered)
    right = sum(rule.right for rule in found) / max(len(labels), 1)
    rows = [_row(name, labels, told, found, most) for name in clusters.names]
    index = pd.Index(clusters.names, name="cluster")
    table = pd.DataFrame(rows, index=index, columns=["customers", "share", "features", "rules", "found"])
    return table.assign(accuracy=right)


def rules(columns: Sequence[Column], features: pd.DataFrame, labels: pd.Series, *, seed: int = 0) -> list[Rule]:
    """Grow a tree of depth 3 that tells the segments by features, and return its leaves, in the order of the tree.

    Questions that do not change which segment is named are not asked. Rows of features and labels are the same customers.
    """
    if not (len(labels) and columns):
        return [Rule("everyone", str(labels.iloc[0]), len(labels), len(labels))] if len(labels) else []
    values = readable(columns, features)
    model = grow(values, labels.to_numpy(), seed)
    leaves, predicted, actual = model.apply(values), model.tree_.value[:, 0].argmax(axis=1), labels.to_numpy()
    found = []
    for ends, bounds in _paths(model.tree_, predicted, 0, ()):
        inside = np.isin(leaves, list(ends))
        segment = model.classes_[predicted[min(ends)]]
        right = int((actual[inside] == segment).sum())
        found.append(Rule(_asked(bounds, columns), str(segment), int(inside.sum()), right))
    return found


def grow(values: np.ndarray, labels: np.ndarray, seed: int) -> Any:
    """Fit the small tree that descriptions and the quality table share."""
    import warnings

    from sklearn.tree import DecisionTreeClassifier

    with warnings.catch_warnings():
        # Nearly as many segments as customers is a scheme's fault, which the accuracy shows.
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
        return DecisionTreeClassifier(max_depth=DEPTH, random_state=seed).fit(values, labels)


def _row(name: str, labels: pd.Series, told: pd.DataFrame, found: list[Rule], most: int) -> list[object]:
    customers = int((labels == name).sum())
    own = told[told["cluster"] == name].drop_duplicates("feature").head(most)
    named = [rule for rule in found if rule.segment == name]
    share = sum(rule.right for rule in named) / customers if customers else np.nan
    words = "; ".join(rule.words for rule in named) or NO_RULE
    features = "; ".join(_said(row) for _, row in own.iterrows() if row["difference"] != 0)
    return [customers, customers / max(len(labels), 1), features or "like everyone", words, share]


def _said(row: pd.Series) -> str:
    if row["level"]:
        name = f"{row['feature']} missing" if row["level"] == MISSING else f"{row['feature']} {row['level']}"
        return f"{name} {row['mean']:.0%} (everyone {row['everyone']:.0%})"
    return f"{row['feature']} {row['mean']:.4g} on average (everyone {row['everyone']:.4g})"


def _paths(
    tree: Any, predicted: np.ndarray, node: int, bounds: tuple[_Bound, ...]
) -> Iterator[tuple[set[int], tuple[_Bound, ...]]]:
    """The leaves that one rule leads to, and what it asks; a question with one answer is left out."""
    ends = _leaves(tree, node)
    if len({predicted[leaf] for leaf in ends}) == 1:
        yield ends, bounds
        return
    column, threshold = int(tree.feature[node]), float(tree.threshold[node])
    for child, above in ((tree.children_left[node], False), (tree.children_right[node], True)):
        yield from _paths(tree, predicted, int(child), (*bounds, _Bound(column, above, threshold)))


def _leaves(tree: Any, node: int) -> set[int]:
    left, right = int(tree.children_left[node]), int(tree.children_right[node])
    return {node} if left < 0 else _leaves(tree, left) | _leaves(tree, right)


def _asked(bounds: tuple[_Bound, ...], columns: Sequence[Column]) -> str:
    # Deeper bounds on the same side of a number are the tighter ones, so the last of each stands.
    last: dict[int, dict[bool, float]] = {}
    for bound in bounds:
        last.setdefault(bound.column, {})[bound.above] = bound.threshold
    return " and ".join(_question(columns[column], sides) for column, sides in last.items()) or "everyone"


def _question(column: Column, sides: dict[bool, float]) -> str:
    if column.kind == "number":
        told = [f"{'above' if above else 'at most'} {sides[above]:.4g}" for above in sorted(sides, reverse=True)]
        return f"{column.feature} {' and '.join(told)}"
    if column.tells_missing:
        return f"{column.feature} {'missing' if True in sides else 'known'}"
    return f"{column.feature} {'is' if True in sides else 'is not'} {column.level}"


def _standardised(values: np.ndarray, inside: np.ndarray) -> float:
    spread = float(values.std())
    return float(values[inside].mean() - values.mean()) / spread if spread > 0 else 0.0
