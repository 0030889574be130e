"""Scaling: numbers, categories and gaps as columns, told once each."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from churn_clv.segments.scaling import LEVELS, readable, scaling


def test_a_skewed_number_is_logged_and_others_are_not() -> None:
    rng = np.random.default_rng(1)
    skewed = rng.lognormal(size=500)
    frame = pd.DataFrame({"skewed": skewed, "losses": skewed - 1, "even": rng.uniform(size=500)})
    columns, _ = scaling(frame)
    assert [column.log for column in columns] == [True, False, False]
    # centre and spread are those of what is measured, to rounding
    assert (columns[0].centre, columns[0].spread) == pytest.approx((np.log1p(skewed).mean(), np.log1p(skewed).std()))


def test_a_missing_number_is_the_median_and_told_by_a_column_of_its_own() -> None:
    frame = pd.DataFrame({"age": [1.0, 2.0, np.nan, 9.0]})
    columns, _ = scaling(frame)
    assert [column.kind for column in columns] == ["number", "missing"]
    assert readable(columns, frame).tolist() == [[1, 0], [2, 0], [2, 1], [9, 0]]


def test_nullable_and_float_numbers_scale_alike() -> None:
    plain = pd.DataFrame({"age": [1.0, 2.0, np.nan, 9.0]})
    assert scaling(plain.astype("Float64")) == scaling(plain)
    assert np.array_equal(readable(scaling(plain)[0], plain.astype("Int64")), readable(scaling(plain)[0], plain))


def test_a_category_is_one_column_a_level_the_most_common_first_at_most_ten() -> None:
    frame = pd.DataFrame({"kind": [f"k{j:02d}" for j in range(12) for _ in range(20 - j)]})
    columns, _ = scaling(frame)
    assert [column.level for column in columns] == [f"k{j:02d}" for j in range(LEVELS)]
    few = pd.DataFrame({"kind": ["a", None, "b", "a"], "member": [True, False, True, True]})
    assert [column.level for column in scaling(few)[0]] == ["a", "(missing)", "b", "True", "False"]


def test_features_that_are_missing_together_say_so_once() -> None:
    """Limiting case: two columns of one table, known for the same half of the customers, are one fact about the table."""
    rng = np.random.default_rng(3)
    known = np.arange(40) % 2 == 0
    features = pd.DataFrame({
        "age": np.where(known, rng.normal(40, 9, 40), np.nan),
        "income": np.where(known, rng.normal(9, 2, 40), np.nan),
        "region": np.where(known, rng.choice(["north", "south"], 40), None),
        "score": np.where(np.arange(40) < 5, np.nan, rng.normal(size=40)),
    })  # fmt: skip
    columns, _ = scaling(features)
    told = [(c.feature, c.kind) for c in columns if c.tells_missing]
    assert told == [("age", "missing"), ("score", "missing")]
