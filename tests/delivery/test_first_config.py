"""A first config is one that can be trained, or a reason why there is none."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import yaml

from churn_clv.config import load_config
from churn_clv.data.open_log import open_log
from churn_clv.delivery.first_config import write_first_config
from churn_clv.errors import InputError

HEADER = "customer_id,date,amount\n"


def refusal(folder: Path, content: bytes, name: str = "log.csv") -> str:
    """The one line for a log of these bytes; no config is written."""
    (folder / name).write_bytes(content)
    with pytest.raises(InputError) as caught:
        write_first_config(folder / name, folder / "first.yaml")
    assert not (folder / "first.yaml").exists()
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_guess_is_a_config_that_reads_the_log(tmp_path: Path) -> None:
    days = pd.date_range("2024-01-01", "2024-03-31").strftime("%d.%m.%Y")
    rows = "".join(f"{k % 9};{day};{k},50\n" for k, day in enumerate(days))
    (tmp_path / "log.csv").write_text("Kunde;Datum;Betrag\n" + rows)
    path, remarks = write_first_config(tmp_path / "log.csv", tmp_path / "first.yaml")
    data = load_config(path).data
    log = open_log("file", data.path, data.column_names(), data.reading_rules())
    assert (log.n_customers, str(log.first_day), str(log.last_day)) == (9, "2024-01-01", "2024-03-31")
    assert remarks[-1] == "log: 9 customers, 2024-01-01 to 2024-03-31"
    # 90 days lie between; a third of them is the holdout
    assert str(load_config(path).windows.calibration_end) == "2024-03-01"


def test_a_log_without_rows_says_so(tmp_path: Path) -> None:
    assert "has a header but no rows" in refusal(tmp_path, HEADER.encode())
    frame = pd.DataFrame({"customer_id": ["a"], "date": ["2024-01-01"], "amount": [1.0]}).head(0)
    assert "has a header but no rows" in refusal(tmp_path, frame.to_parquet(), "log.parquet")


@pytest.mark.parametrize(("last", "days"), [("2024-01-01", 0), ("2024-01-30", 29)])
def test_a_log_too_short_for_a_holdout_says_why(tmp_path: Path, last: str, days: int) -> None:
    message = refusal(tmp_path, f"{HEADER}a,2024-01-01,1\nb,{last},2\n".encode())
    assert f"runs from 2024-01-01 to {last}: {days} days between them are too few" in message
    assert "at least 30 are needed" in message


def test_a_log_of_30_days_is_long_enough(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(HEADER + "a,2024-01-01,1\nb,2024-01-31,2\n")
    path, _ = write_first_config(tmp_path / "log.csv", tmp_path / "first.yaml")
    assert str(load_config(path).windows.calibration_end) == "2024-01-21"


def test_local_days_of_a_parquet_log_are_kept(tmp_path: Path) -> None:
    # 23:30 in New York is the next day in UTC
    moments = pd.to_datetime(["2024-01-01 23:30", "2024-06-30 23:30"]).tz_localize("America/New_York")
    pd.DataFrame({"customer_id": ["a", "b"], "date": moments, "amount": 1.0}).to_parquet(tmp_path / "log.parquet")
    path, remarks = write_first_config(tmp_path / "log.parquet", tmp_path / "first.yaml")
    assert yaml.safe_load(path.read_text())["data"]["timezone"] == "America/New_York"
    assert remarks[-1] == "log: 2 customers, 2024-01-01 to 2024-06-30"


@pytest.mark.parametrize("zone", [None, "UTC", "+02:00"])
def test_no_zone_is_written_where_there_is_none_with_a_name(tmp_path: Path, zone: str | None) -> None:
    moments = pd.to_datetime(["2024-01-01 12:00", "2024-06-30 12:00"]).tz_localize(zone)
    pd.DataFrame({"customer_id": ["a", "b"], "date": moments, "amount": 1.0}).to_parquet(tmp_path / "log.parquet")
    path, _ = write_first_config(tmp_path / "log.parquet", tmp_path / "first.yaml")
    assert "timezone" not in yaml.safe_load(path.read_text())["data"]


@pytest.mark.parametrize("header", ["customer_id,date,amount,name", "customer_id,date,amount,na\u00efve"])
def test_a_log_that_is_not_utf_8_names_the_key_and_the_way(tmp_path: Path, header: str) -> None:
    message = refusal(tmp_path, f"{header}\na,2024-01-01,1,caf\u00e9\n".encode("cp1252"))
    assert "is not utf-8 text: set data.encoding" in message
    assert message.endswith("init only guesses: write a config with that key yourself")


def test_rows_that_cannot_be_read_are_not_repeated(tmp_path: Path) -> None:
    message = refusal(tmp_path, f'{HEADER}anna@example.org,2024-01-01,1\nb,"2024,1\n'.encode())
    assert "anna" not in message


def test_a_log_that_is_missing_or_a_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        write_first_config(tmp_path / "log.csv", tmp_path / "first.yaml")
    with pytest.raises(InputError, match="is a folder; give one of its files"):
        write_first_config(tmp_path, tmp_path / "first.yaml")
