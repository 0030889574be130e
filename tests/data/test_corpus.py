"""The corpus of bad and odd logs: each ends as it says, by the command as by the library."""

from __future__ import annotations

import re
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import typer
from corpus import CANARY, CORPUS, END, Case, Read, Refused, column_of, table

from churn_clv import cli
from churn_clv.data.summary import require_known_customers, summarize
from churn_clv.data.transactions import read_transactions
from churn_clv.errors import InputError

DOCS = Path(__file__).parents[2] / "docs"
SECONDS = 5
PLURAL = re.compile("^(exact duplicate|refund line|zero amount|line|sale|amount|event|time)s")
OF_EACH = 3
COMMAND = typer.main.get_command(cli.app)  # built once; the command builds it anew at every start


def outcome_of(
    case: Case, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Refused | Read:
    """Return what became of a case: the one line of its error, or its summary and the rules that were told."""
    source, out = case.make(folder), folder / "out" / "summary.csv"
    if case.rules is not None:
        return by_the_library(case, source)
    end = () if "--end" in case.options else ("--end", str(END))
    monkeypatch.setattr(cli, "app", COMMAND)
    monkeypatch.setattr(sys, "argv", ["churn-clv", "summary", str(source), str(out), *case.options, *end])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    said = capsys.readouterr()
    if stopped.value.code == 2:
        assert list(folder.glob("out*/*")) == []
        assert said.err.startswith("churn-clv: ")
        assert said.err.count("\n") == 1
        return Refused((said.err,))
    assert stopped.value.code == 0
    assert said.err == ""
    told = said.out.splitlines()[0].partition(" out: ")[2]
    return Read(out.read_text().partition("\n")[2].strip(), dict(told_rule(part) for part in told.split("); ") if told))


def by_the_library(case: Case, source: Path | pd.DataFrame) -> Refused | Read:
    assert case.rules is not None
    try:
        log = read_transactions(source, case.columns, case.rules)
        found = summarize(log, END)
        require_known_customers(found, END)
    except InputError as error:
        return Refused((str(error),))
    shown = found.drop(columns=["monetary_days", "value_to_date"]).astype({"frequency": int, "recency": int, "T": int})
    return Read(
        shown.to_csv().partition("\n")[2].strip(), {step.rule: step.rows for step in log.cleaning.steps if step.rows}
    )


def told_rule(text: str) -> tuple[str, int]:
    """Return a rule of the terminal's line, and its lines."""
    number, _, rule = text.partition(" ")
    singular = PLURAL.sub(r"\1", rule.rpartition(" (")[0] or rule)
    return "line on a day without a purchase" if singular.startswith("line on") else singular, int(
        number.replace(",", "")
    )


def split() -> list[Any]:
    """Return the names: a kind's first cases of each outcome for every run of the tests, more of a kind for `make odd`."""
    seen: Counter[tuple[str, str]] = Counter()
    names = []
    for name, case in CORPUS.items():
        place = (case.kind, column_of(case.outcome))
        seen[place] += 1
        names.append(pytest.param(name, marks=[pytest.mark.odd] if seen[place] > OF_EACH else []))
    return names


@pytest.mark.parametrize("name", split())
def test_a_log_ends_as_the_corpus_says(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    case = CORPUS[name]
    started = time.monotonic()
    found = outcome_of(case, tmp_path, monkeypatch, capsys)
    assert time.monotonic() - started < SECONDS
    if isinstance(case.outcome, Read):
        mark = "|" if "|" in case.outcome.summary else " "
        assert found == Read("\n".join(case.outcome.summary.split(mark)), case.outcome.rules)
        return
    assert isinstance(found, Refused), found
    [message] = found.words
    assert len(message) < 700
    assert CANARY[:12] not in message
    assert [words for words in case.outcome.words if words not in message] == [], message


def test_the_page_of_inputs_shows_this_corpus() -> None:
    assert table() in (DOCS / "inputs.md").read_text(encoding="utf-8")
