"""Who is contacted, how, and what it is expected to cost and earn, by customer and by segment.

The playbook's cell decides channel and terms, the expected profit decides whether, the budget decides how many.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from churn_clv.data.contract import ValueIs
from churn_clv.errors import InputError
from churn_clv.segments.contact_profit import ContactTerms, allocate, contact_profit, expected_outlay
from churn_clv.segments.playbook import CellPlan, Playbook

AS_ASSUMED = (
    "Expected profit stands on the save rates of the playbook, which are assumptions until they are measured: a high risk "
    "is not a high uplift (Ascarza 2018). Keep a random control group without contact; its result takes their place."
)
COLUMNS = ["segment", "channel", "contact_cost", "contact_profit", "expected_outlay", "contact"]
_CELL = ["value_tier", "risk_tier"]
_SCORES = ["churn_probability", "p_alive", "value_if_active", *_CELL]


def contact_plan(
    scores: pd.DataFrame,
    playbook: Playbook,
    *,
    value_is: ValueIs,
    budget: float | None = None,
    save_rate: pd.Series | None = None,
) -> pd.DataFrame:
    """Plan the contacts: each customer on the terms of the own cell, and whom the budget pays.

    That a high risk makes a contact pay is an assumption of the save rates, not a finding: risk is not uplift (Ascarza
    2018).

    Parameters
    ----------
    scores
        churn_probability, p_alive, value_if_active (currency), value_tier and risk_tier, one row a customer.
    value_is
        What the log's amounts are. Of "revenue" the playbook's margin rate is left over, of "margin" all; "purchases" is
        a log without amounts, where nobody can say what a contact earns.
    budget
        Currency, for contacts and the offers expected to be taken; see `churn_clv.segments.contact_profit.allocate`. None
        pays every contact that is expected to earn more than nothing.
    save_rate
        Measured by a test against a control group, by customer id, in place of the playbook's: the place for uplift. The
        playbook's holds for the part of the risk that is `within_reach`, a measured one for all of it. An
        uplift u in the probability to stay is u / churn_probability. Wanted for all whose cell has a contact.

    Returns
    -------
    DataFrame, index of `scores`: segment, channel (``none`` where the plan has no contact), contact_cost, contact_profit
    (expected, from contacting the customer; 0 without contact) and expected_outlay (contact and offer) in currency,
    contact (whether to). Without amounts contact_profit and expected_outlay are missing and nobody is contacted.

    Raises
    ------
    InputError
        If a column is not there, a customer occurs twice or lacks a score or a cell, or a budget is given without amounts.
    ValueError
        If a measured save rate is missing or outside [-1, 1].

    Examples
    --------
    >>> from churn_clv.segments.playbook import default_playbook
    >>> scores = pd.DataFrame({"churn_probability": [0.9, 0.9], "p_alive": 1.0, "value_if_active": [150.0, 12.0],
    ...                        "value_tier": ["high", "low"], "risk_tier": "high"}, ["a", "b"])
    >>> plan = contact_plan(scores, default_playbook(), value_is="revenue")
    >>> plan[["channel", "contact_profit", "contact"]].round(2).to_numpy().tolist()
    [['letter', 1.05, True], ['none', 0.0, False]]
    """
    _check(scores)
    if value_is == "purchases" and budget is not None:
        raise InputError(
            f"a budget of {budget:g} for a log without amounts: what a contact earns is not known; "
            "leave the budget out, or map the log's amounts"
        )
    margin_rate = {"revenue": playbook.margin_rate, "margin": 1.0, "purchases": np.nan}[value_is]
    cells = scores.groupby(_CELL, sort=False, observed=True).indices.items()
    parts = [_cell(scores.iloc[rows], playbook.plan_for(*cell), margin_rate, save_rate) for cell, rows in cells]
    plan = pd.concat(parts).reindex(scores.index) if parts else pd.DataFrame(index=scores.index, columns=COLUMNS[:-1])
    plan["contact"] = False
    if value_is != "purchases":
        plan["contact"] = allocate(
            plan["contact_profit"].astype(float),
            plan["expected_outlay"].astype(float),
            np.inf if budget is None else budget,
        )
    return plan


def budget_table(plan: pd.DataFrame, scores: pd.DataFrame, scheme: str) -> pd.DataFrame:
    """Add up each segment of a scheme: what is spent on its customers, and what they are worth.

    Parameters
    ----------
    plan
        From `contact_plan`.
    scores
        expected_spend (V_res, currency) and the scheme's column, one row a customer of the plan.
    scheme
        Column of `scores` that names each customer's segment: segment (the grid), rfm_segment, pareto_tier, value_tier ...

    Returns
    -------
    DataFrame indexed by the scheme's segments, the highest value first, every customer counted once: customers, contacted,
    outlay (expected, of the contacted: the segment's budget), outlay_a_customer (of the segment), contact_profit (of the
    contacted), profit_if_all (if all were contacted whose plan has a contact), value (their expected_spend) and
    value_share (of all customers' value). Money in currency, missing where the plan has none.

    Raises
    ------
    InputError
        If a column is not there, or a customer has no segment or no plan.

    Examples
    --------
    >>> plan = pd.DataFrame({"contact_profit": [2.0, -1.0, 4.0], "expected_outlay": [0.5, 0.5, 1.0],
    ...                      "contact": [True, False, True]}, ["a", "b", "c"])
    >>> scores = pd.DataFrame({"expected_spend": [10.0, 20, 70], "pareto_tier": ["B", "B", "A"]}, ["a", "b", "c"])
    >>> budget_table(plan, scores, "pareto_tier")[["contacted", "outlay_a_customer", "value_share"]].to_dict("index")
    {'A': {'contacted': 1, 'outlay_a_customer': 1.0, 'value_share': 0.7},
     'B': {'contacted': 1, 'outlay_a_customer': 0.25, 'value_share': 0.3}}
    """
    _check_table(plan, scores, scheme)
    segment, known, chosen = scores[scheme], plan.reindex(scores.index), plan["contact"].reindex(scores.index)
    profit, outlay = known["contact_profit"].astype(float), known["expected_outlay"].astype(float)
    rows = pd.DataFrame({
        "customers": 1, "contacted": chosen.astype(int), "outlay": outlay.where(chosen | outlay.isna(), 0.0),
        "contact_profit": profit.where(chosen | profit.isna(), 0.0), "profit_if_all": profit,
        "value": scores["expected_spend"],
    })  # fmt: skip
    table = rows.groupby(segment, observed=True).sum(min_count=1).sort_index()
    table = table.sort_values("value", ascending=False, kind="stable")
    table.insert(3, "outlay_a_customer", table["outlay"] / table["customers"])
    total = table["value"].sum()
    return table.assign(value_share=table["value"] / total if total else np.nan)


def within_reach(scores: pd.DataFrame) -> pd.Series:
    """Return the share of each customer's risk that is silence and not departure: whom an offer may still reach.

    Of the churn probability R the part 1 - p_alive is having left for good, which no contact undoes by the purchase
    model's own meaning of leaving. The assumed save rates hold for the rest. Without it those who left longest ago and
    spent most would head every list, as a constant save rate takes all risk alike.

    Examples
    --------
    >>> within_reach(pd.DataFrame({"churn_probability": [0.5, 0.8, 1.0], "p_alive": [1.0, 0.4, 0.0]})).round(2).tolist()
    [1.0, 0.25, 0.0]
    """
    risk = scores["churn_probability"]
    return ((risk - (1 - scores["p_alive"])) / risk.where(risk > 0)).clip(0, 1).fillna(0.0)


def _cell(members: pd.DataFrame, plan: CellPlan, margin_rate: float, save_rate: pd.Series | None) -> pd.DataFrame:
    money: dict[str, object] = {"contact_profit": 0.0, "expected_outlay": 0.0}
    if np.isnan(margin_rate):
        money = dict.fromkeys(money, np.nan)
    elif plan.is_contact:
        terms = _terms(plan, margin_rate)
        rates = terms.save_rate * within_reach(members) if save_rate is None else save_rate
        money = {
            "contact_profit": contact_profit(members, terms, rates),
            "expected_outlay": expected_outlay(members, terms, rates),
        }
    told = {"segment": plan.segment, "channel": plan.channel, "contact_cost": plan.contact_cost}
    return pd.DataFrame({**told, **money}, index=members.index)


def _terms(plan: CellPlan, margin_rate: float) -> ContactTerms:
    return ContactTerms(
        margin_rate=margin_rate,
        save_rate=plan.save_rate,
        incentive=plan.incentive,
        take_up=plan.take_up,
        contact_cost=plan.contact_cost,
    )


def _check(scores: pd.DataFrame) -> None:
    absent = [name for name in _SCORES if name not in scores]
    if absent:
        raise InputError(f"a contact plan needs {', '.join(_SCORES)}; not among the scores: {', '.join(absent)}")
    if not scores.index.is_unique:
        twice = int(scores.index.duplicated().sum())
        raise InputError(f"{twice} of {len(scores)} rows repeat a customer: one row a customer is wanted")
    missing = int(scores[_SCORES].isna().any(axis=1).sum())
    if missing:
        raise InputError(
            f"{missing} of {len(scores)} customers lack {', '.join(_SCORES[:-1])} or {_SCORES[-1]}: "
            "score and place them first, or leave them out"
        )


def _check_table(plan: pd.DataFrame, scores: pd.DataFrame, scheme: str) -> None:
    absent = [name for name in ("expected_spend", scheme) if name not in scores]
    if absent:
        raise InputError(f"a budget table by {scheme} needs columns that are not among the scores: {', '.join(absent)}")
    without = int(scores[scheme].isna().sum())
    strangers = len(scores.index.symmetric_difference(plan.index))
    if without or strangers:
        raise InputError(
            f"{without} of {len(scores)} customers have no {scheme}, {strangers} are in only one of plan and scores: "
            "every customer needs both"
        )
