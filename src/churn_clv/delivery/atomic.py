"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from churn_clv.errors import InputError


class NameTaken(InputError):
    """Another run has, or is writing, a folder of this name."""


@contextmanager
def whole_folder(final: Path) -> Iterator[Path]:
    """Fill a hidden folder beside `final` and give it that name only when the block ends well.

    Raises
    ------
    NameTaken
        If `final` exists already, or another process is filling it.
    InputError
        If its parent cannot be written.
    """
    partial = final.parent / f".{final.name}.partial"
    with named_errors(final):
        final.parent.mkdir(parents=True, exist_ok=True)
        try:
            partial.mkdir()  # at the same time the claim on the name: only one process can make it
        except FileExistsError:
            raise NameTaken(f"{final}: another run is writing it") from None
    try:
        if final.exists():
            raise NameTaken(f"{final}: exists already; nothing was overwritten")
        with named_errors(final):
            yield partial
            _sync(partial)
            partial.rename(final)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def whole_file(final: Path, write: Callable[[Path], object]) -> None:
    """Write a file beside `final`, flush it to disk, then put it in place of the old one in one step."""
    partial = final.parent / f".{final.name}.{uuid.uuid4().hex[:8]}.partial"
    with named_errors(final):
        final.parent.mkdir(parents=True, exist_ok=True)
        try:
            write(partial)
            flush(partial)
            os.replace(partial, final)
        finally:
            partial.unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            flush(path)


def flush(path: Path) -> None:
    """Wait until a file, or what a folder lists, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def named_errors(path: Path) -> Iterator[None]:
    """Say of which output the system refuses something."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from error


def check_writable(folder: Path) -> None:
    """Refuse a place that cannot hold a folder, before any work is done for it; nothing is created.

    Raises
    ------
    InputError
        If the nearest folder that exists is not one, or cannot be written.
    """
    nearest = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise InputError(f"{folder}: cannot be written: {nearest} is {'read-only' if nearest.is_dir() else 'a file'}")
