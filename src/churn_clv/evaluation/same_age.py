"""Customers of two days made alike in age, so that what is left of a difference is not only that time has passed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

STRATA = 20
FEWEST_IN_STRATUM = 10
FEWEST = 100


class SameAge(NamedTuple):
    """Whom to compare with whom.

    Attributes
    ----------
    weights
        One weight a customer of the earlier day, 0 for those without a counterpart: under it their ages are spread as
        those of the later day's compared customers are.
    compared
        Whether a customer of the later day has a counterpart.
    """

    weights: np.ndarray
    compared: np.ndarray

    @property
    def possible(self) -> bool:
        """Whether enough customers of the same age are there on both days for any comparison."""
        return int((self.weights > 0).sum()) >= FEWEST and int(self.compared.sum()) >= FEWEST


def same_age(before: pd.Series, after: pd.Series) -> SameAge:
    """Weight the customers of an earlier day by age in strata, as direct standardisation does.

    Everybody is older on the later day, and what adds up or fades with age (purchases, days of silence, risk) differs
    for that reason alone. Of a single cohort nobody has a counterpart, and then nothing can be told apart from age.

    Parameters
    ----------
    before, after
        Days from first purchase to the day, on either day.

    Examples
    --------
    >>> ages = same_age(pd.Series(np.arange(2000.0) % 400), pd.Series(np.arange(2000.0) % 400 + 100))
    >>> ages.possible, round(float(ages.compared.mean()), 2)
    (True, 0.75)
    >>> same_age(pd.Series([10.0] * 500), pd.Series([100.0] * 500)).possible
    False
    """
    old, new = before.to_numpy(dtype=float), after.to_numpy(dtype=float)
    low, high = max(old.min(), new.min()), min(old.max(), new.max())
    inside_old, inside_new = (old >= low) & (old <= high), (new >= low) & (new <= high)
    if not (inside_old.any() and inside_new.any()):
        return SameAge(np.zeros(old.size), np.zeros(new.size, dtype=bool))
    both = np.concatenate([old[inside_old], new[inside_new]])
    edges = np.unique(np.quantile(both, np.arange(1, STRATA) / STRATA))
    was, now = np.searchsorted(edges, old, side="left"), np.searchsorted(edges, new, side="left")
    people = np.bincount(was[inside_old], minlength=STRATA), np.bincount(now[inside_new], minlength=STRATA)
    usable = np.minimum(*people) >= FEWEST_IN_STRATUM
    ratio = np.where(usable, people[1] / np.maximum(people[0], 1), 0.0)
    return SameAge(np.where(inside_old, ratio[was], 0.0), inside_new & usable[now])
