"""Every method of value keeps V_res = (1 - R) V_act, and says what its definition says."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest

from churn_clv.models import BetaGeoModel, GammaGammaModel
from churn_clv.models.baselines import TextbookLTV
from churn_clv.models.known import Known, Past
from churn_clv.models.value import METHODS, ValueModel, fit_members

SETTINGS = {"max_rounds": 40, "learning_rate": 0.1, "folds": 3}
HORIZON = 120
BTYD = BetaGeoModel.from_params(r=0.25, alpha=4.4 * 7, a=0.8, b=2.4)
SPEND = GammaGammaModel.from_params(p=6.0, q=4.0, v=15.0)


def drawn(customers: int, seed: int) -> tuple[Known, pd.DataFrame]:
    """Customers whose spend is the purchase model's, times a factor that depends on their shop."""
    rng = np.random.default_rng(seed)
    T = rng.integers(60, 400, customers).astype(float)
    recency = np.where(rng.random(customers) < 0.6, np.round(T * rng.random(customers)), 0.0)
    frequency = np.minimum(rng.poisson(3, customers), recency).astype(float)
    recency = np.where(frequency > 0, recency, 0.0)
    index = pd.Index([f"{seed}-{k:05d}" for k in range(customers)], name="customer_id")
    summary = pd.DataFrame(
        {"frequency": frequency, "recency": recency, "T": T,
         "monetary_value": rng.gamma(4, 10, customers).round(2), "monetary_days": frequency + 1}, index=index,
    )  # fmt: skip
    shop = rng.choice(["cheap", "dear"], customers)
    features = pd.DataFrame({"shop": shop, "frequency": frequency, "noise": rng.normal(size=customers)}, index=index)
    known = Known(summary, features, BTYD, SPEND, HORIZON)
    bought = rng.random(customers) > known.own_risk
    each = known.purchases_if_active * known.spend_per_purchase * np.where(shop == "dear", 2.0, 0.5)
    spend = np.where(bought, each * rng.gamma(4, 0.25, customers), 0.0)
    return known, pd.DataFrame({"purchases": bought.astype(float), "spend": spend}, index=index)


def past_of(seeds: tuple[int, ...]) -> Past:
    drawings = {date(2024, 1 + k, 1): drawn(1200, seed) for k, seed in enumerate(seeds)}
    outcomes = pd.concat({c: o for c, (_, o) in drawings.items()}, names=["cutoff", "customer_id"])
    return Past({c: known for c, (known, _) in drawings.items()}, outcomes)


@pytest.fixture(scope="module")
def past() -> Past:
    return past_of((1, 2))


@pytest.fixture(scope="module")
def known() -> Known:
    return drawn(700, 3)[0]


@pytest.fixture(scope="module")
def risk(known: Known) -> pd.Series:
    """Another model's R: the purchase model's, moved for every other customer."""
    moved = known.log_odds() + np.where(np.arange(len(known.summary)) % 2, 0.8, -0.8)
    return 1 / (1 + np.exp(-moved))


@pytest.fixture(scope="module")
def fitted(past: Past) -> dict[str, ValueModel]:
    return {method: ValueModel(method, SETTINGS).fit(past) for method in METHODS}


@pytest.mark.parametrize("method", METHODS)
def test_what_we_expect_is_value_if_active_times_the_chance_of_it(
    fitted: dict[str, ValueModel], known: Known, risk: pd.Series, method: str
):
    found = fitted[method].forecast(known, risk)
    assert found.index.equals(known.summary.index)
    assert found["expected_spend"].equals((1 - risk) * found["value_if_active"])
    assert (found > 0).all(axis=None)
    assert np.isfinite(found).all(axis=None)


def test_the_hurdle_is_purchase_and_spend_model_if_active(fitted: dict[str, ValueModel], known: Known, risk: pd.Series):
    if_active = known.own_purchases / (1 - known.own_risk) * known.spend_per_purchase
    # 1e-9: two formulas of the same expectation, a difference of near numbers where R is near 1
    np.testing.assert_allclose(fitted["hurdle"].forecast(known, risk)["value_if_active"], if_active, rtol=1e-6)


def test_the_purchase_models_method_expects_what_it_says_whatever_the_risk(
    fitted: dict[str, ValueModel], known: Known, risk: pd.Series
):
    own = fitted["purchase_model"]
    for r in (risk, known.own_risk):
        np.testing.assert_allclose(own.forecast(known, r)["expected_spend"], known.own_spend, rtol=1e-12)


def test_the_textbook_is_the_baseline_itself(fitted, past: Past, known: Known, risk: pd.Series):
    alone = TextbookLTV().fit(past.summary, past.churned, HORIZON).expected_spend(known.summary, HORIZON)
    found = fitted["textbook_ltv"].forecast(known, risk)["expected_spend"]
    np.testing.assert_allclose(found, alone, rtol=1e-12)


def test_the_average_is_the_mean_of_its_three(fitted: dict[str, ValueModel], known: Known, risk: pd.Series):
    three = [fitted[m].forecast(known, risk)["expected_spend"] for m in ("hurdle", "tweedie", "two_part")]
    np.testing.assert_allclose(fitted["average"].forecast(known, risk)["expected_spend"], sum(three) / 3, rtol=1e-12)


