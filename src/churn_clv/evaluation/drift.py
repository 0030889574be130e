"""Whether the share of customers who buy nothing moved between the labels learned from and the holdout."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

POINTS = 0.02


@dataclass(frozen=True)
class BaseRateDrift:
    """The churn rate in the labels and in the holdout, each with the number of customers behind it.

    The labels of one customer at several cutoffs are no independent evidence: give the number of customers, not of
    rows, and only labels whose horizon is the holdout's, as a rate over another horizon is another quantity.

    Raises
    ------
    ValueError
        If a rate is not a share or nobody is behind it.

    Examples
    --------
    >>> BaseRateDrift(0.62, 5000, 0.70, 5000).drifted, BaseRateDrift(0.62, 50, 0.70, 50).drifted
    (True, False)
    """

    learned_rate: float
    learned_customers: int
    holdout_rate: float
    holdout_customers: int

    def __post_init__(self) -> None:
        if not (0 <= self.learned_rate <= 1 and 0 <= self.holdout_rate <= 1):
            raise ValueError(f"churn rates must be shares from 0 to 1, got {self.learned_rate} and {self.holdout_rate}")
        if min(self.learned_customers, self.holdout_customers) < 1:
            raise ValueError(f"no customer is behind a churn rate: {self}")

    @property
    def difference(self) -> float:
        """Churn rate of the holdout minus that of the labels."""
        return self.holdout_rate - self.learned_rate

    @property
    def noise(self) -> float:
        """The difference that 95 of 100 pairs of samples of one population stay under (pooled two-proportion test)."""
        n, m = self.learned_customers, self.holdout_customers
        rate = (n * self.learned_rate + m * self.holdout_rate) / (n + m)
        return 1.959964 * float(np.sqrt(rate * (1 - rate) * (1 / n + 1 / m)))

    @property
    def drifted(self) -> bool:
        """Whether the difference is beyond sampling noise and more than 2 percentage points."""
        return abs(self.difference) > max(self.noise, POINTS)
