"""Broken logs: no customer's id in a message, the right line, and any bytes are refused or read whole."""

from __future__ import annotations

import csv as csv_module
import gzip
import io
import os
import random
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
from corpus import CANARY, GOOD, HEADER, blob, folder, rows, text
from hypothesis import given, settings
from hypothesis import strategies as st

from churn_clv import cli
from churn_clv.data import engine
from churn_clv.data.summary import summarize
from churn_clv.data.transactions import read_transactions
from churn_clv.errors import InputError

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
    path = text('customer_id,date,amount,note\na,2024-01-05,1,"two\nlines"\n\nb,never,1,x\n')(tmp_path)
    with pytest.raises(InputError, match="line 5"):
        read_transactions(path)


def test_the_line_named_is_right_in_a_file_that_several_threads_read(tmp_path: Path) -> None:
    # Long enough that DuckDB cuts the file into parts, at lines that are not all of one length.
    path = text(HEADER + "".join(f"c{i},2024-01-05,1\n" for i in range(900_000)) + "b,never,1\n" + GOOD)(tmp_path)
    with pytest.raises(InputError, match="line 900,002"):
        read_transactions(path, connection=engine.connect(threads=4))


def test_a_fault_in_a_folder_names_its_file(tmp_path: Path) -> None:
    path = folder({"a.csv": HEADER + GOOD * 3, "b.csv": HEADER + GOOD + "b,never,1\n"})(tmp_path)
    with pytest.raises(InputError, match=r"b\.csv line 3"):
        read_transactions(path)


def command(log: object, out: object, monkeypatch: pytest.MonkeyPatch) -> object:
    """Run summary and return its exit code."""
    monkeypatch.setattr(sys, "argv", ["churn-clv", "summary", str(log), str(out), "--end", "2024-12-31"])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    return stopped.value.code


@pytest.mark.parametrize(
    ("out", "told"),
    [
        ("x" * 300 + ".csv", "File name too long"),
        ("parts/a.csv/summary.csv", "stands in the folder of the log"),
        ("parts/summary.csv", "stands in the folder of the log"),
        ("o\nut.txt", "o\\nut.txt: the name must end"),
    ],
)
def test_an_output_that_cannot_be_is_refused_in_one_line(
    out: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log = folder({"a.csv": HEADER + GOOD})(tmp_path)
    assert command(log, tmp_path / out, monkeypatch) == 2
    said = capsys.readouterr().err
    assert told in said
    assert said.count("\n") == 1
    assert len(said) < 700


@pytest.mark.parametrize(("stdout", "why"), [("full", "No space left on device"), ("closed", "Broken pipe")])
def test_a_summary_stands_where_nobody_can_be_told(stdout: str, why: str, tmp_path: Path) -> None:
    log, out = text(HEADER + GOOD)(tmp_path), tmp_path / "out.csv"
    reading, writing = os.pipe()
    os.close(reading)
    code = "import sys; from churn_clv.cli import main; main()"
    with open("/dev/full", "w") if stdout == "full" else os.fdopen(writing, "w") as deaf:
        ran = subprocess.run(
            [sys.executable, "-c", code, "summary", str(log), str(out), "--end", "2024-12-31"],
            stdout=deaf, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert (ran.returncode, ran.stderr.count("\n")) == (1, 1), ran.stderr
    assert f"standard output cannot be written ({why})" in ran.stderr
    assert out.read_text().endswith("a,0,0,361,0.0\n")


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


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=200), st.sampled_from(["log.csv", "log.csv.gz", "log.parquet"]), st.booleans(), st.booleans())
def test_any_bytes_are_read_or_refused_in_one_line(content: bytes, name: str, headed: bool, zipped: bool) -> None:
    content = HEADER.encode() * headed + content
    with tempfile.TemporaryDirectory() as parent:
        path = blob(gzip.compress(content) if zipped else content, name)(Path(parent))
        try:
            read_transactions(path)
        except InputError as refusal:
            assert "\n" not in str(refusal)


lines_of_logs = st.lists(
    st.tuples(
        st.sampled_from(["a", "007", "b c", "\u9867", '"q"', "1e5x"]),
        st.dates(min_value=date(2023, 1, 1), max_value=date(2024, 12, 31)),
        st.integers(-(10**8), 10**8).map(lambda cents: cents / 100),
    ),
    min_size=1,
    max_size=25,
)


@settings(max_examples=8, deadline=None)
@given(lines_of_logs, st.randoms(use_true_random=False), st.integers(1, 4))
def test_the_summary_is_the_same_from_a_frame_and_from_files_in_any_order(
    lines: list[tuple[str, date, float]], choose: random.Random, parts: int
) -> None:
    log = pd.DataFrame(lines, columns=["customer_id", "date", "amount"])
    wanted = summarize(read_transactions(log), date(2024, 12, 31))
    shuffled = log.sample(frac=1, random_state=choose.randrange(2**31))
    with tempfile.TemporaryDirectory() as parent:
        for kind, write in {"csv": pd.DataFrame.to_csv, "parquet": pd.DataFrame.to_parquet}.items():
            (Path(parent) / kind).mkdir()
            for i in range(min(parts, len(log))):
                write(shuffled.iloc[i::parts], Path(parent) / kind / f"{i}.{kind}", index=False)
            found = summarize(read_transactions(Path(parent) / kind), date(2024, 12, 31))
            pd.testing.assert_frame_equal(found, wanted, check_exact=True)


BOMB = 1 << 30
WITHIN = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
sys.argv = ["churn-clv", "summary", sys.argv[1], sys.argv[2], "--end", "2024-12-31"]
from churn_clv.cli import main
main()
"""


@pytest.mark.parametrize(
    ("head", "filler"), [("", b"\0"), (HEADER + GOOD, b"0")], ids=["zeros", "zeros after a header"]
)
def test_a_gigabyte_of_zeros_in_a_megabyte_is_refused_in_bounded_memory(
    head: str, filler: bytes, tmp_path: Path
) -> None:
    with gzip.open(tmp_path / "log.csv.gz", "wb", compresslevel=1) as out:
        out.write(head.encode())
        block = gzip.compress(filler * (1 << 24), compresslevel=9)
    with (tmp_path / "log.csv.gz").open("ab") as packed:
        for _ in range(BOMB >> 24):
            packed.write(block)
    command = [sys.executable, "-c", WITHIN, str(tmp_path / "log.csv.gz"), str(tmp_path / "out.csv")]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stderr.count("\n")) == (2, 1), ran.stderr
    assert "log.csv.gz: " in ran.stderr
    assert not (tmp_path / "out.csv").exists()
