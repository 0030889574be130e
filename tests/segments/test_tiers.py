"""Value tiers and classes: Pareto's 80 %, the potential that risk hides, losses, weights and wallets."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn_clv.errors import InputError
from churn_clv.segments.concentration import share_bringing
from churn_clv.segments.tiers import (
    CLASSES,
    ClassCuts,
    ParetoCuts,
    composite_value,
    contribution,
    freeze_pareto,
    freeze_value_classes,
    pareto_tiers,
    share_of_wallet,
    value_classes,
)

# --- Pareto tiers


def test_tiers_bring_the_shares_they_promise_and_no_customer_more_than_needed() -> None:
    value = pd.Series(np.random.default_rng(1).pareto(1.5, 2000))
    tiers = pareto_tiers(freeze_pareto(value), value)
    for names, share in ((["A"], 0.8), (["A", "B"], 0.95)):
        inside = value[tiers.isin(names)]
        assert inside.sum() >= share * value.sum() > inside.sum() - inside.min()
    # no ties: tier A is exactly the customers of the concentration curve's 80 % share
    assert (tiers == "A").mean() == share_bringing(value)


def test_of_a_pareto_distribution_with_shape_log_5_base_4_a_fifth_is_in_tier_a() -> None:
    # best share q brings q ** (1 - 1 / shape): 80 % by 20 %, and 95 % by 0.95 ** (shape / (shape - 1)) = 69 %
    shape = np.log(5) / np.log(4)
    value = pd.Series(np.diff((np.arange(1001) / 1000) ** (1 - 1 / shape)))
    shares = pareto_tiers(freeze_pareto(value), value).value_counts(normalize=True)
    assert shares["A"] == pytest.approx(0.2, abs=1e-3)
    assert shares["A"] + shares["B"] == pytest.approx(0.95 ** (shape / (shape - 1)), abs=2e-3)


@given(st.lists(st.integers(-5, 30), min_size=1, max_size=40))
def test_equal_values_share_a_tier_and_tiers_follow_value(values: list[int]) -> None:
    value = pd.Series(values, dtype=float)
    tiers = pareto_tiers(freeze_pareto(value), value)
    assert (tiers.groupby(value).nunique() == 1).all()
    assert tiers[value.sort_values(ascending=False).index].is_monotonic_increasing
    assert (tiers == "A").any() == (value.sum() > 0), "nobody brings 80 % of nothing"


def test_all_alike_are_tier_a_and_nobody_is_where_nothing_is_brought() -> None:
    for amount, tier in ((5.0, "A"), (0.0, "C"), (-1.0, "C")):
        value = pd.Series([amount] * 4)
        assert pareto_tiers(freeze_pareto(value), value).tolist() == [tier] * 4


def test_tier_cuts_are_frozen_and_survive_json() -> None:
    cuts = freeze_pareto(pd.Series([70.0, 10.0, 10.0, 6.0, 4.0, np.nan]))
    assert cuts == ParetoCuts(10.0, 6.0)
    assert ParetoCuts.from_dict(json.loads(json.dumps(cuts.to_dict()))) == cuts
    assert pareto_tiers(cuts, pd.Series([10.0, 9.99, 5.99, np.nan])).tolist() == ["A", "B", "C", "unknown"]


def test_tiers_without_a_value_or_with_wrong_shares_are_refused() -> None:
    with pytest.raises(InputError, match="none of 2 customers has a value"):
        freeze_pareto(pd.Series([np.nan, np.nan]))
    with pytest.raises(ValueError, match="0 < a <= b <= 1"):
        freeze_pareto(pd.Series([1.0]), 0.9, 0.8)


# --- value classes


def drawn(n: int) -> pd.DataFrame:
    rng = np.random.default_rng(4)
    active, risk = rng.gamma(1, 50, n), rng.beta(2, 1, n)
    return pd.DataFrame({"expected_spend": (1 - risk) * active, "value_if_active": active})


def test_each_customer_has_the_one_class_that_the_rules_read_aloud_give() -> None:
    scores, left = drawn(500), pd.Series(np.random.default_rng(5).normal(5, 10, 500))
    found = value_classes(ClassCuts(30.0, 50.0), scores, left)
    for row, net, name in zip(scores.itertuples(), left, found, strict=True):
        if net < 0:
            expected = "negative"
        elif row.expected_spend >= 30:
            expected = "high"
        else:
            expected = "potential" if row.value_if_active >= 50 else "low"
        assert name == expected
    assert set(found) == set(CLASSES) - {"unknown"}


def test_the_high_bring_80_percent_and_no_more_customers_stand_out_by_value_if_active() -> None:
    scores = drawn(1000)
    cuts = freeze_value_classes(scores)
    found = value_classes(cuts, scores)
    high = scores.loc[found == "high", "expected_spend"]
    assert high.sum() >= 0.8 * scores["expected_spend"].sum() > high.sum() - high.min()
    assert (scores["value_if_active"] >= cuts.value_if_active).sum() == len(high)
    potential, rest = (scores.loc[found == name, "value_if_active"] for name in ("potential", "low"))
    assert 0 < len(potential) < len(high)
    assert potential.min() > rest.max()


def test_without_risk_nobody_is_potential() -> None:
    scores = drawn(200).assign(expected_spend=lambda frame: frame["value_if_active"])
    assert set(value_classes(freeze_value_classes(scores), scores)) == {"high", "low"}


@pytest.mark.parametrize(("amount", "name"), [(5.0, "high"), (0.0, "low")])
def test_customers_who_are_all_alike_are_one_class(amount: float, name: str) -> None:
    scores = pd.DataFrame({"expected_spend": [amount] * 3, "value_if_active": [2 * amount] * 3})
    assert value_classes(freeze_value_classes(scores), scores).tolist() == [name] * 3


def test_class_cuts_survive_json_and_leave_out_customers_without_predictions() -> None:
    scores = drawn(60)
    cuts = freeze_value_classes(scores)
    assert ClassCuts.from_dict(json.loads(json.dumps(cuts.to_dict()))) == cuts
    gap = pd.DataFrame({"expected_spend": [1e9, np.nan], "value_if_active": [np.nan, 1e9]}, [60, 61])
    assert freeze_value_classes(pd.concat([scores, gap])) == cuts
    with pytest.raises(InputError, match="none of 2 customers has expected_spend"):
        freeze_value_classes(gap)


def test_missing_predictions_are_unknown_and_a_missing_contribution_is_no_loss() -> None:
    scores = pd.DataFrame({"expected_spend": [9.0, np.nan, 9.0], "value_if_active": [9.0, 9.0, 9.0]}, ["a", "b", "c"])
    found = value_classes(ClassCuts(5.0, 8.0), scores, pd.Series({"c": -1.0}))
    assert found.tolist() == ["high", "unknown", "negative"]


def test_contribution_is_what_is_left_of_the_margin() -> None:
    accounts = pd.DataFrame({"margin": [30.0, 30, np.nan], "refunds": [40.0, np.nan, 1], "cost_to_serve": [1.0, 2, 3]})
    assert contribution(accounts).tolist() == pytest.approx([-11, 28, np.nan], nan_ok=True)
    assert contribution(accounts[["margin"]]).tolist() == pytest.approx([30, 30, np.nan], nan_ok=True)


def test_contribution_without_margin_or_with_negative_refunds_is_refused() -> None:
    with pytest.raises(InputError, match="not in the frame: margin"):
        contribution(pd.DataFrame({"refunds": [1.0]}))
    with pytest.raises(InputError, match="refunds of 1 of 2 customers is negative"):
        contribution(pd.DataFrame({"margin": [1.0, 1.0], "refunds": [1.0, -1.0]}))


# --- composite value


def test_composite_value_is_the_weighted_sum_of_standard_scores() -> None:
    rng = np.random.default_rng(7)
    frame = pd.DataFrame({"clv": rng.gamma(2, 100, 50), "loyalty": rng.normal(3, 1, 50), "other": 1.0})
    expected = [
        0.6 * (row.clv - np.mean(frame["clv"])) / np.std(frame["clv"])
        + 0.4 * (row.loyalty - np.mean(frame["loyalty"])) / np.std(frame["loyalty"])
        for row in frame.itertuples()
    ]
    found = composite_value(frame, {"clv": 0.6, "loyalty": 0.4})
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert found.mean() == pytest.approx(0, abs=1e-12)


def test_units_do_not_matter_to_composite_value() -> None:
    frame = pd.DataFrame({"clv": [1.0, 5, 9, 2], "satisfaction": [3.0, 1, 4, 4]})
    weights = {"clv": 0.5, "satisfaction": 0.5}
    in_cents = frame.assign(clv=frame["clv"] * 100 + 7)
    np.testing.assert_allclose(composite_value(in_cents, weights), composite_value(frame, weights), atol=1e-12)


def test_a_column_in_which_all_are_alike_adds_nothing_and_a_missing_entry_stays_missing() -> None:
    frame = pd.DataFrame({"clv": [1.0, 3, np.nan], "loyalty": [0.1, 0.1, 0.1]})
    found = composite_value(frame, {"clv": 0.5, "loyalty": 0.5})
    assert found.tolist() == pytest.approx([-0.5, 0.5, np.nan], nan_ok=True)
    gap = composite_value(frame.assign(loyalty=[0.1, np.nan, 0.1]), {"clv": 0.5, "loyalty": 0.5})
    assert gap.isna().tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"clv": 0.5, "referrals": 0.25, "satisfaction": 0.25}, "not in the frame: referrals, satisfaction"),
        ({"clv": 0.5, "loyalty": 0.4}, "sum to 0.9"),
        ({"clv": 1.5, "loyalty": -0.5}, "weights of loyalty are negative"),
        ({"clv": float("nan"), "loyalty": 1.0}, "weights of clv are negative"),
        ({}, "sum to 0"),
    ],
)
def test_weights_that_make_no_composite_are_refused_by_name(weights: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        composite_value(pd.DataFrame({"clv": [1.0, 2.0], "loyalty": [1.0, 2.0]}), weights)


# --- share of wallet


def test_share_of_wallet_aligns_by_customer_and_is_missing_without_a_total() -> None:
    spend = pd.Series({"a": 20.0, "b": 5.0, "c": 0.0, "d": 80.0})
    total = pd.Series({"d": 80.0, "a": 80.0, "c": 0.0})
    assert share_of_wallet(spend, total).tolist() == pytest.approx([0.25, np.nan, np.nan, 1.0], nan_ok=True)


def test_a_wallet_smaller_than_what_was_spent_from_it_is_refused() -> None:
    with pytest.raises(InputError, match="1 of 2 customers spend more here"):
        share_of_wallet(pd.Series([10.0, 90.0]), pd.Series([80.0, 80.0]))
