"""Pareto/NBD holds published and independently recomputed values, and 40-digit integrals."""

from __future__ import annotations

import mpmath
import numpy as np
import pandas as pd
import pytest

from churn_clv.models import ParetoNBDModel

# BTYD 2.4.3 on the CDNOW 1/10 sample in exact weeks
BTYD = {"r": 0.5533971, "alpha": 10.5801985, "s": 0.6060625, "beta": 11.6562237}
# Fader, Hardie & Lee (2005), Table 2
PUBLISHED = {"r": 0.553, "alpha": 10.578, "s": 0.606, "beta": 11.669}


def state(x: float, t_x: float, T: float) -> pd.DataFrame:
    return pd.DataFrame({"frequency": [x], "recency": [t_x], "T": [T]})


def test_the_fit_of_cdnow_is_the_published_one(cdnow: pd.DataFrame) -> None:
    model = ParetoNBDModel().fit(cdnow)
    assert model.params_ == pytest.approx(PUBLISHED, rel=1e-3)
    # BTYD's beta is 1.07e-3 short of the maximum on a flat ridge; its likelihood agrees
    assert model.params_ == pytest.approx(BTYD, rel=1.2e-3)
    assert model.log_likelihood_ == pytest.approx(-9594.9762, abs=1e-4)
    assert model.log_likelihood_ >= ParetoNBDModel.from_params(**BTYD).log_likelihood(cdnow)


def test_expected_purchases_of_a_new_customer() -> None:
    # BTYD 2.4.3 pnbd.Expectation
    expected = [0.0510043556, 0.0996206812, 0.1461241835, 1.473112689]
    model = ParetoNBDModel.from_params(**BTYD)
    assert model.expected_purchases_new_customer([1, 2, 3, 52]) == pytest.approx(expected, rel=1e-5)


def test_customer_1516_of_the_walkthrough() -> None:
    model, customer = ParetoNBDModel.from_params(**BTYD), state(26, 30.857142857, 31)
    assert model.expected_purchases(customer, 52).iloc[0] == pytest.approx(25.45418327, rel=1e-5)
    assert model.probability_alive(customer).iloc[0] == pytest.approx(0.9978734082, rel=1e-5)


def test_discounted_residual_purchases_are_btyds() -> None:
    # BTYD 2.4.3 pnbd.DERT, delta = .0027 per week
    model = ParetoNBDModel.from_params(**BTYD)
    got = model.discounted_expected_residual_purchases(state(7, 35.4, 38.86), np.expm1(0.0027), 1.0)
    assert got.iloc[0] == pytest.approx(20.84368828, rel=1e-5)


def test_holdout_total_and_error_of_cdnow(cdnow: pd.DataFrame) -> None:
    # BTYD 2.4.3: 1665.43 (actual 1882), MAE .7545
    got = ParetoNBDModel.from_params(**BTYD).expected_purchases(cdnow, 39)
    assert got.sum() == pytest.approx(1665.43, rel=1e-3)
    assert (got - cdnow["holdout_frequency"]).abs().mean() == pytest.approx(0.7545, rel=1e-3)


def test_the_fit_of_grocery_is_btydplus(grocery: pd.DataFrame) -> None:
    model = ParetoNBDModel().fit(grocery)
    theirs = {"r": 0.786435, "alpha": 5.678976, "s": 0.386221, "beta": 5.717118}
    assert model.params_ == pytest.approx(theirs, rel=1e-3)
    assert model.log_likelihood_ == pytest.approx(-15782.392, abs=1e-3)
    got = model.expected_purchases(grocery, 52)
    assert got.sum() == pytest.approx(3990.8, rel=1e-3)
    assert (got - grocery["holdout_frequency"]).abs().mean() == pytest.approx(1.5079, rel=1e-3)


@pytest.mark.parametrize("params", [(0.55, 10.6, 0.61, 11.7), (3, 0.02, 0.4, 300), (0.1, 500, 5, 0.05), (2, 7, 1, 7)])
@pytest.mark.parametrize("history", [(0, 0.0, 50.0), (1, 3.0, 50.0), (20, 11.0, 400.0), (1000, 380.0, 400.0)])
def test_quadrature_holds_to_the_integral_at_forty_digits(
    params: tuple[float, ...], history: tuple[float, float, float]
) -> None:
    x, t_x, T = history
    model = ParetoNBDModel.from_params(**dict(zip(("r", "alpha", "s", "beta"), params, strict=True)))
    with mpmath.workdps(40):
        r, alpha, s, beta = (mpmath.mpf(value) for value in params)
        cuts = [mpmath.mpf(t_x)] + [t_x + (T - t_x) * mpmath.mpf(2) ** -k for k in range(40, -1, -1)]
        left = s * mpmath.quad(lambda y: (alpha + y) ** -(r + x) * (beta + y) ** -(s + 1), cuts)
        alive = (alpha + T) ** -(r + x) * (beta + T) ** -s
        head = mpmath.loggamma(r + x) - mpmath.loggamma(r) + r * mpmath.log(alpha) + s * mpmath.log(beta)
        log_likelihood, probability = float(head + mpmath.log(alive + left)), float(alive / (alive + left))
    assert model.log_likelihood(state(*history)) == pytest.approx(log_likelihood, rel=1e-11)
    assert model.probability_alive(state(*history)).iloc[0] == pytest.approx(probability, rel=1e-9)
