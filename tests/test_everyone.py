"""A large log: purchase and spend models fit everyone, a panel is judged, everyone is scored in parts."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from churn_clv.cli import app
from churn_clv.config import Config, parse_config
from churn_clv.data import engine
from churn_clv.data.features import features_at
from churn_clv.data.fingerprint import fingerprint
from churn_clv.data.fit_rows import fit_rows
from churn_clv.data.log_parts import panel_of, parts_of
from churn_clv.data.simulate import simulate_log
from churn_clv.data.summary import summarize
from churn_clv.data.transactions import TransactionLog, read_transactions
from churn_clv.delivery import everyone_scores
from churn_clv.delivery.everyone_scores import score_everyone
from churn_clv.delivery.monitor_folder import Snapshot, _same_panel
from churn_clv.delivery.run_folder import metrics_of, write_run
from churn_clv.delivery.segment_lists import lists_of
from churn_clv.errors import ConfigError
from churn_clv.everyone import gather
from churn_clv.models import BetaGeoModel, GammaGammaModel
from churn_clv.score_log import customer_table, score
from churn_clv.segments.grid import cell_table
from churn_clv.segments.lists import win_back
from churn_clv.segments.outreach import budget_table, contact_plan
from churn_clv.train import Run, train

CUSTOMERS, PANEL = 950, 300
BUDGET = 5.0
SUMS = ["customers", "share", "expected_spend", "value_at_risk", "clv", "churn_probability", "value_if_active"]


def config(**data: object) -> Config:
    content = {
        "name": "large",
        "data": {"source": "simulated", "simulated": {"customers": CUSTOMERS, "seed": 11}, "currency": "EUR", **data},
        "windows": {"calibration_end": date(2024, 7, 1), "holdout_end": date(2024, 12, 30)},
        "churn": {"method": "offset_hybrid", "num_threads": 1},
        "value": {"method": "hurdle"},
        "evaluation": {"bootstrap_samples": 20},
        "actions": {"budget": BUDGET},
    }
    return parse_config(content, source="test")


@pytest.fixture(scope="module")
def panel_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run on a panel, its tables in a file, everyone scored in parts of a hundred."""
    place = tmp_path_factory.mktemp("large")
    run = train(config(panel_customers=PANEL, spill_directory=str(place / "spill"), memory_limit="1GB", threads=2))
    assert run.whole is not None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(everyone_scores, "PART_CUSTOMERS", 100)
        return score_everyone(run, run.whole, place / "runs", lambda stage: None)


@pytest.fixture(scope="module")
def scored(panel_run: Run) -> pd.DataFrame:
    """The slow oracle: everyone scored in one frame."""
    assert panel_run.whole is not None
    return score(panel_run.models, panel_run.whole, panel_run.windows.score_as_of)


@pytest.fixture(scope="module")
def log() -> TransactionLog:
    return read_transactions(simulate_log(customers=CUSTOMERS, seed=11))


def test_purchase_and_spend_models_fit_everyone(panel_run: Run, log: TransactionLog) -> None:
    for models, day in ((panel_run.judged_models, date(2024, 7, 1)), (panel_run.models, panel_run.windows.score_as_of)):
        summary = summarize(log, day)
        assert models.purchases.n_customers_ == len(summary)
        assert models.spend is not None
        # The same likelihood in another order of its sum: equal to where Newton stops.
        assert models.purchases.params_ == pytest.approx(BetaGeoModel().fit(summary).params_, rel=1e-7)
        assert models.spend.params_ == pytest.approx(GammaGammaModel().fit(summary).params_, rel=1e-7)


def test_the_rows_to_fit_are_the_summary_counted(log: TransactionLog) -> None:
    for spend in ("repeat", "all"):
        summary, rows = summarize(log, date(2024, 3, 1), spend), fit_rows(log, date(2024, 3, 1), spend)
        histories = (
            summary.groupby(["frequency", "recency", "T"]).size().rename("customers").astype(float).reset_index()
        )
        money = (
            summary.groupby(["monetary_days", "monetary_value"]).size().rename("customers").astype(float).reset_index()
        )
        pd.testing.assert_frame_equal(rows.histories, histories)
        pd.testing.assert_frame_equal(rows.spend, money)
        assert rows.customers == len(summary)


