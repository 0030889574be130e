"""Effects of a setting on a holdout: their size and sign, their interval, and what a design could have seen."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from sklearn.metrics import log_loss, roc_auc_score

from churn_clv.evaluation.effects import (
    POWER,
    SHOWN,
    against_rival,
    comparable,
    effect_sentence,
    explained,
    paired_effects,
    unpaired_effects,
)
from churn_clv.evaluation.judgement import judge


def judged(n: int = 2000, seed: int = 1, noise: float = 0.0) -> pd.DataFrame:
    """Customers whose outcomes are drawn from their own forecasts; `noise` spoils the forecasts, not the outcomes."""
    rng = np.random.default_rng(seed)
    risk = rng.beta(2, 2, n)
    bought = (rng.random(n) > risk).astype(float)
    worth = rng.gamma(3, 20, n)
    spend = bought * worth * rng.gamma(4, 0.25, n)
    spoiled = 1 / (1 + np.exp(-(np.log(risk / (1 - risk)) + noise * rng.normal(size=n))))
    return pd.DataFrame({
        "churn_probability": spoiled, "expected_spend": (1 - spoiled) * worth, "segment": np.where(spoiled > 0.5, "risky", "safe"),
        "expected_purchases": 1 - spoiled, "purchases": bought, "spend": spend,
    }, index=pd.Index([f"c{k}" for k in rng.permutation(n)], name="customer_id"))  # fmt: skip


TRUE, SPOILED = judged(), judged(noise=1.0)


def test_gains_are_those_of_scikit_learn_and_positive_where_the_variant_is_better() -> None:
    """Independent implementation: scikit-learn's log loss and AUC."""
    table = paired_effects(TRUE, SPOILED, samples=50, seed=1)
    churned = (TRUE["purchases"] == 0).to_numpy()
    scores = [f["churn_probability"].reindex(TRUE.index).to_numpy() for f in (TRUE, SPOILED)]
    gain = log_loss(churned, scores[1]) - log_loss(churned, scores[0])
    assert table.loc[("churn", "log_loss"), "gain"] == pytest.approx(gain, rel=1e-9)
    auc = roc_auc_score(churned, scores[0]) - roc_auc_score(churned, scores[1])
    assert table.loc[("churn", "auc"), "gain"] == pytest.approx(auc, rel=1e-9)
    assert set(table["decision"]) == {"better"}
    back = paired_effects(SPOILED, TRUE, samples=50, seed=1)
    assert back.loc[("churn", "log_loss"), "gain"] == pytest.approx(-gain, rel=1e-9)
    assert set(back["decision"]) == {"worse"}


def test_the_same_run_twice_has_no_effect_at_all() -> None:
    table = paired_effects(TRUE, TRUE.sample(frac=1, random_state=3), samples=30, seed=1)
    assert (table[["gain", "gain_low", "gain_high", "smallest_visible"]] == 0).all(axis=None)
    assert set(table["decision"]) == {"the same"}


def test_a_pairing_sees_what_two_independent_errors_do_not() -> None:
    """Limiting case: the same customers twice are perfectly correlated but for the noise, so pairing narrows the interval."""
    slight = judged(noise=0.2)
    paired = paired_effects(slight, TRUE, samples=200, seed=1).loc[("churn", "log_loss")]
    outcomes = TRUE[["purchases", "spend"]]
    tables = [judge(f, outcomes, {}, bootstrap_samples=200, seed=1).tables() for f in (slight, TRUE)]
    apart = unpaired_effects(*tables).loc[("churn", "log_loss")]
    assert apart["gain"] == pytest.approx(paired["gain"], rel=1e-9)
    assert paired["gain_high"] - paired["gain_low"] < 0.4 * (apart["gain_high"] - apart["gain_low"])
    assert (paired["decision"], apart["decision"]) == ("worse", "no difference seen")


def test_the_smallest_visible_effect_is_found_in_four_of_five_trials() -> None:
    """Source: the power of a two-sided z test, 1.96 + 0.84 standard errors at 80 %."""
    assert pytest.approx(norm.ppf(0.975) + norm.ppf(0.8), abs=0.005) == POWER
    row = paired_effects(SPOILED, TRUE, samples=100, seed=1).loc[("churn", "auc")]
    assert row["smallest_visible"] == pytest.approx(POWER * (row["gain_high"] - row["gain_low"]) / 3.92)


def test_other_customers_or_outcomes_are_not_paired() -> None:
    assert comparable(TRUE, SPOILED)
    assert not comparable(TRUE, TRUE.iloc[1:])
    assert not comparable(TRUE, TRUE.assign(spend=TRUE["spend"] + 1))
    with pytest.raises(ValueError, match="cannot be paired"):
        paired_effects(TRUE, TRUE.iloc[1:], samples=10, seed=1)


def test_a_baseline_of_the_run_itself_is_compared_by_the_runs_own_table() -> None:
    outcomes = TRUE[["purchases", "spend"]]
    tables = judge(TRUE, outcomes, {"rival": SPOILED}, bootstrap_samples=50, seed=1).tables()
    found = against_rival(tables, {"churn": "rival", "value": "rival"})
    paired = paired_effects(TRUE, SPOILED, samples=50, seed=1)
    pd.testing.assert_frame_equal(found, paired.loc[list(found.index)], check_exact=False, rtol=1e-9)
    assert [task for task, _ in found.index] == ["churn", "churn", "value", "value"]


def test_the_variance_explained_is_that_of_a_one_way_analysis() -> None:
    """Slow oracle: sums of squares by group; weights count customers, as a repeated row would."""
    rng = np.random.default_rng(4)
    values, groups, times = rng.normal(size=50), rng.integers(0, 4, 50).astype(float), rng.integers(0, 3, 50)
    repeated = pd.DataFrame({"v": np.repeat(values, times), "g": np.repeat(groups, times)})
    between = repeated.groupby("g")["v"].transform("mean")
    slow = ((between - repeated["v"].mean()) ** 2).sum() / ((repeated["v"] - repeated["v"].mean()) ** 2).sum()
    assert explained(values, groups)(times.astype(float)) == pytest.approx(slow, rel=1e-9)
    assert np.isnan(explained(np.ones(5), np.zeros(5))(np.ones(5)))


def test_an_effect_that_is_real_and_too_small_says_so() -> None:
    assert SHOWN[("churn", "log_loss")] == 0.003
    hair = TRUE.assign(churn_probability=TRUE["churn_probability"] * 0.998 + 0.001)
    row = paired_effects(hair, TRUE, samples=200, seed=1).loc[("churn", "log_loss")]
    assert abs(row["gain"]) < 0.003
    if not row["gain_low"] <= 0 <= row["gain_high"]:
        assert row["decision"].endswith("too little to matter")
    assert "log loss" in effect_sentence("hair", "churn", "log_loss", row)
