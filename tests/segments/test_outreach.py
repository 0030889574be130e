"""Each customer is planned on the terms of the own cell, the budget holds, and every segment's budget adds up."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from churn_clv.errors import InputError
from churn_clv.segments.outreach import AS_ASSUMED, COLUMNS, budget_table, contact_plan, within_reach
from churn_clv.segments.playbook import Playbook, default_playbook

BOOK = default_playbook()


def drawn(n: int = 400, seed: int = 2) -> pd.DataFrame:
    """Scores with cells of every kind, and a Pareto tier."""
    rng = np.random.default_rng(seed)
    index = pd.Index([f"c{k:04d}" for k in rng.permutation(n)], name="customer_id")
    risk, value = rng.beta(2, 1, n), rng.gamma(2, 60, n)
    tiers = ["low", "mid", "high"]
    return pd.DataFrame(
        {
            "churn_probability": risk,
            "p_alive": 1 - risk * rng.random(n),
            "value_if_active": value,
            "expected_spend": (1 - risk) * value,
            "value_tier": [tiers[k] for k in np.searchsorted([60, 140], value)],
            "risk_tier": [tiers[k] for k in np.searchsorted([0.5, 0.8], risk)],
            "pareto_tier": rng.choice(["A", "B", "C"], n),
        },
        index=index,
    )


def by_hand(row: Any, margin_rate: float, save_rate: float | None = None) -> tuple[float, float]:
    """Profit and outlay of one customer as Neslin et al. (2006) write them, from the plan of the row's cell."""
    plan = BOOK.plan_for(row.value_tier, row.risk_tier)
    if plan.channel == "none":
        return 0.0, 0.0
    risk = row.churn_probability
    # the assumed rate holds for who is silent, not for who has left for good
    gamma = plan.save_rate * (risk - (1 - row.p_alive)) / risk if save_rate is None else save_rate
    saved = risk * gamma * (margin_rate * row.value_if_active - plan.incentive)
    wasted = (1 - risk) * plan.take_up * plan.incentive
    taken = risk * max(gamma, 0) + (1 - risk) * plan.take_up
    return saved - wasted - plan.contact_cost, plan.contact_cost + plan.incentive * taken


# --- plan


def test_no_contact_brings_back_who_has_left_for_good() -> None:
    """Limiting cases: p_alive of 1 leaves the whole risk within reach, p_alive of 1 - R or less nothing of it."""
    scores = pd.DataFrame({"churn_probability": [0.4, 0.4, 0.4, 0.0], "p_alive": [1.0, 0.6, 0.1, 1.0]})
    assert within_reach(scores).tolist() == [1.0, pytest.approx(0.0, abs=1e-12), 0.0, 0.0]


@pytest.mark.parametrize(("value_is", "margin_rate"), [("revenue", BOOK.margin_rate), ("margin", 1.0)])
def test_profit_and_outlay_are_those_of_the_own_cell(value_is: Any, margin_rate: float) -> None:
    scores = drawn()
    plan = contact_plan(scores, BOOK, value_is=value_is)
    assert plan.columns.tolist() == COLUMNS
    assert plan.index.equals(scores.index)
    for row, planned in zip(scores.itertuples(), plan.itertuples(), strict=True):
        cell = BOOK.plan_for(row.value_tier, row.risk_tier)
        assert (planned.segment, planned.channel, planned.contact_cost) == (
            cell.segment,
            cell.channel,
            cell.contact_cost,
        )
        assert (planned.contact_profit, planned.expected_outlay) == pytest.approx(by_hand(row, margin_rate))


def test_without_a_budget_everybody_who_pays_is_contacted_and_nobody_else() -> None:
    plan = contact_plan(drawn(), BOOK, value_is="revenue")
    assert plan["contact"].equals((plan["contact_profit"] > 0).rename("contact"))
    assert 0 < plan["contact"].sum() < len(plan), "both kinds must be there"
    assert not plan.loc[plan["channel"] == "none", "contact"].any()


