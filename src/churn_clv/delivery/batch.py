"""Scoring a log that was never seen, with a model from a folder."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pandas as pd

from churn_clv.data.cleaning import CleaningReport
from churn_clv.data.contract import Columns
from churn_clv.data.transactions import read_transactions
from churn_clv.delivery.handover import DIGESTS, ScoringModel, read_model
from churn_clv.delivery.run_folder import latest_run
from churn_clv.delivery.tables import check_table_path
from churn_clv.errors import InputError
from churn_clv.score import score


def score_file(
    model: Path, log: Path, out: Path, as_of: date | None, given: dict[str, str | None]
) -> tuple[pd.DataFrame, CleaningReport]:
    """Score the customers of a log with a fitted model.

    Parameters
    ----------
    model
        A run folder, its model folder, a hand-over folder, or a folder of runs (the newest is taken).
    as_of
        The day to score on; None is the last day of the log.
    given
        Column names of the log that differ from those of the training log.

    Raises
    ------
    InputError
        If the model is incomplete or changed, or the log cannot be read.
    """
    check_table_path(out)
    scoring = read_model(_model_folder(model))
    read = read_transactions(log, _columns(scoring, given), replace(scoring.rules, end=as_of))
    return score(scoring.models, read, as_of or read.last_day), read.cleaning


def _model_folder(place: Path) -> Path:
    """The model itself, of a hand-over or run folder, or of the newest run below a folder of runs."""
    if (place / DIGESTS).is_file():
        return place
    return (place if (place / "model").is_dir() else latest_run(place)) / "model"


def _columns(scoring: ScoringModel, given: dict[str, str | None]) -> Columns:
    """The training log's columns, less those that no feature reads, with the given names put in."""
    trained = scoring.columns
    if scoring.models.spend is not None and given.get("amount") == "":
        raise InputError("the model was trained on amounts; name the log's amount column with --amount")
    base = Columns(trained.customer_id, trained.date, trained.amount if scoring.models.spend is not None else None)
    return replace(base, **{role: name for role, name in given.items() if name})
