"""Whether the dates of a run leave enough to learn from and to judge, and what the run will do with them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pandas as pd

from churn_clv.checks.findings import Finding, attempted, note, warning
from churn_clv.checks.settings import methods_of
from churn_clv.choice import KEPT, earlier_origins
from churn_clv.data.features import outcomes_after
from churn_clv.data.fit_rows import FitRows, fit_rows
from churn_clv.data.summary import summarize
from churn_clv.data.windows import LabelWindow, Windows
from churn_clv.errors import InputError
from churn_clv.evaluation.champion import FEWEST_WINDOWS
from churn_clv.evaluation.judgement import NAMES
from churn_clv.fits import Evidence, check_enough, check_learned, check_past, check_repeats, check_spend
from churn_clv.models import GammaGammaModel
from churn_clv.models.gamma_gamma import INDEPENDENCE_LIMIT
from churn_clv.models.value import METHODS as VALUE_METHODS

# Below so many a perfectly calibrated model shows a calibration error of .06 by chance (the README's noise of figures).
FEW_CUSTOMERS = 500
# The error of an AUC is that of the smaller class: with 50 on one side it is about .04.
FEW_OF_A_CLASS = 50
# Above, "bought once" describes nearly everyone, and hardly anything tells customers apart.
MOST_ONE_TIME = 0.95


def check_windows(evidence: Evidence, windows: Windows) -> list[Finding]:
    """Look at what is known at each date of a run, and say what the run will do."""
    config = evidence.config
    rows = fit_rows(evidence.everyone, windows.calibration_end, config.value.spend_days)
    found = [_plan(windows, rows), *_horizon(windows)]
    refusals = attempted(partial(check_enough, rows, windows.calibration_end), "windows.calibration_end")
    refusals = refusals or attempted(partial(check_repeats, rows, windows.calibration_end), "windows.calibration_end")
    if refusals:
        return [*found, *refusals]
    found += _small(rows, windows)
    found += _labels(evidence, windows)
    found += _spend(evidence, windows, rows)
    return [*found, *_methods(evidence, windows)]


def _plan(windows: Windows, rows: FitRows) -> Finding:
    ages = rows.histories["T"]
    seen = f", first seen {ages.min():.0f} to {ages.max():.0f} days before" if len(ages) else ""
    return note(
        "windows",
        f"learns from {windows.first_day} to {windows.calibration_end} of {rows.customers:,} customers{seen}; is judged on "
        f"the {windows.horizon_days} days to {windows.holdout_end}; then learns again and scores as of {windows.score_as_of}",
    )


def _horizon(windows: Windows) -> Iterator[Finding]:
    history = (windows.calibration_end - windows.first_day).days + 1
    if windows.horizon_days > history:
        yield warning(
            "windows.holdout_end",
            f"the horizon of {windows.horizon_days} days is longer than the {history} days of history before it: nobody has "
            "been watched for so long; choose an earlier holdout_end, or a later calibration_end",
        )


def _small(rows: FitRows, windows: Windows) -> list[Finding]:
    found = []
    if rows.customers < FEW_CUSTOMERS:
        found.append(
            warning(
                "windows.calibration_end",
                f"only {rows.customers:,} customers are known on {windows.calibration_end}: with fewer than {FEW_CUSTOMERS} "
                "the metrics say little, read their standard errors",
            )
        )
    once = rows.histories.loc[rows.histories["frequency"] == 0, "customers"].sum() / rows.customers
    if once > MOST_ONE_TIME:
        found.append(
            warning(
                "windows.calibration_end",
                f"{once:.1%} of {rows.customers:,} customers had bought on one day only: repeat purchases are too rare to "
                "tell customers apart; is data.columns.customer_id the customer and not the order?",
            )
        )
    return found


def _labels(evidence: Evidence, windows: Windows) -> list[Finding]:
    """What can be learned at the past cutoffs, and whether both outcomes occur there and in the holdout."""
    why = {label: _idle(evidence, label) for label in windows.labels}
    usable = [label for label, words in why.items() if not words]
    last = list(why.values())[-1]
    if refusal := attempted(partial(check_learned, windows.labels, usable, last), "windows.label_cutoffs"):
        return refusal
    found = [
        warning("windows.label_cutoffs", f"{label.cutoff} is left out: {words}")
        for label, words in why.items()
        if words
    ]
    holdout = LabelWindow(windows.calibration_end, windows.horizon_days)
    churned = outcomes_after(evidence.log, [*usable, holdout])["purchases"] == 0
    judged = churned.index.get_level_values("cutoff") == holdout.cutoff
    found.append(_told_labels(windows, usable, churned[~judged]))
    found += _classes(churned[~judged], "windows.label_cutoffs", "the rows to learn from")
    return found + _classes(churned[judged], "windows.holdout_end", "the customers of the holdout")


def _idle(evidence: Evidence, label: LabelWindow) -> str:
    """Why nothing can be learned at a past cutoff; empty where something can."""
    config = evidence.config
    with_spend = evidence.log.has_amount and all(VALUE_METHODS[method] for method in methods_of(config, "value"))
    rows = fit_rows(evidence.everyone, label.cutoff, config.value.spend_days)
    try:
        check_past(rows, with_spend)
    except InputError as failure:
        return str(failure)
    return ""


def _told_labels(windows: Windows, usable: list[LabelWindow], churned: pd.Series) -> Finding:
    at = ", ".join(str(label.cutoff) for label in usable)
    lengths = ", ".join(str(days) for days in sorted({label.horizon_days for label in usable}))
    text = (
        f"{len(usable)} past cutoffs ({at}) with outcomes of {lengths} days: {len(churned):,} rows to learn churn from, "
        f"{churned.mean():.0%} without a purchase"
    )
    if windows.has_full_horizon_labels:
        return note("windows.label_cutoffs", text)
    return note(
        "windows.label_cutoffs", f"{text}; shorter than the {windows.horizon_days} days to forecast, which the purchase "
        "model bridges",
    )  # fmt: skip


def _classes(churned: pd.Series, where: str, whom: str) -> list[Finding]:
    """Whether enough bought, and enough did not, to tell them apart."""
    least, few_bought = int(min(churned.sum(), (~churned).sum())), bool(churned.mean() > 0.5)
    if least >= FEW_OF_A_CLASS:
        return []
    if least == 0:
        alike = "did not buy" if few_bought else "bought"
        what = f"of {whom}, all {len(churned):,} {alike}: there is no risk to learn or to judge"
    else:
        few = "bought" if few_bought else "did not buy"
        what = f"of {whom}, only {least:,} of {len(churned):,} {few}: too few to tell risks apart"
    return [warning(where, f"{what}; try a {'longer' if few_bought else 'shorter'} horizon")]


def _spend(evidence: Evidence, windows: Windows, rows: FitRows) -> list[Finding]:
    """Whether spend can be modelled, and whether Gamma-Gamma's assumption holds."""
    if not evidence.log.has_amount:
        return [note("data.columns.amount", "null: a log without amounts; value is counted in purchases")]
    if refusal := attempted(partial(check_spend, rows), "data.columns.amount"):
        return refusal
    days = evidence.config.value.spend_days
    seen = GammaGammaModel().spend_frequency_correlation(summarize(evidence.log, windows.calibration_end, days))
    if abs(seen.value) > INDEPENDENCE_LIMIT:
        what = (
            f"spend and frequency correlate by {seen.value:.2f} over {seen.n_customers:,} customers, more than "
            f"{INDEPENDENCE_LIMIT:g}: the spend model (Gamma-Gamma) takes them to be independent; compare value.method: "
            "two_part in a backtest"
        )
        return [warning("data.columns.amount", what)]
    return []


