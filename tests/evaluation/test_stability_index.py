"""Drift of one column: silent where nothing changed at any size, loud where it did, and the textbook's figures."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ks_2samp

from churn_clv.evaluation.same_age import same_age
from churn_clv.evaluation.stability_index import (
    BINS,
    EPSILON_CUSTOMERS,
    freeze_bins,
    holm,
    kolmogorov_smirnov,
    stability_index,
    stability_noise,
    total_variation,
)

Draw = Callable[[np.random.Generator, int], pd.Series]


def frequency(rng: np.random.Generator, n: int) -> pd.Series:
    """Purchases of customers who differ as CDNOW's do: a negative binomial of shape .6."""
    return pd.Series(rng.poisson(rng.gamma(0.6, 5, n)).astype(float))


def spend(rng: np.random.Generator, n: int) -> pd.Series:
    return pd.Series(np.where(rng.random(n) < 0.05, np.nan, rng.lognormal(3, 1, n)))


def region(rng: np.random.Generator, n: int) -> pd.Series:
    """Hundreds of categories, most of them rare."""
    return pd.Series(rng.zipf(1.6, n).clip(max=500)).astype("str")


@pytest.mark.parametrize(("n", "published"), [(100, 0.34), (500, 0.068), (2000, 0.017), (10_000, 0.003)])
def test_the_noise_of_ten_bins_is_the_published_one(n: int, published: float) -> None:
    # Yurdakul & Naranjo (2020): 95 % point of chi-square with 9 degrees of freedom times (1/N + 1/M), printed to two digits.
    assert stability_noise(BINS, n, n, 0.95) == pytest.approx(published, rel=0.15, abs=0.0005)


@pytest.mark.parametrize("draw", [frequency, spend, pytest.param(region, marks=[pytest.mark.odd])])
@pytest.mark.parametrize(("n", "m"), [(100, 100), (100, 1000), (1000, 300)])
def test_fewer_than_one_alarm_of_a_hundred_is_false(draw: Draw, n: int, m: int) -> None:
    rng = np.random.default_rng(n + m)
    alarms = sum(stability_index(draw(rng, n), draw(rng, m)).beyond() for _ in range(1000))
    assert alarms < 10


def test_the_usual_limit_alone_would_cry_wolf_on_a_hundred_customers() -> None:
    rng = np.random.default_rng(3)
    above = sum(stability_index(spend(rng, 100), spend(rng, 100)).value > 0.1 for _ in range(200))
    assert above > 100  # the mean without drift is 10 * (1/100 + 1/100) = .2


def test_the_index_without_drift_has_the_published_mean() -> None:
    # Yurdakul & Naranjo: (B - 1)(1/N + 1/M); half a customer in each bin draws it together by a little. 400 draws: s.e. 2 %.
    rng = np.random.default_rng(4)
    values = [stability_index(*(pd.Series(rng.normal(size=n)) for n in (500, 800))).value for _ in range(400)]
    assert np.mean(values) == pytest.approx(9 * (1 / 500 + 1 / 800), rel=0.08)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (lambda rng: rng.lognormal(3, 1, 2000), lambda rng: rng.lognormal(3, 1, 2000) / 2),
        (lambda rng: rng.poisson(10, 2000), lambda rng: rng.poisson(8, 2000)),
    ],
    ids=["halved spend", "20 % fewer purchases"],
)
def test_a_real_change_is_found_in_2000_customers(before: Callable, after: Callable) -> None:
    rng = np.random.default_rng(5)
    found = [stability_index(pd.Series(before(rng)), pd.Series(after(rng))).beyond() for _ in range(100)]
    assert sum(found) >= 95


def test_among_customers_who_differ_much_no_number_of_them_brings_20_percent_fewer_purchases_over_the_limit() -> None:
    # Why the promise is judged as well: the index compares shapes, and these two overlap nearly everywhere.
    rng = np.random.default_rng(6)
    before, after = (pd.Series(rng.poisson(rng.gamma(0.6, mean / 0.6, 200_000))) for mean in (4.0, 3.2))
    index = stability_index(before, after)
    assert index.noise < index.value < 0.05


def test_the_index_is_the_sum_of_its_definition() -> None:
    before, after = pd.Series(["a"] * 60 + ["b"] * 30 + [None] * 10), pd.Series(["a"] * 20 + ["b"] * 50 + ["new"] * 10)
    counts = [(60, 20), (30, 50), (0, 10), (10, 0)]  # a, b, any other, missing
    total = [sum(side) + EPSILON_CUSTOMERS * len(counts) for side in zip(*counts, strict=True)]
    shares = [[(n + EPSILON_CUSTOMERS) / t for n, t in zip(pair, total, strict=True)] for pair in counts]
    assert stability_index(before, after).value == pytest.approx(sum((q - p) * np.log(q / p) for p, q in shares))


