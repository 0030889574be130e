"""Every figure of a run's models by name: which of its frames each is drawn from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import pandas as pd

from churn_clv.data.summary import summarize
from churn_clv.evaluation import model_figure_data, model_figures
from churn_clv.evaluation.figures import FEW_IN_A_TENTH, churned, unit_of
from churn_clv.evaluation.labels import model
from churn_clv.evaluation.shown import shown_groups, tenths_are_shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from churn_clv.train import Run

DAYS_OF_CUSTOMERS = """
    SELECT customer_id, day FROM customer_days
    WHERE is_purchase AND day <= $until AND list_contains($customers, customer_id)
    ORDER BY day
"""


def model_figures_of(run: Run) -> dict[str, Figure]:
    """Draw every figure of a run's models.

    Returns
    -------
    Mapping of name -> figure. What a run has no numbers for is left out: `models_not_drawn` says which and why.
    """
    missing = models_not_drawn(run)
    return {name: draw(run) for name, draw in MODEL_DRAWINGS.items() if name not in missing}


def models_not_drawn(run: Run) -> dict[str, str]:
    """Say which figures of its models a run cannot have, and why."""
    reasons = {}
    if not lifts(run)[0]:
        reasons["lift"] = "In the holdout either nobody or everybody bought nothing, and nobody spent: no lift to draw."
    elif not tenths_are_shown(run, len(run.judged)):
        reasons["lift"] = FEW_IN_A_TENTH
    if recency_means(run).empty:
        reasons["holdout_by_recency"] = "Customers equally long silent are too few to be shown together."
    if run.models.spend is None:
        reasons["spend_density"] = "The log has no amounts, so there is no spend model whose fit could be shown."
    if not (run.scores["frequency"] > 0).any():
        reasons["histories"] = "Nobody bought twice, so there is no history of purchases to follow."
    if run.scores["clv"].sum() <= 0:
        reasons["clv_ranking"] = "Nothing is expected of any customer, so there is no ranking by CLV."
    elif not tenths_are_shown(run, len(run.scores)):
        reasons["clv_ranking"] = "A tenth of today's customers is fewer than may be shown: no ranking by CLV."
    return reasons


def recency_means(run: Run) -> pd.DataFrame:
    """Return the judged customers' mean purchases in the holdout by silence, of groups that are shown: actual, this run, the purchase model."""
    summary = run.judged[["frequency", "recency", "T"]]
    alone = run.judged_models.purchases.expected_purchases(summary, run.windows.horizon_days)
    forecasts = pd.DataFrame({"this_run": run.judged["expected_purchases"], "purchase_model": alone})
    means = model_figure_data.means_by_silence(summary, run.judged["purchases"], forecasts)
    return shown_groups(run, means).dropna(subset="customers")


def spend_bins(run: Run) -> pd.DataFrame:
    """Return the judged customers by mean spend per purchase day, actual and by the judged spend model."""
    summary = summarize(run.log, run.windows.calibration_end, run.judged_models.settings.spend_days)
    return model_figure_data.spend_density(summary, run.judged_models.spend)  # type: ignore[arg-type]


def intervals(run: Run) -> pd.DataFrame:
    """Return the parameters of the judged and the production models with 95 % intervals."""
    stages = {"judged": run.judged_models, "production": run.models}
    fitted = {stage: [m for m in (f.purchases, f.spend) if m is not None] for stage, f in stages.items()}
    return model_figure_data.parameter_intervals(fitted)


def followed(run: Run) -> dict[str, pd.DataFrame]:
    """Return the histories of three model customers up to the day of the scores, by role, without their ids."""
    chosen, until = model_figure_data.model_customers(run.scores), run.windows.score_as_of
    terms = {"until": until, "customers": chosen.tolist()}
    days = run.log.frame(DAYS_OF_CUSTOMERS, terms)
    purchases = run.models.purchases
    return {
        str(role): model_figure_data.alive_over_time(days.loc[days["customer_id"] == who, "day"], purchases, until)
        for role, who in chosen.items()
    }


def ranked(run: Run) -> pd.DataFrame:
    """Return today's customers by CLV with 90 % prediction intervals, without ids."""
    settings = run.models.settings
    return model_figure_data.clv_with_intervals(
        run.scores, summarize(run.log, run.windows.score_as_of, settings.spend_days), run.models.purchases,
        run.models.spend, horizon=settings.clv_horizon_days, annual_discount_rate=settings.annual_discount_rate,
        seed=run.config.evaluation.seed,
    )  # fmt: skip


def lifts(run: Run) -> tuple[dict[str, pd.DataFrame], dict[str, str]]:
    """Return the lift of churn and of spend by tenths of the judged customers, and what orders them."""
    noun, gone = unit_of(run).noun, churned(run)
    tables, order = {}, {}
    if 0 < gone.mean() < 1:
        tables["churn"] = model_figure_data.lift_by_tenth(gone, run.judged["churn_probability"])
        order["churn"] = "highest risk"
    if run.judged["spend"].sum() > 0:
        tables[noun] = model_figure_data.lift_by_tenth(run.judged["spend"], run.judged["expected_spend"])
        order[noun] = f"highest expected {noun}"
    return tables, order


def _holdout_by_recency(run: Run) -> Figure:
    name = model(run.judged_models.purchases)
    return model_figures.holdout_by_recency(recency_means(run), name, run.windows.horizon_days)


def _lift(run: Run) -> Figure:
    return model_figures.lift(*lifts(run), run.windows.horizon_days)


def _heterogeneity(run: Run) -> Figure:
    purchases = run.models.purchases
    densities = model_figure_data.population_densities(purchases)
    return model_figures.heterogeneity(densities, model_figure_data.population_traits(purchases), model(purchases))


def _spend_density(run: Run) -> Figure:
    return model_figures.spend_fit(spend_bins(run), unit_of(run))


def _parameters(run: Run) -> Figure:
    return model_figures.parameters(intervals(run), unit_of(run))


def _histories(run: Run) -> Figure:
    return model_figures.histories(followed(run), model(run.models.purchases))


def _clv_ranking(run: Run) -> Figure:
    table, days = ranked(run), run.models.settings.clv_horizon_days
    tenths = model_figure_data.clv_of_tenths(table)
    return model_figures.clv_ranking(table, tenths, unit_of(run), days, model_figure_data.TOP)


MODEL_DRAWINGS: Mapping[str, Callable[[Run], Figure]] = {
    "clv_ranking": _clv_ranking,
    "lift": _lift,
    "holdout_by_recency": _holdout_by_recency,
    "histories": _histories,
    "heterogeneity": _heterogeneity,
    "spend_density": _spend_density,
    "parameters": _parameters,
}
