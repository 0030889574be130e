"""docs/handover.md, the blocks that need a fresh environment and a server: run as they stand, by plain pip."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tests.rehearsal.conftest import BARE, BIN, PROJECT, SMALL, TREES, Delivery

pytestmark = pytest.mark.rehearsal
WAIT = "for _ in $(seq 120); do curl --silent --fail http://127.0.0.1:8080/ping > ../ping && break; sleep 0.5; done\n"


def block(kind: str, holding: str) -> str:
    """The one block of the page, of a kind, that holds some words."""
    page = (PROJECT / "docs/handover.md").read_text(encoding="utf-8")
    found = re.findall(r"^```(\S[^\n]*)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    (text,) = [text for of, text in found if of == kind and holding in text]
    return text


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def test_the_page_installs_checks_scores_and_serves(delivery: Delivery, tmp_path: Path) -> None:
    folder = tmp_path / "handed"
    shutil.copytree(delivery.handover, folder)
    commands = block("sh rehearsal", "pip install --quiet -r") + block("sh", "> ../customers.csv")
    commands += block("sh rehearsal", "churn_clv.delivery.endpoint") + WAIT
    commands += block("sh rehearsal", "curl --fail").replace("/invocations", "/invocations > ../answer.json")
    commands = commands.replace("8080", str(free_port()))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python3").symlink_to(Path(sys.executable).resolve())
    environment = BARE | {"PATH": f"{tmp_path / 'bin'}:{os.defpath}", "HOME": str(tmp_path)}
    with (tmp_path / "said").open("w") as said:
        shell = subprocess.Popen(["bash", "-xeuo", "pipefail", "-c", commands], cwd=folder, env=environment,
                                 stdout=said, stderr=said, start_new_session=True)  # fmt: skip
        try:
            assert shell.wait(timeout=400) == 0, (tmp_path / "said").read_text()
        finally:
            os.killpg(shell.pid, signal.SIGTERM)
    answer = json.loads((tmp_path / "answer.json").read_text())["predictions"]
    golden = json.loads((folder / "golden.json").read_text())["scores"]
    assert [row["customer_id"] for row in answer] == golden["customer_id"][:3]
    assert [row["churn_probability"] for row in answer] == golden["columns"]["churn_probability"][:3]
    scores = (tmp_path / "scores.csv").read_text().splitlines()
    assert len(scores) == len(golden["customer_id"]) + 1


def test_the_page_monitors_and_rolls_back(tmp_path: Path) -> None:
    folder = tmp_path / "handed"
    folder.mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    environment |= {"MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db", "MODEL": "churn-clv-shop"}
    environment |= {"PATH": f"{BIN}:{os.environ['PATH']}", "RUN": str(tmp_path / "runs/shop")}
    end, windows = "--set data.end=2024-10-01", "windows: {calibration_end: 2024-05-01, holdout_end: 2024-10-01}"
    (tmp_path / "shop.yaml").write_text(f"name: shop\ndata: {{path: log.csv}}\n{windows}\n")
    train = f"churn-clv train shop.yaml {' '.join((*SMALL[2:], *TREES))} {end}\n"
    promote = "churn-clv promote $MODEL@challenger --force rehearsal > /dev/null\n"
    commands = f"cd ..\nchurn-clv simulate log.csv --customers 400\n{train}{promote}{train}{promote}cd handed\n"
    # 3 and 4 are answers: watch, retrain
    commands += block("sh rehearsal", "monitor").rstrip() + " || [ $? -ge 3 ]\n" + block("sh rehearsal", "rollback")
    done = subprocess.run(["bash", "-xeuo", "pipefail", "-c", commands], cwd=folder, env=environment,
                          capture_output=True, text=True, timeout=300)  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert "version 1 is champion again, 2 no longer" in done.stdout
    assert "customers on both days: " in done.stdout
    assert list(tmp_path.glob("churn-clv-shop*/SHA256SUMS"))
