"""What the page of the segments promises: whom to contact with the run's own figures, plans for all, no ids, any run."""

from __future__ import annotations

import base64
import dataclasses
import re
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from test_report import (
    HOSTILE,
    ID_COLUMN,
    Page,
    check_a_reader_who_hears_the_page_finds_language_headings_tables_and_pictures,
    check_one_small_file_without_network_or_script,
    check_tags_nest_ids_are_unique_and_links_arrive,
    everything,
    run_on,
)
from tests.conftest import FULL_DPI

from churn_clv.data.simulate import simulate_log
from churn_clv.delivery.grid_verdict import CRITERIA, verdict_sentence
from churn_clv.delivery.segment_history import changes_words
from churn_clv.delivery.segment_sentences import BOUGHT_ONCE, whom, young_log
from churn_clv.delivery.segment_tables import number, rule_words, values_table
from churn_clv.delivery.segments_page import PLANNED, render_segments
from churn_clv.evaluation.figures import unit_of
from churn_clv.evaluation.segment_drawings import SEGMENT_DRAWINGS, segment_figures_of, segments_not_drawn
from churn_clv.models import ModifiedBetaGeoModel, ParetoNBDModel
from churn_clv.segments.outreach import AS_ASSUMED
from churn_clv.segments.schemes import SCHEMES
from churn_clv.train import Run

NOW = datetime(2026, 1, 31, 12, 30, tzinfo=UTC)
CODE_NAME = re.compile(r"\b[a-z]+(?:_[a-z0-9]+)+\b")


def rendered(run: Run, name: str = "a run") -> str:
    return render_segments(run, segment_figures_of(run), generated_at=NOW, run_name=name)


@pytest.fixture(scope="module")
def html(small_run: Run) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("churn_clv.delivery.drawn.DPI", FULL_DPI)
        return rendered(small_run)


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


@pytest.fixture(scope="module")
def without_amounts(tmp_path_factory: pytest.TempPathFactory) -> Run:
    log = simulate_log(customers=300, seed=3).drop(columns="amount")
    return run_on(log, tmp_path_factory.mktemp("counted"), columns={"amount": None})


def plain(page: Page) -> str:
    return page.text.replace("\u00a0", " ")


def figures(rows: list[list[tuple[str, str | None]]], column: str) -> list[float]:
    """The exact figures of a column, missing where they are not shown; rows that only head a group left out."""
    place = next(k for k, (text, _) in enumerate(rows[0]) if text.startswith(column))
    return [float(row[place][1] or "nan") for row in rows[1:] if len(row) > place]


def test_the_page_is_one_small_file_without_network_or_script(html: str, page: Page) -> None:
    check_one_small_file_without_network_or_script(html, page)


def test_tags_nest_ids_are_unique_and_links_arrive(page: Page) -> None:
    check_tags_nest_ids_are_unique_and_links_arrive(page, beside="report.html")


def test_a_reader_who_hears_the_page_finds_language_headings_tables_and_pictures(page: Page) -> None:
    check_a_reader_who_hears_the_page_finds_language_headings_tables_and_pictures(page)


def test_every_figure_of_the_segments_stands_on_the_page_or_its_absence_is_explained(
    small_run: Run, page: Page, without_amounts: Run
) -> None:
    assert len(page.named("img")) == len(SEGMENT_DRAWINGS)
    counted = Page(rendered(without_amounts))
    assert len(counted.named("img")) == len(SEGMENT_DRAWINGS) - 1
    assert set(segments_not_drawn(without_amounts)) == {"budget"}
    assert not segments_not_drawn(small_run)


def test_whom_to_contact_comes_before_verdict_views_and_history(html: str) -> None:
    names = ("contact", "verdict", "views", "quality", "movement", "cohorts", "glossary")
    places = [html.index(f'<h2 id="{name}"') for name in names]
    assert places == sorted(places)
    assert html.index("Ascarza 2018") < places[1]


