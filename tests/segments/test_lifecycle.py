"""Lifecycle: every customer exactly one stage, by rules that read as documented."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn_clv.errors import InputError
from churn_clv.segments.lifecycle import NEEDED, STAGES, LifecycleRules, lifecycle_stages, purchase_trend

RULES = LifecycleRules.for_horizon(180)
# a loyal customer: two years old, a purchase every 50 days, two of 14 in the last quarter, at little risk
LOYAL = {
    "T": 730.0, "recency": 700.0, "frequency": 14.0, "churn_probability": 0.1, "p_alive": 0.99,
    "purchases_last_91_days": 2.0,
}  # fmt: skip


def stage_of(**changes: float) -> str:
    return str(lifecycle_stages(pd.DataFrame([LOYAL | changes]), RULES).iloc[0])


def drawn(n: int) -> pd.DataFrame:
    rng = np.random.default_rng(2)
    age = rng.integers(0, 800, n).astype(float)
    frequency = np.minimum(rng.poisson(3, n), age)
    return pd.DataFrame({
        "T": age, "recency": np.where(frequency > 0, age * rng.uniform(0, 1, n), 0), "frequency": frequency,
        "churn_probability": rng.uniform(0, 1, n), "p_alive": rng.uniform(0, 1, n),
        "purchases_last_91_days": np.minimum(rng.poisson(1, n), frequency) + (age < 91),
    }, index=pd.Index([f"c{k}" for k in range(n)], name="customer_id"))  # fmt: skip


# --- trend


def test_at_a_constant_pace_the_trend_has_mean_0_and_variance_1() -> None:
    # simulated truth: 12 repeat purchases at uniform times in 400 days
    rng = np.random.default_rng(3)
    times = rng.uniform(0, 400, (50_000, 12))
    recent = (times > 400 - 91).sum(axis=1).astype(float)
    trend = purchase_trend(pd.DataFrame({"T": 400.0, "frequency": 12.0, "purchases_last_91_days": recent}))
    assert trend.mean() == pytest.approx(0, abs=0.02)  # four standard errors of 1 / sqrt(50,000)
    assert trend.var() == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("age", [0.0, 30.0, 90.0, 91.0])
def test_a_history_within_the_window_shows_no_trend(age: float) -> None:
    frame = pd.DataFrame({"T": [age], "frequency": [4.0], "purchases_last_91_days": [4.0 + (age < 91)]})
    assert purchase_trend(frame).tolist() == [0.0]


def test_the_first_purchase_is_no_sign_of_a_rising_pace() -> None:
    # 100 days old and two repeat purchases, both within 91 days: 2 of an expected 1.82
    frame = pd.DataFrame({"T": [100.0], "frequency": [2.0], "purchases_last_91_days": [2.0]})
    expected = (2 - 2 * 0.91) / np.sqrt(2 * 0.91 * 0.09)
    assert purchase_trend(frame).iloc[0] == pytest.approx(expected)


# --- stages


def test_a_customer_passes_through_the_stages_in_order() -> None:
    assert stage_of(T=10, recency=0, frequency=0, purchases_last_91_days=1) == "new"
    assert stage_of(T=150, recency=100, frequency=2, purchases_last_91_days=1) == "growing"
    assert stage_of() == "loyal"
    assert stage_of(churn_probability=0.65, recency=640) == "declining"
    assert stage_of(churn_probability=0.85, recency=500, purchases_last_91_days=0) == "lost"


@pytest.mark.parametrize(
    ("changes", "stage"),
    [
        # thresholds belong to the stage they open
        ({"T": 91, "recency": 91}, "new"),
        ({"T": 92, "recency": 92, "frequency": 14, "purchases_last_91_days": 14}, "loyal"),
        ({"frequency": 2, "purchases_last_91_days": 0}, "growing"),
        ({"frequency": 3, "purchases_last_91_days": 0}, "loyal"),
        ({"churn_probability": 0.6}, "declining"),
        ({"churn_probability": 0.599}, "loyal"),
        ({"churn_probability": 0.8, "recency": 730 - 180}, "lost"),
        ({"churn_probability": 0.8, "recency": 730 - 179}, "declining"),
        ({"churn_probability": 0.8, "p_alive": 0.1}, "lost"),
        ({"churn_probability": 0.79, "p_alive": 0.1, "recency": 0}, "declining"),
        # the purchase model alone does not make a customer lost whom R says will buy
        ({"churn_probability": 0.2, "p_alive": 0.05}, "loyal"),
        # 14 purchases, an expected 1.7 in the window with a deviation of 1.24: 4 rises, 3 does not
        ({"purchases_last_91_days": 3}, "loyal"),
        ({"purchases_last_91_days": 4}, "growing"),
        # one purchase of an expected 0.27 is 1.47 deviations above, yet one purchase alone is no rising trend
        ({"T": 1000, "recency": 980, "frequency": 3, "purchases_last_91_days": 1}, "loyal"),
        ({"T": 1000, "recency": 980, "frequency": 3, "purchases_last_91_days": 2}, "growing"),
        # a deviation below: 0 of an expected 1.7 is 1.41 deviations
        ({"purchases_last_91_days": 0}, "declining"),
        # a new customer who bought much and then fell silent is lost, not new
        ({"T": 90, "recency": 20, "churn_probability": 0.9, "p_alive": 0.02, "purchases_last_91_days": 15}, "lost"),
        # a one-time buyer to whom BG/NBD gives p_alive = 1 is lost by R and silence
        ({"frequency": 0, "recency": 0, "p_alive": 1, "churn_probability": 0.95, "purchases_last_91_days": 0}, "lost"),
    ],
)
def test_the_documented_rules_decide(changes: dict[str, float], stage: str) -> None:
    assert stage_of(**changes) == stage


def test_thresholds_follow_the_horizon() -> None:
    assert LifecycleRules.for_horizon(30).new_days == 30
    assert LifecycleRules.for_horizon(365).new_days == 91
    assert LifecycleRules.for_horizon(365).lost_silence_days == 365
    silent = pd.DataFrame([LOYAL | {"churn_probability": 0.9, "recency": 530.0}])
    assert lifecycle_stages(silent, LifecycleRules.for_horizon(180)).tolist() == ["lost"]
    assert lifecycle_stages(silent, LifecycleRules.for_horizon(365)).tolist() == ["declining"]


def test_every_customer_has_exactly_one_stage_that_depends_on_the_customer_alone() -> None:
    frame = drawn(2000)
    found = lifecycle_stages(frame, RULES)
    assert found.index.equals(frame.index)
    assert set(found) == set(STAGES) - {"prospect", "unknown"}
    pd.testing.assert_series_equal(lifecycle_stages(frame.iloc[::-3], RULES), found.iloc[::-3])
    assert lifecycle_stages(frame.iloc[:0], RULES).empty


@given(st.fixed_dictionaries({
    "T": st.floats(0, 5000), "recency": st.floats(0, 5000), "frequency": st.integers(0, 900),
    "churn_probability": st.floats(0, 1), "p_alive": st.floats(0, 1), "purchases_last_91_days": st.integers(0, 92),
}))  # fmt: skip
def test_any_customer_with_all_quantities_has_a_stage_of_a_customer(row: dict[str, Any]) -> None:
    found = lifecycle_stages(pd.DataFrame([row]).astype(float), RULES).iloc[0]
    assert found in {"new", "growing", "loyal", "declining", "lost"}


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_higher_risk_never_leads_back(one: float, other: float) -> None:
    order = ["loyal", "declining", "lost"]
    low, high = sorted((one, other))
    frame = pd.DataFrame([LOYAL | {"churn_probability": risk, "recency": 500.0} for risk in (low, high)])
    before, after = lifecycle_stages(frame, RULES)
    assert order.index(before) <= order.index(after)


@pytest.mark.parametrize("column", NEEDED)
def test_a_missing_quantity_is_unknown(column: str) -> None:
    assert stage_of(**{column: np.nan}) == "unknown"


def test_prospects_follow_the_customers() -> None:
    frame = drawn(5)
    found = lifecycle_stages(frame, RULES, pd.Index(["p1", "p2", "p1"]))
    assert found.index.tolist() == [*frame.index, "p1", "p2"]
    assert found[["p1", "p2"]].tolist() == ["prospect", "prospect"]
    pd.testing.assert_series_equal(found[frame.index], lifecycle_stages(frame, RULES))
    assert found.index.name == "customer_id"


def test_what_cannot_be_staged_is_refused_by_name_and_count() -> None:
    frame = drawn(5)
    with pytest.raises(InputError, match="2 of 3 prospects have purchases"):
        lifecycle_stages(frame, RULES, pd.Index(["c0", "c4", "p"]))
    with pytest.raises(InputError, match="not in the frame: recency, p_alive"):
        lifecycle_stages(frame.drop(columns=["p_alive", "recency"]), RULES)
    with pytest.raises(InputError, match="churn_probability of 5 of 5 customers is outside 0 to 1"):
        lifecycle_stages(frame.assign(churn_probability=1.5), RULES)