def test_a_panel_is_random_and_a_smaller_one_is_part_of_it(log: TransactionLog) -> None:
    ids = {
        n: set(panel_of(log, n).frame("SELECT DISTINCT customer_id FROM customer_days")["customer_id"])
        for n in (50, 300)
    }
    assert {n: len(found) for n, found in ids.items()} == {50: 50, 300: 300}
    assert ids[50] < ids[300]
    # Drawn without regard to the id: the mean rank of 300 of 950 has a standard error of 13.1; 4 of them.
    assert abs(np.mean([int(i) for i in ids[300]]) - 475.5) < 4 * 13.1
    panel = panel_of(log, 300)
    whole = features_at(log, [date(2024, 3, 1)]).query("customer_id in @kept", local_dict={"kept": ids[300]})
    pd.testing.assert_frame_equal(features_at(panel, [date(2024, 3, 1)]), whole)
    assert (panel.n_customers, panel.last_day, panel.cleaning) == (300, log.last_day, log.cleaning)


def test_tables_in_a_file_answer_as_tables_in_memory(log: TransactionLog, tmp_path: Path) -> None:
    frame = simulate_log(customers=CUSTOMERS, seed=11)
    stored = read_transactions(frame, connection=engine.connect("500MB", 1, str(tmp_path / "spill")))
    assert len(list((tmp_path / "spill").glob("*/log.duckdb"))) == 1
    pd.testing.assert_frame_equal(summarize(stored, date(2024, 3, 1)), summarize(log, date(2024, 3, 1)))
    assert fingerprint(stored) == fingerprint(log)
    found = pd.concat([summarize(part, date(2024, 3, 1)) for part in parts_of(stored, date(2024, 3, 1), 130)])
    pd.testing.assert_frame_equal(found, summarize(log, date(2024, 3, 1)))


def test_everyone_is_scored_as_in_one_frame(panel_run: Run, scored: pd.DataFrame) -> None:
    assert panel_run.everyone is not None
    parts = sorted(panel_run.everyone.folder.glob("*.parquet"))
    assert len(parts) == len(scored) // 100 + 1
    found = pd.concat([pd.read_parquet(part) for part in parts])
    same = [name for name in scored if name not in ("reasons", "as_of")]
    pd.testing.assert_frame_equal(found[same], scored[same], rtol=1e-12, check_dtype=False)  # BLAS: last digit
    assert "reasons" not in found
    assert len(panel_run.scores) < PANEL + 1 < len(found)


def test_grid_budgets_and_lists_are_of_everyone(panel_run: Run, scored: pd.DataFrame) -> None:
    assert panel_run.everyone is not None
    playbook = panel_run.models.playbook
    expected = cell_table(panel_run.models.grid, scored, playbook=playbook)
    pd.testing.assert_frame_equal(panel_run.production_grid[SUMS], expected[SUMS], rtol=1e-9)
    plan = contact_plan(scored, playbook, value_is="revenue", budget=BUDGET)
    assert 0 < plan["contact"].sum() < (plan["contact_profit"] > 0).sum()
    for scheme, table in panel_run.segmentation.budgets.items():
        wanted = budget_table(plan, scored, scheme)
        pd.testing.assert_frame_equal(table.loc[wanted.index, list(wanted)], wanted, rtol=1e-9, check_dtype=False)
    chosen = panel_run.everyone.connection.sql("SELECT customer_id FROM scored WHERE contact").df()["customer_id"]
    assert set(chosen) == set(plan.index[plan["contact"]])
    assert panel_run.everyone.total["win_back"] == len(win_back(scored, plan))


def test_totals_and_equity_are_of_everyone(panel_run: Run, scored: pd.DataFrame) -> None:
    metrics = metrics_of(panel_run)
    assert metrics["production/customers"] == len(scored)
    assert metrics["production/clv"] == pytest.approx(scored["clv"].sum(), rel=1e-9)
    assert metrics["production/mean_churn_probability"] == pytest.approx(scored["churn_probability"].mean(), rel=1e-9)
    equity = panel_run.segmentation.equity
    assert metrics["equity/total"] == equity.total == pytest.approx(scored["clv"].sum(), rel=1e-9)
    assert equity.low < equity.total < equity.high


