"""Who is worth winning back and who resembles the top: the rule by hand, planted look-alikes found, odd inputs named."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from churn_clv.errors import InputError
from churn_clv.segments.lists import LOOK_ALIKES, WIN_BACK, look_alikes, win_back
from churn_clv.segments.outreach import contact_plan
from churn_clv.segments.playbook import default_playbook
from churn_clv.segments.resemblance import PROFILE, profile, resemblance, without_money

STAGES = ["new", "growing", "loyal", "declining", "lost"]


def drawn(n: int = 300, seed: int = 5) -> pd.DataFrame:
    """Placed scores with every tier and stage."""
    rng = np.random.default_rng(seed)
    index = pd.Index([f"c{k:04d}" for k in rng.permutation(n)], name="customer_id")
    tiers, risk, value = ["low", "mid", "high"], rng.beta(2, 1, n), rng.gamma(2, 60, n)
    age = rng.uniform(100, 400, n)
    scores = pd.DataFrame(
        {
            "T": age,
            "recency": age * rng.random(n),
            "p_alive": 1 - risk**2 / 5,
            "churn_probability": risk,
            "value_if_active": value,
            "expected_spend": (1 - risk) * value,
            "value_at_risk": risk * value,
            "value_tier": [tiers[k] for k in np.searchsorted([60, 140], value)],
            "risk_tier": [tiers[k] for k in np.searchsorted([0.5, 0.8], risk)],
            "lifecycle_stage": rng.choice(STAGES, n),
            "reasons": "silent for long",
        },
        index=index,
    )
    book = default_playbook()
    plans = [book.plan_for(v, r) for v, r in zip(scores["value_tier"], scores["risk_tier"], strict=True)]
    return scores.assign(segment=[plan.segment for plan in plans], action=[plan.action for plan in plans])


def planned(scores: pd.DataFrame, budget: float | None = None) -> pd.DataFrame:
    return contact_plan(scores, default_playbook(), value_is="revenue", budget=budget)


# --- win back


def test_the_win_back_list_is_its_rule_customer_by_customer() -> None:
    scores = drawn()
    plan = planned(scores, budget=5.0)
    wanted = [
        (-plan.loc[c, "contact_profit"], c)
        for c, row in scores.iterrows()
        if row["value_tier"] == "high"
        and (row["risk_tier"] == "high" or row["lifecycle_stage"] in ("declining", "lost"))
        and plan.loc[c, "contact_profit"] > 0
    ]
    found = win_back(scores, plan.sample(frac=1, random_state=2))
    assert found.columns.tolist() == WIN_BACK
    assert found.index.tolist() == [c for _, c in sorted(wanted)]
    assert found["rank"].tolist() == list(range(1, len(wanted) + 1))
    assert 10 < len(found) < len(scores)
    assert 0 < found["contact"].sum() < len(found), "the budget is too small for all"
    for c, row in found.iterrows():
        assert row["days_since_purchase"] == scores.loc[c, "T"] - scores.loc[c, "recency"]
        assert (row["contact_profit"], row["channel"]) == (plan.loc[c, "contact_profit"], plan.loc[c, "channel"])
    pd.testing.assert_frame_equal(win_back(scores.iloc[::-1], plan), found)


def test_equals_are_listed_in_the_order_of_the_id() -> None:
    scores, _, top, _ = planted()
    # a hundred others share the habit of the top, and the list has room for 45 of them
    habits = pd.DataFrame({"device": np.where(np.arange(600) < 250, "app", "shop")}, index=scores.index)
    shuffled = scores.sample(frac=1, random_state=2)
    found = look_alikes(shuffled, habits, top).customers
    pairs = list(zip(-found["resemblance"], found.index, strict=True))
    assert pairs == sorted(pairs)
    assert found["resemblance"].duplicated().any()
    pd.testing.assert_frame_equal(found, look_alikes(scores, habits, top).customers)
    same = drawn().assign(
        churn_probability=0.9,
        p_alive=0.8,
        value_if_active=200.0,
        value_at_risk=180.0,
        value_tier="high",
        risk_tier="high",
    )
    assert win_back(same, planned(same)).index.tolist() == sorted(same.index)


def test_without_amounts_the_win_back_list_goes_by_value_at_risk() -> None:
    scores = drawn()
    found = win_back(scores, contact_plan(scores, default_playbook(), value_is="purchases"))
    assert len(found) >= len(win_back(scores, planned(scores)))
    assert found["value_at_risk"].is_monotonic_decreasing
    assert not found["contact"].any()


def test_nobody_worth_winning_back_is_an_empty_list_with_its_columns() -> None:
    scores = drawn().assign(lifecycle_stage="loyal", risk_tier="low")
    found = win_back(scores, planned(scores))
    assert found.empty
    assert found.columns.tolist() == WIN_BACK
    nobody = scores.iloc[:0]
    assert win_back(nobody, planned(nobody)).empty


def test_of_other_tiers_the_last_counts_and_a_single_risk_tier_tells_nobody_apart() -> None:
    scores = drawn().assign(lifecycle_stage="loyal")
    names = {"low": "1 of 12", "mid": "2 of 12", "high": "12 of 12"}
    twelve = scores.assign(value_tier=scores["value_tier"].map(names), risk_tier=scores["risk_tier"].map(names))
    plan = contact_plan(scores, default_playbook(), value_is="revenue")
    assert win_back(twelve, plan).index.tolist() == win_back(scores, plan).index.tolist()
    assert len(win_back(scores, plan)) > 5
    assert win_back(scores.assign(risk_tier="all"), plan).empty
    one_value = win_back(scores.assign(value_tier="all"), plan)
    assert set(scores.loc[one_value.index, "value_tier"]) > {"high"}


def test_a_win_back_list_refuses_missing_predictions_and_strangers_by_count() -> None:
    scores = drawn()
    plan = planned(scores)
    with pytest.raises(InputError, match="2 of 300 customers lack a score"):
        win_back(scores.assign(p_alive=scores["p_alive"].where(np.arange(300) >= 2)), plan)
    with pytest.raises(InputError, match="4 customers are in only one of scores"):
        win_back(scores, plan.iloc[4:])
    with pytest.raises(InputError, match="not among the scores: lifecycle_stage"):
        win_back(scores.drop(columns="lifecycle_stage"), plan)


# --- look-alikes


def planted(n: int = 600, seed: int = 3) -> tuple[pd.DataFrame, pd.DataFrame, pd.Series, pd.Index]:
    """A top that buys at weekends in the app, and forty others who do the same but are not in it."""
    rng = np.random.default_rng(seed)
    ids = pd.Index([f"c{k:04d}" for k in range(n)], name="customer_id")
    top = pd.Series(np.arange(n) < 150, index=ids)
    alike = ids[150:190]
    habits = top | ids.isin(alike)
    features = pd.DataFrame(
        {
            "weekend_share": np.where(habits, rng.beta(8, 2, n), rng.beta(2, 8, n)),
            "device": np.where(rng.random(n) < np.where(habits, 0.9, 0.1), "app", "shop"),
            "purchases_last_91_days": rng.poisson(2, n).astype(float),
            "mean_amount": np.where(top, 200.0, 20.0) * rng.gamma(20, 0.05, n),
        },
        index=ids,
    )
    scores = pd.DataFrame(
        {"segment": "any", "risk_tier": "low", "expected_spend": rng.gamma(2, 20, n),
         "value_if_active": rng.gamma(2, 40, n), "churn_probability": rng.random(n)}, index=ids,
    )  # fmt: skip
    return scores, features, top, alike


def test_planted_look_alikes_are_found_and_their_habits_named() -> None:
    scores, features, top, alike = planted()
    found = look_alikes(scores, features, top)
    # a tenth of 450 are listed; weekends and device overlap a little between the two kinds
    assert len(found.customers) <= 45
    assert found.customers.index.isin(alike).mean() > 0.75
    assert alike.isin(found.customers.index[:45]).mean() > 0.75
    assert found.customers.columns.tolist() == LOOK_ALIKES
    assert found.customers["resemblance"].between(0, 1).all()
    assert found.customers["resemblance"].is_monotonic_decreasing
    assert not top[found.customers.index].any()
    best = found.customers["speaks_for"].iloc[0]
    assert "of their purchases at weekends" in best and "device = app" in best
    assert "look-alikes of 150 top customers among 450 others" in found.words


def test_nobody_is_listed_who_is_less_alike_than_anybody() -> None:
    scores, features, top, alike = planted()
    others = features.index.difference(alike)
    apart = features.loc[others].assign(device=np.where(top[others], "app", "shop"))
    found = look_alikes(scores.loc[others], apart, top[others])
    assert found.auc is not None and found.auc > 0.99
    assert len(found.customers) < 5, "a tenth of the rest would be 41, but they do not resemble the top"


def test_only_what_a_customer_shares_with_the_top_speaks_for_the_customer() -> None:
    rng = np.random.default_rng(4)
    top = pd.Series(np.arange(400) < 100)
    # of two alike columns the second is noisier; given the first, a regression holds its noise against it
    first = np.where(top, 1.0, -1.0) + rng.normal(size=400)
    features = pd.DataFrame({"first": first, "second": first + 0.2 * rng.normal(size=400)})
    features["third"] = features["second"] - features["first"] * 0.9
    found = resemblance(features, top)
    assert found is not None
    scaled = (features - features.mean()) / features.std(ddof=0)
    side = np.sign(scaled[top].mean() - scaled[~top].mean())
    assert (found.contributions.where(scaled * side <= 0, 0) == 0).all(axis=None)
    assert (found.contributions != 0).any(axis=None)


def test_money_does_not_make_a_look_alike() -> None:
    scores, features, top, _ = planted()
    money = features.assign(largest_amount=features["mean_amount"] * 2, expected_spend=np.where(top, 9.0, 1.0))
    assert without_money(money).columns.tolist() == ["weekend_share", "device", "purchases_last_91_days"]
    wanted, found = look_alikes(scores, features.drop(columns="mean_amount"), top), look_alikes(scores, money, top)
    pd.testing.assert_frame_equal(found.customers, wanted.customers)


def test_look_alikes_do_not_depend_on_the_order_of_rows() -> None:
    scores, features, top, _ = planted()
    shuffled = [frame.sample(frac=1, random_state=k) for k, frame in enumerate((scores, features, top))]
    pd.testing.assert_frame_equal(look_alikes(*shuffled).customers, look_alikes(scores, features, top).customers)


def test_who_leaves_is_a_case_for_winning_back_not_a_look_alike() -> None:
    scores, features, top, _ = planted()
    first = look_alikes(scores, features, top).customers.index[:10]
    risky = scores.assign(risk_tier=np.where(scores.index.isin(first), "high", "low"))
    assert not look_alikes(risky, features, top).customers.index.isin(first).any()
    one_tier = look_alikes(scores.assign(risk_tier="all"), features, top)
    assert one_tier.customers.index[:10].equals(first), "a single risk tier tells nobody apart"


def test_a_resemblance_is_said_by_a_model_that_did_not_see_the_customer() -> None:
    rng = np.random.default_rng(8)
    noise = pd.DataFrame(rng.normal(size=(400, 60)), columns=[f"x{k}" for k in range(60)])
    group = pd.Series(rng.random(400) < 0.3)
    found = resemblance(noise, group)
    assert found is not None
    # chance: the standard error of an AUC of 120 against 280 is .03; in the sample 60 columns of noise reach .8
    assert found.auc == pytest.approx(0.5, abs=0.09)


def test_where_top_and_rest_cannot_be_told_apart_nobody_is_listed() -> None:
    rng = np.random.default_rng(8)
    scores, _, top, _ = planted()
    noise = pd.DataFrame({"luck": rng.normal(size=len(top))}, index=top.index)
    found = look_alikes(scores, noise, top)
    assert found.customers.empty
    assert found.auc is not None
    assert found.words.startswith("No look-alikes of 150")


@pytest.mark.parametrize("share", [0.0, 0.01, 0.99, 1.0])
def test_too_few_top_or_other_customers_are_an_empty_list(share: float) -> None:
    scores, features, top, _ = planted()
    few = pd.Series(np.arange(len(top)) < share * len(top), index=top.index)
    found = look_alikes(scores, features, few)
    assert found.customers.empty
    assert found.customers.columns.tolist() == LOOK_ALIKES
    assert found.auc is None
    assert "it takes 10 of each" in found.words


def test_features_that_are_the_same_for_everybody_make_no_look_alikes() -> None:
    scores, features, top, _ = planted()
    same = pd.DataFrame({"weekend_share": 0.3, "device": "app", "refund_days": np.nan}, index=features.index)
    assert look_alikes(scores, same, top).customers.empty
    assert look_alikes(scores, features[["mean_amount"]], top).customers.empty, "nothing but money is nothing"
    beside = features.assign(refund_days=0.0)
    pd.testing.assert_frame_equal(
        look_alikes(scores, beside, top).customers, look_alikes(scores, features, top).customers
    )


def test_missing_features_are_a_sign_of_their_own_and_missing_predictions_are_refused() -> None:
    scores, features, top, _ = planted()
    unknown = features.assign(device=features["device"].where(features["device"] == "app"))
    assert len(look_alikes(scores, unknown, top).customers) > 20
    with pytest.raises(InputError, match="3 of 600 customers lack a score"):
        look_alikes(scores.assign(expected_spend=scores["expected_spend"].where(np.arange(600) >= 3)), features, top)
    with pytest.raises(InputError, match="5 customers are in only one of scores .* features"):
        look_alikes(scores, features.iloc[5:], top)
    with pytest.raises(InputError, match="6 customers are in only one of scores .* top"):
        look_alikes(scores, features, top.iloc[6:])


# --- profile


def test_a_profile_tells_the_top_by_standardised_differences() -> None:
    _, features, top, _ = planted()
    table = profile(features, top, "EUR")
    assert table.columns.tolist() == PROFILE
    assert table["difference"].abs().is_monotonic_decreasing
    row = table.set_index("feature").loc["weekend_share"]
    share = features["weekend_share"]
    assert (row["top"], row["rest"]) == pytest.approx((share[top].mean(), share[~top].mean()))
    assert row["difference"] == pytest.approx((share[top].mean() - share[~top].mean()) / share.std(ddof=0))
    assert "EUR a purchase on average (the rest: " in table.loc[table["feature"] == "mean_amount", "words"].iloc[0]
    app = table[(table["feature"] == "device") & (table["level"] == "app")].iloc[0]
    assert (app["top"], app["rest"]) == pytest.approx(
        [(features["device"] == "app")[who].mean() for who in (top, ~top)]
    )
    assert app["words"].startswith("device = app: ")


def test_a_profile_measures_a_skewed_number_on_its_logarithm_and_says_it_in_its_unit() -> None:
    _, _, top, _ = planted()
    spend = pd.Series(np.random.default_rng(6).lognormal(3 + top, 1), index=top.index)
    row = profile(pd.DataFrame({"mean_amount": spend}), top).iloc[0]
    logs = np.log1p(spend)
    assert row["difference"] == pytest.approx((logs[top].mean() - logs[~top].mean()) / logs.std(ddof=0))
    assert row["top"] == pytest.approx(spend[top].mean())


def test_a_profile_says_nothing_twice() -> None:
    _, _, top, _ = planted()
    gap = pd.Series(np.random.default_rng(6).gamma(2, 20, len(top)), index=top.index).where(top)
    words = profile(pd.DataFrame({"mean_gap_days": gap, "overdue_ratio": gap / 9, "last_gap_ratio": gap / 5}), top)[
        "words"
    ]
    assert words.is_unique
    assert words.str.startswith("too few purchases for a usual gap: 0 %").sum() == 1


def test_a_profile_of_all_of_nobody_or_of_constants_has_no_rows() -> None:
    _, features, top, _ = planted()
    for nobody_else in (top | True, top & False):
        assert profile(features, nobody_else).empty
    assert profile(pd.DataFrame({"frequency": 1.0}, index=top.index), top).columns.tolist() == PROFILE
    assert profile(features.iloc[:0], top.iloc[:0]).empty


def test_a_profile_refuses_other_customers_and_infinite_numbers() -> None:
    _, features, top, _ = planted()
    with pytest.raises(InputError, match="4 customers are in only one of features"):
        profile(features, top.iloc[4:])
    with pytest.raises(InputError, match="infinite for 1 of 600"):
        profile(features.assign(mean_amount=[np.inf, *[1.0] * 599]), top)
