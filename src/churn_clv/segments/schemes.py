"""The classic views beside the grid: the cuts of every scheme, taken once at a reference snapshot, and a label a customer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from churn_clv.segments import clusters as groups
from churn_clv.segments import rfm
from churn_clv.segments.clusters import Clusters
from churn_clv.segments.lifecycle import LifecycleRules, lifecycle_stages
from churn_clv.segments.rfm import RFMCuts
from churn_clv.segments.tiers import (
    ClassCuts,
    ParetoCuts,
    freeze_pareto,
    freeze_value_classes,
    pareto_tiers,
    value_classes,
)

# What the clusters are found in, beside customer attributes: behaviour only, so that they are no second forecast, and no
# age: of a single cohort everybody grows older, and all would drift into the clusters of the oldest.
CLUSTERED = ("silence_share", "frequency", "mean_amount", "purchases_last_91_days")
# Two clusters are a split that value tiers make as well; a marketer cannot tend more than eight or nine.
NUMBERS, SHAPES = range(3, 9), ((1, 3), (2, 2), (2, 3), (2, 4), (3, 3))
SCHEMES = ("rfm_segment", "lifecycle_stage", "value_class", "pareto_tier", "cluster", "map_cluster")
LABELS = (*rfm.SCORES, *SCHEMES)


@dataclass(frozen=True)
class Schemes:
    """Frozen cuts of every scheme: customers move, cuts do not."""

    rfm: RFMCuts
    lifecycle: LifecycleRules
    value_class: ClassCuts
    pareto: ParetoCuts
    clusters: Clusters
    map_clusters: Clusters

    def to_dict(self) -> dict[str, Any]:
        own = {
            name: getattr(self, name).to_dict() for name in ("rfm", "value_class", "pareto", "clusters", "map_clusters")
        }
        return own | {"lifecycle": asdict(self.lifecycle)}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Schemes:
        return cls(
            RFMCuts.from_dict(content["rfm"]), LifecycleRules(**content["lifecycle"]),
            ClassCuts.from_dict(content["value_class"]), ParetoCuts.from_dict(content["pareto"]),
            Clusters.from_dict(content["clusters"]), Clusters.from_dict(content["map_clusters"]),
        )  # fmt: skip

    @property
    def attributes(self) -> list[str]:
        """The customer attributes that the clusters read."""
        read = [c.feature for found in (self.clusters, self.map_clusters) for c in found.columns]
        return list(dict.fromkeys(name for name in read if name not in CLUSTERED))


def freeze_schemes(scores: pd.DataFrame, features: pd.DataFrame, attributes: list[str], seed: int) -> Schemes:
    """Take the cuts of every scheme from a reference snapshot.

    Parameters
    ----------
    scores
        One row a customer: recency, T, horizon_days (days), frequency, monetary_value, expected_spend, value_if_active
        (currency).
    features
        silence_share, mean_amount, purchases_last_91_days and the attributes, same index.
    attributes
        Columns of `features` that are customer attributes; dates among them take no part.
    seed
        Of the clusters.
    """
    traits = [name for name in attributes if name in without_dates(features)]
    described = behaviour(scores, features, traits)[[*CLUSTERED, *traits]]
    value = scores["expected_spend"]
    return Schemes(
        rfm.freeze_rfm(scores), LifecycleRules.for_horizon(int(scores["horizon_days"].iloc[0])), freeze_value_classes(scores),
        freeze_pareto(value), groups.fit_kmeans(described, value, numbers=NUMBERS, seed=seed),
        groups.fit_som(described, value, shapes=SHAPES, seed=seed),
    )  # fmt: skip


def labels(
    schemes: Schemes, scores: pd.DataFrame, features: pd.DataFrame, contribution: pd.Series | None = None
) -> pd.DataFrame:
    """Give every customer a segment of every scheme, by frozen cuts.

    Parameters
    ----------
    scores, features
        As in `freeze_schemes`, with churn_probability and p_alive.
    contribution
        What each customer left over in the past (currency), by customer id; see `value_classes`.

    Returns
    -------
    DataFrame with the columns LABELS, index of `scores`.
    """
    found = rfm.place(schemes.rfm, scores)
    staged = scores.assign(purchases_last_91_days=features["purchases_last_91_days"])
    described = behaviour(scores, features, schemes.attributes)
    return found.assign(
        rfm_segment=rfm.rfm_segments(found),
        lifecycle_stage=lifecycle_stages(staged, schemes.lifecycle),
        value_class=value_classes(schemes.value_class, scores, contribution),
        pareto_tier=pareto_tiers(schemes.pareto, scores["expected_spend"]),
        cluster=groups.place(schemes.clusters, described),
        map_cluster=groups.place(schemes.map_clusters, described),
    )[list(LABELS)]


def behaviour(scores: pd.DataFrame, features: pd.DataFrame, attributes: list[str]) -> pd.DataFrame:
    """Return what segments are told by: how a customer has bought so far, in days, purchases and money, and attributes."""
    found = pd.DataFrame({
        "days_since_purchase": scores["T"] - scores["recency"], "tenure_days": scores["T"],
        "frequency": scores["frequency"], **{name: features[name] for name in CLUSTERED if name != "frequency"},
    })  # fmt: skip
    return found.join(features.reindex(columns=attributes))


def without_dates(features: pd.DataFrame) -> pd.DataFrame:
    """Leave out what is neither a number nor a category: a day says nothing of who is alike."""
    return features.select_dtypes(exclude=["datetime", "datetimetz"])


def in_order(scheme: str, schemes: Schemes) -> list[str]:
    """Return the segments of a scheme in the order of a report, best first, empty ones included."""
    from churn_clv.segments.lifecycle import STAGES
    from churn_clv.segments.tiers import CLASSES, TIERS

    return {
        "rfm_segment": list(rfm.REGIONS), "lifecycle_stage": STAGES, "value_class": CLASSES, "pareto_tier": TIERS,
        "cluster": schemes.clusters.names, "map_cluster": schemes.map_clusters.names,
    }[scheme]  # fmt: skip
