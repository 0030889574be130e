"""What each figure shows, in a caption and, for readers who cannot see it, in words with its numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from churn_clv.delivery import segment_figure_words as words
from churn_clv.delivery.caption import FigureWords
from churn_clv.delivery.model_figure_words import MODEL_DESCRIPTIONS
from churn_clv.evaluation import figure_data, segment_drawings
from churn_clv.evaluation.figures import TIMING_SAMPLE, churned, method_name, origin_summary, unit_of
from churn_clv.evaluation.labels import day, feature, model, percent, rounded
from churn_clv.evaluation.shown import shown_cohorts, shown_groups, shown_profile
from churn_clv.segments.small_groups import withheld

if TYPE_CHECKING:
    from churn_clv.train import Run


def words_of(name: str, run: Run) -> FigureWords:
    """Return caption and alternative text of a figure; a figure of another origin is called by its name."""
    describe = DESCRIPTIONS.get(name)
    return describe(run) if describe else FigureWords(name.replace("_", " "), f"Figure: {name.replace('_', ' ')}")


def _grid_production(run: Run) -> FigureWords:
    shown = shown_groups(run, run.production_grid).dropna(subset="customers")
    told = ""
    if not shown.empty:
        cell = shown.loc[shown["customers"].idxmax()]
        told = (
            f" The largest cell is {cell['segment']} with {cell['customers']:,.0f} customers and a predicted churn of "
            f"{percent(cell['churn_probability'])}."
        )
    return FigureWords(
        "The production grid: forecasts for today's customers. The darker, the higher the predicted churn.",
        f"Heat map of risk tier by value tier with the figures of the table of the production grid.{told}",
    )


def _grid_judged(run: Run) -> FigureWords:
    rates = shown_groups(run, run.judged_grid)["realised_churn"].dropna()
    told = (
        f" Realised churn goes from {percent(rates.min())} to {percent(rates.max())} over the cells."
        if len(rates)
        else ""
    )
    return FigureWords(
        f"The judged grid: customers placed by what was known on {day(run.windows.calibration_end)}, and what "
        "they then did.",
        f"Heat map of risk tier by value tier with the figures of the table of the judged grid.{told}",
    )


def _reliability(run: Run) -> FigureWords:
    curve = figure_data.calibration_curve(churned(run), run.judged["churn_probability"])
    pairs = ", ".join(
        f"{percent(p)} / {percent(r)}" for p, r in zip(curve["predicted"], curve["realised"], strict=True)
    )
    return FigureWords(
        "Calibration of churn: on the dashed line a promised probability comes true. Beneath: how many "
        "customers have which.",
        f"Calibration curve, predicted / realised churn by group: {pairs}. Of all customers "
        f"{percent(run.judgement.churn_rate)} "
        "bought nothing.",
    )


def _gain(run: Run) -> FigureWords:
    table, noun = figure_data.deciles(run.judged["spend"], run.judged["expected_spend"]), unit_of(run).noun
    pairs = ", ".join(f"{rounded(a)} / {rounded(e)}" for a, e in zip(table["actual"], table["expected"], strict=True))
    return FigureWords(
        f"Left: the share of the holdout's {noun} that customers bring, best forecast first. Right: actual and "
        "expected "
        f"{noun} of each tenth.",
        f"Gain curve and decile chart. Mean {noun} a customer by tenth, best forecast first, actual / "
        f"expected: {pairs}.",
    )


def _holdout_by_frequency(run: Run) -> FigureWords:
    means = figure_data.means_by_frequency(
        run.judged["frequency"], run.judged["purchases"], run.judged[["expected_purchases"]].set_axis(["run"], axis=1)
    )
    shown = shown_groups(run, means).dropna(subset="customers")
    pairs = ", ".join(f"{n}: {rounded(m['actual'])} / {rounded(m['run'])}" for n, m in shown.iterrows())
    return FigureWords(
        "Mean purchases in the holdout of customers with equally many repeat purchases before it; the last "
        "group gathers "
        "all higher counts.",
        f"Points of mean holdout purchases by earlier repeat purchases, actual / this run: {pairs}.",
    )


def _tracking(run: Run) -> FigureWords:
    windows, purchases = run.windows, run.judged_models.purchases
    days = figure_data.purchase_days(run.log, windows.calibration_end, windows.holdout_end)
    weeks = figure_data.weekly_repeats(days, purchases, windows.calibration_end, windows.holdout_end)
    later = weeks.loc[weeks.index.date > windows.calibration_end, ["actual", "expected"]].sum()
    return FigureWords(
        f"Repeat purchases over time against {model(purchases)}, which was fitted on the part left of the "
        "line. The model "
        "knows no seasons and no campaigns, so single weeks may stand out; the course should agree.",
        "Two line charts, repeat purchases since the start and by week. In the holdout's weeks "
        f"{later['actual']:,.0f} repeat "
        f"purchases happened, {later['expected']:,.0f} were expected by {model(purchases)}.",
    )


def _purchase_timing(run: Run) -> FigureWords:
    sample = min(TIMING_SAMPLE, len(run.judged))
    return FigureWords(
        f"Purchase days of {sample} customers drawn at random, without their ids: many buy once, a few again "
        "and again.",
        f"Dots along {sample} horizontal lines, one a customer; a vertical line marks "
        f"{day(run.windows.calibration_end)}, "
        "after which the holdout begins.",
    )


def _frequency_fit(run: Run) -> FigureWords:
    purchases = run.judged_models.purchases
    counts = figure_data.repeat_counts(run.judged["frequency"], run.judged["T"], purchases)
    left = withheld(counts["actual"], run.config.privacy.smallest_group)
    pairs = ", ".join(f"{n}: {a:,.0f} / {e:,.0f}" for n, a, e in counts[~left].itertuples())
    return FigureWords(
        f"Customers by repeat purchases up to {day(run.windows.calibration_end)}, actual and as "
        f"{model(purchases)} reproduces "
        "them: a check of fit, not a forecast.",
        f"Bars of customers by repeat purchases, actual / {model(purchases)}: {pairs} (the last stands for more, too).",
    )


def _frequency_recency(run: Run) -> FigureWords:
    return FigureWords(
        "How the purchase model reads a history, at the median age of the customers: many purchases, the last of them "
        "recent, promise most; many purchases followed by a long silence mean that the customer has left. "
        "One-time buyers "
        "(frequency 0) are not shown; white: not possible.",
        "Two heat maps over frequency and recency, of expected purchases and of p_alive. Both are highest at "
        "the upper right "
        "and near 0 at the lower right, where a frequent buyer has been silent for long.",
    )


def _origins(run: Run) -> FigureWords:
    told = []
    for task, metric in (("churn", "log_loss"), ("value", "normalised_gini")):
        gains = origin_summary(run, task).loc[metric, "gain"].iloc[1:].dropna()
        told += [f"{task}, {method_name(str(m))} {gain:+.4f}" for m, gain in gains.items()]
    return FigureWords(
        "Gain of every method over the simplest at every earlier date: dots are dates, the bar is the mean with its 95 % "
        "interval. Left of the dashed line a method was worse.",
        f"Dots and intervals of the gain over the simplest method, means: {'; '.join(told)}.",
    )


def _importances(run: Run) -> FigureWords:
    top = run.models.churn.importances().head(3)
    named = ", ".join(f"{feature(str(n))} {percent(s)}" for n, s in top.items())
    trees = run.models.churn.trees
    use = (
        "What the trees use to correct the purchase model's forecast, which is their starting point."
        if trees is not None and trees.start == "offset" else "What the trees use to forecast the risk."
    )  # fmt: skip
    return FigureWords(
        f"{use} A share says how much a feature helped, not in which direction, and nothing about causes.",
        f"Bars of the features' shares of the gain, the largest: {named}.",
    )


def _rfm(run: Run) -> FigureWords:
    judged, smallest = run.segmentation.placements[-1].scores, run.config.privacy.smallest_group
    return words.rfm_words(judged, run.windows.horizon_days, smallest)


def _lifecycle_flow(run: Run) -> FigureWords:
    steps, days = segment_drawings.stage_flows(run)
    return words.lifecycle_flow_words(steps, *days, smallest=run.config.privacy.smallest_group)


def _outcomes_lifecycle(run: Run) -> FigureWords:
    table = shown_groups(run, run.segmentation.outcomes["lifecycle_stage"])
    return words.outcomes_words(table, "lifecycle stage", unit_of(run))


def _cluster_profile(run: Run) -> FigureWords:
    return words.cluster_profile_words(*shown_profile(run, "cluster"))


def _retention(run: Run) -> FigureWords:
    cohorts = shown_cohorts(run)
    return words.retention_words(cohorts.activity, cohorts.period)


DESCRIPTIONS: Mapping[str, Callable[[Run], FigureWords]] = {
    "grid_production": _grid_production,
    "grid_judged": _grid_judged,
    "reliability": _reliability,
    "gain": _gain,
    "holdout_by_frequency": _holdout_by_frequency,
    "tracking": _tracking,
    "purchase_timing": _purchase_timing,
    "frequency_fit": _frequency_fit,
    "frequency_recency": _frequency_recency,
    "importances": _importances,
    "origins": _origins,
    "rfm": _rfm,
    "lifecycle_flow": _lifecycle_flow,
    "outcomes_lifecycle": _outcomes_lifecycle,
    "pareto": lambda run: words.pareto_words(segment_drawings.curves(run)),
    "cluster_profile": _cluster_profile,
    "migration": lambda run: words.migration_words(
        *segment_drawings.last_migration(run), run.config.privacy.smallest_group
    ),
    "budget": lambda run: words.budget_words(shown_groups(run, run.segmentation.budgets["segment"]), unit_of(run)),
    "retention": _retention,
    "cohort_calibration": lambda run: words.cohort_calibration_words(shown_cohorts(run).calibration, unit_of(run)),
    **MODEL_DESCRIPTIONS,
}
