"""What stands in the way of a run, and what may surprise in it, before anything is trained.

Whatever training refuses is asked here by training's own functions; nothing is fitted, written or logged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from churn_clv.checks.attributes import check_attributes
from churn_clv.checks.contracts import check_contracts
from churn_clv.checks.events import check_events
from churn_clv.checks.findings import Finding, attempted, each_of, error, note, refused
from churn_clv.checks.log import check_log
from churn_clv.checks.place import check_place
from churn_clv.checks.settings import without_effect
from churn_clv.checks.windows import check_windows
from churn_clv.config import Config
from churn_clv.contractual import open_contracts
from churn_clv.contractual_config import ContractualConfig, read_run
from churn_clv.data.spark_log import SparkLog
from churn_clv.data.transactions import TransactionLog
from churn_clv.data.windows import Windows
from churn_clv.delivery.atomic import check_writable, existing
from churn_clv.errors import ConfigError, InputError
from churn_clv.playbook_file import load_playbook
from churn_clv.score import SCORED_NUMBERS
from churn_clv.sections import checked
from churn_clv.segmentation import check_given, save_rates
from churn_clv.segments.accounts import check_accounts
from churn_clv.train import opened_attributes, opened_log, resolved_windows, with_panel

# Keys without which a run is still one: a fault in one of them hides no other.
_OPTIONAL = {"windows.label_cutoffs", "windows.label_horizon", "windows.score_as_of", "data.events", "data.attributes"}
_OPTIONAL_SECTIONS = {"segments", "actions"}
_Found = TypeVar("_Found")


def check(path: Path, overrides: Sequence[str], out: Path) -> list[Finding]:
    """Look at everything that training would stand on: config, data, dates, and where the results go.

    Parameters
    ----------
    path, overrides
        See `churn_clv.contractual_config.load_run`.
    out
        Where run folders would be written.

    Returns
    -------
    Errors first, then warnings, then notes. What depends on something that is at fault is not looked at.
    """
    config, found = readable_config(path, overrides)
    customers = None
    if isinstance(config, ContractualConfig):
        customers = _check_contracts(config, found)
    elif config is not None:
        customers = _check_run(config, found)
    found += check_place(config, out, customers)
    order = ("error", "warning", "note")
    return sorted(dict.fromkeys(found), key=lambda finding: order.index(finding.level))


def readable_config(path: Path, overrides: Sequence[str]) -> tuple[Config | ContractualConfig | None, list[Finding]]:
    """Return a config with its faults; without the faulty keys, or None where it is none without them."""
    try:
        content, root = read_run(path, overrides)
    except InputError as failure:
        return None, refused(failure, str(path))
    found: list[Finding] = []
    removed: list[tuple[str | int, ...]] = []
    while True:
        try:
            return checked(root, content, str(path)), found
        except ConfigError as failure:
            new = [(place, words) for place, words in failure.faults if not _within(place, removed)]
            found += refused(ConfigError(str(failure), new), str(path)) if new else []
            taken = [place for place, _ in new if _take(content, place)]
            if not taken:
                return None, found
            removed += taken


def _within(place: tuple[str | int, ...], removed: list[tuple[str | int, ...]]) -> bool:
    return any(place[: len(taken)] == taken for taken in removed)


def _take(content: dict[str, Any], place: tuple[str | int, ...]) -> bool:
    """Take the key of a fault out of a config; False where it is not there, or cannot be done without."""
    inner: Any = content
    for depth, key in enumerate(place):
        if not isinstance(inner, dict) or key not in inner:
            return False
        last = depth == len(place) - 1 or not isinstance(inner[key], dict) or place[depth + 1] not in inner[key]
        if last:
            del inner[key]
            return True
        inner = inner[key]
    return False


def _check_contracts(config: ContractualConfig, found: list[Finding]) -> int | None:
    try:
        contracts = open_contracts(config)
    except InputError as failure:
        found += refused(failure, "contract.path")
        return None
    found += check_contracts(config, contracts)
    return len(contracts.churned)


def _check_run(config: Config, found: list[Finding]) -> int | None:
    """Look at a run on a log, as far as each thing allows the next; return the log's customers."""
    found += without_effect(config)
    config = _with_scratch(config, found)
    config, given = _given(config, found)
    config, log = _told_one_by_one(config, opened_log, _source(config), found)
    if log is None:
        return None
    found += check_log(config, log)
    config, windows = _told_one_by_one(config, partial(_windows_of, log=log), "windows", found)
    if windows is not None:
        _check_evidence(config, log, given, windows, found)
    return log.n_customers


