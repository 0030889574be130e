"""The expectation of a living customer holds to 30-digit arithmetic on hard cases."""

from __future__ import annotations

import itertools

import mpmath
import numpy as np
import pytest

from churn_clv.models.conditional_expectation import expected_while_alive

# real and one-decimal parameters, a = 1 and its neighbourhood, a + b = 1, near-homogeneous dropout
PAIRS = [(0.02, 0.5), (0.793, 2.426), (1.0, 2.5), (1.0, 0.1), (1 + 1e-9, 3.0), (1 + 1e-6, 3.0), (0.4, 0.6), (5.0, 12.0)]
EXTREME = [(300.0, 900.0, 0.5), (0.8, 2.5, 400.0), (2e5, 8e5, 3.0), (0.01, 0.02, 0.05)]
STATES = [(0, 0.0), (1, 30.0), (26, 30.0), (300, 365.0), (5000, 1500.0)]


def published(a: float, c: float, k: float, ratio: float) -> float:
    """The papers' form with 2F1, at 60 digits and with a and c moved by 1e-22 off their removable singularities."""
    with mpmath.workdps(60):
        tiny = mpmath.mpf(10) ** -22
        a_, c_, k_ = mpmath.mpf(a) + tiny, mpmath.mpf(c) + tiny, mpmath.mpf(k)
        z = mpmath.mpf(ratio) / (1 + mpmath.mpf(ratio))
        last = mpmath.hyp2f1(a_ + c_ - 1 - k_, a_ - 1, a_ + c_ - 1, z)
        return float((a_ + c_ - 1) / (a_ - 1) * (1 - (1 - z) ** (a_ - 1) * last))


def by_integral(a: float, c: float, k: float, ratio: float) -> float:
    """E over p ~ Beta(a, c) of (1 - (1 + p ratio)^-k) / p for a peaked Beta, over 20 spreads to both sides."""
    with mpmath.workdps(40):
        a_, c_, k_ = mpmath.mpf(a), mpmath.mpf(c), mpmath.mpf(k)
        spread = mpmath.sqrt(1 / a_ + 1 / c_)

        def inner(y: mpmath.mpf) -> mpmath.mpf:
            p = 1 / (1 + mpmath.exp(-y))
            return p**a_ * (1 - p) ** c_ * -mpmath.expm1(-k_ * mpmath.log1p(p * mpmath.mpf(ratio))) / p

        cuts = [mpmath.log(a_ / c_) + step * spread for step in range(-20, 21)]
        return float(mpmath.quad(inner, cuts) / mpmath.beta(a_, c_))


@pytest.mark.parametrize(("a", "b"), PAIRS)
def test_the_expectation_holds_to_thirty_digits(a: float, b: float) -> None:
    for (x, T), t, r in itertools.product(STATES, (1.0, 39.0, 3650.0), (0.5, 2.4)):
        got = float(expected_while_alive(a, np.array(b + x), np.array(r + x), np.array(4.4 + T), np.array(t)))
        assert got == pytest.approx(published(a, b + x, r + x, t / (4.4 + T)), rel=1e-9), (x, T, t, r)


def test_the_expectation_holds_where_scipys_function_is_infinite() -> None:
    # 2F1(5, 1.5; 105.5; .9171) is inf in scipy 1.17: a = 2.5, b = 4, r = .5, x = 100, z = .9171
    ratio = 0.9171 / (1 - 0.9171)
    got = float(expected_while_alive(2.5, np.array(104.0), np.array(100.5), np.array(1.0), np.array(ratio)))
    assert got == pytest.approx(published(2.5, 104.0, 100.5, ratio), rel=1e-9)


@pytest.mark.parametrize(("a", "b", "r"), EXTREME)
def test_boundary_parameters_take_the_integral(a: float, b: float, r: float) -> None:
    # where the power series cancels or overflows
    oracle = published if a < 5 else by_integral
    for x, ratio in itertools.product((0, 3), (0.05, 2.0, 40.0)):
        got = float(expected_while_alive(a, np.array(b + x), np.array(r + x), np.array(1.0), np.array(ratio)))
        assert got == pytest.approx(oracle(a, b + x, r + x, ratio), rel=1e-9), (x, ratio)


def test_a_million_random_states_are_finite_and_bounded() -> None:
    # the goal of no nan, no infinity, nothing beyond the Poisson mean; parameters with one decimal are the hard ones
    rng = np.random.default_rng(11)
    for _ in range(100):
        a, b, r = (np.round(10 ** rng.uniform(-1, 1), 1) or 0.1 for _ in range(3))
        x = np.floor(10 ** rng.uniform(0, 6, 2_000)) - 1
        A, t = 10 ** rng.uniform(-1, 4, x.size), 10 ** rng.uniform(-1, 4, x.size)
        got = expected_while_alive(a, b + x, r + x, A, t)
        assert np.isfinite(got).all()
        assert (got >= 0).all() and (got <= (r + x) * t / A * (1 + 1e-12)).all()