def test_a_budget_is_held_and_spent_where_it_earns_most() -> None:
    scores = drawn()
    free, bound = (contact_plan(scores, BOOK, value_is="revenue", budget=b) for b in (None, 20.0))
    chosen = bound[bound["contact"]]
    assert 19 < chosen["expected_outlay"].sum() <= 20
    assert free["contact"][chosen.index].all()
    left_out = free[free["contact"] & ~bound["contact"]]
    assert left_out["expected_outlay"].min() > 20 - chosen["expected_outlay"].sum(), "who still fits is not left out"
    # slow oracle: parts of contacts by yield, which no choice of whole contacts beats
    left, most = 20.0, 0.0
    for row in sorted(free[free["contact"]].itertuples(), key=lambda row: -row.contact_profit / row.expected_outlay):
        part = min(1.0, left / row.expected_outlay)
        left, most = left - part * row.expected_outlay, most + part * row.contact_profit
    assert most - left_out["contact_profit"].max() < chosen["contact_profit"].sum() <= most + 1e-9
    assert not contact_plan(scores, BOOK, value_is="revenue", budget=0.0)["contact"].any()


def test_measured_save_rates_take_the_playbooks_place_by_id() -> None:
    scores = drawn()
    measured = pd.Series(np.random.default_rng(1).uniform(-0.05, 0.2, len(scores)), index=scores.index)
    plan = contact_plan(scores, BOOK, value_is="revenue", save_rate=measured.sample(frac=1, random_state=3))
    for row, planned in zip(scores.itertuples(), plan.itertuples(), strict=True):
        wanted = by_hand(row, BOOK.margin_rate, measured[row.Index])
        assert (planned.contact_profit, planned.expected_outlay) == pytest.approx(wanted)
    contacted_cells = scores.index[plan["channel"] != "none"]
    only_contacts = contact_plan(scores, BOOK, value_is="revenue", save_rate=measured[contacted_cells])
    pd.testing.assert_frame_equal(only_contacts, plan)
    with pytest.raises(ValueError, match="1 of .* customers have no measured save_rate"):
        contact_plan(scores, BOOK, value_is="revenue", save_rate=measured[contacted_cells[1:]])


def test_a_cell_without_contact_earns_nothing_whatever_was_measured() -> None:
    scores = drawn()
    sure = pd.Series(1.0, index=scores.index)
    rests = contact_plan(scores, BOOK, value_is="margin", save_rate=sure).query("channel == 'none'")
    assert len(rests) > 10
    assert (rests[["contact_profit", "expected_outlay"]] == 0).all(axis=None)
    assert not rests["contact"].any()


def test_the_plan_of_a_customer_does_not_depend_on_the_order_of_rows() -> None:
    scores = drawn()
    plan = contact_plan(scores, BOOK, value_is="revenue", budget=15.0)
    again = contact_plan(scores.sample(frac=1, random_state=1), BOOK, value_is="revenue", budget=15.0)
    pd.testing.assert_frame_equal(again.reindex(scores.index), plan)


def test_a_grid_of_other_tiers_has_no_contact_until_it_has_plans() -> None:
    scores = drawn(20).assign(value_tier="1 of 4")
    plan = contact_plan(scores, BOOK, value_is="revenue")
    assert plan["segment"].str.startswith("value 1 of 4, risk ").all()
    assert not plan["contact"].any()


def test_without_amounts_nobody_is_contacted_and_a_budget_is_refused() -> None:
    plan = contact_plan(drawn(), BOOK, value_is="purchases")
    assert plan[["contact_profit", "expected_outlay"]].isna().all(axis=None)
    assert not plan["contact"].any()
    assert (plan["channel"] != "none").any(), "what to do is known, what it earns is not"
    with pytest.raises(InputError, match="a budget of 50 for a log without amounts"):
        contact_plan(drawn(), BOOK, value_is="purchases", budget=50)


def test_nobody_to_plan_for_is_an_empty_plan() -> None:
    plan = contact_plan(drawn().iloc[:0], BOOK, value_is="revenue", budget=5.0)
    assert plan.empty
    assert plan.columns.tolist() == COLUMNS


