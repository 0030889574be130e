"""A hand-over is text that proves itself: nothing is parsed before every digest was checked, and it scores as in research."""

from __future__ import annotations

import hashlib
import json
import pickletools
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from churn_clv.config import parse_config
from churn_clv.data.contract import Columns, ReadingRules
from churn_clv.data.simulate import simulate_log
from churn_clv.delivery import handover_source
from churn_clv.delivery.batch import score_file
from churn_clv.delivery.handover import hand_over, write_handover
from churn_clv.delivery.handover_source import Source, source_of
from churn_clv.delivery.model_folder import DIGESTS, ScoringModel, model_files, read_model, verified, write_model
from churn_clv.delivery.run_folder import files_of
from churn_clv.delivery.tracking import Logged
from churn_clv.errors import InputError
from churn_clv.fits import Evidence, Methods, fit_models
from churn_clv.models import risk, value
from churn_clv.models.calibrator import PlattCalibrator
from churn_clv.score_log import score
from churn_clv.train import Run, open_evidence, resolved_windows

LogAs = Callable[..., Logged]


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
        assert path.suffix in {".json", ".txt", ".md", ""}
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


# The others, by make odd.
USUAL = {("purchase_model", "purchase_model"), ("offset_hybrid", "hurdle"), ("stack", "tweedie")}


@pytest.mark.parametrize(
    ("churn", "worth"), [pytest.param(*pair, marks=[] if pair in USUAL else [pytest.mark.odd]) for pair in PAIRS]
)
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


@pytest.mark.odd
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


# --- where a hand-over comes from


@pytest.fixture(scope="module")
def shop(log_as: LogAs) -> str:
    """A registered model with one version, which is champion; its files are those of `bare_folder`."""
    import mlflow

    logged = log_as("offset_hybrid", "hurdle")
    mlflow.MlflowClient().set_registered_model_alias("shop", "champion", logged.model_version)
    return f"shop/{logged.model_version}"


@pytest.mark.parametrize("run", ["champion", "shop@champion", "models:/shop@champion", "shop@challenger", "shop/1"])
def test_a_registered_version_is_handed_over_as_its_run_folder_is(
    shop: str, bare_folder: Path, tmp_path: Path, run: str
):
    source = source_of(run)
    assert (source.origin, source.name, source.remark) == (shop, "shop-1", "")
    folder, digest = write_handover(source, tmp_path)
    other, same = hand_over(bare_folder, tmp_path)
    assert digest == same == hashlib.sha256((folder / DIGESTS).read_bytes()).hexdigest()
    assert verified(folder) == verified(other)


def test_a_folder_that_is_there_comes_before_a_registered_model_of_its_name(
    shop: str, bare_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop/1").symlink_to(bare_folder)
    monkeypatch.chdir(tmp_path)
    assert source_of("shop/1").origin == "shop/1"
    assert source_of("shop/1").name == "shop-1"


@pytest.fixture
def tags(shop: str) -> Iterator[Callable[[str | None], None]]:
    """Change the digest that the registry keeps of the version, and put it back."""
    import mlflow

    client = mlflow.MlflowClient()
    kept = client.get_model_version("shop", "1").tags["sha256"]

    def change(digest: str | None) -> None:
        if digest is None:
            client.delete_model_version_tag("shop", "1", "sha256")
        else:
            client.set_model_version_tag("shop", "1", "sha256", digest)

    yield change
    change(kept)


def test_files_that_are_not_those_that_were_registered_are_refused(tags: Callable[[str | None], None]):
    tags("0" * 64)
    with pytest.raises(InputError, match="is not the list whose digest was announced"):
        source_of("shop/1")
    tags(None)
    with pytest.raises(InputError, match="shop/1: carries no tag sha256"):
        source_of("shop/1")


def test_a_version_from_before_digests_were_kept_is_handed_over_and_that_is_said(
    shop: str, tags: Callable[[str | None], None], monkeypatch: pytest.MonkeyPatch
):
    tags(None)
    monkeypatch.setattr(handover_source, "CARD", "a file that came with the tag")
    assert "before digests were kept" in source_of("shop@champion").remark


def test_who_is_champion_must_be_clear(log_as: LogAs, shop: str, tmp_path: Path):
    import mlflow

    with pytest.raises(InputError, match="nobody: no such registered model|no such run"):
        source_of("nobody@champion")
    with pytest.raises(InputError, match="no complete run"):
        source_of(str(tmp_path))
    other = log_as("offset_hybrid", "hurdle", model="other")
    client = mlflow.MlflowClient()
    client.set_registered_model_alias("other", "champion", other.model_version)
    with pytest.raises(InputError, match=r"champion: 2 models have one: name it, as other@champion"):
        source_of("champion")
    for model in ("other", "shop"):
        client.delete_registered_model_alias(model, "champion")
    with pytest.raises(InputError, match="champion: no registered model has one; see churn-clv promote"):
        source_of("champion")
    client.set_registered_model_alias("shop", "champion", "1")


def test_what_production_would_refuse_is_not_handed_over(small_run: Run, tmp_path: Path):
    files = files_of(small_run)
    content = json.loads(files["model.json"])
    with pytest.raises(InputError, match="hand-over format 3"):
        write_handover(Source("x", "here", files | {"model.json": json.dumps(content | {"format": 3})}), tmp_path)
    with pytest.raises(InputError, match="golden rows"):
        content["settings"]["annual_discount_rate"] = 0.11
        write_handover(Source("x", "here", files | {"model.json": json.dumps(content)}), tmp_path)
    assert not list(tmp_path.iterdir())
