"""`churn-clv check` tells what training would refuse and what may surprise, all at once, and leaves no trace."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable
from contextlib import nullcontext
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pandas as pd
import pytest
import yaml

from churn_clv import cli
from churn_clv.checks.contracts import tells
from churn_clv.checks.findings import Finding
from churn_clv.checks.run import check
from churn_clv.contractual import open_contracts
from churn_clv.contractual_config import load_run
from churn_clv.data.simulate import simulate_log
from churn_clv.delivery import store
from churn_clv.delivery.store_look import look_at_store
from churn_clv.errors import InputError
from churn_clv.fits import Methods, fit_models
from churn_clv.terminal import train_and_log
from churn_clv.train import open_evidence, resolved_windows

CANARY = "canary-7f3a@example.org"
END = date(2024, 12, 30)
Change = Callable[[dict[str, Any], Path], None]


@pytest.fixture(scope="module")
def log() -> pd.DataFrame:
    """600 customers over two years, every one of whom has the canary's address as the end of the id."""
    drawn = simulate_log(customers=600, seed=3, arrival_days=600)
    return drawn.assign(customer_id=drawn["customer_id"] + "-" + CANARY)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and a store that is not there yet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.delenv("CHURN_CLV_PSEUDONYM_KEY", raising=False)
    return tmp_path


def sound(folder: Path, log: pd.DataFrame) -> dict[str, Any]:
    """Write the log and return a config that trains on it."""
    log.to_parquet(folder / "log.parquet")
    return {
        "name": "shop",
        "data": {"path": "log.parquet", "currency": "EUR", "threads": 1},
        "windows": {"calibration_end": date(2024, 6, 30), "holdout_end": date(2024, 12, 15)},
        "churn": {"method": "purchase_model"},
        "value": {"method": "hurdle"},
        "evaluation": {"bootstrap_samples": 20},
    }


def written(content: dict[str, Any], folder: Path) -> Path:
    path = folder / "shop.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def told(findings: list[Finding], level: str) -> list[str]:
    return [f"{found.where}: {found.what}" for found in findings if found.level == level]


def of_log(change: Callable[[pd.DataFrame], pd.DataFrame], **data: Any) -> Change:
    """Change the lines of the log, and keys of the section data."""

    def apply(content: dict[str, Any], folder: Path) -> None:
        change(pd.read_parquet(folder / "log.parquet")).to_parquet(folder / "log.parquet")
        content["data"] |= data

    return apply


def of_config(**sections: Any) -> Change:
    def apply(content: dict[str, Any], folder: Path) -> None:
        for name, keys in sections.items():
            content[name] = {**content.get(name, {}), **keys} if isinstance(keys, dict) else keys

    return apply


def with_table(key: str, make: Callable[[pd.Index], pd.DataFrame], **sections: Any) -> Change:
    """Write a table of the log's customers and name it in data.attributes, data.events or actions.save_rates."""

    def apply(content: dict[str, Any], folder: Path) -> None:
        ids = pd.Index(pd.read_parquet(folder / "log.parquet")["customer_id"].unique(), name="customer_id")
        make(ids).to_parquet(folder / "table.parquet")
        section, name = key.split(".")
        given: Any = "table.parquet" if name == "save_rates" else {"path": "table.parquet"}
        of_config(**sections)(content, folder)
        content.setdefault(section, {})[name] = given

    return apply


def column(name: str, values: Callable[[int], Any]) -> Callable[[pd.Index], pd.DataFrame]:
    return lambda ids: pd.DataFrame({"customer_id": ids, name: values(len(ids))})


def one_each(log: pd.DataFrame) -> pd.DataFrame:
    return log.drop_duplicates("customer_id")


def csv_of(text: str) -> Change:
    def apply(content: dict[str, Any], folder: Path) -> None:
        (folder / "log.csv").write_text(text)
        content["data"]["path"] = "log.csv"

    return apply


def file_at(name: str, change: Change = lambda content, folder: None) -> Change:
    """Put a file where a folder, a playbook or a store is wanted."""

    def apply(content: dict[str, Any], folder: Path) -> None:
        (folder / name).write_text("a: file\n" * 200)
        change(content, folder)

    return apply


