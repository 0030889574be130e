"""The frames behind the figures of the models: what was fitted, how sure it is, and how it reads single customers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from churn_clv.data.windows import DAYS_PER_YEAR
from churn_clv.evaluation.figure_data import deciles
from churn_clv.models.clv import discounted_clv
from churn_clv.models.distinct_rows import Array
from churn_clv.models.fitted import FittedModel
from churn_clv.models.gamma_gamma import GammaGammaModel, spend_histories
from churn_clv.models.prediction_intervals import clv_intervals, purchase_intervals
from churn_clv.models.purchase_model import PurchaseModel

LEVEL = 0.9
DRAWS = 500
MOST_CUSTOMERS = 2_000
TOP = 20
SHOWN = 0.95  # of the customers; the few beyond would squeeze all others against the axis
# Histories are shown of the customers closest to these, in this order.
ALIVE = {"active": 0.95, "in doubt": 0.5, "probably gone": 0.05}


def means_by_silence(summary: pd.DataFrame, actual: pd.Series, forecasts: pd.DataFrame) -> pd.DataFrame:
    """Average holdout purchases, actual and by each forecast, over customers equally long silent.

    One-time and repeat buyers are apart, since purchase models treat them apart; either are cut into groups of about
    equally many by the days since their last purchase. Recency, from first to last purchase, is T less that silence.

    Parameters
    ----------
    summary
        frequency, recency and T (days) at the holdout's start, by customer_id.
    actual, forecasts
        Purchases in the holdout, by customer_id.

    Returns
    -------
    DataFrame, one row a group: repeat (bool), silence (mean, days), customers, actual, low and high (normal 95 %), and
    the columns of `forecasts`.
    """
    silence = summary["T"] - summary["recency"]
    known = forecasts.reindex(summary.index).assign(actual=actual.reindex(summary.index), silence=silence)
    parts = []
    for repeat, most in ((False, 4), (True, 7)):
        part = known[(summary["frequency"] > 0) == repeat]
        if not part.empty:
            parts.append(_grouped(part, most).assign(repeat=repeat))
    return pd.concat(parts, ignore_index=True)


def _grouped(part: pd.DataFrame, most: int) -> pd.DataFrame:
    edges = np.unique(np.quantile(part["silence"], np.linspace(0, 1, most + 1)[1:-1]))
    groups = part.groupby(np.searchsorted(edges, part["silence"]))
    means, customers = groups.mean(), groups.size()
    error = 1.96 * groups["actual"].std(ddof=1) / np.sqrt(customers)
    return means.assign(customers=customers, low=means["actual"] - error, high=means["actual"] + error)


def population(model: PurchaseModel) -> dict[str, Any]:
    """Return how the customers of a fitted purchase model differ, as distributions of scipy.stats.

    Returns
    -------
    Mapping of trait -> distribution: purchases_a_year (lambda), and dropout_probability (p, after a purchase) or
    dropouts_a_year (mu). The model's time unit is taken to be days.
    """
    from scipy.stats import beta, gamma

    p = model.params_
    rates = {"purchases_a_year": gamma(p["r"], scale=DAYS_PER_YEAR / p["alpha"])}
    if "s" in p:
        return rates | {"dropouts_a_year": gamma(p["s"], scale=DAYS_PER_YEAR / p["beta"])}
    return rates | {"dropout_probability": beta(p["a"], p["b"])}


def population_densities(model: PurchaseModel, points: int = 400) -> pd.DataFrame:
    """Return the densities of the customers' rates and dropout as fitted, up to what 95 % of customers have.

    Returns
    -------
    DataFrame with trait (see `population`), value, density (per unit of the value) and below (share of customers below).
    """
    tables = []
    for trait, traits in population(model).items():
        top = float(np.nan_to_num(traits.ppf(SHOWN)))
        # Even steps for the eye, quantiles so that even a spike has points.
        steps = np.r_[np.linspace(0, top, points)[1:], traits.ppf(np.linspace(0.001, SHOWN, points))]
        value = np.unique(steps[(steps > 0) & np.isfinite(steps)])
        with np.errstate(all="ignore"):
            columns = {"value": value, "density": traits.pdf(value), "below": traits.cdf(value)}
        tables.append(pd.DataFrame(columns).assign(trait=trait))
    return pd.concat(tables, ignore_index=True)[["trait", "value", "density", "below"]]


def population_traits(model: PurchaseModel) -> pd.DataFrame:
    """Return mean, median and the 90 % quantile of the customers' rates and dropout as fitted, by trait."""
    rows = {trait: [traits.mean(), traits.ppf(0.5), traits.ppf(0.9)] for trait, traits in population(model).items()}
    return pd.DataFrame.from_dict(rows, orient="index", columns=["mean", "median", "highest_tenth"]).astype(float)


