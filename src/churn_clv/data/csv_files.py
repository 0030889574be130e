"""CSV files, as DuckDB reads them safely: header and encoding settled before, faults explained after."""

from __future__ import annotations

import codecs
import csv
import glob
import gzip
import io
import re
import zlib
from functools import partial
from pathlib import Path
from typing import IO, BinaryIO, NamedTuple, cast

import duckdb

from churn_clv.data.contract import check_delimiter, is_utf8, setting
from churn_clv.errors import InputError, shortened

DELIMITERS = (",", ";", "\t", "|")
LONGEST_HEADER = 1_000_000
BLOCK = 1 << 20
QUOTE = '"'
GZIP = b"\x1f\x8b"
EMPTY = "is empty: a header line and transactions are needed"
UNCLOSED = "opens a quotation mark that is not closed as it should be: mend the quoting"
TOO_LONG = "is longer than 2 MB: not a log with one transaction a line"
LOOKS_LIKE_DATA = re.compile(
    r"\d{4}[-/]?\d{2}[-/]?\d{2}.*|\d{1,2}[./-]\d{1,2}[./-]\d{2,4}.*|\d{1,2} [A-Za-z]{3,9} \d{2,4}.*|[+-]?\d+[.,]\d+|\d{5,}|.*@.*[.].*"
)
SIGNATURES = {
    b"PAR1": "a Parquet file", b"PK\x03\x04": "a zip or Excel file", b"\x1f\x8b": "a gzip file",
    b"\xd0\xcf\x11\xe0": "an old Excel file", b"BZh": "a bzip2 file", b"\xfd7zXZ": "an xz file",
    b"\x28\xb5\x2f\xfd": "a zstd file", b"SQLite format 3": "a database", b"%PDF": "a PDF", b"ARROW1": "an Arrow file",
}  # fmt: skip
MARKUP = {
    re.compile(rb"""\[\s*["'{\[\]]|\{\s*["'}]"""): "JSON",
    re.compile(rb"<([?]xml|!|html|(table|head|body|div|p)[\s>]|\w+>\s*<)", re.I): "HTML or XML",
    re.compile(rb"---\s|- ?[\w ]+:\s|\w+:[ \t]*\r?\n"): "YAML",
    re.compile(rb"(insert\s+into|create\s+(table|database)|drop\s+table|copy\s+\w+\s*([(]|from)|set\s+\w+\s*=|begin;\s*\n|-- |/[*])", re.I): "SQL",
    re.compile(rb"\{\\rtf"): "RTF",
}  # fmt: skip
NUL = "holds NUL bytes, so it is no text file, or one of UTF-16"


def open_bytes(path: Path) -> BinaryIO:
    """Open a file, gzipped or not, as bytes."""
    return cast(BinaryIO, gzip.open(path, "rb")) if path.suffix.lower() == ".gz" else path.open("rb")


def open_text(path: Path, encoding: str) -> IO[str]:
    """Open a CSV file, gzipped or not, as text with any line ending and without a byte order mark."""
    return io.TextIOWrapper(open_bytes(path), encoding="utf-8-sig" if is_utf8(encoding) else encoding, newline=None)


def called(path: Path) -> str:
    """Return the name of a file as one line may hold it.

    >>> called(Path("data/log.csv")), called(Path("lo\\ng.csv"))
    ('log.csv', "'lo\\\\ng.csv'")
    """
    return path.name if path.name.isprintable() and len(path.name) <= 80 else shortened(path.name, 80)


def read_header(path: Path, encoding: str, delimiter: str | None) -> tuple[list[str], str]:
    """Return the column names of a CSV file and its delimiter."""
    label = called(path)
    refuse_binary(path, encoding)
    try:
        with open_text(path, encoding) as text:
            line = text.readline(LONGEST_HEADER).lstrip("\ufeff")
            rest = "" if line.strip() else text.read(BLOCK)
    except UnicodeError:
        raise wrong_encoding(path, encoding) from None
    except (OSError, EOFError, zlib.error):
        raise broken_gzip(label) from None
    if delimiter is not None:
        check_delimiter(delimiter)
    if not line.strip():
        what = "line 1 is blank: the header must stand there" if rest.strip() else EMPTY
        raise InputError(f"{label}: {what}")
    if len(line) >= LONGEST_HEADER:
        raise InputError(f"{label}: the first line is longer than {LONGEST_HEADER:,} characters: not a CSV file")
    if line.lower().startswith("sep="):
        raise InputError(
            f"{label}: line 1 ({shortened(line.strip())}) is a note for spreadsheets: remove it, so that the header comes first"
        )
    delimiter = delimiter or max(DELIMITERS, key=lambda mark: len(fields_of(line, mark, strict=False)))
    names = [name.strip() for name in fields_of(line, delimiter)]
    if not names:
        raise InputError(
            f"{label}: line 1 {UNCLOSED if QUOTE in line else 'holds a name of over 100,000 characters: not a CSV file'}"
        )
    if any(LOOKS_LIKE_DATA.fullmatch(name) for name in names):
        # The names stay untold: without a header they are a customer's row.
        raise InputError(f"{label}: the first line looks like data, not like column names: add a header line")
    return names, delimiter


