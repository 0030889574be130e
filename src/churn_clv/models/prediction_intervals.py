"""Prediction intervals for purchases and CLV, per customer or for the total of any group.

Each draw takes new parameters from their uncertainty, then each customer's own rate, dropout and spend from the
posterior, then her purchases and their amounts. Customers share the parameters of a draw, so the error of the
parameters does not average out in a group. Shocks that hit all customers at once (a season, a crisis) are not in
the model: intervals of large totals are too narrow by these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from churn_clv.models.distinct_rows import Array, Histories, read_histories
from churn_clv.models.futures import stream
from churn_clv.models.gamma_gamma import GammaGammaModel, spend_histories
from churn_clv.models.purchase_model import PurchaseModel, check_horizon, continuous_rate

CELLS = 4_000_000

# draws, for one parameter draw and a slice of customers, one value per customer
Draw = Callable[[int, slice, np.random.Generator], Array]


def purchase_intervals(
    model: PurchaseModel,
    summary: pd.DataFrame,
    *,
    horizon: float,
    level: float = 0.9,
    size: int = 1000,
    seed: int,
    groups: pd.Series | None = None,
) -> pd.DataFrame:
    """Return the mean and a prediction interval of the purchases in (T, T + horizon].

    Parameters
    ----------
    level
        Probability inside the interval, equally much outside on both sides.
    size
        Number of draws.
    groups
        None for one row per customer; a series of group labels by customer id for one row per group total.

    Returns
    -------
    A frame with ``mean``, ``lower`` and ``upper`` by customer or group.
    """
    _check(horizon, level, size)
    histories = read_histories(summary)
    models = model.draw_models(size, stream(seed, 0))

    def draw(number: int, at: slice, rng: np.random.Generator) -> Array:
        futures = models[number].draw_futures(_part(histories, at), rng)
        return futures.counts(horizon, rng).astype(float)

    return _intervals(draw, summary.index, level, size, seed, groups)


def clv_intervals(
    purchase_model: PurchaseModel,
    spend_model: GammaGammaModel,
    summary: pd.DataFrame,
    *,
    horizon: float,
    annual_discount_rate: float,
    periods_per_year: float,
    level: float = 0.9,
    size: int = 1000,
    seed: int,
    groups: pd.Series | None = None,
) -> pd.DataFrame:
    """Return the mean and a prediction interval of the discounted spend in (T, T + horizon].

    Every purchase is discounted at its own time. The parameters are those of `clv.discounted_clv` and
    `purchase_intervals`; so is the result.
    """
    _check(horizon, level, size)
    delta = continuous_rate(annual_discount_rate, periods_per_year)
    histories = read_histories(summary)
    x, m = spend_histories(summary)
    rng = stream(seed, 0)
    pairs = list(zip(purchase_model.draw_models(size, rng), spend_model.draw_models(size, rng), strict=True))

    def draw(number: int, at: slice, rng: np.random.Generator) -> Array:
        buying, spending = pairs[number]
        part = _part(histories, at)
        owner, time = buying.draw_futures(part, rng).purchase_times(horizon, rng)
        amount = rng.gamma(spending.params_["p"], size=owner.size) * np.exp(-delta * time)
        return np.bincount(owner, amount, minlength=part.age.size) / spending.draw_rates(x[at], m[at], rng)

    return _intervals(draw, summary.index, level, size, seed, groups)


def _intervals(
    draw: Draw, index: pd.Index, level: float, size: int, seed: int, groups: pd.Series | None
) -> pd.DataFrame:
    if groups is None:
        tables = [_summarised(values, level) for _, values in _draws(draw, len(index), size, seed)]
        table = np.concatenate(tables) if tables else np.zeros((0, 3))
        return pd.DataFrame(table, index=index, columns=["mean", "lower", "upper"])
    codes, labels = _group_codes(groups, index)
    totals = np.zeros((len(labels), size))
    for at, values in _draws(draw, len(index), size, seed):
        np.add.at(totals, codes[at], values)
    return pd.DataFrame(_summarised(totals, level), index=labels, columns=["mean", "lower", "upper"])


def _draws(draw: Draw, n: int, size: int, seed: int) -> Iterator[tuple[slice, Array]]:
    """Yield blocks of customers with all their draws, so that memory does not grow with their number."""
    rows = max(1, CELLS // size)
    for block, begin in enumerate(range(0, n, rows)):
        at = slice(begin, min(begin + rows, n))
        rng = stream(seed, 1, block)
        yield at, np.stack([draw(number, at, rng) for number in range(size)], axis=1)


def _summarised(values: Array, level: float) -> Array:
    tails = np.quantile(values, [(1 - level) / 2, (1 + level) / 2], axis=1)
    return np.column_stack([values.mean(axis=1), tails[0], tails[1]])


def _group_codes(groups: pd.Series, index: pd.Index) -> tuple[np.ndarray, pd.Index]:
    if not groups.index.equals(index):
        missing = int((~index.isin(groups.index)).sum())
        if missing or not groups.index.is_unique:
            raise ValueError(f"groups must label every customer once; {missing} of {len(index)} have no label")
        groups = groups.reindex(index)
    if groups.isna().any():
        raise ValueError(f"{int(groups.isna().sum())} of {len(index)} customers have no group; label or drop them")
    codes, labels = pd.factorize(groups, sort=True)
    return codes, pd.Index(labels, name=groups.name)


def _part(h: Histories, at: slice) -> Histories:
    return Histories(h.frequency[at], h.recency[at], h.age[at], None)


def _check(horizon: float, level: float, size: int) -> None:
    check_horizon(horizon)
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, got {level!r}")
    if size < 1:
        raise ValueError(f"size must be at least 1 draw, got {size!r}")
