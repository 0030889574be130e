"""What customers' attributes would be refused for, and which of them tell nothing, or too much."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd

from churn_clv.checks.findings import Finding, attempted, note, warning
from churn_clv.data.description import describe
from churn_clv.data.windows import Windows
from churn_clv.fits import Evidence, description_at
from churn_clv.segments.scaling import scaling
from churn_clv.segments.schemes import without_dates

# Of the log's customers who have attributes.
LEAST_COVERED = 0.1


def check_attributes(evidence: Evidence, windows: Windows) -> list[Finding]:
    """Look at the customers' attributes as models and clusters will read them."""
    return [*_described(evidence, windows), *_given(evidence, windows)]


def _described(evidence: Evidence, windows: Windows) -> list[Finding]:
    """What models and clusters would refuse."""
    if evidence.attributes is None:
        return []

    def look() -> None:
        description = description_at(evidence, windows.labels)
        features = describe(evidence.log, [windows.calibration_end], description, evidence.attributes)
        scaling(without_dates(features))

    return attempted(look, "data.attributes")


def _given(evidence: Evidence, windows: Windows) -> list[Finding]:
    """Say how many customers have attributes, and which columns tell nothing, or too much."""
    given = evidence.attributes
    if given is None or not len(given.columns):
        return []
    first = evidence.log.frame("SELECT DISTINCT customer_id, first_day FROM customer_days WHERE first_day IS NOT NULL")
    known = given.loc[given.index.isin(first["customer_id"])]
    learned = first.loc[pd.to_datetime(first["first_day"]) <= pd.Timestamp(windows.labels[-1].cutoff), "customer_id"]
    share = len(known) / max(len(first), 1)
    many = "s" * (len(given.columns) != 1)
    told = f"{len(given.columns)} column{many} ({_some(given.columns)}) for {len(known):,} of {len(first):,} customers ({share:.0%})"
    if share < LEAST_COVERED:
        found = [warning("data.attributes", f"{told}: are the ids written as in the log?")]
    else:
        found = [note("data.attributes", told)]
    return [*found, *_columns(known, known.loc[known.index.isin(learned)])] if len(known) else found


def _columns(known: pd.DataFrame, learned: pd.DataFrame) -> Iterator[Finding]:
    alike = [str(name) for name in known if known[name].nunique(dropna=False) == 1]
    if alike:
        yield warning("data.attributes", f"the same for every customer, so nothing is learned from: {_some(alike)}")
    ids = [str(name) for name in known if looks_like_an_id(known[name])]
    if ids:
        yield warning(
            "data.attributes", f"a different whole number for every customer, as ids are: {_some(ids)}; leave them out"
        )
    texts = known.select_dtypes(exclude="number")
    unseen = [str(name) for name in texts if set(texts[name].dropna()) - set(learned[name].dropna())]
    if unseen:
        yield note(
            "data.attributes",
            f"categories that only customers after the last label cutoff have, treated as missing: {_some(unseen)}",
        )


def looks_like_an_id(values: pd.Series) -> bool:
    """Tell whether a column has another whole number in each of at least 50 rows."""
    if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        return False
    numbers = values.to_numpy(dtype=float, na_value=np.nan)
    return len(values) >= 50 and values.nunique() == len(values) and bool((numbers == np.round(numbers)).all())


def _some(names: Iterable[object]) -> str:
    listed = [str(name) for name in names]
    return ", ".join(listed[:10]) + (f" and {len(listed) - 10} more" if len(listed) > 10 else "")
