"""Intervals of a right model hold; those of a wrong one do not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import poisson

from churn_clv.evaluation.intervals import interval_quality
from churn_clv.models import BetaGeoModel


@pytest.fixture(scope="module")
def truth() -> BetaGeoModel:
    return BetaGeoModel.from_params(r=0.6, alpha=30.0, a=0.8, b=2.5)


@pytest.fixture(scope="module")
def histories(truth: BetaGeoModel) -> pd.DataFrame:
    return truth.simulate(np.full(4000, 300.0), seed=11, horizon=180.0)


def test_the_true_models_pit_is_uniform_and_its_intervals_cover(truth: BetaGeoModel, histories: pd.DataFrame):
    held = interval_quality(truth, histories, histories["holdout_frequency"], 180.0, seed=3)
    assert held["pit_ks"] <= held["pit_ks_noise_95"]
    # Never less than the level: counts are whole numbers. Two standard errors of 4,000 customers are .007.
    for level in (80, 90, 95):
        assert held[f"coverage_{level}"] >= level / 100 - 0.007


def test_a_model_that_promises_too_much_is_seen(histories: pd.DataFrame):
    wrong = BetaGeoModel.from_params(r=1.2, alpha=30.0, a=0.8, b=5.0)
    held = interval_quality(wrong, histories, histories["holdout_frequency"], 180.0, seed=3)
    assert held["pit_ks"] > 2 * held["pit_ks_noise_95"]


def test_widths_of_customers_all_alike_who_never_leave_are_the_poissons(histories: pd.DataFrame):
    """Counts of one known rate are Poisson, and so are the ends of their intervals."""
    alike = BetaGeoModel.from_params(r=1e6, alpha=3e7, a=1e-6, b=1e6)  # one purchase in 30 days
    held = interval_quality(alike, histories, histories["holdout_frequency"], 180.0, seed=3)
    for level in (0.80, 0.90, 0.95):
        low, high = poisson.ppf([(1 - level) / 2, (1 + level) / 2], 6.0)
        # Ends are quantiles of 400 draws: off by one purchase for a part of the customers.
        assert held[f"width_{100 * level:.0f}"] == pytest.approx(high - low, abs=0.5)
