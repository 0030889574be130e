"""The commands on runs that are there already: log, promote, rollback, compare, monitor."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

RunName = Annotated[
    str, typer.Argument(help="A run's id, MODEL/VERSION or MODEL@ALIAS, such as churn-clv-cdnow@challenger.")
]
RunNames = Annotated[list[str], typer.Argument(help="Run folders, or ids or names of MLflow runs; two or more.")]


def log(
    folder: Annotated[Path, typer.Argument(help="The folder of a run, of a backtest or of monitoring.")],
) -> None:
    """Write to MLflow what a folder holds and MLflow has not taken, because it was not there or the program was stopped."""
    from churn_clv.delivery.leaderboard import reached
    from churn_clv.delivery.mlflow_page import log_page, waiting_page
    from churn_clv.delivery.store import check_store

    page = waiting_page(folder)
    check_store()
    logged = log_page(page, folder)
    if logged.model_version:
        print(f"Model   models:/{logged.model_name}/{logged.model_version}")
    print(f"MLflow  {reached(logged.page)}")


def promote(
    run: RunName,
    force: Annotated[
        str | None, typer.Option(metavar="REASON", help="Promote against the rule; the reason is recorded.")
    ] = None,
) -> None:
    """Make a run's model champion, if it beats the champion at past origins; a worse one is refused with exit code 1."""
    from churn_clv.delivery.promotion import promote as promoted
    from churn_clv.terminal import print_frame, progress_of

    with progress_of("promote") as progress:
        found = promoted(run, force, progress)
    for sentence in found.sentences:
        print(f"- {sentence}")
    if found.holdout is not None:
        print("Beside it, never sufficient: each run on its own holdout, with bootstrap standard errors")
        print_frame(found.holdout, "metric")
    before = f", until now {found.champion}" if found.champion and found.outcome != "already" else ""
    words = {
        "first": "is champion now: {}", "rule": "is champion now" + before + ": {}", "already": "stays: {}",
        "forced": "is champion now" + before + ", against the rule, because: {}",
        "refused": f"is not promoted, {found.champion} stays champion: {{}}. Against the rule: --force \"reason\"",
    }  # fmt: skip
    print(f"{found.candidate} {words[found.outcome].format(found.reason)}")
    raise typer.Exit(0 if found.granted else 1)


def rollback(
    model: Annotated[str, typer.Argument(help="A registered model, such as churn-clv-cdnow.")],
    reason: Annotated[str, typer.Option(help="Why; it is recorded.")] = "",
) -> None:
    """Make the champion before the present one champion again; twice goes back two."""
    from churn_clv.delivery.champions import roll_back
    from churn_clv.delivery.store import check_store

    check_store()
    now, before = roll_back(model, reason)
    print(f"{model}: version {before} is champion again, {now} no longer")


def compare(
    runs: RunNames,
    out: Annotated[Path, typer.Option(help="Folder for comparison.html and comparison.png.")] = Path("comparison"),
) -> None:
    """Compare runs: figures with standard errors, which is best beyond the error, and what their settings differ in."""
    from churn_clv.delivery.compare import DECISIVE, apart, comparison_of, differences, paired_sentences, read_runs
    from churn_clv.delivery.comparison_page import LEGEND, write_comparison_page
    from churn_clv.terminal import print_frame

    found = read_runs(runs)
    print_frame(comparison_of(found), "metric")
    print(apart(found) or LEGEND)
    for sentence in paired_sentences(found, DECISIVE):
        print(f"- {sentence}")
    settings = differences(found)
    if settings.empty:
        print("Settings: no difference that every run names")
    else:
        print_frame(settings, "setting")
    for path in write_comparison_page(found, out):
        print(f"wrote {path}")


def monitor(
    old: Annotated[Path, typer.Argument(help="The run whose model is watched: a run folder, or a folder of runs.")],
    new: Annotated[Path, typer.Argument(help="A later log, a later customer table, or a later run.")],
    as_of: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Day of the later customers; left out, the log's last."),
    ] = None,
    attributes: Annotated[Path | None, typer.Option(help="Attributes of the later log's customers.")] = None,
    events: Annotated[Path | None, typer.Option(help="Events of the later log's customers.")] = None,
    out: Annotated[Path, typer.Option(help="Where folders of what was found are written.")] = Path("runs"),
) -> None:
    """Has a model aged? Exit code 0: as it was, 3: watch it, 4: retrain it."""
    from churn_clv.delivery.leaderboard import reached
    from churn_clv.delivery.monitor_folder import monitor_model, write_monitoring
    from churn_clv.delivery.store import check_store
    from churn_clv.delivery.tracking import log_monitoring

    check_store()
    started = datetime.now(UTC)
    monitored = monitor_model(old, new, as_of.date() if as_of else None, attributes, events)
    folder = write_monitoring(monitored, out, started)
    found = monitored.found
    print(
        f"{found.as_of_before} to {found.as_of_after}, {found.customers.both:,} customers on both days: {found.verdict}"
    )
    for reason in found.reasons:
        print(f"- {reason.sentence} ({reason.verdict})")
    for remark in [*([found.no_promise] if found.no_promise else []), *monitored.remarks]:
        print(f"- {remark}")
    print(f"Page    {folder / 'monitor.html'}\nMLflow  {reached(log_monitoring(monitored, folder))}")
    raise typer.Exit({"as it was": 0, "watch": 3, "retrain": 4}[found.verdict])
