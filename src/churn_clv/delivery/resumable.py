"""Work that is done in parts: each part whole on disk, the output only when all are, and a rerun goes on where it stopped."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from churn_clv.delivery.atomic import NameTaken, flush, named_errors

_LOCK, _JOURNAL, _PARTS, _WHOLE = "lock", "journal.jsonl", "parts", "whole"


@dataclass
class Parts:
    """The parts of an output that are whole, in a hidden folder beside it.

    The journal's first line says of what work they are; each other line tells of one part: how many bytes it has, and
    what else is known of it, its facts. A part without a whole line does not count.
    """

    out: Path
    folder: Path
    suffix: str
    facts: list[dict[str, Any]]
    resumed: int = 0
    other_work: bool = False

    def add(self, write: Callable[[Path], object], facts: dict[str, Any]) -> None:
        """Write the next part."""
        final = self.path(len(self.facts))
        partial = final.with_name(f".{final.name}")
        with named_errors(self.out):
            write(partial)
            flush(partial)
            os.replace(partial, final)
            flush(final.parent)
            _append(self.folder / _JOURNAL, {"bytes": final.stat().st_size, **facts})
        self.facts.append(facts)

    def path(self, number: int) -> Path:
        """Return where a part stands."""
        return self.folder / _PARTS / f"part-{number:05d}{self.suffix}"

    def paths(self) -> list[Path]:
        """Return the parts that are whole, in order."""
        return [self.path(number) for number in range(len(self.facts))]

    def finish(self, merge: Callable[[list[Path], Path], object] | None) -> None:
        """Give the output its name, in one step: the parts as one file, or, without `merge`, as a folder."""
        whole = self.folder / (_PARTS if merge is None else _WHOLE)
        with named_errors(self.out):
            if merge is not None:
                merge(self.paths(), whole)
                flush(whole)
            os.replace(whole, self.out)
            flush(self.out.parent)
        shutil.rmtree(self.folder)


@contextmanager
def parts_folder(out: Path) -> Iterator[Path]:
    """Claim the hidden folder beside an output; of two processes that want it at once, the second is refused.

    It stays where a part in it is whole, so that a rerun can go on; the claim ends with the process, however it ends.

    Raises
    ------
    NameTaken
        If another process is writing this output.
    InputError
        If the place cannot be written.
    """
    folder = out.parent / f".{out.name}.partial"
    with named_errors(out):
        (folder / _PARTS).mkdir(parents=True, exist_ok=True)
        lock = (folder / _LOCK).open("w")
    with lock:
        if not _locked(lock, folder / _LOCK):
            raise NameTaken(f"{out}: another process is writing it; nothing was overwritten")
        try:
            yield folder
        finally:
            if not any(folder.glob(f"{_PARTS}/part-*")):
                shutil.rmtree(folder, ignore_errors=True)


def _locked(lock: IO[str], path: Path) -> bool:
    """Try to lock a file, which the process that had it may just have removed."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(lock.fileno()), path.stat())
    except (BlockingIOError, FileNotFoundError):
        return False


def open_parts(out: Path, folder: Path, work: dict[str, Any], suffix: str) -> Parts:
    """Return the parts of the same work that are whole; parts of other work are removed."""
    work = json.loads(json.dumps(work))  # as it will be read
    found = _read(folder / _JOURNAL)
    same = bool(found) and found[0] == work
    parts = Parts(out, folder, suffix, [])
    for facts in found[1:] if same else []:
        path = parts.path(len(parts.facts))
        if not path.is_file() or path.stat().st_size != facts.pop("bytes"):
            break
        parts.facts.append(facts)
    parts.resumed, parts.other_work = len(parts.facts), bool(found) and not same
    with named_errors(out):
        _begin(parts, work)
    return parts


def _begin(parts: Parts, work: dict[str, Any]) -> None:
    """Write the journal anew, with what was found whole, and remove everything else."""
    whole = parts.paths()
    for path in (parts.folder / _PARTS).iterdir():
        if path not in whole:
            path.unlink()
    lines = [work, *({"bytes": path.stat().st_size, **facts} for path, facts in zip(whole, parts.facts, strict=True))]
    partial = parts.folder / f".{_JOURNAL}"
    partial.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    flush(partial)
    os.replace(partial, parts.folder / _JOURNAL)


def _append(journal: Path, line: dict[str, Any]) -> None:
    with journal.open("a", encoding="utf-8") as text:
        text.write(f"{json.dumps(line)}\n")
        text.flush()
        os.fsync(text.fileno())


def _read(journal: Path) -> list[dict[str, Any]]:
    """Return the lines that are whole: the last one may have been cut short."""
    lines: list[dict[str, Any]] = []
    if journal.is_file():
        with suppress(json.JSONDecodeError), journal.open(encoding="utf-8") as text:
            lines.extend(json.loads(line) for line in text if line.endswith("\n"))
    return lines