REFUSED: dict[str, tuple[Change, str]] = {
    "unknown key": (of_config(churn={"methd": "auto"}), "churn.methd: unknown key (did you mean 'method'?)"),
    "no section windows": (lambda content, folder: content.pop("windows"), "windows: missing"),
    "no such log": (of_config(data={"path": "lgo.parquet"}), "data.path: lgo.parquet: no such file (did you mean"),
    "no such column": (of_config(data={"columns": {"amount": "revenue"}}), "data.path: log.parquet: no column 'revenue' for amount"),
    "no line": (csv_of("customer_id,date,amount\n"), "data.path: log.csv: has a header but no transactions"),
    "no dates": (of_log(lambda log: log.assign(date="soon")), "data.path: log.parquet: column 'date': no date as YYYY-MM-DD in"),
    "holdout after the log": (of_config(windows={"holdout_end": date(2025, 6, 1)}), "windows.holdout_end: 2025-06-01 is"),
    "calibration before the log": (
        of_config(windows={"calibration_end": date(2020, 1, 1)}), "windows.calibration_end: 2020-01-01 is outside"),
    "label after calibration": (
        of_config(windows={"label_cutoffs": [date(2024, 6, 1)]}), "windows.label_cutoffs: 2024-06-01 with a horizon"),
    "too few customers": (
        of_log(lambda log: log[log["customer_id"].isin(log["customer_id"].unique()[:15])], end=END), "windows.calibration_end: only"),
    "nobody bought twice": (of_log(one_each, end=END), "windows.calibration_end: none of the"),
    "nobody bought twice by the cutoffs": (
        of_config(windows={"label_cutoffs": [date(2023, 1, 3)]}, data={"start": date(2023, 1, 2)}),
        "windows.label_cutoffs: nothing can be learned at 2023-01-03"),
    "all amounts nil": (of_log(lambda log: log.assign(amount=0.0)), "data.columns.amount: no spend model: nobody has a positive"),
    "no playbook": (
        file_at("plan.yaml", of_config(actions={"playbook": "plan.yaml"})), "actions.playbook: plan.yaml, line"),
    "save rates of too few": (
        with_table("actions.save_rates", lambda ids: column("save_rate", lambda n: 0.1)(ids[:5])),
        "actions.save_rates: table.parquet:"),
    "budget without amounts": (
        of_config(data={"columns": {"amount": None}, "currency": None}, actions={"budget": 10.0}),
        "actions.budget: money means nothing"),
    "no column of costs": (
        of_config(segments={"cost_to_serve": "costs"}), "segments.cost_to_serve: no column 'costs' among the attributes"),
    "a customer twice": (
        with_table("data.attributes", lambda ids: column("age", lambda n: 40)(ids.append(ids[:3]))),
        "data.attributes.path: table.parquet: 3 rows repeat a customer"),
    "an attribute called like a feature": (
        with_table("data.attributes", column("frequency", lambda n: 1.0)), "data.attributes: the columns ['frequency']"),
    "an infinite attribute": (
        with_table("data.attributes", column("age", lambda n: np.where(np.arange(n) % 9, 30.0, np.inf))),
        "data.attributes.path: table.parquet: infinite numbers: 'age' in "),
    "names among the attributes": (
        with_table("data.attributes", column("name", lambda n: [f"Ms {k}" for k in range(n)])),
        "data.attributes.path: table.parquet: more than 50 different texts in 'name'"),
    "a wallet smaller than the spend": (
        with_table("data.attributes", column("wallet", lambda n: 0.01), segments={"total_spend": "wallet"}),
        "segments.total_spend: the column 'wallet'"),
    "events without a date": (
        with_table("data.events", column("kind", lambda n: "visit")), "data.events.path: table.parquet: no column 'date'"),
    "runs is a file": (file_at("runs"), "--out: runs/shop: cannot be written"),
    "spill directory is a file": (
        file_at("spill", of_config(data={"spill_directory": "spill"})), "data.spill_directory: spill: cannot be written"),
    "store is no database": (file_at("mlflow.db"), "MLFLOW_TRACKING_URI: the store sqlite:///"),
}  # fmt: skip

