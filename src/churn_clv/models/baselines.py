"""What any model has to beat: logistic regressions on recency, frequency and money, and the textbook's lifetime value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from churn_clv.models.boosting import Array, check_alike, customer_folds, splits_of

FOLDS = 5
DAYS_PER_YEAR = 365.25
SHORTEST_TENURE_DAYS = 91.0


class RFMLogistic:
    """Logistic regression of churn on six terms of recency, frequency and money.

    Terms: log(1 + frequency), log(1 + days since the last purchase), the share of tenure since then, their product
    with log(1 + frequency), a one-time-buyer mark, and log(1 + mean amount), all standardised.

    Attributes
    ----------
    out_of_fold_ : Series of the log-odds of each training row by the fold of customers that did not see it, on the
        folds of `ChurnModel`. Not part of `to_dict`.
    """

    def fit(self, summary: pd.DataFrame, churned: pd.Series) -> RFMLogistic:
        """Learn from summaries at past cutoffs (columns frequency, recency, T, monetary_value) and their labels.

        Raises
        ------
        ValueError
            If the labels are not indexed like the summaries, or are missing.
        """
        check_alike(summary, churned)
        terms = rfm_terms(summary)
        self._regression = _fitted(terms, churned)
        self.out_of_fold_ = _out_of_fold(terms, churned, self._regression)
        return self

    def predict_log_odds(self, summary: pd.DataFrame) -> pd.Series:
        """Return the log-odds of no purchase, indexed like `summary`."""
        return self._regression.log_odds(rfm_terms(summary))

    def predict_probability(self, summary: pd.DataFrame) -> pd.Series:
        """Return the probability of no purchase, indexed like `summary`."""
        return _probability(self.predict_log_odds(summary))

    def to_dict(self) -> dict[str, Any]:
        """Return the coefficients, and the means and scales of the terms, ready for JSON."""
        return asdict(self._regression)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> RFMLogistic:
        """Build the model from `to_dict`; predicting needs no scikit-learn."""
        model = cls()
        model._regression = _Regression(**content)
        return model


class LastPurchaseRule:
    """Logistic regression of churn on log(1 + days since the last purchase): the rule of thumb, made a probability."""

    def fit(self, summary: pd.DataFrame, churned: pd.Series) -> LastPurchaseRule:
        """Learn from summaries at past cutoffs and their labels."""
        self._regression = _fitted(_silence(summary), churned)
        return self

    def predict_probability(self, summary: pd.DataFrame) -> pd.Series:
        """Return the probability of no purchase, indexed like `summary`."""
        return _probability(self._regression.log_odds(_silence(summary)))


class TextbookLTV:
    """Lifetime value as marketing textbooks have it: mean yearly spend times expected lifetime.

    Yearly spend is all that the customer has spent so far by years of tenure; the expected lifetime is one figure
    for everybody, from the share who churned in the labels. Naive in it: a customer who left long ago is worth as much
    as one who came yesterday; a few large orders of a young customer become a yearly habit; the rate of leaving is
    taken as constant, though the longer customers stay the less they leave; and a quiet year counts as leaving.

    Attributes
    ----------
    lifetime_days_ : the expected lifetime L of an exponential: 1 - c = exp(-h / L) for the base churn rate c in h days.

    References
    ----------
    Gupta & Lehmann (2003), Journal of Interactive Marketing 17(1): value as margin times expected lifetime.

    Examples
    --------
    >>> summary = pd.DataFrame({"frequency": [3.0], "recency": [300.0], "T": [730.5], "monetary_value": [50.0],
    ...                         "monetary_days": [4.0]}, index=pd.Index(["a"], name="customer_id"))
    >>> textbook = TextbookLTV().fit(summary, pd.Series([0.0, 1.0]), horizon_days=365)
    >>> round(float(textbook.lifetime_days_ * np.log(2)), 6)
    365.0
    >>> textbook.expected_spend(summary, 365).round(2).to_dict()  # 100 a year, half of a lifetime of 1.44 years
    {'a': 72.09}
    """

    def fit(self, summary: pd.DataFrame, churned: pd.Series, horizon_days: float) -> TextbookLTV:
        """Learn the lifetime from labels: 1 where a customer bought nothing in `horizon_days`."""
        n = len(churned)
        staying = 1 - float(np.clip(churned.sum(), 0.5, n - 0.5)) / n  # half a customer where all or none churned
        self.lifetime_days_ = float(-horizon_days / np.log(staying))
        return self

    def expected_spend(self, summary: pd.DataFrame, horizon_days: float) -> pd.Series:
        """Return the value in the horizon, in the currency of the summary: yearly spend x L (1 - exp(-H / L)).

        Parameters
        ----------
        summary
            Columns frequency, T (days), monetary_value and monetary_days. Where monetary_value leaves the first
            purchase out, that purchase counts like the mean of the others, and the total of one-time buyers, of
            whom no amount is known then, is 0. A tenure under 91 days counts as 91.
        """
        total = summary["monetary_value"].clip(lower=0) * (summary["frequency"] + 1)
        yearly = total / (summary["T"].clip(lower=SHORTEST_TENURE_DAYS) / DAYS_PER_YEAR)
        years = self.lifetime_days_ * -np.expm1(-horizon_days / self.lifetime_days_) / DAYS_PER_YEAR
        return (yearly * years).rename("expected_spend")

    def to_dict(self) -> dict[str, float]:
        """Return the fitted lifetime, ready for JSON."""
        return {"lifetime_days": self.lifetime_days_}

    @classmethod
    def from_dict(cls, content: Mapping[str, float]) -> TextbookLTV:
        """Build the model from `to_dict`."""
        model = cls()
        model.lifetime_days_ = content["lifetime_days"]
        return model


def rfm_terms(summary: pd.DataFrame) -> pd.DataFrame:
    """Return the six terms of `RFMLogistic`, indexed like `summary`."""
    silence = summary["T"] - summary["recency"]
    frequency = np.log1p(summary["frequency"])
    share = silence / summary["T"].clip(lower=1)
    return pd.DataFrame({
        "log_frequency": frequency,
        "log_silence": np.log1p(silence),
        "silence_share": share,
        "log_frequency_x_silence_share": frequency * share,
        "bought_once": (summary["frequency"] == 0).astype(float),
        "log_mean_amount": np.log1p(summary["monetary_value"].clip(lower=0)),
    })  # fmt: skip


@dataclass(frozen=True)
class _Regression:
    """A logistic regression on standardised terms."""

    terms: list[str]
    means: list[float]
    scales: list[float]
    coefficients: list[float]
    intercept: float

    def log_odds(self, terms: pd.DataFrame) -> pd.Series:
        z = (terms[self.terms].to_numpy(float) - np.array(self.means)) / np.array(self.scales)
        # summed row by row, so that a customer's answer is the same alone and among others
        total = (z * np.array(self.coefficients)).sum(axis=1) + self.intercept
        return pd.Series(total, index=terms.index, name="log_odds")


def _silence(summary: pd.DataFrame) -> pd.DataFrame:
    return rfm_terms(summary)[["log_silence"]]


def _fitted(terms: pd.DataFrame, churned: pd.Series) -> _Regression:
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(terms)
    names, means, scales = list(terms.columns), scaler.mean_.tolist(), scaler.scale_.tolist()
    if churned.nunique() < 2:
        left = float(np.clip(churned.sum(), 0.5, len(churned) - 0.5))  # half a customer of the class that is missing
        return _Regression(names, means, scales, [0.0] * len(names), float(np.log(left / (len(churned) - left))))
    model = LogisticRegression(max_iter=1000).fit(scaler.transform(terms), churned)
    return _Regression(names, means, scales, model.coef_[0].tolist(), float(model.intercept_[0]))


def _out_of_fold(terms: pd.DataFrame, churned: pd.Series, whole: _Regression) -> pd.Series:
    fold_of = customer_folds(terms.index, FOLDS)
    if (np.bincount(fold_of, minlength=FOLDS) == 0).any():
        return whole.log_odds(terms)  # a handful of customers, too few to leave some out
    parts = [
        _fitted(terms.iloc[seen], churned.iloc[seen]).log_odds(terms.iloc[unseen])
        for seen, unseen in splits_of(fold_of, FOLDS)
    ]
    unseen = pd.concat(parts)
    return unseen.reindex(terms.index[terms.index.isin(unseen.index)])


def _probability(log_odds: pd.Series) -> pd.Series:
    values: Array = log_odds.to_numpy(float)
    return pd.Series(1 / (1 + np.exp(-values)), index=log_odds.index, name="churn_probability")
