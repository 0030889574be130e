"""Every feature of the rich set equals a slow count by hand, sees nothing after its cutoff, and has one home."""

from __future__ import annotations

import itertools
import math
import statistics
from collections import Counter
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from churn_clv.data.contract import Columns
from churn_clv.data.feature_names import BEHAVIOUR, BEHAVIOURAL_NAMES, FEATURE_SETS
from churn_clv.data.features import features_at, with_attributes
from churn_clv.data.transactions import TransactionLog, read_transactions
from churn_clv.errors import InputError

CUTOFFS = [date(2023, 3, 1), date(2023, 6, 4), date(2023, 11, 1), date(2024, 4, 3), date(2024, 9, 1)]
ROLES = Columns(order_id="order_id", product_id="product_id", quantity="quantity", channel="channel")
RICH = FEATURE_SETS["rich"][len(FEATURE_SETS["behaviour"]) :]
NAN = math.nan


@pytest.fixture(scope="module")
def rich_frame(odd_frame: pd.DataFrame) -> pd.DataFrame:
    """The odd log with products, orders, quantities and channels, each of them missing here and there."""
    rng, n = np.random.default_rng(23), len(odd_frame)
    frame = odd_frame.assign(
        product_id=rng.choice(["p1", "p2", "p3", "p4", "p5", "p6"], n),
        order_id=rng.choice(["o1", "o2"], n),
        quantity=rng.integers(1, 40, n) / 10,
        channel=rng.choice(["shop", "web", "phone"], n, p=[0.7, 0.2, 0.1]),
    )
    for name in ("product_id", "order_id", "quantity", "channel"):
        frame.loc[rng.random(n) < 0.1, name] = None
    return frame


@pytest.fixture(scope="module")
def rich_log(rich_frame: pd.DataFrame) -> TransactionLog:
    return read_transactions(rich_frame, ROLES)


@pytest.fixture(scope="module")
def features(rich_log: TransactionLog) -> pd.DataFrame:
    return features_at(rich_log, CUTOFFS, "rich")


def ratio(a: float, b: float) -> float:
    return a / b if b else NAN


def mean(values: list[float]) -> float:
    return math.fsum(values) / len(values) if values else NAN


def from_days(history: list, cutoff: date) -> dict[str, float]:
    """What the customer-days of one customer say, from the definitions in words."""
    bought = [d for d in history if d.is_purchase and d.day <= cutoff]
    days, amounts, n = [d.day for d in bought], [float(d.amount) for d in bought], len(bought)
    gaps = [(b - a).days for a, b in itertools.pairwise(days)]
    silence = (cutoff - days[-1]).days

    def within(length: int) -> list[float]:
        return [float(d.amount) for d in bought if d.day > cutoff - timedelta(days=length)]

    old = [float(d.amount) for d in bought if d.day <= cutoff - timedelta(days=91)]
    last_year = cutoff - timedelta(days=364)
    return {
        "tenure_days": (cutoff - days[0]).days,
        "days_since_last_purchase": silence,
        "median_gap_days": statistics.median(gaps) if gaps else NAN,
        "longest_gap_days": max(gaps, default=NAN),
        "silence_to_longest_gap": silence / max(gaps) if gaps else NAN,
        "purchases_last_182_days": len(within(182)),
        "purchases_last_364_days": len(within(364)),
        "purchases_trend_91_days": ratio(len(within(91)), len(within(182))),
        "purchases_season_last_year": sum(last_year < day <= last_year + timedelta(days=91) for day in days),
        "weekend_share": sum(day.weekday() in (5, 6) for day in days) / n,
        "busiest_month_share": max(Counter(day.month for day in days).values()) / n,
        "sd_amount": statistics.pstdev(amounts) if n > 1 else NAN,
        "median_amount": statistics.median(amounts),
        "smallest_amount": min(amounts),
        "zero_amount_share": amounts.count(0.0) / n,
        "amount_last_28_days": math.fsum(within(28)),
        "amount_last_182_days": math.fsum(within(182)),
        "amount_last_364_days": math.fsum(within(364)),
        "amount_trend_91_days": ratio(math.fsum(within(91)), math.fsum(within(182))),
        "recent_amount_ratio": ratio(mean(within(91)), mean(old)),
    }


