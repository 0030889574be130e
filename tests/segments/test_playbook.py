"""A playbook names a plan for every segment, says where it is wrong, and comes back from JSON as it went."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

from churn_clv.errors import ConfigError
from churn_clv.playbook_file import load_playbook
from churn_clv.segments.contact_profit import ContactTerms
from churn_clv.segments.lifecycle import STAGES
from churn_clv.segments.playbook import TERMS, Playbook, default_playbook
from churn_clv.segments.rfm import REGIONS
from churn_clv.segments.tiers import CLASSES
from churn_clv.segments.tiers import TIERS as PARETO_TIERS

THREE = ["low", "mid", "high"]


def written(tmp_path: Path, change: Callable[[dict[str, Any]], object]) -> str:
    """The default playbook with a change, as a user's file."""
    content = copy.deepcopy(default_playbook().to_dict())
    change(content)
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return str(path)


# --- the default


def test_the_default_forgets_no_cell_and_no_segment_of_any_scheme() -> None:
    book = default_playbook()
    named = {(plan.value, plan.risk): plan for plan in book.grid}
    assert set(named) == set(product(THREE, THREE))
    assert all(book.plan_for(*cell) is plan for cell, plan in named.items())
    wanted = {"rfm_segment": REGIONS, "lifecycle_stage": STAGES, "value_class": CLASSES, "pareto_tier": PARETO_TIERS}
    for scheme, segments in wanted.items():
        assert book.plans(scheme).index.tolist() == list(segments)
        assert book.plans(scheme)["action"].str.len().min() > 10
    assert book.plans("segment").index.tolist() == [plan.segment for plan in book.grid]


def test_low_value_at_high_risk_is_let_rest() -> None:
    dormant = default_playbook().plan_for("low", "high")
    assert (dormant.segment, dormant.channel, dormant.is_contact) == ("Dormant", "none", False)
    assert all(getattr(dormant, name) == 0 for name in TERMS)


def test_every_contact_of_the_default_has_terms_that_the_profit_takes() -> None:
    for plan in default_playbook().grid:
        terms = {name: getattr(plan, name) for name in TERMS}
        ContactTerms(margin_rate=default_playbook().margin_rate, **terms)  # raises where they are impossible
        assert plan.is_contact == (plan.contact_cost > 0)


def test_the_default_says_that_its_figures_are_assumed_and_that_risk_is_not_uplift() -> None:
    import churn_clv.segments as room

    text = Path(str(room.__file__)).with_name("playbook.yaml").read_text(encoding="utf-8")
    comments = " ".join(line.lstrip("# ") for line in text.splitlines() if line.startswith("#"))
    assert "Every figure here is an assumption" in comments
    assert "Ascarza 2018" in comments


def test_the_default_passes_the_checks_of_a_users_file_and_is_the_same_playbook() -> None:
    import churn_clv.segments as room

    checked = load_playbook(str(Path(str(room.__file__)).with_name("playbook.yaml")))
    assert json.dumps(checked.to_dict()) == json.dumps(default_playbook().to_dict())  # 3 is written 3.0 by both


# --- cells without a plan


@pytest.mark.parametrize("cell", [("2 of 4", "high"), ("all", "all"), ("high", "3 of 5")])
def test_a_cell_without_a_plan_names_itself_and_is_not_contacted(cell: tuple[str, str]) -> None:
    plan = default_playbook().plan_for(*cell)
    assert plan.segment == f"value {cell[0]}, risk {cell[1]}"
    assert plan.action == "No plan named for this cell: decide and test one"
    assert not plan.is_contact


def test_a_grid_of_four_tiers_can_have_plans_of_its_own(tmp_path: Path) -> None:
    own = {"value": "4 of 4", "risk": "low", "segment": "Best", "action": "Thank", "channel": "none"}
    book = load_playbook(written(tmp_path, lambda book: book["grid"].append(own)))
    assert book.plan_for("4 of 4", "low").segment == "Best"


# --- there and back


