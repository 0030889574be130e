"""The scores of all customers of a run whose log is judged on a panel: written part by part, then added up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path

import pandas as pd

from churn_clv.customer_table import score_table
from churn_clv.data.log_parts import parts_of
from churn_clv.data.scratch import scratch_folder
from churn_clv.data.spark_log import SparkLog
from churn_clv.data.transactions import TransactionLog
from churn_clv.delivery.score_parts import write_scores
from churn_clv.delivery.spark_scores import Score, score_on_spark
from churn_clv.everyone import Everyone, gather
from churn_clv.score import FittedModels
from churn_clv.score_log import customer_table
from churn_clv.segmentation import save_rates
from churn_clv.segments.lists import win_back
from churn_clv.segments.outreach import contact_plan
from churn_clv.train import Run

PART_CUSTOMERS = 100_000
_PLANNED = ["channel", "contact_profit", "expected_outlay"]
_SUMS = ["customers", "expected_spend", "value_at_risk", "clv"]


def score_everyone(run: Run, log: TransactionLog | SparkLog, place: Path, progress: Callable[[str], None]) -> Run:
    """Return the run with everyone scored, and with everyone's numbers in its grid, its budgets and its equity.

    Parameters
    ----------
    log
        Everyone's: `run.whole`.
    place
        A folder of which the scores will be moved into the run's own; see `churn_clv.delivery.run_folder.write_run`.
    """
    data = run.config.data
    folder = scratch_folder(str(place)) / "scores"
    rates = None if run.config.actions.save_rates is None else save_rates(run.config.actions.save_rates)
    score = partial(planned, as_of=run.windows.score_as_of, rates=rates)
    if isinstance(log, SparkLog):
        folder.parent.chmod(0o755)  # executors may be another user
        score_on_spark(run.models, log, run.windows.score_as_of, folder.resolve().as_uri(), run.given, score=score)
        log.release()
    else:
        _score_parts(run, log, folder, score, progress)
    spill = data.spill_directory or str(place)
    everyone = gather(folder, run.config.actions.budget, data.memory_limit, data.threads, spill)
    return with_everyone(run, everyone)


def with_everyone(run: Run, everyone: Everyone) -> Run:
    """Return the run whose production grid, budgets and customer equity are of everyone, not of the panel."""
    grid, equity = run.production_grid, run.segmentation.equity
    found = everyone.totals(["risk_tier", "value_tier"]).reindex(grid.index)
    found[_SUMS] = found[_SUMS].fillna(0)
    own = [name for name in grid.columns if name in found]
    table = grid.assign(**{name: found[name].astype(grid[name].dtype) for name in own})
    table["share"] = table["customers"] / everyone.total["customers"]
    # The interval is one of the logarithm of the total: its relative width is that of the panel.
    times = everyone.total["clv"] / equity.total if equity.total > 0 else 1.0
    scaled = replace(equity, total=equity.total * times, low=equity.low * times, high=equity.high * times)
    budgets = {scheme: everyone.budget(scheme) for scheme in run.segmentation.budgets}
    segmentation = replace(run.segmentation, equity=scaled, budgets=budgets)
    return replace(run, production_grid=table, segmentation=segmentation, everyone=everyone)


def _score_parts(run: Run, log: TransactionLog, folder: Path, score: Score, progress: Callable[[str], None]) -> None:
    as_of, done = run.windows.score_as_of, 0
    folder.mkdir()
    for number, part in enumerate(parts_of(log, as_of, PART_CUSTOMERS)):
        table = customer_table(run.models, part, as_of, run.given)
        write_scores(score(run.models, table), folder / f"part-{number:05d}.parquet")
        done += len(table)
        progress(f"score everyone: {done:,} of {log.n_customers:,} customers")


def planned(models: FittedModels, table: pd.DataFrame, as_of: date, rates: pd.Series | None) -> pd.DataFrame:
    """Score the customers of a table, without reasons, and say how each is contacted and whether she is to be won back."""
    scores = score_table(models, table, as_of, with_reasons=False)
    # Every customer of the log has one, which was checked before anything was fitted; made-up ones, whom Spark asks, have none.
    rates = None if rates is None else rates.reindex(scores.index).fillna(0.0)
    plan = contact_plan(scores, models.playbook, value_is=models.settings.value_is, save_rate=rates)
    back = win_back(scores.assign(reasons=""), plan)
    return scores.join(plan[_PLANNED]).assign(win_back=scores.index.isin(back.index), as_of=as_of)
