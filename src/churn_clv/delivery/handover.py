"""Fitted models as a folder of text files: parameters as JSON, trees as LightGBM text, a digest of every file.

No pickle and no customer's data. A folder is believed only after its digests: LightGBM's parser does not survive
damaged text, so nothing is parsed before every file has been checked.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from churn_clv import __version__
from churn_clv.data.contract import Columns, ReadingRules
from churn_clv.delivery.atomic import whole_folder
from churn_clv.errors import InputError
from churn_clv.models import BetaGeoModel, GammaGammaModel, ModifiedBetaGeoModel, ParetoNBDModel
from churn_clv.models.churn import ChurnModel
from churn_clv.models.purchase_model import PurchaseModel
from churn_clv.score import FittedModels, ValueSettings
from churn_clv.segments.grid import Grid

DIGESTS = "SHA256SUMS"
_FORMAT = 1


@dataclass(frozen=True)
class ScoringModel:
    """Fitted models with what is needed to read a new log as the training log was read."""

    models: FittedModels
    columns: Columns
    rules: ReadingRules
    about: dict[str, Any]


def model_files(models: FittedModels, columns: Columns, rules: ReadingRules, about: dict[str, Any]) -> dict[str, str]:
    """Return the hand-over's files, name -> text."""
    manner = {name: getattr(rules, name) for name in _MANNER}
    content = {
        "format": _FORMAT, "churn_clv": __version__, "written_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "about": about, "settings": asdict(models.settings), "grid": models.grid.to_dict(),
        "columns": asdict(columns), "reading": manner, "has_amount": models.spend is not None,
    }  # fmt: skip
    files = {"model.json": json.dumps(content, indent=1), "purchases.json": models.purchases.to_json()}
    if models.spend is not None:
        files["spend.json"] = models.spend.to_json()
    return files | models.churn.to_files()


def write_model(folder: Path, files: dict[str, str]) -> str:
    """Write the files with their digests into an existing folder; return the digest of the list of digests."""
    lines = []
    for name, text in sorted(files.items()):
        data = text.encode("utf-8")
        (folder / name).write_bytes(data)
        lines.append(f"{hashlib.sha256(data).hexdigest()}  {name}\n")
    listing = "".join(lines).encode("ascii")
    (folder / DIGESTS).write_bytes(listing)
    return hashlib.sha256(listing).hexdigest()


def read_model(folder: Path) -> ScoringModel:
    """Load a hand-over, after every digest was checked.

    Raises
    ------
    InputError
        Naming the first file that is missing, changed or not listed.
    """
    files = _verified(folder)
    content = json.loads(files["model.json"])
    if content["format"] != _FORMAT:
        raise InputError(f"{folder}: hand-over format {content['format']}, this churn-clv reads format {_FORMAT}")
    models = FittedModels(
        _purchase_model(files["purchases.json"]),
        GammaGammaModel.from_json(files["spend.json"]) if "spend.json" in files else None,
        ChurnModel.from_files(files),
        Grid.from_dict(content["grid"]),
        ValueSettings(**content["settings"]),
    )
    return ScoringModel(models, Columns(**content["columns"]), ReadingRules(**content["reading"]), content["about"])


def _purchase_model(text: str) -> PurchaseModel:
    known: dict[str, type[PurchaseModel]] = {
        m.__name__: m for m in (BetaGeoModel, ModifiedBetaGeoModel, ParetoNBDModel)
    }
    return known[json.loads(text)["model"]].from_json(text)


# What a new log shares with the training log; its start, end and dropped rows are the training log's own.
_MANNER = (
    "date_format",
    "decimal",
    "delimiter",
    "encoding",
    "timezone",
    "duplicates",
    "missing_customer_id",
    "purchase_rule",
)


def _verified(folder: Path) -> dict[str, str]:
    listing = folder / DIGESTS
    if not listing.is_file():
        raise InputError(f"{folder}: no {DIGESTS}, so this is not a complete hand-over folder")
    lines = [line.split("  ", 1) for line in listing.read_text("ascii").splitlines() if "  " in line]
    expected = {name: digest for digest, name in lines}
    present = {path.name for path in folder.iterdir()} - {DIGESTS}
    for name in sorted(present ^ set(expected)):
        raise InputError(
            f"{folder / name}: {'not listed in' if name in present else 'missing, but listed in'} {DIGESTS}"
        )
    files = {}
    for name, digest in expected.items():
        data = (folder / name).read_bytes()
        if hashlib.sha256(data).hexdigest() != digest:
            raise InputError(f"{folder / name}: changed since the hand-over was written; its digest does not match")
        files[name] = data.decode("utf-8")
    return files


def hand_over(run: Path, root: Path) -> tuple[Path, str]:
    """Copy a run's model, every digest checked, to ``root/<config>-<time>`` and return the folder and its digest.

    Raises
    ------
    InputError
        If the run is incomplete, its model was changed, or the folder exists already.
    """
    source = run / "model"
    files = _verified(source)
    folder = root / f"{run.parent.name}-{run.name}"
    with whole_folder(folder) as partial:
        digest = write_model(partial, files)
    return folder, digest
