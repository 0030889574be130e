"""What is done with each segment: action, channel, and what a contact is assumed to cost and to save.

A high churn risk is not a high uplift (Ascarza 2018, Journal of Marketing Research 55(1)): these are plans to test
against a control group, not promises.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import cache
from importlib.resources import files
from typing import Any, TypeVar

import pandas as pd

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


@dataclass(frozen=True, kw_only=True)
class SchemePlan:
    """What is done for the customers of a segment; channel ``none`` where they are not contacted."""

    action: str
    channel: str


@dataclass(frozen=True, kw_only=True)
class CellPlan(SchemePlan):
    """What is done for the customers of a cell of the grid, and what a contact costs and may do.

    contact_cost, incentive: the log's currency a customer; save_rate, take_up: shares. The names are those of
    `churn_clv.segments.contact_profit.ContactTerms`. A plan without contact has no terms.
    """

    value: str
    risk: str
    segment: str
    contact_cost: float = 0.0
    incentive: float = 0.0
    save_rate: float = 0.0
    take_up: float = 0.0

    @property
    def is_contact(self) -> bool:
        return self.channel != NO_CONTACT


@dataclass(frozen=True, kw_only=True)
class Playbook:
    """A plan for every segment of every scheme, and what a customer's spend leaves over.

    A user's file is checked where it is read, by `load_playbook`, so that production needs nothing that checks files.

    margin_rate
        Margin by currency unit of revenue; not applied where the log's amounts are margin already.
    grid
        Plans of cells; a cell that is not among them has no plan yet, see `plan_for`.
    rfm_segment, lifecycle_stage, value_class, pareto_tier
        Segment -> what is done for its customers where no cell of the grid has them contacted.
    """

    margin_rate: float
    grid: list[CellPlan]
    rfm_segment: dict[str, SchemePlan]
    lifecycle_stage: dict[str, SchemePlan]
    value_class: dict[str, SchemePlan]
    pareto_tier: dict[str, SchemePlan]

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
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Playbook:
        """Build the playbook from `to_dict`.

        Raises
        ------
        ValueError
            If a field is missing or unknown, named with its place.
        """
        _check_fields(cls, content, "playbook")
        cells = [_plan(CellPlan, plan, f"playbook.grid.{number}") for number, plan in enumerate(content["grid"])]
        schemes = {
            scheme: {
                name: _plan(SchemePlan, plan, f"playbook.{scheme}.{name}") for name, plan in content[scheme].items()
            }
            for scheme in SCHEMES
        }
        return cls(margin_rate=content["margin_rate"], grid=cells, **schemes)


_Plan = TypeVar("_Plan", bound=SchemePlan)


def _plan(kind: type[_Plan], content: Mapping[str, Any], place: str) -> _Plan:
    _check_fields(kind, content, place)
    return kind(**content)


def _check_fields(kind: type[SchemePlan | Playbook], content: Mapping[str, Any], place: str) -> None:
    wanted = [field.name for field in fields(kind)]
    absent, unknown = [name for name in wanted if name not in content], [name for name in content if name not in wanted]
    told = [f"{what} {', '.join(names)}" for what, names in (("missing", absent), ("unknown", unknown)) if names]
    if told:
        raise ValueError(f"{place}: {'; '.join(told)}; its fields are {', '.join(wanted)}")


@cache
def default_playbook() -> Playbook:
    """Return the playbook that comes with the package: playbook.yaml beside this file."""
    import yaml  # a playbook that was handed over needs none

    content = yaml.safe_load(files("churn_clv.segments").joinpath("playbook.yaml").read_text(encoding="utf-8"))
    cells = [cell | {name: float(cell.get(name, 0)) for name in TERMS} for cell in content["grid"]]
    return Playbook.from_dict(content | {"grid": cells})
