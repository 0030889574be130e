"""What a person sees who trains twice and opens the link that training printed."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.browser.conftest import METHODS, Workshop

from churn_clv.delivery.leaderboard import COLUMNS, PORT

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser
# The list draws only the columns that are on the screen; beside it the UI opens an assistant, unless told not to.
WIDE = {"width": 2800, "height": 1000}
NO_ASSISTANT = """localStorage.setItem("mlflow.assistant.fab.autoOpenedOnFirstLoad_v1", "true");
  localStorage.setItem("mlflow.assistant.panelOpen_v1", "false")"""
# From left to right: the list keeps its columns in another order than it shows them in.
SHOWN = """wanted => {
  const shown = [...document.querySelectorAll(".ag-header-cell")].map(cell => [cell.getBoundingClientRect().left, cell.getAttribute("col-id")])
    .sort((one, other) => one[0] - other[0]).map(cell => cell[1]).filter(id => /^(metrics|params|tags)[.]/.test(id));
  return JSON.stringify(shown) === JSON.stringify(wanted) }"""


@pytest.fixture
def tab(browser: Browser) -> Any:
    context = browser.new_context(viewport=WIDE)
    context.add_init_script(NO_ASSISTANT)
    page = context.new_page()
    page.set_default_timeout(45_000)
    yield page
    context.close()


@pytest.fixture(scope="session")
def logged(workshop: Workshop) -> dict[str, Any]:
    """The store's runs by the name of their config."""
    import mlflow

    client = mlflow.MlflowClient(tracking_uri=workshop.store)
    experiment = client.get_experiment_by_name("churn-clv")
    return {run.info.run_name.split()[0]: run for run in client.search_runs([experiment.experiment_id])}


def leaderboard(tab: Page, workshop: Workshop, ui: str) -> None:
    printed = f"http://127.0.0.1:{PORT}"
    assert workshop.leaderboard.startswith(printed)
    tab.goto(workshop.leaderboard.replace(printed, ui))
    tab.locator(".ag-header-cell[col-id='metrics.`churn/auc`']").wait_for()


def artifact(tab: Page, ui: str, run: Any, path: str) -> None:
    tab.goto(f"{ui}/#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}/artifacts/{path}")


def test_the_printed_link_opens_both_runs_with_the_documented_columns_and_figures(
    tab: Page, workshop: Workshop, ui: str, logged: dict[str, Any], screenshots: Path
) -> None:
    leaderboard(tab, workshop, ui)
    present = [(kind, name) for kind, name in COLUMNS if any(name in getattr(r.data, kind) for r in logged.values())]
    tab.wait_for_function(SHOWN, arg=[f"{kind}.`{name}`" for kind, name in present])
    tab.screenshot(path=screenshots / "leaderboard.png")
    assert len(present) > 10
    for run in (logged[name] for name in METHODS):
        row = f".ag-row[row-id='{run.info.run_id}']"
        assert run.info.run_name in tab.locator(f"{row} [col-id='attributes.`Run Name`']").inner_text()
        for metric in (name for kind, name in present if kind == "metrics" and name in run.data.metrics):
            shown = tab.locator(f"{row} [col-id='metrics.`{metric}`']").inner_text()
            assert float(shown) == pytest.approx(run.data.metrics[metric], rel=1e-9), metric


def test_two_ticked_runs_open_side_by_side(
    tab: Page, workshop: Workshop, ui: str, logged: dict[str, Any], screenshots: Path
) -> None:
    leaderboard(tab, workshop, ui)
    two = [logged[name] for name in METHODS]
    for run in two:
        tab.locator(f".ag-row[row-id='{run.info.run_id}']").get_by_label("toggle row selection").check()
    tab.get_by_role("button", name="Compare").click()
    tab.get_by_text("Comparing 2 Runs").wait_for()
    tab.get_by_text("churn/auc_se", exact=True).first.wait_for()
    shown = tab.inner_text("body")
    tab.screenshot(path=screenshots / "compared.png")
    for run in two:
        assert run.info.run_name in shown
        assert run.data.params["churn.method"] in shown
        assert str(round(run.data.metrics["churn/auc"], 3)) in shown.splitlines()


@pytest.mark.parametrize(
    ("file", "heading"), [("report.html", "1. The answer"), ("segments.html", "1. Whom to contact")]
)
def test_a_page_shows_in_the_artifact_view(
    tab: Page, ui: str, logged: dict[str, Any], screenshots: Path, file: str, heading: str
) -> None:
    artifact(tab, ui, logged["boosted"], file)
    frame = tab.frame_locator("iframe")
    frame.get_by_role("heading", name=heading).wait_for()
    pictures = frame.locator("img").evaluate_all("all => all.map(one => one.complete && one.naturalWidth > 0)")
    tab.screenshot(path=screenshots / f"artifact-{file.removesuffix('.html')}.png")
    assert pictures
    assert all(pictures)


def test_a_figure_shows_in_the_artifact_view(
    tab: Page, workshop: Workshop, ui: str, logged: dict[str, Any], screenshots: Path
) -> None:
    artifact(tab, ui, logged["boosted"], "figures/grid_judged.png")
    tab.wait_for_function("[...document.images].some(picture => picture.naturalWidth > 400)")
    tab.screenshot(path=screenshots / "artifact-figure.png")
    shown = tab.locator("img").evaluate_all(
        "all => all.filter(one => one.checkVisibility() && one.width > 100).map(one => [one.naturalWidth, one.naturalHeight])"
    )
    # A PNG says its width and height in bytes 16 to 24.
    header = (workshop.runs["boosted"] / "figures/grid_judged.png").read_bytes()[16:24]
    assert list(struct.unpack(">II", header)) in shown
