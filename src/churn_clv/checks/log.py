"""What is strange about a log, though it can be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pandas as pd

from churn_clv.checks.findings import Finding, note, warning
from churn_clv.config import Config
from churn_clv.data.cleaning import CleaningReport
from churn_clv.data.contract import ReadingRules
from churn_clv.data.log import Log
from churn_clv.train import known_until

# A share of lines that nobody asked to be left out, or that may be there twice by mistake.
MOST_LEFT_OUT, MOST_DUPLICATES, MOST_REFUNDS = 0.1, 0.05, 0.25
# Closed over Christmas is no gap; a fortnight is, where purchases usually come far closer together.
GAP_DAYS, GAP_TIMES = 14, 10
# The last week against the median of the eight before it; by chance 30 purchases become 15 once in a thousand weeks.
WEEKS, FEWEST_A_WEEK, LEAST_OF_A_WEEK = 8, 30, 0.5
# Of all customers on one first day; and new customers of the first four weeks against the next four.
MOST_ON_A_DAY, FEWEST_ON_A_DAY = 0.2, 50
MOST_AT_START, FEWEST_AT_START = 2.0, 100
# Of all money; of a few customers one may well have so much.
TOP_CUSTOMER, FEWEST_BELOW_TOP = 0.2, 50


def check_log(config: Config, log: Log) -> list[Finding]:
    """Look at a log that passed the door."""
    where = config.data.path or config.data.source
    days = log.frame("SELECT day, count(*) AS purchases FROM customer_days WHERE is_purchase GROUP BY day ORDER BY day")
    by_day = pd.Series(days["purchases"].to_numpy(float), pd.to_datetime(days["day"]))
    found = [note(where, _told(config, log)), *_cleaned(config, log.cleaning, where)]
    if by_day.empty:
        return [*found, warning(where, "holds no purchase, only refunds: nothing can be learned")]
    looks: tuple[Callable[[], Iterator[Finding]], ...] = (
        lambda: _gaps(by_day, where), lambda: _last_week(config, log, by_day, where), lambda: _arrivals(log, where),
        lambda: _spellings(log), lambda: _amounts(log),
    )  # fmt: skip
    return found + [finding for look in looks for finding in look()]


def _told(config: Config, log: Log) -> str:
    cleaning = log.cleaning
    steps = "; ".join(step.told for step in cleaning.steps if step.rows)
    counted = {"revenue": "amounts", "margin": "margins", "purchases": "no amounts"}[log.value_is]
    money = f"{counted} in {config.data.currency}" if log.has_amount and config.data.currency else counted
    unnamed = " of no named currency (data.currency)" if log.has_amount and not config.data.currency else ""
    return (
        f"{cleaning.rows_in:,} lines, {cleaning.rows_out:,} kept, of {log.n_customers:,} customers from {log.first_day} to "
        f"{log.last_day}, {money}{unnamed}" + (f"; {steps}" if steps else "")
    )


def _touched(cleaning: CleaningReport, rule: str) -> int:
    return sum(step.rows for step in cleaning.steps if step.rule.startswith(rule))


def _cleaned(config: Config, cleaning: CleaningReport, where: str) -> Iterator[Finding]:
    nobody = _touched(cleaning, "without a customer id")
    if nobody > MOST_LEFT_OUT * cleaning.rows_in:
        yield warning(
            "data.columns.customer_id",
            f"{nobody:,} of {cleaning.rows_in:,} lines ({nobody / cleaning.rows_in:.0%}) have no customer and are left out: "
            "what they sold is in no forecast",
        )
    twice = _touched(cleaning, "exact duplicate")
    if config.data.duplicates == ReadingRules.duplicates and twice > MOST_DUPLICATES * cleaning.rows_in:
        yield warning(
            "data.duplicates",
            f"{twice:,} of {cleaning.rows_in:,} lines ({twice / cleaning.rows_in:.0%}) repeat an earlier line in every column "
            "and are counted again; if they were exported twice, set data.duplicates: drop",
        )
    refunds = _touched(cleaning, "refund line")
    if refunds > MOST_REFUNDS * cleaning.rows_out:
        yield warning(
            "data.columns.amount",
            f"{refunds:,} of {cleaning.rows_out:,} lines ({refunds / cleaning.rows_out:.0%}) are negative and count as "
            f"refunds; if they are sales, the sign in {where} is turned round",
        )


def _gaps(by_day: pd.Series, where: str) -> Iterator[Finding]:
    between = by_day.index.to_series().diff().dt.days.dropna()
    usual = between.median()
    long = between[between > max(GAP_DAYS, GAP_TIMES * usual)]
    if len(long):
        end = long.idxmax()
        start = end - timedelta(days=int(long.max()))
        times = f"{len(long)} gaps" if len(long) > 1 else "a gap"
        yield warning(
            where,
            f"{times} of more than {max(GAP_DAYS, GAP_TIMES * usual):.0f} days without a purchase of anybody, the longest "
            f"from {start.date()} to {end.date()}: if data are missing there, customers look as if they had left",
        )


def _last_week(config: Config, log: Log, by_day: pd.Series, where: str) -> Iterator[Finding]:
    last = pd.Timestamp(known_until(config, log))
    weeks_ago = (last - by_day.index).days // 7
    weeks = by_day.groupby(weeks_ago).sum().reindex(range(WEEKS + 1), fill_value=0.0)
    usual = weeks.loc[1:].median()
    if usual >= FEWEST_A_WEEK and weeks.loc[0] < LEAST_OF_A_WEEK * usual:
        yield warning(
            where,
            f"{weeks.loc[0]:,.0f} purchases in the week to {last.date()}, {usual:,.0f} in the weeks before it: if the last days "
            "are incomplete, set data.end to the last complete day",
        )


def _arrivals(log: Log, where: str) -> Iterator[Finding]:
    """Customers whose first purchase in the log is not their first: they were there before it begins."""
    first = log.frame(
        "SELECT first_day AS day, count(DISTINCT customer_id) AS customers FROM customer_days "
        "WHERE first_day IS NOT NULL GROUP BY first_day ORDER BY first_day"
    )
    new = pd.Series(first["customers"].to_numpy(float), pd.to_datetime(first["day"]))
    on_a_day = new.max() / new.sum()
    crowded = on_a_day > MOST_ON_A_DAY and new.max() >= FEWEST_ON_A_DAY
    if crowded:
        yield warning(
            where,
            f"{new.max():,.0f} of {new.sum():,.0f} customers ({on_a_day:.0%}) have their first purchase on {new.idxmax().date()}: "
            "was that day an import? Their history before it is not known",
        )
    since = (new.index - new.index[0]).days
    early, later = new[since < 28].sum(), new[(since >= 28) & (since < 56)].sum()
    if not crowded and early >= FEWEST_AT_START and early > MOST_AT_START * later:
        yield warning(
            where,
            f"{early:,.0f} customers first appear in the log's first four weeks, {later:,.0f} in the next four: most of them "
            "were customers before the log begins, and look younger than they are; take a longer log if there is one",
        )


def _spellings(log: Log) -> Iterator[Finding]:
    plain = "regexp_replace(lower(customer_id), '^0+', '')"
    alike = log.frame(
        f"SELECT count(*) - count(DISTINCT {plain}) AS n FROM (SELECT DISTINCT customer_id FROM customer_days) AS ids"  # noqa: S608
    )
    n = int(alike["n"].iloc[0])
    if n:
        yield warning(
            "data.columns.customer_id",
            f"{n:,} ids differ from another one only in upper and lower case or leading zeros: each counts as a customer of "
            "its own; write ids one way",
        )


def _amounts(log: Log) -> Iterator[Finding]:
    if not log.has_amount:
        return
    totals = log.frame(
        "SELECT max(total) AS top, sum(total) AS everyone FROM "
        "(SELECT customer_id, sum(amount) AS total FROM customer_days GROUP BY customer_id) AS spent"
    ).iloc[0]
    kinds = log.frame("SELECT count(DISTINCT amount) AS n FROM transactions WHERE amount > 0")["n"].iloc[0]
    if kinds == 1:
        yield warning(
            "data.columns.amount",
            "every line has the same amount: nothing is to be learned of spend; null counts purchases instead",
        )
    if (
        log.n_customers >= FEWEST_BELOW_TOP
        and totals["everyone"] > 0
        and totals["top"] > TOP_CUSTOMER * totals["everyone"]
    ):
        yield warning(
            "data.columns.amount",
            f"one customer of {log.n_customers:,} brings {totals['top'] / totals['everyone']:.0%} of all money, more than "
            f"{TOP_CUSTOMER:.0%}: a mistyped amount, a test account or a collective account? If so, leave it out with "
            "data.drop_rows",
        )
