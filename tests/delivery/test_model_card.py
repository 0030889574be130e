"""The model card says what the run says, in tables that a user's own names cannot break, and shows no customer."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest
from markdown_it import MarkdownIt

from churn_clv.config import parse_config
from churn_clv.customer_table import table_columns
from churn_clv.data.simulate import simulate_log
from churn_clv.delivery.markdown import code, plain
from churn_clv.delivery.model_card import TASKS, model_card
from churn_clv.delivery.model_folder import read_model, write_model
from churn_clv.delivery.run_folder import files_of
from churn_clv.evaluation.judgement import RUN
from churn_clv.fits import Evidence, Methods, fit_models
from churn_clv.train import Run, open_evidence, resolved_windows

Table = list[list[str]]
HOSTILE = "a|b`c\n# d <script>x</script> [y](z) | *e*"


@pytest.fixture(scope="module")
def card(small_run: Run) -> str:
    return model_card(small_run)


def tables(card: str) -> list[Table]:
    """Every table as a Markdown reader sees it, its head first."""
    found: list[Table] = []
    rows: Table = []
    for token in MarkdownIt("commonmark").enable("table").parse(card):
        if token.type == "table_open":
            rows = []
        elif token.type == "tr_open":
            rows.append([])
        elif token.type == "inline" and token.level > 2 and token.children is not None and rows:
            rows[-1].append("".join(child.content for child in token.children))
        elif token.type == "table_close":
            found.append(rows)
            rows = []
    return found


def rows_of(card: str, first: str) -> Table:
    """The rows of every table whose first column is headed so, without the heads."""
    return [row for rows in tables(card) if rows[0][0] == first for row in rows[1:]]


def close(text: str, value: float, digits: int) -> bool:
    """Whether a text is a number rounded to some significant digits."""
    return (
        abs(float(text) - value) <= 0.5000001 * 10.0 ** (np.floor(np.log10(abs(value))) - digits + 1)
        if value
        else float(text) == 0
    )


def test_every_metric_and_its_error_are_those_that_the_run_logs(small_run: Run, card: str):
    logged = small_run.judgement.metrics()
    shown = {row[0]: row[1:3] for row in rows_of(card, "Metric")}
    expected = {name for name in logged if name.split("/")[0] in TASKS and f"{name}_se" in logged}
    assert set(shown) == expected
    for name, (value, error) in shown.items():
        assert close(value, logged[name], 4), name
        assert close(error, logged[f"{name}_se"], 2), name


def test_every_baseline_stands_beside_the_run_with_its_figures(small_run: Run, card: str):
    found = [(rows[0], rows[1:]) for rows in tables(card) if rows[0][0] == "Beside the baselines"]
    assert len(found) == 3
    for (head, rows), figures in zip(found, small_run.judgement.tables().values(), strict=True):
        metrics = head[1:-1]
        assert len(rows) == len(figures.loc[metrics[0]])
        for row, name in zip(rows, figures.loc[metrics[0]].index, strict=True):
            assert (row[0] == "this model") == (name == RUN)
            for cell, metric in zip(row[1:], metrics, strict=False):
                value, error = re.fullmatch(r"(\S+) \((\S+)\)", cell).groups()
                assert close(value, figures.loc[(metric, name), "value"], 4)
                assert close(error, figures.loc[(metric, name), "standard_error"], 2)


def test_dates_customers_horizon_fingerprint_cuts_and_parameters_are_the_runs(small_run: Run, card: str):
    windows, models = small_run.windows, small_run.models
    data = {row[0]: row[1] for row in rows_of(card, "What")}
    assert data["First day of the log"] == str(windows.first_day)
    assert data["Customers that its purchase and spend models fit"] == str(len(small_run.scores))
    assert data["Customers that its trees learned from, and that it was described for"] == str(len(small_run.scores))
    assert data["Customers it was judged on"] == str(len(small_run.judged))
    assert data["Horizon"] == f"{(windows.holdout_end - windows.calibration_end).days} days"
    assert data["Fingerprint of the data"] == small_run.fingerprint
    assert (data["Currency"], data["Value is"]) == ("EUR", "revenue: all value columns count EUR")
    dates = [
        data[next(k for k in data if f"({name})" in k)] for name in ("calibration_end", "holdout_end", "trained_as_of")
    ]
    assert dates == ["2024-06-30", "2024-12-15", str(windows.score_as_of)]
    cuts = {row[1]: tuple(map(float, row[2].split(", "))) for row in rows_of(card, "Axis")}
    assert cuts == {"value_if_active": models.grid.value_cuts, "churn_probability": models.grid.risk_cuts}
    fitted = models.purchases.params_ | models.spend.params_
    shown = {row[1]: row[2] for row in rows_of(card, "Model")}
    assert set(shown) == set(fitted)
    assert all(close(shown[name], value, 4) for name, value in fitted.items())


def test_the_tiers_show_what_their_judged_members_were_promised_and_did(small_run: Run, card: str):
    for row in rows_of(card, "Risk tier"):
        members = small_run.judged[small_run.judged["risk_tier"] == row[0]]
        assert int(row[1]) == len(members)
        assert close(row[2], members["churn_probability"].mean(), 4)
        assert close(row[3], float((members["purchases"] == 0).mean()), 4)
    for row in rows_of(card, "Value tier"):
        members = small_run.judged[small_run.judged["value_tier"] == row[0]]
        assert close(row[2], members["expected_spend"].mean(), 4)
        assert close(row[3], members["spend"].mean(), 4)


def test_the_card_names_every_column_that_the_model_reads_and_whether_it_may_be_empty(small_run: Run, card: str):
    rows = rows_of(card, "Column")
    assert rows[0][0] == "customer_id"
    assert [(row[0], row[1], row[3] == "yes") for row in rows[1:]] == [
        tuple(c) for c in table_columns(small_run.models)
    ]
    assert all(row[2] and row[4] for row in rows[1:])


def test_the_card_is_of_this_run_and_travels_with_the_model(small_run: Run, card: str, tmp_path):
    files = files_of(small_run)
    assert files["MODEL_CARD.md"] == card
    write_model(tmp_path, files)
    read_model(tmp_path)
    half = replace(small_run.judgement, churn=small_run.judgement.churn.assign(value=0.5))
    assert model_card(replace(small_run, judgement=half)) != card


def test_the_card_shows_no_customer(small_run: Run, card: str):
    renamed = {name: f"secret-{name}" for name in small_run.scores.index}
    own = replace(
        small_run, scores=small_run.scores.rename(index=renamed), judged=small_run.judged.rename(index=renamed)
    )
    assert "secret-" not in model_card(own)


def test_the_runs_notes_and_a_boundary_are_told(small_run: Run):
    purchases = small_run.models.purchases
    edge = type(purchases).from_json(purchases.to_json())
    edge.diagnosis_ = "no dropout in this data"
    models = replace(small_run.models, purchases=edge)
    told = model_card(replace(small_run, models=models, notes=[*small_run.notes, "A warning of its own."]))
    assert "- BG/NBD: no dropout in this data" in told
    assert "- A warning of its own." in told
    assert "No parameter lies on a boundary" not in told


# --- names that would like to be Markdown


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory, small_run: Run) -> Run:
    """The small run with models whose attributes, levels and currency are named to break a page."""
    place = tmp_path_factory.mktemp("hostile")
    log = simulate_log(customers=150, seed=4, arrival_days=300)
    log.to_parquet(place / "log.parquet")
    ids = sorted(log["customer_id"].unique())
    levels = [f"{HOSTILE}{k % 3}" for k in range(len(ids))]
    pd.DataFrame({"customer_id": ids, HOSTILE: levels, "n|1": np.arange(len(ids)) % 7.0}).to_parquet(
        place / "a.parquet"
    )
    content = {
        "name": "x", "data": {"path": str(place / "log.parquet"), "attributes": {"path": str(place / "a.parquet")}},
        "windows": {"calibration_end": date(2024, 5, 31), "holdout_end": date(2024, 11, 30)},
        "churn": {"max_rounds": 5, "learning_rate": 0.3, "folds": 2},
    }  # fmt: skip
    evidence: Evidence = open_evidence(parse_config(content, source="test"), [])
    windows = resolved_windows(evidence.config, evidence.log)
    methods = Methods("lightgbm", "hurdle", evidence.config.churn.trees())
    models = fit_models(evidence, windows.calibration_end, windows.labels, methods)
    data = small_run.config.data.model_copy(update={"currency": "E|`\n# <b>"})
    config = small_run.config.model_copy(update={"name": HOSTILE, "data": data})
    return replace(small_run, models=models, config=config, notes=[f"Note {HOSTILE}"])


def test_hostile_names_break_no_table_and_become_no_heading_link_or_html(hostile: Run, card: str):
    found, usual = tables(model_card(hostile)), tables(card)
    assert all(len(row) == len(rows[0]) for rows in found for row in rows)
    assert len(found) == len(usual) + 1  # the table of the categories' levels
    tokens = MarkdownIt("commonmark").enable("table").parse(model_card(hostile))
    inner = [child for token in tokens for child in token.children or []]
    assert not [
        t for t in [*tokens, *inner] if t.type in {"html_block", "html_inline", "link_open", "em_open", "strong_open"}
    ]
    ours = [t for t in MarkdownIt("commonmark").enable("table").parse(card) if t.type == "heading_open"]
    assert len([t for t in tokens if t.type == "heading_open"]) == len(ours)


def test_hostile_names_are_shown_as_they_are_but_for_their_line_breaks(hostile: Run):
    shown = HOSTILE.replace("\n", "\\n")
    found = model_card(hostile)
    assert {row[0] for row in rows_of(found, "Column")} >= {shown, "n|1"}
    [category] = rows_of(found, "Category")
    assert category[:2] == [shown, "3"]
    assert category[2].count(shown) == 3


@pytest.mark.parametrize("text", [HOSTILE, "&lt;", "$x$", "~~a~~", "!\\|", "a_b_c _d_", " x ", "\u202e|"])
def test_any_text_comes_back_from_a_cell_as_it_was(text: str):
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text).strip()
    for written in (plain(text), code(text)):
        [row] = rows_of(f"| h | i |\n|---|---|\n| {written} | z |", "h")
        assert row == [shown, "z"]
