"""The sections of a config that say how customers are divided, and what is done with them."""

from __future__ import annotations

from itertools import pairwise
from math import isfinite
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from churn_clv.data.windows import duration_days
from churn_clv.errors import nearest
from churn_clv.sections import Section
from churn_clv.segments.accounts import Accounts
from churn_clv.segments.grid import Cuts, Quantiles, ValueAxis, ValueShares
from churn_clv.segments.small_groups import SMALLEST_GROUP

Share = Annotated[float, Field(gt=0, lt=1)]


class QuantilesSection(Section):
    """Cuts below which these shares of the customers lie."""

    quantiles: list[Share] = Field(min_length=1)

    def cuts(self) -> Quantiles:
        return Quantiles(tuple(self.quantiles))


class ValueSharesSection(Section):
    """Cuts above which customers bring these shares of the total value: Pareto's tiers."""

    value_shares: list[Share] = Field(min_length=1)

    def cuts(self) -> ValueShares:
        return ValueShares(tuple(self.value_shares))


class GridSection(Section):
    """Cut points of the two axes, and the score on the value axis.

    Cuts are `terciles` of the reference snapshot, {quantiles: [...]}, for value {value_shares: [...]}, or fixed values in
    increasing order.
    """

    value_axis: ValueAxis = "value_if_active"
    value_cuts: Literal["terciles"] | list[float] | QuantilesSection | ValueSharesSection = "terciles"
    risk_cuts: Literal["terciles"] | list[float] | QuantilesSection = "terciles"

    @field_validator("value_cuts", mode="before")
    @classmethod
    def _value_cuts(cls, cuts: object) -> object:
        return _formed(cuts, ["quantiles", "value_shares"])

    @field_validator("risk_cuts", mode="before")
    @classmethod
    def _risk_cuts(cls, cuts: object) -> object:
        return _formed(cuts, ["quantiles"])

    @field_validator("risk_cuts")
    @classmethod
    def _probabilities(cls, cuts: object) -> object:
        if isinstance(cuts, list) and not all(0 < cut < 1 for cut in cuts):
            raise ValueError(f"cuts of a probability lie between 0 and 1; got {cuts}")
        return cuts

    def cuts(self) -> tuple[Cuts, Cuts]:
        """Return the cuts of the value and of the risk axis as `freeze_grid` takes them."""
        value, risk = self.value_cuts, self.risk_cuts
        return (
            value.cuts() if isinstance(value, QuantilesSection | ValueSharesSection) else value,
            risk.cuts() if isinstance(risk, QuantilesSection) else risk,
        )


class SegmentsSection(Section):
    """The schemes beside the grid, and the columns of the attributes that are accounts of customers, not traits.

    period: how far apart two placements are when movement between segments is told; shorter where the log is.
    cost_to_serve: column, money a customer in the time of the log. total_spend: column, what a customer spends in the
    category with everybody, in the time of the log. acquisition_cost: column, or one amount for every customer.
    composite_value: score or attribute columns -> weight, more is better in each, the weights sum to 1.
    """

    period: str = "1 month"
    seed: int = Field(default=1, ge=0, le=2**31 - 1)
    cost_to_serve: str | None = None
    total_spend: str | None = None
    acquisition_cost: str | float | None = None
    composite_value: dict[str, float] = {}

    @field_validator("period")
    @classmethod
    def _length(cls, text: str) -> str:
        duration_days(text)
        return text

    @model_validator(mode="after")
    def _weights(self) -> SegmentsSection:
        weights = self.composite_value
        if weights and (min(weights.values()) < 0 or abs(sum(weights.values()) - 1) > 1e-9):
            raise ValueError(f"composite_value: weights must not be negative and must sum to 1; got {weights}")
        if isinstance(self.acquisition_cost, float) and self.acquisition_cost < 0:
            raise ValueError(f"acquisition_cost: must not be negative; got {self.acquisition_cost:g}")
        return self

    def accounts(self) -> Accounts:
        return Accounts(self.cost_to_serve, self.total_spend, self.acquisition_cost, dict(self.composite_value))


class ActionsSection(Section):
    """What is done with the segments: a playbook of the user's own, a budget, and save rates that were measured.

    playbook: a YAML file; left out, the one of the package. budget: money for contacts and offers; left out, whoever is
    worth contacting is. save_rates: a table customer_id, save_rate of a test against a control group.
    """

    playbook: str | None = None
    budget: float | None = Field(default=None, ge=0)
    save_rates: str | None = None


class PrivacySection(Section):
    """What pages, figures and tables without ids may tell of customers: no group of fewer than this many; 1 tells of all."""

    smallest_group: int = Field(default=SMALLEST_GROUP, ge=1, le=1000)


def _formed(cuts: object, kinds: list[str]) -> object:
    """Refuse in one sentence what is no form of cut points: each form by itself would say that it is not meant."""
    if isinstance(cuts, str) and cuts != "terciles":
        raise ValueError(
            f"no cut points: {cuts!r}; want terciles, fixed values in increasing order, or {_mappings(kinds)}"
        )
    if isinstance(cuts, dict):
        names = [str(name) for name in cuts]
        if len(names) != 1 or names[0] not in kinds:
            hint = nearest(names[0], kinds) if names else ""
            raise ValueError(f"want {_mappings(kinds)}; got {', '.join(names) or 'nothing'}{hint}")
        if not all(0 < share < 1 for share in _rising(cuts[names[0]])):
            raise ValueError(f"{names[0]} are shares between 0 and 1; got {cuts[names[0]]}")
    return _rising(cuts) if isinstance(cuts, list) else cuts


def _mappings(kinds: list[str]) -> str:
    return " or ".join(f"{{{kind}: [...]}}" for kind in kinds)


def _rising(cuts: object) -> list[float]:
    numbers = cuts if isinstance(cuts, list) else []
    if not all(isinstance(cut, int | float) and not isinstance(cut, bool) and isfinite(cut) for cut in numbers):
        raise ValueError(f"cut points must be finite numbers; got {cuts}")
    if not numbers or any(later <= earlier for earlier, later in pairwise(numbers)):
        raise ValueError(f"cut points must be given in increasing order, each once; got {cuts}")
    return numbers
