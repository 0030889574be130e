"""A backtest on disk and in MLflow says what the backtest found, and holds no customer."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest

from churn_clv.config import load_config, parse_config
from churn_clv.delivery.backtest_folder import long_table, write_backtest
from churn_clv.delivery.experiment import compared_over_origins, origins_table
from churn_clv.delivery.tracking import log_backtest
from churn_clv.errors import InputError
from churn_clv.rolling import Rolling, roll

LAST = date(2024, 12, 30)


def config(name: str = "rolled", **backtest: object):
    content = {
        "name": name,
        "data": {"source": "simulated", "simulated": {"customers": 250, "seed": 4}},
        "windows": {"calibration_end": LAST - timedelta(days=120), "holdout_end": LAST},
        "churn": {"max_rounds": 20, "folds": 3, "learning_rate": 0.1},
        "backtest": {"churn": ["purchase_model", "logistic_rfm"], "value": ["purchase_model", "hurdle"], **backtest},
    }
    return parse_config(content, source="test")


@pytest.fixture(scope="module")
def rolled() -> Rolling:
    return roll(config(step="90 days", most_origins=4))


@pytest.fixture(scope="module")
def folder(rolled: Rolling, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_backtest(rolled, tmp_path_factory.mktemp("runs"), datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))


def test_the_folder_is_named_by_config_and_time_and_complete(folder: Path):
    assert folder.parent.name == "rolled-backtest"
    assert folder.name == "20260102T030405Z"
    names = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    assert names == {"config.yaml", "origins.csv", "summary.csv", "backtest.json", "figures/gains.png"}
    assert load_config(folder / "config.yaml").backtest.step == "90 days"


def test_every_figure_of_every_origin_is_in_the_table_once(rolled: Rolling, folder: Path):
    table = pd.read_csv(folder / "origins.csv").set_index(["task", "origin", "metric", "method"])
    assert table.index.is_unique
    for task in ("churn", "value"):
        figures = rolled.backtest.figures(task, only_apart=False)
        assert table.loc[task].shape[0] == figures.notna().sum().sum()
        for origin, row in figures.iterrows():
            for (metric, method), value in row.dropna().items():
                assert table.loc[(task, str(origin), metric, method), "value"] == pytest.approx(value, rel=1e-9)
    independent = table["independent"].groupby("origin").first()
    assert {day for day, mark in independent.items() if mark} == {str(day) for day in rolled.backtest.apart}


def test_the_record_names_windows_methods_champions_and_reasons(rolled: Rolling, folder: Path):
    record = json.loads((folder / "backtest.json").read_text())
    assert [o["as_of"] for o in record["origins"]] == [str(o.as_of) for o in rolled.backtest.origins]
    assert record["horizon_days"] == 120
    assert record["step_days"] == 90
    assert record["methods"]["churn"] == ["purchase_model", "logistic_rfm"]
    assert set(record["champions"]) == {"churn", "value"}
    assert record["notes"] == rolled.notes
    for origin in record["origins"]:
        end = max(date.fromisoformat(w["cutoff"]) + timedelta(days=w["horizon_days"]) for w in origin["labels"])
        assert end <= date.fromisoformat(origin["as_of"])


def test_no_customer_is_in_the_folder(rolled: Rolling, folder: Path):
    ids = {f'"{c}"' for c in rolled.backtest.origins[-1].outcomes.index}
    for name in ("origins.csv", "summary.csv", "backtest.json"):
        text = (folder / name).read_text()
        assert not any(customer in text for customer in ids)


def test_the_long_table_leaves_out_what_a_method_could_not_be_asked(rolled: Rolling):
    figures = {"churn": rolled.backtest.figures("churn", only_apart=False)}
    assert figures["churn"].isna().any(axis=None)  # calibrated methods at the first origins
    assert long_table(figures, rolled.backtest.apart)["value"].notna().all()


def test_mlflow_holds_the_means_and_one_child_an_origin(
    rolled: Rolling, folder: Path, empty_store: str, monkeypatch, tmp_path: Path
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", empty_store)
    page = log_backtest(rolled, folder, {"question": "q", "variant": "v"})
    run_id = page.split("/runs/")[1].split("?")[0]
    run = mlflow.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.tags["question"] == "q"
    mean = rolled.summary("churn").loc[("log_loss", "logistic_rfm"), "mean"]
    assert run.data.metrics["churn/log_loss/logistic_rfm"] == pytest.approx(mean, rel=1e-12)
    everything = mlflow.search_runs([run.info.experiment_id], output_format="list")
    children = [r for r in everything if r.data.tags.get("mlflow.parentRunId") == run_id]
    assert len(children) == len(rolled.backtest.origins)
    assert {c.info.status for c in children} == {"FINISHED"}


def test_the_printed_table_says_over_how_many_origins(rolled: Rolling):
    table = origins_table(rolled.summary("churn"), "churn")
    assert table.loc["the purchase model alone", "origins"] == "4"
    calibrated = int(table.loc["the purchase model alone, calibrated", "origins"])
    assert 0 < calibrated < 4
    assert table.loc["logistic regression on RFM", "wins"].endswith(f"of {len(rolled.backtest.apart)}")


def test_runs_over_the_same_origins_are_paired_with_the_first_runs_simplest(rolled: Rolling):
    both = compared_over_origins({"one": rolled, "two": rolled}, "value")
    gain = both.loc[("normalised_gini", "two: purchase_model")]
    assert (gain["gain"], gain["wins"]) == (0, 0)
    alone = rolled.summary("value").loc[("normalised_gini", "hurdle"), "gain"]
    assert both.loc[("normalised_gini", "two: hurdle"), "gain"] == pytest.approx(alone, rel=1e-12)


def test_runs_over_different_origins_are_not_compared(rolled: Rolling):
    other = roll(config("other", step="150 days", most_origins=2))
    with pytest.raises(InputError, match="different origins"):
        compared_over_origins({"one": rolled, "two": other}, "churn")


def test_a_backtest_without_a_single_money_figure_is_written(tmp_path: Path, rolled: Rolling):
    """Figures that are NaN everywhere (no revenue in any holdout) stay out of the table and break nothing."""
    from dataclasses import replace

    empty = rolled.backtest.value.copy()
    empty.loc[:, "normalised_gini"] = np.nan
    found = replace(rolled, backtest=replace(rolled.backtest, value=empty))
    folder = write_backtest(found, tmp_path, datetime(2026, 1, 2, tzinfo=UTC))
    record = json.loads((folder / "backtest.json").read_text())
    assert record["champions"]["value"] in (None, "purchase_model")
