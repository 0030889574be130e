"""Draws of what customers will do: purchase counts, purchase times, simulated summaries."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Array = NDArray[np.float64]
Counts = NDArray[np.int64]


def stream(seed: int, *more: int) -> np.random.Generator:
    """Return a random stream of our own: a caller who draws ages from default_rng(seed) must not meet it again."""
    return np.random.default_rng([seed, 1987, *more])


@dataclass(frozen=True)
class Futures:
    """One drawn future per customer: purchase rate, purchases until she leaves, time until she leaves."""

    rate: Array
    limit: Array
    lifetime: Array

    def counts(self, horizon: float, rng: np.random.Generator) -> Counts:
        """Draw the purchases in the horizon."""
        return np.minimum(self._unlimited(horizon, rng), self.limit).astype(np.int64)

    def purchase_times(self, horizon: float, rng: np.random.Generator) -> tuple[NDArray[np.intp], Array]:
        """Draw every purchase in the horizon as (customer position, time)."""
        # who has left makes no purchase: leave her out before drawing times
        n = np.where(self.limit > 0, self._unlimited(horizon, rng), 0)
        owner = np.repeat(np.arange(n.size), n)
        # given their number the times of a Poisson process are ordered uniforms; owner + u sorts within owners
        u = np.sort(owner + rng.random(owner.size)) - owner
        rank = np.arange(owner.size) - np.repeat(np.cumsum(n) - n, n)
        kept = rank < self.limit[owner]
        span = np.minimum(horizon, self.lifetime)
        return owner[kept], (u * span[owner])[kept]

    def _unlimited(self, horizon: float, rng: np.random.Generator) -> Counts:
        return rng.poisson(self.rate * np.minimum(horizon, self.lifetime))


def simulate_summary(futures: Futures, ages: Array, horizon: float | None, rng: np.random.Generator) -> pd.DataFrame:
    """Turn the futures of new customers into a summary at their ages."""
    span = np.minimum(ages, futures.lifetime)
    unlimited = rng.poisson(futures.rate * span)
    x = np.minimum(unlimited, futures.limit).astype(np.int64)
    # the last kept purchase is the x-th of n ordered uniforms
    last = rng.beta(np.maximum(x, 1), unlimited - x + 1.0)
    columns = {"frequency": x, "recency": np.where(x > 0, span * last, 0.0), "T": ages}
    if horizon is not None:
        left = Futures(futures.rate, futures.limit - x, np.maximum(futures.lifetime - ages, 0.0))
        columns["holdout_frequency"] = left.counts(horizon, rng)
    return pd.DataFrame(columns, index=pd.RangeIndex(ages.size, name="customer_id"))
