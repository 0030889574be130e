"""What a run is: strict sections read from YAML, and errors that name file and key."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from itertools import pairwise
from math import isfinite
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from churn_clv.data.contract import Columns, ReadingRules
from churn_clv.data.simulate import Truth
from churn_clv.data.windows import duration_days
from churn_clv.errors import InputError, nearest

Dataset = Literal["file", "cdnow", "cdnow_sample", "complete_journey", "simulated"]
Duration = Annotated[str, Field(description="a calendar length such as '26 weeks', '6 months' or '90 days'")]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


class ConfigError(InputError):
    """A config that cannot be a run; every fault is listed, each with its key."""


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, validate_default=True)


class ColumnsSection(Section):
    """Names of the log's columns in the user's file."""

    customer_id: str = "customer_id"
    date: str = "date"
    amount: str | None = "amount"
    order_id: str | None = None
    product_id: str | None = None
    quantity: str | None = None
    channel: str | None = None


class AttributesSection(Section):
    """A table of customer attributes, one row a customer."""

    path: str
    customer_id: str = "customer_id"


class SimulatedSection(Section):
    """A simulated log; `truth` overrides parameters of `churn_clv.data.simulate.Truth`."""

    customers: int = Field(default=5000, ge=1)
    seed: int = Field(default=20240101, ge=0)
    start: date = date(2023, 1, 1)
    days: int = Field(default=730, ge=2)
    arrival_days: int = Field(default=365, ge=1)
    truth: dict[Literal["r", "alpha", "a", "b", "p", "q", "v"], float] = {}

    @field_validator("truth")
    @classmethod
    def _positive(cls, truth: dict[str, float]) -> dict[str, float]:
        Truth(**truth)
        return truth

    @model_validator(mode="after")
    def _arrivals_within(self) -> SimulatedSection:
        if self.arrival_days > self.days:
            raise ValueError(f"arrival_days: {self.arrival_days} is longer than the log, days: {self.days}")
        return self


class DataSection(Section):
    """Where the log is and how to read it."""

    source: Dataset = "file"
    path: str | None = None
    columns: ColumnsSection = ColumnsSection()
    currency: str | None = Field(default=None, max_length=12)
    date_format: str | None = None
    decimal: Literal[".", ","] = "."
    delimiter: str | None = None
    encoding: str = "utf-8"
    timezone: str = "UTC"
    duplicates: Literal["keep", "drop"] = "keep"
    missing_customer_id: Literal["drop", "error"] = "drop"
    purchase_rule: Literal["purchase_line", "positive_net"] = "purchase_line"
    start: date | None = None
    end: date | None = None
    drop_rows: list[dict[str, list[str | int | float | bool | None]]] = []
    attributes: AttributesSection | None = None
    simulated: SimulatedSection = SimulatedSection()
    memory_limit: str | None = None

    @model_validator(mode="after")
    def _path_goes_with_file(self) -> DataSection:
        if self.source == "file" and not self.path:
            raise ValueError("path: missing; name the log's file, or a data.source other than 'file'")
        if self.source != "file" and self.path:
            raise ValueError(f"path: is given, but source {self.source!r} brings its own data; remove one of them")
        return self

    def reading_rules(self) -> ReadingRules:
        names = ("date_format", "decimal", "delimiter", "encoding", "timezone", "duplicates",
                 "missing_customer_id", "purchase_rule", "start", "end", "drop_rows")  # fmt: skip
        return ReadingRules(**{name: getattr(self, name) for name in names})

    def column_names(self) -> Columns:
        return Columns(**self.columns.model_dump())


class WindowsSection(Section):
    """The dates of the run; see `churn_clv.data.windows`."""

    calibration_end: date
    holdout_end: date
    label_cutoffs: list[date] | None = None
    label_horizon: str | None = None
    score_as_of: date | None = None

    @field_validator("label_horizon")
    @classmethod
    def _length(cls, text: str | None) -> str | None:
        if text not in (None, "until_calibration_end"):
            duration_days(str(text))
        return text


class ValueSection(Section):
    """The purchase and spend models, and the CLV they give."""

    purchase_model: Literal["bg_nbd", "mbg_nbd", "pareto_nbd"] = "bg_nbd"
    engine: Literal["native", "lifetimes"] = "native"
    spend_days: Literal["repeat", "all"] = "repeat"
    clv_horizon: Duration = "52 weeks"
    annual_discount_rate: float = Field(default=0.10, ge=0, lt=10)

    @field_validator("clv_horizon")
    @classmethod
    def _length(cls, text: str) -> str:
        duration_days(text)
        return text


class ChurnSection(Section):
    """LightGBM's settings. Rounds are chosen by customer-grouped cross-validation on past labels."""

    learning_rate: float = Field(default=0.03, gt=0, le=1)
    num_leaves: int = Field(default=7, ge=2)
    min_data_in_leaf: int = Field(default=20, ge=1)
    feature_fraction: float = Field(default=0.7, gt=0, le=1)
    lambda_l2: float = Field(default=10.0, ge=0)
    max_rounds: int = Field(default=400, ge=1)
    folds: int = Field(default=5, ge=2)
    seed: int = Field(default=7, ge=0)
    num_threads: int = Field(default=1, ge=1)


Cuts = Literal["terciles"] | list[float]


