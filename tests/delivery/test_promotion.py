"""A challenger becomes champion only by the rule over past origins, or for a reason that is recorded."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import mlflow
import pytest

from churn_clv.backtest import CALIBRATED
from churn_clv.config import Config, parse_config
from churn_clv.delivery import promotion
from churn_clv.delivery.champions import champion_of, events, find
from churn_clv.delivery.promotion import logged_run, on_the_log_of, promote
from churn_clv.errors import InputError
from churn_clv.rolling import roll
from churn_clv.train import Run

GOOD, POOR = ("purchase_model", "purchase_model"), ("logistic_rfm", "textbook_ltv")


def champion(model: str) -> str:
    found = champion_of(model)
    assert found
    return found.version


@pytest.fixture(scope="module")
def won(log_as):
    """A poor run is champion for want of a better one; a good one challenges it: log simulated by the good one's model."""
    poor, good = log_as(*POOR, model="won"), log_as(*GOOD, model="won")
    return promote(poor.run_id), promote(good.run_id)


@pytest.fixture(scope="module")
def lost(won, log_as):
    """The poor one again, against the good one."""
    return promote(f"{log_as(*POOR, model='won').model_name}@challenger")


def test_the_first_is_champion_and_it_is_said_how_it_stands_against_baselines(won):
    first = won[0]
    assert (first.outcome, first.champion) == ("first", None)
    assert first.sentences[0].startswith("Against its baselines on its own holdout it ")


def test_the_model_that_drew_the_log_beats_the_textbook(won):
    assert won[1].outcome == "rule"
    where, of_churn, of_value = won[1].sentences
    assert where == "3 origins without overlap (2023-07-30, 2024-01-14, 2024-06-30), horizon 168 days."
    assert of_churn.startswith("Churn: won/2 replaces won/1 (mean gain in log loss +0.0")
    assert of_value.startswith("Value: won/2 replaces won/1 (mean gain in normalised gini +0.")
    tags = mlflow.MlflowClient().get_model_version("won", "2").tags
    assert tags["promoted_by"] == "rule"
    assert "won/2 replaces won/1" in tags["promotion_duels"]


def test_a_duel_is_the_gain_of_a_backtest_of_both_methods(won, small_run: Run):
    """The slow way: one backtest of the run's own config with both methods; the mean of the three differences."""
    asked = {"churn": ["logistic_rfm", "purchase_model"], "value": ["textbook_ltv"]}
    rolled = roll(small_run.config.model_copy(update={"backtest": small_run.config.backtest.model_copy(update=asked)}))
    loss = rolled.backtest.figures("churn")["log_loss"]
    gain = (loss["logistic_rfm"] - loss["purchase_model"]).mean()
    assert f"(mean gain in log loss {gain:+.4f}, " in won[1].sentences[1]


def test_a_worse_one_is_refused_and_the_champion_stays(lost):
    assert lost.outcome == "refused"
    assert not lost.granted
    assert lost.reason.startswith(
        "it does not win at churn (it is worse) and value (it is worse); it is worse at churn"
    )
    assert champion("won") == "2"


def test_the_single_holdouts_stand_beside_it_with_standard_errors(lost, small_run: Run):
    figures = small_run.judgement.metrics()
    shown = f"{figures['churn/log_loss']:.4f} ± {figures['churn/log_loss_se']:.4f}"
    assert lost.holdout.loc["churn/log_loss"].tolist() == [shown, shown]  # both logged the same run's figures
    assert list(lost.holdout.columns) == ["won/3", "won/2"]


def test_forced_it_becomes_champion_and_the_reason_and_the_rules_objection_are_kept(lost, monkeypatch):
    found = (tuple(lost.reason.split("; ")), lost.sentences, lost.holdout)
    monkeypatch.setattr(promotion, "_compared", lambda *arguments: found)  # the same duels again
    forced = promote("won/3", "the good one cannot be explained to sales")
    assert (forced.outcome, champion("won")) == ("forced", "3")
    tags = mlflow.MlflowClient().get_model_version("won", "3").tags
    assert tags["promotion_reason"] == "the good one cannot be explained to sales"
    assert tags["promotion_refusals"].startswith("it does not win at churn")
    assert [(e.version, e.how) for e in events("won")] == [("1", "first"), ("2", "rule"), ("3", "forced")]
    assert promote("won/3").outcome == "already"


def test_a_reason_that_says_nothing_is_refused(module_store: str):
    with pytest.raises(InputError, match="--force: say why"):
        promote("won/3", "  ")


@pytest.mark.odd
def test_too_few_windows_refuse(log_as, small_run: Run):
    two = small_run.config.backtest.model_copy(update={"most_origins": 2})
    config = small_run.config.model_copy(update={"backtest": two})
    promote(log_as(*POOR, config=config, model="few").run_id)
    refused = promote(log_as(*GOOD, config=config, model="few").run_id)
    assert refused.reason == "too few windows: 2 without overlap, 3 are needed"
    assert champion("few") == "1"


