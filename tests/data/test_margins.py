"""Value may be margin: a column of it or a share of the amount; what is a purchase is still said by the amount."""

from __future__ import annotations

import re
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churn_clv.data import engine
from churn_clv.data.contract import Columns, ReadingRules
from churn_clv.data.features import features_at, outcomes_after
from churn_clv.data.fingerprint import fingerprint
from churn_clv.data.summary import summarize
from churn_clv.data.transactions import TransactionLog, read_transactions
from churn_clv.data.windows import LabelWindow
from churn_clv.errors import InputError

LINES = [
    ("a", date(2024, 1, 5), 10.0, 4.0),
    ("a", date(2024, 1, 5), -3.0, -1.5),  # a refund within the day
    ("a", date(2024, 2, 1), 5.0, -2.25),  # sold at a loss: a purchase all the same
    ("a", date(2024, 3, 1), 0.0, -0.75),  # a gift
    ("a", date(2024, 4, 1), -10.0, -4.0),  # a refund alone: no purchase
    ("b", date(2024, 1, 9), -1.0, 5.0),  # a margin above zero makes no purchase
]
FRAME = pd.DataFrame(LINES, columns=["customer_id", "date", "amount", "margin"])
MAPPED = Columns(margin="margin")


def days(log: TransactionLog) -> list[tuple[object, ...]]:
    return engine.run(log.connection, "SELECT * EXCLUDE (first_day, gap) FROM customer_days")


def test_a_column_of_margins_gives_the_value_and_the_amount_the_purchases() -> None:
    log = read_transactions(FRAME, MAPPED)
    assert days(log) == [
        ("a", date(2024, 1, 5), 2.5, True, 2),
        ("a", date(2024, 2, 1), -2.25, True, 1),
        ("a", date(2024, 3, 1), -0.75, True, 1),
        ("a", date(2024, 4, 1), -4.0, False, 1),
        ("b", date(2024, 1, 9), 5.0, False, 1),
    ]
    assert (log.value_is, log.has_amount) == ("margin", True)
    [step] = [step for step in log.cleaning.steps if step.rule == "sale at a loss (margin < 0)"]
    assert (step.rows, step.removed) == (2, 0)


def test_the_other_rule_of_purchases_asks_the_net_amount_too() -> None:
    log = read_transactions(FRAME, MAPPED, ReadingRules(purchase_rule="positive_net"))
    assert [row[3] for row in days(log)] == [True, True, False, False, False]


def test_a_margin_rate_is_a_share_of_the_net_amount() -> None:
    log = read_transactions(FRAME, None, ReadingRules(margin_rate=0.3))
    assert [row[2] for row in days(log)] == [2.1, 1.5, 0.0, -3.0, -0.3]
    assert [row[3] for row in days(log)] == [row[3] for row in days(read_transactions(FRAME))]
    assert log.value_is == "margin"


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.decimals(-9999, 99999, places=2, allow_nan=False), min_size=1, max_size=12),
    st.decimals("0.000001", 1, places=6),
)
def test_a_day_s_margin_is_exact_to_a_millionth(amounts: list[Decimal], rate: Decimal) -> None:
    frame = pd.DataFrame({"customer_id": "a", "date": "2024-01-05", "amount": [float(a) for a in amounts]})
    log = read_transactions(frame, None, ReadingRules(margin_rate=float(rate)))
    wanted = (sum(amounts, Decimal(0)) * rate).quantize(Decimal("0.000001"), ROUND_HALF_UP)
    assert days(log)[0][2] == float(wanted)


def test_a_rate_of_one_is_the_revenue_to_the_bit_under_another_name(odd_frame: pd.DataFrame) -> None:
    revenue, all_of_it = read_transactions(odd_frame), read_transactions(odd_frame, None, ReadingRules(margin_rate=1))
    assert days(revenue) == days(all_of_it)
    assert (revenue.value_is, all_of_it.value_is) == ("revenue", "margin")


def test_every_reader_of_value_reads_the_margin() -> None:
    log, cutoff = read_transactions(FRAME, MAPPED), date(2024, 2, 15)
    assert summarize(log, cutoff, "all")["monetary_value"].to_dict() == {"a": (2.5 - 2.25) / 2}
    features = features_at(log, [cutoff], "rich").iloc[0]
    assert features[["mean_amount", "smallest_amount", "refunded_amount"]].tolist() == [0.125, -2.25, 3.0]
    spend = outcomes_after(log, [LabelWindow(cutoff, 91)])["spend"]
    assert spend.tolist() == [-4.75]
    assert len({fingerprint(log), fingerprint(read_transactions(FRAME))}) == 2


def test_a_log_without_amounts_counts_purchases() -> None:
    log = read_transactions(FRAME, Columns(amount=None))
    assert (log.value_is, log.has_amount) == ("purchases", False)
    assert read_transactions(FRAME).value_is == "revenue"


@pytest.mark.parametrize(
    ("columns", "rules", "says"),
    [
        (MAPPED, {"margin_rate": 0.3}, "margin_rate 0.3 and the margin column 'margin' are both given: remove"),
        (Columns(), {"margin_rate": 0.0}, "margin_rate 0 is not within (0, 1]"),
        (Columns(), {"margin_rate": 30.0}, "margin_rate 30 is not within (0, 1]: it is a share of the amount, 0.3 is 30 %"),
        (Columns(), {"margin_rate": float("nan")}, "margin_rate nan is not within (0, 1]"),
        (Columns(amount=None), {"margin_rate": 0.3}, "a margin is given for a log without amounts"),
        (Columns(amount=None, margin="margin"), {}, "a margin is given for a log without amounts"),
        (Columns(margin="profit"), {}, "no column 'profit' for margin; it has"),
    ],
)  # fmt: skip
def test_a_margin_that_cannot_be_is_refused(columns: Columns, rules: dict[str, float], says: str) -> None:
    with pytest.raises(InputError, match=re.escape(says)):
        read_transactions(FRAME, columns, ReadingRules(**rules))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("margin", "says"),
    [
        ("", "column 'margin': no margin in 1 row (first: line 3): fill it in, or give data.margin_rate"),
        ("nan", "column 'margin': no margin in 1 row (first: line 3)"),
        ("a lot", "column 'margin': not a number in 1 row (first: line 3, 'x xxx')"),
        ("1,5", "column 'margin': not a number in 1 row (first: line 3, '1,5'): set decimal"),
        ("1e13", "column 'margin': infinite or beyond 1e12 in 1 row"),
    ],
)
def test_a_broken_margin_is_told_with_its_line(tmp_path: Path, margin: str, says: str) -> None:
    (tmp_path / "log.csv").write_text(f'customer_id,date,amount,margin\na,2024-01-05,3,1\nb,2024-01-05,3,"{margin}"\n')
    with pytest.raises(InputError, match=re.escape(says)):
        read_transactions(tmp_path / "log.csv", MAPPED)


def test_margins_are_read_with_the_decimal_mark_of_the_log(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("customer_id;date;amount;margin\na;2024-01-05;3,5;-1,25\n")
    log = read_transactions(tmp_path / "log.csv", MAPPED, ReadingRules(decimal=","))
    assert days(log) == [("a", date(2024, 1, 5), -1.25, True, 1)]
    assert log.connection.table("transactions").columns == ["customer_id", "day", "amount", "margin"]
