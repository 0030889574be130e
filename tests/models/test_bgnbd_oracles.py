"""BG/NBD holds published and independently recomputed values."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from churn_clv.models import BetaGeoModel

# BTYD 2.4.3 on the CDNOW 1/10 sample in exact weeks; Fader, Hardie & Lee (2005) print .243 4.414 .793 2.426 -9582.4
MLE = {"r": 0.24259815, "alpha": 4.41368416, "a": 0.79298987, "b": 2.42616670}
PRINTED = {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}
STRESS = {"r": 0.2426, "alpha": 4.4136, "a": 0.793, "b": 2.426}


def state(x: float, t_x: float, T: float) -> pd.DataFrame:
    return pd.DataFrame({"frequency": [x], "recency": [t_x], "T": [T]})


def test_the_fit_of_cdnow_is_the_published_one(cdnow: pd.DataFrame) -> None:
    # b: BTYD's optimiser stops 1.07e-4 short of the maximum, at a slightly lower likelihood (next test)
    model = BetaGeoModel().fit(cdnow)
    assert model.params_ == pytest.approx(MLE, rel=1.2e-4)
    assert model.log_likelihood_ == pytest.approx(-9582.429207, abs=1e-5)
    assert model.diagnosis_ is None


def test_the_fit_is_above_the_recomputed_maximum(cdnow: pd.DataFrame) -> None:
    model = BetaGeoModel().fit(cdnow)
    assert model.log_likelihood_ is not None
    assert model.log_likelihood_ >= BetaGeoModel.from_params(**MLE).log_likelihood(cdnow)


def test_standard_errors_of_cdnow_match_a_numerical_hessian(cdnow: pd.DataFrame) -> None:
    # recomputed from a numerical Hessian at the maximum
    model = BetaGeoModel().fit(cdnow)
    expected = {"r": 0.012557, "alpha": 0.378221, "a": 0.185719, "b": 0.705346}
    assert model.standard_errors_.to_dict() == pytest.approx(expected, rel=1e-3)
    assert model.covariance_.loc["r", "alpha"] == pytest.approx(0.003706, rel=1e-3)
    assert model.covariance_.loc["a", "b"] == pytest.approx(0.123196, rel=1e-3)


def test_the_log_likelihood_at_given_parameters_is_btyds(cdnow: pd.DataFrame) -> None:
    # BTYD 2.4.3 bgnbd.LL
    model = BetaGeoModel.from_params(r=0.5, alpha=6, a=1.2, b=3.3)
    assert model.log_likelihood(cdnow) == pytest.approx(-9783.444286, rel=1e-8)


@pytest.mark.parametrize(
    ("history", "expected", "tolerance"), [((0, 0, 40), -0.59947382, 1e-7), ((200, 38, 40), 100.7957, 1e-5)]
)
def test_one_customers_log_likelihood_holds_where_naive_forms_overflow(
    history: tuple[float, float, float], expected: float, tolerance: float
) -> None:
    # parametrisation of Hardie's note 027; values as printed in pymc-marketing's tests
    model = BetaGeoModel.from_params(r=0.25, alpha=4, a=0.8, b=2.5)
    assert model.log_likelihood(state(*history)) == pytest.approx(expected, rel=tolerance)


def test_expected_purchases_of_a_new_customer() -> None:
    # Hardie's BG/NBD spreadsheet, printed to four decimals
    model = BetaGeoModel.from_params(**MLE)
    assert model.expected_purchases_new_customer([1, 3, 32]) == pytest.approx([0.0532, 0.1506, 1.0437], rel=1e-3)
    # BTYD 2.4.3 bgnbd.Expectation; its digits belong to the printed parameters, not to the maximum
    digits = [0.05326789, 0.10338974, 0.15086523, 0.19606817, 0.23928820]
    printed = BetaGeoModel.from_params(**PRINTED)
    assert printed.expected_purchases_new_customer(np.arange(1, 6)) == pytest.approx(digits, rel=1e-5)


def test_conditional_expectation_of_the_spreadsheet_and_the_walkthrough() -> None:
    # Hardie's spreadsheet, and customer 1516 of the BTYD walkthrough
    printed = BetaGeoModel.from_params(**PRINTED)
    assert printed.expected_purchases(state(2, 30.43, 38.86), 39).iloc[0] == pytest.approx(1.226, rel=1e-3)
    model, customer = BetaGeoModel.from_params(**MLE), state(26, 30.857142857, 31)
    assert model.expected_purchases(customer, 52).iloc[0] == pytest.approx(25.75653805, rel=1e-5)
    assert model.probability_alive(customer).iloc[0] == pytest.approx(0.968852152, rel=1e-5)


def test_a_customer_without_repeat_is_alive_for_sure() -> None:
    # a property of the model: there was no chance to leave
    model = BetaGeoModel.from_params(**PRINTED)
    assert model.probability_alive(state(0, 0, 1e6)).iloc[0] == 1.0


def test_counts_of_a_new_customer() -> None:
    # BTYD 2.4.3 bgnbd.pmf
    expected = [0.5737863521, 0.1993952808, 0.0854297595, 0.0458603539]
    model = BetaGeoModel.from_params(**PRINTED)
    assert model.purchase_count_pmf(None, [0, 1, 2, 3], 39) == pytest.approx(expected, rel=1e-7)


def test_probability_of_no_purchase_is_the_definitions() -> None:
    # 30-digit arithmetic of the definition; pymc-marketing 1.3.0 returns .9266 for x = 0, which is wrong
    summary = pd.DataFrame({"frequency": [0, 1, 2], "recency": [0, 10, 30.43], "T": [38.86] * 3})
    got = BetaGeoModel.from_params(**PRINTED).probability_no_purchase(summary, 39)
    assert got.to_list() == pytest.approx([0.855449459, 0.758945053, 0.445372862], rel=1e-7)


@pytest.mark.parametrize(
    ("x", "t_x", "T", "expected"),
    [
        (300, 364, 365, 220.72210435813),
        (1090, 1099, 1100, 808.83721958315),
        (4000, 8750, 8760, 2924.92723225467),
    ],
)
def test_very_frequent_buyers_keep_their_digits(x: int, t_x: float, T: float, expected: float) -> None:
    # 30-digit arithmetic; the published 2F1 form returns nan from x = 1090 on
    got = BetaGeoModel.from_params(**STRESS).expected_purchases(state(x, t_x, T), T).iloc[0]
    assert got == pytest.approx(expected, rel=1e-9)


def test_discounted_residual_purchases() -> None:
    # numerical integral of exp(-delta t) dE(t) at 30 digits, delta = .0027 per week
    summary = pd.DataFrame({"frequency": [0, 2, 7], "recency": [0, 30.43, 35.4], "T": [38.86] * 3})
    got = BetaGeoModel.from_params(**PRINTED).discounted_expected_residual_purchases(summary, np.expm1(0.0027), 1.0)
    assert got.to_list() == pytest.approx([1.015701931, 5.156379826, 16.84471811], rel=1e-6)


def test_cumulative_tracking_of_cdnow(cdnow: pd.DataFrame) -> None:
    # BTYD 2.4.3 bgnbd.ExpectedCumulativeTransactions, weeks 20 to 25, at the printed parameters
    model = BetaGeoModel.from_params(**PRINTED)
    birth = 39 - cdnow["T"]
    expected = [1314.43, 1389.42, 1462.57, 1533.99, 1603.80, 1672.08]
    start = birth.min()
    got = [
        model.expected_purchases_new_customer(np.maximum(week + start - birth, 0).to_numpy()).sum()
        for week in range(20, 26)
    ]
    assert got == pytest.approx(expected, rel=1e-3)


def test_holdout_total_and_error_of_cdnow(cdnow: pd.DataFrame) -> None:
    # BTYD 2.4.3: 1653.39 predicted for 2,357 customers, MAE .7855; the actual total is 1882
    got = BetaGeoModel.from_params(**MLE).expected_purchases(cdnow, 39)
    assert cdnow["holdout_frequency"].sum() == 1882
    assert got.sum() == pytest.approx(1653.39, rel=1e-3)
    assert (got - cdnow["holdout_frequency"]).abs().mean() == pytest.approx(0.7855, rel=1e-3)


def test_the_fit_of_grocery_is_btyds(grocery: pd.DataFrame) -> None:
    # BTYD and BTYDplus, 52 weeks
    # its parameters stop 2.8e-4 short of the maximum in alpha, on a ridge where the likelihood differs by 9e-6
    model = BetaGeoModel().fit(grocery)
    theirs = {"r": 0.348592, "alpha": 2.580938, "a": 0.503826, "b": 3.644363}
    assert model.params_ == pytest.approx(theirs, rel=3e-4)
    assert model.log_likelihood_ == pytest.approx(-15836.566, abs=1e-3)
    assert model.log_likelihood_ >= BetaGeoModel.from_params(**theirs).log_likelihood(grocery)
    got = model.expected_purchases(grocery, 52)
    assert grocery["holdout_frequency"].sum() == 3389
    assert got.sum() == pytest.approx(3996.4, rel=1e-3)
    assert (got - grocery["holdout_frequency"]).abs().mean() == pytest.approx(1.5774, rel=1e-3)
