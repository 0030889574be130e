"""Bad and odd logs, each with its named outcome. `python tests/data/corpus.py` prints the table of docs/inputs.md."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import os
import re
import sqlite3
import zipfile
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple, cast
from uuid import UUID

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from churn_clv.data.contract import Columns, ReadingRules

Make = Callable[[Path], Path | pd.DataFrame]
HEADER = "customer_id,date,amount\n"
GOOD = "a,2024-01-05,10.00\n"
A = "a,0,0,361,0.0"  # what GOOD becomes at END
AB = f"{A} b,0,0,361,0.0"
END = date(2024, 12, 31)
CANARY = "canary-7f3a@example.org"


class Refused(NamedTuple):
    """An error; `words` stand in its message."""

    words: tuple[str, ...]


class Read(NamedTuple):
    """The summary's lines, parted by blanks; and each rule that touched lines, with how many."""

    summary: str
    rules: Mapping[str, int]


class Case(NamedTuple):
    """A log, how to make it, and what becomes of it; with `rules` it is read by the library, else by the command."""

    kind: str
    make: Make
    outcome: Refused | Read
    options: tuple[str, ...] = ()
    rules: ReadingRules | None = None
    columns: Columns = Columns()


CORPUS: dict[str, Case] = {}


def case(kind: str, name: str, make: Make, outcome: Refused | Read, *options: str, **library: Any) -> None:
    """Add a case."""
    assert name not in CORPUS, name
    CORPUS[name] = Case(kind, make, outcome, options, **library)


def no(*words: str) -> Refused:
    return Refused(words)


def ok(summary: str = A, **rules: int) -> Read:
    return Read(summary, {RULES[name]: n for name, n in rules.items()})


RULES = {
    "nobody": "without a customer id",
    "late": "after end 2024-12-31",
    "early": "before start 2024-01-01",
    "twins": "exact duplicate of an earlier line",
    "refunds": "refund line (amount < 0)",
    "zeros": "zero amount",
    "lone": "line on a day without a purchase",
    "fine": "amount finer than a millionth",
    "zoned": "time with a UTC offset",
    "like_thousands": "amount written like 1.234",
    "dropped": "drop_rows: amount, 1 value",
}


# --- makers


def blob(content: bytes, name: str = "log.csv") -> Make:
    def make(folder: Path) -> Path:
        path = Path(os.fsdecode(bytes(folder) + b"/" + os.fsencode(name)))
        path.write_bytes(content)
        return path

    return make


def text(content: str, name: str = "log.csv", encoding: str = "utf-8") -> Make:
    return blob(content.encode(encoding, "surrogateescape"), name)


def rows(*lines: str, header: str = HEADER) -> Make:
    """Make a good first line and these after it."""
    return text(header + GOOD + "".join(line + "\n" for line in lines))


def packed(content: str | bytes, name: str = "log.csv.gz") -> Make:
    return blob(gzip.compress(content.encode() if isinstance(content, str) else content), name)


def parquet(cut: int | None = None, drop: str = "", **columns: Any) -> Make:
    """Make a Parquet file of two lines, with other columns on demand, cut short on demand."""
    plain = {"customer_id": ["a", "b"], "date": ["2024-01-05"] * 2, "amount": [1.0, 2.0]}
    table = pa.table({name: values for name, values in (plain | columns).items() if name != drop})

    def make(folder: Path) -> Path:
        path = folder / "log.parquet"
        pq.write_table(table, path)
        path.write_bytes(path.read_bytes()[:cut])
        return path

    return make


def part(**columns: Any) -> bytes:
    """Return a Parquet file as bytes."""
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def folder(contents: Mapping[str, str | bytes], then: Callable[[Path], object] = lambda inside: None) -> Make:
    """Make a folder of files."""

    def make(parent: Path) -> Path:
        inside = parent / "parts"
        inside.mkdir()
        for name, content in contents.items():
            (inside / name).parent.mkdir(parents=True, exist_ok=True)
            (inside / name).write_bytes(content.encode() if isinstance(content, str) else content)
        then(inside)
        return inside

    return make


def link(target: str, then: Make | None = None) -> Make:
    def make(parent: Path) -> Path:
        if then is not None:
            then(parent)
        (parent / "log.csv").symlink_to(target)
        return parent / "log.csv"

    return make


def beside(name: str, make: Make) -> Make:
    """Make a file, but name another path."""

    def made(parent: Path) -> Path:
        make(parent)
        return parent / name

    return made


def within(name: str, make: Make) -> Make:
    """Make a log in a folder of this name."""

    def made(parent: Path) -> Path:
        (parent / name).mkdir()
        return cast(Path, make(parent / name))

    return made


def pipe(parent: Path) -> Path:
    os.mkfifo(parent / "log.csv")
    return parent / "log.csv"


def a_zip(name: str) -> Make:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("log.csv", HEADER + GOOD)
    return blob(sink.getvalue(), name)


def sqlite(name: str) -> Make:
    def make(parent: Path) -> Path:
        with sqlite3.connect(parent / name) as database:
            database.execute("CREATE TABLE log (customer_id)")
        database.close()
        return parent / name

    return make


def duckdb_file(name: str) -> Make:
    def make(parent: Path) -> Path:
        with duckdb.connect(str(parent / "log.duckdb")) as database:
            database.execute("CREATE TABLE log (customer_id INTEGER)")
        return (parent / "log.duckdb").rename(parent / name)

    return make


def frame(**columns: Any) -> Make:
    plain = {"customer_id": ["a", "b"], "date": ["2024-01-05"] * 2, "amount": [1.0, 2.0]}
    return lambda _: pd.DataFrame(plain | columns)


def whole(made: pd.DataFrame) -> Make:
    return lambda _: made


R = ReadingRules()
NIGHT = datetime(2024, 1, 5, 23, 30)  # noqa: DTZ001 (local already)
CAFE = HEADER + "caf\u00e9,2024-01-05,10\n"
EURO = "customer_id;date;amount\na;2024-01-05;{}\n"
D = ["2024-01-05", "2024-01-06"]
GOOD_FRAME = pd.DataFrame({"customer_id": ["a", "b"], "date": ["2024-01-05"] * 2, "amount": [1.0, 2.0]})

# --- files

# fmt: off
K = "a file that is not there, or no log"
case(K, "missing file", beside("lgo.csv", text(HEADER)), no("lgo.csv: no such file", "'log.csv'"))
case(K, "missing folder", lambda p: p / "nowhere" / "log.csv", no("no such file"))
case(K, "file taken for a folder", beside("log.csv/x.csv", rows()), no("x.csv: no such file"))
case(K, "broken link", link("gone.csv"), no("link to a file that is not there"))
case(K, "link to itself", link("log.csv"), no("link to a file that is not there"))
case(K, "link to a file of any name", link("5f2a", text(HEADER + GOOD, "5f2a")), ok())
case(K, "named pipe", pipe, no("log.csv: is a device or pipe"))
case(K, "link to a device", link("/dev/zero"), no("log.csv: is a device or pipe"))
case(K, "standard input", lambda p: Path("/dev/stdin"), no("files of this kind are not read"))
case(K, "home folder of nobody", lambda p: Path("~nobody.here/log.csv"), no("no such home folder"))
case(K, "web address", lambda p: Path("https://example.org/log.csv"), no("no such file"))
case(K, "name of 300 characters", lambda p: p / ("x" * 300 + ".csv"), no("cannot be opened"))
case(K, "name with a line end", text(HEADER, "lo\ng.csv"), no(r"'lo\ng.csv': has a header"))
case(K, "name with a colour code", text(HEADER, "\x1b[31m.csv"), no(r"'\x1b[31m.csv': has a header"))
case(K, "name that is not UTF-8", text(HEADER + GOOD, "\udcff.csv"), no("not UTF-8: rename it"))
case(K, "name of a glob", beside("*.csv", rows()), no("*.csv: no such file"))
for name in ("*.csv", "[ab].csv", "{a,b}.csv", "it's.csv", "--help.csv", "100%.csv", "\u9867\u5ba2.csv", "LOG.CSV", "log.tsv", "log.txt"):
    case(K, f"file called {name}", text(HEADER + GOOD, name), ok())
