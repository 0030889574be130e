"""Spend in the horizon: LightGBM that multiplies a forecast of spend."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd

from churn_clv.models.boosting import (
    FIXED,
    Array,
    Trees,
    check_alike,
    cross_validate,
    customer_folds,
    dataset,
    exceeds_its_error,
    splits_of,
    too_few_rows,
)

# The gamma density needs a positive amount; in its deviance as a function of the forecast, 0 is the limit.
_LEAST = 1e-6
# Shares of the mean forecast. Gamma's deviance grows as spend / forecast, Tweedie's as a root of it.
_LEAST_FORECAST = {"tweedie": 1e-3, "gamma": 1e-2}


class SpendTrees:
    """Predict spend as a forecast times what boosted trees learned.

    The trees start from the logarithm of a forecast (LightGBM's init score) and learn by which factor it is wrong; with
    nothing to learn the answer is the forecast. Forecasts under a thousandth of their mean (gamma: a hundredth) are
    raised to it, since one purchase against a forecast of nearly nothing would outweigh all other rows.

    Parameters
    ----------
    objective
        ``"tweedie"``: spend of everybody, zeros included; ``"gamma"``: spend of those who bought.
    start
        ``"offset"``: from the logarithm of a forecast given for each row. ``"mean"``: from the mean spend.
    variance_power
        Tweedie's power between 1 (variance as Poisson's) and 2 (as gamma's).
    learning_rate, num_leaves, min_data_in_leaf, feature_fraction, lambda_l2, max_rounds, num_threads, folds, seed
        As in `ChurnModel`.

    Attributes
    ----------
    rounds_ : trees in the fitted model; 0 means that the start alone was better.
    log_factor_ : what is added to every forecast in logs so that the totals agree; 0 unless cross-validation
        preferred it.
    cross_validation_ : mean deviance on unseen customers, spend in units of the mean forecast, of the start alone (`offset` or
        `mean`), of the `trees` where they were tried, and of what was `chosen`.
    out_of_fold_ : Series of the expected spend of each training row by the fold that did not see its customer, of what
        was chosen; beyond 500,000 rows, of the rows left out. Not part of the files.
    log_least_ : logarithm of what smaller forecasts are raised to.
    floored_ : rows whose spend was raised: below 0 (refunds), and for gamma at 0.
    features_, feature_ranges_ : the names read, and a DataFrame (numeric feature x low, high) seen in training.
    note_ : a sentence when the trees could not be fitted, else None.

    References
    ----------
    Jorgensen (1987), Journal of the Royal Statistical Society B 49(2): Tweedie models and their deviance.
    """

    def __init__(
        self,
        objective: Literal["tweedie", "gamma"] = "tweedie",
        *,
        start: Literal["offset", "mean"] = "offset",
        variance_power: float = 1.5,
        learning_rate: float = 0.03,
        num_leaves: int = 7,
        min_data_in_leaf: int = 20,
        feature_fraction: float = 0.7,
        lambda_l2: float = 10.0,
        max_rounds: int = 400,
        folds: int = 5,
        seed: int = 7,
        num_threads: int = 1,
    ) -> None:
        if objective not in ("tweedie", "gamma") or start not in ("offset", "mean"):
            raise ValueError(
                f"objective must be 'tweedie' or 'gamma', and start 'offset' or 'mean'; got {objective!r}, {start!r}"
            )
        if not 1 < variance_power < 2:
            raise ValueError(f"variance_power must lie between 1 and 2, got {variance_power!r}")
        self.objective = objective
        self.start = start
        self.variance_power = variance_power
        self.learning_rate = learning_rate
        self.num_leaves = num_leaves
        self.min_data_in_leaf = min_data_in_leaf
        self.feature_fraction = feature_fraction
        self.lambda_l2 = lambda_l2
        self.max_rounds = max_rounds
        self.folds = folds
        self.seed = seed
        self.num_threads = num_threads

    def get_params(self) -> dict[str, Any]:
        names = ("objective", "start", "variance_power", "learning_rate", "num_leaves", "min_data_in_leaf",
                 "feature_fraction", "lambda_l2", "max_rounds", "folds", "seed", "num_threads")  # fmt: skip
        return {name: getattr(self, name) for name in names}

    def fit(self, features: pd.DataFrame, spend: pd.Series, log_offset: pd.Series | None = None) -> SpendTrees:
        """Learn from past cutoffs.

        Parameters
        ----------
        features
            Rows indexed by (cutoff, customer_id); numbers, or text for categories; missing values allowed.
        spend
            Net spend in the label's horizon, same index.
        log_offset
            Logarithm of the forecast of that spend, same index; none with ``start="mean"``.

        Raises
        ------
        ValueError
            If they are not indexed alike, a value is not finite (the logarithm of a forecast of 0 is not),
            log_offset does not go with `start`, or nobody spent anything with ``start="mean"``.
        """
        check_alike(features, spend)
        amount, self.floored_ = _floored(spend.to_numpy(float), self.objective)
        self.mean_ = float(amount.mean())
        start = self._start_of(features, log_offset)
        self.log_least_ = float(np.log(_LEAST_FORECAST[self.objective] * np.exp(start).mean()))
        start = np.maximum(start, self.log_least_)
        self._trees = Trees.reading(features)
        fold_of = customer_folds(features.index, self.folds)
        self.note_ = _nothing_spent(amount) or too_few_rows(fold_of, self.folds)
        self.rounds_, self.log_factor_ = 0, 0.0
        self.out_of_fold_ = pd.Series(np.exp(start), index=features.index, name="expected_spend")
        self.cross_validation_: dict[str, float] = {}
        if self.note_ is None:
            self._boost(features, amount, start, fold_of)
        else:
            self.note_ += f": spend is the {'forecast' if self.start == 'offset' else 'mean'} it starts from"
        return self

    def predict(self, features: pd.DataFrame, log_offset: pd.Series | None = None) -> pd.Series:
        """Return the expected spend, exp(log_offset + trees), in the currency of the forecast, indexed like `features`.

        Raises
        ------
        ValueError
            If a feature of the training is missing, features and log_offset are not indexed alike, or log_offset does
            not go with `start`.
        """
        added = self._trees.add(features) + self.log_factor_
        log_spend = np.maximum(self._start_of(features, log_offset), self.log_least_) + added
        return pd.Series(np.exp(log_spend), index=features.index, name="expected_spend")

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

    def to_files(self, prefix: str = "spend") -> dict[str, str]:
        """Return the model as text files, name -> content: settings as JSON, trees in LightGBM's own format."""
        record = {
            "params": self.get_params(), "rounds": self.rounds_, "cross_validation": self.cross_validation_,
            "log_factor": self.log_factor_, "log_least": self.log_least_, "mean": self.mean_,
            "floored": self.floored_, "note": self.note_,
        }  # fmt: skip
        return self._trees.to_files(prefix, record)

    @classmethod
    def from_files(cls, files: Mapping[str, str], prefix: str = "spend") -> SpendTrees:
        """Build the model from `to_files`. Verify digests first: LightGBM's parser does not survive damaged text."""
        trees, record = Trees.from_files(files, prefix)
        model = cls(**record["params"])
        model._trees = trees
        model.rounds_, model.log_factor_, model.mean_ = record["rounds"], record["log_factor"], record["mean"]
        model.cross_validation_, model.floored_ = record["cross_validation"], record["floored"]
        model.log_least_, model.note_ = record["log_least"], record["note"]
        return model

    def deviances(self, spend: Array, log_expected: Array) -> Array:
        """Return the unit deviance of each row, in the objective's family."""
        return deviances(spend, log_expected, 2.0 if self.objective == "gamma" else self.variance_power)

    def _boost(self, features: pd.DataFrame, amount: Array, start: Array, fold_of: np.ndarray) -> None:
        import lightgbm

        # In units of the mean forecast, so that one currency learns what another would.
        unit = float(np.exp(start).mean())
        amount, start = amount / unit, start - np.log(unit)
        encoded, settings = self._trees.encode(features), self._lightgbm_settings()
        data = dataset(encoded, amount, start)
        splits = splits_of(fold_of, self.folds)
        rounds, added = cross_validate(settings, data, encoded, splits, self.max_rounds)
        unseen, tested = start + added, np.isfinite(added)
        without, with_trees = (self.deviances(amount[tested], x[tested]) for x in (start, unseen))
        alone, boosted = float(without.mean()), float(with_trees.mean())
        self.cross_validation_ = {self.start: alone, "chosen": alone, "trees": boosted}
        customers = features.index.get_level_values("customer_id")[tested]
        if _pays(without - with_trees, customers):
            self.rounds_ = rounds
            self.cross_validation_["chosen"] = boosted
            self._trees.booster = lightgbm.train(settings, data, rounds)
        chosen = unseen if self.rounds_ else start
        balanced = self._balance(amount[tested], chosen[tested], fold_of[tested], customers)
        self.out_of_fold_ = pd.Series(unit * np.exp(balanced), features.index[tested], name="expected_spend")

    def _balance(self, amount: Array, log_expected: Array, fold_of: np.ndarray, customers: pd.Index) -> Array:
        """Keep a factor that makes the totals agree if the factor of the other folds helps each fold."""
        factors = {k: _log_factor(amount[fold_of != k], log_expected[fold_of != k]) for k in np.unique(fold_of)}
        shifted = log_expected + np.array([factors[k] for k in fold_of])
        losses = self.deviances(amount, shifted)
        if not _pays(self.deviances(amount, log_expected) - losses, customers):
            return log_expected
        self.log_factor_ = _log_factor(amount, log_expected)
        self.cross_validation_["chosen"] = float(losses.mean())
        return shifted

    def _lightgbm_settings(self) -> dict[str, Any]:
        own = ("objective", "learning_rate", "num_leaves", "min_data_in_leaf", "feature_fraction", "lambda_l2",
               "num_threads", "seed")  # fmt: skip
        # A leaf may not ask for more than a factor of two: one huge order would otherwise own the leaf it is in.
        extra = {"metric": self.objective, "max_delta_step": float(np.log(2))}
        power = {"tweedie_variance_power": self.variance_power} if self.objective == "tweedie" else {}
        return FIXED | {name: getattr(self, name) for name in own} | extra | power

    def _start_of(self, features: pd.DataFrame, log_offset: pd.Series | None) -> Array:
        if (log_offset is None) != (self.start == "mean"):
            given = "no log_offset was given" if log_offset is None else "a log_offset was given"
            raise ValueError(f"{given}, but start is {self.start!r}: it goes with start='offset' and only there")
        if log_offset is None:
            if not self.mean_ > 0:
                raise ValueError(
                    f"nobody among {len(features)} customers spent anything: there is no mean to start from"
                )
            return np.full(len(features), np.log(self.mean_))
        check_alike(features, log_offset)
        return log_offset.to_numpy(float)


def deviances(spend: Array, log_expected: Array, power: float) -> Array:
    """Return the unit deviance of spend under a Tweedie model of this power: 2 is gamma.

    References
    ----------
    Jorgensen (1987), Journal of the Royal Statistical Society B 49(2), 127-162.

    Examples
    --------
    >>> deviances(np.array([0.0, 1.0, 2.0]), np.zeros(3), 1.5).round(4)
    array([4.    , 0.    , 0.6863])
    """
    if power == 2:
        ratio = np.log(spend) - log_expected
        return 2 * (np.expm1(ratio) - ratio)
    at_spend = spend ** (2 - power) / ((1 - power) * (2 - power))
    slope = spend * np.exp((1 - power) * log_expected) / (1 - power)
    return 2 * (at_spend - slope + np.exp((2 - power) * log_expected) / (2 - power))


def _floored(spend: Array, objective: str) -> tuple[Array, int]:
    """Spend raised to what the objective can take, and how many rows that were."""
    least = _LEAST * float(np.maximum(spend, 0).mean()) if objective == "gamma" else 0.0
    return np.maximum(spend, least), int((spend < least).sum())


def _nothing_spent(amount: Array) -> str | None:
    if amount.size and amount.max() > 0:
        return None
    return f"none of {amount.size} labelled customers spent anything, so there is nothing to learn"


def _pays(gain: Array, customers: pd.Index) -> bool:
    """Whether a gain is more than its error, also without the customer it owes most to: one huge order shifts both."""
    codes = pd.factorize(customers)[0]
    most = np.abs(np.bincount(codes, gain)).argmax()
    rest = gain[codes != most]
    return exceeds_its_error(gain) and (rest.size == 0 or exceeds_its_error(rest))


def _log_factor(amount: Array, log_expected: Array) -> float:
    total = amount.sum()
    return float(np.log(total / np.exp(log_expected).sum())) if total > 0 else 0.0
