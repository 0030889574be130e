"""RFM: scores by mid-rank share whatever the order of rows, cuts that stay, and a name for every pair of scores."""

from __future__ import annotations

import json
from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn_clv.errors import InputError
from churn_clv.segments.rfm import REGIONS, SCORES, RFMCuts, freeze_rfm, place, rfm_scores, rfm_segments


def summary_of(days: list[float], frequency: list[float], amount: list[float]) -> pd.DataFrame:
    """A summary of customers 1000 days old whose days since the last purchase are given."""
    index = pd.Index([f"c{k}" for k in range(len(days))], name="customer_id")
    columns = {"frequency": frequency, "recency": 1000 - np.array(days, dtype=float), "T": 1000.0}
    return pd.DataFrame(columns | {"monetary_value": amount}, index=index).astype(float)


def drawn(n: int, seed: int = 1) -> pd.DataFrame:
    """Tied frequencies, many of them 0, and amounts of two decimals."""
    rng = np.random.default_rng(seed)
    return summary_of(list(rng.integers(0, 400, n)), list(rng.poisson(1.2, n)), list(rng.gamma(2, 20, n).round(2)))


def by_mid_rank(values: list[float]) -> list[int]:
    """The documented rule, one customer at a time in whole numbers: share of (below + half of the equal) in fifths."""
    n = len(values)
    halves = [2 * sum(w < v for w in values) + sum(w == v for w in values) for v in values]
    return [1 + sum(5 * h >= 2 * k * n for k in range(1, 5)) for h in halves]


@given(st.lists(st.integers(0, 12), min_size=1, max_size=40))
def test_scores_are_those_of_the_mid_rank_share_counted_one_by_one(values: list[int]) -> None:
    numbers = [float(v) for v in values]
    found = rfm_scores(summary_of(numbers, numbers, numbers))
    assert found["frequency_score"].tolist() == by_mid_rank(numbers)
    assert found["monetary_score"].tolist() == by_mid_rank(numbers)
    assert found["recency_score"].tolist() == by_mid_rank([-v for v in numbers])


@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=30))
def test_scores_of_any_amounts_are_those_of_the_mid_rank_share(values: list[float]) -> None:
    found = rfm_scores(summary_of([1.0] * len(values), [0.0] * len(values), values))
    assert found["monetary_score"].tolist() == by_mid_rank(values)


def test_without_ties_each_score_has_a_fifth_of_the_customers() -> None:
    values = list(np.random.default_rng(3).permutation(500).astype(float))
    found = rfm_scores(summary_of(values, values, values))
    for column in SCORES:
        assert found[column].value_counts().to_dict() == dict.fromkeys(range(1, 6), 100)


def test_the_order_of_rows_makes_no_difference() -> None:
    summary = drawn(300)
    shuffled = summary.sample(frac=1, random_state=5)
    pd.testing.assert_frame_equal(rfm_scores(shuffled).loc[summary.index], rfm_scores(summary))


def test_the_latest_buyer_scores_best_and_equal_values_score_alike() -> None:
    summary = drawn(300)
    found = rfm_scores(summary)
    days = summary["T"] - summary["recency"]
    assert found.loc[days.idxmin(), "recency_score"] == 5
    assert found.loc[days.idxmax(), "recency_score"] == 1
    assert (found.groupby(summary["frequency"])["frequency_score"].nunique() == 1).all()


@pytest.mark.parametrize(("n", "scores"), [(1, [3]), (2, [2, 4]), (3, [1, 3, 5]), (4, [1, 2, 4, 5])])
def test_fewer_customers_than_scores_are_spread_about_the_middle(n: int, scores: list[int]) -> None:
    # mid-rank shares (k - 1/2) / n: 1/2; 1/4, 3/4; 1/6, 1/2, 5/6; 1/8, 3/8, 5/8, 7/8
    values = [float(k) for k in range(n)]
    assert rfm_scores(summary_of(values, values, values))["frequency_score"].tolist() == scores


def test_customers_who_are_all_alike_score_3_and_need_attention() -> None:
    found = rfm_scores(summary_of([30.0] * 7, [2.0] * 7, [10.0] * 7))
    assert (found == 3).all().all()
    assert set(rfm_segments(found)) == {"need attention"}


# --- frozen cuts


