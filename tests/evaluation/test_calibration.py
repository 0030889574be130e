"""Calibration error, slope and intercept: definitions worked out otherwise, and probabilities known to be right."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq
from sklearn.linear_model import LogisticRegression

from churn_clv.evaluation import calibration as c
from churn_clv.evaluation.bootstrap import bootstrap_weights

N = 300
RNG = np.random.default_rng(12)
RISK = RNG.random(N)
CHURNED = (RNG.random(N) < RISK).astype(float)
WEIGHTS = {"ones": np.ones(N), "bootstrap": bootstrap_weights(N, 1, seed=4)[0], "real": RNG.gamma(1, 1, N)}

cases = pytest.mark.parametrize("weights", WEIGHTS.values(), ids=WEIGHTS)


def test_calibration_error_equals_the_mean_gap_of_ten_bins() -> None:
    y, p = CHURNED, RISK
    by_risk = np.argsort(p).reshape(10, N // 10)  # no ties: bins of equally many customers
    expected = np.mean([abs(y[bin_].mean() - p[bin_].mean()) for bin_ in by_risk])
    assert c.calibration_error(y, p)(np.ones(N)) == pytest.approx(expected, rel=1e-12)


def test_noise_of_the_calibration_error_is_that_of_the_literature() -> None:
    # 95 % points for ten equal-mass bins and a perfectly calibrated model, from simulation: n = 500: .064, 2,357: .029;
    # they depend on how risks spread, hence 25 %
    rng = np.random.default_rng(2)
    for n, point in ((500, 0.064), (2357, 0.029)):
        noise = c.calibration_error_noise(rng.beta(2, 1, n), seed=1)
        assert noise == pytest.approx(point, rel=0.25)


def test_a_calibrated_model_stays_under_its_noise_and_a_shifted_one_does_not() -> None:
    rng = np.random.default_rng(5)
    p = rng.beta(2, 1, 3000)
    y, ones = (rng.random(3000) < p).astype(float), np.ones(3000)
    noise = c.calibration_error_noise(p, seed=1)
    assert c.calibration_error(y, p)(ones) < noise < c.calibration_error(y, np.clip(p - 0.1, 0, 1))(ones)


@cases
def test_calibration_slope_equals_an_unpenalised_logistic_regression(weights: np.ndarray) -> None:
    y, p = CHURNED, RISK
    logit = np.log(p / (1 - p))[:, None]
    expected = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(logit, y, sample_weight=weights).coef_[0, 0]
    assert c.calibration_slope(y, p)(weights) == pytest.approx(expected, rel=1e-5)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "risk",
    [
        np.where(np.arange(N) < 270, 0.999, 0.5),
        np.random.default_rng(0).beta(0.2, 0.2, N),
        1 - 1e-5 * np.random.default_rng(0).random(N),
        np.where(np.arange(N) < 150, 1.0, 0.0),
    ],
    ids=["two values", "many near 0 and 1", "all near 1", "only 0 and 1"],
)
def test_calibration_slope_of_an_overconfident_model_is_the_logistic_regressions(risk: np.ndarray) -> None:
    y = (np.random.default_rng(3).random(N) < 0.5).astype(float)
    p = np.clip(risk, 1e-6, 1 - 1e-6)
    logit = (np.log(p) - np.log1p(-p))[:, None]
    expected = LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000).fit(logit, y).coef_[0, 0]
    assert c.calibration_slope(y, risk)(np.ones(N)) == pytest.approx(expected, rel=1e-3, abs=1e-3)


def test_the_allowed_error_is_two_points_or_the_noise_where_that_is_more() -> None:
    rng = np.random.default_rng(2)
    few, many = rng.beta(2, 1, 500), rng.beta(2, 1, 40_000)
    assert c.calibration_error_noise(many, seed=1) < 0.02 == c.calibration_error_allowed(many, seed=1)
    assert c.calibration_error_allowed(few, seed=1) == c.calibration_error_noise(few, seed=1) > 0.02


def mean_gap(level: float, risk: np.ndarray, churned: np.ndarray, weights: np.ndarray) -> float:
    odds = np.exp(level) * risk / (1 - risk)
    return float(np.average(odds / (1 + odds) - churned, weights=weights))


@cases
def test_calibration_intercept_makes_the_mean_risk_right(weights: np.ndarray) -> None:
    for risk in (RISK, RISK**2, np.full(N, 0.9)):
        root = brentq(mean_gap, -30, 30, args=(risk, CHURNED, weights), xtol=1e-12)
        assert c.calibration_intercept(CHURNED, risk)(weights) == pytest.approx(root, abs=1e-7)


def test_calibration_intercept_of_one_risk_is_the_distance_of_the_log_odds() -> None:
    churned = np.array([1.0, 1.0, 1.0, 0.0])
    assert c.calibration_intercept(churned, np.full(4, 0.5))(np.ones(4)) == pytest.approx(np.log(3))


def test_shifted_log_odds_show_their_shift_and_right_ones_none() -> None:
    rng = np.random.default_rng(8)
    risk = rng.beta(2, 1, 40_000)
    churned, ones = (rng.random(40_000) < risk).astype(float), np.ones(40_000)
    odds = np.exp(0.4) * risk / (1 - risk)
    # 40,000 customers at a mean p(1-p) of .17: standard error 1 / sqrt(6,700) = .012; three of them.
    assert c.calibration_intercept(churned, risk)(ones) == pytest.approx(0, abs=0.036)
    assert c.calibration_intercept(churned, odds / (1 + odds))(ones) == pytest.approx(-0.4, abs=0.036)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("risk", [np.zeros(N), np.ones(N), np.where(np.arange(N) < 150, 1.0, 0.0)])
def test_calibration_intercept_of_certain_and_wrong_risks_is_finite_and_right(risk: np.ndarray) -> None:
    level = c.calibration_intercept(CHURNED, risk)(np.ones(N))
    assert mean_gap(level, np.clip(risk, 1e-6, 1 - 1e-6), CHURNED, np.ones(N)) == pytest.approx(0, abs=1e-8)


@pytest.mark.parametrize("outcome", [0.0, 1.0])
def test_with_one_outcome_only_no_shift_is_enough(outcome: float) -> None:
    assert np.isnan(c.calibration_intercept(np.full(N, outcome), RISK)(np.ones(N)))
