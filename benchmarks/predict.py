"""Score customers beside lifetimes in one process: p_alive, E[purchases in a year], 12-month CLV.

    python benchmarks/predict.py --customers 1000000

Also compares the conditional expectation with 30-digit arithmetic on a grid of hard cases (--accuracy).
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import itertools
import warnings
from typing import Any

import pandas as pd
from fit import processor_time, report
from simulated import PURCHASES, SPEND, daily_summary

from churn_clv.models import BetaGeoModel, GammaGammaModel, clv

YEAR, MONTHS, MONTHLY_RATE = 360, 12, 0.01


def ours(summary: pd.DataFrame) -> pd.DataFrame:
    """Score with this package; steps and rate follow lifetimes' months of 30 days."""
    model, spend = BetaGeoModel.from_params(**PURCHASES), GammaGammaModel.from_params(**SPEND)
    value = clv.discounted_clv(
        model,
        spend,
        summary,
        horizon=YEAR,
        annual_discount_rate=(1 + MONTHLY_RATE) ** 12 - 1,
        periods_per_year=YEAR,
        steps=MONTHS,
    )
    expected = model.expected_purchases(summary, 365)
    return pd.DataFrame({"alive": model.probability_alive(summary), "expected": expected, "clv": value})


def theirs(summary: pd.DataFrame) -> pd.DataFrame:
    """Score with lifetimes."""
    fitter = BetaGeoModel.from_params(**PURCHASES).to_lifetimes()
    spend = GammaGammaModel.from_params(**SPEND).to_lifetimes()
    x, t_x, T, m = (summary[name] for name in ("frequency", "recency", "T", "monetary_value"))
    alive = fitter.conditional_probability_alive(x, t_x, T)
    expected = fitter.predict(365, x, t_x, T)
    value = spend.customer_lifetime_value(fitter, x, t_x, T, m, time=MONTHS, discount_rate=MONTHLY_RATE, freq="D")
    return pd.DataFrame({"alive": alive, "expected": expected, "clv": value}, index=summary.index)


def accuracy() -> None:
    """Print the largest relative error of the conditional expectation against 30 digits."""
    from mpmath import mp

    mp.dps = 30
    pairs = [
        (0.02, 0.5),
        (0.3, 0.7),
        (0.793, 2.426),
        (1.0, 2.5),
        (1.0, 0.1),
        (1.0000001, 3.0),
        (0.5, 0.5),
        (2.0, 6.1),
        (5, 12),
    ]
    states = itertools.product(
        pairs, (0.1, 0.5, 2.4), (0, 1, 4, 26, 300, 5000), (0.0, 30.0, 1500.0), (1.0, 39.0, 3650.0)
    )
    errors = [_error(mp, a, b, r, x, T, t) for (a, b), r, x, T, t in states]
    print(f"expected purchases, {len(errors)} cells: largest relative error {max(errors):.1e}")


def _error(mp: Any, a: float, b: float, r: float, x: int, T: float, t: float) -> float:
    model = BetaGeoModel.from_params(r=r, alpha=4.4, a=a, b=b)
    state = pd.DataFrame({"frequency": [x], "recency": [T * 0.9 if x else 0.0], "T": [T]})
    got = model.expected_purchases(state, t).iloc[0] / model.probability_alive(state).iloc[0]
    ratio = mp.mpf(t) / (mp.mpf("4.4") + T)
    k, c = mp.mpf(r) + x, mp.mpf(b) + x
    mean = mp.mpf(0)
    # the integral over p of the definition; p = e^-s near 0 and 1 - e^-s near 1 take out the end points
    cuts = [0, 1, 3, 8, 20, 60, 200, 800, 4000]
    for begin, end in itertools.pairwise(cuts):
        mean += mp.quad(
            lambda s: _integrand(mp, mp.exp(-s) / 2, 1 - mp.exp(-s) / 2, a, c, k, ratio) * mp.exp(-s) / 2, [begin, end]
        )
        mean += mp.quad(
            lambda s: _integrand(mp, 1 - mp.exp(-s) / 2, mp.exp(-s) / 2, a, c, k, ratio) * mp.exp(-s) / 2, [begin, end]
        )
    return abs(float(got / (mean / mp.beta(a, c)) - 1))


def _integrand(mp: Any, p: Any, q: Any, a: float, c: Any, k: Any, ratio: Any) -> Any:
    return p ** (mp.mpf(a) - 2) * q ** (c - 1) * -mp.expm1(-k * mp.log1p(p * ratio))


def main() -> None:
    """Run the race, then the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--accuracy", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.accuracy:
        accuracy()
        return
    summary = daily_summary(options.customers, seed=1)
    fast, mine = processor_time(lambda: ours(summary), options.repeats)
    slow, reference = processor_time(lambda: theirs(summary), 1)
    worst = (mine / reference - 1).abs().max()
    report("scoring", fast, slow, f"largest relative difference {worst.map('{:.1e}'.format).to_dict()}")
    report_missing = reference.isna().sum().to_dict()
    print(f"lifetimes' missing values: {report_missing}; ours: {mine.isna().sum().to_dict()}")


if __name__ == "__main__":
    main()
