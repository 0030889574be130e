"""What names a customer: pseudonyms by a key, lists that leave, and a customer who is to be forgotten."""

from __future__ import annotations

import hashlib
import hmac
import io
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churn_clv.config import load_config
from churn_clv.data.privacy import KEY, check_key, pseudonym, pseudonym_key, pseudonyms
from churn_clv.delivery.purge import Purged, purge, purge_listed
from churn_clv.delivery.segment_lists import lists_of
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


@pytest.mark.parametrize("key", ["data.share_ids=true", "privacy.raw_ids=true", "tracking.share_ids=true"])
def test_no_setting_shares_ids(key: str) -> None:
    with pytest.raises(InputError, match="unknown key|no such|not a key|unknown"):
        load_config(Path(__file__).parents[1] / "configs" / "simulated.yaml", [key])


def test_the_score_sample_in_mlflow_names_nobody_or_pseudonyms(
    small_run: Run, key: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = _sample_without_ids(small_run.scores)
    names = pd.Series(small_run.scores.index, index=pseudonyms(small_run.scores.index, key))
    joined = small_run.scores.loc[names[sample["pseudonym"]], "clv"]
    assert len(sample) == 100 and (joined.to_numpy() == sample["clv"].to_numpy()).all()
    monkeypatch.delenv(KEY)
    without = _sample_without_ids(small_run.scores)
    pd.testing.assert_frame_equal(without, sample.drop(columns="pseudonym"))


def test_no_name_in_what_leaves_is_a_plain_hash_of_an_id(small_run: Run, key: bytes) -> None:
    shown = set(_sample_without_ids(small_run.scores)["pseudonym"])
    salts = [b"", b"churn-clv/customer_id/1:", b"churn-clv"]
    ids = [*map(str, range(20_000)), *small_run.scores.index]
    for algorithm in ("md5", "sha1", "sha256"):
        plain = {hashlib.new(algorithm, salt + name.encode()).hexdigest() for name in ids for salt in salts}
        assert not {text for text in plain if text[:32] in shown}


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
    assert tables(outputs) == before and not again.rows
    assert again.sentences()[0].startswith("Found nowhere")


def test_a_table_that_cannot_be_read_stops_the_purge_before_anything_changed(small_run: Run, outputs: Path) -> None:
    broken = outputs / "z.parquet"
    broken.write_bytes((outputs / "shop/20260102T030405Z/scores.parquet").read_bytes()[:-20])
    before = tables(outputs)
    with pytest.raises(InputError, match=r"z\.parquet: cannot be read as Parquet .*nothing was changed"):
        purge([small_run.scores.index[0]], [outputs])
    assert tables(outputs) == before


def test_a_customer_is_found_behind_the_apostrophe_of_a_spreadsheet_and_by_pseudonym(
    key: bytes, tmp_path: Path
) -> None:
    frame = pd.DataFrame({"clv": [1.0, 2.0]}, index=pd.Index(["=1+1", "7"], name="customer_id"))
    write_table(frame, tmp_path / "scores.csv")
    write_table(frame.set_axis(pseudonyms(frame.index, key)), tmp_path / "list.csv")
    assert sum(purge(["=1+1"], [tmp_path]).rows.values()) == 2
    assert (tmp_path / "scores.csv").read_text() == "customer_id,clv\n7,2.0\n"


def test_numbers_as_ids_and_tables_in_many_row_groups_are_purged_too(tmp_path: Path) -> None:
    frame = pd.DataFrame({"customer_id": range(100), "text": ["a", None] * 50})
    frame.to_parquet(tmp_path / "t.parquet", row_group_size=7, index=False)
    purge(["8", "99"], [tmp_path / "t.parquet"])
    left = pd.read_parquet(tmp_path / "t.parquet")
    pd.testing.assert_frame_equal(left, frame.drop([8, 99]).reset_index(drop=True))


def test_ids_come_from_a_file_or_standard_input_and_an_id_given_as_argument_is_not_repeated(tmp_path: Path) -> None:
    write_table(pd.DataFrame({"customer_id": ["a b", "c"]}).set_index("customer_id"), tmp_path / "t.csv")
    listing = tmp_path / "ids.txt"
    listing.write_bytes(b"\xef\xbb\xbfa b\r\n\r\n")
    assert purge_listed(listing, [tmp_path / "t.csv"], io.BytesIO()).found == 1
    assert purge_listed(Path("-"), [tmp_path / "t.csv"], io.BytesIO(b"c")).found == 1
    with pytest.raises(InputError, match="want a file with one id a line") as refused:
        purge_listed(Path("jane@example.org"), [tmp_path], io.BytesIO())
    assert "jane" not in str(refused.value)
    with pytest.raises(InputError, match="standard input: holds no customer id"):
        purge_listed(Path("-"), [tmp_path], io.BytesIO(b"\n"))


def test_a_config_that_names_the_customer_and_leftovers_are_told(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("data: {drop_rows: [{customer_id: ['7', '8']}]}")
    (tmp_path / ".churn_clv_x").mkdir()
    (tmp_path / ".churn_clv_x" / "log.duckdb").write_bytes(b"x")
    found = purge(["7"], [tmp_path])
    assert found == Purged({}, 1, 0, (tmp_path / "config.yaml",), (tmp_path / ".churn_clv_x" / "log.duckdb",))
    assert "drop_rows names some" in found.sentences()[1] and "1 files that interrupted" in found.sentences()[2]


def test_the_command_says_what_it_removed_and_what_it_cannot(small_run: Run, outputs: Path) -> None:
    gone = str(small_run.scores.index[5])
    done = subprocess.run(
        [sys.executable, "-m", "churn_clv.cli", "purge", "-", str(outputs)], input=gone, capture_output=True, text=True
    )
    assert done.returncode == 0 and done.stderr == ""
    assert "Removed 5 rows of 1 of 1 customers from 5 tables." in done.stdout
    assert "Not touched: the log itself" in done.stdout
