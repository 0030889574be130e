"""Churn in the horizon: LightGBM that corrects the purchase model's log-odds of no purchase, or starts without one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from churn_clv.models.boosting import (
    FIXED,
    Array,
    Split,
    Trees,
    check_alike,
    cross_validate,
    customer_folds,
    dataset,
    exceeds_its_error,
    splits_of,
    too_few_rows,
)

# With all else equal the field knows the sign of these (1: more of it, more churn). Frequency is not among them: many
# purchases raise the chance of another one, but a silence of given length says more about a frequent buyer
# (Fader, Hardie & Lee 2005, the "increasing frequency paradox"). Nor are amounts, whose sign differs between logs.
KNOWN_SIGNS: Mapping[str, Literal[-1, 1]] = {
    "p_alive": -1,
    "purchases_last_28_days": -1,
    "purchases_last_91_days": -1,
    "purchases_last_182_days": -1,
    "purchases_last_364_days": -1,
    "silence_share": 1,
    "overdue_ratio": 1,
    "days_since_last_purchase": 1,
    "silence_to_longest_gap": 1,
}


class ChurnModel:
    """Predict the probability of no purchase in a horizon, or of leaving a contract.

    By default the boosted trees start from the log-odds that the purchase model gives to no purchase (LightGBM's init
    score) and learn only what it misses; with nothing to learn the answer is the purchase model's own. Because
    the horizon is in the offset, labels of several horizons can be learned together.

    Parameters
    ----------
    start
        ``"offset"``: from log-odds given for each row. ``"base_rate"``: from the log-odds of the labels' mean, for
        data without a purchase model.
    learning_rate, num_leaves, min_data_in_leaf, feature_fraction, lambda_l2, max_rounds, num_threads
        LightGBM's parameters of these names; the number of rounds up to `max_rounds` is chosen by cross-validation.
    folds
        Folds of customers: all rows of one customer are in one fold, so that no customer informs their own prediction.
        Beyond 500,000 rows only the first of them is left out.
    seed
        Seed of feature sampling. One seed, one model, whatever the number of threads.
    monotone
        Feature -> 1 (more of it, more churn) or -1, see `KNOWN_SIGNS`; only with ``start="base_rate"``.

    Attributes
    ----------
    rounds_ : trees in the fitted model; 0 means that the start alone was better.
    cross_validation_ : log loss on unseen customers of the start alone (`offset` or `base_rate`), of the
        `trees` where they were tried, and of what was `chosen`.
    out_of_fold_ : Series of the log-odds of each training row by the fold that did not see its customer, of what was
        chosen; beyond 500,000 rows, of the rows left out. Not part of the files.
    base_log_odds_ : log-odds of the labels' mean with ``start="base_rate"``, else None.
    features_, feature_ranges_ : the names read, and a DataFrame (numeric feature x low, high) seen in training.
    note_ : a sentence when the trees could not be fitted, else None.
    """

    def __init__(
        self,
        *,
        start: Literal["offset", "base_rate"] = "offset",
        learning_rate: float = 0.03,
        num_leaves: int = 7,
        min_data_in_leaf: int = 20,
        feature_fraction: float = 0.7,
        lambda_l2: float = 10.0,
        max_rounds: int = 400,
        folds: int = 5,
        seed: int = 7,
        num_threads: int = 1,
        monotone: Mapping[str, int] | None = None,
    ) -> None:
        if start not in ("offset", "base_rate"):
            raise ValueError(f"start must be 'offset' or 'base_rate', got {start!r}")
        if monotone and start == "offset":
            raise ValueError(
                "monotone needs start='base_rate': with an offset the trees learn a correction of the purchase model, "
                "which has used these features already, and nobody knows the sign of what it missed"
            )
        self.start = start
        self.learning_rate = learning_rate
        self.num_leaves = num_leaves
        self.min_data_in_leaf = min_data_in_leaf
        self.feature_fraction = feature_fraction
        self.lambda_l2 = lambda_l2
        self.max_rounds = max_rounds
        self.folds = folds
        self.seed = seed
        self.num_threads = num_threads
        self.monotone = dict(monotone) if monotone else None

    def get_params(self) -> dict[str, Any]:
        names = ("start", "learning_rate", "num_leaves", "min_data_in_leaf", "feature_fraction", "lambda_l2",
                 "max_rounds", "folds", "seed", "num_threads", "monotone")  # fmt: skip
        return {name: getattr(self, name) for name in names}

    def fit(self, features: pd.DataFrame, churned: pd.Series, offset: pd.Series | None = None) -> ChurnModel:
        """Learn from past cutoffs, or from one table of customers.

        Parameters
        ----------
        features
            Rows indexed by (cutoff, customer_id) or customer_id; numbers, or text for categories; missing values
            allowed.
        churned
            1 where the customer bought nothing in the label's horizon (or left), same index.
        offset
            Log-odds of no purchase in that horizon by the purchase model, same index; none with ``start="base_rate"``.

        Raises
        ------
        ValueError
            If they are not indexed alike, a value is not finite, a label is neither 0 nor 1, the offset does not
            go with `start`, or `monotone` names what is no numeric feature.
        """
        check_alike(features, churned)
        _check_labels(churned)
        self.base_log_odds_ = base_log_odds(churned) if self.start == "base_rate" else None
        start = self._start_of(features, offset)
        self._trees = Trees.reading(features)
        _check_signs(self.monotone or {}, self._trees)
        fold_of = customer_folds(features.index, self.folds)
        self.note_ = _single_class(churned) or too_few_rows(fold_of, self.folds)
        splits = splits_of(fold_of, self.folds if self.note_ is None else 1)
        self.rounds_, self.out_of_fold_ = 0, pd.Series(start, index=features.index, name="log_odds")
        alone = float(log_losses(churned.to_numpy(float), start).mean())
        self.cross_validation_ = {self.start: alone, "chosen": alone}
        if self.note_ is None:
            self._boost(features, churned.to_numpy(float), start, splits)
        else:
            self.note_ += ": risk is the purchase model's" if self.start == "offset" else ": risk is the base rate"
        return self

    def predict_log_odds(self, features: pd.DataFrame, offset: pd.Series | None = None) -> pd.Series:
        """Return the log-odds of no purchase in the offset's horizon, indexed like `features`.

        Raises
        ------
        ValueError
            If a feature of the training is missing, features and offset are not indexed alike, or the offset does not
            go with `start`.
        """
        added = self._trees.add(features)
        return pd.Series(self._start_of(features, offset) + added, index=features.index, name="log_odds")

    def predict_probability(self, features: pd.DataFrame, offset: pd.Series | None = None) -> pd.Series:
        """Return the probability of no purchase in the offset's horizon, indexed like `features`.

        Raises
        ------
        ValueError
            As `predict_log_odds`.
        """
        log_odds = self.predict_log_odds(features, offset).to_numpy()
        return pd.Series(1 / (1 + np.exp(-log_odds)), index=features.index, name="churn_probability")

    def contributions(self, features: pd.DataFrame, offset: pd.Series | None = None) -> pd.DataFrame:
        """Return what each feature adds to the log-odds of churn.

        Returns
        -------
        DataFrame indexed like `features`, one column per feature in log-odds, and `start`: the offset or base rate
        plus the trees' mean. Rows sum to `predict_log_odds`; without trees the features add zero.
        """
        return self._trees.contributions(features, self._start_of(features, offset))

    @property
    def features_(self) -> list[str]:
        return self._trees.features

    @property
    def feature_ranges_(self) -> pd.DataFrame:
        return self._trees.ranges

    @property
    def categories_(self) -> dict[str, list[str]]:
        """Feature that is a category -> the levels seen in training."""
        return self._trees.categories

    def importances(self) -> pd.Series:
        """Return each feature's share of the total split gain, largest first; empty with no trees."""
        return self._trees.importances()

    def share_outside_training(self, features: pd.DataFrame) -> pd.Series:
        """Return, per numeric feature, the share of rows outside the range seen in training: trees are flat there."""
        return self._trees.share_outside_training(features)

    def to_files(self, prefix: str = "churn") -> dict[str, str]:
        """Return the model as text files, name -> content: settings as JSON, trees in LightGBM's own format."""
        record = {
            "params": self.get_params(), "rounds": self.rounds_, "cross_validation": self.cross_validation_,
            "base_log_odds": self.base_log_odds_, "note": self.note_,
        }  # fmt: skip
        return self._trees.to_files(prefix, record)

    @classmethod
    def from_files(cls, files: Mapping[str, str], prefix: str = "churn") -> ChurnModel:
        """Build the model from `to_files`. Verify digests first: LightGBM's parser does not survive damaged text."""
        trees, record = Trees.from_files(files, prefix)
        model = cls(**record["params"])
        model._trees = trees
        model.rounds_, model.note_ = record["rounds"], record["note"]
        model.cross_validation_ = record["cross_validation"]
        model.base_log_odds_ = record.get("base_log_odds")
        return model

    def lightgbm_settings(self, features: Sequence[str]) -> dict[str, Any]:
        """Return the parameters that LightGBM is given for these features."""
        own = ("learning_rate", "num_leaves", "min_data_in_leaf", "feature_fraction", "lambda_l2", "num_threads",
               "seed")  # fmt: skip
        signs = {"monotone_constraints": [self.monotone.get(name, 0) for name in features]} if self.monotone else {}
        return {"objective": "binary"} | FIXED | {name: getattr(self, name) for name in own} | signs

    def _boost(self, features: pd.DataFrame, churned: Array, start: Array, splits: list[Split]) -> None:
        import lightgbm

        encoded, settings = self._trees.encode(features), self.lightgbm_settings(self._trees.features)
        data = dataset(encoded, churned, start)
        scored = settings | {"metric": "binary_logloss"}
        rounds, added = cross_validate(scored, data, encoded, splits, self.max_rounds)
        unseen, tested = start + added, np.isfinite(added)
        without, with_trees = (log_losses(churned[tested], x[tested]) for x in (start, unseen))
        alone, boosted = float(without.mean()), float(with_trees.mean())
        self.cross_validation_ = {self.start: alone, "chosen": alone, "trees": boosted}
        better = exceeds_its_error(without - with_trees)
        self.out_of_fold_ = pd.Series(unseen if better else start, features.index, name="log_odds")[tested]
        if better:
            self.rounds_ = rounds
            self.cross_validation_["chosen"] = boosted
            self._trees.booster = lightgbm.train(settings, data, rounds)

    def _start_of(self, features: pd.DataFrame, offset: pd.Series | None) -> Array:
        if (offset is None) != (self.start == "base_rate"):
            given = "no offset was given" if offset is None else "an offset was given"
            raise ValueError(f"{given}, but start is {self.start!r}: an offset goes with start='offset' and only there")
        if offset is None:
            return np.full(len(features), self.base_log_odds_)
        check_alike(features, offset)
        return offset.to_numpy(float)


