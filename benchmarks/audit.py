"""Hold every locked requirement against the advisories that are reachable, and say of how many nothing could be learned.

    make audit

pip-audit calls a requirement that its source does not know "skipped" and exits 0; here that is an answer of its own.
Exits 0 if every requirement was checked and none has a known vulnerability, 1 if one has, 3 if some could not be checked.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[1]
# What pip-audit asks by default is the package index; the other is a database of its own.
SOURCES: dict[str, list[str]] = {"package index": [], "OSV": ["--vulnerability-service", "osv"]}
UNCHECKED = 3


def main() -> int:
    """Ask each source about every lock; a requirement counts as checked if one of them knew it."""
    locks = sorted(PROJECT.glob("requirements*.lock"))
    checked: dict[str, list[str]] = {}
    unchecked: set[str] = set()
    for source, words in SOURCES.items():
        known = 0
        for told in (told for lock in locks for told in ask(lock, words)):
            if "vulns" in told:
                known += 1
                checked[told["name"]] = [fault["id"] for fault in told["vulns"]]
            unchecked.add(told["name"])
        print(f"{source}: knew {known:,} requirements")
    unchecked |= {name for lock in locks for name in names(lock)}
    return verdict(checked, unchecked - checked.keys())


def ask(lock: Path, words: list[str]) -> list[dict[str, Any]]:
    """Return what a source says of the requirements of a lock; nothing if it cannot be reached."""
    command = [sys.executable, "-m", "pip_audit", "--format", "json", "--progress-spinner", "off", "--timeout", "10",
               "--disable-pip", "--require-hashes", "-r", str(lock), *words]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 (our own interpreter)
    try:
        return list(json.loads(done.stdout)["dependencies"])
    except ValueError:
        print(f"{lock.name}: no answer: {(done.stderr.strip().splitlines() or ['nothing was said'])[-1][:120]}")
        return []


def names(lock: Path) -> list[str]:
    """Return the requirements of a lock."""
    lines = lock.read_text(encoding="utf-8").splitlines()
    return [line.split("==")[0] for line in lines if "==" in line and not line.startswith((" ", "#"))]


def verdict(checked: dict[str, list[str]], unchecked: set[str]) -> int:
    """Print what was found and return the exit code."""
    faulty = {name: faults for name, faults in checked.items() if faults}
    for name, faults in sorted(faulty.items()):
        print(f"{name}: {', '.join(faults)}")
    print(
        f"{len(checked):,} requirements checked, {len(faulty):,} with a known vulnerability, {len(unchecked):,} not checked"
    )
    return 1 if faulty else UNCHECKED if unchecked else 0


if __name__ == "__main__":
    sys.exit(main())
