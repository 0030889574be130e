"""Single customers at the edge of what floats hold: expected values are the models' definitions at 40 digits."""

from __future__ import annotations

import warnings

import mpmath
import numpy as np
import pandas as pd
import pytest
from strategies import CLASSES, frame

from churn_clv.models import BetaGeoModel, GammaGammaModel, ModelWarning, ModifiedBetaGeoModel, ParetoNBDModel, clv


def pareto_pmf(params: tuple[float, ...], T: float, n: int, t: float) -> float:
    """P(n purchases in t | x = 0, alive at T): alive through t, or left at y after n (30-digit quadrature in ln y)."""
    with mpmath.workdps(30):
        r, alpha, s, beta = (mpmath.mpf(v) for v in params)
        A, B = alpha + T, beta + T

        def counts(y: mpmath.mpf) -> mpmath.mpf:
            rising = mpmath.loggamma(r + n) - mpmath.loggamma(r) - mpmath.loggamma(n + 1)
            return mpmath.exp(rising + r * mpmath.log(A / (A + y)) + n * mpmath.log(y / (A + y)))

        def left(u: mpmath.mpf) -> mpmath.mpf:
            y = mpmath.exp(u)
            return y * counts(y) * s / B * (B / (B + y)) ** (s + 1)

        cuts = [mpmath.log(t) - k for k in range(60, -1, -1)]
        return float(counts(mpmath.mpf(t)) * (B / (B + t)) ** s + mpmath.quad(left, cuts, maxdegree=6))


@pytest.mark.parametrize(
    ("params", "T", "n", "t"),
    [
        ((100, 0.001, 1.000000001, 0.001), 0.0, 200, 1.0),
        ((0.16438512801263977, 0.001, 2.0, 1e6), 0.0, 50, 1459.4362144931542),
        ((0.5, 10.0, 0.6, 12.0), 39.0, 7, 39.0),
        ((0.5, 0.001, 2.0, 1e6), 0.0, 0, 3084.0),
    ],
)
def test_pareto_counts_hold_far_from_the_mean(params: tuple[float, ...], T: float, n: int, t: float) -> None:
    model = ParetoNBDModel.from_params(**dict(zip(ParetoNBDModel.parameter_names, params, strict=True)))
    got = model.purchase_count_pmf(frame((0, 0.0, T)), n, t).iloc[0]
    alive = model.probability_alive(frame((0, 0.0, T))).iloc[0]
    assert got - (1 - alive) * (n == 0) == pytest.approx(alive * pareto_pmf(params, T, n, t), rel=1e-9, abs=0)


def test_a_tiny_chance_of_no_purchase_keeps_its_digits() -> None:
    # (alpha / (alpha + t))^r of a new customer; 1 - P(some) would leave 0 and 5.2924e-13
    small = BetaGeoModel.from_params(r=2.5, alpha=0.001, a=2.0, b=1e5)
    assert small.probability_no_purchase(frame((0, 0.0, 0.0)), 1e5).iloc[0] == pytest.approx(1e-20, rel=1e-7, abs=0)
    many = BetaGeoModel.from_params(r=1e4, alpha=1e6, a=1.0, b=0.1)
    exact = float(mpmath.mpf(1e6 + 4.0) ** 1e4 / mpmath.mpf(1e6 + 4.0 + 2830.0) ** 1e4)
    assert many.probability_no_purchase(frame((0, 0.0, 4.0)), 2830.0).iloc[0] == pytest.approx(exact, rel=1e-11, abs=0)


@pytest.mark.parametrize("kind", [BetaGeoModel, ModifiedBetaGeoModel])
@pytest.mark.parametrize("a", [0.4, 1.0, 2.5])
def test_discounting_holds_over_horizons_far_beyond_the_discount(
    kind: type[BetaGeoModel] | type[ModifiedBetaGeoModel], a: float
) -> None:
    # the residual value's own quadrature, at a horizon where 1.12^-1900 of a purchase remains
    model = kind.from_params(r=0.98, alpha=4.4, a=a, b=2.5)
    customers = frame((0, 0.0, 0.0), (2, 30.0, 39.0), (77, 6.0, 6.0), (5000, 6.1, 6.1))
    long = clv.discounted_purchases(model, customers, horizon=1e5, annual_discount_rate=0.12, periods_per_year=52.18)
    endless = model.discounted_expected_residual_purchases(customers, 0.12, 52.18)
    assert long.to_numpy() == pytest.approx(endless.to_numpy(), rel=1e-9)


def test_residual_purchases_hold_where_hardly_anyone_buys_again() -> None:
    # 25-digit integral of delta exp(-delta t) E(t); 128 nodes over the rate left an error of 9e-9
    model = BetaGeoModel.from_params(r=0.0010056624089089668, alpha=0.001, a=0.4, b=2.5)
    got = model.discounted_expected_residual_purchases(frame((0, 0.0, 0.0)), 0.12, 52.18).iloc[0]
    assert got == pytest.approx(7.620746136296683, rel=1e-10)


