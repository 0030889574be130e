"""How Ctrl-C and SIGTERM end the program: as exceptions, and in time."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

LAST_WORD = "churn-clv: stopped; nothing unfinished was left under a final name"
PATIENCE_SECONDS = 3.5


@contextmanager
def stoppable() -> Iterator[list[int]]:
    """Raise what a signal asks for, so that unfinished folders are cleared away and the MLflow run is ended.

    Gives the signals that came. A query of DuckDB may go on though it was asked to end, and a server may not answer: after
    `PATIENCE_SECONDS` the program ends at once, and the next command clears away what it left.
    """
    asked: list[int] = []

    def stop(signum: int, frame: object) -> None:
        asked.append(signum)
        raise KeyboardInterrupt if signum == signal.SIGINT else SystemExit(128 + signum)

    seen, told = socket.socketpair()
    told.setblocking(False)
    signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, stop)
    done = threading.Event()
    threading.Thread(target=_watch, args=(seen, stop, done), daemon=True).start()
    try:
        yield asked
    finally:
        done.set()
        signal.set_wakeup_fd(-1)
        told.close()


def _watch(seen: socket.socket, stop: object, done: threading.Event) -> None:
    """End the program where a signal came and it has not ended by itself in time."""
    with seen:
        while word := seen.recv(1):
            mine = signal.getsignal(word[0]) is stop
            if mine and not done.wait(PATIENCE_SECONDS):
                print(LAST_WORD, file=sys.stderr, flush=True)
                os._exit(128 + word[0])