def from_lines(lines: pd.DataFrame, cutoff: date) -> dict[str, float]:
    """What the lines of one customer say; a refund line is a line of amount < 0."""
    known = lines[lines["date"] <= cutoff]
    refunds, sold = known[known["amount"] < 0], known[known["amount"] >= 0]
    refunded = math.fsum(-refunds["amount"])
    products = [set(day["product_id"].dropna()) for _, day in sold.groupby("date")]
    products = [day for day in products if day]
    before = list(itertools.accumulate(products, set.union, initial=set()))
    recent = sold[sold["date"] > cutoff - timedelta(days=91)]["product_id"].dropna()
    pairs = sum(map(len, products))
    orders = sold.dropna(subset="order_id").groupby("date")["order_id"].nunique()
    quantities = sold.dropna(subset="quantity").groupby("date")["quantity"].sum()
    channels = sold["channel"].nunique()
    return {
        "refunded_amount": refunded,
        "refund_share": ratio(refunded, math.fsum(sold["amount"])),
        "days_since_last_refund": (cutoff - refunds["date"].max()).days if len(refunds) else NAN,
        "distinct_products": len(before[-1]) or NAN,
        "distinct_products_last_91_days": recent.nunique() if pairs else NAN,
        "products_per_purchase": pairs / len(products) if pairs else NAN,
        "repeated_product_share": ratio(sum(len(a & b) for a, b in zip(before, products, strict=False)), pairs),
        "orders_per_purchase": orders.mean() if len(orders) else NAN,
        "quantity_per_purchase": quantities.mean() if len(quantities) else NAN,
        "distinct_channels": channels or NAN,
    }


@pytest.fixture(scope="module")
def expected(odd_days: dict, rich_frame: pd.DataFrame) -> pd.DataFrame:
    lines = dict(iter(rich_frame.groupby("customer_id")))
    rows = {
        (cutoff, customer): from_days(history, cutoff) | from_lines(lines[customer], cutoff)
        for cutoff in CUTOFFS
        for customer, history in odd_days.items()
        if any(d.is_purchase and d.day <= cutoff for d in history)
    }
    index = pd.MultiIndex.from_tuples(list(rows), names=["cutoff", "customer_id"])
    return pd.DataFrame(list(rows.values()), index=index, dtype=float)


def test_the_rich_set_is_the_usual_behaviour_to_the_bit_and_more(
    features: pd.DataFrame, expected: pd.DataFrame, rich_log: TransactionLog
) -> None:
    behaviour = features_at(rich_log, CUTOFFS)
    pd.testing.assert_frame_equal(features[list(behaviour)], behaviour, check_exact=True)
    assert list(features.columns) == [*behaviour.columns, *expected.columns] == list(FEATURE_SETS["rich"])
    assert features.index.equals(expected.index)
    assert set(features.dtypes) == {np.dtype("float64")}


@pytest.mark.parametrize("name", RICH)
def test_feature_equals_a_count_by_hand(features: pd.DataFrame, expected: pd.DataFrame, name: str) -> None:
    # 1e-11: a few roundings in another order; 1e-6 for the spread, where two squares near 1e4 are subtracted
    atol = 1e-6 if name == "sd_amount" else 1e-12
    assert expected[name].nunique() > 1, "a constant would not tell a wrong feature from a right one"
    np.testing.assert_allclose(features[name], expected[name], rtol=1e-11, atol=atol, equal_nan=True)


def test_one_pass_over_many_cutoffs_equals_each_cutoff_alone(rich_log: TransactionLog, features: pd.DataFrame) -> None:
    alone = pd.concat([features_at(rich_log, [cutoff], "rich") for cutoff in CUTOFFS])
    pd.testing.assert_frame_equal(features, alone, check_exact=True)
    backwards = features_at(rich_log, CUTOFFS[::-1], "rich")
    pd.testing.assert_frame_equal(features, backwards, check_exact=True)


@pytest.mark.parametrize("how", ["cut", "ruin", "shuffle", "strangers"])
def test_nothing_after_a_cutoff_and_no_order_of_rows_shows(
    how: str, rich_frame: pd.DataFrame, features: pd.DataFrame
) -> None:
    rng, cutoff = np.random.default_rng(5), CUTOFFS[2]
    past, future = rich_frame[rich_frame["date"] <= cutoff], rich_frame[rich_frame["date"] > cutoff]
    ruined = future.assign(
        amount=rng.lognormal(4, 3, len(future)).round(2) * rng.choice([-1, 1], len(future)),
        customer_id=rng.permutation(future["customer_id"]),
        product_id="p1",
        channel="new",
        quantity=1e6,
    )
    logs = {
        "cut": past,
        "ruin": pd.concat([past, ruined]),
        "shuffle": rich_frame.sample(frac=1, random_state=8),
        "strangers": pd.concat([ruined.assign(customer_id="x" + ruined["customer_id"]), rich_frame]),
    }
    log = read_transactions(logs[how].reset_index(drop=True), ROLES)
    known = [c for c in CUTOFFS if c <= cutoff]
    assert 0 < len(future) < len(rich_frame)
    pd.testing.assert_frame_equal(features_at(log, known, "rich"), features.loc[known], check_exact=True)


