"""Groups of few customers: what is left out cannot be worked out from what is shown."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from churn_clv.segments.small_groups import (
    in_words,
    withheld,
    withheld_moves,
    withheld_words,
    without_small_groups,
)

K = 10


def intervals(counts: np.ndarray, hidden: np.ndarray, lines: list[np.ndarray]) -> np.ndarray:
    """How far apart the smallest and the largest value of each hidden count are, whoever knows the others and sums of lines.

    An empty group would be shown, so none of the hidden is below 1.
    """
    flat, places = counts.ravel().astype(float), np.flatnonzero(hidden.ravel())
    rows = np.array([line.ravel()[places] for line in lines], dtype=float)
    sums = np.array([(flat * line.ravel()).sum() - (flat * line.ravel() * ~hidden.ravel()).sum() for line in lines])
    used = rows.any(axis=1)
    widths = []
    for k in range(len(places)):
        goal = np.eye(len(places))[k]
        ends = [linprog(sign * goal, A_eq=rows[used], b_eq=sums[used], bounds=(1, None)).fun for sign in (1, -1)]
        widths.append(-ends[1] - ends[0])
    return np.array(widths)


def whole(shape: tuple[int, ...]) -> np.ndarray:
    return np.ones(shape, dtype=bool)


def rows_and_columns(shape: tuple[int, int]) -> list[np.ndarray]:
    rows = [np.arange(shape[0])[:, None] == k for k in range(shape[0])]
    columns = [np.arange(shape[1])[None, :] == k for k in range(shape[1])]
    return [np.broadcast_to(line, shape) for line in [*rows, *columns]]


@pytest.mark.parametrize("customers", [30, 45, 60, 80, 100, 150, 200, 300])
def test_no_cell_of_a_grid_that_is_left_out_is_known_to_less_than_k_up_or_down(customers: int) -> None:
    drawn = np.random.default_rng(customers)
    left = 0
    for _ in range(8):
        # Terciles of both axes, as in a first run.
        value, risk = (pd.qcut(drawn.normal(size=customers), 3, labels=False) for _ in range(2))
        counts = pd.Series(np.bincount(3 * value + risk, minlength=9))
        hidden = withheld(counts, K)
        shown = counts[~hidden]
        assert not ((shown > 0) & (shown < K)).any()
        left += hidden.any()
        if hidden.any():
            assert (intervals(counts.to_numpy(), hidden.to_numpy(), [whole((9,))]) >= 2 * K).all()
    assert left > 0 or customers >= 200


def test_a_grid_of_enough_customers_is_shown_whole() -> None:
    # reliability of the rule: CDNOW's 2,357 customers in terciles, 262 a cell.
    counts = pd.Series(np.full(9, 262))
    assert not withheld(counts, K).any()
    table = pd.DataFrame({"customers": counts, "clv": 1.0})
    assert without_small_groups(table, K) is table


@pytest.mark.parametrize(("size", "customers"), [(3, 300), (4, 600), (5, 1000), (9, 3000)])
def test_no_move_that_is_left_out_is_known_to_less_than_k_where_the_sums_are_known(size: int, customers: int) -> None:
    drawn = np.random.default_rng(size * customers)
    partly = 0
    for _ in range(4):
        stays = drawn.integers(0, size, customers)
        moves = np.where(drawn.random(customers) < 0.3, drawn.integers(0, size, customers), stays)
        counts = np.zeros((size, size), dtype=int)
        np.add.at(counts, (stays, moves), 1)
        frame = pd.DataFrame(counts)
        hidden = withheld_moves(frame, K).to_numpy()
        assert not ((counts > 0) & (counts < K) & ~hidden).any()
        if hidden.all() or not hidden.any():
            continue
        partly += 1
        rows, columns = withheld(frame.sum(axis=1), K), withheld(frame.sum(axis=0), K)
        known = [line for line, left in zip(rows_and_columns(counts.shape), [*rows, *columns], strict=True) if not left]
        assert (intervals(counts, hidden, [*known, whole(counts.shape)]) >= 2 * K).all()
    assert partly


def test_a_row_whose_own_sum_is_left_out_cannot_be_added_up() -> None:
    counts = pd.DataFrame([[5, 1, 2], [300, 400, 500], [200, 300, 100], [20, 30, 40]])
    hidden = withheld_moves(counts, K)
    assert withheld(counts.sum(axis=1), K).tolist() == [True, False, False, True]
    assert hidden.loc[0].all() and hidden.loc[3].any()


@given(counts=st.lists(st.integers(0, 60), min_size=1, max_size=12), smallest=st.integers(1, 20))
@settings(max_examples=200, deadline=None)
def test_what_is_shown_is_never_few_and_what_is_left_out_is_never_one_alone(counts: list[int], smallest: int) -> None:
    table = pd.Series(counts)
    hidden = withheld(table, smallest)
    assert not ((table[~hidden] > 0) & (table[~hidden] < smallest)).any()
    assert not (hidden & (table == 0)).any()
    everyone = hidden[table > 0].all()
    assert everyone or not hidden.any() or table[hidden].sum() - hidden.sum() >= 2 * smallest


def test_every_number_of_a_group_goes_and_its_words_stay() -> None:
    table = pd.DataFrame(
        {"customers": [4, 60, 30], "share": [0.1, 0.6, 0.3], "highest": [9.0, 8.0, 7.0], "action": list("xyz")},
        index=list("abc"),
    )
    shown = without_small_groups(table, K)
    assert shown.loc[["a", "c"]].drop(columns="action").isna().all(axis=None)
    assert shown["action"].tolist() == ["x", "y", "z"] and shown.loc["b", "highest"] == 8
    assert withheld_words(shown, K).startswith("Not shown: a; c. Groups of fewer than 10 customers")
    assert table["customers"].tolist() == [4, 60, 30]


def test_of_few_to_be_contacted_in_a_large_group_no_money_is_told() -> None:
    table = pd.DataFrame({"customers": [400, 300], "contacted": [3, 200], "outlay": [1.0, 90.0], "profit_if_all": 1.0})
    shown = without_small_groups(table, K)
    assert shown["customers"].tolist() == [400, 300] and shown["profit_if_all"].notna().all()
    assert shown[["contacted", "outlay"]].isna().all(axis=None)


def test_a_smallest_group_of_one_shows_everything() -> None:
    counts = pd.Series([0, 1, 2, 500])
    assert not withheld(counts, 1).any() and in_words(1, 1) == "1"
    assert not withheld_moves(pd.DataFrame([[1, 0], [3, 500]]), 1).any(axis=None)
