"""The model card: what a team that takes a model over has to know, in plain words, without any customer's data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from churn_clv import __version__
from churn_clv.data.open_log import known_columns
from churn_clv.delivery.code_version import code_tags
from churn_clv.delivery.markdown import bullets, code, plain, table
from churn_clv.delivery.model_card_columns import input_rows, level_rows, terms
from churn_clv.delivery.report_methods import methods
from churn_clv.delivery.report_sentences import against_rivals, doubts
from churn_clv.delivery.report_tables import verdict
from churn_clv.delivery.report_words import METRICS, MetricWords
from churn_clv.evaluation.judgement import NAMES, RUN
from churn_clv.evaluation.labels import Unit, feature, model, percent
from churn_clv.evaluation.shown import margins_are_shown
from churn_clv.score import trained_attributes
from churn_clv.segments.grid import wilson

if TYPE_CHECKING:
    from churn_clv.train import Run

CARD = "MODEL_CARD.md"
TASKS = {"churn": "Risk", "purchases": "Number of purchases", "value": "Value"}
# What the baselines are shown on; the first one of each task decides.
_BESIDE = {
    "churn": ("log_loss", "auc", "calibration_error"),
    "purchases": ("normalised_gini", "bias"),
    "value": ("normalised_gini", "top_10_percent_capture", "bias"),
}
_COMMANDS = """\
```sh
sha256sum --check --quiet --strict SHA256SUMS
PYTHONPATH=code python -BP -m churn_clv.delivery.production check .
PYTHONPATH=code python -BP -m churn_clv.delivery.production score . ../customers.csv ../scores.csv
```"""


def model_card(run: Run) -> str:
    """Return the card of a run's production model as Markdown."""
    unit = Unit(run.config.data.currency, run.models.settings.value_is)
    sections = {
        "What it answers, and for whom": _purpose(run, unit),
        "What it must not be used for": _misuse(run),
        "How to check and score": _use(),
        "The data it learned from": _data(run, unit),
        "What the words mean": _definitions(run, unit),
        "The customer table: what it reads": _columns(run, unit),
        "How it was made": _making(run, unit),
        "How good it was on the holdout": _accuracy(run),
        "Where it loses": _losses(run),
        "Whether it kept its promises, tier by tier": _tiers(run, unit),
        "Limits": _limits(run),
        "Where it comes from": _origin(run),
    }
    parts = [f"## {title}\n\n{text}" for title, text in sections.items()]
    return "\n\n".join([f"# Model card: {plain(run.config.name)}", *parts]) + "\n"


def _purpose(run: Run, unit: Unit) -> str:
    days = run.models.settings.horizon_days
    return "\n\n".join([
        f"For every customer who has bought at least once: how likely is no purchase in the next {days} days, what "
        f"{unit.noun} is to be expected in them, what is the customer worth over a longer time, and in which cell of the "
        "value-by-risk grid does that put him or her.",
        "It is for teams who decide whom to contact and how much to spend on it, and for those who plan with the totals. "
        "It scores customers it has never seen, and customers with a single purchase. It knows nothing of people who have "
        "not bought yet.",
    ])  # fmt: skip


def _misuse(run: Run) -> str:
    attributes = trained_attributes(run.models)
    read = f"It reads what you know of customers beside their purchases: {', '.join(map(code, attributes))}. Check that you may use that for your purpose." if attributes else ""  # fmt: skip
    return bullets(line for line in (
        "Nobody may use it to decide on credit, insurance, employment, access to a service, or the price that a person is "
        "asked. It was not made or tested for that, nor for fairness between groups of people.",
        "Nobody may treat single customers differently because of it without a randomised test of the treatment. A high risk "
        "is no uplift: those likely to leave are not those whom an offer keeps (Ascarza 2018).",
        "Do not add up value at risk and call it a saving. It is an upper bound of what inactivity costs.",
        "Reasons are not causes. Changing what a reason names need not change what the customer does.",
        "Do not score another business, another currency, or a log that was read by other rules.",
        read,
    ) if line)  # fmt: skip


def _use() -> str:
    return (
        "In the folder that was handed over, with Python and what `requirements.txt` names:\n\n" + _COMMANDS + "\n\n"
        "The first line compares every file with the list of digests. The digest of that list was announced when the model was "
        "handed over: compare it too (`sha256sum SHA256SUMS`). The second line scores made-up customers and demands the "
        "answers of training. Keep data and scores outside the folder: a file that is not listed is refused. A model is code: use it "
        "only from people you trust."
    )


