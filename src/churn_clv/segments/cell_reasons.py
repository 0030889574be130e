"""Why the customers of a cell are at risk: the commonest reasons, each with what it says of a typical member."""

from __future__ import annotations

import pandas as pd

from churn_clv.models.reason_phrases import about, said
from churn_clv.models.reasons import LEAST, common_reasons

COLUMNS = ["raises", "raises_share", "raises_too", "raises_too_share", "lowers", "lowers_share"]


def cell_reasons(
    contributions: pd.DataFrame, features: pd.DataFrame, placed: pd.DataFrame, currency: str = "", corrected: str = ""
) -> pd.DataFrame:
    """Name, for each cell, the two commonest reasons that raise its members' risk and the commonest that lowers it.

    Parameters
    ----------
    contributions
        One row a customer: what each feature adds to the log-odds of churn; see `churn_clv.models.reasons.strongest`.
    features
        The values behind them, same index.
    placed
        risk_tier and value_tier, same index.
    currency
        Unit of the amounts.
    corrected
        Name of the purchase model whose forecast the contributions correct; empty where they correct none. What they say
        of its own p_alive is then that such customers come back less, or more, often than it expects.

    Returns
    -------
    DataFrame indexed by (risk_tier, value_tier), one row a cell with members: raises, raises_too and lowers (text with
    the median, or commonest, value of those whom the feature moves that way; None where there is none), each with a
    share (of the cell's customers who have it among their reasons). The three are about different things.

    Raises
    ------
    ValueError
        If the frames are not indexed alike.

    Examples
    --------
    >>> added = pd.DataFrame({"overdue_ratio": [0.6, 0.4, 0.0]}, ["c1", "c2", "c3"])
    >>> known = pd.DataFrame({"overdue_ratio": [3.0, 5.0, 1.0]}, ["c1", "c2", "c3"])
    >>> cell = pd.DataFrame({"risk_tier": "high", "value_tier": "low"}, ["c1", "c2", "c3"])
    >>> cell_reasons(added, known, cell)[["raises", "raises_share"]].round(2).to_numpy().tolist()
    [['silent 4 times as long as their usual gap', 0.67]]
    """
    for name, frame in {"features": features, "placed": placed}.items():
        if not frame.index.equals(contributions.index):
            raise ValueError(
                f"{name} ({len(frame)} rows) is not indexed like contributions ({len(contributions)} rows)"
            )
    rows = {}
    for cell, members in placed.groupby(["risk_tier", "value_tier"], sort=False, observed=True).indices.items():
        rows[cell] = _reasons(contributions.iloc[members], features.iloc[members], currency, corrected)
    index = pd.MultiIndex.from_tuples(rows, names=["risk_tier", "value_tier"])
    return pd.DataFrame(list(rows.values()), index=index, columns=COLUMNS)


def _reasons(contributions: pd.DataFrame, features: pd.DataFrame, currency: str, corrected: str) -> list[object]:
    everyone = pd.Series("cell", index=contributions.index)
    shares = common_reasons(contributions, everyone).droplevel("group")
    raises = _commonest(shares["raises"], 2, [])
    lowers = _commonest(shares["lowers"], 1, raises)
    found: list[object] = []
    for name, column in ((raises[0], "raises"), (raises[1], "raises"), (lowers[0], "lowers")):
        if name is None:
            found += [None, 0.0]
            continue
        direction = 1 if column == "raises" else -1
        typical = _typical(features[name][direction * contributions[name] >= LEAST])
        text = said(name, typical, currency, corrected, direction > 0)
        found += [text, float(shares.loc[name, column])]
    return found


def _commonest(shares: pd.Series, most: int, taken: list[str | None]) -> list[str | None]:
    """The features with the largest shares, none about what another is about; None where there are fewer."""
    topics: set[str] = {about(name) for name in taken if name}
    found: list[str | None] = []
    for name in shares[shares > 0].sort_values(ascending=False, kind="stable").index:
        if len(found) < most and about(name) not in topics:
            found.append(str(name))
            topics.add(about(name))
    return [*found, *[None] * (most - len(found))]


def _typical(values: pd.Series) -> object:
    """The median of numbers, the commonest of categories; a missing value where most are missing."""
    if values.isna().mean() > 0.5:
        return None
    return float(values.median()) if pd.api.types.is_numeric_dtype(values) else values.mode().iloc[0]
