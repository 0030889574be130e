"""What the segments of a run mean, in sentences: whom to contact, what a view is good for, how far to trust it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from churn_clv.delivery.segment_tables import SCHEME, number, titled
from churn_clv.evaluation.cohort_calibration import calibration_sentences
from churn_clv.evaluation.labels import Unit, day, percent
from churn_clv.evaluation.payback import payback_sentences
from churn_clv.evaluation.segment_drawings import curves
from churn_clv.evaluation.segment_figures import crossing
from churn_clv.evaluation.shown import shown_cohorts, shown_groups
from churn_clv.models import BetaGeoModel
from churn_clv.segments.outreach import AS_ASSUMED
from churn_clv.segments.small_groups import in_words

if TYPE_CHECKING:
    from churn_clv.train import Run

MEASURED = (
    "Expected profit stands on the save rates that the settings name as measured. They hold for customers and offers like those "
    "of the test: keep a random control group without contact, and measure again."
)
NO_AMOUNTS = (
    "The log has no amounts, so what a contact earns is not known: nobody is chosen for contact, and there is no budget. The "
    "plans below say what to do for whom; map the log's amounts to have budgets, too."
)
BOUGHT_ONCE = (
    "BG/NBD takes a customer who bought once for active however long the silence (p_alive = 1), so nothing is taken off what "
    "contacting one-time buyers is expected to earn, and those silent for longest may lead the contact and win-back lists: "
    "judge them by their days of silence, or set value.purchase_model: pareto_nbd."
)
SEGMENT = "segment"
HARDLY = 0.01
FEW_STAY = 0.6


def headline(run: Run, unit: Unit) -> list[tuple[str, str]]:
    """Return the figures of the answer as (figure, what it is)."""
    planned = run.segmentation.budgets[SEGMENT].sum()
    lists = [
        (_in_words(run, _to_win_back(run)), "customers on the win-back list"),
        (
            _in_words(run, len(run.segmentation.look_alikes.customers)),
            "look-alikes of the top customers among the rest" + _of_panel(run),
        ),
    ]
    if not unit.has_amount:
        return [(f"{planned['customers']:,.0f}", f"customers as of {day(run.windows.score_as_of)}"), *lists]
    return [
        (f"{_in_words(run, planned['contacted'])} of {planned['customers']:,.0f}", "customers to contact"),
        (_money(planned["outlay"], unit), "budget: expected outlay for contacts and offers"),
        (_money(planned["contact_profit"], unit), "expected profit after that outlay"),
        lists[0],
    ]


def panel(run: Run) -> str:
    """Say what is told of a panel and what of everyone; empty where there is no panel."""
    if not run.on_a_panel:
        return ""
    return (
        f"This page tells of {run.total['customers']:,.0f} customers. The plan for each segment, the grid, the lists to contact "
        f"and to win back, and the customer equity are of all of them. Everything else, such as outcomes, movement, clusters, "
        f"cohorts and look-alikes, is of a random panel of {len(run.scores):,} customers who stand for all."
    )


def _of_panel(run: Run) -> str:
    return "" if run.everyone is None else " of the panel"


def _to_win_back(run: Run) -> int:
    return len(run.segmentation.win_back) if run.everyone is None else int(run.everyone.total["win_back"])


def whom(run: Run, unit: Unit) -> list[str]:
    """Say how the customers to contact were chosen."""
    if not unit.has_amount:
        return [NO_AMOUNTS]
    budget, days = run.config.actions.budget, run.models.settings.horizon_days
    chosen = (
        "No budget is set, so everybody is contacted whose contact is expected to earn more than it costs."
        if budget is None else
        f"The budget is {unit.amount(budget)}: contacts are bought in the order of what they earn for each unit spent, until it is "
        "used up, and none that is expected to lose money."
    )  # fmt: skip
    lines = [
        f"The cell of the grid decides how a customer is contacted, the customer's own expected profit in the next {days} days "
        f"decides whether. {chosen}",
    ]
    return [*lines, *_bought_once(run), *_not_whole_cells(run), *_hardly_paying(run, unit)]


def _bought_once(run: Run) -> list[str]:
    """Warn of one-time buyers where p_alive cannot tell that they left, and the playbook's save rates go by it."""
    by_p_alive = run.config.actions.save_rates is None
    return [BOUGHT_ONCE] if by_p_alive and isinstance(run.models.purchases, BetaGeoModel) else []


