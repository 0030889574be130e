"""Every method of risk: what it adds up, what it does at another horizon, and that its files hold all of it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from churn_clv.models import BetaGeoModel, GammaGammaModel
from churn_clv.models.baselines import RFMLogistic
from churn_clv.models.calibrator import PlattCalibrator
from churn_clv.models.churn import ChurnModel
from churn_clv.models.known import Known, Past
from churn_clv.models.risk import METHODS, TREES, RiskModel, fit_members, past_tree_inputs

SETTINGS = {"max_rounds": 40, "learning_rate": 0.1, "folds": 3}
HORIZON = 90
BTYD = BetaGeoModel.from_params(r=0.25, alpha=4.4 * 7, a=0.8, b=2.4)
SPEND = GammaGammaModel.from_params(p=6.0, q=4.0, v=15.0)


def drawn(customers: int, seed: int, horizon_days: int = HORIZON) -> tuple[Known, pd.DataFrame]:
    """Customers whose risk is the purchase model's, moved by an attribute that it cannot see."""
    rng = np.random.default_rng(seed)
    T = rng.integers(60, 400, customers).astype(float)
    frequency = rng.poisson(2, customers).astype(float)
    recency = np.where(frequency > 0, np.round(T * rng.random(customers)), 0.0)
    frequency = np.minimum(frequency, recency)
    monetary = rng.gamma(4, 10, customers).round(2)
    index = pd.Index([f"{seed}-{k:05d}" for k in range(customers)], name="customer_id")
    summary = pd.DataFrame(
        {
            "frequency": frequency,
            "recency": recency,
            "T": T,
            "monetary_value": monetary,
            "monetary_days": frequency + 1,
        },
        index=index,
    )
    hidden = rng.normal(size=customers)
    features = pd.DataFrame(
        {
            "hidden": hidden,
            "noise": rng.normal(size=customers),
            "city": rng.choice(["a", "b"], customers),
            "frequency": frequency,
            "silence_share": (T - recency) / T,
        },
        index=index,
    )
    known = Known(summary, features, BTYD, SPEND, horizon_days)
    risk = 1 / (1 + np.exp(-(known.log_odds() + 1.2 * hidden)))
    bought = rng.random(customers) > risk
    outcomes = pd.DataFrame(
        {"purchases": bought.astype(float), "spend": np.where(bought, rng.gamma(4, 10, customers), 0.0)}, index=index
    )
    return known, outcomes


@pytest.fixture(scope="module")
def past() -> Past:
    drawings = {date(2024, 1, 1): drawn(1200, 1), date(2024, 4, 1): drawn(1200, 2)}
    outcomes = pd.concat({c: o for c, (_, o) in drawings.items()}, names=["cutoff", "customer_id"])
    return Past({c: known for c, (known, _) in drawings.items()}, outcomes)


@pytest.fixture(scope="module")
def known() -> Known:
    return drawn(600, 3)[0]


@pytest.fixture(scope="module")
def fitted(past: Past) -> dict[str, RiskModel]:
    return {method: RiskModel(method, SETTINGS).fit(past) for method in METHODS}


def logit(p: pd.Series) -> pd.Series:
    return np.log(p) - np.log1p(-p)


def test_the_purchase_models_method_is_its_own_probability(fitted: dict[str, RiskModel], known: Known):
    # 1e-6: log-odds are rounded to six decimals, and a probability moves by at most a quarter of that
    own = known.purchases.probability_no_purchase(known.summary, HORIZON)
    np.testing.assert_allclose(fitted["purchase_model"].predict_probability(known), own, rtol=0, atol=1e-6)


def test_the_average_is_the_mean_of_the_members_log_odds(fitted: dict[str, RiskModel], known: Known):
    members = [fitted[m].predict_log_odds(known) for m in ("purchase_model", "lightgbm")]
    np.testing.assert_allclose(fitted["average"].predict_log_odds(known), sum(members) / 2, rtol=0, atol=1e-12)


def test_the_logistic_member_is_the_baseline_itself(fitted: dict[str, RiskModel], past: Past, known: Known):
    alone = RFMLogistic().fit(past.summary, past.churned).predict_log_odds(known.summary)
    np.testing.assert_array_equal(fitted["logistic_rfm"].predict_log_odds(known), alone)