def fields_of(line: str, delimiter: str, strict: bool = True) -> list[str]:
    """Return the fields of a line; none where its quoting is broken."""
    try:
        return next(csv.reader([line], delimiter=delimiter, strict=strict))
    except csv.Error:
        return []


def refuse_binary(path: Path, encoding: str) -> None:
    """Refuse a file that is something else under a CSV name."""
    label, packed = called(path), path.suffix.lower() == ".gz"
    with path.open("rb") as raw:
        start = raw.read(65_536)
    if not start:
        raise InputError(f"{label}: {EMPTY}")
    if packed:
        refuse_signature(label, b"" if start.startswith(GZIP) else start)
        try:
            with open_bytes(path) as raw:
                start = raw.read(65_536)
        except (OSError, EOFError, zlib.error):
            raise broken_gzip(label) from None
    refuse_signature(label, start)
    if start.startswith(codecs.BOM_UTF8) and not is_utf8(encoding):
        raise InputError(
            f"{label}: begins as UTF-8 text does, and is read as {encoding}: leave out {setting('encoding')}"
        )
    wide = start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or "16" in encoding or "32" in encoding
    if b"\x00" in start and not wide:
        raise InputError(f"{label}: {NUL}: export it again as CSV, or set {setting('encoding')} ('utf-16-le')")


def refuse_signature(label: str, start: bytes) -> None:
    """Refuse bytes that are known to begin another kind of file."""
    kinds = [kind for signature, kind in SIGNATURES.items() if start.startswith(signature)]
    kinds += [
        kind for markup, kind in MARKUP.items() if markup.match(start.removeprefix(codecs.BOM_UTF8).lstrip()[:100])
    ]
    if kinds:
        raise InputError(f"{label}: is {kinds[0]}, not CSV: give it its own suffix or export it as CSV")


def broken_gzip(label: str) -> InputError:
    """Return the error for a compressed file that is damaged or cut short."""
    return InputError(f"{label}: not a whole gzip file: fetch it again")


def wrong_encoding(path: Path, encoding: str) -> InputError:
    """Return the error for bytes that are not text in the given encoding."""
    return InputError(
        f"{called(path)}: {undecodable_line(path, encoding)}is not {encoding} text: set {setting('encoding')} "
        "(spreadsheets often write 'cp1252' or 'utf-16')"
    )


def undecodable_line(path: Path, encoding: str) -> str:
    """Return "line N " for the first line that is no text in an encoding, where bytes tell lines apart; else nothing."""
    if not path.is_file() or "\n".encode(encoding) != b"\n":
        return ""
    with open_bytes(path) as lines:
        for number, line in enumerate(iter(partial(lines.readline, BLOCK), b""), start=1):
            try:
                line.decode(encoding)
            except UnicodeError:
                return f"line {number:,} " if len(line) < BLOCK else ""
    return ""


def read_csv(
    connection: duckdb.DuckDBPyConnection,
    paths: list[Path],
    n_columns: int,
    delimiter: str,
    in_parallel: bool,
) -> duckdb.DuckDBPyRelation:
    """Return the lines of CSV files as text columns c0, c1, ...; nothing is guessed or skipped."""
    return connection.read_csv(
        [glob.escape(str(path)) for path in paths],  # type: ignore[arg-type]  # the stub forgets lists
        header=False,
        skiprows=1,
        auto_detect=False,
        columns={f"c{i}": "VARCHAR" for i in range(n_columns)},
        hive_partitioning=False,  # a folder called c0=... would take the first column's place
        sep=delimiter,
        quotechar='"',
        escapechar='"',
        parallel=in_parallel,
    )


def as_plain_utf8(path: Path, encoding: str, scratch: Path) -> Path:
    """Copy a CSV file as UTF-8 with plain line ends."""
    copy = scratch / copy_name(path, len(list(scratch.iterdir())))
    try:
        with open_text(path, encoding) as text, copy.open("w", encoding="utf-8", newline="\n") as out:
            while block := text.read(BLOCK):
                out.write(block)
    except UnicodeError:
        raise wrong_encoding(path, encoding) from None
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise broken_gzip(called(path)) from None
    return copy


