"""Cuts, accounts and actions in a config: each form is read as meant, and a form that is none is one fault."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from churn_clv.config import Config, load_config, parse_config
from churn_clv.errors import ConfigError
from churn_clv.segments.accounts import Accounts
from churn_clv.segments.grid import Quantiles, ValueShares


def read(folder: Path, sections: dict[str, Any] | None = None, *overrides: str) -> Config:
    content = {
        "name": "shop", "data": {"path": "log.csv"}, "windows": {"calibration_end": "D1", "holdout_end": "D2"},
    }  # fmt: skip
    text = yaml.safe_dump(content | (sections or {})).replace("D1", "2024-01-01").replace("D2", "2024-07-01")
    (folder / "shop.yaml").write_text(text, encoding="utf-8")
    return load_config(folder / "shop.yaml", overrides)


CUTS = [
    ("terciles", "terciles"),
    ([10, 25.5], [10.0, 25.5]),
    ({"quantiles": [0.5, 0.9]}, Quantiles((0.5, 0.9))),
    ({"value_shares": [0.8, 0.95]}, ValueShares((0.8, 0.95))),
]


@pytest.mark.parametrize(("form", "meant"), CUTS)
def test_every_form_of_value_cuts_is_read_from_a_file_and_by_set_alike(tmp_path: Path, form: Any, meant: Any) -> None:
    from_file = read(tmp_path, {"grid": {"value_cuts": form, "risk_cuts": [0.3, 0.6]}})
    assert from_file.grid.cuts() == (meant, [0.3, 0.6])
    text = form if isinstance(form, str) else yaml.safe_dump(form, default_flow_style=True).strip()
    by_set = read(tmp_path, None, f"grid.value_cuts={text}", "grid.risk_cuts=[0.3, 0.6]")
    assert by_set.grid == from_file.grid
    assert parse_config(yaml.safe_load(by_set.to_yaml()), source="again").grid == from_file.grid


def test_set_reaches_into_cuts_and_names_the_value_axis(tmp_path: Path) -> None:
    config = read(tmp_path, None, "grid.risk_cuts.quantiles=[0.5]", "grid.value_axis=expected_spend_per_purchase")
    assert config.grid.cuts() == ("terciles", Quantiles((0.5,)))
    assert config.grid.value_axis == "expected_spend_per_purchase"


@pytest.mark.parametrize(
    ("grid", "says"),
    [
        ({"value_cuts": "quartiles"}, "grid.value_cuts: no cut points: 'quartiles'; want terciles, fixed values in increasing order, or {quantiles: [...]} or {value_shares: [...]}"),
        ({"value_cuts": {"quantils": [0.5]}}, "grid.value_cuts: want {quantiles: [...]} or {value_shares: [...]}; got quantils (did you mean 'quantiles'?)"),
        ({"value_cuts": {"quantiles": [0.5], "value_shares": [0.5]}}, "got quantiles, value_shares"),
        ({"value_cuts": {}}, "grid.value_cuts: want {quantiles: [...]} or {value_shares: [...]}; got nothing"),
        ({"value_cuts": {"value_shares": [0.8, 1.5]}}, "grid.value_cuts: value_shares are shares between 0 and 1; got [0.8, 1.5]"),
        ({"value_cuts": {"quantiles": [0.9, 0.5]}}, "grid.value_cuts: cut points must be given in increasing order, each once; got [0.9, 0.5]"),
        ({"value_cuts": {"quantiles": "half"}}, "grid.value_cuts: cut points must be given in increasing order, each once; got half"),
        ({"value_cuts": [10, 10]}, "grid.value_cuts: cut points must be given in increasing order, each once; got [10, 10]"),
        ({"value_cuts": ["a"]}, "grid.value_cuts: cut points must be finite numbers; got ['a']"),
        ({"value_cuts": []}, "grid.value_cuts: cut points must be given in increasing order, each once; got []"),
        ({"value_cuts": [float("inf")]}, "grid.value_cuts: cut points must be finite numbers; got [inf]"),
        ({"risk_cuts": {"value_shares": [0.8]}}, "grid.risk_cuts: want {quantiles: [...]}; got value_shares"),
        ({"risk_cuts": [0.3, 1.2]}, "grid.risk_cuts: cuts of a probability lie between 0 and 1; got [0.3, 1.2]"),
        ({"value_axis": "clv"}, "grid.value_axis: input should be 'value_if_active', 'expected_spend' or 'expected_spend_per_purchase'"),
        ({"value_axes": "clv"}, "grid.value_axes: unknown key (did you mean 'value_axis'?)"),
    ],
)  # fmt: skip
def test_cuts_of_no_form_are_one_fault_that_names_the_key(tmp_path: Path, grid: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, {"grid": grid})
    message = str(caught.value)
    assert says in message
    assert message.count("grid.") == 1 and "Section" not in message, "one fault, said once"


def test_accounts_are_columns_amounts_and_weights(tmp_path: Path) -> None:
    named = {
        "cost_to_serve": "service",
        "total_spend": "wallet",
        "acquisition_cost": "cac",
        "composite_value": {"clv": 1},
    }
    assert read(tmp_path, {"segments": named}).segments.accounts() == Accounts("service", "wallet", "cac", {"clv": 1.0})
    amount = read(tmp_path, None, "segments.acquisition_cost=12", "segments.composite_value.clv=1").segments.accounts()
    assert amount == Accounts(acquisition_cost=12.0, weights={"clv": 1.0})
    # a column may be called like a number
    assert read(tmp_path, None, "segments.cost_to_serve=7").segments.cost_to_serve == "7"
    assert read(tmp_path).segments.accounts() == Accounts()


@pytest.mark.parametrize(
    ("sections", "says"),
    [
        ({"segments": {"composite_value": {"clv": 0.5}}}, "composite_value: weights must not be negative and must sum to 1"),
        ({"segments": {"composite_value": {"clv": 1.5, "nps": -0.5}}}, "composite_value: weights must not be negative"),
        ({"segments": {"acquisition_cost": -1}}, "acquisition_cost: must not be negative; got -1"),
        ({"segments": {"period": "soon"}}, "segments.period: 'soon' is not a length of time"),
        ({"segments": {"sed": 1}}, "segments.sed: unknown key (did you mean 'seed'?)"),
        ({"segments": {"seed": -1}}, "segments.seed: input should be greater than or equal to 0; got -1"),
        ({"actions": {"budget": -1}}, "actions.budget: input should be greater than or equal to 0; got -1"),
        ({"actions": {"playbok": "a"}}, "actions.playbok: unknown key (did you mean 'playbook'?)"),
        ({"actions": {"save_rates": 0.1}}, "actions.save_rates: input should be a valid string; got 0.1: write it in quotes"),
    ],
)  # fmt: skip
def test_segments_and_actions_that_cannot_be_name_their_key(
    tmp_path: Path, sections: dict[str, Any], says: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, sections)
    assert says in str(caught.value) and "\n" not in str(caught.value)