def test_alike_customers_have_index_0_in_any_order_and_any_unit() -> None:
    rng = np.random.default_rng(7)
    before, after = spend(rng, 500), spend(rng, 700) * 1.3
    assert stability_index(before, before.sample(frac=1, random_state=1)).value == pytest.approx(0, abs=1e-12)
    assert stability_index(before * 128, after * 128).value == pytest.approx(stability_index(before, after).value)


def test_few_values_have_a_bin_each_and_a_value_never_seen_has_one_too() -> None:
    constant, half_new = pd.Series([0.0] * 400), pd.Series([0.0, 7.0] * 200)
    assert freeze_bins(constant).values == (0.0,)
    assert stability_index(constant, half_new).beyond()
    assert stability_index(constant, constant) == (0.0, 0.0)


def test_a_column_that_came_empty_has_drifted() -> None:
    rng = np.random.default_rng(8)
    for column in (frequency(rng, 400), region(rng, 400)):
        assert stability_index(column, pd.Series([np.nan] * 400)).value > 1


def test_nobody_on_a_side_is_an_error() -> None:
    with pytest.raises(ValueError, match="got 0 and 3"):
        stability_index(pd.Series(dtype=float), pd.Series([1.0, 2, 3]))


def test_equal_weights_change_nothing_and_whole_weights_repeat_customers() -> None:
    rng = np.random.default_rng(9)
    before, after = frequency(rng, 600), frequency(rng, 500)
    assert stability_index(before, after, np.full(600, 3.0)) == pytest.approx(stability_index(before, after))
    weights = rng.integers(0, 3, 600).astype(float)
    repeated = before.repeat(weights.astype(int))
    assert kolmogorov_smirnov(before, after, weights).gap == pytest.approx(kolmogorov_smirnov(repeated, after).gap)
    text = before.astype("str")
    varied = total_variation(text, after.astype("str"), weights)
    assert varied == pytest.approx(total_variation(repeated.astype("str"), after.astype("str")))


@pytest.mark.parametrize(("n", "m"), [(100, 100), (150, 900)])
def test_the_gap_and_its_p_value_are_scipys(n: int, m: int) -> None:
    rng = np.random.default_rng(10)
    before, after = frequency(rng, n), frequency(rng, m) * 1.5
    scipys = ks_2samp(before, after, method="asymp")
    assert kolmogorov_smirnov(before, after) == pytest.approx((scipys.statistic, scipys.pvalue))


def test_p_values_are_corrected_as_in_r() -> None:
    # R 4: p.adjust(c(.01, .02, .03, .04, .05), "holm") prints .05 .08 .09 .09 .09
    assert holm([0.05, 0.04, np.nan, 0.03, 0.02, 0.01]) == pytest.approx(
        [0.09, 0.09, np.nan, 0.09, 0.08, 0.05], nan_ok=True
    )


def test_total_variation_is_half_the_sum_of_gaps() -> None:
    rng = np.random.default_rng(11)
    before, after = region(rng, 300), region(rng, 200).where(rng.random(200) > 0.1)
    names = {*before, *after.dropna()}
    gaps = [abs((before == name).mean() - (after == name).mean()) for name in names] + [after.isna().mean()]
    assert total_variation(before, after) == pytest.approx(sum(gaps) / 2)


def test_growing_older_is_no_drift_between_customers_of_the_same_age() -> None:
    rng = np.random.default_rng(12)
    found = []
    for _ in range(200):
        ages = [pd.Series(rng.uniform(0, 600, n)) + older for n, older in ((800, 0), (900, 120))]
        bought = [pd.Series(rng.poisson(age / 60)) for age in ages]
        alike = same_age(*ages)
        plain = stability_index(*bought)
        aged = stability_index(bought[0], bought[1][alike.compared], alike.weights)
        found.append((plain.beyond(), aged.beyond()))
    by_age, at_age = np.array(found).sum(axis=0)
    assert by_age > 190  # every customer base would drift
    assert at_age < 2


def test_ages_are_alike_under_the_weights() -> None:
    rng = np.random.default_rng(13)
    before, after = pd.Series(rng.uniform(0, 600, 5000)), pd.Series(rng.triangular(50, 650, 700, 5000))
    alike = same_age(before, after)
    was = np.average(before, weights=alike.weights)
    # Strata of a twentieth are some 30 days wide; the middle of a stratum differs by less than a tenth of that.
    assert was == pytest.approx(after[alike.compared].mean(), abs=3)
    assert abs(before.mean() - after.mean()) > 100
