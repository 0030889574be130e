"""A run's judgement: customers matched by id, rivals beside it, and verdicts that follow from the intervals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from churn_clv.evaluation.judgement import RUN, Judgement, judge
from churn_clv.evaluation.metrics import VALUE_METRICS, churn_metrics
from churn_clv.evaluation.profit import RetentionCosts

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


def test_losses_come_first_then_wins_the_best_rival_first_then_ties_in_one_sentence(
    truth: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    scores, outcomes = truth
    risk = scores[["churn_probability"]]
    timid = (
        risk / 2 + risk.mean() / 2
    )  # worse than the truth, better than the mean rate for everyone, which beats nonsense
    rivals = {"twin": timid, "blind": worse(risk), "rate": risk * 0 + risk.mean(), "truth": risk, "other_twin": timid}
    told = judge(scores.assign(**timid), outcomes, rivals, bootstrap_samples=100, seed=1).sentences()
    assert [line.split(" (")[0] for line in told[:2]] == [
        "Churn: this run loses to truth", "Churn: this run beats rate",
    ]  # fmt: skip
    assert told[2].startswith("Churn: this run also beats blind (log loss")
    assert "cannot be told from, with" in told[3]
    assert "twin (" in told[3]
    assert "other_twin (" in told[3]
    assert len(told) == 4
    # Whoever is told, is told once: each rival of the table stands in exactly one sentence.
    assert sum(line.count("95 % interval") for line in told) == 5


def test_the_drift_counts_customers_once_and_compares_with_the_holdout(
    truth: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    scores, outcomes = truth
    cutoffs = pd.MultiIndex.from_product([[1, 2], ["a", "b", "c"]], names=["cutoff", "customer_id"])
    learned = pd.Series([1.0, 0.0, 0.0, 1.0, 1.0, 0.0], cutoffs)
    drift = judge(scores, outcomes, {}, bootstrap_samples=20, seed=1, learned=learned).drift
    assert drift is not None
    assert (drift.learned_rate, drift.learned_customers, drift.holdout_customers) == (0.5, 3, N)
    assert drift.holdout_rate == pytest.approx((outcomes["purchases"] == 0).mean())
    assert judge(scores, outcomes, {}, bootstrap_samples=20, seed=1).drift is None


def test_a_margin_is_named_in_the_sentences(truth: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    told = judge(*truth, {"blind": worse(truth[0])}, bootstrap_samples=20, seed=1, counted_in="margin").sentences()
    assert any("normalised Gini of margin" in line for line in told)
    assert not any("spend" in line for line in told)


def test_metrics_have_stable_names_and_plain_values(truth: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    scores, outcomes = truth
    named = judged(truth, rival=worse(scores)).metrics()
    wanted = {f"churn/{m}" for m in churn_metrics(RetentionCosts())}
    wanted |= {f"{task}/{m}" for task in ("purchases", "value") for m in VALUE_METRICS}
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


def test_the_profit_is_that_of_the_costs_given(truth: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    scores, outcomes = truth
    free = RetentionCosts(customer_value=50, incentive=0, contact_cost=0)
    named = judge(scores, outcomes, {}, bootstrap_samples=20, seed=1, costs=free).metrics()
    # Free contact: 50 for each leaver saved, at a mean save rate of .3.
    assert named["churn/expected_maximum_profit"] == pytest.approx(15 * named["churn/rate"])
