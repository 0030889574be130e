"""Value: expected spend in the horizon, and what a customer is worth if active, by one method or another."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from churn_clv.models.baselines import TextbookLTV
from churn_clv.models.known import Known, Past
from churn_clv.models.spend_trees import SpendTrees

# Method -> its members, simplest method first.
METHODS: Mapping[str, tuple[str, ...]] = {
    "purchase_model": (),
    "textbook_ltv": ("textbook_ltv",),
    "hurdle": (),
    "tweedie": ("tweedie",),
    "two_part": ("two_part",),
    "average": ("tweedie", "two_part"),
}
Member = SpendTrees | TextbookLTV
# V_res and R of different trees make a ratio that may be anything where 1 - R is small: V_act stays within this factor of
# the purchase model's, and not below one purchase.
_MOST_TIMES = 3.0


class ValueModel:
    """Expected spend V_res and value if active V_act of each customer, with V_res = (1 - R) V_act whatever the method.

    Parameters
    ----------
    method
        A key of `METHODS`. ``purchase_model``: purchase and spend model alone; ``hurdle``: (1 - R) from the risk model,
        V_act from purchase and spend model; ``tweedie``: trees that multiply the purchase model's V_res
        (LightGBM, Tweedie deviance); ``two_part``: (1 - R) times a V_act that trees learned on buyers (gamma
        deviance); ``average``: the mean of hurdle, tweedie and two_part; ``textbook_ltv``: mean yearly
        spend times expected lifetime.
    trees
        Settings of `SpendTrees`.

    Where a method gives V_res, V_act = V_res / (1 - R). Both start from the same purchase model, so the
    ratio stays near its V_act; trees may raise it to ten times that, so that it does not run away as R goes to 1.
    """

    def __init__(self, method: str = "hurdle", trees: Mapping[str, Any] | None = None) -> None:
        if method not in METHODS:
            raise ValueError(f"method {method!r} is unknown; choose one of {', '.join(METHODS)}")
        self.method = method
        self.tree_settings = dict(trees or {})

    def fit(self, past: Past, members: Mapping[str, Member] | None = None) -> ValueModel:
        """Learn from past cutoffs; members that are fitted already, from `fit_members`, are taken as they are."""
        fitted = members or fit_members(METHODS[self.method], past, self.tree_settings)
        self.members = {name: fitted[name] for name in METHODS[self.method]}
        return self

    def forecast(self, known: Known, risk: pd.Series) -> pd.DataFrame:
        """Return value_if_active and expected_spend (currency of the log, over the horizon), indexed like `known`.

        Parameters
        ----------
        risk
            R, the probability of no purchase in the horizon, same index.
        """
        active = (1 - risk).clip(lower=1e-12)
        if self.method == "hurdle":
            if_active = known.purchases_if_active * known.spend_per_purchase
        elif self.method == "two_part":
            if_active = self._by_trees("two_part", known)
        else:
            if_active = self._expected(known, active) / active
        return pd.DataFrame({"value_if_active": if_active, "expected_spend": (1 - risk) * if_active})

    @property
    def trees(self) -> list[SpendTrees]:
        """The boosted trees among the members."""
        return [member for member in self.members.values() if isinstance(member, SpendTrees)]

    @property
    def feature_names(self) -> list[str]:
        """What the trees read of a customer; nothing where the method has none."""
        return next((trees.features_ for trees in self.trees), [])

    def to_files(self) -> dict[str, str]:
        """Return the model as text files, name -> content."""
        textbook = self.members.get("textbook_ltv")
        content = {
            "method": self.method,
            "tree_settings": self.tree_settings,
            "textbook_ltv": textbook.to_dict() if isinstance(textbook, TextbookLTV) else None,
        }
        files = {"value.json": json.dumps(content, indent=1, allow_nan=False)}
        for name, member in self.members.items():
            if isinstance(member, SpendTrees):
                files |= member.to_files(prefix=name)
        return files

    @classmethod
    def from_files(cls, files: Mapping[str, str]) -> ValueModel:
        """Build the model from `to_files`. Verify digests first: LightGBM's parser does not survive damaged text."""
        content = json.loads(files["value.json"])
        model = cls(content["method"], content["tree_settings"])
        model.members = {
            name: TextbookLTV.from_dict(content["textbook_ltv"]) if name == "textbook_ltv"
            else SpendTrees.from_files(files, prefix=name)
            for name in METHODS[model.method]
        }  # fmt: skip
        return model

    def _expected(self, known: Known, active: pd.Series) -> pd.Series:
        """V_res of the methods that forecast it directly."""
        if self.method == "purchase_model":
            return known.own_spend
        if self.method == "textbook_ltv":
            return self.members["textbook_ltv"].expected_spend(known.summary, known.horizon_days)  # type: ignore[union-attr]
        hurdle = active * known.purchases_if_active * known.spend_per_purchase
        tweedie = self._tweedie(known, active)
        if self.method == "tweedie":
            return tweedie
        return (hurdle + active * self._by_trees("two_part", known) + tweedie) / 3

    def _tweedie(self, known: Known, active: pd.Series) -> pd.Series:
        """V_res of the Tweedie trees, as far as the V_act that it means with this R is one that could be."""
        own = known.purchases_if_active * known.spend_per_purchase
        least = np.maximum(own / _MOST_TIMES, known.spend_per_purchase if known.spend is None else 0.0)
        return active * (self._by_trees("tweedie", known) / active).clip(least, own * _MOST_TIMES)

    def _by_trees(self, name: str, known: Known) -> pd.Series:
        return self.members[name].predict(_inputs(known), _log_start(name, known))  # type: ignore[union-attr]


def fit_members(names: tuple[str, ...], past: Past, trees: Mapping[str, Any]) -> dict[str, Member]:
    """Fit members that several methods may share."""
    fitted: dict[str, Member] = {}
    for name in names:
        if name == "textbook_ltv":
            fitted[name] = TextbookLTV().fit(past.summary, past.churned, past.label_days)
            continue
        inputs, start = past.stack(_inputs), past.stack(lambda known, name=name: _log_start(name, known))  # type: ignore[misc]
        spend = past.outcomes["spend"]
        objective = "tweedie"
        if name == "two_part":
            bought = (past.outcomes["purchases"] > 0) & (spend > 0)
            if not bought.any():  # nothing to learn; the trees say so and leave the forecast as it is
                bought, spend = ~bought, spend * 0.0
            inputs, start, spend, objective = inputs[bought], start[bought], spend[bought], "gamma"
        fitted[name] = SpendTrees(objective, **trees).fit(inputs, spend, start)  # type: ignore[arg-type]
    return fitted


def _inputs(known: Known) -> pd.DataFrame:
    return known.features.assign(p_alive=known.p_alive)


def _log_start(name: str, known: Known) -> pd.Series:
    """The purchase model's own forecast, which the trees correct, in logs; rounded so that no fit's last digit shows."""
    start = known.own_spend if name == "tweedie" else known.purchases_if_active * known.spend_per_purchase
    return np.log(start.clip(lower=1e-9)).round(6).rename("log_start")
