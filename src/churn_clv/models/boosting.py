"""Boosted trees that add to a start known for every row: what the churn and the spend trees share."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Array = NDArray[np.float64]
Split = tuple[NDArray[np.intp], NDArray[np.intp]]

FIXED = {"verbosity": -1, "deterministic": True, "force_row_wise": True, "max_cat_to_onehot": 8}
PATIENCE = 30  # rounds without a better cross-validated loss before the search for the number of rounds ends
MANY_ROWS = 500_000  # beyond, one left-out fold measures the loss to its third digit and the others only cost time
START = "start"


@dataclass
class Trees:
    """Trees of LightGBM with the features they read; without a booster they add zero.

    `ranges` is a DataFrame (numeric feature x low, high) of the training rows.
    """

    features: list[str]
    categories: dict[str, list[str]]
    ranges: pd.DataFrame
    booster: Any = field(default=None, repr=False)

    @classmethod
    def reading(cls, features: pd.DataFrame) -> Trees:
        """Return trees that read these columns, not yet grown.

        Raises
        ------
        ValueError
            If a feature has the name of the column that `contributions` adds.
        """
        if START in features.columns:
            raise ValueError(f"a feature is named {START!r}, the column of what the trees start from; rename it")
        text = features.select_dtypes(exclude="number")
        categories = {str(name): sorted(column.dropna().astype("str").unique()) for name, column in text.items()}
        numeric = features.select_dtypes("number")
        return cls(list(features.columns), categories, pd.DataFrame({"low": numeric.min(), "high": numeric.max()}))

    def encode(self, features: pd.DataFrame) -> pd.DataFrame:
        """Return columns by place, as LightGBM refuses some names; text as training's categories, others missing."""
        columns = {}
        for place, name in enumerate(self.features):
            column = features[name]
            if name in self.categories:
                known = self.categories[name]
                text = column.astype("str")
                column = pd.Series(pd.Categorical(text.where(text.isin(known)), categories=known), index=features.index)
            columns[f"f{place}"] = column
        return pd.DataFrame(columns, index=features.index, copy=False)

    def add(self, features: pd.DataFrame) -> Array:
        """Return what the trees add to each row's start."""
        self._require(features)
        if self.booster is None:
            return np.zeros(len(features))
        return self.booster.predict(self.encode(features), raw_score=True)

    def contributions(self, features: pd.DataFrame, start: Array) -> pd.DataFrame:
        """Return what each feature adds to a row (TreeSHAP); the trees' mean over the training is in the start.

        References
        ----------
        Lundberg et al. (2020), Nature Machine Intelligence 2, 56-67: path-dependent TreeSHAP, by LightGBM.
        """
        self._require(features)
        shares = np.zeros((len(features), len(self.features) + 1))
        if self.booster is not None and len(features):
            shares = self.booster.predict(self.encode(features), pred_contrib=True)
        shares[:, -1] += start
        return pd.DataFrame(shares, index=features.index, columns=[*self.features, START])

    def importances(self) -> pd.Series:
        """Return each feature's share of the total split gain, largest first; empty with no trees."""
        if self.booster is None:
            return pd.Series(dtype=float, name="gain_share")
        gain = pd.Series(self.booster.feature_importance("gain"), index=self.features, name="gain_share")
        return (gain / max(gain.sum(), 1e-300)).sort_values(ascending=False)

    def share_outside_training(self, features: pd.DataFrame) -> pd.Series:
        """Return, per numeric feature, the share of rows outside the range seen in training."""
        values = features[self.ranges.index]
        outside = values.lt(self.ranges["low"], axis=1) | values.gt(self.ranges["high"], axis=1)
        return outside.mean().rename("share_outside_training").sort_values(ascending=False)

    def to_files(self, prefix: str, record: Mapping[str, Any]) -> dict[str, str]:
        """Return the trees and a record of their fit as text files, name -> content."""
        ranges = self.ranges.astype(object).where(self.ranges.notna(), None).to_dict("index")
        settings = {**record, "features": self.features, "categories": self.categories, "feature_ranges": ranges}
        files = {f"{prefix}.json": json.dumps(settings, indent=1, allow_nan=False)}
        if self.booster is not None:
            files[f"{prefix}.lightgbm.txt"] = self.booster.model_to_string()
        return files

    @classmethod
    def from_files(cls, files: Mapping[str, str], prefix: str) -> tuple[Trees, dict[str, Any]]:
        """Build the trees and their record from `to_files`. LightGBM's parser does not survive damaged text."""
        record = json.loads(files[f"{prefix}.json"])
        ranges = pd.DataFrame.from_dict(record["feature_ranges"], orient="index", columns=["low", "high"], dtype=float)
        trees = cls(record["features"], record["categories"], ranges)
        if f"{prefix}.lightgbm.txt" in files:
            import lightgbm

            trees.booster = lightgbm.Booster(model_str=files[f"{prefix}.lightgbm.txt"])
        return trees, record

    def _require(self, features: pd.DataFrame) -> None:
        missing = [name for name in self.features if name not in features.columns]
        if missing:
            raise ValueError(f"the model needs the features {missing}, which are missing; got {list(features.columns)}")


