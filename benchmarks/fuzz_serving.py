"""Ask a served model everything that is not a question, for minutes, and see that it answers, keeps silent and lives.

    python benchmarks/fuzz_serving.py --minutes 10

The model of the first release, served as a hand-over's Dockerfile does. Bodies are valid requests of made-up customers
that were changed: cells, columns, parameters, structure, bytes, content types, size, speed. Every answer has to be 200 or
4xx within 5 seconds. A traceback, in a body or in the log, is a fault, whoever's it is, and so is a refusal that repeats
an id. At the end the golden rows have to be answered as ever. Exits 1 on a fault.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from churn_clv.delivery.golden_rows import GOLDEN, golden_customers
from churn_clv.delivery.mlflow_model import save
from churn_clv.delivery.model_folder import read_model, verified

MODEL = Path(__file__).parents[1] / "tests/golden/release_0_1_0"
# Ids carry the one, other cells, names and parameters the other.
CANARY, WORD = "canary-7f3a", "stranger"
SLOWEST = 5.0
DAY = "2024-05-31"
JSON = "application/json"
PRODUCTION = {"PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1", "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
              "MLFLOW_DISABLE_SCHEMA_DETAILS": "true"}  # fmt: skip
Frame = dict[str, list[Any]]

# Words that stand for themselves in JSON, where Python has no value that would be written so.
RAW = {"@huge@": "9" * 400, "@digits@": "9" * 5000, "@over@": "1e400", "@nan@": "NaN", "@inf@": "-Infinity",
       "@half@": '"\\ud800"', "@nul@": '"\\u0000"', "@deep@": "[" * 40 + "]" * 40}  # fmt: skip
CELLS = [None, "", " ", "abc", WORD, "=1+1", 0, -1, 1, 0.5, -0.0, 1e308, -1e308, 5e-324, 2**31, 2**63, 2**64, True, False,
         [], [1, [2]], {}, {"a": WORD}, "1e5", "0x10", "1,5", "١٢", "顧客", "x" * 70_000, "2024-01-01", "9999-99-99", *RAW]  # fmt: skip
NAMES = [
    "",
    "customer_id",
    "date",
    "T",
    "frequency",
    "x" * 5000,
    "__class__",
    '"; drop table x; --',
    "顧客",
    "@half@",
    1,
    None,
]
KINDS = ["", "text/plain", "text/csv", "text/csv; charset=latin-1", f"{JSON}; charset=utf-16", f"{JSON}; x=y", ";;;", "parquet",
         "application/x-parquet", "application/octet-stream", "multipart/form-data", f"{JSON};" * 50, "\x01\x02"]  # fmt: skip
TOP = [None, True, 5, "text", [], {}, [[]], {"predictions": 1}, {"messages": [{"role": "user", "content": CANARY}]},
       {"input": CANARY}, {"inputs": {}}, {"inputs": CANARY}, {"inputs": [[1, 2], [3]]}, {"instances": CANARY}, {"instances": [[1], 2]},
       {"dataframe_split": []}, {"dataframe_split": {"columns": ["T"], "data": [[1, 2]]}}, {"dataframe_split": {"index": 5}},
       {"dataframe_records": {"customer_id": CANARY}}, {"dataframe_records": [1, None]}, {"dataframe_records": [{}]}]  # fmt: skip


@dataclass
class Outcome:
    """What was seen: answers by kind of question and status, and faults."""

    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    slowest: float = 0.0


@dataclass(frozen=True)
class Question:
    kind: str
    body: bytes
    content_type: str = JSON


def main() -> int:
    """Fuzz for the minutes asked for; print what was answered and return 1 if anything was a fault."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--log", type=Path, help="keep the server's log here")
    asked = parser.parse_args()
    with TemporaryDirectory() as scratch:
        place = Path(scratch)
        save(MODEL, place / "model")
        log = asked.log or place / "server.log"
        with serving(place / "model", log) as port:
            outcome = fuzz(port, random.Random(asked.seed), 60 * asked.minutes)  # noqa: S311 (no secret)
            outcome.faults += golden_faults(port)
        judge_log(log.read_text(errors="replace"), outcome)
    show(outcome)
    return 1 if outcome.faults else 0


