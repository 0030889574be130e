"""A corpus of broken logs: each gets one line that says what, where, how many and what to do."""

from __future__ import annotations

import csv as csv_module
import gzip
import io
import os
import tempfile
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churn_clv.data import engine
from churn_clv.data.contract import Columns, ReadingRules
from churn_clv.data.transactions import read_transactions
from churn_clv.errors import InputError

CANARY = "canary-7f3a@example.org"
HEADER = "customer_id,date,amount\n"
GOOD = "a,2024-01-05,10.00\n"
TOMORROW_WEEK = (date.today() + timedelta(days=7)).isoformat()


def csv(text: str, name: str = "log.csv", encoding: str = "utf-8") -> Callable[[Path], Path]:
    """Return a maker of a CSV file."""
    return blob(text.encode(encoding), name)


def blob(content: bytes, name: str = "log.csv") -> Callable[[Path], Path]:
    """Return a maker of a file with these bytes."""

    def make(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return make


def rows(*lines: str, header: str = HEADER) -> Callable[[Path], Path]:
    """Return a maker of a CSV file with a good first line and these after it."""
    return csv(header + GOOD + "".join(line + "\n" for line in lines))


def parquet(frame: pd.DataFrame, cut: int | None = None) -> Callable[[Path], Path]:
    """Return a maker of a Parquet file, cut short on demand."""

    def make(folder: Path) -> Path:
        path = folder / "log.parquet"
        frame.to_parquet(path)
        path.write_bytes(path.read_bytes()[:cut])
        return path

    return make


def folder_of(**contents: str) -> Callable[[Path], Path]:
    """Return a maker of a folder of files; a double underscore in a name stands for the dot."""

    def make(folder: Path) -> Path:
        inside = folder / "parts"
        inside.mkdir()
        for name, text in contents.items():
            (inside / name.replace("__", ".")).write_text(text)
        return inside

    return make


def pipe(folder: Path) -> Path:
    """Make a named pipe."""
    os.mkfifo(folder / "log.csv")
    return folder / "log.csv"


FRAME = pd.DataFrame({"customer_id": ["a", "b"], "date": ["2024-01-05"] * 2, "amount": [1.0, 2.0]})
NONE, NO_AMOUNT = Columns(), Columns(amount=None)
R = ReadingRules

# name: (maker, columns, rules, words that the message must contain)
CORPUS: dict[str, tuple[Callable[[Path], Path], Columns, ReadingRules, list[str]]] = {
    "missing file": (
        lambda p: (csv(HEADER)(p), p / "lgo.csv")[1], NONE, R(), ["lgo.csv", "no such file", "'log.csv'"],
    ),
    "missing folder": (lambda p: p / "nowhere" / "log.csv", NONE, R(), ["no such file"]),
    "empty folder": (folder_of(), NONE, R(), ["parts", "holds no"]),
    "folder without data": (folder_of(readme__md="x"), NONE, R(), ["holds no"]),
    "folder of two kinds": (
        folder_of(a__csv=HEADER + GOOD, b__parquet="x"), NONE, R(), ["mixes CSV and Parquet"],
    ),
    "parts that differ": (
        folder_of(a__csv=HEADER + GOOD, b__csv="id,date\n"), NONE, R(), ["b.csv", "other columns"],
    ),
    "unknown suffix": (csv("x", "log.xlsx"), NONE, R(), ["log.xlsx", "export it as .csv"]),
    "no suffix": (csv("x", "log"), NONE, R(), ["log", "export it as .csv"]),
    "empty file": (csv(""), NONE, R(), ["log.csv", "is empty"]),
    "only blank lines": (csv("\n\n"), NONE, R(), ["is empty"]),
    "only a byte order mark": (blob(b"\xef\xbb\xbf"), NONE, R(), ["is empty"]),
    "header only": (csv(HEADER), NONE, R(), ["header but no transactions"]),
    "header only without line end": (csv(HEADER.strip()), NONE, R(), ["header but no transactions"]),
    "empty Parquet": (parquet(FRAME.head(0)), NONE, R(), ["no transactions"]),
    "empty gzip": (blob(gzip.compress(b""), "log.csv.gz"), NONE, R(), ["is empty"]),
    "missing column": (
        csv("custmer_id,date,amount\n" + GOOD), NONE, R(), ["'customer_id'", "did you mean 'custmer_id'"],
    ),
    "missing amount": (csv("customer_id,date\na,2024-01-05\n"), NONE, R(), ["'amount'", "data.columns.amount: null", "--amount ''"]),
    "missing column in Parquet": (
        parquet(FRAME.drop(columns="date")), NONE, R(), ["'date'", "it has: customer_id, amount"],
    ),
    "no header": (csv(GOOD + GOOD), NONE, R(), ["first line looks like data", "add a header line"]),
    "column twice": (
        csv("customer_id,date,amount,amount\na,2024-01-05,1,2\n"), NONE, R(), ["'amount' stands 2 times"],
    ),
    "wrong delimiter": (rows(), NONE, R(delimiter=";"), ["no column 'customer_id'"]),
    "day first": (rows("b,31/12/2023,1"), NONE, R(), ["'date'", "1 row", "line 3", "%d/%m/%Y", "%m/%d/%Y"]),
    "ambiguous day and month": (
        rows("b,05/06/2023,1", "b,07/08/2023,1"), NONE, R(), ["2 rows", "line 3", "%m/%d/%Y"],
    ),
    "dots in dates": (rows("b,31.12.2023,1"), NONE, R(), ["%d.%m.%Y"]),
    "two-digit year": (rows("b,31/12/23,1"), NONE, R(), ["%d/%m/%y"]),
    "text for a date": (
        rows("b,yesterday,1"), NONE, R(), ["'yesterday'", "data.date_format", "--date-format", "line 3"],
    ),
    "impossible day": (rows("b,2023-02-30,1"), NONE, R(), ["'2023-02-30'", "line 3"]),
    "impossible compact day": (rows("b,20230230,1"), NONE, R(), ["'20230230'"]),
    "infinity for a date": (rows("b,infinity,1"), NONE, R(), ["'infinity'"]),
    "epoch seconds": (rows("b,1609459200,1"), NONE, R(), ["'1609459200'", "date_format"]),
    "spreadsheet day number": (rows("b,45000,1"), NONE, R(), ["'45000'"]),
    "missing date": (rows("b,,1"), NONE, R(), ["no date in 1 row", "line 3"]),
    "NaT": (rows("b,NaT,1"), NONE, R(), ["no date in 1 row"]),
    "format that does not fit": (
        rows(), NONE, R(date_format="%d/%m/%Y"), ["as %d/%m/%Y", "'2024-01-05'", "line 2"],
    ),
    "format that is none": (rows(), NONE, R(date_format="%Q"), ["date_format '%Q'"]),
    "offsets in some rows": (
        rows("b,2024-01-05T10:00:00Z,1"), NONE, R(), ["UTC offset in 1 row", "line 3"],
    ),
    "unknown time zone": (rows(), NONE, R(timezone="Europe/Berln"), ["'Europe/Berln'", "unknown"]),
    "future date": (
        rows(f"b,{TOMORROW_WEEK},1"), NONE, R(), ["after today", "1 row", "line 3", "with data.end"],
    ),
    "ancient date": (rows("b,1900-01-01,1"), NONE, R(), ["before 1970", "'1900-01-01'", "with data.start"]),
    "text for an amount": (
        rows("b,2024-01-05,ten"), NONE, R(), ["'amount'", "not a number in 1 row", "line 3", "'ten'"],
    ),
    "missing amount in a row": (rows("b,2024-01-05,"), NONE, R(), ["no amount in 1 row", "line 3"]),
    "NaN amount": (rows("b,2024-01-05,NaN"), NONE, R(), ["no amount in 1 row"]),
    "NaN amount in Parquet": (
        parquet(FRAME.assign(amount=[1, float("nan")])), NONE, R(), ["no amount in 1 row", "row 2"],
    ),
    "infinite amount": (rows("b,2024-01-05,inf"), NONE, R(), ["'inf'"]),
    "infinite amount in Parquet": (
        parquet(FRAME.assign(amount=[1, float("inf")])), NONE, R(), ["infinite", "row 2"],
    ),
    "overflowing amount": (rows("b,2024-01-05,1e999"), NONE, R(), ["'1e999'"]),
    "huge amount": (rows("b,2024-01-05,1e15"), NONE, R(), ["beyond 1e12"]),
    "currency sign": (rows("b,2024-01-05,$10"), NONE, R(), ["'$10'", "currency signs"]),
    "thousands separator": (rows('b,2024-01-05,"1,234.50"'), NONE, R(), ["'1,234.50'", "thousands"]),
    "decimal comma": (
        csv("customer_id;date;amount\na;2024-01-05;10,50\n"), NONE, R(), ["'10,50'", "decimal: ','", "data.decimal", "--decimal"],
    ),
    "decimal point where a comma is meant": (rows(), NONE, R(decimal=","), ["'10.00'", "decimal: '.'"]),
    "underscore in a number": (rows("b,2024-01-05,1_000"), NONE, R(), ["'1_000'"]),
    "hexadecimal": (rows("b,2024-01-05,0x10"), NONE, R(), ["'0x10'"]),
    "bad quantity": (
        csv("customer_id,date,amount,q\na,2024-01-05,1,two\n"), Columns(quantity="q"), R(), ["'q'", "'two'"],
    ),
    "no customer where one is demanded": (
        rows(",2024-01-05,1"), NONE, R(missing_customer_id="error"), ["no id in 1 row"],
    ),
    "nobody": (csv(HEADER + ",2024-01-05,1\n"), NONE, R(), ["no transaction is left"]),
    "nothing in the window": (rows(), NONE, R(start=date(2025, 1, 1)), ["no transaction is left"]),
    "everything dropped": (rows(), NONE, R(drop_rows=[{"amount": [10]}]), ["no transaction is left"]),
    "rule on a missing column": (
        rows(), NONE, R(drop_rows=[{"amuont": [0]}]), ["'amuont'", "did you mean 'amount'"],
    ),
    "space before an id": (
        rows(" b,2024-01-05,1"), NONE, R(), ["white space", "'customer_id'", "1 row", "line 3"],
    ),
    "space after an id": (rows("b ,2024-01-05,1"), NONE, R(), ["white space", "line 3"]),
    "no-break space at an id": (rows("b\u00a0,2024-01-05,1"), NONE, R(), ["white space"]),
    "NUL in an id": (
        blob((HEADER + GOOD).encode() * 2 + b"b\x00,2024-01-05,1\n"), NONE, R(), ["NUL bytes"],
    ),
    "zero-width space at an id": (rows("b\u200b,2024-01-05,1"), NONE, R(), ["white space", "line 3"]),
    "one column for two roles": (rows(), Columns(date="customer_id"), R(), ["three different columns"]),
    "delimiter of two characters": (rows(), NONE, R(delimiter="||"), ["'||'", "one character"]),
    "name too long": (lambda p: p / ("x" * 300 + ".csv"), NONE, R(), ["cannot be opened"]),
    "pipe": (pipe, NONE, R(), ["device or pipe"]),
    "rule without a column": (rows(), NONE, R(drop_rows=[{}]), ["rule 1", "every row"]),
    "header in the middle": (rows("customer_id,date,amount"), NONE, R(), ["'date'", "line 3"]),
    "tab in an id": (rows("b\tc,2024-01-05,1"), NONE, R(), ["control characters"]),
    "float ids": (
        parquet(FRAME.assign(customer_id=[1.0, 2.0])), NONE, R(), ["'customer_id'", "floating-point", "text"],
    ),
    "float ids as text": (
        csv(HEADER + "1.0,2024-01-05,1\n2.0,2024-01-05,1\n"), NONE, R(), ["floating-point", "2 rows"],
    ),
    "spreadsheet ids": (rows("1.23457E+17,2024-01-05,1"), NONE, R(), ["floating-point", "1 row"]),
    "too few fields": (rows("b,2024-01-05"), NONE, R(), ["line 3 has 2 fields", "header has 3"]),
    "too many fields": (rows("b,2024-01-05,1,2"), NONE, R(), ["line 3 has 4 fields", "header has 3"]),
    "quote never closed": (rows('"b,2024-01-05,1', "c,2024-01-05,1"), NONE, R(), ["quotation mark"]),
    "latin-1 under utf-8": (
        csv(HEADER + "caf\u00e9,2024-01-05,1\n", encoding="latin-1"), NONE, R(), ["utf-8", "data.encoding", "--encoding"],
    ),
    "latin-1 header": (
        csv("caf\u00e9," + HEADER, encoding="latin-1"), NONE, R(), ["not utf-8", "encoding"],
    ),
    "utf-16 under utf-8": (csv(HEADER + GOOD, encoding="utf-16"), NONE, R(), ["encoding", "utf-16"]),
    "not ascii": (csv(HEADER + "caf\u00e9,2024-01-05,1\n"), NONE, R(encoding="utf-16"), ["not utf-16"]),
    "zone that is a folder of zones": (rows(), NONE, R(timezone="Europe"), ["'Europe'", "unknown"]),
    "encoding of no text": (rows(), NONE, R(encoding="zlib"), ["'zlib'", "no text encoding"]),
    "encoding with a NUL": (rows(), NONE, R(encoding="utf\0"), ["unknown"]),
    "quotation mark for a delimiter": (rows(), NONE, R(delimiter='"'), ["delimiter '\"'", "quotation mark"]),
    "letter for a delimiter": (rows(), NONE, R(delimiter="a"), ["delimiter 'a'"]),
    "unknown encoding": (rows(), NONE, R(encoding="utf-9"), ["'utf-9'", "unknown"]),
    "NUL bytes": (blob(HEADER.encode() + b"\x00\x01\x02"), NONE, R(), ["NUL bytes"]),
    "Parquet named csv": (blob(b"PAR1" + b"\x01" * 50), NONE, R(), ["is a Parquet file"]),
    "Excel named csv": (blob(b"PK\x03\x04" + b"\x01" * 50), NONE, R(), ["zip or Excel"]),
    "gzip named csv": (blob(gzip.compress((HEADER + GOOD).encode())), NONE, R(), ["is a gzip file"]),
    "csv named gz": (csv(HEADER + GOOD, "log.csv.gz"), NONE, R(), ["gzip"]),
    "gzip cut short": (
        blob(gzip.compress((HEADER + GOOD * 9000).encode())[:-30], "log.csv.gz"), NONE, R(), ["gzip"],
    ),
    "csv named parquet": (csv(HEADER + GOOD, "log.parquet"), NONE, R(), ["cannot be read as Parquet"]),
    "Parquet cut short": (parquet(FRAME, cut=-40), NONE, R(), ["cannot be read as Parquet"]),
    "Parquet of nothing": (blob(b"", "log.parquet"), NONE, R(), ["cannot be read as Parquet"]),
    "endless first line": (
        blob(gzip.compress(b"0" * 5_000_000), "log.csv.gz"), NONE, R(), ["first line is longer"],
    ),
    "endless second line": (
        blob(gzip.compress(HEADER.encode() + b"0" * 5_000_000), "log.csv.gz"), NONE, R(), ["than 2 MB"],
    ),
    "endless last line": (
        blob(gzip.compress((HEADER + GOOD).encode() + b"0" * 40_000_000), "log.csv.gz"),
        NONE, R(), ["than 2 MB"],
    ),
    "list for an id": (
        parquet(pd.DataFrame({"customer_id": [["a"], ["b"]], "date": "2024-01-05", "amount": 1})),
        NONE, R(), ["'customer_id'", "text"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CORPUS)
def test_a_broken_log_gets_one_line_that_says_what_and_where(name: str, tmp_path: Path) -> None:
    make, columns, rules, wanted = CORPUS[name]
    with pytest.raises(InputError) as caught:
        read_transactions(make(tmp_path), columns, rules)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 600
    assert [words for words in wanted if words not in message] == [], message


FAULTS = {
    "date": f"{CANARY},31/12/2023,1",
    "amount": f"{CANARY},2024-01-05,ten",
    "white space": f"{CANARY} ,2024-01-05,1",
    "no header": f"{CANARY},2024-01-05,1",
    "fields": f"{CANARY},2024-01-05",
    "quote": f'"{CANARY},2024-01-05,1',
    "encoding": f"{CANARY}\udce9,2024-01-05,1",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_no_message_repeats_a_customer_id(fault: str, tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    top = "" if fault == "no header" else HEADER + GOOD
    path.write_bytes((top + FAULTS[fault] + "\n").encode("utf-8", "surrogateescape"))
    with pytest.raises(InputError) as caught:
        read_transactions(path)
    chain = [
        caught.value,
        caught.value.__cause__,
        None if caught.value.__suppress_context__ else caught.value.__context__,
    ]
    assert all(CANARY[:12] not in str(link) for link in chain)


def test_every_reason_is_told_at_once(tmp_path: Path) -> None:
    path = rows("b,31/12/2023,1", "c,2024-01-05,ten", "d ,2024-01-05,1")(tmp_path)
    with pytest.raises(InputError, match=r"line 3.*line 4.*line 5"):
        read_transactions(path)


def test_the_line_named_counts_blank_lines_and_quoted_line_ends(tmp_path: Path) -> None:
    path = csv('customer_id,date,amount,note\na,2024-01-05,1,"two\nlines"\n\nb,never,1,x\n')(tmp_path)
    with pytest.raises(InputError, match="line 5"):
        read_transactions(path)


def test_the_line_named_is_right_in_a_file_that_several_threads_read(tmp_path: Path) -> None:
    before, after = 1_500_000, 1_000_000
    path = csv(HEADER + GOOD * before + "b,never,1\n" + GOOD * after)(tmp_path)
    with pytest.raises(InputError, match="line 1,500,002"):
        read_transactions(path, connection=engine.connect(threads=4))


def test_a_fault_in_a_folder_names_its_file(tmp_path: Path) -> None:
    path = folder_of(a__csv=HEADER + GOOD * 3, b__csv=HEADER + GOOD + "b,never,1\n")(tmp_path)
    with pytest.raises(InputError, match=r"b\.csv line 3"):
        read_transactions(path)


WHOLE = (HEADER + "".join(f"c{i % 7},2024-{i % 12 + 1:02d}-{i % 28 + 1:02d},{i}.50\n" for i in range(40))).encode()
SHARDS = [
    b"\x00",
    b"\xff",
    b'"',
    b",",
    b"\n",
    b"\r",
    b";",
    b"\xef\xbb\xbf",
    b"inf",
    b"1e400",
    b"infinity",
    b"9" * 400,
]
damage = st.lists(
    st.tuples(st.integers(0, len(WHOLE)), st.integers(0, 40), st.sampled_from(SHARDS) | st.binary(max_size=3)),
    max_size=3,
)


@settings(max_examples=60, deadline=None)
@given(damage)
def test_a_damaged_file_is_refused_or_read_whole(wounds: list[tuple[int, int, bytes]]) -> None:
    content = WHOLE
    for start, length, shard in wounds:
        content = content[:start] + shard + content[start + length :]
    with tempfile.TemporaryDirectory() as folder:
        path = blob(content)(Path(folder))
        try:
            log = read_transactions(path)
        except InputError as refusal:
            assert "\n" not in str(refusal)
            return
    # Python's own csv reader is the slow oracle of how many rows there are.
    records = csv_module.reader(io.StringIO(content.decode("utf-8-sig"), newline=None))
    assert log.cleaning.rows_in == sum(1 for record in records if record) - 1
    assert log.cleaning.rows_in - sum(step.removed for step in log.cleaning.steps) == log.cleaning.rows_out
