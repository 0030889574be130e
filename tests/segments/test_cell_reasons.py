"""Reasons of a cell: its commonest ones, counted as a loop over customers counts them."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pytest

from churn_clv.models.reason_phrases import about, worded
from churn_clv.models.reasons import strongest
from churn_clv.segments.cell_reasons import cell_reasons

NAMES = ["overdue_ratio", "silence_share", "largest_amount", "p_alive", "plan"]


@pytest.fixture
def customers() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Contributions, features and cells of 200 customers."""
    rng = np.random.default_rng(2)
    index = pd.Index([f"c{k}" for k in range(200)], name="customer_id")
    added = pd.DataFrame(rng.normal(0, 0.2, (200, 5)), index, NAMES).assign(start=1.0)
    known = pd.DataFrame(rng.exponential(2, (200, 4)), index, NAMES[:4]).assign(plan=rng.choice(["A", "B"], 200))
    placed = pd.DataFrame(
        {"risk_tier": rng.choice(["low", "high"], 200), "value_tier": rng.choice(["low", "high"], 200)}, index
    )
    return added, known, placed


def test_the_commonest_reasons_are_those_that_a_loop_counts(
    customers: tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame],
) -> None:
    added, known, placed = customers
    table = cell_reasons(added, known, placed, "EUR")
    assert len(table) == 4
    for (risk, value), row in table.iterrows():
        members = [c for c in added.index if tuple(placed.loc[c]) == (risk, value)]
        top = strongest(added.loc[members])
        raises = Counter(
            name for c in members for name in (top.loc[c, "raises"], top.loc[c, "raises_too"]) if isinstance(name, str)
        )
        (first, n), *others = raises.most_common()
        second, m = next((name, k) for name, k in others if about(name) != about(first))
        moved = known.loc[[c for c in members if added.loc[c, first] >= 0.05], first]
        typical = moved.mode()[0] if first == "plan" else float(np.median(moved))
        assert row["raises"] == worded(first, typical, "EUR")
        assert row["raises_share"] == pytest.approx(n / len(members))
        assert row["raises_too_share"] == pytest.approx(m / len(members))
        assert row["raises_too"].split()[0] == worded(second, known.loc[members[0], second], "EUR").split()[0]
        lowers = Counter(name for name in top["lowers"] if isinstance(name, str))
        told = {about(first), about(second)}
        assert row["lowers_share"] == pytest.approx(
            max(n for name, n in lowers.items() if about(name) not in told) / len(members)
        )


def test_what_corrects_a_forecast_is_said_to(customers: tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]) -> None:
    added, known, placed = customers
    only = added * 0
    up, down = only.assign(p_alive=0.3), only.assign(p_alive=-0.3)
    assert (
        cell_reasons(up, known, placed, corrected="BG/NBD")["raises"]
        .str.startswith("customers of this pattern come back less often than BG/NBD")
        .all()
    )
    assert (
        cell_reasons(down, known, placed, corrected="BG/NBD")["lowers"]
        .str.startswith("customers of this pattern come back more often than BG/NBD")
        .all()
    )
    assert cell_reasons(up, known, placed)["raises"].str.startswith("a chance").all()


def test_a_cell_that_nothing_moves_has_no_reasons(customers: tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]) -> None:
    added, known, placed = customers
    table = cell_reasons(added * 0, known, placed)
    assert table[["raises", "raises_too", "lowers"]].isna().all(axis=None)
    assert (table[["raises_share", "raises_too_share", "lowers_share"]] == 0).all(axis=None)


def test_without_trees_there_is_nothing_to_say(customers: tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]) -> None:
    added, known, placed = customers
    assert cell_reasons(added[["start"]], known[[]], placed)["raises"].isna().all()


def test_customers_in_another_order_are_refused(customers: tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]) -> None:
    added, known, placed = customers
    with pytest.raises(ValueError, match="features"):
        cell_reasons(added, known.iloc[::-1], placed)
    with pytest.raises(ValueError, match="placed"):
        cell_reasons(added, known, placed.iloc[:-1])
