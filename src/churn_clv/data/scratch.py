"""Hidden folders for what is not finished: held by a living process, cleared away when a later one finds them dead.

A folder is held by a lock on it that the system lets go when the process ends, however it ends. Its name says under which
running kernel it was made: only there does a free lock prove that nobody is at work, so those of other machines stay.
"""

from __future__ import annotations

import atexit
import errno
import fcntl
import hashlib
import logging
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from churn_clv.errors import InputError

# What a file system answers that knows no locks on folders.
_NO_LOCKS = {errno.EBADF, errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EINVAL}
_BOOT = Path("/proc/sys/kernel/random/boot_id")


@cache
def kernel() -> str:
    """Return eight characters for the running kernel: all containers of a machine share it, a restart changes it."""
    booted = _BOOT.read_text(encoding="ascii") if _BOOT.is_file() else platform.node()
    return hashlib.sha256(booted.encode()).hexdigest()[:8]


def scratch_folder(parent: str) -> Path:
    """Return a new hidden folder below another, which is made if need be, to be removed when the program ends.

    Raises
    ------
    InputError
        If the place cannot be written.
    """
    try:
        folder, holding = _new(Path(parent))
    except OSError as failure:
        raise InputError(f"{parent}: cannot be written ({failure.strerror})") from None
    atexit.register(_remove, folder, holding)
    return folder


@contextmanager
def scratch(parent: Path | None = None) -> Iterator[Path]:
    """Give a new hidden folder below another, or below the system's for temporary files, for as long as the block lasts."""
    folder, holding = _new(parent or Path(tempfile.gettempdir()))
    try:
        yield folder
    finally:
        _remove(folder, holding)


def partial_name(final: Path) -> Path:
    """Return the hidden folder in which what will be `final` is made."""
    return final.parent / f".{final.name}.{kernel()}.partial"


def hold(folder: Path) -> int:
    """Make a folder, or take one whose process is gone and empty it; return the descriptor that holds it until closed.

    Raises
    ------
    FileExistsError
        If a living process holds it.
    """
    for attempt in range(4):
        time.sleep(0.05 * attempt)  # who clears away the dead holds a folder for a moment
        try:
            folder.mkdir()
            made = True
        except FileExistsError:
            made = False
        holding = _held(folder, unlocked=made)
        if holding is not None:
            _empty(folder, unless=made)
            return holding
    raise FileExistsError(errno.EEXIST, "another process is writing it", str(folder))


def clear_dead(parent: Path) -> None:
    """Remove the hidden folders directly below `parent` whose process is gone, and say so in one line."""
    if not parent.is_dir():
        return
    dead = [(folder, holding) for folder in _ours(parent) if (holding := _held(folder)) is not None]
    size = sum(path.lstat().st_size for folder, _ in dead for path in folder.rglob("*"))
    for folder, holding in dead:
        _remove(folder, holding)
    if dead:
        logging.getLogger(__name__).warning(
            f"{parent}: cleared away what a process that is gone had left unfinished: {len(dead)} hidden "
            f"folder{'s' if len(dead) > 1 else ''}, {size / 1e6:.1f} MB"
        )


def _new(parent: Path) -> tuple[Path, int]:
    parent.mkdir(parents=True, exist_ok=True)
    clear_dead(parent)
    while True:
        folder = Path(tempfile.mkdtemp(prefix=f".churn_clv_{kernel()}_", dir=parent))
        # Another process may have cleared it away before it was held.
        if (holding := _held(folder, unlocked=True)) is not None:
            return folder, holding


def _ours(parent: Path) -> list[Path]:
    patterns = (f".churn_clv_{kernel()}_*", f".*.{kernel()}.partial")
    return [folder for pattern in patterns for folder in parent.glob(pattern) if folder.is_dir()]


def _held(folder: Path, *, unlocked: bool = False) -> int | None:
    """Lock a folder that nobody holds; `unlocked`: it is one's own where the file system has no locks."""
    try:
        holding = os.open(folder, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(holding, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(holding), folder.stat()):  # nobody has renamed or removed it meanwhile
            return holding
    except OSError as refused:
        if unlocked and refused.errno in _NO_LOCKS:
            return holding
    os.close(holding)
    return None


def _empty(folder: Path, *, unless: bool) -> None:
    for left in [] if unless else list(folder.iterdir()):
        shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink()


def _remove(folder: Path, holding: int) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    os.close(holding)
