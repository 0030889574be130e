"""How few customers bring how much of the value: the concentration curve, the 80 % share and the Gini index."""

from __future__ import annotations

import numpy as np
import pandas as pd


def concentration_curve(value: pd.Series) -> pd.DataFrame:
    """Return the share of the total value that the best customers bring, best first.

    Parameters
    ----------
    value
        One amount a customer (currency); customers without one (missing) take no part. With negative amounts the curve
        rises above 1 before it comes down to it: the first customers earn what the last ones cost.

    Returns
    -------
    DataFrame with customers_share and value_share, from (0, 0) to (1, 1), one row a distinct amount, so that equal
    customers are one straight piece. value_share is missing where the total is not positive: it has no shares.

    References
    ----------
    Lorenz (1905), Publications of the American Statistical Association 9(70); Kaplan & Narayanan (2001), Journal of
    Cost Management 15(5), for the curve with losses.

    Examples
    --------
    >>> concentration_curve(pd.Series([10.0, 70.0, 10.0, 10.0])).round(2).to_numpy().tolist()
    [[0.0, 0.0], [0.25, 0.7], [1.0, 1.0]]
    """
    distinct, counts = np.unique(value.dropna().to_numpy(dtype=float), return_counts=True)
    people, money = counts[::-1], (distinct * counts)[::-1]
    total = money.sum()
    bottom = total if total > 0 else np.nan
    shares = {"customers_share": np.cumsum(people) / max(people.sum(), 1), "value_share": np.cumsum(money) / bottom}
    start = pd.DataFrame({"customers_share": [0.0], "value_share": [0.0 if total > 0 else np.nan]})
    return pd.concat([start, pd.DataFrame(shares)], ignore_index=True)


def share_bringing(value: pd.Series, share: float = 0.8) -> float:
    """Return the smallest share of customers that together bring a share of the total value.

    Whole customers are counted; which of several equal ones makes no difference. Missing where the total is not positive.

    Raises
    ------
    ValueError
        If `share` is not above 0 and at most 1.

    Examples
    --------
    >>> share_bringing(pd.Series([10.0, 70.0, 10.0, 10.0]))
    0.5
    """
    if not 0 < share <= 1:
        raise ValueError(f"share is {share}: it must be above 0 and at most 1")
    amounts = -np.sort(-value.dropna().to_numpy(dtype=float))
    if not amounts.sum() > 0:
        return float("nan")
    return (reaching(amounts, share) + 1) / len(amounts)


def gini(value: pd.Series) -> float:
    """Return the Gini index of the value: 0 when all bring the same, towards 1 when few bring all.

    Above 1 is possible with negative amounts. Missing where the total is not positive.

    References
    ----------
    Gini (1914), Atti del Reale Istituto Veneto 73; twice the area between the Lorenz curve and the diagonal, without
    a correction for small n.

    Examples
    --------
    >>> gini(pd.Series([0.0, 0.0, 0.0, 5.0]))
    0.75
    """
    curve = concentration_curve(value)
    x, y = curve["customers_share"].to_numpy(), curve["value_share"].to_numpy()
    if np.isnan(y).any():
        return float("nan")
    return float(np.sum(np.diff(x) * (y[1:] + y[:-1])) - 1)


def reaching(amounts: np.ndarray, share: float) -> int:
    """Return the position of the first of amounts (largest first, positive total) up to which `share` is brought."""
    cumulated = np.cumsum(amounts)
    # 1e-12: sums of decimal amounts that are the share exactly may round to just below it
    return int(np.argmax(cumulated >= share * amounts.sum() * (1 - 1e-12)))