class Survey(NamedTuple):
    """What a CSV file holds that DuckDB must be told of."""

    mixed_line_ends: bool
    records_over_lines: bool


def survey(path: Path, encoding: str, delimiter: str) -> Survey:
    """Look through a CSV file for what DuckDB 2.0 stumbles over; refuse endless or blank lines and broken quoting.

    It refuses a mix of CR LF, LF and CR; leaves out a last line of over 32 MB without a word; and where quotes
    hold line ends, several threads misread them, and a single one misses a quote that never closes.
    """
    with_cr = alone = cr_alone = endless = quotes = 0
    last = b""
    try:
        with open_bytes(path) as raw:
            while block := raw.read(BLOCK):
                pairs = block.count(b"\r\n") + (last == b"\r" and block[:1] == b"\n")
                with_cr, alone, last = with_cr + pairs, alone + block.count(b"\n") - pairs, block[-1:]
                cr_alone += block.count(b"\r") - pairs
                quotes += b'"' in block
                endless = 0 if b"\n" in block or b"\r" in block else endless + 1
                if len(block) == BLOCK and not block.strip():
                    raise InputError(f"{called(path)}: holds a million blank lines in a row: take them out")
                if endless == 3:
                    raise InputError(f"{called(path)}: a line {TOO_LONG}")
    except (OSError, EOFError, zlib.error):
        raise broken_gzip(called(path)) from None
    over_lines = quotes > 0 and has_open_line(path)
    if over_lines:
        refuse_broken_quotes(path, encoding, delimiter)
    return Survey((with_cr > 0) + (alone > 0) + (cr_alone > 0) > 1, over_lines)


def has_open_line(path: Path) -> bool:
    """Tell whether any line holds an odd number of quotation marks, so that its record may go on."""
    with io.TextIOWrapper(open_bytes(path), encoding="latin-1", newline=None) as lines:
        return any(line.count('"') % 2 for line in lines)


def refuse_broken_quotes(path: Path, encoding: str, delimiter: str) -> None:
    """Refuse quotation marks that do not close, by Python's slower but strict reader."""
    start = 1
    try:
        with open_text(path, encoding) as text:
            reader = csv.reader(text, delimiter=delimiter, strict=True)
            for _ in reader:
                start = reader.line_num + 1
    except UnicodeError:
        raise wrong_encoding(path, encoding) from None
    except csv.Error:
        raise InputError(f"{called(path)}: line {start:,} {UNCLOSED}") from None


def explain(failure: duckdb.Error, label: str, paths: list[Path]) -> InputError:
    """Turn DuckDB's failure into one line without its message, which repeats customers' rows."""
    text = str(failure)
    found = re.search(r"CSV Error on Line: (\d+)", text)
    where = f"line {int(found[1]):,}" if found else "a line"
    if len(paths) > 1:
        where = part_in(text, paths) + where
    counts = re.search(r"Expected Number of Columns: (\d+) Found: (\d+)", text)
    if "GZIP" in text.upper():
        return broken_gzip(label)
    if "Maximum line size" in text:
        what = TOO_LONG
    elif "Invalid unicode" in text:
        what = f"is not utf-8 text: set {setting('encoding')} (spreadsheets often write 'cp1252')"
    elif counts:
        plural = "s" if counts[2] != "1" else ""
        what = f"has {counts[2]} field{plural} where the header has {counts[1]}: mend or quote it"
    elif "unterminated quote" in text:
        what = UNCLOSED
    else:
        what = f"cannot be read as CSV ({type(failure).__name__}): mend the file or set {setting('delimiter')}"
    return InputError(f"{label}: {where} {what}")


def part_in(failure: str, paths: list[Path]) -> str:
    """Return the name of the part that a failure of DuckDB names, as it is or as a copy, and a blank."""
    found = re.search(r"^\s*file = .*?([^/\n]+)$", failure, re.MULTILINE)
    names = [
        called(path) for path in paths if found and found[1] in (path.name, copy_name(path, found[1].split("-")[0]))
    ]
    return f"{names[0]} " if names else ""


def copy_name(path: Path, number: int | str) -> str:
    """Return what the copy of a file in plain UTF-8 is called."""
    return f"{number}-{path.name.removesuffix('.gz')}"


def line_number(path: Path, encoding: str, delimiter: str, row: int) -> int | None:
    """Return the line of the file that holds data row `row` (from 0), or None where it cannot be told."""
    with open_text(path, encoding) as text:
        reader = csv.reader(text, delimiter=delimiter)
        try:
            next(reader)
            for number, _ in enumerate(filter(None, reader)):
                if number == row:
                    return reader.line_num
        except csv.Error:
            return None
    return None
