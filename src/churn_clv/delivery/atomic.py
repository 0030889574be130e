"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from churn_clv.data.scratch import clear_dead, hold, partial_name, scratch
from churn_clv.errors import InputError


class NameTaken(InputError):
    """Another run has, or is writing, a folder of this name."""


@contextmanager
def whole_folder(final: Path) -> Iterator[Path]:
    """Fill a hidden folder beside `final` and give it that name only when the block ends well.

    What a process that is gone left in its place is cleared away.

    Raises
    ------
    NameTaken
        If `final` exists already, or another process is filling it.
    InputError
        If its parent cannot be written.
    """
    partial = partial_name(final)
    with named_errors(final):
        final.parent.mkdir(parents=True, exist_ok=True)
        clear_dead(final.parent)
        try:
            holding = hold(partial)  # at the same time the claim on the name: only one process can hold it
        except FileExistsError:
            raise NameTaken(f"{final}: another run is writing it") from None
    try:
        _refuse_taken(final)
        with named_errors(final):
            yield partial
            _sync(partial)
            _refuse_taken(final)  # by a process on another machine
            partial.rename(final)
            flush(final.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        os.close(holding)


def whole_file(final: Path, write: Callable[[Path], object]) -> None:
    """Write a file in a hidden folder beside `final`, flush it to disk, then put it in place of the old one in one step.

    Who may read the old one may read the new one, and nobody else.
    """
    with named_errors(final), scratch(final.parent) as folder:
        write(folder / final.name)
        if final.exists():
            shutil.copymode(final, folder / final.name)
        flush(folder / final.name)
        os.replace(folder / final.name, final)
        flush(final.parent)


def _refuse_taken(final: Path) -> None:
    if final.exists():
        raise NameTaken(f"{final}: exists already; nothing was overwritten")


def _sync(folder: Path) -> None:
    for path in (*folder.rglob("*"), folder):
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
    """Say of which output the system refuses something, and, where it is full, how much is free."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}{room_left(path, error)}") from error


def room_left(path: Path, error: Exception) -> str:
    """Return how many bytes are free where a full disk refused something, else nothing."""
    if getattr(error, "errno", None) not in (errno.ENOSPC, errno.EDQUOT) and "disk is full" not in str(error):
        return ""
    place = existing(path)
    return f" ({shutil.disk_usage(place).free:,} bytes free at {place}); make room and run it again"


def existing(path: Path) -> Path:
    """Return a path, or the nearest folder above it that exists."""
    return next(place for place in (path, *path.absolute().parents) if place.exists())


def check_writable(folder: Path) -> None:
    """Refuse a place that cannot hold a folder, before any work is done for it; nothing is changed there.

    Raises
    ------
    InputError
        If the nearest folder that exists is not one, or cannot be written.
    """
    nearest = existing(folder)
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise InputError(f"{folder}: cannot be written: {nearest} is {'read-only' if nearest.is_dir() else 'a file'}")
