"""Customers judged without dates: in folds, each scored by a model that never saw anyone of their fold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from churn_clv.evaluation.bootstrap import bootstrap_weights, compare
from churn_clv.evaluation.calibration import calibration_error_noise
from churn_clv.evaluation.churn_metrics import auc
from churn_clv.evaluation.judgement import DIRECTION, RUN
from churn_clv.evaluation.metrics import churn_metrics
from churn_clv.evaluation.profit import RetentionCosts

NAMES = {"logistic_attributes": "logistic regression on all columns", "base_rate": "the base rate for everyone"}
_DECIDING = (("auc", "AUC"), ("log_loss", "log loss"))
_Answer = TypeVar("_Answer", pd.Series, pd.DataFrame)
_Model = TypeVar("_Model")


def stratified_folds(churned: pd.Series, folds: int, seed: int) -> pd.Series:
    """Return each customer's fold, 0 on, with the churn rate alike in all; the same for the same customers and seed."""
    from sklearn.model_selection import StratifiedKFold

    ordered = churned.sort_index()
    fold_of = pd.Series(0, index=ordered.index, name="fold")
    splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    for k, (_, rows) in enumerate(splitter.split(np.zeros(len(ordered)), ordered)):
        fold_of.iloc[rows] = k
    return fold_of.reindex(churned.index)


def fit_without_each_fold(
    fit: Callable[[pd.DataFrame, pd.Series], _Model], features: pd.DataFrame, churned: pd.Series, fold_of: pd.Series
) -> dict[int, _Model]:
    """Return fold -> a model that was fitted on all customers but its own, in the order of their ids."""
    rows = features.sort_index()
    labels, folds = churned.reindex(rows.index), fold_of.reindex(rows.index)
    return {int(k): fit(rows[folds != k], labels[folds != k]) for k in sorted(folds.unique())}


def out_of_fold(
    models: Mapping[int, Any],
    answer: Callable[[Any, pd.DataFrame], _Answer],
    features: pd.DataFrame,
    fold_of: pd.Series,
) -> _Answer:
    """Return what the model of each customer's own fold, which never saw them, answers; indexed like `features`."""
    folds = fold_of.reindex(features.index)
    parts = [answer(model, features[folds == k]) for k, model in models.items()]
    return pd.concat(parts).reindex(features.index)


@dataclass(frozen=True)
class CrossFitted:
    """Metrics of out-of-fold predictions: `churn` as `compare` returns it, `by_fold` with customers, churned and auc."""

    churn: pd.DataFrame
    by_fold: pd.DataFrame
    customers: int
    churn_rate: float
    calibration_noise: float

    def metrics(self) -> dict[str, float]:
        """Return the run's own metrics under stable names, standard errors under `<name>_se`."""
        named: dict[str, float] = {}
        for metric, row in self.churn.xs(RUN, level="model").iterrows():
            named[f"churn/{metric}"] = float(row["value"])
            named[f"churn/{metric}_se"] = float(row["standard_error"])
        named["churn/auc_fold_mean"] = float(self.by_fold["auc"].mean())
        named["churn/auc_fold_sd"] = float(self.by_fold["auc"].std(ddof=1))
        named["churn/rate"] = self.churn_rate
        named["churn/calibration_error_noise_95"] = self.calibration_noise
        named["judged/customers"] = float(self.customers)
        return {name: value for name, value in named.items() if np.isfinite(value)}

    def verdicts(self) -> list[tuple[str, str, str]]:
        """Return (metric, rival, 'wins', 'loses' or 'ties') for the run on AUC and log loss."""
        return [
            (metric, str(rival), _verdict(row, DIRECTION[metric]))
            for metric, _ in _DECIDING
            for rival, row in self.churn.loc[metric].iterrows()
            if rival != RUN and np.isfinite(row["difference"])
        ]

    def sentences(self) -> list[str]:
        """Say against each rival, on AUC and log loss, who is better and whether by more than the error."""
        words = {"wins": "beats", "loses": "loses to", "ties": "cannot be told from"}
        lines = []
        for metric, rival, verdict in self.verdicts():
            row, name = self.churn.loc[(metric, rival)], dict(_DECIDING)[metric]
            lines.append(
                f"Churn: this run {words[verdict]} {NAMES.get(rival, rival)} ({name} "
                f"{row['value'] + row['difference']:.3f} against {row['value']:.3f}, difference {row['difference']:+.4f}, "
                f"95 % interval {row['difference_low']:+.4f} to {row['difference_high']:+.4f})."
            )
        return lines

    def calibration_sentence(self) -> str:
        """Say whether the probabilities are right, beyond what chance shows of perfect ones."""
        error = float(self.churn.loc[("calibration_error", RUN), "value"])
        slope, noise = self.churn.loc[("calibration_slope", RUN)], self.calibration_noise
        return (
            f"The calibration slope is {slope['value']:.3f} (standard error {slope['standard_error']:.3f}; 1 is right), the "
            f"calibration error {error:.3f}; perfect probabilities would stay under {noise:.3f} in 95 of 100 samples of "
            f"{self.customers:,} customers, so {'chance alone explains it' if error <= noise else 'part of it is real'}."
        )


def judge_cross_fitted(
    churned: pd.Series,
    predictions: Mapping[str, pd.Series],
    fold_of: pd.Series,
    *,
    bootstrap_samples: int,
    seed: int,
    costs: RetentionCosts,
) -> CrossFitted:
    """Compare out-of-fold probabilities with who left.

    Parameters
    ----------
    churned
        1 for those who left, indexed by customer_id.
    predictions
        Model name -> out-of-fold probability of each of these customers. The first is the one under judgement.
    fold_of
        The fold of each customer.
    costs
        What a retention campaign costs and saves, for the expected maximum profit.

    Returns
    -------
    CrossFitted, with bootstrap errors over customers, paired between models. They hold the fitted models fixed.

    Raises
    ------
    ValueError
        If a model has no prediction for a customer.
    """
    aligned = {name: risk.reindex(churned.index) for name, risk in predictions.items()}
    for name, risk in aligned.items():
        if missing := int(risk.isna().sum()):
            raise ValueError(f"{name}: {missing} of {len(churned)} customers have no prediction")
    outcome = churned.to_numpy(float)
    risks = {name: risk.to_numpy(float) for name, risk in aligned.items()}
    own = next(iter(aligned.values()))
    return CrossFitted(
        compare(churn_metrics(costs), outcome, risks, bootstrap_weights(len(outcome), bootstrap_samples, seed)),
        _by_fold(churned, own, fold_of.reindex(churned.index)),
        len(outcome),
        float(outcome.mean()),
        calibration_error_noise(own.to_numpy(float), seed),
    )


def _by_fold(churned: pd.Series, risk: pd.Series, fold_of: pd.Series) -> pd.DataFrame:
    rows = {}
    for k in sorted(fold_of.unique()):
        outcome, own = churned[fold_of == k].to_numpy(float), risk[fold_of == k].to_numpy(float)
        rows[int(k)] = (len(outcome), outcome.sum(), auc(outcome, own)(np.ones(len(outcome))))
    columns = ["customers", "churned", "auc"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("fold")


def _verdict(row: pd.Series, direction: int) -> str:
    if row["difference_low"] <= 0 <= row["difference_high"]:
        return "ties"
    return "wins" if row["difference"] * direction > 0 else "loses"