def dataset(encoded: pd.DataFrame, target: Array, start: Array, **parameters: Any) -> Any:
    """Return LightGBM's binned copy of encoded features, for any number of fits."""
    import lightgbm

    # LightGBM slices raw data that it is told to keep for every fold: a copy of the frame each.
    return lightgbm.Dataset(encoded, target, init_score=start, params=parameters or None, free_raw_data=True)


def cross_validate(
    settings: Mapping[str, Any], data: Any, encoded: pd.DataFrame, splits: Sequence[Split], max_rounds: int
) -> tuple[int, Array]:
    """Choose the number of rounds on rows of customers left out.

    Returns
    -------
    The number of rounds with the best mean of the settings' metric, and what that many trees add to each row by the
    fold that did not see its customer; NaN for rows that no fold leaves out.
    """
    import lightgbm

    history = lightgbm.cv(
        dict(settings), data, max_rounds, folds=splits, return_cvbooster=True,
        callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False)],
    )  # fmt: skip
    (losses,) = (history[name] for name in history if name.startswith("valid ") and name.endswith("-mean"))
    rounds = int(np.argmin(losses)) + 1
    added = np.full(len(encoded), np.nan)
    for booster, (_, test) in zip(history["cvbooster"].boosters, splits, strict=True):
        added[test] = booster.predict(encoded.iloc[test], raw_score=True, num_iteration=rounds)
    return rounds, added


def customer_folds(index: pd.Index, folds: int) -> NDArray[np.intp]:
    """Return the fold of each row by a checksum of its customer: the same customer, the same fold, in any run."""
    customers = index.get_level_values("customer_id")
    return np.array([zlib.crc32(str(c).encode()) % folds for c in customers], dtype=np.intp)


def splits_of(fold_of: NDArray[np.intp], folds: int) -> list[Split]:
    """Return (training rows, left-out rows) of each fold; of the first fold only beyond `MANY_ROWS` rows."""
    left_out = range(folds if fold_of.size <= MANY_ROWS else 1)
    return [(np.flatnonzero(fold_of != k), np.flatnonzero(fold_of == k)) for k in left_out]


def exceeds_its_error(gain: Array) -> bool:
    """Whether a mean gain over rows is larger than its standard error: the best of many rounds wins a little by luck."""
    return bool(gain.mean() > gain.std() / np.sqrt(gain.size))


def too_few_rows(fold_of: NDArray[np.intp], folds: int) -> str | None:
    """Return why the rows cannot be cross-validated, if so."""
    if (np.bincount(fold_of, minlength=folds) == 0).any():
        return f"{fold_of.size} labelled rows are too few for {folds} folds"
    return None


def check_alike(features: pd.DataFrame, *others: pd.Series) -> None:
    """Refuse columns that are not indexed like the features, or not finite."""
    for other in others:
        if not features.index.equals(other.index):
            raise ValueError(
                f"features ({len(features)} rows) and {other.name} ({len(other)} rows) are not indexed alike"
            )
        if not np.isfinite(other.to_numpy(float)).all():
            raise ValueError(f"{other.name} is not finite in {int((~np.isfinite(other.to_numpy(float))).sum())} rows")
