"""Why a customer's risk is what it is: contributions of features to the log-odds, turned into words."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd

from churn_clv.models.reason_phrases import about, number, said

START = "start"  # the column of what every contribution adds to
LEAST = 0.05  # log-odds; near a risk of one half a contribution below this moves it by hardly more than a point
SLOTS = ["raises", "raises_too", "lowers"]


def strongest(contributions: pd.DataFrame) -> pd.DataFrame:
    """Name the two features that raise each customer's risk most and the one that lowers it most.

    The two are about different things (`about`), so that a silence is not given as two reasons. Contributions below
    .05 log-odds are no reasons.

    Parameters
    ----------
    contributions
        One row a customer: what each feature adds to the log-odds of churn, and a column start, which is left out.

    Returns
    -------
    DataFrame, same index: raises, raises_too, lowers (feature names, None where there is no such reason).

    Raises
    ------
    ValueError
        If a contribution is not finite.
    """
    added = contributions.drop(columns=START, errors="ignore")
    values = added.to_numpy(float)
    if not np.isfinite(values).all():
        rows = int((~np.isfinite(values)).any(axis=1).sum())
        raise ValueError(f"contributions are not finite in {rows} of {len(added)} rows; they must be log-odds")
    names = np.array([*map(str, added.columns)], dtype=object)
    if not names.size:
        return pd.DataFrame(None, index=added.index, columns=SLOTS, dtype=object)
    topic = pd.factorize(np.array([about(name) for name in names], dtype=object))[0]
    first = values.argmax(axis=1)
    others = np.where(topic[None, :] == topic[first][:, None], -np.inf, values)
    chosen = {"raises": _named(names, values, first), "raises_too": _named(names, others, others.argmax(axis=1)),
              "lowers": _named(names, -values, values.argmin(axis=1))}  # fmt: skip
    return pd.DataFrame(chosen, index=added.index)


def reasons(
    contributions: pd.DataFrame,
    features: pd.DataFrame,
    summary: pd.DataFrame | None = None,
    *,
    currency: str = "",
    corrected: str = "",
) -> pd.Series:
    """Say for each customer what the purchases are, what raises the risk beyond them and what speaks for the customer.

    Parameters
    ----------
    contributions
        As in `strongest`.
    features
        The values behind the contributions, holding the same customers: numbers, text, missing values.
    summary
        frequency, recency and T in days, holding the same customers; none for contracts.
    currency
        Unit of the amounts.
    corrected
        Name of the purchase model whose forecast the contributions correct; empty where they correct none.

    Returns
    -------
    Series of text named reasons, indexed like `contributions`.

    Raises
    ------
    ValueError
        If a contributing feature or a customer is missing from `features` or `summary`.

    Examples
    --------
    >>> added = pd.DataFrame({"start": [1.0], "overdue_ratio": [0.6], "purchases_last_91_days": [-0.2]}, ["c1"])
    >>> known = pd.DataFrame({"overdue_ratio": [3.21], "purchases_last_91_days": [2.0]}, ["c1"])
    >>> history = pd.DataFrame({"frequency": [4], "recency": [300], "T": [364]}, ["c1"])
    >>> reasons(added, known, history)["c1"]
    'bought 5 times, last 64 days ago; raises the risk: silent 3.2 times as long as their usual gap; speaks for them: 2
    purchases in the last 91 days'
    """
    known = _rows_of(features, contributions, "features")
    top = strongest(contributions)
    words = partial(_phrases, features=known, currency=currency, corrected=corrected)
    first, second, lowers = (words(top[slot], raises=slot != "lowers") for slot in SLOTS)
    if summary is None:
        before, nothing = [""] * len(top), "nothing stands out: the risk is near the average"
    else:
        before, nothing = _bought(_rows_of(summary, contributions, "summary")), "nothing beyond that moves the risk"
    rows = zip(before, first, second, lowers, strict=True)
    return pd.Series([_joined(*row, nothing) for row in rows], index=top.index, name="reasons", dtype="str")


def common_reasons(contributions: pd.DataFrame, groups: pd.Series) -> pd.DataFrame:
    """Count in each group of customers how often each feature is among the reasons.

    Parameters
    ----------
    contributions
        As in `strongest`.
    groups
        The group of each customer (a cell of the grid), same index.

    Returns
    -------
    DataFrame indexed by (group, feature), in each group the commonest first: raises, lowers (share of the group's
    customers whose risk the feature raises, or lowers, as one of the named reasons). Features without any are left out.

    Raises
    ------
    ValueError
        If the two are not indexed alike.
    """
    if not contributions.index.equals(groups.index):
        raise ValueError(
            f"contributions ({len(contributions)} rows) and groups ({len(groups)} rows) are not indexed alike"
        )
    top, group = strongest(contributions), groups.rename("group")
    both = pd.concat([top["raises"], top["raises_too"]]).rename("feature")
    counts = pd.DataFrame({
        "raises": _counts(both, pd.concat([group, group])), "lowers": _counts(top["lowers"].rename("feature"), group)
    }).fillna(0.0)  # fmt: skip
    shares = counts.div(group.value_counts().rename_axis("group"), axis=0, level="group")
    order = shares.assign(total=-shares.sum(axis=1)).reset_index().sort_values(["group", "total", "feature"])
    return order.set_index(["group", "feature"])[["raises", "lowers"]]


def _named(names: np.ndarray, values: np.ndarray, place: np.ndarray) -> np.ndarray:
    """The names at a place in each row, None where the value there is no reason."""
    chosen = names[place]
    chosen[np.take_along_axis(values, place[:, None], axis=1)[:, 0] < LEAST] = None
    return chosen


def _phrases(chosen: pd.Series, *, features: pd.DataFrame, currency: str, corrected: str, raises: bool) -> np.ndarray:
    texts = np.full(len(chosen), "", dtype=object)
    for name, rows in chosen.reset_index(drop=True).groupby(chosen.to_numpy()).indices.items():
        values = features[name].iloc[rows].tolist()
        texts[rows] = [said(str(name), value, currency, corrected, raises) for value in values]
    return texts


def _bought(summary: pd.DataFrame) -> list[str]:
    times, ago = summary["frequency"] + 1, summary["T"] - summary["recency"]
    return [_pattern(n, days) for n, days in zip(times.tolist(), ago.tolist(), strict=True)]


def _pattern(times: float, days: float) -> str:
    ago = "today" if days == 0 else "a day ago" if days == 1 else f"{number(days)} days ago"
    return f"bought once, {ago}" if times == 1 else f"bought {number(times)} times, last {ago}"


def _joined(before: str, first: str, second: str, lowers: str, nothing: str) -> str:
    raises = ", ".join(text for text in (first, second) if text)
    parts = [before, f"raises the risk: {raises}" if raises else "", f"speaks for them: {lowers}" if lowers else ""]
    return "; ".join(part for part in parts if part) if raises or lowers else "; ".join(filter(None, [before, nothing]))


def _rows_of(frame: pd.DataFrame, contributions: pd.DataFrame, name: str) -> pd.DataFrame:
    alike = frame.index.equals(contributions.index)  # looking every customer up takes longer than the reasons
    missing = 0 if alike else int((~contributions.index.isin(frame.index)).sum())
    if missing:
        raise ValueError(f"{name}: {missing} of {len(contributions)} customers with contributions are missing")
    added = set(contributions.columns) - {START}
    if name == "features" and not added <= set(frame.columns):
        raise ValueError(f"features: no values of {sorted(added - set(frame.columns))}, which have contributions")
    return frame if alike else frame.reindex(contributions.index)


def _counts(feature: pd.Series, group: pd.Series) -> pd.Series:
    pairs = pd.DataFrame({"group": group.to_numpy(), "feature": feature.to_numpy()}).dropna()
    return pairs.groupby(["group", "feature"]).size().astype(float)
