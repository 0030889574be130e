"""Where a hand-over comes from: a run's folder, or a version of a registered model, held against its digest."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from churn_clv.delivery.champions import ALIAS, Candidate, find
from churn_clv.delivery.mlflow_model import FITTED
from churn_clv.delivery.model_card import CARD
from churn_clv.delivery.model_folder import DIGESTS, verified
from churn_clv.delivery.run_folder import latest_run
from churn_clv.errors import InputError
from churn_clv.yaml_file import read_yaml

# The tag of a registered version: the digest of its list of digests, kept apart from the files.
DIGEST_TAG = "sha256"
_REGISTERED = re.compile(r"(models:/)?([0-9a-f]{32}|[^/]+/\d+|[^/]+@[^/@]+)")


@dataclass(frozen=True)
class Source:
    """A model's files, every digest checked, and where they are from. remark: what a reader has to know, or empty."""

    name: str
    origin: str
    files: dict[str, str]
    remark: str = ""


def source_of(run: str) -> Source:
    """Return the model of a run folder, of the newest run in a folder, of `champion`, `MODEL@ALIAS` or `MODEL/VERSION`.

    A folder that is there comes first. `champion` alone means the only registered model that has one.

    Raises
    ------
    InputError
        If there is no such run or version, its files are not those that were registered, or nothing shows that they are.
    """
    place = Path(run)
    if not place.exists() and (run == ALIAS or _REGISTERED.fullmatch(run)):
        return _registered(run)
    folder = latest_run(place)
    return Source(f"{folder.parent.name}-{folder.name}", str(folder), verified(folder / "model"))


def _registered(run: str) -> Source:
    from churn_clv.delivery.store import check_store

    check_store()
    found = find(f"{_only_model()}@{ALIAS}" if run == ALIAS else run)
    announced = _announced(found)
    with _logged_files(found) as folder:
        files = verified(folder, announced)
    name = f"{found.model}-{found.version}"
    if announced is not None:
        return Source(name, str(found), files)
    if CARD in files:
        raise InputError(
            f"{found}: carries no tag {DIGEST_TAG}, so nothing shows that its files are those that were registered; "
            "train again, or hand over the run's folder"
        )
    return Source(name, str(found), files, "It was registered before digests were kept there: compare with its run.")


def _only_model() -> str:
    """The registered model that has a champion; it has to be named where several have."""
    import mlflow

    models = mlflow.MlflowClient().search_registered_models(max_results=1000)
    crowned = sorted(model.name for model in models if ALIAS in model.aliases)
    if len(crowned) != 1:
        told = (
            f"{len(crowned)} models have one: name it, as {crowned[0]}@{ALIAS}" if crowned else "see churn-clv promote"
        )
        raise InputError(f"{ALIAS}: {told if crowned else f'no registered model has one; {told}'}")
    return crowned[0]


def _announced(candidate: Candidate) -> str | None:
    import mlflow

    tags = mlflow.MlflowClient().get_model_version(candidate.model, candidate.version).tags
    return tags.get(DIGEST_TAG)


@contextmanager
def _logged_files(candidate: Candidate) -> Iterator[Path]:
    """The folder of the model's files, fetched for as long as the block lasts."""
    import mlflow

    with TemporaryDirectory() as scratch:
        try:
            place = Path(mlflow.artifacts.download_artifacts(f"models:/{candidate}", dst_path=scratch))
        except (mlflow.exceptions.MlflowException, OSError) as error:
            cause = str(error).splitlines()[0][:200]
            raise InputError(f"{candidate}: its files cannot be fetched: {cause}") from None
        yield fitted_in(place, str(candidate))


def fitted_in(place: Path, origin: str) -> Path:
    """Return the folder of the model's files in an MLflow model, whose code and description are read, and never run.

    Raises
    ------
    InputError
        If it holds none, or is described otherwise than training describes it: a file that MLflow would follow.
    """
    folder = place / "artifacts" / FITTED
    if not (folder / DIGESTS).exists():
        raise InputError(f"{origin}: holds no model of this program (no artifacts/{FITTED}/{DIGESTS})")
    changed = _changed_in(read_yaml(place / "MLmodel").get("flavors"))
    if changed:
        raise InputError(
            f"{origin}: its MLmodel was changed after it was registered ({changed} is not what training writes): load it "
            "nowhere, and hand over the run's folder"
        )
    return folder


def _changed_in(flavors: Any) -> str:
    """Name what MLflow would load otherwise than as this program's code and files; empty where nothing is."""
    if not isinstance(flavors, dict) or list(flavors) != ["python_function"]:
        return "flavors"
    found = flavors["python_function"]
    if not isinstance(found, dict) or found.get("loader_module") != "mlflow.pyfunc.loaders.code_model":
        return "loader_module"
    if "python_model" in found or Path(str(found.get("model_code_path"))).name != "serving.py":
        return "model_code_path"
    if found.get("code") != "code":
        return "code"
    artifacts = found.get("artifacts")
    places = {name: fitted.get("path") for name, fitted in artifacts.items()} if isinstance(artifacts, dict) else {}
    return "" if places == {FITTED: f"artifacts/{FITTED}"} else "artifacts"
