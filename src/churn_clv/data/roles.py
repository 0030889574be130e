"""Which column plays which role, as a query in which names are quoted and values are bound."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from churn_clv.data.contract import Columns, ReadingRules, Value
from churn_clv.data.engine import quote
from churn_clv.data.sources import Header
from churn_clv.errors import InputError

NATIVE_DATES = {"DATE", "TIMESTAMP", "TIMESTAMP_NS", "TIMESTAMP_MS", "TIMESTAMP_S"}
# What the name of a column of currencies holds, without accents; and the words that it may be made of.
CURRENCY = re.compile(r"currenc|wahrung|waehrung|devise|moneda|moeda|valuta|(?<![a-z])(curr|ccy)(?![a-z])")
BETWEEN = "\x1f"  # stands between a line's currencies
TEMPORAL = ("DATE", "TIME", "INTERVAL")
FOREIGN = ("DURATION", "EXTENSION")
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


def roles(source: Header, columns: Columns, rules: ReadingRules) -> tuple[str, dict[str, Value]]:
    """Return a query on the view `source_lines`, under the names that cleaning.sql knows, and the values of its $names."""
    names = {role: source.name_of(role, name, remedy_for(role)) for role, name in columns.mapped().items()}
    refuse_shared(source, names)
    refuse_foreign_types(source, columns, names)
    refuse_inexact_ids(source, columns, source.types[names["customer_id"]])
    chosen = {
        role: as_text(quote(names[role])) if role in names else "CAST(NULL AS VARCHAR)"
        for role in ("customer_id", "order_id", "product_id", "channel")
    }
    chosen["currency"] = currencies(source) if columns.amount is not None else as_text("NULL")
    chosen |= dates(names["date"], source.types[names["date"]], rules.date_format)
    for role in ("amount", "margin", "quantity"):
        chosen |= numbers(role, names.get(role), source.types)
    chosen["amount_marks"] = marks(chosen["amount_text"], rules.decimal, source.delimiter)
    chosen["dropped_by"], values = dropped_by(source, rules)
    chosen["row_hash"] = f"hash({', '.join(map(quote, source.types))})"
    listed = ", ".join(f"{expression} AS {name}" for name, expression in chosen.items())
    if "$date_format" in chosen["date_native"] + chosen["date_offset"]:  # DuckDB takes no value that is not asked for
        values["date_format"] = rules.date_format
    return f"SELECT {listed} FROM source_lines", values  # noqa: S608 (quoted)


def currency_columns(source: Header) -> list[str]:
    """Return the user's names of the columns that say in which currency an amount is."""
    return [name for name in source.columns if is_currency(name)]


def is_currency(name: str) -> bool:
    """Tell whether a column is called as one of currencies.

    >>> [is_currency(name) for name in ("orderCurrency", "W\u00e4hrung", "CCY", "current_balance")]
    [True, True, True, False]
    """
    plain = "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    return CURRENCY.search(plain.lower()) is not None


def currencies(source: Header) -> str:
    """Return a line's currencies, one of each such column, as one text; what holds digits, or is a word for nothing, is none."""
    texts = [f"upper(trim({as_text(quote(source.columns[name]))}))" for name in currency_columns(source)]
    told = [
        f"CASE WHEN regexp_matches({text}, '[0-9]') OR {text} IN ('NA', 'N/A', 'NAN', 'NULL', 'NONE') THEN '' ELSE coalesce({text}, '') END"
        for text in texts
    ]
    return f" || '{BETWEEN}' || ".join(told) or as_text("NULL")


def marks(text: str, decimal: str, delimiter: str | None) -> str:
    """Return how an amount is written: 'whole'; 'three' digits behind its mark, as thousands are; or in another way ('other').

    Where the file's delimiter shows that its writer takes the mark for thousands, 'thousands' stands for 'three'. Zero and
    what begins with it show nothing, or another way.
    """
    mark = re.escape(decimal)
    three = "thousands" if (decimal, delimiter) in {(".", ";"), (",", ",")} else "three"
    return (
        f"CASE WHEN regexp_full_match({text}, '[+-]?0+') THEN NULL WHEN regexp_full_match({text}, '[+-]?[0-9]+') THEN 'whole' "
        f"WHEN regexp_full_match({text}, '[+-]?[1-9][0-9]?[0-9]?{mark}[0-9][0-9][0-9]') THEN '{three}' "
        f"WHEN {text} IS NOT NULL THEN 'other' END"
    )


