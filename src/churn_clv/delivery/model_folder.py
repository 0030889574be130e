"""Fitted models as a folder of text files: parameters as JSON, trees as LightGBM text, a digest of every file.

No pickle and no customer's data. A folder is believed only after its digests: LightGBM's parser does not survive
damaged text, so nothing is parsed before every file has been checked.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from churn_clv import __version__
from churn_clv.data.contract import Columns, ReadingRules
from churn_clv.delivery.atomic import whole_folder
from churn_clv.errors import InputError
from churn_clv.models import BetaGeoModel, GammaGammaModel, ModifiedBetaGeoModel, ParetoNBDModel
from churn_clv.models.purchase_model import PurchaseModel
from churn_clv.models.risk import RiskModel
from churn_clv.models.value import ValueModel
from churn_clv.score import FittedModels, ValueSettings
from churn_clv.segments.accounts import Accounts
from churn_clv.segments.grid import Grid
from churn_clv.segments.playbook import Playbook
from churn_clv.segments.schemes import Schemes

DIGESTS = "SHA256SUMS"
_FORMAT = 3


@dataclass(frozen=True)
class ScoringModel:
    """Fitted models with what is needed to read a new log as the training log was read."""

    models: FittedModels
    columns: Columns
    rules: ReadingRules
    about: dict[str, Any]

    @property
    def needed(self) -> Columns:
        """The columns that scoring reads, under the training log's names."""
        unread = set(self.columns.mapped()) - set(roles_read(self.models, self.columns))
        return replace(self.columns, **dict.fromkeys(unread))  # type: ignore[arg-type]  # ids are always read


def roles_read(models: FittedModels, columns: Columns) -> list[str]:
    """Return which roles of a log the models read: rich features read more of it than the others."""
    money = ["amount", "margin"] if models.spend is not None else []
    rich = ["order_id", "product_id", "quantity", "channel"] if models.settings.feature_set == "rich" else []
    return [role for role in ("customer_id", "date", *money, *rich) if getattr(columns, role) is not None]


def model_files(models: FittedModels, columns: Columns, rules: ReadingRules, about: dict[str, Any]) -> dict[str, str]:
    """Return the hand-over's files, name -> text."""
    manner = {name: getattr(rules, name) for name in _MANNER}
    content = {
        "format": _FORMAT, "churn_clv": __version__, "written_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "about": about, "settings": asdict(models.settings), "grid": models.grid.to_dict(),
        "schemes": models.schemes.to_dict(), "playbook": models.playbook.to_dict(), "accounts": asdict(models.accounts),
        "columns": asdict(columns), "reading": manner, "has_amount": models.spend is not None,
    }  # fmt: skip
    files = {"model.json": json.dumps(content, indent=1), "purchases.json": models.purchases.to_json()}
    if models.spend is not None:
        files["spend.json"] = models.spend.to_json()
    return files | models.churn.to_files() | models.value.to_files()


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
    files = verified(folder)
    if "model.json" not in files:
        raise InputError(f"{folder}: holds no model of a log; a model of contracts scores tables, not logs")
    content = json.loads(files["model.json"])
    if content["format"] != _FORMAT:
        raise InputError(
            f"{folder}: hand-over format {content['format']}, this churn-clv reads format {_FORMAT}: train again, or use "
            f"churn-clv {content['churn_clv']}, which wrote it"
        )
    models = FittedModels(
        _purchase_model(files["purchases.json"]),
        GammaGammaModel.from_json(files["spend.json"]) if "spend.json" in files else None,
        RiskModel.from_files(files),
        ValueModel.from_files(files),
        Grid.from_dict(content["grid"]),
        Schemes.from_dict(content["schemes"]),
        Playbook.from_dict(content["playbook"]),
        Accounts(**content["accounts"]),
        ValueSettings(**content["settings"] | {"event_kinds": tuple(content["settings"]["event_kinds"])}),
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
    "margin_rate",
)


def verified(folder: Path) -> dict[str, str]:
    """Return the texts of a hand-over, name -> content, after every digest was checked; see `read_model`."""
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
    files = verified(source)
    folder = root / f"{run.parent.name}-{run.name}"
    with whole_folder(folder) as partial:
        digest = write_model(partial, files)
    return folder, digest
