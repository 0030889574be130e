"""Which column plays which role, built as expressions so that no name or value becomes SQL text."""

from __future__ import annotations

from collections.abc import Sequence

from duckdb import (
    CaseExpression,
    ColumnExpression,
    ConstantExpression,
    Expression,
    FunctionExpression,
    SQLExpression,
)

from churn_clv.data import engine
from churn_clv.data.contract import Columns, ReadingRules, Value
from churn_clv.data.sources import Source
from churn_clv.errors import InputError

NATIVE_DATES = {"DATE", "TIMESTAMP", "TIMESTAMP_NS", "TIMESTAMP_MS", "TIMESTAMP_S"}
FLOATS = {"FLOAT", "DOUBLE"}
NUMBERS = FLOATS | {
    "TINYINT",
    "SMALLINT",
    "INTEGER",
    "BIGINT",
    "HUGEINT",
    "UTINYINT",
    "USMALLINT",
    "UINTEGER",
    "UBIGINT",
    "UHUGEINT",
}


def roles(source: Source, columns: Columns, rules: ReadingRules) -> list[Expression]:
    """Return the source's columns under the names that cleaning.sql knows."""
    types = dict(zip(source.lines.columns, map(str, source.lines.types), strict=True))
    names = {role: source.name_of(role, name, remedy_for(role)) for role, name in columns.mapped().items()}
    refuse_shared(source, names)
    refuse_inexact_ids(source, columns, types[names["customer_id"]])
    text = {role: ColumnExpression(name).cast("VARCHAR") for role, name in names.items()}
    nothing = ConstantExpression(None).cast("VARCHAR")
    chosen = [text.get(role, nothing).alias(role) for role in ("customer_id", "order_id", "product_id", "channel")]
    chosen += dates(names["date"], types[names["date"]], rules.date_format)
    for role in ("amount", "margin", "quantity"):
        chosen += numbers(role, names.get(role), types)
    whole_row = FunctionExpression("hash", *(ColumnExpression(name) for name in source.lines.columns))
    return [*chosen, dropped_by(source, rules).alias("dropped_by"), whole_row.alias("row_hash")]


def refuse_shared(source: Source, names: dict[str, str]) -> None:
    """Refuse one column as two of customer, date and amount: a message about one would tell the other."""
    chosen = [names[role] for role in ("customer_id", "date", "amount") if role in names]
    if len(set(chosen)) < len(chosen):
        raise InputError(f"{source.label}: customer_id, date and amount must be three different columns")


def remedy_for(role: str) -> str:
    """Say what to do about a column that is not there."""
    options = {"customer_id": ", --customer-id on the command line", "date": ", --date on the command line"}
    if role == "amount":
        return "A log without amounts: data.columns.amount: null in a config, --amount '' on the command line."
    return f"Name the right column: data.columns.{role} in a config{options.get(role, '')}."


def refuse_inexact_ids(source: Source, columns: Columns, kind: str) -> None:
    """Refuse ids of a type that cannot be kept exactly as text."""
    if kind in FLOATS:
        raise InputError(
            f"{source.label}: column {columns.customer_id!r} holds ids as floating-point numbers, "
            "which rounds long ids: read them as text (pandas: dtype=str) and write the file again"
        )
    if kind.endswith("]") or kind.startswith(("STRUCT", "MAP", "UNION", "BOOLEAN", "BLOB")):
        raise InputError(f"{source.label}: column {columns.customer_id!r} holds {kind}, not ids: write them as text")


def dates(name: str, kind: str, date_format: str | None) -> list[Expression]:
    """Return a date column as date_native, date_offset and date_text; those that do not apply are NULL."""
    column = ColumnExpression(name)
    trimmed = FunctionExpression("trim", column.cast("VARCHAR"))
    found = {
        "native": ConstantExpression(None),
        "offset": ConstantExpression(None),
        "text": ConstantExpression(None),
    }
    if kind in NATIVE_DATES:
        found["native"] = column
    elif kind == "TIMESTAMP WITH TIME ZONE":
        found["offset"] = column
    else:
        found["text"] = trimmed
        if date_format is not None:
            parsed = FunctionExpression("try_strptime", trimmed, ConstantExpression(date_format))
            found["offset" if "%z" in date_format.lower() else "native"] = parsed
    casts = {"native": "TIMESTAMP", "offset": "TIMESTAMPTZ", "text": "VARCHAR"}
    return [expression.cast(casts[part]).alias(f"date_{part}") for part, expression in found.items()]


def numbers(role: str, name: str | None, types: dict[str, str]) -> list[Expression]:
    """Return a number column as <role>_number where it is one, as <role>_text where it is text."""
    is_number = name is not None and (types[name] in NUMBERS or types[name].startswith("DECIMAL"))
    column = ConstantExpression(None) if name is None else ColumnExpression(name)
    number = column if is_number else ConstantExpression(None)
    text = ConstantExpression(None) if is_number else FunctionExpression("trim", column.cast("VARCHAR"))
    return [number.cast("DOUBLE").alias(f"{role}_number"), text.cast("VARCHAR").alias(f"{role}_text")]


def dropped_by(source: Source, rules: ReadingRules) -> Expression:
    """Return the number, from 1, of the first drop_rows rule that a line meets."""
    chosen: Expression | None = None
    for number, rule in enumerate(rules.drop_rows, start=1):
        if not rule:
            raise InputError(f"drop_rows: rule {number} names no column and would leave out every row")
        meets = ConstantExpression(True)
        for name, values in rule.items():
            meets &= holds_one_of(source.name_of("drop_rows", name, "Mend data.drop_rows."), values)
        result = ConstantExpression(number)
        chosen = CaseExpression(meets, result) if chosen is None else chosen.when(meets, result)
    return (ConstantExpression(None) if chosen is None else chosen).cast("INTEGER")


def holds_one_of(name: str, values: Sequence[Value]) -> Expression:
    """Return whether a column holds one of the values; numbers compare as numbers, booleans in any case."""
    text = ColumnExpression(name).cast("VARCHAR")
    holds: Expression = ConstantExpression(False)
    for value in values:
        if value is None:
            holds |= text.isnull() | (text == ConstantExpression(""))
        elif isinstance(value, bool):
            holds |= FunctionExpression("lower", text) == ConstantExpression(str(value).lower())
        elif isinstance(value, int | float):
            number = SQLExpression(f"TRY_CAST({engine.quote(name)} AS DOUBLE)")
            holds |= number == ConstantExpression(float(value))
        else:
            holds |= text == ConstantExpression(value)
    return holds
