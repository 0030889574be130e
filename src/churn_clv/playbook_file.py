"""A playbook read from a user's YAML file, checked like a config."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import Field, ValidationInfo, field_validator, model_validator

from churn_clv.errors import nearest
from churn_clv.sections import Section, checked
from churn_clv.segments.playbook import NO_CONTACT, SCHEMES, TERMS, Playbook, default_playbook
from churn_clv.yaml_file import read_yaml

_TIER = re.compile(r"all|low|mid|high|[1-9]\d* of [1-9]\d*")


def load_playbook(path: str | None) -> Playbook:
    """Read and check a playbook; None is the one that comes with the package.

    Raises
    ------
    ConfigError
        One error that names the file and every faulty key.

    Examples
    --------
    >>> load_playbook(None).plan_for("low", "high").segment
    'Dormant'
    """
    if path is None:
        return default_playbook()
    return Playbook.from_dict(checked(PlaybookSection, read_yaml(Path(path)), path).model_dump())


class SchemePlanSection(Section):
    """A `churn_clv.segments.playbook.SchemePlan` as a file gives it."""

    action: str = Field(min_length=1)
    channel: str = Field(min_length=1)


class CellPlanSection(SchemePlanSection):
    """A `churn_clv.segments.playbook.CellPlan` as a file gives it: all terms of a contact, none without one."""

    value: str
    risk: str
    segment: str = Field(min_length=1)
    contact_cost: float = Field(default=0.0, ge=0)
    incentive: float = Field(default=0.0, ge=0)
    save_rate: float = Field(default=0.0, ge=0, le=1)
    take_up: float = Field(default=0.0, ge=0, le=1)

    @field_validator("value", "risk")
    @classmethod
    def _a_tier(cls, tier: str) -> str:
        if not _TIER.fullmatch(tier):
            raise ValueError(f"unknown tier {tier!r}{nearest(tier, ['low', 'mid', 'high'])}; a grid has the tiers "
                             "low, mid, high, or '1 of 4' and so on")  # fmt: skip
        return tier

    @model_validator(mode="after")
    def _terms_of_a_contact(self) -> CellPlanSection:
        is_contact = self.channel != NO_CONTACT
        absent = [name for name in TERMS if name not in self.model_fields_set]
        if is_contact and absent:
            raise ValueError(f"segment {self.segment!r} is contacted by {self.channel}: {', '.join(absent)} missing")
        if not is_contact and any(getattr(self, name) for name in TERMS):
            raise ValueError(f"segment {self.segment!r} has channel none, so nothing is spent: leave the terms out")
        return self


class PlaybookSection(Section):
    """A `churn_clv.segments.playbook.Playbook` as a file gives it: one plan a cell, and a plan for every segment."""

    margin_rate: float = Field(gt=0, le=1)
    grid: list[CellPlanSection]
    rfm_segment: dict[str, SchemePlanSection]
    lifecycle_stage: dict[str, SchemePlanSection]
    value_class: dict[str, SchemePlanSection]
    pareto_tier: dict[str, SchemePlanSection]

    @field_validator("grid")
    @classmethod
    def _each_once(cls, plans: list[CellPlanSection]) -> list[CellPlanSection]:
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
    def _no_segment_forgotten(
        cls, plans: dict[str, SchemePlanSection], info: ValidationInfo
    ) -> dict[str, SchemePlanSection]:
        names = SCHEMES[str(info.field_name)]
        unknown, absent = [name for name in plans if name not in names], [name for name in names if name not in plans]
        if unknown:
            told = "; ".join(f"{name!r}{nearest(name, names)}" for name in unknown)
            raise ValueError(f"no segment of this scheme: {told}; it has {', '.join(names)}")
        if absent:
            raise ValueError(f"no plan for {', '.join(absent)}: every segment needs one, if only to let it rest")
        return plans
