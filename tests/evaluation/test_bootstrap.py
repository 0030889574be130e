"""Bootstrap draws are the multinomial's, errors those of theory, and differences between models are paired."""

from __future__ import annotations

import numpy as np
import pytest

from churn_clv.evaluation.bootstrap import bootstrap_weights, compare
from churn_clv.evaluation.value_metrics import mae

N = 300
RNG = np.random.default_rng(12)
SPEND = np.where(RNG.random(N) < 0.6, 0.0, RNG.gamma(1, 50, N).round(1))
FORECAST = SPEND * RNG.gamma(1, 1, N) + RNG.random(N)


def test_bootstrap_weights_count_n_draws_with_the_multinomials_variance() -> None:
    weights = bootstrap_weights(200, 2000, seed=1)
    assert weights.shape == (2000, 200)
    assert (weights.sum(axis=1) == 200).all()
    assert (weights == np.floor(weights)).all()
    assert weights.var() == pytest.approx(1 - 1 / 200, rel=0.02)  # 400,000 draws: standard error .003
    np.testing.assert_array_equal(weights, bootstrap_weights(200, 2000, seed=1))
    assert not np.array_equal(weights, bootstrap_weights(200, 2000, seed=2))


def test_bootstrap_error_of_a_mean_is_its_standard_error() -> None:
    losses = (SPEND - FORECAST) ** 2
    table = compare({"mse": lambda a, p: lambda w: float(w @ (a - p) ** 2 / w.sum())}, SPEND,
                      {"one": FORECAST}, bootstrap_weights(N, 2000, seed=3))  # fmt: skip
    assert table.loc[("mse", "one"), "standard_error"] == pytest.approx(losses.std() / np.sqrt(N), rel=0.1)


def test_differences_are_paired() -> None:
    """Two models with the same large errors and a small constant gap: the difference is known far better than either."""
    noise = np.random.default_rng(1).normal(0, 10, N)
    table = compare({"mae": mae}, np.zeros(N), {"first": noise, "second": noise + np.sign(noise)},
                      bootstrap_weights(N, 200, seed=3))  # fmt: skip
    row = table.loc[("mae", "second")]
    assert row["difference"] == pytest.approx(-1)
    assert row["difference_low"] == pytest.approx(-1)
    assert row["difference_high"] == pytest.approx(-1)
    assert row["standard_error"] > 0.2
    assert table.loc[("mae", "first"), ["difference", "difference_low", "difference_high"]].tolist() == [0, 0, 0]