def test_customers_move_and_cuts_do_not() -> None:
    reference = summary_of([10, 20, 30, 40, 50], [1, 2, 3, 4, 5], [1, 2, 3, 4, 5])
    cuts = freeze_rfm(reference)
    later = reference.assign(recency=reference["recency"] - 20)
    # 30 to 70 days: the cuts between 10, 20, ..., 50 days were taken halfway
    assert place(cuts, later)["recency_score"].tolist() == [3, 2, 1, 1, 1]
    assert rfm_scores(later)["recency_score"].tolist() == [5, 4, 3, 2, 1]


def test_a_new_value_beyond_the_reference_scores_at_the_end() -> None:
    alike = freeze_rfm(summary_of([30.0] * 4, [2.0] * 4, [10.0] * 4))
    found = place(alike, summary_of([29, 30, 31], [3, 2, 1], [10.01, 10, 9.99]))
    assert found.to_numpy().tolist() == [[5, 5, 5], [3, 3, 3], [1, 1, 1]]


def test_values_next_to_each_other_are_told_apart() -> None:
    # halfway between neighbouring floats is one of the two
    values = [1.0, *[float(np.nextafter(1.0, 2))] * 4]
    assert rfm_scores(summary_of([1.0] * 5, [0.0] * 5, values))["monetary_score"].tolist() == [1, 4, 4, 4, 4]


def test_placing_depends_on_the_customer_alone() -> None:
    summary = drawn(200)
    cuts = freeze_rfm(summary)
    whole = place(cuts, summary)
    pd.testing.assert_frame_equal(whole, rfm_scores(summary))
    pd.testing.assert_frame_equal(place(cuts, summary.iloc[::-3]), whole.iloc[::-3])
    assert place(cuts, summary.iloc[:0]).empty


def test_cuts_survive_their_dictionary_as_json() -> None:
    cuts = freeze_rfm(drawn(50))
    assert RFMCuts.from_dict(json.loads(json.dumps(cuts.to_dict(), allow_nan=False))) == cuts
    assert all(len(axis) == 4 and list(axis) == sorted(axis) for axis in cuts.to_dict().values())


@pytest.mark.parametrize(("one_time", "segment"), [(39, "new"), (40, "potential loyalist")])
def test_one_time_buyers_are_told_as_new_while_they_are_under_two_fifths(one_time: int, segment: str) -> None:
    frequency = [0.0] * one_time + [float(k) for k in range(1, 101 - one_time)]
    summary = summary_of([1.0, *range(100, 199)], frequency, [5.0] * 100)
    assert rfm_segments(rfm_scores(summary)).iloc[0] == segment


# --- refusals


def test_a_summary_that_cannot_be_scored_is_refused_by_name_and_count() -> None:
    summary = drawn(5)
    with pytest.raises(InputError, match="not in the summary: monetary_value"):
        rfm_scores(summary.drop(columns="monetary_value"))
    with pytest.raises(InputError, match="1 of 5 customers"):
        rfm_scores(summary.assign(recency=[1, 2, 3, np.nan, 5]))
    with pytest.raises(InputError, match="no customers"):
        rfm_scores(summary.iloc[:0])


# --- segments


def test_each_of_the_25_pairs_belongs_to_exactly_one_region() -> None:
    for recency, frequency in product(range(1, 6), repeat=2):
        names = [name for name, (r, f) in REGIONS.items() if recency in r and frequency in f]
        assert len(names) == 1, (recency, frequency, names)


def test_each_of_the_125_combinations_has_one_name_whatever_the_monetary_score() -> None:
    scores = pd.DataFrame(list(product(range(1, 6), repeat=3)), columns=SCORES)
    named = rfm_segments(scores)
    assert set(named) == set(REGIONS)
    assert (named.groupby([scores["recency_score"], scores["frequency_score"]]).nunique() == 1).all()


def test_segments_are_the_fields_usual_ones() -> None:
    # the corners and middle on which the published 5 x 5 maps of recency and frequency agree
    known = {(5, 5): "champions", (5, 1): "new", (1, 5): "cannot lose them", (1, 1): "lost", (3, 3): "need attention",
             (4, 4): "loyal", (4, 2): "potential loyalist", (4, 1): "promising", (3, 1): "about to sleep",
             (2, 3): "at risk", (2, 2): "hibernating"}  # fmt: skip
    scores = pd.DataFrame(list(known), columns=SCORES[:2])
    assert rfm_segments(scores).tolist() == list(known.values())


def test_scores_other_than_1_to_5_are_refused() -> None:
    scores = pd.DataFrame({"recency_score": [1, 0, 6], "frequency_score": [1, 1, 5]})
    with pytest.raises(InputError, match="2 of 3 customers"):
        rfm_segments(scores)
