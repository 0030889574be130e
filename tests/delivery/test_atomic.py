"""Folders and files appear whole or not at all, and no two runs share a name."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from churn_clv.delivery.atomic import NameTaken, check_writable, whole_file, whole_folder
from churn_clv.delivery.run_folder import latest_run, stamped_folder
from churn_clv.errors import InputError


def test_a_folder_that_is_interrupted_leaves_nothing(tmp_path: Path):
    with pytest.raises(KeyboardInterrupt), whole_folder(tmp_path / "run") as partial:
        (partial / "half.txt").write_text("half")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_a_name_in_use_is_refused_and_what_stands_there_stays(tmp_path: Path):
    with whole_folder(tmp_path / "run") as partial:
        (partial / "first.txt").write_text("first")
        with pytest.raises(NameTaken), whole_folder(tmp_path / "run"):
            pass
    with pytest.raises(NameTaken), whole_folder(tmp_path / "run"):
        pass
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["first.txt"]


def test_a_file_that_cannot_be_finished_keeps_the_old_one(tmp_path: Path):
    (tmp_path / "out.csv").write_text("old")

    def fail(partial: Path) -> None:
        partial.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(InputError, match=r"out\.csv: cannot be written: No space left on device"):
        whole_file(tmp_path / "out.csv", fail)
    assert (tmp_path / "out.csv").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_two_runs_of_one_second_are_two_folders_and_the_newer_is_the_latest(tmp_path: Path):
    def fill(folder: Path, name: str) -> None:
        (folder / "metrics.json").write_text(name)

    started = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    first, second = (stamped_folder(tmp_path / "small", started, fill) for _ in range(2))
    assert (first.name, second.name) == ("20260102T030405Z", "20260102T030405Z-2")
    assert latest_run(tmp_path) == latest_run(tmp_path / "small") == second
    assert latest_run(first) == first


def test_a_place_that_cannot_be_written_is_refused_before_the_work(tmp_path: Path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="is a file"):
        check_writable(tmp_path / "file" / "runs")
    check_writable(tmp_path / "new" / "runs")
    assert not (tmp_path / "new").exists()