for name in ("log", "log.xlsx", ".csv", "log.json", "log.feather", "log.csv.bz2", "log.parquet.gz"):
    case(K, f"file called {name}", text(HEADER + GOOD, name), no("files of this kind are not read", "export it as .csv"))

K = "another kind of file under a log's name"
case(K, "Parquet named .csv", blob(part(x=[1])), no("is a Parquet file, not CSV"))
case(K, "link .csv to Parquet", link("log.parquet", parquet()), no("is a Parquet file, not CSV"))
case(K, "Excel or zip named .csv", a_zip("log.csv"), no("is a zip or Excel file"))
case(K, "zip", a_zip("log.zip"), no("files of this kind are not read"))
case(K, "zip named .csv.gz", a_zip("log.csv.gz"), no("is a zip or Excel file"))
case(K, "old Excel named .csv", blob(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 99), no("is an old Excel file"))
case(K, "bzip2 named .csv", blob(bz2.compress(b"x")), no("is a bzip2 file"))
case(K, "PDF named .csv", blob(b"%PDF-1.4\n"), no("is a PDF"))
case(K, "JSON named .csv", text(json.dumps([{"customer_id": CANARY}])), no("log.csv: is JSON"))
case(K, "lines of JSON named .csv", text(json.dumps({"customer_id": CANARY}) + "\n"), no("log.csv: is JSON"))
case(K, "HTML named .csv", text(f"<html><table><td>{CANARY}</td></table></html>"), no("is HTML or XML"))
case(K, "HTML with a table of a border", text(f'<table border="1"><tr><td>{CANARY}</td></tr></table>'), no("is HTML or XML"))
case(K, "HTML that begins with a comment", text(f"<!-- {CANARY} --><html></html>"), no("is HTML or XML"))
case(K, "YAML named .csv", text(f"- customer_id: {CANARY}\n  date: 2024-01-05\n"), no("is YAML"))
case(K, "SQL named .csv", text("-- a dump\nINSERT INTO log VALUES ('a', '2024-01-05', 10);\n"), no("is SQL"))
case(K, "JSON with apostrophes named .csv", text(f"{{'customer_id': '{CANARY}'}}\n"), no("is JSON"))
case(K, "SQLite", sqlite("log.db"), no("files of this kind are not read"))
case(K, "SQLite named .csv", sqlite("log.csv"), no("is a database"))
case(K, "DuckDB", duckdb_file("log.duckdb"), no("files of this kind are not read"))
case(K, "DuckDB named .csv", duckdb_file("log.csv"), no("NUL bytes"))
case(K, "DuckDB named .parquet", duckdb_file("log.parquet"), no("cannot be read as Parquet"))
case(K, "pickle named .csv", blob(b"\x80\x04\x95\x00\x00"), no("NUL bytes"))
case(K, "CSV named .parquet", text(HEADER + GOOD, "log.parquet"), no("cannot be read as Parquet"))

K = "gzip"
case(K, "gzip", packed(HEADER + GOOD), ok())
case(K, "gzip in two members", blob(gzip.compress(HEADER.encode()) + gzip.compress(GOOD.encode()), "log.csv.gz"), ok())
case(K, "gzip named .CSV.GZ", packed(HEADER + GOOD, "LOG.CSV.GZ"), ok())
case(K, "gzip of UTF-16", packed((HEADER + GOOD).encode("utf-16")), ok(), "--encoding", "utf-16")
case(K, "gzip named .csv", packed(HEADER + GOOD, "log.csv"), no("is a gzip file"))
case(K, "CSV named .gz", text(HEADER + GOOD, "log.csv.gz"), no("not a whole gzip file"))
case(K, "gzip cut short", blob(gzip.compress((HEADER + GOOD * 9000).encode())[:-30], "log.csv.gz"), no("not a whole gzip file"))
case(K, "gzip with another checksum", blob(gzip.compress((HEADER + GOOD).encode())[:-8] + b"\0" * 8, "log.csv.gz"), no("gzip"))
case(K, "gzip with something after it", blob(gzip.compress((HEADER + GOOD).encode()) + b"more", "log.csv.gz"), no("gzip"))
case(K, "gzip of gzip", packed(gzip.compress(b"x")), no("is a gzip file"))
case(K, "gzip of Parquet", packed(part(x=[1])), no("is a Parquet file"))
case(K, "gzip of nothing", packed(""), no("is empty"))
case(K, "gzip of an endless first line", packed("0" * 5_000_000), no("first line is longer"))
case(K, "gzip of an endless second line", packed(HEADER + "0" * 5_000_000), no("than 2 MB"))
case(K, "gzip of an endless last line", packed(HEADER + GOOD + "0" * 40_000_000), no("than 2 MB"))

case(K, "gzip of endless blank lines", packed(HEADER + "\n" * 5_000_000), no("a million blank lines"))

K = "folder"
TWO_PARTS = {"a.csv": HEADER + GOOD, "b.csv": HEADER + "b,2024-01-05,1\n"}
case(K, "folder of CSV", folder(TWO_PARTS), ok(AB))
case(K, "folder called log.csv", lambda p: folder(TWO_PARTS)(p).rename(p / "log.csv"), ok(AB))  # type: ignore[union-attr]
case(K, "folders in a folder", folder({"2023/a.csv": HEADER + GOOD, "2024/01/b.csv.gz": gzip.compress((HEADER + "b,2024-01-05,1\n").encode())}), ok(AB))
case(K, "folder with hidden files and markers", folder(TWO_PARTS | {".c.csv": "x", "_SUCCESS": "", ".git/x.csv": "y"}), ok(AB))
case(K, "folder with a part that has a header only", folder(TWO_PARTS | {"c.csv": HEADER}), ok(AB))
case(K, "folder with the same log twice", folder({"a.csv": HEADER + GOOD, "a.csv.gz": gzip.compress((HEADER + GOOD).encode())}), ok(twins=1))
case(K, "empty folder", folder({}), no("the folder holds no .csv"))
case(K, "folder without data", folder({"readme.md": "x"}), no("the folder holds no .csv"))
case(K, "folder with a stray workbook", folder(TWO_PARTS | {"c.xlsx": "x"}), no("1 that would not be read (first: c.xlsx)"))
case(K, "folder with a readme", folder(TWO_PARTS | {"README.md": "x"}), no("first: README.md", "underscore"))
case(K, "folder with a pipe", folder(TWO_PARTS, lambda inside: os.mkfifo(inside / "c.csv")), no("first: c.csv"))
case(K, "folder with a broken link", folder(TWO_PARTS, lambda inside: (inside / "c.csv").symlink_to("gone")), no("first: c.csv"))
case(K, "folder with a link to itself", folder(TWO_PARTS, lambda inside: (inside / "d").symlink_to(inside)), no("(first: d)"))
case(K, "folder of CSV and Parquet", folder({"a.csv": HEADER + GOOD, "b.parquet": part(x=[1])}), no("mixes CSV and Parquet"))
case(K, "folder with other columns in a part", folder({"a.csv": HEADER + GOOD, "b.csv": "id,date\nx,y\n"}), no("b.csv has other columns than a.csv"))
case(K, "folder with columns in another order", folder({"a.csv": HEADER + GOOD, "b.csv": "date,customer_id,amount\n"}), no("b.csv has other columns"))
case(K, "folder with another delimiter in a part", folder({"a.csv": HEADER + GOOD, "b.csv": EURO.format(1)}), no("b.csv has other columns"))
case(K, "folder with an empty part", folder(TWO_PARTS | {"c.csv": ""}), no("c.csv: is empty"))
case(K, "folder with a fault in a part", folder(TWO_PARTS | {"c.csv": HEADER + GOOD + "b,never,1\n"}), no("'date'", "1 row", "c.csv line 3"))
case(K, "folder with a ragged part", folder(TWO_PARTS | {"c.csv": HEADER + "b,2024-01-05\n"}), no("c.csv line 2 has 2 fields"))
case(K, "folder with a part in latin-1", folder(TWO_PARTS | {"c.csv": CAFE.encode("latin-1")}), no("c.csv: line 2 is not utf-8"))
case(K, "folder with a byte order mark in a part", folder(TWO_PARTS | {"c.csv": "\ufeff" + HEADER}), ok(AB))

