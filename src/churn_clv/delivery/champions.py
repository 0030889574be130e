"""Who is champion of a registered model, who was before, and how that changes: the alias is always set last.

The alias `champion` is the truth. Beside it the model carries one tag an event, `champion.<time>`, which is never
changed: the version, the one before it, how and why. An event without its alias, left by a kill in between, is
recognised and does not count.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from churn_clv.delivery.store import store_lock
from churn_clv.errors import InputError

ALIAS = "champion"
_EVENT = f"{ALIAS}."
_LONGEST_REASON = 500


@dataclass(frozen=True)
class Candidate:
    """A version of a registered model, and the run that trained it."""

    model: str
    version: str
    run_id: str

    def __str__(self) -> str:
        return f"{self.model}/{self.version}"


@dataclass(frozen=True)
class Event:
    """One change of the champion. how: rule, first, forced or rollback; before: the champion until then."""

    version: str
    before: str | None
    how: str
    why: str
    at: str


def find(run: str) -> Candidate:
    """Return the registered version meant by a run's id, `model/version` or `model@alias`.

    Raises
    ------
    InputError
        If there is none, or its run did not finish: a run killed half-way may have left a version nobody looked at.
    """
    import mlflow

    client = mlflow.MlflowClient()
    found = _version(client, run.removeprefix("models:/"))
    try:
        status = client.get_run(found.run_id or "none").info.status
    except mlflow.exceptions.MlflowException:
        raise InputError(f"{run}: the run that trained it is not in this store; train again") from None
    if status != "FINISHED":
        raise InputError(f"{run}: its run {found.run_id} is {status}, not FINISHED; train again")
    return Candidate(found.name, str(found.version), found.run_id)


def champion_of(model: str) -> Candidate | None:
    """Return the version to which the alias `champion` points; None where nobody is champion yet."""
    import mlflow

    client = mlflow.MlflowClient()
    version = registered(model).aliases.get(ALIAS)
    if version is None:
        return None
    return Candidate(model, str(version), client.get_model_version(model, str(version)).run_id)


def crown_version(candidate: Candidate, before: Candidate | None, how: str, why: str, tags: Mapping[str, str]) -> None:
    """Make a version champion and record it. Whatever is written before the alias changes nothing for anybody.

    Raises
    ------
    InputError
        If `before` is not champion any more: another promotion was faster.
    """
    with store_lock():
        now = champion_of(candidate.model)
        if now != before:
            raise InputError(
                f"{candidate}: {now or 'nobody'} became champion of {candidate.model} while this one was compared with "
                f"{before or 'nobody'}; nothing was changed, promote again"
            )
        _crown(candidate, before, how, why, tags)


def _crown(candidate: Candidate, before: Candidate | None, how: str, why: str, tags: Mapping[str, str]) -> None:
    import mlflow

    client = mlflow.MlflowClient()
    now = datetime.now(UTC)
    told = {
        "promoted_at": now.isoformat(timespec="seconds"),
        "promoted_by": how,
        "promotion_reason": why[:_LONGEST_REASON],
    }
    for key, value in (told | dict(tags)).items():
        client.set_model_version_tag(candidate.model, candidate.version, key, value)
    _record(candidate.model, Event(candidate.version, before.version if before else None, how, why, now.isoformat()))
    client.set_registered_model_alias(candidate.model, ALIAS, candidate.version)


def roll_back(model: str, why: str = "") -> tuple[str, str]:
    """Give the alias back to the champion before and return the versions, from and to.

    Raises
    ------
    InputError
        If there is no champion, none before it, or the one before was deleted.
    """
    with store_lock():
        return _roll_back(model, why)


def _roll_back(model: str, why: str) -> tuple[str, str]:
    import mlflow

    client = mlflow.MlflowClient()
    now = champion_of(model)
    if now is None:
        raise InputError(f"{model}: has no champion, so there is nothing to roll back; see churn-clv promote")
    standing = champions(events(model), now.version)
    if len(standing) < 2:
        raise InputError(f"{model}: version {now.version} is the first champion on record; there is none before it")
    target = standing[-2]
    try:
        client.get_model_version(model, target)
    except mlflow.exceptions.MlflowException:
        raise InputError(
            f"{model}: version {target}, champion before {now.version}, was deleted; promote another"
        ) from None
    _record(model, Event(target, now.version, "rollback", why, datetime.now(UTC).isoformat()))
    client.set_registered_model_alias(model, ALIAS, target)
    return now.version, target


def events(model: str) -> list[Event]:
    """Return every recorded change of the champion, oldest first."""
    tags = registered(model).tags
    return [Event(**json.loads(tags[key])) for key in sorted(tags) if key.startswith(_EVENT)]


def champions(history: Sequence[Event], now: str | None) -> list[str]:
    """Return the champions that stand on each other, the last of them the one of now; rolling back takes one off.

    Each event says who was champion when it was written, so one whose alias was never set, and an alias set by hand,
    are seen by the next event, or by `now`.

    Examples
    --------
    >>> def event(version, before, how="rule"):
    ...     return Event(version, before, how, "", "")
    >>> champions([event("1", None), event("2", "1"), event("3", "2")], now="3")
    ['1', '2', '3']
    >>> champions([event("1", None), event("2", "1"), event("1", "2", "rollback")], now="1")
    ['1']
    >>> champions([event("1", None), event("2", "1")], now="1")  # killed before the alias was set
    ['1']
    """
    standing: list[str] = []
    for event in history:
        standing = _settled(standing, event.before)
        standing = standing[:-1] if event.how == "rollback" else [*standing, event.version]
    return _settled(standing, now)


def _settled(standing: list[str], actual: str | None) -> list[str]:
    """What stood when `actual` was champion: without an event that did not take effect, with one set by hand."""
    if actual is None:
        return []
    if standing and standing[-1] == actual:
        return standing
    if len(standing) > 1 and standing[-2] == actual:
        return standing[:-1]
    return [*standing, actual]


def registered(model: str) -> Any:
    """Return a registered model.

    Raises
    ------
    InputError
        If there is none of this name.
    """
    import mlflow

    client = mlflow.MlflowClient()
    try:
        return client.get_registered_model(model)
    except mlflow.exceptions.MlflowException:
        known = ", ".join(sorted(found.name for found in client.search_registered_models(max_results=20)))
        raise InputError(f"{model}: no such registered model; there are: {known or 'none, train first'}") from None


def _record(model: str, event: Event) -> None:
    import mlflow

    content = asdict(event) | {"why": event.why[:_LONGEST_REASON]}
    # Tags' names may hold no colon or plus on every store.
    key = _EVENT + re.sub(r"\D", "", event.at.split("+")[0]).ljust(20, "0")
    mlflow.MlflowClient().set_registered_model_tag(model, key, json.dumps(content))


def _version(client: Any, run: str) -> Any:
    import mlflow

    try:
        if "@" in run:
            return client.get_model_version_by_alias(*run.rsplit("@", 1))
        if re.fullmatch(r"[^/]+/\d+", run):
            return client.get_model_version(*run.split("/"))
        client.get_run(run)
    except mlflow.exceptions.MlflowException:
        raise InputError(
            f"{run}: no such run, model/version or model@alias here; `churn-clv train` prints the model it registers"
        ) from None
    versions = client.search_model_versions(f"run_id = '{run}'")
    if not versions:
        raise InputError(f"run {run} registered no model: a backtest, a run on contracts, or one killed half-way")
    return max(versions, key=lambda version: int(version.version))
