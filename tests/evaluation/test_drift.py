"""Drift of the base rate: seldom seen where there is none, always where there is much, and said with its figures."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2_contingency

from churn_clv.evaluation.drift import BaseRateDrift


@pytest.mark.parametrize(("n", "m"), [(400, 900), (2357, 1525)])
def test_the_noise_is_the_border_of_the_chi_square_test(n: int, m: int) -> None:
    rate = 0.6
    # The border is found by the difference whose own pooled test stands at .05: walk up in steps of one customer.
    for more in range(m - int(rate * m)):
        drift = BaseRateDrift(rate, n, (int(rate * m) + more) / m, m)
        table = [[rate * n, (1 - rate) * n], [drift.holdout_rate * m, (1 - drift.holdout_rate) * m]]
        assert (chi2_contingency(table, correction=False).pvalue < 0.05) == (abs(drift.difference) > drift.noise)


def test_one_population_seldom_drifts() -> None:
    rng = np.random.default_rng(3)
    rates = rng.binomial(1000, 0.5, (2000, 2)) / 1000  # small enough that noise, not the 2 points, decides
    found = np.mean([BaseRateDrift(a, 1000, b, 1000).drifted for a, b in rates])
    assert found == pytest.approx(0.05, abs=0.015)  # three standard errors of 2,000 pairs


def test_a_difference_within_two_points_is_no_drift_however_many_customers_show_it() -> None:
    small = BaseRateDrift(0.60, 1_000_000, 0.615, 1_000_000)
    assert abs(small.difference) > small.noise
    assert not small.drifted
    assert BaseRateDrift(0.60, 1_000_000, 0.575, 1_000_000).drifted


def test_rates_of_none_and_all_are_compared_without_a_warning() -> None:
    assert not BaseRateDrift(1.0, 50, 1.0, 50).drifted
    assert BaseRateDrift(0.0, 50, 1.0, 50).drifted


def test_rates_without_customers_and_no_rates_are_refused() -> None:
    with pytest.raises(ValueError, match="no customer"):
        BaseRateDrift(0.5, 0, 0.5, 10)
    with pytest.raises(ValueError, match="shares"):
        BaseRateDrift(float("nan"), 10, 0.5, 10)
