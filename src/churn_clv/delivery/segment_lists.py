"""Lists of customers to work with, one file a segment, and the tables behind them."""

from __future__ import annotations

import re
from itertools import chain, count
from pathlib import Path

import pandas as pd

from churn_clv.data.engine import quote
from churn_clv.data.privacy import PSEUDONYM, pseudonyms
from churn_clv.data.scratch import scratch
from churn_clv.delivery.atomic import whole_folder
from churn_clv.delivery.tables import read_table, write_table
from churn_clv.errors import InputError, nearest
from churn_clv.evaluation.shown import (
    shown_acceptance,
    shown_budgets,
    shown_changes,
    shown_cohorts,
    shown_groups,
    shown_moves,
    shown_profile,
    shown_quality,
)
from churn_clv.everyone import Everyone, gather
from churn_clv.segmentation import GRID, Segmentation
from churn_clv.segments.migration import migration_matrix
from churn_clv.train import Run

# What the person who works with a list needs of each customer.
LISTED = [
    "segment", "action", "channel", "contact", "contact_profit", "expected_outlay", "expected_spend", "value_if_active",
    "value_at_risk", "clv", "churn_probability", "p_alive", "frequency", "days_since_purchase", "value_to_date",
    "rfm_segment", "lifecycle_stage", "value_class", "pareto_tier", "cluster", "map_cluster", "reasons",
]  # fmt: skip
SUFFIXES = (".csv", ".parquet")
_NUMBERS = ("expected_spend", "T", "recency")
MOST_LISTS = 100
LONGEST_NAME = 60
# What Windows takes for devices, whatever the ending.
_DEVICES = frozenset({"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))})


def write_lists(customers: pd.DataFrame, scheme: str, folder: Path) -> list[Path]:
    """Write the customers of each segment of a scheme to ``<segment>.csv`` and ``<segment>.parquet``, best value first.

    Parameters
    ----------
    customers
        One row a customer by customer_id, with expected_spend and the scheme's column; written are the columns LISTED, as far
        as they are there, and the scheme's.

    Raises
    ------
    InputError
        If there is no such scheme, a customer has no segment, or the column tells customers and not segments.
    """
    _require_scheme(customers, scheme)
    columns = list(dict.fromkeys([*(name for name in LISTED if name in customers), scheme]))
    ordered = customers.sort_index(kind="stable").sort_values("expected_spend", ascending=False, kind="stable")
    paths = []
    names = _file_names(sorted(map(str, ordered[scheme].unique())))
    for segment, members in ordered[columns].groupby(scheme, sort=True, observed=True):
        paths += _both(members, folder / names[str(segment)])
    return paths


def write_segmentation(run: Run, folder: Path) -> None:
    """Write the lists of the run's customers to ``lists/`` and the tables about the segments to ``segments/``.

    Where the run stands on a panel, the lists are everyone's, as Parquet only; look-alikes stay the panel's.
    """
    found = run.segmentation
    if run.everyone is None:
        customers = listed(found)
        write_lists(customers, GRID, folder / "lists" / "grid")
        _both(
            customers.loc[customers["contact"], [n for n in LISTED if n in customers]], folder / "lists" / "to-contact"
        )
        _both(found.win_back, folder / "lists" / "win-back")
    else:
        _write_everyone(run.everyone, folder / "lists")
    _both(found.look_alikes.customers, folder / "lists" / "look-alikes")
    if len(found.prospects):
        _both(pd.DataFrame({"lifecycle_stage": "prospect"}, index=found.prospects), folder / "lists" / "prospects")
    for name, table in tables_of(run).items():
        write_table(table, folder / "segments" / f"{name}.csv")


def _write_everyone(everyone: Everyone, folder: Path) -> None:
    columns = ["customer_id", *(name for name in LISTED if name != "reasons")]
    _write_segments(everyone, GRID, everyone.segments(GRID), columns, folder / "grid")
    everyone.write("contact", [], "contact_profit DESC", columns, folder / "to-contact.parquet")
    everyone.write("win_back", [], "contact_profit DESC, value_at_risk DESC", columns, folder / "win-back.parquet")


def _write_segments(
    everyone: Everyone, scheme: str, segments: list[str], columns: list[str], folder: Path
) -> list[str]:
    names = _file_names(sorted(map(str, segments)))
    for segment, name in names.items():
        place = folder / f"{name}.parquet"
        everyone.write(
            f"CAST({quote(scheme)} AS VARCHAR) = ?", [segment], f"expected_spend DESC, {columns[0]}", columns, place
        )
    return [f"{name}.parquet" for name in names.values()]


def listed(found: Segmentation) -> pd.DataFrame:
    """Return today's customers with their segments and what is planned for each."""
    scores = found.production.scores
    planned = found.plan.drop(columns="segment").join(found.other_values)
    return scores.assign(days_since_purchase=scores["T"] - scores["recency"]).join(planned)


def tables_of(run: Run) -> dict[str, pd.DataFrame]:
    """Return the tables about the segments, without customers and without groups of few of them, name -> table."""
    found, cohorts = run.segmentation, shown_cohorts(run)
    moved = {
        f"migration_{m.before.day}_{m.after.day}": shown_moves(
            run, migration_matrix(m.before.scores[GRID], m.after.scores[GRID])
        )
        for m in found.movements
    }
    changed = pd.concat({
        (str(m.before.day), str(m.after.day), axis): shown_changes(run, table)
        for m in found.movements for axis, table in m.changes.items()
    }, names=["before", "after", "axis"]).droplevel(-1)  # fmt: skip
    tables = {
        "acceptance": shown_acceptance(run), "quality": shown_quality(run),
        **{f"outcomes_{name}": shown_groups(run, table) for name, table in found.outcomes.items()},
        **{f"budget_{name}": table for name, table in shown_budgets(run).items()},
        **{f"profile_{name}": shown_profile(run, name)[1] for name in found.profiles},
        **{name: table.rename_axis("from") for name, table in moved.items()}, "what_changed": changed,
        "cohorts": cohorts.table, "cohort_activity": cohorts.activity,
        "cohort_calibration": cohorts.calibration, "cohort_fit": cohorts.fit,
    }  # fmt: skip
    return tables if cohorts.payback is None else tables | {"payback": cohorts.payback}


def lists_of(scores: Path, scheme: str, folder: Path, key: bytes | None = None) -> list[Path]:
    """Write the lists of a scheme from a score file into a new folder, which appears when it is complete.

    Parameters
    ----------
    key
        Of the pseudonyms that stand in place of the ids; None keeps the ids, for lists that stay.

    Raises
    ------
    InputError
        If the file is no score file, has no such scheme, or the folder exists.
    """
    if scores.is_dir():
        return _lists_of_everyone(scores, scheme, folder, key)
    table = read_table(scores)
    missing = [name for name in ("customer_id", *_NUMBERS) if name not in table]
    if missing:
        raise InputError(f"{scores}: no column {', '.join(missing)}, so these are no scores of a log")
    text = [name for name in _NUMBERS if not pd.api.types.is_numeric_dtype(table[name])]
    if text:
        raise InputError(f"{scores}: column {text[0]} holds text where numbers belong: score again")
    table = table.set_index("customer_id").assign(days_since_purchase=lambda t: t["T"] - t["recency"])
    if key is not None:
        table = table.set_axis(pseudonyms(table.index, key))
    with whole_folder(folder) as partial:
        names = [path.name for path in write_lists(table, scheme, partial)]
    return [folder / name for name in names]


def _lists_of_everyone(scores: Path, scheme: str, folder: Path, key: bytes | None) -> list[Path]:
    """As `lists_of`, from the parts of a large run, as Parquet only."""
    with whole_folder(folder) as partial, scratch(folder.parent) as spill:
        everyone = gather(scores, None, None, None, str(spill))
        if key is not None:
            everyone.add_pseudonyms(key)
        first = everyone.connection.sql("FROM scored LIMIT 1").df()
        if scheme not in first:
            _require_scheme(first, scheme)
        customers = everyone.totals([scheme])["customers"]
        _require_segments(scheme, int(customers.sum()), int(customers[customers.index.isna()].sum()), len(customers))
        columns = dict.fromkeys(
            ["customer_id" if key is None else PSEUDONYM, *(n for n in LISTED if n in first and n != "contact"), scheme]
        )
        names = _write_segments(everyone, scheme, everyone.segments(scheme), list(columns), partial)
        everyone.close()
    return [folder / name for name in names]


def _require_scheme(customers: pd.DataFrame, scheme: str) -> None:
    if scheme not in customers:
        raise InputError(f"no scheme {scheme!r} among the scores{nearest(scheme, [str(c) for c in customers.columns])}")
    _require_segments(scheme, len(customers), int(customers[scheme].isna().sum()), customers[scheme].nunique())


def _require_segments(scheme: str, customers: int, without: int, segments: int) -> None:
    if without:
        raise InputError(f"{without:,} of {customers:,} customers have no {scheme}: no list for them")
    if segments > MOST_LISTS:
        raise InputError(f"{scheme} has {segments:,} different values, more than {MOST_LISTS}: it names no segments")


def _both(table: pd.DataFrame, path: Path) -> list[Path]:
    paths = [path.with_name(path.name + suffix) for suffix in SUFFIXES]
    for one in paths:
        write_table(table, one)
    return paths


def _file_names(segments: list[str]) -> dict[str, str]:
    """A file's name for each segment: letters, digits and dashes; a number where two would be the same."""
    names: dict[str, str] = {}
    for segment in segments:
        slug = re.sub(r"[^a-z0-9]+", "-", segment.lower())[:LONGEST_NAME].strip("-") or "segment"
        first = f"segment-{slug}" if slug in _DEVICES else slug
        numbered = (f"{first}-{k}" for k in count(2))
        names[segment] = next(name for name in chain([first], numbered) if name not in names.values())
    return names
