"""Clusters: planted groups found again, the same to the bit whatever the order of rows, and told in words."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
import pytest

from churn_clv.errors import InputError
from churn_clv.segments.cluster_words import NO_RULE, describe, differences, rules
from churn_clv.segments.clusters import (
    SAMPLE,
    STABILITY_FLOOR,
    Candidate,
    Clusters,
    _best,
    fit_kmeans,
    fit_som,
    place,
)
from churn_clv.segments.scaling import scaling

Fit = Callable[..., Clusters]
CENTRES = np.array([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0]])
# maps of few nodes: training them in Python is what takes the time
SMALL_MAPS = partial(fit_som, shapes=[(1, 2), (1, 3), (2, 2)])
METHODS = pytest.mark.parametrize("fit", [fit_kmeans, SMALL_MAPS], ids=["kmeans", "som"])


def planted(n: int = 300, seed: int = 1) -> tuple[pd.DataFrame, pd.Series, np.ndarray]:
    """Three round groups nine standard deviations apart; the second is worth most, the first least."""
    rng = np.random.default_rng(seed)
    group = rng.integers(0, 3, n)
    days, visits = (CENTRES[group] + rng.normal(0, 1, (n, 2))).T
    index = pd.Index([f"c{k:05d}" for k in range(n)], name="customer_id")
    features = pd.DataFrame({"days": days * 10, "visits": visits}, index=index)
    return features, pd.Series(np.array([1.0, 30.0, 20.0])[group], index=index), group


def rand_index(one: np.ndarray, other: np.ndarray) -> float:
    from sklearn.metrics import adjusted_rand_score

    return float(adjusted_rand_score(one, other))


def alone(clusters: Clusters) -> bool:
    return clusters.names == ["cluster 1"] and clusters.candidates == () and clusters.words.startswith("One cluster")


# --- finding


@METHODS
def test_planted_groups_are_found_again_and_numbered_by_falling_value(fit: Fit) -> None:
    features, value, group = planted()
    clusters = fit(features, value)
    # nine standard deviations apart: each customer is with its own, so the names are those of the groups by value
    wanted = np.array(["cluster 3", "cluster 1", "cluster 2"])[group]
    assert place(clusters, features).tolist() == wanted.tolist()
    assert clusters.words.startswith("3 clusters: silhouette 0.8")


def test_on_more_customers_than_the_sample_and_the_map_s_steps_groups_are_found_again() -> None:
    features, value, group = planted(3 * SAMPLE)
    for fit, given in ((fit_kmeans, {"numbers": [3]}), (fit_som, {"shapes": [(1, 3)]})):
        assert rand_index(group, place(fit(features, value, **given), features).to_numpy()) == 1


def test_the_highest_silhouette_wins_only_if_stable_and_no_cluster_is_tiny() -> None:
    unstable, tiny = Candidate((1, 2), 0.9, 0.79, 0.4), Candidate((1, 3), 0.8, 1.0, 0.009)
    good, more, lower = (
        Candidate(*c) for c in (((1, 4), 0.5, 0.8, 0.01), ((1, 5), 0.5, 1, 0.1), ((1, 6), 0.4, 1, 0.1))
    )
    assert _best([unstable, tiny, lower, more, good]) == (good, True)  # of equals the fewest clusters
    assert _best([unstable, tiny]) == (tiny, False)


@METHODS
def test_the_clusters_are_those_of_the_candidate_chosen(fit: Fit) -> None:
    rng = np.random.default_rng(1)
    features = pd.DataFrame({"visits": rng.poisson(rng.gamma(0.5, 4, 400)), "age": rng.uniform(0, 300, 400)})
    clusters = fit(features, features["visits"])
    chosen, _ = _best(clusters.candidates)
    assert len(clusters.candidates) > 1 and len(clusters.centres) == chosen.shape[0] * chosen.shape[1]


def test_without_a_stable_number_the_most_stable_is_taken_and_the_words_say_so() -> None:
    features = pd.DataFrame(np.random.default_rng(5).normal(size=(60, 6)))
    clusters = fit_kmeans(features, features[0], numbers=[4, 6, 8])
    assert max(c.stability for c in clusters.candidates) < STABILITY_FLOOR
    assert len(clusters.centres) == max(clusters.candidates, key=lambda c: c.stability).shape[1]
    assert "no substantial structure" in clusters.words and "none was stable" in clusters.words


@METHODS
def test_the_order_of_rows_and_a_second_run_change_nothing_to_the_bit(fit: Fit) -> None:
    features = pd.DataFrame(np.random.default_rng(2).lognormal(size=(150, 3)), columns=list("abc"))
    features["region"] = np.random.default_rng(3).choice(list("xyz"), 150)
    first = fit(features, features["a"], seed=4)
    shuffled = features.sample(frac=1, random_state=1)
    assert fit(shuffled, features["a"].sample(frac=1, random_state=2), seed=4) == first
    pd.testing.assert_series_equal(place(first, shuffled).sort_index(), place(first, features))
    pd.testing.assert_frame_equal(describe(first, shuffled), describe(first, features))


def test_neighbours_on_the_map_are_alike() -> None:
    # four groups on a line: along a 1 x 4 map they must keep their order, forwards or backwards
    rng = np.random.default_rng(1)
    group = np.repeat(np.arange(4), 60)
    features = pd.DataFrame({"days": group * 10 + rng.normal(size=240)})
    clusters = fit_som(features, pd.Series(group.astype(float)), shapes=[(1, 4)])
    columns = [column for _, column in clusters.positions]
    assert columns in ([0, 1, 2, 3], [3, 2, 1, 0])


# --- placing and keeping


@METHODS
def test_frozen_clusters_survive_json_and_place_the_same(fit: Fit) -> None:
    features, value, _ = planted(90)
    features["region"] = "north"
    features.iloc[:5, 2] = None
    features.iloc[3:9, 1] = np.nan
    clusters = fit(features, value)
    again = Clusters.from_dict(json.loads(json.dumps(clusters.to_dict(), allow_nan=False)))
    assert again == clusters
    pd.testing.assert_series_equal(place(again, features), place(clusters, features))


def test_a_new_customer_goes_to_the_nearest_centre_alone_as_among_others() -> None:
    features, value, _ = planted()
    clusters = fit_kmeans(features, value)
    new = pd.DataFrame({"days": [90.0, 1.0], "visits": [0.5, 8.0], "unknown": 1.0}, index=["x", "y"])
    assert place(clusters, new).to_dict() == {"x": "cluster 1", "y": "cluster 2"}
    everyone = place(clusters, features)
    assert [place(clusters, features.iloc[[k]]).iloc[0] for k in range(20)] == everyone.head(20).tolist()
    assert place(clusters, new.iloc[:0]).empty


def test_a_negative_number_counts_as_0_where_the_log_is_taken() -> None:
    spend = pd.DataFrame({"spend": [0.0] * 30 + [1.0] * 30 + [1000.0] * 15})
    clusters = fit_kmeans(spend, spend["spend"], numbers=[3])
    assert clusters.columns[0].log
    assert place(clusters, pd.DataFrame({"spend": [-5.0, 0.0, 1e9]})).tolist() == [
        "cluster 3",
        "cluster 3",
        "cluster 1",
    ]


def test_what_was_never_seen_is_placed_and_an_absent_feature_is_refused() -> None:
    features, value, _ = planted()
    features["spend"] = np.expm1(features["days"].abs() / 10)
    features["region"] = np.where(features["days"] > 45, "far", "near")
    clusters = fit_kmeans(features, value)
    odd = features.head(1).assign(region="new", spend=-5.0, visits=np.nan)
    assert place(clusters, odd).iloc[0] in clusters.names
    with pytest.raises(InputError, match="need region: not among the 3 features"):
        place(clusters, features.drop(columns="region"))


# --- features that tell nothing


def test_what_is_the_same_for_everybody_is_left_out_and_named() -> None:
    features, value, group = planted()
    same = features.assign(one=7, empty=np.nan, word="x")
    clusters = fit_kmeans(same, value)
    assert clusters.left_out == ("one", "empty", "word")
    assert rand_index(group, place(clusters, same).to_numpy()) == 1


# --- edges


@METHODS
@pytest.mark.parametrize("values", [[5.0], [5.0] * 40, [1.0, 2.0], [np.nan] * 6])
def test_too_few_or_equal_customers_are_one_cluster(fit: Fit, values: list[float]) -> None:
    features = pd.DataFrame({"spend": values})
    clusters = fit(features, features["spend"])
    assert alone(clusters)
    assert set(place(clusters, features)) == {"cluster 1"}
    told = describe(clusters, features)
    assert told.loc["cluster 1", ["features", "rules"]].tolist() == ["like everyone", "everyone"]
    assert told["accuracy"].tolist() == [1.0]


@METHODS
def test_fewer_customers_than_clusters_leave_the_smaller_numbers(fit: Fit) -> None:
    features = pd.DataFrame({"spend": [1.0, 2.0, 50.0, 51.0]})
    clusters = fit(features, features["spend"])
    assert {one.shape[0] * one.shape[1] for one in clusters.candidates} == {2, 3}
    two_kinds = pd.DataFrame({"spend": [1.0, 50.0] * 20})
    assert place(fit(two_kinds, two_kinds["spend"]), two_kinds).tolist() == ["cluster 2", "cluster 1"] * 20


def test_customers_without_a_value_count_in_no_mean_and_their_cluster_comes_last() -> None:
    features = pd.DataFrame({"days": [1.0, 2, 3, 91, 92, 93] * 5})
    value = pd.Series(np.where(features["days"] > 50, np.nan, -4.0))
    assert place(fit_kmeans(features, value, numbers=[2]), features).iloc[[0, 5]].tolist() == ["cluster 1", "cluster 2"]
    assert fit_kmeans(features, value.iloc[:0], numbers=[2]).names == ["cluster 1", "cluster 2"]


def test_bad_input_is_refused_with_what_to_do() -> None:
    ok = pd.DataFrame({"spend": [1.0, 2.0, 9.0]})
    with pytest.raises(InputError, match="no customers or no features"):
        fit_kmeans(ok.iloc[:0], ok["spend"])
    with pytest.raises(InputError, match="spend is infinite for 1 of 3"):
        fit_kmeans(ok.replace(9.0, np.inf), ok["spend"])
    with pytest.raises(InputError, match="seen is a date"):
        fit_kmeans(ok.assign(seen=pd.Timestamp("2020-01-01")), ok["spend"])
    with pytest.raises(ValueError, match="twice"):
        fit_kmeans(ok.set_axis(["a", "a", "b"]), ok["spend"])


def test_nothing_is_written_to_the_arguments() -> None:
    features, value, _ = planted(40)
    features.iloc[2, 0] = np.nan
    before = features.copy(), value.copy()
    describe(fit_kmeans(features, value, numbers=[3]), features)
    pd.testing.assert_frame_equal(features, before[0])
    pd.testing.assert_series_equal(value, before[1])


# --- words


def test_differences_are_means_in_standard_deviations_of_everyone() -> None:
    features, value, group = planted()
    table = differences(fit_kmeans(features, value), features).set_index(["cluster", "feature"])
    days = features["days"]
    found = table.loc[("cluster 1", "days")]
    # by hand; rounding of sums only
    assert found["mean"] == pytest.approx(days[group == 1].mean(), rel=1e-12)
    assert found["everyone"] == pytest.approx(days.mean(), rel=1e-12)
    assert found["difference"] == pytest.approx((days[group == 1].mean() - days.mean()) / days.std(ddof=0), rel=1e-9)
    assert table.loc["cluster 1"].index[0] == "days" and table.loc["cluster 2"].index[0] == "visits"


def test_rules_find_planted_groups_without_idle_questions() -> None:
    features, value, group = planted()
    told = describe(fit_kmeans(features, value), features)
    assert told["accuracy"].tolist() == [1.0] * 3 and told["found"].tolist() == [1.0] * 3
    assert told["customers"].tolist() == np.bincount(group)[[1, 2, 0]].tolist()
    # two questions separate three groups
    assert sum(rule.count(" and ") for rule in told["rules"]) == 2
    assert not any(";" in rule for rule in told["rules"])


def test_a_question_that_does_not_change_the_segment_named_is_not_asked() -> None:
    # purity differs by days, so the tree splits on, but each side of 4.5 names one segment throughout
    days = np.repeat(np.arange(10.0), 100)
    right = np.tile(np.arange(100), 10) < 60 + 3 * days
    labels = pd.Series(np.where((days < 5) == right, "early", "late"))
    frame = pd.DataFrame({"days": days})
    found = rules(scaling(frame)[0], frame, labels)
    # right of 500: 100 times the mean of .60, .63, ..., and of .75, .78, ...
    assert [tuple(rule) for rule in found] == [
        ("days at most 4.5", "early", 500, 330),
        ("days above 4.5", "late", 500, 405),
    ]


def test_a_rule_in_words_holds_for_exactly_the_customers_it_counts() -> None:
    frame = pd.DataFrame({"spend": np.arange(100.0), "noise": np.random.default_rng(1).normal(size=100)})
    labels = pd.Series(np.where(frame["spend"].between(20, 60), "band", "rest"))
    found = rules(scaling(frame)[0], frame, labels)
    assert [(rule.words, rule.segment, rule.customers, rule.right) for rule in found] == [
        ("spend at most 19.5", "rest", 20, 20),
        ("spend above 19.5 and at most 60.5", "band", 41, 41),
        ("spend above 60.5", "rest", 39, 39),
    ]


def test_levels_and_gaps_are_told_in_words() -> None:
    frame = pd.DataFrame({"region": ["north"] * 15 + ["south"] * 25 + [None] * 20, "age": [np.nan] * 15 + [40.0] * 45})
    clusters = fit_kmeans(frame, pd.Series([9.0] * 15 + [5.0] * 25 + [1.0] * 20), numbers=[3])
    told = describe(clusters, frame)["features"].tolist()
    assert told[0] == "age missing 100% (everyone 25%); region north 100% (everyone 25%)"
    assert told[1].startswith("region south 100% (everyone 42%)")
    assert told[2].startswith("region missing 100% (everyone 33%)")
    columns = scaling(frame)[0]
    for feature, words in (
        ("age", {"age missing", "age known"}),
        ("region", {"region is south", "region is not south"}),
    ):
        labels = frame["age"].isna() if feature == "age" else frame["region"] == "south"
        only = [column for column in columns if column.feature == feature]
        assert {rule.words for rule in rules(only, frame, labels.astype(str))} == words


def test_clusters_beyond_the_tree_s_eight_leaves_say_that_no_rule_leads_there() -> None:
    group = np.repeat(np.arange(9), 20)
    features = pd.DataFrame({"days": group * 100.0 + np.tile(np.arange(20), 9) / 10})
    clusters = fit_kmeans(features, pd.Series(group.astype(float)), numbers=[9])
    told = describe(clusters, features)
    ruled = told["rules"] != NO_RULE
    assert 1 <= ruled.sum() <= 8
    assert told["found"].tolist() == ruled.astype(float).tolist()
    assert told["accuracy"].iloc[0] == pytest.approx(ruled.sum() / 9)  # nine clusters of equal size
