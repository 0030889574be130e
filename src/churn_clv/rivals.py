"""What every run has to beat, forecast from the same past."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd

from churn_clv.data.features import outcomes_after
from churn_clv.data.summary import summarize
from churn_clv.data.transactions import TransactionLog
from churn_clv.data.windows import LabelWindow, Windows
from churn_clv.fits import Evidence
from churn_clv.models.baselines import LastPurchaseRule, RFMLogistic, TextbookLTV
from churn_clv.models.known import Known
from churn_clv.models.pareto_nbd import ParetoNBDModel
from churn_clv.score import FittedModels
from churn_clv.score_log import known_to


def rival_forecasts(evidence: Evidence, windows: Windows, models: FittedModels) -> dict[str, pd.DataFrame]:
    """Return the forecasts to beat as of calibration_end.

    Returns
    -------
    Rival -> columns churn_probability, expected_purchases, expected_spend, or some of them, by customer_id: the
    purchase model of the run and Pareto/NBD alone, the last period repeated, logistic regressions on RFM and on
    silence, and the textbook's LTV.
    """
    log, end, days = evidence.log, windows.calibration_end, evidence.config.value.spend_days
    known = known_to(models, log, end, evidence.attributes)
    past = pd.concat(
        {w.cutoff: summarize(log, w.cutoff, days) for w in windows.labels}, names=["cutoff", "customer_id"]
    )
    churned = (outcomes_after(log, windows.labels)["purchases"] == 0).astype(float).reindex(past.index)
    label_days = round(sum(w.horizon_days for w in windows.labels) / len(windows.labels))
    textbook = TextbookLTV().fit(past, churned, label_days)
    # A classifier knows its labels' horizon only: another one is asked of the purchase model, as the run itself does.
    shift = known.log_odds() - known.log_odds(label_days)
    of_spend = "_gamma_gamma" if known.spend is not None else ""
    pareto = (
        {}
        if isinstance(known.purchases, ParetoNBDModel)
        else {f"pareto_nbd{of_spend}": by_purchase_model(pareto_at(known))}
    )
    return {
        f"{evidence.config.value.purchase_model}{of_spend}": by_purchase_model(known),
        **pareto,
        "last_period": last_period(log, windows, known.summary.index),
        "textbook_ltv": textbook.expected_spend(known.summary, windows.horizon_days).rename("expected_spend").to_frame(),
        "logistic_rfm": _shifted(RFMLogistic().fit(past, churned), known, shift),
        "last_purchase_rule": _shifted(LastPurchaseRule().fit(past, churned), known, shift),
    }  # fmt: skip


def pareto_at(known: Known) -> Known:
    """Return the same cutoff seen by Pareto/NBD, the purchase model's strongest rival of its own kind."""
    if isinstance(known.purchases, ParetoNBDModel):
        return known
    return Known(known.summary, known.features, ParetoNBDModel().fit(known.summary), known.spend, known.horizon_days)


def by_purchase_model(known: Known) -> pd.DataFrame:
    """Return the forecasts of purchase and spend model alone."""
    return pd.DataFrame({
        "churn_probability": known.own_risk, "expected_purchases": known.own_purchases, "expected_spend": known.own_spend,
    })  # fmt: skip


def last_period(log: TransactionLog, windows: Windows, customers: pd.Index) -> pd.DataFrame:
    """Return the forecast that the last horizon repeats itself, for old customers and for those who were new in it."""
    period = LabelWindow(windows.calibration_end - timedelta(days=windows.horizon_days), windows.horizon_days)
    columns = {"purchases": "expected_purchases", "spend": "expected_spend"}
    old = outcomes_after(log, [period]).droplevel("cutoff").rename(columns=columns)
    everyone = summarize(log, windows.calibration_end, "all")
    new = everyone[everyone["T"] < windows.horizon_days]
    first = pd.DataFrame(
        {"expected_purchases": new["monetary_days"], "expected_spend": new["monetary_value"] * new["monetary_days"]}
    )
    return pd.concat([old, first]).reindex(customers).fillna(0.0)


def _shifted(rule: RFMLogistic | LastPurchaseRule, known: Known, shift: pd.Series) -> pd.DataFrame:
    p = rule.predict_probability(known.summary).clip(1e-12, 1 - 1e-12)
    log_odds = np.log(p) - np.log1p(-p) + shift
    return pd.DataFrame({"churn_probability": 1 / (1 + np.exp(-log_odds))})
