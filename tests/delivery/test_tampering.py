"""A hand-over that anything was done to is refused by the file's name, before anything of it is parsed or run."""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import lightgbm
import pytest
from release_model import release_files

from churn_clv.delivery import model_folder
from churn_clv.delivery.handover import write_handover
from churn_clv.delivery.handover_source import Source
from churn_clv.delivery.model_folder import DIGESTS, read_model, verified
from churn_clv.errors import InputError

EDITS = 200
Edit = Callable[[Path, Path], object]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hand-over with trees and code, which nobody may write to."""
    folder, _ = write_handover(Source("release", "a test", release_files()), tmp_path_factory.mktemp("given"))
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "copy"))


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was parsed: nothing may be before every digest was checked."""
    calls: list[str] = []
    booster, loads = lightgbm.Booster.__init__, json.loads

    def seen_booster(*args: object, **named: object) -> None:
        calls.append("LightGBM")
        booster(*args, **named)

    def seen_loads(*args: object, **named: object) -> object:
        calls.append("JSON")
        return loads(*args, **named)

    monkeypatch.setattr(lightgbm.Booster, "__init__", seen_booster)
    monkeypatch.setattr(json, "loads", seen_loads)
    return calls


def names_of(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def refusal(folder: Path, name: str, edit: Edit) -> str:
    """Edit one file, return what reading the folder then says, and put the file back."""
    path, before = folder / name, (folder / name).read_bytes()
    elsewhere = folder.parent / "elsewhere"
    edit(path, elsewhere)
    try:
        with pytest.raises(InputError) as refused:
            read_model(folder)
    finally:
        if path.is_dir():
            path.rmdir()
        path.unlink(missing_ok=True)
        elsewhere.unlink(missing_ok=True)
        path.write_bytes(before)
    return str(refused.value)


def flipped(path: Path, _: Path) -> None:
    data = bytearray(path.read_bytes() or b"x")
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def cut(share: float) -> Edit:
    def edit(path: Path, _: Path) -> None:
        # Of an empty file nothing can be cut off: it becomes longer instead.
        path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)] if path.stat().st_size else b" ")

    return edit


def linked(path: Path, elsewhere: Path) -> None:
    """A link to the very same bytes: the digest would match, and what it points to is in other hands."""
    path.rename(elsewhere)
    path.symlink_to(elsewhere)


def a_folder(path: Path, _: Path) -> None:
    path.unlink()
    path.mkdir()


def a_pipe(path: Path, _: Path) -> None:
    path.unlink()
    os.mkfifo(path)


EVERYWHERE: dict[str, Edit] = {
    "a byte is flipped": flipped,
    "a line end is added": lambda path, _: path.write_bytes(path.read_bytes() + b"\n"),
    "it ends one byte early": cut(0.9999999),
    "it ends in the middle": cut(0.5),
    "it ends near its start": cut(0.05),
    "it is empty": cut(0.0),
    "it is a link to its own bytes": linked,
    "it is gone": lambda path, _: path.unlink(),
    "it is a folder": a_folder,
    "it is a pipe": a_pipe,
}


def test_an_untouched_hand_over_is_read_and_the_parsers_are_watched(whole: Path, parsed: list[str]):
    read_model(whole)
    assert set(parsed) == {"JSON", "LightGBM"}
    known = {"churn.lightgbm.txt", "code/churn_clv/delivery/production.py", "requirements.txt", DIGESTS}
    assert known <= set(names_of(whole))


@pytest.mark.parametrize("edit", EVERYWHERE.values(), ids=EVERYWHERE)
def test_every_file_is_refused_by_name_before_anything_is_parsed_if(folder: Path, parsed: list[str], edit: Edit):
    names = names_of(folder)
    for name in names:
        said = refusal(folder, name, edit)
        # A digest that was edited accuses the file it stands for.
        assert f"/{name}" in said or (name == DIGESTS and any(other in said for other in names)), said
    assert not parsed
    assert names_of(folder) == names
    read_model(folder)


def scribbled(dice: random.Random) -> Edit:
    """One of the small things that happen to files: bytes replaced, put in, left out or moved."""

    def edit(path: Path, _: Path) -> None:
        data = path.read_bytes()
        at, n = dice.randrange(len(data) + 1), dice.randint(1, 8)
        new = dice.randbytes(n)
        found = dice.choice([data[:at] + new + data[at + n :], data[:at] + new + data[at:], data[:at] + data[at + n :],
                             data[at:] + data[:at], data[:at] + data[at : at + n] * 2 + data[at + n :]])  # fmt: skip
        path.write_bytes(found if found != data else data + b" ")

    return edit


def test_no_random_edit_of_any_file_is_parsed(folder: Path, parsed: list[str]):
    dice, names = random.Random(7), names_of(folder)
    chosen = [*names, *dice.choices(names, k=EDITS - len(names))]
    for name in chosen:
        said = refusal(folder, name, scribbled(dice))
        assert f"/{name}" in said or (name == DIGESTS and any(other in said for other in names)), said
    assert len(chosen) == EDITS
    assert not parsed


