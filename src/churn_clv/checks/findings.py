"""What a check of a config finds: lines that say how grave it is, where it is, and what to do."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from churn_clv.config import Config
from churn_clv.contractual_config import ContractualConfig
from churn_clv.errors import ConfigError, InputError

Level = Literal["error", "warning", "note"]
# A message that begins with keys of a config says itself where it is.
_SECTIONS = "|".join({**Config.model_fields, **ContractualConfig.model_fields, r"MLFLOW_\w+": None})
_KEYS = re.compile(rf"({_SECTIONS})(\.[\w.]+)?(, ({_SECTIONS})(\.[\w.]+)?)*")


@dataclass(frozen=True)
class Finding:
    """One line of a check; where: a key of the config, a file or a setting of the system. Never a customer's id.

    error: training would fail. warning: it would run, and the results may surprise. note: what it is going to do.
    """

    level: Level
    where: str
    what: str


def error(where: str, what: str) -> Finding:
    return Finding("error", where, what)


def warning(where: str, what: str) -> Finding:
    return Finding("warning", where, what)


def note(where: str, what: str) -> Finding:
    return Finding("note", where, what)


def refused(failure: InputError, where: str) -> list[Finding]:
    """Return what training would be refused for, each at the key that its message begins with, else at `where`.

    Examples
    --------
    >>> [found] = refused(InputError("windows.holdout_end: 2024-01-01 is too early"), "data.path")
    >>> found.where, found.what
    ('windows.holdout_end', '2024-01-01 is too early')
    """
    return [_placed(words, where) for words in each_of(failure)]


def each_of(failure: InputError) -> list[str]:
    """Return the message of a failure, or each of them where it has several."""
    faults = failure.faults if isinstance(failure, ConfigError) else ()
    return [words for _, words in faults] or [str(failure)]


def attempted(look: Callable[[], object], where: str) -> list[Finding]:
    """Return what a check that training makes as well refuses, if anything."""
    try:
        look()
    except InputError as failure:
        return refused(failure, where)
    return []


def _placed(message: str, where: str) -> Finding:
    message = message.removeprefix(f"{where}: ")
    head, _, rest = message.partition(": ")
    return error(head, rest) if rest and _KEYS.fullmatch(head) else error(where, message)
