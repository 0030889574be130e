"""Whether a grid may be acted on: one table of criteria, each with its figure, its limit and what it says in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

from churn_clv.segments.grid import TERCILES, Cuts, Grid, ValueShares, cell_table, exact_cuts
from churn_clv.segments.quality import effective_number
from churn_clv.segments.rfm_rival import Rival, require_outcomes

CHURN_GAP = 0.03
SPEND_GAP = 0.15
EFFECTIVE_CELLS = 7.5
RANK_CORRELATION = 0.5
THRESHOLD_CV = 0.03
SAME_CELL = 0.75
IDENTITY = 1e-9


class Verdict(NamedTuple):
    figure: float
    limit: float
    passes: bool | None
    words: str


class _Gap(NamedTuple):
    """A cell's forecast beside what happened, with the interval of what happened."""

    cell: str
    forecast: float
    realised: float
    low: float
    high: float


def accept(
    grid: Grid,
    judged: pd.DataFrame,
    outcomes: pd.DataFrame,
    *,
    value_cuts: Cuts = "terciles",
    risk_cuts: Cuts = "terciles",
    earlier: pd.DataFrame | None = None,
    rival: Rival | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Judge a grid by every criterion of the acceptance list.

    Parameters
    ----------
    grid
        The frozen cuts.
    judged
        Customers placed by scores made at the holdout's start: risk_tier, value_tier, churn_probability, expected_spend,
        value_if_active, value_at_risk (currency).
    outcomes
        purchases and spend (currency) in the holdout of every judged customer.
    value_cuts, risk_cuts
        How the cuts were chosen, as given to `freeze_grid`; fixed cuts have no sampling error, and the number of
        effective cells is told but not gated.
    earlier
        risk_tier and value_tier by the same cuts one period before; without it the same cell cannot be told.
    rival
        An RFM grid (`rfm_rival`); without it there is nothing to beat.
    seed
        Of the bootstrap of the cuts.

    Returns
    -------
    DataFrame indexed by criterion: figure, limit (not a number where it is not gated), passes (True, False, or None
    where these customers cannot tell), words (one sentence that names the exceptions).

    monotone_churn, monotone_spend
        Neighbouring cells in the wrong order: realised churn along risk in each value tier, realised spend along value
        in each risk tier. None where every exception is within the two cells' 95 % intervals.
    calibration_churn, calibration_spend, buyers_spend
        Cells off: churn by more than .03, spend a customer, or a buyer's spend against V_act, by more than 15 %, and
        outside the cell's 95 % interval. A cell without buyers, or with one member, says nothing about spend.
    effective_cells
        Exponential of the entropy of the cells' shares.
    rank_correlation
        Spearman's, of churn_probability and the value axis.
    threshold_cv
        Coefficient of variation of the least stable cut, before rounding, over resampled customers.
    same_cell
        Share of those placed both times who are in the same cell.
    identity
        Largest relative gap between expected_spend + value_at_risk and value_if_active.
    rfm_monotone, rfm_calibration
        Wrongly ordered neighbours, no more than the rival's; and the mean gap of a customer's cell in tolerances
        (.03 and 15 % are one each), below the rival's.

    Raises
    ------
    ValueError
        If nobody is judged, a score is missing, an id occurs twice or a judged customer has no outcome.

    Examples
    --------
    >>> judged = pd.DataFrame({"churn_probability": [0.2, 0.8] * 50, "value_if_active": 10.0, "value_tier": "all"})
    >>> judged = judged.assign(expected_spend=[8.0, 2.0] * 50, value_at_risk=[2.0, 8.0] * 50)
    >>> judged["risk_tier"] = ["low", "high"] * 50
    >>> outcomes = pd.DataFrame({"purchases": [1, 0, 1, 0, 1, 0, 1, 0, 0, 1] * 10}).assign(spend=lambda o: o * 10.0)
    >>> accept(Grid((), (0.5,)), judged, outcomes, risk_cuts=[0.5]).loc["monotone_churn", "passes"]
    True
    """
    _require(judged, outcomes, rival)
    cells = _cells(grid, judged, outcomes)
    terciles = all(cuts in ("terciles", TERCILES) for cuts in (value_cuts, risk_cuts))
    verdicts = {
        "monotone_churn": _monotone(grid, cells, "churn"),
        "monotone_spend": _monotone(grid, cells, "spend"),
        "calibration_churn": _calibrated(_churn_gaps(cells), CHURN_GAP, relative=False),
        "calibration_spend": _calibrated(_spend_gaps(cells), SPEND_GAP, relative=True),
        "effective_cells": _effective_cells(cells, terciles),
        "rank_correlation": _rank_correlation(grid, judged),
        "threshold_cv": _threshold_cv(grid, judged, value_cuts, risk_cuts, seed),
        "same_cell": _same_cell(judged, earlier),
        "identity": _identity(judged),
        "buyers_spend": _calibrated(_buyers_gaps(judged, outcomes), SPEND_GAP, relative=True),
        "rfm_monotone": _beats_in_order(grid, cells, rival, outcomes),
        "rfm_calibration": _beats_in_level(cells, rival, outcomes),
    }
    table = pd.DataFrame(verdicts.values(), index=pd.Index(verdicts, name="criterion"), columns=list(Verdict._fields))
    return table.astype({"passes": object})


def _cells(grid: Grid, placed: pd.DataFrame, outcomes: pd.DataFrame) -> pd.DataFrame:
    """The judged cells; what a scheme does not forecast is not a number."""
    summed = ["churn_probability", "expected_spend", "value_if_active", "value_at_risk", "clv"]
    scores = placed.reindex(columns=["risk_tier", "value_tier", *summed])
    return cell_table(grid, scores, outcomes.reindex(placed.index))


def _neighbours(grid: Grid, what: str) -> Iterator[tuple[tuple[str, str], tuple[str, str]]]:
    """Cells of which the first should have the lower realised figure."""
    if what == "churn":
        for value in grid.value_tiers:
            for low, high in zip(grid.risk_tiers, grid.risk_tiers[1:], strict=False):
                yield (low, value), (high, value)
        return
    for risk in grid.risk_tiers:
        for low, high in zip(grid.value_tiers, grid.value_tiers[1:], strict=False):
            yield (risk, low), (risk, high)


def _wrong_order(grid: Grid, cells: pd.DataFrame, what: str) -> tuple[int, list[tuple[str, bool]]]:
    """Number of neighbours that compare, and the wrongly ordered: in words, and whether their intervals overlap."""
    compared, wrong = 0, []
    for low, high in _neighbours(grid, what):
        lower, upper = cells.loc[low], cells.loc[high]
        if not (lower["customers"] and upper["customers"]):
            continue
        compared += 1
        if lower[f"realised_{what}"] > upper[f"realised_{what}"]:
            # No interval (one member) excludes nothing.
            overlap = not lower[f"realised_{what}_low"] > upper[f"realised_{what}_high"]
            words = f"{_said(lower, what, low)} above {_said(upper, what, high)}"
            wrong.append((f"{words}, intervals {'overlap' if overlap else 'apart'}", overlap))
    return compared, wrong


def _said(cell: pd.Series, what: str, name: tuple[str, str]) -> str:
    form = "{:.2f}" if what == "churn" else "{:.4g}"
    value, low, high = (form.format(cell[f"realised_{what}{end}"]) for end in ("", "_low", "_high"))
    return f"{_name(name)} {value} ({low} to {high})"


def _name(cell: tuple[str, str]) -> str:
    return f"risk {cell[0]}, value {cell[1]}"


def _monotone(grid: Grid, cells: pd.DataFrame, what: str) -> Verdict:
    compared, wrong = _wrong_order(grid, cells, what)
    pairs = len(list(_neighbours(grid, what)))
    along = "churn along risk" if what == "churn" else "spend along value"
    if not compared:
        return Verdict(np.nan, 0, None, f"No two neighbouring cells with customers to compare {along}")
    told = f"Realised {along} does not fall in {compared - len(wrong)} of {compared} pairs of neighbouring cells"
    if compared < pairs:
        told += f" ({pairs - compared} more have an empty cell)"
    passes = None if wrong and all(overlap for _, overlap in wrong) else not wrong
    return Verdict(len(wrong), 0, passes, "; ".join([told, *[words for words, _ in wrong]]))


def _churn_gaps(cells: pd.DataFrame) -> list[_Gap]:
    columns = ["churn_probability", "realised_churn", "realised_churn_low", "realised_churn_high"]
    return [_Gap(_name(cell), *row[columns]) for cell, row in cells[cells["customers"] > 0].iterrows()]


def _spend_gaps(cells: pd.DataFrame) -> list[_Gap]:
    told = cells.assign(forecast=cells["expected_spend"] / cells["customers"].where(cells["customers"] > 0))
    told = told[(told["customers"] > 1) & (told["realised_spend"] != 0)]
    columns = ["forecast", "realised_spend", "realised_spend_low", "realised_spend_high"]
    return [_Gap(_name(cell), *row[columns]) for cell, row in told.iterrows()]


def _buyers_gaps(judged: pd.DataFrame, outcomes: pd.DataFrame) -> list[_Gap]:
    """V_act of those who bought, a cell, beside what they spent."""
    buyers = judged[["risk_tier", "value_tier", "value_if_active"]].join(outcomes[["purchases", "spend"]])
    buyers = buyers[buyers["purchases"] > 0]
    gaps = []
    for cell, members in buyers.groupby(["risk_tier", "value_tier"]):
        if len(members) > 1:
            mean = members["spend"].mean()
            error = 1.96 * members["spend"].std(ddof=1) / np.sqrt(len(members))
            gaps.append(_Gap(_name(cell), members["value_if_active"].mean(), mean, mean - error, mean + error))
    return gaps


def _calibrated(gaps: list[_Gap], tolerance: float, relative: bool) -> Verdict:
    if not gaps:
        return Verdict(np.nan, 0, None, "No cell has enough customers who bought to tell")
    beyond = [gap for gap in gaps if not gap.low <= gap.forecast <= gap.high]
    off = [g for g in beyond if abs(g.forecast - g.realised) > tolerance * (abs(g.realised) if relative else 1)]
    limit = f"{tolerance:.0%}" if relative else f"{tolerance:g}"
    told = f"{len(gaps) - len(off)} of {len(gaps)} cells within {limit} of what happened or inside its 95 % interval"
    named = [f"{g.cell} forecast {g.forecast:.4g}, was {g.realised:.4g} ({g.low:.4g} to {g.high:.4g})" for g in off]
    return Verdict(len(off), 0, not off, "; ".join([told, *named]))


def _effective_cells(cells: pd.DataFrame, terciles: bool) -> Verdict:
    effective = effective_number(cells.loc[cells["share"] > 0, "share"].to_numpy(dtype=float))
    told = f"The customers spread over {effective:.1f} effective cells of {len(cells)}"
    if terciles:
        return Verdict(effective, EFFECTIVE_CELLS, effective >= EFFECTIVE_CELLS, told)
    return Verdict(effective, np.nan, None, f"{told}; not gated, as the cuts are not terciles of both axes")


def _rank_correlation(grid: Grid, judged: pd.DataFrame) -> Verdict:
    risk, value = judged["churn_probability"].rank(), judged[grid.value_axis].rank()
    if min(risk.nunique(), value.nunique()) < 2:
        return Verdict(np.nan, RANK_CORRELATION, None, "An axis has one value only: no correlation")
    rho = float(np.corrcoef(risk, value)[0, 1])
    return Verdict(
        rho, RANK_CORRELATION, abs(rho) <= RANK_CORRELATION, f"Risk and value rank with correlation {rho:.2f}"
    )


def _threshold_cv(grid: Grid, judged: pd.DataFrame, value_cuts: Cuts, risk_cuts: Cuts, seed: int) -> Verdict:
    rng = np.random.default_rng(seed)
    found = {}
    for name, column, cuts in (("value", grid.value_axis, value_cuts), ("risk", "churn_probability", risk_cuts)):
        for k, cv in enumerate(_cut_cvs(judged[column].to_numpy(dtype=float), cuts, rng), start=1):
            found[f"{name} cut {k}"] = cv
    if not found:
        return Verdict(0.0, THRESHOLD_CV, True, "The cuts are fixed: other customers would not move them")
    worst = max(found, key=lambda name: found[name])
    told = f"On resampled customers the least stable cut, {worst}, varies by {found[worst]:.1%}"
    return Verdict(found[worst], THRESHOLD_CV, found[worst] <= THRESHOLD_CV, told)


def _cut_cvs(values: np.ndarray, cuts: Cuts, rng: np.random.Generator, draws: int = 1000) -> list[float]:
    """Coefficient of variation of each cut over bootstrap samples; none for fixed cuts.

    The k-th smallest of n resampled values is the sorted value at n times a Beta(k, n + 1 - k) draw, the k-th smallest
    of n uniforms: exact, and no sample has to be drawn.
    """
    if isinstance(cuts, list):
        return []
    ordered, n = np.sort(values), len(values)
    if isinstance(cuts, ValueShares):
        drawn = [exact_cuts(pd.Series(ordered[rng.integers(n, size=n)]), cuts) for _ in range(draws // 5)]
        return [_variation(cut) for cut in np.array(drawn).T]
    found = []
    for share in (TERCILES if isinstance(cuts, str) else cuts).shares:
        k = 1 + round(share * (n - 1))
        found.append(_variation(ordered[np.minimum((n * rng.beta(k, n + 1 - k, draws)).astype(int), n - 1)]))
    return found


def _variation(cuts: np.ndarray) -> float:
    return float(cuts.std(ddof=1) / abs(cuts.mean())) if cuts.std() > 0 else 0.0


def _same_cell(judged: pd.DataFrame, earlier: pd.DataFrame | None) -> Verdict:
    if earlier is None:
        return Verdict(np.nan, SAME_CELL, None, "No earlier placement to compare with")
    both = judged.index.intersection(earlier.index)
    if both.empty:
        return Verdict(np.nan, SAME_CELL, None, "Nobody was placed both times")
    tiers = ["risk_tier", "value_tier"]
    same = float((judged.loc[both, tiers] == earlier.loc[both, tiers]).all(axis=1).mean())
    told = (
        f"{same:.0%} of {len(both)} customers placed both times are in the same cell; "
        f"{len(judged) - len(both)} are new, {len(earlier) - len(both)} gone"
    )
    return Verdict(same, SAME_CELL, same >= SAME_CELL, told)


def _identity(judged: pd.DataFrame) -> Verdict:
    gap = (judged["expected_spend"] + judged["value_at_risk"] - judged["value_if_active"]).abs()
    worst = float((gap / judged["value_if_active"].abs().clip(lower=1e-12)).max())
    told = f"Expected spend and value at risk add up to value if active within {worst:.1g} of it"
    return Verdict(worst, IDENTITY, worst <= IDENTITY, told)


def _beats_in_order(grid: Grid, cells: pd.DataFrame, rival: Rival | None, outcomes: pd.DataFrame) -> Verdict:
    if rival is None:
        return Verdict(np.nan, np.nan, None, "No RFM grid to compare with")
    theirs = _cells(rival.grid, rival.placed, outcomes)
    counts = []
    for scheme, table in ((grid, cells), (rival.grid, theirs)):
        found = [_wrong_order(scheme, table, what) for what in ("churn", "spend")]
        counts.append((sum(len(wrong) for _, wrong in found), sum(compared for compared, _ in found)))
    (ours, pairs), (others, other_pairs) = counts
    if not pairs or not other_pairs:
        return Verdict(ours, others, None, "A grid has no neighbouring cells to compare")
    told = f"{ours} of {pairs} neighbouring cells in the wrong order; RFM 3 x 3: {others} of {other_pairs}"
    return Verdict(ours, others, ours <= others, told)


def _beats_in_level(cells: pd.DataFrame, rival: Rival | None, outcomes: pd.DataFrame) -> Verdict:
    if rival is None or not {"churn_probability", "expected_spend"} <= set(rival.placed.columns):
        return Verdict(np.nan, np.nan, None, "No RFM grid with forecasts to compare with")
    ours, theirs = _mean_gap(cells), _mean_gap(_cells(rival.grid, rival.placed, outcomes))
    told = f"Cells are off by {ours:.2f} tolerances on average over customers; RFM 3 x 3 by {theirs:.2f}"
    return Verdict(ours, theirs, ours < theirs if np.isfinite([ours, theirs]).all() else None, told)


def _mean_gap(cells: pd.DataFrame) -> float:
    """Mean over customers of the cell's gaps in churn and spend, each in tolerances.

    Spend gaps are relative to the mean spend of all: those of a cell where nearly nobody buys would drown the rest.
    """
    held = cells[cells["customers"] > 0]
    n = held["customers"]
    everyone = (held["realised_spend"] * n).sum() / n.sum()
    churn = (held["churn_probability"] - held["realised_churn"]).abs() / CHURN_GAP
    spend = (held["expected_spend"] / n - held["realised_spend"]).abs() / (SPEND_GAP * everyone)
    return float((((churn + spend) / 2) * n).sum() / n.sum()) if everyone > 0 else np.nan


def _require(judged: pd.DataFrame, outcomes: pd.DataFrame, rival: Rival | None) -> None:
    for name, frame in (("judged", judged), ("outcomes", outcomes)):
        if frame.empty:
            raise ValueError(f"{name} has no customers: nothing to judge a grid by")
        if not frame.index.is_unique:
            raise ValueError(f"{name}: {int(frame.index.duplicated().sum())} rows repeat a customer id; want one each")
    scores = ["risk_tier", "value_tier", "churn_probability", "expected_spend", "value_if_active", "value_at_risk"]
    missing = int(judged[scores].isna().any(axis=1).sum())
    if missing:
        raise ValueError(f"{missing} of {len(judged)} judged customers lack a score or tier; want {scores}")
    require_outcomes(outcomes.reindex(judged.index))
    strange = 0 if rival is None else len(judged.index.symmetric_difference(rival.placed.index))
    if strange:
        raise ValueError(f"{strange} customers are in only one of the judged grid and its rival; place the same ones")
