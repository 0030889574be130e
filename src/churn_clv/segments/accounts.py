"""What is known of a customer's accounts beside the log: cost to serve, spend elsewhere, acquisition cost, other values."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from churn_clv.errors import InputError, nearest
from churn_clv.segments.tiers import composite_value, contribution, share_of_wallet

_COMPOSITE = "segments.composite_value"


@dataclass(frozen=True)
class Accounts:
    """Which columns of the customer attributes are accounts: they value customers, and no model reads them.

    cost_to_serve, total_spend: columns, money a customer in the time of the log. acquisition_cost: a column, or one
    amount for all. weights: column of scores or attributes -> its weight in the composite value.
    """

    cost_to_serve: str | None = None
    total_spend: str | None = None
    acquisition_cost: str | float | None = None
    weights: dict[str, float] = field(default_factory=dict)

    def columns(self, given: pd.DataFrame | None) -> list[str]:
        """Return those of the given attributes that are accounts."""
        cost = self.acquisition_cost if isinstance(self.acquisition_cost, str) else None
        named = {self.cost_to_serve, self.total_spend, cost, *self.weights}
        return [] if given is None else [name for name in given.columns if name in named]


def check_accounts(accounts: Accounts, given: pd.DataFrame | None, scored: list[str]) -> None:
    """Refuse a config that names accounts which the attributes do not have, or which hold no amounts.

    Parameters
    ----------
    scored
        Names of scores, which a composite value may weight as well.

    Raises
    ------
    InputError
        Naming key and column.
    """
    known = {} if given is None else dict(given.items())
    wanted = {
        "segments.cost_to_serve": accounts.cost_to_serve, "segments.total_spend": accounts.total_spend,
        "segments.acquisition_cost": accounts.acquisition_cost,
    }  # fmt: skip
    for key, name in wanted.items():
        if isinstance(name, str):
            _check_column(key, name, known, list(known))
            _check_amounts(key, name, known[name])
    for name in accounts.weights:
        if name not in scored:
            _check_column(_COMPOSITE, name, known, [*known, *scored])
        elif name in known:
            raise InputError(f"{_COMPOSITE}: {name!r} is a score and an attribute: rename the column of the attributes")


def _check_column(key: str, name: str, known: dict[str, pd.Series], candidates: list[str]) -> None:
    if name not in known:
        raise InputError(f"{key}: no column {name!r} among the attributes{nearest(name, candidates)}")
    if not pd.api.types.is_numeric_dtype(known[name]):
        raise InputError(f"{key}: the column {name!r} of the attributes holds text, not numbers")


def _check_amounts(key: str, name: str, amounts: pd.Series) -> None:
    wrong = int(((amounts < 0) | np.isinf(amounts.astype(float))).sum())
    if wrong:
        raise InputError(
            f"{key}: the column {name!r} of the attributes is negative or infinite for {wrong:,} of {len(amounts):,} "
            "customers: give amounts of 0 or more"
        )


def past_contribution(
    accounts: Accounts, value_to_date: pd.Series, given: pd.DataFrame | None, margin_rate: float
) -> pd.Series:
    """Return what each customer left over so far: margin of the net value in the log, less the cost to serve.

    Parameters
    ----------
    value_to_date
        Net value of the customer's days in the log (currency), refunds taken off.
    given
        Attributes by customer id; a customer without a cost to serve counts as costing nothing.
    margin_rate
        Margin by unit of that value; 1 where it is margin already.

    Examples
    --------
    >>> spent = pd.Series({"a": 100.0, "b": 100.0, "c": -5.0})
    >>> costs = pd.DataFrame({"service": [40.0]}, index=["b"])
    >>> past_contribution(Accounts(cost_to_serve="service"), spent, costs, 0.3).to_dict()
    {'a': 30.0, 'b': -10.0, 'c': -1.5}
    """
    margin = pd.DataFrame({"margin": value_to_date * margin_rate})
    if accounts.cost_to_serve is not None and given is not None and accounts.cost_to_serve in given:
        margin["cost_to_serve"] = given[accounts.cost_to_serve].reindex(margin.index)
    return contribution(margin)


def other_values(accounts: Accounts, scores: pd.DataFrame, given: pd.DataFrame | None) -> pd.DataFrame:
    """Return share_of_wallet and composite_value of each customer, those of them that the accounts allow.

    Parameters
    ----------
    scores
        value_to_date (currency) and the scores that the composite value weights.
    given
        Attributes by customer id.
    """
    own = pd.DataFrame(index=scores.index) if given is None else given.reindex(scores.index)
    found = pd.DataFrame(index=scores.index)
    if accounts.total_spend is not None:
        total = own.reindex(columns=[accounts.total_spend])[accounts.total_spend]
        found["share_of_wallet"] = _share_of_wallet(scores["value_to_date"].clip(lower=0), total)
    if accounts.weights:
        # Attributes may be called like a score; of those that are weighted, `check_accounts` saw that none is.
        weighted = {name: scores[name] if name in scores else own.get(name, np.nan) for name in accounts.weights}
        found["composite_value"] = composite_value(pd.DataFrame(weighted, index=scores.index), accounts.weights)
    return found


def _share_of_wallet(spend: pd.Series, total: pd.Series) -> pd.Series:
    try:
        return share_of_wallet(spend, total)
    except InputError as error:
        raise InputError(f"segments.total_spend: the column {total.name!r}: {error}") from None


def acquisition_costs(accounts: Accounts, index: pd.Index, given: pd.DataFrame | None) -> pd.Series | None:
    """Return the acquisition cost of each customer (currency); None where none is named.

    Raises
    ------
    InputError
        If a customer's is not known.
    """
    cost = accounts.acquisition_cost
    if not isinstance(cost, str):
        return None if cost is None else pd.Series(float(cost), index=index, name="acquisition_cost")
    known = pd.Series(np.nan, index) if given is None else given[cost].reindex(index)
    missing = int(known.isna().sum())
    if missing:
        raise InputError(
            f"segments.acquisition_cost: {missing:,} of {len(index):,} customers have none in the column {cost!r} of the "
            "attributes; give every customer one, 0 where nothing was spent, or one amount for all"
        )
    return known.rename("acquisition_cost")
