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
from tests.conftest import FULL_DPI

from churn_clv.config import parse_config
from churn_clv.data.simulate import simulate_log
from churn_clv.delivery import report_methods
from churn_clv.delivery.report import render_report, write_figures
from churn_clv.delivery.report_tables import shown
from churn_clv.delivery.report_words import TREES_ONLY
from churn_clv.evaluation.champion import FEWEST_WINDOWS
from churn_clv.evaluation.deciles import decile_table
from churn_clv.evaluation.drift import BaseRateDrift
from churn_clv.evaluation.figures import figures_of
from churn_clv.evaluation.judgement import NAMES
from churn_clv.models.risk import METHODS as RISK_METHODS
from churn_clv.models.value import METHODS as VALUE_METHODS
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
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("churn_clv.delivery.drawn.DPI", FULL_DPI)
        return rendered(small_run)


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def run_on(
    log: pd.DataFrame,
    folder: Path,
    name: str = "mine",
    sections: dict[str, dict[str, object]] | None = None,
    **data: object,
) -> Run:
    """Train on a log of 2023 and 2024, written as a CSV; `sections` of the config beside the data."""
    path = folder / f"{name}.csv"
    log.to_csv(path, index=False)
    content = {
        "name": name,
        "data": {"path": str(path), **data},
        "windows": {"calibration_end": date(2024, 6, 30), "holdout_end": date(2024, 12, 15)},
        **(sections or {}),
    }
    content["evaluation"] = {"bootstrap_samples": 20} | (sections or {}).get("evaluation", {})
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


