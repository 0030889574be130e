"""Scoring customers under contract, of whom it is not known yet whether they will leave, with a model from a folder."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from churn_clv.contractual import SCORE_COLUMNS, placed_customers
from churn_clv.data.cleaning import CleaningReport
from churn_clv.data.contracts import read_known_columns
from churn_clv.delivery.contract_folder import CONTRACT_FORMAT, CONTRACT_MODEL
from churn_clv.delivery.model_folder import verified
from churn_clv.errors import InputError
from churn_clv.models.churn import ChurnModel
from churn_clv.models.reasons import reasons
from churn_clv.segments.grid import Grid


def is_contract_model(folder: Path) -> bool:
    """Whether a model folder holds a model of contracts, which scores tables instead of logs."""
    return (folder / CONTRACT_MODEL).is_file()


def score_contracts(folder: Path, table: Path, customer_id: str | None = None) -> tuple[pd.DataFrame, CleaningReport]:
    """Score a table of customers, one row each, by the model of a folder.

    Parameters
    ----------
    folder
        A hand-over of a run on contracts.
    table
        CSV or Parquet with the columns of training; the churn column is not read.
    customer_id
        The id's column, where it is not called as in training.

    Returns
    -------
    The scores, with the columns of a run's score file, and what reading did.

    Raises
    ------
    InputError
        If the model is incomplete or changed, or the table does not fit it.
    """
    files = verified(folder)
    content = json.loads(files[CONTRACT_MODEL])
    if content["format"] != CONTRACT_FORMAT:
        raise InputError(f"{folder}: format {content['format']}, this churn-clv reads format {CONTRACT_FORMAT}")
    model, columns = ChurnModel.from_files(files), content["columns"]
    numbers = list(model.feature_ranges_.index)
    texts = [name for name in model.features_ if name not in numbers]
    features, value, read = read_known_columns(
        table, customer_id or columns["customer_id"], columns["value"], numbers, texts
    )
    placed = placed_customers(Grid.from_dict(content["grid"]), model.predict_probability(features), value)
    told = reasons(model.contributions(features), features, currency=content["about"]["currency"] or "")
    return placed.assign(reasons=told)[SCORE_COLUMNS], read
