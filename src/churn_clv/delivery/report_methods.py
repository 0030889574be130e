"""What makes a run's forecasts, and why, in words: methods, trees, calibrator, and the dates that chose them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from churn_clv.delivery.report_tables import Cell, Table, shown
from churn_clv.evaluation.champion import FEWEST_WINDOWS
from churn_clv.evaluation.figures import method_name, origin_summary
from churn_clv.evaluation.judgement import NAMES
from churn_clv.evaluation.labels import Unit, day, model

if TYPE_CHECKING:
    from churn_clv.evaluation.champion import Crown
    from churn_clv.models.churn import ChurnModel
    from churn_clv.models.spend_trees import SpendTrees
    from churn_clv.score import FittedModels
    from churn_clv.train import Run

# {b}: the purchase model's name, {v}: what values a purchase, {n}: what value is counted in.
RISK = {
    "purchase_model": "the purchase model alone: the probability of no purchase as {b} gives it",
    "logistic_rfm": "a logistic regression on how recently, how often and for how much a customer bought",
    "offset_hybrid": "the offset hybrid: boosted trees (LightGBM) that start from {b}'s forecast and correct it",
    "btyd_features": "boosted trees (LightGBM) that read {b}'s forecasts among the features",
    "lightgbm": "boosted trees (LightGBM) that read the customer's behaviour and nothing of {b}",
    "lightgbm_monotone": "boosted trees (LightGBM) without {b}, held to the signs the field knows: a longer silence, "
    "for instance, never lowers the risk",
    "average": "the average of {b} and of boosted trees (LightGBM) that know nothing of it, as log-odds",
    "stack": "the stack: {b}, a logistic regression on RFM and boosted trees (LightGBM), each with the weight it "
    "earned on customers it had not seen",
}
VALUE = {
    "purchase_model": "{b} alone{v}; the risk shown does not enter it",
    "hurdle": "the hurdle: the probability of buying at all (1 - R) times what {b}{v} expects of a customer who buys",
    "tweedie": "boosted trees (LightGBM, Tweedie deviance) that multiply what {b}{v} expects by what they learned",
    "two_part": "the two-part model: the probability of buying at all (1 - R) times what boosted trees (LightGBM) "
    "learned of the {n} of those who bought",
    "average": "the average of three forecasts: the hurdle, Tweedie trees and the two-part model",
    "textbook_ltv": "the textbook's LTV: mean yearly {n} times expected lifetime",
}
COLUMNS = {
    "churn": {"log_loss": "log loss", "auc": "AUC", "calibration_error": "calibration error"},
    "value": {
        "normalised_gini": "normalised Gini", "top_10_percent_capture": "share held by the best tenth",
        "bias": "error of the total",
    },
}  # fmt: skip


def methods(run: Run, unit: Unit) -> list[str]:
    """Say what forecasts risk and value, why these methods were taken, and whether probabilities are recalibrated."""
    models = run.judged_models
    words = {
        "b": model(models.purchases), "v": f" with {model(models.spend)}" if models.spend is not None else "", "n": unit.noun,
    }  # fmt: skip
    return [
        f"Risk (R) comes from {RISK[models.churn.method].format(**words)}.",
        f"Value comes from {VALUE[models.value.method].format(**words)}.",
        *_whys(run),
        _calibrator(run),
    ]


def _whys(run: Run) -> list[str]:
    """Why these methods were taken; once where the reason is the same for risk and value."""
    named = "the config names it ({}.method), so nothing was chosen."
    why = {task: named.format(task) for task in COLUMNS} | {crown.task: _why(crown) for crown in run.choice.crowns}
    if why["churn"] == why["value"]:
        return [f"Why these methods: {why['churn']}"]
    return [f"Why this method for risk: {why['churn']}", f"Why this method for value: {why['value']}"]


def _why(crown: Crown) -> str:
    """Why a method was taken, without the figures of its duels."""
    if not crown.crowned:
        return (
            f"to choose by this log's own past, methods must be compared on at least {FEWEST_WINDOWS} earlier dates whose "
            f"following days do not overlap; this log has {crown.windows}. So the default method is kept."
        )
    won = [duel for duel in crown.duels if duel.won]
    if not won:
        return (
            f"it is the simplest, and over {crown.windows} earlier dates no other was better by enough to replace it."
        )
    return f"it is the champion over {crown.windows} earlier dates: better than the simpler methods by enough to replace them."


def _calibrator(run: Run) -> str:
    duels = {line for crown in run.choice.crowns for line in crown.sentences(NAMES)}
    told = [line for line in run.choice.sentences if line not in duels]
    return " ".join(told) or (
        "No calibrator: the probabilities are the method's own, as there are not three earlier origins on which a "
        "calibrator could have shown that it helps."
    )


def duels(run: Run) -> list[str]:
    """Return the comparisons that made the champions."""
    return [line for crown in run.choice.crowns for line in crown.sentences(NAMES)[1:]]


def origins_tables(run: Run, unit: Unit) -> list[Table]:
    """Return, for each task, the mean over origins of every method, its gain over the simplest and the champion."""
    return [] if run.choice.backtest is None else [_origins_table(run, task, unit) for task in COLUMNS]


def _origins_table(run: Run, task: str, unit: Unit) -> Table:
    summary = origin_summary(run, task)
    columns = COLUMNS[task]
    decisive = next(iter(columns))
    methods = list(map(str, summary.loc[decisive].index))
    names = [_capital(name) for name in columns.values()]
    head = ["Method", *names, f"Gain in {columns[decisive]}", "95 % interval", "Better at", "Outcome"]
    chosen = run.choice.methods.churn if task == "churn" else run.choice.methods.value
    crowned = {crown.task for crown in run.choice.crowns}
    rows = []
    for method in methods:
        row = summary.loc[(decisive, method)]
        low, high = (shown(decisive, row[c], "+") for c in ("gain_low", "gain_high"))
        reference = method == methods[0]
        rows.append([
            Cell(_capital(method_name(method))),
            *(Cell(shown(m, summary.loc[(m, method), "mean"]), float(summary.loc[(m, method), "mean"])) for m in columns),
            Cell("compared with", right=True) if reference else Cell(shown(decisive, row["gain"], "+"), float(row["gain"])),
            Cell("" if reference else f"{low} to {high}", right=True),
            Cell("" if reference else f"{row['wins']:.0f} of {row['windows']:.0f}", right=True),
            Cell(("champion" if task in crowned else "used, named in the config") if method == chosen else ""),
        ])  # fmt: skip
    title = "Churn" if task == "churn" else f"Value ({unit.noun})"
    note = (
        "Above 0 a gain is an improvement; its interval is that of the mean over the dates (Student's t). Pareto/NBD alone is "
        "shown beside the methods and is never champion."
    )
    return Table(f"{title}: every method at the same earlier dates, means over them", head, [("", rows)], note)


def origins_words(run: Run) -> str:
    """Say which dates the comparison stands on."""
    found = run.choice.backtest
    if found is None:
        return ""
    days = [day(origin) for origin in found.apart]
    return (
        f"One holdout is one date's luck. So every method also forecast on {len(days)} earlier dates (origins), "
        f"{', '.join(days[:-1])} and {days[-1]}, from what was known then, and was compared with the "
        f"{run.windows.horizon_days} days that followed. These days do not overlap, and the holdout of this run took no part "
        "in the choice."
    )


def fitted(run: Run) -> list[str]:
    """Say of each fit, judged and production, how many trees there are and what they were worth on past labels."""
    lines = []
    for name, models in (("Judged", run.judged_models), ("Production", run.models)):
        lines += [f"{name}, risk: {_risk(models)}", *(f"{name}, value: {line}" for line in _value(models))]
    return lines


def _risk(models: FittedModels) -> str:
    churn = models.churn
    words = [_trees(churn.trees, model(models.purchases))] if churn.trees is not None else ["a method without trees."]
    if len(churn.weights_) > 1:
        members = ", ".join(f"{NAMES.get(name, name)} {weight:.2f}" for name, weight in churn.weights_.items())
        words.append(f"Weights of the members: {members}.")
    if churn.calibrator is not None:
        line = churn.calibrator
        words.append(f"Calibrator: log-odds become {line.intercept_:+.3f} {line.slope_:+.3f} times themselves.")
    return " ".join(words)


def _trees(trees: ChurnModel, purchase_model: str) -> str:
    losses, start = (
        trees.cross_validation_,
        f"{purchase_model}'s forecast" if trees.start == "offset" else "the churn rate",
    )
    if not trees.rounds_:
        tried = (
            f", {losses['trees']:.4f} with trees, which is not better by more than its error"
            if "trees" in losses
            else ""
        )
        worth = f"{losses[trees.start]:.4f} for {start} alone{tried}"
        left = (
            "so its risk is the purchase model's own" if trees.start == "offset" else "so everyone has the churn rate"
        )
        return f"no trees, {left}. Log loss on past labels: {worth}.{_noted(trees)}"
    return (
        f"{trees.rounds_} trees. Log loss on past labels: {losses[trees.start]:.4f} for {start} alone, "
        f"{losses['chosen']:.4f} with the trees (cross-validated over customers).{_noted(trees)}"
    )


def _value(models: FittedModels) -> list[str]:
    boosted = {name: m for name, m in models.value.members.items() if hasattr(m, "rounds_")}
    return [_spend_trees(NAMES.get(name, name), m) for name, m in boosted.items()]  # type: ignore[arg-type]


def _spend_trees(name: str, trees: SpendTrees) -> str:
    losses = trees.cross_validation_
    deviance = (
        f" Mean deviance on past labels: {losses[trees.start]:.4f} for the forecast they start from, {losses['chosen']:.4f} as "
        "used (cross-validated over customers)." if losses else ""
    )  # fmt: skip
    return f"{name}, {trees.rounds_ or 'no'} trees.{deviance}{_noted(trees)}"


def _noted(trees: ChurnModel | SpendTrees) -> str:
    return f" Note: {trees.note_}." if trees.note_ else ""


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