def _not_whole_cells(run: Run) -> list[str]:
    budget = run.segmentation.budgets[SEGMENT]
    better = budget[(budget["contacted"] > 0) & (budget["profit_if_all"] < budget["contact_profit"] / 2)]
    if better.empty:
        return []
    return [
        f"Do not write to whole cells: in {_listed([str(n) for n in better.index])} contacting everybody would earn less than "
        "half of what contacting the chosen customers does, or lose money."
    ]


def _hardly_paying(run: Run, unit: Unit) -> list[str]:
    """Name the cells whose plan is a contact that pays for hardly anybody on the terms of the playbook."""
    budget = run.segmentation.budgets[SEGMENT]
    plans = [p for p in run.models.playbook.grid if p.is_contact and p.segment in budget.index]
    told = [
        f"{plan.segment} ({unit.amount(plan.contact_cost)} a contact)"
        for plan, row in ((plan, budget.loc[plan.segment]) for plan in plans)
        if row["contacted"] < HARDLY * row["customers"] and not row["profit_if_all"] > 0
    ]
    if not told:
        return []
    return [
        f"On the terms of the playbook a contact pays for hardly anybody in {_listed(told)}: it takes a cheaper channel, or an "
        "offer that keeps more of them. The playbook's figures are assumptions for a retailer: put in your own first."
    ]


def caution(run: Run) -> str:
    """Say what the expected profit stands on."""
    return AS_ASSUMED if run.config.actions.save_rates is None else MEASURED


def lists(run: Run) -> list[str]:
    """Say where the lists of customers are, and what is in each."""
    found = run.segmentation
    if run.everyone is not None:
        return _lists_of_everyone(run)
    contacted, back = int(found.plan["contact"].sum()), int(found.win_back["contact"].sum())
    of_them = "all" if back == len(found.win_back) else _in_words(run, back)
    within = f", {of_them} of them among those to contact" if contacted and len(found.win_back) else ""
    lines = [
        f"lists/to-contact.csv: the {_in_words(run, contacted)} customers to contact, with channel, expected cost and profit."
        if contacted
        else "lists/to-contact.csv: empty, as nobody is to be contacted.",
        "lists/grid: one list a cell of the grid, with the plan and everything known of each customer.",
        f"lists/win-back.csv: {_in_words(run, len(found.win_back))} customers of the highest value tier who leave or have left{within}.",
        f"lists/look-alikes.csv. {_look_alikes(run)}. That they resemble the top customers does not say that a campaign "
        "makes them top.",
    ]
    if len(found.prospects):
        lines.append(
            f"lists/prospects.csv: {_in_words(run, len(found.prospects))} persons of the attributes who have never bought."
        )
    return lines


def _look_alikes(run: Run) -> str:
    """How much the list is worth believing, without the number of top customers where that is left out."""
    tiers = shown_groups(run, run.segmentation.budgets["pareto_tier"])["customers"]
    if tiers.isna().any():
        return "How many customers are top is not shown, as there are too few"
    return run.segmentation.look_alikes.words


def _in_words(run: Run, customers: float) -> str:
    return in_words(customers, run.config.privacy.smallest_group)


def _lists_of_everyone(run: Run) -> list[str]:
    found = run.segmentation
    lines = [
        f"lists/to-contact.parquet: the {found.budgets[SEGMENT]['contacted'].sum():,.0f} customers to contact, with channel, expected cost "
        "and profit.",
        "lists/grid: one Parquet file a cell of the grid, with the plan and the scores of each customer.",
        f"lists/win-back.parquet: {_to_win_back(run):,} customers of the highest value tier who leave or have left.",
        f"lists/look-alikes.csv, of the panel. {_look_alikes(run)}. That they resemble the top customers does not say that a "
        "campaign makes them top.",
    ]
    if len(found.prospects):
        lines.append(
            f"lists/prospects.csv: {_in_words(run, len(found.prospects))} persons of the attributes who have never bought."
        )
    return lines


def portfolio(run: Run, unit: Unit) -> str:
    """Say that the cells' expected spend adds up to the forecast of everybody."""
    by_cell, total = run.production_grid["expected_spend"].sum(), run.total["expected_spend"]
    agree = np.isclose(by_cell, total, rtol=1e-9, atol=1e-9)
    verb = "add up to" if agree else "do NOT add up to"
    return (
        f"The cells as a portfolio: their expected {unit.noun} (V_res) over {run.models.settings.horizon_days} days {verb} the "
        f"forecast of all customers, {unit.amount(total)}"
        f"{': nothing is counted twice or left out' if agree else f' (the cells: {unit.amount(by_cell)})'}."
    )


