"""Check a customer summary and gather the customers that share frequency, recency and T into weighted rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Codes = NDArray[np.intp]

LATTICE = 1 << 20
MOST_PURCHASES = 1e9  # beyond this a frequency is an amount or an id in the wrong column
MOST_TO_FIT = 1e7  # a likelihood keeps tables as long as the largest frequency


@dataclass(frozen=True)
class Histories:
    """Purchase histories as arrays: frequency (purchases), recency and age T (one time unit), weight."""

    frequency: Array
    recency: Array
    age: Array
    weight: Array | None


@dataclass(frozen=True)
class DistinctRows:
    """Weighted distinct rows; recency and age are positions in the table ``times``."""

    frequency: Array
    recency_at: Codes
    age_at: Codes
    times: Array
    weight: Array


def read_histories(summary: pd.DataFrame, weights: ArrayLike | pd.Series | None = None) -> Histories:
    """Take frequency, recency and T out of a summary and refuse what no model can mean.

    Raises
    ------
    ValueError
        For a missing column, missing, infinite or negative values, fractional frequencies, recency beyond T,
        or a recency without a repeat purchase; with the number of customers concerned.
    """
    x = column(summary, "frequency")
    t_x = column(summary, "recency")
    T = column(summary, "T")
    _refuse(x != np.floor(x), "frequency", "whole numbers of repeat purchases", "count purchase days")
    _refuse(x > MOST_PURCHASES, "frequency", "at most 1e9", "check that the column holds numbers of purchases")
    beyond = t_x > T * (1 + 1e-9)
    _refuse(beyond, "recency", "at most T", "end the observation after the last purchase")
    _refuse((x == 0) & (t_x > 0), "recency", "0 where frequency is 0", "measure it from the first purchase")
    return Histories(x, np.minimum(t_x, T), T, read_weights(summary, weights))


def column(summary: pd.DataFrame, name: str, signed: bool = False) -> Array:
    """Take one numeric column, finite and, unless signed, not negative."""
    if not isinstance(summary, pd.DataFrame):
        raise ValueError(f"the summary must be a pandas DataFrame with a column {name!r}, not {type(summary).__name__}")
    if name in summary.columns and not summary.columns.is_unique:
        raise ValueError(f"the summary's column names must be unique, got {list(summary.columns)}")
    if name not in summary.columns:
        raise ValueError(f"the summary has no column {name!r}; its columns are {list(summary.columns)}")
    try:
        values = summary[name].to_numpy(dtype=float, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise ValueError(f"column {name!r} of the summary must be numeric, not {summary[name].dtype}") from error
    if values.size and np.isfinite(values.max()) and values.min() >= (-np.inf if signed else 0.0):
        return values  # two reductions settle the ordinary case: a nan anywhere makes the maximum nan
    _refuse(~np.isfinite(values), name, "finite numbers", "remove or repair these customers")
    _refuse((values < 0) & (not signed), name, "not negative", "remove or repair these customers")
    return values


def read_weights(summary: pd.DataFrame, weights: ArrayLike | pd.Series | None) -> Array | None:
    """Align customer weights with the summary: a series by customer id, an array by position."""
    if weights is None:
        return None
    if isinstance(weights, pd.Series):
        weights = _aligned(weights, summary.index)
    values = np.asarray(weights, dtype=float)
    if values.shape != (len(summary),):
        raise ValueError(f"weights must be one number for each of {len(summary)} customers, got shape {values.shape}")
    bad = ~np.isfinite(values) | (values < 0)
    _refuse(bad, "weights", "finite and not negative", "give 0 to leave a customer out")
    return values


def _aligned(weights: pd.Series, index: pd.Index) -> pd.Series:
    if weights.index.equals(index):
        return weights
    missing = int((~index.isin(weights.index)).sum())
    if missing or not weights.index.is_unique:
        raise ValueError(f"weights must name every customer once; {missing} customers of the summary have none")
    return weights.reindex(index)


def refuse_unfittable(x: Array) -> None:
    """Refuse to build tables longer than memory is likely to hold."""
    _refuse(x > MOST_TO_FIT, "frequency", "at most 1e7 in a likelihood", "count purchase days, or drop such accounts")


def _refuse(bad: NDArray[np.bool_], name: str, wanted: str, remedy: str) -> None:
    count = int(np.count_nonzero(bad))
    if count:
        raise ValueError(f"{name} must be {wanted}: {count} of {bad.size} customers are not; {remedy}")


def distinct_rows(histories: Histories) -> DistinctRows:
    """Merge customers with equal frequency, recency and age."""
    times, recency_at, age_at = _time_table(histories.recency, histories.age)
    x = histories.frequency.astype(np.int64)
    bits = max(1, int(times.size - 1).bit_length())
    if x.size == 0 or int(x.max()).bit_length() + 2 * bits > 62:
        weight = np.ones(x.size) if histories.weight is None else histories.weight
        return DistinctRows(histories.frequency, recency_at, age_at, times, weight)
    key = (x << (2 * bits)) | (recency_at << bits) | age_at
    key, weight = _merge(key, histories.weight)
    mask = (1 << bits) - 1
    return DistinctRows((key >> (2 * bits)).astype(float), (key >> bits) & mask, key & mask, times, weight)


def _merge(key: NDArray[np.int64], weight: Array | None) -> tuple[NDArray[np.int64], Array]:
    if weight is None:
        key.sort()
        first = _firsts(key)
        return key[first], np.diff(first, append=key.size).astype(float)
    order = np.argsort(key, kind="stable")
    key = key[order]
    first = _firsts(key)
    return key[first], np.add.reduceat(weight[order], first)


def _firsts(ordered: NDArray[np.int64]) -> Codes:
    return np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))


def _time_table(recency: Array, age: Array) -> tuple[Array, Codes, Codes]:
    at, times = _positions(np.concatenate([recency, age]))
    return times, at[: recency.size], at[recency.size :]


def distinct_states(frequency: Array, age: Array) -> tuple[Array, Array, Codes]:
    """Return the distinct (frequency, T) and each customer's place among them."""
    x = frequency.astype(np.intp)
    age_at, ages = _positions(age)
    size = (int(x.max(initial=0)) + 1) * max(1, ages.size)
    if size <= max(LATTICE, 4 * x.size):
        return _states_on_lattice(x * ages.size + age_at, size, ages)
    codes, keys = pd.factorize(x * ages.size + age_at)
    return (keys // ages.size).astype(float), ages[keys % ages.size], codes.astype(np.intp, copy=False)


def _states_on_lattice(key: Codes, size: int, ages: Array) -> tuple[Array, Array, Codes]:
    seen = np.zeros(size, dtype=bool)
    seen[key] = True
    keys = np.flatnonzero(seen)
    place = np.zeros(size, dtype=np.intp)
    place[keys] = np.arange(keys.size)
    columns = max(1, ages.size)
    return (keys // columns).astype(float), ages[keys % columns], place[key]


def _positions(times: Array) -> tuple[Codes, Array]:
    """Return positions in a table of times: whole numbers are their own position."""
    highest = times.max(initial=0.0)
    if highest < LATTICE:
        at = times.astype(np.intp)
        if np.array_equal(at, times):
            return at, np.arange(int(highest) + 1, dtype=float)
    # sorted, so that sums run in the same order whatever the order of the customers
    codes, values = pd.factorize(times, sort=True)
    return codes.astype(np.intp, copy=False), values
