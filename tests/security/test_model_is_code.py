"""S1, S3, S5: what is handed over holds no pickle, runs without network, home or pickle, and only as it was described."""

from __future__ import annotations

import io
import os
import pickle
import pickletools
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from churn_clv.delivery.handover import write_handover
from churn_clv.delivery.handover_source import Source, fitted_in
from churn_clv.delivery.mlflow_model import save
from churn_clv.delivery.model_folder import read_model, verified
from churn_clv.delivery.scoring_code import scoring_sources
from churn_clv.errors import InputError

RELEASE = Path(__file__).parents[1] / "golden/release_0_1_0"
PICKLED = {".pkl", ".pickle", ".joblib", ".dill", ".skops", ".npy", ".npz", ".pt", ".h5", ".pyc"}
Described = dict[str, Any]


@pytest.fixture(scope="module")
def handed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, _ = write_handover(Source("release", "a test", verified(RELEASE)), tmp_path_factory.mktemp("handed"))
    return folder


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("saved") / "model"
    save(RELEASE, place)
    return place


# --- S1


def members(path: Path) -> Iterator[tuple[str, bytes]]:
    """A file, or what a zip holds, whatever it is called."""
    data = path.read_bytes()
    if zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(path) as archive:
            yield from ((name, archive.read(name)) for name in archive.namelist())
    yield path.name, data


def is_pickle(data: bytes) -> bool:
    try:
        return len(list(pickletools.genops(data))) > 0
    except Exception:  # of what is no pickle it raises anything
        return False


def pickles_in(folder: Path) -> list[str]:
    found = [(name, data) for path in folder.rglob("*") if path.is_file() for name, data in members(path)]
    return [name for name, data in found if Path(name).suffix in PICKLED or is_pickle(data)]


def test_the_walk_finds_a_pickle_by_any_name_and_in_a_zip(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_bytes(pickle.dumps({"a": [1]}))
    with zipfile.ZipFile(tmp_path / "data.bin", "w") as archive:
        archive.writestr("inner.txt", pickle.dumps([1, 2]))
    assert sorted(pickles_in(tmp_path)) == ["inner.txt", "notes.txt"]


@pytest.mark.odd
def test_no_file_that_is_handed_over_is_a_pickle_or_holds_one(handed: Path, saved: Path) -> None:
    assert pickles_in(handed) == pickles_in(saved) == []
    assert len(list(saved.rglob("*.py"))) > 30


# --- S3: the ways in which a registered model was made to run or read something else, each against our own loader


def loader_elsewhere(flavors: Described, _: Path) -> str:
    flavors["python_function"]["loader_module"] = "planted"
    return "loader_module"


def a_pickled_python_model(flavors: Described, _: Path) -> str:
    flavors["python_function"] |= {"loader_module": "mlflow.pyfunc.model", "python_model": "python_model.pkl"}
    return "loader_module"


def a_pickle_beside_the_code(flavors: Described, _: Path) -> str:
    flavors["python_function"]["python_model"] = "python_model.pkl"
    return "model_code_path"


def code_elsewhere(flavors: Described, marker: Path) -> str:
    flavors["python_function"]["model_code_path"] = str(marker.with_name("planted.py"))
    return "model_code_path"


def a_flavor_of_scikit_learn(flavors: Described, _: Path) -> str:
    flavors["sklearn"] = {"pickled_model": "model.pkl", "serialization_format": "cloudpickle"}
    return "flavors"


def an_absolute_artifact(flavors: Described, _: Path) -> str:
    flavors["python_function"]["artifacts"]["fitted"]["path"] = "/etc"
    return "artifacts"


def an_artifact_above(flavors: Described, _: Path) -> str:
    flavors["python_function"]["artifacts"]["fitted"]["path"] = "artifacts/fitted/../../../elsewhere"
    return "artifacts"


def one_artifact_more(flavors: Described, _: Path) -> str:
    flavors["python_function"]["artifacts"]["more"] = {"path": "/etc/hostname"}
    return "artifacts"


TAMPERED: list[Callable[[Described, Path], str]] = [
    loader_elsewhere, a_pickled_python_model, a_pickle_beside_the_code, code_elsewhere, a_flavor_of_scikit_learn,
    an_absolute_artifact, an_artifact_above, one_artifact_more,
]  # fmt: skip


@pytest.fixture
def registered(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "model"))


