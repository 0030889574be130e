"""What a run is: strict sections read from YAML, and errors that name file and key."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from inspect import signature
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    AfterValidator,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from churn_clv.data.contract import (
    Columns,
    EventsTable,
    ReadingRules,
    check_delimiter,
    check_margin,
    is_utf8,
    known_zone,
)
from churn_clv.data.simulate import MOST_CUSTOMERS, Truth
from churn_clv.data.windows import duration_days
from churn_clv.evaluation.profit import RetentionCosts
from churn_clv.models.churn import ChurnModel
from churn_clv.sections import Section, checked, override
from churn_clv.segment_sections import ActionsSection, GridSection, PrivacySection, SegmentsSection
from churn_clv.yaml_file import read_yaml

MEMORY = r"^(\d+(?:\.\d+)?)\s?([KMGT])(i?)B$"  # such as 4GB or 1.5 GiB
Dataset = Literal["file", "cdnow", "cdnow_sample", "complete_journey", "simulated"]
Duration = Annotated[str, Field(description="a calendar length such as '26 weeks', '6 months' or '90 days'")]
Count = Annotated[int, Field(ge=1, le=2**31 - 1)]  # LightGBM's integers have 32 bits
Seed = Annotated[int, Field(ge=0, le=2**31 - 1)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


def _not_in_the_future(day: date) -> date:
    if day > datetime.now(UTC).date() + timedelta(days=1):  # a shop may be a day ahead of UTC
        raise ValueError(f"{day} is in the future; what has not happened yet cannot be known")
    return day


KnownDay = Annotated[date, AfterValidator(_not_in_the_future)]


class ColumnsSection(Section):
    """Names of the log's columns in the user's file; the defaults are those of the data contract."""

    customer_id: str = Columns.customer_id
    date: str = Columns.date
    amount: str | None = Columns.amount
    order_id: str | None = Columns.order_id
    product_id: str | None = Columns.product_id
    quantity: str | None = Columns.quantity
    channel: str | None = Columns.channel
    margin: str | None = Columns.margin


class AttributesSection(Section):
    """A table of customer attributes, one row a customer."""

    path: str
    customer_id: str = "customer_id"


class EventsSection(Section):
    """A table of what happened to customers beside purchases, read by the rules of the log; kind is optional."""

    path: str
    customer_id: str = EventsTable.customer_id
    date: str = EventsTable.date
    kind: str | None = EventsTable.kind


class SimulatedSection(Section):
    """A simulated log; `truth` overrides parameters of `churn_clv.data.simulate.Truth`."""

    customers: int = Field(default=5000, ge=1, le=MOST_CUSTOMERS)
    seed: int = Field(default=20240101, ge=0)
    start: KnownDay = date(2023, 1, 1)
    days: int = Field(default=730, ge=2, le=36_525)
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
    """Where the log is and how to read it, and what it may take.

    panel_customers: above so many customers a random panel of this size stands for all in what trees learn and in what is
    judged and described; purchase and spend models still fit everyone, and everyone is scored. null: no panel.
    spill_directory: where the log's tables stand in a file, and what goes beyond memory_limit; null keeps all in memory.
    engine: runs the data steps on the whole log; spark_master names a cluster, null leaves that to spark-submit.
    """

    source: Dataset = "file"
    path: str | None = None
    columns: ColumnsSection = ColumnsSection()
    currency: str | None = Field(default=None, max_length=12)
    date_format: str | None = ReadingRules.date_format
    decimal: Literal[".", ","] = ReadingRules.decimal
    delimiter: str | None = ReadingRules.delimiter
    encoding: str = ReadingRules.encoding
    timezone: str = ReadingRules.timezone
    duplicates: Literal["keep", "drop"] = ReadingRules.duplicates
    missing_customer_id: Literal["drop", "error"] = ReadingRules.missing_customer_id
    purchase_rule: Literal["purchase_line", "positive_net"] = ReadingRules.purchase_rule
    margin_rate: float | None = ReadingRules.margin_rate
    start: date | None = ReadingRules.start
    end: KnownDay | None = None
    drop_rows: list[dict[str, list[str | int | float | bool | None]]] = []
    sample_customers: Count | None = ReadingRules.sample_customers
    attributes: AttributesSection | None = None
    use_attributes: bool = True
    events: EventsSection | None = None
    use_events: bool = True
    simulated: SimulatedSection = SimulatedSection()
    panel_customers: int | None = Field(default=200_000, ge=100)
    memory_limit: str | None = Field(default=None, pattern=MEMORY)
    spill_directory: str | None = None
    threads: int | None = Field(default=None, ge=1, le=1024)
    engine: Literal["duckdb", "spark"] = "duckdb"
    spark_master: str | None = None

    @field_validator("delimiter", "encoding", "timezone")
    @classmethod
    def _readable(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None:
            {"delimiter": check_delimiter, "encoding": is_utf8, "timezone": known_zone}[str(info.field_name)](value)
        return value

    @model_validator(mode="after")
    def _keys_go_with_source(self) -> DataSection:
        """A key at its default says nothing: a resolved config, which writes all of them out, is read again."""
        if self.source == "file" and not self.path:
            raise ValueError("path: missing; name the log's file, or a data.source other than 'file'")
        only_of_a_file = ("path", "columns", "date_format", "decimal", "delimiter", "encoding")
        changed = {key for key, field in DataSection.model_fields.items() if getattr(self, key) != field.default}
        if self.source != "simulated" and "simulated" in changed:
            raise ValueError(f"simulated: is given, but the source is {self.source!r}; remove one of them")
        given = [key for key in only_of_a_file if key in changed]
        if self.source != "file" and given:
            raise ValueError(
                f"{', '.join(given)}: is given, but source {self.source!r} brings its own data; remove one of them"
            )
        return self

    @model_validator(mode="after")
    def _cluster_goes_with_spark(self) -> DataSection:
        if self.spark_master is not None and self.engine != "spark":
            raise ValueError(
                f"spark_master: is given, but the engine is {self.engine!r}; set engine: spark, or remove it"
            )
        return self

    @model_validator(mode="after")
    def _one_margin(self) -> DataSection:
        check_margin(self.column_names(), self.reading_rules())
        return self

    def reading_rules(self) -> ReadingRules:
        names = ("date_format", "decimal", "delimiter", "encoding", "timezone", "duplicates",
                 "missing_customer_id", "purchase_rule", "margin_rate", "start", "end", "drop_rows", "sample_customers")  # fmt: skip
        return ReadingRules(**{name: getattr(self, name) for name in names})

    def column_names(self) -> Columns:
        return Columns(**self.columns.model_dump())

    def events_table(self) -> EventsTable | None:
        return None if self.events is None else EventsTable(**self.events.model_dump())


class WindowsSection(Section):
    """The dates of the run; see `churn_clv.data.windows`."""

    calibration_end: date
    holdout_end: KnownDay
    label_cutoffs: list[date] | None = None
    label_horizon: str | None = None
    score_as_of: KnownDay | None = None

    @field_validator("label_horizon")
    @classmethod
    def _length(cls, text: str | None) -> str | None:
        if text not in (None, "until_calibration_end"):
            duration_days(str(text))
        return text


ValueMethod = Literal["purchase_model", "hurdle", "tweedie", "two_part", "average", "textbook_ltv"]


class ValueSection(Section):
    """The purchase and spend models, how they forecast value, and the CLV they give.

    method `auto`: the champion over at least three origins before calibration_end, else the hurdle.
    """

    method: Literal["auto", ValueMethod] = "auto"
    purchase_model: Literal["bg_nbd", "mbg_nbd", "pareto_nbd"] = "bg_nbd"
    engine: Literal["native", "lifetimes"] = "native"
    spend_days: Literal["repeat", "all"] = "repeat"
    clv_horizon: Duration = "52 weeks"
    annual_discount_rate: float = Field(default=0.10, ge=0)

    @field_validator("clv_horizon")
    @classmethod
    def _length(cls, text: str) -> str:
        duration_days(text)
        return text

    @field_validator("annual_discount_rate")
    @classmethod
    def _no_per_cent(cls, rate: float) -> float:
        if rate > 1:
            raise ValueError(f"{rate:g} is above 1; it is a rate, not per cent: 0.1 is 10 % a year")
        return rate


class SearchSection(Section):
    """A search for LightGBM's settings by cross-validation on past labels (Optuna)."""

    trials: Count = 30
    seconds: float | None = Field(default=None, gt=0)


