"""Ids that nobody else has, planted in a log: they are in the files that keep ids, and in nothing else that is written or said."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import re
import shutil
import sqlite3
import zipfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
import yaml
from PIL import Image, PngImagePlugin

from churn_clv import cli
from churn_clv.data.privacy import KEY, pseudonym
from churn_clv.data.simulate import simulate_log
from churn_clv.delivery.purge import purge

CANARY = b"canary-7f3a"
# What keeps ids by contract (docs/privacy.md): scores, lists, the customer table, and the config that may name customers.
KEPT = re.compile(
    r"(^|/)(runs/[^/]+/[^/]+/(scores(\.csv|\.parquet|/.*)|panel_scores\.parquet|judged_scores\.parquet|customers\.parquet|lists/.*"
    r"|config\.yaml)|local/.*)$"
)
CONFIG = {
    "name": "shop",
    "data": {
        "source": "file",
        "path": "local/log.csv",
        "drop_rows": [{"customer_id": ["canary-7f3a00001@example.org"]}],
    },
    "windows": {"calibration_end": date(2024, 6, 30), "holdout_end": date(2024, 12, 1)},
    "churn": {"learning_rate": 0.1, "max_rounds": 5, "method": "offset_hybrid"},
    "value": {"method": "hurdle"},
    "evaluation": {"bootstrap_samples": 20},
}


def named(number: object) -> str:
    return f"canary-7f3a{int(str(number)):05d}@example.org"


@pytest.fixture
def place(tmp_path: Path, migrated_store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a log of canaries, its config and an MLflow store."""
    log = simulate_log(customers=160, seed=11)
    log["customer_id"] = [named(re.sub(r"\D", "", str(name))) for name in log["customer_id"]]
    (tmp_path / "local").mkdir()
    log.to_csv(tmp_path / "local" / "log.csv", index=False)
    (tmp_path / "local" / "shop.yaml").write_text(yaml.safe_dump(CONFIG))
    shutil.copy(migrated_store, tmp_path / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    return tmp_path


def run(*arguments: object) -> int:
    """Call the program as a user does, in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["churn-clv", *map(str, arguments)])
        try:
            cli.main()
        except SystemExit as stop:
            return int(stop.code or 0)
    return 0


def texts(name: str, content: bytes) -> Iterator[bytes]:
    """A file's bytes, and what is packed in it."""
    yield content
    if content[:2] == b"\x1f\x8b":
        yield from texts(name, gzip.decompress(content))
    if zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            for member in packed.namelist():
                yield from texts(member, packed.read(member))
    if content[:4] == b"PAR1":
        frame = pd.read_parquet(io.BytesIO(content)).reset_index()
        yield frame.to_csv(index=False).encode()
    if content[:8] == b"\x89PNG\r\n\x1a\n":
        yield repr(Image.open(io.BytesIO(content)).info).encode()
    if content[:15] == b"SQLite format 3":
        yield from rows_of(content)
    for packed in re.findall(rb"base64,([A-Za-z0-9+/=]{16,})", content):
        yield from texts(name, base64.b64decode(packed))


def rows_of(database: bytes) -> Iterator[bytes]:
    """Every row of every table: a long text need not stand in one piece in the file."""
    connection = sqlite3.connect(":memory:")
    connection.deserialize(database)
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    for table in tables:
        yield repr(connection.execute(f'SELECT * FROM "{table}"').fetchall()).encode()  # noqa: S608
    connection.close()


def canaries(content: bytes) -> bool:
    forms = (CANARY, CANARY.upper(), CANARY.decode().encode("utf-16-le"), CANARY.hex().encode())
    return any(form in content for form in forms) or any(digest in content for digest in DIGESTS)


DIGESTS = [
    hashlib.new(algorithm, named(k).encode()).hexdigest().encode()[:32]
    for algorithm in ("md5", "sha1", "sha256")
    for k in range(0, 160, 10)
]


def found_in(place: Path) -> dict[str, bool]:
    """Which files below a place hold a canary: name -> whether it keeps ids by contract."""
    files = [path for path in sorted(place.rglob("*")) if path.is_file()]
    hits = [p for p in files if any(map(canaries, texts(p.name, p.read_bytes()))) or canaries(str(p).encode())]
    names = [path.relative_to(place).as_posix() for path in hits]
    return {name: bool(KEPT.search(name)) for name in names}


def check(place: Path, capfd: pytest.CaptureFixture[str], most_files: int) -> None:
    found = found_in(place)
    assert [name for name, keeps in found.items() if not keeps] == []
    assert sum(found.values()) >= 5  # the search sees: scores, lists and customers hold them
    assert sum(path.is_file() for path in place.rglob("*")) >= most_files
    said = capfd.readouterr()
    assert not canaries((said.out + said.err).encode())


def test_the_search_finds_a_canary_however_it_is_packed(tmp_path: Path) -> None:
    text = b"x" * 5000 + CANARY + b"1@example.org"
    info = PngImagePlugin.PngInfo()
    info.add_text("Title", text.decode(), zip=True)
    Image.new("L", (2, 2)).save(tmp_path / "a.png", pnginfo=info)
    (tmp_path / "b.gz").write_bytes(gzip.compress(text))
    with zipfile.ZipFile(tmp_path / "c.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("d.gz", gzip.compress(text))
    pd.DataFrame({"a": [text.decode()] * 50}).to_parquet(tmp_path / "e.parquet", compression="gzip")
    picture = base64.b64encode((tmp_path / "a.png").read_bytes()).decode()
    (tmp_path / "f.html").write_text(f'<img src="data:image/png;base64,{picture}">')
    with sqlite3.connect(tmp_path / "g.db") as store:
        store.execute("CREATE TABLE t (a)")
        store.execute("INSERT INTO t VALUES (?)", [text.decode()])
    (tmp_path / "h.txt").write_text(hashlib.sha256(named(10).encode()).hexdigest())
    assert len(found_in(tmp_path)) == 7


@pytest.mark.odd
def test_canaries_of_a_run_are_in_its_scores_and_lists_alone(place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run("train", "local/shop.yaml") == 0
    broken = (place / "local" / "log.csv").read_text().replace("2023-0", "2023-9")
    (place / "local" / "broken.csv").write_text(broken)
    assert run("train", "local/shop.yaml", "--set", "data.path=local/broken.csv") == 2
    assert run("report", "runs") == 0
    check(place, capfd, 80)


@pytest.mark.odd
def test_canaries_of_every_command_are_in_scores_and_lists_alone(
    place: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY, "k" * 32)
    assert run("train", "local/shop.yaml") == 0
    assert run("train", "local/shop.yaml", "--set", "name=panel", "--set", "data.panel_customers=120") == 0
    short = ["--set", "backtest.churn=['purchase_model']", "--set", "backtest.value=['purchase_model']"]
    assert run("backtest", "local/shop.yaml", *short, "--set", "backtest.horizon=8 weeks") == 0
    for number in (1, 2):
        assert run("promote", f"churn-clv-shop/{number}") in (0, 1, 2)
    assert run("compare", *(place / "runs").glob("shop/*"), *(place / "runs").glob("panel/*"), "--out", "compared") == 0
    assert run("handover", "runs/shop") == 0
    assert run("export-sql", "runs/shop", "--out", "shop.sql") == 0
    assert run("score", "runs/shop", "local/log.csv", "local/scored.csv") == 0
    assert run("report", "local/scored.csv", "page.html") == 0
    later = pd.read_csv("local/log.csv")
    later.assign(date=later["date"].str.replace("2024-12", "2025-01")).to_csv("local/later.csv", index=False)
    assert run("monitor", "runs/shop", "local/later.csv") in (0, 3, 4)
    for source, out in (("runs/shop", "sent"), ("runs/panel", "sent_of_all"), ("local/scored.csv", "sent_of_file")):
        assert run("lists", source, out, "--pseudonyms") == 0
    failures(place)
    served(place)
    check(place, capfd, 150)
    purged(place)


def purged(place: Path) -> None:
    """Two customers are removed from all that keeps ids or pseudonyms."""
    gone = [named(7), named(20)]
    places = [place / "runs", place / "sent", place / "sent_of_all", place / "local" / "scored.csv"]
    assert purge(gone, places).found == 2
    files = [path for one in places for path in (one.rglob("*") if one.is_dir() else [one]) if path.is_file()]
    names = [*gone, *(pseudonym(name, b"k" * 32) for name in gone)]
    found = [p.name for p in files for text in texts(p.name, p.read_bytes()) if any(n.encode() in text for n in names)]
    assert found == []


def served(place: Path) -> None:
    """The registered model refuses rows without repeating them: MLflow's own message would."""
    import mlflow

    model = mlflow.pyfunc.load_model("models:/churn-clv-shop/1")
    table = pd.read_parquet(next(place.glob("runs/shop/*/customers.parquet"))).reset_index().head(3)
    for column in ("frequency", "T"):
        with pytest.raises(Exception, match=column) as refused:
            model.predict(table.assign(**{column: table["customer_id"]}), params={"as_of": "2024-12-01"})
        assert not canaries(repr(refused.value).encode()) and not canaries(str(refused.value.__cause__).encode())


def failures(place: Path) -> None:
    """Runs and commands that stop at what their user gave them, with a canary in what is wrong."""
    log = (place / "local" / "log.csv").read_text()
    wrong = {
        "dates": log.replace("2023-0", "2023-9"),
        "columns": log.replace("customer_id,", "who,", 1),
        "no_header": log.partition("\n")[2],
        "amounts": re.sub(r",[0-9.]+\n", ",canary-7f3a\n", log, count=3),
        "blanks": log.replace("canary-7f3a00002", " canary-7f3a00002"),
        "quotes": log.replace("canary-7f3a00002", '"canary-7f3a00002'),
    }
    for name, text in wrong.items():
        path = place / "local" / f"{name}.csv"
        path.write_text(text)
        assert run("train", "local/shop.yaml", "--set", f"data.path={path}") == 2, name
        assert run("score", "runs/shop", path, "local/never.csv") == 2, name
        assert run("summary", path, "local/never.csv", "--end", "2024-06-30") == 2, name
    twice = pd.read_csv(place / "local" / "scored.csv", dtype="str")
    pd.concat([twice, twice]).to_csv(place / "local" / "twice.csv", index=False)
    assert run("lists", "local/twice.csv", "never", "--by", "customer_id") == 2
    assert run("purge", named(1), "local") == 2
