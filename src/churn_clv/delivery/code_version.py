"""By which code a run was made: commit, changes, versions of the libraries."""

from __future__ import annotations

import subprocess
from importlib.metadata import version
from pathlib import Path

_LIBRARIES = ("lifetimes", "lightgbm", "mlflow", "pandas", "numpy", "scipy", "duckdb", "scikit-learn")


def code_tags() -> dict[str, str]:
    """Return the libraries' versions, and commit and whether the checkout had changes, when the program runs in one."""
    libraries = {"libraries": ", ".join(f"{name} {version(name)}" for name in _LIBRARIES)}
    commit, changes = _git("rev-parse", "HEAD"), _git("status", "--porcelain", "--untracked-files=no")
    if commit is None:
        return libraries
    return libraries | {"mlflow.source.git.commit": commit, "git_dirty": str(bool(changes)).lower()}


def _git(*arguments: str) -> str | None:
    where = Path(__file__).parent
    try:
        done = subprocess.run(["git", *arguments], cwd=where, capture_output=True, text=True, timeout=10)  # noqa: S603, S607
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
