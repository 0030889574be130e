"""Search LightGBM's settings of the churn model on customers left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
import pandas as pd

from churn_clv.models.boosting import Trees, check_alike, cross_validate, customer_folds, dataset, splits_of
from churn_clv.models.churn import ChurnModel, base_log_odds, log_losses

SEARCHED = ("learning_rate", "num_leaves", "min_data_in_leaf", "feature_fraction", "lambda_l2")


def search(
    features: pd.DataFrame,
    churned: pd.Series,
    offset: pd.Series | None,
    *,
    trials: int,
    seconds: float | None,
    seed: int,
    start: Literal["offset", "base_rate"] = "offset",
    fixed: Mapping[str, Any] | None = None,
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Search the settings of `ChurnModel` with the smallest log loss on customers left out.

    The defaults are the first trial, so that what is found is never worse there. That loss is the best of many and so
    a little too good: judge the settings on later labels.

    Parameters
    ----------
    features, churned, offset
        As for `ChurnModel.fit`.
    trials, seconds
        The budget: the number of trials, and the seconds after which none is begun. With seconds=None one seed always
        finds the same.
    start, fixed
        `ChurnModel`'s start, and settings that are not searched.

    Returns
    -------
    The settings searched, name -> value, and a DataFrame indexed by trial with those settings, rounds (trees) and
    log_loss (nats per row).

    Raises
    ------
    ValueError
        If the budget is not positive, there is one class only or a fold without customers, or as `ChurnModel.fit`.

    References
    ----------
    Bergstra et al. (2011), Advances in Neural Information Processing Systems 24: the sampler (TPE).
    """
    import optuna

    if trials < 1 or (seconds is not None and not seconds > 0):
        raise ValueError(f"trials and seconds must be positive, got {trials!r} and {seconds!r}")
    fixed = dict(fixed or {}) | {"start": start}
    loss = _LossOf(features, churned, offset, ChurnModel(**fixed))
    rows: list[dict[str, Any]] = []

    def objective(trial: optuna.Trial) -> float:
        settings = _suggested(trial, fixed)
        rounds, value = loss(ChurnModel(**fixed, **settings))
        rows.append({**settings, "rounds": rounds, "log_loss": value})
        return value

    with _silent():
        study = optuna.create_study(direction="minimize", sampler=optuna.samplers.TPESampler(seed=seed))
        study.enqueue_trial({name: value for name, value in ChurnModel().get_params().items() if name in SEARCHED})
        study.optimize(objective, n_trials=trials, timeout=seconds)
    table = pd.DataFrame(rows).rename_axis("trial")
    return dict(study.best_params), table


class _LossOf:
    """The log loss on customers left out, of any settings on one binned copy of the data."""

    def __init__(self, features: pd.DataFrame, churned: pd.Series, offset: pd.Series | None, model: ChurnModel) -> None:
        check_alike(features, churned, *([] if offset is None else [offset]))
        if (offset is None) != (model.start == "base_rate"):
            raise ValueError(f"start is {model.start!r}: an offset goes with start='offset' and only there")
        self.names = list(features.columns)
        self.churned = churned.to_numpy(float)
        fold_of = customer_folds(features.index, model.folds)
        if churned.nunique() < 2 or (np.bincount(fold_of, minlength=model.folds) == 0).any():
            raise ValueError(
                f"{len(churned)} labels of {churned.nunique()} classes cannot be searched on {model.folds} folds of customers"
            )
        self.splits = splits_of(fold_of, model.folds)
        self.start = np.full(len(features), base_log_odds(churned)) if offset is None else offset.to_numpy(float)
        self.encoded = Trees.reading(features).encode(features)
        # Features that no leaf of this size could use stay, as the next trial may allow smaller leaves.
        self.data = dataset(self.encoded, self.churned, self.start, feature_pre_filter=False)

    def __call__(self, model: ChurnModel) -> tuple[int, float]:
        settings = model.lightgbm_settings(self.names) | {"metric": "binary_logloss", "feature_pre_filter": False}
        rounds, added = cross_validate(settings, self.data, self.encoded, self.splits, model.max_rounds)
        tested = np.isfinite(added)
        return rounds, float(log_losses(self.churned[tested], (self.start + added)[tested]).mean())


def _suggested(trial: Any, fixed: Mapping[str, Any]) -> dict[str, Any]:
    ways = {
        "learning_rate": lambda name: trial.suggest_float(name, 0.01, 0.2, log=True),
        "num_leaves": lambda name: trial.suggest_int(name, 3, 63, log=True),
        "min_data_in_leaf": lambda name: trial.suggest_int(name, 5, 200, log=True),
        "feature_fraction": lambda name: trial.suggest_float(name, 0.3, 1.0),
        "lambda_l2": lambda name: trial.suggest_float(name, 0.01, 100.0, log=True),
    }
    return {name: suggest(name) for name, suggest in ways.items() if name not in fixed}


@contextmanager
def _silent() -> Iterator[None]:
    """Keep Optuna's line per trial off the terminal, and leave its verbosity as it was."""
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
