"""The champion rule: each of its conditions alone keeps the simpler model, and too few windows crown nobody."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from churn_clv.evaluation.champion import crown, fight, mean_interval

ORIGINS = 6


def churn_figures(loss_gain: list[float], error_gain: float = 0.0) -> pd.DataFrame:
    """A champion with a log loss of .5 at every origin, and a challenger better by these gains."""
    gains = np.array(loss_gain)
    return pd.DataFrame(
        {
            ("log_loss", "old"): 0.5,
            ("log_loss", "new"): 0.5 - gains,
            ("calibration_error", "old"): 0.02,
            ("calibration_error", "new"): np.full(gains.size, 0.02 - error_gain),
        }
    )


def value_figures(gini_gain: float = 0.02, bias: float = 0.05, capture_gain: float = 0.0) -> pd.DataFrame:
    jitter = np.linspace(-0.002, 0.002, ORIGINS)
    sign = np.where(np.arange(ORIGINS) % 2, 1, -1)
    return pd.DataFrame(
        {
            ("normalised_gini", "old"): 0.70,
            ("normalised_gini", "new"): 0.70 + gini_gain + jitter,
            ("bias", "old"): 0.05 * sign,
            ("bias", "new"): bias * sign,
            ("top_10_percent_capture", "old"): 0.50,
            ("top_10_percent_capture", "new"): 0.50 + capture_gain,
        }
    )


STEADY = [0.010, 0.011, 0.009, 0.010, 0.012, 0.008]


def test_a_challenger_that_meets_every_condition_is_crowned():
    found = crown("churn", churn_figures(STEADY), ["old", "new"], fallback="old")
    assert found.champion == "new"
    assert found.crowned
    assert found.duels[0].objections == ()


# Each case breaks one condition and keeps the four others; the figures are worked out by hand beside it.
ONE_CONDITION = {
    # mean .010, sd .0164, t(5) = 2.571: 0.010 +- 0.0172 contains 0; five wins of six; the gain is practical
    "the interval": (churn_figures([0.003, 0.003, 0.004, 0.003, 0.004, 0.0433]), "the interval of the gain"),
    # mean .0030001 and practical; interval above 0
    "a gain that matters": (churn_figures([0.0029, 0.0029, 0.0029, 0.0028, 0.0029, 0.0029]), "the gain is below 0.003"),
    "calibration": (churn_figures(STEADY, error_gain=-0.006), "calibration error is worse by 0.0060"),
}


@pytest.mark.parametrize("case", ONE_CONDITION)
def test_one_broken_condition_alone_keeps_the_simpler_model(case: str):
    figures, says = ONE_CONDITION[case]
    found = crown("churn", figures, ["old", "new"], fallback="old")
    assert found.champion == "old"
    assert len(found.duels[0].objections) == 1
    assert found.duels[0].objections[0].startswith(says)


def test_a_challenger_that_is_worse_is_said_to_be_worse_and_not_that_its_interval_holds_0():
    """Losses of about .02 at four origins: Student's t interval lies below 0."""
    found = fight("churn", churn_figures([-0.020, -0.021, -0.019, -0.020]), "new", "old")
    assert found.gain_high < 0
    assert found.objections == ("it is worse", "it wins 0 of 4 origins, fewer than two thirds")


def test_too_few_wins_alone_keep_the_simpler_model():
    """With t intervals half of the wins can go with an interval above 0 only over many origins: 40 wins of .03, 32
    losses of .002: mean .0158, s.e. .0019, and 40 of 72 is under two thirds."""
    found = fight("churn", churn_figures([0.03] * 40 + [-0.002] * 32), "new", "old")
    assert found.gain_low > 0
    assert found.objections == ("it wins 40 of 72 origins, fewer than two thirds",)


@pytest.mark.parametrize(
    ("figures", "says"),
    [
        (value_figures(bias=0.081), "bias is worse by 0.0310"),
        (value_figures(capture_gain=-0.006), "top 10 percent capture is worse by 0.0060"),
        (value_figures(gini_gain=0.004), "the gain is below 0.005"),
    ],
)
def test_value_has_guardrails_of_its_own(figures: pd.DataFrame, says: str):
    found = crown("value", figures, ["old", "new"], fallback="old")
    assert found.champion == "old"
    assert len(found.duels[0].objections) == 1
    assert found.duels[0].objections[0].startswith(says)


