"""Migration: everybody of either placement is counted once, and the figures are those of slow counting."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from churn_clv.segments.migration import (
    GONE,
    NEW,
    flows,
    migration_matrix,
    moves,
    row_shares,
    stability,
    what_changed,
)

ORDER = ["low", "mid", "high"]


@pytest.fixture
def placements() -> tuple[pd.Series, pd.Series]:
    """Two placements of 300 customers each, 240 in common, in different orders."""
    rng = np.random.default_rng(6)
    ids = np.array([f"c{k:03d}" for k in range(360)])
    before = pd.Series(rng.choice(ORDER, 300, p=[0.5, 0.3, 0.2]), index=ids[:300])
    after = pd.Series(rng.choice(ORDER, 300), index=ids[60:]).sample(frac=1, random_state=1)
    return before, after


def test_the_matrix_counts_each_customer_of_either_placement_once(placements: tuple[pd.Series, pd.Series]) -> None:
    before, after = placements
    matrix = migration_matrix(before, after, ORDER)
    assert matrix.index.tolist() == [*ORDER, NEW]
    assert matrix.columns.tolist() == [*ORDER, GONE]
    counted = pd.DataFrame(0, index=matrix.index, columns=matrix.columns)
    for customer in {*before.index, *after.index}:
        counted.loc[before.get(customer, NEW), after.get(customer, GONE)] += 1
    assert matrix.to_numpy().tolist() == counted.to_numpy().tolist()
    assert matrix.loc[NEW].sum() == matrix[GONE].sum() == 60
    shares = row_shares(matrix)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert shares.loc["low", "mid"] == matrix.loc["low", "mid"] / (before == "low").sum()


def test_flows_are_the_matrix_without_its_zeros(placements: tuple[pd.Series, pd.Series]) -> None:
    before, after = placements
    matrix, listed = migration_matrix(before, after, ORDER), flows(before, after, ORDER)
    assert (listed["customers"] > 0).all()
    assert listed["customers"].sum() == 360
    for row in listed.itertuples():
        assert row.customers == matrix.loc[row.before, row.after]
        assert row.share == pytest.approx(row.customers / matrix.loc[row.before].sum())


def test_movers_are_those_whose_tier_rank_changed(placements: tuple[pd.Series, pd.Series]) -> None:
    before, after = placements
    table = moves(before, after, ORDER)
    assert len(table) == 360
    for customer, row in table.iterrows():
        if customer not in before.index or customer not in after.index:
            assert row["move"] == (NEW if customer not in before.index else GONE)
            assert np.isnan(row["steps"])
            continue
        steps = ORDER.index(after[customer]) - ORDER.index(before[customer])
        assert row["steps"] == steps
        assert row["move"] == {0: "stayed", 1: "up", -1: "down"}[int(np.sign(steps))]


def test_the_way_back_turns_up_into_down(placements: tuple[pd.Series, pd.Series]) -> None:
    before, after = placements
    there, back = moves(before, after, ORDER), moves(after, before, ORDER)
    turned = {"up": "down", "down": "up", "stayed": "stayed", NEW: GONE, GONE: NEW}
    assert there["move"].map(turned).equals(back["move"])
    pd.testing.assert_frame_equal(
        migration_matrix(before, after, ORDER).loc[ORDER, ORDER].T.rename_axis(index="x", columns="y"),
        migration_matrix(after, before, ORDER).loc[ORDER, ORDER].rename_axis(index="x", columns="y"),
    )


def test_kappa_of_a_published_table() -> None:
    # Fleiss, Levin & Paik (2003), Statistical Methods for Rates and Proportions, table 18.1: 100 subjects, two raters,
    # joint proportions .75 .01 .04 / .05 .04 .01 / 0 0 .10 give an agreement of .89 and kappa .68
    counts = [[75, 1, 4], [5, 4, 1], [0, 0, 10]]
    pairs = [(a, b) for i, a in enumerate(ORDER) for j, b in enumerate(ORDER) for _ in range(counts[i][j])]
    found = stability(pd.Series([a for a, _ in pairs]), pd.Series([b for _, b in pairs]))
    assert found.customers == 100
    assert found.stayed == pytest.approx(0.89)
    assert found.kappa == pytest.approx(0.68, abs=0.005)


def test_kappa_is_scikit_learns(placements: tuple[pd.Series, pd.Series]) -> None:
    from sklearn.metrics import cohen_kappa_score

    before, after = placements
    both = before.index.intersection(after.index)
    found = stability(before, after)
    assert found.kappa == pytest.approx(cohen_kappa_score(before[both], after[both]))
    assert (found.customers, found.new, found.gone) == (240, 60, 60)


def test_limits_of_stability() -> None:
    same = pd.Series({"a": "x", "b": "y"})
    assert stability(same, same[::-1])[:3] == (2, 1.0, 1.0)
    one = pd.Series({"a": "x", "b": "x"})
    assert stability(one, one).stayed == 1
    assert np.isnan(stability(one, one).kappa), "one segment: agreement is no news"
    strangers = stability(same, same.rename({"a": "c", "b": "d"}))
    assert (strangers.customers, strangers.new, strangers.gone) == (0, 2, 2)
    assert np.isnan(strangers.stayed)


def test_nobody_at_all_is_an_empty_matrix() -> None:
    nobody = pd.Series([], dtype=object)
    assert migration_matrix(nobody, nobody, ORDER).to_numpy().sum() == 0
    assert flows(nobody, nobody, ORDER).empty
    assert moves(nobody, nobody, ORDER).empty


def test_categories_and_a_segment_called_new_are_segments_like_others() -> None:
    before = pd.Series(["new", "loyal"], index=["a", "b"], dtype="category")
    after = pd.Series(["loyal", "new"], index=["b", "c"], dtype="category")
    matrix = migration_matrix(before, after, ["new", "loyal"])
    assert matrix.to_numpy().tolist() == [[0, 0, 1], [0, 1, 0], [1, 0, 0]]


# --- why


@pytest.fixture
def changing() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Movers up order more, movers down fall silent; noise does not care."""
    rng = np.random.default_rng(9)
    ids = [f"c{k:03d}" for k in range(600)]
    before = pd.Series("mid", index=ids)
    after = pd.Series(np.repeat(["high", "low", "mid"], 200), index=ids)
    was = pd.DataFrame(rng.normal(10, 3, (600, 3)), ids, ["orders", "silence", "noise"])
    change = rng.normal(0, 2, (600, 3))
    change[:200, 0] += 3.0
    change[200:400, 1] += 4.0
    now = (was + change).assign(channel=np.where(np.arange(600) < 150, "web", "shop"))
    return moves(before, after, ORDER), was.assign(channel="shop"), now.sample(frac=1, random_state=3)