def on(cutoff: date, *ago: int, amount: float = 10.0) -> TransactionLog:
    """One customer who bought another product some numbers of days before a cutoff."""
    rows = [("a", cutoff - timedelta(days=days), amount, f"p{days}") for days in ago]
    frame = pd.DataFrame(rows, columns=["customer_id", "date", "amount", "product_id"])
    return read_transactions(frame, Columns(product_id="product_id"))


@pytest.mark.parametrize(
    ("name", "last_day_in", "first_day_out"),
    [
        ("purchases_last_182_days", 181, 182),
        ("purchases_last_364_days", 363, 364),
        ("distinct_products_last_91_days", 90, 91),
        ("purchases_season_last_year", 363, 364),
        ("purchases_season_last_year", 273, 272),
    ],
)
def test_a_window_of_days_ends_with_the_cutoff_and_holds_that_many(
    name: str, last_day_in: int, first_day_out: int
) -> None:
    cutoff = date(2024, 6, 30)
    assert features_at(on(cutoff, 400, last_day_in), [cutoff], "rich")[name].tolist() == [1]
    assert features_at(on(cutoff, 400, first_day_out), [cutoff], "rich")[name].tolist() == [0]


def test_the_cutoff_itself_is_known_and_the_next_day_is_not() -> None:
    cutoff = date(2024, 6, 30)
    row = features_at(on(cutoff, 40, 0, -1), [cutoff], "rich").iloc[0]
    assert row[["days_since_last_purchase", "tenure_days", "longest_gap_days"]].tolist() == [0, 40, 40]
    assert row[["amount_last_28_days", "distinct_products", "purchases_last_182_days"]].tolist() == [10, 2, 2]


def test_equal_amounts_have_no_spread_and_huge_ones_no_overflow() -> None:
    cutoff = date(2024, 6, 30)
    assert features_at(on(cutoff, 9, 5, 1, amount=33.33), [cutoff], "rich")["sd_amount"].tolist() == [0]
    huge = pd.DataFrame(
        {"customer_id": "a", "date": [date(2024, 6, 1)] * 500 + [date(2024, 6, 2)], "amount": [9e11] * 500 + [0.0]}
    )
    row = features_at(read_transactions(huge), [cutoff], "rich").iloc[0]
    assert row["median_amount"] == 500 * 9e11 / 2


def test_what_the_log_cannot_tell_is_absent(odd_log: TransactionLog, odd_frame: pd.DataFrame) -> None:
    features = features_at(odd_log, CUTOFFS, "rich")
    assert set(FEATURE_SETS["rich"]) - set(features.columns) == {
        "distinct_products", "distinct_products_last_91_days", "products_per_purchase", "repeated_product_share",
        "orders_per_purchase", "quantity_per_purchase", "distinct_channels",
    }  # fmt: skip
    dates = read_transactions(odd_frame.drop(columns="amount"), Columns(amount=None))
    bare = features_at(dates, CUTOFFS, "rich")
    behaviour = FEATURE_SETS["behaviour"]
    assert not [name for name in bare if name not in behaviour and ("amount" in name or "refund" in name)]
    assert list(features_at(dates, CUTOFFS)) == list(behaviour), "the usual set is the same for every log"


def test_a_small_set_is_a_part_of_the_usual_one(odd_log: TransactionLog) -> None:
    small = features_at(odd_log, CUTOFFS, "rfm")
    assert list(small) == ["frequency", "silence_share", "mean_gap_days", "overdue_ratio", "mean_amount"]
    pd.testing.assert_frame_equal(small, features_at(odd_log, CUTOFFS)[list(small)], check_exact=True)


def test_no_attribute_takes_the_name_of_a_feature_of_any_set(odd_log: TransactionLog) -> None:
    forecasts = {"btyd_log_odds", "btyd_purchases"}  # what trees may read of the purchase model
    assert {*BEHAVIOUR, *FEATURE_SETS["rich"], *FEATURE_SETS["rfm"], *forecasts} == set(BEHAVIOURAL_NAMES)
    features = features_at(odd_log, CUTOFFS, "rfm").assign(event_visit_count=1.0)
    for name in ("tenure_days", "p_alive", "event_visit_count"):
        attributes = pd.DataFrame({name: [1]}, index=pd.Index(["00001"], name="customer_id"))
        with pytest.raises(InputError, match=f"data.attributes: the columns \\['{name}'\\] have the names of features"):
            with_attributes(features, attributes)
