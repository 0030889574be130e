"""What a run means, in sentences: the answer, the verdict, the doubts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from churn_clv.delivery.report_tables import shown, verdict
from churn_clv.delivery.report_words import FEW_CUSTOMERS, METRICS, TARGETS, TASKS, MetricWords
from churn_clv.evaluation.judgement import DIRECTION, NAMES, RUN
from churn_clv.evaluation.labels import Unit, day, percent, rounded
from churn_clv.evaluation.profit import contacted_share
from churn_clv.evaluation.shown import shown_groups
from churn_clv.segments.small_groups import withheld_words

if TYPE_CHECKING:
    from churn_clv.contractual import ContractualRun
    from churn_clv.train import Run

MOST_CONTACTED = 0.95


def headline(run: Run, unit: Unit) -> list[tuple[str, str]]:
    """Return the four figures of the answer as (figure, what it is)."""
    total, settings, value = run.total, run.models.settings, run.config.value
    risk = total["churn_probability"]
    clv = f"{unit.noun} over {value.clv_horizon}, discounted at {100 * value.annual_discount_rate:g} % a year (CLV)"
    return [
        (f"{total['customers']:,.0f}", f"customers who had bought by {day(run.windows.score_as_of)}"),
        (unit.amount(total["expected_spend"]), f"expected {unit.noun} in the next {settings.horizon_days} days"),
        (unit.amount(total["clv"]), f"expected {clv}"),
        (f"{rounded(risk * total['customers'])} ({percent(risk)})",
         f"customers expected to buy nothing in the next {settings.horizon_days} days"),
    ]  # fmt: skip


def panel(run: Run) -> str:
    """Say what is told of a panel and what of everyone; empty where there is no panel."""
    if not run.on_a_panel:
        return ""
    return (
        f"These four figures and the grid of today's customers are of all {run.total['customers']:,.0f}. What follows was judged on, and "
        f"described for, a random panel of {len(run.scores):,} of them, who stand for all; purchase and spend model fit everyone."
    )


def answer(run: Run, unit: Unit) -> list[str]:
    """Say how far the totals can be trusted and where the value lies."""
    grid = shown_groups(run, run.production_grid)
    lines = [_trust(run, unit)]
    total = run.production_grid["expected_spend"].sum()
    best = grid.loc[run.production_grid["expected_spend"].idxmax()]
    if best["expected_spend"] > 0:
        lines.append(
            f"The largest part of the expected {unit.noun} lies in {_cell(best)}: "
            f"{percent(best['share'])} of the customers, "
            f"{percent(best['expected_spend'] / total)} of the {unit.noun}."
        )
    worst = grid.loc[run.production_grid["value_at_risk"].idxmax()]
    if worst["value_at_risk"] > 0:
        lines.append(
            f"The largest value at risk, {unit.amount(worst['value_at_risk'])}, lies in {_cell(worst)}. Value "
            "at risk is an "
            "upper bound of what inactivity costs, not what a campaign can win back."
        )
    return [line for line in lines if line]


def to_do(run: Run, cells: int = 3) -> list[str]:
    """Name the plans of the cells where most is at play: expected spend and value at risk together; not of few customers."""
    whole, grid = run.production_grid, shown_groups(run, run.production_grid)
    at_play = (whole["expected_spend"] + whole["value_at_risk"])[whole["customers"] > 0].nlargest(cells)
    return [
        f"{_cell(grid.loc[key])}, {grid.loc[key]['customers']:,.0f} customers. {grid.loc[key]['action']}."
        for key in at_play.index
        if grid.loc[key]["customers"] > 0
    ]


def order_of_cells(run: Run, unit: Unit) -> str:
    """Say whether the judged cells came out in the order that their names promise."""
    grid, cells = run.judged_models.grid, shown_groups(run, run.judged_grid)
    churn = cells["realised_churn"].unstack("risk_tier").reindex(index=grid.value_tiers, columns=grid.risk_tiers)
    spend = cells["realised_spend"].unstack("value_tier").reindex(index=grid.risk_tiers, columns=grid.value_tiers)
    broken = [f"value {tier}" for tier, row in churn.iterrows() if not _rises(row)]
    unordered = [f"risk {tier}" for tier, row in spend.iterrows() if not _rises(row)]
    first = "in every value tier" if not broken else f"except in {', '.join(broken)}"
    second = "in every risk tier" if not unordered else f"except in {', '.join(unordered)}"
    return (
        f"Realised churn rises along the risk axis {first}; realised {unit.noun} rises along the value axis {second}"
        f"{'' if not broken + unordered else ' (where intervals overlap, chance alone may do that)'}."
    )


def small_cells(run: Run | ContractualRun, table: pd.DataFrame) -> str:
    """Name the cells that are left out, or warn of those that are too small to read anything from."""
    told = shown_groups(run, table)
    left = withheld_words(told, run.config.privacy.smallest_group, told["segment"])
    few = told[(told["customers"] > 0) & (told["customers"] < FEW_CUSTOMERS)]
    if few.empty:
        return left
    return f"Fewer than {FEW_CUSTOMERS} customers, too few to read anything from: {'; '.join(few['segment'])}."


def against_rivals(run: Run) -> list[str]:
    """Name every metric on which rivals are better than the run, beyond the error of the difference or nearer its target."""
    lines = []
    for task, table in run.judgement.tables().items():
        for metric in map(str, table.index.unique("metric")):
            rows = table.loc[metric].drop(RUN)
            better = rows[["rival" in verdict(metric, row) for _, row in rows.iterrows()]]
            if len(better):
                lines.append(_losses(task, metric, better))
    return lines


def doubts(run: Run) -> list[str]:
    """Say whether the churn probabilities are off by more than they may be, whether the churn rate moved, and what the
    campaign's profit does not tell."""
    judgement = run.judgement
    error, noise = float(judgement.churn.loc[("calibration_error", RUN), "value"]), judgement.calibration_noise
    allowed = judgement.calibration_error_allowed
    inside = "within" if error <= allowed else "above"
    conclusion = "so part of it is real" if error > noise else "so chance alone explains it"
    lines = [
        f"The calibration error of the churn probabilities is {error:.3f}, {inside} the {allowed:.3f} allowed. Perfect "
        f"probabilities would stay under {noise:.3f} in 95 of 100 samples of {judgement.customers:,} customers, {conclusion}."
    ]
    return [*lines, *_drifted(run), *_unseparated(run)]


