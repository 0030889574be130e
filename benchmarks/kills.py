"""Kill `churn-clv train` and `promote` at random moments with SIGKILL, and see that nothing half-made is left standing.

    python benchmarks/kills.py --kills 60 --seed 1

All runs share one sqlite store and one folder of runs. After each kill: the store is sound, MLflow reads it, every version
that is READY and every alias names a model that loads with its announced digest and answers its golden rows, and every run
folder under a final name is complete. Each killed run is run again, beside the next one that is killed, and must succeed.
Before that, SIGINT and SIGTERM in every stage: the program must end within 5 s, with 130 or 143 and a last word. Ends with exit code 1 on the first thing that does not hold.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

CONFIG = Path(__file__).parents[1] / "configs" / "simulated.yaml"
MODEL = "churn-clv-simulated"
PROGRAM = str(Path(sys.executable).with_name("churn-clv"))
SMALL = ["--set", "data.simulated.customers=500", "--set", "evaluation.bootstrap_samples=20"]
TRAIN = [PROGRAM, "train", str(CONFIG), *SMALL, "--out", "runs"]
PROMOTE = [PROGRAM, "promote", f"{MODEL}@challenger", "--force", "a trial of kills"]
WRITING = ("write the report", "log to MLflow")
PROMOTE_EVERY = 6
STAGES = ("read the log", "fit as of", "refit", "judge the segments", *WRITING)
STOPS = {signal.SIGINT: 130, signal.SIGTERM: 143}
PATIENCE = 5.0


@dataclass
class Running:
    """A program, and when which stage of it began; seconds since its start."""

    command: list[str]
    log: Path
    started: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        with self.log.open("w") as said:
            self.process = subprocess.Popen(self.command, stdout=said, stderr=subprocess.STDOUT)  # noqa: S603

    @property
    def age(self) -> float:
        return time.monotonic() - self.started

    def stage(self) -> str:
        """What it said last."""
        lines = [line for line in self.log.read_text(errors="replace").splitlines() if line.startswith(("simulated: ", "promote: "))]  # fmt: skip
        return lines[-1].partition(": ")[2] if lines else "start"

    def wait_for(self, stage: str) -> None:
        while self.process.poll() is None and stage not in self.stage():
            time.sleep(0.02)

    def wait(self, seconds: float) -> None:
        """Until the moment, or the program's end."""
        end = time.monotonic() + seconds
        while self.process.poll() is None and time.monotonic() < end:
            time.sleep(0.005)

    def ended_well(self) -> None:
        if self.process.wait():
            raise SystemExit(f"{' '.join(self.command)}: ended with {self.process.returncode}\n{self.log.read_text()}")


def stage_lengths(command: list[str], place: Path) -> tuple[float, dict[str, float]]:
    """Run a program undisturbed; return how long it and its stages of writing take."""
    running = Running(command, place / "undisturbed.log")
    begins = {}
    for stage in WRITING:
        running.wait_for(stage)
        begins[stage] = running.age
    running.ended_well()
    ends = [*list(begins.values())[1:], running.age]
    return running.age, {stage: end - begin for (stage, begin), end in zip(begins.items(), ends, strict=True)}


def killed(
    command: list[str], number: int, place: Path, lengths: tuple[float, dict[str, float]], draw: random.Random
) -> str:
    """Start a program, kill it at a random moment, every second time while it writes, and say when that was."""
    whole, writing = lengths
    running = Running(command, place / f"killed_{number}.log")
    wait = draw.uniform(0, whole)
    if command is TRAIN and draw.random() < 0.5:
        stage = draw.choice((*WRITING, WRITING[-1]))
        running.wait_for(stage)
        wait = draw.uniform(0, writing[stage])
    running.wait(wait)
    moment, stage = running.age, running.stage()
    running.process.kill()
    code = running.process.wait()
    name = command[1]
    return f"{name:<8}{moment:6.1f} s  {'ended before' if code == 0 else stage}"


def stopped(stage: str, by: signal.Signals, place: Path, draw: random.Random) -> str:
    """Stop a training in a stage, and say how long it took to end."""
    running = Running(TRAIN, place / "stopped.log")
    running.wait_for(stage)
    running.wait(draw.uniform(0, 1))
    running.process.send_signal(by)
    sent = time.monotonic()
    code = running.process.wait()
    seconds = time.monotonic() - sent
    if code == 0:
        return f"{by.name} in {stage}: ended before"
    last = running.log.read_text().splitlines()[-1]
    require(code == STOPS[by] and last.startswith("churn-clv: stopped"), f"{by.name} in {stage}: {code}, {last}")
    require(seconds <= PATIENCE, f"{by.name} in {stage}: ended only after {seconds:.1f} s")
    return f"{by.name} in {stage}: {seconds:.1f} s"


