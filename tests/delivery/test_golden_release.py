"""A model of the first release is read, and answers as it did, by every later version.

`tests/golden/release_0_1_0` was written by `python tests/delivery/release_model.py tests/golden/release_0_1_0` and is
never written again: where this test fails, the program has to change, or read both formats.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from release_model import release_files

from churn_clv.customer_table import attribute_levels, score_table
from churn_clv.delivery.golden_rows import GOLDEN, golden_customers, replay
from churn_clv.delivery.model_folder import ScoringModel, read_model, verified, write_model

FOLDER = Path(__file__).parents[1] / "golden" / "release_0_1_0"
# Of its SHA256SUMS, as the command printed it: nobody writes the folder anew in silence.
DIGEST = "35756784bcf31a609f13cf5c547bf0093c773314e1a3d63909346c780f2444ae"
LARGEST = 150_000


@pytest.fixture(scope="module", params=["stored", "written now"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if request.param == "stored":
        return FOLDER
    place = tmp_path_factory.mktemp("release")
    write_model(place, release_files())
    return place


@pytest.fixture(scope="module")
def model(folder: Path) -> ScoringModel:
    return read_model(folder, DIGEST if folder == FOLDER else None)


def test_a_model_of_the_release_answers_as_it_did(folder: Path, model: ScoringModel):
    assert replay(model.models, verified(folder)[GOLDEN]) <= 1e-9


def test_a_model_of_the_release_covers_trees_a_category_events_and_a_calibrator(model: ScoringModel):
    models = model.models
    assert models.churn.method == "offset_hybrid"
    assert models.churn.calibrator is not None
    assert attribute_levels(models)["region"] == ["north", "south", "über | den Wolken"]
    assert models.settings.event_kinds == ("visit",)
    gain = models.churn.importances()
    assert gain["region"] > 0
    assert gain.filter(like="event_visit").sum() > 0
    assert {trees is not None for trees in (models.churn.trees, *models.value.trees)} == {True}


def test_the_golden_rows_of_the_release_would_see_another_answer(folder: Path, model: ScoringModel):
    content = json.loads(verified(folder)[GOLDEN])
    customers = golden_customers(model.models, verified(folder)[GOLDEN]).set_index("customer_id")
    other = score_table(model.models, customers.assign(region="north"), content["as_of"])
    moved = (other["churn_probability"] - content["scores"]["columns"]["churn_probability"]).abs() > 1e-3
    assert moved.sum() > 5


def test_the_folder_of_the_release_is_small_text(folder: Path):
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < LARGEST
    assert all(path.suffix in {".json", ".txt", ""} and path.read_text(encoding="utf-8") for path in files)