class GridSection(Section):
    """Cut points of the two axes: `terciles` of the reference snapshot, or fixed values in increasing order."""

    value_cuts: Cuts = "terciles"
    risk_cuts: Cuts = "terciles"

    @field_validator("value_cuts", "risk_cuts")
    @classmethod
    def _in_order(cls, cuts: str | list[float]) -> str | list[float]:
        if isinstance(cuts, list) and not all(map(isfinite, cuts)):
            raise ValueError(f"cut points must be finite numbers; got {cuts}")
        if isinstance(cuts, list) and (not cuts or any(later <= earlier for earlier, later in pairwise(cuts))):
            raise ValueError(f"cut points must be given in increasing order, each once; got {cuts}")
        return cuts

    @field_validator("risk_cuts")
    @classmethod
    def _probabilities(cls, cuts: str | list[float]) -> str | list[float]:
        if isinstance(cuts, list) and not all(0 < cut < 1 for cut in cuts):
            raise ValueError(f"cuts of a probability lie between 0 and 1; got {cuts}")
        return cuts


class EvaluationSection(Section):
    """How the errors of the metrics are estimated."""

    bootstrap_samples: int = Field(default=200, ge=20, le=10000)
    seed: int = Field(default=1, ge=0)


class TrackingSection(Section):
    """Where the run stands in MLflow; the store itself is MLFLOW_TRACKING_URI, by default ./mlflow.db."""

    experiment: str = Field(default="churn-clv", min_length=1, max_length=200)
    registered_model: Name | None = None


class Config(Section):
    """One complete run."""

    name: Name
    data: DataSection
    windows: WindowsSection
    value: ValueSection = ValueSection()
    churn: ChurnSection = ChurnSection()
    grid: GridSection = GridSection()
    evaluation: EvaluationSection = EvaluationSection()
    tracking: TrackingSection = TrackingSection()

    @property
    def registered_model(self) -> str:
        return self.tracking.registered_model or f"churn-clv-{self.name}"

    def to_yaml(self) -> str:
        """Return the resolved config: every default written out, ready to be read again."""
        return yaml.safe_dump(self.model_dump(), sort_keys=False, allow_unicode=True)


def load_config(path: Path | str, overrides: Sequence[str] = ()) -> Config:
    """Read a run's YAML, apply ``section.key=value`` overrides and check everything at once.

    Relative paths in the file are relative to the working directory.

    Raises
    ------
    ConfigError
        One error that names the file and every faulty key, with the nearest valid name.
    """
    source = Path(path)
    content = read_yaml(source)
    for override in overrides:
        _apply(content, override)
    return parse_config(content, source=str(source))


def parse_config(content: dict[str, Any], *, source: str) -> Config:
    """Check a config given as a mapping; `source` names it in errors."""
    try:
        return Config.model_validate(content)
    except ValidationError as error:
        faults = [_in_words(fault, content) for fault in error.errors()]
        raise ConfigError(f"{source}: " + "; ".join(faults)) from None


class _UniqueKeyLoader(yaml.SafeLoader):
    """Safe YAML in which a key given twice is an error instead of a silent last word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = sorted({str(key) for key in keys if keys.count(key) > 1})
        if twice:
            raise yaml.constructor.ConstructorError(None, None, f"key {twice[0]!r} is given twice", node.start_mark)
        return super().construct_mapping(node, deep=deep)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping safely: no tags that run code, no duplicate keys, at most 1 MB."""
    if not path.is_file():
        others = [str(p) for p in path.parent.glob("*.yaml")] if path.parent.is_dir() else []
        raise ConfigError(f"{path}: no such config file{nearest(str(path), others)}")
    if path.stat().st_size > 1_000_000:
        raise ConfigError(f"{path}: larger than 1 MB, which no config is")
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeyLoader)  # noqa: S506 (a SafeLoader)
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not UTF-8 text") from None
    except (yaml.YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise ConfigError(
            f"{path}{line}: not valid YAML: {getattr(error, 'problem', None) or str(error).splitlines()[0]}"
        ) from None
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: a config is a mapping of sections; got {type(content).__name__}")
    return content


def _apply(content: dict[str, Any], override: str) -> None:
    key, separator, text = override.partition("=")
    parts = key.strip().split(".")
    if not separator or not all(parts):
        raise ConfigError(f"--set {override}: write --set section.key=value")
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError):
        raise ConfigError(f"--set {override}: the value is not valid YAML") from None
    patch(content, parts, value)


def patch(content: dict[str, Any], keys: Sequence[str], value: Any) -> None:
    """Set a nested key in place, making the sections on the way."""
    for part in keys[:-1]:
        inner = content.get(part)
        content[part] = inner = {} if inner is None else inner
        if not isinstance(inner, dict):
            raise ConfigError(f"--set {'.'.join(keys)}: {part!r} is a value, not a section")
        content = inner
    content[keys[-1]] = value


def _in_words(fault: Any, content: dict[str, Any]) -> str:
    """Say one pydantic fault as `section.key: what is wrong (did you mean ...?)`."""
    location = [str(part) for part in fault["loc"] if not str(part).startswith(("list[", "literal["))]
    key, kind = ".".join(location), fault["type"]
    if kind == "extra_forbidden":
        return f"{key}: unknown key{nearest(location[-1], _valid_keys(location[:-1]))}"
    if kind == "missing":
        return f"{key}: missing"
    message = fault["msg"].removeprefix("Value error, ")
    if kind == "value_error":
        return f"{key}: {message}" if key else message
    return f"{key}: {message[0].lower() + message[1:]}; got {fault['input']!r:.60}"


def _valid_keys(location: Sequence[str]) -> list[str]:
    """The keys a section knows, found by walking the models along a fault's location."""
    section: Any = Config
    for part in location:
        field = section.model_fields.get(part) if section is not None else None
        annotation: Any = field.annotation if field else None
        options = [annotation, *get_args(annotation)]
        section = next((o for o in options if isinstance(o, type) and issubclass(o, BaseModel)), None)
    return list(section.model_fields) if section is not None else []