def as_text(expression: str) -> str:
    """Return an expression as text."""
    return f"CAST({expression} AS VARCHAR)"


def refuse_shared(source: Header, names: dict[str, str]) -> None:
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


def refuse_foreign_types(source: Header, columns: Columns, names: dict[str, str]) -> None:
    """Refuse a role's column of a type that would be read as something else than it is."""
    for role, name in names.items():
        kind = source.types[name]
        if kind.startswith(FOREIGN):
            raise InputError(
                f"{source.label}: column {columns.mapped()[role]!r} holds {kind.lower()}, not what {role} needs: write it as plain text, "
                "numbers or dates"
            )


def refuse_inexact_ids(source: Header, columns: Columns, kind: str) -> None:
    """Refuse ids of a type that cannot be kept exactly as text."""
    if kind in FLOATS:
        raise InputError(
            f"{source.label}: column {columns.customer_id!r} holds ids as floating-point numbers, "
            "which rounds long ids: read them as text (pandas: dtype=str) and write the file again"
        )
    if kind.endswith("]") or kind.startswith(("STRUCT", "MAP", "UNION", "BOOLEAN", "BLOB", *TEMPORAL)):
        raise InputError(f"{source.label}: column {columns.customer_id!r} holds {kind}, not ids: write them as text")


def dates(name: str, kind: str, date_format: str | None) -> dict[str, str]:
    """Return a date column as date_native, date_offset and date_text; those that do not apply are NULL."""
    column = quote(name)
    trimmed = f"trim({as_text(column)})"
    found = {"native": "NULL", "offset": "NULL", "text": "NULL"}
    if kind in NATIVE_DATES:
        found["native"] = column
    elif kind == "TIMESTAMP WITH TIME ZONE":
        found["offset"] = column
    else:
        found["text"] = trimmed
        if date_format is not None:
            found["offset" if "%z" in date_format.lower() else "native"] = f"try_strptime({trimmed}, $date_format)"
    casts = {"native": "TIMESTAMP", "offset": "TIMESTAMPTZ", "text": "VARCHAR"}
    return {f"date_{part}": f"CAST({expression} AS {casts[part]})" for part, expression in found.items()}


def numbers(role: str, name: str | None, types: dict[str, str]) -> dict[str, str]:
    """Return a number column as <role>_number where it is one, as <role>_text where it is text."""
    is_number = name is not None and (types[name] in NUMBERS or types[name].startswith("DECIMAL"))
    column = "NULL" if name is None else quote(name)
    number = column if is_number else "NULL"
    text = "NULL" if is_number or name is None else f"trim({as_text(column)})"
    return {f"{role}_number": f"CAST({number} AS DOUBLE)", f"{role}_text": as_text(text)}


def dropped_by(source: Header, rules: ReadingRules) -> tuple[str, dict[str, Value]]:
    """Return the number, from 1, of the first drop_rows rule that a line meets, as an expression; and its values."""
    branches: list[str] = []
    bound: dict[str, Value] = {}
    for number, rule in enumerate(rules.drop_rows, start=1):
        if not rule:
            raise InputError(f"drop_rows: rule {number} names no column and would leave out every row")
        parts = []
        for name, values in rule.items():
            column = source.name_of("drop_rows", name, "Mend data.drop_rows.")
            parts.append(holds_one_of(column, values, bound))
        branches.append(f"WHEN {' AND '.join(parts)} THEN {number}")
    chosen = f"CASE {' '.join(branches)} END" if branches else "NULL"
    return f"CAST({chosen} AS INTEGER)", bound


def holds_one_of(name: str, values: Sequence[Value], bound: dict[str, Value]) -> str:
    """Return whether a column holds one of the values; numbers compare as numbers, booleans in any case.

    The values go into `bound`, which the caller collects.
    """
    text = as_text(quote(name))
    holds = ["FALSE"]
    for value in values:
        place = f"drop_{len(bound)}"
        if value is None:
            holds.append(f"{text} IS NULL OR {text} = ''")
        elif isinstance(value, bool):
            holds.append(f"lower({text}) = ${place}")
            bound[place] = str(value).lower()
        elif isinstance(value, int | float):
            holds.append(f"TRY_CAST({quote(name)} AS DOUBLE) = ${place}")
            bound[place] = float(value)
        else:
            holds.append(f"{text} = ${place}")
            bound[place] = value
    return f"({' OR '.join(holds)})"
