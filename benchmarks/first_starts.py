"""Start several `churn-clv train` at once where no MLflow store is yet, then two `promote` at once, round after round.

    python benchmarks/first_starts.py --rounds 20 --starts 6

Every run must end well, be FINISHED and have a version of the model of its own that loads with its announced digest, and
`challenger` must name one of them; of two promotions of different versions one must win, and the other be told why.
Ends with exit code 1 on the first round in which that does not hold.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from kills import CONFIG, MODEL, PROGRAM, require, whole_version

TRAIN = [PROGRAM, "train", str(CONFIG), "--set", "data.simulated.customers=300", "--set", "evaluation.bootstrap_samples=20"]  # fmt: skip


def at_once(commands: list[list[str]]) -> list[tuple[int, str]]:
    """Start programs at once; return what each ended with and said last."""
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)  # noqa: S603
        for command in commands
    ]
    said = [process.communicate()[0].strip().splitlines() for process in running]
    return [(process.returncode, lines[-1] if lines else "") for process, lines in zip(running, said, strict=True)]


def check_runs(starts: int) -> None:
    """See that each start left a finished run and a whole version."""
    import mlflow

    client = mlflow.MlflowClient()
    experiments = [found.experiment_id for found in client.search_experiments()]
    runs = client.search_runs(experiments)
    require(
        [run.info.status for run in runs] == ["FINISHED"] * starts, "not every run is FINISHED, or there are others"
    )
    versions = client.search_model_versions()
    require({v.run_id for v in versions} == {run.info.run_id for run in runs}, "not every run has its version")
    require(len(versions) == starts, f"{len(versions)} versions of {starts} runs")
    whole_version.cache_clear()
    for version in versions:
        whole_version(str(version.version), version.tags.get("sha256"))
    challenger = client.get_registered_model(MODEL).aliases.get("challenger")
    require(str(challenger) in {str(v.version) for v in versions}, f"challenger names {challenger}")


def check_promotions() -> str:
    """Promote two versions at once; return what the one that lost was told."""
    import mlflow

    done = at_once([[PROGRAM, "promote", f"{MODEL}/{version}"] for version in (1, 2)])
    won = [version for version, (code, _) in enumerate(done, start=1) if code == 0]
    require(len(won) == 1, f"the promotions ended so: {done}")
    champion = mlflow.MlflowClient().get_registered_model(MODEL).aliases["champion"]
    require(str(champion) == str(won[0]), f"champion is {champion}, but version {won[0]} was told that it won")
    return done[2 - won[0]][1]


def round_of(starts: int, place: Path) -> None:
    os.chdir(place)
    os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{place / 'mlflow.db'}"
    import mlflow

    mlflow.set_tracking_uri(os.environ["MLFLOW_TRACKING_URI"])
    began = time.monotonic()
    done = at_once([TRAIN] * starts)
    failed = [said for code, said in done if code]
    require(not failed, f"{len(failed)} of {starts} starts failed: {failed}")
    seconds = time.monotonic() - began
    check_runs(starts)
    folders = len(list((place / "runs" / "simulated").glob("[!.]*")))
    require(folders == starts, f"{folders} run folders of {starts} runs")
    print(f"{starts} starts in {seconds:.0f} s, all whole; of two promotions one was told: {check_promotions()[:200]}", flush=True)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--starts", type=int, default=6)
    given = parser.parse_args(arguments)
    for number in range(1, given.rounds + 1):
        with tempfile.TemporaryDirectory(prefix="first_starts_") as scratch:
            print(f"{number:>3}  ", end="", flush=True)
            round_of(given.starts, Path(scratch))
    print(f"{given.rounds * given.starts} of {given.rounds * given.starts} starts survived")


if __name__ == "__main__":
    main()