def test_pareto_discounting_holds_over_horizons_far_beyond_the_discount() -> None:
    # s and beta far apart in scale from the horizon: k/A B U(1, 2-s, delta B) (Fader, Hardie & Lee 2005, JMR eq. 6)
    model = ParetoNBDModel.from_params(r=0.5, alpha=1e6, s=2.0, beta=0.001)
    got = clv.discounted_purchases(
        model, frame((0, 0.0, 0.0)), horizon=1e5, annual_discount_rate=0.1, periods_per_year=1.0
    ).iloc[0]
    with mpmath.workdps(30):
        B, delta = mpmath.mpf(0.001), mpmath.log1p(mpmath.mpf(0.1))
        exact = float(mpmath.mpf(0.5) / 1e6 * B * mpmath.hyperu(1, 0, delta * B))
    assert got == pytest.approx(exact, rel=1e-9, abs=0)


@pytest.mark.parametrize("kind", CLASSES)
def test_random_states_over_ten_decades_are_probabilities_and_raise_no_warning(kind: type[BetaGeoModel]) -> None:
    rng = np.random.default_rng(7)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(25):
            params = 10 ** rng.uniform(-5, 5, 4)
            model = kind.from_params(**dict(zip(kind.parameter_names, params.tolist(), strict=True)))
            x, T = np.floor(10 ** rng.uniform(0, 6, 60)) - 1, 10 ** rng.uniform(-4, 6, 60)
            t_x = np.where(x > 0, T * rng.choice([0.0, 0.3, 1.0], 60), 0.0)
            summary, t = pd.DataFrame({"frequency": x, "recency": t_x, "T": T}), float(10 ** rng.uniform(-6, 6))
            none = model.probability_no_purchase(summary, t)
            pmf = model.purchase_count_pmf(summary, [0, 1, 200], t)
            for shares in (model.probability_alive(summary), none, pmf):
                values = np.asarray(shares)
                assert np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1 + 1e-12
            spent = clv.discounted_purchases(model, summary, horizon=t, annual_discount_rate=0.1, periods_per_year=52)
            assert spent.between(0, model.expected_purchases(summary, t) * (1 + 1e-9) + 1e-300).all()
            model.sample_purchases(summary, min(t, 1.0), size=2, seed=1)


def test_frequencies_that_cannot_be_counts_are_refused_and_not_answered() -> None:
    # 1e20 used to give 0 expected purchases, 1e11 a MemoryError
    model = BetaGeoModel.from_params(r=0.5, alpha=6, a=0.8, b=2.5)
    with pytest.raises(ValueError, match="frequency must be at most 1e9: 1 of 1"):
        model.expected_purchases(frame((1e20, 1.0, 3.0)), 10)
    with pytest.raises(ValueError, match="at most 1e7 in a likelihood: 1 of 1"):
        model.log_likelihood(frame((2e7, 1.0, 3.0)))
    with pytest.raises(ValueError, match="at most 1e7 in a likelihood: 1 of 2"):
        GammaGammaModel().fit(pd.DataFrame({"frequency": [1e12, 2], "monetary_value": [3.0, 4.0]}))


WRONG_CALLS = {
    "horizon text": (lambda m: m.expected_purchases(frame((1, 2.0, 3.0)), "x"), "horizon must be a number"),
    "summary list": (lambda m: m.probability_alive([1, 2]), "must be a pandas DataFrame"),
    "columns twice": (lambda m: m.probability_alive(pd.concat([frame((1, 2.0, 3.0))] * 2, axis=1)), "must be unique"),
    "infinite n": (lambda m: m.purchase_count_pmf(None, np.inf, 1.0), "n must be whole numbers"),
    "size": (lambda m: m.sample_purchases(frame((1, 2.0, 3.0)), 1.0, size=-1, seed=1), "size must be 0 draws or more"),
    "negative age": (lambda m: m.simulate([-1.0], seed=1), "T must be finite"),
    "negative holdout": (lambda m: m.simulate([1.0], seed=1, horizon=-2), "horizon must be finite"),
    "parameter text": (lambda m: type(m).from_params(r="a", alpha=1, a=1, b=1), "positive and finite"),
    "JSON without parameters": (lambda m: type(m).from_json('{"model": "BetaGeoModel"}'), "has no parameters"),
    "JSON of an unfitted model": (lambda m: type(m)().to_json(), "call fit or from_params first"),
    "intervals of an unfitted model": (lambda m: type(m)().confidence_intervals(), "call fit or from_params first"),
    "half a step": (
        lambda m: clv.discounted_purchases(
            m, frame((1, 2.0, 3.0)), horizon=5, annual_discount_rate=0.1, periods_per_year=52, steps=1.5
        ),
        "steps must be a whole number",
    ),
}


@pytest.mark.parametrize("case", WRONG_CALLS)
def test_a_wrong_call_is_refused_in_one_sentence(case: str) -> None:
    call, message = WRONG_CALLS[case]
    with pytest.raises(ValueError, match=message):
        call(BetaGeoModel.from_params(r=0.5, alpha=6, a=0.8, b=2.5))


def test_spend_that_hardly_varies_is_named_once() -> None:
    # a spread of 5e-8 lies below what p, q <= 1e6 can say: constant, not an unfinished search
    spend = pd.DataFrame({"frequency": [1, 2] * 50, "monetary_value": 20 + 1e-6 * np.sin(np.arange(100))})
    with pytest.warns(ModelWarning, match="^All customers spend the same"):
        model = GammaGammaModel().fit(spend)
    assert model.expected_spend(spend).to_numpy() == pytest.approx(20.0, rel=1e-5)
