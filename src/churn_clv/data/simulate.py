"""Transaction logs whose true parameters are known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date

import numpy as np
import pandas as pd

MOST_CUSTOMERS = 10_000_000  # of a log in one piece
PART_CUSTOMERS = 250_000


@dataclass(frozen=True)
class Truth:
    """Parameters of the simulated customers, time in days, money in any currency.

    A customer's purchase rate is Gamma(r, rate alpha), the dropout probability after each purchase Beta(a, b)
    (Fader, Hardie & Lee 2005); spend per purchase is Gamma(p, rate nu) with nu ~ Gamma(q, rate v) (Fader & Hardie 2013).
    """

    r: float = 0.6
    alpha: float = 30.0
    a: float = 0.7
    b: float = 2.5
    p: float = 6.0
    q: float = 4.0
    v: float = 45.0

    def __post_init__(self) -> None:
        wrong = [name for name, value in asdict(self).items() if not value > 0]
        if wrong:
            raise ValueError(f"{', '.join(wrong)} must be greater than 0")


def simulate_log(
    *,
    customers: int,
    seed: int,
    start: date = date(2023, 1, 1),
    days: int = 730,
    arrival_days: int = 365,
    truth: Truth | None = None,
) -> pd.DataFrame:
    """Draw a transaction log from BG/NBD and Gamma-Gamma with known parameters.

    Customers make their first purchase uniformly over the first `arrival_days`; purchases of one day are lines of
    one purchase day, as in a real log.

    Returns
    -------
    DataFrame with customer_id (text), date (datetime64, whole days) and amount (two decimals), in order of date.

    Examples
    --------
    >>> log = simulate_log(customers=100, seed=1)
    >>> log["customer_id"].nunique(), list(log.columns)
    (100, ['customer_id', 'date', 'amount'])
    """
    _check(customers, days, arrival_days)
    if customers > MOST_CUSTOMERS:
        raise ValueError(
            f"a log in one piece is drawn in memory: at most {MOST_CUSTOMERS:,} customers, not {customers:,}; "
            "churn-clv simulate draws more into a folder (a name without .csv or .parquet)"
        )
    ids = _ids(range(1, customers + 1), customers)
    return _lines(np.random.default_rng(seed), ids, start, days, arrival_days, truth or Truth())


def simulate_parts(
    *,
    customers: int,
    seed: int,
    start: date = date(2023, 1, 1),
    days: int = 730,
    arrival_days: int = 365,
    truth: Truth | None = None,
    part_customers: int = PART_CUSTOMERS,
) -> Iterator[pd.DataFrame]:
    """Draw a log of any size in parts of some customers each, every part with random numbers of its own.

    Not the customers that `simulate_log` draws with the same seed, but customers of the same law.

    Returns
    -------
    Frames as of `simulate_log`, each in order of date; no customer is in two of them.

    Examples
    --------
    >>> parts = list(simulate_parts(customers=100, seed=1, part_customers=40))
    >>> [part["customer_id"].nunique() for part in parts]
    [40, 40, 20]
    """
    _check(customers, days, arrival_days)
    begins = range(1, customers + 1, part_customers)
    for begin, own in zip(begins, np.random.SeedSequence(seed).spawn(len(begins)), strict=True):
        ids = _ids(range(begin, min(begin + part_customers, customers + 1)), customers)
        yield _lines(np.random.default_rng(own), ids, start, days, arrival_days, truth or Truth())


def _check(customers: int, days: int, arrival_days: int) -> None:
    if customers < 1 or not 1 <= arrival_days <= days:
        raise ValueError("simulate needs at least one customer and 1 <= arrival_days <= days")


def _ids(numbers: range, customers: int) -> pd.Series:
    """Customer numbers as text, all as long as that of the last customer."""
    return pd.Series(np.char.zfill(np.array(numbers).astype(str), len(str(customers)))).astype("str")


def _lines(
    rng: np.random.Generator, ids: pd.Series, start: date, days: int, arrival_days: int, truth: Truth
) -> pd.DataFrame:
    """Draw the purchases of some customers, in order of date and customer."""
    rate = rng.gamma(truth.r, 1 / truth.alpha, len(ids))
    dropout = rng.beta(truth.a, truth.b, len(ids))
    first = rng.uniform(0, arrival_days, len(ids))
    owner, moment = _purchases(rng, rate, dropout, first, float(days))
    nu = rng.gamma(truth.q, 1 / truth.v, len(ids))
    amount = np.maximum(rng.gamma(truth.p, 1.0, owner.size) / nu[owner], 0.01).round(2)
    day = np.floor(moment).astype(np.int64)
    order = np.lexsort((owner, day))
    return pd.DataFrame(
        {
            "customer_id": ids.take(owner[order]).array,
            "date": pd.Timestamp(start) + pd.to_timedelta(day[order], unit="D"),
            "amount": amount[order],
        }
    )


def _purchases(
    rng: np.random.Generator, rate: np.ndarray, dropout: np.ndarray, first: np.ndarray, days: float
) -> tuple[np.ndarray, np.ndarray]:
    """Every purchase as (customer number, day), the first included: all customers step to their next at once."""
    alive, now = np.arange(rate.size), first
    owners, moments = [alive], [now]
    while alive.size:
        # Dropout may follow every repeat purchase but not the first one: FHL 2005, assumption iii.
        now = now + rng.exponential(1.0, alive.size) / np.maximum(rate[alive], 1e-300)
        inside = now < days
        alive, now = alive[inside], now[inside]
        owners.append(alive)
        moments.append(now)
        stays = rng.random(alive.size) >= dropout[alive]
        alive, now = alive[stays], now[stays]
    return np.concatenate(owners), np.concatenate(moments)


def parse_truth(assignments: list[str]) -> Truth:
    """Read parameters given as ``name=value``.

    Raises
    ------
    ValueError
        For an unknown name or a value that is not a number above 0.

    Examples
    --------
    >>> parse_truth(["r=0.3"]).r
    0.3
    """
    values: dict[str, float] = {}
    for assignment in assignments:
        name, _, text = assignment.partition("=")
        if name not in asdict(Truth()):
            raise ValueError(f"{assignment!r}: the parameters are {', '.join(asdict(Truth()))}")
        try:
            values[name] = float(text)
        except ValueError:
            raise ValueError(f"{assignment!r}: {text!r} is not a number") from None
    return Truth(**values)
