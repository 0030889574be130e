"""What contacting a customer is expected to earn, and whom to contact under a budget.

Risk is not uplift: those most likely to leave are seldom those whom a contact keeps, and some leave because of it
(Ascarza 2018). With one save rate for everybody the profit grows with risk by assumption. Only a test against a
control group measures it; its result, a save rate by customer, takes the constant's place.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True, kw_only=True)
class ContactTerms:
    """What a contact costs and what it may do, in the log's currency a customer.

    Parameters
    ----------
    margin_rate
        Margin by currency unit of spend, in (0, 1].
    save_rate
        gamma: share of the contacted who would have left and stay for the offer. A guess until it was measured.
    incentive
        delta: what the offer costs for each who takes it.
    take_up
        psi: share of the contacted who would have stayed anyway and take the offer too.
    contact_cost
        c: what each contact costs.

    Raises
    ------
    ValueError
        If a rate is outside [0, 1], the margin rate is 0, or a cost is negative or not finite.
    """

    margin_rate: float
    save_rate: float
    incentive: float
    take_up: float
    contact_cost: float

    def __post_init__(self) -> None:
        rates = (self.margin_rate, self.save_rate, self.take_up)
        if not all(0 <= rate <= 1 for rate in rates) or self.margin_rate == 0:
            raise ValueError(f"{self}: save_rate and take_up must be from 0 to 1, margin_rate above 0 and up to 1")
        if not all(0 <= cost < np.inf for cost in (self.incentive, self.contact_cost)):
            raise ValueError(f"{self}: incentive and contact_cost must be finite and not negative")


def contact_profit(scores: pd.DataFrame, terms: ContactTerms, save_rate: pd.Series | None = None) -> pd.Series:
    """Return the expected profit of contacting each customer, in currency, by customer id.

    pi = R gamma (V - delta) - (1 - R) delta psi - c, with V = V_act x margin rate. A saved leaver brings V less the
    offer, a stayer may take the offer for nothing, and each contact costs c. It is negative where a contact loses
    money. That a high risk earns more here is an assumption, not a finding: risk is not uplift (Ascarza 2018).

    Parameters
    ----------
    scores
        churn_probability (R) and value_if_active (V_act, currency), one row a customer.
    terms
        Costs and rates that hold for everybody.
    save_rate
        Measured gamma by customer id, from a test against a control group, in place of ``terms.save_rate``; negative
        where the contact drives customers away. An uplift u in the probability to stay is gamma = u / R.

    Raises
    ------
    ValueError
        If a score is missing or R is no probability, or a customer has no save rate or one outside [-1, 1].

    References
    ----------
    Neslin, Gupta, Kamakura, Lu & Mason (2006), Defection Detection, Journal of Marketing Research 43(2), 204-211.
    Ascarza (2018), Retention Futility, Journal of Marketing Research 55(1), 80-98.

    Examples
    --------
    >>> scores = pd.DataFrame({"churn_probability": [0.5, 0.1], "value_if_active": [200.0, 200.0]}, ["a", "b"])
    >>> terms = ContactTerms(margin_rate=0.5, save_rate=0.3, incentive=10, take_up=0.5, contact_cost=1)
    >>> contact_profit(scores, terms).round(2).to_dict()
    {'a': 10.0, 'b': -2.8}
    >>> contact_profit(scores, terms, save_rate=pd.Series({"b": 0.9, "a": 0.0})).round(2).to_dict()
    {'a': -3.5, 'b': 2.6}
    """
    R, V = _risk_and_value(scores, terms)
    gamma = _save_rates(scores, terms, save_rate)
    saved, wasted = gamma * (V - terms.incentive), terms.take_up * terms.incentive
    return (R * saved - (1 - R) * wasted - terms.contact_cost).rename("contact_profit")


def expected_outlay(scores: pd.DataFrame, terms: ContactTerms, save_rate: pd.Series | None = None) -> pd.Series:
    """Return what contacting each customer is expected to cost in cash: the contact, and the offer where it is taken.

    A negative save rate drives customers away and saves no offer, so it counts as none taken. Parameters and errors are
    those of `contact_profit`.

    Examples
    --------
    >>> scores = pd.DataFrame({"churn_probability": [0.5], "value_if_active": [200.0]}, ["a"])
    >>> terms = ContactTerms(margin_rate=0.5, save_rate=0.3, incentive=10, take_up=0.5, contact_cost=1)
    >>> expected_outlay(scores, terms).to_dict()
    {'a': 5.0}
    """
    R, _ = _risk_and_value(scores, terms)
    gamma = _save_rates(scores, terms, save_rate).clip(lower=0)
    return (terms.contact_cost + terms.incentive * (R * gamma + (1 - R) * terms.take_up)).rename("expected_outlay")


def break_even_risk(scores: pd.DataFrame, terms: ContactTerms, save_rate: pd.Series | None = None) -> pd.Series:
    """Return R*, the churn probability above which contacting a customer of that value pays, by customer id.

    R* = (psi delta + c) / (gamma (V - delta) + psi delta). Above 1 no risk is high enough; infinite where the profit
    does not grow with risk at all, as when the customer is worth less than the offer. Parameters and errors are those of
    `contact_profit`.

    Examples
    --------
    >>> scores = pd.DataFrame({"churn_probability": [0.5, 0.5], "value_if_active": [200.0, 10.0]}, ["a", "b"])
    >>> terms = ContactTerms(margin_rate=0.5, save_rate=0.3, incentive=10, take_up=0.0, contact_cost=2.7)
    >>> break_even_risk(scores, terms).round(3).to_dict()
    {'a': 0.1, 'b': inf}
    """
    _, V = _risk_and_value(scores, terms)
    wasted = terms.take_up * terms.incentive
    slope = _save_rates(scores, terms, save_rate) * (V - terms.incentive) + wasted
    least = (wasted + terms.contact_cost) / slope.where(slope > 0)
    return least.fillna(np.inf).rename("break_even_risk")


def allocate(profit: pd.Series, outlay: pd.Series, budget: float) -> pd.Series:
    """Choose whom to contact under a budget: greedily, the most expected profit by currency unit of expected outlay first.

    Whom the rest of the budget does not pay is passed over, and the next is tried. Nobody is contacted at a loss or for
    nothing, so a part of the budget may be left. The budget is held in expectation: more goes out when more take the
    offer. Where all outlays are equal no other choice earns more. Where they differ another one may, but by less than the
    expected profit of one contact, the first that was passed over: even if parts of contacts could be bought, no choice
    would earn more than the contacts before that one and the part of it that the budget still pays.

    Parameters
    ----------
    profit, outlay
        Expected profit and expected cost of contacting each customer, currency, by customer id; see `contact_profit` and
        `expected_outlay`. What costs nothing is limited by no budget.
    budget
        Currency; infinite for everybody who pays.

    Returns
    -------
    Series of bool, index of ``profit``: True for those to contact. Equals are taken in the order of the id.

    Raises
    ------
    ValueError
        If the budget is negative or not a number, a profit or outlay is missing, an outlay is negative, or an id occurs
        twice.

    References
    ----------
    Dantzig (1957), Discrete-Variable Extremum Problems, Operations Research 5(2), 266-288: the knapsack in parts.

    Examples
    --------
    >>> profit = pd.Series({"c": 5.0, "b": 5.0, "a": -1.0, "d": 9.0})
    >>> allocate(profit, pd.Series({"a": 1.0, "b": 1.5, "c": 1.5, "d": 4.0}), budget=3).to_dict()
    {'c': True, 'b': True, 'a': False, 'd': False}
    """
    if not budget >= 0:
        raise ValueError(f"budget {budget} must be a number and not negative")
    _one_row_each(profit.index)
    _one_row_each(outlay.index)
    offers = pd.DataFrame({"profit": profit, "outlay": outlay.reindex(profit.index)}).sort_index(kind="stable")
    bad = int((~np.isfinite(offers).all(axis=1) | (offers["outlay"] < 0)).sum())
    if bad:
        raise ValueError(f"{bad} of {len(profit)} customers have no expected profit, or no outlay of at least 0")
    paying = offers[offers["profit"] > 0]
    yields = (paying["profit"] / paying["outlay"]).sort_values(ascending=False, kind="stable")
    ordered = paying.loc[yields.index, "outlay"]
    chosen = ordered.index[_paid(ordered.to_numpy(dtype=float), budget)]
    return pd.Series(profit.index.isin(chosen), index=profit.index, name="contact")


def _paid(outlays: np.ndarray, budget: float) -> np.ndarray:
    """Whether each of the outlays is paid, taken in their order, those passed over that the rest does not pay."""
    # A budget of .3 pays three contacts of .1, though three times .1 is a hair above .3 in binary.
    left, waiting = budget * (1 + 1e-9), np.arange(len(outlays))
    paid = np.zeros(len(outlays), dtype=bool)
    while waiting.size:
        spent = np.cumsum(outlays[waiting])
        fitting = int(np.searchsorted(spent, left, side="right"))
        paid[waiting[:fitting]] = True
        left -= spent[fitting - 1] if fitting else 0.0
        waiting = waiting[fitting + 1 :]
        waiting = waiting[outlays[waiting] <= left]
    return paid


def _risk_and_value(scores: pd.DataFrame, terms: ContactTerms) -> tuple[pd.Series, pd.Series]:
    _one_row_each(scores.index)
    risk, value = scores["churn_probability"], scores["value_if_active"]
    bad = int((~risk.between(0, 1) | ~np.isfinite(value)).sum())
    if bad:
        raise ValueError(
            f"{bad} of {len(scores)} customers have no churn_probability from 0 to 1 or no value_if_active"
        )
    return risk, value * terms.margin_rate


def _save_rates(scores: pd.DataFrame, terms: ContactTerms, measured: pd.Series | None) -> pd.Series:
    if measured is None:
        return pd.Series(terms.save_rate, index=scores.index)
    _one_row_each(measured.index)
    gamma = measured.reindex(scores.index)
    bad = int((~gamma.between(-1, 1)).sum())
    if bad:
        raise ValueError(f"{bad} of {len(scores)} customers have no measured save_rate from -1 to 1")
    return gamma


def _one_row_each(index: pd.Index) -> None:
    if not index.is_unique:
        raise ValueError(
            f"{int(index.duplicated().sum())} of {len(index)} rows repeat a customer id; want one row each"
        )
