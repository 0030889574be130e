"""Gamma-Gamma: spend per purchase, independent of how often a customer buys."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from churn_clv.models import spend_coordinates
from churn_clv.models.binned_spend import BinnedSpend
from churn_clv.models.diagnosis import diagnose_spend
from churn_clv.models.distinct_rows import Array, column, read_weights
from churn_clv.models.fitted import FittedModel
from churn_clv.models.fitting import Sample, covariance, search
from churn_clv.models.futures import stream
from churn_clv.models.maximum_likelihood import Minimum, ModelWarning
from churn_clv.models.spend_coordinates import COORDINATES

INDEPENDENCE_LIMIT = 0.3


@dataclass(frozen=True)
class Correlation:
    """Pearson's correlation of frequency and mean spend over ``n_customers``, with its conclusion in words."""

    value: float
    n_customers: int
    conclusion: str


class GammaGammaModel(FittedModel):
    """Spend model: purchases z ~ Gamma(p, nu) of a customer with nu ~ Gamma(q, v).

    The number of purchases behind a customer's mean is the summary's ``monetary_days``, or ``frequency`` where
    that column is absent. Customers without such a purchase take no part in the fit and are expected to spend the
    population mean; customers whose mean is not positive are left out of the fit and counted in ``n_left_out_``.

    Parameters
    ----------
    prior
        Optional regulariser: the standard deviation of a normal prior on ln p and ln q around p = 3, q = 3.5.

    References
    ----------
    Fader & Hardie (2013), The Gamma-Gamma Model of Monetary Value, note 025, eq. 1a, 2 and 5;
    Fader, Hardie & Lee (2005), Journal of Marketing Research 42(4), 415-430.

    Examples
    --------
    >>> import pandas as pd
    >>> model = GammaGammaModel.from_params(p=6.25, q=3.74, v=15.44)
    >>> summary = pd.DataFrame({"frequency": [2, 0], "monetary_value": [22.35, 0.0]}, index=["c1", "c2"])
    >>> model.expected_spend(summary).round(2).to_dict()
    {'c1': 24.66, 'c2': 35.22}
    """

    parameter_names = ("p", "q", "v")
    lifetimes_name = "GammaGammaFitter"
    n_left_out_: int

    def fit(self, summary: pd.DataFrame, weights: ArrayLike | pd.Series | None = None) -> Self:
        """Fit by maximum likelihood.

        Parameters
        ----------
        summary
            One row per customer with ``monetary_value`` (mean spend per purchase day, any currency) and the number
            of days behind it: ``monetary_days``, else ``frequency``.
        weights
            Optional weight per customer, as in the purchase models.

        Raises
        ------
        ValueError
            If no customer has a positive mean of at least one purchase, or values are missing or negative.
        """
        x, m = spend_histories(summary)
        weight = read_weights(summary, weights)
        with_purchase = (x > 0) if weight is None else (x > 0) & (weight > 0)
        used = with_purchase & (m > 0)
        left_out = with_purchase & ~used
        self.n_left_out_ = int(left_out.sum() if weight is None else weight[left_out].sum())
        if not used.any():
            raise ValueError(
                f"no customer to fit spend on: of {x.size} customers {int(with_purchase.sum())} have a purchase "
                "behind their mean and none of those a positive mean; use a longer window or monetary values of all days"
            )
        if not used.all():
            x, m, weight = x[used], m[used], None if weight is None else weight[used]
        return self._fit_arrays(x, m, weight)

    def log_likelihood(self, summary: pd.DataFrame) -> float:
        """Return the total log-likelihood of the customers with a purchase and a positive mean."""
        self._require_fit()
        x, m = spend_histories(summary)
        used = (x > 0) & (m > 0)
        return BinnedSpend(x[used], np.log(m[used]), None)(np.array(self._three()))[0] if used.any() else 0.0

    def expected_spend(self, summary: pd.DataFrame) -> pd.Series:
        """Return each customer's expected spend per purchase day, in the currency of the fit.

        It is the weighted mean of the population's and the customer's own mean, with weight
        p x / (p x + q - 1) on her own.
        """
        self._require_fit()
        x, m = spend_histories(summary)
        p, q, v = self._three()
        shape = p * x + q - 1
        undefined = int((shape <= 0).sum())
        if undefined:
            raise ValueError(f"the expected spend of {undefined} customers does not exist: {_no_mean(q)}")
        return pd.Series(p * (v + x * np.maximum(m, 0)) / shape, index=summary.index, name="expected_spend")

    @property
    def population_mean_spend_(self) -> float:
        """Mean spend per purchase over the population, p v / (q - 1)."""
        self._require_fit()
        p, q, v = self._three()
        if q <= 1:
            raise ValueError(f"the population mean spend does not exist: {_no_mean(q)}")
        return p * v / (q - 1)

    def spend_frequency_correlation(self, summary: pd.DataFrame) -> Correlation:
        """Return the correlation between purchases and mean spend, which the model takes to be nil."""
        x, m = spend_histories(summary)
        used = (x > 0) & (m > 0)
        n = int(used.sum())
        if n < 3 or np.ptp(x[used]) == 0 or np.ptp(m[used]) == 0:
            return Correlation(float("nan"), n, f"No correlation can be computed: {n} customers, too little variation.")
        value = float(np.corrcoef(x[used], m[used])[0, 1])
        return Correlation(value, n, _conclusion(value, n))

    def sample_spend(self, summary: pd.DataFrame, size: int, seed: int) -> pd.DataFrame:
        """Draw the spend of one future purchase per customer, ``size`` times (columns)."""
        self._require_fit()
        rng = stream(seed)
        p, _, _ = self._three()
        x, m = spend_histories(summary)
        draws = [rng.gamma(p, size=x.size) / self.draw_rates(x, m, rng) for _ in range(size)]
        values = np.stack(draws, axis=1) if size else np.zeros((x.size, 0))
        return pd.DataFrame(values, index=summary.index, columns=pd.RangeIndex(size, name="draw"))

    def draw_rates(self, x: Array, m: Array, rng: np.random.Generator) -> Array:
        """Draw nu given x purchases of mean m: Gamma(p x + q, v + x m)."""
        p, q, v = self._three()
        return np.maximum(rng.gamma(p * x + q), 1e-300) / (v + x * np.maximum(m, 0))

    def _fit_arrays(self, x: Array, m: Array, weight: Array | None) -> Self:
        log_m = np.log(m)
        log_unit = float(np.average(log_m, weights=weight))
        likelihood = BinnedSpend(x, log_m - log_unit, weight)
        total = float(x.size if weight is None else weight.sum())
        sample = Sample(likelihood, total)
        end = search(
            sample, sample, COORDINATES, spend_coordinates.first_start(), spend_coordinates.grid_of_starts(), self.prior
        )
        constant = float(np.ptp(log_m)) < 1e-9
        return self._conclude(end, sample, log_unit, *diagnose_spend(end, constant))

    def _conclude(self, end: Minimum, sample: Sample, log_unit: float, held: list[int], diagnosis: str | None) -> Self:
        params = COORDINATES.to_params(end.theta)
        scale = np.array([1.0, 1.0, np.exp(log_unit)])
        self._settle(params * scale)
        self.covariance_ = self._frame(covariance(end, sample, COORDINATES, held) * np.outer(scale, scale))
        self.log_likelihood_ = sample.likelihood(params)[0] - sample.weight * log_unit
        self.n_customers_ = sample.weight
        self.diagnosis_ = diagnosis
        if diagnosis is not None:
            warnings.warn(diagnosis, ModelWarning, stacklevel=4)
        return self

    def _three(self) -> tuple[float, float, float]:
        return self.params_["p"], self.params_["q"], self.params_["v"]