@pytest.mark.parametrize("name", ["x.json", ".hidden", "code/churn_clv/delivery/extra.py", "code/lightgbm.py", "a b/c"])
def test_a_file_that_nobody_listed_is_refused_by_name(folder: Path, parsed: list[str], name: str):
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("1")
    with pytest.raises(InputError, match=f"{name}: not listed in {DIGESTS}"):
        read_model(folder)
    assert not parsed


def test_a_link_to_a_folder_that_holds_the_very_same_files_is_refused(folder: Path, parsed: list[str]):
    (folder / "code").rename(folder.parent / "code")
    (folder / "code").symlink_to(folder.parent / "code")
    with pytest.raises(InputError, match="/code: not listed"):
        read_model(folder)
    assert not parsed


def test_what_python_compiled_beside_the_code_is_refused_and_says_how_to_avoid_it(folder: Path):
    (folder / "code/churn_clv/__pycache__").mkdir()
    (folder / "code/churn_clv/__pycache__/errors.cpython-311.pyc").write_bytes(b"\0")
    with pytest.raises(InputError, match=r"errors\.cpython-311\.pyc: not listed .*python -B"):
        read_model(folder)


def test_code_planted_in_the_folder_is_never_run_by_the_program_that_reads_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    marker = folder.parent / "marker"
    for name in [
        *(n for n in names_of(folder) if n.endswith(".py")),
        "code/sitecustomize.py",
        "conftest.py",
        "json.py",
    ]:
        (folder / name).write_text(f"open({str(marker)!r}, 'w')")
    monkeypatch.chdir(folder)
    with pytest.raises(InputError):
        read_model(Path())
    assert not marker.exists()
    inside = [m for m in sys.modules.values() if str(getattr(m, "__file__", None) or "").startswith(str(folder))]
    assert not inside


@pytest.mark.parametrize(
    "line",
    [
        b"%s  ../copy/model.json\n", b"%s  /etc/hostname\n", b"%s  ./model.json\n", b"%s  code//x\n", b"%s  code/../model.json\n",
        b"%s *model.json\n", b"%s  model.json\r\n", b"%s  model.json", b"%s  mod\xc3\xa9l.json\n", b"\n", b"%s  z\x0bz\n", b"abc\n",
    ],
)  # fmt: skip
def test_a_line_that_is_no_digest_and_plain_name_is_refused(folder: Path, parsed: list[str], line: bytes):
    digest = (folder / DIGESTS).read_bytes()[:64]
    with (folder / DIGESTS).open("ab") as listing:
        listing.write(line.replace(b"%s", digest))
    with pytest.raises(InputError, match=f"{DIGESTS}: is damaged"):
        read_model(folder)
    assert not parsed


def test_a_file_listed_twice_and_a_list_in_another_order_are_refused(folder: Path):
    lines = (folder / DIGESTS).read_bytes().splitlines(keepends=True)
    for wrong in ([*lines, lines[-1]], [b"0" * 64 + lines[0][64:], *lines], lines[::-1]):
        (folder / DIGESTS).write_bytes(b"".join(wrong))
        with pytest.raises(InputError, match=f"{DIGESTS}: is damaged"):
            read_model(folder)


@pytest.mark.parametrize("name", [DIGESTS, "model.json"])
def test_a_file_that_would_fill_the_memory_is_refused_unread(folder: Path, name: str):
    os.truncate(folder / name, 40_000_000_000)  # sparse: it takes no room on the disk
    with pytest.raises(InputError, match=rf"{name}: has 40,000,000,000 bytes"):
        read_model(folder)


def test_the_text_that_was_checked_is_the_text_that_is_parsed(folder: Path, monkeypatch: pytest.MonkeyPatch):
    read: list[Path] = []
    read_bytes = Path.read_bytes

    def once(path: Path) -> bytes:
        read.append(path)
        data = read_bytes(path)
        path.write_bytes(b"changed behind the reader's back")
        return data

    monkeypatch.setattr(Path, "read_bytes", once)
    model = read_model(folder)
    assert len(read) == len(set(read)) == len(names_of(folder))
    assert model.models.churn.method == "offset_hybrid"
    with pytest.raises(InputError):
        read_model(folder)


def test_who_writes_the_list_anew_is_seen_only_by_the_digest_that_was_announced(folder: Path):
    announced = model_folder.hashlib.sha256((folder / DIGESTS).read_bytes()).hexdigest()
    read_model(folder, announced)
    files = verified(folder) | {"requirements.txt": "evil==1.0\n"}
    other = model_folder.write_model(folder, files)
    read_model(folder)  # consistent in itself: a list cannot vouch for itself
    with pytest.raises(InputError, match="is not the list whose digest was announced"):
        read_model(folder, announced)
    assert other != announced


def test_a_listed_file_that_is_no_text_is_refused(folder: Path):
    (folder / "requirements.txt").write_bytes(b"\xff\xfe")
    lines = (folder / DIGESTS).read_text().splitlines()
    digest = model_folder.hashlib.sha256(b"\xff\xfe").hexdigest()
    own = [f"{digest}  requirements.txt" if line.endswith("  requirements.txt") else line for line in lines]
    (folder / DIGESTS).write_text("\n".join(own) + "\n")
    with pytest.raises(InputError, match=r"requirements\.txt: is no text"):
        read_model(folder)
