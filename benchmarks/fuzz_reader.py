"""Throw random and damaged files at the reader: each is read or refused in one line, within five seconds.

    python benchmarks/fuzz_reader.py --minutes 10

The seeds are the files of tests/data/corpus.py and some more; each is cut, spliced, repeated and peppered, whole or within its gzip, and given a
name of any kind; some are thrown with options that do not fit. One process reads them all. It ends with code 1 at any other error than
InputError, at one of more than one line, or at a file that takes longer; the file and its seed are then kept.
"""

from __future__ import annotations

import argparse
import faulthandler
import gzip
import io
import random
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "data"))

import pandas as pd
from corpus import CORPUS

from churn_clv.data.contract import Columns, ReadingRules
from churn_clv.data.summary import summarize
from churn_clv.data.transactions import read_transactions
from churn_clv.errors import InputError

SECONDS = 5
LARGEST = 1_000_000  # bytes of a seed
SHARDS = [
    b"\x00", b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b'"', b'""', b",", b";", b"\t", b"\n", b"\r\n", b"\r", b"\\", b"'", b"PAR1", b"\x1f\x8b",
    b"inf", b"nan", b"1e400", b"-0", b"9" * 400, b"2024-01-05", b"9999-12-31", b"0001-01-01", b"T10:00:00+01:00", b"infinity", b"\xc3\xa9",
    b"\xe2\x80\x8b", b"$", b"\xe2\x82\xac", b"x" * 70_000, b"customer_id", b"amount", b"date", b"=1+1", b"\x1a", b"{", b"<",
]  # fmt: skip
NAMES = [
    "log.csv",
    "log.csv",
    "log.csv.gz",
    "log.parquet",
    "log.tsv",
    "log.txt.gz",
    "parts/a.csv",
    "parts/customer_id=7/a.parquet",
]
RULES = [
    ReadingRules(), ReadingRules(), ReadingRules(), ReadingRules(date_format="%d/%m/%Y"), ReadingRules(decimal=","), ReadingRules(delimiter=";"),
    ReadingRules(encoding="cp1252"), ReadingRules(encoding="utf-16"), ReadingRules(encoding="utf-16-le"), ReadingRules(timezone="Asia/Tokyo"),
    ReadingRules(duplicates="drop"), ReadingRules(missing_customer_id="error"), ReadingRules(end=date(2024, 12, 31), start=date(2020, 1, 1)),
    ReadingRules(date_format="%Y-%m-%d %H:%M %z"), ReadingRules(drop_rows=[{"amount": [0, None, "x"]}]), ReadingRules(sample_customers=3),
]  # fmt: skip
COLUMNS = [
    Columns(),
    Columns(),
    Columns(),
    Columns(amount=None),
    Columns(quantity="amount", amount=None),
    Columns(date="amount", amount="date"),
]


def main() -> int:
    """Fuzz for so many minutes; return 1 at the first fault."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        seeds = seeds_of(Path(folder))
    ended = time.monotonic() + 60 * given.minutes
    counts: Counter[str] = Counter()
    slowest = 0.0
    for number in numbers_until(ended, given.seed):
        said, seconds, fault = thrown(number, seeds)
        slowest = max(slowest, seconds)
        counts[said] += 1
        if fault is not None:
            print(
                f"FAULT at number {number} (python benchmarks/fuzz_reader.py --seed {number} throws it first): {fault}"
            )
            return 1
    print(f"{sum(counts.values()):,} files: {counts['read']:,} read, {counts['refused']:,} refused, none otherwise; "
          f"slowest {slowest:.2f} s")  # fmt: skip
    return 0


def numbers_until(ended: float, number: int) -> Iterator[int]:
    while time.monotonic() < ended:
        yield number
        number += 1


def seeds_of(folder: Path) -> list[bytes]:
    """Return the contents of the corpus's files."""
    found = set()
    for number, case in enumerate(CORPUS.values()):
        own = folder / str(number)
        own.mkdir()
        case.make(own)
        found |= {
            path.read_bytes()
            for path in own.rglob("*")
            if path.is_file() and not path.is_symlink() and path.stat().st_size < LARGEST
        }
    days = [f"c{i % 7},2024-{i % 12 + 1:02d}-{i % 28 + 1:02d},{i % 50 - 5}.50\n" for i in range(300)]
    log = "customer_id,date,amount\n" + "".join(days)
    pd.read_csv(io.StringIO(log)).astype({"customer_id": "str"}).to_parquet(folder / "log.parquet")
    return [
        *sorted(found),
        *[log.encode(), (folder / "log.parquet").read_bytes()] * (len(found) // 4),
    ]  # these get through more often


def thrown(number: int, seeds: list[bytes]) -> tuple[str, float, str | None]:
    """Make the file of a number and read it; return what became of it, the seconds, and what was wrong."""
    choose = random.Random(number)  # noqa: S311
    content = damaged(choose, seeds)
    name = choose.choice(NAMES)
    if choose.random() < 0.7:  # what it looks like
        name = "log.parquet" if content.startswith(b"PAR1") else "log.csv"
    if name.endswith(".gz") and choose.random() < 0.7:
        content = gzip.compress(content)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        source = Path(folder) / name.split("/")[0]
        # A hang ends the process with the place it hangs at, where no signal of Python's would be served.
        faulthandler.dump_traceback_later(4 * SECONDS, exit=True)
        started = time.monotonic()
        plain = choose.random() < 0.6
        said, fault = outcome(
            source, *((Columns(), ReadingRules()) if plain else (choose.choice(COLUMNS), choose.choice(RULES)))
        )
        seconds = time.monotonic() - started
        faulthandler.cancel_dump_traceback_later()
    return said, seconds, fault or (f"took {seconds:.1f} s" if seconds > SECONDS else None)


def outcome(source: Path, columns: Columns, rules: ReadingRules) -> tuple[str, str | None]:
    """Read a file; return what became of it, and what was wrong with that."""
    try:
        summary = summarize(read_transactions(source, columns, rules), date(2024, 12, 31))
    except InputError as refusal:
        return "refused", "a message of several lines" if not str(refusal).isprintable() else None
    except Exception as error:
        return "failed", f"{type(error).__name__}: {error}"
    odd = (
        summary.isna().any().any()
        or (summary["recency"] > summary["T"]).any()
        or (summary < 0)[["frequency", "recency", "T"]].any().any()
    )
    return "read", "a summary that cannot be" if odd else None


def damaged(choose: random.Random, seeds: list[bytes]) -> bytes:
    """Return a seed with up to six wounds, or within its gzip."""
    content = choose.choice(seeds)
    if content.startswith(b"\x1f\x8b") and choose.random() < 0.5:
        try:
            content = zlib.decompressobj(31).decompress(content, LARGEST)
        except zlib.error:
            return content
    for _ in range(choose.choice([0, 1, 1, 1, 2, 3, 6])):
        at, until = sorted(choose.randrange(len(content) + 1) for _ in range(2))
        shard = choose.choice([choose.choice(SHARDS), choose.randbytes(choose.randrange(9)), content[at : at + 200]])
        content = choose.choice(
            [
                content[:at] + shard + content[at:],
                content[:at] + shard + content[at + len(shard) :],
                content[:at] + content[min(until, at + 30) :],
                content[:at],
                content[:until] + content[at:until][:LARGEST] + content[until:],
                content[:at] + choose.choice(seeds)[: LARGEST - at],
            ]
        )[: 2 * LARGEST]
    return content


if __name__ == "__main__":
    sys.exit(main())
