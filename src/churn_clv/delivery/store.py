"""Where MLflow keeps runs: by default a sqlite file beside the work, and a UI that only this machine can reach."""

from __future__ import annotations

import fcntl
import logging
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from churn_clv.delivery.atomic import room_left, whole_file
from churn_clv.delivery.processes import end_dead_runs
from churn_clv.errors import InputError

DEFAULT_STORE = "sqlite:///mlflow.db"
DEFAULT_ARTIFACTS = "mlartifacts"


# Unless the user says otherwise: a server that is gone or hangs is told of within 15 seconds.
_PATIENCE = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "4",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",
    "MLFLOW_LOG_UV_FILES": "false",
    "MLFLOW_UV_AUTO_DETECT": "false",
}


@contextmanager
def prepared_store() -> Iterator[None]:
    """Choose the store and, for a sqlite file, let one process at a time create it: concurrent first starts corrupt it."""
    import mlflow

    for name, value in {"MLFLOW_TRACKING_URI": DEFAULT_STORE, **_PATIENCE}.items():
        os.environ.setdefault(name, value)
    uri = os.environ["MLFLOW_TRACKING_URI"]
    with store_lock() as local:
        try:
            if (file := store_file(uri)) is not None and not file.exists():
                whole_file(file, _make_store)
        finally:
            mlflow.set_tracking_uri(uri)
        if local:
            mlflow.search_experiments(max_results=1)
        yield


def _make_store(file: Path) -> None:
    """Make the tables in a file that is not the store yet: what is stopped half-way there cannot be gone on with."""
    import mlflow
    import sqlalchemy as sa

    # Where the driver is named MLflow makes no folder, which it would by the name as it is quoted here.
    mlflow.set_tracking_uri(str(sa.URL.create("sqlite+pysqlite", database=str(file.absolute()))))
    mlflow.search_experiments(max_results=1)


def backend(uri: str) -> str:
    """Return what kind of store an address means: a database by its dialect, "http" and so on; "" for a folder.

    >>> backend("sqlite+pysqlite:///mlflow.db"), backend("https://host"), backend("mlruns")
    ('sqlite', 'https', '')
    """
    import sqlalchemy as sa

    try:
        return sa.make_url(uri).get_backend_name()
    except sa.exc.ArgumentError:
        return ""


def store_file(uri: str) -> Path | None:
    """Return the file of a sqlite store; None for one in memory, and for any other.

    >>> store_file("sqlite:////x/ml.db?timeout=20").as_posix(), store_file("sqlite://"), store_file("http://host")
    ('/x/ml.db', None, None)
    """
    import sqlalchemy as sa

    file = sa.make_url(uri).database if backend(uri) == "sqlite" else None
    return None if file in (None, "", ":memory:") else Path(file)