def test_a_playbook_comes_back_from_json_and_from_yaml_as_it_went(tmp_path: Path) -> None:
    book = default_playbook()
    assert Playbook.from_dict(json.loads(json.dumps(book.to_dict()))) == book
    assert load_playbook(written(tmp_path, lambda book: None)) == book
    assert load_playbook(None) == book


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda b: b.pop("margin_rate"), "playbook: missing margin_rate; its fields are margin_rate, grid, "),
        (lambda b: b.update(margins=1), "playbook: unknown margins; its fields are margin_rate, grid, "),
        (
            lambda b: b["grid"][1].pop("save_rate"),
            "playbook.grid.1: missing save_rate; its fields are action, channel, ",
        ),
        (
            lambda b: b["pareto_tier"].update(C={"action": "Rest", "chanel": "none"}),
            "playbook.pareto_tier.C: missing channel; unknown chanel; its fields are action, channel",
        ),
    ],
)
def test_a_handed_over_playbook_has_every_field_and_no_other(
    change: Callable[[dict[str, Any]], object], message: str
) -> None:
    content = default_playbook().to_dict()
    change(content)
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        Playbook.from_dict(content)


def test_a_handed_over_playbook_is_read_and_used_without_pydantic_and_yaml() -> None:
    code = (
        "import json, sys; sys.modules.update(pydantic=None, yaml=None); "  # None: importing it fails
        "from churn_clv.segments.playbook import Playbook; book = Playbook.from_dict(json.load(sys.stdin)); "
        "book.plans('segment'); print(book.plan_for('low', 'high').segment)"
    )
    given = json.dumps(default_playbook().to_dict())
    done = subprocess.run([sys.executable, "-c", code], input=given, capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("Dormant", "")


# --- refusals

FAULTS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "segment twice": (lambda b: b["grid"][1].update(segment="Core"), r"grid: segment 'Core' has more than one plan"),
    "cell twice": (lambda b: b["grid"][1].update(risk="low"), "grid: cell value high, risk low has more than one"),
    "unknown tier": (lambda b: b["grid"][1].update(risk="hihg"), r"grid\.1\.risk: unknown tier 'hihg' .*'high'"),
    "no terms": (lambda b: b["grid"][1].pop("save_rate"), r"grid\.1: segment 'Wavering core' .* save_rate missing"),
    "terms of no contact": (lambda b: b["grid"][8].update(contact_cost=1), r"grid\.8: segment 'Dormant' has channel none"),
    "impossible rate": (lambda b: b["grid"][2].update(take_up=1.5), r"grid\.2\.take_up: .*less than or equal to 1"),
    "negative cost": (lambda b: b["grid"][2].update(incentive=-1), r"grid\.2\.incentive: .*greater than or equal to 0"),
    "no margin": (lambda b: b.update(margin_rate=0), "margin_rate: .*greater than 0"),
    "number as text": (lambda b: b["grid"][0].update(contact_cost="1"), r"grid\.0\.contact_cost: .*number; got '1'"),
    "unknown key": (lambda b: b.update(margins=1), r"margins: unknown key \(did you mean 'margin_rate'\?\)"),
    "forgotten segment": (lambda b: b["rfm_segment"].pop("lost"), "rfm_segment: no plan for lost"),
    "unknown segment": (lambda b: b["pareto_tier"].update(D=b["pareto_tier"]["C"]), "pareto_tier: no segment .*'D'"),
    "forgotten scheme": (lambda b: b.pop("value_class"), "value_class: missing"),
    "empty action": (lambda b: b["grid"][0].update(action=""), r"grid\.0\.action: .*at least 1 character"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_playbook_is_refused_in_one_line_that_names_file_and_key(fault: str, tmp_path: Path) -> None:
    change, message = FAULTS[fault]
    path = written(tmp_path, change)
    with pytest.raises(ConfigError, match=message) as caught:
        load_playbook(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_every_fault_is_told_at_once_and_a_missing_file_by_name(tmp_path: Path) -> None:
    path = written(tmp_path, lambda b: (b.update(margin_rate=2), b["grid"][0].update(save_rate=-0.1)))
    with pytest.raises(ConfigError, match=r"margin_rate: .*; grid\.0\.save_rate: "):
        load_playbook(path)
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: no such config file"):
        load_playbook(str(tmp_path / "nowhere.yaml"))


def test_a_scheme_without_plans_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="no plans for scheme 'cluster'"):
        default_playbook().plans("cluster")