def _data(run: Run, unit: Unit) -> str:
    windows, settings = run.windows, run.models.settings
    learned = ", ".join(f"{w.cutoff} ({w.horizon_days} days)" for w in windows.production_labels)
    rows = {
        "Rows of the log": f"{run.log.cleaning.rows_in} read, {run.log.cleaning.rows_out} kept",
        "Columns of the log that were read": plain(", ".join(_columns_read(run))),
        "Attributes of customers that the model reads": ", ".join(map(code, trained_attributes(run.models))) or "none",
        "Events beside purchases that it reads": ", ".join(map(code, settings.event_kinds)) or "none",
        "First day of the log": str(windows.first_day),
        "Judged: knows the log until (calibration_end)": str(windows.calibration_end),
        "Judged: compared with what followed until (holdout_end)": str(windows.holdout_end),
        "This model: knows the log until (trained_as_of)": str(windows.score_as_of),
        "Customers that its purchase and spend models fit": f"{run.models.purchases.n_customers_ or len(run.scores):.0f}",
        "Customers that its trees learned from, and that it was described for": str(len(run.scores)),
        "Customers it was judged on": str(run.judgement.customers),
        "Past outcomes that the risk learned from, if it learns": learned,
        "Horizon": f"{settings.horizon_days} days",
        "Currency": plain(
            run.config.data.currency or ("not named" if unit.has_amount else "none: the log has no amounts")
        ),
        "Value is": f"{settings.value_is}: all value columns count {plain(unit.axis)}"
        if unit.has_amount
        else "the number of purchase days",
        "Fingerprint of the data": code(run.fingerprint),
    }
    return table(["What", "Value"], [[plain(name), value] for name, value in rows.items()])


def _columns_read(run: Run) -> list[str]:
    """The roles that a column of the log plays, with the column's name where it is another one."""
    columns = known_columns(run.config.data.source, run.config.data.column_names())
    return [role if role == name else f"{role} ({name})" for role, name in columns.mapped().items()]


def _definitions(run: Run, unit: Unit) -> str:
    rows = [[t.name, code(t.column), plain(t.unit), plain(t.meaning)] for t in terms(run.models, unit)]
    return table(["Word", "Column", "Unit", "Meaning"], rows)


def _columns(run: Run, unit: Unit) -> str:
    rows = table(["Column", "Type", "Unit", "May be empty", "Meaning"], input_rows(run.models, unit))
    notes = (
        "One row a customer, as of one day. More columns do no harm. What is unknown of a customer is an empty cell."
    )
    levels = level_rows(run.models)
    if not levels:
        return f"{notes}\n\n{rows}"
    known = table(["Category", "Levels seen", "Which"], levels)
    return f"{notes}\n\n{rows}\n\nA level that was not seen in training counts as unknown.\n\n{known}"


def _making(run: Run, unit: Unit) -> str:
    grid = run.models.grid
    cuts = [["value", code(grid.value_axis), _cuts(grid.value_cuts), ", ".join(grid.value_tiers)],
            ["risk", code("churn_probability"), _cuts(grid.risk_cuts), ", ".join(grid.risk_tiers)]]  # fmt: skip
    fitted = [m for m in (run.models.purchases, run.models.spend) if m is not None]
    parameters = [[model(m), code(name), _number(value)] for m in fitted for name, value in m.params_.items()]
    return "\n\n".join([
        bullets(map(plain, methods(run, unit))),
        "The cuts of the grid were taken once and stay; a score on a cut belongs to the upper tier.",
        table(["Axis", "Column", "Cuts", "Tiers"], cuts),
        "Parameters of the production models; time in days.",
        table(["Model", "Parameter", "Value"], parameters),
    ])  # fmt: skip


def _accuracy(run: Run) -> str:
    judgement = run.judgement
    parts = [
        f"{judgement.customers} customers, of whom {percent(judgement.churn_rate, 1)} bought nothing. Standard errors by "
        "bootstrap over customers. The model that is handed over was fitted again on the whole log by the same methods; "
        "these figures are of the one that did not see the holdout."
    ]
    for task, title in TASKS.items():
        parts += [f"### {title}", _metrics(task, judgement.tables()[task]), _beside(task, judgement.tables()[task])]
    return "\n\n".join(parts)


def _metrics(task: str, figures: pd.DataFrame) -> str:
    rows = [
        [code(f"{task}/{metric}"), _number(row["value"]), _number(row["standard_error"], 2),
         plain(METRICS.get((task, str(metric)), MetricWords("", "")).reading)]
        for metric, row in figures.xs(RUN, level="model").iterrows()
    ]  # fmt: skip
    return table(["Metric", "This model", "Standard error", "How to read it"], rows)


