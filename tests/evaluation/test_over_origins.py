"""Figures over origins equal a slow computation in plain pandas."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from churn_clv.evaluation.over_origins import over_origins

ORIGINS = pd.Index(range(8), name="origin")
APART = [1, 3, 5, 7]


@pytest.fixture(scope="module")
def figures() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    columns = pd.MultiIndex.from_product(
        [["auc", "log_loss", "bias", "calibration_slope"], ["plain", "rich", "late"]], names=["metric", "method"]
    )
    frame = pd.DataFrame(rng.normal(0.6, 0.2, (8, len(columns))), ORIGINS, columns)
    frame.loc[:4, (slice(None), "late")] = np.nan  # a calibrated method has no figure at the first origins
    return frame


@pytest.fixture(scope="module")
def table(figures: pd.DataFrame) -> pd.DataFrame:
    return over_origins(figures, "plain", APART)


# metric -> how far a figure is from right
FAR = {
    "auc": lambda x: -x,
    "log_loss": lambda x: x,
    "bias": lambda x: abs(x),
    "calibration_slope": lambda x: abs(x - 1),
}


@pytest.mark.parametrize("metric", FAR)
@pytest.mark.parametrize("method", ["plain", "rich", "late"])
def test_every_number_equals_a_loop_over_origins(figures: pd.DataFrame, table: pd.DataFrame, metric: str, method: str):
    values = [v for v in figures[(metric, method)] if v == v]
    row = table.loc[(metric, method)]
    assert row["origins"] == len(values)
    assert row["mean"] == pytest.approx(sum(values) / len(values), rel=1e-12)
    assert row["sd"] == pytest.approx(
        np.sqrt(sum((v - row["mean"]) ** 2 for v in values) / (len(values) - 1)), rel=1e-12
    )
    assert row["worst"] == max(values, key=FAR[metric])
    gains = []
    for origin in APART:
        mine, reference = figures.loc[origin, (metric, method)], figures.loc[origin, (metric, "plain")]
        if mine == mine:
            gains.append(FAR[metric](reference) - FAR[metric](mine))
    assert row["windows"] == len(gains)
    assert row["wins"] == sum(g > 0 for g in gains)
    assert row["gain"] == pytest.approx(np.mean(gains), rel=1e-12, abs=1e-15)
    if method != "plain":
        low, high = stats.t.interval(0.95, len(gains) - 1, np.mean(gains), stats.sem(gains))
        assert (row["gain_low"], row["gain_high"]) == (pytest.approx(low, rel=1e-9), pytest.approx(high, rel=1e-9))


def test_origins_that_overlap_enter_the_mean_and_not_the_gain(figures: pd.DataFrame, table: pd.DataFrame):
    """An origin that is not apart moves the mean alone."""
    moved = figures.copy()
    moved.loc[2, ("auc", "rich")] += 5.0
    after = over_origins(moved, "plain", APART)
    same = ["gain", "gain_low", "gain_high", "wins", "windows"]
    assert after.loc[("auc", "rich"), same].equals(table.loc[("auc", "rich"), same])
    assert after.loc[("auc", "rich"), "mean"] == pytest.approx(table.loc[("auc", "rich"), "mean"] + 5 / 8, rel=1e-12)


def test_the_reference_gains_nothing_on_itself(table: pd.DataFrame):
    own = table.xs("plain", level="method")
    assert (own[["gain", "gain_low", "gain_high", "wins"]] == 0).all(axis=None)


def test_a_method_without_any_figure_has_a_row_and_no_numbers(figures: pd.DataFrame):
    empty = figures.assign(**{})
    empty[("auc", "late")] = np.nan
    row = over_origins(empty, "plain", APART).loc[("auc", "late")]
    assert (row["origins"], row["windows"], row["wins"]) == (0, 0, 0)
    assert row[["mean", "sd", "worst", "gain", "gain_low", "gain_high"]].isna().all()


def test_one_window_has_a_gain_and_no_interval(figures: pd.DataFrame):
    row = over_origins(figures, "plain", [7]).loc[("auc", "rich")]
    assert row["windows"] == 1
    assert row["gain"] == pytest.approx(figures.loc[7, ("auc", "rich")] - figures.loc[7, ("auc", "plain")], rel=1e-12)
    assert row[["gain_low", "gain_high"]].isna().all()


def test_the_table_is_made_of_a_copy(figures: pd.DataFrame):
    before = figures.copy()
    over_origins(figures, "plain", APART)
    pd.testing.assert_frame_equal(figures, before)
