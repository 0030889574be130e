"""The DuckDB that runs the data room's SQL files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import Any, Protocol

import duckdb

from churn_clv.data.scratch import scratch_folder


class Answer(Protocol):
    def fetchall(self) -> list[Any]: ...


class Connection(Protocol):
    """What answers the data room's SQL: DuckDB's connection, or a `SparkConnection`."""

    def execute(self, query: str, parameters: Any = None, /) -> Answer: ...


def connect(
    memory_limit: str | None = None, threads: int | None = None, spill_directory: str | None = None
) -> duckdb.DuckDBPyConnection:
    """Open a DuckDB that can neither install nor load extensions.

    Its tables stand in memory, or, where a `spill_directory` is given, in a file there that is gone when the program
    ends, and so does what a query cannot hold within `memory_limit` ("4GB"). Without one, more than the limit is an error.
    """
    settings: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "allow_community_extensions": False,
        # A name in SQL never reaches a variable of the calling Python code.
        "python_enable_replacements": False,
        "temp_directory": "",
    }
    if memory_limit is not None:
        settings["memory_limit"] = memory_limit
    if threads is not None:
        settings["threads"] = threads
    database = ":memory:"
    if spill_directory is not None:
        folder = scratch_folder(spill_directory)
        database, settings["temp_directory"] = str(folder / "log.duckdb"), str(folder)
    connection = duckdb.connect(database, config=settings)
    connection.execute("SET TimeZone = 'UTC'")  # no answer depends on where the machine stands
    [(bar,)] = run(connection, "SELECT current_setting('enable_progress_bar')")
    if bar:  # as in `python -c`; only the command prints. A notebook has none and, without ipywidgets, knows no such setting.
        connection.execute("SET enable_progress_bar = false")
    return connection


def schema(connection: duckdb.DuckDBPyConnection) -> str:
    """Return the quoted name under which the tables of a connection are found behind temporary ones that hide them."""
    [(database,)] = run(connection, "SELECT current_database()")
    return f"{quote(database)}.main"


def lock(connection: duckdb.DuckDBPyConnection) -> None:
    """Shut files, network and settings: from here on SQL sees only tables and registered frames."""
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def run(connection: Connection, sql: str, values: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
    """Execute a statement with bound values and return every row; DuckDB 2 wants a result read to its end."""
    return connection.execute(sql, values or {}).fetchall()


@contextmanager
def one_thread(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Work in the order of the input for a while."""
    [(threads,)] = run(connection, "SELECT current_setting('threads')")
    connection.execute("SET threads = 1")
    try:
        yield
    finally:
        connection.execute(f"SET threads = {int(threads)}")


def query(name: str) -> str:
    """Return the text of `<name>.sql` of this room."""
    return files("churn_clv.data").joinpath(f"{name}.sql").read_text(encoding="utf-8")


def quote(identifier: str) -> str:
    """Return a name as a quoted SQL identifier, whatever it contains.

    >>> quote('"; drop table x; --')
    '\"\"\"; drop table x; --\"'
    """
    return '"' + identifier.replace('"', '""') + '"'
