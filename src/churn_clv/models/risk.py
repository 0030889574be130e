"""Risk: the probability of no purchase in the horizon, by the purchase model, by trees, or by both together."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from churn_clv.models.baselines import RFMLogistic
from churn_clv.models.calibrator import PlattCalibrator
from churn_clv.models.churn import KNOWN_SIGNS, ChurnModel
from churn_clv.models.known import Known, Past

# Method -> the members whose log-odds it adds up, simplest method first: where nothing speaks for another, it stays.
METHODS: Mapping[str, tuple[str, ...]] = {
    "purchase_model": ("purchase_model",),
    "logistic_rfm": ("logistic_rfm",),
    "offset_hybrid": ("offset_hybrid",),
    "btyd_features": ("btyd_features",),
    "lightgbm": ("lightgbm",),
    "lightgbm_monotone": ("lightgbm_monotone",),
    "average": ("purchase_model", "lightgbm"),
    "stack": ("purchase_model", "logistic_rfm", "lightgbm"),
}
TREES = ("offset_hybrid", "btyd_features", "lightgbm", "lightgbm_monotone")
Member = RFMLogistic | ChurnModel
_FARTHEST = 12.0  # log-odds: a stack is a regression, and one customer at 27 would be all it sees


class RiskModel:
    """A weighted sum of members' log-odds of no purchase, and a calibrator on top where one has earned it.

    Parameters
    ----------
    method
        A key of `METHODS`. ``offset_hybrid``: trees that start from the purchase model's log-odds;
        ``btyd_features``: trees that read its forecasts as features; ``lightgbm``: trees that know nothing of it;
        ``lightgbm_monotone``: the same with the signs the field knows; ``average``: mean log-odds of purchase model
        and ``lightgbm``; ``stack``: weights learned on customers the members had not seen.
    trees
        Settings of `ChurnModel`.

    Members that do not read the purchase model know the horizon of their labels only. Where the forecast's horizon is
    another, their log-odds are shifted by what the purchase model says the difference is worth to the customer.
    """

    def __init__(self, method: str = "offset_hybrid", trees: Mapping[str, Any] | None = None) -> None:
        if method not in METHODS:
            raise ValueError(f"method {method!r} is unknown; choose one of {', '.join(METHODS)}")
        self.method = method
        self.tree_settings = dict(trees or {})
        self.calibrator: PlattCalibrator | None = None

    def fit(self, past: Past, members: Mapping[str, Member] | None = None) -> RiskModel:
        """Learn from past cutoffs; members that are fitted already, from `fit_members`, are taken as they are."""
        fitted = members or fit_members(METHODS[self.method], past, self.tree_settings)
        self.members = {name: fitted[name] for name in METHODS[self.method] if name in fitted}
        self.label_days_ = past.label_days
        self.intercept_, self.weights_ = 0.0, dict.fromkeys(METHODS[self.method], 1 / len(METHODS[self.method]))
        if self.method == "stack":
            self.intercept_, self.weights_ = _stacked(self.members, past)
        return self

    def predict_log_odds(self, known: Known) -> pd.Series:
        """Return the log-odds of no purchase in the horizon of `known`, before calibration."""
        total = pd.Series(self.intercept_, index=known.features.index)
        for name, weight in self.weights_.items():
            total = total + weight * self._member_log_odds(name, known)
        return total

    def predict_probability(self, known: Known) -> pd.Series:
        """Return the probability of no purchase in the horizon, indexed like `known`."""
        log_odds = self.predict_log_odds(known)
        if self.calibrator is not None:
            log_odds = self.calibrator.transform(log_odds)
        return pd.Series(1 / (1 + np.exp(-log_odds)), index=known.features.index, name="churn_probability")

    @property
    def trees(self) -> ChurnModel | None:
        """The boosted trees among the members, if there are any."""
        return next((m for m in self.members.values() if isinstance(m, ChurnModel)), None)

    @property
    def feature_names(self) -> list[str]:
        """What has to be known of a customer beside the summary."""
        return self.trees.features_ if self.trees is not None else []

    @property
    def note(self) -> str | None:
        """A sentence when trees could not be fitted."""
        return self.trees.note_ if self.trees is not None else None

    def importances(self) -> pd.Series:
        """Return each feature's share of the trees' split gain, largest first; empty with no trees."""
        return self.trees.importances() if self.trees is not None else pd.Series(dtype=float, name="gain_share")

    def tree_inputs(self, known: Known) -> pd.DataFrame:
        """Return what the trees read; empty where the method has none."""
        name = next((n for n in self.members if n in TREES), None)
        return known.features[[]] if name is None else _inputs(name, known, self.label_days_)[0]

    def contributions(self, known: Known) -> pd.DataFrame:
        """Return what each feature adds to the log-odds of no purchase: one column a feature, and "start"."""
        name = next((n for n in self.members if n in TREES), None)
        if name is None:
            return self.predict_log_odds(known).to_frame("start")
        return self.trees.contributions(*_inputs(name, known, self.label_days_))  # type: ignore[union-attr]

    def to_files(self) -> dict[str, str]:
        """Return the model as text files, name -> content."""
        logistic = next((m for m in self.members.values() if isinstance(m, RFMLogistic)), None)
        content = {
            "method": self.method, "label_days": self.label_days_, "intercept": self.intercept_, "weights": self.weights_,
            "tree_settings": self.tree_settings, "logistic_rfm": logistic.to_dict() if logistic else None,
            "calibrator": self.calibrator.to_dict() if self.calibrator else None,
        }  # fmt: skip
        files = {"risk.json": json.dumps(content, indent=1, allow_nan=False)}
        return files | (self.trees.to_files() if self.trees is not None else {})

    @classmethod
    def from_files(cls, files: Mapping[str, str]) -> RiskModel:
        """Build the model from `to_files`. Verify digests first: LightGBM's parser does not survive damaged text."""
        content = json.loads(files["risk.json"])
        model = cls(content["method"], content["tree_settings"])
        model.label_days_, model.intercept_, model.weights_ = (
            content["label_days"], content["intercept"], content["weights"],
        )  # fmt: skip
        model.members = {}
        for name in METHODS[model.method]:
            if name in TREES:
                model.members[name] = ChurnModel.from_files(files)
            elif name == "logistic_rfm":
                model.members[name] = RFMLogistic.from_dict(content["logistic_rfm"])
        if content["calibrator"] is not None:
            model.calibrator = PlattCalibrator.from_dict(content["calibrator"])
        return model

    def _member_log_odds(self, name: str, known: Known) -> pd.Series:
        if name == "purchase_model":
            return known.log_odds()
        log_odds = _own_log_odds(name, self.members[name], known, self.label_days_)
        if name == "offset_hybrid" or self.label_days_ == known.horizon_days:
            return log_odds
        return log_odds + known.log_odds() - known.log_odds(self.label_days_)


