"""Every metric equals scikit-learn's, or its definition worked out pair by pair, under any customer weights."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn import metrics as sk

from churn_clv.evaluation import churn_metrics as cm
from churn_clv.evaluation import value_metrics as vm
from churn_clv.evaluation.bootstrap import bootstrap_weights
from churn_clv.evaluation.calibration import calibration_error, calibration_slope
from churn_clv.evaluation.metrics import VALUE_METRICS, churn_metrics
from churn_clv.evaluation.profit import RetentionCosts
from churn_clv.evaluation.weighted import top_share

N = 300
RNG = np.random.default_rng(12)
RISK = {
    "distinct": RNG.random(N),
    "tied": RNG.integers(1, 10, N) / 10.0,
    "constant": np.full(N, 0.3),
}
CHURNED = {name: (RNG.random(N) < risk).astype(float) for name, risk in RISK.items()}
WEIGHTS = {
    "ones": np.ones(N),
    "bootstrap": bootstrap_weights(N, 1, seed=4)[0],  # holds zeros
    "real": RNG.gamma(1, 1, N),
}
SPEND = np.where(RNG.random(N) < 0.6, 0.0, RNG.gamma(1, 50, N).round(1))
FORECAST = {
    "distinct": SPEND * RNG.gamma(1, 1, N) + RNG.random(N),
    "tied": RNG.integers(0, 6, N) * 10.0,
    "constant": np.full(N, 7.0),
}

cases = pytest.mark.parametrize("weights", WEIGHTS.values(), ids=WEIGHTS)
kinds = pytest.mark.parametrize("kind", RISK)


@kinds
@cases
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (cm.auc, sk.roc_auc_score),
        (cm.average_precision, sk.average_precision_score),
        (cm.log_loss, sk.log_loss),
        (cm.brier, sk.brier_score_loss),
    ],
)
def test_churn_metrics_equal_scikit_learn(ours, theirs, weights: np.ndarray, kind: str) -> None:  # type: ignore[no-untyped-def]
    y, p = CHURNED[kind], RISK[kind]
    assert ours(y, p)(weights) == pytest.approx(theirs(y, p, sample_weight=weights), rel=1e-10)


@kinds
@cases
def test_brier_skill_is_the_part_of_the_base_rates_score_removed(weights: np.ndarray, kind: str) -> None:
    y, p = CHURNED[kind], RISK[kind]
    rate = np.full(N, np.average(y, weights=weights))
    scores = [sk.brier_score_loss(y, q, sample_weight=weights) for q in (p, rate)]
    assert cm.brier_skill(y, p)(weights) == pytest.approx(1 - scores[0] / scores[1], rel=1e-10, abs=1e-12)


@cases
@pytest.mark.parametrize(("ours", "theirs"), [(vm.rmse, sk.root_mean_squared_error), (vm.mae, sk.mean_absolute_error)])
def test_value_errors_equal_scikit_learn(ours, theirs, weights: np.ndarray) -> None:  # type: ignore[no-untyped-def]
    p = FORECAST["distinct"]
    assert ours(SPEND, p)(weights) == pytest.approx(theirs(SPEND, p, sample_weight=weights), rel=1e-12)


def gini_by_pairs(actual: np.ndarray, order_by: np.ndarray, weights: np.ndarray) -> float:
    """1 - 2 * area under the Lorenz curve: mean over pairs of the money held by whom the order puts first.

    A pair in which the prediction ties counts half, so that the answer does not depend on the order of rows.
    """
    total, money, people = 0.0, weights @ actual, weights.sum()
    for i in range(actual.size):
        for j in range(actual.size):
            # the money of j lies under the curve for every person i who comes at or after j
            share = 1.0 if order_by[j] < order_by[i] else 0.5 if order_by[j] == order_by[i] else 0.0
            total += share * weights[i] * weights[j] * actual[j]
    return 1 - 2 * total / (money * people)


@cases
@kinds
def test_normalised_gini_equals_its_definition_by_pairs(weights: np.ndarray, kind: str) -> None:
    some = slice(0, 90)
    y, p, w = SPEND[some], FORECAST[kind][some], weights[some]
    expected = gini_by_pairs(y, p, w) / gini_by_pairs(y, y, w)
    assert vm.normalised_gini(y, p)(w) == pytest.approx(expected, rel=1e-10, abs=1e-12)


def test_normalised_gini_is_one_for_the_perfect_and_minus_one_for_the_reversed_order() -> None:
    w = np.ones(N)
    assert vm.normalised_gini(SPEND, SPEND**3)(w) == pytest.approx(1)
    assert vm.normalised_gini(SPEND, -SPEND)(w) == pytest.approx(-1)
    assert vm.normalised_gini(SPEND, np.ones(N))(w) == pytest.approx(0, abs=1e-12)


CHURN_METRICS = churn_metrics(RetentionCosts())
ALL = {**CHURN_METRICS, **VALUE_METRICS}
# Bins and ranks are those of the whole sample, so a duplicated row moves them: said in their docstrings.
OF_THE_WHOLE_SAMPLE = {"calibration_error", "spearman"}


@pytest.mark.parametrize("kind", ["distinct", "tied"])
@pytest.mark.parametrize("name", sorted(ALL.keys() - OF_THE_WHOLE_SAMPLE))
def test_a_weight_is_a_duplicated_row(name: str, kind: str) -> None:
    churn = name in CHURN_METRICS
    actual, predicted = (CHURNED[kind], RISK[kind]) if churn else (SPEND, FORECAST[kind])
    counts = bootstrap_weights(N, 1, seed=9)[0]
    times = counts.astype(int)
    duplicated = ALL[name](np.repeat(actual, times), np.repeat(predicted, times))(np.ones(times.sum()))
    assert ALL[name](actual, predicted)(counts) == pytest.approx(duplicated, rel=1e-9)


@pytest.mark.parametrize("kind", ["distinct", "tied"])
@pytest.mark.parametrize("name", sorted(ALL))
def test_the_order_of_customers_and_of_ties_shows_nowhere(name: str, kind: str) -> None:
    actual, predicted = (CHURNED[kind], RISK[kind]) if name in CHURN_METRICS else (SPEND, FORECAST[kind])
    order = np.random.default_rng(1).permutation(N)
    weights = WEIGHTS["real"]
    found = ALL[name](actual[order], predicted[order])(weights[order])
    assert found == pytest.approx(ALL[name](actual, predicted)(weights), rel=1e-9)


def test_top_decile_lift_is_the_rate_of_the_riskiest_tenth_over_the_rate() -> None:
    y, p = CHURNED["distinct"], RISK["distinct"]
    top = np.argsort(-p)[: N // 10]
    assert cm.top_decile_lift(y, p)(np.ones(N)) == pytest.approx(y[top].mean() / y.mean())


def test_the_top_tenth_and_fifth_hold_the_money_of_the_customers_ranked_first() -> None:
    order = np.argsort(-FORECAST["distinct"])
    for name, customers in (("top_10_percent_capture", N // 10), ("top_20_percent_capture", N // 5)):
        share = SPEND[order[:customers]].sum() / SPEND.sum()
        assert VALUE_METRICS[name](SPEND, FORECAST["distinct"])(np.ones(N)) == pytest.approx(share)


def test_a_constant_forecast_captures_a_tenth_of_the_money_with_a_tenth_of_the_customers() -> None:
    assert top_share(SPEND, FORECAST["constant"])(np.ones(N)) == pytest.approx(0.1)
    assert cm.top_decile_lift(CHURNED["constant"], RISK["constant"])(np.ones(N)) == pytest.approx(1)


def test_bias_is_the_forecast_total_over_the_actual_total_less_one() -> None:
    assert vm.bias(np.array([1.0, 3.0]), np.array([2.0, 4.0]))(np.ones(2)) == pytest.approx(0.5)
    assert vm.bias(np.array([1.0, 3.0]), np.array([2.0, 4.0]))(np.array([2.0, 0.0])) == pytest.approx(1.0)


@pytest.mark.parametrize("kind", ["distinct", "tied"])
def test_spearman_equals_scipy(kind: str) -> None:
    assert vm.spearman(SPEND, FORECAST[kind])(np.ones(N)) == pytest.approx(spearmanr(SPEND, FORECAST[kind]).statistic)


@pytest.mark.parametrize("outcome", [0.0, 1.0])
def test_with_one_outcome_only_ranking_is_unknown_and_errors_are_finite(outcome: float) -> None:
    y, p, w = np.full(N, outcome), RISK["distinct"], np.ones(N)
    assert np.isnan(cm.auc(y, p)(w))
    assert np.isnan(calibration_slope(y, p)(w))
    assert np.isnan(cm.brier_skill(y, p)(w))
    assert np.isfinite([cm.log_loss(y, p)(w), cm.brier(y, p)(w), calibration_error(y, p)(w)]).all()


def test_without_any_spend_value_metrics_are_unknown_not_wrong() -> None:
    zero, w = np.zeros(N), np.ones(N)
    for metric in (vm.normalised_gini, top_share, vm.bias, vm.spearman):
        assert np.isnan(metric(zero, FORECAST["distinct"])(w)), metric.__name__


def test_log_loss_of_a_certain_and_wrong_forecast_is_large_and_finite() -> None:
    assert cm.log_loss(np.array([1.0]), np.array([0.0]))(np.ones(1)) == pytest.approx(-np.log(1e-12))
