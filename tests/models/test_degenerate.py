"""Maxima on the boundary are named, usable where they can be, and never an exception."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from strategies import CLASSES, frame

from churn_clv.models import BetaGeoModel, ModelWarning, ParetoNBDModel
from churn_clv.models.purchase_model import PurchaseModel

kinds = pytest.mark.parametrize("kind", CLASSES)


def fit_with_warning(kind: type[PurchaseModel], summary: pd.DataFrame) -> PurchaseModel:
    with pytest.warns(ModelWarning) as caught:
        model = kind().fit(summary)
    assert [str(w.message) for w in caught if w.category is ModelWarning] == [model.diagnosis_]
    scores = [model.expected_purchases(summary, 39.0), model.probability_no_purchase(summary, 39.0)]
    assert np.isfinite(np.concatenate(scores)).all()
    return model


@kinds
def test_nobody_bought_again(kind: type[PurchaseModel]) -> None:
    summary = frame(*[(0, 0.0, float(T)) for T in range(5, 60)])
    model = fit_with_warning(kind, summary)
    assert model.diagnosis_ is not None and "No customer bought again" in model.diagnosis_
    assert model.expected_purchases(summary, 39.0).max() < 1e-3
    assert model.standard_errors_.isna().all()


@kinds
def test_one_single_customer(kind: type[PurchaseModel]) -> None:
    model = fit_with_warning(kind, frame((5, 30.0, 36.0)))
    assert model.diagnosis_ is not None and "One single customer" in model.diagnosis_


def test_no_dropout_is_named_and_the_rates_keep_their_errors() -> None:
    # simulated without dropout: everyone alive, gamma-mixed Poisson
    rng = np.random.default_rng(4)
    rate = rng.gamma(2.0, 1 / 10, 2000)
    x = rng.poisson(rate * 50)
    last = np.where(x > 0, 50 * rng.beta(np.maximum(x, 1), 1), 0)
    model = fit_with_warning(BetaGeoModel, pd.DataFrame({"frequency": x, "recency": last, "T": 50.0}))
    assert model.diagnosis_ is not None and "No dropout in this data" in model.diagnosis_
    assert model.params_["r"] == pytest.approx(2.0, rel=0.15)
    assert model.standard_errors_[["r", "alpha"]].notna().all()
    assert model.standard_errors_[["a", "b"]].isna().all()


@pytest.mark.parametrize(
    ("kind", "dropout"), [(BetaGeoModel, {"a": 2, "b": 8}), (ParetoNBDModel, {"s": 1, "beta": 40})]
)
def test_equal_rates_are_named(kind: type[PurchaseModel], dropout: dict[str, float]) -> None:
    # everyone buys at .2 a week; sampling noise puts the maximum at r = infinity in about half of such data sets
    truth = kind.from_params(r=1e5, alpha=5e5, **dropout)
    found = []
    for seed in range(4):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ModelWarning)
            model = kind().fit(truth.simulate(np.full(500, 40.0), seed=seed))
        found.append(model.diagnosis_ or "")
        assert model.params_["r"] / model.params_["alpha"] == pytest.approx(0.2, rel=0.15)
    assert any("Purchase rates do not differ" in text for text in found)


def test_repeat_purchases_at_recency_zero_are_named_with_their_number() -> None:
    summary = BetaGeoModel.from_params(r=0.6, alpha=6, a=0.8, b=2.5).simulate(np.full(900, 40.0), seed=1)
    buyers = summary.index[summary["frequency"] > 0][:3]
    summary.loc[buyers, "recency"] = 0.0
    model = fit_with_warning(BetaGeoModel, summary)
    assert model.diagnosis_ is not None and model.diagnosis_.startswith(
        "3 customers have repeat purchases at recency 0"
    )


@kinds
def test_ordinary_data_carry_no_flag(kind: type[PurchaseModel]) -> None:
    # false flags: the goal is under 1 %; here none in 30
    params = (0.6, 6.0, 0.8, 2.5) if kind is not ParetoNBDModel else (0.6, 8.0, 0.6, 12.0)
    truth = kind.from_params(**dict(zip(kind.parameter_names, params, strict=True)))
    with warnings.catch_warnings():
        warnings.simplefilter("error", ModelWarning)
        for seed in range(10):
            assert kind().fit(truth.simulate(np.full(2000, 45.0), seed=seed)).diagnosis_ is None


BROKEN = {
    "missing column": (frame((1, 2.0, 3.0)).drop(columns="T"), "no column 'T'"),
    "empty": (frame(), "no customer to fit on"),
    "no time": (frame((0, 0.0, 0.0)), "T is 0 for all 1 customers"),
    "nan": (frame((1, np.nan, 3.0)), "recency must be finite numbers: 1 of 1 customers"),
    "infinite": (frame((1, 1.0, np.inf)), "T must be finite numbers: 1 of 1"),
    "negative": (frame((1, 1.0, 3.0), (-1, 0.0, 3.0)), "frequency must be not negative: 1 of 2"),
    "recency beyond T": (frame((1, 4.0, 3.0)), "recency must be at most T: 1 of 1"),
    "fraction": (frame((1.5, 2.0, 3.0)), "frequency must be whole numbers"),
    "recency without repeat": (frame((0, 2.0, 3.0)), "recency must be 0 where frequency is 0: 1 of 1"),
    "text": (pd.DataFrame({"frequency": ["x"], "recency": [1.0], "T": [2.0]}), "must be numeric"),
}


@pytest.mark.parametrize("case", BROKEN)
@kinds
def test_what_no_model_can_mean_is_refused_in_one_sentence(kind: type[PurchaseModel], case: str) -> None:
    summary, message = BROKEN[case]
    with pytest.raises(ValueError, match=message):
        kind().fit(summary)


def test_weights_must_fit_the_summary() -> None:
    summary = frame((1, 2.0, 3.0), (0, 0.0, 3.0))
    with pytest.raises(ValueError, match=r"one number for each of 2 customers"):
        BetaGeoModel().fit(summary, [1.0])
    with pytest.raises(ValueError, match="1 customers of the summary have none"):
        BetaGeoModel().fit(summary, pd.Series([1.0, 1.0], index=[0, 7]))
    with pytest.raises(ValueError, match="weights must be finite and not negative: 1 of 2"):
        BetaGeoModel().fit(summary, [1.0, -1.0])


def test_an_unfitted_model_and_wrong_parameters_say_so() -> None:
    with pytest.raises(ValueError, match="call fit or from_params first"):
        BetaGeoModel().expected_purchases(frame((1, 2.0, 3.0)), 10)
    with pytest.raises(ValueError, match="needs exactly"):
        BetaGeoModel.from_params(r=1, alpha=2, a=3)
    with pytest.raises(ValueError, match="positive and finite"):
        BetaGeoModel.from_params(r=1, alpha=-2, a=3, b=4)
    with pytest.raises(ValueError, match="horizon must be finite"):
        BetaGeoModel.from_params(r=1, alpha=2, a=3, b=4).expected_purchases(frame((1, 2.0, 3.0)), -1)
