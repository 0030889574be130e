"""The models as pictures: how they take customers to differ, how sure they are, how they read single histories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from churn_clv.evaluation.figure_style import ACTUAL, MODEL, QUIET, RIVAL, percents, plain, sheet, style, thousands
from churn_clv.evaluation.labels import MODELS, Unit, estimate, percent, rounded

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TRAITS: Mapping[str, str] = {
    "purchases_a_year": "purchase rate λ, purchases a year while active",
    "dropout_probability": "dropout p, probability of leaving\nafter a purchase",
    "dropouts_a_year": "dropout rate μ, a year (1/μ: years active)",
}
# parameter -> its unit
UNITS: Mapping[str, str] = {"alpha": "days", "beta": "days"}
STAGES: Mapping[str, dict[str, Any]] = {
    "judged": {"color": RIVAL, "marker": "s", "label": "judged models, fitted up to calibration_end"},
    "production": {"color": MODEL, "marker": "o", "label": "production models, fitted on the whole log"},
}
WIDE = 1e6  # an axis over so large a factor is labelled in powers of ten
FARTHEST = 1e3  # an interval that reaches farther than this factor from every estimate leaves the axes


def holdout_by_recency(means: pd.DataFrame, model_name: str, horizon_days: int) -> Figure:
    """Draw mean holdout purchases by the days since the last purchase: actual, this run, the purchase model alone.

    Parameters
    ----------
    means
        From `means_by_silence` with the forecasts this_run and purchase_model.
    """
    kinds = [(repeat, part) for repeat, part in means.groupby("repeat")]
    named = {False: "one-time buyers", True: "repeat buyers"}
    with style():
        figure = sheet("Purchases in the holdout, by days since the last purchase", 4.0)
        panels = figure.subplots(1, len(kinds), squeeze=False)[0]
        for axes, (repeat, part) in zip(panels, kinds, strict=True):
            _silence(axes, part.sort_values("silence"), model_name)
            axes.set_title(f"{part['customers'].sum():,} {named[bool(repeat)]}")
            axes.set_xlabel("days since the last purchase")
            axes.set_ylabel(f"mean purchases a customer\nin {horizon_days} days")
        _legend(figure, panels[0], 3)
    return figure


def _silence(axes: Axes, part: pd.DataFrame, model_name: str) -> None:
    x = part["silence"]
    error = np.nan_to_num(np.clip([part["actual"] - part["low"], part["high"] - part["actual"]], 0, None))
    axes.errorbar(x, part["actual"], error, fmt="o-", color=ACTUAL, capsize=3, markersize=5.5, linewidth=1.4,
                  label="actual, 95 % intervals")  # fmt: skip
    looks = (("this_run", "s--", MODEL, "this run"), ("purchase_model", "^:", RIVAL, f"{model_name} alone"))
    for column, look, colour, label in looks:
        axes.plot(x, part[column], look, color=colour, markersize=5.5, linewidth=1.4, label=label)
    axes.set_ylim(bottom=0)
    axes.margins(x=0.08)


def heterogeneity(densities: pd.DataFrame, traits: pd.DataFrame, model_name: str) -> Figure:
    """Draw how purchase rate and dropout are distributed over the customers, as fitted.

    Parameters
    ----------
    densities, traits
        From `population_densities` and `population_traits` of the same model.
    """
    with style():
        figure = sheet(f"How customers differ, as {model_name} sees them", 3.9)
        panels = figure.subplots(1, len(traits))
        for axes, (trait, row) in zip(panels, traits.iterrows(), strict=True):
            _density(axes, densities[densities["trait"] == trait], row, str(trait))
            axes.set(xlabel=TRAITS[str(trait)], ylabel="density of customers")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower left", ncols=3)
    return figure


def _density(axes: Axes, curve: pd.DataFrame, row: pd.Series, trait: str) -> None:
    value, density = curve["value"].to_numpy(), curve["density"].to_numpy()
    known = np.isfinite(density)
    axes.fill_between(value[known], density[known], color="#9ecae1", alpha=0.6, linewidth=0)
    axes.plot(value[known], density[known], color=MODEL, label="density as fitted")
    # Where all customers are alike the spike stands inside, not on the edge.
    right = max(float(value.max(initial=0.0)), 1.3 * float(row["median"]), 0.02)
    axes.set(xlim=(0, right), ylim=(0, _ceiling(value[known], density[known], right)))
    for name, look in (("median", "--"), ("mean", ":")):
        axes.axvline(row[name], color=ACTUAL, linestyle=look, linewidth=1.2, label=name)
    shown = {name: trait_text(trait, row[name]) for name in row.index}
    text = f"median {shown['median']}\nmean {shown['mean']}\nhighest tenth from {shown['highest_tenth']}"
    axes.annotate(text, (0.97, 0.97), xycoords="axes fraction", ha="right", va="top", backgroundcolor="white")
    axes.set_yticks([])
    axes.grid(False, axis="y")
    axes.locator_params(axis="x", nbins=5)
    if trait == "dropout_probability" and right >= 0.1:
        percents(axes, "x")


def trait_text(trait: str, value: float) -> str:
    """Return a customer's trait as text: a probability as a percentage, a rate as it is.

    Examples
    --------
    >>> trait_text("dropout_probability", 0.1077), trait_text("purchases_a_year", 2.331), trait_text("dropouts_a_year", 1e-9)
    ('10.8 %', '2.33', 'under 0.001')
    """
    if trait == "dropout_probability":
        return percent(value, 1)
    return "under 0.001" if 0 < value < 0.001 else rounded(value)


def _ceiling(value: np.ndarray, density: np.ndarray, right: float) -> float:
    """Return where to cut a density that has no highest point: well above what it is away from the ends."""
    inner = density[(value > 0.02 * right) & (value < 0.98 * right)]
    highest, middle = float(density.max(initial=0.0)), float(inner.max(initial=0.0))
    # 1 / right is the mean of any density that fills the axis; far below it all customers are alike, at an end.
    ceiling = min(highest, 1.6 * middle) if middle > 0.01 / right else highest
    return 1.08 * ceiling or 1.0


def spend_fit(bins: pd.DataFrame, unit: Unit) -> Figure:
    """Draw customers by mean spend per purchase day, actual and by Gamma-Gamma.

    Parameters
    ----------
    bins
        From `spend_density`; its last row is told in words.
    """
    shown, above = bins.iloc[:-1], bins.iloc[-1]
    middle, wide = (shown["low"] + shown["high"]) / 2, shown["high"] - shown["low"]
    with style():
        figure = sheet(f"Does Gamma-Gamma reproduce what customers {_verb(unit)} per purchase day?", 3.7)
        axes = figure.add_subplot()
        axes.bar(middle, shown["actual"], wide, color="#c4c4c4", edgecolor="white", linewidth=0.4, label="actual")
        axes.plot(middle, shown["expected"], color=MODEL, label="Gamma-Gamma, fitted")
        axes.set_xlabel(plain(f"mean {unit.noun} per purchase day, {unit.axis}"))
        axes.set_ylabel(plain(f"customers per {rounded(float(wide.iloc[0]))} {unit.name}".rstrip()))
        axes.set(xlim=(0, float(shown["high"].iloc[-1])), ylim=(0, None))
        text = f"above {rounded(above['low'])}, not drawn:\n{above['actual']:,.0f} customers, {above['expected']:,.0f} expected"
        axes.annotate(plain(text), (0.99, 0.6), xycoords="axes fraction", ha="right", va="top")
        axes.legend(loc="upper right")
        for which in "xy":
            thousands(axes, which)
    return figure


def _verb(unit: Unit) -> str:
    return "spend" if unit.noun == "spend" else "bring"


def histories(followed: Mapping[str, pd.DataFrame], model_name: str) -> Figure:
    """Draw purchases and the probability of being active of single customers, without saying who they are.

    Parameters
    ----------
    followed
        Role -> frame from `alive_over_time`.
    """
    with style():
        figure = sheet(
            f"How {model_name} reads purchases and silence: {len(followed)} customers", 1.35 * len(followed) + 1.3
        )
        panels = figure.subplots(len(followed), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
        for axes, (role, table) in zip(panels, followed.items(), strict=True):
            _history(axes, table, role)
        panels[-1].set_xlabel("days since the customer's first purchase")
        thousands(panels[-1], "x")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower left", ncols=2)
    return figure


def _history(axes: Axes, table: pd.DataFrame, role: str) -> None:
    bought = table[table["bought"]]
    axes.plot(table["T"], table["p_alive"], color=MODEL, label="p_alive on each day")
    axes.plot(bought["T"], np.full(len(bought), 0.04), "|", color=ACTUAL, markersize=11, markeredgewidth=1.6,
              label="purchase day")  # fmt: skip
    axes.set(ylim=(0, 1.05), yticks=[0, 0.5, 1], ylabel="p_alive")
    percents(axes)
    last = table.iloc[-1]
    said = f"{role}: {len(bought)} purchase days, {last['T'] - last['recency']:,.0f} days silent, p_alive {last['p_alive']:.2f}"
    axes.set_title(said)


def parameters(intervals: pd.DataFrame, unit: Unit) -> Figure:
    """Draw every fitted parameter with its 95 % interval, judged and production, on a log axis.

    Parameters
    ----------
    intervals
        From `parameter_intervals`.
    """
    keys = list(dict.fromkeys(zip(intervals["model"], intervals["parameter"], strict=True)))
    places = {key: len(keys) - k for k, key in enumerate(keys)}
    estimates = intervals["estimate"]
    with style():
        figure = sheet(
            "What the models learned, and how surely: parameters with 95 % intervals", 0.52 * len(keys) + 1.5
        )
        axes = figure.add_subplot()
        for shift, (stage, look) in zip((0.17, -0.17), STAGES.items(), strict=True):
            _interval_row(axes, intervals[intervals["stage"] == stage], places, shift, look)
        axes.set_xscale("log")
        ends = intervals[["lower", "upper", "estimate"]]
        low = max(float(ends.min().min()), float(estimates.min()) / FARTHEST)
        high = min(float(ends.max().max()), float(estimates.max()) * FARTHEST)
        axes.set(
            xlim=(low / 1.6, high * 1.6), ylim=(0.4, len(keys) + 0.6), xlabel="value (log axis)", ylabel="parameter"
        )
        if high < WIDE * low:
            thousands(axes, "x")
        axes.set_yticks(list(places.values()), [_parameter_label(*key, unit) for key in keys])
        axes.grid(False, axis="y")
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower left", ncols=1)
    return figure


def _interval_row(
    axes: Axes, rows: pd.DataFrame, places: Mapping[tuple[str, str], int], shift: float, look: Mapping[str, Any]
) -> None:
    y = np.array([places[key] for key in zip(rows["model"], rows["parameter"], strict=True)]) + shift
    axes.hlines(y, rows["lower"], rows["upper"], color=look["color"], linewidth=1.8)
    axes.plot(rows["estimate"], y, look["marker"], color=look["color"], markersize=5, label=look["label"])
    for place, value, low, high in zip(y, rows["estimate"], rows["lower"], rows["upper"], strict=True):
        text = estimate(value, low, high) if low > 0 else f"{rounded(value)} (no interval)"
        axes.annotate(text, (1.01, place), xycoords=("axes fraction", "data"), va="center", annotation_clip=False)


def _parameter_label(model: str, parameter: str, unit: Unit) -> str:
    measured = UNITS.get(parameter, unit.name if parameter == "v" else "")
    return plain(f"{MODELS[model]} {parameter}" + (f", {measured}" if measured else ""))


def clv_ranking(ranked: pd.DataFrame, tenths: pd.DataFrame, unit: Unit, clv_days: int, top: int) -> Figure:
    """Draw the CLV of the highest customers and of every tenth, with what single customers may bring.

    Parameters
    ----------
    ranked, tenths
        From `clv_with_intervals` and `clv_of_tenths`.
    """
    first = ranked[ranked["rank"] <= top]
    with style():
        figure = sheet(f"How sure is the ranking by CLV over {clv_days:,} days?", 4.6)
        left, right = figure.subplots(1, 2)
        _ranked(left, first["rank"], first, MODEL)
        left.set_title(f"the {len(first)} highest customers")
        left.set_ylabel("rank by CLV")
        left.set_yticks([int(first["rank"].iloc[0]), *(k for k in range(5, len(first) + 1, 5))])
        _ranked(right, tenths.index.to_series(), tenths, MODEL)
        right.set_title("a customer of each tenth, on average")
        right.set_ylabel("tenth of customers, highest CLV first")
        right.set_yticks(tenths.index.tolist())
        _written(right, tenths)
        for axes in (left, right):
            axes.set_xlabel(plain(f"CLV, {unit.axis}"))
        figure.legend(*left.get_legend_handles_labels(), loc="outside lower left", ncols=2)
    return figure


def _ranked(axes: Axes, place: Sequence[int] | pd.Series, table: pd.DataFrame, colour: str) -> None:
    label = "what the customer may bring: 90 % prediction interval"
    axes.hlines(place, table["lower"], table["upper"], color="#9ecae1", linewidth=3.2, label=label)
    axes.plot(table["clv"], place, "o", color=colour, markersize=4.5, label="CLV")
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.locator_params(axis="x", nbins=5)
    axes.grid(False, axis="y")
    thousands(axes, "x")


def _written(axes: Axes, table: pd.DataFrame) -> None:
    """Write CLV and interval behind each line: those of the lower tenths are too short to read."""
    for place, row in table.iterrows():
        text = f"{rounded(row['clv'])} ({rounded(row['lower'])} to {rounded(row['upper'])})"
        axes.annotate(text, (max(row["upper"], row["clv"]), place), (5, 0), textcoords="offset points", va="center")
    axes.set_xlim(right=1.75 * float(table[["upper", "clv"]].max().max()) or 1.0)


def lift(tables: Mapping[str, pd.DataFrame], order: Mapping[str, str], horizon_days: int) -> Figure:
    """Draw how many times the mean each tenth of the customers shows, the highest predictions first.

    Parameters
    ----------
    tables
        What is lifted, in words -> frame from `lift_by_tenth`.
    order
        The same words -> by which forecast the customers are ordered.
    """
    with style():
        figure = sheet(
            f"How much more than the mean does each tenth show, in {horizon_days} days?", 2.35 * len(tables) + 1
        )
        panels = figure.subplots(len(tables), 1, squeeze=False)[:, 0]
        for axes, (name, table) in zip(panels, tables.items(), strict=True):
            _lift(axes, table)
            axes.set_title(plain(name))
            axes.set(
                xlabel=plain(f"tenth of customers, {order[name]} first; beneath: actual"),
                ylabel="times the mean\nof all customers",
            )
        _legend(figure, panels[0], 2)
    return figure


def _lift(axes: Axes, table: pd.DataFrame) -> None:
    x = table.index.to_numpy(float)
    error = np.nan_to_num(np.clip([table["lift"] - table["low"], table["high"] - table["lift"]], 0, None))
    axes.axhline(1, color=QUIET, linewidth=1.2, linestyle=":", label="the mean of all customers")
    axes.bar(x, table["lift"], 0.65, color="#c4c4c4", label="actual, 95 % intervals")
    axes.errorbar(x, table["lift"], error, fmt="none", ecolor=ACTUAL, capsize=2, linewidth=1)
    axes.plot(x, table["expected"], "s", color=MODEL, markersize=5, label="expected")
    axes.plot(x, table["cumulative"], "-", color=RIVAL, label="actual, this tenth and all before it")
    axes.set_ylim(min(0.0, float(table["low"].min())), None)
    axes.set_xticks(x, [f"{tenth}\n{rounded(value, 2)}" for tenth, value in table["lift"].items()])
    axes.grid(False, axis="x")


def _legend(figure: Figure, axes: Axes, columns: int) -> None:
    """Write the legend beneath the panels, what happened first."""
    pairs = sorted(
        zip(*axes.get_legend_handles_labels(), strict=True), key=lambda pair: not pair[1].startswith("actual")
    )
    figure.legend(*zip(*pairs, strict=True), loc="outside lower left", ncols=columns)
