"""CLV: its identities, its limits, its agreement with lifetimes, and intervals that hold what they promise."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from churn_clv.models import BetaGeoModel, GammaGammaModel, ModifiedBetaGeoModel, ParetoNBDModel, clv
from churn_clv.models.prediction_intervals import clv_intervals, purchase_intervals

SPEND = GammaGammaModel.from_params(p=6.25, q=3.74, v=15.44)
MODELS = [
    BetaGeoModel.from_params(r=0.243, alpha=4.414, a=0.793, b=2.426),
    ModifiedBetaGeoModel.from_params(r=0.525, alpha=6.183, a=0.891, b=1.614),
    ParetoNBDModel.from_params(r=0.553, alpha=10.578, s=0.606, beta=11.669),
]
models = pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
TERMS = {"annual_discount_rate": 0.12, "periods_per_year": 52.18}


@models
def test_without_discount_clv_is_purchases_times_spend(model: BetaGeoModel, cdnow: pd.DataFrame) -> None:
    # C1
    got = clv.discounted_clv(model, SPEND, cdnow, horizon=52, annual_discount_rate=0, periods_per_year=52.18)
    expected = model.expected_purchases(cdnow, 52) * SPEND.expected_spend(cdnow)
    assert got.to_numpy() == pytest.approx(expected.to_numpy(), rel=1e-9)
    assert got.name == "clv" and got.index.equals(cdnow.index)


@models
def test_clv_falls_with_the_rate_and_rises_with_the_horizon(model: BetaGeoModel, cdnow: pd.DataFrame) -> None:
    def value(rate: float, horizon: float) -> pd.Series:
        return clv.discounted_clv(model, SPEND, cdnow, horizon=horizon, annual_discount_rate=rate, periods_per_year=52)

    assert (value(0.1, 52) < value(0.05, 52)).all()
    assert (value(0.1, 52) < value(0.1, 104)).all()


@models
def test_steps_converge_to_discounting_at_each_purchase(model: BetaGeoModel, cdnow: pd.DataFrame) -> None:
    # end-of-step discounting is first order in the step: daily steps differ by less than half a day's discount
    some = cdnow.iloc[:50]
    exact = clv.discounted_clv(model, SPEND, some, horizon=52, **TERMS)
    daily = clv.discounted_clv(model, SPEND, some, horizon=52, steps=364, **TERMS)
    assert ((exact - daily) / exact).between(0, 0.12 / 365).all()


@models
@pytest.mark.parametrize("c", [7.0, 168.0])
def test_clv_is_the_same_in_weeks_days_and_hours(model: BetaGeoModel, c: float, cdnow: pd.DataFrame) -> None:
    # C1: pointwise at the converted parameters
    some = cdnow.iloc[:200]
    times = {name: model.params_[name] * c for name in ("alpha", "beta") if name in model.params_}
    other = type(model).from_params(**{**model.params_, **times})
    there = some.assign(recency=some["recency"] * c, T=some["T"] * c)
    here = clv.discounted_clv(model, SPEND, some, horizon=52, **TERMS)
    got = clv.discounted_clv(other, SPEND, there, horizon=52 * c, annual_discount_rate=0.12, periods_per_year=52.18 * c)
    assert got.to_numpy() == pytest.approx(here.to_numpy(), rel=1e-9)


@models
def test_a_very_long_horizon_reaches_the_residual_value(model: BetaGeoModel, cdnow: pd.DataFrame) -> None:
    # 1.12^-80 = 1e-4 of a later value remains
    some = cdnow.iloc[:50]
    endless = clv.residual_clv(model, SPEND, some, **TERMS)
    long = clv.discounted_clv(model, SPEND, some, horizon=80 * 52.18, **TERMS)
    assert ((endless - long) / endless).between(0, 1e-3).all()


@models
def test_the_residual_value_needs_a_discount_rate(model: BetaGeoModel, cdnow: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="without a positive discount rate"):
        clv.residual_clv(model, SPEND, cdnow, annual_discount_rate=0.0, periods_per_year=52)


@models
def test_value_if_active_is_the_mean_spend_of_those_who_buy(model: BetaGeoModel) -> None:
    # design, Grid: V_res / (1 - R) equals the mean simulated spend given a purchase; 4 standard errors
    customer = pd.DataFrame({"frequency": [3], "recency": [20.0], "T": [39.0], "monetary_value": [30.0]})
    counts = model.sample_purchases(customer, 39.0, size=60_000, seed=1).to_numpy()[0]
    bought = counts[counts > 0]
    spend = bought * SPEND.expected_spend(customer).iloc[0]
    got = clv.value_if_active(model, SPEND, customer, horizon=39.0).iloc[0]
    assert abs(spend.mean() - got) < 4 * spend.std() / np.sqrt(spend.size)


def test_twelve_months_agree_with_lifetimes(cdnow: pd.DataFrame) -> None:
    # lifetimes 0.11.3 discounts at the end of each month of 30 days; 1e-9 is its own rounding
    summary = cdnow.assign(recency=cdnow["recency"] * 7, T=cdnow["T"] * 7)
    model = BetaGeoModel.from_params(r=0.243, alpha=4.414 * 7, a=0.793, b=2.426)
    x, t_x, T, m = (summary[name] for name in ("frequency", "recency", "T", "monetary_value"))
    theirs = SPEND.to_lifetimes().customer_lifetime_value(
        model.to_lifetimes(), x, t_x, T, m, time=12, discount_rate=0.01, freq="D"
    )
    ours = clv.discounted_clv(
        model, SPEND, summary, horizon=360, annual_discount_rate=1.01**12 - 1, periods_per_year=360, steps=12
    )
    assert ours.to_numpy() == pytest.approx(theirs.to_numpy(), rel=1e-9)


@models
def test_intervals_hold_the_expectation_and_groups_add_up(model: BetaGeoModel, cdnow: pd.DataFrame) -> None:
    # parameters known: the mean of the draws is the CLV, 5 standard errors of 400 draws
    some = cdnow.iloc[:300]
    groups = some["frequency"].clip(upper=2).rename("repeats")
    table = clv_intervals(model, SPEND, some, horizon=52, size=400, seed=4, groups=groups, **TERMS)
    expected = clv.discounted_clv(model, SPEND, some, horizon=52, **TERMS).groupby(groups).sum()
    error = (table["upper"] - table["lower"]) / 3.29 / np.sqrt(400)
    assert ((table["mean"] - expected).abs() < 5 * error).all()
    single = clv_intervals(model, SPEND, some, horizon=52, size=400, seed=4, **TERMS)
    assert single["mean"].groupby(groups).sum().to_numpy() == pytest.approx(table["mean"].to_numpy(), rel=1e-9)
    assert (single["lower"] >= 0).all() and (single["lower"] <= single["upper"]).all()


@models
def test_ninety_percent_intervals_of_counts_cover_simulated_holdouts(model: BetaGeoModel) -> None:
    # a discrete interval covers at least its level up to sampling; 4,000 customers: standard error .005
    summary = model.simulate(np.full(4000, 39.0), seed=9, horizon=39.0)
    table = purchase_intervals(model, summary, horizon=39.0, level=0.9, size=300, seed=1)
    actual = summary["holdout_frequency"]
    covered = (actual >= table["lower"]) & (actual <= table["upper"])
    assert covered.mean() > 0.88
    total = purchase_intervals(
        model, summary, horizon=39.0, level=0.99, size=300, seed=1, groups=pd.Series("all", index=summary.index)
    )
    assert total.loc["all", "lower"] < actual.sum() < total.loc["all", "upper"]


def test_uncertain_parameters_widen_the_interval_of_a_total(cdnow: pd.DataFrame) -> None:
    fitted = BetaGeoModel().fit(cdnow)
    known = BetaGeoModel.from_params(**fitted.params_)
    everyone = pd.Series("all", index=cdnow.index)
    wide, narrow = (
        purchase_intervals(model, cdnow, horizon=39, size=400, seed=1, groups=everyone) for model in (fitted, known)
    )
    width = (wide["upper"] - wide["lower"]) / (narrow["upper"] - narrow["lower"])
    assert width.iloc[0] > 1.2


def test_the_same_seed_gives_the_same_draws(cdnow: pd.DataFrame) -> None:
    some, model = cdnow.iloc[:20], MODELS[0]
    first, again = (purchase_intervals(model, some, horizon=39, size=50, seed=3) for _ in range(2))
    pd.testing.assert_frame_equal(first, again)


def test_unlabelled_customers_in_groups_are_refused(cdnow: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="1 of 20 have no label"):
        purchase_intervals(MODELS[0], cdnow.iloc[:20], horizon=1, seed=1, groups=pd.Series("a", index=cdnow.index[:19]))
