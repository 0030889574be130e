"""Fitted models as a folder of text files: parameters as JSON, trees as LightGBM text, a digest of every file.

No pickle and no customer's data. A folder is believed only after its digests: LightGBM's parser does not survive
damaged text, so nothing is parsed before every file has been checked; and only after it has answered for made-up
customers as it did where it was trained.
"""

from __future__ import annotations

import hashlib
import json
import re
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

DIGESTS = "SHA256SUMS"
# The format of the first release: what it wrote is read for ever.
_FORMAT = 4


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
        "model.json": json.dumps(content, indent=1),
        "purchases.json": models.purchases.to_json(),
        GOLDEN: golden,
    }
    if models.spend is not None:
        files["spend.json"] = models.spend.to_json()
    return files | models.churn.to_files() | models.value.to_files()


def write_model(folder: Path, files: dict[str, str]) -> str:
    """Write the files with their digests into an existing folder; return the digest of the list of digests."""
    lines = []
    for name, text in sorted(files.items()):
        data = text.encode("utf-8")
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
        lines.append(f"{hashlib.sha256(data).hexdigest()}  {name}\n")
    listing = "".join(lines).encode("ascii")
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
    files = verified(folder, digest)
    if "model.json" not in files:
        raise InputError(f"{folder}: holds no model of a log; a model of contracts scores tables, not logs")
    content = json.loads(files["model.json"])
    if content["format"] != _FORMAT:
        raise InputError(
            f"{folder}: hand-over format {content['format']}, this churn-clv reads format {_FORMAT}: train again, or use "
            f"churn-clv {content['churn_clv']}, which wrote it"
        )
    models = _models(files, content)
    if GOLDEN not in files:
        raise InputError(f"{folder}: holds no {GOLDEN}, by which a model proves itself; hand it over again")
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
    """Return the texts of a model's folder, name -> content, after every digest was checked; see `read_model`."""
    listing = folder / DIGESTS
    if not listing.is_file():
        raise InputError(f"{folder}: no {DIGESTS}, so this is not a complete model folder")
    listed = listing.read_bytes()
    if digest is not None and hashlib.sha256(listed).hexdigest() != digest:
        raise InputError(
            f"{listing}: is not the list whose digest was announced ({digest[:12]}...); take no model from it"
        )
    expected = _expected(listing, listed)
    present = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()} - {DIGESTS}
    for name in sorted(present ^ set(expected)):
        raise InputError(
            f"{folder / name}: {'not listed in' if name in present else 'missing, but listed in'} {DIGESTS}"
        )
    files = {}
    for name, wanted in expected.items():
        data = (folder / name).read_bytes()
        if hashlib.sha256(data).hexdigest() != wanted:
            raise InputError(f"{folder / name}: changed since the model was written; its digest does not match")
        files[name] = data.decode("utf-8")
    return files


def _expected(listing: Path, listed: bytes) -> dict[str, str]:
    """Return name -> digest of a list of digests; a list that is not one is refused."""
    expected = {}
    for line in listed.decode("ascii", errors="replace").splitlines():
        found = _LINE.fullmatch(line)
        if found is None or ".." in found["name"].split("/"):
            raise InputError(f"{listing}: is damaged: a line of it is not a digest and the name of a file")
        expected[found["name"]] = found["digest"]
    return expected
