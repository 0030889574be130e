"""YAML as a config needs it: safe, without duplicate keys, small; and one key set from the command line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from churn_clv.errors import ConfigError, nearest


class _UniqueKeyLoader(yaml.SafeLoader):
    """Safe YAML in which a key given twice is an error instead of a silent last word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        if any(key.tag == "tag:yaml.org,2002:merge" for key, _ in node.value):
            problem = "merge keys (<<) are not read; write the keys out"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
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
    except RecursionError:
        raise ConfigError(f"{path}: nested too deeply; a config has sections, keys and values") from None
    except (yaml.YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise ConfigError(
            f"{path}{line}: not valid YAML: {getattr(error, 'problem', None) or str(error).splitlines()[0]}"
        ) from None
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: a config is a mapping of sections; got {type(content).__name__}")
    return content


def read_value(text: str, *, is_text: bool) -> Any:
    """Read the value of an override: YAML where it is YAML, and as it stands where the key holds text.

    >>> read_value("[5, 10]", is_text=False), read_value("%d.%m.%Y", is_text=False), read_value("on", is_text=True)
    ([5, 10], '%d.%m.%Y', 'on')
    """
    if is_text and text[:1] not in ('"', "'"):
        return None if text in ("", "~", "null") else text
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        return text


def patch(content: dict[str, Any], keys: Sequence[str], value: Any) -> None:
    """Set a nested key in place, making the sections on the way."""
    for part in keys[:-1]:
        inner = content.get(part)
        content[part] = inner = {} if inner is None else inner
        if not isinstance(inner, dict):
            raise ConfigError(f"--set {'.'.join(keys)}: {part!r} is a value, not a section")
        content = inner
    content[keys[-1]] = value
