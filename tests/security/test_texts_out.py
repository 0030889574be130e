"""S13, S14: what people open runs nothing: no formula in a table, no element, handler or address in a page."""

from __future__ import annotations

import csv
import re
from html.parser import HTMLParser
from pathlib import Path

import jinja2
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import churn_clv
from churn_clv.customer_table import Column
from churn_clv.data.contract import ReadingRules
from churn_clv.delivery.customer_files import customer_files, read_batches
from churn_clv.delivery.score_page import write_score_page
from churn_clv.delivery.spreadsheet import plain_text, safe_text, spreadsheet_safe
from churn_clv.delivery.tables import read_table, write_table

PACKAGE = Path(churn_clv.__file__).parent
# OWASP, CSV Injection: what a spreadsheet takes for the start of a formula, the full-width forms of it included.
STARTS = ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20"]
PAYLOADS = [
    "<script>alert(1)</script>", "</td></tr></table><script>x</script>", "<img src=x onerror=alert(1)>", "\"'><svg/onload=alert(1)>",
    "' onmouseover='x", "\" style=\"x\" onclick=\"y", "javascript:alert(1)", "</title><script>1</script>", "{{ 7 * 7 }}", "{% raw %}",
    "<!--", "]]>", "&lt;script&gt;", "</style><script>1</script>", "<a href='https://evil.example'>x</a>", "<base href='//evil.example'>",
    "<meta http-equiv=refresh content='0;url=//evil.example'>", "\u202e<b>", "\x00<i>", "<iframe srcdoc='<script>1</script>'>",
]  # fmt: skip


# --- S13