def _methods(evidence: Evidence, windows: Windows) -> Iterator[Finding]:
    """Which methods will be tried, and on how many earlier holdouts a choice would stand."""
    config = evidence.config
    asked = {"churn": config.churn.method, "value": config.value.method}
    for task, method in asked.items():
        if method != "auto":
            yield note(f"{task}.method", f"{_named((method,))}; nothing is compared")
    open_tasks = [task for task, method in asked.items() if method == "auto"]
    origins = earlier_origins(config, windows)
    n = f"{len(origins) or 'no'} earlier holdout{'s' * (len(origins) != 1)} of {windows.horizon_days} days"
    if len(origins) >= FEWEST_WINDOWS:
        for task in open_tasks:
            yield note(
                f"{task}.method", f"auto: compares {_named(methods_of(config, task))} on {n}, from {origins[0]} on"
            )
    elif open_tasks:
        kept = " and ".join(_named((KEPT[task],)) for task in open_tasks)
        keys = ", ".join(f"{task}.method" for task in open_tasks)
        yield note(
            keys, f"auto: the log has room for {n} before calibration_end, and comparing methods takes {FEWEST_WINDOWS}; "
            f"{kept} will be used without a comparison",
        )  # fmt: skip


def _named(methods: tuple[str, ...]) -> str:
    return ", ".join(NAMES.get(method, method) for method in methods)