def _drifted(run: Run) -> list[str]:
    """The drift, and how much of it the forecasts knew: customers grow older, which no learned rate but each history tells."""
    drift = run.judgement.drift
    if drift is None or not drift.drifted:
        return []
    expected = float(run.judged["churn_probability"].mean())
    missed = 100 * (drift.holdout_rate - expected)
    noise = 196 * float(np.sqrt(expected * (1 - expected) / drift.holdout_customers))
    told = (
        "the move was foreseen" if abs(missed) <= noise
        else f"the {abs(missed):.1f} points they were too {'low' if missed > 0 else 'high'} are part of the calibration error, "
        "and the order of the customers is the safer reading"
    )  # fmt: skip
    return [
        f"The churn rate moved: {100 * drift.learned_rate:.1f} % of the customers bought nothing in the past labels that the "
        f"models learned from, {100 * drift.holdout_rate:.1f} % in the holdout, further apart than chance explains. From the "
        f"customers' histories the forecasts expected {100 * expected:.1f} %: {told}."
    ]


def _unseparated(run: Run) -> list[str]:
    costs = run.config.evaluation.retention_costs()
    churned, risk = (run.judged["purchases"] == 0).to_numpy(float), run.judged["churn_probability"].to_numpy(float)
    contacted = contacted_share(costs)(churned, risk)(np.ones(len(risk)))
    if not contacted > MOST_CONTACTED:
        return []
    return [
        f"The expected maximum profit hardly separates models here: at its costs the best campaign contacts "
        f"{percent(contacted)} of the customers, whoever ranks them. Give the costs of the business (evaluation.costs)."
    ]


def _trust(run: Run, unit: Unit) -> str:
    row = run.judgement.value.loc[("bias", RUN)]
    if not np.isfinite(row["value"]):
        return ""
    much, little = ("much", "little") if unit.has_amount else ("many", "few")
    kind = f"too {much if row['value'] > 0 else little}"
    return (
        f"How far to trust the totals: on the holdout (after {day(run.windows.calibration_end)}, to "
        f"{day(run.windows.holdout_end)}) "
        f"the same method promised {percent(abs(row['value']), 1)} {kind} {unit.noun} in total (standard error "
        f"{percent(row['standard_error'], 1)}). The figures above are not corrected for that; they know "
        "no growth, season or campaign, and no new customers."
    )


def _losses(task: str, metric: str, better: pd.DataFrame) -> str:
    words = METRICS.get((task, metric), MetricWords(metric, ""))
    beginning = f"{TASKS[task]}, {_low(words.name)}: "
    own = shown(metric, float((better["value"] + better["difference"]).iloc[0]))
    names = _listed([NAMES.get(str(rival), str(rival)) for rival in better.index])
    are = "is" if len(better) == 1 else "are"
    if metric in TARGETS:
        values = _listed([shown(metric, value) for value in better["value"]])
        return (
            f"{beginning}{names} {are} nearer the target of {TARGETS[metric]:g} ({values} against {own} for this run)."
        )
    direction = "lower" if DIRECTION[metric] < 0 else "higher"
    values = _listed([_against(metric, row) for _, row in better.iterrows()])
    return f"{beginning}{names} {are} better, with {values}, against {own} for this run ({direction} is better)."


def _against(metric: str, row: pd.Series) -> str:
    difference, low, high = (shown(metric, row[c], "+") for c in ("difference", "difference_low", "difference_high"))
    return f"{shown(metric, row['value'])} (difference {difference}, 95 % interval {low} to {high})"


def _listed(texts: list[str]) -> str:
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"


def _low(text: str) -> str:
    return text[0].lower() + text[1:]


def _rises(row: pd.Series) -> bool:
    known = row.dropna()
    return bool(known.is_monotonic_increasing)


def _cell(cell: pd.Series) -> str:
    risk, value = cell.name
    tiers = f"value {value}, risk {risk}"
    return tiers if cell["segment"] == tiers else f"{cell['segment']} ({tiers})"
