"""docs/handover.md is run as it stands: every command of it that needs no fresh environment, server or registry."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from churn_clv.delivery.handover import write_handover
from churn_clv.delivery.handover_source import Source
from churn_clv.delivery.run_folder import files_of
from churn_clv.train import Run

PAGE = Path(__file__).parents[1] / "docs" / "handover.md"
HERE, ELSEWHERE = "sh", {"sh rehearsal", "python rehearsal"}


def blocks(page: Path = PAGE) -> list[tuple[str, str]]:
    """Every block of code of the page: its kind, as the fence says, and its text."""
    return re.findall(r"^```(\S[^\n]*)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def ran(small_run: Run, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """The hand-over folder after all commands, and what they said."""
    place = tmp_path_factory.mktemp("page")
    folder, digest = write_handover(Source("shop", "a test", files_of(small_run)), place)
    commands = "\n".join(text for kind, text in blocks() if kind == HERE)
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(place), "DIGEST": digest,
        "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    done = subprocess.run(["bash", "-xeuo", "pipefail", "-c", commands], cwd=folder, env=environment, capture_output=True, text=True, timeout=240)  # fmt: skip
    return folder, done


def test_every_command_of_the_page_ends_well(ran: tuple[Path, subprocess.CompletedProcess[str]]):
    folder, done = ran
    assert done.returncode == 0, done.stderr[-2000:]
    assert "golden rows:" in done.stdout
    assert {"customers.csv", "scores.csv", "scores_of_log.csv", "scores_by_program.csv", "scores.sql", "current"} <= set(os.listdir(folder.parent))  # fmt: skip


def test_the_two_ways_to_score_a_log_agree_to_the_last_digit(ran: tuple[Path, subprocess.CompletedProcess[str]]):
    folder, _ = ran
    slim, whole = (pd.read_csv(folder.parent / f"scores_{by}.csv", dtype=str) for by in ("of_log", "by_program"))
    assert len(slim) > 30
    pd.testing.assert_frame_equal(slim.sort_values("customer_id"), whole[slim.columns].sort_values("customer_id"))


def test_what_the_page_verifies_is_refused_where_it_is_not_so(ran: tuple[Path, subprocess.CompletedProcess[str]]):
    folder, _ = ran
    verify = next(text for kind, text in blocks() if kind == HERE)
    digest = subprocess.run(["sha256sum", "SHA256SUMS"], cwd=folder, capture_output=True, text=True, check=True).stdout[:64]  # fmt: skip

    def code(digest: str = digest) -> int:
        environment = {"PATH": os.environ["PATH"], "DIGEST": digest}
        command = ["bash", "-euo", "pipefail", "-c", verify]
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True).returncode

    assert code() == 0
    assert code("0" * 64) != 0
    (folder / "code" / "numpy.py").write_text("")
    assert code() != 0
    (folder / "code" / "numpy.py").unlink()
    (folder / "requirements.txt").write_text("x")
    assert code() != 0


def test_every_block_of_the_page_says_where_it_runs():
    fences = re.findall(r"^```.*$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    found = blocks()
    assert len(fences) == 2 * len(found)
    assert {kind for kind, _ in found} == {HERE} | ELSEWHERE
