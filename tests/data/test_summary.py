"""Frequency, recency, T and monetary_value equal published figures and a slow count by hand."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from churn_clv.data.contract import Columns, ReadingRules
from churn_clv.data.datasets import cdnow, cdnow_sample
from churn_clv.data.feature_names import SUMMARY
from churn_clv.data.features import features_at, outcomes_after
from churn_clv.data.fingerprint import fingerprint
from churn_clv.data.summary import Spend, require_known_customers, summarize
from churn_clv.data.transactions import TransactionLog, read_transactions
from churn_clv.data.windows import LabelWindow
from churn_clv.errors import InputError

CUTOFFS = [date(2023, 3, 1), date(2023, 7, 15), date(2023, 12, 31), date(2024, 6, 30)]


def by_hand(days: dict[str, list], cutoff: date, spend: Spend) -> pd.DataFrame:
    """The same summary, one customer at a time."""
    rows = {}
    for customer, history in days.items():
        known = [d for d in history if d.day <= cutoff]
        bought = [d.day for d in known if d.is_purchase]
        if not bought:
            continue
        first, x = bought[0], len(bought) - 1
        counted = [d.amount for d in known if d.day >= first and (spend == "all" or d.day > first)]
        n = x + 1 if spend == "all" else x
        mean = float(sum(counted)) / n if n else 0.0
        to_date = float(sum(d.amount for d in known if d.day >= first))
        rows[customer] = (x, (bought[-1] - first).days, (cutoff - first).days, mean, n, to_date)
    columns = [*SUMMARY]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns, dtype=float)
    return table.rename_axis("customer_id")


@pytest.mark.parametrize("spend", ["repeat", "all"])
@pytest.mark.parametrize("cutoff", CUTOFFS)
def test_summary_equals_a_count_by_hand(odd_log: TransactionLog, odd_days: dict, cutoff: date, spend: Spend) -> None:
    # exact: every sum is of decimals, and one division of the same two numbers follows
    found = summarize(odd_log, cutoff, spend)
    pd.testing.assert_frame_equal(found, by_hand(odd_days, cutoff, spend), check_exact=True, check_index_type=False)


def test_the_log_of_these_tests_holds_every_oddity(odd_days: dict) -> None:
    histories = odd_days.values()
    assert any(not h[0].is_purchase and any(d.is_purchase for d in h) for h in histories), "no refund before a purchase"
    assert any(not any(d.is_purchase for d in h) for h in histories), "no customer with refunds only"
    assert any(d.is_purchase and d.amount == 0 for h in histories for d in h), "no free purchase"
    assert any(d.is_purchase and d.amount < 0 for h in histories for d in h), "no purchase day with a negative net"
    assert any(d.is_purchase and d.lines > 1 for h in histories for d in h), "no day of several lines"


def test_tiny_log_has_the_published_summary() -> None:
    # (id, x, t_x, T) on 2015-02-07: lifetimes, tests/test_utils.py
    rows = [
        ("1", "2015-02-01"),
        ("1", "2015-02-06"),
        ("2", "2015-01-01"),
        ("3", "2015-01-01"),
        ("3", "2015-01-02"),
        ("3", "2015-01-05"),
    ]
    log = read_transactions(pd.DataFrame(rows, columns=["customer_id", "date"]), Columns(amount=None))
    found = summarize(log, date(2015, 2, 7))[["frequency", "recency", "T"]]
    assert found.T.to_dict("list") == {"1": [1, 5, 6], "2": [0, 0, 37], "3": [2, 4, 37]}


def test_customer_4_of_the_cdnow_sample_has_the_published_summary() -> None:
    # BTYDplus, elog2cbs on the 1/10 sample: x = 2, t_x = 30.428571, T = 38.857143 weeks, spend 74.02; then 1 purchase
    log = read_transactions(cdnow_sample())
    end = date(1997, 9, 30)
    all_days = summarize(log, end, "all")
    [customer] = [c for c in all_days.index if int(c) == 4]
    row = all_days.loc[customer]
    assert row["frequency"] == 2
    assert row["recency"] / 7 == pytest.approx(30.428571, rel=1e-6)
    assert row["T"] / 7 == pytest.approx(38.857143, rel=1e-6)
    assert row["monetary_value"] * row["monetary_days"] == pytest.approx(74.02, rel=1e-12)
    holdout = outcomes_after(log, [LabelWindow(end, 39 * 7)])
    assert holdout.loc[(end, customer), "purchases"] == 1


def test_cdnow_has_the_known_days_repeat_rate_and_frequency() -> None:
    # distinct customer-days counted in CDNOW_master.txt; repeat rate .489 and mean frequency 1.87 at the log's end
    log = read_transactions(cdnow())
    summary = summarize(log, date(1998, 6, 30))
    assert len(summary) == 23_570
    assert (summary["frequency"] + 1).sum() == 67_591
    assert (summary["frequency"] > 0).mean() == pytest.approx(0.489, abs=5e-4)
    assert summary["frequency"].mean() == pytest.approx(1.87, abs=5e-3)


def test_without_amounts_a_purchase_is_worth_one(odd_frame: pd.DataFrame) -> None:
    log = read_transactions(odd_frame.drop(columns="amount"), Columns(amount=None))
    summary = summarize(log, CUTOFFS[-1], "all")
    assert (summary["monetary_value"] == 1).all()
    days = odd_frame.groupby("customer_id")["date"].nunique()
    assert (summary["frequency"] + 1).to_dict() == days.to_dict()


def test_with_positive_net_a_day_of_more_refunds_than_sales_is_no_purchase(
    odd_frame: pd.DataFrame, odd_days: dict
) -> None:
    log = read_transactions(odd_frame, None, ReadingRules(purchase_rule="positive_net"))
    strict = {c: [d._replace(is_purchase=d.amount > 0) for d in h] for c, h in odd_days.items()}
    for spend in ("repeat", "all"):
        expected = by_hand(strict, CUTOFFS[-1], spend)
        pd.testing.assert_frame_equal(
            summarize(log, CUTOFFS[-1], spend), expected, check_exact=True, check_index_type=False
        )


def test_repeat_days_leave_the_first_day_and_its_money_out() -> None:
    rows = [("a", "2024-01-01", 100.0), ("a", "2024-01-02", 10.0), ("a", "2024-01-03", -4.0), ("b", "2024-01-01", 7.0)]
    log = read_transactions(pd.DataFrame(rows, columns=["customer_id", "date", "amount"]))
    summary = summarize(log, date(2024, 1, 5), "repeat")
    assert summary["monetary_value"].to_dict() == {"a": 6.0, "b": 0.0}
    assert summary["monetary_days"].to_dict() == {"a": 1.0, "b": 0.0}
    assert summarize(log, date(2024, 1, 5), "all")["monetary_value"].to_dict() == {"a": 53.0, "b": 7.0}


def test_a_cutoff_before_the_log_knows_nobody(odd_log: TransactionLog) -> None:
    early = summarize(odd_log, odd_log.first_day - timedelta(days=1))
    assert early.empty
    assert list(early.columns) == [*SUMMARY]


def test_large_sums_of_money_keep_their_cents() -> None:
    # ten thousand lines of 0.1: floating-point addition gives 1000.0000000001588
    rows = [("a", "2024-01-01", 0.1)] * 10_000
    log = read_transactions(pd.DataFrame(rows, columns=["customer_id", "date", "amount"]))
    assert summarize(log, date(2024, 1, 1), "all").loc["a", "monetary_value"] == 1000.0
    assert np.add.accumulate(np.full(10_000, 0.1))[-1] != 1000.0


def test_a_frame_read_backwards_is_the_same_log(odd_frame: pd.DataFrame) -> None:
    """`iloc[::-1]` shares its memory with the frame, in steps of minus one."""
    frame = odd_frame.assign(date=pd.to_datetime(odd_frame["date"]))
    forwards, backwards = (summarize(read_transactions(f), CUTOFFS[-1], "all") for f in (frame, frame.iloc[::-1]))
    pd.testing.assert_frame_equal(forwards, backwards, check_exact=True)


def test_a_day_may_net_more_than_one_line_may_hold() -> None:
    # lines of 9e11 are allowed (the limit is 1e12), so a day's net of two of them is beyond DECIMAL(18, 6)
    days = ["2024-01-05", "2024-01-05", "2024-02-05", "2024-02-05", "2024-03-05"]
    frame = pd.DataFrame({"customer_id": "a", "date": days, "amount": [9e11, 9e11, 9e11, 9e11, -9.99e11]})
    log = read_transactions(frame)
    found = summarize(log, date(2024, 3, 31), "all").loc["a"]
    assert found["monetary_value"] == (4 * 9e11 - 9.99e11) / 2
    assert features_at(log, [date(2024, 3, 31)])["largest_amount"].tolist() == [1.8e12]
    assert outcomes_after(log, [LabelWindow(date(2024, 1, 31), 60)])["spend"].tolist() == [1.8e12 - 9.99e11]
    assert len(fingerprint(log)) == 16


def test_a_log_of_refunds_only_knows_nobody() -> None:
    log = read_transactions(pd.DataFrame({"customer_id": ["a"], "date": "2024-01-05", "amount": [-5.0]}))
    with pytest.raises(InputError, match="no customer has a purchase up to 2024-02-01: nothing to score"):
        require_known_customers(summarize(log, date(2024, 2, 1)), date(2024, 2, 1))


def test_one_known_customer_is_enough_from_the_day_of_the_purchase() -> None:
    log = read_transactions(pd.DataFrame({"customer_id": ["a"], "date": "2024-01-05", "amount": [5.0]}))
    with pytest.raises(InputError, match="up to 2024-01-04"):
        require_known_customers(summarize(log, date(2024, 1, 4)), date(2024, 1, 4))
    known = summarize(log, date(2024, 1, 5))
    require_known_customers(known, date(2024, 1, 5))
    assert known.index.tolist() == ["a"]
