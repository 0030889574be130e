"""The default run on the whole of CDNOW reaches its figures; one run serves every test here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from churn_clv.config import load_config
from churn_clv.train import Run, train

pytestmark = pytest.mark.cdnow
CONFIG = Path(__file__).parent.parent / "configs" / "cdnow.yaml"


@pytest.fixture(scope="session")
def cdnow_run() -> Run:
    return train(load_config(CONFIG, ["evaluation.bootstrap_samples=60"]))


@pytest.fixture(scope="session")
def metrics(cdnow_run: Run) -> dict[str, float]:
    return cdnow_run.judgement.metrics()


def test_churn_is_ranked_and_its_probability_is_right(metrics: dict[str, float]) -> None:
    # goals on the 52/26 week holdout
    assert metrics["churn/auc"] >= 0.800
    assert metrics["churn/log_loss"] <= 0.425
    assert 0.9 <= metrics["churn/calibration_slope"] <= 1.1


def test_spend_is_ranked(metrics: dict[str, float]) -> None:
    assert metrics["value/normalised_gini"] >= 0.740


def test_the_run_beats_or_ties_every_rival(cdnow_run: Run) -> None:
    verdicts = cdnow_run.judgement.verdicts()
    assert {rival for _, rival, _ in verdicts} == {
        "bg_nbd_gamma_gamma",
        "pareto_nbd_gamma_gamma",
        "textbook_ltv",
        "last_period",
        "logistic_rfm",
        "last_purchase_rule",
    }
    assert not [v for v in verdicts if v[2] == "loses"]


def test_the_churn_model_learned_from_labels_of_the_full_horizon(cdnow_run: Run) -> None:
    assert cdnow_run.windows.has_full_horizon_labels
    assert {label.horizon_days for label in cdnow_run.windows.labels} == {182}
    trees = cdnow_run.judged_models.churn.trees
    assert trees is not None and trees.rounds_ > 0


def test_two_years_have_too_few_windows_to_choose_by_and_keep_what_is_best_on_average(cdnow_run: Run) -> None:
    # of 52 weeks before the holdout one horizon of 26 weeks is left
    assert (cdnow_run.choice.methods.churn, cdnow_run.choice.methods.value) == ("offset_hybrid", "hurdle")
    assert any("too few windows to crown" in note for note in cdnow_run.notes)


@pytest.fixture(scope="session")
def judged_grid(cdnow_run: Run) -> pd.DataFrame:
    grid = cdnow_run.judged_grid
    assert len(grid) == 9
    assert (grid["customers"] >= 30).all(), "cells too small to compare"
    return grid


@pytest.mark.parametrize("value_tier", ["low", "mid", "high"])
def test_realised_churn_rises_along_risk(judged_grid: pd.DataFrame, value_tier: str) -> None:
    churn = judged_grid["realised_churn"].xs(value_tier, level="value_tier")[["low", "mid", "high"]]
    assert (churn.diff().dropna() > 0).all(), churn


@pytest.mark.parametrize("risk_tier", ["low", "mid", "high"])
def test_realised_spend_rises_along_value(judged_grid: pd.DataFrame, risk_tier: str) -> None:
    spend = judged_grid["realised_spend"].xs(risk_tier, level="risk_tier")[["low", "mid", "high"]]
    assert (spend.diff().dropna() > 0).all(), spend


def test_the_judged_grid_holds_every_customer_of_the_log(cdnow_run: Run) -> None:
    # every CDNOW customer bought first in the first quarter of 1997
    assert cdnow_run.judged_grid["customers"].sum() == cdnow_run.production_grid["customers"].sum() == 23_570


@pytest.mark.parametrize("placement", ["judged", "scores"])
def test_what_we_get_and_what_is_at_risk_add_up_to_value_if_active(cdnow_run: Run, placement: str) -> None:
    scores: pd.DataFrame = getattr(cdnow_run, placement)
    np.testing.assert_allclose(
        scores["expected_spend"] + scores["value_at_risk"], scores["value_if_active"], rtol=1e-12
    )
    numbers = scores.select_dtypes("number")
    assert np.isfinite(numbers).all().all()
    assert (
        (numbers[["expected_spend", "value_if_active", "value_at_risk", "clv", "expected_purchases"]] >= 0).all().all()
    )


def test_value_if_active_is_nearly_free_of_risk(cdnow_run: Run) -> None:
    """Expected spend contains the risk (rank correlation about -.85); a grid needs an axis that does not."""
    judged = cdnow_run.judged
    spend, active = (
        judged[c].rank().corr(judged["churn_probability"].rank()) for c in ("expected_spend", "value_if_active")
    )
    assert abs(active) < abs(spend) - 0.2
