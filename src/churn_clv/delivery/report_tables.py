"""The report's tables: frames turned into cells that show a rounded figure and keep the exact one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from churn_clv.data.windows import Windows
from churn_clv.delivery.report_words import METRICS, MORE, SHARES, TARGETS, MetricWords
from churn_clv.evaluation import figure_data
from churn_clv.evaluation.figures import FEW_IN_A_TENTH
from churn_clv.evaluation.judgement import DIRECTION, NAMES, RUN
from churn_clv.evaluation.labels import Unit, day, estimate, feature, model, percent
from churn_clv.evaluation.profit import RetentionCosts
from churn_clv.evaluation.shown import shown_groups, tenths_are_shown

if TYPE_CHECKING:
    from churn_clv.models.fitted import FittedModel
    from churn_clv.train import Run

WITHHELD = "not shown"
NEARER = (
    "Where a metric has a target, the words compare distances from it; no interval is computed for that comparison."
)


class Cell(NamedTuple):
    """What a reader sees and, for a number, exactly what it is."""

    text: str
    value: float | None = None
    right: bool = False


@dataclass
class Table:
    """A captioned table; the first cell of each row heads it. Groups are rows under a heading, which may be ''."""

    caption: str
    head: list[str]
    groups: list[tuple[str, list[list[Cell]]]]
    note: str = ""
    numeric: list[bool] = field(init=False)

    def __post_init__(self) -> None:
        rows = [row for _, group in self.groups for row in group]
        self.numeric = [any(row[k].value is not None or row[k].right for row in rows) for k in range(len(self.head))]


class Bar(NamedTuple):
    """A period on the timeline; left and width in percent of it."""

    label: str
    start: str
    end: str
    days: int
    left: float
    width: float
    kind: str


def production_table(run: Run, unit: Unit) -> Table:
    """Return the production grid: forecasts, the plan, and what the judged members of the same cell did."""
    days = run.models.settings.horizon_days
    grid = shown_groups(run, run.production_grid)
    realised = shown_groups(run, run.judged_grid)["realised_churn"].reindex(grid.index)
    head = [
        "Cell", "Value tier", "Risk tier", "Customers", "Share", f"Expected {unit.noun}, total", "Value at risk, total",
        "Predicted churn", "Realised churn of judged members", "What to do",
    ]  # fmt: skip
    rows = [
        [
            Cell(cell["segment"]), *_tiers(cell), count_cell(cell["customers"]), share_cell(cell["share"]),
            _amount(cell["expected_spend"], unit), _amount(cell["value_at_risk"], unit),
            share_cell(cell["churn_probability"]), share_cell(realised[key]), Cell(cell["action"]),
        ]
        for key, cell in in_order(grid, run.models.grid.value_tiers, run.models.grid.risk_tiers)
    ]  # fmt: skip
    caption = f"Production grid: customers as of {day(run.windows.score_as_of)}, forecasts for the {days} days after it"
    return Table(caption, head, [("", rows)])


def judged_table(run: Run, unit: Unit) -> Table:
    """Return the judged grid: what was predicted of each cell at calibration_end and what its members did."""
    grid, windows = run.judged_models.grid, run.windows
    head = [
        "Cell", "Value tier", "Risk tier", "Customers", "Share", "Predicted churn", "Realised churn", "95 % interval",
        f"Expected {unit.noun} a customer", f"Realised {unit.noun} a customer", "95 % interval",
    ]  # fmt: skip
    rows = [
        [
            Cell(cell["segment"]), *_tiers(cell), count_cell(cell["customers"]), share_cell(cell["share"]),
            share_cell(cell["churn_probability"], 1), share_cell(cell["realised_churn"], 1),
            range_cell(100 * cell["realised_churn_low"], 100 * cell["realised_churn_high"], " %"),
            _amount(cell["expected_spend"] / cell["customers"] if cell["customers"] else np.nan, unit),
            _amount(cell["realised_spend"], unit), range_cell(cell["realised_spend_low"], cell["realised_spend_high"]),
        ]
        for _, cell in in_order(shown_groups(run, run.judged_grid), grid.value_tiers, grid.risk_tiers)
    ]  # fmt: skip
    caption = (
        f"Judged grid: customers placed on {day(windows.calibration_end)}, and what they did in the "
        f"{windows.horizon_days} "
        "days after it"
    )
    return Table(caption, head, [("", rows)])


def comparison_table(task: str, title: str, table: pd.DataFrame, unit: Unit, costs: RetentionCosts) -> Table:
    """Return every metric of a task for the run and its rivals, with paired differences and a verdict in words."""
    groups = []
    for metric in dict.fromkeys(table.index.get_level_values("metric")):
        words = METRICS.get((task, metric), MetricWords(metric, ""))
        named = f"{words.name}{_metric_unit(task, metric, unit)}"
        rows = [_comparison(metric, str(name), row) for name, row in table.loc[metric].iterrows()]
        reading = words.reading if metric != "expected_maximum_profit" else f"{MORE}; {in_words(costs, unit)}"
        groups.append((f"{named}: {reading}" if reading else named, rows))
    head = ["Model", "Value", "Standard error", "This run minus it", "95 % interval", "In words"]
    return Table(f"{title}: this run and its rivals on the holdout", head, groups, NEARER if _has_target(table) else "")


def in_words(costs: RetentionCosts, unit: Unit) -> str:
    """Return the costs that an expected maximum profit stands on."""
    money = f" {unit.currency}" if unit.currency else ""
    saved = costs.save_rate_alpha / (costs.save_rate_alpha + costs.save_rate_beta)
    return (
        f"if a customer who is kept brings {costs.customer_value:,g}{money}, the offer costs {costs.incentive:,g}{money}, a "
        f"contact {costs.contact_cost:,g}{money}, and {percent(saved)} of the leavers who are contacted stay, give or take"
    )


def decile_table(run: Run, unit: Unit) -> Table:
    """Return, for each tenth of the judged customers, what was expected of them and what they did."""
    churned = (run.judged["purchases"] == 0).astype(float)
    tenths = figure_data.deciles(run.judged["spend"], run.judged["expected_spend"], churned)
    head = [
        "Tenth", "Customers", f"Expected {unit.noun} a customer", f"Actual {unit.noun} a customer", "95 % interval",
        "Actual / expected", "Times the mean", "Realised churn",
    ]  # fmt: skip
    rows = [
        [
            Cell(str(tenth)), count_cell(row["customers"]), _amount(row["expected"], unit), _amount(row["actual"], unit),
            range_cell(row["low"], row["high"]), _ratio(row["actual_over_expected"]), _ratio(row["lift"]),
            share_cell(row["realised_churn"]),
        ]
        for tenth, row in tenths.iterrows()
    ]  # fmt: skip
    note = "Customers of whom the same was expected share what they did, so that no order of rows shows."
    if not tenths_are_shown(run, len(run.judged)):
        rows, note = [], FEW_IN_A_TENTH
    caption = f"Judged customers by tenth of expected {unit.noun}, the highest first, and what they did in the holdout"
    return Table(caption, head, [("", rows)], note)


def _has_target(table: pd.DataFrame) -> bool:
    return bool(set(table.index.get_level_values("metric")) & set(TARGETS))


def cleaning_table(run: Run) -> Table:
    """Return what each cleaning rule touched and removed."""
    report = run.log.cleaning
    rows = [[Cell(s.rule), count_cell(s.rows), count_cell(s.removed), Cell(s.action)] for s in report.steps]
    caption = f"Cleaning: {report.rows_in:,} rows in, {report.rows_out:,} rows kept"
    return Table(caption, ["Rule", "Rows touched", "Rows removed", "What was done"], [("", rows)])


def timeline(windows: Windows, horizon_days: int) -> list[Bar]:
    """Return the periods of the run, placed on a line from the log's first day to the forecast's last."""
    labels = [(f"Past outcomes, seen from {day(w.cutoff)}", w.cutoff, w.end, "label") for w in windows.labels]
    ahead = pd.Timedelta(days=horizon_days)
    last = (pd.Timestamp(windows.score_as_of) + ahead).date()
    before = windows.first_day - pd.Timedelta(days=1)
    periods = [
        ("Learn: calibration", before, windows.calibration_end, "known"),
        *labels,
        ("Judge: holdout", windows.calibration_end, windows.holdout_end, "holdout"),
        ("Learn again: the whole log", before, windows.score_as_of, "known"),
        ("Forecast: production", windows.score_as_of, last, "forecast"),
    ]
    whole = (last - before).days
    one = pd.Timedelta(days=1)
    return [
        Bar(label, day(start + one), day(end), (end - start).days, 100 * (start - before).days / whole,
            100 * (end - start).days / whole, kind)
        for label, start, end, kind in periods
    ]  # fmt: skip


def parameter_tables(run: Run) -> list[Table]:
    """Return the parameters of the purchase and spend models, as judged and as refitted."""
    dates = (run.windows.calibration_end, run.windows.score_as_of)
    found = []
    for models, when, use in zip((run.judged_models, run.models), dates, ("judged", "production"), strict=True):
        fitted = [m for m in (models.purchases, models.spend) if m is not None]
        groups = [(model(m), _parameters(m)) for m in fitted]
        note = " ".join(f"{model(m)}: {m.diagnosis_}" for m in fitted if m.diagnosis_)
        head = ["Parameter", "Estimate", "Standard error", "95 % interval"]
        caption = f"Parameters fitted as of {day(when)} ({use})"
        found.append(Table(caption, head, groups, note or "No parameter lies on a boundary."))
    return found


def feature_table(run: Run) -> Table:
    """Return each feature's share of the gain and the share of today's customers outside its training range."""
    gain = run.models.churn.importances()
    names = list(dict.fromkeys([*gain.index, *run.outside_training.index]))
    shares, outside = gain.reindex(names), run.outside_training.reindex(names)
    rows = [[Cell(feature(str(n))), share_cell(shares[n], 1), share_cell(outside[n], 1)] for n in names]
    head = ["Feature", "Share of the gain", "Customers outside the range seen in training"]
    note = "Outside the range it learned from, a tree answers as at the edge of that range. A dash: no number to give."
    return Table("Features of the churn model (production)", head, [("", rows)], note)


def in_order(table: pd.DataFrame, values: list[str], risks: list[str]) -> list[tuple[tuple[str, str], pd.Series]]:
    """Return the cells from the highest value tier down, and within it from the lowest risk up; each says its own tiers."""
    order = [(risk, value) for value in reversed(values) for risk in risks]
    return [((r, v), table.loc[(r, v)]) for r, v in order]


def _tiers(cell: pd.Series) -> list[Cell]:
    risk, value = cell.name
    return [Cell(str(value)), Cell(str(risk))]


def _comparison(metric: str, name: str, row: pd.Series) -> list[Cell]:
    rival = NAMES.get(name, name)
    value = Cell(shown(metric, row["value"]), float(row["value"]))
    error = Cell(shown(metric, row["standard_error"]), float(row["standard_error"]))
    if name == RUN:
        return [Cell("This run"), value, error, Cell(""), Cell(""), Cell("")]
    difference = Cell(shown(metric, row["difference"], "+"), float(row["difference"]))
    low, high = (shown(metric, row[c], "+") for c in ("difference_low", "difference_high"))
    return [
        Cell(rival[0].upper() + rival[1:]),
        value,
        error,
        difference,
        Cell(f"{low} to {high}", right=True),
        Cell(verdict(metric, row)),
    ]


def verdict(metric: str, row: pd.Series) -> str:
    """Say in words whether the run or the rival of a row of `compare` is better, beyond the error of the difference."""
    if not np.isfinite(row["difference"]):
        return "no figure"
    if metric in TARGETS:
        values = row["value"] + row["difference"], row["value"]
        own, other = (abs(v - TARGETS[metric]) for v in values)
        if len({shown(metric, v) for v in values}) == 1:
            return "equally near"
        return "this run is nearer" if own < other else "the rival is nearer"
    if row["difference_low"] <= 0 <= row["difference_high"]:
        return "cannot be told apart"
    return "this run is better" if row["difference"] * DIRECTION[metric] > 0 else "the rival is better"


def shown(metric: str, value: float, sign: str = "") -> str:
    """Return a metric's value to the digits that it deserves, with a sign where a difference needs one."""
    if not np.isfinite(value):
        return "–"  # noqa: RUF001 (typography)
    value = 0.0 if abs(value) < 1e-9 else value  # what is left of equal forecasts by rounding
    if metric in SHARES:
        decimals = 1 if abs(value) >= 0.0005 or value == 0 else 2
        return f"{100 * value:{sign}z.{decimals}f} %"
    decimals = 2 if abs(value) >= 10 else 3 if abs(value) >= 0.0005 or value == 0 else 4
    return f"{value:{sign}z,.{decimals}f}"