# What training refuses in the very function that refuses another case.
ALIKE = {
    "no such column", "no line", "calibration before the log", "label after calibration", "a customer twice", "names among the attributes",
    "no column of costs",
}  # fmt: skip


def thinned(log: pd.DataFrame, start: str, end: str) -> pd.DataFrame:
    return log[~log["date"].between(start, end)]


def twice_a_month(log: pd.DataFrame) -> pd.DataFrame:
    """One customer after another, each of whom buys twice a month."""
    days = pd.date_range("2023-01-15", "2024-12-30", freq="SMS")
    ids = log["customer_id"].unique()[:60]
    return pd.DataFrame(
        {
            "customer_id": np.repeat(ids, len(days)),
            "date": np.tile(days, len(ids)),
            "amount": 1.0 + np.arange(len(ids) * len(days)) % 7,
        }
    )


def spend_by_frequency(log: pd.DataFrame) -> pd.DataFrame:
    return log.assign(amount=log.groupby("customer_id")["date"].transform("count") * 10.0)


def imported(log: pd.DataFrame) -> pd.DataFrame:
    first = log["customer_id"].unique()[:300]
    return pd.concat([log, pd.DataFrame({"customer_id": first, "date": pd.Timestamp("2023-01-01"), "amount": 5.0})])


def began_earlier(log: pd.DataFrame) -> pd.DataFrame:
    days = pd.to_datetime("2023-01-01") + pd.to_timedelta(np.arange(200) % 28, "D")
    return pd.concat(
        [log, pd.DataFrame({"customer_id": log["customer_id"].unique()[-200:], "date": days, "amount": 5.0})]
    )


