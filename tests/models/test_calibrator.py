"""Platt's calibrator finds a known distortion and leaves alone what it cannot learn."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from churn_clv.models.calibrator import PlattCalibrator


def data_of(n: int, seed: int, intercept: float, slope: float) -> tuple[pd.Series, pd.Series]:
    """Forecasts x whose truth is intercept + slope x."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0.5, 1.5, n)
    churned = (rng.random(n) < 1 / (1 + np.exp(-(intercept + slope * x)))).astype(float)
    index = pd.Index([f"c{k}" for k in range(n)], name="customer_id")
    return pd.Series(x, index=index, name="log_odds"), pd.Series(churned, index=index, name="churned")


@pytest.mark.parametrize(("intercept", "slope"), [(0.0, 1.0), (-0.7, 0.5), (0.4, 1.8)])
def test_a_known_distortion_is_recovered(intercept: float, slope: float) -> None:
    fitted = PlattCalibrator().fit(*data_of(50_000, 1, intercept, slope))
    # standard errors at 50,000 customers are about .013 and .012: four of them
    assert fitted.intercept_ == pytest.approx(intercept, abs=0.05)
    assert fitted.slope_ == pytest.approx(slope, abs=0.05)
    assert fitted.note_ is None


def test_it_is_the_logistic_regression_without_penalty() -> None:
    """scikit-learn's is the independent implementation; its tolerance is 1e-8 of the gradient."""
    from sklearn.linear_model import LogisticRegression

    log_odds, churned = data_of(3000, 2, -0.5, 0.7)
    rng = np.random.default_rng(3)
    weights = pd.Series(rng.gamma(1.0, 1.0, 3000), index=log_odds.index)
    for given in (None, weights):
        theirs = LogisticRegression(C=np.inf, tol=1e-10, solver="newton-cholesky")
        theirs.fit(log_odds.to_frame(), churned, sample_weight=given)
        fitted = PlattCalibrator().fit(log_odds, churned, given)
        assert fitted.slope_ == pytest.approx(theirs.coef_[0, 0], abs=1e-6)
        assert fitted.intercept_ == pytest.approx(theirs.intercept_[0], abs=1e-6)


def test_calibrating_twice_changes_nothing() -> None:
    log_odds, churned = data_of(3000, 4, -0.5, 0.7)
    once = PlattCalibrator().fit(log_odds, churned).transform(log_odds)
    again = PlattCalibrator().fit(once, churned)
    assert (again.intercept_, again.slope_) == pytest.approx((0.0, 1.0), abs=1e-8)


def test_whole_weights_count_rows() -> None:
    log_odds, churned = data_of(500, 5, 0.2, 0.8)
    counts = pd.Series(np.random.default_rng(6).integers(0, 4, 500).astype(float), index=log_odds.index)
    rows = np.repeat(np.arange(500), counts.astype(int))
    weighted = PlattCalibrator().fit(log_odds, churned, counts)
    repeated = PlattCalibrator().fit(log_odds.iloc[rows], churned.iloc[rows])
    assert weighted.slope_ == pytest.approx(repeated.slope_, abs=1e-9)
    assert weighted.intercept_ == pytest.approx(repeated.intercept_, abs=1e-9)


@pytest.mark.parametrize(
    ("x", "y", "says"),
    [
        ([-2.0, -1.0, 1.0, 2.0], [0, 0, 1, 1], "separates"),
        ([-2.0, -1.0, 1.0, 2.0], [1, 1, 0, 0], "separates"),
        ([-2.0, -1.0, -1.0, 2.0], [0, 0, 1, 1], "separates"),
        ([-2.0, -1.0, 1.0, 2.0], [1, 1, 1, 1], "all outcomes are the same"),
        ([0.5, 0.5, 0.5, 0.5], [0, 1, 0, 1], "all forecasts are the same"),
    ],
)
def test_where_no_line_is_the_best_the_forecast_stays(x: list[float], y: list[int], says: str) -> None:
    log_odds = pd.Series(x)
    fitted = PlattCalibrator().fit(log_odds, pd.Series(y, dtype=float))
    assert fitted.note_ is not None and says in fitted.note_
    np.testing.assert_array_equal(fitted.transform(log_odds), log_odds)


def test_a_forecast_that_ranks_backwards_is_not_turned_round() -> None:
    log_odds, churned = data_of(2000, 7, 0.3, -0.8)
    fitted = PlattCalibrator().fit(log_odds, churned)
    assert fitted.slope_ == 0
    assert fitted.note_ is not None and "ranks these customers backwards" in fitted.note_
    everyone = 1 / (1 + np.exp(-fitted.transform(log_odds)))
    np.testing.assert_allclose(everyone, churned.mean(), atol=1e-12)


def test_extreme_forecasts_are_no_obstacle() -> None:
    log_odds, churned = data_of(2000, 8, 0.0, 1.0)
    far = log_odds * 400
    fitted = PlattCalibrator().fit(far, churned)
    near = PlattCalibrator().fit(log_odds, churned)
    assert fitted.slope_ * 400 == pytest.approx(near.slope_, rel=1e-6)


def test_json_brings_back_the_line() -> None:
    log_odds, churned = data_of(500, 9, 0.2, 0.8)
    fitted = PlattCalibrator().fit(log_odds, churned)
    back = PlattCalibrator.from_dict(json.loads(json.dumps(fitted.to_dict(), allow_nan=False)))
    pd.testing.assert_series_equal(back.transform(log_odds), fitted.transform(log_odds), check_exact=True)
    assert back.note_ == fitted.note_


def test_what_does_not_belong_together_is_refused() -> None:
    log_odds, churned = data_of(50, 9, 0.2, 0.8)
    with pytest.raises(ValueError, match="churned .*not indexed alike"):
        PlattCalibrator().fit(log_odds, churned.iloc[::-1])
    with pytest.raises(ValueError, match="log_odds is not finite in 1 of 50 rows"):
        PlattCalibrator().fit(log_odds.where(log_odds.index != "c3"), churned)
    with pytest.raises(ValueError, match="churned must be 0 or 1"):
        PlattCalibrator().fit(log_odds, churned + 0.5)
    with pytest.raises(ValueError, match="not negative"):
        PlattCalibrator().fit(log_odds, churned, churned * 0 - 1)
