"""The MLflow model, as code: it reads a customer table or a raw log and answers one row a customer."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE

from churn_clv.delivery.model_folder import ScoringModel, read_model
from churn_clv.delivery.request import day_of, is_log, log_scores, refuse_unstorable, with_numbers
from churn_clv.errors import InputError


class Refused(MlflowException):
    """A refusal, status 400 of a server, that keeps its words: the server would put the rows it was sent before them."""

    def __init__(self, reason: str) -> None:
        self._reason = reason
        super().__init__(reason, error_code=INVALID_PARAMETER_VALUE)

    @property
    def message(self) -> str:
        return self._reason

    @message.setter
    def message(self, _: str) -> None:
        """Keep the reason."""


class ChurnClv(mlflow.pyfunc.PythonModel):
    """Score customers, given as a customer table (customer_id, frequency, recency, T, ...) or a log (customer_id, date, ...)."""

    _scoring: ScoringModel
    _duckdb: str

    def load_context(self, context: Any) -> None:
        # MLflow's schema errors would repeat rows of the input, customers' ids included.
        os.environ.setdefault("MLFLOW_DISABLE_SCHEMA_DETAILS", "true")
        self._scoring = read_model(Path(context.artifacts["fitted"]))
        self._duckdb = (context.model_config or {}).get("duckdb", "duckdb")

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Return the score table, a row per customer.

        Parameters
        ----------
        params
            as_of: the day of the scores as ISO text; of a log, its last day unless one is given. horizon_days: the
            days to forecast, 0 for those of the training.
        """
        chosen = params or {}
        as_of, horizon_days = chosen.get("as_of") or "", chosen.get("horizon_days") or None
        try:
            scores = self._scores(model_input, as_of, horizon_days)
        except InputError as error:
            raise Refused(str(error)) from None
        return scores.assign(as_of=scores["as_of"].astype("str")).reset_index()

    def _scores(self, asked: pd.DataFrame, as_of: str, horizon_days: int | None) -> pd.DataFrame:
        if asked.empty:
            raise InputError("the input has no rows, or none of the columns that the model reads")
        refuse_unstorable(asked)
        if is_log(map(str, asked.columns)):
            _refuse_batches()
            return log_scores(self._scoring, asked, as_of, horizon_days, self._duckdb)
        day_of(as_of)
        return self._scoring.score(with_numbers(self._scoring, asked), as_of, horizon_days)


def _refuse_batches() -> None:
    """A Spark function sees batches of lines, and would take the lines of a customer for all of them."""
    spark = sys.modules.get("pyspark")
    if spark is not None and spark.TaskContext.get() is not None:
        raise InputError(
            "a raw log cannot be scored by a Spark function, which sees only some lines of a customer at a time: make a "
            "customer table first"
        )


mlflow.models.set_model(ChurnClv())