@pytest.mark.odd
def test_runs_about_different_data_are_one_error_that_names_what_differs(log_as, small_run: Run):
    promote(log_as(*GOOD, model="apart").run_id)
    data = small_run.config.data.model_copy(update={"currency": "USD"})
    windows = small_run.config.windows.model_copy(update={"holdout_end": date(2024, 12, 14)})
    other = log_as(*GOOD, config=small_run.config.model_copy(update={"data": data, "windows": windows}), model="apart")
    with pytest.raises(InputError, match=r"different data.*data\.currency USD and EUR; horizon in days 167 and 168"):
        promote(other.run_id)
    assert promote(other.run_id, "new currency").outcome == "forced"
    assert "not compared" in mlflow.MlflowClient().get_model_version("apart", "2").tags["promotion_refusals"]


@pytest.mark.odd
def test_a_log_that_is_gone_is_one_error(log_as, small_run: Run):
    lines = {"source": "file", "path": "gone.csv", "simulated": type(small_run.config.data.simulated)()}
    config = small_run.config.model_copy(update={"data": small_run.config.data.model_copy(update=lines)})
    promote(log_as(*GOOD, config=config, model="gone").run_id)
    with pytest.raises(InputError, match=r"gone/2: cannot be backtested .* gone\.csv"):
        promote(log_as(*GOOD, config=config, model="gone").run_id)


@pytest.mark.odd
def test_a_log_that_changed_since_the_run_is_one_error(log_as, small_run: Run):
    """The same simulation by another seed stands for a file that was overwritten."""
    simulated = small_run.config.data.simulated.model_copy(update={"seed": 6})
    config = small_run.config.model_copy(
        update={"data": small_run.config.data.model_copy(update={"simulated": simulated})}
    )
    promote(log_as(*GOOD, config=config, model="changed").run_id)
    with pytest.raises(InputError, match="changed/2: its log has changed since it was trained"):
        promote(log_as(*GOOD, config=config, model="changed").run_id)


def test_a_damaged_model_is_no_champion(log_as):
    logged = log_as(*GOOD, model="damaged")
    place = Path(mlflow.artifacts.download_artifacts("models:/damaged/1"))
    listing = next(place.rglob("SHA256SUMS"))
    (listing.parent / "purchases.json").write_text("{}")
    with pytest.raises(InputError, match=r"damaged/1: its model cannot be loaded.*digest does not match"):
        promote(logged.run_id)
    shutil.rmtree(place)  # such as a repository that was moved: places of artifacts are absolute
    with pytest.raises(InputError, match="damaged/1: its model cannot be loaded"):
        promote(logged.run_id)
    assert champion_of("damaged") is None


def test_a_config_with_rows_to_leave_out_is_repeated_beside_its_runs_folder_only(
    log_as, small_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    data = small_run.config.data.model_copy(update={"drop_rows": [{"email": ["c1", "c2"]}]})
    config = small_run.config.model_copy(update={"data": data})
    logged = log_as(*GOOD, config=config, model="hidden")
    with pytest.raises(InputError, match=r"hidden/1: data\.drop_rows names values, which MLflow was not told"):
        logged_run(find(logged.run_id))
    tags = mlflow.get_run(logged.run_id).data.tags
    folder = tmp_path / "runs" / config.name / tags["run_folder"]
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(config.to_yaml())
    monkeypatch.chdir(tmp_path)
    assert logged_run(find(logged.run_id)).config.data == data


def test_what_a_run_logged_is_read_back_as_it_was(log_as, small_run: Run):
    back = logged_run(find(log_as("offset_hybrid", "hurdle", model="back").run_id))
    tracking = small_run.config.tracking.model_copy(update={"registered_model": "back"})
    assert back.config == small_run.config.model_copy(update={"tracking": tracking})
    assert dict(back.methods) == {"churn": "offset_hybrid", "value": "hurdle"}
    assert back.horizon_days == 168


def test_the_champion_forecasts_on_the_challengers_log_with_its_own_models(log_as, small_run: Run):
    theirs: Config = parse_config(
        {
            "name": "old", "data": {"source": "simulated", "currency": "EUR", "use_events": False},
            "windows": {"calibration_end": date(2024, 1, 31), "holdout_end": date(2024, 7, 17), "label_cutoffs": [date(2023, 7, 1)]},
            "value": {"purchase_model": "mbg_nbd"}, "churn": {"num_leaves": 3},
        }, source="test",
    )  # fmt: skip
    old = logged_run(find(log_as(*GOOD, config=theirs, model="old").run_id))
    new = logged_run(find(log_as(*GOOD, model="new").run_id))
    found = on_the_log_of(new, old)
    assert found.data == small_run.config.data.model_copy(update={"use_events": False})
    assert (found.value, found.churn) == (theirs.value, theirs.churn)
    # cutoffs named for another calibration_end say nothing here
    assert found.windows == small_run.config.windows.model_copy(update={"label_cutoffs": None})


def test_a_calibrated_run_is_judged_calibrated_where_it_could_have_been():
    import pandas as pd

    columns = pd.MultiIndex.from_tuples([("log_loss", "m"), ("log_loss", "m" + CALIBRATED)], names=["metric", "method"])
    table = pd.DataFrame([[0.5, float("nan")], [0.5, 0.4]], columns=columns)
    assert promotion._own(table, "log_loss", "m", True).tolist() == [0.5, 0.4]
    assert promotion._own(table, "log_loss", "m", False).tolist() == [0.5, 0.5]