def test_without_trees_tweedie_and_two_part_are_the_purchase_model(past: Past, known: Known):
    """What is left is the rounding of logs to six decimals, and the floor under forecasts of nearly nothing."""
    nothing = Past(past.known, past.outcomes.assign(spend=0.0))
    own = {"tweedie": known.own_spend, "two_part": known.purchases_if_active * known.spend_per_purchase}
    for method, column in (("tweedie", "expected_spend"), ("two_part", "value_if_active")):
        model = ValueModel(method, SETTINGS).fit(nothing)
        trees = model.members[method]
        assert trees.rounds_ == 0  # type: ignore[union-attr]
        floor = np.exp(trees.log_least_)  # type: ignore[union-attr]
        assert (own[method] > floor).mean() > 0.8
        expected = own[method].clip(lower=floor).clip(own[method] / 3, 3 * own[method])
        np.testing.assert_allclose(model.forecast(known, known.own_risk)[column], expected, rtol=2e-6)


def test_trees_learn_the_factor_of_each_shop(fitted: dict[str, ValueModel], known: Known, risk: pd.Series):
    """The truth is twice and half the forecast: a factor of four between the shops, of which shrinkage leaves three."""
    for method in ("tweedie", "two_part"):
        found = fitted[method].forecast(known, known.own_risk)["value_if_active"]
        ratio = found / (known.purchases_if_active * known.spend_per_purchase)
        by_shop = ratio.groupby(known.features["shop"]).median()
        assert by_shop["dear"] / by_shop["cheap"] > 3, method


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("r", [0.0, 0.999999, 1.0])
def test_values_stay_finite_to_the_ends_of_risk(fitted: dict[str, ValueModel], known: Known, method: str, r: float):
    found = fitted[method].forecast(known, pd.Series(r, index=known.summary.index))
    assert np.isfinite(found).all(axis=None)
    assert (found["value_if_active"] > 0).all()
    assert (found["expected_spend"] >= 0).all()


@pytest.mark.parametrize("method", METHODS)
def test_value_if_active_does_not_run_away_where_the_purchase_model_is_sure(fitted, past, method: str):
    """Customers silent for ten years: R is nearly 1 and V_act stays what such customers spend in a horizon."""
    known = drawn(300, 5)[0]
    silent = known.summary.assign(T=3650.0, frequency=8.0, recency=200.0)
    asleep = replace(known, summary=silent)
    assert (asleep.own_risk > 0.999).all()
    found = fitted[method].forecast(asleep, asleep.own_risk)["value_if_active"]
    if method == "textbook_ltv":
        return  # the textbook knows no silence: its V_res / (1 - R) is what it is, and only has to be finite
    own = asleep.purchases_if_active * asleep.spend_per_purchase
    assert (found <= 3 * own + 1e-9).all()


@pytest.mark.parametrize("method", METHODS)
def test_a_model_read_from_its_files_answers_to_the_bit(fitted, known: Known, risk: pd.Series, method: str):
    again = ValueModel.from_files(fitted[method].to_files())
    pd.testing.assert_frame_equal(again.forecast(known, risk), fitted[method].forecast(known, risk), check_exact=True)
    assert again.to_files() == fitted[method].to_files()


def test_shared_members_give_what_own_members_give(fitted, past: Past, known: Known, risk: pd.Series):
    members = fit_members(("tweedie", "two_part", "textbook_ltv"), past, SETTINGS)
    for method in METHODS:
        shared = ValueModel(method, SETTINGS).fit(past, members).forecast(known, risk)
        pd.testing.assert_frame_equal(shared, fitted[method].forecast(known, risk), check_exact=True)


def test_a_log_without_amounts_counts_purchases(past: Past, known: Known):
    without = Past(
        {c: replace(k, spend=None) for c, k in past.known.items()},
        past.outcomes.assign(spend=past.outcomes["purchases"]),
    )
    here = replace(known, spend=None)
    for method in METHODS:
        if method == "textbook_ltv":
            continue
        found = ValueModel(method, SETTINGS).fit(without).forecast(here, here.own_risk)
        # purchases in the horizon, of which the labels have one each: no more than a few
        assert found["expected_spend"].between(0, 40).all(), method
    hurdle = ValueModel("hurdle").fit(without).forecast(here, here.own_risk)
    np.testing.assert_allclose(hurdle["expected_spend"], here.own_purchases, rtol=1e-6)


@pytest.mark.parametrize("spend", [0.0, -5.0])
@pytest.mark.parametrize("method", METHODS)
def test_labels_without_any_money_leave_the_forecast(past: Past, known: Known, method: str, spend: float):
    """Nobody spent anything, or all gave back more than they bought: no trees, and the start alone answers."""
    poor = Past(past.known, past.outcomes.assign(spend=spend))
    found = ValueModel(method, SETTINGS).fit(poor).forecast(known, known.own_risk)
    assert np.isfinite(found).all(axis=None)
    assert (found["expected_spend"] >= 0).all()


def test_nothing_that_is_given_is_written_to(past: Past, known: Known, risk: pd.Series):
    features, outcomes, r = known.features.copy(), past.outcomes.copy(), risk.copy()
    for method in METHODS:
        ValueModel(method, SETTINGS).fit(past).forecast(known, risk)
    pd.testing.assert_frame_equal(known.features, features)
    pd.testing.assert_frame_equal(past.outcomes, outcomes)
    pd.testing.assert_series_equal(risk, r)


def test_an_unknown_method_is_refused():
    with pytest.raises(ValueError, match="'twedie' is unknown; choose one of purchase_model"):
        ValueModel("twedie")
