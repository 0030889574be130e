"""Customer equity: what the whole base is worth, and how far that total may be off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from churn_clv.evaluation.labels import Unit, percent
from churn_clv.models.gamma_gamma import GammaGammaModel
from churn_clv.models.prediction_intervals import clv_intervals, purchase_intervals
from churn_clv.models.purchase_model import PurchaseModel

DRAWS = 300
FEW_TOTALS = 6


@dataclass(frozen=True)
class Equity:
    """A total of CLV with its interval, and what the interval rests on.

    own_error: relative standard error by the model's own account. past_error: root mean square of the relative errors of
    the totals at so many past origins; missing where there was none.
    """

    total: float
    low: float
    high: float
    level: float
    own_error: float
    past_error: float
    origins: int

    def sentences(self, unit: Unit, horizon_days: int, clv_horizon_days: int) -> list[str]:
        """Say the total, the interval and what it rests on.

        Parameters
        ----------
        horizon_days, clv_horizon_days
            How far the past totals looked ahead, and how far CLV does.
        """
        ends = f"{unit.amount(self.low)} to {unit.amount(self.high)}"
        said = f"Customer equity, the CLV of all customers over {clv_horizon_days} days: {unit.amount(self.total)}"
        own = f"The model's own account (parameters, and customers' independent luck) is {percent(self.own_error, 1)}"
        if not self.origins:
            return [
                f"{said}, {percent(self.level)} interval {ends}.",
                f"{own}. No past total was compared with what came, so what hits all customers at once is not in the "
                "interval: it is too narrow.",
            ]
        totals = f"{self.origins} past totals" if self.origins > 1 else "one past total"
        how = "were off by" if self.origins > 1 else "was off by"
        mean = " (root mean square)" if self.origins > 1 else ""
        lines = [
            f"{said}, {percent(self.level)} interval {ends}.",
            f"{own}; {totals} of {horizon_days} days {how} {percent(self.past_error, 1)}{mean}, which is "
            f"taken to hold for {clv_horizon_days} days too.",
        ]
        if self.origins < FEW_TOTALS:
            lines.append(
                f"With {totals} the size of the error is itself hardly known; Student's t widens the interval for that, and more "
                "origins would narrow it."
            )
        return lines


def customer_equity(clv: pd.Series, own_error: float, biases: Sequence[float], level: float = 0.9) -> Equity:
    """Add up CLV and put an interval around the total.

    Customers are forecast as independent, so the model's own account of a total's error shrinks with their number,
    while seasons and crises hit them together: intervals made of the former alone hardly ever cover the total of a large
    base. So the error of past totals is added. It holds the model's own error once more, which errs on the wide side.
    Errors are taken to be log-normal around no bias; their size is known from few origins only, hence Student's t, with
    Welch and Satterthwaite's degrees of freedom.

    Parameters
    ----------
    clv
        One amount a customer, discounted, in the log's currency.
    own_error
        Relative standard error by the model's own account, from `own_error_of_total`.
    biases
        Forecast total over actual total, minus 1, one an origin; holdouts must not overlap. Missing ones are left out.
    level
        Probability inside the interval, equally much outside on both sides.

    Raises
    ------
    ValueError
        If a CLV is missing or negative, own_error is negative or missing, or a bias is -1 or less (a forecast of nothing).

    References
    ----------
    Gupta, Lehmann & Stuart (2004), Journal of Marketing Research 41(1), 7-18, for the total; Satterthwaite (1946),
    Biometrics Bulletin 2(6), 110-114.

    Examples
    --------
    >>> equity = customer_equity(pd.Series([60.0, 40.0]), 0.02, [0.05, -0.08, 0.1, 0.03])
    >>> round(equity.low), round(equity.total), round(equity.high)
    (86, 100, 116)
    """
    _check(clv, own_error, level)
    known = np.asarray([b for b in biases if np.isfinite(b)], dtype=float)
    if np.any(known <= -1):
        raise ValueError(
            f"{int((known <= -1).sum())} of {known.size} biases are -1 or less: a forecast total of nothing"
        )
    past = float(np.sqrt(np.mean(known**2))) if known.size else float("nan")
    half = _half_width(own_error, np.log1p(known), level)
    total = float(clv.sum())
    low, high = (total * float(np.exp(sign * half)) if total > 0 else 0.0 for sign in (-1, 1))
    return Equity(total, low, high, level, own_error, past, known.size)


def own_error_of_total(
    purchases: PurchaseModel,
    spend: GammaGammaModel | None,
    summary: pd.DataFrame,
    *,
    horizon: float,
    annual_discount_rate: float,
    periods_per_year: float,
    seed: int,
) -> float:
    """Return the relative standard error of the total CLV by the models' own account.

    Parameters and customers' own futures are drawn together; without a spend model purchases are counted, undiscounted.

    Parameters
    ----------
    summary
        frequency, recency, T, monetary_value and monetary_days of every customer.
    horizon
        In the summary's time unit, as are the others; see `clv_intervals`.
    """
    level, everybody = 0.9, pd.Series("all", index=summary.index)
    if spend is None:
        table = purchase_intervals(
            purchases, summary, horizon=horizon, level=level, size=DRAWS, seed=seed, groups=everybody
        )
    else:
        table = clv_intervals(
            purchases, spend, summary, horizon=horizon, level=level, size=DRAWS, seed=seed, groups=everybody,
            annual_discount_rate=annual_discount_rate, periods_per_year=periods_per_year,
        )  # fmt: skip
    low, high = table.loc["all", "lower"], table.loc["all", "upper"]
    # A base so small that it may well buy nothing at all has no logarithm to speak of.
    return float(np.log(high / low) / (2 * _quantile(level, np.inf))) if low > 0 else float("inf")


def _half_width(own: float, errors: np.ndarray, level: float) -> float:
    """Half the interval of the total's logarithm, given the errors of past logarithms."""
    past = float(np.mean(errors**2)) if errors.size else 0.0
    variance = own**2 + past
    freedom = errors.size * (variance / past) ** 2 if past > 0 else np.inf
    return float(np.sqrt(variance)) * _quantile(level, freedom)


def _quantile(level: float, freedom: float) -> float:
    from scipy.special import ndtri, stdtrit

    tail = (1 + level) / 2
    return float(ndtri(tail) if np.isinf(freedom) else stdtrit(freedom, tail))


def _check(clv: pd.Series, own: float, level: float) -> None:
    wrong = int((~(clv >= 0)).sum())
    if wrong:
        raise ValueError(
            f"clv: {wrong} of {len(clv)} customers have none or a negative one; want an amount of 0 or more"
        )
    if not own >= 0:
        raise ValueError(f"own_error is a relative standard error of 0 or more, got {own!r}")
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, got {level!r}")
