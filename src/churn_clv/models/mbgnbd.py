"""MBG/NBD: dropout may follow every purchase, the first included."""

from __future__ import annotations

from churn_clv.models.leaving_at_purchase import LeavingAtPurchase


class ModifiedBetaGeoModel(LeavingAtPurchase):
    """MBG/NBD purchase model (also called CBG/NBD).

    As BG/NBD, but a customer may already leave after her first purchase, so one-time buyers have a
    ``probability_alive`` below 1.

    Parameters
    ----------
    prior
        As in `BetaGeoModel`.

    References
    ----------
    Batislam, Denizel & Filiztekin (2007), Int. J. of Research in Marketing 24(3), 201-209;
    Hoppe & Wagner (2007), Journal of Marketing ZFP 29(3), 75-90.

    Examples
    --------
    >>> import pandas as pd
    >>> model = ModifiedBetaGeoModel.from_params(r=0.525, alpha=6.183, a=0.891, b=1.614)
    >>> summary = pd.DataFrame({"frequency": [0], "recency": [0.0], "T": [38.86]}, index=["c1"])
    >>> round(float(model.probability_alive(summary)["c1"]), 4)
    0.3897
    """

    lifetimes_name = "ModifiedBetaGeoFitter"
    first_purchase_counts = True
