"""A table of a database, reached by its URL, copied to a Parquet file in bounded memory: what follows reads a file.

The copy is also what a rerun goes on with, whatever has happened to the table since.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from churn_clv.errors import InputError, nearest, shortened

if TYPE_CHECKING:
    import pyarrow as pa
    import sqlalchemy as sa

ROWS = 50_000


@dataclass(frozen=True)
class DatabaseTable:
    """A table and where it is; the address, with its password, is never printed."""

    address: sa.URL = field(repr=False)
    schema: str | None
    name: str

    @property
    def label(self) -> str:
        return self.name if self.schema is None else f"{self.schema}.{self.name}"

    @property
    def place(self) -> str:
        """The address without credentials."""
        import sqlalchemy as sa

        at = self.address
        return sa.URL.create(at.drivername, host=at.host, port=at.port, database=at.database).render_as_string()


def is_address(source: str) -> bool:
    """Tell a database's URL from a path.

    >>> is_address("sqlite:///shop.db?table=customers"), is_address("data/customers.csv")
    (True, False)
    """
    return "://" in source


def database_table(url: str) -> DatabaseTable:
    """Read a URL with ?table=NAME or ?table=SCHEMA.NAME.

    Raises
    ------
    InputError
        If it is no URL, or names no table or no file.
    """
    import sqlalchemy as sa

    try:
        address = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        raise InputError(
            "the input is no URL of a database: write for example sqlite:///shop.db?table=customers"
        ) from None
    table = address.query.get("table")
    if not isinstance(table, str) or not table:
        raise InputError(
            f"{address.drivername}://...: the URL names no table: end it in ?table=NAME or ?table=SCHEMA.NAME"
        )
    schema, _, name = table.rpartition(".")
    found = DatabaseTable(address.difference_update_query(["table"]), schema or None, name)
    if address.get_backend_name() == "sqlite" and not os.path.isfile(address.database or ""):
        raise InputError(f"{found.place}: no such file")  # SQLite would make an empty one
    return found


def rows_of(table: DatabaseTable) -> int:
    """Return how many rows a table has."""
    import sqlalchemy as sa

    with _connected(table) as connection:
        _described(connection, table)
        counted = sa.select(sa.func.count()).select_from(sa.table(table.name, schema=table.schema))
        return int(connection.execute(counted).scalar_one())


def copy_table(table: DatabaseTable, copy: Path) -> None:
    """Copy a table to a Parquet file, which appears whole.

    Integers, numbers, and in PostgreSQL dates and times stay what they are; everything else becomes text.

    Raises
    ------
    InputError
        If the database cannot be reached, has no such table, or a column holds what its type does not allow.
    """
    import pyarrow.parquet as pq
    import sqlalchemy as sa

    partial = copy.with_name(f".{copy.name}")
    with _connected(table) as connection:
        described = _described(connection, table)
        schema = _schema(described, connection.dialect.name)
        names: list[sa.ColumnElement[Any]] = [sa.column(name) for name in schema.names]
        everything = sa.select(*names).select_from(sa.table(table.name, schema=table.schema))
        found = connection.execution_options(stream_results=True, yield_per=ROWS).execute(everything)
        with pq.ParquetWriter(partial, schema) as out:
            for rows in found.partitions():
                out.write_batch(_batch(rows, schema))
    os.replace(partial, copy)


@contextmanager
def _connected(table: DatabaseTable) -> Iterator[sa.Connection]:
    import sqlalchemy as sa

    try:
        engine = sa.create_engine(table.address, poolclass=sa.NullPool)
        with engine.connect() as connection:
            yield connection
    except sa.exc.NoSuchModuleError:
        raise InputError(f"{table.address.drivername}: SQLAlchemy knows no such kind of database") from None
    except ModuleNotFoundError as missing:
        raise InputError(
            f"{table.address.drivername}: its driver is not installed: install the Python package {missing.name!r}"
        ) from None
    except sa.exc.SQLAlchemyError as error:
        raise InputError(f"{table.place}: {table.label}: {_cause(error, table)}") from None


def _cause(error: sa.exc.SQLAlchemyError, table: DatabaseTable) -> str:
    """The first line of what the database said, without a password."""
    said = str(getattr(error, "orig", None) or type(error).__name__).strip().splitlines()[0][:300]
    password = table.address.password
    return said.replace(str(password), "***") if password else said


def _described(connection: sa.Connection, table: DatabaseTable) -> list[Any]:
    import sqlalchemy as sa

    inspector = sa.inspect(connection)
    if not inspector.has_table(table.name, schema=table.schema):
        schemas = inspector.get_schema_names() if table.schema else []
        if table.schema and table.schema not in schemas:
            raise InputError(f"{table.place}: no schema {table.schema!r}{nearest(table.schema, schemas)}")
        known = [*inspector.get_table_names(table.schema), *inspector.get_view_names(table.schema)]
        raise InputError(f"{table.place}: no table {table.label!r}{nearest(table.name, known)}")
    return [*inspector.get_columns(table.name, schema=table.schema)]


def _schema(described: Sequence[Any], dialect: str) -> pa.Schema:
    import pyarrow as pa

    return pa.schema([(str(column["name"]), _type(column["type"], dialect)) for column in described])


def _type(kind: sa.types.TypeEngine[Any], dialect: str) -> pa.DataType:
    """SQLite keeps dates as whatever text was written, which the log's own rules then read."""
    import pyarrow as pa
    import sqlalchemy as sa

    if isinstance(kind, sa.Integer):
        return pa.int64()
    if isinstance(kind, sa.Numeric | sa.Float):
        return pa.float64()
    if isinstance(kind, sa.Boolean):
        return pa.bool_()
    if isinstance(kind, sa.Date) and dialect != "sqlite":
        return pa.date32()
    if isinstance(kind, sa.DateTime) and dialect != "sqlite":
        return pa.timestamp("us", tz="UTC" if kind.timezone else None)
    return pa.string()


def _batch(rows: Sequence[Any], schema: pa.Schema) -> pa.RecordBatch:
    import pyarrow as pa

    columns = zip(*rows, strict=True)
    return pa.record_batch(
        [_array(values, field) for values, field in zip(columns, schema, strict=True)], schema=schema
    )


def _array(values: Sequence[Any], column: pa.Field) -> pa.Array:
    import pyarrow as pa

    made = {pa.float64(): float, pa.string(): str, pa.bool_(): bool}.get(column.type)
    try:
        if made is not None:
            return pa.array([None if value is None else made(value) for value in values], column.type)
        return pa.array(values, column.type)
    except (ValueError, TypeError, pa.ArrowException):
        raise InputError(
            f"{shortened(column.name, 60)}: holds values that are no {column.type}, the column's type"
        ) from None
