"""The rival of the grid: RFM 3 x 3, whose forecasts are what the same cell did one period ago."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from churn_clv.segments.rfm_rival import rfm_rival


def test_rfm_forecasts_are_what_the_same_cell_did_a_period_ago() -> None:
    rng = np.random.default_rng(7)
    n = 900
    index = pd.Index([f"c{k:03d}" for k in range(n)])

    def summary(seed: int) -> pd.DataFrame:
        rng = np.random.default_rng(seed)
        columns = {"recency": rng.uniform(0, 300, n), "T": 300.0, "monetary_value": rng.gamma(2, 30, n)}
        return pd.DataFrame(columns, index=index).assign(monetary_days=rng.integers(1, 5, n))

    now, past = summary(1), summary(2)
    outcomes = pd.DataFrame({"purchases": rng.poisson(1, n), "spend": rng.gamma(1, 20, n)}, index=index)
    grid, placed = rfm_rival(now, past, outcomes.sample(frac=1, random_state=1))
    was = rfm_rival(past).placed
    assert grid.risk_tiers == grid.value_tiers == ["low", "mid", "high"]
    for customer in index[::100]:
        alike = (was == placed.loc[customer, ["risk_tier", "value_tier"]]).all(axis=1)
        did = outcomes.loc[alike[alike].index]
        assert placed.loc[customer, "churn_probability"] == pytest.approx((did["purchases"] == 0).mean())
        assert placed.loc[customer, "expected_spend"] == pytest.approx(did["spend"].mean())
    # silence is the risk axis, past spend the value axis
    silent = (now["T"] - now["recency"]).groupby(placed["risk_tier"]).agg(["min", "max"])
    assert silent.loc["low", "max"] <= silent.loc["mid", "min"] <= silent.loc["mid", "max"] <= silent.loc["high", "min"]


def test_a_cell_that_was_empty_a_period_ago_is_forecast_as_the_mean_of_all() -> None:
    def summary(spend: list[float]) -> pd.DataFrame:
        return pd.DataFrame({"recency": [0.0, 5, 9], "T": 10.0, "monetary_value": spend, "monetary_days": 1.0})

    outcomes = pd.DataFrame({"purchases": [0.0, 0, 3], "spend": [0.0, 0, 60]})
    placed = rfm_rival(summary([1, 2, 3]), summary([3, 2, 1]), outcomes).placed
    assert placed["churn_probability"].tolist() == pytest.approx([2 / 3, 1, 2 / 3]), "only (mid, mid) had anybody"
    assert placed["expected_spend"].tolist() == pytest.approx([20, 0, 20])
