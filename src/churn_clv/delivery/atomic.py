"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from churn_clv.errors import InputError


@contextmanager
def whole_folder(final: Path) -> Iterator[Path]:
    """Fill a hidden folder beside `final` and give it that name only when the block ends well.

    Raises
    ------
    InputError
        If `final` exists already, or its parent cannot be written.
    """
    if final.exists():
        raise InputError(f"{final}: exists already; choose another place, nothing was overwritten")
    partial = final.parent / f".{final.name}.{uuid.uuid4().hex[:8]}.partial"
    with _named_errors(final):
        partial.mkdir(parents=True)
    try:
        with _named_errors(final):
            yield partial
            _sync(partial)
            partial.rename(final)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def whole_file(final: Path, write: Callable[[Path], object]) -> None:
    """Write a file beside `final`, flush it to disk, then put it in place of the old one in one step."""
    partial = final.parent / f".{final.name}.{uuid.uuid4().hex[:8]}.partial"
    with _named_errors(final):
        final.parent.mkdir(parents=True, exist_ok=True)
        try:
            write(partial)
            _flush(partial)
            os.replace(partial, final)
        finally:
            partial.unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            _flush(path)


def _flush(path: Path) -> None:
    with path.open("rb") as handle:
        os.fsync(handle.fileno())


@contextmanager
def _named_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from error
