"""Transaction logs whose true parameters are known."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date

import numpy as np
import pandas as pd

MOST_CUSTOMERS = 10_000_000


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
    if customers < 1 or not 1 <= arrival_days <= days:
        raise ValueError("simulate needs at least one customer and 1 <= arrival_days <= days")
    if customers > MOST_CUSTOMERS:
        raise ValueError(f"simulate draws all customers in memory: at most {MOST_CUSTOMERS:,}, not {customers:,}")
    rng, truth = np.random.default_rng(seed), truth or Truth()
    rate = rng.gamma(truth.r, 1 / truth.alpha, customers)
    dropout = rng.beta(truth.a, truth.b, customers)
    first = rng.uniform(0, arrival_days, customers)
    owner, moment = _purchases(rng, rate, dropout, first, float(days))
    nu = rng.gamma(truth.q, 1 / truth.v, customers)
    amount = np.maximum(rng.gamma(truth.p, 1.0, owner.size) / nu[owner], 0.01).round(2)
    width = len(str(customers))
    frame = pd.DataFrame(
        {
            "customer_id": pd.Series(np.char.zfill((owner + 1).astype(str), width)).astype("str"),
            "date": pd.Timestamp(start) + pd.to_timedelta(np.floor(moment).astype(np.int64), unit="D"),
            "amount": amount,
        }
    )
    return frame.sort_values(["date", "customer_id"], kind="stable", ignore_index=True)


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
