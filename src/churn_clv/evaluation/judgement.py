"""The run judged on its holdout: every metric for the run and its rivals, and what that means in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from churn_clv.evaluation.bootstrap import bootstrap_weights, compare
from churn_clv.evaluation.calibration import ALLOWED, calibration_error_noise
from churn_clv.evaluation.drift import BaseRateDrift
from churn_clv.evaluation.metrics import VALUE_METRICS, churn_metrics
from churn_clv.evaluation.profit import RetentionCosts

RUN = "this_run"
DEFAULT_COSTS = RetentionCosts()
ROUNDING = 1e-9  # the run without trees is the purchase model, but for the last bits
# metric -> +1 where more is better, -1 where less is; the others have a target instead
DIRECTION = {
    "auc": 1, "average_precision": 1, "top_decile_lift": 1, "log_loss": -1, "brier": -1, "calibration_error": -1,
    "brier_skill": 1, "expected_maximum_profit": 1, "normalised_gini": 1, "top_10_percent_capture": 1,
    "top_20_percent_capture": 1, "spearman": 1, "rmse": -1, "mae": -1,
}  # fmt: skip
NAMES = {
    "bg_nbd": "BG/NBD alone", "mbg_nbd": "MBG/NBD alone",
    "bg_nbd_gamma_gamma": "BG/NBD with Gamma-Gamma",
    "mbg_nbd_gamma_gamma": "MBG/NBD with Gamma-Gamma",
    "pareto_nbd_gamma_gamma": "Pareto/NBD with Gamma-Gamma", "last_period": "the last period repeated",
    "logistic_rfm": "logistic regression on RFM", "last_purchase_rule": "the last-purchase rule",
    "textbook_ltv": "the textbook's LTV", "pareto_nbd": "Pareto/NBD alone", "purchase_model": "the purchase model alone",
    "offset_hybrid": "the offset hybrid", "btyd_features": "LightGBM with BTYD features",
    "lightgbm": "LightGBM alone", "lightgbm_monotone": "LightGBM with known signs",
    "average": "the average", "stack": "the stack", "hurdle": "the hurdle", "tweedie": "the Tweedie model",
    "two_part": "the two-part model",
}  # fmt: skip
CALIBRATED = "_calibrated"  # ends the name of a method with a calibrator on top
NAMES |= {f"{method}{CALIBRATED}": f"{name}, calibrated" for method, name in NAMES.items()}


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
    drift: BaseRateDrift | None = None
    counted_in: str = "spend"

    @property
    def calibration_error_allowed(self) -> float:
        """The calibration error that the run may have: .02, or the noise of right probabilities where that is more."""
        return max(ALLOWED, self.calibration_noise)

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
        """Say, on churn log loss and the order of value, who is better and whether by more than the error.

        For each task first every rival that beats the run, then the best one that it beats, then the others that it
        beats, then those that cannot be told from it.
        """
        gini = f"normalised Gini of {self.counted_in}"
        return [
            *_told("Churn", "log loss", self.churn.loc["log_loss"], DIRECTION["log_loss"]),
            *_told("Value", gini, self.value.loc["normalised_gini"], DIRECTION["normalised_gini"]),
        ]


def judge(
    judged: pd.DataFrame,
    outcomes: pd.DataFrame,
    rivals: Mapping[str, pd.DataFrame],
    *,
    bootstrap_samples: int,
    seed: int,
    intervals: Mapping[str, float] | None = None,
    costs: RetentionCosts = DEFAULT_COSTS,
    learned: pd.Series | None = None,
    counted_in: str = "spend",
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
    costs
        What a retention campaign costs and saves, for the expected maximum profit.
    learned
        1 where a customer of a past label bought nothing, else 0, indexed by (cutoff, customer_id), of labels as long as
        the holdout; without them nothing is said of a drift of the churn rate.
    counted_in
        What value is, for the sentences: spend, margin or purchases.

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
        compare(churn_metrics(costs), churned, risk, weights),
        compare(VALUE_METRICS, actual["purchases"].to_numpy(), column("expected_purchases"), weights),
        compare(VALUE_METRICS, actual["spend"].to_numpy(), column("expected_spend"), weights),
        len(judged),
        float(churned.mean()),
        calibration_error_noise(risk[RUN], seed),
        intervals or {},
        _drift(learned, churned),
        counted_in,
    )


def _verdict(row: pd.Series, direction: int) -> str:
    low, high = row["difference_low"], row["difference_high"]
    if low <= 0 <= high or max(-low, high) < ROUNDING:
        return "ties"
    return "wins" if row["difference"] * direction > 0 else "loses"


def _drift(learned: pd.Series | None, churned: np.ndarray) -> BaseRateDrift | None:
    if learned is None or learned.empty:
        return None
    customers = learned.index.unique("customer_id").size
    return BaseRateDrift(float(learned.mean()), customers, float(churned.mean()), churned.size)


def _told(task: str, unit: str, rows: pd.DataFrame, direction: int) -> list[str]:
    """Every rival's row in words, the strongest statement first, rivals of the same verdict in the order of their merit."""
    known = rows.drop(RUN)[np.isfinite(rows.drop(RUN)["difference"])]
    ordered = known.sort_values("value", ascending=direction < 0, kind="stable")
    by = {verdict: [(str(name), row) for name, row in ordered.iterrows() if _verdict(row, direction) == verdict]
          for verdict in ("loses", "wins", "ties")}  # fmt: skip
    lines = [_sentence(task, "this run loses to", unit, [rival]) for rival in by["loses"]]
    lines += [_sentence(task, "this run beats", unit, by["wins"][:1])] if by["wins"] else []
    lines += [_sentence(task, "this run also beats", unit, by["wins"][1:])] if by["wins"][1:] else []
    return lines + ([_sentence(task, "this run cannot be told from", unit, by["ties"])] if by["ties"] else [])


def _sentence(task: str, verb: str, unit: str, rivals: list[tuple[str, pd.Series]]) -> str:
    """One rival with the run's own figure; of several each with its figure and the difference only."""
    name, row = rivals[0]
    own = f"{row['value'] + row['difference']:.3f}"
    if len(rivals) == 1:
        return f"{task}: {verb} {NAMES.get(name, name)} ({unit} {own} against {row['value']:.3f}, {_difference(row)})."
    told = [f"{NAMES.get(name, name)} ({row['value']:.3f}, {_difference(row)})" for name, row in rivals]
    return f"{task}: {verb}, with {unit} {own}, {', '.join(told[:-1])} and {told[-1]}."


def _difference(row: pd.Series) -> str:
    low, high = row["difference_low"], row["difference_high"]
    return f"difference {row['difference']:+z.3f}, 95 % interval {low:+z.3f} to {high:+z.3f}"


def best_rival(values: pd.Series, metric: str) -> tuple[str, float]:
    """Return the name and value of the best model other than the run; on bias, of the one nearest to 0."""
    others = values.drop(RUN).dropna()
    others = -others.abs() if metric == "bias" else others * DIRECTION[metric]
    if others.empty:
        return "none", float("nan")
    return str(others.idxmax()), float(values[others.idxmax()])
