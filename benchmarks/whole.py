"""Run `churn-clv train` on simulated logs of several sizes and print what it costs and how the cost grows.

    python benchmarks/whole.py --lines 1000000 10000000 100000000 --scratch /big/disk

Logs are drawn into the scratch folder where they are absent, and kept. Each run is a program of its own with an empty
MLflow store: processor time and wall time of all of it, its peak memory, and its stages' wall seconds as its metrics.json
tells them. The growth exponent is the slope of ln(processor time) over ln(transactions): 1 is linear.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import itertools
import json
import math
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measured import SCRATCH, ended, simulated_log


@dataclass(frozen=True)
class Cost:
    """What one run cost; seconds and GB."""

    lines: int
    cpu: float
    wall: float
    peak: float
    stages: dict[str, float]


def config(log: Path, spill: Path, given: argparse.Namespace) -> dict[str, Any]:
    """Return a run's config: the defaults, on a log of two years."""
    data = {"source": "file", "path": str(log), "memory_limit": given.memory_limit, "spill_directory": str(spill)}
    if given.threads:
        data["threads"] = given.threads
    windows = {"calibration_end": "2024-07-01", "holdout_end": "2024-12-30"}
    return {"name": "whole", "data": data, "windows": windows}


def trained(log: Path, given: argparse.Namespace) -> Cost:
    """Train on a log in a folder that is left clean."""
    with tempfile.TemporaryDirectory(dir=given.scratch, prefix="whole_") as scratch:
        place = Path(scratch)
        written = place / "whole.yaml"
        # JSON is YAML; dates are written bare, as the config wants them.
        text = json.dumps(config(log, place / "spill", given), indent=1)
        written.write_text(text.replace('"2024-07-01"', "2024-07-01").replace('"2024-12-30"', "2024-12-30"))
        command = [
            str(Path(sys.executable).with_name("churn-clv")),
            "train",
            str(written),
            "--out",
            str(place / "runs"),
        ]
        terms = [part for term in given.set for part in ("--set", term)]
        _, wall, cpu, peak = ended([*command, *terms], MLFLOW_TRACKING_URI=f"sqlite:///{place}/mlflow.db")
        [told] = (place / "runs").glob("*/*/metrics.json")
        metrics = json.loads(told.read_text(encoding="utf-8"))
        lines = metrics["cleaning"]["rows_out"]
        return Cost(lines, cpu, wall, peak, metrics["seconds"])


def growth(costs: Sequence[Cost]) -> float:
    """Return the slope of ln(processor time) over ln(transactions), by least squares."""
    x, y = [math.log(cost.lines) for cost in costs], [math.log(cost.cpu) for cost in costs]
    middle, level = sum(x) / len(x), sum(y) / len(y)
    return sum((a - middle) * (b - level) for a, b in zip(x, y, strict=True)) / sum((a - middle) ** 2 for a in x)


def table(costs: Sequence[Cost]) -> str:
    """Lay out the costs, one column a log."""
    rows = [("transactions", *(f"{cost.lines:,}" for cost in costs))]
    rows += [(word, *(f"{value(cost):.1f}" for cost in costs)) for word, value in (
        ("processor seconds", lambda cost: cost.cpu), ("wall seconds", lambda cost: cost.wall),
        ("peak memory, GB", lambda cost: cost.peak),
    )]  # fmt: skip
    stages = dict.fromkeys(stage for cost in costs for stage in cost.stages)
    rows += [(f"  {name}", *(f"{cost.stages.get(name, 0.0):.1f}" for cost in costs)) for name in stages]
    rows.append(("  the rest: report, MLflow, start", *(f"{c.wall - sum(c.stages.values()):.1f}" for c in costs)))
    ratios = [b.cpu / a.cpu for a, b in itertools.pairwise(costs)]
    rows.append(("processor time over the one before", "-", *(f"{ratio:.2f}" for ratio in ratios)))
    return "\n".join(f"{name:40s}" + "".join(f"{cell:>14s}" for cell in cells) for name, *cells in rows)


def main() -> None:
    """Train on every log."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--logs", type=Path, nargs="+", help="logs to use instead, in order of size")
    parser.add_argument("--scratch", type=Path, default=SCRATCH, help="folder for simulated logs, kept, and for runs")
    parser.add_argument("--memory-limit", default="5GB", help="of the engine")
    parser.add_argument("--threads", type=int, help="of the engine; left out, every processor")
    parser.add_argument("--set", nargs="*", default=[], help="settings of the run, section.key=value")
    given = parser.parse_args()
    given.scratch.mkdir(parents=True, exist_ok=True)
    costs = []
    for log in given.logs or [simulated_log(lines, given.scratch) for lines in sorted(given.lines)]:
        costs.append(trained(log, given))
        print(f"{log.name}: {costs[-1].cpu:.1f} s of processor time, {costs[-1].peak:.2f} GB", flush=True)
    print(table(costs))
    if len(costs) > 1:
        print(f"growth exponent of processor time {growth(costs):.2f}", flush=True)


if __name__ == "__main__":
    main()
