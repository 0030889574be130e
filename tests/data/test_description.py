"""What models read at a cutoff: behaviour, events and attributes side by side, each missing where it is not known."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from churn_clv.data import engine
from churn_clv.data.contract import Columns, EventsTable, ReadingRules
from churn_clv.data.description import describe
from churn_clv.data.events import events_at
from churn_clv.data.feature_names import FEATURE_SETS, Description, event_columns
from churn_clv.data.features import features_at
from churn_clv.data.read_events import read_events
from churn_clv.data.transactions import TransactionLog, read_transactions

CUTOFFS = [date(2023, 8, 20), date(2024, 1, 15)]
KINDS = ("call", "visit")


@pytest.fixture(scope="module")
def events(odd_frame: pd.DataFrame) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    ids = rng.choice(odd_frame["customer_id"].unique(), 400)
    days = pd.Timestamp(2023, 3, 1) + pd.to_timedelta(rng.integers(0, 400, 400), unit="D")
    return pd.DataFrame({"customer_id": ids, "date": days, "kind": rng.choice(KINDS, 400)})


@pytest.fixture(scope="module")
def log(odd_frame: pd.DataFrame, events: pd.DataFrame) -> TransactionLog:
    room, rules = engine.connect(), ReadingRules()
    return read_events(
        events, read_transactions(odd_frame, Columns(), rules, room), EventsTable("", kind="kind"), rules
    )


@pytest.fixture(scope="module")
def attributes(odd_frame: pd.DataFrame) -> pd.DataFrame:
    ids = odd_frame["customer_id"].unique()[::3]
    return pd.DataFrame({"age": np.arange(ids.size) % 60, "city": "x"}, index=pd.Index(ids, name="customer_id"))


def test_all_three_stand_side_by_side_on_the_rows_of_the_features(log: TransactionLog, attributes: pd.DataFrame):
    found = describe(log, CUTOFFS, Description("behaviour", KINDS), attributes)
    features, met = features_at(log, CUTOFFS), events_at(log, CUTOFFS, KINDS)
    assert list(found.columns) == [*features.columns, *event_columns(KINDS), "age", "city"]
    assert found.index.equals(features.index)
    pd.testing.assert_frame_equal(found[features.columns], features, check_exact=True)
    pd.testing.assert_frame_equal(found[met.columns], met, check_exact=True)
    customers = found.index.get_level_values("customer_id")
    known = customers.isin(attributes.index)
    assert found.loc[~known, "age"].isna().all()
    assert (found.loc[known, "age"].to_numpy() == attributes.loc[customers[known], "age"].to_numpy()).all()


def test_events_of_a_log_that_comes_without_any_are_missing_and_not_none(odd_log: TransactionLog):
    """Nobody knows whether there were any: 0 would say that there were not."""
    found = describe(odd_log, CUTOFFS, Description("behaviour", KINDS), None)
    assert found[event_columns(KINDS)].isna().all(axis=None)
    assert found[event_columns(KINDS)].dtypes.eq("float64").all()


def test_a_kind_that_this_log_never_saw_counts_zero(log: TransactionLog):
    found = describe(log, CUTOFFS, Description("behaviour", ("complaint",)), None)
    assert (found["event_complaint_count"] == 0).all()
    assert found["event_complaint_days_since_last"].isna().all()


@pytest.mark.parametrize("feature_set", FEATURE_SETS)
def test_a_description_names_its_set_of_features(log: TransactionLog, feature_set: str):
    found = describe(log, CUTOFFS, Description(feature_set), None)
    pd.testing.assert_frame_equal(found, features_at(log, CUTOFFS, feature_set), check_exact=True)


def test_the_order_of_kinds_is_the_order_of_columns(log: TransactionLog):
    one = describe(log, CUTOFFS, Description("rfm", KINDS), None)
    other = describe(log, CUTOFFS, Description("rfm", KINDS[::-1]), None)
    assert list(one.columns) != list(other.columns)
    pd.testing.assert_frame_equal(one, other[one.columns], check_exact=True)


def test_attributes_are_not_written_to(log: TransactionLog, attributes: pd.DataFrame):
    before = attributes.copy()
    describe(log, CUTOFFS, Description("rich", KINDS), attributes)
    pd.testing.assert_frame_equal(attributes, before)
