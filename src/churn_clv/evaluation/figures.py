"""Every figure of a run by name: the frames come from `figure_data`, the drawings from their own files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from churn_clv.evaluation import accuracy_figures, figure_data, grid_figures, origin_figures, purchase_figures
from churn_clv.evaluation.judgement import NAMES
from churn_clv.evaluation.labels import Unit, model
from churn_clv.evaluation.over_origins import over_origins
from churn_clv.evaluation.shown import shown_groups, tenths_are_shown
from churn_clv.segments.small_groups import withheld

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from churn_clv.train import Run

TIMING_SAMPLE = 60
FEW_IN_A_TENTH = (
    "A tenth of the judged customers is fewer than may be shown (privacy.smallest_group): no figure of tenths."
)
CALIBRATED = "_calibrated"  # as in churn_clv.backtest


def figures_of(run: Run) -> dict[str, Figure]:
    """Draw every figure of a run.

    Returns
    -------
    Mapping of name -> figure, in the order of a report. Figures that a run has no numbers for are left out;
    `not_drawn` says which and why.
    """
    missing = not_drawn(run)
    return {name: draw(run) for name, draw in DRAWINGS.items() if name not in missing}


def not_drawn(run: Run) -> dict[str, str]:
    """Say which figures a run cannot have, and why."""
    reasons = {}
    if run.judged["spend"].sum() <= 0:
        reasons["gain"] = "Nobody spent anything in the holdout, so there is no gain to draw."
    if not tenths_are_shown(run, len(run.judged)):
        reasons |= dict.fromkeys(("gain", "reliability"), FEW_IN_A_TENTH)
    if run.choice.backtest is None:
        reasons["origins"] = (
            "Methods were not compared over several dates before calibration_end, so there is no such figure."
        )
    if run.models.churn.importances().empty:
        reasons["importances"] = _without_shares(run)
    return reasons


def _without_shares(run: Run) -> str:
    trees = run.models.churn.trees
    if trees is None:
        return "The churn model's method has no trees, so no feature has a share of them."
    if trees.start == "offset":
        return (
            "The churn model has no trees (on past labels they did not improve on the purchase model), so no "
            "feature has a share: the risk is the purchase model's own."
        )
    return (
        "The churn model's trees did not improve on the churn rate of past labels, so it has none and no feature has a "
        "share."
    )


def origin_figures_of(run: Run, task: str) -> pd.DataFrame:
    """Return the figures of a task at the origins that chose the methods: a row an origin, columns (metric, method).

    Of the calibrated variants only the run's own is shown, and only if its calibrator is in use.

    Raises
    ------
    ValueError
        If the run has no backtest.
    """
    if run.choice.backtest is None:
        raise ValueError("the run has no backtest: its methods were not compared over origins")
    table = run.choice.backtest.figures(task, only_apart=False)
    used = f"{run.choice.methods.churn}{CALIBRATED}" if run.choice.methods.calibrator else None
    names = table.columns.get_level_values("method")
    return table.loc[:, ~names.str.endswith(CALIBRATED) | (names == used)]


def origin_summary(run: Run, task: str) -> pd.DataFrame:
    """Return what `over_origins` makes of them, against the simplest method."""
    figures = origin_figures_of(run, task)
    return over_origins(figures, figures.columns.unique("method")[0], run.choice.backtest.apart)  # type: ignore[union-attr]


def method_name(method: str) -> str:
    """Return a method in words, with its calibrator where it has one."""
    plain = method.removesuffix(CALIBRATED)
    return NAMES.get(plain, plain) + (", calibrated" if plain != method else "")


def unit_of(run: Run) -> Unit:
    """Return what value is counted in."""
    return Unit(run.config.data.currency, run.log.value_is)


def churned(run: Run) -> pd.Series:
    """Return 1 for each judged customer who bought nothing in the holdout, else 0."""
    return (run.judged["purchases"] == 0).astype(float)


def _grid_production(run: Run) -> Figure:
    days = run.models.settings.horizon_days
    forecast, judged = shown_groups(run, run.production_grid), shown_groups(run, run.judged_grid)
    return grid_figures.production_grid(forecast, judged, run.models.grid, unit_of(run), days)


def _grid_judged(run: Run) -> Figure:
    table = shown_groups(run, run.judged_grid)
    return grid_figures.judged_grid(table, run.judged_models.grid, unit_of(run), run.windows.horizon_days)


def _reliability(run: Run) -> Figure:
    risk, outcome = run.judged["churn_probability"], churned(run)
    curve = figure_data.calibration_curve(outcome, risk)
    return accuracy_figures.reliability(curve, risk, float(outcome.mean()), run.windows.horizon_days)


def _gain(run: Run) -> Figure:
    spend, expected = run.judged["spend"], run.judged["expected_spend"]
    curve, best = figure_data.gain_curve(spend, expected), figure_data.gain_curve(spend, spend)
    table = figure_data.deciles(spend, expected)
    return accuracy_figures.gain(curve, best, table, unit_of(run), run.windows.horizon_days)


def _tracking(run: Run) -> Figure:
    windows, purchases = run.windows, run.judged_models.purchases
    days = figure_data.purchase_days(run.log, windows.calibration_end, windows.holdout_end)
    weeks = figure_data.weekly_repeats(days, purchases, windows.calibration_end, windows.holdout_end)
    return purchase_figures.tracking(weeks, windows.calibration_end, len(run.judged), model(purchases))


def _frequency_fit(run: Run) -> Figure:
    purchases = run.judged_models.purchases
    counts = figure_data.repeat_counts(run.judged["frequency"], run.judged["T"], purchases)
    left = withheld(counts["actual"], run.config.privacy.smallest_group)
    shown = counts.assign(actual=counts["actual"].astype(float).mask(left)) if left.any() else counts
    return purchase_figures.frequency_fit(shown, model(purchases))


def _holdout_by_frequency(run: Run) -> Figure:
    judged, purchases, horizon = run.judged, run.judged_models.purchases, run.windows.horizon_days
    alone = purchases.expected_purchases(judged[["frequency", "recency", "T"]], horizon)
    forecasts = pd.DataFrame({"this_run": judged["expected_purchases"], "purchase_model": alone})
    means = figure_data.means_by_frequency(judged["frequency"], judged["purchases"], forecasts)
    return purchase_figures.holdout_by_frequency(shown_groups(run, means), model(purchases), horizon)


def _frequency_recency(run: Run) -> Figure:
    purchases, horizon = run.models.purchases, run.models.settings.horizon_days
    age = float(np.round(run.scores["T"].median()))
    highest = int(np.clip(run.scores["frequency"].quantile(0.99), 5, 40))
    states = figure_data.frequency_recency_states(age, highest)
    answers = {
        "expected_purchases": purchases.expected_purchases(states, horizon),
        "p_alive": purchases.probability_alive(states),
    }
    return purchase_figures.frequency_recency(states.assign(**answers), horizon, model(purchases))


def _importances(run: Run) -> Figure:
    corrects = run.models.churn.trees is not None and run.models.churn.trees.start == "offset"
    return accuracy_figures.importances(run.models.churn.importances(), corrects)


def _origins(run: Run) -> Figure:
    figures = {task: origin_figures_of(run, task) for task in ("churn", "value")}
    summaries = {task: origin_summary(run, task) for task in figures}
    references = {task: str(table.columns.unique("method")[0]) for task, table in figures.items()}
    names = {m: method_name(m) for table in figures.values() for m in map(str, table.columns.unique("method"))}
    return origin_figures.gains(figures, summaries, references, run.choice.backtest.apart, names)  # type: ignore[union-attr]


def _purchase_timing(run: Run) -> Figure:
    windows = run.windows
    days = figure_data.purchase_days(run.log, windows.calibration_end, windows.holdout_end)
    sample = figure_data.sample_of_days(days, TIMING_SAMPLE, run.config.evaluation.seed)
    return purchase_figures.purchase_timing(sample, windows.calibration_end)


DRAWINGS: Mapping[str, Callable[[Run], Figure]] = {
    "grid_production": _grid_production,
    "grid_judged": _grid_judged,
    "reliability": _reliability,
    "gain": _gain,
    "origins": _origins,
    "holdout_by_frequency": _holdout_by_frequency,
    "tracking": _tracking,
    "purchase_timing": _purchase_timing,
    "frequency_fit": _frequency_fit,
    "frequency_recency": _frequency_recency,
    "importances": _importances,
}
