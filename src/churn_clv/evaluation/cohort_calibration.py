"""Whether the forecasts held for every acquisition cohort, and whether the purchase model fits each one's past."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import pandas as pd

from churn_clv.evaluation.labels import estimate, rounded
from churn_clv.models.purchase_model import PurchaseModel
from churn_clv.segments.grid import wilson
from churn_clv.segments.retention import members

# A mean of a handful of buyers is so skewed that a normal interval would promise too much.
FEWEST_BUYERS = 5
INSIDE, OUTSIDE, TOO_FEW = "inside", "outside", "too few"
_WORDS: Mapping[str, str] = MappingProxyType(
    {"churn": "Churn", "purchases": "Purchases a customer", "spend": "{noun} a customer", "repeats": "Fit, repeat purchases a customer"}
)  # fmt: skip


def cohort_calibration(judged: pd.DataFrame, outcomes: pd.DataFrame, cohorts: pd.Series) -> pd.DataFrame:
    """Compare the forecasts for each cohort with what its members did in the holdout.

    Parameters
    ----------
    judged
        Scores made at the holdout's start: churn_probability, expected_purchases, expected_spend (currency).
    outcomes
        purchases and spend (currency) in the holdout of every judged customer.
    cohorts
        Customer -> cohort, from `cohort_of`.

    Returns
    -------
    DataFrame indexed by cohort: customers, and for churn, purchases and spend (means a customer) <name>_forecast,
    <name>_realised, <name>_low and <name>_high (95 % interval of the realised mean: Wilson's for churn, the normal one for
    the others) and <name>_verdict: "inside" or "outside" that interval, or "too few" where fewer than five members bought.
    One cohort in twenty is outside by chance under a right model.

    Raises
    ------
    ValueError
        If a judged customer has no cohort or no outcome.
    """
    here, did = members(judged, cohorts), outcomes.reindex(judged.index)
    missing = int(did[["purchases", "spend"]].isna().any(axis=1).sum())
    if missing:
        raise ValueError(f"{missing} of {len(judged)} judged customers have no outcome; pass those of their holdout")
    buyers = (did["purchases"] > 0).groupby(here).sum()
    parts = [
        _churn(judged["churn_probability"], did["purchases"] == 0, here),
        _means("purchases", judged["expected_purchases"], did["purchases"], here, buyers),
        _means("spend", judged["expected_spend"], did["spend"], here, buyers),
    ]
    return pd.concat([here.groupby(here).size().rename("customers"), *parts], axis=1).rename_axis("cohort")


def cohort_fit(judged: pd.DataFrame, cohorts: pd.Series, model: PurchaseModel) -> pd.DataFrame:
    """Compare each cohort's repeat purchases so far with those a purchase model expects of new customers of its age.

    A cohort outside has customers of another kind than the one set of parameters describes: a promotion, a season, a
    log that begins in the middle of a business.

    Parameters
    ----------
    judged
        frequency (repeat purchases) and T (days since the first purchase) at calibration_end, one row a customer.
    model
        Fitted on the same customers: a single cohort off while the whole base agrees is a cohort of another kind.

    Returns
    -------
    DataFrame indexed by cohort: customers, repeats_forecast (E[X(T)] of a new customer, mean over the members),
    repeats_realised with repeats_low, repeats_high and repeats_verdict as in `cohort_calibration`.

    References
    ----------
    Fader, Hardie & Lee (2005), Marketing Science 24(2), equation 9.
    """
    here = members(judged, cohorts)
    ages, place = np.unique(judged["T"].to_numpy(float), return_inverse=True)
    expected = pd.Series(np.asarray(model.expected_purchases_new_customer(ages))[place], index=judged.index)
    buyers = (judged["frequency"] > 0).groupby(here).sum()
    table = _means("repeats", expected, judged["frequency"], here, buyers)
    return table.assign(customers=here.groupby(here).size())[["customers", *table.columns]].rename_axis("cohort")


def calibration_sentences(table: pd.DataFrame, noun: str = "spend") -> list[str]:
    """Say how many cohorts are inside and name those outside, one sentence a measure of the table.

    What happened to all cohorts together stands beside it: where the whole base was off, so are many cohorts.

    Examples
    --------
    >>> figures = {"customers": 99, "churn_forecast": 0.5, "churn_realised": 0.7, "churn_low": 0.6, "churn_high": 0.78}
    >>> print(calibration_sentences(pd.DataFrame([figures | {"churn_verdict": "outside"}], index=["1997-01"]))[0])
    Churn: 0 of 1 cohorts inside the 95 % interval of what happened; all together forecast 0.5, was 0.7;
    outside: 1997-01 forecast 0.5, was 0.70 (0.60 to 0.78).
    """
    return [
        _sentence(words.format(noun=noun.capitalize()), name, table)
        for name, words in _WORDS.items()
        if f"{name}_verdict" in table.columns
    ]


def _sentence(words: str, name: str, table: pd.DataFrame) -> str:
    verdict = table[f"{name}_verdict"]
    told = int((verdict != TOO_FEW).sum())
    text = f"{words}: {int((verdict == INSIDE).sum())} of {told} cohorts inside the 95 % interval of what happened"
    text += f" ({len(table) - told} with too few buyers to tell)" if told < len(table) else ""
    forecast, realised = (
        np.average(table[f"{name}_{end}"], weights=table["customers"]) for end in ("forecast", "realised")
    )
    text += f"; all together forecast {rounded(forecast)}, was {rounded(realised)}"
    ends = ("realised", "low", "high")
    outside = [
        f"{cohort} forecast {rounded(row[f'{name}_forecast'])}, was {estimate(*(row[f'{name}_{end}'] for end in ends))}"
        for cohort, row in table[verdict == OUTSIDE].iterrows()
    ]
    return f"{text}; outside: {'; '.join(outside)}." if outside else f"{text}."


def _churn(risk: pd.Series, churned: pd.Series, here: pd.Series) -> pd.DataFrame:
    realised, n = churned.astype(float).groupby(here).mean(), here.groupby(here).size()
    low, high = wilson(realised, n)
    return _compared("churn", risk.groupby(here).mean(), realised, low, high)


def _means(name: str, forecast: pd.Series, actual: pd.Series, here: pd.Series, buyers: pd.Series) -> pd.DataFrame:
    groups = actual.astype(float).groupby(here)
    mean = groups.mean()
    floor = -np.inf if name == "spend" else 0.0  # refunds may exceed spend, purchases cannot be negative
    half = (1.96 * groups.std(ddof=1) / np.sqrt(groups.size())).where(buyers >= FEWEST_BUYERS)
    return _compared(name, forecast.groupby(here).mean(), mean, (mean - half).clip(lower=floor), mean + half)


def _compared(name: str, forecast: pd.Series, realised: pd.Series, low: pd.Series, high: pd.Series) -> pd.DataFrame:
    inside = np.where((low <= forecast) & (forecast <= high), INSIDE, OUTSIDE)
    verdict = pd.Series(inside, index=forecast.index).where(low.notna(), TOO_FEW)
    columns = {"forecast": forecast, "realised": realised, "low": low, "high": high, "verdict": verdict}
    return pd.DataFrame(columns).add_prefix(f"{name}_")
