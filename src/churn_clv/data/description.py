"""What the trees may read of customers at a cutoff: behaviour, events and attributes, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import pandas as pd

from churn_clv.data.events import events_at
from churn_clv.data.feature_names import Description, event_columns
from churn_clv.data.features import features_at, with_attributes
from churn_clv.data.log import Log


def describe(
    log: Log, cutoffs: Sequence[date], description: Description, attributes: pd.DataFrame | None
) -> pd.DataFrame:
    """Describe every customer who had bought by a cutoff, at each cutoff.

    Parameters
    ----------
    attributes
        Customer attributes indexed by customer_id, or None.

    Returns
    -------
    DataFrame indexed by (cutoff, customer_id). Where the description names events and the log comes without any,
    they are missing, not none.
    """
    features = features_at(log, cutoffs, description.feature_set)
    if description.event_kinds:
        if log.has_events:
            features = features.join(events_at(log, cutoffs, description.event_kinds))
        else:
            features = features.assign(**dict.fromkeys(event_columns(description.event_kinds), float("nan")))
    return with_attributes(features, attributes)
