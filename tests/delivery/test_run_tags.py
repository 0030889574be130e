"""Runs a person can tell apart: names that say what differs, tags that say how it went."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import mlflow
import pytest

from churn_clv.config import Config, parse_config
from churn_clv.delivery.run_tags import changed_settings, run_name, tags_of, warnings_of
from churn_clv.train import Run

FOLDER = Path("runs/shop/20260102T030405Z")


def config(**sections: object) -> Config:
    windows = {"calibration_end": date(2024, 6, 30), "holdout_end": date(2024, 12, 15)}
    return parse_config({"name": "shop", "data": {"source": "cdnow"}, "windows": windows} | sections, source="test")


def test_a_run_with_the_defaults_is_config_and_time():
    assert run_name(config(), FOLDER) == "shop 2026-01-02 03:04:05"


def test_what_differs_from_the_defaults_is_in_the_name_with_its_section_only_where_two_have_the_key():
    asked = config(
        churn={"num_leaves": 5, "method": "lightgbm"}, value={"method": "tweedie"}, grid={"risk_cuts": [0.6, 0.85]}
    )
    expected = (
        "shop (value.method=tweedie, num_leaves=5, churn.method=lightgbm, risk_cuts=[0.6, 0.85]) 2026-01-02 03:04:05"
    )
    assert run_name(asked, FOLDER) == expected


def test_dates_data_and_errors_are_no_part_of_the_name():
    asked = config(evaluation={"bootstrap_samples": 50}, data={"source": "simulated", "simulated": {"customers": 90}})
    assert changed_settings(asked) == []


def test_a_variant_of_an_experiment_has_its_own_name_already():
    asked = config(churn={"num_leaves": 5})
    assert run_name(asked, FOLDER, variant="few-leaves") == "shop 2026-01-02 03:04:05"
    assert run_name(asked, FOLDER, "backtest") == "shop backtest (num_leaves=5) 2026-01-02 03:04:05"


def test_a_long_name_is_cut_at_a_setting():
    trees = {"learning_rate": 0.1, "num_leaves": 5, "min_data_in_leaf": 40, "feature_fraction": 0.5, "lambda_l2": 1.0,
             "max_rounds": 100, "folds": 3, "seed": 3, "features": "rich", "method": "lightgbm"}  # fmt: skip
    name = run_name(config(churn=trees), FOLDER)
    assert ", ...) 2026-01-02 03:04:05" in name
    assert len(name) < 180


def test_the_tags_say_who_won_on_what_data_and_what_was_warned_of(small_run: Run):
    warned = replace(small_run, notes=[*small_run.notes, "Label cutoff 2023-01-01 is left out: too early."])
    tags = tags_of(warned, FOLDER)
    verdicts = [verdict for *_, verdict in small_run.judgement.verdicts()]
    assert tags["winner"] == f"ties with {verdicts.count('ties')} of {len(verdicts)}"
    assert "loses" not in verdicts
    assert tags["loses_to_baseline"] == "no"
    assert tags["holdout"] == "2024-06-30 to 2024-12-15"
    assert tags["warnings_text"].endswith("Label cutoff 2023-01-01 is left out: too early.")
    assert int(tags["warnings"]) == len(warnings_of(small_run)) + 1


def test_verdicts_choices_and_plain_facts_are_no_warnings(small_run: Run):
    assert small_run.judgement.sentences()[0] in small_run.notes
    said = {*small_run.judgement.sentences(), *small_run.choice.sentences}
    assert not [note for note in warnings_of(small_run) if note in said or note.startswith("The churn model learned")]


@pytest.mark.parametrize(("churn", "value"), [("purchase_model", "hurdle"), ("lightgbm", "tweedie")])
def test_the_methods_that_auto_chose_are_parameters_of_the_run(log_as, churn: str, value: str):
    params = mlflow.get_run(log_as(churn, value).run_id).data.params
    assert (params["methods.churn"], params["methods.value"], params["methods.calibrated"]) == (churn, value, "False")
    assert params["churn.method"] == "auto"
