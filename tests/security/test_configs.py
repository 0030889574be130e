"""S15, S17: a file of settings runs nothing, grows into nothing, and names no place outside the one it is given."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from churn_clv.config import Config
from churn_clv.contractual_config import ContractualConfig, load_run
from churn_clv.delivery.atomic import whole_file, whole_folder
from churn_clv.delivery.experiment import load_experiment
from churn_clv.errors import ConfigError, InputError
from churn_clv.playbook_file import load_playbook

WHOLE = "name: shop\ndata: {source: simulated}\nwindows: {calibration_end: 2024-01-01, holdout_end: 2024-06-01}\n"
DOORS: dict[str, Callable[[Path], object]] = {
    "config": load_run, "playbook": lambda path: load_playbook(str(path)), "experiment": load_experiment,
}  # fmt: skip


def laughs(levels: int) -> str:
    """Nine of nine of nine ...: a line more is nine times as much."""
    lines = ["l0: &l0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"l{k}: &l{k} [{', '.join([f'*l{k - 1}'] * 9)}]" for k in range(1, levels)]
    return "\n".join([*lines, f"name: *l{levels - 1}\n"])


BOMBS = {
    "a billion laughs": laughs(9),
    "laughs in sections": "a: &a {x: 1}\nb: &b {y: *a, z: *a}\nname: *b\n",
    "a list in itself": "name: &a [*a]\n",
    "code to run": "name: !!python/object/apply:os.system ['touch {marker}']\n",
    "an object": "name: !!python/object/new:os.system ['touch {marker}']\n",
    "a module": "name: !!python/module:os\n",
    "a key twice": "name: a\nname: b\n",
    "a merge": "base: &b {x: 1}\nname: {<<: *b}\n",
    "lists in lists": "name: " + "[" * 400,
    "sections in sections": "{a: " * 100_000,
    "keys of keys": "? " * 100_000,
    "a number without an end": "name: " + "9" * 100_000 + "\n",
    "a day that is none": "name: 2024-99-99\n",
    "half a character": 'name: "\\ud800"\n',
    "two documents": "name: a\n---\nname: b\n",
    "a key that is a list": "? [a]\n: b\n",
    "a key over lines": '"name\\nRun: rm": 1\n',
    "more than a megabyte": "#" * 1_000_001,
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("bomb", BOMBS)
def test_what_would_run_or_grow_is_one_line_at_every_door(tmp_path: Path, bomb: str, door: str) -> None:
    marker, path = tmp_path / "marker", tmp_path / "file.yaml"
    path.write_text(BOMBS[bomb].replace("{marker}", str(marker)), encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        DOORS[door](path)
    said = str(refused.value)
    assert said.startswith(str(path))
    assert len(said.splitlines()) == 1
    assert len(said) < 5000
    assert not marker.exists()


def test_an_alias_that_multiplies_nothing_is_read(tmp_path: Path) -> None:
    """YAML writes one where a value stands twice: of a day, of a list."""
    path = tmp_path / "run.yaml"
    path.write_text(
        WHOLE.replace("2024-01-01", "&day 2024-01-01").replace("2024-06-01}", "2024-06-01, label_cutoffs: [*day]}")
        + "segments: &none {}\nactions: *none\n"
    )
    config = load_run(path)
    assert isinstance(config, Config)
    assert config.windows.label_cutoffs == [config.windows.calibration_end]


@pytest.mark.parametrize("value", [laughs(9), "!!python/object/apply:os.system ['true']", "[" * 400, "{a: 1, a: 2}"])
def test_an_override_of_the_command_line_is_read_as_safely(tmp_path: Path, value: str) -> None:
    (tmp_path / "run.yaml").write_text(WHOLE)
    with pytest.raises(ConfigError):
        load_run(tmp_path / "run.yaml", [f"windows.label_cutoffs={value}"])


def test_three_thousand_unknown_keys_are_one_short_line(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text("".join(f"key{k}: 1\n" for k in range(3_000)))
    with pytest.raises(ConfigError, match=r"and 2,953 more$") as refused:  # 3 sections are missing, 50 faults are told
        load_run(tmp_path / "run.yaml")
    assert len(str(refused.value)) < 5000


def test_a_path_that_no_file_can_have_is_one_line(tmp_path: Path) -> None:
    for door in DOORS.values():
        with pytest.raises(ConfigError, match="cannot be read"):
            door(tmp_path / ("x" * 300))


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.dates(), st.binary(max_size=5)
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
                      max_leaves=8)  # fmt: skip
KEYS = st.sampled_from([*Config.model_fields, *ContractualConfig.model_fields, "contract", "x"])
SECTIONS = st.sampled_from(
    sorted({key for field in Config.model_fields.values() for key in getattr(field.annotation, "model_fields", {})})
)
MAPPINGS = st.dictionaries(KEYS, VALUES | st.dictionaries(SECTIONS, VALUES, max_size=3), max_size=5)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.text(max_size=200), st.binary(max_size=200), MAPPINGS))
@example("")
@example("\ufeff" + WHOLE)
def test_any_text_is_a_config_or_one_line(tmp_path: Path, content: Any) -> None:
    text = yaml.safe_dump(content) if isinstance(content, dict) else content
    data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    (tmp_path / "run.yaml").write_bytes(data)
    try:
        assert isinstance(load_run(tmp_path / "run.yaml"), Config | ContractualConfig)
    except InputError as refused:
        assert len(str(refused).splitlines()) == 1, refused


# --- S17

NOWHERE = [
    "..",
    ".",
    "/abs",
    "a/../../b",
    "a/b",
    "a\\b",
    "a\0b",
    "x" * 300,
    "",
    " ",
    "-rf",
    "~",
    "$HOME",
    "a\n",
    "\uff4eame",
    "a\u202eb",
]


@pytest.mark.parametrize("key", ["name", "tracking.registered_model"])
@pytest.mark.parametrize("name", NOWHERE)
def test_a_name_that_becomes_a_folder_or_a_model_is_letters_and_digits(tmp_path: Path, key: str, name: str) -> None:
    content: dict[str, Any] = yaml.safe_load(WHOLE)
    section, _, last = key.rpartition(".")
    (content.setdefault(section, {}) if section else content)[last] = name
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(ConfigError, match=f"{key}: string should match pattern"):
        load_run(tmp_path / "run.yaml")


@pytest.mark.parametrize("name", NOWHERE)
def test_a_run_of_an_experiment_has_such_a_name_too(tmp_path: Path, name: str) -> None:
    (tmp_path / "base.yaml").write_text(WHOLE)
    asked = {"question": "?", "base": str(tmp_path / "base.yaml"), "runs": {name: {}}}
    (tmp_path / "q.yaml").write_text(yaml.safe_dump(asked))
    with pytest.raises(ConfigError):
        load_experiment(tmp_path / "q.yaml")


@pytest.mark.parametrize("path", ["a\0b", "x" * 300, "a/" + "é" * 200 + "/b"])
@pytest.mark.parametrize(
    "key", ["data.spill_directory", "data.attributes.path", "data.events.path", "data.path", "actions.playbook"]
)
def test_a_path_of_a_config_that_no_file_system_has_is_refused_by_its_key(tmp_path: Path, key: str, path: str) -> None:
    content: dict[str, Any] = yaml.safe_load(WHOLE)
    *sections, last = key.split(".")
    place = content
    for section in sections:
        place = place.setdefault(section, {})
    place[last] = path
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(content, allow_unicode=True))
    with pytest.raises(ConfigError, match=f"{key}: holds a "):
        load_run(tmp_path / "run.yaml")


def test_a_link_that_lies_where_a_file_is_written_is_replaced_and_not_followed(tmp_path: Path) -> None:
    elsewhere, out = tmp_path / "elsewhere.csv", tmp_path / "out" / "scores.csv"
    elsewhere.write_text("mine")
    out.parent.mkdir()
    out.symlink_to(elsewhere)
    whole_file(out, lambda partial: partial.write_text("theirs"))
    assert (elsewhere.read_text(), out.read_text(), out.is_symlink()) == ("mine", "theirs", False)


def test_a_link_that_lies_where_a_folder_is_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="exists already"), whole_folder(tmp_path / "run") as partial:
        (partial / "model.json").write_text("{}")
    assert not list((tmp_path / "elsewhere").iterdir())
