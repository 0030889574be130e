"""What names a customer: pseudonyms by a key, lists that leave, and a customer who is to be forgotten."""

from __future__ import annotations

import hashlib
import hmac
import io
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from churn_clv.config import Config
from churn_clv.contractual import SCORE_COLUMNS
from churn_clv.data.privacy import KEY, check_key, pseudonym, pseudonym_key, pseudonyms
from churn_clv.delivery.purge import Purged, purge, purge_listed
from churn_clv.delivery.segment_lists import lists_of, write_segmentation
from churn_clv.delivery.tables import read_table, write_table
from churn_clv.delivery.tracking import _sample_without_ids
from churn_clv.errors import InputError
from churn_clv.train import Run

SECRET = "0123456789abcdef" * 4


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> bytes:
    monkeypatch.setenv(KEY, SECRET)
    return pseudonym_key()


# Pseudonyms -----------------------------------------------------------------------------------------------------------


def test_the_hash_of_the_standard_library_is_that_of_rfc_4231() -> None:
    # Test case 2 of RFC 4231, then a key of the length that is asked for: test case 6.
    assert hmac.new(b"Jefe", b"what do ya want for nothing?", "sha256").hexdigest() == (
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    )
    assert hmac.new(b"\xaa" * 131, b"Test Using Larger Than Block-Size Key - Hash Key First", "sha256").hexdigest() == (
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
    )


def hmac_sha256(key: bytes, message: bytes) -> bytes:
    """HMAC as RFC 2104 defines it, from the plain hash."""
    padded = hashlib.sha256(key).digest() if len(key) > 64 else key
    padded = padded.ljust(64, b"\0")
    inner = hashlib.sha256(bytes(b ^ 0x36 for b in padded) + message).digest()
    return hashlib.sha256(bytes(b ^ 0x5C for b in padded) + inner).digest()


@pytest.mark.parametrize("name", ["1", "0001", "Zoë@example.org", "=1+1"])
def test_a_pseudonym_is_half_the_hmac_of_domain_and_id(name: str) -> None:
    key = bytes(range(32))
    whole = hmac_sha256(key, b"churn-clv/customer_id/1:" + name.encode("utf-8"))
    assert pseudonym(name, key) == whole[:16].hex()


def test_the_pseudonym_of_a_customer_never_changes() -> None:
    # printf 'churn-clv/customer_id/1:customer 1' | openssl dgst -sha256 -hmac kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk
    assert pseudonym("customer 1", b"k" * 32) == "7a2f4453c8aef9b1ceb746eca2fc72f9"


@given(numbers=st.lists(st.integers(min_value=0, max_value=2**62), unique=True, min_size=1, max_size=20))
@settings(max_examples=50, deadline=None)
def test_the_same_key_joins_whatever_the_type_of_the_id_and_another_key_joins_nobody(numbers: list[int]) -> None:
    as_numbers = pseudonyms(pd.Index(numbers, dtype="int64"), b"k" * 32)
    as_texts = pseudonyms(pd.Index([str(n) for n in numbers]), b"k" * 32)
    assert as_numbers.equals(as_texts) and as_texts.is_unique
    assert not set(as_texts) & set(pseudonyms(pd.Index(numbers), b"l" * 32))


def test_a_key_that_is_missing_or_short_is_refused_without_being_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    for value, said in (("", "is not set"), ("short-secret", "12 bytes, want at least 32")):
        monkeypatch.setenv(KEY, value)
        with pytest.raises(InputError, match=said) as refused:
            pseudonym_key()
        assert "short-secret" not in str(refused.value) and "secrets.token_hex(32)" in str(refused.value)
    with pytest.raises(InputError, match="12 bytes"):
        check_key()
    monkeypatch.delenv(KEY)
    check_key()


# Settings whose names are about customers, ids or what others see: none of them lets an id out.
REVIEWED = {
    "privacy", "privacy.smallest_group", "data.columns.customer_id", "data.attributes.customer_id", "data.events.customer_id",
    "data.missing_customer_id", "data.sample_customers", "data.panel_customers", "data.simulated.customers",
    "data.columns.order_id", "data.columns.product_id", "grid.value_cuts.value_shares",
    "evaluation.costs.customer_value", "tracking.experiment", "tracking", "tracking.registered_model",
}  # fmt: skip