def spend_density(summary: pd.DataFrame, model: GammaGammaModel, bins: int = 45) -> pd.DataFrame:
    """Count customers by mean spend per purchase day, actual and by Gamma-Gamma's marginal distribution.

    The expectation adds, over the customers, the probability of each bin given the number of days behind the mean. Bins
    are equally wide up to the 98 % quantile; the last row holds all that lies above.

    Parameters
    ----------
    summary
        monetary_value (currency) and monetary_days or frequency; customers without a positive mean take no part.

    Returns
    -------
    DataFrame with low and high (currency), actual and expected (customers).

    References
    ----------
    Fader & Hardie (2013), The Gamma-Gamma Model of Monetary Value, note 025, eq. 1a: given x, x m / v is beta prime with
    shapes p x and q.
    """
    from scipy.special import betainc

    x, m = spend_histories(summary)
    x, m = x[(x > 0) & (m > 0)], m[(x > 0) & (m > 0)]
    edges = np.linspace(0, np.quantile(m, 0.98), bins + 1)
    p, q, v = (model.params_[name] for name in ("p", "q", "v"))
    below = np.zeros(edges.size)
    for days, customers in zip(*np.unique(x, return_counts=True), strict=True):
        total = days * edges
        below += customers * betainc(p * days, q, total / (v + total))
    actual = np.searchsorted(np.sort(m), edges, side="right")
    counts = {"actual": np.diff(np.r_[actual, m.size]), "expected": np.diff(np.r_[below, m.size])}
    return pd.DataFrame({"low": edges, "high": np.r_[edges[1:], np.inf], **counts})


def parameter_intervals(models: Mapping[str, Sequence[FittedModel]], level: float = 0.95) -> pd.DataFrame:
    """Return the parameters of fitted models with their confidence intervals, made on the log scale.

    Parameters
    ----------
    models
        Stage (such as "judged") -> the models fitted then.

    Returns
    -------
    DataFrame with stage, model (class name), parameter, estimate, lower and upper; missing where the data, or the engine,
    determine no interval.
    """
    tables = []
    for stage, fitted in models.items():
        for model in fitted:
            with np.errstate(over="ignore", invalid="ignore"):
                table = model.confidence_intervals(level).rename_axis("parameter").reset_index()
            tables.append(table.assign(stage=stage, model=type(model).__name__))
    found = pd.concat(tables, ignore_index=True)
    unknown = ~(np.isfinite(found["upper"]) & (found["lower"] > 0))
    found.loc[unknown, ["lower", "upper"]] = np.nan
    return found[["stage", "model", "parameter", "estimate", "lower", "upper"]]


def model_customers(scores: pd.DataFrame) -> pd.Series:
    """Choose customers whose histories show how a purchase model reads purchases and silence.

    Of the repeat buyers whose frequency lies between the median and the 90 % quantile of all repeat buyers', those
    whose p_alive is closest to 0.95, 0.5 and 0.05, nobody twice; among equals the one with more purchases, then the
    first id.

    Returns
    -------
    Series of customer_id by the role's name; shorter where there are fewer such customers.
    """
    repeat = scores.loc[scores["frequency"] > 0, ["frequency", "p_alive"]].sort_index()
    if repeat.empty:
        return pd.Series(dtype=object, name="customer_id")
    left = repeat[repeat["frequency"].between(*repeat["frequency"].quantile([0.5, 0.9]))]
    chosen = {}
    for role, target in list(ALIVE.items())[: len(left)]:
        order = pd.DataFrame({"distance": (left["p_alive"] - target).abs().round(3), "fewer": -left["frequency"]})
        chosen[role] = order.sort_values(["distance", "fewer"], kind="stable").index[0]
        left = left.drop(index=chosen[role])
    return pd.Series(chosen, name="customer_id", dtype=object)


def alive_over_time(days: pd.Series, model: PurchaseModel, until: date) -> pd.DataFrame:
    """Follow the probability of being active of one customer from day to day, by what was known on each.

    Parameters
    ----------
    days
        Her purchase days, in order; the model's time unit is days.

    Returns
    -------
    DataFrame indexed by day: frequency, recency, T (days), p_alive and bought (whether it is a purchase day).
    """
    bought = pd.DatetimeIndex(pd.to_datetime(days))
    every = pd.date_range(bought[0], pd.Timestamp(until))
    so_far = np.searchsorted(bought.to_numpy(), every.to_numpy(), side="right")
    frame = pd.DataFrame({"frequency": so_far - 1.0}, index=every.rename("day"))
    frame["recency"] = (bought[so_far - 1] - bought[0]).days.to_numpy(float)
    frame["T"] = (every - bought[0]).days.to_numpy(float)
    return frame.assign(p_alive=model.probability_alive(frame), bought=every.isin(bought))


