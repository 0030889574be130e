"""Look at the MLflow store that training would write to, and leave it as it is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from churn_clv.delivery.atomic import check_writable
from churn_clv.delivery.store import DEFAULT_STORE, ask_store, backend, quiet, store_file, without_credentials
from churn_clv.errors import InputError

if TYPE_CHECKING:
    import sqlalchemy as sa

_FOLDERS = ("", "file")
_DATABASES = ("postgresql", "mysql", "mssql")
_SECONDS = 10


def look_at_store() -> str:
    """Return in words which store there is; nothing is made, neither a file nor an experiment, and no run is ended.

    Raises
    ------
    InputError
        If training could not write there; without credentials.
    """
    uri = os.environ.get("MLFLOW_TRACKING_URI", DEFAULT_STORE)
    named, kind, file = without_credentials(uri), backend(uri), store_file(uri)
    if file is not None:
        return _look_at_file(file, named)
    if kind == "sqlite":
        return f"{named} is in memory: what a run logs there is gone when the program ends"
    if kind in _DATABASES:
        return _look_at_database(uri, named)
    if kind in _FOLDERS and _folders_allowed():
        return f"{named} was not looked at: MLflow would make what a folder lacks"
    ask_store()
    return f"{named} answers"


def _folders_allowed() -> bool:
    """Whether MLflow keeps runs in folders; where it does not, it refuses before it makes any."""
    from mlflow.environment_variables import MLFLOW_ALLOW_FILE_STORE

    return bool(MLFLOW_ALLOW_FILE_STORE.get())


def _look_at_file(file: Path, named: str) -> str:
    if not file.exists():
        check_writable(file.parent)
        return f"{named} is not there yet; the first run makes it"
    if not os.access(file, os.W_OK) or not os.access(file.parent, os.W_OK):
        raise InputError(f"MLFLOW_TRACKING_URI: the store {named} is read-only")
    import sqlalchemy as sa

    # The driver wants a name in which # and ? are quoted, and the address quotes it once more.
    read_only = sa.URL.create("sqlite", database=f"file:{quote(str(file))}", query={"mode": "ro", "uri": "true"})
    return _look_at_database(read_only, named)


def _look_at_database(address: str | sa.URL, named: str) -> str:
    """Compare the tables with those that this MLflow wants."""
    import sqlalchemy as sa
    from mlflow.exceptions import MlflowException

    quiet()
    try:
        engine = _connecting(sa.make_url(address))
        if not sa.inspect(engine).has_table("alembic_version"):
            return f"{named} is empty; the first run sets it up"
    except (OSError, ImportError, sa.exc.SQLAlchemyError) as failure:
        raise _no_answer(failure, named) from None
    try:
        from mlflow.store.db.utils import _verify_schema  # the public way would migrate an empty database
    except ImportError:
        return f"{named} answers; whether its tables are those of this MLflow was not looked at"
    try:
        _verify_schema(engine)
    except (MlflowException, OSError, sa.exc.SQLAlchemyError) as failure:
        raise _no_answer(failure, named) from None
    return f"{named} answers"


def _no_answer(failure: Exception, named: str) -> InputError:
    cause = without_credentials(str(failure).splitlines()[0][:160])
    return InputError(f"MLFLOW_TRACKING_URI: the store {named} does not answer: {cause}")


def _connecting(address: sa.URL) -> sa.Engine:
    import sqlalchemy as sa

    waits = {} if address.get_backend_name() == "sqlite" else {"connect_timeout": _SECONDS}
    return sa.create_engine(address, poolclass=sa.NullPool, connect_args=waits)