@contextmanager
def serving(model: Path, log: Path) -> Iterator[int]:
    """Serve a model as production does, on a free port of this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    words = [sys.executable, "-m", "churn_clv.delivery.endpoint", str(model), "--port", str(port)]
    environment = PRODUCTION | {"PATH": os.defpath, "PYTHONPATH": str(model / "code")}
    with log.open("w") as said:
        server = subprocess.Popen(  # noqa: S603 (our own environment's program)
            words, stdout=said, stderr=said, env=environment, cwd=model.parent, start_new_session=True
        )
    try:
        for _ in range(240):
            if server.poll() is not None or ask(port, None, "/ping")[0] == 200:
                break
            time.sleep(0.5)
        else:
            raise RuntimeError(f"no answer in two minutes: {log.read_text()[-2000:]}")
        yield port
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(timeout=30)


def fuzz(port: int, dice: random.Random, seconds: float) -> Outcome:
    """Ask for so many seconds."""
    outcome, ends = Outcome(), time.monotonic() + seconds
    scoring = read_model(MODEL)
    table = golden_customers(scoring.models, verified(MODEL)[GOLDEN])
    while time.monotonic() < ends:
        asked = question(dice, table)
        judge(asked, *timed(lambda q=asked: ask(port, q)), outcome)
        if dice.random() < 0.01:
            outcome.faults += slow_faults(port)
    return outcome


def timed(call: Callable[[], tuple[int, str]]) -> tuple[int, str, float]:
    started = time.monotonic()
    return *call(), time.monotonic() - started


def ask(port: int, asked: Question | None, path: str = "/invocations") -> tuple[int, str]:
    """Return status and body; status 0 where there was no answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        if asked is None:
            connection.request("GET", path)
        else:
            connection.request(
                "POST", path, asked.body, {"Content-Type": asked.content_type} if asked.content_type else {}
            )
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return 0, f"{type(error).__name__}: {error}"
    finally:
        connection.close()


