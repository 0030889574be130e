"""An experiment is checked like a config before anything runs, and its runs are patches of one base."""

from __future__ import annotations

from pathlib import Path

import pytest

from churn_clv.delivery.experiment import load_experiment
from churn_clv.delivery.experiment_folder import write_measured
from churn_clv.errors import ConfigError
from churn_clv.yaml_file import read_yaml

BASE = "name: b\ndata: {source: simulated}\nwindows: {calibration_end: 2024-06-30, holdout_end: 2024-12-15}\n"


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "base.yaml").write_text(BASE)
    return tmp_path / "asked.yaml"


def test_variants_are_patches_of_the_base_and_siblings_of_one_model(base: Path):
    base.write_text("question: q\nbase: base.yaml\nruns: {plain: null, all: {value: {spend_days: all}}}\n")
    runs = load_experiment(base).runs
    assert [c.name for c in runs.values()] == ["b-plain", "b-all"]
    assert [c.value.spend_days for c in runs.values()] == ["repeat", "all"]
    assert {c.registered_model for c in runs.values()} == {"churn-clv-b"}
    assert {c.tracking.experiment for c in runs.values()} == {"asked"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("base: base.yaml\nruns: {a: null}\n", "question: missing"),
        ("question: q\nbase: 3\nruns: {a: null}\n", "base: input should be a valid list"),
        ("question: q\nbase: base.yaml\nruns: [a]\n", "runs: input should be a valid dictionary"),
        ("question: q\nbase: base.yaml\nruns: {}\n", "runs: dictionary should have at least 1 item"),
        ("question: q\nbase: base.yaml\nruns: {a: [1]}\n", "runs.a: input should be a valid dictionary"),
        ("question: q\nbase: base.yaml\nruns: {a: null}\nanwser: x\n", "anwser: unknown key (did you mean 'answer'?)"),
        ("question: q\nbase: gone.yaml\nruns: {a: null}\n", "gone.yaml: no such config file"),
        ("question: q\nbase: base.yaml\nruns: {a: {value: {spend_dys: all}}}\n", "did you mean 'spend_days'?"),
        ("question: q\nbase: base.yaml\nruns: {a: {tracking: null, windows: 3}}\n", "windows"),
    ],
)
def test_a_faulty_experiment_is_one_line_that_names_file_and_key(base: Path, text: str, says: str):
    base.write_text(text)
    with pytest.raises(ConfigError) as refused:
        load_experiment(base)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_several_logs_make_the_same_variants_of_each(base: Path):
    other = BASE.replace("name: b", "name: c")
    (base.parent / "other.yaml").write_text(other)
    base.write_text(
        "question: q\nbase: [base.yaml, other.yaml]\nruns: {plain: null, all: {value: {spend_days: all}}}\n"
    )
    asked = load_experiment(base)
    assert {log: list(variants) for log, variants in asked.logs.items()} == {
        "b": ["plain", "all"],
        "c": ["plain", "all"],
    }
    assert list(asked.runs) == ["b-plain", "b-all", "c-plain", "c-all"]
    base.write_text("question: q\nbase: [base.yaml, base.yaml]\nruns: {plain: null}\n")
    with pytest.raises(ConfigError, match="two configs are called 'b'"):
        load_experiment(base)


def test_measured_effects_replace_those_of_before_and_nothing_else(base: Path):
    text = "# why\nquestion: q\nbase: base.yaml\nruns: {plain: null}\nanswer: it does\n"
    base.write_text(text)
    write_measured(base, ["b: gain +0.1, 95 % -0.1 to +0.3"])
    write_measured(base, ["b: gain +0.2: less", "c: none"])
    assert base.read_text().startswith(text)
    assert read_yaml(base)["measured"] == ["b: gain +0.2: less", "c: none"]
    assert load_experiment(base).question == "q"
