"""Fit BG/NBD and Gamma-Gamma beside lifetimes in one process and print the ratio of processor times.

    python benchmarks/fit.py --customers 1000000 --repeats 3

The summary is in memory and in whole days; gathering equal rows is part of our time. One BLAS thread.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import resource
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from simulated import daily_summary

from churn_clv.models import BetaGeoModel, GammaGammaModel


def processor_time(work: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    """Return the median processor time of the work and its last result."""
    times = []
    for _ in range(repeats):
        begin = time.process_time()
        result = work()
        times.append(time.process_time() - begin)
    return float(np.median(times)), result


def purchase_fits(summary: pd.DataFrame, repeats: int, theirs: int) -> None:
    """Race the BG/NBD fits."""
    ours, model = processor_time(lambda: BetaGeoModel().fit(summary), repeats)
    report("BG/NBD", ours, None, f"{model} LL {model.log_likelihood_:.6f}")
    if theirs:
        from lifetimes import BetaGeoFitter

        columns = [summary[name] for name in ("frequency", "recency", "T")]
        slow, fitter = processor_time(lambda: BetaGeoFitter().fit(*columns), theirs)
        value = -fitter._negative_log_likelihood_ * len(summary) + summary["frequency"].sum() * np.log(fitter._scale)
        report("BG/NBD", ours, slow, f"lifetimes {fitter.params_.round(6).to_dict()} LL {value:.6f}")


def spend_fits(summary: pd.DataFrame, repeats: int, theirs: int) -> None:
    """Race the Gamma-Gamma fits, on repeat customers."""
    repeat = summary[summary["frequency"] > 0]
    ours, model = processor_time(lambda: GammaGammaModel().fit(repeat), repeats)
    report("Gamma-Gamma", ours, None, f"{len(repeat)} customers {model} LL {model.log_likelihood_:.6f}")
    if theirs:
        from lifetimes import GammaGammaFitter

        slow, fitter = processor_time(
            lambda: GammaGammaFitter().fit(repeat["frequency"], repeat["monetary_value"]), theirs
        )
        report("Gamma-Gamma", ours, slow, f"lifetimes {fitter.params_.round(6).to_dict()}")


def report(name: str, ours: float, theirs: float | None, text: str) -> None:
    """Print one line of the race."""
    ratio = "" if theirs is None else f" lifetimes {theirs:.3f} s  ratio {theirs / ours:.0f}"
    print(f"{name}: ours {ours:.3f} s{ratio}  {text}", flush=True)


def main() -> None:
    """Run the race."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--lifetimes-repeats", type=int, default=1, help="0 leaves lifetimes out (memory of ours alone)"
    )
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    summary = daily_summary(options.customers, seed=1)
    purchase_fits(summary, options.repeats, options.lifetimes_repeats)
    spend_fits(summary, options.repeats, options.lifetimes_repeats)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    print(f"peak memory {peak:.2f} GB for {options.customers} customers")


if __name__ == "__main__":
    main()
