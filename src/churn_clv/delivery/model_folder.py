"""Fitted models as a folder of text files: parameters as JSON, trees as LightGBM text, a digest of every file.

No pickle and no customer's data. A folder is believed only after its digests: LightGBM's parser does not survive
damaged text, so nothing is parsed before every file has been checked; and only after it has answered for made-up
customers as it did where it was trained.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from churn_clv import __version__
from churn_clv.customer_table import check_table, score_table
from churn_clv.data.contract import Columns, ReadingRules
from churn_clv.delivery.golden_rows import GOLDEN, golden_text, replay
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

DIGESTS, MODEL = "SHA256SUMS", "model.json"
# The format of the first release: what it wrote is read for ever.
_FORMAT = 4
# Far above any model: a folder that was tampered with must not fill the memory before it is refused.
_LONGEST_LIST, _MOST_BYTES = 1_000_000, 1_000_000_000


@dataclass(frozen=True)
class ScoringModel:
    """Fitted models with what is needed to read a new log as the training log was read."""

    models: FittedModels
    columns: Columns
    rules: ReadingRules
    about: dict[str, Any]

    def score(self, customers: pd.DataFrame, as_of: str = "", horizon_days: int | None = None) -> pd.DataFrame:
        """Score customers from their table, whoever made it: one row each, a column customer_id.

        Parameters
        ----------
        customers
            The columns of `churn_clv.customer_table.table_columns`; see MODEL_CARD.md beside the model.
        as_of
            The day of the table (ISO text); it stands in the scores.
        horizon_days
            The days to forecast; None is the horizon of the training.

        Returns
        -------
        DataFrame indexed by customer_id, as `churn_clv.customer_table.score_table`.

        Raises
        ------
        InputError
            Naming the column, the number of rows and what to do; never a customer.
        """
        return score_table(self.models, check_table(self.models, customers), as_of, horizon_days)

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
    """Return the model's files, name -> text."""
    from churn_clv.delivery.synthetic_customers import AS_OF, synthetic_customers  # reads a log, which scoring does not

    manner = {name: getattr(rules, name) for name in _MANNER}
    content = {
        "format": _FORMAT, "churn_clv": __version__, "written_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "about": about, "settings": asdict(models.settings), "grid": models.grid.to_dict(),
        "schemes": models.schemes.to_dict(), "playbook": models.playbook.to_dict(), "accounts": asdict(models.accounts),
        "columns": asdict(columns), "reading": manner, "has_amount": models.spend is not None,
    }  # fmt: skip
    golden = golden_text(models, synthetic_customers(models), str(AS_OF))
    files = {
        MODEL: json.dumps(content, indent=1),
        "purchases.json": models.purchases.to_json(),
        GOLDEN: golden,
    }
    if models.spend is not None:
        files["spend.json"] = models.spend.to_json()
    return files | models.churn.to_files() | models.value.to_files()


def write_model(folder: Path, files: dict[str, str]) -> str:
    """Write the files with their digests into an existing folder; return the digest of the list of digests."""
    digests = {}
    for name, text in files.items():
        data = text.encode("utf-8")
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
        digests[name] = hashlib.sha256(data).hexdigest()
    listing = _listing(digests)
    (folder / DIGESTS).write_bytes(listing)
    return hashlib.sha256(listing).hexdigest()


def read_model(folder: Path, digest: str | None = None) -> ScoringModel:
    """Load a model, after every digest was checked, and see that it answers here as it did where it was trained.

    Parameters
    ----------
    folder
        A model's folder: of a run, or handed over.
    digest
        The SHA-256 of the folder's SHA256SUMS, from where the model was announced; None believes the folder's own list.

    Raises
    ------
    InputError
        Naming the first file that is missing, changed or not listed, or what this environment computes otherwise.
    """
    return model_of(verified(folder, digest), str(folder))


