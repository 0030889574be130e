"""Monitoring of a run's model: the customers of then and now are found, compared, and what was found is written."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd

from churn_clv.config import load_config
from churn_clv.customer_table import attribute_levels, check_table, score_table
from churn_clv.delivery.batch import open_new_log
from churn_clv.delivery.model_folder import ScoringModel, read_model
from churn_clv.delivery.monitor_page import monitor_figures_of, render_monitor_page
from churn_clv.delivery.run_folder import CUSTOMERS, PANEL_SCORES, latest_run, stamped_folder
from churn_clv.delivery.tables import TABLE_SUFFIXES, read_table
from churn_clv.errors import InputError
from churn_clv.evaluation.labels import Unit
from churn_clv.monitoring import LIMITS, Limits, Monitoring, monitor
from churn_clv.score_log import customer_table


@dataclass(frozen=True)
class Snapshot:
    """Customers as the model reads them, the day they are of, where they were read from, and what is unknown of them."""

    customers: pd.DataFrame
    as_of: date
    name: str
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Monitored:
    """What was found of a run's model, and what a page has to say beside it."""

    found: Monitoring
    run: Path
    names: tuple[str, str]
    unit: Unit
    experiment: str
    remarks: tuple[str, ...] = ()


def monitor_model(
    old: Path, new: Path, as_of: date | None = None, attributes: Path | None = None, events: Path | None = None
) -> Monitored:
    """Compare the customers that a run's model was made on with those of a later day, and its promise with what happened.

    Parameters
    ----------
    old
        A run folder, or a folder of runs (the newest counts).
    new
        A later log, a later customer table (then `as_of` is needed), or a later run.
    attributes, events
        Of the later log's customers, for a model that was trained with some.

    Raises
    ------
    InputError
        If a file cannot be read, or the later day is not later.
    """
    run = latest_run(old)
    model = read_model(run / "model")
    before = _of_run(model, run)
    after = _later(model, new, as_of, attributes, events)
    if any((folder / PANEL_SCORES).is_file() for folder in (run, *_runs_of(new))):
        before, after = _same_panel(before, after)
    elapsed = (after.as_of - before.as_of).days
    if elapsed < 1:
        raise InputError(
            f"{new}: its customers are of {after.as_of}, the model's of {before.as_of}: monitoring wants a later day"
        )
    models = model.models
    found = monitor(
        before.customers, after.customers, score_table(models, before.customers, before.as_of),
        score_table(models, after.customers, after.as_of),
        score_table(models, before.customers, before.as_of, elapsed), attribute_levels(models),
        before.as_of, after.as_of, limits_of(model.about["metrics"]),
    )  # fmt: skip
    config = load_config(run / "config.yaml")
    found = replace(found, smallest_group=config.privacy.smallest_group)
    unit = Unit(models.settings.currency, models.settings.value_is)
    return Monitored(
        found, run, (before.name, after.name), unit, config.tracking.experiment, after.remarks
    )  # fmt: skip


def limits_of(metrics: Mapping[str, float]) -> Limits:
    """Return the limits, as wide as the model's own error on its holdout was: what was known then is no news now.

    >>> limits_of({"value/bias": 0.25}).ratio_low, limits_of({"value/bias": 0.02}).ratio_low
    (0.8, 0.9)
    """
    bias = metrics.get("value/bias", 0.0)
    known = abs(math.log1p(bias)) if bias > -1 else 0.0
    low = min(LIMITS.ratio_low, math.exp(-known))
    return replace(LIMITS, ratio_low=low, ratio_high=max(LIMITS.ratio_high, math.exp(known)))


def write_monitoring(monitored: Monitored, root: Path, started: datetime) -> Path:
    """Write monitor.html and monitor.json into ``root/<config>-monitor/<time>/`` and return that folder."""
    found = monitored.found
    page = render_monitor_page(
        found, monitor_figures_of(found, monitored.unit), unit=monitored.unit, names=monitored.names,
        model_name=f"{monitored.run.parent.name} {monitored.run.name}", generated_at=started,
    )  # fmt: skip
    content = {
        "verdict": found.verdict, "reasons": [reason._asdict() for reason in found.reasons],
        "as_of_before": str(found.as_of_before), "as_of_after": str(found.as_of_after), "metrics": found.metrics,
    }  # fmt: skip

    def fill(folder: Path, name: str) -> None:
        (folder / "monitor.html").write_text(page, encoding="utf-8")
        (folder / "monitor.json").write_text(json.dumps(content, indent=1), encoding="utf-8")

    return stamped_folder(root / f"{monitored.run.parent.name}-monitor", started.astimezone(UTC), fill)


def _same_panel(before: Snapshot, after: Snapshot) -> tuple[Snapshot, Snapshot]:
    """Keep those whom the panels of both days would hold: customers are drawn by the digests of their ids."""
    digests = [pd.Series([hashlib.md5(i.encode(), usedforsecurity=False).hexdigest() for i in s.customers.index])
               for s in (before, after)]  # fmt: skip
    last = min(found.max() for found in digests)
    kept = [s.customers[(found <= last).to_numpy()] for s, found in zip((before, after), digests, strict=True)]
    remark = f"A run was judged on a panel: compared are {len(kept[0]):,} customers of the earlier day and those drawn alike of the later one."
    return replace(before, customers=kept[0]), replace(after, customers=kept[1], remarks=(*after.remarks, remark))


def _runs_of(new: Path) -> list[Path]:
    """The run that a place means, if it means one: its folder, or the newest below a folder of runs."""
    is_run = (new / "metrics.json").is_file() or any(new.glob("*/metrics.json"))
    return [latest_run(new)] if is_run else []


def _of_run(model: ScoringModel, run: Path) -> Snapshot:
    path = run / CUSTOMERS
    if not path.is_file():
        raise InputError(f"{run}: keeps no {CUSTOMERS} (an older churn-clv wrote it); train again")
    day = date.fromisoformat(json.loads((run / "metrics.json").read_text("utf-8"))["windows"]["score_as_of"])
    return Snapshot(check_table(model.models, read_table(path)), day, f"run {run.parent.name} {run.name}")


def _later(
    model: ScoringModel, new: Path, as_of: date | None, attributes: Path | None, events: Path | None
) -> Snapshot:
    if runs := _runs_of(new):
        return _of_run(model, runs[0])
    if new.suffix in TABLE_SUFFIXES and new.is_file() and _is_customer_table(new):
        if as_of is None:
            raise InputError(f"{new}: is a customer table, which does not say of which day it is: add --as-of")
        return Snapshot(check_table(model.models, read_table(new)), as_of, new.name)
    read = open_new_log(model, new, as_of, {}, {}, attributes, events)
    customers = customer_table(model.models, read.log, read.as_of, read.attributes)
    return Snapshot(check_table(model.models, customers), read.as_of, new.name, read.remarks)


def _is_customer_table(path: Path) -> bool:
    import pyarrow.parquet as parquet

    names = parquet.read_schema(path).names if path.suffix == ".parquet" else path.open(encoding="utf-8-sig").readline()
    return "recency" in names and "frequency" in names