def test_the_planted_change_comes_first_with_its_size(
    changing: tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame],
) -> None:
    moved, was, now = changing
    table = what_changed(moved, was, now)
    up, down = (table[table["move"] == way].set_index("feature") for way in ("up", "down"))
    # planted gaps of 3 and 4 over a spread of 2; standard error of d with 200 on each side is about .11 to .13
    assert up.loc["orders", "difference"] == pytest.approx(1.5, abs=0.4)
    assert down.index[0] == "silence"
    assert down.loc["silence", "difference"] == pytest.approx(2.0, abs=0.4)
    assert abs(up.loc["noise", "difference"]) < 0.4
    assert up.loc["channel", "mean_change_movers"] == 0.75
    assert (table[["movers", "stayers"]] == 200).all(axis=None)


def test_the_difference_is_cohens_d_of_the_changes(
    changing: tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame],
) -> None:
    moved, was, now = changing
    now = now.copy()
    now.loc[["c000", "c450", "c451"], "orders"] = np.nan
    table = what_changed(moved, was, now).set_index(["move", "feature"])
    change = (now["orders"] - was["orders"]).dropna()
    a, b = (change[change.index.isin(moved.index[moved["move"] == way])] for way in ("up", "stayed"))
    pooled = np.sqrt((((a - a.mean()) ** 2).sum() + ((b - b.mean()) ** 2).sum()) / (len(a) + len(b) - 2))
    row = table.loc[("up", "orders")]
    assert (row["movers"], row["stayers"]) == (199, 198), "a missing value leaves its customer out of that feature only"
    assert row["difference"] == pytest.approx((a.mean() - b.mean()) / pooled)


def test_differences_do_not_depend_on_the_unit(changing: tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]) -> None:
    moved, was, now = changing
    was, now = was.drop(columns="channel"), now.drop(columns="channel")
    pd.testing.assert_series_equal(
        what_changed(moved, was, now)["difference"], what_changed(moved, was * 1000, now * 1000)["difference"]
    )


def test_a_change_without_spread_is_none_or_infinite() -> None:
    moved = moves(pd.Series("low", list("abcd")), pd.Series(["high", "high", "low", "low"], list("abcd")), ORDER)
    was = pd.DataFrame({"age": [1.0, 2, 3, 4], "visits": [1.0, 2, 3, 4]}, list("abcd"))
    now = pd.DataFrame({"age": [2.0, 3, 4, 5], "visits": [0.0, 1, 3, 4]}, list("abcd"))
    assert what_changed(moved, was, now)[["feature", "difference"]].to_numpy().tolist() == [
        ["visits", -np.inf],
        ["age", 0.0],
    ]


def test_a_category_changed_only_where_both_sides_are_known() -> None:
    moved = moves(pd.Series("low", list("abcdef")), pd.Series([*["high"] * 3, *["low"] * 3], list("abcdef")), ORDER)
    was = pd.DataFrame({"plan": ["A", "A", None, "A", "A", None]}, list("abcdef"))
    now = pd.DataFrame({"plan": ["B", "A", "B", "A", None, None]}, list("abcdef"))
    [row] = what_changed(moved, was, now).itertuples()
    assert (row.movers, row.stayers) == (2, 1)
    assert (row.mean_change_movers, row.mean_change_stayers) == (0.5, 0.0)
    assert np.isnan(row.difference), "one stayer has no spread"


def test_when_nobody_moves_there_is_nothing_to_explain() -> None:
    still = pd.Series("low", list("ab"))
    frame = pd.DataFrame({"age": [1.0, 2.0]}, list("ab"))
    assert what_changed(moves(still, still, ORDER), frame, frame).empty


# --- refusals


def test_what_would_be_dropped_silently_is_refused() -> None:
    fine = pd.Series({"a": "low", "b": "high"})
    with pytest.raises(ValueError, match="before: 1 rows repeat"):
        migration_matrix(pd.concat([fine, fine[:1]]), fine)
    with pytest.raises(ValueError, match="after: 1 of 2 customers have no segment"):
        migration_matrix(fine, pd.Series({"a": "low", "b": None}))
    with pytest.raises(ValueError, match="order must name each segment once"):
        moves(fine, fine, ["low", "mid"])
    with pytest.raises(ValueError, match="rename the segment"):
        migration_matrix(fine, pd.Series({"a": GONE}))
    moved, frame = moves(fine, fine, ORDER), pd.DataFrame({"x": [1.0]}, ["a"])
    with pytest.raises(ValueError, match="1 of 2 placed customers have no row"):
        what_changed(moved, frame, frame)
    with pytest.raises(ValueError, match="differ"):
        what_changed(moved, frame, frame.rename(columns={"x": "y"}))
