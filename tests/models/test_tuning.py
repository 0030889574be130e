"""The search for settings: the defaults first, one seed one answer, nothing on the terminal."""

from __future__ import annotations

from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest

from churn_clv.models.churn import ChurnModel
from churn_clv.models.tuning import SEARCHED, search

FIXED: dict[str, Any] = {"max_rounds": 60}
Data = tuple[pd.DataFrame, pd.Series, pd.Series]


@pytest.fixture(scope="module")
def data() -> Data:
    rng = np.random.default_rng(1)
    n = 900
    index = pd.MultiIndex.from_product([range(2), [f"{k:04d}" for k in range(n // 2)]], names=["cutoff", "customer_id"])
    features = pd.DataFrame(rng.normal(size=(n, 4)), index=index, columns=list("abcd"))
    features["region"] = rng.choice(["north", "south"], n)
    offset = pd.Series(rng.normal(size=n), index=index, name="offset")
    log_odds = offset + 2 * features["a"] * features["b"] + features["c"]
    churned = pd.Series((rng.random(n) < 1 / (1 + np.exp(-log_odds))).astype(float), index=index, name="churned")
    return features, churned, offset


@pytest.fixture(scope="module")
def found(data: Data) -> tuple[dict[str, Any], pd.DataFrame]:
    return search(*data, trials=8, seconds=None, seed=3, fixed=FIXED)


def test_the_first_trial_is_the_default_and_the_best_is_no_worse(
    data: Data, found: tuple[dict[str, Any], pd.DataFrame]
) -> None:
    settings, table = found
    defaults = ChurnModel().get_params()
    assert {name: table[name].iloc[0] for name in SEARCHED} == {name: defaults[name] for name in SEARCHED}
    best = table.loc[table["log_loss"].idxmin()]
    assert {name: best[name] for name in SEARCHED} == settings
    assert best["log_loss"] <= table["log_loss"].iloc[0]


def test_the_losses_are_those_of_the_model_itself(data: Data, found: tuple[dict[str, Any], pd.DataFrame]) -> None:
    """A fit from scratch with the same settings cross-validates alike, so one binned data set serves all trials."""
    settings, table = found
    for k in (0, int(table["log_loss"].idxmin())):
        of_trial = {name: table.loc[k, name].item() for name in SEARCHED}
        whole = {
            name: int(v) if isinstance(ChurnModel().get_params()[name], int) else v for name, v in of_trial.items()
        }
        fitted = ChurnModel(**FIXED, **whole).fit(*data)
        assert fitted.cross_validation_["trees"] == pytest.approx(table.loc[k, "log_loss"], abs=1e-12)
    assert ChurnModel(**FIXED, **settings).fit(*data).rounds_ == table.loc[table["log_loss"].idxmin(), "rounds"]


def test_one_seed_finds_the_same(data: Data, found: tuple[dict[str, Any], pd.DataFrame]) -> None:
    settings, table = search(*data, trials=8, seconds=None, seed=3, fixed=FIXED)
    assert settings == found[0]
    pd.testing.assert_frame_equal(table, found[1], check_exact=True)
    other, _ = search(*data, trials=8, seconds=None, seed=4, fixed=FIXED)
    assert other != settings


def test_the_number_of_threads_changes_nothing(data: Data) -> None:
    one, two = (
        search(*data, trials=2, seconds=None, seed=3, fixed={"max_rounds": 2, "num_leaves": 3, "num_threads": threads})[
            1
        ]
        for threads in (1, 2)
    )
    pd.testing.assert_frame_equal(one, two, check_exact=True)


def test_settings_that_are_fixed_are_not_searched(data: Data) -> None:
    features, churned, _ = data
    fixed = {**FIXED, "num_leaves": 5, "monotone": {"c": 1}}
    settings, table = search(features, churned, None, trials=2, seconds=None, seed=3, start="base_rate", fixed=fixed)
    assert set(settings) == set(SEARCHED) - {"num_leaves"}
    model = ChurnModel(start="base_rate", **fixed).fit(features, churned)
    assert model.cross_validation_["trees"] == pytest.approx(table["log_loss"].iloc[0], abs=1e-12)


def test_the_time_limit_begins_no_further_trial(data: Data) -> None:
    settings, table = search(*data, trials=1000, seconds=1e-3, seed=3, fixed=FIXED)
    assert len(table) == 1
    assert settings["num_leaves"] == ChurnModel().num_leaves


def test_optuna_keeps_silent_and_its_verbosity_stays(data: Data, capfd: pytest.CaptureFixture[str]) -> None:
    before = optuna.logging.get_verbosity()
    search(*data, trials=2, seconds=None, seed=3, fixed=FIXED)
    assert optuna.logging.get_verbosity() == before
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")


def test_what_cannot_be_searched_is_refused(data: Data) -> None:
    features, churned, offset = data
    with pytest.raises(ValueError, match="trials and seconds must be positive"):
        search(*data, trials=0, seconds=None, seed=1)
    with pytest.raises(ValueError, match="1 classes cannot be searched"):
        search(features, churned * 0, offset, trials=1, seconds=None, seed=1)
    with pytest.raises(ValueError, match="an offset goes with start='offset'"):
        search(features, churned, offset, trials=1, seconds=None, seed=1, start="base_rate")
    with pytest.raises(ValueError, match="not indexed alike"):
        search(features, churned.iloc[::-1], offset, trials=1, seconds=None, seed=1)