# Each default is written once: in the model's own signature.
_TREES = {name: p.default for name, p in signature(ChurnModel).parameters.items()}
ChurnMethod = Literal[
    "purchase_model", "logistic_rfm", "offset_hybrid", "btyd_features", "lightgbm", "lightgbm_monotone", "average", "stack",
]  # fmt: skip


class TreesSection(Section):
    """LightGBM's settings; rounds are chosen by cross-validation over customers."""

    learning_rate: float = Field(default=_TREES["learning_rate"], gt=0, le=1)
    num_leaves: int = Field(default=_TREES["num_leaves"], ge=2, le=131_072)
    min_data_in_leaf: Count = _TREES["min_data_in_leaf"]
    feature_fraction: float = Field(default=_TREES["feature_fraction"], gt=0, le=1)
    lambda_l2: float = Field(default=_TREES["lambda_l2"], ge=0)
    max_rounds: Count = _TREES["max_rounds"]
    folds: int = Field(default=_TREES["folds"], ge=2, le=100)
    seed: Seed = _TREES["seed"]
    num_threads: Count = _TREES["num_threads"]

    def trees(self) -> dict[str, Any]:
        """Return LightGBM's settings."""
        return self.model_dump(include=set(TreesSection.model_fields))


class ChurnSection(TreesSection):
    """How the risk of no purchase is forecast, with LightGBM's settings.

    method `auto`: the champion over at least three origins before calibration_end, else the offset hybrid.
    """

    method: Literal["auto", ChurnMethod] = "auto"
    features: Literal["rfm", "behaviour", "rich"] = "behaviour"
    search: SearchSection | None = None


