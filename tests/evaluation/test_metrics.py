"""Every metric equals scikit-learn's, or its definition worked out pair by pair, under any customer weights."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn import metrics as sk
from sklearn.linear_model import LogisticRegression

from churn_clv.evaluation import metrics as m

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
    "bootstrap": m.bootstrap_weights(N, 1, seed=4)[0],  # holds zeros
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
        (m.auc, sk.roc_auc_score),
        (m.average_precision, sk.average_precision_score),
        (m.log_loss, sk.log_loss),
        (m.brier, sk.brier_score_loss),
    ],
)
def test_churn_metrics_equal_scikit_learn(ours, theirs, weights: np.ndarray, kind: str) -> None:  # type: ignore[no-untyped-def]
    y, p = CHURNED[kind], RISK[kind]
    assert ours(y, p)(weights) == pytest.approx(theirs(y, p, sample_weight=weights), rel=1e-10)


@cases
@pytest.mark.parametrize(("ours", "theirs"), [(m.rmse, sk.root_mean_squared_error), (m.mae, sk.mean_absolute_error)])
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
    assert m.normalised_gini(y, p)(w) == pytest.approx(expected, rel=1e-10, abs=1e-12)


def test_normalised_gini_is_one_for_the_perfect_and_minus_one_for_the_reversed_order() -> None:
    w = np.ones(N)
    assert m.normalised_gini(SPEND, SPEND**3)(w) == pytest.approx(1)
    assert m.normalised_gini(SPEND, -SPEND)(w) == pytest.approx(-1)
    assert m.normalised_gini(SPEND, np.ones(N))(w) == pytest.approx(0, abs=1e-12)


ALL = {**m.CHURN_METRICS, **m.VALUE_METRICS}
# Bins and ranks are those of the whole sample, so a duplicated row moves them: said in their docstrings.
OF_THE_WHOLE_SAMPLE = {"calibration_error", "spearman"}


@pytest.mark.parametrize("kind", ["distinct", "tied"])
@pytest.mark.parametrize("name", sorted(ALL.keys() - OF_THE_WHOLE_SAMPLE))
def test_a_weight_is_a_duplicated_row(name: str, kind: str) -> None:
    churn = name in m.CHURN_METRICS
    actual, predicted = (CHURNED[kind], RISK[kind]) if churn else (SPEND, FORECAST[kind])
    counts = m.bootstrap_weights(N, 1, seed=9)[0]
    times = counts.astype(int)
    duplicated = ALL[name](np.repeat(actual, times), np.repeat(predicted, times))(np.ones(times.sum()))
    assert ALL[name](actual, predicted)(counts) == pytest.approx(duplicated, rel=1e-9)


@pytest.mark.parametrize("kind", ["distinct", "tied"])
@pytest.mark.parametrize("name", sorted(ALL))
def test_the_order_of_customers_and_of_ties_shows_nowhere(name: str, kind: str) -> None:
    actual, predicted = (CHURNED[kind], RISK[kind]) if name in m.CHURN_METRICS else (SPEND, FORECAST[kind])
    order = np.random.default_rng(1).permutation(N)
    weights = WEIGHTS["real"]
    found = ALL[name](actual[order], predicted[order])(weights[order])
    assert found == pytest.approx(ALL[name](actual, predicted)(weights), rel=1e-9)


def test_calibration_error_equals_the_mean_gap_of_ten_bins() -> None:
    y, p = CHURNED["distinct"], RISK["distinct"]
    by_risk = np.argsort(p).reshape(10, N // 10)  # no ties: bins of equally many customers
    expected = np.mean([abs(y[bin_].mean() - p[bin_].mean()) for bin_ in by_risk])
    assert m.calibration_error(y, p)(np.ones(N)) == pytest.approx(expected, rel=1e-12)


def test_noise_of_the_calibration_error_is_that_of_the_literature() -> None:
    # 95 % points for ten equal-mass bins and a perfectly calibrated model, from simulation: n = 500: .064, 2,357: .029;
    # they depend on how risks spread, hence 25 %
    rng = np.random.default_rng(2)
    for n, point in ((500, 0.064), (2357, 0.029)):
        noise = m.calibration_error_noise(rng.beta(2, 1, n), seed=1)
        assert noise == pytest.approx(point, rel=0.25)


def test_a_calibrated_model_stays_under_its_noise_and_a_shifted_one_does_not() -> None:
    rng = np.random.default_rng(5)
    p = rng.beta(2, 1, 3000)
    y, ones = (rng.random(3000) < p).astype(float), np.ones(3000)
    noise = m.calibration_error_noise(p, seed=1)
    assert m.calibration_error(y, p)(ones) < noise < m.calibration_error(y, np.clip(p - 0.1, 0, 1))(ones)


@cases
def test_calibration_slope_equals_an_unpenalised_logistic_regression(weights: np.ndarray) -> None:
    y, p = CHURNED["distinct"], RISK["distinct"]
    logit = np.log(p / (1 - p))[:, None]
    expected = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(logit, y, sample_weight=weights).coef_[0, 0]
    assert m.calibration_slope(y, p)(weights) == pytest.approx(expected, rel=1e-5)


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
    assert m.calibration_slope(y, risk)(np.ones(N)) == pytest.approx(expected, rel=1e-3, abs=1e-3)


def test_top_decile_lift_is_the_rate_of_the_riskiest_tenth_over_the_rate() -> None:
    y, p = CHURNED["distinct"], RISK["distinct"]
    top = np.argsort(-p)[: N // 10]
    assert m.top_decile_lift(y, p)(np.ones(N)) == pytest.approx(y[top].mean() / y.mean())


def test_a_constant_forecast_captures_a_tenth_of_the_money_with_a_tenth_of_the_customers() -> None:
    assert m.top_share(SPEND, FORECAST["constant"])(np.ones(N)) == pytest.approx(0.1)
    assert m.top_decile_lift(CHURNED["constant"], RISK["constant"])(np.ones(N)) == pytest.approx(1)


def test_bias_is_the_forecast_total_over_the_actual_total_less_one() -> None:
    assert m.bias(np.array([1.0, 3.0]), np.array([2.0, 4.0]))(np.ones(2)) == pytest.approx(0.5)
    assert m.bias(np.array([1.0, 3.0]), np.array([2.0, 4.0]))(np.array([2.0, 0.0])) == pytest.approx(1.0)


@pytest.mark.parametrize("kind", ["distinct", "tied"])
def test_spearman_equals_scipy(kind: str) -> None:
    assert m.spearman(SPEND, FORECAST[kind])(np.ones(N)) == pytest.approx(spearmanr(SPEND, FORECAST[kind]).statistic)


@pytest.mark.parametrize("outcome", [0.0, 1.0])
def test_with_one_outcome_only_ranking_is_unknown_and_errors_are_finite(outcome: float) -> None:
    y, p, w = np.full(N, outcome), RISK["distinct"], np.ones(N)
    assert np.isnan(m.auc(y, p)(w))
    assert np.isnan(m.calibration_slope(y, p)(w))
    assert np.isfinite([m.log_loss(y, p)(w), m.brier(y, p)(w), m.calibration_error(y, p)(w)]).all()


def test_without_any_spend_value_metrics_are_unknown_not_wrong() -> None:
    zero, w = np.zeros(N), np.ones(N)
    for metric in (m.normalised_gini, m.top_share, m.bias, m.spearman):
        assert np.isnan(metric(zero, FORECAST["distinct"])(w)), metric.__name__


def test_log_loss_of_a_certain_and_wrong_forecast_is_large_and_finite() -> None:
    assert m.log_loss(np.array([1.0]), np.array([0.0]))(np.ones(1)) == pytest.approx(-np.log(1e-12))


def test_bootstrap_weights_count_n_draws_with_the_multinomials_variance() -> None:
    weights = m.bootstrap_weights(200, 2000, seed=1)
    assert weights.shape == (2000, 200)
    assert (weights.sum(axis=1) == 200).all()
    assert (weights == np.floor(weights)).all()
    assert weights.var() == pytest.approx(1 - 1 / 200, rel=0.02)  # 400,000 draws: standard error .003
    np.testing.assert_array_equal(weights, m.bootstrap_weights(200, 2000, seed=1))
    assert not np.array_equal(weights, m.bootstrap_weights(200, 2000, seed=2))


def test_bootstrap_error_of_a_mean_is_its_standard_error() -> None:
    losses = (SPEND - FORECAST["distinct"]) ** 2
    table = m.compare({"mse": lambda a, p: lambda w: float(w @ (a - p) ** 2 / w.sum())}, SPEND,
                      {"one": FORECAST["distinct"]}, m.bootstrap_weights(N, 2000, seed=3))  # fmt: skip
    assert table.loc[("mse", "one"), "standard_error"] == pytest.approx(losses.std() / np.sqrt(N), rel=0.1)


def test_differences_are_paired() -> None:
    """Two models with the same large errors and a small constant gap: the difference is known far better than either."""
    noise = np.random.default_rng(1).normal(0, 10, N)
    table = m.compare({"mae": m.mae}, np.zeros(N), {"first": noise, "second": noise + np.sign(noise)},
                      m.bootstrap_weights(N, 200, seed=3))  # fmt: skip
    row = table.loc[("mae", "second")]
    assert row["difference"] == pytest.approx(-1)
    assert row["difference_low"] == pytest.approx(-1)
    assert row["difference_high"] == pytest.approx(-1)
    assert row["standard_error"] > 0.2
    assert table.loc[("mae", "first"), ["difference", "difference_low", "difference_high"]].tolist() == [0, 0, 0]
