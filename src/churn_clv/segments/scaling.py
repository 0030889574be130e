"""Features of any kind as columns of numbers that can be compared, in words and in distances.

A number that is never negative and has a skewness above 1 becomes log(1 + x); then its mean in the reference
snapshot is taken off and it is divided by its standard deviation there. A category or a truth value becomes one 0/1
column a level (the ten most common; a missing one is a level of its own): two customers who differ in it are then as far
apart as two drawn at random are in a number. A missing number is the median, and a 0/1 column says that it was missing;
features that are missing together, as those of one table are, say so once.
What is the same for everybody takes no part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from churn_clv.errors import InputError

LEVELS = 10
MISSING = "(missing)"


@dataclass(frozen=True)
class Column:
    """One scaled column: of a number, of a level of a category, or of whether a number is missing.

    fill (in the feature's unit) stands in for a missing number; centre and spread are of the number, or of its
    log(1 + x) where `log` is true.
    """

    feature: str
    kind: str
    level: str = ""
    log: bool = False
    fill: float = 0.0
    centre: float = 0.0
    spread: float = 1.0

    @property
    def shown_level(self) -> str:
        """The level in a table: of a category, or "(missing)" where the column tells that a number is missing."""
        return MISSING if self.kind == "missing" else self.level

    @property
    def tells_missing(self) -> bool:
        return self.shown_level == MISSING

    def measured(self, values: np.ndarray) -> np.ndarray:
        """Return the values on the scale that is compared; where that is log(1 + x), a negative number counts as 0."""
        return np.log1p(np.maximum(values, 0)) if self.log else values


def scaling(features: pd.DataFrame) -> tuple[tuple[Column, ...], tuple[str, ...]]:
    """Return the scaled columns of a reference snapshot, and the features that are the same for everybody."""
    columns, left_out, gaps = [], [], set()
    for feature in features:
        found = _level_columns(features[feature]) if _is_category(features[feature]) else _number(features[feature])
        if not found:
            left_out.append(str(feature))
        gap = features[feature].isna().to_numpy().tobytes()
        columns += [column for column in found if gap not in gaps or not column.tells_missing]
        gaps.add(gap)
    return tuple(columns), tuple(left_out)


def readable(columns: Sequence[Column], features: pd.DataFrame) -> np.ndarray:
    """Return one array column a scaled column, before scaling: numbers in the feature's unit, levels 0 or 1.

    Raises
    ------
    InputError
        If a feature is not there or a number is infinite.
    """
    named = features.rename(columns=str)
    absent = sorted({column.feature for column in columns} - set(named))
    if absent:
        raise InputError(f"the clusters need {', '.join(absent)}: not among the {features.shape[1]} features given")
    values = np.empty((len(features), len(columns)))
    for k, column in enumerate(columns):
        values[:, k] = _values(column, named[column.feature])
    return values


def _is_category(values: pd.Series) -> bool:
    if pd.api.types.is_datetime64_any_dtype(values):
        raise InputError(f"feature {values.name} is a date: clusters need a number of days")
    return pd.api.types.is_bool_dtype(values) or not pd.api.types.is_numeric_dtype(values)


def _level_columns(values: pd.Series) -> list[Column]:
    counts = _levels(values).value_counts()
    if len(counts) < 2:
        return []
    common = sorted(counts.index, key=lambda level: (-counts[level], level))[:LEVELS]
    return [Column(str(values.name), "level", level) for level in common]


def _levels(values: pd.Series) -> pd.Series:
    return values.astype(object).where(values.notna(), MISSING).astype(str)


def _number(values: pd.Series) -> list[Column]:
    name, missing = str(values.name), values.isna()
    _require_finite(values)
    known = values[~missing].to_numpy(dtype=float)
    found = [Column(name, "missing")] if 0 < missing.sum() < len(values) else []
    if known.size == 0 or known.min() == known.max():
        return found
    fill = float(np.median(known))
    filled = values.to_numpy(dtype=float, na_value=fill)
    filled = np.where(np.isnan(filled), fill, filled)
    log = bool(known.min() >= 0 and _skewness(known) > 1)
    measured = np.log1p(filled) if log else filled
    return [Column(name, "number", "", log, fill, float(measured.mean()), float(measured.std())), *found]


def _skewness(values: np.ndarray) -> float:
    scaled = (values - values.mean()) / values.std()
    return float((scaled**3).mean())


def _require_finite(values: pd.Series) -> None:
    infinite = int(np.isinf(values.to_numpy(dtype=float, na_value=np.nan)).sum())
    if infinite:
        raise InputError(
            f"feature {values.name} is infinite for {infinite} of {len(values)} customers: leave it out or make it missing"
        )


def _values(column: Column, values: pd.Series) -> np.ndarray:
    if column.kind == "level":
        return (_levels(values) == column.level).to_numpy(dtype=float)
    _require_finite(values)
    if column.kind == "missing":
        return values.isna().to_numpy(dtype=float)
    known = values.to_numpy(dtype=float, na_value=np.nan)
    return np.where(np.isnan(known), column.fill, known)
