"""Who moved between two placements of the same customers, where to, and what changed about them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

# In brackets, as lifecycle schemes have a segment called new.
NEW, GONE = "(new)", "(gone)"


class Stability(NamedTuple):
    """How alike two placements are.

    Attributes
    ----------
    customers
        Number of customers in both placements; stayed and kappa are about them.
    stayed
        Share of them in the same segment.
    kappa
        Cohen's kappa: agreement beyond what the segments' sizes bring by chance; 1 is none moved, 0 is chance.
        Not a number where everybody is in one segment both times.
    new, gone
        Number of customers only in the later, or only in the earlier placement.
    """

    customers: int
    stayed: float
    kappa: float
    new: int
    gone: int


def migration_matrix(before: pd.Series, after: pd.Series, order: list[str] | None = None) -> pd.DataFrame:
    """Count the customers by segment before (rows) and after (columns).

    Parameters
    ----------
    before, after
        Segment by customer id at two cutoffs, or of two runs. The ids need not be the same.
    order
        All segments, in the order wanted; without it, in the order of their names.

    Returns
    -------
    DataFrame of counts: one row a segment and, last, ``(new)``, those unknown before; one column a segment and, last,
    ``(gone)``, those no longer placed. It adds up to all customers of either placement.

    Raises
    ------
    ValueError
        If an id occurs twice, a customer has no segment, a segment is not in ``order``, or one is called like NEW or GONE.

    Examples
    --------
    >>> before = pd.Series({"a": "low", "b": "low", "c": "high"})
    >>> after = pd.Series({"b": "high", "c": "high", "d": "low"})
    >>> migration_matrix(before, after, ["low", "high"]).to_dict("split")["data"]
    [[0, 1, 1], [0, 1, 0], [1, 0, 0]]
    """
    names = _segments(before, after, order)
    both = _joined(before, after)
    counts = both.groupby(["before", "after"]).size().unstack(fill_value=0)
    return counts.reindex(index=[*names, NEW], columns=[*names, GONE], fill_value=0)


def row_shares(matrix: pd.DataFrame) -> pd.DataFrame:
    """Return what share of each row went where; a row without anybody is not a number.

    Examples
    --------
    >>> row_shares(pd.DataFrame([[1, 3], [0, 0]], ["low", "high"], ["low", "high"])).loc["low"].tolist()
    [0.25, 0.75]
    """
    total = matrix.sum(axis=1)
    return matrix.div(total.where(total > 0), axis=0)


def flows(before: pd.Series, after: pd.Series, order: list[str] | None = None) -> pd.DataFrame:
    """List the migration matrix: one row for each pair of segments that anybody went between, stayers included.

    Returns
    -------
    DataFrame with columns before, after, customers and share (of those in the segment before; of the new, of all new),
    in the order of the matrix. Parameters and errors are those of `migration_matrix`.

    Examples
    --------
    >>> flows(pd.Series({"a": "low", "b": "low"}), pd.Series({"a": "low", "b": "high"})).to_numpy().tolist()
    [['low', 'high', 1, 0.5], ['low', 'low', 1, 0.5]]
    """
    matrix = migration_matrix(before, after, order)
    pairs = pd.MultiIndex.from_product([matrix.index, matrix.columns], names=["before", "after"])
    values = {"customers": matrix.to_numpy().ravel(), "share": row_shares(matrix).to_numpy().ravel()}
    table = pd.DataFrame(values, index=pairs)
    return table[table["customers"] > 0].reset_index()


def moves(before: pd.Series, after: pd.Series, order: list[str]) -> pd.DataFrame:
    """Say of each customer whether it moved up or down.

    Parameters
    ----------
    before, after
        Segment by customer id.
    order
        All segments, the lowest first.

    Returns
    -------
    DataFrame indexed by the ids of either placement, sorted: before, after, move (up, down, stayed, ``(new)`` or
    ``(gone)``), steps (tiers up, negative down; not a number for the new and the gone).

    Raises
    ------
    ValueError
        As `migration_matrix`.

    Examples
    --------
    >>> before, after = pd.Series({"a": "low", "b": "high"}), pd.Series({"c": "low", "a": "high"})
    >>> moves(before, after, ["low", "high"])["move"].to_dict()
    {'a': 'up', 'b': '(gone)', 'c': '(new)'}
    """
    names = _segments(before, after, order)
    both = _joined(before, after)
    rank = {name: step for step, name in enumerate(names)}
    steps = both["after"].map(rank) - both["before"].map(rank)
    move = np.select(
        [both["before"] == NEW, both["after"] == GONE, steps > 0, steps < 0], [NEW, GONE, "up", "down"], "stayed"
    )
    return both.assign(move=move, steps=steps)


def stability(before: pd.Series, after: pd.Series) -> Stability:
    """Measure how many customers stay in their segment; parameters and errors are those of `migration_matrix`.

    References
    ----------
    Cohen (1960), A Coefficient of Agreement for Nominal Scales, Educational and Psychological Measurement 20(1), 37-46.

    Examples
    --------
    >>> stability(pd.Series({"a": "x", "b": "y", "c": "y"}), pd.Series({"a": "x", "b": "x", "d": "x"}))
    Stability(customers=2, stayed=0.5, kappa=0.0, new=1, gone=1)
    """
    counts = migration_matrix(before, after)
    both = counts.drop(index=NEW, columns=GONE).to_numpy()
    new, gone, n = int(counts.loc[NEW].sum()), int(counts[GONE].sum()), int(both.sum())
    if n == 0:
        return Stability(0, np.nan, np.nan, new, gone)
    agreed = float(np.trace(both) / n)
    chance = float(both.sum(axis=0) @ both.sum(axis=1) / n**2)
    kappa = (agreed - chance) / (1 - chance) if chance < 1 else np.nan
    return Stability(n, agreed, kappa, new, gone)


def what_changed(moved: pd.DataFrame, before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """Rank the features by how differently they changed for those who moved up, or down, than for those who stayed.

    The standardised mean difference divides by the spread of the changes, so features of any unit compare (Cohen's d:
    .2 is small, .8 is large). What changed along with a move need not have caused it.

    Parameters
    ----------
    moved
        Of `moves`.
    before, after
        Features by customer id when each placement was made, with the same columns; numbers, or categories, whose change
        is whether they differ. Ids not in both placements do not count; a feature missing on either side leaves that
        customer out of that feature only, as the numbers of customers show.

    Returns
    -------
    DataFrame with columns move (up or down), feature, difference (standardised; infinite where movers differ and the
    changes have no spread, not a number with fewer than two customers on either side), mean_change_movers and
    mean_change_stayers (in the feature's unit; for categories the share that changed), movers and stayers (customers
    behind the figures), the largest absolute difference first within a move.

    Raises
    ------
    ValueError
        If the columns differ, an id occurs twice, or a customer of both placements has no row of features.

    References
    ----------
    Cohen (1988), Statistical Power Analysis for the Behavioral Sciences, 2nd ed., section 2.2.

    Examples
    --------
    >>> moved = moves(pd.Series("low", list("abcd")), pd.Series(dict(a="high", b="high", c="low", d="low")), ["low", "high"])
    >>> before = pd.DataFrame({"orders": [1.0, 1.0, 1.0, 1.0]}, index=list("abcd"))
    >>> after = pd.DataFrame({"orders": [4.0, 6.0, 1.0, 3.0]}, index=list("abcd"))
    >>> what_changed(moved, before, after)[["move", "feature", "movers", "difference"]].round(2).to_numpy().tolist()
    [['up', 'orders', 2, 2.12]]
    """
    here = moved.index[~moved["move"].isin([NEW, GONE])]
    _same_features(here, before, after)
    move = moved.loc[here, "move"]
    rows = [
        {"move": way, "feature": name, **_compared(change[move == way].dropna(), change[move == "stayed"].dropna())}
        for name, change in ((name, _change(before.loc[here, name], after.loc[here, name])) for name in before)
        for way in ("up", "down")
        if (move == way).any()
    ]
    columns = ["move", "feature", "difference", "mean_change_movers", "mean_change_stayers", "movers", "stayers"]
    table = pd.DataFrame(rows, columns=columns)
    order = table.assign(size=table["difference"].abs(), down=table["move"] == "down")
    return table.loc[order.sort_values(["down", "size"], ascending=[True, False], kind="stable").index].reset_index(
        drop=True
    )


def _change(before: pd.Series, after: pd.Series) -> pd.Series:
    if pd.api.types.is_numeric_dtype(before) and pd.api.types.is_numeric_dtype(after):
        return after.astype(float) - before.astype(float)
    known = before.notna() & after.notna()
    return (before.astype(object) != after.astype(object)).astype(float).where(known)


def _compared(movers: pd.Series, stayers: pd.Series) -> dict[str, float]:
    n, m = len(movers), len(stayers)
    means = {"mean_change_movers": movers.mean(), "mean_change_stayers": stayers.mean(), "movers": n, "stayers": m}
    if min(n, m) < 2:
        return {"difference": np.nan, **means}
    gap = float(movers.mean() - stayers.mean())
    spread = float(np.sqrt(((n - 1) * movers.var() + (m - 1) * stayers.var()) / (n + m - 2)))
    # All changed by the same amount up to rounding: no spread to divide by.
    if spread <= 1e-12 * max(movers.abs().max(), stayers.abs().max()):
        return {"difference": float(np.sign(gap) * np.inf) if abs(gap) > spread else 0.0, **means}
    return {"difference": gap / spread, **means}


def _joined(before: pd.Series, after: pd.Series) -> pd.DataFrame:
    ids = before.index.union(after.index)
    both = {"before": before.astype(object).reindex(ids), "after": after.astype(object).reindex(ids)}
    return pd.DataFrame(both, index=ids).fillna({"before": NEW, "after": GONE})


def _segments(before: pd.Series, after: pd.Series, order: list[str] | None) -> list[str]:
    for when, placed in (("before", before), ("after", after)):
        if not placed.index.is_unique:
            raise ValueError(f"{when}: {int(placed.index.duplicated().sum())} rows repeat a customer id; want one each")
        if placed.isna().any():
            raise ValueError(f"{when}: {int(placed.isna().sum())} of {len(placed)} customers have no segment")
    found = set(before) | set(after)
    if found & {NEW, GONE}:
        raise ValueError(
            f"{sorted(found & {NEW, GONE})} stands for customers not in both placements; rename the segment"
        )
    names = sorted(found) if order is None else list(order)
    if not found <= set(names) or len(set(names)) < len(names):
        raise ValueError(f"order must name each segment once: got {names}, found {sorted(found)}")
    return names


def _same_features(ids: pd.Index, before: pd.DataFrame, after: pd.DataFrame) -> None:
    if list(before.columns) != list(after.columns):
        raise ValueError(f"features before and after differ: {list(before.columns)} and {list(after.columns)}")
    for when, frame in (("before", before), ("after", after)):
        missing = ids.difference(frame.index)
        if not frame.index.is_unique or len(missing):
            raise ValueError(
                f"features {when}: {len(missing)} of {len(ids)} placed customers have no row, "
                f"{int(frame.index.duplicated().sum())} rows repeat an id"
            )
