"""What trees on a table of customers have to beat: a logistic regression on all of its columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd


class AttributeLogistic:
    """Logistic regression of churn on every column of a table.

    Categories become one column each, missing being a category of its own; numbers are standardised, a missing one is
    the median and has a mark.
    """

    def fit(self, features: pd.DataFrame, churned: pd.Series) -> AttributeLogistic:
        """Learn from rows of numbers and text, and their labels (0 or 1, both must occur)."""
        from sklearn.compose import make_column_transformer
        from sklearn.impute import SimpleImputer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import OneHotEncoder, StandardScaler

        numbers = list(features.select_dtypes("number"))
        text = [name for name in features if name not in numbers]
        filled = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
        columns = make_column_transformer(
            (make_pipeline(filled, StandardScaler()), numbers), (OneHotEncoder(handle_unknown="ignore"), text)
        )
        self._model: Any = make_pipeline(columns, LogisticRegression(max_iter=1000)).fit(_plain(features), churned)
        return self

    def predict_probability(self, features: pd.DataFrame) -> pd.Series:
        """Return the probability of churn, indexed like `features`; a category never seen counts as none."""
        risk = self._model.predict_proba(_plain(features))[:, 1]
        return pd.Series(np.asarray(risk), index=features.index, name="churn_probability")


def _plain(features: pd.DataFrame) -> pd.DataFrame:
    """Text as objects with a name for what is missing, which scikit-learn sorts and compares safely."""
    text = features.select_dtypes(exclude="number")
    return features.assign(**{str(name): column.astype(object).fillna("\0missing") for name, column in text.items()})