def check_one_small_file_without_network_or_script(html: str, page: Page) -> None:
    assert len(html.encode()) < 500_000, "MLflow's artifact view leaves a page much larger blank"
    assert "http:" not in html
    assert "https:" not in html
    assert not {tag for tag, _ in page.elements} & {"script", "link", "iframe", "object", "embed", "base", "form"}
    assert not [name for _, attrs in page.elements for name in attrs if name.startswith("on")]
    assert all(str(picture["src"]).startswith("data:image/") for picture in page.named("img"))
    policy = next(meta["content"] for meta in page.named("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def check_tags_nest_ids_are_unique_and_links_arrive(page: Page, beside: str) -> None:
    assert page.open == []
    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    links = [str(a["href"]) for a in page.named("a")]
    assert {link for link in links if not link.startswith("#")} == {beside}
    wanted = [link[1:] for link in links if link.startswith("#")]
    wanted += [str(attrs["aria-labelledby"]) for _, attrs in page.elements if "aria-labelledby" in attrs]
    assert set(wanted) <= set(ids)


def check_a_reader_who_hears_the_page_finds_language_headings_tables_and_pictures(page: Page) -> None:
    assert page.named("html")[0]["lang"] == "en"
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert len(page.named("caption")) == len(page.named("table"))
    assert all("scope" in th for th in page.named("th"))
    assert all(len(str(picture["alt"])) > 60 for picture in page.named("img"))


def test_the_page_is_one_small_file_without_network_or_script(html: str, page: Page) -> None:
    check_one_small_file_without_network_or_script(html, page)


def test_tags_nest_ids_are_unique_and_links_arrive(page: Page) -> None:
    check_tags_nest_ids_are_unique_and_links_arrive(page, beside="segments.html")


def test_a_reader_who_hears_the_page_finds_language_headings_tables_and_pictures(page: Page) -> None:
    check_a_reader_who_hears_the_page_finds_language_headings_tables_and_pictures(page)


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


def test_the_verdict_on_the_grid_stands_in_the_answer_with_each_criterion_that_fails(
    small_run: Run, html: str, page: Page
) -> None:
    acceptance = small_run.segmentation.acceptance
    failed = [name for name, passes in acceptance["passes"].items() if passes is False]
    assert failed, "nothing to tell: choose another small run"
    told = page.text.replace("\u00a0", " ")
    assert f"{(acceptance['passes'] == True).sum()} of 12 criteria hold" in told  # noqa: E712 (None is neither)
    assert told.count("Does not hold: ") == len(failed)
    assert html.index('<h2 id="answer"') < html.index("Does not hold: ") < html.index('<h2 id="quality"')
    assert "segments.html, in the same folder" in told


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
    assert "Churn, ranking of customers by risk (AUC): logistic regression on RFM is better, with" in told
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


@pytest.mark.odd
def test_a_log_without_amounts_is_told_in_purchases(tmp_path: Path) -> None:
    log = simulate_log(customers=300, seed=3).drop(columns="amount")
    told = Page(rendered(run_on(log, tmp_path, columns={"amount": None}))).text
    assert "value is counted in purchases" in told
    assert "expected spend in the next" not in told


@pytest.mark.odd
def test_amounts_without_a_currency_are_said_to_have_none(tmp_path: Path) -> None:
    told = Page(rendered(run_on(simulate_log(customers=300, seed=3), tmp_path))).text
    assert "No currency was named" in told
    assert "None" not in told.replace("currency: None", "")


def test_a_churn_model_without_trees_is_explained(small_run: Run, page: Page) -> None:
    trees = small_run.models.churn.trees
    assert trees is not None
    assert trees.rounds_ == 0  # the truth of this log is BG/NBD: nothing is left to learn
    assert "the risk is the purchase model's own" in page.text
    assert f"Log loss on past labels: {trees.cross_validation_['offset']:.4f} for BG/NBD's forecast alone" in page.text
    assert "there are no reasons beyond the purchases themselves" in page.text


@pytest.fixture(scope="module")
def chosen() -> Run:
    """A run whose methods were chosen over earlier dates."""
    return train(
        parse_config(
            {
                "name": "chosen",
                "data": {"source": "simulated", "currency": "EUR", "simulated": {"customers": 500, "seed": 4}},
                "windows": {"calibration_end": date(2024, 9, 1), "holdout_end": date(2024, 12, 1)},
                "churn": {"max_rounds": 20},
                "backtest": {"churn": ["purchase_model", "offset_hybrid"], "value": ["purchase_model", "hurdle"]},
                "evaluation": {"bootstrap_samples": 20},
            },
            source="test",
        )
    )


def test_the_table_over_dates_shows_plain_means_and_marks_the_champion_once(chosen: Run) -> None:
    page = Page(rendered(chosen))
    backtest = chosen.choice.backtest
    assert backtest is not None
    for beginning, figures, metric in (
        ("Churn: every method", backtest.churn, "log_loss"),
        ("Value (spend): every method", backtest.value, "normalised_gini"),
    ):
        rows = page.table(beginning)[1:]
        shown = {row[0][0]: float(str(row[1][1])) for row in rows}
        # Oracle: the sum of one method's figures, one origin after the other.
        mean = sum(float(figures.loc[origin, (metric, "purchase_model")]) for origin in figures.index) / len(figures)
        assert shown["The purchase model alone"] == pytest.approx(mean, rel=1e-12)
        assert "Pareto/NBD alone" in shown
        assert [row[-1][0] for row in rows].count("champion") == 1
    champions = {crown.task: crown.champion for crown in chosen.choice.crowns}
    assert champions == {"churn": chosen.choice.methods.churn, "value": chosen.choice.methods.value}


def test_every_duel_of_the_champions_is_told_and_no_remark_repeats_it(chosen: Run) -> None:
    told = Page(rendered(chosen)).text.replace("\u00a0", " ")
    duels = [line for crown in chosen.choice.crowns for line in crown.sentences(NAMES)[1:]]
    assert len(duels) == 2
    assert [told.count(line) for line in duels] == [1, 1]


def test_too_few_dates_to_choose_are_counted(small_run: Run, page: Page) -> None:
    windows = small_run.choice.crowns[0].windows
    assert windows < FEWEST_WINDOWS
    assert f"on at least {FEWEST_WINDOWS} earlier dates" in page.text
    assert f"this log has {windows}. So the default method is kept." in page.text
    assert "How good over several dates" not in page.text


def test_every_method_has_words() -> None:
    assert set(report_methods.RISK) == set(RISK_METHODS)
    assert set(report_methods.VALUE) == set(VALUE_METHODS)
    assert TREES_ONLY.keys() == {name for name, members in RISK_METHODS.items() if len(members) > 1}


@pytest.mark.odd
@pytest.mark.parametrize(("risk", "value"), [("logistic_rfm", "textbook_ltv"), ("stack", "average")])
def test_a_method_named_in_the_config_is_told_and_rendered(risk: str, value: str, tmp_path: Path) -> None:
    log = simulate_log(customers=300, seed=3)
    run = run_on(log, tmp_path, sections={"churn": {"method": risk, "max_rounds": 8}, "value": {"method": value}})
    told = Page(rendered(run)).text
    assert report_methods.RISK[risk].partition("{")[0].strip() in told
    assert "the config names it (churn.method)" in told
    assert "the config names it (value.method)" in told
    weights = run.models.churn.weights_
    assert ("Weights of the members" in told) == (len(weights) > 1)
    assert len(weights) == 1 or all(f" {weight:.2f}" in told for weight in weights.values())
    assert ("trees only" in told) == (risk == "stack")
    assert ("Mean deviance on past labels" in told) == (value == "average")


def test_the_decile_table_shows_promise_and_outcome_of_each_tenth(small_run: Run, page: Page) -> None:
    judged = small_run.judged.sample(frac=1, random_state=1)
    oracle = decile_table(judged["spend"], judged["expected_spend"], (judged["purchases"] == 0).astype(float))
    rows = page.table("Judged customers by tenth")[1:]
    assert len(rows) == 10
    for row, (_, tenth) in zip(rows, oracle.iterrows(), strict=True):
        shown = [float(str(row[k][1])) for k in (1, 2, 3, 5, 7)]
        wanted = ["customers", "predicted_mean", "actual_mean", "actual_over_predicted", "realised_churn"]
        assert shown == pytest.approx(tenth[wanted].tolist(), rel=1e-9)


def judged_as(run: Run, **changes: object) -> str:
    """The page of a run whose judgement was another, in plain spaces."""
    changed = dataclasses.replace(run, judgement=dataclasses.replace(run.judgement, **changes))  # type: ignore[arg-type]
    return Page(rendered(changed)).text.replace("\u00a0", " ")


@pytest.mark.odd
def test_a_churn_rate_that_moved_is_told_with_what_the_forecasts_knew_of_it(small_run: Run) -> None:
    expected = 100 * small_run.judged["churn_probability"].mean()
    moved = judged_as(small_run, drift=BaseRateDrift(0.40, 5000, 0.85, 5000))
    assert "40.0 % of the customers bought nothing in the past labels" in moved
    assert (
        f"85.0 % in the holdout, further apart than chance explains. From the customers' histories the forecasts expected {expected:.1f} %"
        in moved
    )
    assert f"the {abs(85 - expected):.1f} points they were too low" in moved
    foreseen = judged_as(small_run, drift=BaseRateDrift(0.20, 5000, expected / 100, 5000))
    assert f"expected {expected:.1f} %: the move was foreseen." in foreseen
    for still in (BaseRateDrift(0.69, 5000, 0.70, 5000), None):
        assert "The churn rate moved" not in judged_as(small_run, drift=still)


@pytest.mark.odd
def test_the_calibration_error_is_held_against_two_points_or_the_noise(small_run: Run) -> None:
    error = small_run.judgement.churn.loc[("calibration_error", "this_run"), "value"]
    quiet, noisy = (judged_as(small_run, calibration_noise=noise) for noise in (0.001, error + 0.01))
    assert f"{error:.3f}, {'within' if error <= 0.02 else 'above'} the 0.020 allowed" in quiet
    assert f"{error:.3f}, within the {max(error + 0.01, 0.02):.3f} allowed" in noisy
    assert "so part of it is real" in quiet
    assert "so chance alone explains it" in noisy


def test_the_costs_stand_beside_the_profit(page: Page) -> None:
    # The defaults of Verbraken, Verbeke & Baesens (2013): 200, 10 and 1, and a save rate of 6 / (6 + 14) in the mean.
    told = page.text.replace("\u00a0", " ")
    assert (
        "brings 200 EUR, the offer costs 10 EUR, a contact 1 EUR, and 30 % of the leavers who are contacted stay"
        in told
    )


@pytest.mark.odd
def test_a_campaign_that_contacts_everybody_is_told_to_separate_no_models(small_run: Run) -> None:
    churned = (small_run.judged["purchases"] == 0).astype(float)
    # Where all have one risk all or none are contacted; a ranking that knows the outcome never contacts who stays.
    alike, knowing = (
        dataclasses.replace(small_run, judged=small_run.judged.assign(churn_probability=risk))
        for risk in (churned * 0 + 0.5, churned)
    )
    words = "the best campaign contacts 100 % of the customers, whoever ranks them"
    assert words in Page(rendered(alike)).text.replace("\u00a0", " ")
    assert "whoever ranks them" not in Page(rendered(knowing)).text


@pytest.mark.odd
def test_a_log_with_margins_is_told_in_margin(tmp_path: Path) -> None:
    told = Page(rendered(run_on(simulate_log(customers=300, seed=3), tmp_path, currency="EUR", margin_rate=0.3))).text
    assert "Amounts are margin" in told
    assert "expected margin in the next" in told
    assert "normalised Gini of margin" in told
    assert not re.findall(r"(?:expected|realised|mean|Gini of) spend|V_res, expected spend", told, re.IGNORECASE)


def test_revenue_is_said_once_to_be_no_profit(page: Page) -> None:
    assert page.text.count("Amounts are revenue, not profit") == 1


@pytest.fixture(scope="module")
def told_reasons(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run whose trees find what BG/NBD cannot know: an attribute that says who leaves at once."""
    folder = tmp_path_factory.mktemp("reasons")
    log = simulate_log(customers=600, seed=8)
    leaving = log["customer_id"].drop_duplicates().sort_values().iloc[::2]
    first = log.groupby("customer_id")["date"].transform("min")
    kept = log[~(log["customer_id"].isin(leaving) & (log["date"] > first))]
    table = folder / "attributes.csv"
    ids = log["customer_id"].drop_duplicates()
    pd.DataFrame({"customer_id": ids, "moved_away": ids.isin(leaving).map({True: "yes", False: "no"})}).to_csv(
        table, index=False
    )
    return run_on(kept, folder, currency="EUR", attributes={"path": str(table)})


@pytest.mark.odd
def test_the_reasons_of_each_cell_stand_on_the_page(told_reasons: Run) -> None:
    page = Page(rendered(told_reasons))
    rows = {(row[2][0], row[1][0]): row for row in page.table("Why customers are at risk")[1:]}
    filled = told_reasons.production_grid.query("customers > 0")
    assert set(rows) == set(filled.index)
    for key, cell in told_reasons.cell_reasons.iterrows():
        text = cell["raises"]
        assert rows[key][4][0].startswith(text if isinstance(text, str) else "–")  # noqa: RUF001
    assert any("moved away = yes" in cell[0] for row in rows.values() for cell in row[4:6])
    assert "not causes" in page.text


def test_money_in_reasons_carries_the_currency(told_reasons: Run) -> None:
    assert told_reasons.models.settings.currency == "EUR"
    with_money = told_reasons.scores["reasons"][
        told_reasons.scores["reasons"].str.contains("purchase on average|largest purchase|first purchase [0-9]")
    ]
    assert len(with_money)
    assert with_money.str.contains(r"[0-9] EUR").all()


def test_figures_are_written_as_png_under_their_names(small_run: Run, tmp_path: Path) -> None:
    figures = figures_of(small_run)
    paths = write_figures({"gain": figures["gain"]}, tmp_path / "new")
    assert [p.name for p in paths] == ["gain.png"]
    assert paths[0].read_bytes().startswith(b"\x89PNG")


def test_what_rounding_leaves_of_equal_forecasts_is_shown_as_none() -> None:
    assert [shown("rmse", v, "+") for v in (-1e-17, -2e-5, 0.0)] == ["+0.000", "+0.0000", "+0.000"]
    assert shown("bias", -1e-12, "+") == "+0.0 %"
    assert shown("log_loss", -0.012, "+") == "-0.012"
