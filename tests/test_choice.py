"""Which methods a run uses: those that are named, or champions over origins before calibration_end."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pandas as pd
import pytest

import churn_clv.choice as choice_room
from churn_clv.choice import CANDIDATES, KEPT, Choice, choose
from churn_clv.config import Config, parse_config
from churn_clv.data.simulate import simulate_log
from churn_clv.data.transactions import TransactionLog, read_transactions
from churn_clv.data.windows import LabelWindow, Windows, resolve_windows
from churn_clv.errors import ConfigError
from churn_clv.evaluation.champion import FEWEST_WINDOWS
from churn_clv.fits import Evidence
from churn_clv.models import risk, value
from churn_clv.models.tuning import SEARCHED

START, DAYS, HORIZON = date(2022, 1, 1), 1095, 120
LAST = START + timedelta(days=DAYS - 1)


@pytest.fixture(scope="module")
def log() -> TransactionLog:
    return read_transactions(simulate_log(customers=250, seed=4, start=START, days=DAYS, arrival_days=700))


def windows_of(calibration_end: date) -> Windows:
    return resolve_windows(first_day=START, last_day=LAST, calibration_end=calibration_end,
                           holdout_end=calibration_end + timedelta(days=HORIZON))  # fmt: skip


LATE = windows_of(LAST - timedelta(days=HORIZON))
EARLY = windows_of(START + timedelta(days=300))  # room for two holdouts before it


def asked(method: str, value_method: str, search: dict[str, Any] | None = None, **backtest: Any) -> Config:
    """The config of a run with these methods, and small trees."""
    content = {
        "name": "chosen",
        "data": {"source": "simulated"},
        "windows": {"calibration_end": LATE.calibration_end, "holdout_end": LAST},
        "churn": {"method": method, "search": search, "max_rounds": 20, "folds": 3, "learning_rate": 0.1},
        "value": {"method": value_method},
        "backtest": backtest,
    }
    return parse_config(content, source="test")


def silent(stage: str) -> None:
    pass


@pytest.fixture(scope="module")
def decided(log: TransactionLog) -> Choice:
    config = asked("auto", "auto", churn=["purchase_model", "logistic_rfm"], value=["hurdle", "tweedie"], most_origins=4)  # fmt: skip
    return choose(Evidence(config, log), LATE, silent)


def test_named_methods_need_no_backtest(log: TransactionLog, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a backtest was run")

    monkeypatch.setattr(choice_room, "backtest", refuse)
    found = choose(Evidence(asked("stack", "tweedie"), log), LATE, silent)
    assert (found.methods.churn, found.methods.value, found.methods.calibrator) == ("stack", "tweedie", None)
    assert (found.backtest, found.crowns, found.sentences, found.trials) == (None, (), (), None)


def test_with_windows_enough_the_champions_are_chosen_before_calibration_end(decided: Choice):
    assert decided.backtest is not None
    assert len(decided.backtest.apart) == 4 >= FEWEST_WINDOWS
    assert max(o.windows.holdout_end for o in decided.backtest.origins) == LATE.calibration_end
    assert {c.task: c.champion for c in decided.crowns} == {
        "churn": decided.methods.churn,
        "value": decided.methods.value,
    }
    assert decided.methods.churn in ("purchase_model", "logistic_rfm")
    assert decided.methods.value in ("hurdle", "tweedie")
    assert sum("champion over 4 origins" in line for line in decided.sentences) == 2
    assert sum("alibrator" in line for line in decided.sentences) == 1


def test_a_log_drawn_from_the_purchase_model_keeps_the_purchase_model(decided: Choice):
    """BG/NBD is the truth of this log: nothing can beat it by what matters."""
    assert decided.methods.churn == "purchase_model"


def test_with_two_windows_what_is_best_on_average_is_kept_and_that_is_said(log: TransactionLog):
    found = choose(Evidence(asked("auto", "auto"), log), EARLY, silent)
    assert (found.methods.churn, found.methods.value) == (KEPT["churn"], KEPT["value"])
    assert found.backtest is None
    assert found.methods.calibrator is None
    assert [line[:60] for line in found.sentences] == [
        "Churn: too few windows to crown a champion (2 without overla",
        "Value: too few windows to crown a champion (2 without overla",
    ]


def slow_start(since: date) -> TransactionLog:
    """Ten customers from the first day on, the others from a later day: nothing can be fitted before."""
    lines = simulate_log(customers=250, seed=4, start=START, days=DAYS, arrival_days=700)
    early = lines["customer_id"].isin(lines["customer_id"].unique()[:10])
    return read_transactions(lines[early | (lines["date"] > pd.Timestamp(since))])


@pytest.mark.odd
def test_origins_that_carry_no_model_are_left_out_and_noted():
    """The first two of five origins know ten customers: three are left, and they decide."""
    config = asked("auto", "hurdle", churn=["purchase_model", "logistic_rfm"], most_origins=5)
    evidence = Evidence(config, slow_start(LATE.calibration_end - timedelta(days=4 * HORIZON)))
    found = choose(evidence, LATE, silent)
    assert found.backtest is not None
    assert len(found.backtest.apart) == len(found.backtest.origins) == 3
    assert sum(note.startswith("Origin ") and "left out: only" in note for note in evidence.notes) == 2


@pytest.mark.parametrize("horizons", [1, 3])
def test_a_log_whose_origins_carry_too_few_models_is_trained_by_what_is_kept(horizons: int):
    """With one or no origin left nothing is chosen, and a run that could be made is not refused."""
    config = asked("auto", "auto", churn=["purchase_model"], value=["hurdle", "purchase_model"], most_origins=4)
    evidence = Evidence(config, slow_start(LATE.calibration_end - timedelta(days=horizons * HORIZON)))
    found = choose(evidence, LATE, silent)
    assert (found.methods.churn, found.methods.value, found.methods.calibrator) == ("offset_hybrid", "hurdle", None)
    assert all("too few windows" in line for line in found.sentences)


@pytest.mark.odd
def test_one_open_task_leaves_the_other_as_it_is_named(log: TransactionLog):
    config = asked("logistic_rfm", "auto", value=["hurdle", "textbook_ltv"], most_origins=3)
    found = choose(Evidence(config, log), LATE, silent)
    assert found.methods.churn == "logistic_rfm"
    assert [c.task for c in found.crowns] == ["value"]
    assert found.backtest is not None
    assert set(found.backtest.churn["log_loss"].columns) >= {"logistic_rfm", "pareto_nbd"}
    assert "purchase_model" not in found.backtest.churn["log_loss"].columns


def test_a_search_keeps_its_trials_and_its_settings_are_the_runs(log: TransactionLog):
    config = asked("offset_hybrid", "hurdle", {"trials": 4})
    found = choose(Evidence(config, log), LATE, silent)
    assert isinstance(found.trials, pd.DataFrame)
    assert list(found.trials.index) == [0, 1, 2, 3]
    tried = found.trials[list(SEARCHED)]
    assert not tried.duplicated().any()
    best = tried.loc[found.trials["log_loss"].idxmin()]
    assert {name: found.methods.trees[name] for name in SEARCHED} == best.to_dict()
    own = config.churn.trees()
    assert {n: v for n, v in found.methods.trees.items() if n not in SEARCHED} == {n: v for n, v in own.items() if n not in SEARCHED}  # fmt: skip
    again = choose(Evidence(config, log), LATE, silent)
    assert again.methods.trees == found.methods.trees


def test_labels_that_cannot_be_searched_leave_the_configs_settings_and_a_note(log: TransactionLog):
    """Label windows of one day, in which nobody bought."""
    config = asked("offset_hybrid", "hurdle", {"trials": 2})
    days = {d for (d,) in log.connection.execute("SELECT DISTINCT day FROM customer_days").fetchall()}
    quiet = next(d for k in range(200, 700) if (d := START + timedelta(days=k)) + timedelta(days=1) not in days)
    windows = replace(LATE, labels=(LabelWindow(quiet, 1),))
    evidence = Evidence(config, log)
    found = choose(evidence, windows, silent)
    assert found.trials is None
    assert found.methods.trees == config.churn.trees()
    assert any("No search for LightGBM's settings: " in note for note in evidence.notes)


def test_a_search_for_a_method_without_trees_is_no_search(log: TransactionLog):
    config = asked("logistic_rfm", "hurdle", {"trials": 3})
    found = choose(Evidence(config, log), LATE, silent)
    assert found.trials is None
    assert found.methods.trees == config.churn.trees()


def test_candidates_and_what_is_kept_are_methods():
    assert set(CANDIDATES["churn"]) <= set(risk.METHODS)
    assert set(CANDIDATES["value"]) <= set(value.METHODS)
    assert all(KEPT[task] in CANDIDATES[task] for task in KEPT)
    # from the simplest to the most complex
    for methods, order in ((CANDIDATES["churn"], list(risk.METHODS)), (CANDIDATES["value"], list(value.METHODS))):
        assert sorted(methods, key=order.index) == list(methods)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"churn": {"method": "lightgmb"}}, "churn.method"),
        ({"value": {"method": "twedie"}}, "value.method"),
        ({"backtest": {"churn": ["auto"]}}, "backtest.churn.0"),
        ({"backtest": {"value": ["hurdle", "gini"]}}, "backtest.value.1"),
        ({"backtest": {"churn": []}}, "backtest.churn"),
        ({"backtest": {"horizon": "soon"}}, "backtest.horizon"),
        ({"backtest": {"step": "0 days"}}, "backtest.step"),
        ({"backtest": {"most_origins": 0}}, "backtest.most_origins"),
        ({"churn": {"search": {"trials": 0}}}, "churn.search.trials"),
        ({"evaluation": {"costs": {"customer_value": 0}}}, "evaluation.costs.customer_value"),
    ],
)
def test_an_impossible_request_names_its_key(content: dict[str, Any], says: str):
    whole = {"name": "x", "data": {"source": "simulated"}, "windows": {"calibration_end": LATE.calibration_end, "holdout_end": LAST}}  # fmt: skip
    with pytest.raises(ConfigError) as refused:
        parse_config(whole | content, source="file.yaml")
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)
