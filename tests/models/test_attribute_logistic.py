"""The regression on all columns finds the truth of its own model, and takes what a table may hold."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from churn_clv.models.attribute_logistic import AttributeLogistic


def drawn(n: int, seed: int) -> tuple[pd.DataFrame, pd.Series, np.ndarray]:
    rng = np.random.default_rng(seed)
    features = pd.DataFrame({"x": rng.normal(size=n) * 40 + 100, "plan": rng.choice(["a", "b", "c"], n)})
    logit = 0.02 * (features["x"] - 100) + features["plan"].map({"a": -1.0, "b": 0.0, "c": 1.0})
    truth = (1 / (1 + np.exp(-logit))).to_numpy()
    return features, pd.Series((rng.random(n) < truth).astype(float)), truth


def test_it_finds_the_probabilities_of_a_logistic_truth() -> None:
    features, churned, truth = drawn(20_000, 1)
    found = AttributeLogistic().fit(features, churned).predict_probability(features)
    # four parameters from 20,000 rows: errors of the log-odds near .03, of a probability under .01
    assert np.abs(found - truth).mean() < 0.01


def test_missing_values_are_a_category_and_a_mark() -> None:
    features, churned, _ = drawn(4000, 2)
    gone = churned == 1
    # every churner lacks both cells: only what stands for missing can tell
    holed = features.assign(x=features["x"].mask(gone), plan=features["plan"].mask(gone))
    found = AttributeLogistic().fit(holed, churned).predict_probability(holed)
    assert found[gone].min() > 0.95 > 0.05 > found[~gone].max()


def test_a_category_never_seen_counts_as_none_and_a_column_may_be_all_missing() -> None:
    features, churned, _ = drawn(500, 3)
    model = AttributeLogistic().fit(features.assign(empty=np.nan), churned)
    new = pd.DataFrame({"x": [100.0], "plan": ["z"], "empty": [np.nan]}, index=["c1"])
    assert model.predict_probability(new)["c1"] == pytest.approx(0.5, abs=0.2)
