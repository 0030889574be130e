"""BG/BB: purchases at discrete opportunities, dropout between them."""

from __future__ import annotations

import warnings
from itertools import product
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from churn_clv.models.bgbb_future import OpportunityFuture
from churn_clv.models.bgbb_likelihood import OpportunityLikelihood, OpportunityRows, Whole, read_opportunities
from churn_clv.models.diagnosis import FAR, NO_REPEAT, ONE_CUSTOMER, conclude
from churn_clv.models.distinct_rows import Array
from churn_clv.models.fitted import FittedModel
from churn_clv.models.fitting import Coordinates, Sample, covariance, search
from churn_clv.models.futures import stream
from churn_clv.models.maximum_likelihood import Minimum, ModelWarning, to_log_scale
from churn_clv.models.purchase_model import continuous_rate

WIDEST = np.log(1e7)
SIFTING_ROWS = 500  # on so many distinct rows the grid of starts is sifted

TOO_FEW_OPPORTUNITIES = (
    "No customer had more than two opportunities: four parameters cannot be told apart; totals over the observed time "
    "can be used, nothing beyond it."
)
ALWAYS_BUY = (
    "Every customer buys at every opportunity until she leaves (alpha/(alpha+beta) runs to 1): predictions can be "
    "used, alpha and beta cannot."
)
EQUAL_BUYERS = (
    "The purchase probability does not differ between customers (alpha and beta run to infinity at a fixed ratio): "
    "predictions and the mean alpha/(alpha+beta) can be used, alpha and beta alone cannot."
)
POLARISED_BUYERS = (
    "Customers buy either at every opportunity or at none (alpha and beta run to 0 at a fixed ratio): predictions and "
    "the mean alpha/(alpha+beta) can be used, alpha and beta alone cannot."
)
NO_DROPOUT = (
    "No dropout in this data (gamma/(gamma+delta) runs to 0): predictions can be used for horizons like the observed "
    "time, gamma and delta cannot."
)
ALL_LEAVE = (
    "Every customer seems to leave at once (gamma/(gamma+delta) runs to 1): predictions can be used, gamma and delta "
    "cannot."
)
EQUAL_DROPOUT = (
    "The dropout probability does not differ between customers (gamma and delta run to infinity at a fixed ratio): "
    "predictions and the mean gamma/(gamma+delta) can be used, gamma and delta alone cannot."
)
POLARISED_DROPOUT = (
    "Customers either leave at once or never (gamma and delta run to 0 at a fixed ratio): predictions and the mean "
    "gamma/(gamma+delta) can be used, gamma and delta alone cannot."
)


# theta = (logit alpha/(alpha+beta), ln (alpha+beta), logit gamma/(gamma+delta), ln (gamma+delta))
def _to_params(theta: Array) -> Array:
    logit, spread = theta[::2], np.exp(theta[1::2])
    first, second = spread / (1 + np.exp(-logit)), spread / (1 + np.exp(logit))
    return np.column_stack([first, second]).ravel()


def _log_jacobian(theta: Array) -> Array:
    result = np.zeros((4, 4))
    for k in (0, 2):
        mean = 1 / (1 + np.exp(-theta[k]))
        result[k : k + 2, k : k + 2] = [[1 - mean, 1], [-mean, 1]]
    return result


def _by_theta(theta: Array, gradient: Array, hessian: Array) -> tuple[Array, Array]:
    g, h = to_log_scale(_to_params(theta), gradient, hessian)
    J = _log_jacobian(theta)
    h = J.T @ h @ J
    for k in (0, 2):
        mean = 1 / (1 + np.exp(-theta[k]))
        h[k, k] -= mean * (1 - mean) * (g[k] + g[k + 1])
    return J.T @ g, h


COORDINATES = Coordinates(
    names=("logit alpha/(alpha+beta)", "ln (alpha+beta)", "logit gamma/(gamma+delta)", "ln (gamma+delta)"),
    to_params=_to_params,
    by_theta=_by_theta,
    log_jacobian=_log_jacobian,
    lower=np.full(4, -WIDEST),
    upper=np.full(4, WIDEST),
    ordinary=(np.log([1e-4, 0.1, 1e-4, 0.1]), np.log([100.0, 1e4, 9.0, 1e4])),
    centre=np.array([np.nan, np.log(2.0), np.log(0.25), np.log(3.0)]),
)


