"""The baselines: logistic regressions whose files need no scikit-learn, and the textbook's lifetime value."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from churn_clv.models.baselines import LastPurchaseRule, RFMLogistic, TextbookLTV, rfm_terms
from churn_clv.models.boosting import customer_folds


def data_of(n: int = 1500, seed: int = 1) -> tuple[pd.DataFrame, pd.Series]:
    rng = np.random.default_rng(seed)
    index = pd.MultiIndex.from_product([range(2), [f"{k:05d}" for k in range(n // 2)]], names=["cutoff", "customer_id"])
    age, x = rng.integers(30, 700, n).astype(float), rng.poisson(2.0, n).astype(float)
    recency = np.where(x > 0, np.floor(age * rng.random(n)), 0.0)
    amount = np.where(x > 0, rng.gamma(4.0, 10.0, n), 0.0)
    summary = pd.DataFrame(
        {"frequency": x, "recency": recency, "T": age, "monetary_value": amount, "monetary_days": x}, index=index
    )
    log_odds = 0.5 - 0.8 * x + 2 * (age - recency) / age
    churned = (rng.random(n) < 1 / (1 + np.exp(-log_odds))).astype(float)
    return summary, pd.Series(churned, index=index, name="churned")


@pytest.fixture(scope="module")
def data() -> tuple[pd.DataFrame, pd.Series]:
    return data_of()


def test_the_regression_is_scikit_learns(data: tuple[pd.DataFrame, pd.Series]) -> None:
    """A pipeline of its own, fitted and asked there, is the independent implementation."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    summary, churned = data
    terms = rfm_terms(summary)
    for model, columns in ((RFMLogistic(), list(terms)), (LastPurchaseRule(), ["log_silence"])):
        pipeline = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(terms[columns], churned)
        expected = pipeline.predict_proba(terms[columns])[:, 1]
        found = model.fit(summary, churned).predict_probability(summary)
        np.testing.assert_allclose(found, expected, atol=1e-12)
        assert found.index.equals(summary.index)


def test_json_brings_back_the_predictions_without_scikit_learn(data: tuple[pd.DataFrame, pd.Series]) -> None:
    summary, churned = data
    fitted = RFMLogistic().fit(summary, churned)
    text = json.dumps(fitted.to_dict(), allow_nan=False)
    back = RFMLogistic.from_dict(json.loads(text))
    pd.testing.assert_series_equal(
        back.predict_log_odds(summary), fitted.predict_log_odds(summary), rtol=1e-12, atol=1e-12
    )
    code = (
        "import sys, json, pandas as pd\n"
        "from churn_clv.models.baselines import RFMLogistic\n"
        f"model = RFMLogistic.from_dict(json.loads({text!r}))\n"
        f"frame = pd.DataFrame({summary.iloc[:3].reset_index(drop=True).to_dict('list')!r})\n"
        "print(model.predict_log_odds(frame).tolist())\n"
        "assert 'sklearn' not in sys.modules and 'lightgbm' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    np.testing.assert_allclose(json.loads(done.stdout), fitted.predict_log_odds(summary.iloc[:3]), atol=1e-12)


def test_a_customer_alone_gets_the_answer_of_the_batch(data: tuple[pd.DataFrame, pd.Series]) -> None:
    summary, churned = data
    fitted = RFMLogistic().fit(summary, churned)
    together = fitted.predict_log_odds(summary)
    for k in (0, 17, 700):
        assert fitted.predict_log_odds(summary.iloc[[k]]).iloc[0] == together.iloc[k]


def test_out_of_fold_log_odds_are_of_fits_without_the_customer(data: tuple[pd.DataFrame, pd.Series]) -> None:
    """A fit on the other folds alone is the slow oracle."""
    summary, churned = data
    fitted = RFMLogistic().fit(summary, churned)
    assert fitted.out_of_fold_.index.equals(summary.index)
    fold_of = customer_folds(summary.index, 5)
    for k in range(5):
        rest = RFMLogistic().fit(summary[fold_of != k], churned[fold_of != k])
        here = summary[fold_of == k]
        np.testing.assert_allclose(fitted.out_of_fold_[fold_of == k], rest.predict_log_odds(here), atol=1e-12)
    assert (fitted.out_of_fold_ != fitted.predict_log_odds(summary)).mean() > 0.99


@pytest.mark.parametrize("outcome", [0.0, 1.0])
def test_a_single_class_gives_everyone_a_finite_base_rate(data: tuple[pd.DataFrame, pd.Series], outcome: float) -> None:
    """Half a customer of the class that is missing: 0.5 of 1,500."""
    summary, churned = data
    fitted = RFMLogistic().fit(summary, churned * 0 + outcome)
    np.testing.assert_allclose(np.abs(fitted.predict_probability(summary) - outcome), 0.5 / 1500, rtol=1e-9)
    json.dumps(fitted.to_dict(), allow_nan=False)


@pytest.mark.parametrize("n", [2, 4, 6])
def test_a_handful_of_customers_is_no_obstacle(n: int) -> None:
    summary, churned = data_of(n)
    churned.iloc[0], churned.iloc[1] = 0.0, 1.0
    fitted = RFMLogistic().fit(summary, churned)
    assert np.isfinite(fitted.out_of_fold_).all()
    assert fitted.out_of_fold_.index.equals(summary.index)


def test_labels_in_another_order_are_refused(data: tuple[pd.DataFrame, pd.Series]) -> None:
    summary, churned = data
    with pytest.raises(ValueError, match="not indexed alike"):
        RFMLogistic().fit(summary, churned.iloc[::-1])


def test_textbook_value_is_yearly_spend_times_the_lifetime_within_the_horizon() -> None:
    """By hand: 40 % leave in a year, L = -1 / ln .6 = 1.9576 years; in two years L (1 - .36) = 1.25288 years count."""
    days = 365.25
    summary = pd.DataFrame(
        {"frequency": [4.0, 1.0, 0.0], "recency": [900.0, 10.0, 0.0], "T": [2 * days, 20.0, 400.0],
         "monetary_value": [30.0, 10.0, 0.0], "monetary_days": [5.0, 2.0, 0.0]},
        index=pd.Index(["a", "young", "once"], name="customer_id"),
    )  # fmt: skip
    textbook = TextbookLTV().fit(summary, pd.Series([1.0, 1.0, 0.0, 0.0, 0.0]), days)
    assert textbook.lifetime_days_ / days == pytest.approx(1.9576, abs=5e-5)
    value = textbook.expected_spend(summary, 2 * days)
    assert value["a"] == pytest.approx(150 / 2 * 1.25288, rel=1e-5)
    assert value["young"] == pytest.approx(20 / (91 / days) * 1.25288, rel=1e-5), "91 days at least"
    assert value["once"] == 0
    # an endless horizon is the textbook's whole lifetime, a short one the spend of that time
    assert textbook.expected_spend(summary, 1e6)["a"] == pytest.approx(75 * 1.9576, rel=1e-4)
    assert textbook.expected_spend(summary, 1.0)["a"] == pytest.approx(75 / days, rel=1e-3)


@pytest.mark.parametrize("outcome", [0.0, 1.0])
def test_textbook_lifetime_is_finite_where_all_or_none_churned(outcome: float) -> None:
    textbook = TextbookLTV().fit(data_of(10)[0], pd.Series([outcome] * 10), 100)
    assert 0 < textbook.lifetime_days_ < np.inf
    back = TextbookLTV.from_dict(json.loads(json.dumps(textbook.to_dict())))
    assert back.lifetime_days_ == textbook.lifetime_days_
