"""YAML as a config needs it: safe, without duplicate keys, small; and one key set from the command line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import yaml

from churn_clv.errors import ConfigError, nearest, shortened

_MOST_BYTES = _MOST_VALUES = 1_000_000
_MERGE = "tag:yaml.org,2002:merge"


class _UniqueKeyLoader(yaml.SafeLoader):
    """Safe YAML in which a key given twice is an error instead of a silent last word, and nothing grows as it is read."""

    def get_single_node(self) -> yaml.Node | None:
        """Refuse aliases that multiply: nine lines of nine of them mean a thousand million values."""
        node = super().get_single_node()
        if node is not None and _values(node, {}) > _MOST_VALUES:
            problem = f"its aliases (*name) make more than {_MOST_VALUES:,} values of it; write them out"
            raise yaml.composer.ComposerError(None, None, problem, node.start_mark)
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        if any(key.tag == _MERGE for key, _ in node.value):
            problem = "merge keys (<<) are not read; write the keys out"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        counted = Counter(key for key in keys if isinstance(key, Hashable))
        twice = sorted(str(key) for key, count in counted.items() if count > 1)
        if twice:
            raise yaml.constructor.ConstructorError(None, None, f"key {twice[0]!r} is given twice", node.start_mark)
        return super().construct_mapping(node, deep=deep)

    def construct_day(self, node: yaml.ScalarNode) -> object:
        """Leave a day that no calendar has as text: its section names the key, and the other faults beside it."""
        try:
            return self.construct_yaml_timestamp(node)
        except ValueError:
            return node.value


_UniqueKeyLoader.add_constructor("tag:yaml.org,2002:timestamp", _UniqueKeyLoader.construct_day)


def _values(node: yaml.Node, known: dict[int, int]) -> int:
    """How many values a node stands for, aliases followed; too many where it holds itself."""
    if id(node) not in known:
        known[id(node)] = _MOST_VALUES + 1
        mapping = isinstance(node, yaml.MappingNode)
        inner = (
            chain.from_iterable(node.value) if mapping else node.value if isinstance(node, yaml.SequenceNode) else ()
        )
        known[id(node)] = 1 + sum(_values(part, known) for part in inner)
    return known[id(node)]


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping safely: no tags that run code, no duplicate keys, no aliases that multiply, at most 1 MB."""
    data = _bytes_of(path)
    try:
        content = _load(data.decode("utf-8"))
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


def _bytes_of(path: Path) -> bytes:
    try:
        if not path.is_file():
            others = [str(p) for p in path.parent.glob("*.yaml")] if path.parent.is_dir() else []
            raise ConfigError(f"{path}: no such config file{nearest(str(path), others)}")
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{shortened(path, 80)}: cannot be read: {error.strerror or error}") from None
    if len(data) > _MOST_BYTES:
        raise ConfigError(f"{path}: larger than 1 MB, which no config is")
    return data


def _load(text: str) -> Any:
    return yaml.load(text, Loader=_UniqueKeyLoader)  # noqa: S506 (a SafeLoader)


def read_value(text: str, *, is_text: bool) -> Any:
    """Read the value of an override: YAML where it is YAML, and as it stands where the key holds text.

    >>> read_value("[5, 10]", is_text=False), read_value("%d.%m.%Y", is_text=False), read_value("on", is_text=True)
    ([5, 10], '%d.%m.%Y', 'on')
    """
    if is_text and text[:1] not in ('"', "'"):
        return None if text in ("", "~", "null") else text
    try:
        return _load(text)
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