def _source(config: Config) -> str:
    return "data.path" if config.data.source == "file" else "data.source"


def _with_scratch(config: Config, found: list[Finding]) -> Config:
    """Let what spills go to a folder that is there, as this check makes none, or stay in memory where none can be made."""
    spill = config.data.spill_directory
    if spill is None:
        return config
    faults = attempted(partial(check_writable, Path(spill)), "data.spill_directory")
    found += faults
    there = None if faults else str(existing(Path(spill)))
    return config.model_copy(update={"data": config.data.model_copy(update={"spill_directory": there})})


def _windows_of(config: Config, log: TransactionLog | SparkLog) -> Windows:
    return resolved_windows(config, log)


def _given(config: Config, found: list[Finding]) -> tuple[Config, pd.DataFrame | None]:
    """Read the tables beside the log, and leave out of the config what stands on those that cannot be read."""
    files: dict[str, Callable[[str], object]] = {"playbook": load_playbook, "save_rates": save_rates}
    for name, read in files.items():
        key, path = f"actions.{name}", getattr(config.actions, name)
        try:
            if path is not None:
                read(path)
        except InputError as failure:
            found += [error(key, words.removeprefix(f"{key}: ")) for words in each_of(failure)]
            config = without_key(config, key)
    faulty = len(found)
    config, given = _told_one_by_one(config, opened_attributes, _source(config), found)
    if len(found) > faulty:  # then what the accounts name cannot be there
        config = config.model_copy(update={"segments": type(config.segments)()})
    return config, given


def _check_evidence(
    config: Config, log: TransactionLog | SparkLog, given: pd.DataFrame | None, windows: Windows, found: list[Finding]
) -> None:
    def accounts(config: Config) -> bool:
        check_accounts(config.segments.accounts(), given, list(SCORED_NUMBERS))
        return True

    def plans(config: Config) -> bool:
        check_given(replace(evidence, config=config), windows)
        return True

    config, _ = _told_one_by_one(config, accounts, "segments", found)
    notes: list[str] = []
    evidence = with_panel(config, log, given, notes)
    found += [note("data.panel_customers", text) for text in notes]
    config, _ = _told_one_by_one(config, plans, "segments", found)
    evidence = replace(evidence, config=config)
    found += check_windows(evidence, windows)
    found += check_attributes(evidence, windows)
    found += check_events(evidence, windows)


def _told_one_by_one(
    config: Config, look: Callable[[Config], _Found], where: str, found: list[Finding]
) -> tuple[Config, _Found | None]:
    """Look, and look again without each optional key that was refused, so that the next fault is told as well."""
    while True:
        try:
            return config, look(config)
        except InputError as failure:
            faults = refused(failure, where)
            found += faults
            mended = config
            for key in _keys(faults):
                mended = without_key(mended, key)
            if mended == config:
                return config, None
            config = mended


def _keys(faults: list[Finding]) -> Iterator[str]:
    """The optional keys that faults name."""
    for fault in faults:
        for place in fault.where.split(", "):
            section, *rest = place.split(".")
            key = ".".join([section, *rest[:1]])
            if rest and (section in _OPTIONAL_SECTIONS or key in _OPTIONAL):
                yield key


def without_key(config: Config, key: str) -> Config:
    """Return a config in which section.key has its default."""
    section, name = key.split(".")
    inner = getattr(config, section)
    default = type(inner).model_fields[name].get_default(call_default_factory=True)
    return config.model_copy(update={section: inner.model_copy(update={name: default})})
