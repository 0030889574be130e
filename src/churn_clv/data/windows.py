"""The dates of a run: the only place that cuts time.

A day belongs to the window that ends on it: a purchase on the cutoff is known at the cutoff, a holdout is
``(calibration_end, holdout_end]``. Labels of a cutoff are read in ``(cutoff, cutoff + horizon_days]``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

from churn_clv.errors import InputError

DAYS_PER_YEAR = 365.25
_DAYS_IN = {"day": 1.0, "week": 7.0, "month": DAYS_PER_YEAR / 12, "year": DAYS_PER_YEAR}
_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(day|week|month|year)s?\s*")


class WindowError(InputError):
    """A date of the run that the log, or another date, does not allow."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(f"windows.{key}: {message}")
        self.key = key


def duration_days(text: str) -> int:
    """Convert a calendar length to whole days, once.

    A week is 7 days, a month 365.25 / 12, a year 365.25; the product is rounded once.

    Raises
    ------
    ValueError
        If the text is not a number followed by days, weeks, months or years, rounds to no day or exceeds 100 years.

    Examples
    --------
    >>> duration_days("39 weeks"), duration_days("6 months"), duration_days("1 year")
    (273, 183, 365)
    """
    match = _DURATION.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is not a length of time; write for example '26 weeks', '6 months' or '90 days'")
    days = float(match[1]) * _DAYS_IN[match[2]]
    if days > 100 * DAYS_PER_YEAR:
        raise ValueError(f"{text[:40]!r} is longer than 100 years")
    if round(days) < 1:
        raise ValueError(f"{text!r} is shorter than a day")
    return round(days)


@dataclass(frozen=True)
class LabelWindow:
    """A past cutoff whose outcome is known: features at ``cutoff``, label in the ``horizon_days`` after it."""

    cutoff: date
    horizon_days: int

    @property
    def end(self) -> date:
        return self.cutoff + timedelta(days=self.horizon_days)


@dataclass(frozen=True)
class Windows:
    """All dates of a run.

    The models are chosen and fitted on days up to ``calibration_end``, judged on ``(calibration_end,
    holdout_end]``, then refitted on everything up to ``score_as_of`` to score the customers for real.
    """

    first_day: date
    calibration_end: date
    holdout_end: date
    score_as_of: date
    labels: tuple[LabelWindow, ...]

    @property
    def horizon_days(self) -> int:
        return (self.holdout_end - self.calibration_end).days

    @property
    def has_full_horizon_labels(self) -> bool:
        return all(label.horizon_days == self.horizon_days for label in self.labels)

    @property
    def production_labels(self) -> tuple[LabelWindow, ...]:
        """The labels known at ``score_as_of``: those of calibration, and the holdout itself."""
        return (*self.labels, LabelWindow(self.calibration_end, self.horizon_days))


def resolve_windows(
    *,
    first_day: date,
    last_day: date,
    calibration_end: date,
    holdout_end: date,
    label_cutoffs: Sequence[date] | None = None,
    label_horizon: str | None = None,
    score_as_of: date | None = None,
) -> Windows:
    """Check the dates of a config against the log and fill in what the config leaves open.

    Parameters
    ----------
    first_day, last_day
        First and last day of the cleaned log.
    label_cutoffs
        Past cutoffs the churn model learns from. Left out: up to three, half a horizon apart, the last
        of them one horizon before ``calibration_end``.
    label_horizon
        A length such as ``"13 weeks"``, ``"until_calibration_end"``, or None for the horizon of the holdout.
    score_as_of
        The day of the production scores; left out, the last day of the log.

    Raises
    ------
    WindowError
        Naming the key of the config, for a date outside the log or dates out of order.

    Examples
    --------
    >>> windows = resolve_windows(first_day=date(1997, 1, 1), last_day=date(1998, 6, 30),
    ...                           calibration_end=date(1997, 12, 30), holdout_end=date(1998, 6, 30))
    >>> windows.horizon_days, [str(label.cutoff) for label in windows.labels]
    (182, ['1997-04-01', '1997-07-01'])
    """
    _check_order(first_day, last_day, calibration_end, holdout_end)
    as_of = score_as_of or last_day
    if not holdout_end <= as_of <= last_day:
        raise WindowError(
            "score_as_of", f"{as_of} is not between holdout_end {holdout_end} and the log's last day {last_day}"
        )
    horizon = (holdout_end - calibration_end).days
    if label_cutoffs is None:
        labels = _default_labels(first_day, calibration_end, horizon, label_horizon)
    else:
        labels = [LabelWindow(c, _horizon_at(c, calibration_end, horizon, label_horizon)) for c in label_cutoffs]
    _check_labels(labels, first_day, calibration_end)
    return Windows(first_day, calibration_end, holdout_end, as_of, tuple(labels))


