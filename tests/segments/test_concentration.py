"""Concentration: the Pareto distribution's closed form, equal values, one customer, ties and losses."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn_clv.segments.concentration import concentration_curve, gini, share_bringing


def pareto_values(shape: float, n: int) -> pd.Series:
    """The means of n equal slices of a Pareto distribution: their curve lies exactly on the closed form.

    The best share q of customers brings q ** (1 - 1 / shape) of the value (Arnold 2015, Pareto Distributions, 3.8).
    """
    q = np.arange(n + 1) / n
    return pd.Series(np.diff(q ** (1 - 1 / shape)))


@pytest.mark.parametrize("shape", [1.161, 2.0, 3.0])
def test_the_curve_of_a_pareto_distribution_is_its_closed_form(shape: float) -> None:
    curve = concentration_curve(pareto_values(shape, 500))
    expected = curve["customers_share"] ** (1 - 1 / shape)
    np.testing.assert_allclose(curve["value_share"], expected, rtol=1e-9)


def test_with_shape_log_5_base_4_a_fifth_of_the_customers_brings_80_percent() -> None:
    # 0.2 ** (1 - 1 / shape) = 0.8 at shape = log 5 / log 4: the 80/20 rule
    shape = np.log(5) / np.log(4)
    assert share_bringing(pareto_values(shape, 1000)) == pytest.approx(0.2, abs=1e-3)  # one customer in 1000


@pytest.mark.parametrize("shape", [1.5, 2.0, 3.0])
def test_gini_of_a_pareto_distribution_is_its_closed_form(shape: float) -> None:
    # 1 / (2 shape - 1); slices of 1 / 20,000 cut the corner of the curve by far less than 1e-3
    assert gini(pareto_values(shape, 20_000)) == pytest.approx(1 / (2 * shape - 1), abs=1e-3)


def test_gini_of_drawn_exponential_values_is_one_half() -> None:
    # Gini of an exponential is 1/2; its estimate has a standard error of about 0.3 / sqrt(n) = 0.0015
    drawn = np.random.default_rng(6).exponential(40, 40_000)
    assert gini(pd.Series(drawn)) == pytest.approx(0.5, abs=0.006)


@given(st.lists(st.integers(0, 50), min_size=1, max_size=30).filter(lambda values: sum(values) > 0))
def test_gini_is_half_the_mean_absolute_difference_over_the_mean(values: list[int]) -> None:
    pairs = sum(abs(v - w) for v in values for w in values)
    expected = pairs / (2 * len(values) * sum(values))
    assert gini(pd.Series(values)) == pytest.approx(expected, abs=1e-12)


@given(st.lists(st.integers(-20, 50), min_size=1, max_size=30).filter(lambda values: sum(values) > 0))
def test_the_80_percent_share_is_that_of_a_loop_from_the_best_customer(values: list[int]) -> None:
    taken, count = 0, 0
    while 5 * taken < 4 * sum(values):
        taken += sorted(values, reverse=True)[count]
        count += 1
    assert share_bringing(pd.Series(values)) == count / len(values)


@pytest.mark.parametrize("amount", [0.1, 1.0, 33.33])
def test_equal_values_are_a_straight_line_without_concentration(amount: float) -> None:
    equal = pd.Series([amount] * 10)
    assert concentration_curve(equal).to_numpy().tolist() == [[0, 0], [1, 1]]
    assert gini(equal) == pytest.approx(0, abs=1e-12)
    assert share_bringing(equal) == 0.8


def test_one_customer_brings_all() -> None:
    one = pd.Series([12.5])
    assert concentration_curve(one).to_numpy().tolist() == [[0, 0], [1, 1]]
    assert gini(one) == 0
    assert share_bringing(one) == 1


def test_ties_are_one_piece_and_the_order_of_rows_makes_no_difference() -> None:
    values = pd.Series([5.0, 1, 5, 0, 1, 8])
    curve = concentration_curve(values)
    np.testing.assert_allclose(curve["customers_share"], [0, 1 / 6, 3 / 6, 5 / 6, 1])
    np.testing.assert_allclose(curve["value_share"], [0, 0.4, 0.9, 1, 1])
    pd.testing.assert_frame_equal(concentration_curve(values.sample(frac=1, random_state=2)), curve)


def test_with_losses_the_curve_rises_above_1_and_gini_may_too() -> None:
    # 30 + 10 - 20: two of three customers earn 200 % of what is left; area by hand: mean |difference| / (2 mean) = 10 / 6
    values = pd.Series([-20.0, 10.0, 30.0])
    assert concentration_curve(values)["value_share"].tolist() == [0, 1.5, 2, 1]
    assert gini(values) == pytest.approx(200 / (2 * 3 * 20))
    assert share_bringing(values) == pytest.approx(1 / 3)


@pytest.mark.parametrize("values", [[], [0.0, 0.0], [5.0, -9.0], [np.nan]])
def test_without_a_positive_total_there_are_no_shares(values: list[float]) -> None:
    series = pd.Series(values, dtype=float)
    assert np.isnan(share_bringing(series))
    assert np.isnan(gini(series))
    assert concentration_curve(series)["value_share"].isna().all()


def test_customers_without_a_value_take_no_part() -> None:
    with_missing, without = pd.Series([8.0, np.nan, 1, 1]), pd.Series([8.0, 1, 1])
    assert gini(with_missing) == gini(without)
    assert share_bringing(with_missing) == share_bringing(without) == pytest.approx(1 / 3)


@pytest.mark.parametrize("share", [0.0, -0.1, 1.01, np.nan])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="above 0 and at most 1"):
        share_bringing(pd.Series([1.0]), share)
