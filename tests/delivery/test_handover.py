"""A hand-over is text that proves itself: nothing is parsed before every digest was checked, and it scores as in research."""

from __future__ import annotations

import pickletools
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from churn_clv.config import parse_config
from churn_clv.data.contract import Columns, ReadingRules
from churn_clv.data.simulate import simulate_log
from churn_clv.delivery.batch import score_file
from churn_clv.delivery.model_folder import DIGESTS, ScoringModel, model_files, read_model, write_model
from churn_clv.delivery.run_folder import files_of
from churn_clv.errors import InputError
from churn_clv.fits import Evidence, Methods, fit_models
from churn_clv.models import risk, value
from churn_clv.models.calibrator import PlattCalibrator
from churn_clv.score_log import score
from churn_clv.train import Run, open_evidence, resolved_windows


@pytest.fixture
def folder(small_run: Run, tmp_path: Path) -> Path:
    write_model(tmp_path, files_of(small_run))
    return tmp_path


def test_a_model_read_back_scores_every_customer_as_before(small_run: Run, folder: Path):
    read = read_model(folder)
    assert isinstance(read, ScoringModel)
    again = score(read.models, small_run.log, small_run.windows.score_as_of)
    pd.testing.assert_frame_equal(again, small_run.scores, check_exact=True)


@pytest.mark.parametrize(
    "name", ["model.json", "purchases.json", "spend.json", "churn.json", "risk.json", "value.json"]
)
def test_a_changed_byte_in_any_file_is_refused_by_name_before_anything_is_parsed(folder: Path, name: str, monkeypatch):
    def parsed(*_: object, **__: object) -> None:
        raise AssertionError("parsed before the digests were checked")

    monkeypatch.setattr("json.loads", parsed)
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(bytes(data))
    with pytest.raises(InputError, match=f"{name}: changed"):
        read_model(folder)


def test_a_missing_an_added_and_an_unlisted_file_are_refused_by_name(folder: Path):
    (folder / "extra.txt").write_text("x")
    with pytest.raises(InputError, match=r"extra\.txt: not listed"):
        read_model(folder)
    (folder / "extra.txt").unlink()
    (folder / "spend.json").unlink()
    with pytest.raises(InputError, match=r"spend\.json: missing"):
        read_model(folder)
    (folder / DIGESTS).unlink()
    with pytest.raises(InputError, match="not a complete model folder"):
        read_model(folder)


def test_a_hand_over_holds_text_only_and_no_customer(small_run: Run, folder: Path):
    ids = list(small_run.scores.index)
    for path in folder.iterdir():
        data = path.read_bytes()
        data.decode("utf-8")
        with pytest.raises(ValueError, match=r"opcode|pickle|exhausted|expected"):
            list(pickletools.genops(data))
        assert path.suffix in {".json", ".txt", ""}
        # Simulated ids are three digits, which digests may contain by chance: look for them as whole JSON strings.
        assert not any(f'"{customer}"'.encode() in data for customer in ids)


# --- every method, with rich features, products and events, from files


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log with products, channels and events on disk."""
    place = tmp_path_factory.mktemp("rich")
    log, rng = simulate_log(customers=350, seed=8, arrival_days=300), np.random.default_rng(2)
    n = len(log)
    log = log.assign(
        product=rng.choice(list("abcde"), n), way=rng.choice(["web", "shop"], n), number=rng.integers(1, 4, n)
    )
    log.to_parquet(place / "log.parquet")
    visits = log[["customer_id", "date"]].sample(frac=0.7, random_state=1)
    visits.assign(kind=rng.choice(["visit", "Complaint!"], len(visits))).to_parquet(place / "events.parquet")
    return place


@pytest.fixture(scope="module")
def evidence(place: Path) -> Evidence:
    content = {
        "name": "rich",
        "data": {"path": str(place / "log.parquet"),
                 "columns": {"product_id": "product", "channel": "way", "quantity": "number"},
                 "events": {"path": str(place / "events.parquet"), "kind": "kind"}},
        "windows": {"calibration_end": date(2024, 5, 31), "holdout_end": date(2024, 11, 30)},
        "churn": {"features": "rich", "max_rounds": 25, "learning_rate": 0.1, "folds": 3},
    }  # fmt: skip
    return open_evidence(parse_config(content, source="test"), [])


PAIRS = [*zip(risk.METHODS, [*value.METHODS, "average", "tweedie"], strict=True)]


@pytest.mark.parametrize(("churn", "worth"), PAIRS)
def test_a_saved_model_of_every_method_scores_a_file_as_it_did_in_memory(
    evidence: Evidence, place: Path, tmp_path: Path, churn: str, worth: str
):
    calibrator = PlattCalibrator.from_dict({"intercept": 0.2, "slope": 0.9, "note": None})
    methods = Methods(churn, worth, evidence.config.churn.trees(), calibrator)
    windows, data = resolved_windows(evidence.config, evidence.log), evidence.config.data
    models = fit_models(evidence, windows.calibration_end, windows.labels, methods, None)
    assert models.settings.feature_set == "rich"
    assert models.settings.event_kinds == ("complaint", "visit")
    files = model_files(models, data.column_names(), replace(data.reading_rules(), end=None), {})
    write_model(tmp_path, files)
    day = windows.calibration_end + timedelta(days=40)
    expected = score(models, evidence.log, day)
    scored = score_file(tmp_path, place / "log.parquet", day, {}, {}, None, place / "events.parquet")
    pd.testing.assert_frame_equal(scored.scores, expected, check_exact=True)
    assert scored.remarks == ()
    assert files == model_files(read_model(tmp_path).models, data.column_names(), replace(data.reading_rules(), end=None), {}) | {"model.json": files["model.json"]}  # fmt: skip


def test_without_its_events_a_model_scores_them_as_missing_and_says_so(evidence: Evidence, place: Path, tmp_path: Path):
    methods = Methods("lightgbm", "tweedie", evidence.config.churn.trees())
    windows = resolved_windows(evidence.config, evidence.log)
    models = fit_models(evidence, windows.calibration_end, windows.labels, methods, None)
    write_model(tmp_path, model_files(models, evidence.config.data.column_names(), ReadingRules(), {}))
    scored = score_file(tmp_path, place / "log.parquet", windows.calibration_end, {}, {}, None)
    assert scored.remarks[0].startswith("Events of the training count as missing: complaint, visit. Risks without them")
    assert scored.scores["churn_probability"].between(0, 1).all()
    with_events = score(models, evidence.log, windows.calibration_end)
    assert not scored.scores["churn_probability"].equals(with_events["churn_probability"])
    # what nobody told is not told on: an event that is unknown did not "not happen"
    assert not scored.scores["reasons"].str.contains("visit|complaint").any()
    assert with_events["reasons"].str.contains("visit|complaint").any()


def test_a_hand_over_keeps_the_columns_that_rich_features_read(evidence: Evidence, tmp_path: Path):
    windows = resolved_windows(evidence.config, evidence.log)
    methods = Methods("purchase_model", "hurdle", {})
    models = fit_models(evidence, windows.calibration_end, windows.labels, methods, None)
    write_model(tmp_path, model_files(models, evidence.config.data.column_names(), ReadingRules(), {}))
    assert read_model(tmp_path).needed == Columns(product_id="product", channel="way", quantity="number")
