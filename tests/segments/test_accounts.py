"""Accounts value customers: margin less cost to serve, spend elsewhere, other values than money; errors name key and column."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from churn_clv.errors import InputError
from churn_clv.segments.accounts import (
    Accounts,
    acquisition_costs,
    check_accounts,
    other_values,
    past_contribution,
)

ALL = Accounts("service", "category", "cac", {"clv": 0.5, "referrals": 0.5})
SCORED = ["clv", "frequency"]


def given() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "service": [5.0, 50.0],
            "category": [200.0, 80.0],
            "cac": [10.0, 20.0],
            "referrals": [0, 4],
            "city": ["x", "y"],
        },
        index=pd.Index(["a", "b"], name="customer_id"),
    )


def test_the_accounts_are_the_named_columns_and_no_other() -> None:
    assert ALL.columns(given()) == ["service", "category", "cac", "referrals"]
    assert Accounts(acquisition_cost=10.0).columns(given()) == []
    assert ALL.columns(None) == []


def test_a_contribution_is_margin_less_cost_and_a_cost_not_known_is_none() -> None:
    value = pd.Series({"a": 100.0, "b": 100.0, "stranger": -20.0})
    # 30 % of 100, less 5 and 50; of -20 nothing but the margin lost
    assert past_contribution(ALL, value, given(), 0.3).to_dict() == {"a": 25.0, "b": -20.0, "stranger": -6.0}
    assert past_contribution(ALL, value, None, 0.3).to_dict() == {"a": 30.0, "b": 30.0, "stranger": -6.0}
    without = given().drop(columns="service")
    assert past_contribution(ALL, value, without, 1.0).to_dict() == {"a": 100.0, "b": 100.0, "stranger": -20.0}


def test_other_values_are_by_customer_and_missing_where_an_account_is() -> None:
    scores = pd.DataFrame({"value_to_date": [50.0, 60.0, 7.0], "clv": [1.0, 3.0, 2.0]}, index=["b", "a", "stranger"])
    found = other_values(ALL, scores, given())
    assert found["share_of_wallet"].to_dict() == {"b": 0.625, "a": 0.3, "stranger": pytest.approx(np.nan, nan_ok=True)}
    # clv stands -1.225, 1.225, 0 deviations off; referrals of the two who have any 1, -1
    expected = {"b": 0.5 * -np.sqrt(1.5) + 0.5, "a": 0.5 * np.sqrt(1.5) - 0.5}
    assert found["composite_value"].drop("stranger").to_dict() == pytest.approx(expected)
    assert np.isnan(found.loc["stranger", "composite_value"])
    assert other_values(Accounts(), scores, given()).shape == (3, 0)


def test_an_attribute_named_like_a_score_is_not_taken_for_it() -> None:
    scores = pd.DataFrame({"value_to_date": [50.0], "T": [3.0], "clv": [1.0]}, index=["a"])
    named = pd.DataFrame({"T": [100.0], "clv": [9.0], "segment": ["x"]}, index=["a"])
    assert other_values(Accounts(total_spend="T"), scores, named)["share_of_wallet"].tolist() == [0.5]


def test_without_attributes_what_stands_on_them_is_missing() -> None:
    scores = pd.DataFrame({"value_to_date": [50.0], "clv": [1.0]}, index=["a"])
    assert other_values(ALL, scores, None).isna().all(axis=None)


def test_a_refund_beyond_all_purchases_is_no_share_of_a_wallet() -> None:
    scores = pd.DataFrame({"value_to_date": [-5.0]}, index=["a"])
    assert other_values(Accounts(total_spend="category"), scores, given())["share_of_wallet"].tolist() == [0.0]


def test_acquisition_costs_are_a_column_by_id_or_one_amount() -> None:
    index = pd.Index(["b", "a"])
    column = acquisition_costs(ALL, index, given())
    assert column is not None and column.to_dict() == {"b": 20.0, "a": 10.0}
    amount = acquisition_costs(Accounts(acquisition_cost=7), index, None)
    assert amount is not None and amount.to_dict() == {"b": 7.0, "a": 7.0}
    assert acquisition_costs(Accounts(), index, given()) is None


def test_customers_without_an_acquisition_cost_are_counted_and_refused() -> None:
    with pytest.raises(InputError, match=r"segments\.acquisition_cost: 1 of 3 customers have none in the column 'cac'"):
        acquisition_costs(ALL, pd.Index(["a", "b", "stranger"]), given())


@pytest.mark.parametrize(
    ("accounts", "says"),
    [
        (Accounts(cost_to_serve="servic"), "segments.cost_to_serve: no column 'servic' among the attributes (did you mean 'service'?)"),
        (Accounts(total_spend="city"), "segments.total_spend: the column 'city' of the attributes holds text, not numbers"),
        (Accounts(acquisition_cost="zzz"), "segments.acquisition_cost: no column 'zzz' among the attributes"),
        (Accounts(weights={"frequenzy": 1.0}), "segments.composite_value: no column 'frequenzy' among the attributes (did you mean 'frequency'?)"),
        (Accounts(weights={"city": 1.0}), "segments.composite_value: the column 'city' of the attributes holds text, not numbers"),
    ],
)  # fmt: skip
def test_an_account_that_is_none_names_key_column_and_the_nearest(accounts: Accounts, says: str) -> None:
    with pytest.raises(InputError) as caught:
        check_accounts(accounts, given(), SCORED)
    assert str(caught.value) == says


def test_amounts_below_zero_or_infinite_are_counted_and_refused() -> None:
    for wrong in (-1.0, np.inf):
        with pytest.raises(InputError, match=r"segments\.total_spend: the column 'category' .* for 1 of 2 customers"):
            check_accounts(ALL, given().assign(category=[wrong, 1.0]), SCORED)
    check_accounts(ALL, given().assign(category=[np.nan, 1.0], service=[0, 1]), SCORED)


def test_a_name_that_is_score_and_attribute_is_refused_where_it_is_weighted() -> None:
    with pytest.raises(InputError, match=r"segments\.composite_value: 'clv' is a score and an attribute: rename"):
        check_accounts(ALL, given().assign(clv=1.0), SCORED)
    check_accounts(ALL, given(), SCORED)
    check_accounts(Accounts(weights={"clv": 1.0}), None, SCORED)
    with pytest.raises(InputError, match=r"segments\.cost_to_serve: no column 'service' among the attributes$"):
        check_accounts(ALL, None, SCORED)
