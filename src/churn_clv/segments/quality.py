"""One table that judges every scheme of segments alike: size, separation, stability, describability, reachability."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from churn_clv.errors import InputError
from churn_clv.segments.cluster_words import grow
from churn_clv.segments.migration import stability
from churn_clv.segments.scaling import readable, scaling

REACHABLE_SHARE = 0.01
FOLDS = 5

COLUMNS = [
    "customers", "missing", "missing_ids", "without_outcome",
    "segments", "smallest_share", "largest_share", "effective_segments",
    "spend_eta2", "spend_epsilon2", "churn_eta2", "churn_epsilon2",
    "stayed", "kappa", "tree_accuracy", "tree_skill", "told_by_tree", "reachable", "in_reachable",
]  # fmt: skip


def quality(
    schemes: Mapping[str, pd.Series],
    outcomes: pd.DataFrame,
    features: pd.DataFrame,
    earlier: Mapping[str, pd.Series] | None = None,
    *,
    seed: int = 0,
) -> pd.DataFrame:
    """Judge schemes of segments by the same figures, on customers who are placed and whose outcome is known.

    Parameters
    ----------
    schemes
        Name of a scheme to the segment of each customer, placed at the holdout's start, by customer id.
    outcomes
        purchases in the holdout and, where there are amounts, spend (currency), by customer id.
    features
        What was known at the holdout's start: numbers, truth values and categories, by customer id.
    earlier
        The same schemes one period before; a scheme that is not there has no stability.
    seed
        Of the folds and of the tree.

    Returns
    -------
    DataFrame indexed by scheme.

    customers, missing, missing_ids, without_outcome
        Number judged; number with an outcome but no segment, and the first five of their ids in words; number with a
        segment but no outcome, who are not judged.
    segments, smallest_share, largest_share, effective_segments
        Number of segments with customers, their shares, and the exponential of the entropy of the shares.
    spend_eta2, churn_eta2
        Share of the variance of realised spend, and of churn (no purchase), between segments: eta squared,
        SSB / SST. It rises with every segment added, were it drawn by lot.
    spend_epsilon2, churn_epsilon2
        The same with that bias taken off: (SSB - (k - 1) SSW / (n - k)) / SST, about 0 for segments drawn by lot, and
        possibly below. Compare schemes by these. Not a number where each customer is a segment.
        All four are not a number where the outcome is the same for everybody, or there are no amounts.
    stayed, kappa
        Share of those placed both times who are in the same segment, and Cohen's kappa: the same beyond chance, as few
        large segments are kept by chance alone; see `migration.stability`.
    tree_accuracy, tree_skill
        Cross-validated share of customers whose segment a tree of depth 3 tells from the features, to be read beside
        largest_share, what naming the largest segment for everyone gets; skill is how far from there to 1 it comes
        (not a number for one segment).
    told_by_tree
        Share of segments of which this tree finds at least half of the customers, held out: the others can be written to
        from the list of their customers, but not by a rule.
    reachable, in_reachable
        Share of segments with at least 1 % of the customers, and share of customers in them.

    Raises
    ------
    InputError
        If purchases are not there, an outcome is missing, a scheme shares no customer with the outcomes, or judged
        customers have no features.
    ValueError
        If an id occurs twice.

    References
    ----------
    Kelley (1935), PNAS 21 (epsilon squared). Okada (2013), Behaviormetrika 40: it is the least biased of eta, epsilon
    and omega squared.

    Examples
    --------
    >>> bought = pd.Series([1, 1, 0, 0] * 5)
    >>> outcomes = pd.DataFrame({"purchases": bought, "spend": bought * 10.0})
    >>> half = pd.Series(["good", "bad"] * 10)
    >>> table = quality({"known": bought.map({1: "a", 0: "b"}), "half": half}, outcomes, outcomes[["spend"]])
    >>> table["churn_eta2"].tolist(), table.loc["known", "tree_accuracy"].item()
    ([1.0, 0.0], 1.0)
    """
    _require(schemes, outcomes, features)
    known = outcomes.sort_index()
    rows = [_row(schemes[name], known, features, (earlier or {}).get(name), seed) for name in schemes]
    return pd.DataFrame(rows, index=pd.Index(schemes, name="scheme"), columns=COLUMNS)


def variance_explained(values: np.ndarray, segments: np.ndarray) -> tuple[float, float]:
    """Return eta squared and epsilon squared of values by segment; see `quality`.

    Examples
    --------
    >>> variance_explained(np.array([1.0, 2, 2, 3]), np.array(["a", "a", "b", "b"]))
    (0.5, 0.25)
    """
    if values.min() == values.max():
        return np.nan, np.nan
    codes, names = pd.factorize(segments, sort=True)
    n, k = len(values), len(names)
    sizes = np.bincount(codes)
    between = float((sizes * (np.bincount(codes, values) / sizes - values.mean()) ** 2).sum()) if k > 1 else 0.0
    total = float(((values - values.mean()) ** 2).sum())
    eta = min(between / total, 1.0)
    if n == k:
        return 1.0, np.nan
    return eta, eta - (k - 1) / (n - k) * (1 - eta)


def effective_number(shares: np.ndarray) -> float:
    """Return the exponential of the entropy of positive shares: the number of equal segments as spread out as these.

    Examples
    --------
    >>> round(effective_number(np.array([0.25] * 4)), 9)
    4.0
    """
    return float(np.exp(-(shares * np.log(shares)).sum()))


def _row(
    scheme: pd.Series, outcomes: pd.DataFrame, features: pd.DataFrame, earlier: pd.Series | None, seed: int
) -> dict[str, object]:
    placed = scheme.dropna().sort_index()
    judged = placed[placed.index.isin(outcomes.index)]
    missing = outcomes.index[~outcomes.index.isin(judged.index)]
    return {
        "customers": len(judged),
        "missing": len(missing),
        "missing_ids": _ids(missing),
        "without_outcome": len(placed) - len(judged),
        **_sizes(judged),
        **_separation(judged, outcomes.loc[judged.index]),
        **_stability(placed, earlier),
        **_describability(judged, features.loc[judged.index], seed),
    }


def _ids(missing: pd.Index) -> str:
    named = ", ".join(str(one) for one in missing[:5])
    return named if len(missing) <= 5 else f"{named} and {len(missing) - 5} more"


def _sizes(judged: pd.Series) -> dict[str, float]:
    shares = np.sort((judged.value_counts() / len(judged)).to_numpy())
    large = shares[shares >= REACHABLE_SHARE]
    return {
        "segments": len(shares),
        "smallest_share": float(shares[0]),
        "largest_share": float(shares[-1]),
        "effective_segments": effective_number(shares),
        "reachable": len(large) / len(shares),
        "in_reachable": float(large.sum()),
    }


def _separation(judged: pd.Series, outcomes: pd.DataFrame) -> dict[str, float]:
    segments = judged.to_numpy()
    churn = variance_explained((outcomes["purchases"] == 0).to_numpy(dtype=float), segments)
    spend = (np.nan, np.nan)
    if "spend" in outcomes:
        spend = variance_explained(outcomes["spend"].to_numpy(dtype=float), segments)
    return dict(zip(["spend_eta2", "spend_epsilon2", "churn_eta2", "churn_epsilon2"], (*spend, *churn), strict=True))


def _stability(placed: pd.Series, earlier: pd.Series | None) -> dict[str, float]:
    if earlier is None:
        return {"stayed": np.nan, "kappa": np.nan}
    _require_unique(earlier, "the earlier placement")
    found = stability(earlier.dropna(), placed)
    return {"stayed": found.stayed, "kappa": found.kappa}


def _describability(judged: pd.Series, features: pd.DataFrame, seed: int) -> dict[str, float]:
    from sklearn.model_selection import KFold

    codes, names = pd.factorize(judged.to_numpy(), sort=True)
    columns, _ = scaling(features)
    if len(judged) < 2 or not columns:
        return {"tree_accuracy": np.nan, "tree_skill": np.nan, "told_by_tree": np.nan}
    values = readable(columns, features)
    named = np.empty(len(codes), dtype=int)
    for seen, held in KFold(min(FOLDS, len(codes)), shuffle=True, random_state=seed).split(values):
        named[held] = grow(values[seen], codes[seen], seed).predict(values[held])
    accuracy, largest = float((named == codes).mean()), float(np.bincount(codes).max() / len(codes))
    skill = (accuracy - largest) / (1 - largest) if len(names) > 1 else np.nan
    found = np.bincount(codes, named == codes) / np.bincount(codes)
    return {"tree_accuracy": accuracy, "tree_skill": skill, "told_by_tree": float((found >= 0.5).mean())}


def _require(schemes: Mapping[str, pd.Series], outcomes: pd.DataFrame, features: pd.DataFrame) -> None:
    if "purchases" not in outcomes:
        raise InputError("the outcomes have no column purchases: churn cannot be told")
    told = [name for name in ("purchases", "spend") if name in outcomes]
    faulty = int((~np.isfinite(outcomes[told].to_numpy(dtype=float))).any(axis=1).sum())
    if faulty:
        raise InputError(f"{faulty} of {len(outcomes)} customers have a missing or infinite {' or '.join(told)}")
    _require_unique(outcomes, "the outcomes")
    _require_unique(features, "the features")
    for name, scheme in schemes.items():
        _require_unique(scheme, f"scheme {name}")
        judged = scheme.dropna().index.intersection(outcomes.index)
        if judged.empty:
            raise InputError(f"scheme {name}: none of its {len(scheme)} customers is placed and has an outcome")
        unknown = int((~judged.isin(features.index)).sum())
        if unknown:
            raise InputError(f"scheme {name}: {unknown} of {len(judged)} judged customers have no features")


def _require_unique(frame: pd.Series | pd.DataFrame, what: str) -> None:
    twice = int(frame.index.duplicated().sum())
    if twice:
        raise ValueError(f"{twice} customer ids occur more than once in {what}: one row a customer is wanted")
