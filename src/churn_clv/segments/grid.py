"""The value-by-risk grid: frozen cut points, customers placed by them, one row a cell.

The risk axis R is the probability of no purchase in the horizon. The value axis is value if active,
V_act = E[spend | at least one purchase]: expected spend V_res = (1 - R) V_act already contains the risk, so a grid
of V_res and R counts it twice. Another axis can be named, to compare.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from churn_clv.segments.concentration import reaching
from churn_clv.segments.playbook import Playbook, default_playbook

ValueAxis = Literal["value_if_active", "expected_spend", "expected_spend_per_purchase"]
VALUE_AXES: tuple[ValueAxis, ...] = get_args(ValueAxis)


@dataclass(frozen=True)
class Quantiles:
    """Cut points where these shares of the customers lie below: (0.5, 0.9) makes a lower half and an upper tenth."""

    shares: tuple[float, ...]


@dataclass(frozen=True)
class ValueShares:
    """Cut points from which the customers above bring these shares of the total: (0.8, 0.95) makes Pareto's tiers."""

    shares: tuple[float, ...]


TERCILES = Quantiles((1 / 3, 2 / 3))
Cuts = Literal["terciles"] | list[float] | Quantiles | ValueShares


@dataclass(frozen=True)
class Grid:
    """Cut points of both axes, taken once at a reference snapshot: customers move, cuts do not.

    value_axis: the score that the value tiers cut.
    """

    value_cuts: tuple[float, ...]
    risk_cuts: tuple[float, ...]
    value_axis: ValueAxis = "value_if_active"

    @property
    def value_tiers(self) -> list[str]:
        return _tier_names(len(self.value_cuts) + 1)

    @property
    def risk_tiers(self) -> list[str]:
        return _tier_names(len(self.risk_cuts) + 1)

    def to_dict(self) -> dict[str, Any]:
        return {
            "value_cuts": list(self.value_cuts),
            "risk_cuts": list(self.risk_cuts),
            "value_axis": self.value_axis,
        }

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Grid:
        value, risk = (tuple(map(float, content[name])) for name in ("value_cuts", "risk_cuts"))
        return cls(value, risk, content["value_axis"])


def freeze_grid(
    value: pd.Series,
    churn_probability: pd.Series,
    value_cuts: Cuts,
    risk_cuts: Cuts,
    value_axis: ValueAxis = "value_if_active",
) -> Grid:
    """Take the cut points from a reference snapshot and round them to what a person can remember.

    Parameters
    ----------
    value, churn_probability
        One value a customer at the reference snapshot (the scores made at calibration_end).
    value_cuts, risk_cuts
        ``"terciles"`` of the snapshot, other quantiles, shares of its total, or fixed cut points in increasing order.
    value_axis
        The score that `value` is.

    Returns
    -------
    Grid. Equal cut points (as when all customers have the same value) are one cut, and the axis has fewer tiers.

    Raises
    ------
    ValueError
        If a customer lacks either score.

    Examples
    --------
    >>> spend, risk = pd.Series(np.arange(1.0, 100)), pd.Series(np.linspace(0.01, 0.99, 99))
    >>> freeze_grid(spend, risk, "terciles", [0.3, 0.6]).value_cuts
    (34.0, 66.0)
    >>> freeze_grid(pd.Series([70.0, 10, 10, 6, 4]), pd.Series(0.5, range(5)), ValueShares((0.8, 0.95)), [0.3, 0.6]).value_cuts
    (6.0, 10.0)
    """
    _require_scores(pd.DataFrame({value_axis: value, "churn_probability": churn_probability}), value_axis)
    return Grid(_cuts(value, value_cuts), _cuts(churn_probability, risk_cuts), value_axis)


def place(grid: Grid, scores: pd.DataFrame, playbook: Playbook | None = None) -> pd.DataFrame:
    """Return value_tier, risk_tier, segment and action of each customer; a value on a cut belongs to the upper tier.

    playbook: names the cells and their actions; None is the one that comes with the package.
    """
    _require_scores(scores, grid.value_axis)
    value = np.searchsorted(grid.value_cuts, scores[grid.value_axis], side="right")
    risk = np.searchsorted(grid.risk_cuts, scores["churn_probability"], side="right")
    tiers = [(v, r) for v in grid.value_tiers for r in grid.risk_tiers]
    cell = value * len(grid.risk_tiers) + risk
    names = [_named(v, r, playbook) for v, r in tiers]
    table = pd.DataFrame(tiers, columns=["value_tier", "risk_tier"]).join(pd.DataFrame(names))
    return table.iloc[cell].set_index(scores.index)