def rolling_origins(
    *, first_day: date, until: date, horizon_days: int, step_days: int, most: int
) -> tuple[list[date], list[date]]:
    """Return past cutoffs whose horizon is over by `until`, and those among them whose horizons do not overlap.

    Origins lie `step_days` apart, the last of them one horizon before `until`; each has at least half a horizon of
    history. Both lists are in order of time.

    Examples
    --------
    >>> origins, apart = rolling_origins(first_day=date(2024, 1, 1), until=date(2024, 12, 31), horizon_days=90,
    ...                                  step_days=45, most=12)
    >>> len(origins), [str(day) for day in apart]
    (6, ['2024-04-05', '2024-07-04', '2024-10-02'])
    """
    last = until - timedelta(days=horizon_days)
    days = [last - timedelta(days=step_days * k) for k in range(most)]
    origins = [day for day in reversed(days) if (day - first_day).days >= horizon_days / 2]
    apart: list[date] = []
    for day in reversed(origins):
        if not apart or (apart[0] - day).days >= horizon_days:
            apart.insert(0, day)
    return origins, apart


def _check_order(first_day: date, last_day: date, calibration_end: date, holdout_end: date) -> None:
    log = f"the log, which runs from {first_day} to {last_day}"
    if holdout_end <= calibration_end:
        raise WindowError("holdout_end", f"{holdout_end} is not after calibration_end {calibration_end}")
    if not first_day < calibration_end < last_day:
        raise WindowError("calibration_end", f"{calibration_end} is outside {log}")
    if holdout_end > last_day:
        raise WindowError(
            "holdout_end",
            f"{holdout_end} is {(holdout_end - last_day).days} days after the end of {log}; "
            f"the holdout must lie inside the log (at the latest holdout_end: {last_day})",
        )


def _horizon_at(cutoff: date, calibration_end: date, horizon_days: int, label_horizon: str | None) -> int:
    if label_horizon == "until_calibration_end":
        return (calibration_end - cutoff).days
    return duration_days(label_horizon) if label_horizon else horizon_days


def _default_labels(
    first_day: date, calibration_end: date, horizon_days: int, label_horizon: str | None
) -> list[LabelWindow]:
    """Up to three cutoffs half a horizon apart; a shorter label horizon where the history has no full one."""
    history = (calibration_end - first_day).days
    days = horizon_days if label_horizon in (None, "until_calibration_end") else duration_days(label_horizon or "")
    if label_horizon in (None, "until_calibration_end") and history < 1.5 * days:
        days = max(history // 3, 1)
    step = max(days // 2, 1)
    cutoffs = [calibration_end - timedelta(days=days + step * k) for k in (2, 1, 0)]
    kept = [c for c in cutoffs if (c - first_day).days >= min(step, history // 4)]
    until_end = label_horizon == "until_calibration_end"
    return [LabelWindow(c, (calibration_end - c).days if until_end else days) for c in kept]


def _check_labels(labels: Sequence[LabelWindow], first_day: date, calibration_end: date) -> None:
    if not labels:
        raise WindowError(
            "label_cutoffs", "is empty: the churn model needs at least one past cutoff with a known outcome"
        )
    for before, after in pairwise(labels):
        if after.cutoff <= before.cutoff:
            raise WindowError(
                "label_cutoffs", f"{after.cutoff} does not come after {before.cutoff}; list them in order, once each"
            )
    for label in labels:
        if label.cutoff < first_day:
            raise WindowError("label_cutoffs", f"{label.cutoff} is before the first day of the log, {first_day}")
        if label.horizon_days < 1:
            raise WindowError("label_cutoffs", f"{label.cutoff} is not before calibration_end {calibration_end}")
        if label.end > calibration_end:
            raise WindowError(
                "label_cutoffs",
                f"{label.cutoff} with a horizon of {label.horizon_days} days has a label that ends on {label.end}, "
                f"after calibration_end {calibration_end}; use an earlier cutoff or a shorter windows.label_horizon",
            )
