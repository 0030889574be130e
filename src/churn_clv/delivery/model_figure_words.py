"""What the figures of the models show, in a caption and in words with their numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from churn_clv.delivery.caption import FigureWords
from churn_clv.evaluation import model_drawings
from churn_clv.evaluation.figures import unit_of
from churn_clv.evaluation.labels import MODELS, day, estimate, model, percent, rounded
from churn_clv.evaluation.model_figure_data import LEVEL, TOP, clv_of_tenths, population_traits
from churn_clv.evaluation.model_figures import trait_text
from churn_clv.models import BetaGeoModel

if TYPE_CHECKING:
    from churn_clv.train import Run

TRAITS: Mapping[str, str] = {
    "purchases_a_year": "purchases a year while active",
    "dropout_probability": "probability of leaving after a purchase",
    "dropouts_a_year": "dropout rate a year",
}


def _clv_ranking(run: Run) -> FigureWords:
    table, unit = model_drawings.ranked(run), unit_of(run)
    best, tenths = table.iloc[0], clv_of_tenths(table)
    means = "; ".join(
        f"{tenth}: {rounded(row['clv'])} ({rounded(row['lower'])} to {rounded(row['upper'])})"
        for tenth, row in tenths.iterrows()
    )
    return FigureWords(
        f"CLV with {percent(LEVEL)} prediction intervals of single customers. Left: the {min(TOP, len(table))} highest. Right: "
        "means over the customers of each tenth. Where lines overlap the order of two customers is uncertain; a line that "
        "begins at 0 says that the customer may well not come back, and where that is nearly certain the interval ends at 0, "
        "too, below the mean. What hits all customers at once is not in the intervals.",
        f"Dots with intervals. The highest CLV is {unit.amount(best['clv'])}, interval {rounded(best['lower'])} to "
        f"{rounded(best['upper'])}. Mean CLV and interval of a customer by tenth, highest first: {means}.",
    )


def _lift(run: Run) -> FigureWords:
    tables, order = model_drawings.lifts(run)
    told = [
        f"{name}, {order[name]} first: {', '.join(rounded(lift, 2) for lift in table['lift'])}"
        for name, table in tables.items()
    ]
    limit = 1 / run.judgement.churn_rate if "churn" in tables else 0.0
    limited = f" Of churn no bar can be higher than {rounded(limit)}, where everybody bought nothing." if limit else ""
    return FigureWords(
        "Lift: what each tenth of the customers did, as a multiple of the mean of all; the forecast orders them. The line "
        f"takes this tenth and all before it. A useful forecast falls steeply; without any, every bar would be 1.{limited}",
        f"Bars of lift by tenth. {'. '.join(told)}.",
    )


def _holdout_by_recency(run: Run) -> FigureWords:
    means = model_drawings.recency_means(run)
    told = []
    for repeat, part in means.groupby("repeat"):
        pairs = (
            f"{row['silence']:,.0f} days: {rounded(row['actual'])} / {rounded(row['this_run'])}"
            for _, row in part.iterrows()
        )
        told.append(f"{'repeat buyers' if repeat else 'one-time buyers'}, {', '.join(pairs)}")
    return FigureWords(
        "Mean purchases in the holdout of customers who had been silent equally long when it began, one-time buyers apart from "
        "repeat buyers. Each point stands for about equally many customers of its panel.",
        f"Points of mean holdout purchases by days since the last purchase, actual / this run: {'; '.join(told)}.",
    )


def _histories(run: Run) -> FigureWords:
    tables = model_drawings.followed(run)
    told = [
        f"{role}: {int(table['bought'].sum())} purchase days, then {last['T'] - last['recency']:,.0f} days of silence, p_alive "
        f"{last['p_alive']:.2f}"
        for role, table in tables.items()
        for last in [table.iloc[-1]]
    ]
    never = isinstance(run.models.purchases, BetaGeoModel)
    certain = " BG/NBD takes a customer to be active until the first repeat purchase." if never else ""
    return FigureWords(
        f"Histories up to {day(run.windows.score_as_of)}, as the production model reads them day by day: a purchase lifts "
        "p_alive, silence lowers it, the faster the more often the customer used to buy. Shown are repeat buyers of usual "
        f"frequency whose p_alive is closest to 0.95, 0.5 and 0.05, without their ids.{certain}",
        f"Lines of p_alive over the days since the first purchase, with a mark on each purchase day. {'; '.join(told)}.",
    )


def _heterogeneity(run: Run) -> FigureWords:
    fitted = run.models.purchases
    told = []
    for trait, row in population_traits(fitted).iterrows():
        shown = {str(name): trait_text(str(trait), value) for name, value in row.items()}
        told.append(
            f"{TRAITS[str(trait)]}: median {shown['median']}, mean {shown['mean']}, highest tenth from {shown['highest_tenth']}"
        )
    doubt = f" {fitted.diagnosis_}" if fitted.diagnosis_ else ""
    return FigureWords(
        f"How {model(fitted)}, fitted on the whole log, takes customers to differ. The area under each curve is the share of "
        "customers; where the curve leaves the top, many customers are close to that end. The mean lies right of the median "
        f"where a few customers buy, or leave, far more readily than most. Drawn up to what 95 % of customers have.{doubt}",
        f"Density curves. {'; '.join(told)}.",
    )


def _spend_density(run: Run) -> FigureWords:
    bins, unit = model_drawings.spend_bins(run), unit_of(run)
    shares = bins[["actual", "expected"]] / bins["actual"].sum()
    apart = float((shares["actual"] - shares["expected"]).abs().sum() / 2)
    peaks = {name: bins.loc[bins[name].iloc[:-1].idxmax()] for name in ("actual", "expected")}
    modes = {name: f"{rounded(row['low'])} to {unit.amount(row['high'])}" for name, row in peaks.items()}
    return FigureWords(
        f"Customers by mean {unit.noun} per purchase day up to {day(run.windows.calibration_end)}, actual and as Gamma-Gamma "
        "reproduces them given how many days lie behind each mean: a check of fit, not a forecast. Price points and packs show "
        "as peaks that no smooth model has.",
        f"Bars and a line. Most customers are at {modes['actual']}, Gamma-Gamma's curve is highest at {modes['expected']}; "
        f"{percent(apart)} of the customers would have to change their bar for both to agree.",
    )


def _parameters(run: Run) -> FigureWords:
    table = model_drawings.intervals(run)
    told = "; ".join(
        f"{row['stage']} {MODELS[row['model']]} {row['parameter']} {estimate(row['estimate'], row['lower'], row['upper'])}"
        for _, row in table.iterrows()
    )
    return FigureWords(
        "Fitted parameters with 95 % intervals. Where the intervals of both fits lie apart, customers of the two periods, or "
        "their behaviour, differ by more than chance, or the model does not quite hold. A parameter without an interval is not "
        "determined by the data, or was fitted by an engine that gives none.",
        f"Dots with intervals on a log axis: {told}.",
    )


MODEL_DESCRIPTIONS: Mapping[str, Callable[[Run], FigureWords]] = {
    "clv_ranking": _clv_ranking,
    "lift": _lift,
    "holdout_by_recency": _holdout_by_recency,
    "histories": _histories,
    "heterogeneity": _heterogeneity,
    "spend_density": _spend_density,
    "parameters": _parameters,
}
