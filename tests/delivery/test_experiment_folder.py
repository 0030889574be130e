"""An experiment's answer: paired where it can be, said to be unpaired where not, and one page that stands alone."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from churn_clv.delivery.experiment import Experiment
from churn_clv.delivery.experiment_folder import Result, effects_of, reference_of, sentences, write_effects
from churn_clv.evaluation.effect_figures import PANELS, effects_figure
from churn_clv.train import Run

Results = dict[str, dict[str, Result]]


@pytest.fixture(scope="module")
def plain(small_run: Run) -> Result:
    return Result.of(small_run)


@pytest.fixture(scope="module")
def asked(small_run: Run) -> Experiment:
    variants = {"plain": small_run.config, "<b>blurred</b>": small_run.config}
    return Experiment("Does <blurring> matter?", {"small": variants})


@pytest.fixture(scope="module")
def results(plain: Result) -> Results:
    noise = np.random.default_rng(1).normal(0, 1.5, len(plain.judged))
    log_odds = np.log(plain.judged["churn_probability"] / (1 - plain.judged["churn_probability"])) + noise
    blurred = plain.judged.assign(churn_probability=1 / (1 + np.exp(-log_odds)))
    return {"small": {"plain": plain, "<b>blurred</b>": replace(plain, judged=blurred)}}


def test_a_blurred_risk_is_worse_and_a_value_that_was_left_alone_is_the_same(
    asked: Experiment, results: Results
) -> None:
    """Limiting cases: noise on the log-odds cannot help, and what is untouched has an effect of exactly nothing."""
    effects = effects_of(asked, results).loc[("small", "<b>blurred</b>")]
    assert effects.loc[("churn", "log_loss"), "decision"] == "worse"
    assert effects.loc[("value", "normalised_gini"), "decision"] == "the same"
    assert effects["paired"].all()


def test_runs_judged_on_other_customers_are_compared_unpaired_and_it_is_said(asked: Experiment, plain: Result) -> None:
    fewer = replace(plain, judged=plain.judged.iloc[1:])
    effects = effects_of(asked, {"small": {"plain": plain, "<b>blurred</b>": fewer}})
    assert not effects["paired"].any()
    assert set(effects["decision"]) <= {"no difference seen", "the same"}  # the metric tables are the same run's
    assert all("not paired" in line or "the same" in line for line in sentences(effects))


def test_against_a_baseline_each_variant_is_compared_with_its_own(
    asked: Experiment, results: Results, small_run: Run
) -> None:
    own = replace(asked, against={"churn": "logistic_rfm"})
    effects = effects_of(own, results)
    assert list(effects.index.unique("variant")) == ["plain", "<b>blurred</b>"]
    row = small_run.judgement.churn.loc[("log_loss", "logistic_rfm")]
    gain = effects.loc[("small", "plain", "churn", "log_loss"), "gain"]
    assert gain == pytest.approx(-row["difference"])
    assert reference_of(own) == "logistic regression on RFM"
    assert reference_of(asked) == "plain"


def test_the_page_stands_alone_escapes_names_and_shows_every_effect(
    asked: Experiment, results: Results, tmp_path: Path
) -> None:
    effects = effects_of(asked, results)
    folder = write_effects(asked, "blurring", effects, results, tmp_path)
    assert folder.parent == tmp_path / "blurring-comparison"
    page = (folder / "experiment.html").read_text(encoding="utf-8")
    assert "<b>blurred" not in page and "&lt;b&gt;blurred" in page
    assert "Does &lt;blurring&gt; matter?" in page
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    assert page.count('<tr><th scope="row">') >= len(effects)
    assert len(page.encode()) < 500_000
    written = pd.read_csv(folder / "effects.csv").set_index(["log", "variant", "task", "metric"])
    np.testing.assert_allclose(written["gain"], effects["gain"])
    assert (folder / "figures" / "effects.png").read_bytes().startswith(b"\x89PNG")
    assert "churn/log_loss" in pd.read_csv(folder / "metrics.csv")["metric"].tolist()


def test_the_figure_has_one_panel_a_metric_and_one_row_a_variant_and_log(asked: Experiment, results: Results) -> None:
    effects = effects_of(asked, results)
    twice = pd.concat({"one": effects.loc["small"], "other $": effects.loc["small"]}, names=["log"])
    figure = effects_figure(twice, "plain")
    assert len(figure.axes) == len(PANELS)
    assert len(figure.axes[0].get_yticklabels()) == 2
    figure.canvas.draw()
