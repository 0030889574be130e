"""RFM: recency, frequency and monetary scores of 1 to 5 by frozen cut points, and the field's named segments.

A value's score follows from its mid-rank share in the reference snapshot, (customers below + half of those equal) / all:
1 under a fifth, 2 from a fifth, up to 5 from four fifths. Equal values therefore share one score whatever the order of
rows; customers who are all alike score 3, and two customers 2 and 4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import product

import numpy as np
import pandas as pd

from churn_clv.errors import InputError

SCORES = ["recency_score", "frequency_score", "monetary_score"]

# segment -> (recency scores, frequency scores); together they cover each of the 25 pairs once
REGIONS: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "champions": ((5,), (4, 5)),
    "loyal": ((3, 4), (4, 5)),
    "potential loyalist": ((4, 5), (2, 3)),
    "new": ((5,), (1,)),
    "promising": ((4,), (1,)),
    "need attention": ((3,), (3,)),
    "about to sleep": ((3,), (1, 2)),
    "at risk": ((1, 2), (3, 4)),
    "cannot lose them": ((1, 2), (5,)),
    "hibernating": ((2,), (1, 2)),
    "lost": ((1,), (1, 2)),
}
SEGMENT_OF = {pair: name for name, region in REGIONS.items() for pair in product(*region)}


@dataclass(frozen=True)
class RFMCuts:
    """Four increasing cut points an axis, taken once at a reference snapshot: customers move, cuts do not.

    days_since_purchase: days; a customer on a cut has the better (more recent) score. frequency: repeat purchase days;
    monetary_value: currency a purchase day; a customer on a cut has the upper score.
    """

    days_since_purchase: tuple[float, ...]
    frequency: tuple[float, ...]
    monetary_value: tuple[float, ...]

    def to_dict(self) -> dict[str, list[float]]:
        return {axis: list(cuts) for axis, cuts in asdict(self).items()}

    @classmethod
    def from_dict(cls, content: Mapping[str, list[float]]) -> RFMCuts:
        return cls(**{axis: tuple(map(float, cuts)) for axis, cuts in content.items()})


def freeze_rfm(summary: pd.DataFrame) -> RFMCuts:
    """Take the cut points from a reference snapshot, such that each of its values gets the score of its mid-rank share.

    Where the share is passed between two values, the cut is halfway; where no value reaches it, just above the largest.

    Parameters
    ----------
    summary
        recency and T (days), frequency (repeat purchase days), monetary_value (currency a purchase day; with
        ``spend="repeat"`` it is 0 for one-time buyers, who then share the lowest monetary score).

    Raises
    ------
    InputError
        If a column is not there, a value is missing or infinite, or nobody is in the snapshot.

    Examples
    --------
    >>> snapshot = pd.DataFrame({"recency": [0.0, 10, 30, 35, 39], "T": 40.0, "frequency": [0.0, 0, 0, 2, 9],
    ...                          "monetary_value": 7.0})
    >>> freeze_rfm(snapshot).frequency
    (0.0, 1.0, 1.0, 5.5)
    """
    if summary.empty:
        raise InputError("no customers in the reference snapshot: no RFM cut points; take a later day")
    days, frequency, amount = _axes(summary)
    recency_cuts = tuple(-cut for cut in reversed(_cuts(-days)))
    return RFMCuts(recency_cuts, _cuts(frequency), _cuts(amount))


def place(cuts: RFMCuts, summary: pd.DataFrame) -> pd.DataFrame:
    """Return recency_score, frequency_score and monetary_score (1 to 5, 5 is best) of each customer, by index.

    Raises
    ------
    InputError
        If a column of `freeze_rfm` is not there, or a value is missing or infinite.
    """
    days, frequency, amount = _axes(summary)
    columns = [
        5 - np.searchsorted(cuts.days_since_purchase, days, side="left"),
        1 + np.searchsorted(cuts.frequency, frequency, side="right"),
        1 + np.searchsorted(cuts.monetary_value, amount, side="right"),
    ]
    return pd.DataFrame(dict(zip(SCORES, columns, strict=True)), index=summary.index)


def rfm_scores(summary: pd.DataFrame) -> pd.DataFrame:
    """Score customers among themselves: the summary is its own reference snapshot; see `freeze_rfm` and `place`.

    References
    ----------
    Hughes (1994), Strategic Database Marketing: quintiles of recency, frequency and monetary value.

    Examples
    --------
    >>> snapshot = pd.DataFrame({"recency": [0.0, 10, 30, 35, 39], "T": 40.0, "frequency": [0.0, 0, 0, 2, 9],
    ...                          "monetary_value": 7.0})
    >>> rfm_scores(snapshot).T.to_numpy().tolist()
    [[1, 2, 3, 4, 5], [2, 2, 2, 4, 5], [3, 3, 3, 3, 3]]
    """
    return place(freeze_rfm(summary), summary)


def rfm_segments(scores: pd.DataFrame) -> pd.Series:
    """Name each customer's segment from the recency and frequency scores; the monetary score is shown, not used.

    Where two fifths of the customers or more bought on one day only, these share a frequency score of 2 or more, and
    nobody is new or promising: `churn_clv.segments.lifecycle` tells the new customers by their age instead.

    Raises
    ------
    InputError
        If a score is none of 1 to 5.

    Examples
    --------
    >>> rfm_segments(pd.DataFrame({"recency_score": [5, 1], "frequency_score": [5, 5]}, ["c1", "c2"])).to_dict()
    {'c1': 'champions', 'c2': 'cannot lose them'}
    """
    known = scores[SCORES[:2]].isin(range(1, 6)).all(axis=1)
    if not known.all():
        raise InputError(
            f"{(~known).sum()} of {len(scores)} customers have RFM scores other than 1 to 5: use rfm_scores"
        )
    pairs = zip(scores["recency_score"].astype(int), scores["frequency_score"].astype(int), strict=True)
    return pd.Series([SEGMENT_OF[pair] for pair in pairs], index=scores.index, name="rfm_segment", dtype=object)


def _axes(summary: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    wanted = ["recency", "T", "frequency", "monetary_value"]
    absent = [name for name in wanted if name not in summary]
    if absent:
        raise InputError(f"RFM needs {', '.join(wanted)}; not in the summary: {', '.join(absent)}")
    values = summary[wanted].to_numpy(dtype=float)
    faulty = ~np.isfinite(values).all(axis=1)
    if faulty.any():
        raise InputError(
            f"{faulty.sum()} of {len(summary)} customers have a missing or infinite {' or '.join(wanted)}: "
            "score the customers of a summary only"
        )
    return values[:, 1] - values[:, 0], values[:, 2], values[:, 3]


def _cuts(values: np.ndarray) -> tuple[float, ...]:
    """The smallest value whose mid-rank share reaches 1, 2, 3 and 4 fifths."""
    distinct, counts = np.unique(values, return_counts=True)
    up_to = np.cumsum(counts)
    # Shares at each value and in the gap after it, in halves of a customer: whole numbers compare exactly.
    halves = np.column_stack([2 * up_to - counts, 2 * up_to]).ravel()
    places = np.column_stack([distinct, _after(distinct)]).ravel()
    first = [np.searchsorted(5 * halves, 2 * k * len(values), side="left") for k in range(1, 5)]
    return tuple(places[first].tolist())


def _after(distinct: np.ndarray) -> np.ndarray:
    """A point in the gap after each value: halfway to the next, just above the last."""
    just_above = np.nextafter(distinct, np.inf)
    halfway = distinct[:-1] + np.diff(distinct) / 2
    return np.append(np.maximum(halfway, just_above[:-1]), just_above[-1])