DELTA = TWO_PARTS | {"_delta_log/00000000000000000000.json": "{}"}
case(K, "Delta table", folder(DELTA), no("a table of Delta", "export its current version"))
case(K, "Hudi table", folder(TWO_PARTS | {".hoodie/hoodie.properties": "x"}), no("a table of Hudi"))
case(K, "Iceberg table", folder({"data/a.csv": HEADER + GOOD, "metadata/v1.metadata.json": "{}"}), no("a table of Iceberg"))
case(K, "folder of a Delta table", folder({"sales/" + name: content for name, content in DELTA.items()}), no("a table of Delta"))
case(K, "Parquet parts with columns that differ in case in another order", folder({"a.parquet": part(customer_id=["a"], date=D[:1], Amount=[9.0], amount=[1.0]), "b.parquet": part(customer_id=["a"], date=D[:1], amount=[2.0], Amount=[99.0])}), no("differ in case only", "b.parquet"))

K = "partitioned folder (key=value)"
for name in ("c0=zzz", "c1=2023-01-01", "c2=99"):
    case(K, f"CSV in a folder called {name}", within(name, text(HEADER + GOOD)), ok())
    case(K, f"folder of CSV below one called {name}", within(name, folder({f"{name}/a.csv": HEADER + GOOD})), ok())
LINES = {"date": D, "amount": [1.0, 2.0]}
case(K, "partitioned CSV", folder({"year=2023/a.csv": HEADER + GOOD, "year=2024/b.csv": HEADER + "b,2024-01-05,1\n"}), ok(AB))
case(K, "partitioned by customer", folder({f"customer_id={i}/a.parquet": part(**LINES) for i in ("007", "7")}), ok("007,1,1,361,2.0 7,1,1,361,2.0"))
case(K, "Parquet below a folder date=...", within("date=2020-01-01", folder({"a.parquet": part(customer_id=["a", "b"], **({"date": D[:1] * 2, "amount": [1.0, 2.0]}))})), ok(AB))
case(K, "ids in folders as 0x10 and 16", folder({f"customer_id={i}/a.parquet": part(**LINES) for i in ("0x10", "16")}), ok("0x10,1,1,361,2.0 16,1,1,361,2.0"))
case(K, "ids in folders as 1 and 1.0", folder({f"customer_id={i}/a.parquet": part(**LINES) for i in ("1", "1.0")}), no("floating-point", "2 rows"))
case(K, "id in a folder with a blank before", folder({f"customer_id={i}/a.parquet": part(**LINES) for i in (" 7", "7")}), no("white space", "2 rows"))
case(K, "ids in folders with signs written as %3A", folder({"customer_id=a%3Ab/x.parquet": part(**LINES)}), ok("a:b,1,1,361,2.0"))
case(K, "partitioned by times", folder({"date=2024-01-05 23%3A30%3A00/a.parquet": part(customer_id=["a"], amount=[1.0])}), ok())
case(K, "partitioned by date", folder({"date=2024-01-05/a.parquet": part(customer_id=["a"], amount=[1.0])}), ok())
case(K, "partitioned with no customer", folder({f"customer_id={i}/a.parquet": part(**LINES) for i in ("__HIVE_DEFAULT_PARTITION__", "a")}), ok("a,1,1,361,2.0", nobody=2))
case(K, "key that is a column as well", folder({"customer_id=z/a.parquet": part(customer_id=["a", "b"], **LINES)}), no("'customer_id'", "customer_id=..."))
case(K, "keys in some folders only", folder({n: part(customer_id=["a", "b"], **LINES) for n in ("year=2024/a.parquet", "b.parquet")}), no("key=value"))

# --- CSV as text

K = "encoding"
case(K, "UTF-8", text(CAFE), ok("caf\u00e9,0,0,361,0.0"))
case(K, "byte order mark", text("\ufeff" + HEADER + GOOD), ok())
case(K, "two byte order marks", text("\ufeff\ufeff" + HEADER + GOOD), ok())
for encoding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1", "cp1252", "utf-7", "cp500"):
    case(K, f"{encoding}, said", text(CAFE, encoding=encoding), ok("caf\u00e9,0,0,361,0.0"), "--encoding", encoding)
case(K, "utf-16-le with a mark, said", text("\ufeff" + CAFE, encoding="utf-16-le"), ok("caf\u00e9,0,0,361,0.0"), "--encoding", "utf-16-le")
for encoding in ("utf-16", "utf-32", "cp500"):
    case(K, f"{encoding}, unsaid", text(CAFE, encoding=encoding), no("line 1 is not utf-8 text", "--encoding"))
for encoding in ("utf-16-le", "utf-16-be"):
    case(K, f"{encoding}, unsaid", text(CAFE, encoding=encoding), no("NUL bytes", "--encoding"))
for encoding in ("latin-1", "cp1252"):
    case(K, f"{encoding}, unsaid", text(CAFE, encoding=encoding), no("line 2 is not utf-8 text", "data.encoding", "--encoding"))
case(K, "latin-1 header", text("caf\u00e9," + HEADER, encoding="latin-1"), no("line 1 is not utf-8 text"))
case(K, "invalid bytes late", blob((HEADER + GOOD * 30_000).encode() + b"\xff,2024-01-05,1\n"), no("line 30,002 is not utf-8"))
case(K, "overlong UTF-8", blob(HEADER.encode() + b"\xc0\xaf,2024-01-05,1\n"), no("line 2 is not utf-8"))
case(K, "lone surrogate", blob(HEADER.encode() + b"\xed\xb2\x80,2024-01-05,1\n"), no("line 2 is not utf-8"))
case(K, "UTF-8 read as UTF-16", text(CAFE), no("is not utf-16 text"), "--encoding", "utf-16")
case(K, "UTF-8 with a mark read as cp1252", text("\ufeff" + CAFE), no("begins as UTF-8"), "--encoding", "cp1252")
case(K, "byte that cp1252 does not know", blob(HEADER.encode() + b"a\x81,2024-01-05,1\n"), no("line 2 is not cp1252"), "--encoding", "cp1252")
case(K, "unknown encoding", rows(), no("'utf-9'", "unknown"), "--encoding", "utf-9")
case(K, "UTF-8 read as ASCII", text(CAFE), no("line 2 is not ascii text"), "--encoding", "ascii")
case(K, "ASCII, said", rows(), ok(), "--encoding", "ascii")
case(K, "encoding of no text", rows(), no("'zlib'", "no text encoding"), "--encoding", "zlib")
case(K, "encoding called undefined", rows(), no("no text encoding"), "--encoding", "undefined")

K = "delimiter"
for name, mark in {"semicolons": ";", "tabs": "\t", "bars": "|"}.items():
    case(K, name, text((HEADER + GOOD).replace(",", mark)), ok())
case(K, "carets, said", text((HEADER + GOOD).replace(",", "^")), ok(), "--delimiter", "^")
case(K, "carets, unsaid", text((HEADER + GOOD).replace(",", "^")), no("no column 'customer_id'", "--delimiter"))
case(K, "blanks, unsaid", text((HEADER + GOOD).replace(",", " ")), no("no column 'customer_id'", "--delimiter"))
case(K, "wrong delimiter", rows(), no("no column 'customer_id'", "--delimiter"), "--delimiter", ";")
case(K, "header with commas, rows with semicolons", text(HEADER + GOOD.replace(",", ";")), no("line 2 has 1 field where the header has 3"))
for name, mark in {"of two characters": "||", "that is a quotation mark": '"', "that is a letter": "a"}.items():
    case(K, f"delimiter {name}", rows(), no(f"delimiter {mark!r}", "one character"), "--delimiter", mark)

