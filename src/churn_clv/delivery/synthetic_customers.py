"""Made-up customers as a model reads them: for golden rows and examples, so that no real one leaves the run."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

from churn_clv.customer_table import attribute_levels
from churn_clv.data.contract import Columns
from churn_clv.data.feature_names import event_columns
from churn_clv.data.simulate import simulate_log
from churn_clv.data.transactions import read_transactions
from churn_clv.score import FittedModels, trained_attributes
from churn_clv.score_log import customer_table

CUSTOMERS = 64
AS_OF = date(2024, 12, 31)
_STRANGER = "a level never seen"


def synthetic_log(customers: int = CUSTOMERS) -> pd.DataFrame:
    """Return a log of made-up customers with every column that a model may read, dates and ids as text."""
    log = simulate_log(customers=customers, seed=8, start=date(2023, 1, 1), days=730, arrival_days=700)
    line = np.arange(len(log))
    return log.assign(
        customer_id="synthetic-" + log["customer_id"].astype("str"),
        date=log["date"].dt.strftime("%Y-%m-%d"),
        margin=(log["amount"] * 0.3).round(2),
        order_id=[f"o{k}" for k in line // 2],
        product_id=[f"p{k}" for k in line * 7 % 23],
        quantity=(line % 4 + 1).astype(float),
        channel=np.where(line % 3 == 0, "shop", "web"),
    )


def synthetic_customers(models: FittedModels) -> pd.DataFrame:
    """Return the customer table of made-up customers: every attribute and kind of event, some of them unknown."""
    columns = Columns(
        amount="amount" if models.spend is not None else None, order_id="order_id", product_id="product_id",
        quantity="quantity", channel="channel",
    )  # fmt: skip
    log = read_transactions(synthetic_log(), columns)
    ids = pd.Index(sorted(synthetic_log()["customer_id"].unique()), name="customer_id")
    table = customer_table(models, log, AS_OF, _attributes(models, ids))
    place = np.arange(len(table))
    counts = {
        name: np.where(place % 5 == 0, np.nan, (place * (k + 3) % 11).astype(float))
        for k, name in enumerate(event_columns(models.settings.event_kinds))
    }
    return table.assign(**counts)


def _attributes(models: FittedModels, ids: pd.Index) -> pd.DataFrame:
    levels, ranges = attribute_levels(models), _ranges(models)
    place = np.arange(len(ids))
    found = pd.DataFrame(index=ids)
    cost = models.accounts.cost_to_serve
    for k, name in enumerate(trained_attributes(models) + ([] if cost is None else [cost])):
        if name in levels:
            choices = [*levels[name], _STRANGER, None]
            found[name] = pd.Series([choices[p] for p in (place + k) % len(choices)], index=ids, dtype="str")
        else:
            low, high = ranges.get(name, (0.0, 1.0))
            found[name] = np.where((place + k) % 7 == 0, np.nan, low + (high - low) * (place * (k + 2) % 13) / 12)
    return found


def _ranges(models: FittedModels) -> dict[str, tuple[float, float]]:
    found: dict[str, tuple[float, float]] = {}
    for trees in (models.churn.trees, *models.value.trees):
        if trees is not None:
            found |= {name: (low, high) for name, low, high in trees.feature_ranges_.dropna().itertuples()}
    return found
