"""The MLflow model, as code: it reads a raw transaction log and answers one row a customer."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd

from churn_clv.data.contract import Columns, ReadingRules
from churn_clv.data.transactions import read_transactions
from churn_clv.delivery.model_folder import ScoringModel, read_model, roles_read
from churn_clv.score_log import score


class ChurnClv(mlflow.pyfunc.PythonModel):
    """Score the customers of a log: customer_id (text), date (ISO text), amount (number), and what the signature names."""

    _scoring: ScoringModel

    def load_context(self, context: Any) -> None:
        # MLflow's schema errors would repeat rows of the input, customers' ids included.
        os.environ.setdefault("MLFLOW_DISABLE_SCHEMA_DETAILS", "true")
        self._scoring = read_model(Path(context.artifacts["fitted"]))

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Return the score table; `as_of` in params is an ISO date, by default the last day of the input."""
        trained = self._scoring.rules
        rules = ReadingRules(purchase_rule=trained.purchase_rule, margin_rate=trained.margin_rate)
        roles = roles_read(self._scoring.models, self._scoring.columns)
        columns = replace(Columns(amount=None), **{role: role for role in roles})
        log = read_transactions(model_input, columns, rules)
        chosen = (params or {}).get("as_of") or ""
        scores = score(self._scoring.models, log, date.fromisoformat(chosen) if chosen else log.last_day)
        return scores.assign(as_of=scores["as_of"].astype("str")).reset_index()


mlflow.models.set_model(ChurnClv())
