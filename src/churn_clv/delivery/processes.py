"""Which process writes an MLflow run, and whether it is gone: what it left RUNNING is ended by the next one."""

from __future__ import annotations

import logging
import os
import platform
from pathlib import Path

from churn_clv.data.scratch import kernel

TAG = "process"
_PROC = Path("/proc")


def this_process() -> dict[str, str]:
    """Return the tag that names this process for good; none on a system that does not tell when a process began."""
    began = _began(os.getpid())
    return {} if began is None else {TAG: f"{platform.node()} {_room()} {os.getpid()} {began}"}


def is_gone(tag: str) -> bool:
    """Return whether the process of a tag is certainly gone: it was on this machine, and no process of its number is as old.

    Examples
    --------
    >>> is_gone("another-machine 00000000-1 7 1")
    False
    """
    _, room, number, began = tag.rsplit(" ", 3)
    return room == _room() and (not _is_there(int(number)) or _began(int(number)) not in (int(began), None))


def end_dead_runs() -> None:
    """End, as KILLED, the runs that processes of this machine left RUNNING and that are gone; say so in one line."""
    import mlflow

    client = mlflow.MlflowClient()
    experiments = [found.experiment_id for found in client.search_experiments(max_results=1000)]
    ours = f"attributes.status = 'RUNNING' and tags.{TAG} LIKE '% {_room()} %'"
    dead = [run for run in client.search_runs(experiments, ours, max_results=1000) if is_gone(run.data.tags[TAG])]
    for run in dead:
        client.set_terminated(run.info.run_id, "KILLED")
    if dead:
        logging.getLogger(__name__).warning(
            f"MLflow: {len(dead)} run{'s' if len(dead) > 1 else ''} left RUNNING by a process that is gone, ended as KILLED"
        )


def _room() -> str:
    """Where the numbers of processes are one list: a container has its own."""
    room = _PROC / "self" / "ns" / "pid"
    return f"{kernel()}-{os.stat(room).st_ino if room.exists() else 0}"


def _is_there(process: int) -> bool:
    """Whether a process has this number, anybody's; one that is over and waits to be counted by its parent has not."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return _stat(process)[:1] not in (["Z"], ["X"])


def _began(process: int) -> int | None:
    """When a process began, in ticks since the machine did; None where the system does not tell."""
    facts = _stat(process)
    return int(facts[19]) if facts else None


def _stat(process: int) -> list[str]:
    """What Linux tells of a process behind its name, which stands in brackets and may hold blanks and brackets itself."""
    try:
        return (_PROC / str(process) / "stat").read_text("utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return []
