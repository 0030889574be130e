"""When a challenger succeeds the champion: wins one task, is not worse on the other, over three windows or more."""

from __future__ import annotations

import pandas as pd
import pytest

from churn_clv.evaluation.succession import Succession, succession


def table(metric: str, new: list[float], old: list[float], **guards: tuple[float, float]) -> pd.DataFrame:
    """Origins in rows; guards: metric -> the figure of new and old at every origin."""
    columns = {(metric, "new"): new, (metric, "old"): old}
    for guard, pair in guards.items():
        columns |= {(guard, name): [figure] * len(new) for name, figure in zip(("new", "old"), pair, strict=True)}
    return pd.DataFrame(columns)


def churn(gains: list[float], error: tuple[float, float] = (0.02, 0.02)) -> pd.DataFrame:
    return table("log_loss", [0.5 - g for g in gains], [0.5] * len(gains), calibration_error=error)


def value(gains: list[float], bias: tuple[float, float] = (0.1, 0.1)) -> pd.DataFrame:
    guards = {"bias": bias, "top_10_percent_capture": (0.5, 0.5)}
    return table("normalised_gini", [0.7 + g for g in gains], [0.7] * len(gains), **guards)


def of(churn_gains: pd.DataFrame, value_gains: pd.DataFrame) -> Succession:
    return succession({"churn": churn_gains, "value": value_gains}, "new", "old")


WON, TIED, LOST = [0.010, 0.011, 0.012], [0.010, -0.010, 0.001], [-0.010, -0.011, -0.012]


@pytest.mark.parametrize(
    ("churn_gains", "value_gains", "granted"),
    [
        (WON, WON, True),
        (WON, TIED, True),
        (TIED, WON, True),
        (WON, LOST, False),
        (LOST, WON, False),
        (TIED, TIED, False),
        (LOST, LOST, False),
        ([0.0] * 3, [0.0] * 3, False),  # the same model again
    ],
)
def test_one_task_must_be_won_and_none_lost(churn_gains: list[float], value_gains: list[float], granted: bool):
    found = of(churn(churn_gains), value(value_gains))
    assert found.granted == granted
    assert bool(found.refusals) != granted


def test_a_broken_guardrail_on_the_other_task_refuses():
    found = of(churn(WON), value(TIED, bias=(0.15, 0.10)))
    assert found.refusals == ("it is worse at value: bias is worse by 0.0500, more than 0.03",)


def test_a_guardrail_that_cannot_be_computed_refuses():
    assert not of(churn(WON), value(TIED, bias=(float("nan"), 0.10))).granted


def test_a_gain_too_small_to_matter_is_no_win():
    """.002 of log loss without any spread: the interval excludes 0, .003 is asked for."""
    found = of(churn([0.002, 0.0021, 0.0019]), value(TIED))
    assert found.duels["churn"].gain_low > 0
    assert found.refusals[0].startswith("it does not win at churn (the gain is below 0.003")


@pytest.mark.parametrize("windows", [0, 1, 2])
def test_under_three_windows_nobody_succeeds_however_large_the_gain(windows: int):
    found = of(churn(WON[:windows]), value(WON[:windows]))
    assert found.refusals == (f"too few windows: {windows} without overlap, 3 are needed",)
    assert len(found.duels) == (2 if windows > 1 else 0)


def test_each_duel_is_told_in_one_sentence():
    lines = of(churn(WON), value(LOST)).sentences()
    assert lines[0].startswith("Churn: new replaces old (mean gain in log loss +0.0110, 95 % interval ")
    assert lines[1].startswith("Value: new does not replace old (mean gain in normalised gini -0.0110")
    assert len(lines) == 2