def _metric_unit(task: str, metric: str, unit: Unit) -> str:
    if metric == "expected_maximum_profit":
        return f" ({unit.currency})" if unit.currency else ""
    names = {"value": unit.axis, "purchases": "purchases"}
    return f" ({names[task]})" if task in names and metric in {"rmse", "mae"} else ""


def _parameters(fitted: FittedModel) -> list[list[Cell]]:
    rows = fitted.confidence_intervals().assign(error=fitted.standard_errors_)
    return [[Cell(str(name)), _digits(p.estimate, 4), _digits(p.error, 2), _bounds(p)] for name, p in rows.iterrows()]


def _digits(value: float, digits: int) -> Cell:
    return Cell(f"{value:#.{digits}g}".rstrip("."), float(value)) if np.isfinite(value) else Cell("–", right=True)  # noqa: RUF001


def _ratio(value: float) -> Cell:
    return Cell(f"{value:.2f}", float(value)) if np.isfinite(value) else Cell("–", right=True)  # noqa: RUF001


def _bounds(row: pd.Series) -> Cell:
    known = np.isfinite(row["lower"]) and np.isfinite(row["upper"])
    text = f"{_digits(row['lower'], 4).text} to {_digits(row['upper'], 4).text}" if known else "not determined"
    return Cell(text, right=True)


def count_cell(number: float) -> Cell:
    """Return a number of customers; a group that is left out has none."""
    if not np.isfinite(number):
        return Cell(WITHHELD, right=True)
    return Cell(f"{number:,.0f}", float(number))


def share_cell(share: float, decimals: int = 0) -> Cell:
    return Cell(percent(share, decimals), float(share))


def _amount(value: float, unit: Unit) -> Cell:
    return Cell(unit.amount(value) if np.isfinite(value) else "–", float(value))  # noqa: RUF001 (typography)


def range_cell(low: float, high: float, suffix: str = "") -> Cell:
    if not np.isfinite(low + high) or low >= high:
        return Cell("–")  # noqa: RUF001 (typography)
    inner = estimate((low + high) / 2, low, high).partition("(")[2].rstrip(")")
    return Cell(f"{inner}{suffix}", right=True)
