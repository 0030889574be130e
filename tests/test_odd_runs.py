"""A whole run on an odd but possible log ends in finite scores, or in one InputError; never in a traceback."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.conftest import train_on

from churn_clv.data.simulate import simulate_log
from churn_clv.errors import InputError
from churn_clv.segmentation import BUDGETED
from churn_clv.segments.schemes import SCHEMES
from churn_clv.train import Run

pytestmark = pytest.mark.odd
CALIBRATION_END = date(2024, 6, 30)


@pytest.fixture(scope="module")
def log() -> pd.DataFrame:
    return simulate_log(customers=300, seed=3, arrival_days=600)


def assert_sound(run: Run) -> None:
    """Every number of every customer is finite, and the identities of value hold."""
    numbers = run.scores.select_dtypes("number")
    assert np.isfinite(numbers).all().all()
    assert run.scores["churn_probability"].between(0, 1).all()
    total = run.scores["expected_spend"] + run.scores["value_at_risk"]
    np.testing.assert_allclose(total, run.scores["value_if_active"], rtol=1e-12)
    assert run.production_grid["customers"].sum() == len(run.scores)
    assert_segmented(run)


def assert_segmented(run: Run) -> None:
    """Every customer has one segment of every scheme, a plan and a row in every budget; every metric is finite."""
    found = run.segmentation
    assert run.scores[list(SCHEMES)].notna().all(axis=None)
    assert found.plan.index.equals(run.scores.index)
    for scheme in BUDGETED:
        assert found.budgets[scheme]["customers"].to_dict() == run.scores[scheme].value_counts().to_dict()
    for scheme, table in found.outcomes.items():
        assert table["customers"].sum() == len(run.judged), scheme
    assert found.acceptance["words"].str.len().min() > 0
    assert found.acceptance.loc["identity", "passes"] is True
    assert np.isfinite(list(found.metrics.values())).all()
    assert set(found.win_back.index) | set(found.look_alikes.customers.index) <= set(run.scores.index)
    assert found.equity.low <= found.equity.total <= found.equity.high


def test_a_log_without_amounts_counts_purchases(tmp_path: Path, log: pd.DataFrame) -> None:
    run = train_on(tmp_path, log.drop(columns="amount"), data={"columns": {"amount": None}})
    assert_sound(run)
    assert run.models.spend is None
    assert run.scores["expected_spend"].equals(run.scores["expected_purchases"])
    # what a contact earns is not known, so nobody is contacted, and whom to win back is listed all the same
    plan = run.segmentation.plan
    assert not plan["contact"].any()
    assert plan.loc[plan["channel"] != "none", "contact_profit"].isna().all()
    assert len(run.segmentation.win_back) > 0
    assert run.segmentation.budgets["segment"][["outlay", "contact_profit"]].fillna(0).eq(0).all(axis=None)


@pytest.mark.parametrize("key", ["actions", "segments"])
def test_money_named_for_a_log_without_amounts_is_one_input_error(tmp_path: Path, log: pd.DataFrame, key: str) -> None:
    sections: dict[str, Any] = {"actions": {"budget": 10.0}, "segments": {"acquisition_cost": 5}}
    with pytest.raises(InputError, match=f"{key}.*: money means nothing in a log without amounts"):
        train_on(tmp_path, log.drop(columns="amount"), data={"columns": {"amount": None}}, **{key: sections[key]})


def test_a_share_of_wallet_is_no_share_where_value_is_margin(tmp_path: Path, log: pd.DataFrame) -> None:
    with pytest.raises(InputError, match=r"segments\.total_spend: the log's value is margin"):
        wallet = pd.DataFrame({"customer_id": log["customer_id"].unique(), "wallet": 1e6})
        train_on(tmp_path, log, wallet, data={"margin_rate": 0.3}, segments={"total_spend": "wallet"})


def test_the_currencys_unit_changes_no_risk(tmp_path: Path, log: pd.DataFrame) -> None:
    plain = train_on(tmp_path, log)
    for factor in (1e6,):
        scaled = train_on(tmp_path, log.assign(amount=log["amount"] * factor))
        assert_sound(scaled)
        assert scaled.models.purchases.to_json() == plain.models.purchases.to_json()
        # 1e-4: Gamma-Gamma's maximum is found in its own units
        np.testing.assert_allclose(scaled.scores["clv"], plain.scores["clv"] * factor, rtol=1e-4)


def test_amounts_just_within_the_limit_are_scored(tmp_path: Path, log: pd.DataFrame) -> None:
    # the contract allows lines below 1e12; days and customers then net more than that
    huge = log.assign(amount=(log["amount"] / log["amount"].max() * 9e11).round(2))
    run = train_on(tmp_path, pd.concat([huge, huge.nlargest(40, "amount")]))
    assert_sound(run)
    assert run.scores["clv"].max() > 1e12


def test_customers_who_all_spend_the_same_are_scored(tmp_path: Path, log: pd.DataFrame) -> None:
    run = train_on(tmp_path, log.drop_duplicates(["customer_id", "date"]).assign(amount=10.0))
    assert_sound(run)
    np.testing.assert_allclose(run.scores["expected_spend_per_purchase"], 10.0, rtol=1e-3)
    # the mean of repeat days is 10 for all who have any, and 0 for the others: two scores, whatever the order of rows
    assert run.scores.groupby(run.scores["frequency"] > 0)["monetary_score"].nunique().tolist() == [1, 1]


def test_steady_weekly_customers_are_scored_and_what_models_say_of_them_is_a_note(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    days = pd.date_range("2023-01-01", "2024-12-30", freq="7D")
    rows = [(f"{c}", day, 5.0) for c in range(30) for day in days]
    run = train_on(tmp_path, pd.DataFrame(rows, columns=["customer_id", "date", "amount"]))
    assert_sound(run)
    assert (run.scores["churn_probability"] < 0.01).all()
    assert any("do not differ" in note for note in run.notes)
    assert_one_segment_each(run)
    assert not [str(w.message) for w in recwarn]


def assert_one_segment_each(run: Run) -> None:
    """Customers who are all alike: one cell, one cluster, nobody of note, and words that say why nothing can be told."""
    found = run.segmentation
    for scheme in ("segment", "rfm_segment", "value_class", "pareto_tier", "cluster", "map_cluster"):
        assert run.scores[scheme].nunique() == 1, scheme
    words = found.acceptance["words"]
    assert words["monotone_churn"] == "No two neighbouring cells with customers to compare churn along risk"
    assert words["rank_correlation"] == "An axis has one value only: no correlation"
    assert found.acceptance.loc[["monotone_churn", "monotone_spend", "rank_correlation"], "passes"].isna().all()
    assert found.quality.loc["segment", "churn_epsilon2"] == 0 or np.isnan(
        found.quality.loc["segment", "churn_epsilon2"]
    )
    assert run.models.schemes.clusters.words.startswith("One cluster: the customers are too few or too much alike")
    assert found.look_alikes.customers.empty
    assert found.look_alikes.words.startswith("No look-alikes: ")
    assert not found.plan["contact"].any(), "a cell that the playbook does not name has no contact"


def test_fewer_customers_than_cells_of_all_schemes_are_placed_and_told(tmp_path: Path) -> None:
    few = simulate_log(customers=22, seed=4, arrival_days=200)
    last = few.iloc[[0]].assign(date=pd.Timestamp(2024, 12, 30))
    fifths = {"quantiles": [0.2, 0.4, 0.6, 0.8]}
    grid = {"value_cuts": fifths, "risk_cuts": fifths}
    run = train_on(tmp_path, pd.concat([few, last]), churn={"method": "purchase_model"}, grid=grid)
    assert (len(run.scores), len(run.production_grid)) == (22, 25)
    assert_sound(run)
    empty = run.judged_grid[run.judged_grid["customers"] == 0]
    assert len(empty) > 0, "a grid without an empty cell shows nothing"
    assert "have an empty cell" in run.segmentation.acceptance.loc["monotone_churn", "words"]
    assert run.segmentation.look_alikes.words.startswith("No look-alikes: ")
    assert run.segmentation.acceptance.loc["rfm_calibration", "passes"] is None, (
        "22 customers of the past forecast nothing"
    )


def test_a_tier_without_anybody_is_shown_empty_everywhere(tmp_path: Path, log: pd.DataFrame) -> None:
    run = train_on(tmp_path, log, churn={"method": "purchase_model"}, grid={"value_cuts": [20.0, 1e9]})
    assert_sound(run)
    assert run.models.grid.value_cuts == (20.0, 1e9)
    assert "high" not in set(run.scores["value_tier"])
    assert run.production_grid.xs("high", level="value_tier")["customers"].tolist() == [0, 0, 0]
    assert "high" not in run.segmentation.budgets["value_tier"].index
    assert run.segmentation.win_back.empty, "nobody is in the highest value tier"
    assert list(run.segmentation.win_back.columns)


def test_one_cohort_is_a_cohort(tmp_path: Path) -> None:
    run = train_on(tmp_path, simulate_log(customers=150, seed=3, arrival_days=1), churn={"method": "purchase_model"})
    assert_sound(run)
    assert len(run.segmentation.cohorts.table) == 1
    assert run.segmentation.cohorts.calibration["customers"].tolist() == [150]


def test_a_log_of_some_days_is_followed_over_days(tmp_path: Path) -> None:
    windows = {"calibration_end": date(2023, 1, 20), "holdout_end": date(2023, 1, 30)}
    log = simulate_log(customers=200, seed=3, arrival_days=10, days=40)
    run = train_on(tmp_path, log, churn={"method": "purchase_model"}, windows=windows)
    assert_sound(run)
    # a quarter of the 19 days from the first day to calibration_end
    assert [p.day for p in run.segmentation.placements] == [date(2023, 1, 12), date(2023, 1, 16), date(2023, 1, 20)]
    assert any("movement is told over 4 days" in note for note in run.notes)


def test_a_holdout_in_which_nobody_buys_is_judged(tmp_path: Path, log: pd.DataFrame) -> None:
    past = log[log["date"] <= pd.Timestamp(CALIBRATION_END)]
    stranger = pd.DataFrame({"customer_id": ["new"], "date": [pd.Timestamp(2024, 12, 30)], "amount": [1.0]})
    run = train_on(tmp_path, pd.concat([past, stranger]))
    assert_sound(run)
    assert run.judgement.churn_rate == 1.0
    acceptance = run.segmentation.acceptance
    assert acceptance.loc["buyers_spend", "words"] == "No cell has enough customers who bought to tell"
    assert acceptance.loc["buyers_spend", "passes"] is None
    assert run.segmentation.quality["churn_epsilon2"].isna().all(), "there is nothing to explain"
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
        train_on(tmp_path, logs[case])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["income, monthly", '{"a": [1]}', "Größe in cm"])
def test_an_attribute_may_have_any_name(tmp_path: Path, log: pd.DataFrame, name: str) -> None:
    customers = log["customer_id"].unique()
    attributes = pd.DataFrame({"customer_id": customers, name: np.arange(len(customers)) % 7})
    run = train_on(tmp_path, log, attributes)
    assert_sound(run)
    assert name in run.models.churn.feature_names


@pytest.mark.parametrize("name", ["frequency", "p_alive"])
def test_an_attribute_named_like_a_feature_is_one_input_error(tmp_path: Path, log: pd.DataFrame, name: str) -> None:
    attributes = pd.DataFrame({"customer_id": log["customer_id"].unique(), name: 1.0})
    with pytest.raises(InputError, match=name):
        train_on(tmp_path, log, attributes)


def test_attributes_of_any_kind_and_of_half_of_the_customers_are_used(tmp_path: Path, log: pd.DataFrame) -> None:
    customers = log["customer_id"].unique()[::2]
    k = np.arange(len(customers))
    attributes = pd.DataFrame(
        {
            "customer_id": customers,
            "age": k % 70,
            "vip": k % 3 == 0,
            "city": np.where(k % 4 == 0, None, "x"),
            "since": pd.Timestamp(2020, 1, 1) + pd.to_timedelta(k % 40, unit="D"),
            "never": np.nan,
        }
    )
    run = train_on(tmp_path, log, attributes)
    assert_sound(run)
    assert "since" not in run.models.schemes.attributes, "a day says nothing of who is alike"
    assert {"age", "vip", "city"} <= set(run.models.schemes.attributes)


def test_an_attribute_may_be_named_like_a_score_or_a_segment(tmp_path: Path, log: pd.DataFrame) -> None:
    customers = log["customer_id"].unique()
    letters = np.where(np.arange(len(customers)) % 2, "a", "b")
    attributes = pd.DataFrame({"customer_id": customers, "segment": letters, "clv": 1.0})
    run = train_on(tmp_path, log, attributes, churn={"method": "purchase_model"})
    assert_sound(run)
    assert "segment" in run.models.schemes.attributes
    assert not set(run.scores["segment"]) & {"a", "b"}


@pytest.mark.parametrize("content", [b"PAR1", b"", "customer_id,city\na,caf\u00e9\n".encode("cp1252")])
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_broken_attributes_table_is_one_input_error(
    tmp_path: Path, log: pd.DataFrame, content: bytes, suffix: str
) -> None:
    path = tmp_path / f"attributes.{suffix}"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"data\.attributes\.path") as caught:
        train_on(tmp_path, log, data={"attributes": {"path": str(path)}})
    assert "\n" not in str(caught.value)


def test_both_engines_say_the_same(tmp_path: Path, log: pd.DataFrame) -> None:
    own, theirs = (train_on(tmp_path, log, value={"engine": engine}) for engine in ("native", "lifetimes"))
    for column in ("expected_spend", "clv", "value_if_active"):
        # two optimisers of one likelihood: parameters agree to 1e-4, the forecasts of a customer to a little more
        np.testing.assert_allclose(theirs.scores[column], own.scores[column], rtol=1e-3)


def test_an_engine_that_does_not_converge_is_one_input_error(tmp_path: Path, log: pd.DataFrame) -> None:
    with pytest.raises(InputError, match=r"lifetimes"):
        train_on(tmp_path, log.assign(amount=10.0), value={"engine": "lifetimes"})


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
    run = train_on(tmp_path, odd(log), churn={"method": churn, "max_rounds": 15, "folds": 3}, value={"method": value})
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
    run = train_on(tmp_path, lines, **sections)
    assert_sound(run)


def test_the_textbook_of_repeat_days_knows_nothing_of_one_time_buyers(tmp_path: Path, log: pd.DataFrame) -> None:
    run = train_on(tmp_path, log, value={"method": "textbook_ltv", "spend_days": "repeat"})
    assert_sound(run)
    once = run.scores["frequency"] == 0
    assert (run.scores.loc[once, ["expected_spend", "clv", "value_if_active"]] == 0).all(axis=None)


@pytest.mark.parametrize(("churn", "value"), METHODS[:2])
def test_labels_of_one_class_are_scored_and_said(tmp_path: Path, log: pd.DataFrame, churn: str, value: str) -> None:
    """Nobody buys in the labels' horizon: nothing can be classified, and no trees of value can be grown."""
    quiet = (log["date"] <= pd.Timestamp(2024, 1, 1)) | (log["date"] > pd.Timestamp(CALIBRATION_END))
    windows = {"calibration_end": CALIBRATION_END, "holdout_end": date(2024, 12, 1), "label_cutoffs": [date(2024, 1, 2)],
               "label_horizon": "until_calibration_end"}  # fmt: skip
    run = train_on(
        tmp_path, log[quiet], windows=windows, churn={"method": churn, "max_rounds": 15}, value={"method": value}
    )
    assert_sound(run)
    assert any("every labelled customer bought nothing" in note for note in run.notes)


def test_a_run_that_chooses_its_methods_is_sound_and_says_why(tmp_path: Path, log: pd.DataFrame) -> None:
    few = {"churn": ["purchase_model", "logistic_rfm"], "value": ["hurdle", "tweedie"], "most_origins": 3}
    run = train_on(tmp_path, odd(log), churn={"method": "auto", "max_rounds": 15, "folds": 3}, value={"method": "auto"},
                 backtest=few)  # fmt: skip
    assert_sound(run)
    assert [c.windows for c in run.choice.crowns] == [3, 3]
    assert all(sentence in run.notes for sentence in run.choice.headlines)