def fit_members(names: Sequence[str], past: Past, trees: Mapping[str, Any]) -> dict[str, Member]:
    """Fit members that several methods may share; the purchase model itself needs no fit here."""
    fitted: dict[str, Member] = {}
    for name in names:
        if name == "logistic_rfm":
            fitted[name] = RFMLogistic().fit(past.summary, past.churned)
        elif name in TREES:
            own = {"start": "offset"} if name == "offset_hybrid" else {"start": "base_rate"}
            inputs, offset = _past_inputs(name, past)
            signs = {"monotone": _signs(inputs)} if name == "lightgbm_monotone" else {}
            fitted[name] = ChurnModel(**{**trees, **own, **signs}).fit(inputs, past.churned, offset)
    return fitted


def past_tree_inputs(method: str, past: Past) -> tuple[pd.DataFrame, pd.Series | None]:
    """Return what the trees of a method learn from: features and offset; None as offset where they read none.

    Raises
    ------
    ValueError
        If the method has no trees.
    """
    name = next((n for n in METHODS[method] if n in TREES), None)
    if name is None:
        raise ValueError(f"the method {method} has no trees")
    return _past_inputs(name, past)


def _own_log_odds(name: str, member: Member, known: Known, label_days: int) -> pd.Series:
    if isinstance(member, RFMLogistic):
        return member.predict_log_odds(known.summary)
    return member.predict_log_odds(*_inputs(name, known, label_days))


def _inputs(name: str, known: Known, label_days: int) -> tuple[pd.DataFrame, pd.Series | None]:
    """What a member reads at a cutoff; forecasts that are features look as far ahead as those of the training did."""
    if name == "offset_hybrid":
        return known.features.assign(p_alive=known.p_alive), known.log_odds()
    if name == "btyd_features":
        purchases = known.purchases.expected_purchases(known.summary, label_days).round(6)
        forecasts = {"btyd_log_odds": known.log_odds(label_days), "btyd_purchases": purchases}
        return known.features.assign(p_alive=known.p_alive, **forecasts), None
    return known.features, None


def _past_inputs(name: str, past: Past) -> tuple[pd.DataFrame, pd.Series | None]:
    inputs = past.stack(lambda known: _inputs(name, known, known.horizon_days)[0])
    return inputs, past.log_odds if name == "offset_hybrid" else None


def _signs(inputs: pd.DataFrame) -> dict[str, int]:
    return {name: sign for name, sign in KNOWN_SIGNS.items() if name in inputs.columns}


def _stacked(members: Mapping[str, Member], past: Past) -> tuple[float, dict[str, float]]:
    """Weights of the members by logistic regression on customers that they had not seen."""
    from sklearn.linear_model import LogisticRegression

    columns = {"purchase_model": past.log_odds}
    columns |= {name: member.out_of_fold_ for name, member in members.items()}
    seen = pd.DataFrame(columns).dropna().clip(-_FARTHEST, _FARTHEST)  # of very many rows only some are left out
    churned = past.churned.loc[seen.index]
    if churned.nunique() < 2:
        return 0.0, dict.fromkeys(columns, 1 / len(columns))
    fit = LogisticRegression(C=1.0, max_iter=1000).fit(seen, churned)
    return float(fit.intercept_[0]), dict(zip(columns, map(float, fit.coef_[0]), strict=True))
