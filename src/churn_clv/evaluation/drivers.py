"""What moves the predicted risk: each feature's contributions, added up over customers and over groups of values."""

from __future__ import annotations

import numpy as np
import pandas as pd

from churn_clv.evaluation.labels import rounded

FEWEST_IN_GROUP = 20
_FEW_VALUES = 5


def drivers(features: pd.DataFrame, contributions: pd.DataFrame) -> pd.DataFrame:
    """Rank features by how far they move the log-odds of churn, and name the values that raise and lower it most.

    Parameters
    ----------
    features, contributions
        Indexed alike; contributions in log-odds, one column a feature. Categories are groups as they are, numbers are
        cut into thirds (five values and fewer stay as they are); groups of under 20 customers are not named.

    Returns
    -------
    DataFrame indexed by feature, strongest first: strength (mean size of the contribution, log-odds), raises and lowers
    (values in words), raises_by and lowers_by (mean contribution of the customers with these values, log-odds).
    Features that move nobody are left out.
    """
    rows = {}
    for name in features.columns:
        by_group = contributions[name].groupby(groups_of(features[name])).agg(["mean", "size"])
        large = by_group.loc[by_group["size"] >= FEWEST_IN_GROUP, "mean"]
        strength = float(contributions[name].abs().mean())
        if strength > 0 and not large.empty:
            rows[name] = (strength, large.idxmax(), float(large.max()), large.idxmin(), float(large.min()))
    columns = ["strength", "raises", "raises_by", "lowers", "lowers_by"]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("feature")
    return table.sort_values("strength", ascending=False)


def groups_of(column: pd.Series) -> pd.Series:
    """Return each row's group in words: its category, its number where there are few, or its third.

    Examples
    --------
    >>> groups_of(pd.Series([*range(9), None])).tolist()[2:]
    ['under 3', '3 to 6', '3 to 6', '3 to 6', '6 and more', '6 and more', '6 and more', 'missing']
    """
    if not pd.api.types.is_numeric_dtype(column):
        words = column.astype("str")
    elif column.nunique() <= _FEW_VALUES:
        words = column.map(rounded)
    else:
        words = _thirds(column)
    return words.where(column.notna(), "missing")


def _thirds(column: pd.Series) -> pd.Series:
    cuts = np.nanquantile(column, [1 / 3, 2 / 3])
    whole = bool((column.dropna() % 1 == 0).all())  # then a cut between two numbers is the upper one
    low, high = (float(f"{cut:.3g}") for cut in (np.ceil(cuts) if whole else cuts))
    names = [f"under {rounded(low)}", f"{rounded(low)} to {rounded(high)}", f"{rounded(high)} and more"]
    third = (column >= low).astype(int) + (column >= high).astype(int)
    return third.map(dict(enumerate(names)))
