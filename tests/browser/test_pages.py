"""Every page the program writes, as people meet it: valid, accessible, on any screen and on paper, and harmless."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.browser.conftest import FORMULA, HOSTILE, TOOLS, Workshop

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser
KINDS = ["report", "segments", "comparison", "contracts", "scores"]
# Width in pixels, colour scheme, medium: a phone is 390 wide; A4 within the pages' margins of 1.5 cm is 680.
VIEWS: dict[str, tuple[int, Any, Any]] = {
    "light": (1100, "light", "screen"), "dark": (1100, "dark", "screen"),
    "phone": (390, "dark", "screen"), "print": (680, "light", "print"),
}  # fmt: skip


def opened(browser: Browser, page: Path, view: str) -> Page:
    width, scheme, medium = VIEWS[view]
    # The pages forbid every script, so also axe; the test of harmless names opens them as they are.
    context = browser.new_context(viewport={"width": width, "height": 900}, bypass_csp=True)
    tab = context.new_page()
    tab.emulate_media(media=medium, color_scheme=scheme)
    tab.goto(page.as_uri())
    return tab


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("view", VIEWS)
def test_no_page_has_a_serious_barrier_or_runs_off_the_screen(
    browser: Browser, workshop: Workshop, screenshots: Path, kind: str, view: str
) -> None:
    tab = opened(browser, workshop.pages[kind], view)
    tab.screenshot(path=screenshots / f"{kind}-{view}.png")
    wide = tab.evaluate("document.documentElement.scrollWidth")
    tab.evaluate((TOOLS / "axe-core/axe.min.js").read_text())
    found = tab.evaluate("axe.run()")
    tab.context.close()
    assert len(found["passes"]) > 10  # axe saw a page, not a blank
    barriers = [(v["id"], [n["html"][:200] for n in v["nodes"]]) for v in found["violations"]
                if v["impact"] in {"serious", "critical"}]  # fmt: skip
    assert barriers == []
    assert wide <= VIEWS[view][0]


def test_every_page_is_valid_html(workshop: Workshop) -> None:
    """By the Nu checker of the W3C; its warnings (it takes data: pictures for blocked) are not errors."""
    checker = TOOLS / "vnu-jar/build/dist/vnu.jar"
    command = ["java", "-jar", checker, "--stdout", "--exit-zero-always", "--format", "json", "--errors-only"]
    done = subprocess.run([*command, *workshop.pages.values()], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["messages"] == []


def test_the_checker_sees_a_fault(tmp_path: Path) -> None:
    """Else the test above could not fail."""
    (tmp_path / "bad.html").write_text("<!doctype html><html lang=en><title>t</title><p id=a><p id=a>")
    checker = TOOLS / "vnu-jar/build/dist/vnu.jar"
    done = subprocess.run(
        ["java", "-jar", checker, "--errors-only", tmp_path / "bad.html"], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "Duplicate ID" in done.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_asks_the_network_for_nothing(browser: Browser, workshop: Workshop, kind: str) -> None:
    tab = browser.new_page()
    asked: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    page = workshop.pages[kind].as_uri()
    tab.goto(page)
    pictures = tab.evaluate("[...document.images].map(picture => picture.complete && picture.naturalWidth > 0)")
    tab.close()
    assert [url for url in asked if url != page and not url.startswith("data:")] == []
    assert all(pictures)
    assert pictures or kind == "scores"


def test_hostile_names_are_text_and_no_script_runs(browser: Browser, workshop: Workshop) -> None:
    tab = browser.new_page()
    tab.goto(workshop.pages["contracts"].as_uri())
    shown, scripts, title = tab.inner_text("body"), tab.locator("script").count(), tab.title()
    tab.close()
    assert HOSTILE in shown
    assert FORMULA in shown
    assert scripts == 0
    assert title == "Contractual churn: contracts " + workshop.pages["contracts"].parent.name
