"""Runs side by side: found by folder, id or name, marked as best only beyond the error and only on the same holdout."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
import yaml

from churn_clv.delivery.atomic import whole_folder
from churn_clv.delivery.compare import (
    ComparedRun,
    apart,
    best,
    comparison_of,
    differences,
    paired_sentences,
    read_runs,
)
from churn_clv.delivery.comparison_page import comparison_figure, write_comparison_page
from churn_clv.delivery.run_folder import summary_of
from churn_clv.delivery.tables import write_table
from churn_clv.errors import InputError
from churn_clv.train import Run

GOOD, POOR = ("purchase_model", "purchase_model"), ("logistic_rfm", "textbook_ltv")


def run(name: str, loss: float, error: float = 0.01, data: str = "aa", /, **settings: str) -> ComparedRun:
    metrics = {"churn/log_loss": loss, "churn/log_loss_se": error, "value/bias": loss - 0.5, "value/bias_se": error}
    dates = {"windows.calibration_end": "2024-06-30", "windows.holdout_end": "2024-12-15"}
    return ComparedRun(name, metrics, dates | settings, data)


@pytest.fixture(scope="module")
def folders(small_run: Run, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two run folders as far as a comparison reads them: the second forecasts the opposite of the first."""
    root = tmp_path_factory.mktemp("runs") / "small"
    opposite = small_run.judged.assign(churn_probability=1 - small_run.judged["churn_probability"])
    leaves = small_run.config.model_copy(update={"churn": small_run.config.churn.model_copy(update={"num_leaves": 3})})
    found = []
    for name, judged, config in (("20260101T000000Z", small_run.judged, small_run.config), ("20260102T000000Z", opposite, leaves)):  # fmt: skip
        with whole_folder(root / name) as folder:
            (folder / "metrics.json").write_text(json.dumps(summary_of(small_run)))
            (folder / "config.yaml").write_text(config.to_yaml())
            write_table(judged, folder / "judged_scores.parquet")
        found.append(root / name)
    return found


def test_what_rules_leave_out_is_told_as_a_number_of_values(folders: list[Path], tmp_path: Path):
    named = []
    for number, folder in enumerate(folders, start=1):
        content = yaml.safe_load((folder / "config.yaml").read_text())
        content["data"]["drop_rows"] = [{"email": [f"canary{k}@example.org" for k in range(number)], "kind": [None]}]
        copy = Path(shutil.copytree(folder, tmp_path / f"shop{number}" / folder.name))
        (copy / "config.yaml").write_text(yaml.safe_dump(content))
        named.append(str(copy))
    found = differences(read_runs(named))
    told = found.loc["data.drop_rows"].tolist()
    assert told == [f"[{{'email': '{k} values, not shown', 'kind': '1 values, not shown'}}]" for k in (1, 2)]
    assert not any("canary" in text for one in read_runs(named) for text in one.settings.values())


# --- which one is best


@pytest.mark.parametrize(
    ("losses", "error", "expected"),
    [
        ([0.40, 0.45], 0.010, "a"),  # .05 against 1.96 * .0141 = .028
        ([0.40, 0.42], 0.010, None),  # .02: within the error
        ([0.40, 0.41, 0.60], 0.010, None),  # better than one, not beyond the error of the other
        ([0.40, 0.50, 0.60], 0.010, "a"),
    ],
)
def test_the_best_is_better_than_every_other_beyond_the_error(losses: list[float], error: float, expected: str | None):
    table = comparison_of([run(name, loss, error) for name, loss in zip("abc", losses, strict=False)])
    marked = [name for name in table.columns if table.loc["churn/log_loss", name].endswith(" *")]
    assert marked == ([expected] if expected else [])


def test_a_bias_is_best_near_0_and_not_where_it_is_large():
    figures = pd.DataFrame({"value": [0.30, -0.01], "standard_error": 0.01}, index=["a", "b"])
    assert best(figures, "value/bias") == "b"


def test_a_metric_without_a_direction_or_error_has_no_best():
    figures = pd.DataFrame({"value": [1.0, 9.0], "standard_error": np.nan}, index=["a", "b"])
    assert best(figures, "grid/criteria_failed") is None
    assert best(figures, "churn/auc") is None


