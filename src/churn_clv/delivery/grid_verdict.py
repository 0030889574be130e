"""The acceptance list of the grid for a reader: what was asked, what was found, and whether it may be acted on."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from churn_clv.delivery.report_tables import Cell, Table
from churn_clv.evaluation.labels import Unit, day, percent, rounded
from churn_clv.evaluation.shown import shown_acceptance

if TYPE_CHECKING:
    from churn_clv.train import Run


class Criterion(NamedTuple):
    """A question that a grid answers with yes if it may be acted on; {n}: what value is counted in."""

    question: str
    figure: Callable[[float], str]
    limit: Callable[[float], str]


def _nothing_wrong(limit: float) -> str:
    return "none"


def _pairs(number: float) -> str:
    return f"{number:.0f} pair{'' if number == 1 else 's'} in the wrong order" if number else "none in the wrong order"


def _cells(number: float) -> str:
    return f"{number:.0f} cell{'' if number == 1 else 's'} off" if number else "no cell off"


def _exact(gap: float) -> str:
    return "to the digit" if gap <= 1e-9 else f"off by {percent(gap, 4)}"


HOLDS, FAILS, UNTOLD, UNGATED = "holds", "does not hold", "cannot be told", "has no limit"
CRITERIA: dict[str, Criterion] = {
    "monotone_churn": Criterion("Realised churn rises with the risk tier, in every value tier", _pairs, _nothing_wrong),
    "monotone_spend": Criterion("Realised {n} rises with the value tier, in every risk tier", _pairs, _nothing_wrong),
    "calibration_churn": Criterion("The churn of every cell came out as forecast", _cells, _nothing_wrong),
    "calibration_spend": Criterion("The {n} of every cell came out as forecast", _cells, _nothing_wrong),
    "buyers_spend": Criterion("Those who bought came to the {n} forecast for buyers, in every cell", _cells, _nothing_wrong),
    "rfm_monotone": Criterion(
        "The order of its cells is no worse than that of an RFM grid of 3 by 3", _pairs, lambda limit: f"at most {limit:.0f} (RFM)"
    ),
    "rfm_calibration": Criterion(
        "Its forecasts came nearer than those of an RFM grid of 3 by 3",
        "{:.2f} tolerances off".format, "under {:.2f} (RFM)".format,
    ),
    "rank_correlation": Criterion(
        "The two axes say different things: risk and value do not rank customers alike",
        lambda rho: f"{rho:.2f}".replace("-", "\N{MINUS SIGN}"), "at most {:.1f}, either sign".format,
    ),
    "effective_cells": Criterion("The customers are spread over the cells", "{:.1f} cells".format, "at least {:.1f}".format),
    "threshold_cv": Criterion(
        "Other customers of the same kind would give the same cut points",
        lambda cv: f"{percent(cv, 1)} off", lambda limit: f"at most {percent(limit)}",
    ),
    "same_cell": Criterion("Customers are still in the same cell a period later", percent, lambda s: f"at least {percent(s)}"),
    "identity": Criterion("Expected {n} and value at risk add up to value if active", _exact, _exact),
}  # fmt: skip


def verdict_sentence(acceptance: pd.DataFrame) -> str:
    """Count the criteria that hold and name those that do not or cannot be told."""
    verdicts = pd.Series([_verdict(row) for _, row in acceptance.iterrows()])
    said = {
        FAILS: ("does not", "do not"),
        UNTOLD: (UNTOLD, UNTOLD),
        UNGATED: ("has no limit here", "have no limit here"),
    }
    counts = [(int((verdicts == verdict).sum()), words) for verdict, words in said.items()]
    held = int((verdicts == HOLDS).sum())
    told = [f"{held} of {len(verdicts)} criteria hold{'s' if held == 1 else ''}"]
    told += [f"{number} {words[number > 1]}" for number, words in counts if number]
    if held == len(verdicts):
        return f"All {held} criteria hold: the grid may be acted on."
    return f"{', '.join(told)}."


def acceptance_table(run: Run, unit: Unit) -> Table:
    """Return the acceptance list of the judged grid, the criteria that do not hold first."""
    found = shown_acceptance(run)
    rows = [
        [
            Cell(_question(name, unit)), _figure(CRITERIA[name].figure, row["figure"]),
            _figure(CRITERIA[name].limit, row["limit"]), Cell(_verdict(row)), Cell(_words(run, row, unit)),
        ]
        for name, row in _worst_first(found)
    ]  # fmt: skip
    windows = run.windows
    caption = (
        f"The judged grid on the acceptance list: customers placed on {day(windows.calibration_end)}, and what they did in the "
        f"{windows.horizon_days} days after it"
    )
    note = (
        "Forecasts of a cell count as off where they miss by more than the tolerance named and lie outside the 95 % interval of "
        "what happened. Wrong orders within the intervals of both cells cannot be told from chance."
    )
    return Table(
        caption, ["What is asked", "Found", "Allowed", "Verdict", "In words, with the exceptions"], [("", rows)], note
    )


def not_holding(run: Run, unit: Unit) -> list[str]:
    """Say of each criterion that does not hold what was found."""
    found = shown_acceptance(run)
    return [
        f"Does not hold: {_low(_question(name, unit))}. {_words(run, row, unit)}."
        for name, row in _worst_first(found)
        if _verdict(row) == FAILS
    ]


def _worst_first(acceptance: pd.DataFrame) -> list[tuple[str, pd.Series]]:
    order = [FAILS, UNTOLD, UNGATED, HOLDS]
    rows = [(name, acceptance.loc[name]) for name in CRITERIA]
    return sorted(rows, key=lambda pair: order.index(_verdict(pair[1])))


def _verdict(row: pd.Series) -> str:
    if row["passes"] is not None:
        return HOLDS if row["passes"] else FAILS
    return UNGATED if np.isfinite(row["figure"]) and not np.isfinite(row["limit"]) else UNTOLD


def _question(name: str, unit: Unit) -> str:
    return CRITERIA[name].question.format(n=unit.noun)


def _low(text: str) -> str:
    return text[0].lower() + text[1:]


def _figure(say: Callable[[float], str], figure: float) -> Cell:
    return Cell(say(float(figure)) if np.isfinite(figure) else "–")  # noqa: RUF001 (typography)


def _words(run: Run, row: pd.Series, unit: Unit) -> str:
    """Speak of cells by their names, of value by what it is counted in, and write numbers as the page does."""
    words = re.sub(r" within \S+ of it$", ", up to rounding", row["words"]) if row["passes"] else row["words"]
    for (risk, value), cell in run.judged_grid.iterrows():
        words = words.replace(f"risk {risk}, value {value} ", f"{cell['segment']} ")
    words = re.sub(r"(?<![.\d])\d{4,}(?![.\d])", lambda count: f"{int(count[0]):,}", re.sub(r"(\d)%", r"\1 %", words))
    words = re.sub(r"\d+\.\d{2,}(?:e[+-]?\d+)?", lambda figure: rounded(float(figure[0])), words)
    return re.sub(r"(?<=[\s(])-(?=\d)", "\N{MINUS SIGN}", words).replace("spend", unit.noun)
