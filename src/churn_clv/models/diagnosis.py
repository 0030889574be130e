"""Name a maximum that lies on the boundary, in plain words and with what can still be used."""

from __future__ import annotations

import numpy as np

from churn_clv.models.distinct_rows import DistinctRows
from churn_clv.models.maximum_likelihood import Minimum

FAR = np.log(1e3)

NO_REPEAT = (
    "No customer bought again: neither the purchase rate nor dropout is identified; expected purchases are "
    "practically 0 and only say that nothing was seen."
)
ONE_CUSTOMER = (
    "One single customer: differences between customers are not identified; only this customer's own purchase rate "
    "can be used."
)
HOMOGENEOUS = (
    "Purchase rates do not differ between customers (r and alpha run to infinity at a fixed ratio): predictions and "
    "the mean rate r/alpha can be used, r and alpha alone cannot."
)
EXTREME_RATES = (
    "Purchase rates are all or nothing (r runs to 0): predictions can be used with care, r and alpha alone cannot."
)
NO_DROPOUT = (
    "No dropout in this data (a/(a+b) runs to 0): predictions can be used for horizons like the observed time, "
    "a and b cannot."
)
ALL_LEAVE = (
    "Every customer seems to leave at the first chance (a/(a+b) runs to 1): predictions can be used, a and b cannot."
)
EQUAL_DROPOUT = (
    "The dropout probability does not differ between customers (a and b run to infinity at a fixed ratio): "
    "predictions and the mean dropout a/(a+b) can be used, a and b alone cannot."
)
POLARISED = (
    "Customers either leave at once or never (a and b run to 0 at a fixed ratio): predictions and the mean dropout "
    "a/(a+b) can be used, a and b alone cannot."
)
NO_DROPOUT_RATE = (
    "No dropout in this data (s/beta runs to 0): predictions can be used for horizons like the observed time, "
    "s and beta cannot."
)
IMMEDIATE_DROPOUT = "Every customer seems to leave at once (s/beta runs to infinity): s and beta cannot be used."
EQUAL_DROPOUT_RATE = (
    "The dropout rate does not differ between customers (s and beta run to infinity at a fixed ratio): predictions "
    "and the mean dropout rate s/beta can be used, s and beta alone cannot."
)
EXTREME_DROPOUT_RATE = (
    "Customers either leave at once or never (s runs to 0): predictions can be used with care, s and beta cannot."
)
FLAT = (
    "The likelihood is nearly flat in one direction: predictions within the observed time can be used, single "
    "parameters and their errors cannot."
)
INSTANT = (
    "{:g} customers have repeat purchases at recency 0, where the likelihood has no upper limit: the ordinary local "
    "maximum is used; merge the purchases of one period into one."
)
UNFINISHED = "The search stopped before the maximum was verified: treat this fit as provisional and report the data."


def diagnose_leaving_at_purchase(end: Minimum, rows: DistinctRows) -> tuple[list[int], str | None]:
    """Return the coordinates that are not identified and the sentences that say so."""
    if not rows.frequency.any():
        return [0, 1, 2, 3], NO_REPEAT
    if rows.weight.sum() <= 1:
        return [0, 1, 2, 3], ONE_CUSTOMER
    ln_r, _, logit, ln_spread = end.theta
    found = [
        (HOMOGENEOUS, ln_r > FAR, [0]),
        (EXTREME_RATES, ln_r < -FAR, [0]),
        (NO_DROPOUT, logit < -FAR - 1, [2, 3]),
        (ALL_LEAVE, logit > FAR, [2, 3]),
        (EQUAL_DROPOUT, ln_spread > FAR and abs(logit) <= FAR, [3]),
        (POLARISED, ln_spread < -FAR and abs(logit) <= FAR, [3]),
    ]
    return conclude(end, _instant(rows) + [(text, held) for text, true, held in found if true])


def diagnose_pareto(end: Minimum, rows: DistinctRows) -> tuple[list[int], str | None]:
    """Return the coordinates of Pareto/NBD that are not identified and the sentences that say so."""
    if rows.weight.sum() <= 1:
        return [0, 1, 2, 3], ONE_CUSTOMER
    ln_r, _, ln_s, ln_rate = end.theta
    never, at_once = ln_rate < -FAR, ln_rate > FAR
    found = [
        (NO_REPEAT, not rows.frequency.any(), [0, 1, 2, 3]),
        (HOMOGENEOUS, ln_r > FAR, [0]),
        (EXTREME_RATES, ln_r < -FAR, [0]),
        (NO_DROPOUT_RATE, never, [2, 3]),
        (IMMEDIATE_DROPOUT, at_once, [2, 3]),
        (EQUAL_DROPOUT_RATE, ln_s > FAR and not never and not at_once, [2]),
        (EXTREME_DROPOUT_RATE, ln_s < -FAR and not never and not at_once, [2]),
    ]
    return conclude(end, _instant(rows) + [(text, held) for text, true, held in found if true])


def instant_repeaters(rows: DistinctRows) -> float:
    """Return the weight of customers with repeat purchases and recency 0."""
    return float(rows.weight[(rows.frequency > 0) & (rows.times[rows.recency_at] == 0)].sum())


def _instant(rows: DistinctRows) -> list[tuple[str, list[int]]]:
    count = instant_repeaters(rows)
    return [(INSTANT.format(count), [])] if count else []


def conclude(end: Minimum, found: list[tuple[str, list[int]]]) -> tuple[list[int], str | None]:
    """Gather the sentences found, or look for a flat or unfinished end where there is none."""
    held = sorted({i for _, coordinates in found for i in coordinates})
    texts = [text for text, _ in found]
    if not end.stationary:
        texts.append(UNFINISHED)
    elif not texts and end.smallest_eigenvalue < 1e-8:
        texts.append(FLAT)
        held = list(range(end.theta.size))
    return held, " ".join(texts) or None


NO_SPEND_VARIATION = (
    "All customers spend the same (p and q run to infinity): the mean spend can be used, p, q and v cannot."
)
EQUAL_CUSTOMERS = (
    "Mean spend does not differ between customers beyond chance (q runs to infinity): the population mean can be used "
    "for everyone, q and v alone cannot."
)
EQUAL_PURCHASES = (
    "A customer's purchases are all alike (p runs to infinity): each customer's own mean can be used, p and v cannot."
)
WILD_PURCHASES = "Single purchases vary without limit (p runs to 0): spend forecasts are not usable."
NO_MEAN = "Spend per purchase is so heavy-tailed (q <= 1) that no population mean exists: cap extreme amounts or give a prior."


def diagnose_spend(end: Minimum, constant: bool) -> tuple[list[int], str | None]:
    """Return what the spend fit does not identify and the sentences that say so."""
    ln_p, ln_q, _ = end.theta
    if constant or (ln_p > FAR and ln_q > FAR):
        return [0, 1, 2], NO_SPEND_VARIATION
    found = [
        (EQUAL_CUSTOMERS, ln_q > FAR, [1]),
        (EQUAL_PURCHASES, ln_p > FAR, [0]),
        (WILD_PURCHASES, ln_p < -FAR, [0]),
        (NO_MEAN, ln_q <= 0, []),
    ]
    return conclude(end, [(text, held) for text, true, held in found if true])