@pytest.mark.parametrize(
    "other",
    [
        run("b", 0.9, 0.01, "bb"),
        replace(run("b", 0.9), settings={"windows.calibration_end": "2024-01-01", "windows.holdout_end": "2024-12-15"}),
    ],
)
def test_runs_judged_on_other_data_are_said_not_to_be_comparable(other: ComparedRun):
    runs = [run("a", 0.4), other]
    assert apart(runs).startswith(
        "Not comparable: the runs were judged on different data (a: log aa, holdout 2024-06-30"
    )
    assert "*" not in comparison_of(runs).to_numpy().sum()


# --- what differs


def test_settings_that_differ_are_listed_and_names_and_places_are_not():
    one = run("a", 0.4, **{"churn.method": "auto", "name": "a", "tracking.experiment": "x", "value.engine": "native"})
    two = run("b", 0.4, **{"churn.method": "stack", "name": "b", "tracking.experiment": "y", "value.engine": "native"})
    table = differences([one, two])
    assert table.to_dict("index") == {"churn.method": {"a": "auto", "b": "stack"}}


# --- where runs are found


def test_runs_are_found_by_id_name_and_config_in_any_mixture_with_folders(log_as, folders: list[Path]):
    logged = log_as(*GOOD)
    newest = log_as(*POOR)
    name = mlflow.get_run(logged.run_id).info.run_name
    found = read_runs([str(folders[0]), logged.run_id, "small"])
    assert found[1].settings["methods.churn"] == "purchase_model"
    assert found[2].settings["methods.churn"] == "logistic_rfm"  # the newest of the config
    assert read_runs([name, newest.run_id])[0].settings["methods.churn"] == "logistic_rfm"  # the newest of the name
    assert apart(found) == ""
    assert found[0].metrics["churn/auc"] == found[1].metrics["churn/auc"]
    assert differences([found[0], found[1]]).empty  # a folder's config and what MLflow was told agree


def test_runs_of_one_name_are_told_apart(log_as):
    logged = log_as(*GOOD)
    names = [one.name for one in read_runs([logged.run_id, logged.run_id])]
    assert names[0].endswith(" (1)")
    assert names[1].endswith(" (2)")


def test_a_backtest_has_no_holdout_to_compare(log_as):
    logged = log_as(*GOOD)
    with mlflow.start_run(experiment_id=logged.experiment_id, run_name="rolled"):
        mlflow.log_metric("churn/log_loss/hurdle", 0.4)
    with pytest.raises(InputError, match="rolled: its MLflow run has no figures of a holdout"):
        read_runs([logged.run_id, "rolled"])


@pytest.mark.parametrize("name", ["nothing", "it's", "0" * 32])
def test_what_is_not_there_is_one_line(module_store: str, name: str):
    with pytest.raises(InputError, match=f"^{name}: no "):
        read_runs([name, name])


def test_one_run_is_no_comparison(module_store: str):
    with pytest.raises(InputError, match="two runs or more"):
        read_runs(["small"])


# --- pairs, page and picture


def test_run_folders_are_compared_on_the_same_customers(folders: list[Path]):
    """Risks turned round must lose: log loss of 1 - p is larger for every customer whom p had right."""
    told = paired_sentences(read_runs([str(folder) for folder in folders]), [("churn", "log_loss")])
    assert len(told) == 1
    assert "small 20260102T000000Z against small 20260101T000000Z, churn log loss: worse" in told[0]


def test_the_page_stands_alone_escapes_names_and_holds_no_customer(folders: list[Path], tmp_path: Path):
    first, second = read_runs([str(folder) for folder in folders])
    html, png = write_comparison_page([first, replace(second, name="<script>alert(1)</script>")], tmp_path / "out")
    page = html.read_text(encoding="utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    assert "churn.num_leaves" in page
    assert png.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert len(page) < 500_000  # a larger one stays blank in MLflow's view of artifacts


def test_the_pictures_bars_are_1_96_standard_errors():
    figure = comparison_figure([run("a", 0.40, 0.01), run("b", 0.45, 0.02)])
    panel = next(axis for axis in figure.axes if axis.get_title(loc="left") == "churn: log loss")
    bars = panel.containers[0].lines[2][0].get_segments()
    np.testing.assert_allclose(bars[0][:, 0], [0.40 - 0.0196, 0.40 + 0.0196], atol=1e-12)
    np.testing.assert_allclose(bars[1][:, 0], [0.45 - 0.0392, 0.45 + 0.0392], atol=1e-12)
