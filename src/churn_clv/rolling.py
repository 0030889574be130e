"""A config backtested over its whole log: every method at every origin, the last of them the run's own holdout."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from churn_clv.backtest import Backtest, backtest, windows_at
from churn_clv.choice import KEPT, candidates
from churn_clv.config import Config
from churn_clv.data.windows import duration_days, rolling_origins
from churn_clv.errors import InputError
from churn_clv.evaluation.champion import Crown, crown
from churn_clv.evaluation.over_origins import over_origins
from churn_clv.fits import Evidence
from churn_clv.train import known_until, noted, open_evidence, resolved_windows

TASKS = ("churn", "value")


@dataclass(frozen=True)
class Rolling:
    """A backtested config."""

    config: Config
    evidence: Evidence
    horizon_days: int
    step_days: int
    methods: dict[str, tuple[str, ...]]
    backtest: Backtest

    @property
    def notes(self) -> list[str]:
        """What the models said of their fits at some origin, each once."""
        return list(dict.fromkeys(self.evidence.notes))

    def summary(self, task: str) -> pd.DataFrame:
        """Return mean, spread and gain over the simplest method; see `over_origins`."""
        return over_origins(self.backtest.figures(task, only_apart=False), self.methods[task][0], self.backtest.apart)

    def crowns(self) -> list[Crown]:
        return [
            crown(task, self.backtest.figures(task), self.methods[task], fallback=self.methods[task][0])
            for task in TASKS
        ]


def roll(config: Config, progress: Callable[[str], None] = lambda stage: None) -> Rolling:
    """Backtest the methods of a config over rolling origins.

    The horizon is `backtest.horizon`, by default the holdout's; origins lie `backtest.step` apart, by default one
    horizon. The holdout of the run is the last of them when the log ends with it. Nothing is chosen here, so nothing
    is spoilt by looking at it; a run's own choice (`method: auto`) stands on origins before its calibration_end.

    Raises
    ------
    InputError
        If the log has no room for a single origin.
    """
    notes: list[str] = []
    progress("read the log")
    evidence = open_evidence(config, notes)
    windows = resolved_windows(config, evidence.log)
    asked = config.backtest
    horizon = duration_days(asked.horizon) if asked.horizon else windows.horizon_days
    step = duration_days(asked.step) if asked.step else horizon
    until = windows.holdout_end if asked.horizon is None else known_until(config, evidence.log)
    origins, apart = rolling_origins(
        first_day=windows.first_day, until=until, horizon_days=horizon, step_days=step, most=asked.most_origins
    )
    if not origins:
        raise InputError(
            f"backtest: the log ({windows.first_day} to {until}) has no room for a horizon of {horizon} days after half of one"
        )
    methods = {task: candidates(config, task) for task in TASKS}
    risk = next((m for m in (config.churn.method, KEPT["churn"]) if m in methods["churn"]), methods["churn"][-1])
    with noted(notes):
        found = backtest(evidence, windows_at(evidence, origins, horizon, windows), apart, methods, risk, progress)
    return Rolling(config, evidence, horizon, step, methods, found)
