"""Payback: the first age at which a cohort's margin has reached what its customers cost."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from churn_clv.evaluation.labels import Unit
from churn_clv.evaluation.payback import cumulative_margin, payback, payback_sentences

INDEX = pd.MultiIndex.from_tuples(
    [("2024-01", 0), ("2024-01", 1), ("2024-01", 2), ("2024-02", 0), ("2024-02", 1), ("2024-03", 0)],
    names=["cohort", "age"],
)
# By hand, at a margin of .5: January earns 5, 6 and 10 a customer, February 2 and 1 (a refund), March 3.
ACTIVITY = pd.DataFrame({"customers": [2, 2, 2, 1, 1, 4], "spend": [20.0, 4.0, 16.0, 4.0, -2.0, 24.0]}, index=INDEX)
COHORTS = pd.Series({"a": "2024-01", "b": "2024-01", "c": "2024-02", **dict.fromkeys("defg", "2024-03")})
CLV = pd.Series({"a": 2.0, "b": 4.0, "c": 18.0, **dict.fromkeys("defg", 2.0)})


def test_margins_accumulate_by_age_and_are_missing_in_the_future() -> None:
    expected = [[5.0, 6.0, 10.0], [2.0, 1.0, np.nan], [3.0, np.nan, np.nan]]
    np.testing.assert_array_equal(cumulative_margin(ACTIVITY, 0.5).to_numpy(), expected)


def test_the_first_age_that_covers_the_cost_and_what_the_forecast_says_of_the_others() -> None:
    found = payback(ACTIVITY, COHORTS, 6.0, clv=CLV, margin_rate=0.5)
    assert found["earned"].tolist() == [10.0, 1.0, 3.0]
    assert found["age"].tolist() == [2, 1, 0]
    np.testing.assert_array_equal(found["payback_age"], [1.0, np.nan, np.nan])
    assert found["forecast"].tolist() == [1.5, 9.0, 1.0]
    assert found["verdict"].tolist() == ["paid back", "expected", "not expected"]


def test_a_cost_of_nothing_is_paid_at_once_and_one_just_reached_counts() -> None:
    assert payback(ACTIVITY, COHORTS, 0.0)["payback_age"].tolist() == [0.0, 0.0, 0.0]
    assert payback(ACTIVITY, COHORTS, 10.0, margin_rate=0.5).loc["2024-01", "payback_age"] == 2.0


def test_costs_by_customer_are_averaged_within_their_cohort() -> None:
    costs = pd.Series({"a": 1.0, "b": 3.0, "c": 7.0, **dict.fromkeys("defg", 6.0)})
    found = payback(ACTIVITY, COHORTS, costs.sample(frac=1, random_state=1))
    assert found["cost"].tolist() == [2.0, 7.0, 6.0]
    assert found["payback_age"].tolist()[0] == 0.0
    equal = payback(ACTIVITY, COHORTS, pd.Series(6.0, index=COHORTS.index))
    pd.testing.assert_frame_equal(equal, payback(ACTIVITY, COHORTS, 6.0))


def test_without_a_forecast_nothing_is_said_of_the_future() -> None:
    found = payback(ACTIVITY, COHORTS, 6.0, margin_rate=0.5)
    assert found["verdict"].tolist() == ["paid back", "not yet", "not yet"]
    assert found["forecast"].isna().all()


def test_a_dearer_customer_never_pays_back_earlier() -> None:
    rng = np.random.default_rng(3)
    index = pd.MultiIndex.from_product([["x", "y"], range(30)], names=["cohort", "age"])
    activity = pd.DataFrame({"customers": 7, "spend": rng.gamma(1, 10, 60)}, index=index)
    cohorts = pd.Series({"a": "x", "b": "y"})
    ages = [payback(activity, cohorts, float(c))["payback_age"].fillna(99) for c in range(0, 60, 5)]
    assert all((later >= earlier).all() for earlier, later in pairwise(ages))
    assert ages[0].max() == 0
    assert ages[-1].max() == 99


def test_sentences_name_the_cohort_the_sum_and_what_is_open() -> None:
    told = payback_sentences(payback(ACTIVITY, COHORTS, 6.0, clv=CLV, margin_rate=0.5), "month", Unit("EUR"), 365)
    assert told == [
        "2024-01: 6 EUR a customer paid back after 1 month; 10 EUR so far.",
        "2024-02: 1 EUR of 6 EUR a customer earned after 1 month; the forecast for the next 365 days, 9 EUR, covers the rest.",
        "2024-03: 3 EUR of 6 EUR a customer earned in the month of acquisition; "
        "the forecast for the next 365 days, 1 EUR, leaves 2 EUR open.",
    ]
    assert payback_sentences(payback(ACTIVITY, COHORTS, 6.0, margin_rate=0.5), "month", Unit("EUR"), 365)[1] == (
        "2024-02: 1 EUR of 6 EUR a customer earned after 1 month."
    )


def test_impossible_costs_and_rates_are_refused() -> None:
    for wrong in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="7 of 7 acquisition costs are missing, negative or not finite"):
            payback(ACTIVITY, COHORTS, wrong)
    with pytest.raises(ValueError, match="cost: 1 of 7 customers of the cohorts have none"):
        payback(ACTIVITY, COHORTS, pd.Series(1.0, index=list("abcdef")))
    with pytest.raises(ValueError, match="clv: 6 of 7 customers of the cohorts have none"):
        payback(ACTIVITY, COHORTS, 1.0, clv=CLV.loc[["a"]])
    with pytest.raises(ValueError, match="margin_rate is a share"):
        payback(ACTIVITY, COHORTS, 1.0, margin_rate=30.0)
