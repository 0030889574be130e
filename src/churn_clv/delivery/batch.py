"""Scoring a log that was never seen, with a model from a folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

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
    events
        A file of events with columns customer_id, date and kind, for a model that was trained with some; without it
        they count as missing.

    Raises
    ------
    InputError
        If the model is incomplete or changed, the log cannot be read, or the day lies in the future.
    """
    folder = model_folder(model)
    scoring = read_model(folder)
    differing = {name: value for name, value in manner.items() if value is not None}
    rules = replace(scoring.rules, end=as_of, **differing)
    read = _read(log, _columns(scoring, columns), rules, events)
    known = read_attributes(attributes, "customer_id") if attributes else None
    _refuse_text_for_numbers(scoring, known, attributes)
    given = () if known is None else known.columns
    unknown = [name for name in trained_attributes(scoring.models) if name not in given]
    remarks = [f"Attributes of the training count as missing: {', '.join(unknown)}."] if unknown else []
    cost = scoring.models.accounts.cost_to_serve
    if cost is not None and cost not in given:
        remarks.append(
            f"The cost to serve, column {cost!r}, is not among the attributes: it makes nobody's value negative."
        )
    kinds = scoring.models.settings.event_kinds
    if kinds and not read.has_events:
        remarks.append(
            f"Events of the training count as missing: {', '.join(kinds)}. Risks without them differ from those with them: "
            "do not compare the two."
        )
    day = as_of or read.last_day
    return Scored(score(scoring.models, read, day, known), day, folder, read.cleaning, tuple(remarks))


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


def _read(log: Path, columns: Columns, rules: ReadingRules, events: Path | None) -> TransactionLog:
    if events is None:
        return read_transactions(log, columns, rules)
    connection = engine.connect()
    table = EventsTable(str(events), kind="kind")
    read = read_events(events, read_transactions(log, columns, rules, connection), table, rules)
    engine.lock(connection)
    return read