@pytest.mark.parametrize("tamper", TAMPERED, ids=lambda tamper: tamper.__name__)
def test_a_registered_model_that_is_described_otherwise_is_refused_and_nothing_of_it_runs(
    registered: Path, tamper: Callable[[Described, Path], str]
) -> None:
    marker = registered.parent / "marker"
    described = yaml.safe_load((registered / "MLmodel").read_text())
    named = tamper(described["flavors"], marker)
    (registered / "MLmodel").write_text(yaml.safe_dump(described))
    planted = f"open({str(marker)!r}, 'w')"
    for place in ("code/planted.py", "planted.py", "code/churn_clv/delivery/serving.py"):
        (registered / place).write_text(planted)
    (registered / "python_model.pkl").write_bytes(pickle.dumps(Payload(marker)))
    with pytest.raises(InputError, match=rf"MLmodel was changed after it was registered \({named} is not"):
        fitted_in(registered, "shop/3")
    assert not marker.exists()


class Payload:
    """What runs where it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = str(marker)

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (self.marker, "w")


def test_the_payload_would_run_if_it_were_unpickled(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Payload(tmp_path / "marker"))).close()  # noqa: S301 (our own)
    assert (tmp_path / "marker").exists()


def test_a_description_that_is_a_bomb_or_runs_code_is_refused(registered: Path) -> None:
    for text in (
        "flavors: !!python/object/apply:os.getcwd []",
        "flavors: [1]",
        "flavors: {python_function: 1}",
        "a: b",
    ):
        (registered / "MLmodel").write_text(text)
        with pytest.raises(InputError):
            fitted_in(registered, "shop/3")


@pytest.mark.odd
def test_code_that_was_changed_in_the_registry_is_not_handed_over(registered: Path, tmp_path: Path) -> None:
    """The seventh row, models from code: the code of a hand-over is this program's own, the files are checked."""
    marker = tmp_path / "marker"
    for path in registered.rglob("*.py"):
        path.write_text(f"open({str(marker)!r}, 'w')")
    files = verified(fitted_in(registered, "shop/3"))
    folder, _ = write_handover(Source("shop-3", "shop/3", files), tmp_path / "handover")
    assert {name: (folder / "code" / name).read_text() for name in scoring_sources()} == scoring_sources()
    read_model(folder)
    assert not marker.exists()


# --- S5

QUIET = {
    "PATH": os.defpath,
    "PYTHONDONTWRITEBYTECODE": "1",
    "OMP_NUM_THREADS": "1",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
}
ALONE = """
import socket, sys
def refuse(*_, **__): raise AssertionError("the model wants a network")
for owner, name in ((socket.socket, "connect"), (socket, "create_connection"), (socket, "getaddrinfo")): setattr(owner, name, refuse)
import mlflow.pyfunc
model = mlflow.pyfunc.load_model(sys.argv[1])
print(len(model.predict(model.input_example)))
"""


def listing(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*")}


@pytest.mark.odd
def test_a_model_loads_and_answers_without_pickle_home_or_network_and_writes_nothing(
    saved: Path, tmp_path: Path
) -> None:
    before, here = listing(saved), tmp_path / "here"
    here.mkdir()
    here.chmod(0o500)  # for root, whom it does not hold, the listing below says it
    saved.chmod(0o500)
    words = [sys.executable, "-c", ALONE, str(saved)]
    try:
        done = subprocess.run(words, cwd=here, env=QUIET, capture_output=True, text=True, check=False)
    finally:
        saved.chmod(0o700)
    assert done.stdout.strip() == "3", done.stderr
    assert listing(saved) == before
    assert not list(here.iterdir())
