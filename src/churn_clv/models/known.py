"""What is known of every customer on one day: the input of everything that forecasts a horizon."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import TypeVar

import numpy as np
import pandas as pd

from churn_clv.models.gamma_gamma import GammaGammaModel
from churn_clv.models.purchase_model import PurchaseModel

_Frame = TypeVar("_Frame", pd.DataFrame, pd.Series)


@dataclass(frozen=True)
class Known:
    """One cutoff: summary and features of its customers, and the forecasts of models that know no more than they do.

    Attributes
    ----------
    summary
        frequency, recency, T (days), monetary_value, monetary_days, indexed by customer_id.
    features
        What trees may read, same index: behaviour, customer attributes, events.
    purchases, spend
        Fitted models; spend is None for a log without amounts, where every purchase counts as 1.
    horizon_days
        The days to be forecast.
    """

    summary: pd.DataFrame
    features: pd.DataFrame
    purchases: PurchaseModel
    spend: GammaGammaModel | None
    horizon_days: int

    def log_odds(self, horizon_days: int | None = None) -> pd.Series:
        """Return the purchase model's log-odds of no purchase, finite also where the probability rounds to 0 or 1.

        Rounded to six decimals, so that the last digits of a fit, which differ between programs, choose no tree.
        """
        risk = self.purchases.probability_no_purchase(self.summary, horizon_days or self.horizon_days)
        p = risk.clip(1e-12, 1 - 1e-12)
        return (np.log(p) - np.log1p(-p)).round(6).rename("offset")

    @cached_property
    def p_alive(self) -> pd.Series:
        """The purchase model's probability that the customer has not left, rounded as `log_odds` is."""
        return self.purchases.probability_alive(self.summary).round(6).rename("p_alive")

    @cached_property
    def own_risk(self) -> pd.Series:
        """R of the purchase model."""
        return self.purchases.probability_no_purchase(self.summary, self.horizon_days)

    @cached_property
    def own_purchases(self) -> pd.Series:
        """Purchases that the purchase model expects in the horizon."""
        return self.purchases.expected_purchases(self.summary, self.horizon_days)

    @cached_property
    def purchases_if_active(self) -> pd.Series:
        """Purchases expected in the horizon of a customer who makes at least one."""
        return self.purchases.purchases_if_active(self.summary, self.horizon_days)

    @cached_property
    def spend_per_purchase(self) -> pd.Series:
        """Amount expected of a purchase day; 1 for a log without amounts, so that value counts purchases."""
        if self.spend is None:
            return pd.Series(1.0, index=self.summary.index, name="expected_spend")
        return self.spend.expected_spend(self.summary)

    @property
    def own_spend(self) -> pd.Series:
        """Spend in the horizon by purchase and spend model alone: the textbook's forecast."""
        return self.own_purchases * self.spend_per_purchase


@dataclass(frozen=True)
class Past:
    """Cutoffs whose outcome is known: what forecasters learn from.

    outcomes: purchases and spend in the label's horizon, indexed by (cutoff, customer_id) as `stack` is.
    """

    known: Mapping[date, Known]
    outcomes: pd.DataFrame

    def stack(self, of: Callable[[Known], _Frame]) -> _Frame:
        """Return something of every cutoff under one index (cutoff, customer_id)."""
        return pd.concat({cutoff: of(known) for cutoff, known in self.known.items()}, names=["cutoff", "customer_id"])

    @cached_property
    def features(self) -> pd.DataFrame:
        return self.stack(lambda known: known.features)

    @cached_property
    def summary(self) -> pd.DataFrame:
        return self.stack(lambda known: known.summary)

    @cached_property
    def p_alive(self) -> pd.Series:
        return self.stack(lambda known: known.p_alive)

    @cached_property
    def log_odds(self) -> pd.Series:
        return self.stack(lambda known: known.log_odds())

    @cached_property
    def churned(self) -> pd.Series:
        """1 where the customer bought nothing in the label's horizon."""
        return (self.outcomes["purchases"] == 0).astype(float).rename("churned")

    @property
    def label_days(self) -> int:
        """The labels' horizon; their mean where they differ."""
        return round(sum(known.horizon_days for known in self.known.values()) / len(self.known))
