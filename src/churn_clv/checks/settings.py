"""Settings of a config that do nothing beside the others."""

from __future__ import annotations

from collections.abc import Iterator

from churn_clv.checks.findings import Finding, note, warning
from churn_clv.choice import candidates
from churn_clv.config import Config, TreesSection
from churn_clv.data.feature_names import NEEDS
from churn_clv.data.sources import data_files, expanded, kind_of
from churn_clv.errors import InputError
from churn_clv.models.risk import METHODS as CHURN_METHODS
from churn_clv.models.risk import TREES
from churn_clv.models.value import METHODS as VALUE_METHODS


def methods_of(config: Config, task: str) -> tuple[str, ...]:
    """Return the methods of a task that a run may try."""
    asked = config.churn.method if task == "churn" else config.value.method
    return candidates(config, task) if asked == "auto" else (asked,)


def without_effect(config: Config) -> list[Finding]:
    """Say of each setting that is given and does nothing why it does nothing."""
    found = [warning(key, f"has no effect: {why}") for key, why in _idle(config)]
    roles = [role for role in NEEDS.values() if role != "amount" and getattr(config.data.columns, role) is not None]
    if roles and config.churn.features != "rich":
        keys = ", ".join(f"data.columns.{role}" for role in roles)
        found.append(note(keys, "read and checked, but only churn.features: rich learns from them"))
    return found


def _idle(config: Config) -> Iterator[tuple[str, str]]:
    data = config.data
    if data.attributes is not None and not data.use_attributes:
        yield "data.attributes", "data.use_attributes is false"
    if data.events is not None and not data.use_events:
        yield "data.events", "data.use_events is false"
    if data.columns.amount is None and data.currency is not None:
        yield "data.currency", "the log has no amounts (data.columns.amount: null), so purchases are counted"
    if _is_parquet(data.path) and (given := _changed(config, "data", ("delimiter", "encoding"))):
        yield given, "the log is Parquet, which has none"
    if not _has_trees(config) and (given := _changed(config, "churn", (*TreesSection.model_fields, "search"))):
        yield given, "no method of this run grows trees (churn.method, value.method)"


def _changed(config: Config, section: str, names: tuple[str, ...]) -> str:
    """Those keys of a section that are not at their default, as section.key."""
    inner = getattr(config, section)
    return ", ".join(f"{section}.{n}" for n in names if getattr(inner, n) != type(inner).model_fields[n].default)


def _has_trees(config: Config) -> bool:
    churn = {member for method in methods_of(config, "churn") for member in CHURN_METHODS[method]}
    value = {member for method in methods_of(config, "value") for member in VALUE_METHODS[method]}
    return bool(churn & set(TREES) or value - {"textbook_ltv"})


def _is_parquet(path: str | None) -> bool:
    try:
        return path is not None and kind_of(data_files(expanded(path))[0]) == "parquet"
    except (InputError, OSError):  # which opening the log will tell
        return False
