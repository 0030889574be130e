"""Monitoring as one self-contained HTML page: the verdict, the promise beside what happened, what changed, who moved."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from churn_clv.delivery.report import Picture, moment, picture, rendered, versions
from churn_clv.delivery.report_tables import Cell, Table, count_cell, range_cell, share_cell
from churn_clv.delivery.report_words import FEW_CUSTOMERS, TERMS
from churn_clv.evaluation.ageing import in_words, ratio_limits
from churn_clv.evaluation.feature_drift import NOBODY, SAME_AGE
from churn_clv.evaluation.labels import Unit, day, percent, rounded
from churn_clv.evaluation.promises import KeptPromise
from churn_clv.evaluation.same_age import FEWEST
from churn_clv.monitoring import Monitoring
from churn_clv.segments.small_groups import in_words as told
from churn_clv.segments.small_groups import (
    withheld,
    withheld_moves,
    withheld_words,
    without_small_groups,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MEANT = {
    "as it was": "No figure is beyond its limit and beyond chance: the model may go on as it is.",
    "watch": "Something is not as it was, but not so that another model is called for: look at the reasons, and again after the "
    "next period.",
    "retrain": "The model should be trained anew on a log up to today, and must win against this one before it takes its place. First "
    "ask whether the season explains it: a model without a calendar breaks its promise in every high and low season, and training "
    "it anew does not mend that.",
}
KINDS = {"score": "Scores", "behaviour": "Behaviour", "attribute": "Customer attributes", "calendar": "The calendar"}
GLOSSARY = [
    ("population stability index", "How differently two groups spread over the same bins: 0 for equal shares; above .1 is usually "
     "called a drift, above .25 a large one. Bins are tenths of the earlier day's customers, one a value where there are at most "
     "ten; missing is a bin. Half a customer is added to each bin, so that an empty one has a logarithm."),
    ("by chance under", "What the index stays under 999 times of 1,000 where nothing changed, with as many customers (Yurdakul & "
     "Naranjo 2020). An alarm needs an index above this and above the limit: of 100 customers an index of .3 says nothing."),
    ("customers of the same age", "Those whose first purchase was as long ago on their own day. Everybody is older on the later "
     "day, has bought more or been silent longer; without this comparison every column of a growing customer base would drift. The "
     "earlier day's customers are weighted so that their ages are spread as those of the later day are."),
    ("largest gap", "Of numbers, the largest difference between the shares of customers up to a value (Kolmogorov-Smirnov); of "
     "categories, the share of customers who would have to change theirs (total variation)."),
    ("p-value", "How often a gap as large comes by chance if nothing changed, corrected for the number of columns (Holm 1979). "
     "With many customers tiny gaps have small p-values: it raises no alarm."),
    ("actual / expected", "What happened over what was promised; 1 is as promised. The interval holds the luck of the customers, "
     "not the error of the model's parameters."),
    ("calibration error", "Mean gap between promised and realised share without a purchase over ten equally large groups."),
    ("kappa", "Share in the same segment, corrected for what is the same by chance where few segments are large: 1 is all, 0 is "
     "chance (Cohen 1960)."),
]  # fmt: skip
_DASH = "–"  # noqa: RUF001 (typography)


def monitor_figures_of(found: Monitoring, unit: Unit) -> dict[str, Figure]:
    """Draw the figures of a monitoring, by name; the promise only where it can be judged."""
    from churn_clv.evaluation.monitor_figures import drift_figure, promise_figure, score_shares
    from churn_clv.evaluation.movement_figures import migration_figure

    days = found.as_of_before, found.as_of_after
    figures = {}
    if found.promise is not None:
        figures["promise"] = promise_figure(found.promise, found.limits, unit, found.elapsed_days)
    if found.drift["index"].notna().any():
        names = {str(name): in_words(str(name)) for name in found.drift.index}
        figures["drift"] = drift_figure(found.drift, names, found.limits.drift)
    figures["scores"] = score_shares(found.distributions, unit, days, found.horizon_days)
    figures["migration"] = migration_figure(found.migration, *days, found.segments, found.smallest_group)
    return figures


def render_monitor_page(
    found: Monitoring,
    figures: Mapping[str, Figure],
    *,
    unit: Unit,
    names: tuple[str, str],
    model_name: str,
    generated_at: datetime,
) -> str:
    """Write a monitoring as one HTML page that needs no network and holds no customer ids.

    Parameters
    ----------
    figures
        From `monitor_figures_of`.
    names
        What the earlier and the later customers were read from, as shown on the page.
    """
    page = {
        "verdict": found.verdict, "meant": MEANT[found.verdict], "headline": _headline(found, unit),
        "reasons": [reason.sentence for reason in found.reasons], "blind": _blind(found, unit),
        "days": (day(found.as_of_before), day(found.as_of_after)), "elapsed": found.elapsed_days,
        "horizon": found.horizon_days, "customers": _counts(found), "no_promise": found.no_promise,
        "promise_tables": _promise_tables(found, unit), "promise_words": _promise_words(found),
        "drift_words": _drift_words(found), "drift_table": _drift_table(found), "unknown": _unknown(found),
        "moved": _moved(found), "pictures": _pictures(found, figures), "glossary": _glossary(unit), "limits": found.limits,
        "names": names, "model_name": model_name, "generated_at": moment(generated_at), "versions": versions(),
        "fewest": FEWEST,
    }  # fmt: skip
    return rendered("monitor_page.html.j2", page)


def _counts(found: Monitoring) -> dict[str, str]:
    """How many customers the two days have, in words, as far as that is told."""
    left, smallest = found.customers.withheld(found.smallest_group), found.smallest_group
    return {
        name: "not shown" if name in left and count >= smallest else told(count, smallest)
        for name, count in found.customers._asdict().items()
    }


def _headline(found: Monitoring, unit: Unit) -> list[tuple[str, str]]:
    customers, judged = _counts(found), int((found.drift["compared"] != NOBODY).sum())
    lines = [
        (
            customers["both"],
            f"customers known on both days; {customers['new']} are new, {customers['gone']} are missing now",
        )
    ]
    if found.promise is not None:
        ratio = found.promise.totals["actual_to_expected"]
        lines += [(f"{ratio['purchases']:.2f}", "actual / expected purchases; 1 is as promised")]
        lines += [(f"{ratio['spend']:.2f}", f"actual / expected {unit.noun}")] if "spend" in ratio else []
    return [*lines, (f"{int(found.drift['alarm'].sum())} of {judged}", "judged columns drifted beyond chance")]


def _blind(found: Monitoring, unit: Unit) -> str:
    """The smallest change of the totals that would have been told from chance."""
    if found.promise is None:
        return ""
    rows = found.promise.totals.drop(index="no_purchase")
    rows = rows[rows["low"] > 0]
    if rows.empty:
        return ""
    wide = np.sqrt(rows["high"] / rows["low"]) - 1
    named = " and ".join(
        f"{percent(share)} of {unit.noun if n == 'spend' else 'purchases'}" for n, share in wide.items()
    )
    return f"With these customers a change of less than about {named} cannot be told from chance, and would not have been found here."


def _promise_words(found: Monitoring) -> list[str]:
    kept = found.promise
    if kept is None:
        return []
    left = found.customers.before - kept.customers
    others = "Others" if found.customers.withheld(found.smallest_group) else f"{left:,} others"
    apart = f" {others} are missing now, or their history was rewritten, and are left out." if left else ""
    whole = "" if found.elapsed_days == found.horizon_days else f", not the {found.horizon_days} days of the scores"
    error, noise = (f"{100 * share:.1f}" for share in (kept.calibration_error, kept.calibration_error_noise))
    return [
        f"Of {kept.customers:,} customers the model forecast what they would do in the {found.elapsed_days} days between the two "
        f"dates{whole}; this is what they did.{apart}",
        f"By tenths of promised risk, the promised and the realised share without a purchase are {error} percentage points apart "
        f"on average; right probabilities stay under {noise} of them 999 times of 1,000 with as many customers.",
    ]  # fmt: skip


def _promise_tables(found: Monitoring, unit: Unit) -> list[Table]:
    return [] if found.promise is None else [_totals(found, found.promise, unit), _segments(found, found.promise, unit)]


def _totals(found: Monitoring, kept: KeptPromise, unit: Unit) -> Table:
    names = {"no_purchase": "Customers without a purchase", "purchases": "Purchases"}
    names |= (
        {"spend": unit.noun.capitalize() + (f", {unit.name}" if unit.name else "")}
        if "spend" in kept.totals.index
        else {}
    )
    rows = []
    for name, words in names.items():
        row, (low, high) = kept.totals.loc[name], ratio_limits(name, kept, found.limits)
        inside, likely = low <= row["actual_to_expected"] <= high, row["low"] <= 1 <= row["high"]
        verdict = "kept" if inside else "cannot be told from chance" if likely else "not kept"
        verdict = "broken" if verdict == "not kept" and row["p_value"] < found.limits.broken else verdict
        rows.append([
            Cell(words), *(Cell(rounded(row[c]), float(row[c])) for c in ("promised", "happened")), _ratio(row["actual_to_expected"]),
            range_cell(row["low"], row["high"]), Cell(f"{low:.2f} to {high:.2f}", right=True), Cell(verdict),
        ])  # fmt: skip
    head = ["", "Promised", "Happened", "Actual / expected", "95 % interval", "Kept within", "In words"]
    caption = f"What was promised on {day(found.as_of_before)} for {found.elapsed_days} days, and what happened"
    return Table(caption, ["What", *head[1:]], [("", rows)])


def _segments(found: Monitoring, kept: KeptPromise, unit: Unit) -> Table:
    head = ["Segment on the earlier day", "Customers", "Promised without a purchase", "Realised", "95 % interval"]
    head += [f"Promised {unit.noun} a customer", f"Realised {unit.noun} a customer", "95 % interval"]
    smallest = found.smallest_group
    shown = without_small_groups(kept.by_segment[kept.by_segment["customers"] > 0], smallest)
    rows = [
        [
            Cell(str(name)), count_cell(row["customers"]), share_cell(row["churn_probability"]), share_cell(row["realised_churn"]),
            range_cell(100 * row["realised_churn_low"], 100 * row["realised_churn_high"], " %"),
            *(_amount(row[c], unit) for c in ("expected_spend", "realised_spend")),
            range_cell(row["realised_spend_low"], row["realised_spend_high"]),
        ]
        for name, row in shown.iterrows()
    ]  # fmt: skip
    small = int((shown["customers"] < FEW_CUSTOMERS).sum())
    note = (
        f"{small} segments have fewer than {FEW_CUSTOMERS} customers: their figures are luck."
        if small
        else withheld_words(shown, smallest)
    )
    return Table("By segment of the earlier day", head, [("", rows)], note)


def _amount(value: float, unit: Unit) -> Cell:
    return Cell(unit.amount(value), float(value)) if np.isfinite(value) else Cell(_DASH, right=True)


def _drift_words(found: Monitoring) -> list[str]:
    words = []
    aged, drift = found.drift["compared"] == SAME_AGE, found.drift
    changing = drift["kind"].isin(["score", "behaviour"])
    if min(found.customers.before, found.customers.after) < FEWEST:
        words.append(f"Nothing is judged here: an index of fewer than {FEWEST} customers is mostly luck.")
    elif changing.any() and not aged.any():
        words.append(
            "No, or too few, customers of the two days are of the same age, as in a single cohort that grows older: what changed about "
            "their behaviour and scores cannot be told from time that has passed, and raises no alarm. Whether the promise was kept says more."
        )
    else:
        words.append(
            f"Everybody is {found.elapsed_days} days older, so behaviour and scores are compared between customers of the same age on "
            "either day; the index of all customers stands beside it. Median and mean are those of the customers compared."
        )
    return words


def _drift_table(found: Monitoring) -> Table:
    groups = []
    for kind, title in KINDS.items():
        rows = found.drift[found.drift["kind"] == kind].sort_values(["alarm", "index"], ascending=False, kind="stable")
        if len(rows):
            groups.append((title, [_drifted(found, str(name), row) for name, row in rows.iterrows()]))
    head = ["Column", "Was: median (mean)", "Is: median (mean)", "Missing: was, is", "Index, all customers",
            "Index, same age", "By chance under", "Largest gap", "p-value", "In words"]  # fmt: skip
    caption = f"Stability of every column, {day(found.as_of_before)} to {day(found.as_of_after)}"
    return Table(caption, head, groups)


def _drifted(found: Monitoring, name: str, row: pd.Series) -> list[Cell]:
    gap = row["total_variation"] if row["category"] else row["ks"]
    missing = f"{percent(row['missing_before'])}, {percent(row['missing_after'])}"
    return [
        Cell(in_words(name)), *(_typical(row, when) for when in ("before", "after")),
        Cell(missing if row["missing_before"] + row["missing_after"] else "none", right=True),
        _index(row["psi"]), _index(row["psi_same_age"]), _index(row["noise"]), _ratio(gap), _p_value(row["ks_p_value"]),
        Cell(_verdict(found, row)),
    ]  # fmt: skip


def _verdict(found: Monitoring, row: pd.Series) -> str:
    if row["kind"] == "calendar":
        return f"time passed ({found.elapsed_days} days); not judged"
    if row["missing_after"] == 1 > row["missing_before"]:
        return "nobody has a value any more"
    if row["compared"] == NOBODY:
        few = min(found.customers.before, found.customers.after) < FEWEST
        return "not judged: too few customers" if few else "not judged: nobody of the same age"
    if row["alarm"]:
        return "drifted far" if row["major"] else "drifted"
    if row["index"] > found.limits.drift:
        return "as much by chance"
    return "a little different" if row["index"] > row["noise"] else "as it was"


def _typical(row: pd.Series, when: str) -> Cell:
    middle, mean = row[f"median_{when}"], row[f"mean_{when}"]
    return Cell(f"{rounded(middle)} ({rounded(mean)})" if np.isfinite(mean) else _DASH, right=True)


def _index(value: float) -> Cell:
    return Cell(f"{value:.3f}", float(value)) if np.isfinite(value) else Cell(_DASH, right=True)


def _ratio(value: float) -> Cell:
    return Cell(f"{value:.2f}", float(value)) if np.isfinite(value) else Cell(_DASH, right=True)


def _p_value(value: float) -> Cell:
    if not np.isfinite(value):
        return Cell(_DASH, right=True)
    return Cell("under .001" if value < 0.001 else rounded(value, 2), float(value))


def _unknown(found: Monitoring) -> Table | None:
    if found.unknown.empty:
        return None
    rows = [
        [Cell(in_words(str(name))), *_few(row, found.smallest_group), count_cell(row["categories"])]
        for name, row in found.unknown.iterrows()
    ]  # fmt: skip
    head = ["Column", "Customers", "Share", "Different unknown categories"]
    return Table(
        "Customers whose category the model has never met", head, [("", rows)], "The model reads them as missing."
    )


def _few(row: pd.Series, smallest: int) -> list[Cell]:
    if row["customers"] < smallest:
        return [Cell(told(row["customers"], smallest), right=True), Cell(_DASH, right=True)]
    return [count_cell(row["customers"]), share_cell(row["share"], 1)]


def _moved(found: Monitoring) -> str:
    stayed = found.stability
    if not stayed.customers:
        return "Nobody was placed on both days."
    return (
        f"{percent(stayed.stayed)} of the customers placed on both days are in the same segment "
        f"(kappa {stayed.kappa:.2f}), by the same cuts. Moving is what customers do: it raises no alarm."
    )


def _glossary(unit: Unit) -> list[tuple[str, str]]:
    """The terms of this page, and those of the scores as every page has them."""
    shared = ("p_alive", "R, churn probability", "V_act, value if active", "V_res, expected {n}", "CLV")
    return GLOSSARY + [(term.format(n=unit.noun), text.format(n=unit.noun)) for term, text in TERMS if term in shared]


def _pictures(found: Monitoring, figures: Mapping[str, Figure]) -> dict[str, list[Picture]]:
    words = {
        "promise": (
            "Left: the shaded range is as promised; an interval that reaches 1 may be chance. Right: points on the dashed line are as promised.",
            "Two panels. Left: actual over expected customers without a purchase, purchases and value, with intervals and the range "
            "that counts as kept. Right: realised share without a purchase by promised risk. The numbers are in the tables below.",
        ),
        "drift": (
            "The judged columns with the largest index; one that drifted is orange. A bar that ends before its mark is what chance brings.",
            "Bars: the stability index of the columns that changed most, with what chance brings and the limit. The numbers are in the table.",
        ),
        "scores": (
            "All customers of either day, new ones included; those of the earlier day are older now. Right: in each group is a tenth "
            "of the earlier day's customers, as far as equal forecasts allow.",
            "Two panels: shares of customers by risk of no purchase, and by expected value, on both days.",
        ),
        "migration": (
            "From each row's segment to each column's.",
            "Heat map: which share of each segment of the earlier day is in which segment on the later day. Row by row: "
            f"{_row_words(found)}.",
        ),
    }  # fmt: skip
    return {name: [picture(figures[name], *text)] if name in figures else [] for name, text in words.items()}


def _row_words(found: Monitoring) -> str:
    """Who stayed, segment by segment, for readers who cannot see the figure."""
    migration, smallest = found.migration, found.smallest_group
    words, hidden = [], withheld_moves(migration, smallest)
    few, known = withheld(migration.sum(axis=1), smallest), "before" not in found.customers.withheld(smallest)
    for name in found.segments:
        total = int(migration.loc[name].sum())
        if total and not few[name] and not hidden.loc[name, name]:
            of_all = f" of {total:,}" if known else ""
            words.append(f"{name}, {percent(migration.loc[name, name] / total)}{of_all} stayed")
    return "; ".join(words)
