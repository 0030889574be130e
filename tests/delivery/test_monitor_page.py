"""What the page of a monitoring promises: the verdict first, the exact figures, no ids, harmless, for any outcome."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from test_report import HOSTILE, Page
from tests.conftest import FULL_DPI
from tests.test_monitoring import world

from churn_clv.delivery.monitor_page import MEANT, monitor_figures_of, render_monitor_page
from churn_clv.evaluation.labels import Unit
from churn_clv.monitoring import Monitoring, monitor

NOW = datetime(2026, 1, 31, 12, 30, tzinfo=UTC)
TOTALS = "What was promised on 31 January 2025 for 90 days, and what happened"


def rendered(found: Monitoring, unit: Unit | None = None, name: str = "a model") -> str:
    unit = unit or Unit("EUR")
    figures = monitor_figures_of(found, unit)
    return render_monitor_page(
        found, figures, unit=unit, names=("old.parquet", name), model_name=name, generated_at=NOW
    )


def plain(html: str) -> str:
    return " ".join(Page(html).texts).replace("\u00a0", " ")


@pytest.fixture(scope="module")
def broken() -> Monitoring:
    return monitor(**world(1000, 1, more=0.7))


@pytest.fixture(scope="module")
def html(broken: Monitoring) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("churn_clv.delivery.drawn.DPI", FULL_DPI)
        return rendered(broken)


def test_the_verdict_and_its_reasons_come_first(html: str, broken: Monitoring) -> None:
    text = plain(html)
    places = [text.index(words) for words in (
        "1. The verdict: retrain", MEANT["retrain"], broken.reasons[0].sentence.replace("\u00a0", " "),
        "2. The promise and what happened", "3. What changed", "4. Who moved", "5. Glossary", "6. How it was made",
    )]  # fmt: skip
    assert places == sorted(places)


def test_the_tables_hold_the_exact_figures(html: str, broken: Monitoring) -> None:
    tables = Page(html).tables
    kept = broken.promise
    assert kept is not None
    rows = tables[TOTALS][1:]
    assert [float(row[3][1] or "nan") for row in rows] == pytest.approx(kept.totals["actual_to_expected"].tolist())
    stability = next(rows for caption, rows in tables.items() if caption.startswith("Stability of every column"))
    shown = {row[0][0]: row for row in stability if len(row) > 1}
    assert float(shown["repeat purchases"][5][1] or "nan") == pytest.approx(
        broken.drift.loc["frequency", "psi_same_age"]
    )
    assert len(shown) == len(broken.drift) + 1
    assert "not judged" in shown["days since the first purchase"][-1][0]


def test_the_page_needs_nobody_and_names_no_customer(html: str) -> None:
    assert "id-0" not in html
    assert "http" not in html.replace("http-equiv", "")
    assert "<script" not in html
    assert len(html) < 500_000
    page = Page(html)
    images = [attributes for tag, attributes in page.elements if tag == "img"]
    assert len(images) == 4
    assert all(str(image["src"]).startswith("data:image/png") and len(str(image["alt"])) > 40 for image in images)


def test_names_are_text_and_nothing_else(broken: Monitoring) -> None:
    hostile = rendered(broken, name=HOSTILE)
    assert "<script>" not in hostile
    assert HOSTILE in plain(hostile)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (lambda: world(300, 2) | {"promise": None}, "Not judged. The model's forecasts look exactly 90 days ahead"),
        (lambda: world(300, 3, ages=(200, 210)), "not judged: nobody of the same age"),
        (lambda: world(50, 4), "not judged: too few customers"),
        (lambda: world(300, 5) | {"levels": {"region": ["north"]}}, "Customers whose category the model has never met"),
        (lambda: world(300, 5) | {"levels": {}}, "Has the model aged?"),
    ],
    ids=["no promise", "one cohort", "few", "unknown", "no categories"],
)
def test_any_outcome_has_a_page_that_says_so(given: Any, words: str) -> None:
    found = monitor(**given())
    text = plain(rendered(found))
    assert words in text
    assert f"The verdict: {found.verdict}" in text
    assert "nan" not in text.lower().split()


def test_a_log_without_amounts_is_counted_once_in_purchases() -> None:
    given = world(400, 6)
    for day in ("before", "after"):
        scores, bought = given[f"scores_{day}"], given[day]["frequency"] + 1
        given[f"scores_{day}"] = scores.assign(expected_spend=scores["expected_purchases"], value_to_date=bought)
    given["promise"] = given["promise"].assign(expected_spend=given["promise"]["expected_purchases"])
    found = monitor(**given)
    assert found.promise is not None
    assert found.promise.totals.index.tolist() == ["no_purchase", "purchases"]
    names = [row[0][0] for row in Page(rendered(found, Unit(None, "purchases"))).tables[TOTALS]]
    assert names == ["What", "Customers without a purchase", "Purchases"]


def test_few_customers_who_came_or_went_are_counted_nowhere_on_the_page() -> None:
    given = world(1000, 4)
    for day in ("after", "scores_after"):
        given[day] = given[day].iloc[3:1000]
    text = plain(rendered(monitor(**given)))
    assert "customers known on both days; 0 are new, fewer than 10 are missing now" in text and "997" in text
    assert not re.search(r"1,000 customers|(?<![\d.,])3 (others|are|of)", text)
    assert "Others are missing now" in text and "not shown customers. Later day" in text
