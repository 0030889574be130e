"""Every feature and every outcome equals a slow count by hand; many cutoffs at once equal each alone."""

from __future__ import annotations

import itertools
import math
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from churn_clv.data.features import features_at, outcomes_after, with_attributes
from churn_clv.data.transactions import TransactionLog
from churn_clv.data.windows import LabelWindow

CUTOFFS = [date(2023, 3, 1), date(2023, 6, 4), date(2023, 11, 1), date(2024, 4, 3)]
NAN = math.nan


def ratio(a: float, b: float) -> float:
    return a / b if b else NAN


def features_by_hand(history: list, cutoff: date) -> dict[str, float] | None:
    """One customer's features at one cutoff, from the definitions in words."""
    known = [d for d in history if d.day <= cutoff]
    bought = [d for d in known if d.is_purchase]
    if not bought:
        return None
    first, last, n = bought[0].day, bought[-1].day, len(bought)
    gaps = [(b.day - a.day).days for a, b in itertools.pairwise(bought)]
    mean_gap = float(np.mean(gaps)) if gaps else NAN
    silence = (cutoff - last).days
    amounts = [float(d.amount) for d in bought]

    def within(days: int) -> list:
        return [d for d in bought if cutoff - timedelta(days=days) < d.day]

    return {
        "frequency": n - 1,
        "silence_share": silence / max((cutoff - first).days, 1),
        "mean_gap_days": mean_gap,
        "gap_variation": float(np.std(gaps)) / mean_gap if len(gaps) > 1 else NAN,
        "last_gap_ratio": gaps[-1] / mean_gap if gaps else NAN,
        "overdue_ratio": silence / mean_gap if gaps else NAN,
        "purchases_last_28_days": len(within(28)),
        "purchases_last_91_days": len(within(91)),
        "purchases_share_last_91_days": len(within(91)) / n,
        "mean_amount": float(sum(d.amount for d in bought)) / n,
        "largest_amount": max(amounts),
        "first_amount": amounts[0],
        "last_amount_ratio": ratio(amounts[-1], float(sum(d.amount for d in bought)) / n),
        "amount_last_91_days": float(sum(d.amount for d in within(91))),
        "lines_per_purchase": sum(d.lines for d in bought) / n,
        "refund_days": sum(not d.is_purchase for d in known),
    }


@pytest.fixture(scope="module")
def expected(odd_days: dict) -> pd.DataFrame:
    found = {(c, k): features_by_hand(h, c) for c in CUTOFFS for k, h in odd_days.items()}
    known = {key: row for key, row in found.items() if row is not None}
    index = pd.MultiIndex.from_tuples(list(known), names=["cutoff", "customer_id"])
    return pd.DataFrame(list(known.values()), index=index, dtype=float)


@pytest.fixture(scope="module")
def features(odd_log: TransactionLog) -> pd.DataFrame:
    return features_at(odd_log, CUTOFFS)


def test_the_features_are_those_described_here(features: pd.DataFrame, expected: pd.DataFrame) -> None:
    assert list(features.columns) == list(expected.columns)
    assert features.index.equals(expected.index)
    assert set(features.dtypes) == {np.dtype("float64")}


@pytest.mark.parametrize("name", [
    "frequency", "silence_share", "mean_gap_days", "gap_variation", "last_gap_ratio", "overdue_ratio",
    "purchases_last_28_days", "purchases_last_91_days", "purchases_share_last_91_days", "mean_amount", "largest_amount",
    "first_amount", "last_amount_ratio", "amount_last_91_days", "lines_per_purchase", "refund_days",
])  # fmt: skip
def test_feature_equals_a_count_by_hand(features: pd.DataFrame, expected: pd.DataFrame, name: str) -> None:
    # 1e-12: a few roundings in another order; 1e-7 for the spread, where two squares are subtracted
    atol = 1e-7 if name == "gap_variation" else 1e-12
    assert expected[name].nunique() > 1, "a constant would not tell a wrong feature from a right one"
    np.testing.assert_allclose(features[name], expected[name], rtol=1e-12, atol=atol, equal_nan=True)


def test_one_pass_over_many_cutoffs_equals_each_cutoff_alone(odd_log: TransactionLog, features: pd.DataFrame) -> None:
    alone = pd.concat([features_at(odd_log, [cutoff]) for cutoff in CUTOFFS])
    pd.testing.assert_frame_equal(features, alone, check_exact=True)
    shuffled = features_at(odd_log, CUTOFFS[::-1])
    pd.testing.assert_frame_equal(features, shuffled, check_exact=True)


def test_no_feature_grows_with_the_calendar_alone(odd_log: TransactionLog) -> None:
    """A cohort is older in production than in training: no feature may be tenure or a date in disguise."""
    later = [date(2026, 1, 1), date(2028, 1, 1)]
    early, late = (features_at(odd_log, [c]).droplevel("cutoff") for c in later)
    grown = [name for name in early if not early[name].equals(late[name])]
    assert set(grown) == {"silence_share", "overdue_ratio"}
    assert late["silence_share"].max() <= 1


WINDOWS = [LabelWindow(date(2023, 6, 4), 60), LabelWindow(date(2023, 11, 1), 91), LabelWindow(date(2024, 4, 3), 30)]


def test_outcomes_equal_a_count_by_hand(odd_log: TransactionLog, odd_days: dict) -> None:
    rows = {}
    for window in WINDOWS:
        for customer, history in odd_days.items():
            if not any(d.is_purchase and d.day <= window.cutoff for d in history):
                continue
            after = [d for d in history if window.cutoff < d.day <= window.end]
            spend = float(sum(d.amount for d in after))
            rows[window.cutoff, customer] = (float(sum(d.is_purchase for d in after)), spend)
    found = outcomes_after(odd_log, WINDOWS)
    assert found.index.tolist() == list(rows)
    assert list(found.itertuples(index=False, name=None)) == list(rows.values())  # exact: sums of decimals
    assert (found["spend"] < 0).any(), "a refund in the window must show"


def test_each_window_has_its_own_horizon(odd_log: TransactionLog) -> None:
    together = outcomes_after(odd_log, WINDOWS)
    pd.testing.assert_frame_equal(
        together, pd.concat([outcomes_after(odd_log, [w]) for w in WINDOWS]), check_exact=True
    )


def test_attributes_join_by_id_and_the_unknown_stay_missing(features: pd.DataFrame) -> None:
    customers = features.index.get_level_values("customer_id").unique()
    attributes = pd.DataFrame(
        {"age": ["20-29", "50-59"]}, index=pd.Index([customers[5], customers[2]], name="customer_id")
    )
    joined = with_attributes(features, attributes)
    assert joined.index.equals(features.index)
    ages = joined["age"].groupby("customer_id").first()
    assert ages[customers[5]] == "20-29"
    assert ages[customers[2]] == "50-59"
    assert joined["age"].notna().sum() == features.index.get_level_values(1).isin(customers[[2, 5]]).sum()
    assert with_attributes(features, None) is features