class BetaGeoBetaBinomialModel(FittedModel):
    """BG/BB purchase model for opportunities that come one by one: years of giving, weekly deliveries, seasons.

    Before each opportunity an active customer leaves with probability theta ~ Beta(gamma, delta); if she stays she
    buys with probability p ~ Beta(alpha, beta). A summary has one row per customer: ``frequency`` (opportunities
    with a transaction), ``recency`` (number of the last of them, 0 without one) and ``n_opportunities``, all whole
    and without the first transaction, at opportunity 0. Every horizon is a number of opportunities.

    Parameters
    ----------
    prior
        Optional regulariser: the standard deviation of a normal prior on ln(alpha+beta), logit gamma/(gamma+delta)
        and ln(gamma+delta) around alpha+beta = 2, gamma/(gamma+delta) = 0.2, gamma+delta = 3. None, the default,
        is maximum likelihood.

    References
    ----------
    Fader, Hardie & Shang (2010), Customer-Base Analysis in a Discrete-Time Noncontractual Setting, Marketing
    Science 29(6), 1086-1108.

    Examples
    --------
    >>> import pandas as pd
    >>> model = BetaGeoBetaBinomialModel.from_params(alpha=1.204, beta=0.750, gamma=0.657, delta=2.783)
    >>> summary = pd.DataFrame({"frequency": [6, 0], "recency": [6, 0], "n_opportunities": [6, 6]}, index=["a", "b"])
    >>> model.expected_purchases(summary, horizon=5).round(2).to_dict()
    {'a': 3.75, 'b': 0.07}
    """

    parameter_names = ("alpha", "beta", "gamma", "delta")
    lifetimes_name = "BetaGeoBetaBinomFitter"

    def fit(self, summary: pd.DataFrame, weights: ArrayLike | pd.Series | None = None) -> Self:
        """Fit by maximum likelihood.

        Parameters
        ----------
        summary
            One row per customer (or per group of equal customers, with weights) with ``frequency``, ``recency``
            and ``n_opportunities``.
        weights
            Optional weight per row, a series by the summary's index or an array in its order; a weight of 2 counts
            as two equal customers, 0 as none.

        Returns
        -------
        The model itself, with ``params_``, ``log_likelihood_``, ``covariance_``, ``standard_errors_`` and
        ``diagnosis_`` (a sentence if the maximum lies on a boundary, else None).

        Raises
        ------
        ValueError
            If the summary is empty, has no opportunity, or holds values that no model can mean.
        """
        rows = _fittable(read_opportunities(summary, weights)[0])
        sample = _sample(rows)
        end = self._search(rows, sample)
        return self._conclude(end, sample, *_diagnose(end, rows))

    def log_likelihood(self, summary: pd.DataFrame, weights: ArrayLike | pd.Series | None = None) -> float:
        """Return the total log-likelihood of a summary at the model's parameters."""
        rows, _ = read_opportunities(summary, weights)
        return float(OpportunityLikelihood(rows).rows(self._four())[0] @ rows.weight)

    def probability_alive(self, summary: pd.DataFrame) -> pd.Series:
        """Return each customer's probability of being active at the next opportunity, n + 1.

        This is the paper's P(alive). It is below 1 for a customer who has just bought, since she may leave before
        the next opportunity.
        """
        active, future, place = self._outlook(summary)
        return pd.Series((active * future.still_there())[place], index=summary.index, name="probability_alive")

    def expected_purchases(self, summary: pd.DataFrame, horizon: int) -> pd.Series:
        """Return each customer's expected transactions at the next ``horizon`` opportunities."""
        m = _whole(horizon, "horizon", "opportunities")
        active, future, place = self._outlook(summary)
        return pd.Series((active * future.mean(m))[place], index=summary.index, name="expected_purchases")

    def probability_no_purchase(self, summary: pd.DataFrame, horizon: int) -> pd.Series:
        """Return each customer's probability of no transaction at the next ``horizon`` opportunities."""
        m = _whole(horizon, "horizon", "opportunities")
        active, future, place = self._outlook(summary)
        return pd.Series((1 - active * future.some(m))[place], index=summary.index, name="probability_no_purchase")

    def purchase_count_pmf(
        self, summary: pd.DataFrame | None, n: int | ArrayLike, horizon: int
    ) -> pd.Series | pd.DataFrame | float | Array:
        """Return the probability of n transactions in the horizon, per customer or for a new one (summary None).

        An array of n gives one column for each, or for a new customer an array.
        """
        m = _whole(horizon, "horizon", "opportunities")
        counts = _wholes(n, "n", "transactions")
        active, future, place = self._outlook(_new_customer() if summary is None else summary)
        pmf = active[:, None] * np.stack([future.pmf(int(k), m) for k in counts.ravel()], axis=1)
        pmf += (1 - active)[:, None] * (counts.ravel() == 0)
        if summary is None:
            return float(pmf[0, 0]) if counts.ndim == 0 else pmf[0]
        if counts.ndim == 0:
            return pd.Series(pmf[place, 0], index=summary.index, name="purchase_count_pmf")
        return pd.DataFrame(pmf[place], index=summary.index, columns=pd.Index(counts, name="n"))

    def expected_purchases_new_customer(self, horizon: int | ArrayLike) -> float | Array:
        """Return the expected transactions of a new customer at her first opportunities (scalar or array)."""
        m = _wholes(horizon, "horizon", "opportunities")
        _, future, _ = self._outlook(_new_customer())
        mean = future.mean(m)
        return float(mean[0]) if m.ndim == 0 else mean

    def discounted_expected_residual_purchases(
        self, summary: pd.DataFrame, annual_discount_rate: float, periods_per_year: float
    ) -> pd.Series:
        """Return the present value of one unit of money per future transaction, without an end (DERT).

        ``periods_per_year`` is the number of opportunities in a year; a transaction at the next opportunity is
        discounted by one period.
        """
        rate = float(np.expm1(continuous_rate(annual_discount_rate, periods_per_year)))
        if rate <= 0:
            raise ValueError("without a positive discount rate the residual value has no limit; give a horizon")
        active, future, place = self._outlook(summary)
        value = (active * future.residual(rate))[place]
        return pd.Series(value, index=summary.index, name="discounted_expected_residual_purchases")

    def sample_purchases(self, summary: pd.DataFrame, horizon: int, size: int, seed: int) -> pd.DataFrame:
        """Draw transaction counts in the horizon from each customer's posterior predictive, one column per draw.

        The parameters are taken as known.
        """
        m = _whole(horizon, "horizon", "opportunities")
        active, future, place = self._outlook(summary)
        rng = stream(seed)
        values = np.zeros((len(summary), size), dtype=np.int64)
        for draw in range(size):
            p, stays = future.draw(place, rng)
            here = rng.random(stays.size) < active[place]
            values[:, draw] = rng.binomial(np.where(here, np.minimum(stays, m), 0).astype(np.int64), p)
        return pd.DataFrame(values, index=summary.index, columns=pd.RangeIndex(size, name="draw"))

    def simulate(self, n_opportunities: ArrayLike, seed: int, horizon: int | None = None) -> pd.DataFrame:
        """Draw one new customer per element of ``n_opportunities`` and return their summary.

        Returns
        -------
        frequency, recency, n_opportunities by customer_id; with a horizon also ``holdout_frequency``, the
        transactions at the next ``horizon`` opportunities.
        """
        n = np.atleast_1d(_wholes(n_opportunities, "n_opportunities", "opportunities"))
        _, future, _ = self._outlook(_new_customer())
        rng = stream(seed)
        p, stays = future.draw(np.zeros(n.size, dtype=np.intp), rng)
        x, last = np.zeros_like(n), np.zeros_like(n)
        for i in range(1, int(n.max(initial=0)) + 1):
            buys = (rng.random(n.size) < p) & (i <= np.minimum(stays, n))
            x += buys
            last[buys] = i
        columns = {"frequency": x, "recency": last, "n_opportunities": n}
        if horizon is not None:
            left = np.clip(stays - n, 0, _whole(horizon, "horizon", "opportunities"))
            columns["holdout_frequency"] = rng.binomial(left.astype(np.int64), p)
        return pd.DataFrame(columns, index=pd.RangeIndex(n.size, name="customer_id"))

    def _outlook(self, summary: pd.DataFrame) -> tuple[Array, OpportunityFuture, Whole]:
        """Return, per distinct history, P(active at n) and the future if so, and each customer's place."""
        params = self._four()
        rows, place = read_opportunities(summary)
        total, active = OpportunityLikelihood(rows).rows(params)
        return np.minimum(np.exp(active - total), 1.0), OpportunityFuture.after(rows, params), place

    def _search(self, rows: OpportunityRows, sample: Sample) -> Minimum:
        small = sample
        if rows.x.size > 2 * SIFTING_ROWS:
            step = rows.x.size // SIFTING_ROWS
            small = _sample(OpportunityRows(rows.x[::step], rows.last[::step], rows.n[::step], rows.weight[::step]))
        first = _start(rows, 0.2, 2.0, 3.0)
        grid = [_start(rows, *point) for point in product((0.02, 0.2, 0.6), (0.5, 3.0, 30.0), (0.5, 3.0, 30.0))]
        return search(sample, small, COORDINATES, first, grid, self.prior)

    def _conclude(self, end: Minimum, sample: Sample, held: list[int], diagnosis: str | None) -> Self:
        params = COORDINATES.to_params(end.theta)
        self._settle(params)
        self.covariance_ = self._frame(covariance(end, sample, COORDINATES, held))
        self.log_likelihood_ = sample.likelihood(params)[0]
        self.n_customers_ = sample.weight
        self.diagnosis_ = diagnosis
        if diagnosis is not None:
            warnings.warn(diagnosis, ModelWarning, stacklevel=3)
        return self

    def _four(self) -> Array:
        self._require_fit()
        return np.array([self.params_[name] for name in self.parameter_names])


