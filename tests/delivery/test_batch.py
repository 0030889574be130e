"""Scoring from files: the training's customers again, a model with attributes, and logs with nothing to score."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from churn_clv.config import parse_config
from churn_clv.data.feature_names import BEHAVIOUR
from churn_clv.data.features import features_at
from churn_clv.data.simulate import simulate_log
from churn_clv.delivery.batch import score_file
from churn_clv.delivery.model_folder import model_files, write_model
from churn_clv.delivery.run_folder import files_of
from churn_clv.errors import InputError
from churn_clv.fits import Methods, fit_models
from churn_clv.score import trained_attributes
from churn_clv.score_log import score
from churn_clv.train import Run, open_evidence, train


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model trained with an attribute that decides everything: customers of 'gone' never return."""
    place = tmp_path_factory.mktemp("scored")
    log = simulate_log(customers=500, seed=8, arrival_days=300)
    rng = np.random.default_rng(1)
    ids = log["customer_id"].unique()
    kind = pd.Series(np.where(rng.random(ids.size) < 0.4, "gone", "here"), index=ids)
    first = log.groupby("customer_id")["date"].transform("min")
    log = log[(log["customer_id"].map(kind) == "here") | (log["date"] <= first + pd.Timedelta(days=60))]
    log.to_parquet(place / "log.parquet")
    pd.DataFrame({"customer_id": ids, "kind": kind.to_numpy()}).to_csv(place / "attributes.csv", index=False)
    return place


@pytest.fixture(scope="module")
def run(place: Path) -> Run:
    config = {
        "name": "kinds",
        "data": {"path": str(place / "log.parquet"), "attributes": {"path": str(place / "attributes.csv")}},
        "windows": {"calibration_end": date(2024, 5, 31), "holdout_end": date(2024, 11, 30)},
        "evaluation": {"bootstrap_samples": 20},
    }
    finished = train(parse_config(config, source="test"))
    (place / "model").mkdir()
    write_model(place / "model", files_of(finished))
    return finished


def test_the_attribute_is_learned_and_scores_from_files_are_the_runs(place: Path, run: Run):
    assert run.models.churn.importances().get("kind", 0) > 0
    scored = score_file(
        place / "model", place / "log.parquet", run.windows.score_as_of, {}, {}, place / "attributes.csv"
    )
    pd.testing.assert_frame_equal(scored.scores, run.scores, check_exact=True)
    assert scored.remarks == ()


def test_without_the_attributes_they_count_as_missing_and_that_is_said(place: Path, run: Run):
    scored = score_file(place / "model", place / "log.parquet", None, {}, {}, None)
    assert scored.remarks == ("Attributes of the training count as missing: kind.",)
    assert scored.scores["churn_probability"].between(0, 1).all()


def test_a_log_of_refunds_alone_is_one_error(place: Path, run: Run):
    pd.DataFrame({"customer_id": ["a"], "date": ["2024-03-01"], "amount": [-5.0]}).to_csv(place / "refunds.csv")
    with pytest.raises(InputError, match="no customer has a purchase up to 2024-03-01"):
        score_file(place / "model", place / "refunds.csv", None, {}, {}, None)


def test_behaviour_names_the_columns_of_the_features_and_p_alive(small_run: Run):
    columns = features_at(small_run.log, [small_run.windows.calibration_end]).columns
    assert set(BEHAVIOUR) == {*columns, "p_alive"}


def test_attributes_that_lack_a_column_count_as_missing_and_that_is_said(place: Path, run: Run):
    other = pd.read_csv(place / "attributes.csv").rename(columns={"kind": "sort"})
    other.to_csv(place / "other.csv", index=False)
    scored = score_file(place / "model", place / "log.parquet", None, {}, {}, place / "other.csv")
    without = score_file(place / "model", place / "log.parquet", None, {}, {}, None)
    assert scored.remarks == without.remarks
    pd.testing.assert_frame_equal(scored.scores, without.scores, check_exact=True)


def test_attributes_that_only_trees_of_value_read_may_be_missing_as_well(place: Path, run: Run, tmp_path: Path):
    evidence = open_evidence(run.config, [])
    methods = Methods("purchase_model", "tweedie", run.config.churn.trees())
    models = fit_models(evidence, run.windows.calibration_end, run.windows.labels, methods, None)
    assert trained_attributes(models) == ["kind"]
    scores = score(models, evidence.log, run.windows.calibration_end, None)
    assert np.isfinite(scores.select_dtypes("number")).all(axis=None)


def test_a_models_own_forecasts_are_no_attributes(place: Path, run: Run):
    evidence = open_evidence(run.config, [])
    methods = Methods("btyd_features", "hurdle", run.config.churn.trees())
    models = fit_models(evidence, run.windows.calibration_end, run.windows.labels, methods, None)
    assert trained_attributes(models) == ["kind"]


def test_numbers_that_arrive_as_text_are_refused_and_not_taken_for_missing(place: Path, run: Run, tmp_path: Path):
    evidence = open_evidence(run.config, [])
    assert evidence.attributes is not None
    ages = evidence.attributes.assign(age=np.arange(len(evidence.attributes)) % 40)
    methods = Methods("offset_hybrid", "hurdle", run.config.churn.trees())
    aged = replace(evidence, given=ages)
    models = fit_models(aged, run.windows.calibration_end, run.windows.labels, methods, None)
    write_model(tmp_path, model_files(models, run.config.data.column_names(), run.config.data.reading_rules(), {}))
    ages.assign(age=ages["age"].astype("str") + " years").to_csv(tmp_path.parent / "years.csv")
    with pytest.raises(InputError, match=r"years\.csv: 'age' holds text; in training it held numbers"):
        score_file(tmp_path, place / "log.parquet", None, {}, {}, tmp_path.parent / "years.csv")
