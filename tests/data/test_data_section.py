"""What a config says of margins, events and attributes reaches the door, or is one error that names the key."""

from __future__ import annotations

from datetime import date

import pytest

from churn_clv.config import DataSection, parse_config
from churn_clv.data.contract import EventsTable
from churn_clv.errors import ConfigError

WINDOWS = {"calibration_end": date(2024, 1, 1), "holdout_end": date(2024, 7, 1)}


def section(**data: object) -> DataSection:
    return parse_config(
        {"name": "shop", "data": {"path": "log.csv"} | data, "windows": WINDOWS}, source="run.yaml"
    ).data


def test_margins_travel_with_the_columns_and_the_rules() -> None:
    assert section(columns={"margin": "profit"}).column_names().margin == "profit"
    assert section(margin_rate=0.25).reading_rules().margin_rate == 0.25
    assert section().reading_rules().margin_rate is None


def test_events_are_a_table_with_columns() -> None:
    assert section().events_table() is None
    events = section(events={"path": "e.csv", "date": "at", "kind": "what"}).events_table()
    assert events == EventsTable("e.csv", "customer_id", "at", "what")


def test_attributes_and_events_may_be_left_out() -> None:
    data = section(use_attributes=False, use_events=False)
    assert (data.use_attributes, data.use_events) == (False, False)
    assert (section().use_attributes, section().use_events) == (True, True)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"margin_rate": 30.0}, "data: margin_rate 30 is not within (0, 1]"),
        ({"margin_rate": 0.3, "columns": {"margin": "m"}}, "data: margin_rate 0.3 and the margin column 'm' are both given"),
        ({"margin_rate": 0.3, "columns": {"amount": None}}, "data: a margin is given for a log without amounts"),
        ({"events": {"kind": "what"}}, "data.events.path: missing"),
        ({"events": {"path": "e.csv", "kinds": "what"}}, "data.events.kinds: unknown key (did you mean 'kind'?)"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_by_its_key(data: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        section(**data)
    assert says in str(caught.value)


def test_a_packaged_data_set_may_have_a_margin_rate() -> None:
    data = section(source="cdnow", path=None, margin_rate=0.4)
    assert data.reading_rules().margin_rate == 0.4
