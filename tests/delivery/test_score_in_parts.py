"""Scoring in parts: the scores of one piece from every kind of input, kill -9 at any moment, two at once, memory."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from churn_clv.data.simulate import simulate_log
from churn_clv.data.transactions import read_transactions
from churn_clv.delivery.batch import score_file
from churn_clv.delivery.model_folder import model_files, read_model, write_model
from churn_clv.delivery.resumable import open_parts, parts_folder
from churn_clv.delivery.score_in_parts import score_in_parts, unseen_levels
from churn_clv.delivery.score_input import ScoreInput
from churn_clv.errors import InputError
from churn_clv.models.reasons import reasons
from churn_clv.score import without_unknown
from churn_clv.score_log import customer_table
from churn_clv.train import Run

AS_OF = date(2024, 12, 15)
IN_PARTS = (
    "import sys; from pathlib import Path; from churn_clv.delivery.score_in_parts import score_in_parts; "
    "from churn_clv.delivery.score_input import ScoreInput; "
    "m, i, o, n = sys.argv[1:]; score_in_parts(Path(m), ScoreInput(i), Path(o), part_rows=int(n))"
)


@pytest.fixture(scope="module")
def place(small_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, a log of 400 customers it has never seen, and their customer table in every form."""
    place = tmp_path_factory.mktemp("scoring")
    (place / "model").mkdir()
    config = small_run.config.data
    write_model(place / "model", model_files(small_run.models, config.column_names(), config.reading_rules(), {}))
    simulate_log(customers=400, seed=77).to_parquet(place / "log.parquet")
    model = read_model(place / "model")
    table = customer_table(model.models, read_transactions(place / "log.parquet"), AS_OF)
    table.to_parquet(place / "table.parquet")
    table.to_csv(place / "table.csv")
    table.to_csv(place / "table.csv.gz", sep=";", decimal=",")
    for number, half in enumerate((table.head(150), table.tail(-150))):
        folder = place / "hive" / f"date=2024-0{number + 1}"
        folder.mkdir(parents=True)
        half.to_parquet(folder / "customers.parquet")
    with sqlite3.connect(place / "shop.db") as shop:
        table.to_sql("customers", shop)
        pd.read_parquet(place / "log.parquet").astype({"date": "str"}).to_sql('a "log"', shop, index=False)
    return place


@pytest.fixture(scope="module")
def in_one_piece(place: Path) -> pd.DataFrame:
    """The scores that a process which holds everything at once gives."""
    return score_file(place / "model", place / "log.parquet", AS_OF, {}, {}, None).scores


