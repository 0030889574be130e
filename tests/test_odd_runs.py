"""A whole run on an odd but possible log ends in finite scores, or in one InputError; never in a traceback."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from churn_clv.config import parse_config
from churn_clv.data.simulate import simulate_log
from churn_clv.errors import InputError
from churn_clv.train import Run, train

CALIBRATION_END = date(2024, 6, 30)


@pytest.fixture(scope="module")
def log() -> pd.DataFrame:
    return simulate_log(customers=300, seed=3, arrival_days=600)


def run_on(folder: Path, log: pd.DataFrame, attributes: pd.DataFrame | None = None, **sections: Any) -> Run:
    """Train on a log from a file."""
    log.to_parquet(folder / "log.parquet")
    data: dict[str, Any] = {"source": "file", "path": str(folder / "log.parquet"), **sections.pop("data", {})}
    if attributes is not None:
        attributes.to_parquet(folder / "attributes.parquet")
        data["attributes"] = {"path": str(folder / "attributes.parquet")}
    content = {
        "name": "odd",
        "data": data,
        "windows": {"calibration_end": CALIBRATION_END, "holdout_end": date(2024, 12, 1)},
        # methods that are named: an oddity shows without a backtest, which would fit everything six times more
        "churn": {"learning_rate": 0.1, "max_rounds": 40, "method": "offset_hybrid", **sections.pop("churn", {})},
        "value": {"method": "hurdle", **sections.pop("value", {})},
        "evaluation": {"bootstrap_samples": 20},
    }
    return train(parse_config(content | sections, source="test"))


def assert_sound(run: Run) -> None:
    """Every number of every customer is finite, and the identities of value hold."""
    numbers = run.scores.select_dtypes("number")
    assert np.isfinite(numbers).all().all()
    assert run.scores["churn_probability"].between(0, 1).all()
    total = run.scores["expected_spend"] + run.scores["value_at_risk"]
    np.testing.assert_allclose(total, run.scores["value_if_active"], rtol=1e-12)
    assert run.production_grid["customers"].sum() == len(run.scores)


def test_a_log_without_amounts_counts_purchases(tmp_path: Path, log: pd.DataFrame) -> None:
    run = run_on(tmp_path, log.drop(columns="amount"), data={"columns": {"amount": None}})
    assert_sound(run)
    assert run.models.spend is None
    assert run.scores["expected_spend"].equals(run.scores["expected_purchases"])


def test_the_currencys_unit_changes_no_risk(tmp_path: Path, log: pd.DataFrame) -> None:
    plain = run_on(tmp_path, log)
    for factor in (0.01, 1e6):
        scaled = run_on(tmp_path, log.assign(amount=log["amount"] * factor))
        assert_sound(scaled)
        assert scaled.models.purchases.to_json() == plain.models.purchases.to_json()
        # 1e-4: Gamma-Gamma's maximum is found in its own units
        np.testing.assert_allclose(scaled.scores["clv"], plain.scores["clv"] * factor, rtol=1e-4)


def test_amounts_just_within_the_limit_are_scored(tmp_path: Path, log: pd.DataFrame) -> None:
    # the contract allows lines below 1e12; days and customers then net more than that
    huge = log.assign(amount=(log["amount"] / log["amount"].max() * 9e11).round(2))
    run = run_on(tmp_path, pd.concat([huge, huge.nlargest(40, "amount")]))
    assert_sound(run)
    assert run.scores["clv"].max() > 1e12


def test_customers_who_all_spend_the_same_are_scored(tmp_path: Path, log: pd.DataFrame) -> None:
    run = run_on(tmp_path, log.drop_duplicates(["customer_id", "date"]).assign(amount=10.0))
    assert_sound(run)
    np.testing.assert_allclose(run.scores["expected_spend_per_purchase"], 10.0, rtol=1e-3)


def test_steady_weekly_customers_are_scored_and_what_models_say_of_them_is_a_note(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    days = pd.date_range("2023-01-01", "2024-12-30", freq="7D")
    rows = [(f"{c}", day, 5.0) for c in range(30) for day in days]
    run = run_on(tmp_path, pd.DataFrame(rows, columns=["customer_id", "date", "amount"]))
    assert_sound(run)
    assert (run.scores["churn_probability"] < 0.01).all()
    assert any("do not differ" in note for note in run.notes)
    assert not [str(w.message) for w in recwarn]


def test_a_holdout_in_which_nobody_buys_is_judged(tmp_path: Path, log: pd.DataFrame) -> None:
    past = log[log["date"] <= pd.Timestamp(CALIBRATION_END)]
    stranger = pd.DataFrame({"customer_id": ["new"], "date": [pd.Timestamp(2024, 12, 30)], "amount": [1.0]})
    run = run_on(tmp_path, pd.concat([past, stranger]))
    assert_sound(run)
    assert run.judgement.churn_rate == 1.0
    assert "new" not in run.judged.index
    assert "new" in run.scores.index


@pytest.mark.parametrize("case", ["zero amounts", "spend without a mean", "refunds only", "everybody once"])
def test_a_log_that_carries_no_value_model_is_one_input_error(tmp_path: Path, log: pd.DataFrame, case: str) -> None:
    # customers' levels from a Pareto distribution of index 1/2, which has no mean; q <= 1 says so
    customers = pd.Series(
        np.random.default_rng(1).pareto(0.5, log["customer_id"].nunique()) + 1, log["customer_id"].unique()
    )
    heavy = log.assign(amount=(log["amount"] * log["customer_id"].map(customers)).clip(upper=1e11).round(2))
    last = pd.DataFrame({"customer_id": ["new"], "date": [pd.Timestamp(2024, 12, 30)], "amount": [1.0]})
    logs = {
        "zero amounts": log.assign(amount=0.0),
        "spend without a mean": heavy,
        "refunds only": log.assign(amount=-log["amount"]),
        "everybody once": pd.concat([log.drop_duplicates("customer_id"), last]),
    }
    with pytest.raises(InputError) as caught:
        run_on(tmp_path, logs[case])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["income, monthly", '{"a": [1]}', "Größe in cm"])
def test_an_attribute_may_have_any_name(tmp_path: Path, log: pd.DataFrame, name: str) -> None:
    customers = log["customer_id"].unique()
    attributes = pd.DataFrame({"customer_id": customers, name: np.arange(len(customers)) % 7})
    run = run_on(tmp_path, log, attributes)
    assert_sound(run)
    assert name in run.models.churn.feature_names


@pytest.mark.parametrize("name", ["frequency", "p_alive"])
def test_an_attribute_named_like_a_feature_is_one_input_error(tmp_path: Path, log: pd.DataFrame, name: str) -> None:
    attributes = pd.DataFrame({"customer_id": log["customer_id"].unique(), name: 1.0})
    with pytest.raises(InputError, match=name):
        run_on(tmp_path, log, attributes)


def test_attributes_of_any_kind_and_of_half_of_the_customers_are_used(tmp_path: Path, log: pd.DataFrame) -> None:
    customers = log["customer_id"].unique()[::2]
    k = np.arange(len(customers))
    attributes = pd.DataFrame(
        {
            "customer_id": customers,
            "age": k % 70,
            "vip": k % 3 == 0,
            "city": np.where(k % 4 == 0, None, "x"),
            "since": pd.Timestamp(2020, 1, 1),
            "never": np.nan,
        }
    )
    assert_sound(run_on(tmp_path, log, attributes))


@pytest.mark.parametrize("content", [b"PAR1", b"", "customer_id,city\na,caf\u00e9\n".encode("cp1252")])
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_broken_attributes_table_is_one_input_error(
    tmp_path: Path, log: pd.DataFrame, content: bytes, suffix: str
) -> None:
    path = tmp_path / f"attributes.{suffix}"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"data\.attributes\.path") as caught:
        run_on(tmp_path, log, data={"attributes": {"path": str(path)}})
    assert "\n" not in str(caught.value)


def test_both_engines_say_the_same(tmp_path: Path, log: pd.DataFrame) -> None:
    own, theirs = (run_on(tmp_path, log, value={"engine": engine}) for engine in ("native", "lifetimes"))
    for column in ("expected_spend", "clv", "value_if_active"):
        # two optimisers of one likelihood: parameters agree to 1e-4, the forecasts of a customer to a little more
        np.testing.assert_allclose(theirs.scores[column], own.scores[column], rtol=1e-3)


def test_an_engine_that_does_not_converge_is_one_input_error(tmp_path: Path, log: pd.DataFrame) -> None:
    with pytest.raises(InputError, match=r"lifetimes"):
        run_on(tmp_path, log.assign(amount=10.0), value={"engine": "lifetimes"})


METHODS = [("stack", "average"), ("btyd_features", "tweedie"), ("lightgbm_monotone", "textbook_ltv")]


def odd(log: pd.DataFrame) -> pd.DataFrame:
    """Customers whose refunds exceed what they bought, and a fifth of the purchases for nothing."""
    refunds = log[log["customer_id"].isin(log["customer_id"].unique()[::9])]
    free = log["amount"].where(np.arange(len(log)) % 5 > 0, 0.0)
    return pd.concat([log.assign(amount=free), refunds.assign(amount=-2 * refunds["amount"])])


@pytest.mark.parametrize(("churn", "value"), METHODS)
def test_every_method_scores_customers_who_gave_back_more_than_they_bought(
    tmp_path: Path, log: pd.DataFrame, churn: str, value: str
) -> None:
    run = run_on(tmp_path, odd(log), churn={"method": churn, "max_rounds": 15, "folds": 3}, value={"method": value})
    assert_sound(run)
    assert (run.choice.methods.churn, run.choice.methods.value) == (churn, value)


@pytest.mark.parametrize(
    "case", ["margins below zero", "no amounts", "lifetimes", "until calibration_end", "one cutoff"]
)
def test_methods_of_trees_meet_odd_logs_and_labels(tmp_path: Path, log: pd.DataFrame, case: str) -> None:
    sections: dict[str, Any] = {
        "churn": {"method": "stack", "max_rounds": 15, "folds": 3},
        "value": {"method": "average"},
    }
    lines, windows = log, {"calibration_end": CALIBRATION_END, "holdout_end": date(2024, 12, 1)}
    if case == "margins below zero":
        lines = log.assign(margin=np.where(np.arange(len(log)) % 4, 0.3, -0.8) * log["amount"])
        sections["data"] = {"columns": {"margin": "margin"}}
    elif case == "no amounts":
        lines, sections["data"] = log.drop(columns="amount"), {"columns": {"amount": None}}
    elif case == "lifetimes":
        sections["value"]["engine"] = "lifetimes"
    elif case == "until calibration_end":
        cutoffs = [date(2023, 10, 1), date(2024, 1, 10), date(2024, 4, 15)]
        sections["windows"] = windows | {"label_cutoffs": cutoffs, "label_horizon": "until_calibration_end"}
    else:
        sections["windows"] = windows | {"label_cutoffs": [date(2024, 1, 15)]}
    run = run_on(tmp_path, lines, **sections)
    assert_sound(run)


def test_the_textbook_of_repeat_days_knows_nothing_of_one_time_buyers(tmp_path: Path, log: pd.DataFrame) -> None:
    run = run_on(tmp_path, log, value={"method": "textbook_ltv", "spend_days": "repeat"})
    assert_sound(run)
    once = run.scores["frequency"] == 0
    assert (run.scores.loc[once, ["expected_spend", "clv", "value_if_active"]] == 0).all(axis=None)


@pytest.mark.parametrize(("churn", "value"), METHODS[:2])
def test_labels_of_one_class_are_scored_and_said(tmp_path: Path, log: pd.DataFrame, churn: str, value: str) -> None:
    """Nobody buys in the labels' horizon: nothing can be classified, and no trees of value can be grown."""
    quiet = (log["date"] <= pd.Timestamp(2024, 1, 1)) | (log["date"] > pd.Timestamp(CALIBRATION_END))
    windows = {"calibration_end": CALIBRATION_END, "holdout_end": date(2024, 12, 1), "label_cutoffs": [date(2024, 1, 2)],
               "label_horizon": "until_calibration_end"}  # fmt: skip
    run = run_on(
        tmp_path, log[quiet], windows=windows, churn={"method": churn, "max_rounds": 15}, value={"method": value}
    )
    assert_sound(run)
    assert any("every labelled customer bought nothing" in note for note in run.notes)


def test_a_run_that_chooses_its_methods_is_sound_and_says_why(tmp_path: Path, log: pd.DataFrame) -> None:
    few = {"churn": ["purchase_model", "logistic_rfm"], "value": ["hurdle", "tweedie"], "most_origins": 3}
    run = run_on(tmp_path, odd(log), churn={"method": "auto", "max_rounds": 15, "folds": 3}, value={"method": "auto"},
                 backtest=few)  # fmt: skip
    assert_sound(run)
    assert [c.windows for c in run.choice.crowns] == [3, 3]
    assert all(sentence in run.notes for sentence in run.choice.headlines)
