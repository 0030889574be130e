"""What the report promises: one harmless file without ids, the exact grid, readable by any reader."""

from __future__ import annotations

import base64
import dataclasses
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest

from churn_clv.config import parse_config
from churn_clv.data.simulate import simulate_log
from churn_clv.delivery.report import render_report, write_figures
from churn_clv.evaluation.figures import figures_of
from churn_clv.train import Run, train

NOW = datetime(2026, 1, 31, 12, 30, tzinfo=UTC)
HOSTILE = "<script>alert(1)</script>\"' onload=x"
# LightGBM itself refuses names with any of ",:[]{}
ATTRIBUTE = "=cmd()|'><img src=x onerror=alert(1)>"
ID_COLUMN = "<b>id</b>"
VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """Elements with their attributes, headings, tables' cells, and whether the tags nest."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.tables: dict[str, list[list[tuple[str, str | None]]]] = {}
        self.caption = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        rows = self.tables.get(self.caption, [])
        if tag == "tr" and self.caption:
            rows.append([])
        if tag in {"td", "th"} and rows:
            rows[-1].append(("", None))
        if tag == "data" and rows:
            rows[-1][-1] = ("", dict(attrs)["value"])

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes another element"
        if tag == "table":
            self.caption = ""

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if "caption" in self.open and data.strip():
            self.caption = data
            self.tables[data] = []
        elif self.caption and self.tables[self.caption] and self.tables[self.caption][-1]:
            cell = self.tables[self.caption][-1][-1]
            self.tables[self.caption][-1][-1] = (cell[0] + data.strip(), cell[1])

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.elements if name == tag]

    def table(self, beginning: str) -> list[list[tuple[str, str | None]]]:
        return next(rows for caption, rows in self.tables.items() if caption.startswith(beginning))

    @property
    def text(self) -> str:
        return "".join(self.texts)


def rendered(run: Run, name: str = "a run") -> str:
    return render_report(run, figures_of(run), generated_at=NOW, run_name=name)


@pytest.fixture(scope="module")
def html(small_run: Run) -> str:
    return rendered(small_run)


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def run_on(log: pd.DataFrame, folder: Path, name: str = "mine", **data: object) -> Run:
    """Train on a log of 2023 and 2024, written as a CSV."""
    path = folder / f"{name}.csv"
    log.to_csv(path, index=False)
    content = {
        "name": name,
        "data": {"path": str(path), **data},
        "windows": {"calibration_end": date(2024, 6, 30), "holdout_end": date(2024, 12, 15)},
        "evaluation": {"bootstrap_samples": 20},
    }
    return train(parse_config(content, source="test"))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The report of a run whose names are all hostile and whose ids are all canaries."""
    folder = tmp_path_factory.mktemp("hostile")
    log = simulate_log(customers=400, seed=11)
    log = log.assign(customer_id="canary-" + log["customer_id"].astype(str)).rename(columns={"customer_id": ID_COLUMN})
    ids = log[ID_COLUMN].unique()
    table = folder / "attributes.csv"
    pd.DataFrame({ID_COLUMN: ids, ATTRIBUTE: range(len(ids))}).to_csv(table, index=False)
    run = run_on(
        log,
        folder,
        currency="<i>$\\x'\"",
        columns={"customer_id": ID_COLUMN},
        attributes={"path": str(table), "customer_id": ID_COLUMN},
        drop_rows=[{ID_COLUMN: [str(ids[0])]}],
    )
    return rendered(run, HOSTILE)


def everything(html: str) -> bytes:
    """The page and what its pictures hold."""
    pictures = re.findall(r"base64,([A-Za-z0-9+/=]+)", html)
    return html.encode() + b"".join(base64.b64decode(p) for p in pictures)


