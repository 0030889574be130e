"""What a run on contracts is: one row a customer and a column that says who left, instead of a log and dates."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, model_validator

from churn_clv.config import Config, EvaluationSection, Name, TrackingSection, TreesSection
from churn_clv.data.contracts import ContractColumns
from churn_clv.errors import ConfigError
from churn_clv.sections import Section, checked, override
from churn_clv.segment_sections import GridSection, PrivacySection
from churn_clv.yaml_file import read_yaml


class ContractSection(Section):
    """Where the table is and what its columns mean; every column that is not named here is a feature."""

    path: str
    customer_id: str = ContractColumns.customer_id
    churn: str = ContractColumns.churn
    churned_value: str | int | float | bool = ContractColumns.churned_value
    value: str = Field(description="what a customer brings a month; also a feature")
    ignore: list[str] = []
    currency: str | None = Field(default=None, max_length=12)

    @model_validator(mode="after")
    def _one_role_each(self) -> ContractSection:
        roles = [self.customer_id, self.churn, self.value, *self.ignore]
        twice = sorted({name for name in roles if roles.count(name) > 1})
        if twice:
            raise ValueError(f"{', '.join(map(repr, twice))}: named for two roles; each column has one")
        return self

    def columns(self) -> ContractColumns:
        return ContractColumns(self.customer_id, self.churn, self.churned_value, self.value, tuple(self.ignore))


class CrossFittingSection(EvaluationSection):
    """How the run is judged: customers in folds, each scored by a model that never saw them."""

    folds: int = Field(default=5, ge=2, le=100)


class ContractGridSection(GridSection):
    """Cut points of the grid of contracts, whose value axis is the monthly value."""

    value_axis: Literal["value_if_active"] = "value_if_active"


class ContractualConfig(Section):
    """One complete run on contracts."""

    name: Name
    contract: ContractSection
    churn: TreesSection = TreesSection()
    grid: ContractGridSection = ContractGridSection()
    evaluation: CrossFittingSection = CrossFittingSection()
    tracking: TrackingSection = TrackingSection()
    privacy: PrivacySection = PrivacySection()

    def to_yaml(self) -> str:
        """Return the resolved config: every default written out, ready to be read again."""
        return yaml.safe_dump(self.model_dump(), sort_keys=False, allow_unicode=True)


def load_run(path: Path | str, overrides: Sequence[str] = ()) -> Config | ContractualConfig:
    """Read a run's YAML, on a log or on contracts; a section `contract` makes it the latter.

    Raises
    ------
    ConfigError
        One error that names the file and every faulty key; also where the file describes both kinds of run.
    """
    content, root = read_run(path, overrides)
    return checked(root, content, str(path))


def read_run(
    path: Path | str, overrides: Sequence[str] = ()
) -> tuple[dict[str, Any], type[Config] | type[ContractualConfig]]:
    """Read a run's YAML with its overrides, still to be checked, and tell which kind of run it is; see `load_run`."""
    content = read_yaml(Path(path))
    named = {text.partition("=")[0].strip().split(".")[0] for text in overrides}
    contractual = "contract" in content.keys() | named
    override(content, overrides, ContractualConfig if contractual else Config)
    if not contractual:
        return content, Config
    both = [key for key in Config.model_fields if key in content and key not in ContractualConfig.model_fields]
    if both:
        raise ConfigError(
            f"{path}: contract: stands beside {', '.join(both)}: a run has either contracts (contract: one row a "
            "customer) or a log (data, windows, value); remove one of them"
        )
    return content, ContractualConfig
