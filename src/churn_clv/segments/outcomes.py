"""What the members of each segment of any scheme did in the holdout, beside what was forecast of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from churn_clv.errors import InputError
from churn_clv.segments.grid import wilson

NEEDED = ["churn_probability", "expected_spend", "purchases", "spend"]


def outcomes_by(judged: pd.DataFrame, column: str, order: Sequence[str] | None = None) -> pd.DataFrame:
    """Tabulate realised churn and spend by segment, empty segments included.

    Parameters
    ----------
    judged
        One row a customer, *placed by scores made at the holdout's start*: the segment in `column`, churn_probability,
        expected_spend (currency), and what happened: purchases (purchase days) and spend (currency) in the holdout.
    column
        Name of the column that holds the scheme.
    order
        All segments, in the order wanted; without it those that occur, in the order of their names.

    Returns
    -------
    DataFrame indexed by segment: customers, share, churn_probability and expected_spend (means), realised_churn with
    realised_churn_low and _high (Wilson 95 %), realised_spend (mean a customer, currency) with _low and _high (normal
    95 %; not a number for one customer). A segment without customers has 0 of them and no other figure.

    Raises
    ------
    InputError
        If a column is not there, or a customer has no segment, one that is not in `order`, or no score or outcome.

    References
    ----------
    Wilson (1927), Journal of the American Statistical Association 22(158), 209-212.

    Examples
    --------
    >>> judged = pd.DataFrame({"stage": ["new", "lost", "lost"], "churn_probability": [0.2, 0.8, 1.0],
    ...     "expected_spend": [9.0, 1, 0], "purchases": [2, 0, 0], "spend": [7.0, 0, 0]})
    >>> table = outcomes_by(judged, "stage", ["new", "loyal", "lost"])
    >>> table[["customers", "realised_churn", "realised_spend"]].to_dict("index")["lost"]
    {'customers': 2, 'realised_churn': 1.0, 'realised_spend': 0.0}
    >>> table["customers"].tolist()
    [1, 0, 2]
    """
    names = _segments(judged, column, order)
    groups = judged.assign(churned=(judged["purchases"] == 0).astype(float)).groupby(judged[column].astype(object))
    n = groups.size().reindex(names, fill_value=0).rename_axis(column)
    means = groups[["churn_probability", "expected_spend", "churned", "spend"]].mean().reindex(n.index)
    known = n.where(n > 0)
    low, high = wilson(means["churned"], known)
    error = 1.96 * groups["spend"].std(ddof=1).reindex(n.index) / np.sqrt(known)
    return pd.DataFrame({
        "customers": n, "share": n / max(len(judged), 1),
        "churn_probability": means["churn_probability"], "expected_spend": means["expected_spend"],
        "realised_churn": means["churned"], "realised_churn_low": low, "realised_churn_high": high,
        "realised_spend": means["spend"], "realised_spend_low": means["spend"] - error,
        "realised_spend_high": means["spend"] + error,
    })  # fmt: skip


def _segments(judged: pd.DataFrame, column: str, order: Sequence[str] | None) -> list[str]:
    absent = [name for name in [column, *NEEDED] if name not in judged]
    if absent:
        raise InputError(f"outcomes by {column} need {', '.join(absent)}: not among the judged customers' columns")
    placed = judged[column]
    if placed.isna().any():
        raise InputError(
            f"{int(placed.isna().sum())} of {len(judged)} judged customers have no {column}: place them all"
        )
    found = sorted(set(placed))
    if judged[NEEDED].isna().any(axis=None):
        without = int(judged[NEEDED].isna().any(axis=1).sum())
        raise InputError(f"{without} of {len(judged)} judged customers miss one of {', '.join(NEEDED)}: leave them out")
    unknown = sorted(set(found) - set(found if order is None else order))
    if unknown:
        customers = int(placed.isin(unknown).sum())
        raise InputError(
            f"{column}: {customers} customers are in {unknown}, which is not in the order {list(order or [])}"
        )
    return found if order is None else list(order)
