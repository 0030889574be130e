"""What any churn model has to beat: a logistic regression on recency, frequency and money, and one on recency alone."""

from __future__ import annotations

import numpy as np
import pandas as pd


class RFMLogistic:
    """Logistic regression of churn on six terms of recency, frequency and money.

    Terms: log(1 + frequency), log(1 + days since the last purchase), the share of tenure since then, their product
    with log(1 + frequency), a one-time-buyer mark, and log(1 + mean amount), all standardised.
    """

    def fit(self, summary: pd.DataFrame, churned: pd.Series) -> RFMLogistic:
        """Learn from summaries at past cutoffs (columns frequency, recency, T, monetary_value) and their labels."""
        self._model = _fitted(rfm_terms(summary), churned)
        return self

    def predict_probability(self, summary: pd.DataFrame) -> pd.Series:
        """Return the probability of no purchase, indexed like `summary`."""
        return _predicted(self._model, rfm_terms(summary))


class LastPurchaseRule:
    """Logistic regression of churn on log(1 + days since the last purchase): the rule of thumb, made a probability."""

    def fit(self, summary: pd.DataFrame, churned: pd.Series) -> LastPurchaseRule:
        """Learn from summaries at past cutoffs and their labels."""
        self._model = _fitted(_silence(summary), churned)
        return self

    def predict_probability(self, summary: pd.DataFrame) -> pd.Series:
        """Return the probability of no purchase, indexed like `summary`."""
        return _predicted(self._model, _silence(summary))


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


def _silence(summary: pd.DataFrame) -> pd.DataFrame:
    return rfm_terms(summary)[["log_silence"]]


def _fitted(terms: pd.DataFrame, churned: pd.Series) -> object:
    from sklearn.dummy import DummyClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if churned.nunique() < 2:
        return DummyClassifier(strategy="prior").fit(terms, churned)
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(terms, churned)


def _predicted(model: object, terms: pd.DataFrame) -> pd.Series:
    classes = list(model.classes_)  # type: ignore[attr-defined]
    probability = model.predict_proba(terms)  # type: ignore[attr-defined]
    churn = probability[:, classes.index(1.0)] if 1.0 in classes else np.zeros(len(terms))
    return pd.Series(churn, index=terms.index, name="churn_probability")
