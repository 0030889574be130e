"""Predicted against actual by tenths of the customers, the highest predictions first."""

from __future__ import annotations

import numpy as np
import pandas as pd

TENTHS = 10


def decile_table(actual: pd.Series, predicted: pd.Series, churned: pd.Series | None = None) -> pd.DataFrame:
    """Add up what was predicted of each tenth of the customers and what they did.

    Customers with equal predictions are all alike to the model: where a cut falls among them, each side gets its part
    of their mean, so that the order of rows does not show. With fewer than ten customers there are fewer rows.

    Parameters
    ----------
    actual, predicted
        One number a customer (purchases, or money), indexed alike.
    churned
        1 where the customer bought nothing, same index.

    Returns
    -------
    DataFrame indexed by decile (1 the highest predictions): customers, predicted_mean, predicted_total, actual_mean,
    actual_total (in the unit of `actual`), actual_over_predicted (NaN where nothing was predicted) and, with `churned`,
    realised_churn (share).

    Raises
    ------
    ValueError
        If the series are not indexed alike, are empty or hold missing values.

    Examples
    --------
    >>> spend = pd.Series([30.0, 0.0, 5.0, 1.0])
    >>> decile_table(spend, pd.Series([20.0, 4.0, 4.0, 1.0]))["actual_total"].tolist()
    [30.0, 2.5, 2.5, 1.0]
    """
    columns = {"predicted": predicted, "actual": actual} | ({} if churned is None else {"churned": churned})
    _check(columns)
    groups = pd.DataFrame({name: c.to_numpy(float) for name, c in columns.items()}).assign(customers=1.0)
    # A second column of the predictions, as grouping takes the first.
    totals = groups.assign(by=-groups["predicted"]).groupby("by").sum().cumsum()
    n = len(predicted)
    cuts = np.unique(np.round(np.arange(TENTHS + 1) * n / TENTHS))
    reached = np.concatenate([[0.0], totals["customers"]])
    cut = {name: np.diff(np.interp(cuts, reached, np.concatenate([[0.0], totals[name]]))) for name in columns}
    return _described(pd.DataFrame(cut).assign(customers=np.diff(cuts).astype(int)))


def _check(columns: dict[str, pd.Series]) -> None:
    index = columns["predicted"].index
    for name, column in columns.items():
        if column.empty or not column.index.equals(index):
            raise ValueError(f"{name} ({len(column)} rows) is empty or not indexed like predicted ({len(index)} rows)")
        if column.isna().any():
            raise ValueError(f"{name} is missing for {int(column.isna().sum())} of {len(column)} customers")


def _described(tenths: pd.DataFrame) -> pd.DataFrame:
    people, promised = tenths["customers"], tenths["predicted"]
    table = pd.DataFrame({
        "customers": people,
        "predicted_mean": promised / people, "predicted_total": promised,
        "actual_mean": tenths["actual"] / people, "actual_total": tenths["actual"],
        "actual_over_predicted": tenths["actual"] / promised.where(promised != 0),
    })  # fmt: skip
    if "churned" in tenths:
        table["realised_churn"] = tenths["churned"] / people
    return table.set_axis(pd.RangeIndex(1, len(table) + 1, name="decile"))
