"""What moves the risk is named by value and ranked by strength."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from churn_clv.evaluation.drivers import FEWEST_IN_GROUP, drivers, groups_of


def test_features_are_ranked_by_mean_size_with_the_values_that_raise_and_lower() -> None:
    plan = pd.Series(["monthly"] * 60 + ["yearly"] * 40)
    tenure = pd.Series(np.arange(100.0))
    contributions = pd.DataFrame({
        "plan": np.where(plan == "monthly", 0.5, -0.75), "tenure": np.where(tenure < 34, 0.2, -0.1), "start": -1.0,
        "idle": 0.0,
    })  # fmt: skip
    table = drivers(pd.DataFrame({"idle": 1.0, "tenure": tenure, "plan": plan}), contributions)
    assert table.index.tolist() == ["plan", "tenure"]  # what moves nobody is left out
    assert table.loc["plan", "strength"] == pytest.approx(0.6 * 0.5 + 0.4 * 0.75)
    assert table.loc["plan", ["raises", "raises_by", "lowers", "lowers_by"]].tolist() == [
        "monthly",
        0.5,
        "yearly",
        -0.75,
    ]
    # thirds of 0 to 99 by hand: cuts at 33 and 66; the lowest holds 33 customers of +.2
    assert table.loc["tenure", "raises"] == "under 33"
    assert table.loc["tenure", "raises_by"] == pytest.approx(0.2)


def test_a_group_too_small_to_mean_anything_is_not_named() -> None:
    plan = pd.Series(["a"] * 50 + ["b"] * 50 + ["rare"] * (FEWEST_IN_GROUP - 1))
    contributions = pd.DataFrame({"plan": plan.map({"a": 0.1, "b": -0.1, "rare": 3.0})})
    assert drivers(pd.DataFrame({"plan": plan}), contributions).loc["plan", "raises"] == "a"


def test_few_numbers_stay_as_they_are_and_missing_is_a_group() -> None:
    assert groups_of(pd.Series([0, 1, 1, None])).tolist() == ["0", "1", "1", "missing"]
    assert groups_of(pd.Series(["x", None])).tolist() == ["x", "missing"]


def test_no_features_that_move_anyone_is_an_empty_table() -> None:
    assert drivers(pd.DataFrame({"x": [1.0, 2.0]}), pd.DataFrame({"x": [0.0, 0.0]})).empty
