"""Gamma-Gamma holds published values, its limits (G1-G4), and refuses what has no mean."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churn_clv.models import GammaGammaModel, ModelWarning

PRINTED = {"p": 6.25, "q": 3.74, "v": 15.44}


def spend(x: list[float], m: list[float]) -> pd.DataFrame:
    return pd.DataFrame({"frequency": x, "monetary_value": m})


def test_the_fit_of_cdnow_is_the_published_one(cdnow: pd.DataFrame) -> None:
    # Hardie's note 025 prints 6.25 3.74 15.44; digits from BTYD 2.4.3
    model = GammaGammaModel().fit(cdnow)
    assert model.n_customers_ == 946
    assert model.params_ == pytest.approx({"p": 6.24934918, "q": 3.74425633, "v": 15.44430668}, rel=1e-4)
    assert model.log_likelihood_ == pytest.approx(-4055.917695, abs=1e-5)
    assert model.population_mean_spend_ == pytest.approx(35.171, rel=1e-4)
    assert model.spend_frequency_correlation(cdnow).value == pytest.approx(0.113884, rel=1e-4)
    # recomputed from a numerical Hessian
    expected = {"p": 1.1897, "q": 0.29017, "v": 4.16005}
    assert model.standard_errors_.to_dict() == pytest.approx(expected, rel=1e-3)


def test_expected_spend_of_the_first_ten_customers(cdnow: pd.DataFrame) -> None:
    # Hardie's note 025
    expected = [24.65, 18.91, 35.17, 35.17, 35.17, 71.46, 18.91, 35.17, 27.28, 35.17]
    got = GammaGammaModel.from_params(**PRINTED).expected_spend(cdnow.iloc[:10])
    assert got.to_list() == pytest.approx(expected, rel=2e-3)


@pytest.mark.parametrize("x", [1, 4, 50])
def test_the_likelihood_is_a_density_of_the_mean(x: int) -> None:
    # eq. 1a of note 025 is the density of a customer's mean spend: over all means it integrates to one
    from scipy.integrate import quad

    model = GammaGammaModel.from_params(**PRINTED)
    total, _ = quad(
        lambda y: np.exp(model.log_likelihood(spend([x], [np.exp(y)])) + y), -10, 18, limit=400, epsabs=1e-11
    )
    assert total == pytest.approx(1.0, abs=1e-8)


def test_one_customers_log_likelihood_is_equation_1a() -> None:
    # written out from Hardie's note 025
    from math import lgamma, log

    p, q, v = PRINTED.values()
    x, m = 50, 38
    powers = q * log(v) + (p * x - 1) * log(m) + p * x * log(x) - (p * x + q) * log(x * m + v)
    formula = lgamma(p * x + q) - lgamma(p * x) - lgamma(q) + powers
    got = GammaGammaModel.from_params(**PRINTED).log_likelihood(spend([x], [m]))
    assert got == pytest.approx(formula, rel=1e-9)


@pytest.mark.parametrize("c", [1e-3, 0.5, 100.0, 1e6])
def test_the_money_unit_moves_v_alone(cdnow: pd.DataFrame, c: float) -> None:
    # G3: LL - n ln c, v times c
    base = GammaGammaModel().fit(cdnow)
    scaled = GammaGammaModel().fit(cdnow.assign(monetary_value=cdnow["monetary_value"] * c))
    p, q, v = base.params_.values()
    assert scaled.params_ == pytest.approx({"p": p, "q": q, "v": v * c}, rel=1e-8)
    assert base.log_likelihood_ is not None
    assert scaled.log_likelihood_ == pytest.approx(base.log_likelihood_ - 946 * np.log(c), abs=1e-6)


shape = st.floats(0.2, 20)


@settings(max_examples=200, deadline=None)
@given(p=shape, q=st.floats(1.05, 20), v=st.floats(0.1, 1000), x=st.integers(0, 500), m=st.floats(0.01, 1e4))
def test_expected_spend_lies_between_own_and_population_mean(p: float, q: float, v: float, x: int, m: float) -> None:
    # G1; the tolerance is rounding of the two means
    model = GammaGammaModel.from_params(p=p, q=q, v=v)
    population = model.population_mean_spend_
    got, more = model.expected_spend(spend([x, x + 1], [m, m]))
    low, high = sorted([population, m])
    assert low * (1 - 1e-9) <= got <= high * (1 + 1e-9)
    assert abs(more - m) <= abs(got - m) * (1 + 1e-9) + 1e-12


def test_limits_of_expected_spend() -> None:
    # G2
    model = GammaGammaModel.from_params(**PRINTED)
    got = model.expected_spend(spend([0, 1e12], [0, 12.5]))
    assert got.to_list() == pytest.approx([model.population_mean_spend_, 12.5], rel=1e-9)


def test_without_a_population_mean_the_model_refuses() -> None:
    model = GammaGammaModel.from_params(p=2, q=0.8, v=10)
    with pytest.raises(ValueError, match="q = 0.8 is not above 1"):
        _ = model.population_mean_spend_
    with pytest.raises(ValueError, match="1 customers does not exist"):
        model.expected_spend(spend([0, 3], [0, 20]))


def test_customers_without_a_positive_mean_are_left_out_and_counted(cdnow: pd.DataFrame) -> None:
    value = cdnow["monetary_value"].copy()
    repeat = cdnow.index[cdnow["frequency"] > 0]
    value[repeat[:7]] = -5.0
    model = GammaGammaModel().fit(cdnow.assign(monetary_value=value))
    zero_before = int((cdnow.loc[repeat[7:], "monetary_value"] <= 0).sum())
    assert model.n_left_out_ == 7 + zero_before
    assert (model.expected_spend(cdnow.assign(monetary_value=value)) > 0).all()


def test_monetary_days_count_when_given(cdnow: pd.DataFrame) -> None:
    repeat = cdnow[cdnow["frequency"] > 0]
    doubled = repeat.assign(monetary_days=repeat["frequency"] + 1)
    expected = GammaGammaModel().fit(repeat.assign(frequency=repeat["frequency"] + 1)).params_
    assert GammaGammaModel().fit(doubled).params_ == pytest.approx(expected, rel=1e-12)


def test_no_purchase_to_learn_from_is_an_error() -> None:
    with pytest.raises(ValueError, match="of 3 customers 0 have a purchase"):
        GammaGammaModel().fit(spend([0, 0, 0], [0, 0, 0]))


def test_constant_spend_is_diagnosed_and_its_mean_usable() -> None:
    frame = spend([1, 2, 5, 9] * 20, [30.0] * 80)
    with pytest.warns(ModelWarning, match="All customers spend the same"):
        model = GammaGammaModel().fit(frame)
    assert model.expected_spend(frame).to_list() == pytest.approx([30.0] * 80, rel=1e-3)
    assert model.standard_errors_.isna().all()


def test_parameters_are_recovered_from_simulated_spend() -> None:
    # known truth; 4 standard errors
    rng = np.random.default_rng(5)
    truth = {"p": 3.0, "q": 5.0, "v": 40.0}
    x = rng.integers(1, 12, 20_000)
    nu = rng.gamma(truth["q"], 1 / truth["v"], x.size)
    model = GammaGammaModel().fit(spend(x.tolist(), (rng.gamma(truth["p"] * x) / nu / x).tolist()))
    z = (pd.Series(model.params_) - pd.Series(truth)) / model.standard_errors_
    assert z.abs().max() < 4


def test_sampled_spend_has_the_expected_mean() -> None:
    # 4 standard errors of the simulation itself
    model = GammaGammaModel.from_params(**PRINTED)
    frame = spend([0, 3, 40], [0, 80, 20])
    draws = model.sample_spend(frame, size=20_000, seed=3)
    error = draws.std(axis=1) / np.sqrt(20_000)
    assert ((draws.mean(axis=1) - model.expected_spend(frame)).abs() < 4 * error).all()
