"""What must hold for every fit: derivatives, units, weights, order, and simulated truth (I1', I2-I4, I8, I10, I11)."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from churn_clv.models import BetaGeoModel, GammaGammaModel, ModifiedBetaGeoModel, ParetoNBDModel
from churn_clv.models.binned_spend import BinnedSpend
from churn_clv.models.distinct_rows import distinct_rows, read_histories
from churn_clv.models.dropout_at_purchase import DropoutAtPurchase
from churn_clv.models.pareto_likelihood import ParetoLikelihood

Kind = type[BetaGeoModel] | type[ModifiedBetaGeoModel] | type[ParetoNBDModel]
TRUTH = {
    BetaGeoModel: (0.6, 6.0, 0.8, 2.5),
    ModifiedBetaGeoModel: (0.8, 6.0, 0.8, 2.5),
    ParetoNBDModel: (0.6, 8.0, 0.6, 12.0),
}
kinds = pytest.mark.parametrize("kind", list(TRUTH))


def truth(kind: Kind) -> BetaGeoModel | ModifiedBetaGeoModel | ParetoNBDModel:
    return kind.from_params(**dict(zip(kind.parameter_names, TRUTH[kind], strict=True)))


def sample(kind: Kind, n: int = 1500, seed: int = 3, horizon: float | None = None) -> pd.DataFrame:
    ages = np.random.default_rng(seed).uniform(20, 52, n)
    return truth(kind).simulate(np.round(ages, 1), seed=seed, horizon=horizon)


@kinds
def test_gradient_and_hessian_match_central_differences(kind: Kind) -> None:
    # I10; a step of 1e-4 relative leaves an error of about 1e-8
    rows = distinct_rows(read_histories(sample(kind, 300)))
    first = kind is ModifiedBetaGeoModel
    likelihood = ParetoLikelihood(rows) if kind is ParetoNBDModel else DropoutAtPurchase(rows, first)
    params = np.array(TRUTH[kind]) * [1.1, 0.8, 1.3, 0.9]
    check_derivatives(likelihood, params)


def test_spend_derivatives_match_central_differences() -> None:
    rng = np.random.default_rng(1)
    check_derivatives(
        BinnedSpend(rng.integers(1, 9, 200).astype(float), rng.normal(3, 1, 200), None), np.array([2.0, 3.0, 20.0])
    )


def check_derivatives(likelihood, params: np.ndarray) -> None:  # type: ignore[no-untyped-def]
    _, gradient, hessian = likelihood(params)
    for i, value in enumerate(params):
        step = np.zeros(params.size)
        step[i] = 1e-4 * value
        (up, up_gradient, _), (down, down_gradient, _) = likelihood(params + step), likelihood(params - step)
        assert gradient[i] == pytest.approx((up - down) / (2 * step[i]), rel=1e-5, abs=1e-4)
        assert hessian[i] == pytest.approx((up_gradient - down_gradient) / (2 * step[i]), rel=1e-5, abs=1e-4)


@kinds
@pytest.mark.parametrize("c", [1 / 7, 7, 24, 1 / 365.25, 86_400])
def test_the_time_unit_does_not_move_the_fit(kind: Kind, c: float) -> None:
    # I1': an ordinary maximum, so parameters themselves agree
    summary = sample(kind)
    base = kind().fit(summary)
    other = kind().fit(summary.assign(recency=summary["recency"] * c, T=summary["T"] * c))
    expected = {k: v * (c if k in ("alpha", "beta") else 1) for k, v in base.params_.items()}
    assert other.params_ == pytest.approx(expected, rel=1e-6)
    assert base.log_likelihood_ is not None
    assert other.log_likelihood_ == pytest.approx(
        base.log_likelihood_ - np.log(c) * summary["frequency"].sum(), abs=1e-5
    )


@kinds
def test_weights_are_duplicated_customers(kind: Kind) -> None:
    # I2
    summary = sample(kind, 600)
    weights = pd.Series(np.random.default_rng(0).integers(0, 4, len(summary)), index=summary.index)
    weighted = kind().fit(summary, weights.sample(frac=1, random_state=1))
    repeated = kind().fit(summary.loc[summary.index.repeat(weights)])
    assert weighted.params_ == pytest.approx(repeated.params_, rel=1e-7)
    assert weighted.log_likelihood_ == pytest.approx(repeated.log_likelihood_, abs=1e-6)
    pd.testing.assert_frame_equal(weighted.covariance_, repeated.covariance_, rtol=1e-5)


@kinds
def test_the_order_of_customers_does_not_matter(kind: Kind) -> None:
    # I3: equal rows are gathered first, so not even rounding differs
    summary = sample(kind, 600)
    assert kind().fit(summary).params_ == kind().fit(summary.sample(frac=1, random_state=5)).params_


@kinds
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_fit_beats_the_truth_and_finds_it(kind: Kind, seed: int) -> None:
    # I4 and recovery: 4 standard errors of 4 parameters
    summary = sample(kind, 20_000, seed)
    model = kind().fit(summary)
    assert model.log_likelihood_ is not None
    assert model.log_likelihood_ >= truth(kind).log_likelihood(summary) - 1e-6
    z = (pd.Series(model.params_) - pd.Series(truth(kind).params_)) / model.standard_errors_
    assert z.abs().max() < 4
    assert model.diagnosis_ is None


@kinds
def test_forecasts_average_to_the_populations_expectation(kind: Kind) -> None:
    # I8: the law of total expectation, and the holdout of the simulation itself; 4 standard errors
    model = truth(kind)
    summary = model.simulate(np.full(20_000, 40.0), seed=8, horizon=39.0)
    forecast = model.expected_purchases(summary, 39.0)
    increase = model.expected_purchases_new_customer(79.0) - model.expected_purchases_new_customer(40.0)
    assert abs(forecast.mean() - increase) < 4 * forecast.std() / np.sqrt(20_000)
    gap = summary["holdout_frequency"] - forecast
    assert abs(gap.mean()) < 4 * gap.std() / np.sqrt(20_000)
    none = (summary["holdout_frequency"] == 0) - model.probability_no_purchase(summary, 39.0)
    assert abs(none.mean()) < 4 * none.std() / np.sqrt(20_000)


@kinds
def test_sampled_purchases_follow_the_models_own_probabilities(kind: Kind) -> None:
    # 20,000 draws: a share has a standard error of at most .0036
    model = truth(kind)
    summary = pd.DataFrame({"frequency": [0, 3, 30], "recency": [0.0, 20.0, 39.0], "T": [40.0] * 3})
    draws = model.sample_purchases(summary, 39.0, size=20_000, seed=2)
    pmf = model.purchase_count_pmf(summary, [0, 1, 2, 5], 39.0)
    for n in pmf.columns:
        assert draws.eq(n).mean(axis=1).to_numpy() == pytest.approx(pmf[n].to_numpy(), abs=0.0145)
    error = draws.std(axis=1) / np.sqrt(20_000)
    assert ((draws.mean(axis=1) - model.expected_purchases(summary, 39.0)).abs() < 4 * error + 1e-9).all()


@kinds
def test_discounted_residual_purchases_are_the_sum_over_a_long_life(kind: Kind) -> None:
    # slow oracle: fine steps, discounted at their middle, to a horizon where the discount factor is 1e-9
    model, delta = truth(kind), 0.05
    summary = pd.DataFrame({"frequency": [0, 3, 30], "recency": [0.0, 20.0, 39.0], "T": [40.0] * 3})
    ends = np.concatenate([[0.0], np.geomspace(1e-4, 420, 4000)])
    factors = np.append(np.exp(-delta * (ends[1:] + ends[:-1]) / 2), 0.0)
    steps = model.weighted_expected_purchases(summary, ends[1:], factors[:-1] - factors[1:])
    got = model.discounted_expected_residual_purchases(summary, np.expm1(delta), 1.0)
    assert got.to_numpy() == pytest.approx(steps.to_numpy(), rel=1e-5)


@kinds
def test_json_keeps_every_digit(kind: Kind) -> None:
    summary = sample(kind, 600)
    model = kind().fit(summary)
    back = kind.from_json(model.to_json())
    assert back.params_ == model.params_
    assert back.log_likelihood_ == model.log_likelihood_
    pd.testing.assert_frame_equal(back.covariance_, model.covariance_, check_exact=True)
    pd.testing.assert_series_equal(
        back.expected_purchases(summary, 39), model.expected_purchases(summary, 39), check_exact=True
    )
    with pytest.raises(ValueError, match="not GammaGammaModel"):
        GammaGammaModel.from_json(model.to_json())


@kinds
def test_a_fit_leaves_its_input_alone(kind: Kind) -> None:
    summary = sample(kind, 300)
    before = summary.copy()
    kind().fit(summary).expected_purchases(summary, 10.0)
    pd.testing.assert_frame_equal(summary, before)


def test_confidence_intervals_are_positive_and_hold_the_estimate() -> None:
    table = BetaGeoModel().fit(sample(BetaGeoModel, 1500)).confidence_intervals(0.999)
    assert (table["lower"] > 0).all()
    assert (table["lower"] < table["estimate"]).all() and (table["estimate"] < table["upper"]).all()


def test_a_prior_pulls_towards_its_centre_and_is_free_of_units() -> None:
    summary = sample(BetaGeoModel, 60)
    loose, tight = BetaGeoModel(prior=3.0).fit(summary), BetaGeoModel(prior=0.05).fit(summary)
    assert tight.params_["r"] == pytest.approx(0.6, rel=0.1)
    assert abs(np.log(loose.params_["r"] / 0.6)) > abs(np.log(tight.params_["r"] / 0.6))
    days = BetaGeoModel(prior=0.05).fit(summary.assign(recency=summary["recency"] * 7, T=summary["T"] * 7))
    assert days.params_["alpha"] == pytest.approx(7 * tight.params_["alpha"], rel=1e-7)