def settings_of(section: type[BaseModel], above: str = "") -> Iterator[str]:
    for name, field in section.model_fields.items():
        yield above + name
        for kind in (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from settings_of(kind, f"{above}{name}.")


def test_every_setting_about_customers_or_what_others_see_was_reviewed() -> None:
    words = re.compile(r"(^|[._])ids?($|[._])|customer|privacy|shar|raw|pseudonym|anonym|person|expos|track|group")
    assert {name for name in settings_of(Config) if words.search(name)} == REVIEWED


def test_the_score_sample_in_mlflow_names_nobody_or_pseudonyms(
    small_run: Run, key: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = _sample_without_ids(small_run.scores)
    names = pd.Series(small_run.scores.index, index=pseudonyms(small_run.scores.index, key))
    joined = small_run.scores.loc[names[sample["pseudonym"]], "clv"]
    assert len(sample) == 100 and (joined.to_numpy() == sample["clv"].to_numpy()).all()
    monkeypatch.delenv(KEY)
    without = _sample_without_ids(small_run.scores)
    assert [*without.columns] == [name for name in sample.columns if name != "pseudonym"]


def test_who_is_in_the_score_sample_and_in_which_order_nobody_can_repeat(small_run: Run) -> None:
    first, again = (_sample_without_ids(small_run.scores)["clv"] for _ in range(2))
    assert set(first) != set(again)  # equal by chance: 1 in (number of samples of 100 of 600), and in any order
    everyone = _sample_without_ids(small_run.scores.head(50))["clv"]
    assert everyone.tolist() != small_run.scores["clv"].head(50).tolist()
    assert sorted(everyone) == sorted(small_run.scores["clv"].head(50))


# Lists that leave -----------------------------------------------------------------------------------------------------


@pytest.fixture
def scores(small_run: Run, tmp_path: Path) -> Path:
    write_table(small_run.scores, tmp_path / "scores.parquet")
    return tmp_path / "scores.parquet"


def in_parts(small_run: Run, folder: Path) -> Path:
    """The scores as a run on a panel leaves them."""
    folder.mkdir()
    plan = {"channel": "letter", "contact_profit": 1.0, "expected_outlay": 1.0, "win_back": False}
    half = len(small_run.scores) // 2
    for number, part in enumerate((small_run.scores[:half], small_run.scores[half:])):
        part.drop(columns="reasons").assign(**plan).to_parquet(folder / f"part-{number:05d}.parquet")
    return folder


def listed_in(folder: Path) -> pd.DataFrame:
    return pd.concat([pd.read_parquet(path).reset_index() for path in folder.glob("*.parquet")])


def test_lists_that_leave_carry_pseudonyms_and_no_id(small_run: Run, scores: Path, key: bytes, tmp_path: Path) -> None:
    everyone = in_parts(small_run, tmp_path / "parts")
    wanted = set(pseudonyms(small_run.scores.index, key))
    for number, source in enumerate((scores, everyone)):
        out = tmp_path / f"out{number}"
        lists_of(source, "segment", out, key)
        table = listed_in(out)
        assert set(table["pseudonym"]) == wanted and "customer_id" not in table
        content = b"".join(path.read_bytes() for path in out.iterdir())
        assert not any(name.encode() in content for name in small_run.scores.index if len(name) > 3)


def test_the_statistics_of_a_list_that_leaves_hold_no_id(
    small_run: Run, scores: Path, key: bytes, tmp_path: Path
) -> None:
    lists_of(scores, "segment", tmp_path / "out", key)
    ids = set(small_run.scores.index)
    for path in (tmp_path / "out").glob("*.parquet"):
        file = pq.ParquetFile(path)
        groups = [file.metadata.row_group(k) for k in range(file.num_row_groups)]
        ends = [s for g in groups for k in range(g.num_columns) if (s := g.column(k).statistics) and s.has_min_max]
        assert ends and not ids & {str(end) for s in ends for end in (s.min, s.max)}


def test_lists_that_stay_keep_the_ids(small_run: Run, scores: Path, tmp_path: Path) -> None:
    lists_of(scores, "segment", tmp_path / "out")
    assert set(listed_in(tmp_path / "out")["customer_id"]) == set(small_run.scores.index)


# Purge ----------------------------------------------------------------------------------------------------------------


def tables(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture
def outputs(small_run: Run, tmp_path: Path) -> Path:
    """What a run keeps of customers, a score file and a grid, which has none."""
    run = tmp_path / "runs" / "shop" / "20260102T030405Z"
    for name in ("scores.csv", "scores.parquet", "customers.parquet", "lists/to-contact.csv", "lists/grid/a.parquet"):
        write_table(small_run.scores, run / name)
    write_table(small_run.production_grid, run / "grid.csv")
    (run / "report.html").write_text("<p>no customers</p>")
    return tmp_path / "runs"


def test_a_purged_customer_is_in_no_table_and_all_others_are_unchanged(small_run: Run, outputs: Path) -> None:
    before = tables(outputs)
    gone = list(small_run.scores.index[[3, 500]])
    found = purge([*gone, "nobody"], [outputs])
    assert (found.found, found.asked, sum(found.rows.values()), len(found.rows)) == (2, 3, 10, 5)
    left = small_run.scores.drop(gone)
    for table in found.rows:
        read = read_table(table).set_index("customer_id")
        pd.testing.assert_index_equal(read.index, left.index, exact=False)
        pd.testing.assert_series_equal(read["clv"], left["clv"], check_index=False)
    after = tables(outputs)
    assert {name for name in before if before[name] != after[name]} == {
        str(table.relative_to(outputs.resolve())) for table in found.rows
    }
    csv = next(name for name in before if name.endswith("scores.csv"))
    kept = [line for line in before[csv].splitlines() if line.split(b",")[0].decode() not in gone]
    assert after[csv].splitlines() == kept


def test_purging_again_finds_nobody_and_changes_nothing(small_run: Run, outputs: Path) -> None:
    gone = [small_run.scores.index[0]]
    purge(gone, [outputs])
    before = tables(outputs)
    again = purge(gone, [outputs])
    assert tables(outputs) == before and not again.rows and again.saw_all
    assert again.sentences() == [
        "Nothing was changed: none of 1 customer stands in 5 tables of this program that could be searched."
    ]


def test_a_table_that_cannot_be_read_stops_the_purge_before_anything_changed(small_run: Run, outputs: Path) -> None:
    broken = outputs / "z.parquet"
    broken.write_bytes((outputs / "shop/20260102T030405Z/scores.parquet").read_bytes()[:-20])
    before = tables(outputs)
    with pytest.raises(InputError, match=r"z\.parquet: cannot be read as Parquet .*nothing was changed"):
        purge([small_run.scores.index[0]], [outputs])
    assert tables(outputs) == before


LOG = "customer_id,date,amount\r\n7,2024-01-01,1.50\r\n7,2024-01-02, 2.5\r\n8,2024-01-02,3\r\n"


def test_the_log_and_every_other_table_of_others_stay_byte_for_byte_and_are_named(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "shop"
    run.mkdir(parents=True)
    for name in ("metrics.json", "config.yaml"):
        (tmp_path / name).write_text("{}")  # as in many a repository: what stands below is no run for that
    (run / "log.csv").write_text(LOG, newline="")
    (run / "crm.csv").write_text("customer_id,segment,lifecycle_stage\n7,a,b\n")
    pd.read_csv(run / "log.csv").to_parquet(run / "log.parquet")
    before = tables(run)
    found = purge(["7"], [tmp_path])
    assert tables(run) == before and not found.rows and found.saw_all
    assert found.foreign == {run / "crm.csv": 1, run / "log.csv": 2, run / "log.parquet": 2}
    assert f"{run / 'crm.csv'}: 1 row of them, but not this program's: left as it is." in found.sentences()


def score_file(ids: list[str]) -> pd.DataFrame:
    """What tells a score file from a table of others."""
    return pd.DataFrame({"churn_probability": 0.5, "value_if_active": 1.0}, index=pd.Index(ids, name="customer_id"))


def test_every_table_with_customers_that_the_program_writes_is_known_as_its_own(small_run: Run, tmp_path: Path) -> None:
    run = tmp_path / "runs"
    for name in ("scores.csv", "scores.parquet"):
        write_table(small_run.scores, run / name)
    write_table(small_run.customers, run / "customers.parquet")
    write_table(small_run.judged, run / "judged_scores.parquet")
    write_segmentation(small_run, run)
    lists_of(run / "scores.csv", "rfm_segment", tmp_path / "lists")
    in_parts(small_run, tmp_path / "parts")
    prospects = pd.DataFrame({"lifecycle_stage": "prospect"}, index=pd.Index(["new"], name="customer_id"))
    write_table(prospects, tmp_path / "prospects.csv")
    written = {path: read_table(path) for path in tmp_path.rglob("*.*") if path.suffix in (".csv", ".parquet")}
    held = {path for path, table in written.items() if "customer_id" in table and len(table)}
    found = purge([*map(str, small_run.scores.index), "new"], [tmp_path])
    assert {*found.rows} == held and len(held) >= 20 and not found.foreign
    assert all(read_table(path).empty for path in held)


def test_tables_of_contracts_and_of_summaries_are_known_as_the_programs_own(tmp_path: Path) -> None:
    (tmp_path / "contracts.csv").write_text(f"customer_id,{','.join(SCORE_COLUMNS)}\n7{',0' * len(SCORE_COLUMNS)}\n")
    (tmp_path / "summary.csv").write_text("customer_id,frequency,recency,T,monetary_value\n7,1,2,3,4\n")
    assert len(purge(["7"], [tmp_path]).rows) == 2


def test_a_customer_is_found_behind_the_apostrophe_of_a_spreadsheet_and_by_pseudonym(
    key: bytes, tmp_path: Path
) -> None:
    frame = score_file(["=1+1", "7"])
    write_table(frame, tmp_path / "scores.csv")
    write_table(frame.set_axis(pseudonyms(frame.index, key)), tmp_path / "list.csv")
    assert sum(purge(["=1+1"], [tmp_path]).rows.values()) == 2
    assert (tmp_path / "scores.csv").read_text() == "customer_id,churn_probability,value_if_active\n7,0.5,1.0\n"


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_who_differs_by_an_apostrophe_stays(kind: str, tmp_path: Path) -> None:
    write_table(score_file(["-7", "'-7", "''-7"]), tmp_path / f"scores.{kind}")
    assert sum(purge(["'-7"], [tmp_path]).rows.values()) == 1
    assert sorted(read_table(tmp_path / f"scores.{kind}")["customer_id"]) == ["''-7", "-7"]


def test_no_byte_of_a_parquet_file_names_who_was_purged(tmp_path: Path) -> None:
    frame = score_file(["canary-1", "7", "8"]).rename_axis("customer_id").reset_index()
    frame.astype({"customer_id": "category"}).to_parquet(tmp_path / "scores.parquet")
    purge(["canary-1"], [tmp_path])
    assert b"canary-1" not in (tmp_path / "scores.parquet").read_bytes()
    assert pd.read_parquet(tmp_path / "scores.parquet")["customer_id"].astype("str").tolist() == ["7", "8"]


def test_pseudonyms_without_their_key_are_not_said_to_be_searched(
    key: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = score_file(["7"])
    write_table(frame.set_axis(pseudonyms(frame.index, key)), tmp_path / "list.csv")
    monkeypatch.delenv(KEY)
    found = purge(["7"], [tmp_path])
    assert found.sealed == (tmp_path / "list.csv",) and not found.saw_all
    assert found.sentences() == [
        "Nothing was changed: there is no table of this program that could be searched.",
        f"Not searched: 1 table of pseudonyms, as {KEY} is not set, such as {tmp_path / 'list.csv'}: set the key that they "
        "were made with and run it again.",
    ]


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
def test_a_table_that_a_spreadsheet_saved_again_is_searched_and_keeps_its_kind(
    tmp_path: Path, mark: str, bom: str
) -> None:
    lines = ["customer_id,churn_probability,value_if_active", "7,0.5,1", "8,0.5,2"]
    table = tmp_path / "SCORES.CSV"
    written = bom + "".join(line.replace(",", mark) + "\r\n" for line in lines)
    table.write_text(written, encoding="utf-8", newline="")
    assert purge(["7"], [tmp_path]).rows == {table: 1}
    assert table.read_bytes().decode() == written.replace(lines[1].replace(",", mark) + "\r\n", "")


def test_what_cannot_be_searched_is_named(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "s.csv").write_text(LOG)
    place = tmp_path / "runs"
    place.mkdir()
    (place / "link.csv").symlink_to(outside / "s.csv")
    (place / "linked").symlink_to(outside)
    for name in ("a.XLSX", "b.csv.gz"):
        (place / name).write_bytes(b"x")
    (place / "c.csv").write_bytes("customer_id,a\n7,b\n".encode("utf-16"))
    (place / "d.csv").write_bytes("customer_id,name\n7,Zoë\n".encode("latin-1"))
    found = purge(["7"], [place])
    assert [path.name for path in found.unread] == ["a.XLSX", "b.csv.gz", "c.csv", "d.csv", "link.csv", "linked"]
    assert not found.saw_all and sum("cannot be searched" in said for said in found.sentences()) == 6


def test_a_purged_table_is_readable_to_nobody_else_than_before(tmp_path: Path) -> None:
    table = tmp_path / "scores.csv"
    write_table(score_file(["7", "8"]), table)
    table.chmod(0o600)
    purge(["7"], [table])
    assert stat.S_IMODE(table.stat().st_mode) == 0o600


def test_numbers_as_ids_and_tables_in_many_row_groups_are_purged_too(tmp_path: Path) -> None:
    frame = (
        score_file([]).reset_index(drop=True).reindex(range(100)).assign(customer_id=range(100), text=["a", None] * 50)
    )
    frame.to_parquet(tmp_path / "t.parquet", row_group_size=7, index=False)
    purge(["8", "99"], [tmp_path / "t.parquet"])
    left = pd.read_parquet(tmp_path / "t.parquet")
    pd.testing.assert_frame_equal(left, frame.drop([8, 99]).reset_index(drop=True))


def test_ids_come_from_a_file_or_standard_input_and_an_id_given_as_argument_is_not_repeated(tmp_path: Path) -> None:
    write_table(score_file(["a b", "c"]), tmp_path / "t.csv")
    listing = tmp_path / "ids.txt"
    listing.write_bytes(b"\xef\xbb\xbfa b\r\n\r\n")
    assert purge_listed(listing, [tmp_path / "t.csv"], io.BytesIO()).found == 1
    assert purge_listed(Path("-"), [tmp_path / "t.csv"], io.BytesIO(b"c")).found == 1
    with pytest.raises(InputError, match="want a file with one id a line") as refused:
        purge_listed(Path("jane@example.org"), [tmp_path], io.BytesIO())
    assert "jane" not in str(refused.value)
    with pytest.raises(InputError, match="standard input: holds no customer id"):
        purge_listed(Path("-"), [tmp_path], io.BytesIO(b"\n"))


def test_a_config_that_names_the_customer_what_waits_for_mlflow_and_leftovers_are_told(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("data: {drop_rows: [{customer_id: ['7', '8']}]}")
    (tmp_path / "mlflow.json").write_text('{"tables": {"score_sample": "{}"}}')
    left = tmp_path / ".churn_clv_x" / "scores.csv"
    left.parent.mkdir()
    write_table(score_file(["7"]), left)
    found = purge(["7"], [tmp_path])
    assert found == Purged(
        {}, 1, 0, naming=(tmp_path / "config.yaml",), waiting=(tmp_path / "mlflow.json",), leftovers=(left,)
    )
    _, naming, waiting, leftovers = found.sentences()
    assert "drop_rows names some" in naming and f"churn-clv log {tmp_path}" in waiting
    assert leftovers.startswith("Not read: 1 file that interrupted runs left, such as")


def test_the_command_says_what_it_removed_and_what_it_cannot(small_run: Run, outputs: Path) -> None:
    gone = str(small_run.scores.index[5])
    command = [sys.executable, "-m", "churn_clv.cli", "purge", "-", str(outputs)]
    done = subprocess.run(command, input=gone, capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == ""
    assert "Removed 5 rows of 1 of 1 customer from 5 tables." in done.stdout
    assert "Not touched: the log itself" in done.stdout
    (outputs / "book.xlsx").write_bytes(b"x")
    assert subprocess.run(command, input=gone, capture_output=True, text=True).returncode == 1
