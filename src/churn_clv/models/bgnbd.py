"""BG/NBD: dropout may follow each repeat purchase."""

from __future__ import annotations

from churn_clv.models.leaving_at_purchase import LeavingAtPurchase


class BetaGeoModel(LeavingAtPurchase):
    """BG/NBD purchase model.

    While active a customer buys at rate lambda ~ Gamma(r, alpha); after each *repeat* purchase she leaves with
    probability p ~ Beta(a, b). A customer without a repeat purchase had no chance to leave, so her
    ``probability_alive`` is exactly 1: it is not a risk score.

    Parameters
    ----------
    prior
        Optional regulariser: the standard deviation of a normal prior on ln r, logit a/(a+b) and ln(a+b) around
        r = 0.6, a/(a+b) = 0.2, a+b = 3. It has no unit; about 2 is weak. None, the default, is maximum likelihood.

    References
    ----------
    Fader, Hardie & Lee (2005), "Counting Your Customers" the Easy Way, Marketing Science 24(2), 275-284: eq. 6
    (likelihood), 8 (counts), 9 and 10 (expectations). Fader & Hardie (2013), note 027, for the stable likelihood.

    Examples
    --------
    >>> import pandas as pd
    >>> model = BetaGeoModel.from_params(r=0.243, alpha=4.414, a=0.793, b=2.426)
    >>> summary = pd.DataFrame({"frequency": [2], "recency": [30.43], "T": [38.86]}, index=["c1"])
    >>> round(float(model.expected_purchases(summary, horizon=39)["c1"]), 3)
    1.226
    """

    lifetimes_name = "BetaGeoFitter"
    first_purchase_counts = False