K = "line ends and blank lines"
for name, end in {"CR LF": "\r\n", "CR": "\r", "LF CR": "\n\r", "two LF": "\n\n"}.items():
    case(K, f"lines that end with {name}", text((HEADER + GOOD).replace("\n", end)), ok())
case(K, "lines of several ends", text(HEADER.replace("\n", "\r\n") + GOOD), ok())
case(K, "no line end at the end", text((HEADER + GOOD).strip()), ok())
case(K, "a line of blanks", rows("   "), no("line 3 has 1 field"))
case(K, "a line of commas", rows(",,"), ok(nobody=1))
case(K, "end of file of MS-DOS", rows("\x1a"), no("line 3 has 1 field"))
case(K, "blank line before the header", text("\n" + HEADER + GOOD), no("line 1 is blank"))

K = "header"
case(K, "no header", text(f"{CANARY},2024-01-05,1\n" * 2), no("first line looks like data", "add a header line"))
case(K, "no header, dates in words", text(f"{CANARY},5 Jan 2024,ten\n" * 2), no("first line looks like data"))
case(K, "no header, numbers only", text("1001,45000,10\n" * 2), no("first line looks like data"))
for name, line in {"dates with months": "C-1001,05-Jan-2024,10", "apostrophes": "'C-1001','2024-01-05','10'", "weeks": "C-1001,2024-W01-5,10"}.items():
    case(K, f"no header, {name}", text(line.replace("C-1001", CANARY[:12]) + "\n" + GOOD), no("is the header line missing"))
case(K, "name of 50,000 characters", text("x" * 50_000 + ",date,amount\n" + GOOD), no("'customer_id'", "it has:"))
case(K, "2,000 columns and a name misspelt", text(HEADER.strip() + "".join(f",item_{i}" for i in range(2000)) + "\n"), no("did you mean 'customer_id'", "more"), "--customer-id", "customerid")
case(K, "no name for the customer's column", rows(), no("--customer-id ''", "name the column"), "--customer-id", "")
case(K, "header again in the middle", rows(HEADER.strip()), no("'date'", "1 row", "line 3"))
case(K, "sep= line of a spreadsheet", text("sep=;\n" + EURO.format(10)), no("line 1 ('sep=;')", "remove it"))
case(K, "title above the header", text("Sales 2024,,\n" + HEADER + GOOD), no("no column 'customer_id'"))
case(K, "unnamed index column", text("," + HEADER + "0," + GOOD), ok())
case(K, "blanks around names", text(" customer_id , date,amount \n" + GOOD), ok())
case(K, "no header, an id twice", text("C-1001,C-1001,9\n" * 2), no("a column's name stands 2 times"))
case(K, "column twice", text("customer_id,date,amount,amount\n"), no("'amount' stands 2 times"))
case(K, "column twice but for blanks", text("customer_id,date,amount, amount\n"), no("'amount' stands 2 times"))
case(K, "columns that differ in case", text("customer_id,date,amount,Amount\na,2024-01-05,1,x\n"), ok())
case(K, "names in capitals", text(HEADER.upper() + GOOD), no("'customer_id'", "did you mean 'CUSTOMER_ID'"))
case(K, "name misspelt", text("custmer_id,date,amount\n" + GOOD), no("did you mean 'custmer_id'", "--customer-id"))
case(K, "no amounts, unsaid", text("customer_id,date\na,2024-01-05\n"), no("'amount'", "data.columns.amount: null", "--amount ''"))
case(K, "no amounts, said", text("customer_id,date\na,2024-01-05\n"), ok(), "--amount", "")
case(K, "one column in two roles", rows(), no("three different columns"), "--amount", "date")
case(K, "roles swapped", text(f"{HEADER}{CANARY},2024-01-05,1\n"), no("'customer_id'", "1 row", "line 2"), "--customer-id", "date", "--date", "customer_id")
for name in ('"; drop table staged; --', "it's", "a.b", "select", "{}", "$start", "na\u00efve \u9867\u5ba2", "rowid"):
    quoted = name.replace('"', '""')
    case(K, f"amounts in a column called {name}", text(f'customer_id,date,"{quoted}"\n{GOOD}'), ok(), "--amount", name)
case(K, "quotation mark open in the header", text('customer_id,date,"amount\n' + GOOD), no("line 1 opens a quotation mark"))
case(K, "name of a million characters", text("x" * 999_000 + "," + HEADER), no("line 1", "not a CSV file"))
case(K, "first line of two million characters", text("x" * 2_000_000), no("first line is longer"))
case(K, "2,000 columns", text(HEADER.strip() + "".join(f",x_{i}" for i in range(2000)) + "\n" + GOOD.strip() + "," * 2000 + "\n"), ok())

K = "quotes"
case(K, "all fields quoted", text('"customer_id","date","amount"\n"a","2024-01-05","10"\n'), ok())
case(K, "line end in a quoted note", text('customer_id,date,amount,note\na,2024-01-05,1,"x\ny"\n'), ok())
case(K, "comma and quotes in an id", text(HEADER + '"a,""b""",2024-01-05,1\n'), ok('"a,""b""",0,0,361,0.0'))
case(K, "quotation mark within an id", text(HEADER + 'a"b,2024-01-05,1\n'), ok('"a""b",0,0,361,0.0'))
case(K, "apostrophes for quotes", text(HEADER + "'b','2024-01-05','1'\n"), no("'date'", "1 row", "line 2"))
case(K, "quotation mark never closed", rows('"b,2024-01-05,1', "c,2024-01-05,1"), no("line 3 opens a quotation mark"))
case(K, "quotation mark open in the last line", rows('b,2024-01-05,"1'), no("line 3 opens a quotation mark"))
case(K, "text after a closing quote", rows('"b"x,2024-01-05,1'), no("line 3", "quotation mark"))
case(K, "backslash before a quote", rows('"b\\"c",2024-01-05,1'), no("line 3", "quotation mark"))
case(K, "quote open over two lines", rows('"b,2024-01-05,1', 'c",2024-01-05,1'), no("'customer_id'", "1 row", "line 4"))

K = "ragged lines"
case(K, "too few fields", rows("b,2024-01-05"), no("line 3 has 2 fields where the header has 3"))
case(K, "too many fields", rows("b,2024-01-05,1,2"), no("line 3 has 4 fields where the header has 3"))
case(K, "decimal comma without quotes", rows("b,2024-01-05,10,50"), no("line 3 has 4 fields"))
case(K, "an empty field more in every line", text(HEADER + GOOD.replace("\n", ",\n")), ok())
case(K, "a line of totals", rows("Total,,10.00"), no("'date'", "no date in 1 row", "line 3"))
case(K, "a row shifted by one field", rows(f"2024-01-05,{CANARY},1"), no("'date'", "1 row", "line 3"))

K = "nothing to read"
case(K, "empty file", text(""), no("is empty"))
case(K, "blank lines only", text("\n\n"), no("is empty"))
case(K, "byte order mark only", blob(b"\xef\xbb\xbf"), no("is empty"))
case(K, "header only", text(HEADER), no("header but no transactions"))
case(K, "header only, without line end", text(HEADER.strip()), no("header but no transactions"))
case(K, "nobody", text(HEADER + ",2024-01-05,1\n"), no("no transaction is left of 1 row"))
case(K, "nothing up to the last day", rows(), no("no transaction is left of 1 row", "--end"), "--end", "2023-12-31")
case(K, "refunds only", text(HEADER + "a,2024-01-05,-10\n"), no("no customer has a purchase"))
case(K, "NUL bytes", blob(HEADER.encode() + b"\0" * 9), no("NUL bytes"))

# --- ids

