"""A mapping checked against sections: strict, and with errors that name file, key and the nearest valid name."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import date
from typing import Any, TypeVar, cast, get_args

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from churn_clv.errors import ConfigError, nearest, shortened
from churn_clv.yaml_file import patch, read_value

_MOST_FAULTS, _LONGEST_KEY, _LONGEST_NAME = 50, 80, 255


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, validate_default=True, allow_inf_nan=False)

    @field_validator("path", "spill_directory", "playbook", "save_rates", check_fields=False)
    @classmethod
    def _a_place(cls, path: str | None) -> str | None:
        """Refuse what no file system can name: its own refusals are no sentences."""
        if path is not None and "\0" in path:
            raise ValueError("holds a NUL character, which no path does")
        if path is not None and any(len(os.fsencode(part)) > _LONGEST_NAME for part in path.split(os.sep)):
            raise ValueError(f"holds a name longer than {_LONGEST_NAME} bytes, which no file has")
        return path


_Root = TypeVar("_Root", bound=BaseModel)


def checked(root: type[_Root], content: dict[str, Any], source: str) -> _Root:
    """Check a mapping against the sections of `root`; every fault is named in one error."""
    try:
        return root.model_validate(content)
    except ValidationError as error:
        faults = [(fault["loc"], _in_words(fault, root)) for fault in error.errors()[:_MOST_FAULTS]]
        more = error.error_count() - len(faults)
        told = [*(words for _, words in faults), *([f"and {more:,} more"] if more else [])]
        raise ConfigError(f"{source}: " + "; ".join(told), faults) from None


def override(content: dict[str, Any], overrides: Sequence[str], root: type[Section]) -> None:
    """Set every ``section.key=value`` in place, each read as the type that its key in `root` has."""
    for text in overrides:
        _apply(content, text, root)


def _apply(content: dict[str, Any], override: str, root: type[Section]) -> None:
    key, separator, text = override.partition("=")
    parts = key.strip().split(".")
    if not separator or not all(parts):
        raise ConfigError(f"--set {override}: write --set section.key=value")
    section = _section(parts[:-1], root)
    field = section.model_fields.get(parts[-1]) if section else None
    patch(content, parts, read_value(text, is_text=field is not None and field.annotation in (str, str | None)))


def _in_words(fault: Any, root: type[BaseModel]) -> str:
    """Say one pydantic fault as `section.key: what is wrong (did you mean ...?)`."""
    location = [_shown(str(part)) for part in fault["loc"] if not str(part).startswith(("list[", "literal["))]
    key, kind = ".".join(location), fault["type"]
    if kind == "extra_forbidden":
        return f"{key}: unknown key{nearest(location[-1], _valid_keys(location[:-1], root))}"
    if kind == "missing":
        return f"{key}: missing"
    message = fault["msg"].removeprefix("Value error, ")
    if kind == "value_error":
        return f"{key}: {message}" if key else message
    return f"{key}: {message[0].lower() + message[1:]}; got {_got(fault)}{_remedy(kind, fault['input'])}"


def _got(fault: Any) -> str:
    """What was given; of what may name customers, such as a rule of drop_rows or a section that holds one, only its type."""
    value = fault["input"]
    secret = "drop_rows" in fault["loc"] or isinstance(value, dict | list)
    return type(value).__name__ if secret else f"{value!r:.60}"


def _shown(key: str) -> str:
    """A key as one line can show it."""
    return key if key.isprintable() and len(key) <= _LONGEST_KEY else shortened(key, _LONGEST_KEY)


def _remedy(kind: str, value: Any) -> str:
    """Say what to do where YAML made another type of a value than the user meant."""
    if kind == "string_type" and isinstance(value, bool | int | float | date):
        return ": write it in quotes"
    if kind == "date_type" and isinstance(value, str):
        return f": {'' if _is_day(value) else 'no such day; '}write the date as YYYY-MM-DD, without quotes"
    return ""


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _valid_keys(location: Sequence[str], root: type[BaseModel]) -> list[str]:
    """The keys a section knows."""
    section = _section(location, root)
    return list(section.model_fields) if section is not None else []


def _section(location: Sequence[str], root: type[BaseModel]) -> type[BaseModel] | None:
    """The section at a location, found by walking the models; None where there is none."""
    section: Any = root
    for part in location:
        field = section.model_fields.get(part) if section is not None else None
        annotation: Any = field.annotation if field else None
        options = [annotation, *get_args(annotation)]
        section = next((o for o in options if isinstance(o, type) and issubclass(o, BaseModel)), None)
    return cast("type[BaseModel] | None", section)
