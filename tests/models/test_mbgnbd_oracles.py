"""MBG/NBD holds independently recomputed values."""

from __future__ import annotations

import pandas as pd
import pytest

from churn_clv.models import ModifiedBetaGeoModel

# BTYDplus 1.2.0 on the CDNOW 1/10 sample in exact weeks
MLE = {"r": 0.524843559, "alpha": 6.18309285, "a": 0.89138778, "b": 1.61404833}
ROUNDED = {"r": 0.525, "alpha": 6.183, "a": 0.891, "b": 1.614}


def test_the_fit_of_cdnow_is_btydplus(cdnow: pd.DataFrame) -> None:
    model = ModifiedBetaGeoModel().fit(cdnow)
    assert model.params_ == pytest.approx(MLE, rel=1e-4)
    assert model.log_likelihood_ == pytest.approx(-9582.13572, abs=1e-4)
    assert model.probability_alive(cdnow).mean() == pytest.approx(0.4487195, rel=1e-4)


def test_predictions_hold_to_thirty_digit_arithmetic() -> None:
    # 30-digit arithmetic of the definition
    model = ModifiedBetaGeoModel.from_params(**ROUNDED)
    summary = pd.DataFrame({"frequency": [0, 2], "recency": [0, 30.43], "T": [38.86] * 2})
    assert model.probability_alive(summary).to_list() == pytest.approx([0.3897350809, 0.7062022651], rel=1e-7)
    assert model.expected_purchases(summary, 39).iloc[1] == pytest.approx(1.262960623, rel=1e-7)


@pytest.mark.parametrize(("history", "expected"), [((0, 0, 40), -0.41792826), ((200, 38, 40), 100.7869)])
def test_one_customers_log_likelihood(history: tuple[float, float, float], expected: float) -> None:
    # as printed in pymc-marketing's tests
    summary = pd.DataFrame([history], columns=["frequency", "recency", "T"])
    model = ModifiedBetaGeoModel.from_params(r=0.25, alpha=4, a=0.8, b=2.5)
    assert model.log_likelihood(summary) == pytest.approx(expected, rel=1e-5)


def test_holdout_total_and_error_of_cdnow(cdnow: pd.DataFrame) -> None:
    # BTYDplus 1.2.0: 1576.71 (actual 1882), MAE .7648
    got = ModifiedBetaGeoModel.from_params(**MLE).expected_purchases(cdnow, 39)
    assert got.sum() == pytest.approx(1576.71, rel=1e-3)
    assert (got - cdnow["holdout_frequency"]).abs().mean() == pytest.approx(0.7648, rel=1e-3)


def test_the_fit_of_grocery_is_btydplus(grocery: pd.DataFrame) -> None:
    # BTYDplus stops 1.2e-4 short of the maximum; its likelihood is 1e-6 lower
    model = ModifiedBetaGeoModel().fit(grocery)
    theirs = {"r": 1.256791, "alpha": 6.038476, "a": 0.368251, "b": 0.715735}
    assert model.params_ == pytest.approx(theirs, rel=1.5e-4)
    assert model.log_likelihood_ == pytest.approx(-15781.939, abs=1e-3)
    assert model.log_likelihood_ >= ModifiedBetaGeoModel.from_params(**theirs).log_likelihood(grocery)
    got = model.expected_purchases(grocery, 52)
    assert got.sum() == pytest.approx(4024.9, rel=1e-3)
    assert (got - grocery["holdout_frequency"]).abs().mean() == pytest.approx(1.5131, rel=1e-3)
