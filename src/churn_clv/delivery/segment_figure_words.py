"""Captions and alternative texts of the figures of segments, from the frames that the figures are drawn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

import numpy as np
import pandas as pd

from churn_clv.data.cohorts import Period
from churn_clv.delivery.caption import FigureWords
from churn_clv.evaluation.cohort_calibration import calibration_sentences
from churn_clv.evaluation.labels import Unit, day, percent, rounded, shorten
from churn_clv.evaluation.movement_figures import SAID
from churn_clv.evaluation.segment_figures import PARETO, crossing, feature_words
from churn_clv.segments.migration import GONE, NEW
from churn_clv.segments.outcomes import outcomes_by
from churn_clv.segments.retention import retention
from churn_clv.segments.rfm import REGIONS
from churn_clv.segments.small_groups import in_words, withheld_moves, without_small_groups


def rfm_words(judged: pd.DataFrame, horizon_days: int, smallest: int = 1) -> FigureWords:
    """Describe `rfm_figure`; judged as there, with rfm_segment, churn_probability and expected_spend."""
    table = without_small_groups(outcomes_by(judged, "rfm_segment", list(REGIONS)), smallest)
    told = [
        f"{name} {row['customers']:,.0f} customers, churn {percent(row['realised_churn'])}"
        for name, row in table.iterrows()
        if row["customers"] > 0
    ]
    nobody = [str(name) for name in table.index[table["customers"] == 0]]
    ends = f" Nobody is in: {', '.join(nobody)}." if nobody else ""
    return FigureWords(
        "Customers by how recently and how often they bought, 5 is best, and what they did next. The names are those of "
        "the field; how many of a cell bought again is what counts. Customers on the right bought last, those at the top "
        "most often.",
        f"Heat map of frequency score by recency score; in the {horizon_days} days after: {'; '.join(told)}.{ends}",
    )


def lifecycle_flow_words(flows: pd.DataFrame | Sequence[pd.DataFrame], *days: date, smallest: int = 1) -> FigureWords:
    """Describe `lifecycle_flow`."""
    steps = [flows] if isinstance(flows, pd.DataFrame) else list(flows)
    told = [_step_words(step, days[k], days[k + 1], smallest) for k, step in enumerate(steps)]
    return FigureWords(
        "How customers moved between the stages of their life with the business: the higher a band, the more customers. "
        "They are placed by the same models and thresholds on every day, so it is the customers who moved.",
        f"Bands between columns of stages. {' '.join(told)}",
    )


def pareto_words(curves: Mapping[str, pd.DataFrame]) -> FigureWords:
    """Describe `pareto_curve`."""
    at = {name: crossing(curve) for name, curve in curves.items()}
    told = [
        f"{shorten(name)}: {percent(share)} of the customers bring {percent(PARETO)}" if np.isfinite(share)
        else f"{shorten(name)}: no positive total, so no shares"
        for name, share in at.items()
    ]  # fmt: skip
    return FigureWords(
        "How much of the value the best customers bring. What really happened is as a rule more concentrated than what "
        "was expected: within one period chance makes some customers big, and who they are is known only afterwards.",
        f"Curves of the share of value over the share of customers, the best first. {'; '.join(told)}.",
    )


def cluster_profile_words(differences: pd.DataFrame, description: pd.DataFrame, most: int = 2) -> FigureWords:
    """Describe `cluster_profile`; the features that differ most are named for each cluster."""
    told = []
    for name, row in description.iterrows():
        own = differences[differences["cluster"] == name].head(most)
        pairs = zip(own["feature"], own["level"], own["difference"], strict=True)
        marks = ", ".join(f"{feature_words(f, level)} {d:+.1f}" for f, level, d in pairs)
        told.append(f"{name}, {row['customers']:,.0f} customers ({percent(row['share'])}): {marks or 'like everyone'}")
    return FigureWords(
        "What sets each cluster apart. Orange: more than everyone; violet: less; pale: like everyone. Clusters are numbered "
        "by value, the highest first. They are a description: the method finds groups in any customers.",
        f"Heat map of features by clusters, in standard deviations from everyone, the largest: {'; '.join(told)}.",
    )


def migration_words(matrix: pd.DataFrame, before_day: date, after_day: date, smallest: int = 1) -> FigureWords:
    """Describe `migration_figure`."""
    rows = matrix.drop(index=NEW, errors="ignore").drop(columns=GONE, errors="ignore")
    total, gone = int(rows.to_numpy().sum()), int(matrix.get(GONE, pd.Series(0)).sum())
    stayed = [(str(name), int(rows.loc[name, name]), int(matrix.loc[name].sum())) for name in rows.index]
    kept = percent(sum(n for _, n, _ in stayed) / total) if total else "–"  # noqa: RUF001 (typography)
    hidden = withheld_moves(matrix, smallest)
    told = ", ".join(f"{name} {percent(n / of)}" for name, n, of in stayed if of and not hidden.loc[name, name])
    new = int(matrix.loc[NEW].sum()) if NEW in matrix.index else 0
    return FigureWords(
        f"Where the customers of each segment of {day(before_day)} stood on {day(after_day)}, by the same models and cuts. Read along "
        "a row: dark outside the outlined diagonal is where a segment's customers go.",
        f"Matrix of segments on {day(before_day)} by segments on {day(after_day)}. Of {total:,} customers in both, {kept} "
        f"stayed in their segment; by segment: {told or 'nobody'}. New: {in_words(new, smallest)}; no longer placed: {in_words(gone, smallest)}.",
    )


def outcomes_words(table: pd.DataFrame, name: str, unit: Unit) -> FigureWords:
    """Describe `segment_outcomes`."""
    told = [
        f"{segment}, {row['customers']:,.0f} customers: churn {percent(row['realised_churn'])} (forecast "
        f"{percent(row['churn_probability'])}), {unit.noun} {rounded(row['realised_spend'])} (forecast "
        f"{rounded(row['expected_spend'])})"
        for segment, row in table.iterrows()
        if row["customers"] > 0
    ]
    return FigureWords(
        f"What the customers of each {name} did in the holdout, with 95 % intervals, and what was forecast of them before: "
        "where the hollow mark lies inside the interval, the forecast held.",
        f"Dots with intervals for each {name}, mean {unit.noun} a customer in {unit.axis}. {'; '.join(told)}.",
    )


def budget_words(table: pd.DataFrame, unit: Unit) -> FigureWords:
    """Describe `budget_figure`."""
    told = [
        f"{segment} {row['contacted']:,.0f} of {row['customers']:,.0f}, outlay {rounded(row['outlay'])}, profit "
        f"{rounded(row['contact_profit'])}"
        for segment, row in table.iterrows()
        if row["contacted"] > 0
    ]
    return FigureWords(
        "What contacting the customers of each segment is expected to cost and, after that cost, to earn, under the "
        "playbook's assumed rates. A high risk is not a high uplift (Ascarza 2018): test against a control group first.",
        f"Bars of expected profit and outlay by segment in {unit.axis}, contacted customers first: "
        f"{'; '.join(told) or 'nobody is contacted'}.",
    )


def retention_words(activity: pd.DataFrame, period: Period) -> FigureWords:
    """Describe `retention_heatmap`."""
    shares, customers = retention(activity), activity["customers"].groupby(level="cohort").first()
    known = shares.drop(columns=0).dropna(axis=1, how="all")
    told = []
    for age in [*known.columns[:1], *known.columns[1:][-1:]]:
        here = known[age].dropna()
        mean = float(np.average(here, weights=customers[here.index]))
        when = f"{age} {period}{'s' if age > 1 else ''} after their first"
        told.append(
            f"{when}, {percent(mean)} of the customers of {len(here)} cohort{'s' if len(here) > 1 else ''} bought"
        )
    return FigureWords(
        f"Which share of the customers won in one {period} bought in each {period} after it. Without contracts nobody is "
        "seen to leave: who skips one may come back, so a row may rise again. Hatched: not over yet.",
        f"Heat map of {len(shares)} cohorts with {customers.sum():,} customers by age. {'; '.join(told) or 'No age is over'}.",
    )


def cohort_calibration_words(table: pd.DataFrame, unit: Unit) -> FigureWords:
    """Describe the figure of `cohort_calibration`."""
    return FigureWords(
        "Forecast and what happened, by when customers were won. One cohort in twenty lies outside its 95 % interval by "
        "chance; many on one side say that newer customers are of another kind than older ones.",
        f"Forecast marks beside realised means with intervals, by cohort. {' '.join(calibration_sentences(table, unit.noun))}",
    )


def _step_words(step: pd.DataFrame, before: date, after: date, smallest: int) -> str:
    n = int(step.loc[(step["before"] != NEW) & (step["after"] != GONE), "customers"].sum())
    stayed = int(step.loc[step["before"] == step["after"], "customers"].sum())
    wide = step[step["before"] != step["after"]].sort_values("customers", ascending=False, kind="stable").head(3)
    pairs = zip(wide["before"], wide["after"], wide["customers"], strict=True)
    moved = ", ".join(f"{SAID.get(a, a)} to {SAID.get(b, b)} {in_words(count, smallest)}" for a, b, count in pairs)
    return f"{day(before)} to {day(after)}: {in_words(stayed, smallest)} of the {in_words(n, smallest)} customers of both days stayed; the widest moves: {moved or 'none'}."
