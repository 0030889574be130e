"""Rolling origins: where they lie, what is known at each, and that every figure is the figure of its own holdout."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from churn_clv.backtest import CALIBRATED, Backtest, Origin, backtest, calibrator_from, windows_at
from churn_clv.config import Config, parse_config
from churn_clv.data.simulate import simulate_log
from churn_clv.data.transactions import read_transactions
from churn_clv.data.windows import resolve_windows, rolling_origins
from churn_clv.errors import InputError
from churn_clv.fits import Evidence
from churn_clv.models.calibrator import PlattCalibrator
from churn_clv.rolling import Rolling, roll

START, DAYS, HORIZON = date(2022, 1, 1), 1095, 120
LAST = START + timedelta(days=DAYS - 1)
METHODS = {
    "churn": ("purchase_model", "logistic_rfm", "offset_hybrid"),
    "value": ("purchase_model", "hurdle", "tweedie"),
}


def config(**sections: object) -> Config:
    content = {
        "name": "rolled",
        "data": {"source": "simulated", "simulated": {"customers": 300, "seed": 4, "start": START, "days": DAYS, "arrival_days": 700}},
        "windows": {"calibration_end": LAST - timedelta(days=HORIZON), "holdout_end": LAST},
        "churn": {"max_rounds": 20, "folds": 3, "learning_rate": 0.1},
        "backtest": {task: list(names) for task, names in METHODS.items()} | {"step": "60 days", "most_origins": 6},
    }  # fmt: skip
    return parse_config(content | sections, source="test")


@pytest.fixture(scope="module")
def lines() -> pd.DataFrame:
    return simulate_log(customers=300, seed=4, start=START, days=DAYS, arrival_days=700)


@pytest.fixture(scope="module")
def rolled() -> Rolling:
    """Six origins 60 days apart, holdouts of 120 days: every other one counts."""
    return roll(config())


# --- where origins lie


def test_origins_end_with_the_log_and_their_holdouts_do_not_overlap():
    origins, apart = rolling_origins(first_day=START, until=LAST, horizon_days=120, step_days=50, most=100)
    assert origins[-1] == apart[-1] == LAST - timedelta(days=120)
    assert {(b - a).days for a, b in pairwise(origins)} == {50}
    assert all((b - a).days >= 120 for a, b in pairwise(apart))
    assert set(apart) <= set(origins)
    # 50-day steps: the nearest origin that does not overlap lies three steps away
    assert {(b - a).days for a, b in pairwise(apart)} == {150}


@pytest.mark.parametrize("horizon", [120, 121])
def test_an_origin_needs_half_a_horizon_of_history_to_the_day(horizon: int):
    """Two origins a horizon apart: with the first one at exactly half a horizon it counts, a day later it does not."""
    half = -(-horizon // 2)  # of 121 days 60.5, which 61 whole days reach
    until = START + timedelta(days=half + 2 * horizon)

    def found(first_day: date) -> list[date]:
        return rolling_origins(first_day=first_day, until=until, horizon_days=horizon, step_days=horizon, most=9)[0]

    assert len(found(START)) == 2
    assert (found(START)[0] - START).days == half
    assert len(found(START + timedelta(days=1))) == 1


def test_the_most_recent_origins_are_kept():
    origins, _ = rolling_origins(first_day=START, until=LAST, horizon_days=60, step_days=60, most=4)
    assert len(origins) == 4
    assert origins[-1] == LAST - timedelta(days=60)


def test_a_log_too_short_has_no_origin():
    assert rolling_origins(first_day=START, until=START + timedelta(days=170), horizon_days=120, step_days=9, most=9) == ([], [])  # fmt: skip


def test_holdouts_that_touch_do_not_overlap():
    """A holdout is (origin, origin + horizon]: the next may begin on the day on which it ends."""
    origins, apart = rolling_origins(first_day=START, until=LAST, horizon_days=90, step_days=90, most=5)
    assert origins == apart


# --- what was known and what came


def test_labels_are_complete_at_every_origin(rolled: Rolling):
    for origin in rolled.backtest.origins:
        assert all(label.end <= origin.as_of for label in origin.windows.labels)
        assert origin.windows.horizon_days == HORIZON


def test_outcomes_are_a_plain_count_of_the_log(rolled: Rolling, lines: pd.DataFrame):
    for origin in rolled.backtest.origins:
        begin, end = pd.Timestamp(origin.as_of), pd.Timestamp(origin.as_of + timedelta(days=HORIZON))
        known = lines.loc[lines["date"] <= begin, "customer_id"].unique()
        after = lines[(lines["date"] > begin) & (lines["date"] <= end)]
        days = after.groupby("customer_id")["date"].nunique().reindex(origin.outcomes.index, fill_value=0)
        spend = after.groupby("customer_id")["amount"].sum().reindex(origin.outcomes.index, fill_value=0.0)
        assert set(origin.outcomes.index) == set(known)
        assert (origin.outcomes["purchases"] == days).all()
        np.testing.assert_allclose(origin.outcomes["spend"], spend, rtol=1e-12, atol=1e-9)


def test_figures_are_those_of_each_origins_own_forecasts(rolled: Rolling):
    figures = rolled.backtest.figures("churn", only_apart=False)
    for origin in rolled.backtest.origins:
        for method in ("purchase_model", "logistic_rfm", "offset_hybrid", "pareto_nbd"):
            risk = origin.risk[method]
            assert risk.index.equals(origin.outcomes.index)
            assert figures.loc[origin.as_of, ("auc", method)] == pytest.approx(
                roc_auc_score(origin.churned, risk), rel=1e-12
            )
            loss = log_loss(origin.churned, risk)
            assert figures.loc[origin.as_of, ("log_loss", method)] == pytest.approx(loss, rel=1e-9)
    value = rolled.backtest.figures("value", only_apart=False)
    origin = rolled.backtest.origins[0]
    error = np.sqrt(((origin.spend["hurdle"] - origin.outcomes["spend"]) ** 2).mean())
    assert value.loc[origin.as_of, ("rmse", "hurdle")] == pytest.approx(error, rel=1e-12)


def test_only_origins_apart_decide(rolled: Rolling):
    apart = rolled.backtest.apart
    assert len(apart) == 3
    assert list(rolled.backtest.figures("churn").index) == list(apart)
    assert {c.windows for c in rolled.crowns()} == {3}


def test_a_forecast_does_not_know_what_came_after_its_origin(rolled: Rolling, lines: pd.DataFrame):
    """The first origin forecast again from a log that ends on it, to the bit."""
    first = rolled.backtest.origins[0]
    cut = read_transactions(lines[lines["date"] <= pd.Timestamp(first.as_of)])
    again = backtest(Evidence(rolled.config, cut), [first.windows], [first.as_of], METHODS, "offset_hybrid").origins[0]
    assert again.risk.equals(first.risk)
    assert again.spend.equals(first.spend)
    assert (again.outcomes["purchases"] == 0).all()


def test_calibrated_forecasts_learn_only_from_origins_that_were_over(rolled: Rolling):
    """60-day steps and 120-day holdouts: at the third origin the first is over, the second is not."""
    origins = rolled.backtest.origins
    for origin in origins[:2]:
        assert not [c for c in origin.risk.columns if c.endswith(CALIBRATED)]
    for k in range(2, len(origins)):
        over = [o for o in origins[:k] if o.as_of + timedelta(days=HORIZON) <= origins[k].as_of]
        assert len(over) == k - 1
        for method in METHODS["churn"]:
            x = pd.concat([o.risk[method] for o in over], ignore_index=True).clip(1e-12, 1 - 1e-12)
            y = pd.concat([(o.outcomes["purchases"] == 0).astype(float) for o in over], ignore_index=True)
            line = PlattCalibrator().fit(np.log(x / (1 - x)), y)
            p = origins[k].risk[method]
            expected = 1 / (1 + np.exp(-(line.intercept_ + line.slope_ * np.log(p / (1 - p)))))
            np.testing.assert_allclose(origins[k].risk[method + CALIBRATED], expected, rtol=1e-7)


def test_pareto_is_shown_and_neither_calibrated_nor_champion(rolled: Rolling):
    assert "pareto_nbd" in rolled.backtest.origins[-1].risk.columns
    assert "pareto_nbd" + CALIBRATED not in rolled.backtest.origins[-1].risk.columns
    assert not [d for c in rolled.crowns() for d in c.duels if "pareto_nbd" in (d.challenger, d.champion)]


def test_the_runs_own_holdout_is_the_last_origin_with_the_runs_own_labels():
    run = config(windows={"calibration_end": LAST - timedelta(days=HORIZON), "holdout_end": LAST, "label_cutoffs": [date(2023, 6, 1)]})  # fmt: skip
    main = resolve_windows(
        first_day=START, last_day=LAST, calibration_end=run.windows.calibration_end, holdout_end=LAST,
        label_cutoffs=run.windows.label_cutoffs,
    )  # fmt: skip
    evidence = Evidence(run, read_transactions(simulate_log(customers=60, seed=4, start=START, days=DAYS)))
    other, own = windows_at(evidence, [date(2024, 1, 1), main.calibration_end], HORIZON, main)
    assert own is main
    assert (other.calibration_end, other.horizon_days) == (date(2024, 1, 1), HORIZON)
    assert other.labels != main.labels


def test_the_value_of_a_backtest_follows_the_churn_method_that_its_figures_choose(rolled: Rolling):
    seen = []

    def choose(figures: pd.DataFrame) -> str:
        seen.append(figures)
        return "logistic_rfm"

    origins = rolled.backtest.origins[-2:]
    found = backtest(
        rolled.evidence, [o.windows for o in origins], [origins[1].as_of], METHODS | {"value": ("hurdle",)}, choose
    )
    assert list(seen[0].index) == [origins[1].as_of]
    for origin, before in zip(found.origins, origins, strict=True):
        ratio = origin.spend["hurdle"] / before.spend["hurdle"]
        expected = (1 - before.risk["logistic_rfm"]) / (1 - before.risk["offset_hybrid"])
        np.testing.assert_allclose(ratio, expected, rtol=1e-9)


# --- the calibrator's rule


def judged(gains: list[float], apart: int | None = None) -> Backtest:
    """Origins at which a calibrator lowered the log loss by some gain; at the first there was none yet."""
    rng = np.random.default_rng(6)
    days = [START + timedelta(days=100 * k) for k in range(len(gains) + 1)]
    origins = []
    for day in days:
        true = rng.normal(0, 1.5, 3000)
        churned = rng.random(3000) < 1 / (1 + np.exp(-true))
        # twice too sure and shifted: the line that mends it has slope 1/2 and intercept -1/2
        risk = pd.DataFrame({"m": 1 / (1 + np.exp(-(2 * true + 1)))})
        outcomes = pd.DataFrame({"purchases": (~churned).astype(float)})
        windows = resolve_windows(first_day=START - timedelta(days=900), last_day=day + timedelta(days=100),
                                  calibration_end=day, holdout_end=day + timedelta(days=100))  # fmt: skip
        origins.append(Origin(windows, outcomes, risk, pd.DataFrame(), {}))
    figures = pd.DataFrame(
        {("log_loss", "m"): 0.5, ("log_loss", "m" + CALIBRATED): [np.nan, *(0.5 - g for g in gains)]},
        index=pd.Index(days, name="origin"),
    )
    return Backtest(tuple(origins), tuple(days[-apart:] if apart else days), figures, figures)


def test_a_calibrator_that_won_on_three_origins_is_used_and_learned_on_all():
    found, why = calibrator_from(judged([0.01, 0.02, 0.01]), "m")
    assert found is not None
    # 12,000 customers leave errors of about .02 on slope and intercept
    assert (found.slope_, found.intercept_) == (pytest.approx(0.5, abs=0.05), pytest.approx(-0.5, abs=0.08))
    assert (
        why
        == "Calibrator: a calibrator learned on earlier origins lowered the log loss at 3 of 3 origins (mean gain 0.0133)."
    )


@pytest.mark.parametrize(
    "gains",
    [
        [0.01, 0.01],  # two wins only
        [0.01, 0.01, 0.01, -0.001, -0.001],  # three wins, under two thirds
        [0.01, 0.01, 0.01, -0.10],  # three wins of four, and worse on the mean
        [0.0, 0.0, 0.0],  # ties are no wins
    ],
)
def test_a_calibrator_that_has_not_earned_its_place_is_left_out(gains: list[float]):
    found, why = calibrator_from(judged(gains), "m")
    assert found is None
    assert why.startswith(
        f"No calibrator: a calibrator learned on earlier origins lowered the log loss at {sum(g > 0 for g in gains)} of"
    )


def test_origins_that_overlap_have_no_say_in_the_calibrator():
    assert calibrator_from(judged([0.01, 0.01, 0.01], apart=2), "m")[0] is None


# --- odd requests


def test_a_horizon_longer_than_the_log_is_one_error():
    with pytest.raises(InputError, match="no room for a horizon of 1826 days"):
        roll(config(backtest={"horizon": "5 years"}))


def test_one_origin_is_shown_and_crowns_nobody(recwarn: pytest.WarningsRecorder):
    found = roll(config(backtest={"most_origins": 1, "churn": ["logistic_rfm"], "value": ["textbook_ltv"]}))
    assert [c.crowned for c in found.crowns()] == [False, False]
    assert np.isfinite(found.summary("churn")["mean"]).all()
    assert not [str(w.message) for w in recwarn]


@pytest.mark.odd
def test_what_models_warn_of_becomes_a_note(recwarn: pytest.WarningsRecorder, tmp_path):
    """Customers of one clockwork: rates that do not differ are said once, not by a line on the terminal."""
    days = pd.date_range(START, LAST, freq="14D")
    frame = pd.DataFrame([(f"c{c}", day + pd.Timedelta(days=c % 14), 5.0) for c in range(40) for day in days],
                         columns=["customer_id", "date", "amount"])  # fmt: skip
    frame[frame["date"] <= pd.Timestamp(LAST)].to_parquet(tmp_path / "log.parquet")
    found = roll(config(data={"path": str(tmp_path / "log.parquet")},
                        backtest={"most_origins": 2, "churn": ["purchase_model"], "value": ["hurdle"]}))  # fmt: skip
    assert any("do not differ" in note for note in found.notes)
    assert len(found.notes) == len(set(found.notes))
    assert not [str(w.message) for w in recwarn]


def test_the_evidence_is_not_written_to(rolled: Rolling):
    origin = rolled.backtest.origins[-1]
    attributes = pd.DataFrame({"age": 1.0}, index=origin.outcomes.index)
    before = attributes.copy()
    backtest(replace(rolled.evidence, given=attributes), [origin.windows], [origin.as_of],
             {"churn": ("logistic_rfm",), "value": ("hurdle",)}, "logistic_rfm")  # fmt: skip
    pd.testing.assert_frame_equal(attributes, before)
