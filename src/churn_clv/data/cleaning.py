"""What cleaning did to a log, in numbers that add up, and what it refuses."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import pandas as pd

from churn_clv.data import engine
from churn_clv.data.contract import Columns, ReadingRules, Value, setting
from churn_clv.data.roles import currency_of
from churn_clv.data.sources import Header
from churn_clv.errors import InputError, shortened

ISH = re.compile(r"(\d{1,4})([-/.])(\d{1,2})\2(\d{1,4})(?!\d)", re.ASCII)  # a date, in some order
MONTH = "(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}"
# What begins like a date; what is as a whole an amount of up to nine digits.
DATE = re.compile(
    rf"(\d{{4}}|\d{{1,2}})([-/.])\d{{1,2}}\2(\d{{4}}|\d{{1,2}})(?!\d)([ T]\d{{1,2}}(:\d{{2}}){{1,2}}([.]\d+)?)?|"
    rf"\d{{1,2}}[ -]{MONTH}[ -]\d{{2,4}}|{MONTH} \d{{1,2}},? \d{{4}}",
    re.ASCII | re.IGNORECASE,
)
AMOUNT = re.compile(
    r"(?!(\D*\d){10})[-+(\u2212]?[$\u20ac\u00a3\u00a5]? ?[\d.,][\d.,'_ \u00a0]*(e[+-]?\d+)?[)%-]?\Z|[+-]?inf(inity)?\Z",
    re.ASCII | re.IGNORECASE,
)


@dataclass(frozen=True)
class CleaningStep:
    """One rule: how many rows it touched, how many of these it removed, and what was done."""

    rule: str
    rows: int
    removed: int
    action: str


@dataclass(frozen=True)
class CleaningReport:
    """Rows in, what each rule did, rows out; rows in less the rows removed is rows out."""

    rows_in: int
    rows_out: int
    steps: tuple[CleaningStep, ...]

    def to_frame(self) -> pd.DataFrame:
        """Return one row per rule: rule, rows, removed, action."""
        return pd.DataFrame([asdict(step) for step in self.steps], columns=["rule", "rows", "removed", "action"])

    def to_dict(self) -> dict[str, object]:
        """Return the report as plain values, ready for JSON."""
        steps = [asdict(step) for step in self.steps]
        return {"rows_in": self.rows_in, "rows_out": self.rows_out, "steps": steps}


def report_on(connection: engine.Connection, columns: Columns, rules: ReadingRules) -> CleaningReport:
    """Count what each rule did to the staged lines."""
    fates = dict(engine.run(connection, "SELECT fate, count(*) FROM staged GROUP BY fate"))
    counts = dict(engine.run(connection, engine.query("cleaning_counts")))
    steps = [*removals(fates, columns, rules), *duplicate_step(fates, counts, rules)]
    if columns.amount is not None:
        steps += money_steps(counts, rules)
    if columns.margin is not None:
        steps.append(CleaningStep("sale at a loss (margin < 0)", counts["losses"], 0, "kept; it lowers value"))
    return CleaningReport(sum(fates.values()), fates.get(None, 0), tuple(steps))


def removals(fates: dict[str | None, int], columns: Columns, rules: ReadingRules) -> list[CleaningStep]:
    """Return the steps that leave rows out, in the order in which they apply."""
    named = {f"drop_rows:{i}": described(rule, columns) for i, rule in enumerate(rules.drop_rows, start=1)}
    named["no_customer"] = "without a customer id"
    if rules.start is not None:
        named["before_start"] = f"before start {rules.start}"
    if rules.end is not None:
        named["after_end"] = f"after end {rules.end}"
    if rules.sample_customers is not None:
        named["outside_sample"] = f"of a customer outside the sample of {rules.sample_customers:,}"
    return [CleaningStep(text, fates.get(fate, 0), fates.get(fate, 0), "left out") for fate, text in named.items()]


def described(rule: Mapping[str, Sequence[Value]], columns: Columns) -> str:
    """Return a drop_rows rule as words, without the customer ids it may name."""
    parts = []
    for name, values in rule.items():
        plural = "s" if len(values) > 1 else ""
        secret = name == columns.customer_id or len(values) > 5
        parts.append(f"{name}, {len(values)} value{plural}" if secret else f"{name} in {list(values)}")
    return "drop_rows: " + " and ".join(parts)


def duplicate_step(fates: dict[str | None, int], counts: dict[str, int], rules: ReadingRules) -> list[CleaningStep]:
    """Return the step for exact duplicate lines."""
    removed = fates.get("duplicate", 0)
    if rules.duplicates == "drop":
        return [CleaningStep("exact duplicate of an earlier line", removed, removed, "left out")]
    return [CleaningStep("exact duplicate of an earlier line", counts["duplicates"], 0, "kept")]


def money_steps(counts: dict[str, int], rules: ReadingRules) -> list[CleaningStep]:
    """Return the steps that need amounts."""
    days = counts["days_without_purchase"]
    lost = counts["customers_without_purchase"]
    no_purchase = f"{days:,} customer-days reduce value, not frequency; {lost:,} customers have no other"
    return [
        CleaningStep("refund line (amount < 0)", counts["refund_lines"], 0, "netted within its day"),
        CleaningStep("zero amount", counts["zero_amounts"], 0, zero_action(rules)),
        CleaningStep("line on a day without a purchase", counts["lines_on_days_without_purchase"], 0, no_purchase),
        CleaningStep("amount finer than a millionth", counts["rounded_amounts"], 0, "rounded to a millionth"),
    ]


def zero_action(rules: ReadingRules) -> str:
    """Say what a zero amount means under the purchase rule."""
    return "kept as a purchase" if rules.purchase_rule == "purchase_line" else "kept; alone it makes no purchase"


def refuse(connection: engine.Connection, source: Header, columns: Columns, rules: ReadingRules, called: str) -> None:
    """Raise one error that names every reason for which the lines cannot be used."""
    reasons = engine.run(connection, engine.query("refusals"))
    if engine.run(connection, "SELECT count(*) FROM staged") == [(0,)]:
        raise InputError(f"{source.label}: has a header but no {called}")
    if not reasons:
        return
    told = [
        several_currencies(source, n, row) if reason == "error:currencies"
        else tell(reason, n, source.place(row), value, columns, rules, called)
        for reason, n, row, value in reasons
    ]  # fmt: skip
    raise InputError(f"{source.label}: " + "; ".join(told))


def several_currencies(source: Header, n: int, row: int) -> str:
    """Return the refusal of amounts that cannot be added up."""
    rows = f"{n:,} row{'s' if n > 1 else ''} (first: {source.place(row)})"
    return (
        f"column {currency_of(source)!r}: several currencies; {rows} in another than the first by the alphabet: keep one with data.drop_rows, or "
        "convert the amounts and rename the column"
    )


def tell(reason: str, n: int, place: str, value: str, columns: Columns, rules: ReadingRules, called: str) -> str:
    """Return one reason as words: column, rows, the first of them, what to do."""
    rows = f"{n:,} row{'s' if n > 1 else ''} (first: {place})"
    got = f"{rows[:-1]}, {shortened(masked(value, reason))})"
    date, amount, customer = (repr(name) for name in (columns.date, columns.amount, columns.customer_id))
    margin = repr(columns.margin)
    match reason.removeprefix("error:"):
        case "no_customer":
            return f"column {customer}: no id in {rows}: fill it in or set data.missing_customer_id: drop"
        case "date_missing":
            how = " with data.drop_rows" if called == "transactions" else ""
            return f"column {date}: no date in {rows}: fill it in or leave the rows out{how}"
        case "date":
            wanted = rules.date_format or "YYYY-MM-DD"
            return f"column {date}: no date as {wanted} in {got}: {date_remedy(value)}"
        case "ancient":
            return f"column {date}: before 1970 in {got}: check {setting('date_format')}; or leave them out with data.start"
        case "future":
            return (
                f"column {date}: after today in {got}: check {setting('date_format')}; or leave them out with data.end"
            )
        case "amount_missing":
            return f"column {amount}: no amount in {rows}: fill it in or leave the rows out with data.drop_rows"
        case "amount":
            return f"column {amount}: not a number in {got}: {number_remedy(value, rules)}"
        case "amount_huge":
            return f"column {amount}: infinite or beyond 1e12 in {got}: mend the rows or use a larger unit"
        case "margin_missing":
            return f"column {margin}: no margin in {rows}: fill it in, or give data.margin_rate instead of the column"
        case "margin":
            return f"column {margin}: not a number in {got}: {number_remedy(value, rules)}"
        case "margin_huge":
            return f"column {margin}: infinite or beyond 1e12 in {got}: mend the rows or use a larger unit"
        case "quantity":
            return f"column {columns.quantity!r}: not a number in {got}: {number_remedy(value, rules)}"
        case "mixed_offsets":
            return f"column {date}: a UTC offset in {rows} but not in the others: write all of them one way"
        case "id_whitespace":
            return f"column {customer}: white space around, or control or invisible characters in, ids in {rows}: take them out"
        case "id_float":
            return f"column {customer}: ids written as floating-point numbers in {rows}: export them as text"
    raise AssertionError(reason)


def masked(value: str, reason: str) -> str:
    """Return a value as a message may repeat it: in a row whose fields are shifted it may be a customer's id.

    A date stays, and of amounts what is written like one; of anything else letters become x and digits 9.

    >>> masked("31/12/1997 approx", "error:date"), masked("$10", "error:amount"), masked("ann7@example.org", "error:date")
    ('31/12/1997 xxxxxx', '$10', 'xxx9@xxxxxxx.xxx')
    """
    told = DATE.match(value) or (None if reason == "error:date" else AMOUNT.match(value))
    kept = told[0] if told else ""
    return kept + "".join("9" if c.isnumeric() else "x" if c.isalpha() else c for c in value[len(kept) :])


def date_remedy(value: str) -> str:
    """Suggest a date_format."""
    head = ISH.match(value)
    if head is not None and len(head[1]) == 4:
        year_first = head[2].join(("%Y", "%m", "%d"))
        return f"no such day or hour, or text after it: mend the rows; or set {setting('date_format')} ({year_first!r})"
    if head is not None and len(head[4]) in (2, 4):
        year = "%Y" if len(head[4]) == 4 else "%y"
        day_first, month_first = (head[2].join(parts) for parts in (("%d", "%m", year), ("%m", "%d", year)))
        return f"set {setting('date_format')}: {day_first!r} if the day comes first, {month_first!r} if the month does"
    if re.fullmatch(r"\d+([.]\d+)?", value, re.ASCII):
        return "counts of days or seconds, and days that are none, are not read: write YYYY-MM-DD"
    return f"set {setting('date_format')} (as in '%d/%m/%Y'), or mend the rows"


def number_remedy(value: str, rules: ReadingRules) -> str:
    """Suggest a decimal mark."""
    other = "," if rules.decimal == "." else "."
    if other in value and rules.decimal not in value:
        return f"set decimal: {other!r} ({setting('decimal')}) if that is the mark; remove thousands separators"
    return "write plain numbers without currency signs or thousands separators"