K = "ids"
for name, written in {
    "leading zeros": "007", "64 bits": "9007199254740993", "beyond 64 bits": "1" * 30, "a blank inside": "b c",
    "NFC": "caf\u00e9", "NFD": "cafe\u0301", "right to left": "\u05d0\u05d1", "emoji": "\U0001f469\u200d\U0001f680",
    "number with an exponent beside words": "1e5", "number with .0 beside words": "1.0", "a path": "../../etc/passwd",
    "markup": "<script>", "true": "true", "unknown": "unknown", "apostrophe": "b'c", "SQL": "'); DROP TABLE staged; --",
    "5,000 characters": "x" * 5000,
}.items():
    case(K, f"id: {name}", text(f'{HEADER}"{written}",2024-01-05,1\nz,2024-01-05,1\n'),
         ok("|".join(sorted([f"{written},0,0,361,0.0", "z,0,0,361,0.0"]))))  # fmt: skip
for written in ("=1+1", "@SUM(A1)", "+49", "-5"):
    case(K, f"id like a formula: {written}", text(f"{HEADER}{written},2024-01-05,1\n"), ok(f"'{written},0,0,361,0.0"))
case(K, "ids that differ in case", text(HEADER + "A,2024-01-05,1\n" + GOOD), ok(f"A,0,0,361,0.0 {A}"))
for written in ("", "  ", "\u00a0", "nan", "NaN", "null", "NULL", "None", "none", "NA", "N/A", "#N/A", "<NA>", "\\N", "#NV", "#REF!", "#VALUE!", "#NAME?", "(null)", "[NULL]", "(blank)", "undefined", "nil", "n.a."):
    case(K, f"no id: {written!r}", rows(f'"{written}",2024-01-05,1'), ok(nobody=1))
for name, written in {
    "blank before": " b", "blank after": "b ", "no-break space after": "b\u00a0", "tab": "b\tc", "line end": "b\nc",
    "zero-width space after": "b\u200b", "zero-width space inside": "b\u200bc", "direction mark inside": "b\u202ec",
    "line separator": "b\u2028c", "bell": "b\x07", "Arabic letter mark inside": "b\u061cc", "grapheme joiner inside": "b\u034fc",
    "blank of Braille": "b\u2800", "Hangul filler": "\u3164", "lost letter": "b\ufffd",
}.items():
    case(K, f"id with a {name}", rows(f'"{written}",2024-01-05,1'), no("white space", "'customer_id'", "1 row", "line"))
case(K, "id with a NUL", blob((HEADER + GOOD * 9000).encode() + b"b\x00,2024-01-05,1\n"), no("'customer_id'", "1 row", "line 9,002"))
for name, written in {"1.0": ("1.0", "2.0"), "1.0 beside 1": ("1.0", "1"), "1,0": ('"1,0"', '"2,0"'), "1e5": ("1e5", "7")}.items():
    case(K, f"ids as numbers: {name}", text(HEADER + "".join(f"{i},2024-01-05,1\n" for i in written)), no("floating-point", "line 2"))
case(K, "1.0 and 1 beside words", text(HEADER + "1001.0,2024-01-05,1\n1001,2024-02-05,1\nguest,2024-01-05,1\n"), no("floating-point", "1 row", "line 2"))
case(K, "id as a text of a spreadsheet", rows('"=""00123""",2024-01-05,1'), no('(="...")', "1 row", "line 3"))
for written in ("-", "?", "unknown?"):
    case(K, f"id: {written}", rows(f"{written},2024-01-05,1"), ok("|".join(sorted([A, ("'" if written == "-" else "") + f"{written},0,0,361,0.0"]))))
for written in ("1.23457E+17", "1E+05", "12.3E+15"):
    case(K, f"id of a spreadsheet: {written}", rows(f"{written},2024-01-05,1"), no("floating-point", "1 row", "line 3"))

# --- dates

K = "dates"
FEW = "b,0,0,361,0.0"
for written in (
    "20240105", "2024/01/05", "2024-01-05T23:59:59.999", "2024-01-05 00:00", " 2024-01-05 ", "2024-01-05T10:00:00.123456789",
):
    case(K, f"date {written!r}", rows(f"b,{written},1"), ok(AB))
case(K, "leap day", rows("b,2024-02-29,1"), ok(f"{A} b,0,0,306,0.0"))
case(K, "24 o'clock, the next day", rows("b,2024-01-05T24:00:00,1"), ok(f"{A} b,0,0,360,0.0"))
case(K, "first day of 1970", rows("b,1970-01-01,1"), ok(f"{A} b,0,0,20088,0.0"))
for written in ("9999-12-31", "2025-06-01"):
    case(K, f"after the last day: {written}", rows(f"b,{written},1"), ok(late=1))
for written in ("0001-01-01", "1900-01-01", "1969-12-31"):
    case(K, f"before 1970: {written}", rows(f"b,{written},1"), no("before 1970 in 1 row", f"line 3, '{written}'", "data.start"))
case(K, "future date", rows("b,2124-01-05,1"), no("after today in 1 row", "line 3", "data.end"), rules=R)
case(K, "last day in the future", rows(), no("--end 9999-12-31", "in the future"), "--end", "9999-12-31")
for name in ("%Y", "%d/%m", "%m/%Y", "%H:%M", "x"):
    case(K, f"format without a whole day: {name}", rows(), no("a day, a month and a year are needed"), "--date-format", name)
case(K, "format with a zone in letters", text(HEADER + "a,2024-01-05 00:30 CET,1\n"), no("%Z", "%z"), "--date-format", "%Y-%m-%d %H:%M %Z")
case(K, "days of the year, said", text(HEADER + "a,2024-005,1\n"), ok(), "--date-format", "%Y-%j")
case(K, "slashes and an offset", text(HEADER + "a,2024/01/05 10:00:00+01:00,1\n"), no("'%Y/%m/%d %H:%M:%S%z'"))
case(K, "slashes and an offset, said", text(HEADER + "a,2024/01/05 10:00:00+01:00,1\n"), ok(zoned=1), "--date-format", "%Y/%m/%d %H:%M:%S%z")
for written in ("", "NaT", "nan", "NULL", "null", "None", "NA", "N/A"):
    case(K, f"no date: {written!r}", rows(f"b,{written},1"), no("'date'", "no date in 1 row", "line 3"))
for written in ("2023-02-29", "2024-02-30", "0000-00-00", "2024-01-05 25:00:00", "2024-01-05 23:59:60", "2024-01-05 10:00 PM", "2024-01-05 soon", "2024-1-5", "2024.01.05"):
    case(K, f"no day: {written}", rows(f"b,{written},1"), no("'date'", "1 row", "line 3", written[:8], "mend the rows"))
case(K, "day first", rows("b,31/12/2023,1"), no("1 row", "line 3, '31/12/2023'", "%d/%m/%Y", "%m/%d/%Y", "--date-format"))
case(K, "day or month first", rows("b,05/06/2023,1", "b,07/08/2023,1"), no("2 rows", "line 3", "%m/%d/%Y"))
case(K, "31 February", rows("b,31/02/2024,1"), no("1 row", "line 3", "%d/%m/%Y"))
case(K, "dots", rows("b,31.12.2023,1"), no("%d.%m.%Y"))
case(K, "two-digit year", rows("b,31/12/23,1"), no("%d/%m/%y"))
for name, written in {
    "seconds since 1970": "1704412800", "milliseconds since 1970": "1704412800000", "days of a spreadsheet": "45296",
    "days and hours of a spreadsheet": "45296.5", "compact day that is none": "20230230", "a year": "2024",
}.items():
    case(K, f"date as {name}", rows(f"b,{written},1"), no("'date'", "1 row", "line 3", "counts of days or seconds"))
for written in ("yesterday", "today", "infinity", "epoch", "2024-W01-5", "2024-01", "5 Jan 2024", "2024\u201301\u201305", "\u0662\u0660\u0662\u0664-\u0660\u0661-\u0660\u0665"):
    case(K, f"no ISO date: {written}", rows(f'b,"{written}",1'), no("'date'", "1 row", "line 3", "--date-format"))
