"""The spend trees multiply a forecast: nothing learned is the forecast itself, what it misses is a factor."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from churn_clv.models.spend_trees import SpendTrees, deviances

FAST: dict[str, Any] = {"learning_rate": 0.1, "max_rounds": 120}
Data = tuple[pd.DataFrame, pd.Series, pd.Series]


def data_of(n: int, seed: int, objective: str, effect: float = 1.0) -> Data:
    """Spend is exp(log_forecast) times e^effect where the mark is set and e^-effect where not; noise beside it."""
    rng = np.random.default_rng(seed)
    customers = [f"{k:05d}" for k in range(n // 2)]
    index = pd.MultiIndex.from_product([range(2), customers], names=["cutoff", "customer_id"])
    features = pd.DataFrame(
        {"mark": rng.integers(0, 2, n).astype(float), "noise": rng.normal(size=n), "region": rng.choice(["a", "b"], n)},
        index=index,
    )
    log_forecast = pd.Series(rng.normal(3.0, 1.0, n), index=index, name="log_forecast")
    mean = np.exp(log_forecast.to_numpy() + effect * (2 * features["mark"].to_numpy() - 1))
    if objective == "gamma":
        amount = mean * rng.gamma(2.0, 0.5, n)
    else:  # compound Poisson: one order on average, each gamma
        orders = rng.poisson(1.0, n)
        amount = np.where(orders > 0, rng.gamma(2.0 * np.maximum(orders, 1)) * mean / 2, 0.0)
    return features, pd.Series(amount, index=index, name="spend"), log_forecast


@pytest.fixture(scope="module", params=["tweedie", "gamma"])
def objective(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def data(objective: str) -> Data:
    return data_of(3000, 1, objective)


@pytest.fixture(scope="module")
def model(objective: Any, data: Data) -> SpendTrees:
    return SpendTrees(objective, **FAST).fit(*data)


def test_the_simulated_factor_is_found(model: SpendTrees, data: Data) -> None:
    features, _, log_forecast = data
    factor = np.log(model.predict(features, log_forecast)) - log_forecast
    for mark, truth in ((1.0, 1.0), (0.0, -1.0)):
        # standard error of a mean of 1,500 spends with a coefficient of variation under 1.3: .034; and trees shrink
        assert factor[features["mark"] == mark].mean() == pytest.approx(truth, abs=0.12)
        assert factor[features["mark"] == mark].std() < 0.25, "noise moves it little"
    assert model.rounds_ > 5
    assert model.cross_validation_["chosen"] < model.cross_validation_["offset"]


def test_with_nothing_to_learn_the_answer_is_the_forecast(objective: Any) -> None:
    features, spend, log_forecast = data_of(2000, 2, objective, effect=0.0)
    nothing = features.assign(mark=1.0, noise=0.0, region="a")
    fitted = SpendTrees(objective, **FAST).fit(nothing, spend, log_forecast)
    assert (fitted.rounds_, fitted.log_factor_) == (0, 0.0)
    np.testing.assert_array_equal(fitted.predict(nothing, log_forecast), np.exp(log_forecast))
    np.testing.assert_allclose(fitted.out_of_fold_, np.exp(log_forecast), rtol=1e-12)
    assert list(fitted.to_files()) == ["spend.json"]


def test_a_forecast_that_is_wrong_by_a_factor_for_everybody_is_put_right(objective: Any) -> None:
    features, spend, log_forecast = data_of(2000, 3, objective, effect=0.0)
    nothing = features.assign(mark=1.0, noise=0.0, region="a")
    fitted = SpendTrees(objective, **FAST).fit(nothing, spend, log_forecast - np.log(3))
    total = fitted.predict(nothing, log_forecast - np.log(3)).sum()
    assert total == pytest.approx(spend.sum(), rel=1e-9), "the factor makes totals agree"
    assert fitted.log_factor_ == pytest.approx(np.log(3), abs=0.1)


def test_the_forecast_multiplies_and_the_trees_do_not_see_it(model: SpendTrees, data: Data) -> None:
    features, _, log_forecast = data
    twice = model.predict(features, log_forecast + np.log(2))
    np.testing.assert_allclose(twice, 2 * model.predict(features, log_forecast), rtol=1e-12)


def test_another_currency_learns_the_same(model: SpendTrees, data: Data, objective: Any) -> None:
    features, spend, log_forecast = data
    cents = SpendTrees(objective, **FAST).fit(features, spend * 128, log_forecast + np.log(128))
    expected = 128 * model.predict(features, log_forecast)
    # LightGBM keeps amounts in single precision, 6e-8; a tree may turn on it
    np.testing.assert_allclose(cents.predict(features, log_forecast + np.log(128)), expected, rtol=1e-4)


def test_without_a_forecast_the_trees_start_from_the_mean(objective: Any) -> None:
    features, spend, _ = data_of(2000, 4, objective)
    spend = spend / np.exp(3)
    fitted = SpendTrees(objective, **FAST, start="mean").fit(features, spend)
    by_mark = fitted.predict(features).groupby(features["mark"]).mean()
    # spend varies by 2.4 times its mean here: the standard error of the ratio's logarithm is .11
    assert np.log(by_mark[1.0] / by_mark[0.0]) == pytest.approx(2, abs=0.4)
    nothing = features.assign(mark=1.0, noise=0.0, region="a")
    alone = SpendTrees(objective, **FAST, start="mean").fit(nothing, spend)
    np.testing.assert_allclose(alone.predict(nothing), spend.mean(), rtol=1e-6)


def test_negative_spend_of_refunders_is_floored_and_counted(objective: Any) -> None:
    features, spend, log_forecast = data_of(2000, 5, objective)
    refunded = spend.copy()
    refunded.iloc[:30] = -50.0
    expected = 30 + (int((spend.iloc[30:] == 0).sum()) if objective == "gamma" else 0)
    fitted = SpendTrees(objective, **FAST).fit(features, refunded, log_forecast)
    assert fitted.floored_ == expected
    zero = refunded.clip(lower=0.0)
    again = SpendTrees(objective, **FAST).fit(features, zero, log_forecast)
    np.testing.assert_array_equal(fitted.predict(features, log_forecast), again.predict(features, log_forecast))


def test_one_enormous_order_does_not_break_the_others(objective: Any) -> None:
    """Where one order is a million times the largest other, it may stop the trees from learning, not mislead them."""
    features, spend, log_forecast = data_of(2000, 6, objective)
    calm = SpendTrees(objective, **FAST).fit(features, spend, log_forecast)
    wild = spend.copy()
    wild.iloc[17] = 1e6 * spend.max()
    fitted = SpendTrees(objective, **FAST).fit(features, wild, log_forecast)
    ratio = fitted.predict(features, log_forecast) / np.exp(log_forecast)
    usual = calm.predict(features, log_forecast) / np.exp(log_forecast)
    assert ratio.between(usual.min() / 2, usual.max() * 2).all()


def test_one_order_of_a_hundred_times_the_mean_is_learned_around(objective: Any) -> None:
    features, spend, log_forecast = data_of(2000, 6, objective)
    wild = spend.copy()
    wild.iloc[17] = 100 * spend.mean()
    fitted = SpendTrees(objective, **FAST).fit(features, wild, log_forecast)
    factor = np.log(fitted.predict(features, log_forecast)) - log_forecast
    assert factor[features["mark"] == 0].mean() == pytest.approx(-1.0, abs=0.2)
    assert factor[features["mark"] == 1].mean() == pytest.approx(1.0, abs=0.2)


def test_a_forecast_of_nearly_nothing_does_not_outweigh_the_rest(objective: Any) -> None:
    """Two customers of whom 1e-9 is forecast and who spend like others would be all that the deviance sees."""
    features, spend, log_forecast = data_of(2000, 8, objective)
    hopeless = log_forecast.copy()
    hopeless.iloc[:2] = np.log(1e-9)
    fitted = SpendTrees(objective, **FAST).fit(features, spend, hopeless)
    factor = (np.log(fitted.predict(features, hopeless)) - hopeless).iloc[2:]
    for mark, truth in ((1.0, 1.0), (0.0, -1.0)):
        assert factor[features["mark"].iloc[2:] == mark].mean() == pytest.approx(truth, abs=0.3)
    # raised to a thousandth of the mean forecast at least, and corrected from there
    assert (fitted.predict(features, hopeless).iloc[:2] > np.exp(hopeless).mean() / 1000 * np.exp(-2)).all()


def test_files_bring_back_every_bit(model: SpendTrees, data: Data) -> None:
    features, _, log_forecast = data
    files = json.loads(json.dumps(model.to_files(prefix="two_part")))
    assert sorted(files) == ["two_part.json", "two_part.lightgbm.txt"]
    back = SpendTrees.from_files(files, prefix="two_part")
    expected = model.predict(features, log_forecast)
    pd.testing.assert_series_equal(back.predict(features, log_forecast), expected, check_exact=True)
    assert back.get_params() == model.get_params()
    assert back.to_files(prefix="two_part")["two_part.json"] == files["two_part.json"]
    pd.testing.assert_frame_equal(back.feature_ranges_, model.feature_ranges_)


def test_one_seed_one_model_whatever_the_threads(objective: Any) -> None:
    data = data_of(600, 7, objective)
    few: dict[str, Any] = {"learning_rate": 0.3, "max_rounds": 4, "num_leaves": 4}
    text = SpendTrees(objective, **few).fit(*data).to_files()["spend.lightgbm.txt"]
    two = SpendTrees(objective, **few, num_threads=2).fit(*data).to_files()["spend.lightgbm.txt"]
    assert two.replace("[num_threads: 2]", "[num_threads: 1]") == text


def test_out_of_fold_deviance_is_what_cross_validation_says(model: SpendTrees, data: Data) -> None:
    _, spend, log_forecast = data
    unit = np.exp(log_forecast).mean()
    amount = np.maximum(spend.to_numpy(), 0) / unit
    power = 2.0 if model.objective == "gamma" else 1.5
    found = deviances(amount, np.log(model.out_of_fold_.to_numpy() / unit), power).mean()
    assert found == pytest.approx(model.cross_validation_["chosen"], rel=1e-9)


@pytest.mark.parametrize("power", [1.2, 1.5, 1.9, 2.0])
def test_deviances_agree_with_scikit_learn(power: float) -> None:
    """sklearn.metrics.mean_tweedie_deviance is the independent implementation."""
    from sklearn.metrics import mean_tweedie_deviance

    rng = np.random.default_rng(1)
    spend, expected = rng.gamma(0.8, 30.0, 200), rng.gamma(2.0, 20.0, 200)
    if power < 2:
        spend[:50] = 0.0
    found = deviances(spend, np.log(expected), power)
    assert found.mean() == pytest.approx(mean_tweedie_deviance(spend, expected, power=power), rel=1e-10)
    # zero at the truth and positive elsewhere; rounding of terms near 100 leaves 1e-13
    assert found.min() > 0
    assert np.abs(deviances(expected, np.log(expected), power)).max() < 1e-10


def test_nobody_spent_leaves_the_forecast(data: Data) -> None:
    features, spend, log_forecast = data
    fitted = SpendTrees(**FAST).fit(features, spend * 0, log_forecast)
    assert fitted.note_ is not None and "none of 3000 labelled customers spent anything" in fitted.note_
    np.testing.assert_array_equal(fitted.predict(features, log_forecast), np.exp(log_forecast))
    back = SpendTrees.from_files(fitted.to_files())
    assert back.note_ == fitted.note_
    with pytest.raises(ValueError, match="no mean to start from"):
        SpendTrees(start="mean").fit(features, spend * 0)


@pytest.mark.parametrize("n", [2, 4, 10, 40])
def test_a_handful_of_customers_is_fitted_or_left_to_the_forecast(objective: Any, n: int) -> None:
    features, spend, log_forecast = data_of(n, 3, objective)
    fitted = SpendTrees(objective, **FAST).fit(features, spend, log_forecast)
    assert np.isfinite(fitted.predict(features, log_forecast)).all()


def test_what_does_not_belong_together_is_refused(data: Data, model: SpendTrees) -> None:
    features, spend, log_forecast = data
    with pytest.raises(ValueError, match="spend .*not indexed alike"):
        SpendTrees().fit(features, spend.iloc[::-1], log_forecast)
    with pytest.raises(ValueError, match="log_forecast is not finite in 1 rows"):
        SpendTrees().fit(features, spend, log_forecast.where(log_forecast.index != log_forecast.index[0], -np.inf))
    with pytest.raises(ValueError, match="no log_offset was given"):
        SpendTrees().fit(features, spend)
    with pytest.raises(ValueError, match="a log_offset was given"):
        SpendTrees(start="mean").fit(features, spend, log_forecast)
    with pytest.raises(ValueError, match=r"needs the features \['mark'\]"):
        model.predict(features.drop(columns="mark"), log_forecast)
    with pytest.raises(ValueError, match="objective must be"):
        SpendTrees("poisson")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="variance_power must lie between 1 and 2"):
        SpendTrees(variance_power=2.0)
