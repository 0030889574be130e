"""A small run handed over and registered, and fresh environments with nothing but what the model says it needs."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pandas as pd
import pytest

PROJECT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
SMALL = ("--set", "data.simulated.customers=600", "--set", "evaluation.bootstrap_samples=50")
TREES = ("--set", "churn.method=offset_hybrid", "--set", "value.method=hurdle")
# Bytecode is no part of an environment: it comes with use, and doubles the size.
BARE = {"PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1", "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"}


@dataclass(frozen=True)
class Delivery:
    """What the receiving team gets, and what research answered.

    handover: the folder; registered: the MLflow model, copied out of the registry; table: customers as research knew
    them, with customer_id; answer: their scores, indexed by customer_id; day: of the scores.
    """

    handover: Path
    registered: Path
    digest_tag: str
    table: pd.DataFrame
    answer: pd.DataFrame

    @property
    def day(self) -> str:
        return str(self.answer["as_of"].iloc[0])


@pytest.fixture(scope="session")
def delivery(tmp_path_factory: pytest.TempPathFactory) -> Delivery:
    folder = tmp_path_factory.mktemp("research")
    environment = {n: value for n, value in os.environ.items() if not n.startswith("MLFLOW_") and n != "PYTHONPATH"}
    for words in (("train", str(PROJECT / "configs/simulated.yaml"), *SMALL, *TREES), ("handover", "runs/simulated")):
        call([BIN / "churn-clv", *words], folder, environment)
    (handed,) = (folder / "handover").iterdir()
    (run,) = (folder / "runs/simulated").iterdir()
    registered, tag = _from_registry(folder)
    table = pd.read_parquet(run / "customers.parquet").reset_index()
    scores = pd.read_parquet(run / "scores.parquet")
    answer = scores.assign(as_of=scores["as_of"].astype("str"))
    assert {"risk.json", "code", "requirements.txt", "golden.json"} <= {path.name for path in handed.iterdir()}
    return Delivery(handed, registered, tag, table, answer)


def _from_registry(folder: Path) -> tuple[Path, str]:
    import mlflow

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        mlflow.set_tracking_uri(f"sqlite:///{folder / 'mlflow.db'}")
        try:
            version = mlflow.MlflowClient().get_model_version_by_alias("churn-clv-simulated", "challenger")
            place = mlflow.artifacts.download_artifacts(
                "models:/churn-clv-simulated@challenger", dst_path=str(folder / "registered")
            )
        finally:
            mlflow.set_tracking_uri(None)
    return Path(place), version.tags["sha256"]


@pytest.fixture(scope="session")
def without_mlflow(delivery: Delivery, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The environment of the hand-over's requirements.txt, and nothing else."""
    return _environment(tmp_path_factory.mktemp("without"), delivery.handover / "requirements.txt")


@pytest.fixture(scope="session")
def with_skinny(delivery: Delivery, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The environment that the registered model asks for."""
    return _environment(tmp_path_factory.mktemp("skinny"), delivery.registered / "requirements.txt")


def _environment(place: Path, requirements: Path) -> Path:
    call([BIN / "uv", "venv", "--quiet", "--python", sys.executable, place / "venv"], place, dict(os.environ))
    python = place / "venv/bin/python"
    call([BIN / "uv", "pip", "install", "--quiet", "--python", python, "-r", requirements], place, dict(os.environ))
    return place / "venv"


def megabytes(folder: Path) -> float:
    """What du says, in millions of bytes."""
    return sum(path.lstat().st_blocks * 512 for path in folder.rglob("*")) / 1e6


def call(words: list[object], folder: Path, environment: dict[str, str], expected: int = 0) -> str:
    """Run a command and return what it printed, or its complaint where one is expected."""
    done = subprocess.run(list(map(str, words)), cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == expected, done.stderr
    return done.stderr if expected else done.stdout


@dataclass(frozen=True)
class Server:
    address: str
    log: Path


@pytest.fixture(scope="session")
def server(delivery: Delivery, with_skinny: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The registered model served by its own code, in the environment that it asks for."""
    words = [with_skinny / "bin/python", "-m", "churn_clv.delivery.endpoint", delivery.registered]
    yield from _serving(words, with_skinny, tmp_path_factory.mktemp("server"), str(delivery.registered / "code"))


@pytest.fixture(scope="session")
def mlflows_server(delivery: Delivery, with_skinny: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The same by MLflow's server."""
    words = [
        with_skinny / "bin/mlflow",
        "models",
        "serve",
        "--model-uri",
        delivery.registered,
        "--env-manager",
        "local",
    ]
    yield from _serving(words, with_skinny, tmp_path_factory.mktemp("mlflows"))


def _serving(words: list[object], environment: Path, place: Path, pythonpath: str = "") -> Iterator[Server]:
    """Serve on a free port until the block ends."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    variables = BARE | {"PATH": f"{environment / 'bin'}:{os.defpath}", "PYTHONPATH": pythonpath}
    log = place / "server.log"
    with log.open("w") as said:
        process = subprocess.Popen(
            [*map(str, words), "--port", str(port)], cwd=place, env=variables, stdout=said, stderr=said,
            start_new_session=True,
        )  # fmt: skip
    try:
        _wait_for(f"http://127.0.0.1:{port}", process, log)
        yield Server(f"http://127.0.0.1:{port}/invocations", log)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=30)


def _wait_for(address: str, process: subprocess.Popen[bytes], log: Path, seconds: int = 90) -> None:
    for _ in range(4 * seconds):
        assert process.poll() is None, log.read_text()
        try:
            urlopen(f"{address}/ping", timeout=5).close()  # noqa: S310 (our own server)
            return
        except (URLError, TimeoutError):
            time.sleep(0.25)
    raise AssertionError(f"no answer from {address} in {seconds} s: {log.read_text()}")