def slow_faults(port: int) -> list[str]:
    """A body that does not come must not keep others waiting."""
    with socket.create_connection(("127.0.0.1", port)) as slow:
        slow.sendall(
            b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\n{"
        )
        status, _, seconds = timed(lambda: ask(port, None, "/ping"))
    return (
        [] if status == 200 and seconds < SLOWEST else [f"a slow body kept another waiting: {status}, {seconds:.1f} s"]
    )


# --- questions


def question(dice: random.Random, table: pd.DataFrame) -> Question:
    """One request that somebody or something changed."""
    makers = {
        "cells": 8,
        "columns": 4,
        "params": 2,
        "log": 3,
        "bytes": 3,
        "top": 2,
        "type": 2,
        "csv": 3,
        "large": 0.1,
        "deep": 0.3,
    }
    (kind,) = dice.choices(list(makers), list(makers.values()))
    rows = table.sample(dice.choice([1, 1, 2, 5]), random_state=dice.randrange(2**31))
    frame: Frame = {str(n): [None if pd.isna(v) else v for v in rows[n].tolist()] for n in rows}
    frame["customer_id"] = [f"{CANARY}-{k}" for k in range(len(rows))]
    if kind == "top":
        return Question(kind, as_json(dice.choice(TOP)))
    if kind == "deep":
        return Question(kind, dice.choice([b"[", b'{"a":', b'{"dataframe_split":']) * dice.choice([500, 100_000]))
    if kind == "large":
        return Question(kind, as_json(shaped(dice, {n: v * (16_000 // len(rows)) for n, v in frame.items()})))
    if kind == "log":
        frame = {
            "customer_id": [CANARY] * 3,
            "date": ["2024-01-01", "2024-02-01", "2024-02-02"],
            "amount": [3.0, 4.5, 0.0],
        }
    if kind == "csv":
        spoil_cells(dice, frame)
        return Question(kind, as_csv(dice, frame), "text/csv")
    if kind in {"cells", "log", "type"}:
        spoil_cells(dice, frame)
    if kind == "columns":
        spoil_columns(dice, frame)
    params = {"as_of": DAY} if kind != "params" else spoilt_params(dice)
    body = as_json(shaped(dice, frame) | {"params": params})
    if kind == "bytes":
        return Question(kind, spoilt_bytes(dice, body), dice.choice([JSON, "text/csv"]))
    return Question(kind, body, dice.choice(KINDS) if kind == "type" else JSON)


def spoil_cells(dice: random.Random, frame: Frame) -> None:
    for _ in range(dice.choice([1, 1, 2, 5])):
        name = dice.choice(list(frame))
        value = dice.choice(CELLS)
        for row in range(len(frame[name])) if dice.random() < 0.5 else [dice.randrange(len(frame[name]))]:
            frame[name][row] = value


def spoil_columns(dice: random.Random, frame: Frame) -> None:
    name = dice.choice(list(frame))
    cells = frame.pop(name)
    change = dice.choice(["gone", "renamed", "added", "many"])
    if change == "renamed":
        frame[dice.choice(NAMES)] = cells  # type: ignore[index]  # also names that are none
    if change == "added":
        frame |= {name: cells, dice.choice(NAMES): cells}  # type: ignore[dict-item]
    if change == "many":
        frame |= {f"c{k}": cells for k in range(5000)}


def spoilt_params(dice: random.Random) -> Any:
    names = ["as_of", "horizon_days", "unknown", WORD]
    return dice.choice([dice.choice(CELLS), {dice.choice(names): dice.choice(CELLS) for _ in range(2)}])


def shaped(dice: random.Random, frame: Frame) -> dict[str, Any]:
    """A frame in one of the shapes that the server reads."""
    records = [dict(zip(frame, row, strict=True)) for row in zip(*frame.values(), strict=True)]
    split = {"columns": list(frame), "data": [list(row.values()) for row in records]}
    if dice.random() < 0.1:
        split["columns"] = split["columns"] + split["columns"][:1]
        split["data"] = [row + row[:1] for row in split["data"]]
    return dice.choice([{"dataframe_split": split}, {"dataframe_split": split}, {"dataframe_records": records},
                        {"instances": records}, {"inputs": frame}])  # fmt: skip


def as_json(content: Any) -> bytes:
    text = json.dumps(content)
    for word, raw in RAW.items():
        text = text.replace(json.dumps(word), raw)
    return text.encode()


def as_csv(dice: random.Random, frame: Frame) -> bytes:
    cut = dice.choice([",", ",", ";", "\t", "\0"])
    lines = [cut.join(map(str, frame)), *(cut.join(map(str, row)) for row in zip(*frame.values(), strict=True))]
    return dice.choice(["\n", "\r\n", "\r"]).join(lines).encode()


def spoilt_bytes(dice: random.Random, body: bytes) -> bytes:
    at, junk = dice.randrange(len(body)), dice.randbytes(dice.randint(1, 8))
    return dice.choice([body[:at], body[:at] + junk + body[at:], body[:at] + junk + body[at + 8 :], body[at:], b"", junk,
                        b"\xff\xfe" + body, b"\xef\xbb\xbf" + body, body * 2])  # fmt: skip


# --- verdicts


def judge(asked: Question, status: int, body: str, seconds: float, outcome: Outcome) -> None:
    outcome.answers[asked.kind, status] += 1
    outcome.slowest = max(outcome.slowest, seconds)
    where = f"{asked.kind}, {asked.content_type[:40]!r}, status {status}, asked {asked.body[:1000]!r}"
    if seconds > SLOWEST:
        outcome.faults.append(f"{seconds:.1f} s: {where}")
    if "Traceback" in body:
        outcome.faults.append(f"traceback: {where}: {body[-300:]}")
    elif status != 200 and not 400 <= status < 500:
        outcome.faults.append(f"no answer: {where}: {body[:200]}")
    elif status != 200 and CANARY in body:
        outcome.faults.append(f"a refusal repeats an id: {where}: {body[:300]}")


_TRACE = re.compile(r"^Traceback[^\n]*\n(?:[ \t][^\n]*\n|\n)*[^\n]*", re.M)


def judge_log(text: str, outcome: Outcome) -> None:
    outcome.faults += [f"traceback in the log: {trace[-300:]}" for trace in _TRACE.findall(text)]
    if CANARY in text:
        outcome.faults.append("an id stands in the log")


def golden_faults(port: int) -> list[str]:
    """See that the server still answers its golden rows as the model does."""
    scoring = read_model(MODEL)
    table = golden_customers(scoring.models, verified(MODEL)[GOLDEN])
    cells = table.astype(object).where(table.notna(), None)
    split = {"columns": list(table), "data": cells.to_numpy().tolist()}
    status, body = ask(port, Question("golden", as_json({"dataframe_split": split, "params": {"as_of": DAY}})))
    if status != 200:
        return [f"golden rows afterwards: status {status}: {body[:200]}"]
    found = pd.DataFrame(json.loads(body)["predictions"]).set_index("customer_id")
    expected = scoring.score(table, DAY)
    off = (found["clv"] - expected["clv"]).abs().max()
    same = (found["churn_probability"] == expected["churn_probability"]).all()
    return [] if same and off < 1e-9 else [f"golden rows afterwards are off by {off:.1e}"]


def show(outcome: Outcome) -> None:
    print(f"{sum(outcome.answers.values()):,} requests, the slowest answer {outcome.slowest:.2f} s")
    for (kind, status), count in sorted(outcome.answers.items()):
        print(f"  {kind:<8}{status:>5}{count:>9,}")
    print(f"{len(outcome.faults):,} faults")
    for told in outcome.faults[:30]:
        print(f"  {told}")


if __name__ == "__main__":
    sys.exit(main())
