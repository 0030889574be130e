"""Look at the MLflow store that training would write to, and leave it as it is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from churn_clv.delivery.atomic import check_writable
from churn_clv.delivery.store import DEFAULT_STORE, check_store, quiet, without_credentials
from churn_clv.errors import InputError

if TYPE_CHECKING:
    import sqlalchemy as sa

_FILE = "sqlite:///"
_NO_DATABASE = ("http://", "https://", "file://", "databricks")
_SECONDS = 10


def look_at_store() -> str:
    """Return in words which store there is; nothing is made, neither a file nor an experiment.

    Raises
    ------
    InputError
        If training could not write there; without credentials.
    """
    uri = os.environ.get("MLFLOW_TRACKING_URI", DEFAULT_STORE)
    named = without_credentials(uri)
    if uri.startswith(_FILE):
        path = Path(uri.removeprefix(_FILE))
        if not path.exists():
            check_writable(path.parent)
            return f"{named} is not there yet; the first run makes it"
        if not os.access(path, os.W_OK) or not os.access(path.parent, os.W_OK):
            raise InputError(f"MLFLOW_TRACKING_URI: the store {named} is read-only")
        return _look_at_database(f"{_FILE}file:{path}?mode=ro&uri=true", named)
    if "://" in uri and not uri.startswith(_NO_DATABASE):
        return _look_at_database(uri, named)
    check_store()
    return f"{named} answers"


def _look_at_database(address: str, named: str) -> str:
    """Compare the tables with those that this MLflow wants."""
    import sqlalchemy as sa
    from mlflow.exceptions import MlflowException
    from mlflow.store.db.utils import _verify_schema  # the public way would migrate an empty database

    quiet()
    try:
        engine = _connecting(sa.make_url(address))
        if not sa.inspect(engine).has_table("alembic_version"):
            return f"{named} is empty; the first run sets it up"
        _verify_schema(engine)
    except (MlflowException, OSError, ImportError, sa.exc.SQLAlchemyError) as failure:
        cause = without_credentials(str(failure).splitlines()[0][:160])
        raise InputError(f"MLFLOW_TRACKING_URI: the store {named} does not answer: {cause}") from None
    return f"{named} answers"


def _connecting(address: sa.URL) -> sa.Engine:
    import sqlalchemy as sa

    waits = {} if address.get_backend_name() == "sqlite" else {"connect_timeout": _SECONDS}
    return sa.create_engine(address, poolclass=sa.NullPool, connect_args=waits)
