"""What cleaning did to a log, in numbers that add up, and what it refuses."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import pandas as pd

from churn_clv.data import engine
from churn_clv.data.contract import Columns, ReadingRules, Value, setting
from churn_clv.data.roles import currency_columns
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
# What of these is money, and no id or telephone number: a sign of a currency, brackets, a mark before digits, an exponent.
MONEY = re.compile(r"[$\u20ac\u00a3\u00a5()%]|[.,]\d|\de|inf", re.ASCII | re.IGNORECASE)
THOUSANDS = re.compile(r"[+-]?\d{1,3}([.,]\d{3})+", re.ASCII)
LONGEST = 700
COUNTED = re.compile("(^(?:exact duplicate|refund line|zero amount|line|sale|amount|event|time)|: empty cell$)")


@dataclass(frozen=True)
class CleaningStep:
    """One rule: how many rows it touched, how many of these it removed, and what was done."""

    rule: str
    rows: int
    removed: int
    action: str

    @property
    def told(self) -> str:
        """Return the step as words.

        >>> CleaningStep("zero amount", 80, 0, "kept as a purchase").told
        '80 zero amounts (kept as a purchase)'
        """
        rule = self.rule if self.rows == 1 else COUNTED.sub(r"\1s", self.rule)
        return f"{self.rows:,} {rule} ({self.action})"


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
    steps = [*removals(fates, rules), *duplicate_step(fates, counts, rules)]
    if columns.amount is not None:
        steps += money_steps(counts, rules)
    if columns.margin is not None:
        steps.append(CleaningStep("sale at a loss (margin < 0)", counts["losses"], 0, "kept; it lowers value"))
    if counts["like_thousands"]:
        like = f"amount written like 1{rules.decimal}234"
        steps.append(CleaningStep(like, counts["like_thousands"], 0, "read as 1 and 234 thousandths"))
    if counts["offsets"]:
        steps.append(offset_step(counts, rules))
    return CleaningReport(sum(fates.values()), fates.get(None, 0), tuple(steps))


def offset_step(counts: dict[str, int], rules: ReadingRules) -> CleaningStep:
    """Return the step that takes the days of times with an offset in one zone."""
    moved = f"{counts['moved']:,} of them another than is written"
    return CleaningStep(
        "time with a UTC offset", counts["offsets"], 0, f"day of {rules.timezone}, see timezone: {moved}"
    )


def removals(fates: dict[str | None, int], rules: ReadingRules) -> list[CleaningStep]:
    """Return the steps that leave rows out, in the order in which they apply."""
    named = {f"drop_rows:{i}": described(rule) for i, rule in enumerate(rules.drop_rows, start=1)}
    named["no_customer"] = "without a customer id"
    if rules.start is not None:
        named["before_start"] = f"before start {rules.start}"
    if rules.end is not None:
        named["after_end"] = f"after end {rules.end}"
    if rules.sample_customers is not None:
        named["outside_sample"] = f"of a customer outside the sample of {rules.sample_customers:,}"
    return [CleaningStep(text, fates.get(fate, 0), fates.get(fate, 0), "left out") for fate, text in named.items()]


def described(rule: Mapping[str, Sequence[Value]]) -> str:
    """Return a drop_rows rule as words, without its values: any column may name customers."""
    parts = [f"{name}, {len(values)} value{'s' if len(values) > 1 else ''}" for name, values in rule.items()]
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
    reasons = reasons_against(connection, source)
    if engine.run(connection, "SELECT count(*) FROM staged") == [(0,)]:
        raise InputError(f"{source.label}: has a header but no {called}")
    if not reasons:
        return
    told = [
        tell(reason, n, source.place(row), value, columns, rules, called)
        if not reason.startswith("error:currencies") else several_currencies(source, reason, n, row)
        for reason, n, row, value in reasons
    ]  # fmt: skip
    raise InputError(f"{source.label}: {joined(told)}")


def joined(told: list[str]) -> str:
    """Return the reasons as one message that is not endless: what is left over is counted."""
    kept = [text for i, text in enumerate(told) if i == 0 or len("; ".join(told[: i + 1])) <= LONGEST - 150]
    more = len(told) - len(kept)
    return "; ".join(kept) + (f"; and {more} more kind{'s' * (more > 1)} of faults" if more else "")


def reasons_against(connection: engine.Connection, source: Header) -> list[tuple[str, int, int, str]]:
    """Return why the staged lines cannot be used: each reason with its rows, the first of them and what stood there."""
    found = engine.run(connection, engine.query("refusals"))
    for place, name in enumerate(currency_columns(source), start=1):
        several = engine.run(connection, engine.query("currencies"), {"place": place})
        found += [(f"{reason}:{name}", n, row, value) for reason, n, row, value in several]
    return sorted(found, key=lambda reason: (reason[2], reason[0]))


def several_currencies(source: Header, reason: str, n: int, row: int) -> str:
    """Return the refusal of amounts that cannot be added up."""
    rows = f"{n:,} row{'s' if n > 1 else ''} (first: {source.place(row)})"
    return (
        f"column {shortened(reason.removeprefix('error:currencies:'), 80)}: several currencies; {rows} in another than the first by the "
        "alphabet: keep one with data.drop_rows in a config, or convert the amounts and rename the column"
    )


def tell(reason: str, n: int, place: str, value: str, columns: Columns, rules: ReadingRules, called: str) -> str:
    """Return one reason as words: column, rows, the first of them, what to do."""
    rows = f"{n:,} row{'s' if n > 1 else ''} (first: {place})"
    got = f"{rows[:-1]}, {shortened(masked(value, reason))})"
    date, amount, customer, margin, quantity = (
        shortened(name, 80)
        for name in (columns.date, columns.amount, columns.customer_id, columns.margin, columns.quantity)
    )
    match reason.removeprefix("error:"):
        case "no_customer":
            return f"column {customer}: no id in {rows}: fill it in or set data.missing_customer_id: drop in a config"
        case "date_missing":
            how = " with data.drop_rows in a config" if called == "transactions" else ""
            return f"column {date}: no date in {rows}: fill it in or leave the rows out{how}"
        case "date":
            wanted = rules.date_format or "YYYY-MM-DD"
            return f"column {date}: no date as {wanted} in {got}: {date_remedy(value)}"
        case "ancient":
            return f"column {date}: before 1970 in {got}: check {setting('date_format')}; or leave them out with data.start in a config"
        case "future":
            return (
                f"column {date}: after today in {got}: check {setting('date_format')}; or leave them out with data.end in a config, "
                "--end on the command line"
            )
        case "amount_missing":
            return f"column {amount}: no amount in {rows}: fill it in or leave the rows out with data.drop_rows in a config"
        case "amount":
            return f"column {amount}: not a number in {got}: {number_remedy(value, rules)}"
        case "amount_thousands":
            return (
                f"column {amount}: like 1{rules.decimal}234 in {rows}, and no amount has a mark elsewhere than before three digits: thousands "
                "or thousandths? Remove thousands separators, or write thousandths with another number of digits"
            )
        case "amount_huge":
            return f"column {amount}: infinite or beyond 1e12 in {got}: mend the rows or use a larger unit"
        case "margin_missing":
            return f"column {margin}: no margin in {rows}: fill it in, or give data.margin_rate instead of the column in a config"
        case "margin":
            return f"column {margin}: not a number in {got}: {number_remedy(value, rules)}"
        case "margin_huge":
            return f"column {margin}: infinite or beyond 1e12 in {got}: mend the rows or use a larger unit"
        case "quantity":
            return f"column {quantity}: not a number in {got}: {number_remedy(value, rules)}"
        case "mixed_offsets":
            return f"column {date}: a UTC offset in {rows} but not in the others: write all of them one way"
        case "id_whitespace":
            return f"column {customer}: white space around, or control, lost (\ufffd) or invisible characters in, ids in {rows}: take them out"
        case "id_formula":
            return f'column {customer}: ids written as formulas of a spreadsheet (="...") in {rows}: write them without = and quotes'
        case "id_float":
            return f"column {customer}: ids written as floating-point numbers in {rows}: export them as text"
    raise AssertionError(reason)


def masked(value: str, reason: str) -> str:
    """Return a value as a message may repeat it: in a row whose fields are shifted it may be a customer's id.

    A date stays, and of amounts what is written like money; of anything else letters become x and digits 9.

    >>> masked("31/12/1997 approx", "error:date"), masked("$10", "error:amount"), masked("4711-", "error:amount")
    ('31/12/1997 xxxxxx', '$10', '9999-')
    """
    is_money = reason != "error:date" and MONEY.search(value)
    told = DATE.match(value) or (AMOUNT.match(value) if is_money else None)
    kept = told[0] if told else ""
    return kept + "".join("9" if c.isnumeric() else "x" if c.isalpha() else c for c in value[len(kept) :])


def date_remedy(value: str) -> str:
    """Suggest a date_format."""
    head = ISH.match(value)
    if re.fullmatch(r"\d{4}/\d\d/\d\d[ T]\d\d:\d\d:\d\d ?(Z|[+-]\d\d(:?\d\d)?)", value, re.ASCII):
        return f"set {setting('date_format')}: '%Y/%m/%d{value[10]}%H:%M:%S%z'"
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
    if THOUSANDS.fullmatch(value):
        return "remove thousands separators; thousandths need another number of digits to be told from them"
    if re.fullmatch(r"[(].*[)]|.*[-\u2212]", value):
        return "write a minus before the number, without brackets, currency signs or thousands separators"
    if other in value and rules.decimal not in value:
        return f"set decimal: {other!r} ({setting('decimal')}) if that is the mark; remove thousands separators"
    return "write plain numbers without currency signs or thousands separators"
