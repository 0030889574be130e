"""What a change of settings does on a holdout: the effect with its interval, and the smallest one that could have been seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from churn_clv.evaluation.bootstrap import bootstrap_weights, compare
from churn_clv.evaluation.judgement import DEFAULT_COSTS, DIRECTION, RUN
from churn_clv.evaluation.metrics import VALUE_METRICS, churn_metrics
from churn_clv.evaluation.weighted import Metric, Weighted

# task -> metric, with the least gain that matters in practice (the champion rule's, and a hundredth for others)
SHOWN: Mapping[tuple[str, str], float] = {
    ("churn", "log_loss"): 0.003,
    ("churn", "auc"): 0.003,
    ("value", "normalised_gini"): 0.005,
    ("value", "rmse"): 0.01,
    ("grid", "spend_explained"): 0.01,
    ("grid", "churn_explained"): 0.01,
}
# What a grid is judged by: the share of the variance of what came that lies between its cells (eta squared).
GRID = {"spend_explained": "spend", "churn_explained": "purchases"}
# An effect of so many standard errors is found in 80 of 100 trials by a two-sided test at 5 %: 1.96 + 0.84.
POWER = 2.80
COLUMNS = ["value", "reference", "gain", "gain_low", "gain_high", "smallest_visible", "paired", "decision"]


def paired_effects(variant: pd.DataFrame, reference: pd.DataFrame, *, samples: int, seed: int) -> pd.DataFrame:
    """Compare two runs on the same customers and the same outcomes.

    Parameters
    ----------
    variant, reference
        Judged frames of two runs: churn_probability, expected_spend, segment (of the grid), purchases and spend of the
        holdout, by customer id.
    samples, seed
        Of the bootstrap over customers, the same draws for both.

    Returns
    -------
    DataFrame indexed by (task, metric), with the columns COLUMNS: gain is positive where the variant is better (of rmse
    relative to the reference's), with a 95 % percentile interval; smallest_visible is the effect that this design would
    have found in four of five trials; decision is "better", "worse" (both perhaps
    "too little to matter"), "no difference seen" or, without any, "the same".

    Raises
    ------
    ValueError
        If customers or outcomes differ: use `unpaired_effects`.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> bought = rng.poisson(1, 400)
    >>> blind = pd.DataFrame({"churn_probability": 0.4, "expected_spend": 1.0, "purchases": bought, "spend": bought * 10.0})
    >>> blind["segment"] = "all"
    >>> seeing = blind.assign(churn_probability=np.where(bought > 0, 0.2, 0.8), expected_spend=bought + 0.1)
    >>> seeing["segment"] = np.where(bought > 0, "buyers", "others")
    >>> paired_effects(seeing, blind, samples=50, seed=1)["decision"].tolist()
    ['better', 'better', 'better', 'better', 'better', 'better']
    """
    if not comparable(variant, reference):
        raise ValueError("the runs were judged on other customers or outcomes: they cannot be paired")
    actual = reference[["purchases", "spend"]]
    weights = bootstrap_weights(len(actual), samples, seed)
    rows = {}
    for (task, metric), least in SHOWN.items():
        truth, column = _truth(task, metric, actual)
        both = {"v": _told(variant, column, actual.index), "r": _told(reference, column, actual.index)}
        table = compare({metric: _measure(task, metric)}, truth, both, weights).loc[metric]
        values = table["value"]
        gains = _gains(metric, table.loc["r"], values["r"])
        rows[(task, metric)] = _row(values["v"], values["r"], *gains, True, least)
    return _table(rows)


def unpaired_effects(variant: Mapping[str, pd.DataFrame], reference: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Compare two runs by their metric tables (task -> table of a judgement), where holdouts or customers differ.

    The interval adds both standard errors as independent ones, so it is wider than that of `paired_effects`; columns are
    the same.
    """
    rows = {}
    for (task, metric), least in SHOWN.items():
        if task == "grid":
            continue
        (v, v_error), (r, r_error) = (
            table[task].loc[(metric, RUN), ["value", "standard_error"]] for table in (variant, reference)
        )
        scale = 1 / r if metric == "rmse" else 1.0
        gain, half = DIRECTION[metric] * scale * (v - r), 1.96 * scale * float(np.hypot(v_error, r_error))
        rows[(task, metric)] = _row(v, r, gain, gain - half, gain + half, False, least)
    return _table(rows)


def against_rival(tables: Mapping[str, pd.DataFrame], rivals: Mapping[Any, str]) -> pd.DataFrame:
    """Compare a run with a baseline that was judged beside it; rivals: task -> name in the run's own tables."""
    rows = {}
    for (task, metric), least in SHOWN.items():
        if task not in rivals or (metric, rivals[task]) not in tables[task].index:
            continue
        row = tables[task].loc[(metric, rivals[task])]
        gains = _gains(metric, row, row["value"])
        rows[(task, metric)] = _row(row["value"] + row["difference"], row["value"], *gains, True, least)
    return _table(rows)


def _gains(metric: str, row: pd.Series, reference: float) -> tuple[float, float, float]:
    """The difference of a row of `compare` and its interval, positive where the first model is better."""
    scale = DIRECTION.get(metric, 1) * (1 / reference if metric == "rmse" else 1.0)
    gain, *ends = scale * row[["difference", "difference_low", "difference_high"]].to_numpy(float)
    return float(gain), float(min(ends)), float(max(ends))


def comparable(variant: pd.DataFrame, reference: pd.DataFrame) -> bool:
    """Whether two judged frames are about the same customers and what they did."""
    if not variant.index.sort_values().equals(reference.index.sort_values()):
        return False
    did = ["purchases", "spend"]
    return bool(np.allclose(variant[did].reindex(reference.index), reference[did]))


def effect_sentence(name: str, task: str, metric: str, row: pd.Series) -> str:
    """Say one effect in words: decision, size, interval, and, where none was seen, what could have been seen.

    Examples
    --------
    >>> row = pd.Series({"gain": 0.001, "gain_low": -0.002, "gain_high": 0.004, "smallest_visible": 0.0043,
    ...                  "decision": "no difference seen", "paired": True})
    >>> effect_sentence("repeat days", "churn", "log_loss", row)
    'repeat days, churn log loss: no difference seen (gain +0.0010, 95 % -0.0020 to +0.0040); 0.0043 would have been.'
    """
    if row["decision"] == SAME:
        return f"{name}, {task} {metric.replace('_', ' ')}: the same."
    text = f"{name}, {task} {metric.replace('_', ' ')}: {row['decision']} (gain {row['gain']:+z.4f}, 95 % "
    text += f"{row['gain_low']:+z.4f} to {row['gain_high']:+z.4f}{'' if row['paired'] else ', not paired'})"
    return f"{text}; {row['smallest_visible']:.4f} would have been." if row["decision"] == NOTHING else f"{text}."


NOTHING, SAME = "no difference seen", "the same"


def _row(
    value: float, reference: float, gain: float, low: float, high: float, paired: bool, least: float
) -> list[object]:
    if max(abs(low), abs(high)) < 1e-12:
        decision = SAME
    elif low <= 0 <= high:
        decision = NOTHING
    else:
        decision = ("better" if gain > 0 else "worse") + (", too little to matter" if abs(gain) < least else "")
    return [value, reference, gain, low, high, POWER * (high - low) / (2 * 1.96), paired, decision]


def _table(rows: Mapping[tuple[str, str], list[object]]) -> pd.DataFrame:
    index = pd.MultiIndex.from_tuples(rows, names=["task", "metric"])
    return pd.DataFrame(list(rows.values()), index=index, columns=COLUMNS)


def _truth(task: str, metric: str, actual: pd.DataFrame) -> tuple[np.ndarray, str]:
    if task == "grid":
        values = actual[GRID[metric]]
        return (values if metric == "spend_explained" else values == 0).to_numpy(float), "segment"
    if task == "churn":
        return (actual["purchases"] == 0).to_numpy(float), "churn_probability"
    return actual["spend"].to_numpy(float), "expected_spend"


def _told(judged: pd.DataFrame, column: str, customers: pd.Index) -> np.ndarray:
    """What a run says of each customer; segments as numbers."""
    said = judged[column].reindex(customers)
    return pd.factorize(said)[0].astype(float) if column == "segment" else said.to_numpy(float)


def _measure(task: str, metric: str) -> Metric:
    if task == "grid":
        return explained
    return (churn_metrics(DEFAULT_COSTS) if task == "churn" else VALUE_METRICS)[metric]


def explained(actual: np.ndarray, groups: np.ndarray) -> Weighted:
    """Prepare the share of the variance of `actual` between groups: eta squared.

    Examples
    --------
    >>> evaluate = explained(np.array([1.0, 1.0, 3.0, 5.0]), np.array([0.0, 0.0, 1.0, 1.0]))
    >>> round(evaluate(np.ones(4)), 3)
    0.818
    """
    codes = groups.astype(int)

    def evaluate(weights: np.ndarray) -> float:
        people, money = np.bincount(codes, weights), np.bincount(codes, weights * actual)
        mean = money.sum() / people.sum()
        between = (money[people > 0] ** 2 / people[people > 0]).sum() - people.sum() * mean**2
        total = (weights * (actual - mean) ** 2).sum()
        return float("nan") if total <= 0 else float(between / total)

    return evaluate