def test_missing_predictions_are_counted_and_refused() -> None:
    scores = drawn()
    holes = scores.assign(churn_probability=scores["churn_probability"].where(np.arange(400) >= 3))
    with pytest.raises(InputError, match="3 of 400 customers lack"):
        contact_plan(holes, BOOK, value_is="revenue")
    with pytest.raises(InputError, match="not among the scores: risk_tier"):
        contact_plan(scores.drop(columns="risk_tier"), BOOK, value_is="revenue")
    with pytest.raises(InputError, match="1 of 401 rows repeat a customer"):
        contact_plan(pd.concat([scores, scores.iloc[:1]]), BOOK, value_is="revenue")


def test_what_is_assumed_says_that_risk_is_not_uplift() -> None:
    assert "not a high uplift (Ascarza 2018)" in AS_ASSUMED


# --- budget by segment


@pytest.mark.parametrize("scheme", ["segment", "pareto_tier", "value_tier"])
def test_a_budget_table_adds_up_to_its_customers(scheme: str) -> None:
    scores = drawn()
    plan = contact_plan(scores, BOOK, value_is="revenue", budget=25.0)
    scores["segment"] = plan["segment"]
    table = budget_table(plan.sample(frac=1, random_state=4), scores, scheme)
    assert set(table.index) == set(scores[scheme])
    assert table["value"].is_monotonic_decreasing
    for name, row in table.iterrows():
        members = [c for c in scores.index if scores.loc[c, scheme] == name]
        chosen = [c for c in members if plan.loc[c, "contact"]]
        outlay = sum(plan.loc[c, "expected_outlay"] for c in chosen)
        assert (row["customers"], row["contacted"]) == (len(members), len(chosen))
        assert (row["outlay"], row["outlay_a_customer"]) == pytest.approx((outlay, outlay / len(members)))
        assert row["contact_profit"] == pytest.approx(sum(plan.loc[c, "contact_profit"] for c in chosen))
        assert row["profit_if_all"] == pytest.approx(sum(plan.loc[c, "contact_profit"] for c in members))
        assert row["value"] == pytest.approx(sum(scores.loc[c, "expected_spend"] for c in members))
    assert table["value_share"].sum() == pytest.approx(1)
    assert table["outlay"].sum() <= 25


def test_every_segment_of_a_scheme_stands_beside_its_plan() -> None:
    scores = drawn()
    plan = contact_plan(scores, BOOK, value_is="revenue")
    beside = BOOK.plans("pareto_tier").join(budget_table(plan, scores, "pareto_tier"))
    assert beside.index.tolist() == ["A", "B", "C", "unknown"]
    assert beside["action"].notna().all()
    assert beside["customers"].isna().tolist() == [False, False, False, True]


def test_without_amounts_a_budget_table_counts_and_leaves_money_missing() -> None:
    scores = drawn()
    table = budget_table(contact_plan(scores, BOOK, value_is="purchases"), scores, "pareto_tier")
    assert table["customers"].sum() == 400
    assert (table["contacted"] == 0).all()
    assert table[["outlay", "contact_profit", "profit_if_all"]].isna().all(axis=None)


def test_customers_without_segment_or_plan_are_counted_and_refused() -> None:
    scores = drawn()
    plan = contact_plan(scores, BOOK, value_is="revenue")
    lost = scores.assign(pareto_tier=scores["pareto_tier"].where(np.arange(400) >= 5))
    with pytest.raises(InputError, match="5 of 400 customers have no pareto_tier, 0 are"):
        budget_table(plan, lost, "pareto_tier")
    with pytest.raises(InputError, match="0 of 400 customers have no pareto_tier, 7 are"):
        budget_table(plan.iloc[7:], scores, "pareto_tier")
    with pytest.raises(InputError, match="not among the scores: cluster"):
        budget_table(plan, scores, "cluster")


def test_a_plan_on_margins_earns_more_than_on_the_same_revenue() -> None:
    content = BOOK.to_dict() | {"margin_rate": 1.0}
    scores = drawn()
    margin, full_rate = contact_plan(scores, BOOK, value_is="margin"), Playbook.from_dict(content)
    pd.testing.assert_frame_equal(margin, contact_plan(scores, full_rate, value_is="revenue"))
    revenue = contact_plan(scores, BOOK, value_is="revenue")
    assert (margin["contact_profit"] >= revenue["contact_profit"]).all()
    assert margin["contact_profit"].sum() > revenue["contact_profit"].sum()
