"""S18: what is installed is what was locked, to the byte, and no lock says where from."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
LOCKS = sorted(PROJECT.glob("requirements*.lock"))
UV = Path(sys.executable).parent / "uv"


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_every_requirement_is_pinned_and_carries_hashes_and_nothing_else(lock: Path) -> None:
    text = re.sub(r"^\s*#.*\n", "", lock.read_text(encoding="utf-8"), flags=re.M)
    entries = text.replace("\\\n", " ").splitlines()
    assert entries
    for entry in entries:
        found = re.fullmatch(
            r"[a-z0-9._-]+==[0-9][0-9a-z.+]*( ; [^#@:]+?)?((?:\s+--hash=sha256:[0-9a-f]{64})+)\s*", entry
        )
        assert found, entry[:100]


def test_every_install_of_the_makefile_asks_for_hashes() -> None:
    text = (PROJECT / "Makefile").read_text(encoding="utf-8")
    installs = re.findall(r"(?:pip|uv pip) install [^;&\n]*", text)
    assert len(installs) >= 6
    assert [line for line in installs if "--require-hashes" not in line and "--no-deps -e ." not in line] == []
    assert {lock.name for lock in LOCKS} == set(re.findall(r"requirements[a-z-]*\.lock", text)) | {
        "requirements-complete-journey.lock"
    }


def wheel_in(folder: Path) -> str:
    """A package of one line; return its digest."""
    path = folder / "tiny_thing-1.0-py3-none-any.whl"
    info = "tiny_thing-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("tiny_thing.py", "x = 1\n")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-thing\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", f"tiny_thing.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_package_whose_bytes_are_not_those_that_were_locked_is_not_installed(tmp_path: Path) -> None:
    """Offline, with a package of our own, in the manner of the Makefile."""
    digest = wheel_in(tmp_path)
    for locked, installed in ((digest, True), ("0" * 64, False)):
        (tmp_path / "r.lock").write_text(f"tiny-thing==1.0 \\\n    --hash=sha256:{locked}\n")
        words = [UV, "pip", "install", "--quiet", "--no-index", "--find-links", tmp_path, "--no-cache", "--target", tmp_path / locked[:8],
                 "--python", sys.executable, "--require-hashes", "-r", tmp_path / "r.lock"]  # fmt: skip
        done = subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False)
        assert (done.returncode == 0) == installed == (tmp_path / locked[:8] / "tiny_thing.py").exists(), done.stderr
    assert "mismatch" in done.stderr.lower()
