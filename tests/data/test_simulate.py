"""A simulated log has the moments that its parameters promise, within four standard errors."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import hyp2f1

from churn_clv.data.simulate import Truth, simulate_log, simulate_parts
from churn_clv.data.transactions import read_transactions
from churn_clv.delivery.simulated_logs import write_simulated
from churn_clv.errors import InputError

# q > 4 gives the spend's squares a variance; a > 1 keeps everybody from staying for ever
TRUTH = Truth(r=0.8, alpha=25.0, a=1.5, b=3.0, p=5.0, q=9.0, v=60.0)
CUSTOMERS, DAYS = 20_000, 300


@pytest.fixture(scope="module")
def log() -> pd.DataFrame:
    """Everyone starts within the first day, so that age is DAYS - u with u uniform in a day."""
    return simulate_log(customers=CUSTOMERS, seed=42, days=DAYS, arrival_days=1, truth=TRUTH)


@pytest.fixture(scope="module")
def repeats(log: pd.DataFrame) -> np.ndarray:
    """Repeat purchases by customer; a line is a purchase, also of two on one day."""
    return log.groupby("customer_id").size().to_numpy() - 1


def assert_mean(values: np.ndarray, expected: float) -> None:
    error = values.std(ddof=1) / np.sqrt(values.size)
    assert error < 0.05 * abs(expected), "too few draws to tell"
    assert abs(values.mean() - expected) < 4 * error


def test_mean_purchases_are_those_of_bg_nbd(repeats: np.ndarray) -> None:
    # Fader, Hardie & Lee (2005), eq. 9, at the middle of the ages: the curve is straight over one day
    r, alpha, a, b, t = TRUTH.r, TRUTH.alpha, TRUTH.a, TRUTH.b, DAYS - 0.5
    mean = (a + b - 1) / (a - 1) * (1 - (alpha / (alpha + t)) ** r * hyp2f1(r, b, a + b - 1, t / (alpha + t)))
    assert_mean(repeats, mean)


def test_who_never_comes_back_is_a_poisson_of_gamma_rates(repeats: np.ndarray) -> None:
    # P(X = 0) = (alpha / (alpha + t))^r: dropout cannot follow the first purchase (assumption iii)
    assert_mean((repeats == 0).astype(float), (TRUTH.alpha / (TRUTH.alpha + DAYS - 0.5)) ** TRUTH.r)


def test_half_of_the_way_shows_the_same_model(log: pd.DataFrame) -> None:
    half = log[log["date"] < log["date"].min() + pd.Timedelta(days=DAYS // 2)]
    repeats = half.groupby("customer_id").size().to_numpy() - 1
    assert_mean((repeats == 0).astype(float), (TRUTH.alpha / (TRUTH.alpha + DAYS // 2 - 0.5)) ** TRUTH.r)


def test_mean_spend_is_that_of_gamma_gamma(log: pd.DataFrame) -> None:
    # E[Z] = p v / (q - 1) (Fader & Hardie 2013); one purchase of each customer, as those of one are alike
    first = log.groupby("customer_id")["amount"].first().to_numpy()
    assert_mean(first, TRUTH.p * TRUTH.v / (TRUTH.q - 1))


def test_spread_of_spend_is_that_of_gamma_gamma(log: pd.DataFrame) -> None:
    # E[Z^2] = p (p + 1) v^2 / ((q - 1) (q - 2))
    first = log.groupby("customer_id")["amount"].first().to_numpy()
    assert_mean(first**2, TRUTH.p * (TRUTH.p + 1) * TRUTH.v**2 / ((TRUTH.q - 1) * (TRUTH.q - 2)))


def test_two_purchases_of_one_customer_share_her_level(log: pd.DataFrame) -> None:
    # given nu the two are independent with mean p / nu: E[Z1 Z2] = p^2 v^2 / ((q - 1) (q - 2))
    pairs = log.groupby("customer_id")["amount"].apply(list)
    products = np.array([spend[0] * spend[1] for spend in pairs if len(spend) > 1])
    assert_mean(products, TRUTH.p**2 * TRUTH.v**2 / ((TRUTH.q - 1) * (TRUTH.q - 2)))


def test_spend_does_not_depend_on_how_often_somebody_buys(log: pd.DataFrame) -> None:
    by_customer = log.groupby("customer_id")["amount"].agg(["mean", "size"])
    correlation = np.corrcoef(by_customer["mean"], by_customer["size"])[0, 1]
    assert abs(correlation) < 4 / np.sqrt(CUSTOMERS)


def test_customers_arrive_evenly_over_the_arrival_days() -> None:
    log = simulate_log(customers=20_000, seed=5, days=200, arrival_days=100)
    first = (log.groupby("customer_id")["date"].min() - pd.Timestamp(2023, 1, 1)).dt.days.to_numpy()
    assert first.min() == 0
    assert first.max() == 99
    assert_mean(first.astype(float), 49.5)  # whole days 0..99
    assert_mean((first < 25).astype(float), 0.25)


def test_log_keeps_its_promises_of_form() -> None:
    log = simulate_log(customers=1000, seed=1, start=date(2020, 2, 1), days=100, arrival_days=50)
    assert list(log.columns) == ["customer_id", "date", "amount"]
    assert sorted(log["customer_id"].unique()) == [f"{k:04d}" for k in range(1, 1001)]
    assert log["date"].is_monotonic_increasing
    assert log["date"].min() >= pd.Timestamp(2020, 2, 1)
    assert log["date"].max() < pd.Timestamp(2020, 2, 1) + pd.Timedelta(days=100)
    assert (log["date"] == log["date"].dt.normalize()).all()
    assert (log["amount"] > 0).all()
    assert np.array_equal(log["amount"], log["amount"].round(2))


def test_a_seed_is_a_log() -> None:
    one, same, other = (simulate_log(customers=50, seed=seed) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(one, same, check_exact=True)
    assert not one.equals(other)


def test_truth_without_a_name_is_the_default_truth() -> None:
    pd.testing.assert_frame_equal(simulate_log(customers=50, seed=1), simulate_log(customers=50, seed=1, truth=Truth()))


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="alpha, q must be greater than 0"):
        Truth(alpha=0, q=-1)
    for wrong in ({"customers": 0}, {"arrival_days": 0}, {"days": 10, "arrival_days": 11}):
        with pytest.raises(ValueError, match="at least one customer"):
            simulate_log(**({"customers": 5, "seed": 1} | wrong))
    with pytest.raises(ValueError, match="at most 10,000,000 customers, not 10,000,001; churn-clv simulate draws more"):
        simulate_log(customers=10_000_001, seed=1)
    with pytest.raises(ValueError, match="at least one customer"):
        next(simulate_parts(customers=0, seed=1))


def test_parts_share_no_customer_and_hold_them_all() -> None:
    parts = list(simulate_parts(customers=1000, seed=1, part_customers=300))
    owners = [sorted(part["customer_id"].unique()) for part in parts]
    assert owners == [[f"{k:04d}" for k in range(begin, min(begin + 300, 1001))] for begin in (1, 301, 601, 901)]
    assert all(part["date"].is_monotonic_increasing for part in parts)


def test_parts_have_random_numbers_of_their_own() -> None:
    # equal seeds in two parts would make the k-th customers of both twins
    one, other = simulate_parts(customers=400, seed=1, part_customers=200)
    assert not np.isin(one["amount"], other["amount"]).all()
    assert len(one) != len(other)
    again = list(simulate_parts(customers=400, seed=1, part_customers=200))
    pd.testing.assert_frame_equal(one, again[0], check_exact=True)
    pd.testing.assert_frame_equal(other, again[1], check_exact=True)


def test_parts_follow_the_law_of_the_log_in_one_piece() -> None:
    # P(X = 0) as above; every part is judged, and all of them together
    parts = list(simulate_parts(customers=20_000, seed=7, days=DAYS, arrival_days=1, truth=TRUTH, part_customers=5_000))
    silent = [part.groupby("customer_id").size().to_numpy() == 1 for part in parts]
    never = (TRUTH.alpha / (TRUTH.alpha + DAYS - 0.5)) ** TRUTH.r
    for values in [*silent, np.concatenate(silent)]:
        assert_mean(values.astype(float), never)


def test_a_folder_holds_the_parts_and_reads_as_one_log(tmp_path: Path) -> None:
    out = tmp_path / "log"
    lines = write_simulated(out, customers=500, seed=4, part_customers=200)
    assert sorted(path.name for path in out.iterdir()) == [f"part-0000{k}.parquet" for k in range(3)]
    log = read_transactions(out)
    assert (log.n_customers, log.cleaning.rows_in) == (500, lines)
    with pytest.raises(InputError, match="exists already"):
        write_simulated(out, customers=500, seed=4)


def test_customers_who_buy_very_seldom_are_drawn_without_a_warning() -> None:
    with np.errstate(all="raise"):
        log = simulate_log(customers=500, seed=3, truth=Truth(r=0.01, alpha=1000.0))
    assert log["customer_id"].nunique() == 500
