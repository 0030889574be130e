"""Whether a challenger succeeds the champion: both tasks, over origins whose holdouts do not overlap."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from churn_clv.evaluation.champion import FEWEST_WINDOWS, Crown, Duel, broken_guards, fight


@dataclass(frozen=True)
class Succession:
    """A challenger against the champion of the same model: one duel a task, and why it may not succeed."""

    windows: int
    duels: Mapping[str, Duel]
    refusals: tuple[str, ...]

    @property
    def granted(self) -> bool:
        return not self.refusals

    def sentences(self) -> list[str]:
        """Say how each duel went."""
        return [
            sentence
            for task, duel in self.duels.items()
            for sentence in Crown(task, "", max(duel.windows, FEWEST_WINDOWS), (duel,)).sentences({})[1:]
        ]


def succession(figures: Mapping[str, pd.DataFrame], challenger: str, champion: str) -> Succession:
    """Apply the champion rule to two runs.

    A challenger succeeds if it wins one task by the rule of `fight` and is not worse on the other: there the interval
    of the gain does not lie below 0 and no guardrail is broken. Under three windows nobody succeeds.

    Parameters
    ----------
    figures
        Task ("churn", "value") -> one row an origin, columns (metric, candidate); only origins whose holdouts do not
        overlap.

    Examples
    --------
    >>> columns = pd.MultiIndex.from_product([["log_loss", "calibration_error"], ["new", "old"]])
    >>> churn = pd.DataFrame([[.48, .50, .02, .02], [.49, .51, .02, .02], [.49, .52, .02, .02]], columns=columns)
    >>> succession({"churn": churn}, "new", "old").granted, succession({"churn": churn[:2]}, "new", "old").refusals
    (True, ('too few windows: 2 without overlap, 3 are needed',))
    """
    windows = min(len(table) for table in figures.values())
    duels = {task: fight(task, table, challenger, champion) for task, table in figures.items() if len(table) > 1}
    if windows < FEWEST_WINDOWS:
        return Succession(windows, duels, (f"too few windows: {windows} without overlap, {FEWEST_WINDOWS} are needed",))
    worse = [
        f"it is worse at {task}: {'; '.join(found)}"
        for task, duel in duels.items()
        if (found := _harm(task, figures[task], duel))
    ]
    if any(duel.won for duel in duels.values()):
        return Succession(windows, duels, tuple(worse))
    lost = " and ".join(f"{task} ({duel.objections[0]})" for task, duel in duels.items())
    return Succession(windows, duels, (f"it does not win at {lost}", *worse))


def _harm(task: str, figures: pd.DataFrame, duel: Duel) -> list[str]:
    broken = broken_guards(task, figures, duel.challenger, duel.champion)
    return [*(["the interval of its gain lies below 0"] if duel.gain_high < 0 else []), *broken]
