"""What a model promised of its customers beside what they did: in total, by tenth of risk, and by segment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from churn_clv.evaluation.calibration import calibration_error
from churn_clv.evaluation.figure_data import calibration_curve
from churn_clv.segments.outcomes import outcomes_by

PROMISED = ["churn_probability", "expected_purchases", "expected_spend"]
_Z = 1.959964
_BINS = 10


@dataclass(frozen=True)
class KeptPromise:
    """What became of a promise.

    Attributes
    ----------
    totals
        Indexed by no_purchase, purchases, spend (where it is not purchases again): promised and happened (totals; no_purchase counts customers),
        actual_to_expected with low and high (95 %), p_value (of a ratio as far from 1 if the promise was right).
    by_risk
        One row a group of equally many customers by promised risk: predicted, realised, low, high, customers.
    by_segment
        As `segments.outcomes.outcomes_by`.
    calibration_error, calibration_error_noise
        Mean gap over ten groups of risk, and what right probabilities stay under 999 times of 1,000 at this size.
    customers
        Number of customers it was made to.
    """

    totals: pd.DataFrame
    by_risk: pd.DataFrame
    by_segment: pd.DataFrame
    calibration_error: float
    calibration_error_noise: float
    customers: int


def judge_promise(
    promise: pd.DataFrame, happened: pd.DataFrame, segments: pd.Series, order: Sequence[str]
) -> KeptPromise:
    """Compare forecasts with outcomes of the same customers and days.

    Parameters
    ----------
    promise
        churn_probability, expected_purchases, expected_spend (currency), by customer id.
    happened
        purchases (purchase days) and spend (currency) over the same days, by the same ids.
    segments
        The segment in which each customer was when the promise was made; `order` names all of them.

    Raises
    ------
    ValueError
        If nobody is judged, the ids differ, or a figure is missing.
    """
    _check(promise, happened)
    judged = promise.join(happened).join(segments.rename("segment"))
    silent = (judged["purchases"] == 0).astype(float)
    pairs = {
        "no_purchase": (judged["churn_probability"], silent),
        "purchases": (judged["expected_purchases"], judged["purchases"]),
        "spend": (judged["expected_spend"], judged["spend"]),
    }
    if np.allclose(judged["expected_spend"], judged["expected_purchases"]) and np.allclose(
        judged["spend"], judged["purchases"]
    ):
        del pairs["spend"]  # a log without amounts counts purchases, and would say everything twice
    events = {"spend": float(judged["expected_purchases"].sum())}
    rows = {name: actual_to_expected(*pair, events=events.get(name)) for name, pair in pairs.items()}
    risk = judged["churn_probability"].to_numpy(float)
    error = calibration_error(silent.to_numpy(), risk, _BINS)(np.ones(risk.size))
    return KeptPromise(
        pd.DataFrame.from_dict(rows, orient="index").rename_axis("figure"),
        calibration_curve(silent, judged["churn_probability"]), outcomes_by(judged, "segment", order),
        error, error_by_chance(risk), len(judged),
    )  # fmt: skip


def actual_to_expected(expected: pd.Series, actual: pd.Series, events: float | None = None) -> dict[str, float]:
    """Return both totals and actual / expected with its 95 % interval over customers and its p-value.

    The interval is log-normal, with the linearised error of a ratio of sums over independent customers,
    sqrt(sum (a_i - R e_i)^2) / sum(a_i) on the log scale. It holds the luck of the customers, not the error of the
    model's parameters. Where nothing happened it reaches up to -ln(.025) / events, the most that no event of a Poisson
    number lets one believe.

    Parameters
    ----------
    events
        Number of events expected; without it the promised total.

    References
    ----------
    Cochran (1977), Sampling Techniques, 3rd ed., section 6.4 (error of a ratio estimate).

    Examples
    --------
    >>> found = actual_to_expected(pd.Series([1.0] * 400), pd.Series([0.0, 2.0] * 200))
    >>> [round(found[name], 3) for name in ("actual_to_expected", "low", "high")]
    [1.0, 0.907, 1.103]
    """
    promised, happened, n = float(expected.sum()), float(actual.sum()), len(actual)
    found = {"promised": promised, "happened": happened}
    if not promised > 0:
        return found | dict.fromkeys(["actual_to_expected", "low", "high", "p_value"], np.nan)
    ratio = happened / promised
    error = float(np.sqrt(((actual - ratio * expected) ** 2).sum() * n / max(n - 1, 1))) / promised
    return found | {"actual_to_expected": ratio} | _inferred(ratio, error, promised if events is None else events)


def _inferred(ratio: float, error: float, events: float) -> dict[str, float]:
    """The 95 % interval of a ratio, and how probable one as far from 1 is if it is 1."""
    if ratio == 0:
        return {"low": 0.0, "high": float(-np.log(0.025) / events), "p_value": float(min(2 * np.exp(-events), 1.0))}
    if ratio < 0 or error == 0:  # more refunded than spent: no logarithm
        return {"low": ratio - _Z * error, "high": ratio + _Z * error, "p_value": _two_sided(ratio - 1, error)}
    on_log_scale = error / ratio
    low, high = (ratio * float(np.exp(sign * _Z * on_log_scale)) for sign in (-1, 1))
    return {"low": low, "high": high, "p_value": _two_sided(float(np.log(ratio)), on_log_scale)}


def _two_sided(distance: float, error: float) -> float:
    from scipy.special import erfc

    return float(erfc(abs(distance) / error / np.sqrt(2))) if error > 0 else float(distance == 0)


def error_by_chance(risk: np.ndarray, bins: int = _BINS) -> float:
    """Return the calibration error that right probabilities stay under 999 times of 1,000.

    The gap of each group is normal with variance sum p (1 - p), so the error is a sum of half-normals, itself nearly normal:
    no draws, and as fast for millions. It is not the model's error of its parameters.

    Examples
    --------
    >>> round(error_by_chance(np.linspace(0, 1, 2357)), 3)
    0.036
    """
    edges = np.quantile(risk, np.linspace(0, 1, bins + 1)[1:-1])
    group = np.searchsorted(edges, risk, side="right")
    spread = np.sqrt(np.bincount(group, risk * (1 - risk), bins)) / risk.size
    mean, variance = np.sqrt(2 / np.pi) * spread.sum(), (1 - 2 / np.pi) * (spread**2).sum()
    return float(mean + 3.0902 * np.sqrt(variance))


def _check(promise: pd.DataFrame, happened: pd.DataFrame) -> None:
    if promise.empty or not promise.index.equals(happened.index) or not promise.index.is_unique:
        raise ValueError(f"promise ({len(promise)} rows) is empty or not indexed like outcomes ({len(happened)} rows)")
    missing = promise[PROMISED].join(happened[["purchases", "spend"]]).isna().any(axis=1)
    if missing.any():
        raise ValueError(f"a forecast or an outcome is missing for {int(missing.sum())} of {len(promise)} customers")
