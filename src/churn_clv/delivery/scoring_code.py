"""The part of this package that scoring needs, and the packages beneath it: what travels with a model, and no more."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import churn_clv

# With MLflow, served, made into a model of MLflow, without it, and from a raw log.
ENTRIES = (
    "delivery/serving.py",
    "delivery/endpoint.py",
    "delivery/mlflow_model.py",
    "delivery/production.py",
    "score_log.py",
)
_SCORING = ("lightgbm", "numpy", "pandas", "scipy")
_LOGS = "duckdb"
_PACKAGE = Path(churn_clv.__file__).parent


def scoring_sources() -> dict[str, str]:
    """Return every source file that scoring needs, "churn_clv/..." -> text: Python files, and SQL to read a log.

    Found by following imports from `ENTRIES`, those inside functions included: the rest of the package stays at home.
    """
    found: dict[Path, str] = {}
    ahead = [_PACKAGE / entry for entry in ENTRIES]
    while ahead:
        path = ahead.pop()
        if path not in found:
            found[path] = path.read_text(encoding="utf-8")
            ahead += [file for module in imported(found[path]) for file in _files_of(module)]
    queries = {path: path.read_text(encoding="utf-8") for path in (_PACKAGE / "data").glob("*.sql")}
    return {path.relative_to(_PACKAGE.parent).as_posix(): text for path, text in sorted((found | queries).items())}


def scoring_requirements(with_log: bool) -> list[str]:
    """Return what scoring needs of others, pinned to what is installed here; a raw log needs DuckDB as well.

    >>> [line.split("==")[0] for line in scoring_requirements(with_log=True)]
    ['duckdb', 'lightgbm', 'numpy', 'pandas', 'scipy']
    """
    return [pinned(name) for name in sorted([*_SCORING, *([_LOGS] if with_log else [])])]


def pinned(name: str) -> str:
    """Return "name==version" of an installed package."""
    return f"{name}=={version(name)}"


def log_requirement(folder: Path) -> str:
    """Return what reads a raw log for a model: as its hand-over folder lists it, or as it is installed here."""
    listed = folder / "requirements-log.txt"
    lines = listed.read_text(encoding="utf-8").split() if listed.is_file() else [pinned(_LOGS)]
    return next(line for line in lines if line.startswith(_LOGS))


def imported(source: str) -> Iterator[str]:
    """Yield every module that a source file may import, names taken from a package included."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _files_of(module: str) -> Iterator[Path]:
    """The files that Python runs to import a module of this package: the packages above it too."""
    first, *parts = module.split(".")
    if first != _PACKAGE.name:
        return
    for depth in range(len(parts) + 1):
        place = _PACKAGE.joinpath(*parts[:depth])
        candidates = (place / "__init__.py", place.with_suffix(".py"))
        yield from (path for path in candidates if path.is_file() and path.is_relative_to(_PACKAGE))
