"""Scoring a log that was never seen, with a model from a folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd

from churn_clv.data.cleaning import CleaningReport
from churn_clv.data.contract import Columns
from churn_clv.data.open_log import read_attributes
from churn_clv.data.transactions import read_transactions
from churn_clv.delivery.handover import DIGESTS, ScoringModel, read_model
from churn_clv.delivery.run_folder import latest_run
from churn_clv.errors import InputError
from churn_clv.score import score, trained_attributes


@dataclass(frozen=True)
class Scored:
    """Scores of a file's customers, and what a reader has to know about them."""

    scores: pd.DataFrame
    as_of: date
    model: Path
    cleaning: CleaningReport
    remarks: tuple[str, ...]


def score_file(
    model: Path,
    log: Path,
    as_of: date | None,
    columns: Mapping[str, str | None],
    manner: Mapping[str, Any],
    attributes: Path | None,
) -> Scored:
    """Score the customers of a log with a fitted model.

    Parameters
    ----------
    model
        A hand-over folder, a run folder, or a folder of runs (the newest is taken).
    as_of
        The day to score on; None is the last day of the log.
    columns, manner
        Column names and reading rules of the log that differ from those of the training log; None where they do not.
    attributes
        A table of customer attributes, for a model that was trained with some; without it they count as missing.

    Raises
    ------
    InputError
        If the model is incomplete or changed, the log cannot be read, or the day lies in the future.
    """
    folder = model if (model / DIGESTS).is_file() else latest_run(model) / "model"
    scoring = read_model(folder)
    differing = {name: value for name, value in manner.items() if value is not None}
    read = read_transactions(log, _columns(scoring, columns), replace(scoring.rules, end=as_of, **differing))
    known = read_attributes(attributes, "customer_id") if attributes else None
    trained = trained_attributes(scoring.models)
    unknown = bool(trained) and known is None
    remarks = (f"Attributes of the training count as missing: {', '.join(trained)}.",) if unknown else ()
    day = as_of or read.last_day
    return Scored(score(scoring.models, read, day, known), day, folder, read.cleaning, remarks)


def _columns(scoring: ScoringModel, given: Mapping[str, str | None]) -> Columns:
    """The training log's columns, less those that no feature reads, with the given names put in."""
    trained = scoring.columns
    if scoring.models.spend is not None and given.get("amount") == "":
        raise InputError("the model was trained on amounts; name the log's amount column with --amount")
    base = Columns(trained.customer_id, trained.date, trained.amount if scoring.models.spend is not None else None)
    return replace(base, **{role: name for role, name in given.items() if name})
