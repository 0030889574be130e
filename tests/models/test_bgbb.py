"""BG/BB holds published values, the model's definition, its limits and simulated truths."""

from __future__ import annotations

import importlib.util
import warnings
from math import comb
from pathlib import Path

import mpmath
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import beta

from churn_clv.models import BetaGeoBetaBinomialModel, BetaGeoModel, ModelWarning
from churn_clv.models.bgbb import COORDINATES
from churn_clv.models.bgbb_likelihood import OpportunityLikelihood, read_opportunities

# BTYD 2.4.3 on the donations; the paper prints 1.204 0.750 0.657 2.783 and -33,225.6
PUBLISHED = {"alpha": 1.20350708, "beta": 0.74976668, "gamma": 0.65675682, "delta": 2.78388733}
TRUTH = {"alpha": 1.2, "beta": 0.75, "gamma": 0.66, "delta": 2.78}
NAMES = ("alpha", "beta", "gamma", "delta")
COLUMNS = ["frequency", "recency", "n_opportunities"]


def model_of(*params: float) -> BetaGeoBetaBinomialModel:
    return BetaGeoBetaBinomialModel.from_params(**dict(zip(NAMES, params, strict=True)))


def frame(*rows: tuple[float, float, float]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=COLUMNS)


def all_histories(n: int) -> pd.DataFrame:
    rows = [(0, 0, n), *((x, last, n) for last in range(1, n + 1) for x in range(1, last + 1))]
    return frame(*rows)


def orders(summary: pd.DataFrame) -> np.ndarray:
    """In how many orders a customer can come to frequency and recency: the last transaction is fixed."""
    pairs = zip(summary["frequency"], summary["recency"], strict=True)
    return np.array([comb(int(last) - 1, int(x) - 1) if x else 1 for x, last in pairs], dtype=float)


@pytest.fixture(scope="module")
def donations() -> pd.DataFrame:
    """The paper's 11,104 donors, first gift in 1995, opportunities 1996 to 2001."""
    package = importlib.util.find_spec("lifetimes")
    assert package is not None and package.origin is not None
    table = pd.read_csv(Path(package.origin).parent / "datasets" / "donations.csv")
    return table.rename(columns={"periods": "n_opportunities"})


@pytest.fixture(scope="module")
def donors(donations: pd.DataFrame) -> BetaGeoBetaBinomialModel:
    return BetaGeoBetaBinomialModel().fit(donations, weights=donations["weights"])


def test_the_fit_of_the_donations_is_the_published_one(
    donations: pd.DataFrame, donors: BetaGeoBetaBinomialModel
) -> None:
    # the published digits stop short of the maximum: log-likelihood -33225.581285 there, -33225.581274 here, where
    # the gradient is zero; delta is 1.6e-4 off, the others less than 1e-4
    assert donors.params_ == pytest.approx(PUBLISHED, rel=1.7e-4)
    for name in ("alpha", "beta", "gamma"):
        assert donors.params_[name] == pytest.approx(PUBLISHED[name], rel=1e-4)
    assert donors.log_likelihood_ == pytest.approx(-33225.58129, abs=2e-5)
    theirs = BetaGeoBetaBinomialModel.from_params(**PUBLISHED).log_likelihood(donations, donations["weights"])
    assert theirs == pytest.approx(-33225.58129, abs=1e-5)
    assert donors.log_likelihood_ > theirs
    rows, _ = read_opportunities(donations, donations["weights"])
    slope = OpportunityLikelihood(rows)(np.array(list(donors.params_.values())))[1]
    assert np.abs(slope).max() < 1e-6
    assert donors.diagnosis_ is None
    assert donors.n_customers_ == 11_104


def test_expected_transactions_of_a_new_customer_are_btyds() -> None:
    # as printed for the example of bgbb.Expectation in BTYD's manual
    expected = [0.4973166, 0.9207078, 1.2927317, 1.6266289, 1.9309062, 2.2113893, 2.4722624, 2.7166434, 2.9469256,
                3.1649902]  # fmt: skip
    model = model_of(1.20, 0.75, 0.66, 2.78)
    assert model.expected_purchases_new_customer(np.arange(1, 11)) == pytest.approx(expected, abs=6e-8)
    assert model.expected_purchases_new_customer(10) == pytest.approx(3.16499, abs=6e-6)