case(K, "day first, said", text(HEADER + "a,05/01/2024,1\n"), ok(), "--date-format", "%d/%m/%Y")
case(K, "two-digit years, said", text(HEADER + "a,05/01/24,1\nb,05/01/68,1\n"), ok(late=1), "--date-format", "%d/%m/%y")
case(K, "months in words, said", text(HEADER + 'a,"Jan 5, 2024",1\n'), ok(), "--date-format", "%b %d, %Y")
case(K, "days and months mixed", text(HEADER + "a,05/01/2024,1\na,01/31/2024,1\n"), no("as %d/%m/%Y in 1 row", "line 3"), "--date-format", "%d/%m/%Y")
case(K, "text after a date in a format", text(HEADER + "a,05/01/2024 x,1\n"), no("1 row", "line 2"), "--date-format", "%d/%m/%Y")
case(K, "format that does not fit", rows(), no("as %d/%m/%Y", "line 2, '2024-01-05'"), "--date-format", "%d/%m/%Y")
case(K, "format that is none", rows(), no("date_format '%Q'"), "--date-format", "%Q")

K = "time zones"
case(K, "offsets, in UTC", text(HEADER + "a,2024-01-05T23:30:00-05:00,1\na,2024-01-06T23:30:00Z,1\n"), ok("a,0,0,360,0.0", zoned=2))
case(K, "offsets after a blank", text(HEADER + "a,2024-01-05 23:30:00 -0200,1\na,2024-01-06 10:00:00 UTC,1\n"), ok("a,0,0,360,0.0", zoned=2))
case(K, "midnight of a summer night in Berlin", text(HEADER + "a,2024-03-31T22:30:00Z,1\n"), ok("a,0,0,274,0.0", zoned=1), "--timezone", "Europe/Berlin")
case(K, "midnight that daylight saving skips", text(HEADER + "a,2018-11-04T03:00:00Z,1\n"), ok("a,0,0,2249,0.0", zoned=1), "--timezone", "America/Sao_Paulo")
case(K, "local hour that is not", text(HEADER + "a,2024-03-31 02:30:00,1\n"), ok("a,0,0,275,0.0"), "--timezone", "Europe/Berlin")
case(K, "local hour that is twice", text(HEADER + "a,2024-10-27 02:30:00,1\na,2024-10-27T02:30:00,1\n"), ok("a,0,0,65,0.0"), "--timezone", "Europe/Berlin")
case(K, "offsets in some lines", rows("b,2024-01-05T10:00:00Z,1"), no("a UTC offset in 1 row", "line 3"))
case(K, "offset beyond 14 hours", text(HEADER + "a,2024-01-05 10:00:00+25:00,1\n"), no("'date'", "1 row", "line 2"))
case(K, "zone after the offset", text(HEADER + "a,2024-01-05T10:00:00+01:00[Europe/Berlin],1\n"), no("'date'", "1 row", "line 2"))
for zone in ("Europe/Berln", "Europe", "+01:00", "localtime", "../../etc/passwd"):
    case(K, f"zone {zone}", rows(), no(f"timezone {zone!r} is unknown"), "--timezone", zone)

# --- amounts

K = "amounts"
for written in ("+5", ".5", "5.", "1e2", " 10 ", "0001", "10\u00a0", "99999999999"):
    case(K, f"amount {written!r}", rows(f"b,2024-01-05,{written}"), ok(AB))
for written in ("0", "-0.0", "0e5"):
    case(K, f"amount {written!r}", rows(f"b,2024-01-05,{written}"), ok(AB, zeros=1))
for written in ("1e-9", "-1e-9", "0.1234567"):
    case(K, f"amount {written!r}", rows(f"b,2024-01-05,{written}"), ok(AB, fine=1, **({"zeros": 1} if "e" in written else {})))
for written in ("", "NaN", "nan", "NULL", "null", "None", "NA", "N/A"):
    case(K, f"no amount: {written!r}", rows(f"b,2024-01-05,{written}"), no("'amount'", "no amount in 1 row", "line 3"))
for written in ("1e12", "1e15", "1e20", "-1e20", "1e308", "1e999"):
    case(K, f"amount {written}", rows(f"b,2024-01-05,{written}"), no("'amount'", "infinite or beyond 1e12 in 1 row", f"line 3, '{written}'"))
for written in ("inf", "-inf", "Infinity", "$10", "\u20ac10", "1,234.50", "1 234.50", "1'234.50", "(10.00)"):
    case(K, f"no number: {written}", rows(f'b,2024-01-05,"{written}"'), no("'amount'", "not a number in 1 row", f"line 3, {written!r}"))
for written in ("4711-", "+49 170 12", "10-", "\u221210", "1_000"):
    case(K, f"no number: {written}", rows(f'b,2024-01-05,"{written}"'), no("not a number in 1 row", f"line 3, {re.sub('[0-9]', '9', written)!r}"))
for written in ("10 EUR", "EUR 10", "10%", "ten", "0x10", "1d5", "\uff11\uff10", "\u0661\u0660", "=1+1", "#VALUE!", "TRUE", "-", "1/2"):
    case(K, f"no number: {written}", rows(f'b,2024-01-05,"{written}"'), no("'amount'", "not a number in 1 row", "line 3"))
case(K, "thousands with a point in a file of semicolons", text(EURO.format("1.234") + "b;2024-01-05;12.500\n"), no("thousands or thousandths", "2 rows", "line 2"))
case(K, "thousands with a point beside whole amounts", text(HEADER + "a,2024-01-05,1.234\na,2024-02-05,999\n"), no("thousands or thousandths", "1 row", "line 2"))
case(K, "thousands with a comma, said to be the mark", text(HEADER + 'a,2024-01-05,"1,234"\na,2024-02-05,"12,500"\n'), no("thousands or thousandths", "2 rows"), "--decimal", ",")
case(K, "thousands with a comma", text(HEADER + 'a,2024-01-05,"1,234"\n'), no("'1,234'", "remove thousands separators"))
case(K, "three decimals in each amount", text(HEADER + "a,2024-01-05,1.234\nb,2024-01-05,12.500\n"), ok(AB, like_thousands=2))
case(K, "three decimals, one below 1", text(HEADER + "a,2024-01-05,1.234\nb,2024-01-05,0.750\n"), ok(AB))
case(K, "three decimals in some amounts", text(HEADER + "a,2024-01-05,1.234\nb,2024-01-05,12.5\nb,2024-01-05,7\n"), ok(AB))
case(K, "decimal comma, unsaid", text(EURO.format("10,50")), no("'10,50'", "decimal: ','", "data.decimal", "--decimal"))
case(K, "decimal comma, said", text(EURO.format("10,50")), ok(), "--decimal", ",")
case(K, "decimal comma and thousands", text(EURO.format("1.234,50")), no("1 row", "line 2", "thousands"), "--decimal", ",")
case(K, "decimal point where a comma was said", rows(), no("'10.00'", "decimal: '.'"), "--decimal", ",")
case(K, "number of 13 digits among amounts", rows("b,2024-01-05,4006381333931"), no("beyond 1e12 in 1 row", "line 3, '9999999999999'"))
case(K, "several currencies", text("customer_id,date,amount,Currency\na,2024-01-05,1,EUR\nb,2024-01-05,1,USD\n"), no("'Currency'", "1 row", "line 3"))
for name in ("order_currency", "W\u00e4hrung", "Devise", "CCY"):
    case(K, f"several currencies in {name}", text(f"customer_id,date,amount,{name}\na,2024-01-05,1,EUR\nb,2024-01-05,1,JPY\n"), no(f"'{name}'", "several currencies", "line 3"))
