"""Who becomes champion over several origins: the rule, and the words for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

FEWEST_WINDOWS = 3
# task -> (the metric that decides, +1 where more is better, the least gain that matters)
DECIDES: Mapping[str, tuple[str, int, float]] = {
    "churn": ("log_loss", -1, 0.003),
    "value": ("normalised_gini", 1, 0.005),
}
# task -> metric -> by how much a challenger may be worse at most, on the mean over origins; biases by size
GUARDS: Mapping[str, Mapping[str, float]] = {
    "churn": {"calibration_error": 0.005},
    "value": {"bias": 0.03, "top_10_percent_capture": 0.005},
}
_LESS_IS_BETTER = ("calibration_error", "bias")


@dataclass(frozen=True)
class Duel:
    """A challenger against the champion so far, over origins whose holdouts do not overlap."""

    challenger: str
    champion: str
    windows: int
    gain: float
    gain_low: float
    gain_high: float
    wins: int
    objections: tuple[str, ...]

    @property
    def won(self) -> bool:
        return not self.objections


@dataclass(frozen=True)
class Crown:
    """The champion of a task and the duels that made it; no duels where there were too few windows."""

    task: str
    champion: str
    windows: int
    duels: tuple[Duel, ...]

    @property
    def crowned(self) -> bool:
        return self.windows >= FEWEST_WINDOWS

    def sentences(self, names: Mapping[str, str]) -> list[str]:
        """Say who is champion and why, one sentence a duel."""
        metric = DECIDES[self.task][0].replace("_", " ")
        name = {c: names.get(c, c) for d in self.duels for c in (d.challenger, d.champion)}
        if not self.crowned:
            return [
                f"{self.task.capitalize()}: too few windows to crown a champion ({self.windows} without overlap, "
                f"{FEWEST_WINDOWS} needed): {names.get(self.champion, self.champion)} is kept."
            ]
        lines = [
            f"{self.task.capitalize()}: champion over {self.windows} origins is {names.get(self.champion, self.champion)}."
        ]
        for duel in self.duels:
            outcome = "replaces" if duel.won else "does not replace"
            why = "" if duel.won else f": {'; '.join(duel.objections)}"
            lines.append(
                f"{self.task.capitalize()}: {name[duel.challenger]} {outcome} {name[duel.champion]} (mean gain in {metric} "
                f"{duel.gain:+.4f}, 95 % interval {duel.gain_low:+.4f} to {duel.gain_high:+.4f}, better at {duel.wins} of "
                f"{duel.windows} origins){why}."
            )
        return lines


def crown(task: str, figures: pd.DataFrame, candidates: Sequence[str], fallback: str) -> Crown:
    """Choose the champion of a task.

    A challenger replaces the champion only if its mean paired gain over origins excludes 0 (95 % interval by
    Student's t), it wins at least two thirds of the origins, the gain is one that matters, and no guardrail is worse
    by more than allowed. Otherwise the simpler model stays.

    Parameters
    ----------
    task
        "churn" or "value".
    figures
        One row an origin, columns (metric, candidate); origins whose holdouts do not overlap.
    candidates
        From the simplest to the most complex.
    fallback
        Kept where there are fewer than three windows.

    Examples
    --------
    >>> columns = pd.MultiIndex.from_product([["log_loss", "calibration_error"], ["simple", "complex"]])
    >>> figures = pd.DataFrame([[.50, .48, .02, .02], [.51, .49, .02, .02], [.52, .49, .02, .02]], columns=columns)
    >>> crown("churn", figures, ["simple", "complex"], fallback="simple").champion
    'complex'
    """
    windows = len(figures)
    if windows < FEWEST_WINDOWS:
        return Crown(task, fallback, windows, ())
    champion, duels = candidates[0], []
    for challenger in candidates[1:]:
        duel = fight(task, figures, challenger, champion)
        duels.append(duel)
        champion = challenger if duel.won else champion
    return Crown(task, champion, windows, tuple(duels))


def fight(task: str, figures: pd.DataFrame, challenger: str, champion: str) -> Duel:
    """Compare two candidates by the champion rule; see `crown`."""
    metric, direction, least = DECIDES[task]
    gains = (direction * (figures[(metric, challenger)] - figures[(metric, champion)])).to_numpy(float)
    mean, low, high = mean_interval(gains)
    wins = int((gains > 0).sum())
    objections = []
    if high < 0:
        objections.append("it is worse")
    elif not low > 0:
        objections.append("the interval of the gain does not exclude 0")
    if wins < 2 / 3 * gains.size:
        objections.append(f"it wins {wins} of {gains.size} origins, fewer than two thirds")
    if 0 <= mean < least:
        objections.append(f"the gain is below {least:g}, too small to matter")
    if mean < 0 <= high:
        objections.append("it is no better on the mean")
    objections += broken_guards(task, figures, challenger, champion)
    return Duel(challenger, champion, gains.size, mean, low, high, wins, tuple(objections))


def mean_interval(values: np.ndarray) -> tuple[float, float, float]:
    """Return the mean of a few independent figures and its 95 % interval by Student's t.

    >>> [round(v, 3) for v in mean_interval(np.array([1.0, 2.0, 3.0]))]
    [2.0, -0.484, 4.484]
    """
    from scipy.special import stdtrit

    n, mean = values.size, float(values.mean())
    if n < 2:
        return mean, float("nan"), float("nan")
    half = float(stdtrit(n - 1, 0.975) * values.std(ddof=1) / np.sqrt(n))
    return mean, mean - half, mean + half


def broken_guards(task: str, figures: pd.DataFrame, challenger: str, champion: str) -> list[str]:
    """Return in words every guardrail on which a challenger is worse than allowed, or cannot be compared."""
    found = []
    for metric, allowed in GUARDS[task].items():
        new, old = (figures[(metric, c)].abs().mean() for c in (challenger, champion))
        worse = new - old if metric in _LESS_IS_BETTER else old - new
        if np.isnan(worse):
            found.append(f"{metric.replace('_', ' ')} cannot be compared")
        elif worse > allowed:
            found.append(f"{metric.replace('_', ' ')} is worse by {worse:.4f}, more than {allowed:g}")
    return found
