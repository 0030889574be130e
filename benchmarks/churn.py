"""Fit and score the churn model beside scikit-learn's HistGradientBoostingClassifier, each in a process of its own.

    python benchmarks/churn.py --rows 1000000

The same simulated customers x 40 float32 features (a tenth of the values missing), the same leaves, learning rate and
number of rounds for all three: `lightgbm` is LightGBM alone, `churn_model` adds what `ChurnModel.fit` does beside: choose
the rounds on customers left out (five folds, one beyond 500,000 rows), then fit on all rows. One thread.
AUC is on a fifth as many fresh customers. Times leave the imports and the simulation out; memory includes them.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

FEATURES = 40
LEAVES, LEARNING_RATE, SMALLEST_LEAF = 31, 0.1, 20
WHO = ("churn_model", "lightgbm", "hist_gradient_boosting")
Scorer = Callable[[pd.DataFrame], np.ndarray]


def customers(rows: int, seed: int) -> tuple[pd.DataFrame, pd.Series]:
    """Return features and churn, which follows ten of the features with kinks and products."""
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((rows, FEATURES), dtype=np.float32)
    log_odds = values[:, :4] @ np.array([0.6, -0.5, 0.4, 0.3], dtype=np.float32) + (values[:, 4] > 0) * values[:, 5]
    log_odds += np.maximum(values[:, 6], 0) - np.abs(values[:, 7]) + 0.5 * (values[:, 8] > 1) * values[:, 9]
    churned = (rng.random(rows, dtype=np.float32) < 1 / (1 + np.exp(-log_odds))).astype(np.float32)
    values[rng.random((rows, FEATURES), dtype=np.float32) < 0.1] = np.nan
    index = pd.Index([f"{seed}-{k}" for k in range(rows)], name="customer_id")
    features = pd.DataFrame(values, index=index, columns=[f"x{k}" for k in range(FEATURES)], copy=False)
    return features, pd.Series(churned, index=index, name="churned")


def fit_churn_model(features: pd.DataFrame, churned: pd.Series, rounds: int) -> tuple[Scorer, int]:
    """Fit our own path, cross-validation and all."""
    from churn_clv.models.churn import ChurnModel

    model = ChurnModel(
        start="base_rate", num_leaves=LEAVES, learning_rate=LEARNING_RATE, min_data_in_leaf=SMALLEST_LEAF,
        feature_fraction=1.0, lambda_l2=0.0, max_rounds=rounds,
    )  # fmt: skip
    model.fit(features, churned)
    return lambda fresh: model.predict_probability(fresh).to_numpy(), model.rounds_


def fit_lightgbm(features: pd.DataFrame, churned: pd.Series, rounds: int) -> tuple[Scorer, int]:
    """Fit LightGBM alone."""
    import lightgbm

    settings = {
        "objective": "binary", "verbosity": -1, "deterministic": True, "force_row_wise": True, "num_threads": 1,
        "num_leaves": LEAVES, "learning_rate": LEARNING_RATE, "min_data_in_leaf": SMALLEST_LEAF,
    }  # fmt: skip
    booster = lightgbm.train(settings, lightgbm.Dataset(features, churned.to_numpy()), rounds)
    return booster.predict, rounds


def fit_hist_gradient_boosting(features: pd.DataFrame, churned: pd.Series, rounds: int) -> tuple[Scorer, int]:
    """Fit scikit-learn's trees."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    model = HistGradientBoostingClassifier(
        max_iter=rounds, learning_rate=LEARNING_RATE, max_leaf_nodes=LEAVES, min_samples_leaf=SMALLEST_LEAF,
        early_stopping=False,
    )  # fmt: skip
    model.fit(features, churned.to_numpy())
    return lambda fresh: model.predict_proba(fresh)[:, 1], rounds


def measure(who: str, rows: int, rounds: int) -> dict[str, Any]:
    """Fit, score the training's customers, and judge on fresh ones, in this process."""
    import lightgbm  # noqa: F401  (imported before the clock starts)
    import sklearn.ensemble  # noqa: F401
    from sklearn.metrics import roc_auc_score

    features, churned = customers(rows, seed=1)
    wall, begin = time.perf_counter(), time.process_time()
    scorer, trees = {"churn_model": fit_churn_model, "lightgbm": fit_lightgbm,
                     "hist_gradient_boosting": fit_hist_gradient_boosting}[who](features, churned, rounds)  # fmt: skip
    fitted = time.process_time()
    scorer(features)
    scored, wall = time.process_time(), time.perf_counter() - wall
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    fresh, outcome = customers(max(rows // 5, 1000), seed=2)
    auc = float(roc_auc_score(outcome, scorer(fresh)))
    return {"who": who, "fit": fitted - begin, "score": scored - fitted, "wall": wall, "peak": peak, "auc": auc,
            "trees": trees}  # fmt: skip


def in_child(who: str, rows: int, rounds: int) -> dict[str, Any]:
    """Measure in a fresh process, so that peak memory is one's own."""
    command = [sys.executable, __file__, "--only", who, "--rows", str(rows), "--rounds", str(rounds)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Run the race."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=137)
    parser.add_argument("--only", choices=WHO, help="measure this one in this process and print JSON")
    options = parser.parse_args()
    if options.only:
        print(json.dumps(measure(options.only, options.rows, options.rounds)))
        return
    found = {who: in_child(who, options.rows, options.rounds) for who in WHO}
    theirs = found["hist_gradient_boosting"]
    for who, figures in found.items():
        print(
            f"{who:22s} fit {figures['fit']:.1f} s  score {figures['score']:.1f} s  wall {figures['wall']:.1f} s  "
            f"peak {figures['peak']:.2f} GB  AUC {figures['auc']:.4f}  trees {figures['trees']}  "
            f"fit / scikit-learn's {figures['fit'] / theirs['fit']:.2f}",
            flush=True,
        )
    print(f"processor seconds; {options.rows} customers x {FEATURES} float32 features, {options.rounds} rounds at most")


if __name__ == "__main__":
    main()