def test_expected_transactions_of_two_donors_are_btyds(donors: BetaGeoBetaBinomialModel) -> None:
    # BTYD's walkthrough, ten years ahead; 1e-4: its fit stops short of the maximum
    got = donors.expected_purchases(frame((0, 0, 6), (4, 5, 6)), 10)
    assert got.to_list() == pytest.approx([0.1302169, 3.627858], rel=1e-4)


def posterior(params: tuple[float, ...], history: tuple[int, int, int], ahead: int) -> tuple[float, float, np.ndarray]:
    """Likelihood of one history, P(active at n + 1) and P(y transactions ahead), straight from the model's story.

    Given p and theta a customer is followed opportunity by opportunity; what results is a polynomial of p and theta,
    which Gauss-Jacobi quadrature over the two Beta distributions integrates exactly.
    """
    from scipy.special import roots_jacobi

    x, last, n = history
    bought = [*([1] * (x - 1)), *([0] * (last - x)), 1] if x else []
    bought += [0] * (n - last)
    axes = []
    for first, second in (params[:2], params[2:]):
        node, weight = roots_jacobi((n + ahead) // 2 + 2, second - 1, first - 1)
        axes.append(((node + 1) / 2, weight / weight.sum()))
    p, theta = np.meshgrid(axes[0][0], axes[1][0], indexing="ij")
    weight = np.outer(axes[0][1], axes[1][1])
    active, gone = np.ones_like(p), np.zeros_like(p)
    for transaction in bought:
        gone = gone + active * theta if not transaction else np.zeros_like(p)
        active = active * (1 - theta) * (p if transaction else 1 - p)
    likelihood = float((weight * (active + gone)).sum())
    alive = float((weight * active * (1 - theta)).sum()) / likelihood
    here, left = [active] + [np.zeros_like(p)] * ahead, [gone] + [np.zeros_like(p)] * ahead
    for _ in range(ahead):
        left = [a + b * theta for a, b in zip(left, here, strict=True)]
        here = [b * (1 - theta) for b in here]
        here = [here[0] * (1 - p)] + [here[y] * (1 - p) + here[y - 1] * p for y in range(1, ahead + 1)]
    counts = np.array([(weight * (a + b)).sum() for a, b in zip(left, here, strict=True)]) / likelihood
    return likelihood, alive, counts


@pytest.mark.parametrize("params", [(1.2, 0.75, 0.66, 2.78), (0.3, 6.0, 1.0, 4.0), (20.0, 0.5, 0.2, 0.3)])
@pytest.mark.parametrize("history", [(0, 0, 0), (0, 0, 6), (1, 1, 6), (3, 4, 6), (6, 6, 6), (4, 17, 20)])
def test_all_predictions_follow_from_the_models_definition(
    params: tuple[float, ...], history: tuple[int, int, int]
) -> None:
    model, summary, ahead = model_of(*params), frame(history), 7
    likelihood, alive, counts = posterior(params, history, ahead)
    assert model.log_likelihood(summary) == pytest.approx(np.log(likelihood), abs=1e-10)
    assert model.probability_alive(summary)[0] == pytest.approx(alive, rel=1e-9)
    assert model.expected_purchases(summary, ahead)[0] == pytest.approx(counts @ np.arange(ahead + 1), rel=1e-9)
    assert model.probability_no_purchase(summary, ahead)[0] == pytest.approx(counts[0], rel=1e-9)
    pmf = model.purchase_count_pmf(summary, np.arange(ahead + 2), ahead)
    assert isinstance(pmf, pd.DataFrame)
    assert pmf.loc[0].to_numpy() == pytest.approx([*counts, 0.0], rel=1e-9)


HARD = [
    ((1.2, 0.75, 0.66, 2.78), (300, 700, 1000)),
    ((1.2, 0.75, 0.66, 2.78), (1, 1, 1000)),
    ((4e5, 6e5, 3e5, 7e6), (30, 60, 80)),
    ((1e-6, 2e-6, 3e-6, 1e-6), (3, 5, 9)),
    ((2.0, 3.0, 1 + 1e-9, 4.0), (2, 3, 9)),
    ((2.0, 3.0, 1.0, 4.0), (2, 3, 9)),
    ((0.5, 200.0, 0.4, 900.0), (3, 40, 365)),
]


@pytest.mark.parametrize(("params", "history"), HARD)
def test_hard_cases_hold_to_forty_digit_arithmetic(params: tuple[float, ...], history: tuple[int, int, int]) -> None:
    # the likelihood, P(alive) at n + 1 and DERT (eq. 14) as the paper defines them
    x, last, n = history
    with mpmath.workdps(40):
        a, b, g, d = (mpmath.mpf(value) for value in params)
        both = mpmath.beta(a, b) * mpmath.beta(g, d)
        active = mpmath.beta(a + x, b + n - x) * mpmath.beta(g, d + n) / both
        terms = (mpmath.beta(a + x, b + i - x) * mpmath.beta(g + 1, d + i) for i in range(last, n))
        total = active + mpmath.fsum(terms) / both
        value, alive = mpmath.log(total), active / total * (d + n) / (g + d + n)
        # the paper's 2F1 is this sum over the coming opportunities; 1.1^-700 is 1e-29
        stay, periods = mpmath.mpf(1), mpmath.mpf(0)
        for k in range(700):
            stay *= (d + n + k) / (g + d + n + k) / mpmath.mpf(1.1)
            periods += stay
        residual = active / total * (a + x) / (a + b + n) * periods
    model, summary = model_of(*params), frame(history)
    # 1e-15 of each summand: rounding in tables of up to a thousand logarithms
    assert model.log_likelihood(summary) == pytest.approx(float(value), rel=1e-11, abs=1e-11)
    assert model.probability_alive(summary)[0] == pytest.approx(float(alive), rel=1e-9)
    got = model.discounted_expected_residual_purchases(summary, 0.1, 1)[0]
    assert got == pytest.approx(float(residual), rel=1e-9)


def test_residual_purchases_are_the_discounted_sum_of_all_that_come() -> None:
    # slow oracle: 200 opportunities, monthly, at 6 % a month compounded to a year; the rest is below e^-11
    model, summary = model_of(*TRUTH.values()), all_histories(4)
    increments = np.diff([model.expected_purchases(summary, m).to_numpy() for m in range(201)], axis=0)
    expected = (increments / 1.06 ** np.arange(1, 201)[:, None]).sum(axis=0)
    got = model.discounted_expected_residual_purchases(summary, 1.06**12 - 1, 12)
    assert got.to_numpy() == pytest.approx(expected, rel=1e-5)


def test_derivatives_are_those_of_the_likelihood() -> None:
    # by the parameters and by the coordinates of the search; central differences with step h: h^2 and rounding over h
    rng = np.random.default_rng(3)
    summary = model_of(*TRUTH.values()).simulate(rng.integers(0, 25, 400), seed=4)
    likelihood, step = OpportunityLikelihood(read_opportunities(summary)[0]), 1e-5

    def by_theta(theta: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        value, gradient, hessian = likelihood(COORDINATES.to_params(theta))
        return value, *COORDINATES.by_theta(theta, gradient, hessian)

    for function, at in ((likelihood, [0.9, 1.3, 0.4, 2.0]), (by_theta, [-0.4, 0.8, -1.6, 0.9])):
        _, gradient, hessian = function(np.array(at))
        ends = [(function(at + move), function(at - move)) for move in np.eye(4) * step]
        assert gradient == pytest.approx([(up[0] - down[0]) / (2 * step) for up, down in ends], rel=1e-6)
        numerical = np.array([(up[1] - down[1]) / (2 * step) for up, down in ends])
        assert hessian == pytest.approx(numerical, rel=1e-6, abs=1e-5)


@pytest.mark.parametrize("n", [1, 6, 15])
def test_the_likelihood_is_a_distribution_and_forecasts_average_to_the_populations(n: int) -> None:
    # over all histories of n opportunities: total probability, and the law of total expectation, exactly
    model, summary = model_of(*TRUTH.values()), all_histories(n)
    log_each = [model.log_likelihood(summary.iloc[[row]]) for row in range(len(summary))]
    probability = orders(summary) * np.exp(log_each)
    assert probability.sum() == pytest.approx(1, rel=1e-12)
    # a new customer's transactions are those of all histories
    assert probability @ summary["frequency"] == pytest.approx(model.expected_purchases_new_customer(n), rel=1e-12)
    increase = model.expected_purchases_new_customer(n + 9) - model.expected_purchases_new_customer(n)
    assert probability @ model.expected_purchases(summary, 9) == pytest.approx(increase, rel=1e-12)
    counts = [probability[summary["frequency"] == k].sum() for k in range(n + 1)]
    assert model.purchase_count_pmf(None, np.arange(n + 1), n) == pytest.approx(counts, rel=1e-12)


shape = st.floats(0.01, 50)


@settings(max_examples=60, deadline=None)
@given(
    params=st.tuples(shape, shape, shape, shape),
    n=st.integers(0, 60),
    last=st.floats(0, 1),
    share=st.floats(0, 1),
    m=st.integers(0, 30),
)
def test_counts_have_the_mean_and_the_zero_of_the_other_predictions(
    params: tuple[float, ...], n: int, last: float, share: float, m: int
) -> None:
    recency = round(last * n)
    summary = frame((min(recency, 1 + round(share * (recency - 1))) if recency else 0, recency, n))
    model = model_of(*params)
    pmf = model.purchase_count_pmf(summary, np.arange(m + 1), m)
    assert isinstance(pmf, pd.DataFrame)
    assert (pmf >= 0).all(axis=None)
    assert pmf.loc[0].sum() == pytest.approx(1, abs=1e-11)
    assert pmf.loc[0] @ np.arange(m + 1) == pytest.approx(model.expected_purchases(summary, m)[0], rel=1e-9, abs=1e-13)
    assert model.probability_no_purchase(summary, m)[0] == pytest.approx(pmf.loc[0, 0], abs=1e-11)
    assert 0 <= model.probability_alive(summary)[0] <= 1


def test_without_dropout_it_is_the_beta_binomial() -> None:
    # limit gamma -> 0: the posterior mean of p, whatever the recency; off by gamma / delta
    model, summary = model_of(1.2, 0.75, 1e-9, 1.0), frame((0, 0, 6), (2, 2, 6), (2, 6, 6), (6, 6, 6))
    mean = (1.2 + summary["frequency"]) / (1.95 + 6)
    assert model.expected_purchases(summary, 5).to_numpy() == pytest.approx(5 * mean.to_numpy(), rel=1e-6)
    assert model.probability_alive(summary).to_numpy() == pytest.approx(np.ones(4), rel=1e-6)


def test_equal_customers_have_the_geometric_binomial() -> None:
    # limit alpha, beta, gamma, delta -> infinity at p = 0.4, theta = 0.2; off by 1 / gamma
    p, theta = 0.4, 0.2
    model = model_of(p * 1e9, (1 - p) * 1e9, theta * 1e9, (1 - theta) * 1e9)
    stay = (1 - theta) * (1 - p)
    # one transaction at opportunity 1 of 3, then gone after 1, after 2, or active
    active = p * (1 - theta) * stay**2
    total = active + p * (1 - theta) * theta * (1 + stay)
    assert model.log_likelihood(frame((1, 1, 3))) == pytest.approx(np.log(total), abs=1e-7)
    expected = active / total * p * (1 - theta) * (1 - (1 - theta) ** 4) / theta
    assert model.expected_purchases(frame((1, 1, 3)), 4)[0] == pytest.approx(expected, rel=1e-7)


def test_a_customer_who_just_bought_is_active_unless_she_leaves_next() -> None:
    # delta + n over gamma + delta + n, whatever her frequency
    got = model_of(1.2, 0.75, 0.66, 2.78).probability_alive(frame((1, 6, 6), (6, 6, 6), (0, 0, 0)))
    assert got.to_list() == pytest.approx([8.78 / 9.44, 8.78 / 9.44, 2.78 / 3.44], rel=1e-12)


@pytest.mark.parametrize("most", [6, 52])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_parameters_are_recovered_from_simulated_customers(most: int, seed: int) -> None:
    # known truth, ages mixed; 4 standard errors
    ages = np.random.default_rng(seed).integers(most // 2, most + 1, 10_000)
    summary = model_of(*TRUTH.values()).simulate(ages, seed=seed)
    model = BetaGeoBetaBinomialModel().fit(summary)
    z = (pd.Series(model.params_) - pd.Series(TRUTH)) / model.standard_errors_
    assert z.abs().max() < 4
    assert model.log_likelihood_ is not None
    assert model.log_likelihood_ >= model_of(*TRUTH.values()).log_likelihood(summary)
    assert model.diagnosis_ is None


def test_simulated_holdouts_follow_the_forecasts() -> None:
    # 4 standard errors of the simulation itself
    model = model_of(*TRUTH.values())
    summary = model.simulate(np.full(20_000, 6), seed=8, horizon=5)
    gap = summary["holdout_frequency"] - model.expected_purchases(summary, 5)
    assert abs(gap.mean()) < 4 * gap.std() / np.sqrt(20_000)
    none = (summary["holdout_frequency"] == 0) - model.probability_no_purchase(summary, 5)
    assert abs(none.mean()) < 4 * none.std() / np.sqrt(20_000)
    observed = summary.groupby(COLUMNS[:2]).size()
    table = all_histories(6)
    share = orders(table) * np.exp([model.log_likelihood(table.iloc[[row]]) for row in range(len(table))])
    counts = observed.reindex(pd.MultiIndex.from_frame(table[COLUMNS[:2]]), fill_value=0).to_numpy()
    # 21 degrees of freedom: chi-square beyond 58 has probability 2.4e-5
    assert ((counts - 20_000 * share) ** 2 / (20_000 * share)).sum() < 58


def test_sampled_purchases_follow_the_models_own_probabilities() -> None:
    # 20,000 draws: a share has a standard error of at most .0036
    model, summary = model_of(*TRUTH.values()), frame((0, 0, 6), (3, 4, 6), (6, 6, 6))
    draws = model.sample_purchases(summary, 5, size=20_000, seed=2)
    pmf = model.purchase_count_pmf(summary, np.arange(6), 5)
    assert isinstance(pmf, pd.DataFrame)
    for n in range(6):
        assert draws.eq(n).mean(axis=1).to_numpy() == pytest.approx(pmf[n].to_numpy(), abs=0.0145)
    pd.testing.assert_frame_equal(draws.iloc[:, :5], model.sample_purchases(summary, 5, size=5, seed=2))


def test_weights_are_duplicate_customers_and_order_does_not_matter(
    donations: pd.DataFrame, donors: BetaGeoBetaBinomialModel
) -> None:
    each = donations.loc[donations.index.repeat(donations["weights"]), COLUMNS].reset_index(drop=True)
    model = BetaGeoBetaBinomialModel().fit(each.sample(frac=1, random_state=4))
    assert model.params_ == donors.params_
    pd.testing.assert_frame_equal(model.covariance_, donors.covariance_)
    # weight 0 is absence, and a series is aligned by its index
    weights = donations["weights"].where(donations["frequency"] < 6, 0)
    without = BetaGeoBetaBinomialModel().fit(donations, weights=weights.sample(frac=1, random_state=1))
    kept = donations[donations["frequency"] < 6]
    assert without.params_ == pytest.approx(
        BetaGeoBetaBinomialModel().fit(kept, weights=kept["weights"]).params_, rel=1e-12
    )


def test_lifetimes_agrees_in_fit_and_predictions(donations: pd.DataFrame, donors: BetaGeoBetaBinomialModel) -> None:
    # its search stops at a gradient of 1e-7: 2e-4 on parameters
    from lifetimes import BetaGeoBetaBinomFitter

    x, t_x, n = (donations[name].to_numpy() for name in COLUMNS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        theirs = BetaGeoBetaBinomFitter().fit(x, t_x, n, donations["weights"].to_numpy())
    assert donors.params_ == pytest.approx(theirs.params_.to_dict(), rel=2e-4)
    assert donors.log_likelihood_ is not None
    taken = BetaGeoBetaBinomialModel.from_lifetimes(theirs)
    assert donors.log_likelihood_ >= taken.log_likelihood(donations, donations["weights"]) - 1e-6
    fitter = donors.to_lifetimes()
    assert BetaGeoBetaBinomialModel.from_lifetimes(fitter).params_ == donors.params_
    # lifetimes adds 1e-15 to each likelihood and takes differences of Gamma functions
    assert donors.expected_purchases(donations, 5).to_numpy() == pytest.approx(fitter.predict(5, x, t_x, n), rel=1e-9)
    alive = fitter.conditional_probability_alive(1, x, t_x, n)
    assert donors.probability_alive(donations).to_numpy() == pytest.approx(alive, rel=1e-9)
    with pytest.raises(ValueError, match="needs a fitted BetaGeoBetaBinomFitter, got BetaGeoFitter"):
        BetaGeoBetaBinomialModel.from_lifetimes(BetaGeoModel.from_params(r=1, alpha=1, a=1, b=1).to_lifetimes())


def test_json_keeps_every_digit(donors: BetaGeoBetaBinomialModel, donations: pd.DataFrame) -> None:
    back = BetaGeoBetaBinomialModel.from_json(donors.to_json())
    assert back.params_ == donors.params_
    assert back.log_likelihood_ == donors.log_likelihood_
    pd.testing.assert_frame_equal(back.confidence_intervals(), donors.confidence_intervals(), check_exact=True)
    with pytest.raises(ValueError, match="not BetaGeoModel"):
        BetaGeoModel.from_json(donors.to_json())


def test_standard_errors_are_those_of_the_information(
    donations: pd.DataFrame, donors: BetaGeoBetaBinomialModel
) -> None:
    # inverse of the observed information by alpha .. delta, without the coordinates of the search
    rows, _ = read_opportunities(donations, donations["weights"])
    hessian = OpportunityLikelihood(rows)(np.array(list(donors.params_.values())))[2]
    assert donors.covariance_.to_numpy() == pytest.approx(np.linalg.inv(-hessian), rel=1e-5)
    table = donors.confidence_intervals()
    assert (table["lower"] < table["estimate"]).all() and (table["estimate"] < table["upper"]).all()


def test_results_are_indexed_like_the_summary_which_stays_as_it_was(donors: BetaGeoBetaBinomialModel) -> None:
    summary = frame((6, 6, 6), (0, 0, 6), (0, 0, 6)).set_axis(["c", "a", "b"]).rename_axis("customer_id")
    before = summary.copy()
    results = [donors.probability_alive(summary), donors.expected_purchases(summary, 3),
               donors.probability_no_purchase(summary, 3), donors.sample_purchases(summary, 3, size=2, seed=1),
               donors.discounted_expected_residual_purchases(summary, 0.1, 1)]  # fmt: skip
    assert all(result.index.equals(summary.index) for result in results)
    pd.testing.assert_frame_equal(summary, before)
    assert donors.expected_purchases(summary.iloc[:0], 3).empty


def test_no_opportunity_ahead_means_no_purchase(donors: BetaGeoBetaBinomialModel) -> None:
    summary = frame((6, 6, 6), (0, 0, 6))
    assert donors.expected_purchases(summary, 0).to_list() == [0, 0]
    assert donors.probability_no_purchase(summary, 0).to_list() == [1, 1]
    assert donors.purchase_count_pmf(None, 0, 0) == 1


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([(1, 2, 6), (1.5, 2, 6)], "must be whole numbers: 1 of 2 customers .* count opportunities"),
        ([(2, 7, 6), (1, 1, 6)], "recency must be at most n_opportunities: 1 of 2"),
        ([(3, 2, 6), (4, 1, 6)], "frequency must be at most recency: 2 of 2 .* one transaction per opportunity"),
        ([(0, 2, 6)], "recency must be 0 where frequency is 0: 1 of 1"),
        ([(1, 1, 1e9)], "n_opportunities must be at most 100000: 1 of 1 .* longer periods"),
        ([(1, -1, 6)], "recency must be not negative: 1 of 1"),
        ([(1, np.nan, 6)], "recency must be finite numbers: 1 of 1"),
        ([(0, 0, 0), (0, 0, 0)], "no customer to fit on .2 customers, none with an opportunity"),
        ([], "no customer to fit on .0 customers"),
    ],
)
def test_impossible_summaries_are_refused_with_count_and_remedy(
    rows: list[tuple[float, float, float]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        BetaGeoBetaBinomialModel().fit(frame(*rows))


def test_horizons_and_counts_must_be_whole(donors: BetaGeoBetaBinomialModel) -> None:
    summary = frame((1, 1, 6))
    for horizon in (1.5, -1, np.nan, np.inf):
        with pytest.raises(ValueError, match="horizon must be whole numbers of opportunities, 0 or more: 1 of 1"):
            donors.expected_purchases(summary, horizon)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="horizon must be one whole number"):
        donors.expected_purchases(summary, [1, 2])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="n must be whole numbers of transactions"):
        donors.purchase_count_pmf(summary, 0.5, 3)  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="no column 'n_opportunities'"):
        donors.probability_alive(summary.rename(columns={"n_opportunities": "T"}))
    with pytest.raises(ValueError, match="give a horizon"):
        donors.discounted_expected_residual_purchases(summary, 0.0, 1)


def summary_of(bought: np.ndarray) -> pd.DataFrame:
    """Turn a matrix of customers by opportunities into a summary."""
    numbers = np.arange(1, bought.shape[1] + 1)
    last = (bought * numbers).max(axis=1)
    return pd.DataFrame({"frequency": bought.sum(axis=1), "recency": last, "n_opportunities": bought.shape[1]})


def fit_with_warning(summary: pd.DataFrame, weights: np.ndarray | None = None) -> BetaGeoBetaBinomialModel:
    with pytest.warns(ModelWarning) as caught:
        model = BetaGeoBetaBinomialModel().fit(summary, weights)
    assert [str(w.message) for w in caught] == [model.diagnosis_]
    return model


def test_equal_customers_are_diagnosed_and_their_means_kept() -> None:
    # p = .4, theta = .2 for all 5,000: their standard errors are .004 and .003
    rng = np.random.default_rng(6)
    lifetime = rng.geometric(0.2, 5000) - 1
    model = fit_with_warning(summary_of((rng.random((5000, 10)) < 0.4) & (np.arange(10) < lifetime[:, None])))
    assert "purchase probability does not differ" in str(model.diagnosis_)
    assert "dropout probability does not differ" in str(model.diagnosis_)
    a, b, g, d = model.params_.values()
    assert a / (a + b) == pytest.approx(0.4, abs=0.016)
    assert g / (g + d) == pytest.approx(0.2, abs=0.012)
    assert model.standard_errors_.isna().all()


def test_customers_who_never_leave_are_diagnosed_and_their_purchase_shapes_kept() -> None:
    # each history weighted by its beta-binomial probability for p ~ Beta(2, 3): the maximum is there, at no dropout
    summary = all_histories(8)
    x = summary["frequency"].to_numpy(float)
    weights = 4000 * orders(summary) * beta(2 + x, 3 + 8 - x) / beta(2, 3)
    model = fit_with_warning(summary, weights)
    assert "No dropout" in str(model.diagnosis_)
    assert model.params_["alpha"] == pytest.approx(2, rel=1e-4)
    assert model.params_["beta"] == pytest.approx(3, rel=1e-4)
    errors = model.standard_errors_
    assert errors[["gamma", "delta"]].isna().all()
    assert (errors[["alpha", "beta"]] > 0).all()


@pytest.mark.parametrize(
    ("summary", "said", "expected"),
    [
        (frame(*[(0, 0, 6)] * 50), "No customer bought again", 0.0),
        (frame((3, 5, 6)), "One single customer", None),
        (frame(*[(1, 1, 1)] * 40, *[(0, 0, 1)] * 60), "No customer had more than two opportunities", None),
        (frame(*[(6, 6, 6)] * 50), "buys at every opportunity", 5.0),
    ],
)
def test_what_is_not_identified_is_named_and_predictions_stay_usable(
    summary: pd.DataFrame, said: str, expected: float | None
) -> None:
    model = fit_with_warning(summary)
    assert said in str(model.diagnosis_)
    assert model.standard_errors_.isna().all()
    got = model.expected_purchases(summary, 5)
    assert got.between(0, 5).all()
    if expected is not None:
        assert got.to_numpy() == pytest.approx(np.full(len(summary), expected), abs=1e-2)


def test_a_prior_pulls_towards_its_centre(donations: pd.DataFrame) -> None:
    few = donations.assign(weights=donations["weights"] / 200)
    loose, tight = (BetaGeoBetaBinomialModel(prior=s).fit(few, few["weights"]).params_ for s in (3.0, 0.05))
    assert tight["alpha"] + tight["beta"] == pytest.approx(2.0, rel=0.05)
    assert tight["gamma"] + tight["delta"] == pytest.approx(3.0, rel=0.05)
    assert abs(np.log((loose["gamma"] + loose["delta"]) / 3)) > abs(np.log((tight["gamma"] + tight["delta"]) / 3))