def lines(text: str) -> str:
    """A text as it stands in CSV, whose writer leaves a carriage return unquoted: with line feeds instead."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


@settings(deadline=None, max_examples=80)
@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from(STARTS), max_size=12), min_size=1, max_size=8
    )
)
def test_no_cell_and_no_name_of_a_column_begins_like_a_formula_and_no_other_is_touched(texts: list[str]) -> None:
    name = texts[0]
    safe = spreadsheet_safe(pd.DataFrame({name: texts, "n": -1.5}))
    for before, after in zip([name, *texts], [safe.columns[0], *safe.iloc[:, 0]], strict=True):
        assert not str(after).startswith(tuple(STARTS))
        assert after == (f"'{lines(before)}" if before.lstrip("'").startswith(tuple(STARTS)) else lines(before))
    assert (safe["n"] == -1.5).all()


@pytest.mark.parametrize("start", STARTS)
def test_a_file_of_every_kind_of_column_is_safe_as_csv_and_raw_as_parquet(tmp_path: Path, start: str) -> None:
    evil = f"{start}cmd|' /C calc'!A0"
    index = pd.Index([evil, "plain"], name="customer_id")
    frame = pd.DataFrame({evil: [-1.0, 2.0], "level": pd.Categorical([evil, "b"]), "kept": [-3, 4]}, index=index)
    write_table(frame, tmp_path / "t.csv")
    write_table(frame, tmp_path / "t.parquet")
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    told = f"'{lines(evil)}"
    assert rows == [
        ["customer_id", told, "level", "kept"],
        [told, "-1.0", told, "-3"],
        ["plain", "2.0", "b", "4"],
    ]
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "t.parquet"), frame, check_categorical=False)


@settings(deadline=None, max_examples=200)
@given(st.text(st.sampled_from(["'", *STARTS, "7", "n"]), max_size=6))
def test_what_was_put_before_a_text_is_taken_off_again_and_no_two_texts_are_written_alike(text: str) -> None:
    assert plain_text(safe_text(text)) == lines(text)


def test_ids_are_the_same_whether_a_table_was_written_as_csv_or_as_parquet(tmp_path: Path) -> None:
    ids = ["-7", "'-7", "''-7", "'n", "+49 30 1", "7"]
    frame = pd.DataFrame({"=x": ["@a", "b"] * 3}, index=pd.Index(ids, name="customer_id"))
    for suffix in (".csv", ".parquet"):
        write_table(frame, tmp_path / f"t{suffix}")
        pd.testing.assert_frame_equal(read_table(tmp_path / f"t{suffix}").set_index("customer_id"), frame)


def test_a_customer_table_that_was_written_as_csv_is_read_with_the_ids_it_was_made_of(tmp_path: Path) -> None:
    index = pd.Index(["-7", "'-7", "7"], name="customer_id")
    write_table(pd.DataFrame({"frequency": 1, "recency": 2.0, "T": 3.0}, index=index), tmp_path / "t.csv")
    rules, column = ReadingRules(), Column("frequency", "number", False)
    batches = read_batches(customer_files(tmp_path / "t.csv", rules), [column], "customer_id", rules, 2)
    assert [name for _, batch in batches for name in batch["customer_id"]] == [*index]


def test_a_carriage_return_within_a_cell_begins_no_row(tmp_path: Path) -> None:
    write_table(
        pd.DataFrame({"reasons": ["a\r=cmd()", "b\r\n+1"]}, index=pd.Index(["1", "2"], name="customer_id")),
        tmp_path / "t.csv",
    )
    assert b"\r" not in (tmp_path / "t.csv").read_bytes()
    assert read_table(tmp_path / "t.csv")["reasons"].tolist() == ["a\n=cmd()", "b\n+1"]


# --- S14


class Elements(HTMLParser):
    """Every element with its attributes, comments and declarations."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, tuple[str, ...]]] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, tuple(name for name, _ in attrs)))

    def handle_comment(self, data: str) -> None:
        self.found.append(("comment", (data,)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def score_page(folder: Path, text: str) -> str:
    scores = pd.DataFrame({
        "customer_id": ["a", "b"], "as_of": text, "horizon_days": 182, "value_tier": "low", "risk_tier": "high", "segment": text,
        "action": text, "expected_spend": 1.0, "value_at_risk": 2.0, "clv": 3.0, "churn_probability": 0.5,
    })  # fmt: skip
    scores.to_parquet(folder / "scores.parquet")
    return write_score_page(folder / "scores.parquet", folder / "page.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_score_page_has_the_same_elements_whatever_the_segments_are_called(tmp_path: Path, payload: str) -> None:
    plain, page = Elements(score_page(tmp_path, "plain")), score_page(tmp_path, payload)
    found = Elements(page)
    assert found.found == plain.found
    assert payload.strip("\x00") in "".join(found.texts).replace("\ufffd", "\x00") or "\x00" in payload


TEMPLATES = sorted(PACKAGE.rglob("*.j2"))


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_a_template_escapes_everything_quotes_every_attribute_and_holds_no_script(template: Path) -> None:
    text = template.read_text(encoding="utf-8")
    assert not re.search(r"\|\s*safe\b|autoescape\s+false|<script|javascript:|\son\w+\s*=", text, re.I)
    assert not re.search(r"=\s*\{\{", text), "an attribute without quotes ends at a blank"
    assert not re.search(r"https?://|//[a-z]+\.", re.sub(r"\{#.*?#\}", "", text, flags=re.S)), "a page asks nobody"


def test_every_page_forbids_scripts_and_every_way_out(tmp_path: Path) -> None:
    whole = [path for path in TEMPLATES if "<head" in path.read_text(encoding="utf-8")]
    assert whole
    for path in whole:
        policy = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', path.read_text(encoding="utf-8"))
        assert len(policy) == 1, path
        assert policy[0].startswith("default-src 'none';")
        assert "script-src" not in policy[0]
        assert "unsafe-eval" not in policy[0]


def test_every_environment_of_templates_escapes() -> None:
    sources = {path: path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")}
    made = [
        (path, call)
        for path, text in sources.items()
        for call in re.findall(r"jinja2\.(?:\w+\.)?(?:Sandboxed)?Environment\([^)]*", text)
    ]
    assert made
    assert [path for path, call in made if "autoescape=True" not in call] == []
    assert not [path for path, text in sources.items() if re.search(r"Markup\(|jinja2\.Template\(", text)]
    assert jinja2.Environment(autoescape=True).from_string("{{ x }}").render(x="<b>") == "&lt;b&gt;"