def test_the_contact_table_adds_up_to_the_plan_of_the_run(small_run: Run, page: Page) -> None:
    rows = page.table("Whom to contact, by cell")
    chosen = small_run.segmentation.plan[small_run.segmentation.plan["contact"]]
    for column, total in (
        ("Customers", len(small_run.scores)),
        ("Contacted", len(chosen)),
        ("Budget: expected outlay", chosen["expected_outlay"].sum()),
        ("Expected profit", chosen["contact_profit"].sum()),
    ):
        *cells, told = figures(rows, column)
        assert len(cells) == len(small_run.production_grid)
        assert told == pytest.approx(total, rel=1e-12)
        left = [cell for cell in cells if np.isnan(cell)]
        assert len(left) != 1 and (left or sum(cells) == pytest.approx(total, rel=1e-9))
        assert bool(left) == (column.startswith(("Contacted", "Budget", "Expected")))
    assert AS_ASSUMED in plain(page)


def test_every_scheme_spends_the_same_money_on_the_same_customers(small_run: Run, page: Page) -> None:
    chosen = small_run.segmentation.plan[small_run.segmentation.plan["contact"]]
    for caption in ("Pareto tier", "lifecycle stage", "RFM segment", "value class"):
        rows = page.table(f"Plan and budget by {caption}")
        assert sum(figures(rows, "Customers")) == len(small_run.scores)
        assert sum(figures(rows, "Budget: expected outlay")) == pytest.approx(chosen["expected_outlay"].sum(), rel=1e-9)


def test_every_segment_with_customers_has_a_plan_and_the_others_are_named(small_run: Run, page: Page) -> None:
    for scheme in PLANNED:
        present = small_run.scores[scheme].unique()
        plans = small_run.models.playbook.plans(scheme)
        for name in plans.index.drop("unknown", errors="ignore"):
            told = plain(page)
            assert (plans.loc[name, "action"] in told) if name in present else (f"{name}" in told)


def test_the_lists_are_named_with_their_lengths(small_run: Run, page: Page) -> None:
    found, told = small_run.segmentation, plain(page)
    for name in ("to-contact", "win-back", "look-alikes"):
        assert f"lists/{name}.csv" in told
    assert f"lists/win-back.csv: {len(found.win_back):,} customers" in told
    assert found.look_alikes.words in told
    assert "prospects.csv" not in told


def test_one_time_buyers_on_the_lists_are_warned_of_where_the_model_cannot_tell_that_they_left(
    small_run: Run, page: Page, without_amounts: Run
) -> None:
    once = small_run.scores["frequency"] == 0
    assert (small_run.scores.loc[once, "p_alive"] == 1).all()
    assert plain(page).count(BOUGHT_ONCE) == 1
    assert BOUGHT_ONCE not in plain(Page(rendered(without_amounts)))
    actions = small_run.config.actions.model_copy(update={"save_rates": "measured.csv"})
    measured = dataclasses.replace(small_run, config=small_run.config.model_copy(update={"actions": actions}))
    assert BOUGHT_ONCE not in whom(measured, unit_of(measured))
    for other in (
        ModifiedBetaGeoModel.from_params(r=0.8, alpha=6.0, a=0.8, b=2.5),
        ParetoNBDModel.from_params(r=0.6, alpha=8.0, s=0.6, beta=12.0),
    ):
        models = dataclasses.replace(small_run.models, purchases=other)
        changed = dataclasses.replace(small_run, models=models)
        told = whom(changed, unit_of(changed))
        assert told
        assert BOUGHT_ONCE not in told


def test_the_acceptance_table_tells_every_criterion_once_with_its_verdict(small_run: Run, page: Page) -> None:
    acceptance = small_run.segmentation.acceptance
    assert set(CRITERIA) == set(acceptance.index)
    rows = page.table("The judged grid on the acceptance list")[1:]
    verdicts = [row[3][0] for row in rows]
    assert verdicts.count("holds") == sum(passes is True for passes in acceptance["passes"])
    assert verdicts.count("does not hold") == sum(passes is False for passes in acceptance["passes"])
    assert len(rows) == len(acceptance)
    assert verdict_sentence(acceptance) in plain(page)


def test_the_verdict_counts_what_holds_what_does_not_and_what_cannot_be_told() -> None:
    table = pd.DataFrame({
        "passes": [True, False, None, None], "figure": [0.0, 1.0, np.nan, 6.9], "limit": [0.0, 0.0, 0.0, np.nan],
    }).astype({"passes": object})  # fmt: skip
    table["passes"] = [True, False, None, None]
    told = "1 of 4 criteria holds, 1 does not, 1 cannot be told, 1 has no limit here."
    assert verdict_sentence(table) == told
    assert verdict_sentence(table.iloc[:1]) == "All 1 criteria hold: the grid may be acted on."