def check(place: Path, expected: set[str]) -> str:
    """Return what is left of the dead; raise SystemExit where something half-made stands under a final name."""
    import mlflow

    with sqlite3.connect(place / "mlflow.db") as store:
        require(store.execute("PRAGMA integrity_check").fetchall() == [("ok",)], "the store is not sound")
    client = mlflow.MlflowClient()
    experiments = [found.experiment_id for found in client.search_experiments()]
    runs = {run.info.run_id: run.info.status for run in client.search_runs(experiments, max_results=5000)}
    registered = client.search_registered_models()
    versions = client.search_model_versions(max_results=5000)
    for version in versions:
        require(version.status == "READY", f"version {version.version} is {version.status}")
        whole_version(str(version.version), version.tags.get("sha256"))
    finished = {str(version.version) for version in versions if runs[version.run_id] == "FINISHED"}
    for model in registered:
        for alias, version in model.aliases.items():
            require(str(version) in finished, f"{alias} names version {version}, whose run is not FINISHED")
    folders = [folder for folder in (place / "runs" / "simulated").iterdir() if not folder.name.startswith(".")]
    for folder in folders:
        whole_folder(folder, frozenset(expected))
    hidden = [path for path in (place / "runs").rglob(".*") if path.parent.name in {"runs", "simulated"}]
    left = {"RUNNING": sum(status == "RUNNING" for status in runs.values()), "hidden": len(hidden)}
    aliases = ", ".join(
        f"{alias} {version}" for model in registered for alias, version in sorted(model.aliases.items())
    )
    return f"{len(runs)} runs, {len(versions)} versions ({aliases}), {len(folders)} folders; left: {left['RUNNING']} RUNNING, {left['hidden']} hidden"  # fmt: skip


@cache
def whole_version(version: str, digest: str | None) -> None:
    """Load a version's model: its files have the announced digest, its golden rows come out as they did."""
    import mlflow

    from churn_clv.delivery.model_folder import read_model

    with tempfile.TemporaryDirectory() as scratch:
        place = Path(mlflow.artifacts.download_artifacts(f"models:/{MODEL}/{version}", dst_path=scratch))
        require(digest is not None, f"version {version} has no digest")
        read_model(place / "artifacts" / "fitted", digest)


@cache
def whole_folder(folder: Path, expected: frozenset[str]) -> None:
    """See that a run folder holds every file of a run, the scores of all customers, and a model that loads."""
    import pandas as pd

    from churn_clv.delivery.model_folder import read_model

    missing = expected - files_of(folder)
    require(not missing, f"{folder} has no {', '.join(sorted(missing))}")
    require(len(pd.read_parquet(folder / "scores.parquet")) == 500, f"{folder} does not hold 500 scores")
    read_model(folder / "model")


def files_of(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def require(holds: bool, complaint: str) -> None:
    if not holds:
        raise SystemExit(f"VIOLATED: {complaint}")


def trial(kills: int, seed: int, place: Path) -> None:
    os.chdir(place)
    os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{place / 'mlflow.db'}"
    draw = random.Random(seed)  # noqa: S311
    lengths = stage_lengths(TRAIN, place)
    [first] = (place / "runs" / "simulated").iterdir()
    expected = files_of(first)
    Running(PROMOTE, place / "first_promotion.log").ended_well()
    Running(TRAIN, place / "second.log").ended_well()
    from churn_clv.delivery.store import check_store

    check_store()
    print(f"undisturbed: {lengths[0]:.1f} s; " + ", ".join(f"{s} {t:.1f} s" for s, t in lengths[1].items()), flush=True)
    for by in STOPS:
        for stage in STAGES:
            print(f"{stopped(stage, by, place, draw):<55}{check(place, expected)}", flush=True)
    rerun: Running | None = None
    for number in range(1, kills + 1):
        command = PROMOTE if number % PROMOTE_EVERY == 0 else TRAIN
        words = killed(command, number, place, lengths, draw)
        if rerun is not None:
            rerun.ended_well()
        print(f"{number:>4}  {words:<55}{check(place, expected)}", flush=True)
        rerun = Running(command, place / f"rerun_{number}.log")
    if rerun is not None:
        rerun.ended_well()
    Running(TRAIN, place / "last.log").ended_well()
    left = check(place, expected)
    require("left: 0 RUNNING, 0 hidden" in left, f"the last run cleared not everything away: {left}")
    print(f"{kills} kills, each rerun succeeded; at the end {left}")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="kills_") as scratch:
        trial(given.kills, given.seed, Path(scratch))


if __name__ == "__main__":
    main()