def _start(rows: OpportunityRows, leave: float, spread: float, leave_spread: float) -> Array:
    """Return a start whose mean purchase probability explains the transactions given the mean dropout.

    ``leave`` is for some six opportunities; where there are more, each has a smaller share of the dropout.
    """
    leave = -np.expm1(np.log1p(-leave) * min(1.0, 6 / np.average(rows.n, weights=rows.weight)))
    active = (1 - leave) * -np.expm1(rows.n * np.log1p(-leave)) / leave
    p = np.clip(rows.weight @ rows.x / (rows.weight @ active), 1e-4, 0.97)
    return np.array([np.log(p / (1 - p)), np.log(spread), np.log(leave / (1 - leave)), np.log(leave_spread)])


def _diagnose(end: Minimum, rows: OpportunityRows) -> tuple[list[int], str | None]:
    """Return the coordinates that are not identified and the sentences that say so."""
    if not rows.x.any():
        return [0, 1, 2, 3], NO_REPEAT
    if rows.weight.sum() <= 1:
        return [0, 1, 2, 3], ONE_CUSTOMER
    if rows.n.max() <= 2:
        return [0, 1, 2, 3], TOO_FEW_OPPORTUNITIES
    buy, buy_spread, leave, leave_spread = end.theta
    log_shapes = np.log(_to_params(end.theta))
    none = leave < -FAR - np.log(rows.n.max())  # of a thousand customers not one leaves in the observed time
    inside = leave <= FAR and not none
    found = [
        (ALWAYS_BUY, buy > FAR, [0, 1]),
        (EQUAL_BUYERS, buy <= FAR and log_shapes[:2].min() > FAR, [1]),
        (POLARISED_BUYERS, buy <= FAR and buy_spread < -FAR, [1]),
        (NO_DROPOUT, none, [2, 3]),
        (ALL_LEAVE, leave > FAR, [2, 3]),
        (EQUAL_DROPOUT, inside and log_shapes[2:].min() > FAR, [3]),
        (POLARISED_DROPOUT, inside and leave_spread < -FAR, [3]),
    ]
    return conclude(end, [(text, held) for text, true, held in found if true])


