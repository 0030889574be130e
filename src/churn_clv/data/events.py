"""What happened to customers beside purchases: visits, complaints, campaign contacts, coupons."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import pandas as pd

from churn_clv.data.at_cutoffs import rows_at
from churn_clv.data.engine import query
from churn_clv.data.feature_names import EVENT_MEASURES, event_columns
from churn_clv.data.log import Log

# A kind that fewer customers have met teaches nothing, and tells who they are.
FEWEST_CUSTOMERS = 10


def event_kinds(log: Log, until: date) -> list[str]:
    """Return, in order, the kinds of events that at least ten customers of a day had met by that day.

    A customer of a day had bought by then. Nothing after the day has a say, so that no future shapes the columns.
    """
    if not log.has_events:
        return []
    values = {"until": until, "fewest": FEWEST_CUSTOMERS}
    return list(log.frame(query("event_kinds"), values)["kind"])


def events_at(log: Log, cutoffs: Sequence[date], kinds: Sequence[str]) -> pd.DataFrame:
    """Count the events of every customer who had bought by a cutoff, at each cutoff.

    Parameters
    ----------
    log
        A log with events: `log.has_events`.
    kinds
        As `event_kinds` names them; a kind that the log does not know counts 0.

    Returns
    -------
    DataFrame indexed by (cutoff, customer_id), float64, with the columns of `event_columns`. Counts of events:
    in the last 28 and 91 days and ever, 0 where there were none. Days: since the last one, NaN where there was none.
    """
    known = rows_at(log, "known_customers", cutoffs=list(cutoffs)).index
    found = rows_at(log, "events", cutoffs=list(cutoffs), kinds=list(kinds))
    parts = []
    for kind in kinds:
        rows = found.loc[found["kind"] == kind, list(EVENT_MEASURES.values())].reindex(known)
        counts = rows.columns.drop("days_since_last")
        parts.append(rows.fillna(dict.fromkeys(counts, 0.0)).set_axis(event_columns([kind]), axis=1))
    return pd.concat(parts, axis=1) if parts else pd.DataFrame(index=known)