def young_log(run: Run) -> str:
    """Warn where customers could not yet be lost for silence at a placement; nothing where they could."""
    silence = run.judged_models.schemes.lifecycle.lost_silence_days
    first = run.windows.first_day
    young = [p.day for p in run.segmentation.placements if (p.day - first).days < silence]
    if not young:
        return ""
    days = _listed([f"{day(d)} ({(d - first).days} days)" for d in young])
    return (
        f"On {days} the log was younger than the {silence:.0f} days of silence after which customers count as lost, so nobody "
        "could be lost for silence yet. That many are lost later is the log growing older, not a collapse."
    )


def concentration(run: Run) -> list[str]:
    """Say which share of customers brings 80 % of the value."""
    at = {name: crossing(curve) for name, curve in curves(run).items()}
    return [
        f"{percent(share)} of the customers bring 80 % of the {name}."
        for name, share in at.items()
        if np.isfinite(share)
    ]


def cluster_strength(run: Run) -> list[str]:
    """Say how the clusters of either method came about and how strong they are."""
    schemes = run.models.schemes
    return [f"{titled(SCHEME['cluster'])}: {schemes.clusters.words}.",
            f"{titled(SCHEME['map_cluster'])}: {schemes.map_clusters.words}."]  # fmt: skip


def best_views(run: Run, unit: Unit) -> list[str]:
    """Name the best view on each of the criteria, those that show the same figure together."""
    told = [
        _best(run, "spend_epsilon2", lambda v: percent(v, 1), f"Differences in {unit.noun} are explained best by", "{} of them"),
        _best(run, "churn_epsilon2", lambda v: percent(v, 1), "Differences in churn are explained best by", "{} of them"),
        _best(run, "kappa", "{:.2f}".format, "The steadiest, beyond what is the same by chance:", "kappa {}"),
        _best(run, "tree_accuracy", percent, "The easiest to describe by three questions:", "{} of the customers told right"),
    ]  # fmt: skip
    return [line for line in told if line]


def restless_rfm(run: Run) -> str:
    """Say why few customers keep their RFM segment, where few do."""
    stayed = run.segmentation.quality.loc["rfm_segment", "stayed"]
    if not stayed < FEW_STAY:
        return ""
    return (
        f"Only {percent(stayed)} of the customers kept their RFM segment: its cut points are fixed days of silence, and whoever "
        "does not buy grows more silent every day. Where customers were won together they all cross a cut together."
    )


def _best(run: Run, column: str, say: Callable[[float], str], begins: str, figure: str) -> str:
    known = run.segmentation.quality[column].dropna()
    if known.empty:
        return ""
    shown = known.map(say)
    best = shown[known.idxmax()]
    names = _listed([f"the {SCHEME[str(name)]}" for name in shown.index[shown == best]])
    return f"{begins} {names} ({figure.format(best)})."


def cohort_words(run: Run, unit: Unit) -> list[str]:
    """Say whether the forecasts held for every cohort, and whether the purchase model fits each one's past."""
    cohorts = shown_cohorts(run)
    table = cohorts.calibration
    if table.empty:
        return []
    if not unit.has_amount:
        table = table[[name for name in table if not name.startswith("spend_")]]
    return [*calibration_sentences(table, unit.noun), *calibration_sentences(cohorts.fit, unit.noun)]


def worth(run: Run, unit: Unit) -> list[str]:
    """Say what the whole base is worth, and how far off that may be."""
    settings = run.models.settings
    return run.segmentation.equity.sentences(unit, run.windows.horizon_days, settings.clv_horizon_days)


def paid_back(run: Run, unit: Unit) -> list[str]:
    """Say of each cohort whether its acquisition cost has come back; nothing where no cost is given."""
    cohorts = shown_cohorts(run)
    if cohorts.payback is None or cohorts.payback.empty:
        return []
    return payback_sentences(cohorts.payback, cohorts.period, unit, run.models.settings.clv_horizon_days)


def movement_days(run: Run) -> str:
    """Name the days between which movement is told."""
    placed = run.segmentation.placements
    return (
        f"Customers were placed on {_listed([day(p.day) for p in placed])}, each time by what was known on that day, by the same "
        "models and cut points: it is the customers who moved."
    )


def _money(value: float, unit: Unit) -> str:
    return f"{number(value).text} {unit.name}".strip()


def _listed(texts: list[str]) -> str:
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"
