"""The metrics of a judgement, by their stable names."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from churn_clv.evaluation.calibration import calibration_error, calibration_intercept, calibration_slope
from churn_clv.evaluation.churn_metrics import auc, average_precision, brier, brier_skill, log_loss, top_decile_lift
from churn_clv.evaluation.profit import RetentionCosts, expected_maximum_profit
from churn_clv.evaluation.value_metrics import bias, mae, normalised_gini, rmse, spearman
from churn_clv.evaluation.weighted import Metric, top_share


def churn_metrics(costs: RetentionCosts) -> dict[str, Metric]:
    """Return the metrics of churn probabilities; the profit is that of a campaign at the given costs."""
    return {
        "auc": auc,
        "log_loss": log_loss,
        "brier": brier,
        "brier_skill": brier_skill,
        "average_precision": average_precision,
        "calibration_error": calibration_error,
        "calibration_slope": calibration_slope,
        "calibration_intercept": calibration_intercept,
        "top_decile_lift": top_decile_lift,
        "expected_maximum_profit": expected_maximum_profit(costs),
    }


# For counts as for money: purchases and spend.
VALUE_METRICS: Mapping[str, Metric] = {
    "normalised_gini": normalised_gini,
    "top_10_percent_capture": partial(top_share, share=0.1),
    "top_20_percent_capture": partial(top_share, share=0.2),
    "rmse": rmse,
    "mae": mae,
    "bias": bias,
    "spearman": spearman,
}
