"""A hand-over is text that proves itself: nothing is parsed before every digest was checked, and it scores as in research."""

from __future__ import annotations

import pickletools
from pathlib import Path

import pandas as pd
import pytest

from churn_clv.delivery.handover import DIGESTS, ScoringModel, read_model, write_model
from churn_clv.delivery.run_folder import files_of
from churn_clv.errors import InputError
from churn_clv.score import score
from churn_clv.train import Run


@pytest.fixture
def folder(small_run: Run, tmp_path: Path) -> Path:
    write_model(tmp_path, files_of(small_run))
    return tmp_path


def test_a_model_read_back_scores_every_customer_as_before(small_run: Run, folder: Path):
    read = read_model(folder)
    assert isinstance(read, ScoringModel)
    again = score(read.models, small_run.log, small_run.windows.score_as_of)
    pd.testing.assert_frame_equal(again, small_run.scores, check_exact=True)


@pytest.mark.parametrize("name", ["model.json", "purchases.json", "spend.json", "churn.json"])
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
    with pytest.raises(InputError, match="not a complete hand-over"):
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