def test_the_page_is_one_small_file_without_network_or_script(html: str, page: Page) -> None:
    assert len(html.encode()) < 3_000_000
    assert "http:" not in html
    assert "https:" not in html
    assert not {tag for tag, _ in page.elements} & {"script", "link", "iframe", "object", "embed", "base", "form"}
    assert not [name for _, attrs in page.elements for name in attrs if name.startswith("on")]
    assert all(str(picture["src"]).startswith("data:image/") for picture in page.named("img"))
    policy = next(meta["content"] for meta in page.named("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def test_tags_nest_ids_are_unique_and_links_arrive(page: Page) -> None:
    assert page.open == []
    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    wanted = [str(a["href"])[1:] for a in page.named("a")]
    wanted += [str(attrs["aria-labelledby"]) for _, attrs in page.elements if "aria-labelledby" in attrs]
    assert set(wanted) <= set(ids)


def test_a_reader_who_hears_the_page_finds_language_headings_tables_and_pictures(page: Page) -> None:
    assert page.named("html")[0]["lang"] == "en"
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert len(page.named("caption")) == len(page.named("table"))
    assert all("scope" in th for th in page.named("th"))
    assert all(len(str(picture["alt"])) > 60 for picture in page.named("img"))


def test_every_figure_stands_on_the_page(small_run: Run, page: Page) -> None:
    assert len(page.named("img")) == len(figures_of(small_run))


def test_the_judged_table_shows_exactly_the_figures_of_the_judged_grid(small_run: Run, page: Page) -> None:
    rows = {(r[2][0], r[1][0]): r for r in page.table("Judged grid")[1:]}
    assert set(rows) == set(small_run.judged_grid.index)
    for key, cell in small_run.judged_grid.iterrows():
        shown = {k: float(rows[key][k][1]) for k in (3, 4, 5, 6, 9)}  # type: ignore[arg-type, index]
        wanted = ["customers", "share", "churn_probability", "realised_churn", "realised_spend"]
        assert shown == dict(zip(shown, cell[wanted].astype(float), strict=True))
        assert rows[key][6][0].replace("\u00a0", " ") == f"{100 * cell['realised_churn']:.1f} %"  # type: ignore[index]


def test_the_production_table_shows_forecasts_and_no_realised_spend(small_run: Run, page: Page) -> None:
    rows = page.table("Production grid")
    assert not [text for text, _ in rows[0] if "ealised" in text and "judged members" not in text]
    for row in rows[1:]:
        cell = small_run.production_grid.loc[(row[2][0], row[1][0])]
        assert [float(str(row[k][1])) for k in (3, 5, 6)] == [
            cell["customers"],
            cell["expected_spend"],
            cell["value_at_risk"],
        ]


def test_the_answer_comes_before_the_doubts_and_the_data(html: str) -> None:
    places = [html.index(f'<h2 id="{name}"') for name in ("answer", "quality", "data", "details", "glossary")]
    assert places == sorted(places)
    assert html.index("upper bound") < places[1]
    assert html.index("Ascarza 2018") < places[1]
    assert html.index("never mixed") < places[1]


def test_every_verdict_of_the_run_is_told(small_run: Run, page: Page) -> None:
    told = page.text.replace("\u00a0", " ")
    assert all(sentence in told for sentence in small_run.judgement.sentences())


def test_a_rival_that_is_better_on_any_metric_is_named(small_run: Run, better_rival: Callable[[Run], Run]) -> None:
    told = Page(rendered(better_rival(small_run))).text
    assert "Churn, ranking of customers by risk (AUC): logistic regression on RFM is better" in told
    assert "No rival is better" not in told


@pytest.fixture
def better_rival() -> Callable[[Run], Run]:
    """Put a clear loss of the run on AUC into a copy of its judgement."""

    def changed(run: Run) -> Run:
        churn = run.judgement.churn.copy()
        gap = [-0.2, -0.3, -0.1]
        churn.loc[("auc", "logistic_rfm"), ["difference", "difference_low", "difference_high"]] = gap
        return dataclasses.replace(run, judgement=dataclasses.replace(run.judgement, churn=churn))

    return changed


def test_hostile_names_stay_text(hostile: str) -> None:
    page = Page(hostile)
    assert not {tag for tag, _ in page.elements} & {"script", "i", "iframe"}
    assert not [name for _, attrs in page.elements for name in attrs if name.startswith("on")]
    assert all(str(picture["src"]).startswith("data:image/") for picture in page.named("img"))
    assert HOSTILE in page.text
    assert ATTRIBUTE[:20] in page.text
    assert "<i>$\\x'\"" in page.text


def test_no_customer_id_is_on_the_page_or_in_its_pictures(hostile: str) -> None:
    assert b"canary" not in everything(hostile)


def test_a_log_without_amounts_is_told_in_purchases(tmp_path: Path) -> None:
    log = simulate_log(customers=300, seed=3).drop(columns="amount")
    told = Page(rendered(run_on(log, tmp_path, columns={"amount": None}))).text
    assert "value is counted in purchases" in told
    assert "expected spend in the next" not in told


def test_amounts_without_a_currency_are_said_to_have_none(tmp_path: Path) -> None:
    told = Page(rendered(run_on(simulate_log(customers=300, seed=3), tmp_path))).text
    assert "No currency was named" in told
    assert "None" not in told.replace("currency: None", "")


def test_a_churn_model_without_trees_is_explained(small_run: Run, page: Page) -> None:
    assert small_run.models.churn.rounds_ == 0  # the truth of this log is BG/NBD: nothing is left to learn
    assert "the risk is the purchase model's own" in page.text


def test_figures_are_written_as_png_under_their_names(small_run: Run, tmp_path: Path) -> None:
    figures = figures_of(small_run)
    paths = write_figures({"gain": figures["gain"]}, tmp_path / "new")
    assert [p.name for p in paths] == ["gain.png"]
    assert paths[0].read_bytes().startswith(b"\x89PNG")
