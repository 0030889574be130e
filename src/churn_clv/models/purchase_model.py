"""What every purchase model answers, in terms of a customer who is still alive."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from typing import ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from churn_clv.models.diagnosis import instant_repeaters
from churn_clv.models.distinct_rows import (
    Array,
    DistinctRows,
    Histories,
    distinct_rows,
    distinct_states,
    read_histories,
)
from churn_clv.models.fitted import FittedModel
from churn_clv.models.fitting import FEW_CUSTOMERS, Coordinates, Likelihood, Sample, covariance, search
from churn_clv.models.futures import Futures, simulate_summary, stream
from churn_clv.models.maximum_likelihood import Minimum, ModelWarning

BLOCK = 1 << 15  # customers whose arrays stay in the processor's cache


class PurchaseModel(FittedModel, ABC):
    """Purchases at the customer's own rate until an unseen dropout; subclasses say how a customer drops out.

    Models have no unit: recency, T and every horizon share the unit of the summary, whatever it is.
    """

    coordinates: ClassVar[Coordinates]
    sifting_rows: ClassVar[int] = 4000  # on so many rows the grid of starts is sifted

    def fit(self, summary: pd.DataFrame, weights: ArrayLike | pd.Series | None = None) -> Self:
        """Fit by maximum likelihood.

        Parameters
        ----------
        summary
            One row per customer with ``frequency`` (repeat purchases), ``recency`` and ``T`` (any one time unit).
        weights
            Optional weight per customer, a series by customer id or an array in the summary's order; a weight
            of 2 counts as two equal customers, 0 as none.

        Returns
        -------
        The model itself, with ``params_``, ``log_likelihood_`` (total, in the unit given), ``covariance_``,
        ``standard_errors_`` and ``diagnosis_`` (a sentence if the maximum lies on a boundary, else None).

        Raises
        ------
        ValueError
            If the summary is empty, has no observed time, or holds values that no model can mean.
        """
        histories = read_histories(summary, weights)
        unit = _mean_age(histories)
        rows = _rescaled(distinct_rows(histories), unit)
        sample = _sample(self._likelihood(rows), rows)
        end = self._search(rows, sample)
        return self._conclude(end, sample, rows, unit)

    def log_likelihood(self, summary: pd.DataFrame, weights: ArrayLike | pd.Series | None = None) -> float:
        """Return the total log-likelihood of a summary at the model's parameters, in the summary's time unit."""
        self._require_fit()
        rows = distinct_rows(read_histories(summary, weights))
        return self._likelihood(rows)(np.array(list(self.params_.values())))[0]

    def probability_alive(self, summary: pd.DataFrame) -> pd.Series:
        """Return each customer's probability of being active at T."""
        self._require_fit()
        h = read_histories(summary)
        return pd.Series(self._alive(h), index=summary.index, name="probability_alive")

    def expected_purchases(self, summary: pd.DataFrame, horizon: float) -> pd.Series:
        """Return each customer's expected purchases in (T, T + horizon]."""
        check_horizon(horizon)
        return self.weighted_expected_purchases(summary, np.array([horizon]), np.ones(1)).rename("expected_purchases")

    def weighted_expected_purchases(self, summary: pd.DataFrame, horizons: Array, factors: Array) -> pd.Series:
        """Return, per customer, the sum of factors times expected purchases up to each horizon.

        The expectation of a living customer depends on (frequency, T) only, so it is worked out once for each
        distinct pair, however many customers share it.
        """
        self._require_fit()
        check_horizon(horizons)
        h = read_histories(summary)
        x, T, place = distinct_states(h.frequency, h.age)
        mean = self._mean_if_alive(x[:, None], T[:, None], np.asarray(horizons, dtype=float)[None, :])
        return pd.Series((mean @ factors)[place] * self._alive(h), index=summary.index, name="purchases")

    def probability_no_purchase(self, summary: pd.DataFrame, horizon: float) -> pd.Series:
        """Return each customer's probability of buying nothing in (T, T + horizon]."""
        self._require_fit()
        check_horizon(horizon)
        h = read_histories(summary)
        x, T, place = distinct_states(h.frequency, h.age)
        # a sum of two chances, not 1 - P(some): tiny chances keep their digits
        alive, dead = self._alive_and_dead(h)
        none = dead + alive * self._pmf_if_alive(0.0, x, T, horizon)[place]
        return pd.Series(np.minimum(none, 1.0), index=summary.index, name="probability_no_purchase")

    def purchases_if_active(self, summary: pd.DataFrame, horizon: float) -> pd.Series:
        """Return each customer's expected purchases in the horizon given at least one.

        Being alive cancels from E[Y] / P(Y > 0), so the ratio is free of 0/0 for customers surely gone.
        """
        self._require_fit()
        check_horizon(horizon)
        h = read_histories(summary)
        x, T, place = distinct_states(h.frequency, h.age)
        mean = self._mean_if_alive(x, T, np.full(x.shape, float(horizon)))
        some = self._some_if_alive(x, T, horizon)
        ratio = np.maximum(np.divide(mean, some, out=np.ones_like(mean), where=some > 0), 1.0)
        return pd.Series(ratio[place], index=summary.index, name="purchases_if_active")

    def purchase_count_pmf(
        self, summary: pd.DataFrame | None, n: int | ArrayLike, horizon: float
    ) -> pd.Series | pd.DataFrame | float | Array:
        """Return the probability of n purchases in the horizon, per customer or for a new one (summary None).

        An array of n gives one column for each, or for a new customer an array.
        """
        self._require_fit()
        check_horizon(horizon)
        counts = _counts(n)
        h = _new_customer() if summary is None else read_histories(summary)
        x, T, place = distinct_states(h.frequency, h.age)
        alive, dead = self._alive_and_dead(h)
        pmf = np.zeros((place.size, counts.size))
        for column, k in enumerate(counts):
            pmf[:, column] = alive * self._pmf_if_alive(float(k), x, T, horizon)[place] + dead * (k == 0)
        if summary is None:
            return float(pmf[0, 0]) if np.ndim(n) == 0 else pmf[0]
        if np.ndim(n) == 0:
            return pd.Series(pmf[:, 0], index=summary.index, name="purchase_count_pmf")
        return pd.DataFrame(pmf, index=summary.index, columns=pd.Index(counts.astype(int), name="n"))

    def expected_purchases_new_customer(self, horizon: float | ArrayLike) -> float | Array:
        """Return the expected repeat purchases of a new customer up to the horizon (scalar or array)."""
        self._require_fit()
        check_horizon(horizon)
        t = np.asarray(horizon, dtype=float)
        zero = np.zeros(t.shape)
        mean = self._mean_if_alive(zero, zero, t) * self._alive(_new_customer())[0]
        return float(mean) if t.ndim == 0 else mean

    def discounted_expected_residual_purchases(
        self, summary: pd.DataFrame, annual_discount_rate: float, periods_per_year: float
    ) -> pd.Series:
        """Return the present value of one unit of money per future purchase, without an end (DERT).

        ``periods_per_year`` is the number of summary time units in a year (365.25 for days); the rate is
        compounded continuously at ln(1 + annual_discount_rate) / periods_per_year.
        """
        self._require_fit()
        delta = continuous_rate(annual_discount_rate, periods_per_year)
        if delta <= 0:
            raise ValueError("without a positive discount rate the residual value has no limit; give a horizon")
        h = read_histories(summary)
        x, T, place = distinct_states(h.frequency, h.age)
        value = self._dert_if_alive(x, T, delta)[place] * self._alive(h)
        return pd.Series(value, index=summary.index, name="discounted_expected_residual_purchases")

    def sample_purchases(self, summary: pd.DataFrame, horizon: float, size: int, seed: int) -> pd.DataFrame:
        """Draw purchase counts in the horizon from each customer's posterior predictive, one column per draw.

        The parameters are taken as known; `prediction_intervals` adds their uncertainty.
        """
        self._require_fit()
        check_horizon(horizon)
        if size < 0:
            raise ValueError(f"size must be 0 draws or more, got {size!r}")
        rng = stream(seed)
        h = read_histories(summary)
        alive = self._alive(h)
        draws = [self.draw_futures(h, rng, alive).counts(horizon, rng) for _ in range(size)]
        values = np.stack(draws, axis=1) if size else np.zeros((len(summary), 0), dtype=np.int64)
        return pd.DataFrame(values, index=summary.index, columns=pd.RangeIndex(size, name="draw"))

    def simulate(self, T: ArrayLike, seed: int, horizon: float | None = None) -> pd.DataFrame:
        """Draw one new customer per element of T and return their summary.

        Returns
        -------
        frequency, recency, T by customer_id; with a horizon also ``holdout_frequency``, the purchases in
        (T, T + horizon].
        """
        self._require_fit()
        ages = np.atleast_1d(np.asarray(T, dtype=float))
        if not np.all(np.isfinite(ages) & (ages >= 0)):
            raise ValueError(f"T must be finite and not negative, got {T!r}")
        check_horizon(0.0 if horizon is None else horizon)
        rng = stream(seed)
        zeros = np.zeros(ages.size)
        futures = self.draw_futures(Histories(zeros, zeros, zeros, None), rng)
        return simulate_summary(futures, ages, horizon, rng)

    def draw_futures(self, h: Histories, rng: np.random.Generator, alive: Array | None = None) -> Futures:
        """Draw each customer's rate and the end of her activity from the posterior (given P(alive), if known)."""
        active = rng.random(h.age.size) < (self._alive(h) if alive is None else alive)
        futures = self._futures_if_alive(h.frequency, h.age, rng)
        return Futures(futures.rate, np.where(active, futures.limit, 0.0), futures.lifetime)

    def _conclude(self, end: Minimum, sample: Sample, rows: DistinctRows, unit: float) -> Self:
        held, diagnosis = self._diagnose(end, rows)
        scale = np.array([unit if name in ("alpha", "beta") else 1.0 for name in self.parameter_names])
        self._settle(self.coordinates.to_params(end.theta) * scale)
        spread = covariance(end, sample, self.coordinates, held)
        self.covariance_ = self._frame(spread * np.outer(scale, scale))
        purchases = float(rows.weight @ rows.frequency)
        value = sample.likelihood(self.coordinates.to_params(end.theta))[0]
        self.log_likelihood_ = value - purchases * float(np.log(unit))
        self.n_customers_ = sample.weight
        self.diagnosis_ = diagnosis
        if diagnosis is not None:
            warnings.warn(diagnosis, ModelWarning, stacklevel=3)
        return self

    def _search(self, rows: DistinctRows, sample: Sample) -> Minimum:
        rate = max(float(rows.weight @ rows.frequency) / sample.weight, 1e-3)
        small = sample
        if rows.weight.size > 2 * self.sifting_rows:
            part = _every(rows, rows.weight.size // self.sifting_rows)
            small = _sample(self._likelihood(part), part)
        first, grid = self._starts(rate, few_customers=sample.weight < FEW_CUSTOMERS)
        if instant_repeaters(rows):
            grid = []  # the likelihood has a useless pole at alpha = 0: keep to the ordinary maximum
        return search(sample, small, self.coordinates, first, grid, self.prior)

    def _alive_and_dead(self, h: Histories) -> tuple[Array, Array]:
        odds = self._dead_log_odds(h.frequency, h.recency, h.age)
        with np.errstate(over="ignore"):
            return 1 / (1 + np.exp(odds)), 1 / (1 + np.exp(-odds))

    def _alive(self, h: Histories) -> Array:
        alive = np.empty_like(h.age)
        with np.errstate(over="ignore"):
            for begin in range(0, alive.size, BLOCK):
                at = slice(begin, begin + BLOCK)
                alive[at] = 1 / (1 + np.exp(self._dead_log_odds(h.frequency[at], h.recency[at], h.age[at])))
        return alive

    @abstractmethod
    def _likelihood(self, rows: DistinctRows) -> Likelihood: ...

    @abstractmethod
    def _starts(self, rate: float, few_customers: bool) -> tuple[Array, list[Array]]: ...

    @abstractmethod
    def _diagnose(self, end: Minimum, rows: DistinctRows) -> tuple[list[int], str | None]: ...

    @abstractmethod
    def _dead_log_odds(self, x: Array, t_x: Array, T: Array) -> Array: ...

    @abstractmethod
    def shortest_scale(self) -> float:
        """Return the shortest time, in the summary's unit, on which any customer's expected purchases bend."""

    @abstractmethod
    def _mean_if_alive(self, x: Array, T: Array, t: Array) -> Array: ...

    @abstractmethod
    def _some_if_alive(self, x: Array, T: Array, t: float) -> Array:
        """Return P(at least one purchase in t | alive at T)."""

    @abstractmethod
    def _pmf_if_alive(self, n: float, x: Array, T: Array, t: float) -> Array: ...

    @abstractmethod
    def _futures_if_alive(self, x: Array, T: Array, rng: np.random.Generator) -> Futures: ...

    @abstractmethod
    def _dert_if_alive(self, x: Array, T: Array, delta: float) -> Array: ...


def check_horizon(horizon: float | ArrayLike) -> None:
    """Refuse a horizon that is not a finite time of at least 0."""
    try:
        values = np.asarray(horizon, dtype=float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"horizon must be a number, in the summary's time unit; got {horizon!r}") from error
    if not np.all(np.isfinite(values) & (values >= 0)):
        raise ValueError(f"horizon must be finite and not negative, in the summary's time unit; got {horizon!r}")


def continuous_rate(annual_discount_rate: float, periods_per_year: float) -> float:
    """Return the continuous discount rate per summary time unit."""
    if not (np.isfinite(annual_discount_rate) and annual_discount_rate >= 0):
        raise ValueError(f"annual_discount_rate must be 0 or more, such as 0.1; got {annual_discount_rate!r}")
    if not (np.isfinite(periods_per_year) and periods_per_year > 0):
        raise ValueError(f"periods_per_year must be positive, such as 365.25 for days; got {periods_per_year!r}")
    return float(np.log1p(annual_discount_rate) / periods_per_year)


def _counts(n: int | ArrayLike) -> Array:
    counts = np.atleast_1d(np.asarray(n, dtype=float))
    if counts.ndim != 1 or not np.all(np.isfinite(counts) & (counts >= 0) & (counts == np.floor(counts))):
        raise ValueError(f"n must be whole numbers of purchases, got {n!r}")
    return counts


def _new_customer() -> Histories:
    return Histories(np.zeros(1), np.zeros(1), np.zeros(1), None)


def _mean_age(h: Histories) -> float:
    weight = np.ones_like(h.age) if h.weight is None else h.weight
    if not weight.sum() > 0:
        raise ValueError(f"the summary holds no customer to fit on ({h.age.size} rows); check the calibration window")
    mean = float(np.average(h.age, weights=weight))
    if not mean > 0:
        raise ValueError(f"T is 0 for all {h.age.size} customers: nothing was observed after the first purchase")
    return mean


def _rescaled(rows: DistinctRows, unit: float) -> DistinctRows:
    keep = rows.weight > 0
    if keep.all():
        return DistinctRows(rows.frequency, rows.recency_at, rows.age_at, rows.times / unit, rows.weight)
    return DistinctRows(
        rows.frequency[keep], rows.recency_at[keep], rows.age_at[keep], rows.times / unit, rows.weight[keep]
    )


def _every(rows: DistinctRows, step: int) -> DistinctRows:
    return DistinctRows(
        rows.frequency[::step], rows.recency_at[::step], rows.age_at[::step], rows.times, rows.weight[::step]
    )


def _sample(likelihood: Likelihood, rows: DistinctRows) -> Sample:
    return Sample(likelihood, float(rows.weight.sum()))
