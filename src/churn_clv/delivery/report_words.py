"""The report's fixed words: what metrics, rivals and terms mean to a reader who is new to them."""

from __future__ import annotations

from typing import NamedTuple

from churn_clv.evaluation.labels import Unit


class MetricWords(NamedTuple):
    name: str
    reading: str


MORE, LESS = "more is better", "less is better"
MEDIAN = f"{LESS}; favours forecasts of the median, not of the mean"
ORDER = f"{MORE}; 0 is chance, 1 perfect; the measure that decides for value"
METRICS: dict[tuple[str, str], MetricWords] = {
    ("churn", "auc"): MetricWords("Ranking of customers by risk (AUC)", f"{MORE}; 0.5 is chance, 1 perfect"),
    ("churn", "log_loss"): MetricWords("Log loss of the probabilities", f"{LESS}; the measure that decides for churn"),
    ("churn", "brier"): MetricWords("Squared error of the probabilities (Brier)", LESS),
    ("churn", "brier_skill"): MetricWords("Part of the base rate's Brier score removed", f"{MORE}; 0 knows the churn rate only"),
    ("churn", "average_precision"): MetricWords("Average precision", f"{MORE}; the churn rate is what chance gives"),
    ("churn", "calibration_error"): MetricWords("Calibration error", f"{LESS}; mean gap, promised to realised churn"),
    ("churn", "calibration_slope"): MetricWords("Calibration slope", "1 is right; under it too extreme, over too timid"),
    ("churn", "calibration_intercept"): MetricWords("Calibration intercept", "0 is right; over 0 more left than expected"),
    ("churn", "top_decile_lift"): MetricWords("Lift of the riskiest tenth", f"{MORE}; times the churn of everyone"),
    ("churn", "expected_maximum_profit"): MetricWords("Expected maximum profit of a campaign, a customer", f"{MORE}; at the stated costs"),
    ("purchases", "normalised_gini"): MetricWords("Order of customers by purchases (normalised Gini)", f"{MORE}; 0 is chance, 1 perfect"),
    ("purchases", "top_10_percent_capture"): MetricWords("Share of all purchases made by the best tenth", MORE),
    ("purchases", "top_20_percent_capture"): MetricWords("Share of all purchases made by the best fifth", MORE),
    ("purchases", "spearman"): MetricWords("Correlation of the ranks (Spearman)", MORE),
    ("purchases", "rmse"): MetricWords("Root mean squared error", LESS),
    ("purchases", "mae"): MetricWords("Mean absolute error", MEDIAN),
    ("purchases", "bias"): MetricWords("Error of the total", "0 is right; over 0 means too much was promised"),
    ("value", "normalised_gini"): MetricWords("Order of customers by value (normalised Gini)", ORDER),
    ("value", "top_10_percent_capture"): MetricWords("Share of the total held by the best tenth", MORE),
    ("value", "top_20_percent_capture"): MetricWords("Share of the total held by the best fifth", MORE),
    ("value", "rmse"): MetricWords("Root mean squared error", LESS),
    ("value", "mae"): MetricWords("Mean absolute error", MEDIAN),
    ("value", "bias"): MetricWords("Error of the total", "0 is right; over 0 means too much was promised"),
    ("value", "spearman"): MetricWords("Correlation of the ranks (Spearman)", MORE),
}  # fmt: skip
TARGETS = {"bias": 0.0, "calibration_slope": 1.0, "calibration_intercept": 0.0}
SHARES = {"bias", "top_10_percent_capture", "top_20_percent_capture"}
TASKS = {"churn": "Churn", "purchases": "Number of purchases", "value": "Value"}

FEW_CUSTOMERS = 10

# {n}: what value is counted in.
TERMS: list[tuple[str, str]] = [
    ("frequency", "Number of purchase days after the first one. A customer who bought on one day has frequency 0."),
    ("recency", "Days from the first to the last purchase (not the days since the last one); 0 for a one-time buyer."),
    ("T", "Days from the first purchase to the day on which the customer is scored."),
    ("monetary_value", "Mean amount of a purchase day; over repeat days only or over all days, as the settings say."),
    (
        "p_alive",
        "Probability that a customer has not left for good, by the purchase model. BG/NBD lets customers leave only "
        "after a repeat purchase, so every one-time buyer gets p_alive = 1: 1 - p_alive is never a risk and is not "
        "used as one here.",
    ),
    ("R, churn probability", "Probability of no purchase at all within the horizon. The risk axis of the grid."),
    (
        "V_act, value if active",
        "Expected {n} in the horizon, given at least one purchase in it. The value axis of the grid.",
    ),
    ("V_res, expected {n}", "Expected {n} in the horizon, risk included: V_res = (1 - R) V_act. Not discounted."),
    (
        "value at risk",
        "R V_act. With V_res it adds up to V_act. It is an upper bound of what inactivity costs: those who do buy are "
        "the livelier customers, and no campaign brings everyone back.",
    ),
    ("CLV", "Customer lifetime value: expected {n} over the CLV horizon, each purchase discounted to today."),
    ("horizon", "The number of days that forecasts look ahead; the holdout has the same length."),
    ("holdout", "The last part of the log, hidden from the models while they learned, on which they are judged."),
    ("lift", "How many times the mean of everyone a group reaches."),
    (
        "normalised Gini",
        "How well the forecast orders customers by the {n} that then come: 1 for the perfect order, 0 for chance.",
    ),
    ("log loss", "Mean surprise of the outcomes under the probabilities given; it punishes confident errors hardest."),
    (
        "calibration error",
        "Mean gap between promised and realised churn over ten equally large groups. Even perfect probabilities show "
        "some by chance; the noise level is printed beside it, and .02 or the noise, whichever is more, is allowed.",
    ),
    (
        "expected maximum profit",
        "What the best campaign guided by a risk ranking would earn a customer, averaged over how many leavers an offer "
        "saves (Verbraken, Verbeke & Baesens 2013). It stands on the costs printed beside it.",
    ),
    (
        "reasons",
        "What moves the risk model for a customer: the features with the largest contributions to the log-odds (SHAP "
        "values of the trees). They are not causes: changing what a reason names need not change what the customer does.",
    ),
    (
        "origin",
        "A date in the past on which methods forecast from what was known then and were compared with what followed. "
        "The champion is the method that won over several of them.",
    ),
    (
        "95 % interval",
        "For metrics from repeated draws of customers (bootstrap), paired where two models are compared: both are "
        "judged on the same draws. An interval of a difference that contains 0 means that the two cannot be "
        "told apart.",
    ),
]
TREES_ONLY = {
    "average": " In this run they explain the trees only, which are one of the two forecasts averaged.",
    "stack": " In this run they explain the trees only, which are one of the three forecasts added up.",
}


def glossary(unit: Unit, churn_method: str) -> list[tuple[str, str]]:
    """Return the terms of the report with their meaning in this run."""
    only = {"reasons": TREES_ONLY.get(churn_method, "")}
    return [(term.format(n=unit.noun), text.format(n=unit.noun) + only.get(term, "")) for term, text in TERMS]


CAUTION = (
    "A high risk is not a high uplift (Ascarza 2018, Journal of Marketing Research 55(1)): customers who are likely to "
    "leave need not be those whom a campaign moves most. Test every action against a randomly chosen control group "
    "before paying for all."
)
PLACEMENTS = (
    "The first table places today's customers and forecasts; the second places the customers of an earlier date, by "
    "what was known then, and shows what they did: other dates and other memberships, the same cut points, never mixed."
)