def _fittable(rows: OpportunityRows) -> OpportunityRows:
    """Leave out rows that say nothing, and refuse a summary in which nothing is left."""
    keep = (rows.weight > 0) & (rows.n > 0)
    if not keep.any():
        raise ValueError(
            f"the summary holds no customer to fit on ({rows.weight.sum():g} customers, none with an opportunity); "
            "check the calibration window"
        )
    return OpportunityRows(rows.x[keep], rows.last[keep], rows.n[keep], rows.weight[keep])


def _sample(rows: OpportunityRows) -> Sample:
    return Sample(OpportunityLikelihood(rows), float(rows.weight.sum()))


def _new_customer() -> pd.DataFrame:
    return pd.DataFrame({"frequency": [0], "recency": [0], "n_opportunities": [0]})


def _whole(value: int, name: str, unit: str) -> int:
    if np.ndim(value):
        raise ValueError(f"{name} must be one whole number of {unit}; got {value!r}")
    return int(_wholes(value, name, unit))


def _wholes(values: int | ArrayLike, name: str, unit: str) -> Whole:
    numbers = np.asarray(values, dtype=float)
    bad = int(np.count_nonzero(~(np.isfinite(numbers) & (numbers >= 0) & (numbers == np.floor(numbers)))))
    if bad:
        raise ValueError(
            f"{name} must be whole numbers of {unit}, 0 or more: {bad} of {numbers.size} are not ({values!r}); round them"
        )
    return numbers.astype(np.intp)
