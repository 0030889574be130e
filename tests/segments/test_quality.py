"""The quality table: shares of variance by hand and at their limits, and the same figures for every scheme."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn_clv.errors import InputError
from churn_clv.segments.quality import COLUMNS, effective_number, quality, variance_explained


def drawn(n: int = 400, seed: int = 1) -> tuple[pd.DataFrame, pd.DataFrame, pd.Series]:
    """Outcomes, features and a scheme of three segments that the feature spend tells exactly."""
    rng = np.random.default_rng(seed)
    index = pd.Index([f"c{k:04d}" for k in range(n)], name="customer_id")
    past = pd.Series(rng.gamma(2, 50, n), index=index)
    purchases = pd.Series(rng.poisson(past / 80), index=index)
    outcomes = pd.DataFrame({"purchases": purchases, "spend": purchases * rng.gamma(2, 20, n)})
    features = pd.DataFrame({"spend": past, "noise": rng.normal(size=n), "region": rng.choice(list("ab"), n)})
    scheme = pd.Series(np.select([past < 60, past < 120], ["low", "mid"], "high"), index=index)
    return outcomes, features.set_index(index), scheme


def one_way(values: list[float], segments: list[int]) -> tuple[float, float, float, int, int]:
    """Sums of squares between, within and total, segments and customers, one customer at a time."""
    mean = sum(values) / len(values)
    groups = [[v for v, s in zip(values, segments, strict=True) if s == g] for g in set(segments)]
    between = sum(len(g) * (sum(g) / len(g) - mean) ** 2 for g in groups)
    within = sum((v - sum(g) / len(g)) ** 2 for g in groups for v in g)
    return between, within, sum((v - mean) ** 2 for v in values), len(groups), len(values)


# --- variance explained


@given(st.lists(st.tuples(st.integers(-50, 50), st.integers(0, 4)), min_size=2, max_size=40))
def test_eta_and_epsilon_squared_are_those_of_a_one_way_anova_by_hand(pairs: list[tuple[int, int]]) -> None:
    values, segments = [float(v) for v, _ in pairs], [s for _, s in pairs]
    between, within, total, k, n = one_way(values, segments)
    found = variance_explained(np.array(values), np.array(segments))
    if total == 0:
        assert np.isnan(found).all()
        return
    assert found[0] == pytest.approx(between / total, abs=1e-12)
    if n == k:
        assert np.isnan(found[1])
    else:
        assert found[1] == pytest.approx((between - (k - 1) * within / (n - k)) / total, abs=1e-9)


def test_variance_explained_agrees_with_the_f_statistic_of_scipy() -> None:
    # eta2 = F (k-1) / (F (k-1) + n - k); epsilon2 = (k-1)(F-1) / (F (k-1) + n - k)
    from scipy.stats import f_oneway

    outcomes, _, scheme = drawn()
    groups = [outcomes["spend"][scheme == name] for name in ("low", "mid", "high")]
    f, n, k = float(f_oneway(*groups).statistic), len(scheme), 3
    eta, epsilon = variance_explained(outcomes["spend"].to_numpy(), scheme.to_numpy())
    assert eta == pytest.approx(f * (k - 1) / (f * (k - 1) + n - k), rel=1e-9)
    assert epsilon == pytest.approx((k - 1) * (f - 1) / (f * (k - 1) + n - k), rel=1e-9)


def test_segments_drawn_by_lot_explain_nothing_after_the_bias_is_taken_off() -> None:
    # simulated truth: eta squared is (k - 1) / (n - 1) = 19 / 99 in the mean, epsilon squared 0;
    # the standard deviation of eta is about sqrt(2 * 19 * 80 / 99**2 / 101) = .055: 500 means have a standard error .0025
    rng = np.random.default_rng(1)
    values, groups = rng.normal(size=(500, 100)), np.repeat(np.arange(20), 5)
    found = np.array([variance_explained(row, groups) for row in values]).mean(axis=0)
    assert found == pytest.approx([19 / 99, 0], abs=0.01)


def test_one_segment_explains_nothing_and_each_customer_a_segment_everything() -> None:
    outcomes, features, scheme = drawn(60)
    each = pd.Series(scheme.index, index=scheme.index)
    table = quality({"one": scheme.replace({"mid": "low", "high": "low"}), "each": each}, outcomes, features)
    kinds = ["spend_eta2", "spend_epsilon2", "churn_eta2", "churn_epsilon2"]
    assert table.loc["one", kinds].tolist() == [0.0] * 4
    assert table.loc["each", ["spend_eta2", "churn_eta2"]].tolist() == [1.0, 1.0]
    assert table.loc["each", ["spend_epsilon2", "churn_epsilon2"]].isna().all()
    assert table.loc["one", ["segments", "effective_segments", "tree_accuracy", "reachable"]].tolist() == [1, 1, 1, 1]
    assert np.isnan(table.loc["one", "tree_skill"])
    # nobody held out was in a segment seen
    assert table.loc["each", ["tree_accuracy", "told_by_tree"]].tolist() == [0, 0]
    assert table.loc["each", "effective_segments"] == pytest.approx(60)


def test_the_same_outcome_for_everybody_leaves_nothing_to_explain() -> None:
    outcomes, features, scheme = drawn(60)
    table = quality({"s": scheme}, outcomes.assign(purchases=1, spend=0.1), features)
    assert table[["spend_eta2", "spend_epsilon2", "churn_eta2", "churn_epsilon2"]].isna().all(axis=None)


def test_without_amounts_only_churn_is_judged() -> None:
    outcomes, features, scheme = drawn(60)
    found = quality({"s": scheme}, outcomes[["purchases"]], features).loc["s"]
    assert np.isnan(found["spend_eta2"]) and 0 < found["churn_eta2"] < 1


# --- sizes, stability, description


def test_sizes_are_counted_and_equal_segments_are_as_many_as_effective() -> None:
    outcomes, features, _ = drawn(400)
    uneven = pd.Series(["big"] * 397 + ["tiny"] * 3, index=outcomes.index)
    quarters = pd.Series(list("abcd") * 100, index=outcomes.index)
    table = quality({"uneven": uneven, "quarters": quarters}, outcomes, features)
    sizes = ["segments", "smallest_share", "largest_share", "reachable", "in_reachable"]
    assert table.loc["uneven", sizes].tolist() == [2, 0.0075, 0.9925, 0.5, 0.9925]
    assert table.loc["quarters", "effective_segments"] == pytest.approx(4, rel=1e-12)
    assert effective_number(np.array([0.5, 0.25, 0.25])) == pytest.approx(2**1.5)  # entropy 1.5 bits


def test_stability_is_the_share_in_the_same_segment_and_its_kappa() -> None:
    outcomes, features, scheme = drawn(200)
    moved = scheme.copy()
    moved.iloc[:50] = "elsewhere"
    before = pd.concat([moved.iloc[10:], pd.Series(["low"], index=["gone"])])
    found = quality({"s": scheme, "new": scheme}, outcomes, features, {"s": before})
    assert found.loc["s", "stayed"] == pytest.approx(150 / 190)
    shares = [scheme.iloc[10:].value_counts(normalize=True), moved.iloc[10:].value_counts(normalize=True)]
    chance = float(sum(shares[0][name] * shares[1][name] for name in ("low", "mid", "high")))
    assert found.loc["s", "kappa"] == pytest.approx((150 / 190 - chance) / (1 - chance))
    assert found.loc["new", ["stayed", "kappa"]].isna().all()


def test_a_scheme_the_features_tell_is_describable_and_one_drawn_by_lot_is_not() -> None:
    outcomes, features, scheme = drawn(1000)
    lot = scheme.sample(frac=1, random_state=1).set_axis(scheme.index)
    table = quality({"told": scheme, "lot": lot}, outcomes, features)
    assert table.loc["told", "tree_accuracy"] > 0.98  # the two thresholds are learnt from 800 customers
    assert table.loc["told", "told_by_tree"] == 1
    # no better than naming the largest segment, but for noise of sqrt(1 / 4 / 1000) = .016, four times
    assert table.loc["lot", "tree_accuracy"] < table.loc["lot", "largest_share"] + 0.064
    for _, row in table.iterrows():
        skill = (row["tree_accuracy"] - row["largest_share"]) / (1 - row["largest_share"])
        assert row["tree_skill"] == pytest.approx(skill)


def test_a_segment_that_no_rule_finds_is_not_told_by_the_tree() -> None:
    outcomes, features, scheme = drawn(400)
    scheme.iloc[::100] = "by lot"  # four customers anywhere
    assert quality({"s": scheme}, outcomes, features).loc["s", "told_by_tree"] == 3 / 4


# --- who is judged


def test_customers_without_a_segment_or_an_outcome_are_counted_and_not_judged() -> None:
    outcomes, features, scheme = drawn(60)
    partial = scheme.drop(scheme.index[:7]).astype(object)
    partial.iloc[0] = None
    partial = pd.concat([partial, pd.Series({"x1": "low", "x2": "mid"})])
    found = quality({"s": partial, "all": scheme}, outcomes, features)
    assert found.loc["s", ["customers", "missing", "without_outcome"]].tolist() == [52, 8, 2]
    assert found.loc["s", "missing_ids"] == "c0000, c0001, c0002, c0003, c0004 and 3 more"
    assert found.loc["all", ["customers", "missing", "missing_ids", "without_outcome"]].tolist() == [60, 0, "", 0]
    judged = scheme.index[8:]
    alone = quality({"s": scheme[judged]}, outcomes.loc[judged], features.loc[judged])
    unlike = ["missing", "missing_ids", "without_outcome"]
    pd.testing.assert_frame_equal(alone.drop(columns=unlike), found.loc[["s"]].drop(columns=unlike), check_exact=True)


def test_the_order_of_rows_changes_no_figure_to_the_bit() -> None:
    outcomes, features, scheme = drawn(200)
    before = scheme.sample(frac=1, random_state=9).set_axis(scheme.index)
    schemes = {"s": scheme, "before": before}
    first = quality(schemes, outcomes, features, {"s": before})
    mixed = [frame.sample(frac=1, random_state=k) for k, frame in enumerate((outcomes, features))]
    schemes = {name: one.sample(frac=1, random_state=5) for name, one in schemes.items()}
    again = quality(schemes, *mixed, {"s": before.sample(frac=1, random_state=6)})
    pd.testing.assert_frame_equal(first, again, check_exact=True)
    assert list(first.columns) == COLUMNS and first.index.tolist() == ["s", "before"]


def test_names_of_segments_make_no_difference_to_sizes_and_separation() -> None:
    outcomes, features, scheme = drawn(200)
    renamed = scheme.map({"low": "z", "mid": "a", "high": "m"})
    table = quality({"s": scheme, "t": renamed}, outcomes, features).loc[:, "segments":"churn_epsilon2"]
    # sums in another order: rounding only
    np.testing.assert_allclose(table.loc["s"].astype(float), table.loc["t"].astype(float), rtol=1e-12)


def test_nothing_is_written_to_the_arguments() -> None:
    outcomes, features, scheme = drawn(60)
    before = outcomes.copy(), features.copy(), scheme.copy()
    quality({"s": scheme}, outcomes, features, {"s": scheme})
    for now, was in zip((outcomes, features), before, strict=False):
        pd.testing.assert_frame_equal(now, was)
    pd.testing.assert_series_equal(scheme, before[2])


def test_features_that_are_all_the_same_describe_nothing() -> None:
    outcomes, features, scheme = drawn(60)
    found = quality({"s": scheme}, outcomes, features.assign(spend=1.0, noise=1.0, region="a")).loc["s"]
    assert found[["tree_accuracy", "tree_skill", "told_by_tree"]].isna().all()


def test_bad_input_is_refused_with_numbers() -> None:
    outcomes, features, scheme = drawn(10)
    with pytest.raises(InputError, match="no column purchases"):
        quality({"s": scheme}, outcomes[["spend"]], features)
    with pytest.raises(InputError, match="1 of 10 customers have a missing"):
        quality({"s": scheme}, outcomes.assign(spend=[np.nan] + [1.0] * 9), features)
    with pytest.raises(InputError, match="scheme s: none of its 10"):
        quality({"s": scheme.add_prefix("x")}, outcomes, features)
    with pytest.raises(InputError, match="scheme s: 4 of 10 judged customers have no features"):
        quality({"s": scheme}, outcomes, features.iloc[4:])
    with pytest.raises(ValueError, match="1 customer ids occur more than once in scheme s"):
        quality({"s": pd.concat([scheme, scheme.iloc[:1]])}, outcomes, features)