def test_without_a_budget_all_who_earn_are_contacted(panel_run: Run, scored: pd.DataFrame, tmp_path: Path) -> None:
    assert panel_run.everyone is not None
    everyone = gather(panel_run.everyone.folder, None, None, 1, str(tmp_path))
    plan = contact_plan(scored, panel_run.models.playbook, value_is="revenue")
    assert everyone.total["contacted"] == plan["contact"].sum()
    everyone.close()


@pytest.mark.odd
def test_the_run_folder_holds_everyone_and_says_so(panel_run: Run, scored: pd.DataFrame, tmp_path: Path) -> None:
    folder = write_run(panel_run, tmp_path, datetime(2026, 1, 1, tzinfo=UTC))
    assert not (folder / "scores.csv").exists()
    assert len(pd.read_parquet(folder / "scores")) == len(scored)
    assert len(pd.read_parquet(folder / "panel_scores.parquet")) == len(panel_run.scores)
    cells = {path.stem: len(pd.read_parquet(path)) for path in (folder / "lists" / "grid").iterdir()}
    assert sum(cells.values()) == len(scored)
    assert (
        len(pd.read_parquet(folder / "lists" / "to-contact.parquet"))
        == panel_run.segmentation.budgets["segment"]["contacted"].sum()
    )
    for page in ("segments.html", "report.html"):
        text = (folder / page).read_text(encoding="utf-8")
        assert f"andom panel of {PANEL}" in text or f"random panel of {len(panel_run.scores)}" in text
    done = CliRunner().invoke(app, ["lists", str(folder), str(tmp_path / "by"), "--by", "lifecycle_stage"])
    assert done.exit_code == 0, done.output
    headline = (folder / "report.html").read_text(encoding="utf-8").split("<dl")[1].split("</dl>")[0]
    assert f"<dd>{len(scored):,}</dd>" in headline
    stages = {path.stem: len(pd.read_parquet(path)) for path in (tmp_path / "by").iterdir()}
    assert stages == {name.replace(" ", "-"): n for name, n in scored["lifecycle_stage"].value_counts().items()}


def test_lists_add_up_whatever_the_column_holds(panel_run: Run, scored: pd.DataFrame, tmp_path: Path) -> None:
    assert panel_run.everyone is not None
    place = tmp_path / "odd [name] *"
    shutil.copytree(panel_run.everyone.folder, place)
    for column in ("win_back", "as_of", "rfm_segment"):
        paths = lists_of(place, column, tmp_path / column)
        assert sum(len(pd.read_parquet(path)) for path in paths) == len(scored)


def test_who_has_no_save_rate_is_made_up(panel_run: Run, scored: pd.DataFrame) -> None:
    """Spark asks made-up customers for the columns of the scores; those of the log were checked before."""
    assert panel_run.whole is not None
    table = customer_table(panel_run.models, panel_run.log, panel_run.windows.score_as_of)
    found = everyone_scores.planned(panel_run.models, table, panel_run.windows.score_as_of, pd.Series({"nobody": 0.5}))
    assert (found["contact_profit"] <= 0).all()


def test_two_panels_are_compared_on_those_whom_both_would_hold() -> None:
    ids = [str(k) for k in range(1_000)]
    digests = pd.Series({i: hashlib.md5(i.encode(), usedforsecurity=False).hexdigest() for i in ids}).sort_values()
    before = Snapshot(pd.DataFrame(index=pd.Index(digests.index[:300])), date(2024, 1, 1), "before")
    grown = Snapshot(pd.DataFrame(index=pd.Index(ids)), date(2024, 2, 1), "after")
    one, other = _same_panel(before, grown)
    assert set(one.customers.index) == set(other.customers.index) == set(digests.index[:300])
    smaller = replace(grown, customers=pd.DataFrame(index=pd.Index(digests.index[:200])))
    assert [len(s.customers) for s in _same_panel(before, smaller)] == [200, 200]


def test_settings_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(ConfigError, match="spark_master"):
        config(spark_master="local[2]")
    with pytest.raises(ConfigError, match="panel_customers"):
        config(panel_customers=5)
