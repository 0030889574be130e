"""Try an export's SQL on DuckDB against the Python models, over histories chosen to be hard; add nodes until it holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from churn_clv.data import engine
from churn_clv.delivery.export_query import SUMMARY, scoring_query
from churn_clv.delivery.export_rules import LARGEST_AGE, MOST_PURCHASES, Rows, rule_of
from churn_clv.errors import InputError
from churn_clv.models.clv import discount_nodes, discounted_purchases
from churn_clv.models.gamma_gamma import GammaGammaModel
from churn_clv.models.purchase_model import PurchaseModel, continuous_rate

if TYPE_CHECKING:
    from sqlglot import exp

BOUND = 1e-6
AIM = 1e-7  # nodes are added until the SQL comes this near to Python
NODE_COUNTS = (24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
NOTHING = 1e-100  # numbers below it are all the same
DAYS_PER_YEAR = 365.25


@dataclass(frozen=True)
class Asked:
    """Fitted models and what is asked of them: horizons in days, the yearly discount rate."""

    purchases: PurchaseModel
    spend: GammaGammaModel | None
    horizon: float
    clv_horizon: float
    annual_discount_rate: float

    def scores(self, summary: pd.DataFrame) -> pd.DataFrame:
        """Return the models' own scores of a summary, in the columns of the SQL."""
        bought = self.purchases.expected_purchases(summary, self.horizon)
        discounted = discounted_purchases(
            self.purchases, summary, horizon=self.clv_horizon,
            annual_discount_rate=self.annual_discount_rate, periods_per_year=DAYS_PER_YEAR,
        )  # fmt: skip
        spent = 1.0 if self.spend is None else self.spend.expected_spend(summary)
        columns = {
            "p_alive": self.purchases.probability_alive(summary),
            "probability_no_purchase": self.purchases.probability_no_purchase(summary, self.horizon),
            "expected_purchases": bought, "expected_spend_per_purchase": spent,
            "expected_spend": bought * spent, "clv": discounted * spent,
        }  # fmt: skip
        return pd.DataFrame(columns, index=summary.index)


def near_enough(asked: Asked) -> tuple[exp.Expr, float]:
    """Return the query with the fewest nodes that comes within `AIM`, else the nearest, and its largest relative error.

    Raises
    ------
    InputError
        If even the nearest is beyond `BOUND`.
    """
    summary = hard_histories(asked.spend)
    expected = asked.scores(summary)
    tried = []
    for query in _queries(asked):
        error = largest_error(query, summary, expected)
        tried.append((error, query))
        if error <= AIM:
            break
    error, query = min(tried, key=lambda one: one[0])
    if not error <= BOUND:
        raise InputError(
            f"with {NODE_COUNTS[-1]} nodes the SQL of {asked.purchases!r} still differs from Python by {error:.1g}, "
            f"more than {BOUND:g}: the parameters are beyond what it can integrate; score with churn-clv score"
        )
    return query, error


def hard_histories(spend: GammaGammaModel | None) -> pd.DataFrame:
    """Return histories from one purchase to `MOST_PURCHASES`, from a first day to `LARGEST_AGE`, recent ones and not."""
    purchases = np.array([0, 1, 2, 3, 5, 10, 30, 100, 300, 1000, 3000, 1e4, 1e5, MOST_PURCHASES])
    ages = np.array([0, 0.04, 1, 3, 10, 30, 100, 300, 1000, 3000, 10000, LARGEST_AGE])
    shares = (0.0, 0.3, 0.8, 0.97, 0.999, 1.0)
    rows = [(x, share * T, T) for x, T, share in product(purchases, ages, shares) if x or not share]
    frame = pd.DataFrame(rows, columns=["frequency", "recency", "T"])
    x = frame["frequency"]
    first = 0.0 if spend is None or spend.params_["q"] > 1 else 1.0  # without a purchase behind it there is no mean
    return frame.assign(monetary_value=np.where(frame.index % 7 == 3, -5.0, 37.5), monetary_days=x + first)


def largest_error(query: exp.Expr, summary: pd.DataFrame, expected: pd.DataFrame) -> float:
    """Return the largest relative difference of any score between the query on DuckDB and what is expected."""
    connection = engine.connect(threads=1)
    connection.register(SUMMARY, summary.assign(customer_id=np.arange(len(summary))))
    rows = connection.execute(query.sql("duckdb", identify=True)).df().set_index("customer_id").sort_index()
    connection.close()
    difference = np.abs(rows.to_numpy() - expected.to_numpy()) / (np.abs(expected.to_numpy()) + NOTHING)
    return float(np.inf if np.isnan(difference).any() else difference.max())


def _queries(asked: Asked) -> Iterator[exp.Expr]:
    """The query with more and more nodes."""
    delta = continuous_rate(asked.annual_discount_rate, DAYS_PER_YEAR)
    days, factors = discount_nodes(asked.clv_horizon, delta, asked.purchases.shortest_scale())
    times: Rows = [
        (asked.horizon, 1.0, 1.0),
        *((day, 0.0, f) for day, f in zip(days.tolist(), factors.tolist(), strict=True)),
    ]
    rule = rule_of(asked.purchases, longest=max(asked.horizon, asked.clv_horizon))
    limits = {"horizon": asked.horizon, "largest_age": LARGEST_AGE, "most_purchases": MOST_PURCHASES}
    spend = None if asked.spend is None else asked.spend.params_
    for count in NODE_COUNTS:
        tables: dict[str, tuple[tuple[str, ...], Rows]] = {
            "nodes": (rule.columns, rule.nodes(count)),
            "times": (("days", "is_horizon", "factor"), times),
        }
        yield scoring_query(rule.file, {**rule.numbers, **limits}, tables, spend)
