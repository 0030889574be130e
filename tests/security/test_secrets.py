"""S16: what opens a store or a database is said to nobody: not in an error, not among the words of a process."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import sqlalchemy as sa

from churn_clv.delivery import store
from churn_clv.delivery.database import database_table, rows_of
from churn_clv.delivery.leaderboard import reached
from churn_clv.delivery.store import check_store, without_credentials
from churn_clv.errors import InputError

CANARY = "canary-secret"


@pytest.mark.parametrize(
    "address",
    [
        f"postgresql://me:{CANARY}@host/db", f"postgresql://me:{CANARY}@x@host/db", f"postgresql://me:a/{CANARY}@host/db",
        f"http://{CANARY}@host:5000", f"mysql+pymysql://me:{CANARY}@host/db?ssl_ca=x", f"postgresql://host/db?password={CANARY}",
        f"postgresql://host/db?user=me&sslpassword={CANARY}&a=b", f"https://host/?access_token={CANARY}", f"s3://me:{CANARY}@bucket/x",
        f"could not connect to postgresql://me:{CANARY}@host/db, and to http://me:{CANARY}@other",
    ],
)  # fmt: skip
def test_no_form_of_a_password_stays_in_an_address_and_the_host_does(address: str) -> None:
    said = without_credentials(address)
    assert CANARY not in said
    assert re.search("host|bucket|other", said)


@pytest.mark.parametrize(
    "address",
    [
        pytest.param(f"postgresql://me:{CANARY}@127.0.0.1:1/x", marks=pytest.mark.odd),
        f"http://me:{CANARY}@127.0.0.1:1",
        f"nothing://me:{CANARY}@x/y",
    ],
)
def test_a_store_that_does_not_answer_is_named_without_its_password(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str], address: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(InputError, match="does not answer|MLFLOW_TRACKING_URI") as refused:
        check_store()
    out, err = capfd.readouterr()
    assert CANARY not in str(refused.value) + out + err
    assert not [path for path in tmp_path.rglob("*") if CANARY in str(path)]


@pytest.mark.parametrize("url", [f"postgresql://me:{CANARY}@127.0.0.1:1/x?table=t", f"nothing://me:{CANARY}@x/y?table=t",
                                 f"sqlite:///{CANARY}.db?password={CANARY}"])  # fmt: skip
def test_a_database_that_does_not_answer_is_named_without_its_password(url: str) -> None:
    with pytest.raises(InputError) as refused:
        rows_of(database_table(url))
    assert CANARY not in str(refused.value).replace(f"{CANARY}.db", "")


def test_an_address_is_not_in_the_representation_of_a_table() -> None:
    assert CANARY not in repr(database_table(f"postgresql://me:{CANARY}@host/db?table=t"))
    assert CANARY not in str(sa.make_url(f"postgresql://me:{CANARY}@host/db"))


def test_the_words_of_the_ui_process_hold_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everybody on a machine sees them; the environment of a process only its owner sees."""
    started: list[tuple[list[str], dict[str, str]]] = []

    class Server:
        pid = -1

        def __init__(self, command: list[str], env: dict[str, str], **_: object) -> None:
            started.append((command, env))

        def wait(self, *_: object, **__: object) -> int:
            return 0

        poll = wait

    address = f"postgresql://me:{CANARY}@host/db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    monkeypatch.setattr(store, "check_store", lambda: None)
    monkeypatch.setattr(store.subprocess, "Popen", Server)
    monkeypatch.setattr(store.signal, "signal", lambda *_: None)
    store.serve_ui(5000)
    [(command, environment)] = started
    assert CANARY not in " ".join(command)
    assert environment["MLFLOW_BACKEND_STORE_URI"] == address
    assert command[command.index("--host") + 1] == "127.0.0.1"
    assert command[command.index("--allowed-hosts") + 1] == "localhost:5000,127.0.0.1:5000"
    assert "--disable-security-middleware" not in command
    assert environment["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"


def test_a_link_that_is_printed_holds_no_password() -> None:
    assert CANARY not in reached(without_credentials(f"https://me:{CANARY}@host/#/experiments/1"))
