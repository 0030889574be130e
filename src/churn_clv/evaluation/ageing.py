"""What a monitored model's figures mean: limits, and the sentences that say which of them was passed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from churn_clv.evaluation.calibration import ALLOWED
from churn_clv.evaluation.labels import feature, percent, rounded
from churn_clv.evaluation.promises import KeptPromise
from churn_clv.evaluation.stability_index import DRIFT, MAJOR_DRIFT
from churn_clv.segments.small_groups import in_words as counted

Verdict = Literal["as it was", "watch", "retrain"]
VERDICTS: tuple[Verdict, ...] = ("as it was", "watch", "retrain")
NAMED = 3  # columns that a sentence names; the table has all
WORDS = {
    "T": "days since the first purchase",
    "recency": "days from the first to the last purchase",
    "monetary_value": "mean amount of a purchase day",
    "monetary_days": "purchase days behind the mean amount",
    "churn_probability": "risk of no purchase",
    "p_alive": "p_alive",
    "expected_purchases": "expected purchases",
    "value_if_active": "value if active",
    "expected_spend": "expected spend",
    "clv": "CLV",
}
_DID = {"no_purchase": "customers without a purchase", "purchases": "purchases", "spend": "spend"}


@dataclass(frozen=True)
class Limits:
    """Where a figure stops being as it was.

    drift, major_drift: population stability index above which a column has drifted, or has become another; the usual .1 and
    .25, and only if the index is also above what chance brings 999 times of 1,000.
    ratio_low, ratio_high: actual / expected purchases or spend outside which a promise was not kept, if the 95 % interval
    excludes 1, too: as a holdout is judged. One look in twenty finds that by chance, so it calls for watching.
    no_purchase_gap: the same for the share of customers without a purchase, in absolute terms: the tolerance of a grid's cell.
    broken: p-value under which a promise that was not kept was broken, and another model is called for.
    calibration_error: mean gap over tenths of risk, if it is also above what right probabilities stay under 999 times of
    1,000.
    gone, disagreeing, unknown: shares of customers who are missing now, whose history was rewritten, or whose category the
    model never met. They spoil the comparison, or the model's inputs, by about as much.
    """

    drift: float = DRIFT
    major_drift: float = MAJOR_DRIFT
    ratio_low: float = 0.9
    ratio_high: float = 1.1
    no_purchase_gap: float = 0.03
    broken: float = 0.001
    calibration_error: float = ALLOWED
    gone: float = 0.05
    disagreeing: float = 0.01
    unknown: float = 0.05


class Reason(NamedTuple):
    """One thing that is not as it was, and what it alone would call for."""

    verdict: Verdict
    sentence: str


class Customers(NamedTuple):
    """How many customers the two days have.

    Attributes
    ----------
    before, after, both
        Known on the earlier day, on the later day, on both.
    new, gone
        Known only on the later day, only on the earlier day.
    disagreeing
        Known on both, with fewer purchases on the later day or another first purchase: their history was rewritten.
    """

    before: int
    after: int
    both: int
    new: int
    gone: int
    disagreeing: int

    def withheld(self, smallest: int) -> set[str]:
        """Return which of the counts are left out: those of few customers, and those from which they could be worked out.

        How many customers of both days agree is told of the promise, by segment.

        >>> sorted(Customers(100, 103, 97, 6, 3, 0).withheld(5)), Customers(100, 120, 90, 30, 10, 0).withheld(5)
        (['after', 'before', 'gone'], set())
        """
        few = {name for name in ("new", "gone", "disagreeing") if 0 < getattr(self, name) < smallest}
        return few | ({"before", "after"} if few else set()) | ({"both"} if "disagreeing" in few else set())


def worst(reasons: Sequence[Reason]) -> Verdict:
    """Return the verdict of the gravest reason."""
    return max((reason.verdict for reason in reasons), key=VERDICTS.index, default="as it was")


def in_words(name: str) -> str:
    """Return a column in plain words.

    Examples
    --------
    >>> in_words("T"), in_words("frequency")
    ('days since the first purchase', 'repeat purchases')
    """
    return WORDS.get(name, feature(name))


def broken_promises(kept: KeptPromise, limits: Limits) -> Iterator[Reason]:
    """Say which totals were not as promised."""
    for name, row in kept.totals.iterrows():
        low, high = ratio_limits(str(name), kept, limits)
        ratio = row["actual_to_expected"]
        if low <= ratio <= high or row["low"] <= 1 <= row["high"] or not np.isfinite(ratio):
            continue
        broken = row["p_value"] < limits.broken
        begin = (
            "The promise was broken"
            if broken
            else "The promise was not kept, though it may be chance (one look in twenty)"
        )
        much = "more" if ratio > 1 else "less" if name == "spend" else "fewer"
        yield Reason(
            "retrain" if broken else "watch",
            f"{begin}: {percent(abs(ratio - 1))} {much} {_DID[str(name)]} than promised, {rounded(row['happened'])} against "
            f"{rounded(row['promised'])} (actual / expected {ratio:.2f}, 95 % interval {row['low']:.2f} to {row['high']:.2f}; "
            f"{low:.2f} to {high:.2f} is kept).",
        )
    error, noise = kept.calibration_error, kept.calibration_error_noise
    if error > max(limits.calibration_error, noise):
        yield Reason(
            "watch",
            f"By tenths of risk the promised and the realised share without a purchase are {100 * error:.1f} percentage points "
            f"apart on average; right probabilities stay under {100 * noise:.1f} of them 999 times of 1,000.",
        )


def ratio_limits(name: str, kept: KeptPromise, limits: Limits) -> tuple[float, float]:
    """Return the range of actual / expected within which a total is as promised."""
    if name != "no_purchase":
        return limits.ratio_low, limits.ratio_high
    apart = limits.no_purchase_gap * kept.customers / kept.totals.loc["no_purchase", "promised"]
    return 1 - apart, 1 + apart


def drifts(drift: pd.DataFrame, judged_by_promise: bool, limits: Limits) -> Iterator[Reason]:
    """Say which columns drifted; where no promise can be judged, a major drift of behaviour is all there is to go by."""
    for kind, noun in (("behaviour", "behaviour"), ("score", "scores"), ("attribute", "customer attributes")):
        found = drift[drift["alarm"] & (drift["kind"] == kind)].sort_values("index", ascending=False)
        if found.empty:
            continue
        alone = not judged_by_promise and kind != "attribute" and bool(found["major"].any())
        whom = "all customers" if kind == "attribute" else "customers of the same age"
        named = [f"{in_words(str(name))} ({row['index']:.2f})" for name, row in found.head(NAMED).iterrows()]
        more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
        without = (
            f", above {limits.major_drift:g} with no promise to say whether the model still holds" if alone else ""
        )
        yield Reason(
            "retrain" if alone else "watch",
            f"The {noun} of {whom} drifted beyond chance (stability index in brackets{without}): {', '.join(named)}{more}.",
        )
    vanished = [in_words(str(n)) for n, row in drift.iterrows() if row["missing_after"] == 1 > row["missing_before"]]
    if vanished:
        yield Reason("watch", f"Nobody has a value any more in {len(vanished)} columns: {', '.join(vanished[:NAMED])}.")


def spoilt(customers: Customers, unknown: pd.DataFrame, limits: Limits, smallest: int) -> Iterator[Reason]:
    """Say what is wrong with the two tables themselves; fewer customers than `smallest` are not counted."""
    share = customers.gone / customers.before
    if share > limits.gone:
        whole = "" if customers.withheld(smallest) else f" of {customers.before:,}"
        part = f" ({percent(share)})" if whole else ""
        told = f"{counted(customers.gone, smallest)}{whole} customers{part} are missing now: nothing is known of what they did."
        yield Reason("watch", _sentence(told))
    if customers.disagreeing > limits.disagreeing * customers.both:
        told = f"{counted(customers.disagreeing, smallest)} customers have fewer purchases than before, or another first purchase"
        yield Reason("watch", f"{_sentence(told)}: the two days do not tell the same history.")
    for name, row in unknown[unknown["share"] > limits.unknown].iterrows():
        part = f" ({percent(row['share'])})" if row["customers"] >= smallest else ""
        yield Reason(
            "watch",
            f"The {in_words(str(name))} of {counted(row['customers'], smallest)} customers{part} is a category that the "
            "model has never met; it reads them as missing.",
        )


def _sentence(told: str) -> str:
    return told[:1].upper() + told[1:]