def model_of(files: dict[str, str], origin: str) -> ScoringModel:
    """Load a model from the texts of its folder, which `verified` returned; see `read_model`.

    origin: where they are from, for the messages.
    """
    if MODEL not in files:
        raise InputError(f"{origin}: holds no model of a log; a model of contracts scores tables, not logs")
    content = json.loads(files[MODEL])
    if content["format"] != _FORMAT:
        raise InputError(
            f"{origin}: hand-over format {content['format']}, this churn-clv reads format {_FORMAT}: train again, or use "
            f"churn-clv {content['churn_clv']}, which wrote it"
        )
    models = _models(files, content)
    if GOLDEN not in files:
        raise InputError(f"{origin}: holds no {GOLDEN}, by which a model proves itself; hand it over again")
    replay(models, files[GOLDEN])
    return ScoringModel(models, Columns(**content["columns"]), ReadingRules(**content["reading"]), content["about"])


def _models(files: dict[str, str], content: dict[str, Any]) -> FittedModels:
    return FittedModels(
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


def _purchase_model(text: str) -> PurchaseModel:
    known: dict[str, type[PurchaseModel]] = {
        m.__name__: m for m in (BetaGeoModel, ModifiedBetaGeoModel, ParetoNBDModel)
    }
    return known[json.loads(text)["model"]].from_json(text)


_LINE = re.compile(r"(?P<digest>[0-9a-f]{64})  (?P<name>[A-Za-z0-9_.][A-Za-z0-9_./-]*)")
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


def verified(folder: Path, digest: str | None = None) -> dict[str, str]:
    """Return the texts of a model's folder, name -> content, after every digest was checked; see `read_model`.

    Each file is read once: the text that was checked is the text that is returned. Links are refused, wherever they
    point, and so is what is no file: a pipe would never end.
    """
    listing = folder / DIGESTS
    if not os.path.lexists(listing):
        raise InputError(f"{folder}: no {DIGESTS}, so this is not a complete model folder")
    listed = _bytes(listing, _LONGEST_LIST)
    if digest is not None and hashlib.sha256(listed).hexdigest() != digest:
        raise InputError(
            f"{listing}: is not the list whose digest was announced ({digest[:12]}...); take no model from it"
        )
    expected = _expected(listing, listed)
    present = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not _is_folder(path)} - {DIGESTS}
    for name in sorted(present ^ set(expected)):
        raise InputError(
            f"{_printable(folder / name)}: {'not' if name in present else 'missing, but'} listed in {DIGESTS}{_hint(name)}"
        )
    files, room = {}, _MOST_BYTES
    for name, wanted in expected.items():
        data = _bytes(folder / name, room)
        room -= len(data)
        if hashlib.sha256(data).hexdigest() != wanted:
            raise InputError(f"{folder / name}: changed since the model was written; its digest does not match")
        files[name] = _text_of(folder / name, data)
    return files


def _expected(listing: Path, listed: bytes) -> dict[str, str]:
    """Return name -> digest of a list of digests; one that `write_model` would not have written so is refused."""
    expected = {}
    for line in listed.decode("ascii", errors="replace").split("\n")[:-1]:
        found = _LINE.fullmatch(line)
        if found is None or not set(found["name"].split("/")).isdisjoint({"", ".", ".."}):
            raise InputError(f"{listing}: is damaged: a line of it is not a digest and the name of a file")
        expected[found["name"]] = found["digest"]
    if not expected or listed != _listing(expected):
        raise InputError(f"{listing}: is damaged: its lines are not one a file, in the order of the names")
    return expected


def _listing(digests: dict[str, str]) -> bytes:
    return "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items())).encode("ascii")


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _bytes(path: Path, most: int) -> bytes:
    """The content of a regular file that is not larger than `most`."""
    try:
        found = path.lstat()
        if stat.S_ISLNK(found.st_mode):
            raise InputError(f"{path}: is a link; a model's folder holds its files itself")
        if not stat.S_ISREG(found.st_mode):
            raise InputError(f"{path}: is no regular file")
        if found.st_size > most:
            raise InputError(f"{path}: has {found.st_size:,} bytes, more than a model's folder may hold")
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error


def _text_of(path: Path, data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise InputError(f"{path}: is no text; a model's folder holds text only") from None


def _hint(name: str) -> str:
    return "; Python wrote it: delete it and run python -B" if "__pycache__" in name.split("/") else ""


def _printable(path: Path) -> str:
    return "".join(c if c.isprintable() else "?" for c in str(path))
