"""Churn in the horizon: LightGBM that corrects the purchase model's log-odds of no purchase."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

_FIXED = {"objective": "binary", "verbosity": -1, "deterministic": True, "force_row_wise": True, "max_cat_to_onehot": 8}


class ChurnModel:
    """Predict the probability of no purchase in a horizon.

    The boosted trees start from the log-odds that the purchase model gives to no purchase (LightGBM's init score) and
    learn only what it misses; with nothing to learn the answer is the purchase model's own. Because the horizon is in
    the offset, labels of several horizons can be learned together.

    Parameters
    ----------
    learning_rate, num_leaves, min_data_in_leaf, feature_fraction, lambda_l2, max_rounds, num_threads
        LightGBM's parameters of these names; the number of rounds up to `max_rounds` is chosen by cross-validation.
    folds
        Folds of customers: all rows of one customer are in one fold, so that no customer informs their own prediction.
    seed
        Seed of feature sampling. One seed, one model, whatever the number of threads.

    Attributes
    ----------
    rounds_ : trees in the fitted model; 0 means that the offset alone was better.
    cross_validation_ : log loss on unseen customers of the `offset` alone, of the `trees` where they were
        tried, and of what was `chosen`.
    feature_ranges_ : DataFrame (feature x low, high) seen in training, for `share_outside_training`.
    note_ : a sentence when the trees could not be fitted, else None.
    """

    def __init__(
        self,
        *,
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
        names = ("learning_rate", "num_leaves", "min_data_in_leaf", "feature_fraction", "lambda_l2",
                 "max_rounds", "folds", "seed", "num_threads")  # fmt: skip
        return {name: getattr(self, name) for name in names}

    def fit(self, features: pd.DataFrame, churned: pd.Series, offset: pd.Series) -> ChurnModel:
        """Learn from past cutoffs.

        Parameters
        ----------
        features
            Rows indexed by (cutoff, customer_id); numbers, or text for categories; missing values allowed.
        churned
            1 where the customer bought nothing in the label's horizon, same index.
        offset
            Log-odds of no purchase in that horizon by the purchase model, same index.

        Raises
        ------
        ValueError
            If the three are not indexed alike, or the offset is not finite.
        """
        _check_alike(features, churned, offset)
        self.categories_ = _categories(features)
        self.features_ = list(features.columns)
        numeric = features.select_dtypes("number")
        self.feature_ranges_ = pd.DataFrame({"low": numeric.min(), "high": numeric.max()})
        self.note_ = _why_not(churned, self.folds, features)
        self.rounds_, self._booster = 0, None
        alone = float(_losses(churned, offset.to_numpy(float)).mean())
        self.cross_validation_ = {"offset": alone, "chosen": alone}
        if self.note_ is None:
            self._boost(self._encode(features), churned, offset, _folds(features.index, self.folds))
        return self

    def predict_probability(self, features: pd.DataFrame, offset: pd.Series) -> pd.Series:
        """Return the probability of no purchase in the offset's horizon, indexed like `features`.

        Raises
        ------
        ValueError
            If a feature of the training is missing, or features and offset are not indexed alike.
        """
        missing = [name for name in self.features_ if name not in features.columns]
        if missing:
            raise ValueError(
                f"the churn model needs the features {missing}, which are missing; got {list(features.columns)}"
            )
        _check_alike(features, offset)
        log_odds = offset.to_numpy(float)
        if self._booster is not None:
            log_odds = log_odds + self._booster.predict(self._encode(features), raw_score=True)
        return pd.Series(1 / (1 + np.exp(-log_odds)), index=features.index, name="churn_probability")

    def importances(self) -> pd.Series:
        """Return each feature's share of the total split gain, largest first; empty with no trees."""
        if self._booster is None:
            return pd.Series(dtype=float, name="gain_share")
        gain = pd.Series(self._booster.feature_importance("gain"), index=self.features_, name="gain_share")
        return (gain / max(gain.sum(), 1e-300)).sort_values(ascending=False)

    def share_outside_training(self, features: pd.DataFrame) -> pd.Series:
        """Return, per numeric feature, the share of rows outside the range seen in training: trees are flat there."""
        values = features[self.feature_ranges_.index]
        outside = values.lt(self.feature_ranges_["low"], axis=1) | values.gt(self.feature_ranges_["high"], axis=1)
        return outside.mean().rename("share_outside_training").sort_values(ascending=False)

    def to_files(self) -> dict[str, str]:
        """Return the model as text files, name -> content: settings as JSON, trees in LightGBM's own format."""
        settings = {
            "params": self.get_params(), "features": self.features_, "categories": self.categories_,
            "rounds": self.rounds_, "cross_validation": self.cross_validation_, "note": self.note_,
            "feature_ranges": self.feature_ranges_.astype(object).where(self.feature_ranges_.notna(), None).to_dict("index"),
        }  # fmt: skip
        files = {"churn.json": json.dumps(settings, indent=1, allow_nan=False)}
        if self._booster is not None:
            files["churn.lightgbm.txt"] = self._booster.model_to_string()
        return files

    @classmethod
    def from_files(cls, files: Mapping[str, str]) -> ChurnModel:
        """Build the model from `to_files`. Verify digests first: LightGBM's parser does not survive damaged text."""
        settings = json.loads(files["churn.json"])
        model = cls(**settings["params"])
        model.features_, model.categories_ = settings["features"], settings["categories"]
        model.rounds_, model.note_ = settings["rounds"], settings["note"]
        model.cross_validation_ = settings["cross_validation"]
        ranges = pd.DataFrame.from_dict(
            settings["feature_ranges"], orient="index", columns=["low", "high"], dtype=float
        )
        model.feature_ranges_ = ranges
        model._booster = None
        if "churn.lightgbm.txt" in files:
            import lightgbm

            model._booster = lightgbm.Booster(model_str=files["churn.lightgbm.txt"])
        return model

    def _boost(self, encoded: pd.DataFrame, churned: pd.Series, offset: pd.Series, fold_of: np.ndarray) -> None:
        import lightgbm

        own = (
            "learning_rate",
            "num_leaves",
            "min_data_in_leaf",
            "feature_fraction",
            "lambda_l2",
            "num_threads",
            "seed",
        )
        settings = _FIXED | {name: getattr(self, name) for name in own}
        data = lightgbm.Dataset(
            encoded, churned.to_numpy(float), init_score=offset.to_numpy(float), free_raw_data=False
        )
        folds = [(np.flatnonzero(fold_of != k), np.flatnonzero(fold_of == k)) for k in range(self.folds)]
        history = lightgbm.cv(
            settings | {"metric": "binary_logloss"}, data, self.max_rounds, folds=folds, return_cvbooster=True,
            callbacks=[lightgbm.early_stopping(30, verbose=False)],
        )  # fmt: skip
        rounds = int(np.argmin(history["valid binary_logloss-mean"])) + 1
        unseen = offset.to_numpy(float).copy()
        for booster, (_, test) in zip(history["cvbooster"].boosters, folds, strict=True):
            unseen[test] += booster.predict(encoded.iloc[test], raw_score=True, num_iteration=rounds)
        gain = _losses(churned, offset.to_numpy(float)) - _losses(churned, unseen)
        self.cross_validation_["trees"] = float(_losses(churned, unseen).mean())
        # The best of many rounds is a little better by luck: trees must beat the offset by more than the gain's error.
        if gain.mean() > gain.std() / np.sqrt(gain.size):
            self.rounds_ = rounds
            self.cross_validation_["chosen"] = self.cross_validation_["trees"]
            self._booster = lightgbm.train(settings, data, self.rounds_)

    def _encode(self, features: pd.DataFrame) -> pd.DataFrame:
        """Columns by place, as LightGBM refuses some names; text as the training's categories, others as missing."""
        columns = {}
        for place, name in enumerate(self.features_):
            column = features[name]
            if name in self.categories_:
                known = self.categories_[name]
                text = column.astype("str")
                column = pd.Categorical(text.where(text.isin(known)), categories=known)
            columns[f"f{place}"] = column
        return pd.DataFrame(columns, index=features.index)


def _categories(features: pd.DataFrame) -> dict[str, list[str]]:
    text = features.select_dtypes(exclude="number")
    return {str(name): sorted(column.dropna().astype("str").unique()) for name, column in text.items()}


def _folds(index: pd.Index, folds: int) -> np.ndarray:
    """The fold of each row by a checksum of its customer: the same customer, the same fold, in any run."""
    customers = index.get_level_values("customer_id")
    return np.array([zlib.crc32(str(c).encode()) % folds for c in customers])


def _why_not(churned: pd.Series, folds: int, features: pd.DataFrame) -> str | None:
    if churned.nunique() < 2:
        outcome = "bought nothing" if churned.iloc[0] else "bought again"
        return f"every labelled customer {outcome}, so there is nothing to classify: risk is the purchase model's"
    sizes = np.bincount(_folds(features.index, folds), minlength=folds)
    if (sizes == 0).any():
        return f"{len(churned)} labelled rows are too few for {folds} folds: risk is the purchase model's"
    return None


def _losses(churned: pd.Series, log_odds: np.ndarray) -> np.ndarray:
    """The negative log likelihood of each row's outcome, in nats."""
    return np.logaddexp(0, np.where(churned.to_numpy() == 1, -1.0, 1.0) * log_odds)


def _check_alike(features: pd.DataFrame, *others: pd.Series) -> None:
    for other in others:
        if not features.index.equals(other.index):
            raise ValueError(
                f"features ({len(features)} rows) and {other.name} ({len(other)} rows) are not indexed alike"
            )
        if not np.isfinite(other.to_numpy(float)).all():
            raise ValueError(f"{other.name} is not finite in {int((~np.isfinite(other.to_numpy(float))).sum())} rows")
