"""Reasons in words: the right features named, with the customer's own value, the same for any batch."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from churn_clv.data.feature_names import BEHAVIOUR, BEHAVIOURAL_NAMES, event_columns
from churn_clv.models.reason_phrases import about, known_phrase, worded
from churn_clv.models.reasons import common_reasons, reasons, strongest

NAMES = ["overdue_ratio", "purchases_last_28_days", "purchases_last_91_days", "mean_amount", "income"]
ROWS = 60
RNG = np.random.default_rng(4)
ADDED = pd.DataFrame(RNG.normal(0, 0.2, (ROWS, 5)), columns=NAMES, index=[f"c{k}" for k in range(ROWS)])
ADDED["start"] = RNG.normal(0, 2, ROWS)
VALUES = pd.DataFrame({
    "overdue_ratio": RNG.gamma(1, 2, ROWS), "purchases_last_28_days": RNG.poisson(1, ROWS).astype(float),
    "purchases_last_91_days": RNG.poisson(3, ROWS).astype(float), "mean_amount": RNG.gamma(2, 20, ROWS),
    "income": RNG.choice(["35-49K", "50-74K", None], ROWS),
}, index=ADDED.index)  # fmt: skip
HISTORY = pd.DataFrame({"frequency": RNG.poisson(2, ROWS), "recency": 100.0, "T": 100.0 + RNG.integers(0, 90, ROWS)},
                       index=ADDED.index)  # fmt: skip


def by_hand(row: pd.Series) -> list[str | None]:
    """The strongest two that raise, from different topics, and the strongest that lowers, one feature at a time."""
    ranked = row.drop("start").sort_values(ascending=False)
    up = [str(name) for name, value in ranked.items() if value >= 0.05]
    second = [name for name in up[1:] if about(name) != about(up[0])]
    lowest = ranked.index[-1] if ranked.iloc[-1] <= -0.05 else None
    return [up[0] if up else None, second[0] if second else None, lowest]


def test_the_named_features_are_those_found_one_by_one() -> None:
    top = strongest(ADDED)
    found = [[None if pd.isna(v) else v for v in row] for row in top.to_numpy()]
    assert found == [by_hand(row) for _, row in ADDED.iterrows()]
    both = top["raises"].eq("purchases_last_28_days") & ADDED["purchases_last_91_days"].ge(0.05)
    assert both.any(), "the rule of one reason a topic was never put to the test"


def test_a_single_feature_is_one_reason() -> None:
    top = strongest(pd.DataFrame({"overdue_ratio": [0.6], "start": [0.0]}, index=["a"]))
    assert top.loc["a"].dropna().to_dict() == {"raises": "overdue_ratio"}


def feature_names() -> list[str]:
    return sorted({*BEHAVIOURAL_NAMES, *BEHAVIOUR, *event_columns(["complaint", "campaign_contact"])})


@pytest.mark.parametrize("name", feature_names())
@pytest.mark.parametrize("value", [0.0, 0.004, 0.37, 1.0, 3.24, 4000.0, float("nan")])
def test_every_feature_has_words_for_every_value(name: str, value: float) -> None:
    assert known_phrase(name) is not None, f"{name} needs a phrase in models/reason_phrases.py"
    text = worded(name, value, "EUR")
    assert text and not re.search(r"[{}_]|nan|\b1 (days|purchases|times)\b|  ", text), text


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("overdue_ratio", 3.2, "silent 3.2 times as long as their usual gap"),
        ("overdue_ratio", 1.02, "silent as long as their usual gap"),
        ("overdue_ratio", float("nan"), "too few purchases for a usual gap"),
        ("purchases_last_91_days", 2.0, "2 purchases in the last 91 days"),
        ("purchases_last_91_days", 1.0, "one purchase in the last 91 days"),
        ("purchases_last_182_days", 0.0, "no purchase in the last 182 days"),
        ("purchases_share_last_91_days", 0.255, "26 % of their purchases in the last 91 days"),
        ("amount_last_364_days", 1234.56, "a total of 1,235 EUR in the last 364 days"),
        ("silence_share", 0.8, "silent for 80 % of the time since the first purchase"),
        ("frequency", 0.0, "no repeat purchase yet"),
        ("p_alive", 0.31, "a chance of 31 % to be still a customer"),
        ("income", "35-49K", "income = 35-49K"),
        ("income", None, "income unknown"),
        ("household_size", 3, "household size = 3"),
        ("is_member", True, "is member = True"),
        ("event_complaint_last_91_days", 2.0, "complaint: 2 in the last 91 days"),
        ("event_campaign_contact_last_28_days", 0.0, "no campaign contact in the last 28 days"),
        ("event_complaint_days_since_last", float("nan"), "no complaint so far"),
        ("event_complaint_days_since_last", 12.0, "last complaint 12 days ago"),
        ("event_visit_count", 1.0, "visit: one so far"),
    ],
)
def test_words_say_the_value_with_its_unit(name: str, value: object, words: str) -> None:
    assert worded(name, value, "EUR") == words


def test_an_attribute_named_like_a_feature_but_holding_text_is_worded_as_an_attribute() -> None:
    assert worded("amount_last_30_days", "high") == "amount last 30 days = high"


def test_names_and_values_of_the_user_cannot_break_the_line_or_flood_it() -> None:
    text = worded("a\nb" + "x" * 300, "{n}\r\n" + "y" * 300)
    assert text.isprintable() and len(text) < 100
    assert "{n}" in text
    assert worded("event_{1}_last_28_days", 2.0) == "{1}: 2 in the last 28 days"


def test_a_text_holds_the_pattern_the_reasons_and_what_speaks_for_the_customer() -> None:
    texts, top = reasons(ADDED, VALUES, HISTORY, currency="EUR"), strongest(ADDED)
    for customer, text in texts.items():
        times = HISTORY.loc[customer, "frequency"] + 1
        assert text.startswith("bought once, " if times == 1 else f"bought {times} times, last ")
        for name in top.loc[customer].dropna():
            assert worded(name, VALUES.loc[customer, name], "EUR") in text
        assert ("raises the risk: " in text) == pd.notna(top.loc[customer, "raises"])
        assert ("speaks for them: " in text) == pd.notna(top.loc[customer, "lowers"])


def test_a_customer_reads_the_same_alone_as_in_a_crowd_and_in_any_order() -> None:
    together = reasons(ADDED, VALUES, HISTORY)
    order = np.random.default_rng(1).permutation(ROWS)
    pd.testing.assert_series_equal(reasons(ADDED.iloc[order], VALUES, HISTORY.iloc[::-1]), together.iloc[order])
    for customer in ADDED.index[:10]:
        assert reasons(ADDED.loc[[customer]], VALUES, HISTORY)[customer] == together[customer]


def test_without_contributions_only_the_purchases_are_told() -> None:
    history = pd.DataFrame({"frequency": [0, 4], "recency": [0, 50], "T": [34, 50]}, index=["a", "b"])
    start = pd.DataFrame({"start": [1.0, -1.0]}, index=["a", "b"])
    assert reasons(start, pd.DataFrame(index=["a", "b"]), history).tolist() == [
        "bought once, 34 days ago; nothing beyond that moves the risk",
        "bought 5 times, last today; nothing beyond that moves the risk",
    ]
    small = start.assign(income=[0.049, -0.049])
    values = pd.DataFrame({"income": ["x", "y"]}, index=["a", "b"])
    assert reasons(small, values, history).str.endswith("nothing beyond that moves the risk").all()
    assert reasons(small, values).tolist() == ["nothing stands out: the risk is near the average"] * 2


def test_contracts_have_reasons_without_a_purchase_pattern() -> None:
    added = pd.DataFrame({"contract": [0.7], "tenure": [-0.3], "start": [-1.0]}, index=["a"])
    values = pd.DataFrame({"contract": ["Month-to-month"], "tenure": [60]}, index=["a"])
    [text] = reasons(added, values)
    assert text == "raises the risk: contract = Month-to-month; speaks for them: tenure = 60"


def test_nobody_has_no_reasons() -> None:
    assert reasons(ADDED.iloc[:0], VALUES, HISTORY).tolist() == []
    assert common_reasons(ADDED.iloc[:0], pd.Series([], index=ADDED.index[:0], dtype="str")).empty


def test_common_reasons_are_counted_in_each_group() -> None:
    groups = pd.Series(np.where(np.arange(ROWS) < 25, "left", "right"), ADDED.index)
    table, top = common_reasons(ADDED, groups), strongest(ADDED)
    for group in ("left", "right"):
        members = top[groups == group]
        for name in NAMES:
            raises = ((members["raises"] == name) | (members["raises_too"] == name)).mean()
            lowers = (members["lowers"] == name).mean()
            row = table.loc[(group, name)] if (group, name) in table.index else pd.Series({"raises": 0, "lowers": 0})
            assert row.tolist() == pytest.approx([raises, lowers])
        assert table.loc[group].sum(axis=1).is_monotonic_decreasing


def test_what_does_not_match_is_refused() -> None:
    with pytest.raises(ValueError, match=r"features: 1 of 60 customers"):
        reasons(ADDED, VALUES.iloc[1:], HISTORY)
    with pytest.raises(ValueError, match=r"no values of \['income'\]"):
        reasons(ADDED, VALUES.drop(columns="income"), HISTORY)
    with pytest.raises(ValueError, match="not finite in 1 of 60"):
        strongest(ADDED.assign(income=ADDED["income"].where(ADDED.index != "c3")))
    with pytest.raises(ValueError, match="not indexed alike"):
        common_reasons(ADDED, pd.Series("a", ADDED.index[::-1]))
