"""Which methods a run uses: those its config names, or the champions over origins that end before the holdout begins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import pandas as pd

from churn_clv.backtest import Backtest, backtest, calibrator_from, tuned, windows_at
from churn_clv.config import Config
from churn_clv.data.windows import Windows, rolling_origins
from churn_clv.errors import InputError
from churn_clv.evaluation.champion import FEWEST_WINDOWS, Crown, crown
from churn_clv.evaluation.judgement import NAMES
from churn_clv.fits import Evidence, Methods, description_at, past_of

# What is kept where too few windows can decide: see DECISIONS.md for what speaks for it, and what against.
KEPT = {"churn": "offset_hybrid", "value": "hurdle"}
# From the simplest to the most complex.
CANDIDATES = {
    "churn": ("purchase_model", "logistic_rfm", "offset_hybrid", "btyd_features", "lightgbm", "average"),
    "value": ("purchase_model", "hurdle", "tweedie", "two_part", "average"),
}


@dataclass(frozen=True)
class Choice:
    """The methods of a run, why, and the origins that decided; no backtest where nothing was to be decided."""

    methods: Methods
    sentences: tuple[str, ...]
    crowns: tuple[Crown, ...] = ()
    backtest: Backtest | None = None
    trials: pd.DataFrame | None = None

    @property
    def headlines(self) -> list[str]:
        """The sentences without the single duels."""
        duels = {line for crowned in self.crowns for line in crowned.sentences(NAMES)[1:]}
        return [line for line in self.sentences if line not in duels]


def choose(evidence: Evidence, windows: Windows, progress: Callable[[str], None]) -> Choice:
    """Choose the methods of a run on what was known at calibration_end."""
    config = evidence.config
    asked = {"churn": config.churn.method, "value": config.value.method}
    apart = earlier_origins(config, windows)
    open_tasks = [task for task, method in asked.items() if method == "auto"]
    crowns: list[Crown] = []
    found, calibrator, words = None, None, []
    methods = {task: candidates(config, task) if m == "auto" else (m,) for task, m in asked.items()}
    if open_tasks and len(apart) >= FEWEST_WINDOWS:
        found = _backtested(evidence, windows, apart, methods, progress)
        apart = list(found.apart) if found is not None else []
    if found is not None and len(apart) >= FEWEST_WINDOWS:
        crowns = [crown(task, found.figures(task), methods[task], methods[task][0]) for task in open_tasks]
    else:
        crowns = [Crown(task, KEPT[task], len(apart), ()) for task in open_tasks]
    chosen = asked | {c.task: c.champion for c in crowns}
    if found is not None and len(apart) >= FEWEST_WINDOWS:
        calibrator, why = calibrator_from(found, chosen["churn"])
        words = [why]
    trees, trials = _tree_settings(evidence, windows, chosen)
    methods_used = Methods(chosen["churn"], chosen["value"], trees, calibrator)
    if trials is not None:
        first, best = trials["log_loss"].iloc[0], trials["log_loss"].min()
        words.append(f"LightGBM's settings were searched in {len(trials)} trials: log loss on customers left out of past labels "
                     f"{best:.4f}, {first:.4f} with the defaults.")  # fmt: skip
    sentences = [line for c in crowns for line in c.sentences(NAMES)] + words
    return Choice(methods_used, tuple(sentences), tuple(crowns), found, trials)


def earlier_origins(config: Config, windows: Windows) -> list[date]:
    """Return the origins on which a choice stands: their holdouts lie before calibration_end and do not overlap."""
    _, apart = rolling_origins(
        first_day=windows.first_day, until=windows.calibration_end, horizon_days=windows.horizon_days,
        step_days=windows.horizon_days, most=config.backtest.most_origins,
    )  # fmt: skip
    return apart


def _backtested(
    evidence: Evidence,
    windows: Windows,
    apart: list[date],
    methods: dict[str, tuple[str, ...]],
    progress: Callable[[str], None],
) -> Backtest | None:
    """The candidates at the origins before calibration_end; None where no origin carries a model, which is noted."""
    at = windows_at(evidence, apart, windows.horizon_days, windows)
    try:
        return backtest(
            evidence, at, apart, methods,
            lambda figures: crown("churn", figures, methods["churn"], methods["churn"][0]).champion, progress,
        )  # fmt: skip
    except InputError:
        return None


def candidates(config: Config, task: str) -> tuple[str, ...]:
    """Return the methods that compete, from the simplest to the most complex."""
    asked = config.backtest.churn if task == "churn" else config.backtest.value
    return tuple(asked) if asked else CANDIDATES[task]


def _tree_settings(
    evidence: Evidence, windows: Windows, chosen: dict[str, str]
) -> tuple[dict[str, object], pd.DataFrame | None]:
    """LightGBM's settings: the configured ones, or those of a search on the labels before calibration_end."""
    if evidence.config.churn.search is None:
        return evidence.config.churn.trees(), None
    past = past_of(evidence, windows.labels, description_at(evidence, windows.labels), with_spend=False)
    return tuned(evidence, past, [chosen["churn"]])