def mostly_once(log: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([one_each(log), log[log["customer_id"].isin(log["customer_id"].unique()[:20])]])


SURPRISING: dict[str, tuple[Change, str]] = {
    "nearly all bought once": (of_log(mostly_once), "windows.calibration_end: 9"),
    "sales as refunds": (
        of_log(lambda log: log.assign(amount=log["amount"].where(log.index % 3 > 0, -1.0))), "data.columns.amount: "),
    "an import day": (of_log(imported), "log.parquet: 3"),
    "customers before the log": (of_log(began_earlier), "log.parquet: 2"),
    "one price": (of_log(lambda log: log.assign(amount=5.0)), "data.columns.amount: every line has the same"),
    "spend goes with frequency": (of_log(spend_by_frequency), "data.columns.amount: spend and frequency correlate by"),
    "a horizon longer than history": (
        of_config(windows={"calibration_end": date(2023, 6, 30), "holdout_end": date(2024, 6, 30)}),
        "windows.holdout_end: the horizon of 366 days is longer than the 181 days"),
    "few customers, all of whom buy": (
        of_log(twice_a_month), "windows.holdout_end: of the customers of the holdout, all 60 bought"),
    "attributes of strangers": (
        with_table("data.attributes", lambda ids: pd.DataFrame({"customer_id": ["x", "y"], "age": [3, 4]})),
        "data.attributes: 1 column (age) for 0 of 600 customers (0%): are the ids written as in the log?"),
    "events too rare": (
        with_table("data.events", lambda ids: pd.DataFrame({"customer_id": ids[:4], "date": pd.Timestamp("2023-05-01")})),
        "data.events: 4 of 4 events are of 4 customers of the log (1%); kinds: none"),
    "more memory than there is": (of_config(data={"memory_limit": "900TB"}), "data.memory_limit: 900TB is more than"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_training_refuses_is_an_error(
    place: Path, log: pd.DataFrame, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    change, line = REFUSED[case]
    content = sound(place, log)
    change(content, place)
    path = written(content, place)
    findings = check(path, [], Path("runs"))
    assert [text for text in told(findings, "error") if text.startswith(line)], told(findings, "error")
    assert len(told(findings, "error")) == 1
    assert CANARY not in str(findings)
    if case in ALIKE:
        return
    if "store" not in case:
        monkeypatch.setattr("churn_clv.terminal.check_store", lambda: None)
        monkeypatch.setattr("churn_clv.terminal.check_experiment", lambda name: None)
    (said,) = [finding.what for finding in findings if finding.level == "error"]
    # The engine makes the folder at once, and says in other words that a file is in its place.
    with pytest.raises(InputError, match=re.escape(said.removesuffix(": spill is a file"))):
        train_and_log(load_run(path), Path("runs"))


@pytest.mark.parametrize("case", SURPRISING)
def test_what_may_surprise_is_a_warning(place: Path, log: pd.DataFrame, case: str) -> None:
    change, line = SURPRISING[case]
    content = sound(place, log)
    change(content, place)
    findings = check(written(content, place), [], Path("runs"))
    assert not told(findings, "error")
    assert [text for text in told(findings, "warning") if text.startswith(line)], told(findings, "warning")
    assert CANARY not in str(findings)


def test_a_sound_config_has_neither_errors_nor_warnings(place: Path, log: pd.DataFrame) -> None:
    findings = check(written(sound(place, log), place), [], Path("runs"))
    assert {found.level for found in findings} == {"note"}
    (windows,) = [found.what for found in findings if found.where == "windows"]
    assert windows == (
        "learns from 2023-01-01 to 2024-06-30 of 548 customers, first seen 0 to 546 days before; is judged on the 168 days "
        "to 2024-12-15; then learns again and scores as of 2024-12-30"
    )


def test_faults_of_every_part_are_told_at_once(place: Path, log: pd.DataFrame) -> None:
    content = sound(place, log)
    of_config(
        churn={"methd": "auto"}, grid={"risk_cuts": [0.9, 0.3]}, actions={"playbook": "plan.yaml", "save_rates": "rates.csv"},
        segments={"cost_to_serve": "costs"},
        windows={"label_cutoffs": [date(2024, 6, 1)], "score_as_of": date(2026, 1, 1)},
    )(content, place)  # fmt: skip
    with_table("data.events", column("kind", lambda n: "visit"))(content, place)
    (place / "runs").write_text("a file")
    found = check(written(content, place), ["value.purchase_model=bg"], Path("runs"))
    assert {finding.where for finding in found if finding.level == "error"} == {
        "churn.methd", "grid.risk_cuts", "value.purchase_model", "actions.playbook", "actions.save_rates",
        "segments.cost_to_serve", "windows.label_cutoffs", "windows.score_as_of", "data.events.path", "--out",
    }  # fmt: skip


CONTRACTS: dict[str, tuple[dict[str, Any], str, str]] = {
    "sound": ({}, "note", "contracts.parquet: 600 customers, of whom 200 left (33.3%); 3 columns to learn from"),
    "no churn column": ({"churn": "left"}, "error", "contract.path: contracts.parquet: no column 'left'"),
    "never churned": ({"churned_value": "gone"}, "error", "contract.path: contracts.parquet: 'churn' holds"),
    "no such file": ({"path": "nowhere.parquet"}, "error", "contract.path: nowhere.parquet: no such file"),
    "a column from after the end": (
        {"ignore": []},
        "warning",
        "contract.ignore: alone nearly tells who left (AUC above 0.98)",
    ),
}


@pytest.mark.parametrize("case", CONTRACTS)
def test_contracts_are_looked_at_alike(place: Path, case: str) -> None:
    keys, level, line = CONTRACTS[case]
    left = np.arange(600) % 3 == 0
    table = pd.DataFrame({"customer_id": [f"{k}-{CANARY}" for k in range(600)], "churn": np.where(left, "Yes", "No"),
                          "value": np.arange(600) % 40 + 10.0, "plan": np.where(np.arange(600) % 7, "a", "b"),
                          "months": np.arange(600) % 50, "reason": np.where(left, "moved", None)})  # fmt: skip
    table.to_parquet(place / "contracts.parquet")
    contract = {"path": "contracts.parquet", "value": "value", "ignore": ["reason"], **keys}
    path = written({"name": "shop", "contract": contract}, place)
    findings = check(path, [], Path("runs"))
    assert [text for text in told(findings, level) if text.startswith(line)], findings
    assert level == "error" or not told(findings, "error")
    assert CANARY not in str(findings)
    if level == "error":
        (said,) = [finding.what for finding in findings if finding.level == "error"]
        with pytest.raises(InputError, match=re.escape(said)):
            open_contracts(load_run(path))


def strange_in_every_way(log: pd.DataFrame) -> pd.DataFrame:
    """A gap in summer, no Christmas, a quarter of the lines twice, an eighth without a customer, ids spelt in two ways, one huge amount."""
    log = pd.concat([log, log.assign(customer_id="of-" + log["customer_id"])], ignore_index=True)
    log = thinned(thinned(log, "2023-08-01", "2023-09-20"), "2024-12-24", "2024-12-29").reset_index(drop=True)
    ids = log["customer_id"].where(log.index % 2 == 0, "0" + log["customer_id"].str.upper())
    log = log.assign(customer_id=ids.where(log.index % 8 > 0, None), amount=log["amount"].where(log.index != 3, 1e6))
    return pd.concat([log, log.iloc[: len(log) // 4]])


def test_a_log_that_is_strange_in_many_ways_is_told_of_each(place: Path, log: pd.DataFrame) -> None:
    content = sound(place, log)
    of_log(strange_in_every_way, end=END)(content, place)
    found = told(check(written(content, place), [], Path("runs")), "warning")
    lines = strange_in_every_way(log)
    known = lines.dropna()
    days, ids = known["date"].drop_duplicates().sort_values(), known["customer_id"].drop_duplicates()
    week = known[known["date"] > "2024-12-23"].drop_duplicates(["customer_id", "date"])
    gap_ends = days[days > "2023-08-01"].min()
    begins = (
        f"data.columns.customer_id: {len(lines) - len(known):,} of {len(lines):,} lines (1",
        f"data.duplicates: {known.duplicated().sum():,} of {len(lines):,} lines (",
        f"log.parquet: a gap of more than 14 days without a purchase of anybody, the longest from 2023-07-31 to {gap_ends:%Y-%m-%d}",
        f"log.parquet: {len(week)} purchases in the week to 2024-12-30, ",
        f"data.columns.customer_id: {len(ids) - ids.str.lower().str.lstrip('0').nunique():,} ids differ",
        f"data.columns.amount: one customer of {len(ids):,} brings ",
    )
    assert len(found) == len(begins), found
    for line, begin in zip(found, begins, strict=True):
        assert line.startswith(begin)


def test_settings_without_an_effect_are_told(place: Path, log: pd.DataFrame) -> None:
    content = sound(place, log)
    with_table(
        "data.attributes", column("age", lambda n: 40), churn={"num_leaves": 4},
        data={"use_attributes": False, "delimiter": ";", "columns": {"amount": None}},
    )(content, place)  # fmt: skip
    assert told(check(written(content, place), [], Path("runs")), "warning") == [
        "data.attributes: has no effect: data.use_attributes is false",
        "data.currency: has no effect: the log has no amounts (data.columns.amount: null), so purchases are counted",
        "data.delimiter: has no effect: the log is Parquet, which has none",
        "churn.num_leaves: has no effect: no method of this run grows trees (churn.method, value.method)",
    ]


def test_attributes_that_tell_nothing_or_too_much_are_told(place: Path, log: pd.DataFrame) -> None:
    content = sound(place, log)

    def table(ids: pd.Index) -> pd.DataFrame:
        return pd.DataFrame({"customer_id": ids, "country": "NL", "phone": np.arange(len(ids)) + 7_000_000})

    with_table("data.attributes", table)(content, place)
    assert told(check(written(content, place), [], Path("runs")), "warning") == [
        "data.attributes: the same for every customer, so nothing is learned from: country",
        "data.attributes: a different whole number for every customer, as ids are: phone; leave them out",
    ]


def test_a_column_tells_by_its_value_its_categories_or_its_gaps() -> None:
    churned = pd.Series([1.0, 1.0, 0.0, 0.0])
    assert tells(pd.Series([4.0, 3.0, 2.0, 1.0]), churned) == 1.0
    assert tells(pd.Series([None, None, 2.0, 9.0]), churned) == 1.0
    assert tells(pd.Series(["a", "b", "a", "b"]), churned) == 0.5


@pytest.fixture
def call(place: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    """Run the program; what it prints, and its exit code."""

    def run(*arguments: object) -> tuple[int, list[str]]:
        monkeypatch.setattr("sys.argv", ["churn-clv", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        return int(stop.value.code or 0), capfd.readouterr().out.splitlines()

    return run


def test_a_check_writes_nothing_and_says_in_one_line_each_what_it_found(call, place: Path, log: pd.DataFrame) -> None:
    path = written(sound(place, log), place)
    before = sorted(place.rglob("*"))
    code, lines = call("check", path)
    assert code == 0
    assert sorted(place.rglob("*")) == before
    assert all(line.startswith("note    ") for line in lines[:-1])
    assert (
        lines[-1]
        == f"{path}: 0 errors, 0 warnings, {len(lines) - 1} notes: nothing stands in the way of churn-clv train"
    )


def test_a_spill_directory_is_not_made(place: Path, log: pd.DataFrame) -> None:
    check(written(sound(place, log), place), [f"data.spill_directory={place}/new/spill"], Path("runs"))
    assert not (place / "new").exists()


def test_an_error_is_exit_code_2_and_stands_first(call, place: Path, log: pd.DataFrame) -> None:
    content = sound(place, log)
    of_config(churn={"methd": "auto"})(content, place)
    code, lines = call("check", written(content, place))
    assert code == 2
    assert lines[0] == "error   churn.methd: unknown key (did you mean 'method'?)"
    assert lines[-1].endswith("churn-clv train would fail")


@pytest.mark.parametrize("text", ["name: [", "name: a\nname: b\n", "- a list\n", ""])
def test_what_is_no_config_is_one_error(call, place: Path, text: str) -> None:
    (place / "shop.yaml").write_text(text)
    code, lines = call("check", "shop.yaml")
    assert code == 2
    assert lines[0].startswith("error   shop.yaml")
    assert not [line for line in lines[1:] if line.startswith("error")]


def test_a_store_that_is_there_is_left_as_it_is(place: Path, log: pd.DataFrame, empty_store: str, monkeypatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", empty_store)
    file = Path(empty_store.removeprefix("sqlite:///"))
    before = (file.read_bytes(), sorted(file.parent.iterdir()))
    findings = check(written(sound(place, log), place), [], Path("runs"))
    assert f"MLFLOW_TRACKING_URI: {empty_store} answers" in told(findings, "note")
    assert (file.read_bytes(), sorted(file.parent.iterdir())) == before


ADDRESSES = [
    "sqlite:///{store}?timeout=20",
    "sqlite+pysqlite:///{store}",
]


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("folder", ["plain", "a#b %20?"])
def test_a_store_is_found_however_its_address_is_written(
    tmp_path: Path, empty_store: str, monkeypatch: pytest.MonkeyPatch, address: str, folder: str
) -> None:
    (tmp_path / folder).mkdir()
    shutil.copy(empty_store.removeprefix("sqlite:///"), tmp_path / folder / "ml.db")
    uri = address.format(store=quote(str(tmp_path / folder / "ml.db")))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    before = sorted(tmp_path.rglob("*"))
    assert look_at_store() == f"{uri} answers"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri.replace("ml.db", "new.db"))
    assert look_at_store().endswith("is not there yet; the first run makes it")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_store_in_memory_and_one_in_a_folder_are_told_as_what_they_are(place: Path, monkeypatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite://")
    assert look_at_store() == "sqlite:// is in memory: what a run logs there is gone when the program ends"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "mlruns")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    assert look_at_store().startswith("mlruns was not looked at")
    assert not list(place.iterdir())


def test_runs_that_a_dead_process_left_at_a_server_are_not_ended_by_a_look(place: Path, monkeypatch) -> None:
    monkeypatch.setattr(store, "prepared_store", nullcontext)
    monkeypatch.setattr("mlflow.search_experiments", lambda max_results: [])
    ended: list[bool] = []
    monkeypatch.setattr(store, "end_dead_runs", lambda: ended.append(True))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9/")
    assert look_at_store() == "http://127.0.0.1:9/ answers"
    assert not ended
    store.check_store()
    assert ended == [True]


@pytest.mark.parametrize("text", ["4.5", "abc", ""])
def test_a_patience_that_mlflow_cannot_read_is_named(place: Path, monkeypatch, text: str) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9/")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", text)
    with pytest.raises(InputError, match=f"^MLFLOW_HTTP_REQUEST_TIMEOUT: '{text}' is not a whole number"):
        store.check_store()


def test_attributes_of_every_type_are_without_errors(place: Path, log: pd.DataFrame) -> None:
    content = sound(place, log)

    def table(ids: pd.Index) -> pd.DataFrame:
        n = np.arange(len(ids))
        some = n % 3 > 0
        return pd.DataFrame({
            "customer_id": ids, "day": pd.Timestamp("2020-01-01") + pd.to_timedelta(n % 40, "D"), "member": n % 2 == 0,
            "region": np.where(some, "north", None), "age": np.where(some, n % 70, np.nan), "nothing": None,
        })  # fmt: skip

    with_table("data.attributes", table)(content, place)
    path = written(content, place)
    assert not told(check(path, [], Path("runs")), "error")
    evidence = open_evidence(load_run(path), [])
    windows = resolved_windows(evidence.config, evidence.log)
    methods = Methods("purchase_model", "hurdle", {})
    fitted = fit_models(evidence, windows.calibration_end, windows.labels, methods)
    assert set(fitted.schemes.attributes) == {"member", "region", "age"}


def test_a_short_key_is_an_error_only_where_training_reads_it(place: Path, log: pd.DataFrame, monkeypatch) -> None:
    monkeypatch.setenv("CHURN_CLV_PSEUDONYM_KEY", "short")
    errors = [
        found.where for found in check(written(sound(place, log), place), [], Path("runs")) if found.level == "error"
    ]
    assert errors == ["CHURN_CLV_PSEUDONYM_KEY"]
    path = written({"name": "shop", "contract": {"path": "nowhere.parquet", "value": "value"}}, place)
    assert [found.where for found in check(path, [], Path("runs")) if found.level == "error"] == ["contract.path"]


@pytest.mark.parametrize("key", ["data.path", "data.attributes.path", "actions.save_rates", "contract.path"])
def test_a_home_folder_of_nobody_is_an_error(place: Path, log: pd.DataFrame, key: str) -> None:
    content = sound(place, log)
    if key == "contract.path":
        content = {"name": "shop", "contract": {"value": "value"}}
    findings = check(written(content, place), [f"{key}=~nosuchuser/x.csv"], Path("runs"))
    (said,) = told(findings, "error")
    assert said.startswith(f"{key}: ")
    assert "there is no such home folder" in said


def test_a_day_that_no_calendar_has_hides_no_other_fault(place: Path, log: pd.DataFrame) -> None:
    path = written(sound(place, log), place)
    path.write_text(path.read_text().replace("2024-06-30", "2024-13-01") + "typo: 1\n")
    errors = told(check(path, [], Path("runs")), "error")
    assert len(errors) == 2
    assert errors[0].startswith("windows.calibration_end: input should be a valid date; got '2024-13-01': no such day")
    assert "typo: unknown key" in errors[1]


def test_spark_that_is_not_installed_is_told_at_the_key_of_the_engine(
    place: Path, log: pd.DataFrame, monkeypatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyspark.sql", None)
    findings = check(written(sound(place, log), place), ["data.engine=spark"], Path("runs"))
    assert [found.where for found in findings if found.level == "error"] == ["data.engine"]


def test_a_password_of_the_store_is_not_repeated(place: Path, log: pd.DataFrame, monkeypatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:canary-secret@127.0.0.1:9/")
    findings = check(written(sound(place, log), place), [], Path("runs"))
    (line,) = told(findings, "error")
    assert line.startswith("MLFLOW_TRACKING_URI: the store http://127.0.0.1:9/ does not answer")
    assert "canary-secret" not in str(findings)