def test_what_a_guardrail_allows_does_not_block():
    assert crown("churn", churn_figures(STEADY, error_gain=-0.0049), ["old", "new"], fallback="old").champion == "new"
    assert crown("value", value_figures(bias=0.079, capture_gain=-0.0049), ["old", "new"], "old").champion == "new"


def test_bias_is_compared_by_size_not_by_sign():
    """+5 % and -5 % in turn have a mean of 0 and a size of 5 %."""
    better = value_figures(bias=0.0)
    assert crown("value", better, ["old", "new"], "old").champion == "new"
    worse = value_figures().assign(**{})
    worse[("bias", "old")] = 0.0
    assert crown("value", worse, ["old", "new"], "old").champion == "old"


@pytest.mark.parametrize("windows", [0, 1, 2])
def test_under_three_windows_nobody_is_crowned_and_the_fallback_stays(windows: int):
    found = crown("churn", churn_figures([0.1] * windows), ["old", "new"], fallback="kept")
    assert (found.champion, found.crowned, found.duels) == ("kept", False, ())
    (sentence,) = found.sentences({"kept": "the kept one"})
    assert sentence.startswith("Churn: too few windows to crown a champion")
    assert "the kept one is kept" in sentence


def test_a_tie_keeps_the_simpler_model():
    found = crown("churn", churn_figures([0.0] * ORIGINS), ["old", "new"], fallback="old")
    assert found.champion == "old"
    assert found.duels[0].wins == 0


def test_the_order_of_candidates_is_the_order_of_duels_and_the_winner_fights_on():
    """b beats a by .01; c beats a by as much but does not beat b: three challengers, one throne."""
    jitter = np.linspace(-0.001, 0.001, ORIGINS)
    figures = pd.DataFrame(
        {("log_loss", name): 0.5 - gain - jitter * wobble for name, gain, wobble in (("a", 0, 0), ("b", 0.01, 1), ("c", 0.01, -1))}
        | {("calibration_error", name): 0.02 for name in "abc"}
    )  # fmt: skip
    found = crown("churn", figures, ["a", "b", "c"], fallback="a")
    assert found.champion == "b"
    assert [(d.challenger, d.champion, d.won) for d in found.duels] == [("b", "a", True), ("c", "b", False)]


def test_a_figure_that_is_missing_crowns_nobody():
    """A method that could not be judged at an origin has no mean over origins."""
    figures = churn_figures(STEADY)
    figures.loc[2, ("log_loss", "new")] = np.nan
    assert crown("churn", figures, ["old", "new"], fallback="old").champion == "old"


def test_a_guardrail_that_is_missing_crowns_nobody():
    figures = churn_figures(STEADY)
    figures[("calibration_error", "new")] = np.nan
    assert crown("churn", figures, ["old", "new"], fallback="old").champion == "old"


def test_the_interval_is_students():
    """Student (1908), Biometrika 6: additional hours of sleep of ten patients, mean difference 1.58; the 95 % interval
    of the paired t test is 0.7001142 to 2.4598858 (R 4.3, t.test(extra ~ group, sleep, paired = TRUE))."""
    drug_1 = np.array([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0])
    drug_2 = np.array([1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4])
    np.testing.assert_allclose(mean_interval(drug_2 - drug_1), (1.58, 0.7001142, 2.4598858), atol=5e-8)


def test_every_duel_is_told_with_its_reason():
    found = crown("churn", churn_figures([0.0029] * 5 + [0.0028]), ["old", "new"], fallback="old")
    first, second = found.sentences({"old": "the old one", "new": "the new one"})
    assert first == "Churn: champion over 6 origins is the old one."
    assert second.startswith("Churn: the new one does not replace the old one (mean gain in log loss +0.0029")
    assert second.endswith("better at 6 of 6 origins): the gain is below 0.003, too small to matter.")
