"""Score many customers with `churn-clv score`, beside one process that reads all of them and scores them in one call.

    python benchmarks/scoring.py --customers 1000000

Prints customers a second and peak memory of both, for a customer table as Parquet and as CSV, and which share of the time
goes into the reasons.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from churn_clv.config import parse_config
from churn_clv.customer_table import attributes_of, check_table, known_from
from churn_clv.data.simulate import simulate_log
from churn_clv.data.transactions import read_transactions
from churn_clv.delivery.model_folder import ScoringModel, read_model, write_model
from churn_clv.delivery.run_folder import files_of
from churn_clv.models.reasons import reasons
from churn_clv.score import placed
from churn_clv.score_log import customer_table
from churn_clv.train import train

AS_OF = date(2024, 12, 30)
DISTINCT = 50_000
IN_ONE_PIECE = """
import resource, sys
import pandas as pd
from pathlib import Path
from churn_clv.delivery.model_folder import read_model
source, model, out = sys.argv[1:]
if source.endswith(".csv"):
    read_model(Path(model)).score(pd.read_csv(source, dtype={"customer_id": "str"})).to_csv(out)
else:
    read_model(Path(model)).score(pd.read_parquet(source)).to_parquet(out)
"""


def trained(folder: Path) -> ScoringModel:
    """Train a model with trees, which cost most, on CDNOW and read it back from its folder."""
    config = {
        "name": "scoring",
        "data": {"source": "cdnow"},
        "windows": {"calibration_end": date(1997, 9, 30), "holdout_end": date(1998, 6, 30)},
        "churn": {"method": "offset_hybrid"},
        "value": {"method": "hurdle"},
        "evaluation": {"bootstrap_samples": 20},
    }
    folder.mkdir()
    write_model(folder, files_of(train(parse_config(config, source="benchmark"))))
    return read_model(folder)


def customers(model: ScoringModel, count: int) -> pd.DataFrame:
    """Return a customer table: histories of simulated customers, drawn anew, with amounts of their own."""
    log = read_transactions(simulate_log(customers=min(count, DISTINCT), seed=3))
    told = customer_table(model.models, log, AS_OF)
    rng = np.random.default_rng(4)
    drawn = told.iloc[rng.integers(len(told), size=count)].reset_index(drop=True)
    money = [
        name
        for name in drawn
        if ("amount" in str(name) and not str(name).endswith("ratio")) or name == "monetary_value"
    ]
    scale = rng.lognormal(0, 0.3, size=count)
    drawn[money] = drawn[money].mul(scale, axis=0)
    return drawn.set_index(pd.Index([f"c{k:09d}" for k in range(count)], name="customer_id"))


def measured(command: list[str]) -> tuple[float, float]:
    """Run a program and return its seconds and its peak memory in MB."""
    started = time.perf_counter()
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)  # noqa: S603
    assert running.stderr is not None
    said = running.stderr.read()
    _, status, usage = os.wait4(running.pid, 0)
    assert status == 0, said
    return time.perf_counter() - started, usage.ru_maxrss * 1024 / 1e6


def share_of_reasons(model: ScoringModel, table: pd.DataFrame) -> tuple[float, float]:
    """Return which shares of the time of scoring a table go into the contributions and into their words."""
    models, checked = model.models, check_table(model.models, table)
    known = known_from(models, checked)
    times = [time.perf_counter()]
    placed(models, known, attributes_of(models, checked))
    times.append(time.perf_counter())
    contributions = models.churn.contributions(known)
    times.append(time.perf_counter())
    reasons(contributions, models.churn.tree_inputs(known), known.summary)
    times.append(time.perf_counter())
    _, contributing, wording = np.diff(times)
    return contributing / (times[-1] - times[0]), wording / (times[-1] - times[0])


def prepare(place: Path, count: int) -> tuple[float, float]:
    """Write a model and the customer table in both formats; return the shares of the reasons."""
    model = trained(place / "model")
    table = customers(model, count)
    table.to_parquet(place / "customers.parquet")
    table.to_csv(place / "customers.csv")
    return share_of_reasons(model, table.head(50_000))


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    arguments.add_argument("--customers", type=int, default=1_000_000)
    count = arguments.parse_args().customers
    command = str(Path(sys.executable).with_name("churn-clv"))
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        # In a process of its own: Linux counts what a parent holds into the peak of the programs it starts.
        with ProcessPoolExecutor(max_workers=1) as other:
            contributing, wording = other.submit(prepare, place, count).result()
        print(
            f"reasons: contributions of the features {contributing:.0%} of scoring, their words {wording:.0%}",
            flush=True,
        )
        for kind in (".parquet", ".csv"):
            source, model = str(place / f"customers{kind}"), str(place / "model")
            ours = measured([command, "score", model, source, str(place / f"parts{kind}")])
            theirs = measured([sys.executable, "-c", IN_ONE_PIECE, source, model, str(place / f"one{kind}")])
            print(f"{kind[1:]:8} {count:,} customers: in parts {count / ours[0]:,.0f} customers/s, {ours[1]:,.0f} MB; "
                  f"in one piece {count / theirs[0]:,.0f} customers/s, {theirs[1]:,.0f} MB; "
                  f"time {ours[0] / theirs[0]:.2f}, memory {ours[1] / theirs[1]:.2f} of the latter", flush=True)  # fmt: skip
        bare = measured([command, "score", model, source, str(place / "bare.csv"), "--no-reasons"])
        print(f"csv      without reasons: {count / bare[0]:,.0f} customers/s, {bare[1]:,.0f} MB")


if __name__ == "__main__":
    main()
