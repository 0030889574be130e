"""A small model as a release writes it: an offset hybrid that reads products, a category, a number and events.

`python tests/delivery/release_model.py tests/golden/release_0_1_0` wrote the folder that test_golden_release.py reads for
ever. It is never written again: a model of the first release has to be read by every later one.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from churn_clv.config import parse_config
from churn_clv.data.simulate import simulate_log
from churn_clv.delivery.model_folder import model_files
from churn_clv.fits import Evidence, Methods, fit_models
from churn_clv.models.calibrator import PlattCalibrator
from churn_clv.train import open_evidence, resolved_windows

CUSTOMERS = 300


def release_files() -> dict[str, str]:
    """Return the files of a model that was fitted on simulated customers."""
    with TemporaryDirectory() as scratch:
        evidence = _evidence(Path(scratch))
        windows, data = resolved_windows(evidence.config, evidence.log), evidence.config.data
        calibrator = PlattCalibrator.from_dict({"intercept": 0.1, "slope": 0.95, "note": None})
        methods = Methods("offset_hybrid", "average", evidence.config.churn.trees(), calibrator)
        models = fit_models(evidence, windows.calibration_end, windows.labels, methods)
    about = {"config": "release", "currency": "EUR", "trained_as_of": str(windows.calibration_end)}
    return model_files(models, data.column_names(), replace(data.reading_rules(), end=None), about)


def _evidence(place: Path) -> Evidence:
    log, rng = simulate_log(customers=CUSTOMERS, seed=21, arrival_days=300), np.random.default_rng(3)
    # Who lives in the south stops early, which the purchase model cannot know: else the trees would find nothing to add.
    number = log["customer_id"].astype(int)
    log = log[(number % 4 != 1) | (log["date"] < "2023-10-01")]
    log = log.assign(product=rng.choice(list("abcde"), len(log)), way=rng.choice(["web", "shop"], len(log)))
    log.to_parquet(place / "log.parquet")
    visits = log[["customer_id", "date"]].sample(frac=0.6, random_state=1)
    visits.assign(kind="visit").to_parquet(place / "events.parquet")
    ids = sorted(log["customer_id"].unique())
    region = [["north", "south", "über | den Wolken", None][int(k) % 4] for k in ids]
    given = pd.DataFrame({"customer_id": ids, "region": region, "distance": rng.gamma(2.0, 5.0, len(ids))})
    given.to_parquet(place / "attributes.parquet")
    content = {
        "name": "release",
        "data": {
            "path": str(place / "log.parquet"), "currency": "EUR", "columns": {"product_id": "product", "channel": "way"},
            "events": {"path": str(place / "events.parquet"), "kind": "kind"},
            "attributes": {"path": str(place / "attributes.parquet")},
        },
        "windows": {"calibration_end": date(2024, 5, 31), "holdout_end": date(2024, 11, 30)},
        "churn": {"max_rounds": 15, "learning_rate": 0.2, "num_leaves": 5, "min_data_in_leaf": 10, "folds": 2, "num_threads": 1},
    }  # fmt: skip
    return open_evidence(parse_config(content, source="release"), [])


if __name__ == "__main__":
    from churn_clv.delivery.atomic import whole_folder
    from churn_clv.delivery.model_folder import write_model

    with whole_folder(Path(sys.argv[1])) as partial:
        print(write_model(partial, release_files()))
