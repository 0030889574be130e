"""A log that was never seen, opened for a model from a folder, and its scores in one piece."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd

from churn_clv.data import engine
from churn_clv.data.cleaning import CleaningReport
from churn_clv.data.contract import Columns, EventsTable, ReadingRules
from churn_clv.data.open_log import read_attributes
from churn_clv.data.read_events import read_events
from churn_clv.data.transactions import TransactionLog, read_transactions
from churn_clv.delivery.model_folder import DIGESTS, ScoringModel, read_model
from churn_clv.delivery.run_folder import latest_run
from churn_clv.errors import InputError
from churn_clv.score import trained_attributes
from churn_clv.score_log import score


@dataclass(frozen=True)
class NewLog:
    """A log that is open for scoring, and what a reader of its scores has to know."""

    log: TransactionLog
    as_of: date
    attributes: pd.DataFrame | None
    remarks: tuple[str, ...]


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
    events: Path | None = None,
) -> Scored:
    """Score the customers of a log with a fitted model, all at once and in memory; see `score_in_parts` for the command.

    Parameters
    ----------
    model
        A hand-over folder, a run folder, or a folder of runs (the newest is taken).

    The others are those of `open_new_log`.
    """
    folder = model_folder(model)
    scoring = read_model(folder)
    new = open_new_log(scoring, log, as_of, columns, manner, attributes, events)
    scores = score(scoring.models, new.log, new.as_of, new.attributes)
    return Scored(scores, new.as_of, folder, new.log.cleaning, new.remarks)


def open_new_log(
    scoring: ScoringModel,
    log: Path,
    as_of: date | None,
    columns: Mapping[str, str | None],
    manner: Mapping[str, Any],
    attributes: Path | None,
    events: Path | None = None,
    connection: duckdb.DuckDBPyConnection | None = None,
) -> NewLog:
    """Read and clean a log that was never seen, as the model's training log was read.

    Parameters
    ----------
    as_of
        The day to score on; None is the last day of the log.
    columns, manner
        Column names and reading rules of the log that differ from those of the training log; None where they do not.
    attributes
        A table of customer attributes, for a model that was trained with some; without it they count as missing.
    events
        A file of events with columns customer_id, date and kind, for a model that was trained with some; without it
        they count as missing.
    connection
        Where the log is to stand; it is locked when all is read.

    Raises
    ------
    InputError
        If the log cannot be read, or the day lies in the future.
    """
    rules = replace(scoring.rules, end=as_of, **given(manner))
    read = _read(log, _columns(scoring, columns), rules, events, connection)
    known = read_attributes(attributes, "customer_id") if attributes else None
    _refuse_text_for_numbers(scoring, known, attributes)
    told = () if known is None else tuple(map(str, known.columns))
    return NewLog(read, as_of or read.last_day, known, _remarks(scoring, told, read.has_events))


def given(manner: Mapping[str, Any]) -> dict[str, Any]:
    """Return the reading rules that are said."""
    return {name: value for name, value in manner.items() if value is not None}


def _remarks(scoring: ScoringModel, given: tuple[str, ...], has_events: bool) -> tuple[str, ...]:
    unknown = [name for name in trained_attributes(scoring.models) if name not in given]
    remarks = [f"Attributes of the training count as missing: {', '.join(unknown)}."] if unknown else []
    cost = scoring.models.accounts.cost_to_serve
    if cost is not None and cost not in given:
        remarks.append(
            f"The cost to serve, column {cost!r}, is not among the attributes: it makes nobody's value negative."
        )
    kinds = scoring.models.settings.event_kinds
    if kinds and not has_events:
        remarks.append(
            f"Events of the training count as missing: {', '.join(kinds)}. Risks without them differ from those with them: "
            "do not compare the two."
        )
    return tuple(remarks)


def model_folder(model: Path) -> Path:
    """Return a hand-over folder itself, or that of a run folder or of the newest run in a folder of runs."""
    return model if (model / DIGESTS).is_file() else latest_run(model) / "model"


def _refuse_text_for_numbers(scoring: ScoringModel, known: pd.DataFrame | None, source: Path | None) -> None:
    """A number that arrives as text would count as missing without a word."""
    if known is None:
        return
    trees, cost = scoring.models.churn.trees, scoring.models.accounts.cost_to_serve
    learned = [] if trees is None else trees.feature_ranges_.index
    numbers = [name for name in trained_attributes(scoring.models) if name in learned]
    numbers += [] if cost is None else [cost]
    text = [n for n in numbers if n in known.columns and not pd.api.types.is_numeric_dtype(known[n])]
    if text:
        raise InputError(f"{source}: {', '.join(map(repr, text))} holds text; in training it held numbers")


def _columns(scoring: ScoringModel, given: Mapping[str, str | None]) -> Columns:
    """The columns that the model reads under the training log's names, with the given names put in."""
    if scoring.models.spend is not None and given.get("amount") == "":
        raise InputError("the model was trained on amounts; name the log's amount column with --amount")
    return replace(scoring.needed, **{role: name for role, name in given.items() if name})


def _read(
    log: Path,
    columns: Columns,
    rules: ReadingRules,
    events: Path | None,
    connection: duckdb.DuckDBPyConnection | None,
) -> TransactionLog:
    room = engine.connect() if connection is None else connection
    read = read_transactions(log, columns, rules, room)
    if events is not None:
        read = read_events(events, read, EventsTable(str(events), kind="kind"), rules)
    engine.lock(room)
    return read
