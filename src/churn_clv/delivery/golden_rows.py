"""Golden rows: made-up customers with the scores they got where the model was trained. A model proves itself by them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd

from churn_clv.customer_table import check_table, score_table, table_columns
from churn_clv.errors import InputError
from churn_clv.score import FittedModels

GOLDEN = "golden.json"
# Another version of numpy or scipy may round a last digit otherwise; a damaged or misread model is off by far more.
TOLERANCE = 1e-9


def golden_text(models: FittedModels, customers: pd.DataFrame, as_of: str) -> str:
    """Return made-up customers and their scores as the text of `GOLDEN`; reasons are words, which may get better."""
    table = check_table(models, customers)
    scores = score_table(models, table, as_of).drop(columns="reasons")
    content = {"as_of": as_of, "customers": _plain(table), "scores": _plain(scores)}
    return json.dumps(content, indent=1, allow_nan=False)


def golden_customers(models: FittedModels, text: str) -> pd.DataFrame:
    """Return the made-up customers of a model as a customer table, with a column customer_id."""
    rows = json.loads(text)["customers"]
    numbers = {column.name for column in table_columns(models) if column.kind == "number"}
    columns = {n: pd.Series(v, dtype=float if n in numbers else "str") for n, v in rows["columns"].items()}
    return pd.DataFrame({"customer_id": pd.Series(rows["customer_id"], dtype="str"), **columns})


def replay(models: FittedModels, text: str) -> float:
    """Score the golden rows again and return the largest relative difference.

    Raises
    ------
    InputError
        If a score differs by more than 1e-9 or a customer gets another segment: nothing this environment computes
        with the model can be believed.
    """
    content = json.loads(text)
    found = score_table(models, check_table(models, golden_customers(models, text)), content["as_of"])
    worst = 0.0
    for name, expected in content["scores"]["columns"].items():
        off = _differences(found[name], expected)
        if (off > TOLERANCE).any():
            raise InputError(
                f"golden rows: {name} differs in {int((off > TOLERANCE).sum())} of {len(off)} made-up customers (by "
                f"{off.max():.1e}) from what the model answered where it was trained: this environment does not compute "
                f"as that one did (numpy {np.__version__}, pandas {pd.__version__}); install the model's requirements"
            )
        worst = max(worst, float(off.max(initial=0.0)))
    return worst


def _differences(found: pd.Series, expected: list[Any]) -> np.ndarray:
    """Relative differences of numbers; of anything else infinite where it is not the same."""
    if pd.api.types.is_numeric_dtype(found):
        wanted = np.array(expected, dtype=float)
        got = found.to_numpy(dtype=float)
        off = np.abs(got - wanted) / np.maximum(np.abs(wanted), 1.0)
        return np.where(np.isnan(got) & np.isnan(wanted), 0.0, np.nan_to_num(off, nan=np.inf))
    got = [None if pd.isna(value) else str(value) for value in found]
    return np.array([0.0 if a == b else np.inf for a, b in zip(got, expected, strict=True)])


def _plain(frame: pd.DataFrame) -> dict[str, Any]:
    columns = {str(name): [_value(value) for value in frame[name]] for name in frame}
    return {"customer_id": list(map(str, frame.index)), "columns": columns}


def _value(value: Any) -> Any:
    if pd.isna(value):
        return None
    return value.item() if isinstance(value, np.generic) else value if isinstance(value, (int, float)) else str(value)
