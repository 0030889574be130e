"""Scoring for production: a log or a customer table of any size, in bounded memory, to be resumed where it stopped."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from pathlib import Path

import duckdb
import pandas as pd

from churn_clv import __version__
from churn_clv.customer_table import attribute_levels, score_table
from churn_clv.data.cleaning import CleaningReport
from churn_clv.delivery.batch import model_folder
from churn_clv.delivery.model_folder import DIGESTS, read_model
from churn_clv.delivery.resumable import Parts, open_parts, parts_folder
from churn_clv.delivery.score_input import OpenInput, ScoreInput, opened
from churn_clv.delivery.score_parts import check_place, merge_into, write_scores
from churn_clv.errors import InputError
from churn_clv.score import FittedModels

PART_ROWS = 50_000


@dataclass
class Outcome:
    """What came of it. unseen: attribute -> how many customers have a level of it that the training had not.

    resumed: the customers that an earlier process had scored.
    """

    model: Path
    as_of: date | None
    cleaning: CleaningReport | None
    remarks: tuple[str, ...]
    customers: int = 0
    resumed: int = 0
    unseen: Counter[str] = field(default_factory=Counter)


def score_in_parts(
    model: Path,
    asked: ScoreInput,
    out: Path,
    horizon_days: int | None = None,
    with_reasons: bool = True,
    progress: Callable[[str], None] | None = None,
    part_rows: int = PART_ROWS,
) -> Outcome:
    """Score a log or a customer table part by part; the output appears whole, or not at all.

    Work that was stopped is gone on with behind its last whole part, if model, input and options are the same.

    Parameters
    ----------
    model
        A hand-over folder, a run folder, or a folder of runs (the newest is taken).
    out
        A .csv or .parquet file, or a new folder of Parquet files.
    horizon_days
        The days to forecast; None is the horizon of the training.
    with_reasons
        False leaves the column reasons out, which takes most of the time where trees are read.
    part_rows
        Customers in memory at a time.

    Raises
    ------
    InputError
        If the model or the input is refused, the output cannot be written, or another process writes it.
    """
    folder = model_folder(model)
    scoring = read_model(folder)
    check_place(out, asked.path)
    work = {
        "churn_clv": __version__, "model": hashlib.sha256((folder / DIGESTS).read_bytes()).hexdigest(),
        "input": asked.identity(), "horizon_days": horizon_days, "with_reasons": with_reasons, "part_rows": part_rows,
    }  # fmt: skip
    score = partial(score_table, scoring.models, as_of="", horizon_days=horizon_days, with_reasons=with_reasons)
    with parts_folder(out) as room:
        parts = open_parts(out, room, work, out.suffix or ".parquet")
        with opened(asked, scoring, room, bool(parts.resumed), part_rows) as found:
            outcome = _begun(folder, found, parts)
            try:
                _score_parts(found, score, partial(unseen_levels, scoring.models), parts, progress)
            except duckdb.OutOfMemoryException:
                raise InputError("the log does not fit into the memory limit: raise --memory-limit") from None
        if not parts.facts:
            raise InputError(f"{asked.label}: holds no customers")
        for facts in parts.facts:
            outcome.customers += facts["customers"]
            outcome.unseen.update(facts["unseen"])
        parts.finish(merge_into(out.suffix))
    return outcome


def _begun(folder: Path, found: OpenInput, parts: Parts) -> Outcome:
    other = "Parts of other work under this name (another model, input or option) were removed, and all was begun anew."
    remarks = (*found.remarks, other) if parts.other_work else found.remarks
    resumed = sum(facts["customers"] for facts in parts.facts)
    return Outcome(folder, found.as_of, found.cleaning, remarks, resumed=resumed)


def _score_parts(
    found: OpenInput,
    score: Callable[[pd.DataFrame], pd.DataFrame],
    unseen: Callable[[pd.DataFrame], dict[str, int]],
    parts: Parts,
    progress: Callable[[str], None] | None,
) -> None:
    done = 0
    for number, table_of in enumerate(found.parts):
        if number >= parts.resumed:
            table = table_of()
            scores = score(table).assign(as_of=found.as_of)
            facts = {"customers": len(scores), "unseen": unseen(table)}
            parts.add(partial(write_scores, scores, header=number == 0), facts)
        done += parts.facts[number]["customers"]
        if progress is not None:
            progress(f"{done:,} customers")


def unseen_levels(models: FittedModels, table: pd.DataFrame) -> dict[str, int]:
    """Count for each attribute that is a category the customers whose level the training had not; empty is no level."""
    found = {}
    for name, levels in attribute_levels(models).items():
        if name in table:
            told = table[name].dropna().astype("str")
            found[name] = int((~told.isin(levels)).sum())
    return {name: count for name, count in found.items() if count}
