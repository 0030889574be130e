"""The grid that a run's grid has to beat: RFM 3 x 3, with the forecasts that need no model."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from churn_clv.segments.grid import Grid, freeze_grid


class Rival(NamedTuple):
    """Another grid of the same customers: cut points, and risk_tier, value_tier and perhaps forecasts by customer id."""

    grid: Grid
    placed: pd.DataFrame


def rfm_rival(
    summary: pd.DataFrame, past: pd.DataFrame | None = None, past_outcomes: pd.DataFrame | None = None
) -> Rival:
    """Place customers in an RFM 3 x 3: terciles of the days since the last purchase by terciles of past spend.

    Its forecasts are what a team without models takes: how the members of the same cell did one period before. Cuts are
    terciles of each snapshot, as RFM scores are. A cell that was empty then has the mean of all.

    Parameters
    ----------
    summary
        recency, T (days), monetary_value (currency) and monetary_days at the holdout's start, by customer id.
    past, past_outcomes
        The same one horizon earlier, with purchases and spend in the horizon after it; without them it has no forecasts.

    Examples
    --------
    >>> summary = pd.DataFrame({"recency": [0.0, 5, 9], "T": 10.0, "monetary_value": [1.0, 2, 3], "monetary_days": 1.0})
    >>> rfm_rival(summary).placed.to_numpy().tolist()
    [['high', 'low'], ['mid', 'mid'], ['low', 'high']]
    """
    grid, placed = _rfm_tiers(summary)
    if past is None or past_outcomes is None:
        return Rival(grid, placed)
    _, was = _rfm_tiers(past)
    did = past_outcomes.reindex(was.index)
    require_outcomes(did)
    known = pd.DataFrame({"churn_probability": (did["purchases"] == 0).astype(float), "expected_spend": did["spend"]})
    by_cell = known.groupby([was["risk_tier"], was["value_tier"]]).mean()
    forecast = by_cell.reindex(pd.MultiIndex.from_frame(placed)).fillna(known.mean()).set_axis(placed.index)
    return Rival(grid, placed.join(forecast))


def require_outcomes(outcomes: pd.DataFrame) -> None:
    """Refuse customers whose purchases or spend are missing.

    Raises
    ------
    ValueError
        If there are any.
    """
    missing = int(outcomes[["purchases", "spend"]].isna().any(axis=1).sum())
    if missing:
        raise ValueError(f"{missing} of {len(outcomes)} customers have no outcome (purchases and spend)")


def _rfm_tiers(summary: pd.DataFrame) -> tuple[Grid, pd.DataFrame]:
    silence, spend = summary["T"] - summary["recency"], summary["monetary_value"] * summary["monetary_days"]
    grid = freeze_grid(spend, silence, "terciles", "terciles")
    risk = np.array(grid.risk_tiers)[np.searchsorted(grid.risk_cuts, silence, side="right")]
    value = np.array(grid.value_tiers)[np.searchsorted(grid.value_cuts, spend, side="right")]
    return grid, pd.DataFrame({"risk_tier": risk, "value_tier": value}, index=summary.index, dtype=object)
