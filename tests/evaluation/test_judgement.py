"""A run's judgement: customers matched by id, rivals beside it, and verdicts that follow from the intervals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from churn_clv.evaluation.judgement import RUN, Judgement, judge
from churn_clv.evaluation.metrics import CHURN_METRICS, VALUE_METRICS

N = 600


@pytest.fixture(scope="module")
def truth() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Scores that are right on average, and outcomes drawn from them."""
    rng = np.random.default_rng(3)
    risk, value = rng.beta(2, 1, N), rng.gamma(3, 40, N)
    stays = rng.random(N) >= risk
    index = pd.Index([f"{k:04d}" for k in range(N)], name="customer_id")
    scores = pd.DataFrame({
        "churn_probability": risk, "expected_purchases": (1 - risk) * 2, "expected_spend": (1 - risk) * value,
    }, index=index)  # fmt: skip
    outcomes = pd.DataFrame({"purchases": 2.0 * stays, "spend": value * stays * rng.gamma(9, 1 / 9, N)}, index=index)
    return scores, outcomes


def worse(scores: pd.DataFrame) -> pd.DataFrame:
    """A rival that knows nothing about the customers."""
    return scores.sample(frac=1, random_state=2).set_axis(scores.index)


def judged(truth: tuple[pd.DataFrame, pd.DataFrame], **rivals: pd.DataFrame) -> Judgement:
    return judge(*truth, rivals, bootstrap_samples=100, seed=1)


def test_customers_are_matched_by_id_and_never_by_place(truth: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    scores, outcomes = truth
    rival = worse(scores)
    straight = judged(truth, rival=rival)
    crooked = judged((scores, outcomes.sample(frac=1, random_state=4)), rival=rival.sample(frac=1, random_state=5))
    for name, table in straight.tables().items():
        pd.testing.assert_frame_equal(table, crooked.tables()[name], check_exact=True)


def test_a_better_run_wins_and_the_same_scores_the_other_way_round_lose(
    truth: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    scores, outcomes = truth
    assert set(judged(truth, blind=worse(scores)).verdicts()) == {
        ("churn", "blind", "wins"),
        ("value", "blind", "wins"),
    }
    reverse = judged((worse(scores), outcomes), good=scores)
    assert set(reverse.verdicts()) == {("churn", "good", "loses"), ("value", "good", "loses")}
    assert all("loses to good" in sentence for sentence in reverse.sentences())


def test_a_twin_ties(truth: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    found = judged(truth, twin=truth[0])
    assert set(found.verdicts()) == {("churn", "twin", "ties"), ("value", "twin", "ties")}
    assert (found.churn.xs("twin", level="model")["difference"] == 0).all()


def test_sentences_carry_the_tables_figures(truth: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    found = judged(truth, logistic_rfm=worse(truth[0])[["churn_probability"]])
    [sentence] = found.sentences()
    loss = found.churn.loc["log_loss"]
    assert sentence.startswith("Churn: this run beats logistic regression on RFM")
    assert f"log loss {loss.loc[RUN, 'value']:.3f} against {loss.loc['logistic_rfm', 'value']:.3f}" in sentence
    assert f"difference {loss.loc['logistic_rfm', 'difference']:+.3f}" in sentence
    assert found.verdicts() == [("churn", "logistic_rfm", "wins")], "a rival without values is judged on churn alone"


def test_metrics_have_stable_names_and_plain_values(truth: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    scores, outcomes = truth
    named = judged(truth, rival=worse(scores)).metrics()
    wanted = {f"churn/{m}" for m in CHURN_METRICS} | {f"value/{m}" for m in VALUE_METRICS}
    wanted |= {"purchases/rmse", "purchases/mae", "purchases/bias"}
    assert named.keys() == wanted | {f"{m}_se" for m in wanted} | {
        "churn/rate", "churn/calibration_error_noise_95", "holdout/customers",
    }  # fmt: skip
    churned = outcomes["purchases"] == 0
    assert named["churn/rate"] == pytest.approx(churned.mean())
    assert named["churn/brier"] == pytest.approx(((scores["churn_probability"] - churned) ** 2).mean())
    assert named["value/bias"] == pytest.approx(scores["expected_spend"].sum() / outcomes["spend"].sum() - 1)
    assert named["holdout/customers"] == N


def test_unknown_metrics_are_left_out_of_the_named_ones(truth: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    scores, outcomes = truth
    nobody = outcomes * 0
    named = judged((scores, nobody), rival=worse(scores)).metrics()
    assert "churn/auc" not in named
    assert "value/normalised_gini" not in named
    assert named["churn/rate"] == 1.0
    assert np.isfinite(list(named.values())).all()


@pytest.mark.filterwarnings("error")
def test_a_holdout_without_a_single_purchase_is_judged_without_a_warning(
    truth: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    scores, outcomes = truth
    found = judged((scores, outcomes * 0), rival=worse(scores))
    assert all(task == "churn" for task, _, _ in found.verdicts())
    assert all("nan" not in sentence for sentence in found.sentences())


def test_one_seed_one_judgement(truth: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    one, same = judged(truth, rival=worse(truth[0])), judged(truth, rival=worse(truth[0]))
    pd.testing.assert_frame_equal(one.churn, same.churn, check_exact=True)
    other = judge(*truth, {"rival": worse(truth[0])}, bootstrap_samples=100, seed=2)
    assert not one.churn["standard_error"].equals(other.churn["standard_error"])
    pd.testing.assert_series_equal(one.churn["value"], other.churn["value"])


def test_a_customer_whom_nobody_observed_is_not_taken_for_one_who_stayed(
    truth: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    scores, outcomes = truth
    with pytest.raises(ValueError, match="customer"):
        judged((scores, outcomes.iloc[:-5]), rival=worse(scores))


def test_a_rival_without_a_customer_is_refused(truth: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    with pytest.raises(ValueError, match="rival"):
        judged(truth, rival=worse(truth[0]).iloc[:-5])