def clv_with_intervals(
    scores: pd.DataFrame, summary: pd.DataFrame, purchases: PurchaseModel, spend: GammaGammaModel | None, *,
    horizon: float, annual_discount_rate: float, seed: int,
) -> pd.DataFrame:  # fmt: skip
    """Return customers' CLV with 90 % prediction intervals: of the highest, and of some of every rank, without ids.

    Intervals are the purchase and spend model's own, widened or narrowed in proportion where the score corrects their
    mean; without amounts they are those of the purchases, undiscounted, in proportion too.

    Parameters
    ----------
    scores
        clv by customer_id.
    summary
        Of the same customers and day, in days.

    Returns
    -------
    DataFrame, highest CLV first: rank and tenth (1 the highest), clv, lower, upper, spread. It holds the 20 highest, and
    2,000 customers spread evenly over all ranks, or all where there are fewer; spread says who is one of these.
    """
    clv = scores["clv"].sort_index().sort_values(ascending=False, kind="stable")
    rank = pd.Series(np.arange(1, len(clv) + 1), index=clv.index)
    spread = np.unique(((np.arange(MOST_CUSTOMERS) + 0.5) * len(clv) / MOST_CUSTOMERS).astype(int))
    chosen = np.union1d(spread, np.arange(min(TOP, len(clv))))
    known = summary.loc[rank.index[chosen]]
    if spend is None:
        table = purchase_intervals(purchases, known, horizon=horizon, level=LEVEL, size=DRAWS, seed=seed)
        own = purchases.expected_purchases(known, horizon)
    else:
        table = clv_intervals(
            purchases, spend, known, horizon=horizon, level=LEVEL, size=DRAWS, seed=seed,
            annual_discount_rate=annual_discount_rate, periods_per_year=DAYS_PER_YEAR,
        )  # fmt: skip
        own = discounted_clv(
            purchases, spend, known, horizon=horizon,
            annual_discount_rate=annual_discount_rate, periods_per_year=DAYS_PER_YEAR,
        )  # fmt: skip
    mean = clv.loc[known.index]
    factor = (mean / own.where(own > 0)).fillna(0.0)
    places = rank.loc[known.index]
    columns = {
        "spread": np.isin(chosen, spread),
        "rank": places,
        "tenth": (places - 1) * 10 // len(clv) + 1,
        "clv": mean,
    }
    limits = {end: table[end] * factor for end in ("lower", "upper")}
    table = pd.DataFrame(columns | limits).reset_index(drop=True)
    return table[["rank", "tenth", "clv", "lower", "upper", "spread"]]


def clv_of_tenths(ranked: pd.DataFrame) -> pd.DataFrame:
    """Return the mean CLV and the mean limits of single customers by tenth, from `clv_with_intervals`."""
    return ranked[ranked["spread"]].groupby("tenth")[["clv", "lower", "upper"]].mean()


def lift_by_tenth(actual: pd.Series, predicted: pd.Series) -> pd.DataFrame:
    """Compare tenths of the customers, the highest predictions first, with the mean of everyone.

    Returns
    -------
    DataFrame indexed by decile: customers, lift (actual mean over everyone's), low and high (normal 95 %), expected
    (predicted mean over everyone's actual), cumulative (lift of this tenth and all before it).

    Raises
    ------
    ValueError
        If the actual total is not positive: there is nothing to compare with.

    Examples
    --------
    >>> lift_by_tenth(pd.Series([6.0, 2.0, 0.0, 0.0]), pd.Series([5.0, 3.0, 2.0, 1.0]))["cumulative"].round(2).tolist()
    [3.0, 2.0, 1.33, 1.0]
    """
    mean = float(actual.mean())
    if not mean > 0:
        raise ValueError(f"lift compares with a positive mean, but that of {len(actual)} customers is {mean!r}")
    table = deciles(actual, predicted)
    sums: Array = (table["actual"] * table["customers"]).cumsum().to_numpy()
    cumulative = sums / table["customers"].cumsum() / mean
    ratios = table[["low", "high", "expected"]] / mean
    return ratios.assign(customers=table["customers"], lift=table["lift"], cumulative=cumulative)
