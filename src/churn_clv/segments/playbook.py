"""What is done with each segment: action, channel, and what a contact is assumed to cost and to save.

A high churn risk is not a high uplift (Ascarza 2018, Journal of Marketing Research 55(1)): these are plans to test
against a control group, not promises.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Any

import pandas as pd
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from churn_clv.errors import nearest
from churn_clv.segments.lifecycle import STAGES
from churn_clv.segments.rfm import REGIONS
from churn_clv.segments.tiers import CLASSES, TIERS

NO_CONTACT = "none"
TERMS = ("contact_cost", "incentive", "save_rate", "take_up")
# Scheme beside the grid -> the names of its segments.
SCHEMES: dict[str, list[str]] = {
    "rfm_segment": list(REGIONS),
    "lifecycle_stage": STAGES,
    "value_class": CLASSES,
    "pareto_tier": TIERS,
}
_TIER = re.compile(r"all|low|mid|high|[1-9]\d* of [1-9]\d*")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class SchemePlan(_Strict):
    """What is done for the customers of a segment; channel ``none`` where they are not contacted."""

    action: str = Field(min_length=1)
    channel: str = Field(min_length=1)


class CellPlan(SchemePlan):
    """What is done for the customers of a cell of the grid, and what a contact costs and may do.

    contact_cost, incentive: the log's currency a customer; save_rate, take_up: shares. The names are those of
    `churn_clv.segments.contact_profit.ContactTerms`. A plan without contact has no terms.
    """

    value: str
    risk: str
    segment: str = Field(min_length=1)
    contact_cost: float = Field(default=0.0, ge=0)
    incentive: float = Field(default=0.0, ge=0)
    save_rate: float = Field(default=0.0, ge=0, le=1)
    take_up: float = Field(default=0.0, ge=0, le=1)

    @property
    def is_contact(self) -> bool:
        return self.channel != NO_CONTACT

    @field_validator("value", "risk")
    @classmethod
    def _a_tier(cls, tier: str) -> str:
        if not _TIER.fullmatch(tier):
            raise ValueError(f"unknown tier {tier!r}{nearest(tier, ['low', 'mid', 'high'])}; a grid has the tiers "
                             "low, mid, high, or '1 of 4' and so on")  # fmt: skip
        return tier

    @model_validator(mode="after")
    def _terms_of_a_contact(self) -> CellPlan:
        absent = [name for name in TERMS if name not in self.model_fields_set]
        if self.is_contact and absent:
            raise ValueError(f"segment {self.segment!r} is contacted by {self.channel}: {', '.join(absent)} missing")
        if not self.is_contact and any(getattr(self, name) for name in TERMS):
            raise ValueError(f"segment {self.segment!r} has channel none, so nothing is spent: leave the terms out")
        return self


class Playbook(_Strict):
    """A plan for every segment of every scheme, and what a customer's spend leaves over.

    margin_rate
        Margin by currency unit of revenue; not applied where the log's amounts are margin already.
    grid
        Plans of cells; a cell that is not among them has no plan yet, see `plan_for`.
    rfm_segment, lifecycle_stage, value_class, pareto_tier
        Segment -> what is done for its customers where no cell of the grid has them contacted.
    """

    margin_rate: float = Field(gt=0, le=1)
    grid: list[CellPlan]
    rfm_segment: dict[str, SchemePlan]
    lifecycle_stage: dict[str, SchemePlan]
    value_class: dict[str, SchemePlan]
    pareto_tier: dict[str, SchemePlan]

    @field_validator("grid")
    @classmethod
    def _each_once(cls, plans: list[CellPlan]) -> list[CellPlan]:
        for what, keys in {
            "segment": [repr(plan.segment) for plan in plans],
            "cell": [f"value {plan.value}, risk {plan.risk}" for plan in plans],
        }.items():
            twice = sorted({key for key in keys if keys.count(key) > 1})
            if twice:
                raise ValueError(f"{what} {'; '.join(twice)} has more than one plan; want one each")
        return plans

    @field_validator(*SCHEMES)
    @classmethod
    def _no_segment_forgotten(cls, plans: dict[str, SchemePlan], info: ValidationInfo) -> dict[str, SchemePlan]:
        names = SCHEMES[str(info.field_name)]
        unknown, absent = [name for name in plans if name not in names], [name for name in names if name not in plans]
        if unknown:
            told = "; ".join(f"{name!r}{nearest(name, names)}" for name in unknown)
            raise ValueError(f"no segment of this scheme: {told}; it has {', '.join(names)}")
        if absent:
            raise ValueError(f"no plan for {', '.join(absent)}: every segment needs one, if only to let it rest")
        return plans

    def plan_for(self, value_tier: str, risk_tier: str) -> CellPlan:
        """Return the plan of a cell; a cell without one names itself, is not contacted and its action is open.

        Examples
        --------
        >>> default_playbook().plan_for("high", "low").segment
        'Core'
        >>> default_playbook().plan_for("3 of 4", "all").segment
        'value 3 of 4, risk all'
        """
        for plan in self.grid:
            if (plan.value, plan.risk) == (value_tier, risk_tier):
                return plan
        return CellPlan(
            value=value_tier, risk=risk_tier, segment=f"value {value_tier}, risk {risk_tier}",
            action="No plan named for this cell: decide and test one", channel=NO_CONTACT,
        )  # fmt: skip

    def plans(self, scheme: str) -> pd.DataFrame:
        """Return the action and channel of each segment of a scheme (``segment`` is the grid), indexed by its name.

        Raises
        ------
        ValueError
            If the playbook knows no such scheme.

        Examples
        --------
        >>> default_playbook().plans("pareto_tier").loc["C", "channel"]
        'none'
        """
        if scheme == "segment":
            rows: dict[str, SchemePlan] = {plan.segment: plan for plan in self.grid}
        elif scheme in SCHEMES:
            rows = getattr(self, scheme)
        else:
            raise ValueError(f"no plans for scheme {scheme!r}; there are plans for segment, {', '.join(SCHEMES)}")
        columns = {name: [getattr(plan, name) for plan in rows.values()] for name in ("action", "channel")}
        return pd.DataFrame(columns, index=pd.Index(rows, name=scheme))

    def to_dict(self) -> dict[str, Any]:
        return self.model_dump(mode="json")

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Playbook:
        return cls.model_validate(content)


@cache
def default_playbook() -> Playbook:
    """Return the playbook that comes with the package: playbook.yaml beside this file."""
    text = files("churn_clv.segments").joinpath("playbook.yaml").read_text(encoding="utf-8")
    return Playbook.from_dict(yaml.safe_load(text))
