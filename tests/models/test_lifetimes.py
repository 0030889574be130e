"""lifetimes 0.11.3 and this package give the same fits and predictions where lifetimes gives any."""

from __future__ import annotations

import pandas as pd
import pytest

from churn_clv.models import BetaGeoModel, GammaGammaModel, ModifiedBetaGeoModel, ParetoNBDModel


@pytest.mark.parametrize("kind", [BetaGeoModel, ModifiedBetaGeoModel, ParetoNBDModel])
def test_predictions_agree_through_the_conversion(
    kind: type[BetaGeoModel] | type[ModifiedBetaGeoModel] | type[ParetoNBDModel], cdnow: pd.DataFrame
) -> None:
    model = kind().fit(cdnow)
    fitter = model.to_lifetimes()
    x, t_x, T = cdnow["frequency"], cdnow["recency"], cdnow["T"]
    ours = model.expected_purchases(cdnow, 39).to_numpy()
    # 1e-7: lifetimes' Pareto/NBD takes a difference of two hypergeometric functions
    assert ours == pytest.approx(fitter.predict(39, x, t_x, T).to_numpy(), rel=1e-7)
    assert kind.from_lifetimes(fitter).params_ == model.params_


def test_bgnbd_fits_agree(cdnow: pd.DataFrame) -> None:
    # lifetimes stops at a gradient of 1e-7: 1e-4 on parameters
    from lifetimes import BetaGeoFitter

    theirs = BetaGeoFitter().fit(cdnow["frequency"], cdnow["recency"], cdnow["T"])
    model = BetaGeoModel().fit(cdnow)
    assert model.params_ == pytest.approx(theirs.params_.to_dict(), rel=1e-4)
    assert model.log_likelihood_ is not None
    assert model.log_likelihood_ >= BetaGeoModel.from_lifetimes(theirs).log_likelihood(cdnow) - 1e-6


def test_gamma_gamma_fits_agree(cdnow: pd.DataFrame) -> None:
    from lifetimes import GammaGammaFitter

    repeat = cdnow[(cdnow["frequency"] > 0) & (cdnow["monetary_value"] > 0)]
    theirs = GammaGammaFitter().fit(repeat["frequency"], repeat["monetary_value"])
    model = GammaGammaModel().fit(repeat)
    assert model.params_ == pytest.approx(theirs.params_.to_dict(), rel=1e-4)
    expected = theirs.conditional_expected_average_profit(repeat["frequency"], repeat["monetary_value"])
    assert model.expected_spend(repeat).to_numpy() == pytest.approx(expected.to_numpy(), rel=1e-4)
    assert GammaGammaModel.from_lifetimes(model.to_lifetimes()).params_ == model.params_


def test_another_models_fitter_is_refused() -> None:
    with pytest.raises(ValueError, match="BetaGeoModel needs a fitted BetaGeoFitter, got GammaGammaFitter"):
        BetaGeoModel.from_lifetimes(GammaGammaModel.from_params(p=1, q=2, v=3).to_lifetimes())
