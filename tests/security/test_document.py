"""SECURITY.md names tests that are there, and every one of this folder."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
TEXT = (TESTS.parent / "SECURITY.md").read_text(encoding="utf-8")


def test_every_test_that_the_document_names_is_there() -> None:
    named = re.findall(r"`((?:\w+/)*test_\w+\.py)(?:::(test_\w+))?`", TEXT)
    assert len(named) > 10
    for file, function in named:
        assert (TESTS / file).is_file(), file
        assert f"def {function}" in (TESTS / file).read_text(encoding="utf-8"), function


def test_every_promise_that_is_tested_here_is_in_the_document() -> None:
    ours = {f"security/{path.name}" for path in Path(__file__).parent.glob("test_*.py")} - {
        f"security/{Path(__file__).name}"
    }
    assert ours == set(re.findall(r"security/test_\w+\.py", TEXT))
