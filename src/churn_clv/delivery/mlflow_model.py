"""A model's folder as an MLflow model: code and text, never a pickle. Read by `tracking` and by the hand-over's Dockerfile."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from churn_clv.customer_table import table_columns
from churn_clv.delivery.golden_rows import GOLDEN, golden_customers
from churn_clv.delivery.model_folder import ScoringModel, read_model, roles_read, verified, write_model
from churn_clv.delivery.scoring_code import log_requirement, pinned, scoring_requirements, scoring_sources
from churn_clv.errors import InputError

MLFLOW = "mlflow-skinny"
# The artifact of an MLflow model that is the model's folder.
FITTED = "fitted"
_EXAMPLES = 3


@contextmanager
def model_parts(folder: Path) -> Iterator[dict[str, Any]]:
    """Give what `mlflow.pyfunc.log_model` and `save_model` want of a model's folder, every digest checked."""
    scoring, files = read_model(folder), verified(folder)
    example = golden_customers(scoring.models, files[GOLDEN]).head(_EXAMPLES)
    scores = scoring.score(example, as_of="2024-12-31").reset_index()
    with TemporaryDirectory() as scratch:
        package, fitted = Path(scratch, "churn_clv"), Path(scratch, FITTED)
        fitted.mkdir()
        write_model(fitted, files)
        _write(scoring_sources(), Path(scratch))
        yield {
            "python_model": str(package / "delivery" / "serving.py"),
            "artifacts": {FITTED: str(fitted)},
            "code_paths": [str(package)],
            "signature": signature(scoring, scores),
            "input_example": example,
            "pip_requirements": [pinned(MLFLOW), *scoring_requirements(with_log=False)],
            # What a raw log needs besides, for the error where it is missing.
            "model_config": {"duckdb": log_requirement(folder)},
        }


def signature(scoring: ScoringModel, scores: pd.DataFrame) -> Any:
    """Return what the model reads, a customer table or a log, and what it answers.

    MLflow knows one list of columns and takes no whole number for a decimal one: every column is optional and of any
    type here, and the model itself refuses what is missing or wrong, by name and without repeating rows.
    """
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
    from mlflow.types.schema import AnyType

    table = ("customer_id", *(column.name for column in table_columns(scoring.models)))
    names = dict.fromkeys([*table, *roles_read(scoring.models, scoring.columns)])
    params = [ParamSpec("as_of", DataType.string, ""), ParamSpec("horizon_days", DataType.long, 0)]
    return ModelSignature(
        inputs=Schema([ColSpec(AnyType(), name, required=False) for name in names]),
        outputs=Schema([ColSpec(_kind(scores[name]), str(name)) for name in scores]),
        params=ParamSchema(params),
    )


def _kind(column: pd.Series) -> Any:
    from mlflow.types import DataType

    if not pd.api.types.is_numeric_dtype(column):
        return DataType.string
    return DataType.long if pd.api.types.is_integer_dtype(column) else DataType.double


def _write(sources: dict[str, str], place: Path) -> None:
    for name, text in sources.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text, encoding="utf-8")


def save(folder: Path, out: Path) -> None:
    """Write a model's folder as an MLflow model into a new folder."""
    import mlflow

    with model_parts(folder) as parts:
        mlflow.pyfunc.save_model(path=str(out), **parts)


def main(arguments: Sequence[str]) -> int:
    """Write the model of the first folder into the second; bad input is one line on stderr and exit code 2."""
    if len(arguments) != 2:
        print("python -m churn_clv.delivery.mlflow_model FOLDER NEW_FOLDER", file=sys.stderr)
        return 2
    try:
        save(*map(Path, arguments))
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
