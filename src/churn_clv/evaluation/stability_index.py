"""Whether two groups of customers look alike in one column: stability index, Kolmogorov-Smirnov, total variation.

Each figure comes with what it shows by chance where nothing changed, as the usual limits of .1 and .25 ignore how many
customers there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

BINS = 10
DRIFT = 0.1
MAJOR_DRIFT = 0.25
NOISE_QUANTILE = 0.999
# Added to every bin on both sides, so that a bin that is empty on one side has a finite logarithm: of n customers, shares
# under .5 / n cannot be told from none.
EPSILON_CUSTOMERS = 0.5
# A category with a bin of its own was picked for being frequent: with fewer customers that is luck, and looks like drift later.
FEWEST_OF_CATEGORY = 5


@dataclass(frozen=True)
class Bins:
    """Bins fixed on a reference: intervals up to and including each edge, or one bin a value and one for all others.

    The last code is that of missing values.
    """

    edges: tuple[float, ...] = ()
    values: tuple[object, ...] | None = None

    @property
    def size(self) -> int:
        return 2 + len(self.edges if self.values is None else self.values)

    def codes(self, column: pd.Series) -> np.ndarray:
        """Return the bin of each customer, from 0."""
        missing = column.isna().to_numpy()
        if self.values is None:
            found = np.searchsorted(np.array(self.edges), column.to_numpy(dtype=float), side="left")
        else:
            found = pd.Index(self.values).get_indexer(pd.Index(_plain(column)))
            found = np.where(found < 0, len(self.values), found)
        return np.where(missing, self.size - 1, found)

    def counts(self, column: pd.Series, weights: np.ndarray | None = None) -> np.ndarray:
        """Return the customers in each bin, or the sums of their weights."""
        return np.bincount(self.codes(column), weights, self.size).astype(float)


class StabilityIndex(NamedTuple):
    """A population stability index beside what it reaches by chance.

    Attributes
    ----------
    value
        0 where the shares of all bins are equal.
    noise
        The value that 999 of 1,000 pairs of samples of one population stay under.
    """

    value: float
    noise: float

    def beyond(self, limit: float = DRIFT) -> bool:
        """Whether the change is both large enough to matter and beyond chance."""
        return self.value > max(limit, self.noise)


def freeze_bins(reference: pd.Series) -> Bins:
    """Choose bins: tenths of a number, each value where there are at most ten, the nine most frequent of many categories.

    Examples
    --------
    >>> freeze_bins(pd.Series([0, 0, 0, 2])).values, freeze_bins(pd.Series(range(1, 101))).edges[:2]
    ((0.0, 2.0), (10.0, 20.0))
    """
    known = _plain(reference.dropna())
    if is_category(reference):
        counts = known.value_counts().sort_index(kind="stable")
        return Bins(values=tuple(counts[counts >= FEWEST_OF_CATEGORY].nlargest(BINS - 1).index))
    distinct = np.unique(known)
    if distinct.size <= BINS:
        return Bins(values=tuple(distinct.tolist()))
    # Edges are values of customers, so that an interval holds whole values and infinity is no arithmetic.
    edges = np.quantile(known, np.arange(1, BINS) / BINS, method="inverted_cdf")
    return Bins(edges=tuple(np.unique(edges).tolist()))


def is_category(column: pd.Series) -> bool:
    """Whether a column holds categories: text, or yes and no."""
    return not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column)


def _plain(column: pd.Series) -> pd.Series:
    """Categories as text, numbers as floats: 1, 1.0 and a nullable 1 are one value."""
    return column.astype("str") if is_category(column) else column.astype(float)


def stability_index(reference: pd.Series, now: pd.Series, weights: np.ndarray | None = None) -> StabilityIndex:
    """Compare two groups of customers by the population stability index, sum (q - p) ln(q / p) over bins.

    Parameters
    ----------
    reference
        A number or a category of each customer of the group on which bins are fixed.
    now
        The same of the other group; missing values are a bin of their own on both sides.
    weights
        One weight a customer of the reference, for groups that are made alike in something else first.

    Raises
    ------
    ValueError
        If a group is empty.

    References
    ----------
    Yurdakul & Naranjo (2020), Statistical properties of the population stability index, Journal of Risk Model Validation
    14(4): without drift the index is distributed as (1/N + 1/M) times chi-square with B - 1 degrees of freedom.
    Kish (1965), Survey Sampling: N of a weighted group is (sum w)^2 / sum w^2.

    Examples
    --------
    >>> old, new = pd.Series(["a"] * 500 + ["b"] * 500), pd.Series(["a"] * 800 + ["b"] * 200)
    >>> index = stability_index(old, new)
    >>> round(index.value, 3), round(index.noise, 3), index.beyond()
    (0.415, 0.022, True)
    """
    if reference.empty or now.empty:
        raise ValueError(f"an index needs customers on both sides: got {len(reference)} and {len(now)}")
    # A column that came empty has no type of its own.
    now = now.astype(reference.dtype) if now.isna().all() and not is_category(reference) else now
    bins = freeze_bins(reference if weights is None else reference[weights > 0])
    n = effective_number(weights, len(reference))
    old, new = bins.counts(reference, weights), bins.counts(now)
    old = old * n / old.sum()
    used = (old > 0) | (new > 0)
    return StabilityIndex(_divergence(old[used], new[used]), stability_noise(int(used.sum()), n, len(now)))


def _divergence(old: np.ndarray, new: np.ndarray) -> float:
    p, q = ((counts + EPSILON_CUSTOMERS) / (counts + EPSILON_CUSTOMERS).sum() for counts in (old, new))
    return float(((q - p) * np.log(q / p)).sum())


def effective_number(weights: np.ndarray | None, customers: int) -> float:
    """Return how many equally weighted customers tell as much as these."""
    return float(customers) if weights is None else float(weights.sum() ** 2 / (weights**2).sum())


def stability_noise(bins: int, n: float, m: float, quantile: float = NOISE_QUANTILE) -> float:
    """Return the index that samples of n and m customers of one population stay under with a probability.

    Examples
    --------
    >>> [round(stability_noise(10, n, n, 0.95), 3) for n in (100, 500, 2000, 10000)]
    [0.338, 0.068, 0.017, 0.003]
    """
    from scipy.stats import chi2

    return float(chi2.ppf(quantile, bins - 1) * (1 / n + 1 / m)) if bins > 1 else 0.0


class Smirnov(NamedTuple):
    """The largest gap between two distribution functions, and how probable one as large is without drift."""

    gap: float
    p_value: float


def kolmogorov_smirnov(reference: pd.Series, now: pd.Series, weights: np.ndarray | None = None) -> Smirnov:
    """Compare the known values of a number in two groups; not a number where a group has none.

    With ties, as counts have them, the p-value is too large rather than too small.

    References
    ----------
    Smirnov (1948), Table for estimating the goodness of fit of empirical distributions, Annals of Mathematical Statistics
    19(2). With weights N is as in `stability_index`.

    Examples
    --------
    >>> kolmogorov_smirnov(pd.Series([1.0, 2.0]), pd.Series([3.0, 4.0])).gap
    1.0
    """
    from scipy.stats import kstwo

    known = reference.notna().to_numpy() & (True if weights is None else weights > 0)
    old, new = reference.to_numpy(dtype=float)[known], np.sort(now.dropna().to_numpy(dtype=float))
    if not (old.size and new.size):
        return Smirnov(np.nan, np.nan)
    w = (np.ones(len(reference)) if weights is None else weights)[known]
    order = np.argsort(old)
    cumulated = np.concatenate([[0.0], np.cumsum(w[order])]) / w.sum()
    at = np.concatenate([old, new])
    f = cumulated[np.searchsorted(old[order], at, side="right")]
    g = np.searchsorted(new, at, side="right") / new.size
    gap = float(np.abs(f - g).max())
    n = effective_number(w, old.size)
    return Smirnov(gap, float(kstwo.sf(gap, max(round(n * new.size / (n + new.size)), 1))))


def holm(p_values: Sequence[float]) -> np.ndarray:
    """Correct p-values for their number; those that are not a number are not counted and stay.

    References
    ----------
    Holm (1979), A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6(2), 65-70.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).round(2).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.array(p_values, dtype=float)
    order = np.argsort(p)[: np.isfinite(p).sum()]
    p[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(order.size, 0, -1)), 1.0)
    return p


def total_variation(reference: pd.Series, now: pd.Series, weights: np.ndarray | None = None) -> float:
    """Return the share of customers who would have to change category for two groups to be alike; missing is one.

    Examples
    --------
    >>> total_variation(pd.Series(["a", "a", "b", "b"]), pd.Series(["a", "a", "a", None]))
    0.5
    """
    w = pd.Series(1.0 if weights is None else weights, index=range(len(reference)))
    codes, names = pd.factorize(pd.concat([reference, now]).astype("object").to_numpy(), use_na_sentinel=True)
    codes = np.where(codes < 0, len(names), codes)
    old = np.bincount(codes[: len(reference)], w, len(names) + 1) / w.sum()
    new = np.bincount(codes[len(reference) :], minlength=len(names) + 1) / len(now)
    return float(np.abs(old - new).sum() / 2)