def spend_histories(summary: pd.DataFrame) -> tuple[Array, Array]:
    """Return the number of purchases behind the mean and the mean (which refunds can make negative)."""
    x = column(summary, "monetary_days" if "monetary_days" in summary.columns else "frequency")
    if np.any(x != np.floor(x)):
        raise ValueError(f"{int((x != np.floor(x)).sum())} customers have a fractional number of purchases")
    return x, column(summary, "monetary_value", signed=True)


def _no_mean(q: float) -> str:
    return (
        f"q = {q:.4g} is not above 1, spend per purchase is too heavy-tailed for a mean; "
        "cap extreme amounts, or fit with a prior"
    )


def _conclusion(value: float, n: int) -> str:
    half = 1.96 / np.sqrt(max(n - 3, 1))
    low, high = np.tanh(np.arctanh(np.clip(value, -0.999999, 0.999999)) + np.array([-half, half]))
    interval = f"correlation {value:.3f} (95 % interval {low:.3f} to {high:.3f}, {n} customers)"
    if abs(value) > INDEPENDENCE_LIMIT:
        return f"Spend depends on frequency: {interval}; Gamma-Gamma assumes independence, read its values with care."
    return f"Spend is practically independent of frequency: {interval}; Gamma-Gamma's assumption holds well enough."
