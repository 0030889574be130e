"""The report's fixed words: what metrics, rivals and terms mean to a reader who is new to them."""

from __future__ import annotations

from typing import NamedTuple

from churn_clv.evaluation.labels import Unit, percent
from churn_clv.segments.lifecycle import LifecycleRules


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


# Terms of the report that the segments' page explains again.
SHARED_TERMS = (
    "R, churn probability", "V_act, value if active", "V_res, expected {n}", "value at risk", "CLV", "horizon", "holdout",
)  # fmt: skip
SEGMENT_TERMS: list[tuple[str, str]] = [
    (
        "expected profit",
        "What a contact is expected to earn within the horizon: margin of the {n} of those whom it keeps, less the offer for "
        "those who take it and the cost of the contact.",
    ),
    ("outlay", "What contacts and the offers expected to be taken cost; the sum over the contacted is the budget."),
    (
        "save rate",
        "Share of those who would have bought nothing, but have not left for good, who buy because of the contact. Assumed in "
        "the playbook until a test against a control group has measured it.",
    ),
    (
        "playbook",
        "The file that says for each segment what is done, by which channel, and what a contact costs and may save.",
    ),
    (
        "win-back list",
        "Customers of the highest value tier who decline, are lost or are in the highest risk tier, where a contact is expected "
        "to earn more than it costs.",
    ),
    (
        "look-alikes",
        "Customers of the rest whose habits, money left aside, resemble those of the top customers (Pareto tier A) most.",
    ),
    (
        "RFM segments",
        "Customers scored from 1 to 5 by how recently and how often they bought, and named by both as the field does. The "
        "amount is scored, too, but names no segment.",
    ),
    (
        "value classes",
        "High: those who together bring 80 % of the expected {n}. Potential: not high, but of the highest value if active. "
        "Negative: refunds and cost to serve exceed their margin so far. Low: the others.",
    ),
    (
        "Pareto tiers",
        "A: the customers who bring the first 80 % of the expected {n}; B: the next 15 %; C: the rest. Cut points were taken "
        "once and stay, so today's shares may differ.",
    ),
    (
        "clusters",
        "Groups found by an algorithm in how customers have bought so far: k-means, and a self-organising map (a neural "
        "network whose neighbouring cells hold similar customers). Numbered by expected {n}, the highest first.",
    ),
    (
        "silhouette",
        "How much nearer customers are to their own cluster than to the next: 1 is far apart, 0 no clusters at all "
        "(Rousseeuw 1987).",
    ),
    (
        "kappa",
        "Share in the same segment, corrected for what is the same by chance where few segments are large: 1 is all, 0 is "
        "chance (Cohen 1960).",
    ),
    ("cohort", "Customers whose first purchase fell into the same week, month, quarter or year."),
    ("customer equity", "The CLV of all customers together, without those still to be won."),
    ("95 % interval", "Where the true figure of a segment lies in 95 of 100 samples of customers like these."),
]


def segment_glossary(unit: Unit, rules: LifecycleRules) -> list[tuple[str, str]]:
    """Return the terms of the segments' page with their meaning in this run."""
    shared = [(term, text) for term, text in TERMS if term in SHARED_TERMS]
    terms = [(term.format(n=unit.noun), text.format(n=unit.noun)) for term, text in [*SEGMENT_TERMS, *shared]]
    return [*terms, ("lifecycle stages", _stages(rules))]


def _stages(rules: LifecycleRules) -> str:
    """The stages in the order in which they are asked for."""
    return (
        f"The first that applies. Lost: churn probability of {percent(rules.lost_risk)} or more, and silent for "
        f"{rules.lost_silence_days:.0f} days or p_alive at most {percent(rules.lost_p_alive)}. New: first purchase in the last "
        f"{rules.new_days:.0f} days. Declining: churn probability of {percent(rules.declining_risk)} or more, or clearly fewer "
        "purchases in the last 91 days than usual. Growing: clearly more of them than usual, or fewer than "
        f"{rules.loyal_frequency} repeat purchases so far. Loyal: everybody else. Prospects have not bought yet."
    )


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
