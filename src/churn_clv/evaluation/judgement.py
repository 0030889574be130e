"""The run judged on its holdout: every metric for the run and its rivals, and what that means in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from churn_clv.evaluation.metrics import (
    CHURN_METRICS,
    VALUE_METRICS,
    bias,
    bootstrap_weights,
    calibration_error_noise,
    compare,
    mae,
    rmse,
)

RUN = "this_run"
# metric -> +1 where more is better, -1 where less is; the others have a target instead
DIRECTION = {
    "auc": 1, "average_precision": 1, "top_decile_lift": 1, "log_loss": -1, "brier": -1, "calibration_error": -1,
    "normalised_gini": 1, "top_10_percent_capture": 1, "spearman": 1, "rmse": -1, "mae": -1,
}  # fmt: skip
PURCHASE_METRICS = {"rmse": rmse, "mae": mae, "bias": bias}
NAMES = {
    "bg_nbd_gamma_gamma": "BG/NBD with Gamma-Gamma",
    "mbg_nbd_gamma_gamma": "MBG/NBD with Gamma-Gamma",
    "pareto_nbd_gamma_gamma": "Pareto/NBD with Gamma-Gamma", "last_period": "the last period repeated",
    "logistic_rfm": "logistic regression on RFM", "last_purchase_rule": "the last-purchase rule",
}  # fmt: skip


@dataclass(frozen=True)
class Judgement:
    """Metrics on the holdout, each table indexed by (metric, model) as `compare` returns it."""

    churn: pd.DataFrame
    purchases: pd.DataFrame
    value: pd.DataFrame
    customers: int
    churn_rate: float
    calibration_noise: float
    intervals: Mapping[str, float]

    def metrics(self) -> dict[str, float]:
        """Return the run's own metrics under stable names, standard errors under `<name>_se`."""
        named: dict[str, float] = {}
        for group, table in self.tables().items():
            for metric, row in table.xs(RUN, level="model").iterrows():
                named[f"{group}/{metric}"] = float(row["value"])
                named[f"{group}/{metric}_se"] = float(row["standard_error"])
        named |= {f"purchases/{name}": value for name, value in self.intervals.items()}
        named["churn/rate"] = self.churn_rate
        named["churn/calibration_error_noise_95"] = self.calibration_noise
        named["holdout/customers"] = float(self.customers)
        return {name: value for name, value in named.items() if np.isfinite(value)}

    def tables(self) -> dict[str, pd.DataFrame]:
        return {"churn": self.churn, "purchases": self.purchases, "value": self.value}

    def verdicts(self) -> list[tuple[str, str, str]]:
        """Return (task, rival, 'wins', 'loses' or 'ties') for the run on log loss and normalised Gini."""
        found = []
        for task, metric, table in (("churn", "log_loss", self.churn), ("value", "normalised_gini", self.value)):
            for rival, row in table.loc[metric].iterrows():
                if rival != RUN and np.isfinite(row["difference"]):
                    found.append((task, str(rival), _verdict(row, DIRECTION[metric])))
        return found

    def sentences(self) -> list[str]:
        """Say against each rival, on churn log loss and spend order, who is better and whether more than its error."""
        lines = []
        for task, metric, unit, table in (
            ("Churn", "log_loss", "log loss", self.churn),
            ("Value", "normalised_gini", "normalised Gini of spend", self.value),
        ):
            for rival, row in table.loc[metric].iterrows():
                if rival != RUN and np.isfinite(row["difference"]):
                    lines.append(f"{task}: this run {_in_words(row, DIRECTION[metric])} {NAMES.get(str(rival), rival)} ({unit} "
                                 f"{row['value'] + row['difference']:.3f} against {row['value']:.3f}, difference "
                                 f"{row['difference']:+.3f}, 95 % interval {row['difference_low']:+.3f} to "
                                 f"{row['difference_high']:+.3f}).")  # fmt: skip
        return lines


def judge(
    judged: pd.DataFrame,
    outcomes: pd.DataFrame,
    rivals: Mapping[str, pd.DataFrame],
    *,
    bootstrap_samples: int,
    seed: int,
    intervals: Mapping[str, float] | None = None,
) -> Judgement:
    """Compare the scores made at calibration_end with what happened.

    Parameters
    ----------
    judged
        Scores indexed by customer_id, made at calibration_end.
    outcomes
        purchases and spend of the same customers in the holdout.
    rivals
        Model name -> its churn_probability, expected_purchases and expected_spend, or some of them.
    intervals
        How well the purchase model's prediction intervals held, from `interval_quality`.

    Returns
    -------
    Judgement, with paired bootstrap errors over customers.

    Raises
    ------
    ValueError
        If a judged customer has no outcome, or a rival has no prediction for one.
    """
    for name, frame in {"outcomes": outcomes, **rivals}.items():
        missing = int((~judged.index.isin(frame.index)).sum())
        if missing:
            raise ValueError(f"{name}: {missing} of {len(judged)} judged customers are missing")
    actual = outcomes.reindex(judged.index)
    churned = (actual["purchases"] == 0).to_numpy().astype(float)
    weights = bootstrap_weights(len(judged), bootstrap_samples, seed)
    models = {RUN: judged, **rivals}

    def column(name: str) -> dict[str, np.ndarray]:
        return {m: f[name].reindex(judged.index).to_numpy(float) for m, f in models.items() if name in f.columns}

    risk = column("churn_probability")
    return Judgement(
        compare(CHURN_METRICS, churned, risk, weights),
        compare(PURCHASE_METRICS, actual["purchases"].to_numpy(), column("expected_purchases"), weights),
        compare(VALUE_METRICS, actual["spend"].to_numpy(), column("expected_spend"), weights),
        len(judged),
        float(churned.mean()),
        calibration_error_noise(risk[RUN], seed),
        intervals or {},
    )


def _verdict(row: pd.Series, direction: int) -> str:
    if row["difference_low"] <= 0 <= row["difference_high"]:
        return "ties"
    return "wins" if row["difference"] * direction > 0 else "loses"


def _in_words(row: pd.Series, direction: int) -> str:
    return {"wins": "beats", "loses": "loses to", "ties": "cannot be told from"}[_verdict(row, direction)]


def best_rival(values: pd.Series, metric: str) -> tuple[str, float]:
    """Return the name and value of the best model other than the run; on bias, of the one nearest to 0."""
    others = values.drop(RUN).dropna()
    others = -others.abs() if metric == "bias" else others * DIRECTION[metric]
    if others.empty:
        return "none", float("nan")
    return str(others.idxmax()), float(values[others.idxmax()])
