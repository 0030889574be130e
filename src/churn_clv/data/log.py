"""What every cleaned log can tell, whichever engine holds it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, Protocol

import pandas as pd

from churn_clv.data.cleaning import CleaningReport
from churn_clv.data.contract import ValueIs


class Log(Protocol):
    """A log that passed the door, on DuckDB (`TransactionLog`, whose tables are described there) or on Spark (`SparkLog`)."""

    @property
    def cleaning(self) -> CleaningReport: ...
    @property
    def has_amount(self) -> bool: ...
    @property
    def first_day(self) -> date: ...
    @property
    def last_day(self) -> date: ...
    @property
    def n_customers(self) -> int: ...
    @property
    def value_is(self) -> ValueIs: ...
    @property
    def events(self) -> CleaningReport | None: ...
    @property
    def has_events(self) -> bool: ...
    @property
    def line_columns(self) -> frozenset[str]:
        """The columns of `transactions`: the optional ones stand there where they are mapped."""

    def frame(self, sql: str, values: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """Return what a query, in DuckDB's dialect, finds in the log's tables; `values` are bound to its $names."""