def test_the_portfolio_says_that_the_cells_add_up_to_the_forecast(small_run: Run, page: Page) -> None:
    cells = small_run.production_grid["expected_spend"].sum()
    assert cells == pytest.approx(small_run.scores["expected_spend"].sum(), rel=1e-9)
    assert "add up to the forecast of all customers" in plain(page)
    wrong = small_run.production_grid.assign(expected_spend=small_run.production_grid["expected_spend"] * 1.01)
    told = plain(Page(rendered(dataclasses.replace(small_run, production_grid=wrong))))
    assert "do NOT add up to the forecast of all customers" in told


def test_outcomes_of_each_scheme_are_those_of_the_judged_customers(small_run: Run, page: Page) -> None:
    captions = {
        "rfm_segment": "RFM segments: what", "lifecycle_stage": "Lifecycle stages: what", "value_class": "Value classes: what",
        "pareto_tier": "Pareto tiers: what", "cluster": "Clusters by k-means: what",
        "map_cluster": "Clusters by a self-organising map: what",
    }  # fmt: skip
    assert set(captions) == set(SCHEMES)
    churned = (small_run.judged["purchases"] == 0).mean()
    for scheme, caption in captions.items():
        rows = page.table(caption)
        customers, churn = (np.array(figures(rows, column)) for column in ("Customers then", "Realised churn"))
        assert customers.sum() == len(small_run.judged)
        assert (customers @ churn) / customers.sum() == pytest.approx(churned, rel=1e-9), scheme


def test_the_quality_table_holds_every_view_and_the_best_are_named(small_run: Run, page: Page) -> None:
    quality = small_run.segmentation.quality
    rows = page.table("Every view judged alike")
    assert figures(rows, "Differences in churn") == quality["churn_epsilon2"].tolist()
    told = plain(page)
    assert f"({100 * quality['churn_epsilon2'].max():.1f} % of them)" in told
    assert f"(kappa {quality['kappa'].max():.2f})" in told


def test_movement_counts_who_stayed_over_every_period(small_run: Run, page: Page) -> None:
    rows = page.table("Who moved between the cells")
    stayed = [float(str(row[1][1])) for row in rows if row[0][0] == "Stayed in their cell"]
    pairs = list(pairwise(small_run.segmentation.placements))
    # Oracle: plain equality of the labels of those placed both times.
    oracle = [
        (before.scores["segment"].reindex(after.scores.index) == after.scores["segment"]).sum()
        for before, after in pairs
    ]
    assert stayed == oracle


def test_changes_are_told_with_those_who_stayed_beside_and_age_is_no_news() -> None:
    rows = [
        ["up", "tenure_days", 9.0, 30.0, 30.0, 40, 60], ["up", "days_since_purchase", -4.0, -150.0, 22.0, 40, 60],
        ["up", "frequency", 2.0, 1.5, 0.1, 40, 60], ["up", "mean_amount", 0.1, 0.2, 0.1, 40, 60],
        ["down", "mean_amount", 0.1, 0.2, 0.1, 40, 60], ["gone", "mean_amount", np.nan, 0.2, 0.1, 1, 60],
    ]  # fmt: skip
    columns = ["move", "feature", "difference", "mean_change_movers", "mean_change_stayers", "movers", "stayers"]
    table = pd.DataFrame(rows, columns=columns)
    told = "days since the last purchase \N{MINUS SIGN}150 (+22); repeat purchases +1.5 (+0.10)"
    assert changes_words(table, "up") == told
    assert changes_words(table, "down") == "nothing that stands out from those who stayed"
    assert changes_words(table, "gone") == "too few to say"


def test_a_log_too_young_for_anybody_to_be_lost_is_told_so(small_run: Run) -> None:
    silence = small_run.judged_models.schemes.lifecycle.lost_silence_days
    assert young_log(small_run) == ""
    placed = small_run.segmentation.placements
    first = small_run.windows.first_day
    days = [first + timedelta(days=int(silence) + step) for step in (-1, 0, 1)]
    moved = tuple(dataclasses.replace(p, day=d) for p, d in zip(placed, days, strict=True))
    early = dataclasses.replace(small_run, segmentation=dataclasses.replace(small_run.segmentation, placements=moved))
    told = young_log(early)
    assert f"({int(silence) - 1} days)" in told
    assert told.count("days)") == 1