case(K, "several currencies in the second such column", text("customer_id,date,amount,currency,curr\na,2024-01-05,1,EUR,EUR\nb,2024-01-05,1,EUR,JPY\n"), no("'curr'", "line 3"))
case(K, "several currencies and blanks", text("customer_id,date,amount,currency\na,2024-01-05,1,\nb,2024-01-05,1,EUR\nb,2024-01-05,1,JPY\n"), no("several currencies", "1 row", "line 4"))
case(K, "one currency and blanks", text("customer_id,date,amount,currency\na,2024-01-05,1,EUR\nb,2024-01-05,1,\n"), ok(AB))
case(K, "numbers in a column called currency", text("customer_id,date,amount,currency_rate\na,2024-01-05,1,1.1\nb,2024-01-05,1,1.2\n"), ok(AB))
case(K, "one currency", text("customer_id,date,amount,currency\na,2024-01-05,1,EUR\nb,2024-01-05,1,eur\n"), ok(AB))

K = "purchases and refunds"
case(K, "one customer", text(HEADER + GOOD + "a,2024-02-05,5\n"), ok("a,1,31,361,5.0"))
case(K, "one line", text(HEADER + GOOD), ok())
case(K, "not in order", text(HEADER + "a,2024-02-05,5\n" + GOOD), ok("a,1,31,361,5.0"))
case(K, "all on one day", rows("b,2024-01-05,1"), ok(AB))
case(K, "lines that repeat", text(HEADER + GOOD * 3), ok(twins=2))
case(K, "refund before a purchase", text(HEADER + "a,2023-12-05,-5\n" + GOOD), ok(refunds=1, lone=1))
case(K, "refund larger than the purchase", rows("a,2024-01-05,-50"), ok(refunds=1))
case(K, "refund larger than all purchases", rows("a,2024-02-05,5", "a,2024-02-06,-50"), ok("a,1,31,361,-45.0", refunds=1, lone=1))
case(K, "customer with refunds only", rows("b,2024-01-05,-5"), ok(refunds=1, lone=1))

# --- Parquet

K = "Parquet"
case(K, "Parquet of plain types", parquet(), ok(AB))
case(K, "Parquet cut short", parquet(cut=-40), no("cannot be read as Parquet"))
case(K, "Parquet of ten bytes", parquet(cut=10), no("cannot be read as Parquet"))
case(K, "Parquet of nothing", blob(b"", "log.parquet"), no("cannot be read as Parquet"))
case(K, "Parquet without rows", parquet(customer_id=pa.array([], pa.string()), date=pa.array([], pa.string()), amount=pa.array([], pa.float64())), no("no transactions"))
case(K, "Parquet without the column", parquet(drop="date"), no("no column 'date'", "it has: customer_id, amount"))
case(K, "Parquet with a line end in a name", parquet(drop="customer_id", **{"cust\nomer": ["a", "b"]}), no("'customer_id'", r"'cust\nomer'"))
case(K, "Parquet with columns that differ in case", parquet(Amount=["x", "y"]), ok(AB))
TWINS = pa.table([pa.array(["a"]), pa.array(["2024-01-05"]), pa.array([1.0]), pa.array([2.0])], names=["customer_id", "date", "amount", "amount"])
case(K, "Parquet with a column twice", lambda p: (pq.write_table(TWINS, p / "log.parquet"), p / "log.parquet")[1], no("'amount' stands 2 times"))
PARTS = {"a.parquet": part(customer_id=[1, 2], **LINES)}
case(K, "Parquet parts with ids as numbers and as text", folder(PARTS | {"b.parquet": part(customer_id=["007", "8"], **LINES)}), no("'customer_id' is string in b.parquet and int64"))
case(K, "Parquet parts with amounts of two types", folder(PARTS | {"b.parquet": part(customer_id=[1, 2], date=D, amount=[1, 2])}), no("'amount' is int64 in b.parquet"))
case(K, "Parquet part without a column", folder(PARTS | {"b.parquet": part(customer_id=[1, 2], date=D)}), no("'amount' is not in b.parquet"))
case(K, "Parquet parts with columns in another order", folder(PARTS | {"b.parquet": part(amount=[1.0], date=D[:1], customer_id=[3])}), ok("1,0,0,361,0.0 2,0,0,360,0.0 3,0,0,361,0.0"))
case(K, "Parquet part that is damaged", folder(PARTS | {"b.parquet": b"PAR1xxxx"}), no("b.parquet: cannot be read as Parquet"))
for name, ids in {
    "int64": pa.array([7, 9007199254740993]), "uint64": pa.array([7, 2**64 - 1], pa.uint64()), "decimal": pa.array([Decimal(7), Decimal(8)], pa.decimal128(20, 0)),
    "dictionary": pa.array(["7", "8"]).dictionary_encode(), "bytes of text": pa.array([b"7", b"8"]), "large text": pa.array(["7", "8"], pa.large_string()),
}.items():
    case(K, f"Parquet ids: {name}", parquet(customer_id=ids), ok(" ".join(f"{i},0,0,361,0.0" for i in sorted((i == b"8" and "8") or (i == b"7" and "7") or str(i) for i in ids.to_pylist()))))
for name, ids in {
    "float64": pa.array([1.0, 2.0]), "float32": pa.array([1, 2], pa.float32()), "decimal with cents": pa.array([Decimal(1), Decimal(2)], pa.decimal128(20, 2)),
}.items():
    case(K, f"Parquet ids: {name}", parquet(customer_id=ids), no("'customer_id'", "floating-point"))
for name, ids in {
    "list": pa.array([["a"], ["b"]]), "struct": pa.array([{"x": 1}, {"x": 2}]), "boolean": pa.array([True, False]), "date": pa.array([date(2024, 1, 5)] * 2),
    "timestamp": pa.array([NIGHT] * 2), "map": pa.array([[("a", 1)]] * 2, pa.map_(pa.string(), pa.int64())),
}.items():
    case(K, f"Parquet ids: {name}", parquet(customer_id=ids), no("'customer_id' holds", "write them as text"))
DAYS = pa.array([timedelta(days=1), timedelta(days=2)])
case(K, "Parquet ids: durations", parquet(customer_id=DAYS), no("'customer_id' holds duration"))
case(K, "Parquet ids: JSON", parquet(customer_id=pa.ExtensionArray.from_storage(pa.json_(), pa.array(['"a"', '"b"']))), no("'customer_id' holds extension"))
case(K, "Parquet amounts: durations", parquet(amount=DAYS), no("'amount' holds duration"))
case(K, "Parquet amounts: booleans of eight bits", parquet(amount=pa.ExtensionArray.from_storage(pa.bool8(), pa.array([1, 0], pa.int8()))), no("'amount' holds extension"))
case(K, "Parquet dates: durations", parquet(date=DAYS), no("'date' holds duration"))
case(K, "Parquet ids: UUID", parquet(customer_id=pa.array([UUID(int=7).bytes, UUID(int=8).bytes], pa.uuid())), ok(f"{UUID(int=7)},0,0,361,0.0 {UUID(int=8)},0,0,361,0.0"))
case(K, "Parquet ids: NULL in some", parquet(customer_id=["a", None]), ok(nobody=1))
case(K, "Parquet ids: NULL in all", parquet(customer_id=pa.array([None, None], pa.null())), no("no transaction is left of 2 rows"))
case(K, "Parquet ids: bytes of no text", parquet(customer_id=[b"a", b"\xff"]), no("bytes is no UTF-8 text"))
for name, days in {
    "date32": pa.array([date(2024, 1, 5)] * 2), "date64": pa.array([date(2024, 1, 5)] * 2, pa.date64()), "seconds": pa.array([NIGHT] * 2, pa.timestamp("s")),
    "nanoseconds": pa.array([NIGHT] * 2, pa.timestamp("ns")),
    "whole numbers YYYYMMDD": pa.array([20240105] * 2), "dictionary": pa.array(["2024-01-05"] * 2).dictionary_encode(),
}.items():
    case(K, f"Parquet dates: {name}", parquet(date=days), ok(AB))
