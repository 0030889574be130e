"""Ask of a run's log whether look-alikes of the best customers went on to spend more than others of the same forecast.

    python benchmarks/look_alikes.py configs/cdnow.yaml

Models are fitted as of calibration_end and the look-alikes of Pareto tier A chosen by that day's scores and features, as
`train` chooses today's. Their mean spend in the holdout (purchases, in a log without amounts) stands beside that of the
other customers outside tier A, of all and of those outside the highest risk tier, from which nobody is listed; compared
are customers of the same twentieth of expected spend (V_res). What is left of expected spend itself is printed beside.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
from typing import NamedTuple

import numpy as np
import pandas as pd

from churn_clv.choice import choose
from churn_clv.config import load_config
from churn_clv.data.features import outcomes_after
from churn_clv.data.windows import LabelWindow
from churn_clv.fits import fit_models
from churn_clv.score_log import known_to, score
from churn_clv.segments.lists import look_alikes
from churn_clv.segments.schemes import without_dates
from churn_clv.train import noted, open_evidence, resolved_windows

GROUPS = 20


class Difference(NamedTuple):
    """Mean spend of the look-alikes less that of the others in their twentieths, and the same of expected spend."""

    compared: int
    mean: float
    difference: float
    error: float
    expected: float


def customers_of(path: str) -> tuple[pd.DataFrame, str]:
    """Return the customers outside tier A (risk_tier, expected_spend, spend, alike), and how many are alike in words."""
    notes: list[str] = []
    evidence = open_evidence(load_config(path), notes)
    windows = resolved_windows(evidence.config, evidence.log)
    end = windows.calibration_end
    with noted(notes):
        methods = choose(evidence, windows, lambda stage: None).methods
        models = fit_models(evidence, end, windows.labels, methods)
    scores = score(models, evidence.log, end, evidence.given)
    features = without_dates(known_to(models, evidence.log, end, evidence.given).features)
    top = scores["pareto_tier"] == "A"
    found = look_alikes(scores, features, top, seed=evidence.config.segments.seed)
    spend = outcomes_after(evidence.log, [LabelWindow(end, windows.horizon_days)]).droplevel("cutoff")["spend"]
    told = scores[["risk_tier", "expected_spend"]].join(spend).assign(alike=scores.index.isin(found.customers.index))
    return told[~top].sort_index(), found.words


def difference_of(rest: pd.DataFrame) -> Difference:
    """Hold each look-alike against the mean of the others in its twentieth; without two others there it is left out."""
    twentieth = pd.qcut(rest["expected_spend"].rank(method="first"), GROUPS, labels=False)
    alike, others = rest[rest["alike"]], rest[~rest["alike"]]
    theirs = others["spend"].groupby(twentieth).agg(["mean", "var", "count"]).query("count > 1")
    means = theirs.assign(expected=others["expected_spend"].groupby(twentieth).mean())
    own = twentieth[alike.index]
    alike = alike[own.isin(theirs.index)]
    beside = means.loc[own[alike.index]].set_axis(alike.index)
    gaps = alike["spend"] - beside["mean"]
    # The look-alikes of a twentieth are held against one mean: they share its error.
    share = own[alike.index].value_counts(normalize=True)
    error = float(np.sqrt(gaps.var() / len(gaps) + (share**2 * theirs["var"] / theirs["count"]).sum()))
    left = float((alike["expected_spend"] - beside["expected"]).mean())
    return Difference(len(gaps), float(alike["spend"].mean()), float(gaps.mean()), error, left)


def main() -> None:
    """Print the differences."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config")
    rest, words = customers_of(parser.parse_args().config)
    print(words)
    if not rest["alike"].any():
        return
    beside = {"all others": rest, "not of the highest risk": rest[(rest["risk_tier"] != "high") | rest["alike"]]}
    for name, customers in beside.items():
        found = difference_of(customers)
        print(
            f"{name:24s} look-alikes {found.compared}  mean {found.mean:.4g}  difference {found.difference:+.3g}  "
            f"standard error {found.error:.2g}  difference expected {found.expected:+.2g}"
        )


if __name__ == "__main__":
    main()
