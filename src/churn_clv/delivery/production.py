"""What the receiving team runs beside the model: `check` and `score`, without MLflow and without the research program.

In a hand-over folder: ``PYTHONPATH=code python -B -m churn_clv.delivery.production check .``; without -B Python would
write files into the folder, which then is not what was handed over.
"""

from __future__ import annotations

import argparse
import csv
import sys
import sysconfig
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from churn_clv.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from churn_clv.delivery.model_folder import ScoringModel

# A chunk of 50,000 rows takes some 200 MB with all that is computed of it.
_CHUNK = 50_000
_EMPTY = ["", "NA", "NaN", "nan", "NULL", "null"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; bad input is one line on stderr and exit code 2."""
    asked = _parser().parse_args(arguments)
    try:
        print(asked.run(asked))
    except InputError as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m churn_clv.delivery.production", description="Check or use a model."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    check = commands.add_parser("check", help="verify every file, then score the golden rows")
    check.set_defaults(run=_check)
    score = commands.add_parser("score", help="score the customers of a CSV")
    score.set_defaults(run=_score)
    for command in (check, score):
        command.add_argument("folder", type=Path, metavar="FOLDER", help="the hand-over folder, mostly .")
        command.add_argument("--digest", help="SHA-256 of SHA256SUMS, as it was announced; refuses any other model")
    score.add_argument("input", type=Path, metavar="INPUT", help="a customer table, or a raw log (which needs DuckDB)")
    score.add_argument("output", type=Path, metavar="OUTPUT", help="the CSV to write")
    score.add_argument("--as-of", default="", metavar="DAY", help="the day of the scores, as in 2024-12-31")
    score.add_argument("--horizon-days", type=int, metavar="N", help="days to forecast; default: as in training")
    return parser


def _check(asked: argparse.Namespace) -> str:
    import_seconds = _import_seconds()
    from churn_clv.delivery.golden_rows import GOLDEN, golden_customers, replay
    from churn_clv.delivery.model_folder import read_model, verified

    started = time.perf_counter()
    scoring = read_model(asked.folder, asked.digest)
    load_seconds = time.perf_counter() - started
    files = verified(asked.folder, asked.digest)
    lines = {
        "files verified": f"{len(files)}",
        "golden rows": f"{len(golden_customers(scoring.models, files[GOLDEN]))}",
        "largest difference": f"{replay(scoring.models, files[GOLDEN]):.1e}",
        "import": f"{import_seconds:.2f} s",
        "load": f"{load_seconds:.2f} s",
        "packages": f"{_packages_megabytes():.0f} MB",
    }
    return "\n".join(f"{name + ':':<20}{value}" for name, value in lines.items())


def _import_seconds() -> float:
    """Import all that scoring uses, and say how long that took."""
    started = time.perf_counter()
    import lightgbm  # noqa: F401
    import scipy.optimize  # noqa: F401

    import churn_clv.delivery.model_folder  # noqa: F401

    return time.perf_counter() - started


def _packages_megabytes() -> float:
    places = {Path(sysconfig.get_path(name)) for name in ("purelib", "platlib")}
    return sum(path.lstat().st_size for place in places for path in place.rglob("*") if not path.is_dir()) / 1e6


def _score(asked: argparse.Namespace) -> str:
    from churn_clv.delivery.atomic import whole_file
    from churn_clv.delivery.model_folder import read_model
    from churn_clv.delivery.request import is_log

    scoring = read_model(asked.folder, asked.digest)
    names = _header(asked.input)
    if asked.output.exists() and asked.output.samefile(asked.input):
        raise InputError(f"{asked.output}: is the input itself; name another output, nothing was overwritten")
    scored = _log(scoring, asked) if is_log(names, scoring.needed.date) else _table(scoring, asked, names)
    counts: list[int] = []
    whole_file(asked.output, lambda partial: counts.append(_write(scored, partial)))
    return f"{counts[0]:,} customers scored: {asked.output}"


def _header(path: Path) -> list[str]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            names = next(csv.reader(file), [])
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: is no CSV in UTF-8: {error}") from None
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"{path}: {', '.join(twice)}: the table has the column more than once; keep one")
    return names


def _log(scoring: ScoringModel, asked: argparse.Namespace) -> Iterator[pd.DataFrame]:
    from churn_clv.delivery.request import log_scores
    from churn_clv.delivery.scoring_code import log_requirement

    yield log_scores(scoring, asked.input, asked.as_of, asked.horizon_days, log_requirement(asked.folder))


def _table(scoring: ScoringModel, asked: argparse.Namespace, names: list[str]) -> Iterator[pd.DataFrame]:
    """Score a customer table chunk by chunk; that nobody stands in two chunks is seen at the end, before a file appears."""
    from churn_clv.delivery.request import day_of, with_numbers

    day_of(asked.as_of)
    digests: list[Any] = []
    rows = 0
    for chunk in _chunks(scoring, asked.input, names):
        if chunk.empty:
            raise InputError(f"{asked.input}: holds no customers")
        try:
            scores = scoring.score(with_numbers(scoring, chunk), asked.as_of, asked.horizon_days)
        except InputError as error:
            raise InputError(f"{asked.input}, rows {rows + 1:,} to {rows + len(chunk):,}: {error}") from None
        digests.append(_digests(scores))
        rows += len(chunk)
        yield scores
    _refuse_repeated(asked.input, digests)


def _chunks(scoring: ScoringModel, path: Path, names: list[str]) -> Iterator[pd.DataFrame]:
    import pandas as pd

    from churn_clv.customer_table import table_columns
    from churn_clv.delivery.spreadsheet import spreadsheet_plain

    kinds = {column.name: column.kind for column in table_columns(scoring.models)} | {"customer_id": "text"}
    read = [name for name in names if name in kinds]
    text = {name: "str" for name in read if kinds[name] == "text"}
    empty = {name: [""] if name in text else _EMPTY for name in read}
    try:
        chunks = pd.read_csv(
            path, usecols=read, dtype=text, na_values=empty, keep_default_na=False, chunksize=_CHUNK, index_col=False
        )
        yield from map(spreadsheet_plain, chunks)
    except (pd.errors.ParserError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: is no CSV: {error}") from None


def _digests(scores: pd.DataFrame) -> Any:
    """Eight bytes a customer, whatever the ids are."""
    import pandas as pd

    return pd.util.hash_array(scores.index.to_numpy(dtype=object))


def _refuse_repeated(path: Path, digests: list[Any]) -> None:
    import numpy as np

    everyone = np.concatenate(digests)
    repeated = len(everyone) - len(np.unique(everyone))
    if repeated:
        raise InputError(
            f"{path}: customer_id: {repeated:,} of {len(everyone):,} rows repeat a customer; the table wants one row each"
        )


def _write(scored: Iterator[pd.DataFrame], path: Path) -> int:
    from churn_clv.delivery.spreadsheet import spreadsheet_safe

    rows = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        for scores in scored:
            spreadsheet_safe(scores.reset_index()).to_csv(file, header=rows == 0, index=False)
            rows += len(scores)
    return rows


if __name__ == "__main__":
    sys.exit(main())