def cell_table(
    grid: Grid, scores: pd.DataFrame, outcomes: pd.DataFrame | None = None, playbook: Playbook | None = None
) -> pd.DataFrame:
    """Add up each cell; with outcomes, put what its members really did beside it.

    Parameters
    ----------
    scores
        Placed customers: value_tier, risk_tier, churn_probability, expected_spend, value_if_active, value_at_risk, clv.
    outcomes
        purchases and spend in the holdout, of customers *placed by scores made at its start*; None for forecasts.
    playbook
        As in `place`.

    Returns
    -------
    DataFrame indexed by (risk_tier, value_tier), every cell of the grid, empty ones included: customers, share,
    churn_probability (mean), expected_spend, value_at_risk and clv (totals, currency), and with outcomes
    realised_churn, realised_churn_low and _high (Wilson 95 %), realised_spend (mean a customer, currency) with
    _low and _high (normal 95 %).
    """
    cells = pd.MultiIndex.from_product([grid.risk_tiers, grid.value_tiers], names=["risk_tier", "value_tier"])
    groups = scores.groupby(["risk_tier", "value_tier"])
    table = groups.agg(
        customers=("churn_probability", "size"),
        churn_probability=("churn_probability", "mean"),
        expected_spend=("expected_spend", "sum"),
        value_if_active=("value_if_active", "mean"),
        value_at_risk=("value_at_risk", "sum"),
        clv=("clv", "sum"),
    ).reindex(cells)
    sums = ["customers", "expected_spend", "value_at_risk", "clv"]
    table[sums] = table[sums].fillna(0)
    table["customers"] = table["customers"].astype(int)
    table.insert(1, "share", table["customers"] / max(len(scores), 1))
    names = pd.DataFrame([_named(v, r, playbook) for r, v in cells], index=cells)
    table = names.join(table)
    return table if outcomes is None else table.join(_realised(scores, outcomes).reindex(cells))


def _realised(scores: pd.DataFrame, outcomes: pd.DataFrame) -> pd.DataFrame:
    joined = scores[["risk_tier", "value_tier"]].join(
        outcomes[["purchases", "spend"]], how="left", validate="one_to_one"
    )
    joined["churned"] = (joined["purchases"] == 0).astype(float)
    groups = joined.groupby(["risk_tier", "value_tier"])
    n, churn = groups.size(), groups["churned"].mean()
    low, high = wilson(churn, n)
    spend, error = groups["spend"].mean(), 1.96 * groups["spend"].std(ddof=1) / np.sqrt(n)
    return pd.DataFrame({
        "realised_churn": churn, "realised_churn_low": low, "realised_churn_high": high,
        "realised_spend": spend, "realised_spend_low": spend - error, "realised_spend_high": spend + error,
    })  # fmt: skip


def wilson(rate: pd.Series, n: pd.Series, z: float = 1.96) -> tuple[pd.Series, pd.Series]:
    """Wilson's 95 % interval of a proportion: stays inside [0, 1] in small cells."""
    centre = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z * np.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return centre - half, centre + half


def _cuts(values: pd.Series, cuts: Cuts) -> tuple[float, ...]:
    if isinstance(cuts, list):
        return tuple(cuts)
    above = values[values > values.min()]
    if above.empty:
        return ()
    # Where most customers share the lowest value, the next value up is the first that separates any.
    exact = np.unique(np.maximum(exact_cuts(values, TERCILES if isinstance(cuts, str) else cuts), above.min()))
    for digits in (2, 3, 4):
        rounded = np.array([float(f"{cut:.{digits}g}") for cut in exact])
        # Rounding must not move a cut across another one, nor past the bulk of a narrow distribution.
        if np.all(np.diff(rounded) > 0) and _splits_alike(values, exact, rounded):
            return tuple(rounded.tolist())
    return tuple(exact.tolist())


def exact_cuts(values: pd.Series, cuts: Quantiles | ValueShares) -> np.ndarray:
    """Return the cut points of a snapshot before rounding, in increasing order."""
    if isinstance(cuts, Quantiles):
        return np.quantile(values, cuts.shares)
    amounts = -np.sort(-values.to_numpy(dtype=float))
    if amounts.sum() <= 0:
        return np.array([])
    return np.sort([amounts[reaching(amounts, share)] for share in cuts.shares])


def _named(value_tier: str, risk_tier: str, playbook: Playbook | None) -> dict[str, str]:
    plan = (playbook or default_playbook()).plan_for(value_tier, risk_tier)
    return {"segment": plan.segment, "action": plan.action}


def _require_scores(scores: pd.DataFrame, value_axis: str) -> None:
    missing = int(scores[[value_axis, "churn_probability"]].isna().any(axis=1).sum())
    if missing:
        raise ValueError(
            f"{missing} of {len(scores)} customers lack {value_axis} or churn_probability: no cell for them"
        )


def _splits_alike(values: pd.Series, exact: np.ndarray, rounded: np.ndarray) -> bool:
    """Whether rounding moves at most one customer in fifty to another tier."""
    moved = np.searchsorted(exact, values, side="right") != np.searchsorted(rounded, values, side="right")
    return bool(moved.mean() <= 0.02)


def _tier_names(count: int) -> list[str]:
    named = {1: ["all"], 2: ["low", "high"], 3: ["low", "mid", "high"]}
    return named.get(count, [f"{k} of {count}" for k in range(1, count + 1)])