@pytest.mark.parametrize("method", METHODS)
def test_answers_are_probabilities_indexed_by_customer(fitted: dict[str, RiskModel], known: Known, method: str):
    risk = fitted[method].predict_probability(known)
    assert risk.index.equals(known.summary.index)
    assert risk.between(0, 1).all()
    # The least that every method knows: the risk of the purchase model ranks these customers in part.
    assert risk.corr(known.own_risk, method="spearman") > 0.4


@pytest.mark.parametrize("method", METHODS)
def test_a_model_read_from_its_files_answers_to_the_bit(fitted: dict[str, RiskModel], known: Known, method: str):
    model = copy.copy(fitted[method])
    model.calibrator = PlattCalibrator.from_dict({"intercept": 0.1, "slope": 0.8, "note": None})
    again = RiskModel.from_files(model.to_files())
    for answer in ("predict_probability", "predict_log_odds", "contributions", "tree_inputs"):
        one, other = getattr(model, answer)(known), getattr(again, answer)(known)
        assert one.equals(other), answer
    assert again.to_files() == model.to_files()
    assert again.feature_names == model.feature_names


@pytest.mark.parametrize("method", METHODS)
def test_a_customer_alone_gets_the_answer_of_the_crowd(fitted: dict[str, RiskModel], known: Known, method: str):
    some = known.summary.index[[5, 100, 333]]
    alone = replace(known, summary=known.summary.loc[some], features=known.features.loc[some])
    # the purchase model sums series in blocks, so its last digits may differ; its log-odds are rounded to six decimals
    np.testing.assert_allclose(
        fitted[method].predict_log_odds(alone), fitted[method].predict_log_odds(known).loc[some], rtol=0, atol=2e-6
    )


@pytest.mark.parametrize("method", METHODS)
def test_the_calibrator_is_a_line_through_the_log_odds(fitted: dict[str, RiskModel], known: Known, method: str):
    model = copy.copy(fitted[method])
    model.calibrator = PlattCalibrator.from_dict({"intercept": 0.3, "slope": 0.5, "note": None})
    expected = 1 / (1 + np.exp(-(0.3 + 0.5 * model.predict_log_odds(known))))
    np.testing.assert_allclose(model.predict_probability(known), expected, rtol=1e-14)
    assert not model.predict_probability(known).equals(fitted[method].predict_probability(known))


@pytest.mark.parametrize("method", METHODS)
def test_another_horizon_is_asked_of_the_purchase_model(fitted: dict[str, RiskModel], known: Known, method: str):
    """Labels of 90 days and a forecast of 180: every member moves by the purchase model's own difference, once."""
    longer = replace(known, horizon_days=2 * HORIZON)
    difference = known.log_odds(2 * HORIZON) - known.log_odds(HORIZON)
    assert (difference < 0).all()  # the longer the horizon, the likelier a purchase
    model = fitted[method]
    moved = model.predict_log_odds(longer) - model.predict_log_odds(known)
    share = sum(model.weights_.values()) if method == "stack" else 1.0
    np.testing.assert_allclose(moved, share * difference, rtol=0, atol=5e-6)


def test_trees_find_what_the_purchase_model_cannot_see(fitted: dict[str, RiskModel]):
    fresh, outcomes = drawn(3000, 9)
    churned = (outcomes["purchases"] == 0).to_numpy()

    def loss(method: str) -> float:
        log_odds = fitted[method].predict_log_odds(fresh).to_numpy()
        return float(np.logaddexp(0, np.where(churned, -1, 1) * log_odds).mean())

    for method in ("offset_hybrid", "btyd_features", "stack"):
        assert loss(method) < loss("purchase_model") - 0.03, method
        assert fitted[method].importances().idxmax() == "hidden" or method != "offset_hybrid"


def test_the_stack_leaves_out_a_member_that_is_noise():
    """Labels drawn from the purchase model's own risk: its weight goes to 1, and trees on noise get little."""
    drawings = {}
    for k, cutoff in enumerate((date(2024, 1, 1), date(2024, 4, 1))):
        known, outcomes = drawn(4000, 20 + k)
        rng = np.random.default_rng(k)
        bought = rng.random(len(outcomes)) > known.own_risk.to_numpy()
        drawings[cutoff] = known, outcomes.assign(purchases=bought.astype(float))
    outcomes = pd.concat({c: o for c, (_, o) in drawings.items()}, names=["cutoff", "customer_id"])
    past = Past({c: known for c, (known, _) in drawings.items()}, outcomes)
    stack = RiskModel("stack", SETTINGS).fit(past)
    assert stack.weights_["purchase_model"] > 0.75
    assert abs(stack.weights_["lightgbm"]) < 0.15
    fresh = drawn(2000, 30)[0]
    # .06: the weights have an error of about .03 on 8,000 labels, and risks lie between .2 and .99
    np.testing.assert_allclose(stack.predict_probability(fresh), fresh.own_risk, atol=0.06)