def log_losses(churned: Array, log_odds: Array) -> Array:
    """Return the negative log likelihood of each row's outcome, in nats."""
    return np.logaddexp(0, np.where(churned == 1, -1.0, 1.0) * log_odds)


def base_log_odds(churned: pd.Series) -> float:
    """Return the log-odds of the labels' mean."""
    # half a customer of the class that is missing keeps it finite
    left = np.clip(churned.sum(), 0.5, len(churned) - 0.5)
    return float(np.log(left / (len(churned) - left)))


def _single_class(churned: pd.Series) -> str | None:
    if churned.nunique() > 1:
        return None
    outcome = "bought nothing" if churned.iloc[0] else "bought again"
    return f"every labelled customer {outcome}, so there is nothing to classify"


def _check_labels(churned: pd.Series) -> None:
    wrong = int((~churned.isin([0, 1])).sum())
    if wrong or churned.empty:
        raise ValueError(f"churned must be 0 or 1; {wrong} of {len(churned)} labels are not")


def _check_signs(monotone: Mapping[str, int], trees: Trees) -> None:
    unknown = [name for name in monotone if name not in trees.ranges.index]
    wrong = {name: sign for name, sign in monotone.items() if sign not in (-1, 0, 1)}
    if unknown or wrong:
        raise ValueError(
            f"monotone maps numeric features to -1, 0 or 1; not numeric features: {unknown}, other values: {wrong}"
        )