@contextmanager
def store_lock() -> Iterator[bool]:
    """Let one process at a time do what others must not come between; a server's store, of many machines, has no lock."""
    file = store_file(os.environ["MLFLOW_TRACKING_URI"])
    if file is None:
        yield False
        return
    with Path(f"{file}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield True


@contextmanager
def impatient() -> Iterator[None]:
    """Ask a server once, and shortly: for what is only courtesy while the program ends."""
    before = {name: os.environ.get(name) for name in ("MLFLOW_HTTP_REQUEST_TIMEOUT", "MLFLOW_HTTP_REQUEST_MAX_RETRIES")}
    os.environ.update(MLFLOW_HTTP_REQUEST_TIMEOUT="1", MLFLOW_HTTP_REQUEST_MAX_RETRIES="0")
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def refusals() -> tuple[type[Exception], ...]:
    """Return what is raised where a store is not there, refuses, is full or answers what nobody understands."""
    from google.protobuf.json_format import ParseError  # type: ignore[import-untyped]
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    return MlflowException, OSError, SQLAlchemyError, ParseError


def cause_of(error: Exception) -> str:
    """Return what an error says, as the beginning of one line without credentials; of a request, why it failed.

    Examples
    --------
    >>> cause_of(OSError("Max retries exceeded (Caused by NewConnectionError('HTTP(host=a): [Errno 111] Connection refused'))"))
    '[Errno 111] Connection refused'
    """
    text = " ".join(str(error).split()) or type(error).__name__
    request = re.search(r"Caused by \w+\([\"'](.*?)[\"']\)+$", text)
    reason = request[1].rpartition(": ")[2] if request else text.partition(" [SQL: ")[0]
    place = store_file(os.environ.get("MLFLOW_TRACKING_URI", DEFAULT_STORE))
    if place is None or isinstance(error, OSError):
        named = getattr(error, "filename2", None) or getattr(error, "filename", None)
        place = Path(str(named or tempfile.gettempdir()))
    return without_credentials(reason)[:200] + room_left(place, error)


def _whole_number(name: str) -> int:
    text = os.environ.get(name, _PATIENCE[name])
    if not text.strip().isdecimal():
        raise InputError(f"{name}: {text!r} is not a whole number: MLflow reads no other")
    return int(text)


def _longest_wait() -> int:
    """How many seconds a server's whole answer may take, every try of it together."""
    return _whole_number("MLFLOW_HTTP_REQUEST_TIMEOUT") * (_whole_number("MLFLOW_HTTP_REQUEST_MAX_RETRIES") + 1) + 2


@contextmanager
def _in_time(limit: int) -> Iterator[None]:
    """Give up on a server that answers drop by drop: no single wait is too long then, but all of them together."""

    def give_up(signum: int, frame: object) -> None:
        raise InputError(f"no whole answer within {limit} s")

    if threading.current_thread() is not threading.main_thread():
        yield  # only there do signals arrive
        return
    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(limit)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def check_store() -> None:
    """See that the store answers, before any work is done for it, and end the runs that a process now gone left there.

    Raises
    ------
    InputError
        Naming the store, without credentials.
    """
    with _answering():
        end_dead_runs()


def ask_store() -> None:
    """See that a store answers, and end nothing there; see `check_store`."""
    with _answering():
        pass


@contextmanager
def _answering() -> Iterator[None]:
    """Work on a store that answers, in time where it is a server."""
    import mlflow

    quiet()
    told: tuple[type[Exception], ...] = (*refusals(), ImportError, InputError)
    limit = _longest_wait() if store_file(os.environ.get("MLFLOW_TRACKING_URI", DEFAULT_STORE)) is None else 0
    try:
        with prepared_store(), _in_time(limit) if limit else nullcontext():
            mlflow.search_experiments(max_results=1)
            yield
    except told as error:
        store = without_credentials(os.environ["MLFLOW_TRACKING_URI"])
        raise InputError(f"MLFLOW_TRACKING_URI: the store {store} does not answer: {cause_of(error)}") from None


def without_credentials(text: str) -> str:
    """Cut user and password, and what stands for a password behind the question mark, out of every address.

    Examples
    --------
    >>> without_credentials("postgresql://me:p@ss/word@host/db?sslpassword=secret&sslmode=require")
    'postgresql://host/db?sslpassword=***&sslmode=require'
    """
    return re.sub(r"(?i)([?&]\w*(?:password|token|secret)\w*=)[^&\s]*", r"\1***", re.sub(r"//\S*@", "//", text))


def quiet() -> None:
    """Keep MLflow's and its database migrations' progress off the terminal; errors still come through."""
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    # What it tells with a traceback and its values is raised as well.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")


def serve_ui(port: int) -> int:
    """Run the MLflow UI on the same store, on this machine only, until interrupted; leave no process behind."""
    check_store()
    hosts = f"localhost:{port},127.0.0.1:{port}"
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port),
               "--allowed-hosts", hosts, "--workers", "1", "--default-artifact-root", DEFAULT_ARTIFACTS]  # fmt: skip
    # The store's address may hold a password, and everybody on this machine sees the words of a command.
    store = {"MLFLOW_BACKEND_STORE_URI": os.environ["MLFLOW_TRACKING_URI"]}
    environment = os.environ | store | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    server = subprocess.Popen(command, env=environment, start_new_session=True)  # noqa: S603 (our own interpreter)

    def stop(signum: int, frame: object) -> None:
        os.killpg(server.pid, signal.SIGTERM)

    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, stop)
    return server.wait()
