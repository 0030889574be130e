"""Customer equity: its interval covers what it promises where the errors of past totals are known, and says so where not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from churn_clv.evaluation.equity import DRAWS, customer_equity, own_error_of_total
from churn_clv.evaluation.labels import Unit
from churn_clv.models import BetaGeoModel, GammaGammaModel

# Fader, Hardie & Lee (2005), Marketing Science 24(2), section 4: CDNOW, in weeks.
CDNOW = BetaGeoModel.from_params(r=0.243, alpha=4.414, a=0.793, b=2.426)
CLV = pd.Series([60.0, 30.0, 10.0, 0.0])
# Student's t, 95 % quantile by degrees of freedom: any table, e.g. NIST/SEMATECH e-Handbook 1.3.6.7.2.
T95 = {1: 6.314, 3: 2.353, 10: 1.812}


def test_without_past_totals_only_the_models_own_account_is_left() -> None:
    found = customer_equity(CLV, 0.1, [])
    assert found.total == 100
    # 1.645: 95 % quantile of the normal distribution
    assert (found.low, found.high) == pytest.approx((100 * np.exp(-0.1645), 100 * np.exp(0.1645)), rel=1e-4)
    assert "it is too narrow" in " ".join(found.sentences(Unit("EUR"), 90, 365))


@pytest.mark.parametrize("origins", [1, 3, 10])
def test_where_the_model_knows_itself_the_interval_is_students_over_the_past_errors(origins: int) -> None:
    found = customer_equity(CLV, 0.0, [0.08] * origins)
    half = T95[origins] * np.log(1.08)
    # 1e-3: the table's t has four digits
    assert (found.low, found.high) == pytest.approx((100 * np.exp(-half), 100 * np.exp(half)), rel=1e-3)
    assert found.past_error == pytest.approx(0.08)


def test_the_interval_covers_what_it_promises_when_shocks_are_shared() -> None:
    rng = np.random.default_rng(7)
    trials, hits = 4000, 0
    for errors in rng.normal(0, 0.1, (trials, 5)):
        biases, coming = np.expm1(errors[:4]), errors[4]
        found = customer_equity(pd.Series([100.0]), 0.0, list(biases))
        hits += found.low <= 100 * np.exp(-coming) <= found.high
    # three standard errors of a share of .9 in 4000 trials are .0142
    assert hits / trials == pytest.approx(0.9, abs=0.0142)


def test_the_models_own_account_alone_hardly_covers_a_total_under_shared_shocks() -> None:
    rng = np.random.default_rng(8)
    found = customer_equity(pd.Series([100.0]), 0.015, [])
    coming = 100 * np.exp(rng.normal(0, 0.1, 4000))
    assert ((found.low <= coming) & (coming <= found.high)).mean() < 0.25  # 2 Phi(.247) - 1 = .20


def test_every_source_of_error_widens_the_interval() -> None:
    widths = [
        f.high / f.low
        for f in (
            customer_equity(CLV, 0.01, [0.05, -0.05, 0.06]),
            customer_equity(CLV, 0.05, [0.05, -0.05, 0.06]),
            customer_equity(CLV, 0.05, [0.10, -0.10, 0.12]),
        )
    ]
    assert widths == sorted(widths)
    assert widths[0] < widths[1] < widths[2]
    exact = customer_equity(CLV, 0.0, [0.0, 0.0])
    assert (exact.low, exact.high) == (100, 100)


def test_missing_biases_are_no_origins() -> None:
    assert customer_equity(CLV, 0.1, [float("nan"), 0.1]) == customer_equity(CLV, 0.1, [0.1])


def test_sentences_say_what_the_interval_rests_on() -> None:
    told = customer_equity(CLV, 0.02, [0.1, -0.1]).sentences(Unit("EUR"), 90, 365)
    assert told[0].startswith("Customer equity, the CLV of all customers over 365 days: 100 EUR, 90 % interval ")
    assert "2.0 %; 2 past totals of 90 days were off by 10.0 % (root mean square)" in told[1]
    assert told[2].startswith("With 2 past totals the size of the error is itself hardly known")
    one = customer_equity(CLV, 0.02, [0.1]).sentences(Unit(None), 90, 365)
    assert "one past total of 90 days was off by 10.0 %, which is taken to hold for 365 days too" in one[1]
    many = customer_equity(CLV, 0.02, [0.1, -0.1, 0.05, 0.02, 0.03, -0.04]).sentences(Unit("EUR"), 90, 365)
    assert len(many) == 2


@pytest.mark.parametrize(
    ("clv", "own", "biases", "level", "words"),
    [
        (pd.Series([1.0, np.nan]), 0.1, [], 0.9, "clv: 1 of 2 customers have none or a negative one"),
        (pd.Series([1.0, -2.0]), 0.1, [], 0.9, "clv: 1 of 2 customers"),
        (CLV, -0.1, [], 0.9, "own_error is a relative standard error"),
        (CLV, float("nan"), [], 0.9, "own_error is a relative standard error"),
        (CLV, 0.1, [0.1, -1.0], 0.9, "1 of 2 biases are -1 or less"),
        (CLV, 0.1, [], 90.0, "level must lie between 0 and 1"),
    ],
)
def test_impossible_figures_are_refused(
    clv: pd.Series, own: float, biases: list[float], level: float, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        customer_equity(clv, own, biases, level)


def test_own_error_with_known_parameters_is_that_of_the_sum_of_the_customers_own_distributions() -> None:
    summary = CDNOW.simulate(np.full(400, 30.0), seed=2).astype(float)
    counts = np.arange(400)
    pmf = CDNOW.purchase_count_pmf(summary, counts, 26.0)
    mean = pmf.to_numpy() @ counts
    variance = pmf.to_numpy() @ counts**2 - mean**2
    expected = float(np.sqrt(variance.sum()) / mean.sum())
    found = own_error_of_total(
        CDNOW, None, summary, horizon=26.0, annual_discount_rate=0.1, periods_per_year=52.18, seed=4
    )
    # the distance of two 5 % quantiles of 300 draws has a standard error of 5 % of itself: three of them
    assert DRAWS == 300
    assert found == pytest.approx(expected, rel=0.16)


def test_own_error_holds_the_uncertainty_of_the_parameters() -> None:
    summary = CDNOW.simulate(np.full(1500, 40.0), seed=3).astype(float)
    fitted = BetaGeoModel().fit(summary)
    known = BetaGeoModel.from_params(**fitted.params_)
    money = summary.assign(monetary_value=np.where(summary["frequency"] > 0, 30.0, 0.0))
    spend = GammaGammaModel.from_params(p=6.25, q=3.74, v=15.44)
    settings = {"horizon": 52.0, "annual_discount_rate": 0.1, "periods_per_year": 52.18, "seed": 5}
    with_parameters, without = (own_error_of_total(m, spend, money, **settings) for m in (fitted, known))
    assert with_parameters > 1.1 * without


def test_a_base_that_may_well_buy_nothing_has_no_error_in_logarithms() -> None:
    summary = pd.DataFrame({"frequency": [0.0], "recency": [0.0], "T": [300.0]}, index=["a"])
    settings = {"horizon": 1.0, "annual_discount_rate": 0.1, "periods_per_year": 52.18, "seed": 5}
    assert own_error_of_total(CDNOW, None, summary, **settings) == float("inf")
    found = customer_equity(pd.Series([5.0]), float("inf"), [0.1])
    assert (found.low, found.high) == (0.0, float("inf"))
    nothing = customer_equity(pd.Series([0.0]), float("inf"), [])
    assert (nothing.low, nothing.total, nothing.high) == (0.0, 0.0, 0.0)
