"""Headless Chromium, a scratch store with two small runs, the MLflow UI on it, and every page the program writes."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import URLError
from urllib.request import urlopen

import numpy as np
import pandas as pd
import pytest
import yaml

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PROJECT = Path(__file__).parents[2]
TOOLS = PROJECT / ".venv/browser/node_modules"
PROGRAM = str(Path(sys.executable).parent / "churn-clv")
SMALL = ("--set", "data.simulated.customers=600", "--set", "evaluation.bootstrap_samples=50")
METHODS = {"boosted": ("lightgbm", "hurdle"), "simple": ("logistic_rfm", "textbook_ltv")}
# In a name, because names stand on the page, and customers' ids do not.
HOSTILE = "<script>document.title='taken over'</script>"
FORMULA = "=cmd()"


@dataclass(frozen=True)
class Workshop:
    """A folder with a store of two runs: where each run stands, the link that training printed, the pages by kind."""

    folder: Path
    runs: dict[str, Path]
    leaderboard: str
    pages: dict[str, Path]

    @property
    def store(self) -> str:
        return f"sqlite:///{self.folder / 'mlflow.db'}"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The system's Chromium; nothing is downloaded."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def screenshots() -> Path:
    folder = PROJECT / "screenshots"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """Two small runs by different methods, their comparison, a score page, and a run on hostile contracts."""
    folder = tmp_path_factory.mktemp("browser")
    runs, printed = {}, ""
    for name, (churn, value) in METHODS.items():
        methods = ("--set", f"name={name}", "--set", f"churn.method={churn}", "--set", f"value.method={value}")
        printed = _call(folder, "train", PROJECT / "configs/simulated.yaml", *SMALL, *methods)
        (runs[name],) = (folder / "runs" / name).iterdir()
    _call(folder, "compare", *runs.values())
    _call(folder, "report", runs["boosted"] / "scores.csv", "scores.html")
    _write_contracts(folder)
    _call(folder, "train", "contracts.yaml", "--set", "evaluation.bootstrap_samples=20")
    (contracts,) = (folder / "runs/contracts").iterdir()
    pages = {
        "report": runs["boosted"] / "report.html",
        "segments": runs["boosted"] / "segments.html",
        "comparison": folder / "comparison/comparison.html",
        "contracts": contracts / "report.html",
        "scores": folder / "scores.html",
    }
    return Workshop(folder, runs, re.findall(r"^Leaderboard\s+(\S+)", printed, re.M)[0], pages)


@pytest.fixture(scope="session")
def ui(workshop: Workshop) -> Iterator[str]:
    """The address of `churn-clv ui` on a free port; stopping it must leave nobody listening there."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (workshop.folder / "ui.log").open("w") as log:
        server = subprocess.Popen(
            [PROGRAM, "ui", "--port", str(port)],
            cwd=workshop.folder, env=_environment(), stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_for(address, server, log=workshop.folder / "ui.log")
        yield address
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=30)
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0, f"after SIGTERM to churn-clv ui, port {port} still answers"


def _call(folder: Path, *arguments: Any) -> str:
    done = subprocess.run(
        [PROGRAM, *map(str, arguments)], cwd=folder, env=_environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _environment() -> dict[str, str]:
    """Without a store of the caller's: the runs go to the folder they are made in."""
    return {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")}


def _wait_for(address: str, server: subprocess.Popen[bytes], log: Path, seconds: int = 120) -> None:
    for _ in range(2 * seconds):
        assert server.poll() is None, log.read_text()
        try:
            urlopen(address, timeout=5).close()  # noqa: S310 (our own server)
            return
        except (URLError, TimeoutError):
            time.sleep(0.5)
    raise AssertionError(f"no answer from {address} in {seconds} s: {log.read_text()}")


def _write_contracts(folder: Path) -> None:
    """400 contracts whose risk depends on a column and on a level that are named to do harm."""
    rng = np.random.default_rng(3)
    level = rng.choice([f"monthly{HOSTILE}", "yearly"], 400)
    months = rng.integers(1, 72, 400)
    leaving = rng.random(400) < np.where(level == "yearly", 0.1, 0.45)
    table = pd.DataFrame({
        "customer_id": [f"{FORMULA}{HOSTILE}{number}" for number in range(400)], "charge": rng.uniform(20, 100, 400).round(2),
        HOSTILE: level, FORMULA: months, "churn": np.where(leaving, "Yes", "No"),
    })  # fmt: skip
    table.to_csv(folder / "contracts.csv", index=False)
    config = {
        "name": "contracts",
        "contract": {"path": "contracts.csv", "value": "charge"},
        "churn": {"max_rounds": 30},
    }
    (folder / "contracts.yaml").write_text(yaml.safe_dump(config))