def test_no_code_name_of_a_feature_or_scheme_is_left_on_the_page(page: Page) -> None:
    known = {"p_alive"}  # explained in the glossary of the report
    files = {"what_changed", "migration_"}
    settings = {"purchase_model", "pareto_nbd"}
    found = {name for name in CODE_NAME.findall(page.text) if name not in known | files | settings}
    assert not found


def test_rules_speak_of_whole_purchases_and_percents() -> None:
    assert rule_words("frequency at most 0.5") == "repeat purchases 0"
    assert rule_words("purchases_last_91_days above 2.5 and at most 7.5") == (
        "purchases in the last 91 days 3 or more and at most 7"
    )
    assert rule_words("town is Aachen and income above 0.5") == "town is Aachen and income above 0.5"
    assert rule_words("no rule of at most 3 questions leads here") == "no rule of at most 3 questions leads here"


def test_small_amounts_are_not_shown_as_nothing() -> None:
    assert [number(v).text for v in (0.0, 0.0004, 0.25, 1234.0)] == ["0", "under 0.01", "0.25", "1,230"]


def test_a_log_without_amounts_gets_plans_and_no_money(without_amounts: Run) -> None:
    page = Page(rendered(without_amounts))
    told = plain(page)
    assert "nobody is chosen for contact" in told
    heads = [text for rows in page.tables.values() for text, _ in rows[0]]
    assert not [text for text in heads if "profit" in text or "outlay" in text]
    assert AS_ASSUMED not in told
    for scheme in PLANNED:  # the playbook speaks of spend, whatever the log counts
        for action in without_amounts.models.playbook.plans(scheme)["action"]:
            told = told.replace(action, "")
    assert "spend" not in told
    assert page.table("Plan by Pareto tier")
    assert "nan" not in told.split()


@pytest.mark.odd
def test_names_and_ids_of_the_user_do_no_harm_and_do_not_appear(tmp_path: Path) -> None:
    log = simulate_log(customers=300, seed=11)
    log = log.assign(customer_id="canary-" + log["customer_id"].astype(str)).rename(columns={"customer_id": ID_COLUMN})
    run = run_on(log, tmp_path, currency="<i>$\\x'\"", columns={"customer_id": ID_COLUMN})
    html = rendered(run, HOSTILE)
    page = Page(html)
    assert not {tag for tag, _ in page.elements} & {"script", "i", "iframe"}
    assert HOSTILE in page.text
    assert b"canary" not in everything(html)
    assert base64.b64encode(b"canary") not in html.encode()


@pytest.mark.odd
def test_budget_wallet_composite_and_payback_are_told_where_given(tmp_path: Path) -> None:
    log = simulate_log(customers=400, seed=5)
    table = log.groupby("customer_id")["amount"].sum().rename("total").mul(2).reset_index()
    table["loyalty"] = np.arange(len(table)) % 7
    path = tmp_path / "attributes.csv"
    table.to_csv(path, index=False)
    run = run_on(
        log, tmp_path, currency="EUR", attributes={"path": str(path)},
        sections={
            "segments": {
                "total_spend": "total", "acquisition_cost": 25.0, "composite_value": {"clv": 0.5, "loyalty": 0.5},
            },
            "actions": {"budget": 3.0},
        },
    )  # fmt: skip
    page = Page(rendered(run))
    told = plain(page)
    assert "The budget is 3 EUR" in told
    assert "Has the cost of winning them come back?" in told
    rows = page.table("Other values of the customers")
    # Everybody spends half of the total here: share of wallet is .5 for all, up to the days that a summary leaves out.
    wallet = next(row for row in rows[1:] if row[0][0].startswith("Share of wallet"))
    assert [float(str(cell[1])) for cell in wallet[2:]] == pytest.approx([0.5] * 3, abs=1e-9)
    table_of_none = dataclasses.replace(run.segmentation, other_values=pd.DataFrame(index=run.scores.index))
    assert values_table(dataclasses.replace(run, segmentation=table_of_none)) is None


def test_the_dates_of_the_page_are_those_of_the_run(small_run: Run, page: Page) -> None:
    assert small_run.windows.calibration_end == date(2024, 6, 30)
    assert "168 days after 30 June 2024" in plain(page)
