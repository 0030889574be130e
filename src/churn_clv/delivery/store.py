"""Where MLflow keeps runs: by default a sqlite file beside the work, and a UI that only this machine can reach."""

from __future__ import annotations

import fcntl
import logging
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from churn_clv.errors import InputError

DEFAULT_STORE = "sqlite:///mlflow.db"
DEFAULT_ARTIFACTS = "mlartifacts"


@contextmanager
def prepared_store() -> Iterator[None]:
    """Choose the store and, for a sqlite file, let one process at a time create it: concurrent first starts corrupt it."""
    import mlflow

    os.environ.setdefault("MLFLOW_TRACKING_URI", DEFAULT_STORE)
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "5")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_LOG_UV_FILES", "false")
    os.environ.setdefault("MLFLOW_UV_AUTO_DETECT", "false")
    uri = os.environ["MLFLOW_TRACKING_URI"]
    mlflow.set_tracking_uri(uri)
    if not uri.startswith("sqlite:///"):
        yield
        return
    with Path(uri.removeprefix("sqlite:///") + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        mlflow.search_experiments(max_results=1)
        yield


def check_store() -> None:
    """See that the store answers, before any work is done for it.

    Raises
    ------
    InputError
        Naming the store, without credentials.
    """
    import mlflow
    from sqlalchemy.exc import SQLAlchemyError

    quiet()
    try:
        with prepared_store():
            mlflow.search_experiments(max_results=1)
    except (mlflow.exceptions.MlflowException, OSError, ImportError, SQLAlchemyError) as error:
        store = without_credentials(os.environ["MLFLOW_TRACKING_URI"])
        cause = without_credentials(str(error).splitlines()[0][:160])
        raise InputError(f"MLFLOW_TRACKING_URI: the store {store} does not answer: {cause}") from None


def without_credentials(text: str) -> str:
    """Cut user and password out of every address.

    Examples
    --------
    >>> without_credentials("postgresql://me:secret@host/db")
    'postgresql://host/db'
    """
    return re.sub(r"//[^/@\s]+@", "//", text)


def quiet() -> None:
    """Keep MLflow's and its database migrations' progress off the terminal; errors still come through."""
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")


def serve_ui(port: int) -> int:
    """Run the MLflow UI on the same store, on this machine only, until interrupted; leave no process behind."""
    check_store()
    store = os.environ["MLFLOW_TRACKING_URI"]
    hosts = f"localhost:{port},127.0.0.1:{port}"
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", store, "--host", "127.0.0.1", "--port", str(port),
               "--allowed-hosts", hosts, "--workers", "1", "--default-artifact-root", DEFAULT_ARTIFACTS]  # fmt: skip
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    server = subprocess.Popen(command, env=environment, start_new_session=True)  # noqa: S603 (our own interpreter)

    def stop(signum: int, frame: object) -> None:
        os.killpg(server.pid, signal.SIGTERM)

    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, stop)
    return server.wait()