def test_the_stacks_weights_stand_on_customers_that_the_members_had_not_seen(past: Past, monkeypatch):
    """Members that show their training fit out of fold would get all the weight; the fit must not ask for it."""
    members = fit_members(METHODS["stack"], past, SETTINGS)
    for member in members.values():
        member.out_of_fold_ = pd.Series(0.0, index=past.churned.index)  # what an untaught member would say unseen
    stack = RiskModel("stack", SETTINGS).fit(past, members)
    assert stack.weights_["lightgbm"] == pytest.approx(0, abs=1e-6)
    assert stack.weights_["logistic_rfm"] == pytest.approx(0, abs=1e-6)


def test_shared_members_give_what_own_members_give(fitted: dict[str, RiskModel], past: Past, known: Known):
    names = tuple(dict.fromkeys(m for members in METHODS.values() for m in members))
    members = fit_members(names, past, SETTINGS)
    for method in METHODS:
        shared = RiskModel(method, SETTINGS).fit(past, members).predict_log_odds(known)
        assert shared.equals(fitted[method].predict_log_odds(known)), method


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("purchases", [0.0, 1.0])
def test_labels_of_one_class_give_finite_answers(past: Past, known: Known, method: str, purchases: float):
    one = Past(past.known, past.outcomes.assign(purchases=purchases))
    model = RiskModel(method, SETTINGS).fit(one)
    risk = model.predict_probability(known)
    assert np.isfinite(risk).all()
    assert RiskModel.from_files(model.to_files()).predict_probability(known).equals(risk)
    if method in TREES:
        assert "every labelled customer" in str(model.note)


def test_nothing_that_is_given_is_written_to(past: Past, known: Known):
    features, summary = known.features.copy(), known.summary.copy()
    outcomes, shown = past.outcomes.copy(), {c: k.features.copy() for c, k in past.known.items()}
    for method in METHODS:
        RiskModel(method, SETTINGS).fit(past).predict_probability(known)
    pd.testing.assert_frame_equal(known.features, features)
    pd.testing.assert_frame_equal(known.summary, summary)
    pd.testing.assert_frame_equal(past.outcomes, outcomes)
    for cutoff, frame in shown.items():
        pd.testing.assert_frame_equal(past.known[cutoff].features, frame)


def test_known_signs_are_kept_by_the_monotone_trees(past: Past):
    """Whatever the labels say: of two customers who differ in silence alone the silent one is not the safer one."""

    def with_silence(known: Known) -> Known:
        return replace(
            known,
            features=known.features.assign(silence_share=(-known.features["hidden"]).rank(pct=True)).drop(
                columns="hidden"
            ),
        )

    turned = Past({c: with_silence(k) for c, k in past.known.items()}, past.outcomes)
    model = RiskModel("lightgbm_monotone", SETTINGS).fit(turned)
    base = with_silence(drawn(200, 4)[0])
    steps = [
        model.predict_log_odds(replace(base, features=base.features.assign(silence_share=s)))
        for s in np.linspace(0, 1, 9)
    ]
    assert all((later >= earlier - 1e-12).all() for earlier, later in pairwise(steps))


@pytest.mark.parametrize("ask", [lambda: RiskModel("lightgmb"), lambda: past_tree_inputs("logistic_rfm", Past({}, pd.DataFrame()))])  # fmt: skip
def test_an_unknown_method_or_trees_of_a_method_without_any_is_refused(ask: Callable[[], object]):
    with pytest.raises(ValueError, match=r"unknown; choose one of|has no trees"):
        ask()


def test_tree_inputs_are_what_the_trees_learned_from(past: Past, fitted: dict[str, RiskModel]):
    for method in TREES:
        inputs, offset = past_tree_inputs(method, past)
        assert list(inputs.columns) == fitted[method].feature_names
        assert (offset is not None) == (method == "offset_hybrid")
        assert isinstance(fitted[method].trees, ChurnModel)
