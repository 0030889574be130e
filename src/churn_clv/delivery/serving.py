"""The MLflow model, as code: it reads a raw transaction log and answers one row a customer."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd

from churn_clv.data.contract import Columns, ReadingRules
from churn_clv.data.transactions import read_transactions
from churn_clv.delivery.handover import ScoringModel, read_model
from churn_clv.score import score


class ChurnClv(mlflow.pyfunc.PythonModel):
    """Score the customers of a log with columns customer_id (text), date (ISO text) and amount (number)."""

    _scoring: ScoringModel

    def load_context(self, context: Any) -> None:
        # MLflow's schema errors would repeat rows of the input, customers' ids included.
        os.environ.setdefault("MLFLOW_DISABLE_SCHEMA_DETAILS", "true")
        self._scoring = read_model(Path(context.artifacts["fitted"]))

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Return the score table; `as_of` in params is an ISO date, by default the last day of the input."""
        rules = ReadingRules(purchase_rule=self._scoring.rules.purchase_rule)
        amount = "amount" if self._scoring.models.spend is not None else None
        log = read_transactions(model_input, Columns(amount=amount), rules)
        chosen = (params or {}).get("as_of") or ""
        scores = score(self._scoring.models, log, date.fromisoformat(chosen) if chosen else log.last_day)
        return scores.assign(as_of=scores["as_of"].astype("str")).reset_index()


mlflow.models.set_model(ChurnClv())
