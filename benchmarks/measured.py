"""Races of several contestants, each in a process of its own: processor time, wall time and peak memory by stage."""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

CUSTOMERS_PER_LINE = 0.1216  # of the simulated logs here: about 8.2 transactions a customer
SCRATCH = Path(tempfile.gettempdir()) / "churn_clv_benchmarks"


@dataclass
class Clock:
    """Processor and wall seconds of named stages."""

    cpu: dict[str, float] = field(default_factory=dict)
    wall: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what is done inside."""
        cpu, wall = time.process_time(), time.perf_counter()
        yield
        self.cpu[name], self.wall[name] = time.process_time() - cpu, time.perf_counter() - wall


Contestant = Callable[[Path, Clock], Any]


def ended(command: list[str], **environment: str) -> tuple[str, float, float, float]:
    """Run a program to its end and return what it printed, wall seconds, processor seconds and peak memory in GB."""
    started = time.perf_counter()
    running = subprocess.Popen(  # noqa: S603
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ | environment
    )
    assert running.stdout is not None
    said = running.stdout.read()
    _, status, usage = os.wait4(running.pid, 0)
    running.returncode = os.waitstatus_to_exitcode(status)
    if running.returncode:
        raise SystemExit(f"{' '.join(command)}: ended with {running.returncode}\n{said}")
    return said, time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e9


def simulated_log(lines: int, scratch: Path) -> Path:
    """Return the folder of a simulated log of about so many transactions; draw it where it is absent."""
    folder = scratch / f"log_{lines}"
    if not folder.exists():
        customers = max(round(lines * CUSTOMERS_PER_LINE), 100)
        program = str(Path(sys.executable).with_name("churn-clv"))
        terms = ["--customers", str(customers), "--seed", "1", "--parameter", "alpha=12"]
        print(ended([program, "simulate", str(folder), *terms])[0].strip(), flush=True)
    return folder


def options(description: str | None, lines: int, repeats: int) -> argparse.ArgumentParser:
    """Return the options that every race of contestants has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--lines", type=int, default=lines, help="transactions of the simulated log")
    parser.add_argument("--repeats", type=int, default=repeats, help="medians of so many runs of each")
    parser.add_argument("--scratch", type=Path, default=SCRATCH, help="folder for simulated logs, kept")
    parser.add_argument("--log", type=Path, help="a log to use instead: Parquet with customer_id, date, amount")
    parser.add_argument("--leave-out", nargs="*", default=[], help="contestants")
    parser.add_argument("--only", help="run this contestant in this process and print JSON")
    parser.add_argument("--keep", type=Path, help="with --only: write what was found there")
    return parser


def alone(contestants: Mapping[str, Contestant], name: str, log: Path, keep: Path | None) -> None:
    """Run one contestant in this process; what it found is written after its memory was read."""
    clock = Clock()
    found = contestants[name](log, clock)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    if keep is not None:
        found.to_parquet(keep)
    print(json.dumps({"cpu": clock.cpu, "wall": clock.wall, "peak": peak}))


def race(
    script: str, contestants: Mapping[str, Contestant], given: argparse.Namespace, log: Path, kept: Path
) -> dict[str, dict[str, Any]]:
    """Run every contestant in turn, `repeats` times, and return the medians of each; what each found is kept."""
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in contestants if name not in given.leave_out}
    for repeat in range(given.repeats):
        for name, told in runs.items():
            keep = [] if repeat else ["--keep", str(kept / f"{name}.parquet")]
            command = [sys.executable, script, "--only", name, "--log", str(log), *keep]
            said = ended(command, OPENBLAS_NUM_THREADS="1")[0]
            told.append(json.loads(next(line for line in said.splitlines() if line.startswith("{"))))
    return {name: medians(told) for name, told in runs.items()}


def medians(told: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the median of each figure of some runs."""
    by_stage = {kind: {stage: median(run[kind][stage] for run in told) for stage in told[0][kind]} for kind in ("cpu", "wall")}  # fmt: skip
    return {**by_stage, "peak": median(run["peak"] for run in told)}


STAGES = ("read", "days", "work")


def table(figures: Mapping[str, dict[str, Any]], words: Mapping[str, str], reference: str) -> str:
    """Lay out the figures: stage by stage, and ratios of the reference's processor time to the contestant's.

    What works on the file itself has no stage "read", and its work no ratio: only the whole has.
    """
    stages = [stage for stage in STAGES if any(stage in told["cpu"] for told in figures.values())]
    heads = [*stages, "whole", "wall", "peak GB", "work x", "whole x"]
    rows = [f"{'':28s}" + "".join(f"{head:>9s}" for head in heads)]
    base = figures.get(reference, {"cpu": {}})["cpu"]
    for name, told in figures.items():
        cpu = told["cpu"]
        whole, alike = sum(cpu.values()), stages[0] in cpu or "days" in cpu
        ratios = [base["work"] / cpu["work"] if alike else None, sum(base.values()) / whole] if base else [None, None]
        cells = [*(cpu.get(stage) for stage in stages), whole, sum(told["wall"].values()), told["peak"], *ratios]
        rows.append(f"{words[name]:28s}" + "".join(" " * 8 + "-" if cell is None else f"{cell:9.2f}" for cell in cells))
    return "\n".join(rows)