def same_scores(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    """Every bit is the same but clv's: it is a sum over nodes by BLAS, whose order depends on the number of rows."""
    rest = [name for name in expected if name != "clv"]
    pd.testing.assert_frame_equal(found[rest], expected[rest], check_dtype=False, check_exact=True)
    np.testing.assert_allclose(found["clv"], expected["clv"], rtol=1e-13)


INPUTS = {
    "table.parquet": {},
    "table.csv": {},
    "table.csv.gz": {"decimal": ","},
    "hive": {},
    "log.parquet": {},
    "sqlite:///{place}/shop.db?table=customers": {},
    'sqlite:///{place}/shop.db?table=main.a "log"': {},
}


@pytest.mark.parametrize("source", INPUTS)
def test_every_kind_of_input_gives_the_scores_of_one_piece(
    place: Path, in_one_piece: pd.DataFrame, tmp_path: Path, source: str
) -> None:
    named = source.format(place=place) if "://" in source else str(place / source)
    out = tmp_path / "scores.parquet"
    outcome = score_in_parts(
        place / "model", ScoreInput(named, AS_OF, manner=INPUTS[source]), out, progress=print, part_rows=64
    )
    same_scores(pd.read_parquet(out), in_one_piece)
    assert (outcome.customers, outcome.resumed) == (len(in_one_piece), 0)
    assert (outcome.cleaning is not None) == ("log" in source)
    assert [path.name for path in tmp_path.iterdir()] == ["scores.parquet"]


def test_a_folder_and_a_csv_file_hold_the_same_scores(place: Path, in_one_piece: pd.DataFrame, tmp_path: Path) -> None:
    asked = ScoreInput(str(place / "table.parquet"), AS_OF)
    score_in_parts(place / "model", asked, tmp_path / "folder", part_rows=150)
    assert sorted(path.name for path in (tmp_path / "folder").iterdir()) == [f"part-0000{k}.parquet" for k in range(3)]
    same_scores(pd.read_parquet(tmp_path / "folder"), in_one_piece)
    score_in_parts(place / "model", asked, tmp_path / "scores.csv", part_rows=150)
    told = pd.read_csv(tmp_path / "scores.csv", dtype={"customer_id": "str"}, index_col="customer_id")
    same_scores(told, in_one_piece.assign(as_of=str(AS_OF)))
    with pytest.raises(InputError, match="folder: exists already; name a new folder"):
        score_in_parts(place / "model", asked, tmp_path / "folder")


def test_a_horizon_of_its_own_is_forecast_and_has_the_same_types(place: Path, tmp_path: Path) -> None:
    model = read_model(place / "model")
    expected = model.score(pd.read_parquet(place / "table.parquet"), "", 70)
    asked = ScoreInput(str(place / "table.parquet"))
    score_in_parts(place / "model", asked, tmp_path / "scores.parquet", 70, part_rows=100)
    same_scores(pd.read_parquet(tmp_path / "scores.parquet"), expected.assign(as_of=None))


def test_without_reasons_all_other_columns_stay(place: Path, in_one_piece: pd.DataFrame, tmp_path: Path) -> None:
    asked = ScoreInput(str(place / "table.parquet"), AS_OF)
    score_in_parts(place / "model", asked, tmp_path / "scores.parquet", with_reasons=False, part_rows=100)
    same_scores(pd.read_parquet(tmp_path / "scores.parquet"), in_one_piece.drop(columns="reasons"))


def test_kill_9_leaves_nothing_that_looks_whole_and_a_rerun_gives_the_same_bytes(place: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", IN_PARTS, str(place / "model"), str(place / "table.csv")]
    whole = tmp_path / "whole.csv"
    score_in_parts(place / "model", ScoreInput(str(place / "table.csv")), whole, part_rows=20)
    out = tmp_path / "scores.csv"
    room = tmp_path / ".scores.csv.partial"
    stopped = []
    for wanted in (0, 1, 12):  # killed on from where the last one was: before, between and behind the parts
        running = subprocess.Popen([*command, str(out), "20"])
        while running.poll() is None and len(list(room.glob("parts/part-*"))) < wanted:
            time.sleep(0.002)
        running.send_signal(signal.SIGKILL)
        assert running.wait() == -signal.SIGKILL
        assert not out.exists()
        stopped.append(len(list(room.glob("parts/part-*"))))
    assert stopped == sorted(stopped)
    assert stopped[-1] >= 12
    again = score_in_parts(place / "model", ScoreInput(str(place / "table.csv")), out, part_rows=20)
    assert again.resumed >= 11 * 20  # a part whose line in the journal was not written is scored once more
    assert again.customers == 400
    assert out.read_bytes() == whole.read_bytes()
    assert not room.exists()


def test_a_killed_run_over_a_log_is_gone_on_with(place: Path, in_one_piece: pd.DataFrame, tmp_path: Path) -> None:
    out = tmp_path / "scores.parquet"
    room = tmp_path / ".scores.parquet.partial"
    command = [sys.executable, "-c", IN_PARTS, str(place / "model"), str(place / "log.parquet"), str(out), "20"]
    running = subprocess.Popen(command)
    while running.poll() is None and len(list(room.glob("parts/part-*"))) < 3:
        time.sleep(0.002)
    running.send_signal(signal.SIGKILL)
    assert running.wait() == -signal.SIGKILL
    assert not out.exists()
    again = score_in_parts(place / "model", ScoreInput(str(place / "log.parquet")), out, part_rows=20)
    assert again.resumed >= 2 * 20
    same_scores(pd.read_parquet(out), score_file(place / "model", place / "log.parquet", None, {}, {}, None).scores)


def half_done(place: Path, out: Path, source: Path, **options: object) -> None:
    """Leave the first parts of some work, as a process that was killed does."""
    rows = pd.read_csv(source, dtype="str")
    rows.iloc[100:101, rows.columns.get_loc("T")] = ""  # the work stops here
    good = source.read_bytes()
    rows.to_csv(source, index=False)
    with pytest.raises(InputError, match="T: 1 of 40 rows are empty"):
        score_in_parts(place / "model", ScoreInput(str(source), **options), out, part_rows=40)  # type: ignore[arg-type]
    source.write_bytes(good)


def test_parts_of_another_input_are_not_taken(place: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "table.csv", tmp_path / "scores.csv"
    source.write_bytes((place / "table.csv").read_bytes())
    half_done(place, out, source)
    assert len(list((tmp_path / ".scores.csv.partial" / "parts").iterdir())) == 2
    outcome = score_in_parts(place / "model", ScoreInput(str(source)), out, part_rows=40)
    assert outcome.resumed == 0
    assert outcome.remarks == (
        "Parts of other work under this name (another model, input or option) were removed, and all was begun anew.",
    )
    whole = tmp_path / "whole.csv"
    score_in_parts(place / "model", ScoreInput(str(source)), whole, part_rows=40)
    assert out.read_bytes() == whole.read_bytes()


def test_a_part_or_a_line_of_the_journal_that_was_cut_short_is_not_taken(tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    with parts_folder(out) as room:
        parts = open_parts(out, room, {"work": 1}, ".csv")
        for text in ("first", "second", "third"):
            parts.add(lambda path, text=text: path.write_text(text), {"customers": 1})  # type: ignore[misc]
    journal = room / "journal.jsonl"
    lines = journal.read_text()
    journal.write_text(lines[:-3])
    with parts_folder(out) as room:
        assert open_parts(out, room, {"work": 1}, ".csv").resumed == 2
    assert len(journal.read_text().splitlines()) == 3
    parts.path(1).write_text("sec")
    with parts_folder(out) as room:
        assert open_parts(out, room, {"work": 1}, ".csv").resumed == 1
    told = [json.loads(line) for line in journal.read_text().splitlines()]
    assert told == [{"work": 1}, {"bytes": len("first"), "customers": 1}]
    assert [path.name for path in (room / "parts").iterdir()] == ["part-00000.csv"]


def test_of_two_processes_on_one_output_the_second_is_refused(place: Path, tmp_path: Path) -> None:
    out = tmp_path / "scores.csv"
    with parts_folder(out):
        command = [sys.executable, "-c", IN_PARTS, str(place / "model"), str(place / "table.csv"), str(out), "500"]
        second = subprocess.run(command, capture_output=True, text=True, check=False)
    assert second.returncode != 0
    assert second.stderr.splitlines()[-1].endswith("scores.csv: another process is writing it; nothing was overwritten")
    assert list(tmp_path.iterdir()) == []


def test_a_customer_who_stands_in_two_parts_is_refused(place: Path, tmp_path: Path) -> None:
    rows = pd.read_csv(place / "table.csv", dtype="str")
    pd.concat([rows, rows.head(3)]).to_csv(tmp_path / "twice.csv", index=False)
    with pytest.raises(InputError, match=r"twice.csv, rows 401 to 403: customer_id: 3 rows repeat a customer"):
        score_in_parts(place / "model", ScoreInput(str(tmp_path / "twice.csv")), tmp_path / "o.csv", part_rows=100)


def test_an_output_in_its_own_input_and_options_of_a_log_are_refused(place: Path, tmp_path: Path) -> None:
    model, table = place / "model", str(place / "table.csv")
    with pytest.raises(InputError, match="lies in the folder that is the input"):
        score_in_parts(model, ScoreInput(str(place / "hive")), place / "hive" / "scores.parquet")
    with pytest.raises(InputError, match="--events, --timezone: of a log; the input is a customer table"):
        score_in_parts(
            model, ScoreInput(table, events=place / "log.parquet", manner={"timezone": "UTC"}), tmp_path / "o.csv"
        )
    with pytest.raises(InputError, match="--memory-limit: 'lots' is no amount of memory"):
        score_in_parts(model, ScoreInput(str(place / "log.parquet"), memory_limit="lots"), tmp_path / "o.csv")
    pd.read_csv(table).head(0).to_csv(tmp_path / "none.csv", index=False)
    with pytest.raises(InputError, match=r"none.csv: holds no customers"):
        score_in_parts(model, ScoreInput(str(tmp_path / "none.csv")), tmp_path / "o.csv")
    pd.read_csv(table).rename(columns={"mean_amount": "mean_amnt"}).to_csv(tmp_path / "odd.csv", index=False)
    with pytest.raises(InputError, match=r"mean_amount \(did you mean 'mean_amnt'\?\): the model reads this column"):
        score_in_parts(model, ScoreInput(str(tmp_path / "odd.csv")), tmp_path / "o.csv")
    assert not list(tmp_path.glob(".*"))


def test_ids_are_kept_exactly_and_other_names_of_the_id_column_are_taken(place: Path, tmp_path: Path) -> None:
    rows = pd.read_csv(place / "table.csv", dtype="str").head(3).assign(customer_id=["007", "1e5", "NaT9"])
    rows.rename(columns={"customer_id": "Client"}).to_csv(tmp_path / "named.csv", index=False)
    asked = ScoreInput(str(tmp_path / "named.csv"), columns={"customer_id": "Client"})
    score_in_parts(place / "model", asked, tmp_path / "o.parquet")
    assert pd.read_parquet(tmp_path / "o.parquet").index.tolist() == ["007", "1e5", "NaT9"]


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("sqlite:///{place}/shop.db?table=custmers", r"no table 'custmers' \(did you mean 'customers'\?\)"),
        ("sqlite:///{place}/gone.db?table=customers", "gone.db: no such file"),
        ("sqlite:///{place}/shop.db", r"names no table: end it in \?table=NAME"),
        ("postgresql+psycopg://me:canary@127.0.0.1:1/db?table=t", "connection failed"),
        ("mysql+pymysql://me:canary@127.0.0.1:1/db?table=t", "install the Python package 'pymysql'"),
        ("oh+no://me:canary@127.0.0.1:1/db?table=t", "SQLAlchemy knows no such kind of database"),
    ],
)
def test_a_database_that_does_not_answer_is_one_line_without_credentials(
    place: Path, tmp_path: Path, url: str, says: str
) -> None:
    with pytest.raises(InputError, match=says) as refused:
        score_in_parts(place / "model", ScoreInput(url.format(place=place)), tmp_path / "o.csv")
    assert "canary" not in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_customers_with_a_level_that_no_training_knew_are_counted(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "churn_clv.delivery.score_in_parts.attribute_levels", lambda models: {"region": ["1", "2"], "kind": ["a"]}
    )
    table = pd.DataFrame({"region": [1, 2, 3, 4], "kind": ["a", None, "a", "a"]})
    assert unseen_levels(read_model(place / "model").models, table) == {"region": 2}


def test_reasons_of_a_customer_without_known_events_do_not_depend_on_the_others_in_the_part() -> None:
    added = pd.DataFrame({"start": 1.0, "event_visit_count": [0.9, 0.9], "overdue_ratio": [0.3, 0.3]}, ["a", "b"])
    inputs = pd.DataFrame({"event_visit_count": [np.nan, 2.0], "overdue_ratio": [3.0, 3.0]}, ["a", "b"])
    together = reasons(without_unknown(added, inputs, ["event_visit_count"]), inputs)
    alone = [
        reasons(without_unknown(added.loc[[c]], inputs.loc[[c]], ["event_visit_count"]), inputs.loc[[c]]) for c in "ab"
    ]
    pd.testing.assert_series_equal(together, pd.concat(alone))
    unread = reasons(added.drop(columns="event_visit_count"), inputs)  # as if the model had no events
    assert together["a"] == unread["a"] != together["b"]