def _beside(task: str, figures: pd.DataFrame) -> str:
    shown = [metric for metric in _BESIDE[task] if metric in figures.index.get_level_values("metric")]
    first = figures.loc[shown[0]]
    rows = []
    for name in first.index:
        cells = [f"{_number(row['value'])} ({_number(row['standard_error'], 2)})" if np.isfinite(row["value"]) else "none"
                 for row in (figures.loc[(metric, name)] for metric in shown)]  # fmt: skip
        words = "" if name == RUN else verdict(shown[0], first.loc[name])
        rows.append(["this model" if name == RUN else plain(NAMES.get(str(name), str(name))), *cells, words])
    return table(["Beside the baselines", *map(code, shown), f"By {code(shown[0])}"], rows)


def _losses(run: Run) -> str:
    lines = against_rivals(run)
    return bullets(map(plain, lines)) if lines else "No baseline was better on any metric by more than the error."


def _tiers(run: Run, unit: Unit) -> str:
    if not margins_are_shown(run, run.judged_grid):
        return (
            "Not shown: cells of the grid have too few customers to be shown, and could be worked out from the tiers."
        )
    judged, grid = run.judged.assign(churned=run.judged["purchases"] == 0), run.judged_models.grid
    risk = judged.groupby("risk_tier")[["churn_probability", "churned"]].mean().reindex(grid.risk_tiers)
    members = judged["risk_tier"].value_counts().reindex(grid.risk_tiers, fill_value=0)
    low, high = wilson(risk["churned"], members)
    risks = [
        [tier, str(members[tier]), _number(row["churn_probability"]), _number(row["churned"]),
         f"{_number(low[tier], 3)} to {_number(high[tier], 3)}"]
        for tier, row in risk.iterrows()
    ]  # fmt: skip
    value = judged.groupby("value_tier")[["expected_spend", "spend"]].mean().reindex(grid.value_tiers)
    holders = judged["value_tier"].value_counts().reindex(grid.value_tiers, fill_value=0)
    values = [[tier, str(holders[tier]), _number(row["expected_spend"]), _number(row["spend"])] for tier, row in value.iterrows()]  # fmt: skip
    counted = plain(unit.axis)
    return "\n\n".join([
        table(["Risk tier", "Customers", "Promised churn", "Realised churn", "95 % interval"], risks),
        table(["Value tier", "Customers", f"Promised a customer, {counted}", f"Realised a customer, {counted}"], values),
    ])  # fmt: skip


def _limits(run: Run) -> str:
    from churn_clv.delivery.run_tags import warnings_of  # names runs by their folders, and a folder holds this card

    fitted = [m for m in (run.models.purchases, run.models.spend) if m is not None]
    boundaries = [f"{model(m)}: {m.diagnosis_}" for m in fitted if m.diagnosis_]
    lines = [
        f"The horizon is {run.models.settings.horizon_days} days. Over another one the purchase model carries the forecast, and "
        "tiers, segment and action are empty.",
        "It knows no growth, season, campaign or price that the log did not show. It ages: compare its promises with what "
        "happened, every month.",
        *(boundaries or ["No parameter lies on a boundary."]),
        *doubts(run),
        _outside(run.outside_training),
        *warnings_of(run),
    ]
    return bullets(plain(line) for line in dict.fromkeys(lines) if line)


def _outside(shares: pd.Series, most: int = 5) -> str:
    """Where today's customers lie beyond what the trees have seen, the largest shares first."""
    if shares.empty:
        return ""
    beyond = shares[shares > 0].nlargest(most)
    if beyond.empty:
        return "No customer lies outside the range that the trees learned from."
    told = ", ".join(f"{feature(str(name))} {percent(share, 1)}" for name, share in beyond.items())
    return f"Customers outside the range that the trees learned from, where they answer as at its edge: {told}."


def _origin(run: Run) -> str:
    tags, config = code_tags(), run.config
    changed = ", with changes that were not committed" if tags.get("git_dirty") == "true" else ""
    seeds = f"models {config.churn.seed}, bootstrap {config.evaluation.seed}, segments {config.segments.seed}"
    rows = {
        "Program": f"churn-clv {__version__}",
        "Commit": plain(tags.get("mlflow.source.git.commit", "not known: trained outside a checkout")) + changed,
        "Libraries": plain(tags["libraries"]),
        "Seeds": seeds,
        "Training time": f"{sum(run.seconds.values()):.1f} seconds",
        "License": "Apache-2.0 for the code; the parameters belong to whoever owns the log",
    }
    return table(["What", "Value"], [[name, value] for name, value in rows.items()])


def _cuts(cuts: Sequence[float]) -> str:
    return ", ".join(f"{cut:.12g}" for cut in cuts) or "none"


def _number(value: float, digits: int = 4) -> str:
    if not np.isfinite(value):
        return "none"
    return f"{value:.0f}" if abs(value) >= 10**digits else f"{value:.{digits}g}"
