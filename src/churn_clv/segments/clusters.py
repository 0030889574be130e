"""Clusters of customers by k-means and by a self-organising map: frozen, numbered by value, described in words.

Features are scaled by `churn_clv.segments.scaling`, as they were in the reference snapshot.

Number of clusters. Of those in the stated range the one with the highest mean silhouette, among those where clusters
fitted to resampled customers agree with the first (mean adjusted Rand index at least STABILITY_FLOOR) and each has at
least SMALLEST_SHARE of the customers; where none does, the most stable. Both are measured on a sample of at most
SAMPLE customers, and the clusters are fitted to at most MOST_FITTED. k-means always finds as many clusters as it is asked for: `Clusters.words` says how strong they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from churn_clv.errors import InputError
from churn_clv.segments.scaling import Column, readable, scaling

STABILITY_FLOOR = 0.8
SMALLEST_SHARE = 0.01
SAMPLE = 2000
RESAMPLES = 5
MOST_FITTED = 100_000
SOM_SHAPES = ((1, 2), (1, 3), (2, 2), (2, 3), (2, 4), (3, 3))
SOM_STEPS = 2000

Shape = tuple[int, int]
Fitter = Callable[[np.ndarray, Shape, int], np.ndarray]


@dataclass(frozen=True)
class Candidate:
    """A number of clusters (rows times columns of the map; 1 row for k-means) and how it was judged."""

    shape: Shape
    silhouette: float
    stability: float
    smallest_share: float


@dataclass(frozen=True)
class Clusters:
    """Scaling and centres, taken once at a reference snapshot: customers move, clusters do not.

    Attributes
    ----------
    method
        "k-means" or "self-organising map".
    columns
        The scaled columns.
    centres
        Of each cluster, in scaled columns; the cluster of the highest mean value first.
    positions
        Row and column of each cluster on the map; neighbours are alike (k-means: row 0, no meaning).
    left_out
        Features that are the same for everybody.
    candidates
        What the number of clusters was chosen from; empty where there was no choice.
    """

    method: str
    columns: tuple[Column, ...]
    centres: tuple[tuple[float, ...], ...]
    positions: tuple[Shape, ...]
    left_out: tuple[str, ...]
    candidates: tuple[Candidate, ...]

    @property
    def names(self) -> list[str]:
        return [f"cluster {k}" for k in range(1, len(self.centres) + 1)]

    @property
    def words(self) -> str:
        """How the number of clusters came about, in one sentence."""
        if not self.candidates:
            return "One cluster: the customers are too few or too much alike to tell groups apart"
        best, stable = _best(self.candidates)
        told = f"silhouette {best.silhouette:.2f} ({_strength(best.silhouette)} structure)"
        why = "the highest of the stable" if stable else f"none was stable and at least {SMALLEST_SHARE:.0%} in size"
        return f"{len(self.centres)} clusters: {told}, agreement on resampled customers {best.stability:.2f}; {why}"

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Clusters:
        return cls(
            content["method"],
            tuple(Column(**column) for column in content["columns"]),
            tuple(tuple(map(float, centre)) for centre in content["centres"]),
            tuple(_shape(position) for position in content["positions"]),
            tuple(content["left_out"]),
            tuple(Candidate(**{**one, "shape": _shape(one["shape"])}) for one in content["candidates"]),
        )


def fit_kmeans(
    features: pd.DataFrame, value: pd.Series, *, numbers: Sequence[int] = range(2, 9), seed: int = 0
) -> Clusters:
    """Find clusters by k-means, as many as the criterion of this module says.

    Parameters
    ----------
    features
        Numbers, truth values and categories by customer id, in any order of rows.
    value
        What the clusters are numbered by (currency), by customer id: the highest mean is cluster 1; a cluster nobody of
        which has a value comes last.
    numbers
        Numbers of clusters to choose from; those above the number of different customers, or not below the number of
        customers, are passed over. Where none is left there is one cluster.
    seed
        Of starts, sample and resamples; the same seed gives the same clusters to the bit.

    Raises
    ------
    InputError
        If nobody is there, a number is infinite, or a feature is a date.
    ValueError
        If an id occurs twice.

    References
    ----------
    Rousseeuw (1987), J. Comput. Appl. Math. 20 (silhouette). Dolnicar and Leisch (2010), Marketing Letters 21
    (reproducibility of segments under the bootstrap). Hubert and Arabie (1985), J. Classification 2 (Rand index).

    Examples
    --------
    >>> spend = pd.Series([1.0, 2, 3, 91, 92, 93] * 5)
    >>> clusters = fit_kmeans(pd.DataFrame({"spend": spend}), spend, numbers=[2, 3])
    >>> place(clusters, pd.DataFrame({"spend": [95.0, 0.0]})).tolist()
    ['cluster 1', 'cluster 2']
    """
    return _fit("k-means", _kmeans_centres, [(1, int(k)) for k in numbers], features, value, seed)


def fit_som(
    features: pd.DataFrame, value: pd.Series, *, shapes: Sequence[Shape] = SOM_SHAPES, seed: int = 0
) -> Clusters:
    """Find clusters by a self-organising map: each node that wins customers is one; see `fit_kmeans`.

    Parameters
    ----------
    shapes
        Rows and columns of the maps to choose from.

    References
    ----------
    Kohonen (1990), The self-organizing map, Proc. IEEE 78.

    Examples
    --------
    >>> spend = pd.Series([1.0, 2, 3, 91, 92, 93] * 5)
    >>> fit_som(pd.DataFrame({"spend": spend}), spend, shapes=[(1, 2)]).positions in [((0, 0), (0, 1)), ((0, 1), (0, 0))]
    True
    """
    return _fit("self-organising map", _som_centres, list(shapes), features, value, seed)


def place(clusters: Clusters, features: pd.DataFrame) -> pd.Series:
    """Return the name of each customer's nearest cluster, by index; as near to two, the one of higher value.

    A level not seen in the snapshot counts as none of the known; a negative number where log(1 + x) is taken, as 0.

    Raises
    ------
    InputError
        If a feature is not there or a number is infinite.
    """
    nearest = _nearest(np.array(clusters.centres), _scaled(clusters.columns, features))
    return pd.Series(
        np.array(clusters.names, dtype=object)[nearest], index=features.index, name="cluster", dtype=object
    )


def _fit(
    method: str, fitter: Fitter, shapes: list[Shape], features: pd.DataFrame, value: pd.Series, seed: int
) -> Clusters:
    if features.empty:
        raise InputError(f"no customers or no features ({features.shape[0]} by {features.shape[1]}): no clusters")
    if not (features.index.is_unique and value.index.is_unique):
        raise ValueError("a customer occurs twice: one row a customer is wanted in features and value")
    ordered = features.sort_index()
    columns, left_out = scaling(ordered)
    rows = _sampled(_scaled(columns, ordered), MOST_FITTED, seed)
    candidates = _judged(rows, shapes, fitter, seed)
    shape = _best(candidates)[0].shape if candidates else (1, 1)
    centres = fitter(rows, shape, seed) if candidates else rows.mean(axis=0, keepdims=True)
    order = _by_value(centres, _scaled(columns, ordered), value.reindex(ordered.index).to_numpy(dtype=float))
    positions = tuple((int(node) // shape[1], int(node) % shape[1]) for node in order)
    return Clusters(method, columns, tuple(map(tuple, centres[order].tolist())), positions, left_out, candidates)


def _by_value(centres: np.ndarray, rows: np.ndarray, value: np.ndarray) -> np.ndarray:
    """The clusters that have customers: highest mean value first, then by centre, so that no luck numbers them."""
    labels = _nearest(centres, rows)
    means = pd.Series(value).groupby(labels).mean().fillna(-np.inf)
    return np.array(sorted(means.index, key=lambda k: (-means[k], centres[k].tolist())))


def _nearest(centres: np.ndarray, rows: np.ndarray) -> np.ndarray:
    # Sums of squares by row, not a matrix product: its rounding would depend on the other rows.
    return np.column_stack([((rows - centre) ** 2).sum(axis=1) for centre in centres]).argmin(axis=1)


def _judged(rows: np.ndarray, shapes: list[Shape], fitter: Fitter, seed: int) -> tuple[Candidate, ...]:
    rows = _sampled(rows, SAMPLE, seed)
    most = min(len(np.unique(rows, axis=0)), len(rows) - 1) if rows.shape[1] else 0
    return tuple(_candidate(rows, shape, fitter, seed) for shape in shapes if 2 <= shape[0] * shape[1] <= most)


def _sampled(rows: np.ndarray, most: int, seed: int) -> np.ndarray:
    if len(rows) <= most:
        return rows
    return rows[np.sort(np.random.default_rng(seed).choice(len(rows), most, replace=False))]


def _candidate(rows: np.ndarray, shape: Shape, fitter: Fitter, seed: int) -> Candidate:
    from sklearn.metrics import adjusted_rand_score, silhouette_score

    labels = _nearest(fitter(rows, shape, seed), rows)
    rng = np.random.default_rng(seed)
    agreement = []
    for draw in range(RESAMPLES):
        drawn = rows[np.sort(rng.integers(len(rows), size=len(rows)))]
        agreement.append(adjusted_rand_score(labels, _nearest(fitter(drawn, shape, seed + draw + 1), rows)))
    silhouette = silhouette_score(rows, labels) if len(np.unique(labels)) > 1 else -1.0
    smallest = np.unique(labels, return_counts=True)[1].min() / len(labels)
    return Candidate(shape, float(silhouette), float(np.mean(agreement)), float(smallest))


def _best(candidates: Sequence[Candidate]) -> tuple[Candidate, bool]:
    """The candidate chosen (the fewest clusters among equals), and whether it holds the floors."""
    fit = [one for one in candidates if one.stability >= STABILITY_FLOOR and one.smallest_share >= SMALLEST_SHARE]
    if fit:
        return max(fit, key=lambda one: (one.silhouette, -one.shape[0] * one.shape[1])), True
    return max(candidates, key=lambda one: (one.stability, -one.shape[0] * one.shape[1])), False


def _strength(silhouette: float) -> str:
    """Kaufman and Rousseeuw (1990), Finding Groups in Data, table 4."""
    for limit, word in ((0.7, "strong"), (0.5, "reasonable"), (0.25, "weak")):
        if silhouette > limit:
            return word
    return "no substantial"


def _kmeans_centres(rows: np.ndarray, shape: Shape, seed: int) -> np.ndarray:
    import warnings

    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    model = KMeans(shape[1], n_init=10, random_state=seed)
    # One thread: several add up in the order they happen to finish.
    with threadpool_limits(1), warnings.catch_warnings():
        # A resample may hold fewer different customers than clusters; the centres left over are then equal.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return np.asarray(model.fit(rows).cluster_centers_, dtype=float)


def _som_centres(rows: np.ndarray, shape: Shape, seed: int) -> np.ndarray:
    from minisom import MiniSom  # type: ignore[import-untyped]

    # Drawn here, as MiniSom would train on the first rows only where there are more rows than steps.
    steps = rows[np.random.default_rng(seed).integers(len(rows), size=SOM_STEPS)]
    som = MiniSom(*shape, rows.shape[1], decay_function="linear_decay_to_zero", random_seed=seed)
    som.random_weights_init(rows)
    som.train(steps, SOM_STEPS)
    return np.asarray(som.get_weights(), dtype=float).reshape(-1, rows.shape[1])


def _scaled(columns: Sequence[Column], features: pd.DataFrame) -> np.ndarray:
    """Every column as it was scaled in the reference snapshot, whoever the customers are."""
    values = readable(columns, features)
    for k, column in enumerate(columns):
        values[:, k] = (column.measured(values[:, k]) - column.centre) / column.spread
    return values


def _shape(pair: Sequence[int]) -> Shape:
    return int(pair[0]), int(pair[1])