class BacktestSection(Section):
    """Origins of `churn-clv backtest`: `step` apart (left out: one horizon, so that holdouts do not overlap)."""

    step: str | None = None
    horizon: str | None = None
    most_origins: Count = 12
    churn: list[ChurnMethod] | None = Field(default=None, min_length=1)
    value: list[ValueMethod] | None = Field(default=None, min_length=1)

    @field_validator("step", "horizon")
    @classmethod
    def _length(cls, text: str | None) -> str | None:
        if text is not None:
            duration_days(text)
        return text


_COSTS = RetentionCosts()


class CostsSection(Section):
    """What a retention campaign costs and brings, in the log's currency; the expected maximum profit stands on them."""

    customer_value: float = Field(default=_COSTS.customer_value, gt=0)
    incentive: float = Field(default=_COSTS.incentive, ge=0)
    contact_cost: float = Field(default=_COSTS.contact_cost, ge=0)
    save_rate_alpha: float = Field(default=_COSTS.save_rate_alpha, gt=0)
    save_rate_beta: float = Field(default=_COSTS.save_rate_beta, gt=0)


class EvaluationSection(Section):
    """How the errors of the metrics are estimated, and the costs behind the expected maximum profit."""

    bootstrap_samples: int = Field(default=200, ge=20, le=10000)
    seed: Seed = 1
    costs: CostsSection = CostsSection()

    def retention_costs(self) -> RetentionCosts:
        return RetentionCosts(**self.costs.model_dump())


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
    segments: SegmentsSection = SegmentsSection()
    actions: ActionsSection = ActionsSection()
    evaluation: EvaluationSection = EvaluationSection()
    backtest: BacktestSection = BacktestSection()
    tracking: TrackingSection = TrackingSection()
    privacy: PrivacySection = PrivacySection()

    @property
    def registered_model(self) -> str:
        return self.tracking.registered_model or f"churn-clv-{self.name}"

    def shareable(self) -> dict[str, Any]:
        """Return the config as plain values without customers: see `shareable`."""
        return shareable(self.model_dump())

    def to_yaml(self) -> str:
        """Return the resolved config: every default written out, ready to be read again."""
        return yaml.safe_dump(self.model_dump(), sort_keys=False, allow_unicode=True)


def shareable(content: dict[str, Any]) -> dict[str, Any]:
    """Return a config's values without those of `data.drop_rows`, of which only their number is told: any may be a customer.

    What is left in their place is no list, so that nobody repeats a run without its rule.

    Examples
    --------
    >>> shareable({"data": {"drop_rows": [{"email": ["a@example.org", "b@example.org"]}]}})
    {'data': {'drop_rows': [{'email': '2 values, not shown'}]}}
    """
    data = content.get("data")
    if not isinstance(data, dict) or "drop_rows" not in data:
        return content
    rules = [
        {column: f"{len(values)} values, not shown" for column, values in rule.items()} for rule in data["drop_rows"]
    ]
    return content | {"data": data | {"drop_rows": rules}}


def load_config(path: Path | str, overrides: Sequence[str] = ()) -> Config:
    """Read a run's YAML, apply ``section.key=value`` overrides and check everything at once.

    Relative paths in the file are relative to the working directory.

    Raises
    ------
    ConfigError
        One error that names the file and every faulty key, with the nearest valid name.
    """
    content = read_yaml(Path(path))
    override(content, overrides, Config)
    return parse_config(content, source=str(path))


def parse_config(content: dict[str, Any], *, source: str) -> Config:
    """Check a config given as a mapping; `source` names it in errors."""
    return checked(Config, content, source)
