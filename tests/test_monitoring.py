"""Has a model aged: customers whose truth is known, as promised or not, and what monitoring says of them."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from churn_clv.customer_table import attribute_levels, score_table
from churn_clv.errors import InputError
from churn_clv.evaluation.bootstrap import bootstrap_weights
from churn_clv.evaluation.calibration import calibration_error
from churn_clv.evaluation.promises import actual_to_expected, error_by_chance
from churn_clv.monitoring import Monitoring, monitor
from churn_clv.score_log import customer_table
from churn_clv.train import Run

DAYS = 90
FIRST = date(2025, 1, 31)
PROMISED = ["churn_probability", "expected_purchases", "expected_spend"]
World = dict[str, Any]


def scores_of(table: pd.DataFrame, rate: pd.Series, mean: pd.Series, to_date: pd.Series) -> pd.DataFrame:
    """Scores by the truth: Poisson purchases at a known rate, each worth a known amount."""
    rate, mean = rate[table.index], mean[table.index]
    risk = np.exp(-DAYS * rate)
    scores = table[["frequency", "recency", "T", "monetary_value"]].assign(
        churn_probability=risk, p_alive=1.0, expected_purchases=DAYS * rate, expected_spend=DAYS * rate * mean,
        value_if_active=DAYS * rate * mean / (1 - risk), clv=DAYS * rate * mean, value_to_date=to_date, horizon_days=DAYS,
    )  # fmt: skip
    tiers = np.array(["low", "mid", "high"])
    scores["risk_tier"] = tiers[np.searchsorted([0.3, 0.6], risk)]
    scores["value_tier"] = tiers[np.searchsorted([20, 50], scores["value_if_active"])]
    return scores.assign(segment="value " + scores["value_tier"] + ", risk " + scores["risk_tier"])


def world(n: int, seed: int, more: float = 1.0, dearer: float = 1.0, ages: tuple[int, int] = (20, 700)) -> World:
    """Two days of customers scored by the truth; `more` purchases and `dearer` ones than promised came between them."""
    rng = np.random.default_rng(seed)
    index = pd.Index([f"id-{k:05d}" for k in range(n + n // 8)], name="customer_id")
    rate, mean = (
        pd.Series(drawn, index=index)
        for drawn in (rng.gamma(1.2, 1 / 100, len(index)), rng.lognormal(3, 0.6, len(index)))
    )
    region = pd.Series(rng.choice(["north", "south", "west"], len(index)), index=index, name="region")
    age = pd.Series(np.floor(rng.uniform(*ages, len(index))), index=index)
    age.iloc[n:] = -np.floor(rng.uniform(0, DAYS, len(index) - n))  # newcomers: first seen after the earlier day
    was = pd.Series(rng.poisson(rate * age.clip(lower=0)).astype(float), index=index)
    came = pd.Series(rng.poisson(rate * more * (age.clip(upper=0) + DAYS)).astype(float), index=index)
    spent = mean * (was + 1)
    days = {}
    for day, known, bought, paid, old in (
        ("before", index[:n], was, spent, age), ("after", index, was + came, spent + mean * dearer * came, age + DAYS),
    ):  # fmt: skip
        bought, paid, old = bought[known], paid[known], old[known]
        table = pd.DataFrame(
            {
                "frequency": bought,
                "recency": old * bought / (bought + 1),
                "T": old,
                "monetary_value": paid / (bought + 1),
            }
        )
        table = table.assign(monetary_days=bought + 1, mean_amount=paid / (bought + 1), region=region)
        days |= {day: table, f"scores_{day}": scores_of(table, rate, mean, paid)}
    dates = {"as_of_before": FIRST, "as_of_after": FIRST + timedelta(DAYS)}
    return days | {"promise": days["scores_before"][PROMISED], "levels": {"region": ["north", "south", "west"]}} | dates


@pytest.fixture(scope="module")
def as_promised() -> Monitoring:
    return monitor(**world(2000, 1))


def test_where_all_is_as_promised_the_verdict_is_that_in_nearly_all_of_30_worlds() -> None:
    # Of three totals each leaves its limits and its 95 % interval by chance in at most 5 % of looks (and is watched then), and
    # its interval of 99.9 % in .1 %: two false calls for another model in 30 looks have a chance of .4 %.
    verdicts = [monitor(**world(1000, seed)).verdict for seed in range(30)]
    assert verdicts.count("as it was") >= 27
    assert verdicts.count("retrain") <= 1


@pytest.mark.parametrize(
    ("wrong", "word"), [({"more": 0.8}, "fewer purchases"), ({"dearer": 0.5}, "less spend"), ({"more": 1.3}, "more purchases")]
)  # fmt: skip
def test_a_broken_promise_is_found_and_named(wrong: dict[str, float], word: str) -> None:
    found = [monitor(**world(2000, seed, **wrong)) for seed in range(10)]
    assert [m.verdict for m in found] == ["retrain"] * 10
    assert all(any(word in reason.sentence for reason in m.reasons) for m in found)


def test_what_happened_is_the_difference_of_the_two_days(as_promised: Monitoring) -> None:
    given = world(2000, 1)
    both = given["before"].index
    kept = as_promised.promise
    assert kept is not None
    came = given["after"].loc[both, "frequency"] - given["before"]["frequency"]
    spent = given["scores_after"].loc[both, "value_to_date"] - given["scores_before"]["value_to_date"]
    assert kept.totals["happened"].tolist() == pytest.approx([(came == 0).sum(), came.sum(), spent.sum()])
    promised = [given["promise"][name].sum() for name in PROMISED]
    assert kept.totals["promised"].tolist() == pytest.approx(promised)
    assert kept.by_segment["customers"].sum() == kept.by_risk["customers"].sum() == 2000
    assert as_promised.customers == (2000, 2250, 2000, 250, 0, 0)


def test_age_alone_raises_no_alarm_and_is_told(as_promised: Monitoring) -> None:
    drift = as_promised.drift
    assert drift.loc["T", "compared"] == "all customers"
    assert drift.loc["T", "psi"] > 0.1
    assert not drift["alarm"].any()
    assert set(drift.loc[["frequency", "clv"], "compared"]) == {"customers of the same age"}
    assert drift.loc["region", "compared"] == "all customers"


def test_a_single_cohort_cannot_be_told_from_its_age_and_is_not_judged() -> None:
    found = monitor(**world(1500, 2, ages=(300, 330)))
    cohort = found.drift[found.drift["kind"].isin(["behaviour", "score"])]
    assert set(cohort["compared"]) == {"nobody"}
    assert cohort["psi"].notna().all()
    assert not found.drift["alarm"].any()


def test_customers_who_are_others_than_before_are_watched_while_the_promise_holds() -> None:
    given = world(2000, 3)
    for day in ("after", "scores_after"):
        given[day] = given[day].copy()
    given["after"]["mean_amount"] /= 2
    given["after"]["region"] = "south"
    found = monitor(**given)
    assert found.verdict == "watch"
    assert set(found.drift.index[found.drift["alarm"]]) == {"mean_amount", "region"}
    assert any("mean amount of a purchase" in reason.sentence for reason in found.reasons)
    without = monitor(**given | {"promise": None})
    assert (
        without.verdict == "retrain"
    )  # an index above .25 of behaviour, and nothing that says that the model still holds


def test_without_a_promise_it_is_said_why_and_nothing_is_judged() -> None:
    found = monitor(**world(500, 4, more=0.5) | {"promise": None, "as_of_after": FIRST + timedelta(DAYS)})
    assert found.promise is None
    assert "exactly 90 days ahead, and 90 days have passed" in found.no_promise
    assert not [name for name in found.metrics if "actual_to_expected" in name]
    assert found.verdict == "as it was"


def test_customers_who_are_gone_or_rewritten_are_counted_and_left_out() -> None:
    given = world(1000, 5)
    lost, rewritten = given["before"].index[:200], given["before"].index[200:230]
    for day in ("after", "scores_after"):
        given[day] = given[day].drop(index=lost)
    given["after"].loc[rewritten, "frequency"] = -1.0
    found = monitor(**given)
    assert found.customers == (1000, 925, 800, 125, 200, 30)
    assert found.promise is not None
    assert found.promise.customers == 770
    assert found.verdict == "watch"
    told = " ".join(reason.sentence for reason in found.reasons)
    assert "200 of 1,000 customers (20 %) are missing now" in told
    assert "30 customers have fewer purchases than before" in told


def few(gone: int = 0, new: int = 0, rewritten: int = 0) -> Monitoring:
    """A world in which so many customers, and no others, came, went, or have another history."""
    given = world(100, 11, ages=(200, 210))
    for day in ("after", "scores_after"):
        given[day] = given[day].iloc[gone : 100 + new]
    given["after"].iloc[:rewritten, given["after"].columns.get_loc("frequency")] = -1.0
    return monitor(**given)


@pytest.mark.parametrize(
    ("found", "left"),
    [
        (few(), set()),
        (few(gone=12, new=10), set()),
        (few(gone=7), {"gone", "before", "after"}),
        (few(new=3), {"new", "before", "after"}),
        (few(gone=12, rewritten=6), {"disagreeing", "before", "after", "both"}),
    ],
)
def test_metrics_and_reasons_count_no_few_customers_and_nothing_to_work_them_out_from(
    found: Monitoring, left: set[str]
) -> None:
    """Known are the metrics, the reasons, and how many agree, which is the sum of the promise by segment."""
    told = {name.split("/")[-1]: n for name, n in found.metrics.items() if "/customers/" in name}
    assert set(found.customers._fields) - set(told) == left
    assert found.promise is not None
    known = told | {"agree": found.promise.customers}
    # Each line is 0: both + gone = before, both + new = after, agree + disagreeing = both.
    names = [*found.customers._fields, "agree"]
    lines = [
        {"both": 1, "gone": 1, "before": -1},
        {"both": 1, "new": 1, "after": -1},
        {"agree": 1, "disagreeing": 1, "both": -1},
    ]
    rows = [[line.get(n, 0) for n in names] for line in lines] + [[float(n == k) for n in names] for k in known]
    rank = np.linalg.matrix_rank(rows)
    small = {n for n in ("new", "gone", "disagreeing") if 0 < getattr(found.customers, n) < 10}
    solved = {n for n in names if np.linalg.matrix_rank([*rows, [float(n == k) for k in names]]) == rank}
    assert not solved & small
    words = " ".join(reason.sentence for reason in found.reasons)
    assert not re.search(
        rf"\b({'|'.join(str(getattr(found.customers, n)) for n in small) or 'none'})\b of|\b[1-9] customers", words
    )
    assert "gone" not in left or "Fewer than 10 customers are missing now" in words


def test_unknown_categories_of_few_customers_are_counted_nowhere() -> None:
    given = world(100, 12)
    regions = ["north"] * 107 + ["west"] * 5
    found = monitor(**given | {"after": given["after"].assign(region=regions), "levels": {"region": ["north"]}})
    assert "monitor/unknown/region" not in found.metrics
    found = monitor(**given | {"after": given["after"].assign(region=["north"] * 112), "levels": {"region": ["north"]}})
    assert found.metrics.get("monitor/unknown/region", 0) == 0


def test_nobody_in_common_leaves_no_promise_to_judge() -> None:
    given = world(400, 6)
    for day in ("after", "scores_after"):
        given[day] = given[day].rename(index=lambda name: f"other-{name}")
    found = monitor(**given)
    assert found.promise is None
    assert found.no_promise.startswith("No customer of the earlier day")
    assert found.stability.customers == 0


def test_unknown_categories_and_vanished_columns_are_told() -> None:
    given = world(1000, 7)
    known = monitor(**given | {"levels": {"region": ["north", "south"]}})
    west = (given["after"]["region"] == "west").sum()
    assert known.unknown.loc["region"].tolist() == [west, pytest.approx(west / 1125), 1]
    assert "is a category that the model has never met" in known.reasons[0].sentence
    gone = monitor(**given | {"after": given["after"].drop(columns="region")})
    assert gone.drift.loc["region", "missing_after"] == 1
    assert gone.verdict == "watch"
    assert any("Nobody has a value any more" in reason.sentence for reason in gone.reasons)


def test_few_customers_raise_no_alarm_about_columns() -> None:
    assert set(monitor(**world(60, 8)).drift["compared"]) == {"nobody"}


def test_metrics_are_finite_and_of_stable_names(as_promised: Monitoring) -> None:
    metrics = as_promised.metrics
    assert all(re.fullmatch(r"monitor/[a-zA-Z0-9_/]+", name) for name in metrics)
    assert np.isfinite(list(metrics.values())).all()
    wanted = {"verdict", "psi/frequency", "psi_same_age/frequency", "psi_noise/frequency", "ks/frequency",
              "total_variation/region", "missing/region", "unknown/region", "actual_to_expected/purchases", "low/spend",
              "calibration_error", "migration/stayed", "migration/kappa", "customers/gone", "alarms"}  # fmt: skip
    assert {f"monitor/{name}" for name in wanted} <= set(metrics)
    assert metrics["monitor/verdict"] == 0


def test_the_order_of_rows_does_not_matter_and_nothing_is_written_to() -> None:
    given = world(600, 9)
    kept = {name: frame.copy() for name, frame in given.items() if isinstance(frame, pd.DataFrame)}
    plain = monitor(**given)
    mixed = monitor(**given | {name: frame.sample(frac=1, random_state=1) for name, frame in kept.items()})
    assert mixed.metrics == pytest.approx(plain.metrics, rel=1e-9, abs=1e-12)
    for name, frame in kept.items():
        pd.testing.assert_frame_equal(given[name], frame)


def test_no_table_holds_a_row_of_a_customer(as_promised: Monitoring) -> None:
    assert "id-0" not in repr(vars(as_promised))
    assert len(as_promised.drift) < 20
    assert len(as_promised.distributions) < 40


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda w: w | {"as_of_after": FIRST}, "0 days lie between"),
        (lambda w: w | {"as_of_after": FIRST + timedelta(30)}, "did not grow older by 30 days, but by 90"),
        (lambda w: w | {"promise": w["promise"].iloc[1:]}, "the promise .199 rows. are not of the 200 customers"),
        (lambda w: w | {"scores_after": w["scores_before"]}, "the later scores .200 rows."),
        (lambda w: w | {"after": pd.concat([w["after"], w["after"]])}, "225 of them twice"),
        (lambda w: w | {"before": w["before"].drop(columns="T")}, "lacks the columns"),
        (lambda w: w | {"after": w["after"].assign(mean_amount="many")}, "'mean_amount' held numbers before and holds categories"),
    ],
    ids=["order of days", "other days", "promise", "scores", "twice", "column", "type"],
)  # fmt: skip
def test_tables_that_do_not_belong_together_are_refused(spoil: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        monitor(**spoil(world(200, 10)))


def test_the_interval_of_actual_to_expected_is_that_of_a_bootstrap() -> None:
    rng = np.random.default_rng(11)
    expected = rng.gamma(1, 1, 800)
    actual = rng.poisson(expected * 0.9).astype(float)
    found = actual_to_expected(pd.Series(expected), pd.Series(actual))
    weights = bootstrap_weights(800, 2000, seed=0)
    low, high = np.quantile((weights @ actual) / (weights @ expected), [0.025, 0.975])
    # 2,000 draws place a percentile within about a tenth of the interval's half-width.
    assert [found["low"], found["high"]] == pytest.approx([low, high], abs=0.1 * (high - low) / 2 + 0.002)


def test_the_interval_holds_the_truth_95_times_of_100() -> None:
    rng = np.random.default_rng(12)
    inside = 0
    for _ in range(1000):
        expected = pd.Series(rng.gamma(0.7, 1, 300))
        found = actual_to_expected(expected, pd.Series(rng.poisson(expected)).astype(float))
        inside += found["low"] <= 1 <= found["high"]
    assert 930 <= inside <= 970  # binomial: 950 give or take 3 s.e. of 6.9


def test_where_nothing_happened_the_interval_ends_where_a_poisson_number_does() -> None:
    found = actual_to_expected(pd.Series([0.5] * 20), pd.Series([0.0] * 20))
    # P(no event) is .025 where 3.689 are expected, the upper end of the exact interval of no event.
    assert (found["low"], found["high"]) == pytest.approx((0, 3.6889 / 10), rel=1e-4)
    assert found["p_value"] < 0.001


def test_right_probabilities_stay_under_the_error_by_chance() -> None:
    rng = np.random.default_rng(13)
    risk = rng.beta(2, 1, 600)
    errors = [calibration_error((rng.random(600) < risk).astype(float), risk)(np.ones(600)) for _ in range(2000)]
    limit = error_by_chance(risk)
    assert np.mean(np.array(errors) > limit) < 0.005
    assert np.quantile(errors, 0.95) > 0.75 * limit


def test_a_fitted_model_is_monitored_over_its_own_holdout(small_run: Run) -> None:
    models, windows = small_run.judged_models, small_run.windows
    days = windows.calibration_end, windows.holdout_end
    tables = [customer_table(models, small_run.log, when) for when in days]
    scores = [score_table(models, table, when) for table, when in zip(tables, days, strict=True)]
    found = monitor(*tables, *scores, scores[0][PROMISED], attribute_levels(models), *days)
    judged = small_run.judged
    assert found.promise is not None
    assert found.promise.totals.loc["purchases", "happened"] == judged["purchases"].sum()
    assert found.promise.totals.loc["spend", "happened"] == pytest.approx(judged["spend"].sum())
    assert found.promise.totals.loc["spend", "promised"] == pytest.approx(judged["expected_spend"].sum())