case(K, "Parquet dates: with a zone, in UTC", parquet(date=pa.array([NIGHT] * 2, pa.timestamp("us", "America/New_York"))), ok(AB, zoned=2))
case(K, "Parquet dates: nanoseconds in a zone", parquet(date=pa.array([NIGHT] * 2, pa.timestamp("ns", "UTC"))), ok("a,0,0,360,0.0 b,0,0,360,0.0", zoned=2), "--timezone", "Asia/Tokyo")
case(K, "Parquet dates: NaT", parquet(date=pa.array([NIGHT, None], pa.timestamp("ns"))), no("no date in 1 row", "row 2"))
case(K, "Parquet dates: beyond all years", parquet(date=pa.array([2**63 - 1, 0], pa.timestamp("us"))), no("'date'", "row 1"))
for name, days in {"seconds since 1970": pa.array([1704412800] * 2), "list": pa.array([[1], [2]]), "time": pa.array([time(1)] * 2), "float": pa.array([45000.5] * 2)}.items():
    case(K, f"Parquet dates: {name}", parquet(date=days), no("'date'", "2 rows", "row 1"))
for name, money in {"whole": [1, 2], "decimal": [Decimal("1.10"), Decimal(2)], "text": ["1.5", "2"], "dictionary": pa.array(["1", "2"]).dictionary_encode()}.items():
    case(K, f"Parquet amounts: {name}", parquet(amount=money), ok(AB))
case(K, "Parquet amounts: float32", parquet(amount=pa.array([10.1, 2], pa.float32())), ok(AB, fine=1))
case(K, "Parquet amounts: NaN", parquet(amount=[1.0, float("nan")]), no("no amount in 1 row", "row 2"))
case(K, "Parquet amounts: NULL", parquet(amount=[1.0, None]), no("no amount in 1 row", "row 2"))
case(K, "Parquet amounts: infinite", parquet(amount=[1.0, float("-inf")]), no("infinite", "row 2"))
case(K, "Parquet amounts: 1e308", parquet(amount=[1.0, 1e308]), no("beyond 1e12 in 1 row", "row 2"))
case(K, "Parquet amounts: 62 bits", parquet(amount=[2**62, 1]), no("beyond 1e12 in 1 row", "row 1"))
for name, wrong in {"boolean": [True, False], "list": [[1.0], [2.0]], "struct": [{"v": 1}, {"v": 2}], "date": [date(2024, 1, 5)] * 2}.items():
    case(K, f"Parquet amounts: {name}", parquet(amount=wrong), no("'amount'", "not a number in 2 rows", "row 1"))

# --- frames and rules of the library

K = "pandas frame"
case(K, "frame", frame(), ok(AB), rules=R)
case(K, "frame of categories", frame(customer_id=pd.Categorical(["a", "b"]), date=pd.Categorical(["2024-01-05"] * 2)), ok(AB), rules=R)
case(K, "frame with dates as objects", frame(date=[date(2024, 1, 5), NIGHT]), ok(AB), rules=R)
case(K, "frame in a zone", frame(date=pd.to_datetime(["2024-01-05 23:30Z"] * 2).tz_convert("Asia/Tokyo")), ok(AB, zoned=2), rules=R)
case(K, "frame with another index", whole(GOOD_FRAME.set_axis([7, 7])), ok(AB), rules=R)
case(K, "frame backwards", whole(GOOD_FRAME.iloc[::-1]), ok(AB), rules=R)
case(K, "frame of Int64 ids", frame(customer_id=pd.array([7, None], dtype="Int64")), ok("7,0,0,361,0.0", nobody=1), rules=R)
case(K, "frame of mixed ids", frame(customer_id=np.array([9007199254740993, "007"], dtype=object)), ok("007,0,0,361,0.0 9007199254740993,0,0,361,0.0"), rules=R)
case(K, "frame of float ids", frame(customer_id=[1.0, 2.0]), no("floating-point"), rules=R)
case(K, "frame of float ids as objects", frame(customer_id=np.array([1.0, 2], dtype=object)), no("floating-point"), rules=R)
case(K, "frame with NaT", frame(date=pd.to_datetime(["2024-01-05", None])), no("no date in 1 row", "row 2"), rules=R)
case(K, "frame with the id as index", whole(GOOD_FRAME.set_index("customer_id")), no("no column 'customer_id'"), rules=R)
case(K, "frame with a column twice", whole(pd.concat([GOOD_FRAME, GOOD_FRAME[["amount"]]], axis=1)), no("'amount' stands 2 times"), rules=R)
case(K, "frame with columns in levels", whole(pd.concat({"x": GOOD_FRAME}, axis=1)), no("no column 'customer_id'"), rules=R)
case(K, "frame without rows", whole(GOOD_FRAME.head(0)), no("no transactions"), rules=R)
case(K, "frame of complex amounts", frame(amount=[1j, 2j]), no("the frame"), rules=R)
case(K, "frame of durations as amounts", frame(amount=pd.to_timedelta([1, 2], unit="D")), no("'amount'", "2 rows"), rules=R)

K = "rules of a config"
case(K, "before the first day", rows("b,1900-01-01,1"), ok(early=1), rules=ReadingRules(start=date(2024, 1, 1)))
case(K, "drop_rows", rows("b,2024-01-05,1"), ok("b,0,0,361,0.0", dropped=1), rules=ReadingRules(drop_rows=[{"amount": [10]}]))
case(K, "one currency of several", text("customer_id,date,amount,currency\na,2024-01-05,10,EUR\nb,2024-01-05,1,USD\n"), ok("b,0,0,361,0.0", dropped=1), rules=ReadingRules(drop_rows=[{"amount": [10]}]))
case(K, "all lines dropped", rows(), no("no transaction is left of 1 row"), rules=ReadingRules(drop_rows=[{"amount": [10]}]))
case(K, "rule on a column that is not there", rows(), no("'amuont'", "did you mean 'amount'"), rules=ReadingRules(drop_rows=[{"amuont": [0]}]))
case(K, "rule without a column", rows(), no("rule 1", "every row"), rules=ReadingRules(drop_rows=[{}]))
case(K, "no id where one is demanded", rows(",2024-01-05,1"), no("no id in 1 row", "line 3"), rules=ReadingRules(missing_customer_id="error"))
case(K, "duplicates dropped", text(HEADER + GOOD * 3), ok(twins=2), rules=ReadingRules(duplicates="drop"))
case(K, "bad quantity", text("customer_id,date,amount,q\na,2024-01-05,1,two\n"), no("'q'", "1 row", "line 2"), rules=R, columns=Columns(quantity="q"))
case(K, "several faults at once", rows("b,31/12/2023,1", "c,2024-01-05,ten", "d ,2024-01-05,1"), no("line 3", "line 4", "line 5"), rules=R)

# fmt: on

# --- the table


def table() -> str:
    """Return the table of docs/inputs.md."""
    lines = ["| input | refused | by a rule, counted | read as it is |", "|---|---|---|---|"]
    for kind in dict.fromkeys(case.kind for case in CORPUS.values()):
        cells: dict[str, list[str]] = {"refused": [], "rule": [], "read": []}
        for name, one in CORPUS.items():
            if one.kind == kind:
                cells[column_of(one.outcome)].append(cell(name, one.outcome))
        lines.append(
            f"| **{kind}** | " + " | ".join("; ".join(cells[part]) for part in ("refused", "rule", "read")) + " |"
        )
    return "\n".join(lines) + "\n"


def column_of(outcome: Refused | Read) -> str:
    return "refused" if isinstance(outcome, Refused) else "rule" if outcome.rules else "read"


def cell(name: str, outcome: Refused | Read) -> str:
    told = "".join(c if c.isprintable() and c != "\u00a0" else repr(c)[1:-1] for c in name)
    told = told.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*").replace("_", "\\_")
    rules = "" if isinstance(outcome, Refused) or not outcome.rules else f" ({', '.join(outcome.rules)})"
    return told + rules.replace("<", "&lt;").replace("_", "\\_")


if __name__ == "__main__":
    print(table(), end="")
