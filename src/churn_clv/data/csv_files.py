"""CSV files, as DuckDB reads them safely: header and encoding settled before, faults explained after."""

from __future__ import annotations

import codecs
import csv
import glob
import gzip
import io
import re
import zlib
from pathlib import Path
from typing import IO, BinaryIO, NamedTuple, cast

import duckdb

from churn_clv.data.contract import check_delimiter, is_utf8, setting
from churn_clv.errors import InputError

DELIMITERS = (",", ";", "\t", "|")
LONGEST_HEADER = 1_000_000
BLOCK = 1 << 20
UNCLOSED = "opens a quotation mark that is not closed as it should be: mend the quoting"
TOO_LONG = "is longer than 2 MB: not a log with one transaction a line"
LOOKS_LIKE_DATA = re.compile(r"\d{4}[-/]?\d{2}[-/]?\d{2}.*|\d{1,2}[./-]\d{1,2}[./-]\d{2,4}.*|[+-]?\d+[.,]\d+")
SIGNATURES = {b"PAR1": "a Parquet file", b"PK\x03\x04": "a zip or Excel file", b"\x1f\x8b": "a gzip file"}


def open_bytes(path: Path) -> BinaryIO:
    """Open a file, gzipped or not, as bytes."""
    return cast(BinaryIO, gzip.open(path, "rb")) if path.suffix.lower() == ".gz" else path.open("rb")


def open_text(path: Path, encoding: str) -> IO[str]:
    """Open a CSV file, gzipped or not, as text with any line ending and without a byte order mark."""
    return io.TextIOWrapper(open_bytes(path), encoding="utf-8-sig" if is_utf8(encoding) else encoding, newline=None)


def read_header(path: Path, encoding: str, delimiter: str | None) -> tuple[list[str], str]:
    """Return the column names of a CSV file and its delimiter."""
    refuse_binary(path, encoding)
    try:
        with open_text(path, encoding) as text:
            line = text.readline(LONGEST_HEADER)
    except UnicodeError:
        raise wrong_encoding(path, encoding) from None
    except (OSError, EOFError, zlib.error):
        raise broken_gzip(path.name) from None
    if delimiter is not None:
        check_delimiter(delimiter)
    if not line.strip():
        raise InputError(f"{path.name}: is empty: a header line and transactions are needed")
    if len(line) >= LONGEST_HEADER:
        raise InputError(f"{path.name}: the first line is longer than {LONGEST_HEADER:,} characters: not a CSV file")
    delimiter = delimiter or max(DELIMITERS, key=lambda mark: len(next(csv.reader([line], delimiter=mark))))
    names = [name.strip() for name in next(csv.reader([line], delimiter=delimiter))]
    if any(LOOKS_LIKE_DATA.fullmatch(name) for name in names):
        # The names stay untold: without a header they are a customer's row.
        raise InputError(f"{path.name}: the first line looks like data, not like column names: add a header line")
    return names, delimiter


def refuse_binary(path: Path, encoding: str) -> None:
    """Refuse a file that is something else under a CSV name."""
    with path.open("rb") as raw:
        start = raw.read(65_536)
    if not start:
        raise InputError(f"{path.name}: is empty: a header line and transactions are needed")
    for signature, kind in SIGNATURES.items():
        if start.startswith(signature) and not (kind == "a gzip file" and path.suffix.lower() == ".gz"):
            raise InputError(f"{path.name}: is {kind}, not CSV: give it its own suffix or export it as CSV")
    wide = start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or "16" in encoding or "32" in encoding
    if b"\x00" in start and path.suffix.lower() != ".gz" and not wide:
        raise InputError(f"{path.name}: holds NUL bytes, so it is not a text file: export it again as CSV")


def broken_gzip(label: str) -> InputError:
    """Return the error for a compressed file that is damaged or cut short."""
    return InputError(f"{label}: not a whole gzip file: fetch it again")


def wrong_encoding(path: Path, encoding: str) -> InputError:
    """Return the error for bytes that are not text in the given encoding."""
    return InputError(
        f"{path.name}: is not {encoding} text: set {setting('encoding')} (spreadsheets often write 'cp1252' or 'utf-16')"
    )


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
        sep=delimiter,
        quotechar='"',
        escapechar='"',
        parallel=in_parallel,
    )


def as_plain_utf8(path: Path, encoding: str, scratch: Path) -> Path:
    """Copy a CSV file as UTF-8 with plain line ends."""
    copy = scratch / f"{len(list(scratch.iterdir()))}-{path.name.removesuffix('.gz')}"
    try:
        with open_text(path, encoding) as text, copy.open("w", encoding="utf-8", newline="\n") as out:
            while block := text.read(BLOCK):
                out.write(block)
    except UnicodeError:
        raise wrong_encoding(path, encoding) from None
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise broken_gzip(path.name) from None
    return copy


class Survey(NamedTuple):
    """What a CSV file holds that DuckDB must be told of."""

    mixed_line_ends: bool
    records_over_lines: bool


def survey(path: Path, encoding: str, delimiter: str) -> Survey:
    """Look through a CSV file for what DuckDB 2.0 stumbles over; refuse endless lines and broken quoting.

    It refuses a mix of CR LF and LF; leaves out a last line of over 32 MB without a word; and where quotes
    hold line ends, several threads misread them, and a single one misses a quote that never closes.
    """
    with_cr = alone = endless = quotes = 0
    last = b""
    try:
        with open_bytes(path) as raw:
            while block := raw.read(BLOCK):
                pairs = block.count(b"\r\n") + (last == b"\r" and block[:1] == b"\n")
                with_cr, alone, last = with_cr + pairs, alone + block.count(b"\n") - pairs, block[-1:]
                quotes += b'"' in block
                endless = 0 if b"\n" in block or b"\r" in block else endless + 1
                if endless == 3:
                    raise InputError(f"{path.name}: a line {TOO_LONG}")
    except (OSError, EOFError, zlib.error):
        raise broken_gzip(path.name) from None
    over_lines = quotes > 0 and has_open_line(path)
    if over_lines:
        refuse_broken_quotes(path, encoding, delimiter)
    return Survey(with_cr > 0 and alone > 0, over_lines)


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
        raise InputError(f"{path.name}: line {start:,} {UNCLOSED}") from None


def explain(failure: duckdb.Error, label: str) -> InputError:
    """Turn DuckDB's failure into one line without its message, which repeats customers' rows."""
    text = str(failure)
    found = re.search(r"CSV Error on Line: (\d+)", text)
    where = f"line {int(found[1]):,}" if found else "a line"
    counts = re.search(r"Expected Number of Columns: (\d+) Found: (\d+)", text)
    if "GZIP" in text.upper():
        return broken_gzip(label)
    if "Maximum line size" in text:
        what = TOO_LONG
    elif "Invalid unicode" in text:
        what = f"is not utf-8 text: set {setting('encoding')} (spreadsheets often write 'cp1252')"
    elif counts:
        what = f"has {counts[2]} fields where the header has {counts[1]}: mend or quote it"
    elif "unterminated quote" in text:
        what = UNCLOSED
    else:
        what = f"cannot be read as CSV ({type(failure).__name__}): mend the file or set {setting('delimiter')}"
    return InputError(f"{label}: {where} {what}")


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
