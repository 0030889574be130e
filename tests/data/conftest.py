"""A log with everything a log can hold, and its customer-days worked out by hand."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

from churn_clv.data.transactions import TransactionLog, read_transactions

FIRST, DAYS = date(2023, 3, 1), 400


class Day(NamedTuple):
    """One customer-day: its net money and lines; a purchase if some line is not a refund."""

    day: date
    amount: Decimal
    is_purchase: bool
    lines: int


@pytest.fixture(scope="session")
def odd_frame() -> pd.DataFrame:
    """120 customers with refunds (also before any purchase), zero amounts, several lines a day, one-time buyers."""
    rng = np.random.default_rng(17)
    rows = []
    for k in range(120):
        for day in rng.integers(0, DAYS, rng.integers(1, 14)):
            for _ in range(rng.integers(1, 4)):
                amount = rng.choice([0.0, -1.0, 1.0], p=[0.08, 0.22, 0.7]) * rng.gamma(2, 20)
                rows.append((f"{k:05d}", FIRST + timedelta(days=int(day)), round(float(amount), 2)))
    frame = pd.DataFrame(rows, columns=["customer_id", "date", "amount"])
    return frame.sample(frac=1, random_state=3, ignore_index=True)


@pytest.fixture(scope="session")
def odd_log(odd_frame: pd.DataFrame) -> TransactionLog:
    return read_transactions(odd_frame)


@pytest.fixture(scope="session")
def odd_days(odd_frame: pd.DataFrame) -> dict[str, list[Day]]:
    """Customer -> days in order, line by line with exact decimals."""
    lines: dict[str, dict[date, list[Decimal]]] = {}
    for customer, day, amount in odd_frame.itertuples(index=False):
        lines.setdefault(customer, {}).setdefault(day, []).append(Decimal(str(amount)))
    return {
        customer: [Day(day, sum(money, Decimal(0)), max(money) >= 0, len(money)) for day, money in sorted(days.items())]
        for customer, days in sorted(lines.items())
    }
