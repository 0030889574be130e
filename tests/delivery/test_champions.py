"""Champions stand on each other like plates: the alias is the truth, the record says what lies beneath."""

from __future__ import annotations

import mlflow
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn_clv.delivery.champions import (
    Candidate,
    Event,
    champion_of,
    champions,
    crown_version,
    events,
    find,
    roll_back,
)
from churn_clv.errors import InputError


class Killed(Exception):
    """Stands for a process that ends between two writes."""


@pytest.fixture
def shop(empty_store: str, monkeypatch: pytest.MonkeyPatch) -> list[Candidate]:
    """A registered model `shop` with four versions of runs that finished."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", empty_store)
    mlflow.set_tracking_uri(empty_store)
    client = mlflow.MlflowClient()
    client.create_registered_model("shop")
    versions = []
    for _ in range(4):
        with mlflow.start_run() as run:
            added = client.create_model_version("shop", source="file:///nowhere", run_id=run.info.run_id)
        versions.append(Candidate("shop", str(added.version), run.info.run_id))
    return versions


def crown(candidate: Candidate, how: str = "rule") -> None:
    crown_version(candidate, champion_of("shop"), how, "because", {"promotion_duels": "won"})


def now() -> str | None:
    found = champion_of("shop")
    return found.version if found else None


def test_rolling_back_twice_goes_back_two_and_then_there_is_none(shop: list[Candidate]):
    for candidate in shop[:3]:
        crown(candidate)
    assert roll_back("shop") == ("3", "2")
    assert roll_back("shop") == ("2", "1")
    with pytest.raises(InputError, match="version 1 is the first champion on record"):
        roll_back("shop")
    assert now() == "1"


def test_after_a_rollback_the_next_champion_stands_on_the_one_that_is_back(shop: list[Candidate]):
    crown(shop[0])
    crown(shop[1])
    roll_back("shop")
    crown(shop[2])
    assert roll_back("shop") == ("3", "1")


def test_an_older_version_crowned_again_does_not_make_rolling_back_go_round(shop: list[Candidate]):
    for k in (0, 1, 0):
        crown(shop[k])
    assert roll_back("shop") == ("1", "2")
    assert roll_back("shop") == ("2", "1")
    with pytest.raises(InputError, match="none before it"):
        roll_back("shop")


def test_every_change_is_recorded_with_version_when_how_and_why(shop: list[Candidate]):
    crown(shop[0], "first")
    crown(shop[1], "forced")
    roll_back("shop", "sales complained")
    assert [(e.version, e.before, e.how, e.why) for e in events("shop")] == [
        ("1", None, "first", "because"), ("2", "1", "forced", "because"), ("1", "2", "rollback", "sales complained"),
    ]  # fmt: skip
    assert all(e.at.startswith("20") for e in events("shop"))
    tags = mlflow.MlflowClient().get_model_version("shop", "2").tags
    assert (tags["promoted_by"], tags["promotion_reason"], tags["promotion_duels"]) == ("forced", "because", "won")
    assert tags["promoted_at"]


WRITES = ["set_model_version_tag", "set_registered_model_tag", "set_registered_model_alias"]


@pytest.mark.parametrize("write", WRITES)
def test_a_kill_before_any_write_of_a_promotion_leaves_the_old_champion(shop: list[Candidate], write: str, monkeypatch):
    crown(shop[0])
    crown(shop[1])

    def killed(*arguments: object, **named: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(mlflow.MlflowClient, write, killed)
        with pytest.raises(Killed):
            crown(shop[2])
    assert now() == "2"
    assert roll_back("shop") == ("2", "1")  # what was recorded and never took effect does not count
    crown(shop[3])
    assert roll_back("shop") == ("4", "1")


def test_of_two_promotions_at_once_the_slower_is_told_who_was_faster(shop: list[Candidate]):
    seen = champion_of("shop")
    crown_version(shop[0], seen, "rule", "", {})
    with pytest.raises(
        InputError, match="^shop/2: shop/1 became champion of shop while this one was compared with nobody"
    ):
        crown_version(shop[1], seen, "rule", "", {})
    assert champion_of("shop") == shop[0]
    assert len(events("shop")) == 1


def test_a_kill_within_a_rollback_leaves_the_champion_and_the_way_back(shop: list[Candidate], monkeypatch):
    for candidate in shop[:3]:
        crown(candidate)

    def killed(*arguments: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(mlflow.MlflowClient, "set_registered_model_alias", killed)
        with pytest.raises(Killed):
            roll_back("shop")
    assert now() == "3"
    assert roll_back("shop") == ("3", "2")
    assert roll_back("shop") == ("2", "1")


def test_an_alias_set_by_hand_is_a_champion_too(shop: list[Candidate]):
    crown(shop[0])
    mlflow.MlflowClient().set_registered_model_alias("shop", "champion", "3")
    crown(shop[3])
    assert roll_back("shop") == ("4", "3")
    assert roll_back("shop") == ("3", "1")


def test_a_deleted_champion_is_not_given_back(shop: list[Candidate]):
    crown(shop[0])
    crown(shop[1])
    mlflow.MlflowClient().delete_model_version("shop", "1")
    with pytest.raises(InputError, match="version 1, champion before 2, was deleted"):
        roll_back("shop")
    assert now() == "2"


def test_rolling_back_without_a_champion_is_one_line(shop: list[Candidate]):
    with pytest.raises(InputError, match="shop: has no champion"):
        roll_back("shop")
    with pytest.raises(InputError, match="no such registered model; there are: shop"):
        roll_back("shpo")


@given(st.lists(st.tuples(st.sampled_from(["promote", "rollback"]), st.booleans()), max_size=12))
def test_the_record_gives_back_the_plates_whatever_was_killed(steps: list[tuple[str, bool]]):
    """A plain stack beside the record; a killed step is recorded and changes nothing. Every promotion is a new version."""
    stack: list[str] = []
    history: list[Event] = []
    for number, (how, killed) in enumerate(steps):
        before = stack[-1] if stack else None
        if how == "rollback" and len(stack) < 2:
            continue
        version = stack[-2] if how == "rollback" else str(number)
        history.append(Event(version, before, how, "", ""))
        if not killed:
            stack = stack[:-1] if how == "rollback" else [*stack, version]
    assert champions(history, stack[-1] if stack else None) == stack


def test_a_version_is_found_by_run_version_and_alias(shop: list[Candidate]):
    mlflow.MlflowClient().set_registered_model_alias("shop", "challenger", "2")
    assert find(shop[1].run_id) == find("shop/2") == find("models:/shop@challenger") == shop[1]


def test_a_run_that_did_not_finish_is_no_candidate(shop: list[Candidate]):
    mlflow.MlflowClient().set_terminated(shop[2].run_id, "KILLED")
    with pytest.raises(InputError, match="is KILLED, not FINISHED"):
        find("shop/3")


@pytest.mark.parametrize("name", ["shop/9", "shop@nobody", "nix/1", "0" * 32, "shop/three", "shop"])
def test_what_is_not_there_is_one_line(shop: list[Candidate], name: str):
    with pytest.raises(InputError, match=f"^{name}: no such run, model/version or model@alias"):
        find(name)


def test_a_run_without_a_model_is_one_line(shop: list[Candidate]):
    with mlflow.start_run() as run:
        pass
    with pytest.raises(InputError, match="registered no model"):
        find(run.info.run_id)
