"""What is left when the program is killed, stopped or refused, and that the next one clears it away and goes on."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import mlflow
import pytest

from churn_clv import model_commands, terminal
from churn_clv.config import load_config
from churn_clv.data.scratch import clear_dead, kernel, partial_name, scratch
from churn_clv.delivery import mlflow_page
from churn_clv.delivery.atomic import NameTaken, check_writable, whole_file, whole_folder
from churn_clv.delivery.mlflow_page import PAGE, Child, Page, check_experiment, log_later, log_page, waiting_page
from churn_clv.delivery.model_folder import write_model
from churn_clv.delivery.processes import TAG, end_dead_runs, is_gone, this_process
from churn_clv.delivery.run_folder import files_of
from churn_clv.delivery.store import check_store
from churn_clv.delivery.tracking import page_of_run
from churn_clv.errors import InputError
from churn_clv.train import Run

HOLDER = """
import sys, time
from pathlib import Path
from churn_clv.delivery.atomic import whole_folder
with whole_folder(Path(sys.argv[1])) as partial:
    (partial / "half.txt").write_text("half")
    print("holds it", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that is filling `tmp_path / "run"`."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER, tmp_path / "run"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "holds it\n"
    yield process
    process.kill()
    process.wait()


@pytest.fixture
def store(empty_store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> mlflow.MlflowClient:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", empty_store)
    mlflow.set_tracking_uri(empty_store)
    return mlflow.MlflowClient()


def test_what_a_living_process_fills_is_nobody_elses(holder: subprocess.Popen[str], tmp_path: Path):
    clear_dead(tmp_path)
    assert (partial_name(tmp_path / "run") / "half.txt").exists()
    with pytest.raises(NameTaken, match="another run is writing it"), whole_folder(tmp_path / "run"):
        pass
    assert not is_gone(_tag_of(holder))


def test_what_a_killed_process_left_is_cleared_away_and_its_name_is_free(
    holder: subprocess.Popen[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    tag = _tag_of(holder)
    os.kill(holder.pid, signal.SIGKILL)
    time.sleep(0.1)
    assert is_gone(tag)  # though its parent has not asked for it yet
    holder.wait()
    assert is_gone(tag)
    with whole_folder(tmp_path / "run") as partial:
        (partial / "whole.txt").write_text("whole")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["whole.txt"]
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path}: cleared away what a process that is gone had left unfinished: 1 hidden folder, 0.0 MB"
    ]


def test_only_folders_of_this_machines_processes_are_cleared_away(tmp_path: Path):
    others = [".run.0badc0de.partial", ".churn_clv_0badc0de_x", ".scores.csv.partial", f".churn_clv_{kernel()}_dead"]
    for name in others:
        (tmp_path / name).mkdir()
    with scratch(tmp_path) as own:
        clear_dead(tmp_path)
        assert {path.name for path in tmp_path.iterdir()} == {*others[:3], own.name}


def test_a_link_under_a_hidden_name_is_not_followed(tmp_path: Path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "data.csv").write_text("x")
    (tmp_path / f".churn_clv_{kernel()}_link").symlink_to(tmp_path / "mine")
    clear_dead(tmp_path)
    assert (tmp_path / "mine" / "data.csv").exists()


def test_runs_of_processes_that_are_gone_are_ended_and_no_others(
    store: mlflow.MlflowClient, holder: subprocess.Popen[str]
):
    own = this_process()[TAG]
    machine, room, _, began = own.rsplit(" ", 3)
    tags = {"own": own, "living": _tag_of(holder), "dead": f"{machine} {room} {os.getpid()} {int(began) - 1}",
            "elsewhere": f"{machine} 0badc0de-1 1 1", "strange": None}  # fmt: skip
    runs = {name: store.create_run("0", tags={TAG: tag} if tag else {}).info.run_id for name, tag in tags.items()}
    end_dead_runs()
    assert {name: store.get_run(run).info.status for name, run in runs.items()} == {
        name: "KILLED" if name == "dead" else "RUNNING" for name in tags
    }


def test_what_a_dead_server_did_not_take_is_logged_later_as_it_would_have_been(
    store: mlflow.MlflowClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    good = os.environ["MLFLOW_TRACKING_URI"]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:9")
    folder = _folder(tmp_path)
    with pytest.raises(InputError, match=f"is complete in {folder}; log it later: churn-clv log {folder}") as refused:
        log_page(_page(), folder)
    assert "secret" not in str(refused.value)
    assert "Connection refused" in str(refused.value)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", good)
    late, at_once = log_later(folder), log_page(_page(), folder)
    assert _told(store, late.run_id) == _told(store, at_once.run_id)
    with pytest.raises(InputError, match="nothing of it is left to log"):
        log_later(folder)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, lambda: SystemExit(143)])
def test_a_run_that_is_stopped_while_it_is_logged_is_killed_in_mlflow_and_can_be_logged_later(
    store: mlflow.MlflowClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: Callable[[], BaseException]
):
    def stopped(*arguments: object) -> None:
        raise stop()

    folder = _folder(tmp_path)
    with monkeypatch.context() as patch, pytest.raises((KeyboardInterrupt, SystemExit)):
        patch.setattr(mlflow_page, "_log_child", stopped)
        log_page(_page(), folder)
    [experiment] = [found.experiment_id for found in store.search_experiments() if found.name == "shop"]
    assert [run.info.status for run in store.search_runs([experiment])] == ["KILLED"]
    log_later(folder)
    assert not (folder / PAGE).exists()


@pytest.mark.parametrize(
    "content",
    [
        b"", b"[]", b"null", b'{"name": "a run', b"\xff\xfe{}", b"{}", b"[" * 100_000, b'{"name": 1e999}',
        b'{"children": [{}], "name": "a", "experiment": "b", "tags": {}, "params": {}, "metrics": {}, "files": []}',
        b'{"of a later version": 1, "name": "a", "experiment": "b", "tags": {}, "params": {}, "metrics": {}, "files": []}',
        b'{"tables": {"a": "[]"}, "name": "a", "experiment": "b", "tags": {}, "params": {}, "metrics": {}, "files": []}',
    ],
)  # fmt: skip
def test_a_page_that_is_damaged_is_named_in_one_line(tmp_path: Path, content: bytes):
    (tmp_path / PAGE).write_bytes(content)
    with pytest.raises(InputError, match="^[^\\n]*mlflow.json: is damaged or of another version: [^\\n]*$"):
        waiting_page(tmp_path)


@pytest.mark.parametrize(
    "changed",
    [
        {"files": [("../secret.txt", None)]}, {"files": [("/etc/hostname", None)]}, {"files": [(".", None)]},
        {"files": [("report.html", "../elsewhere")]}, {"files": [("link.txt", None)]}, {"files": [("sub", "sub")]},
        {"files": [("linked/secret.txt", None)]}, {"files": [("a\0b", None)]}, {"tables": {"../x": '{"data": []}'}},
        {"files": [], "model": "shop"},
    ],
)  # fmt: skip
def test_a_page_sends_nothing_from_outside_its_folder(tmp_path: Path, changed: dict[str, Any]):
    folder = _folder(tmp_path)
    (tmp_path / "secret.txt").write_text("a secret")
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    (folder / "sub").mkdir()
    (folder / "sub" / "link.txt").symlink_to(tmp_path / "secret.txt")
    (folder / "linked").symlink_to(tmp_path)
    (folder / "model").symlink_to(tmp_path)
    (folder / PAGE).write_text(json.dumps(asdict(replace(_page(), **changed))))
    with pytest.raises(InputError, match="it names a (file|link)"):
        waiting_page(folder)


def test_the_page_of_a_run_is_read_back_as_it_was_written(small_run: Run, tmp_path: Path):
    write_model(_folder(tmp_path) / "model", files_of(small_run))
    page = page_of_run(small_run, _folder(tmp_path))
    (tmp_path / PAGE).write_text(json.dumps(asdict(page)))
    assert waiting_page(tmp_path) == page


def test_a_folder_that_is_none_makes_no_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///never.db")
    with pytest.raises(InputError, match="^typo: holds no mlflow.json"):
        model_commands.log(Path("typo"))
    assert list(tmp_path.iterdir()) == []


def test_an_experiment_that_is_deleted_is_told_of_before_the_work_and_while_it_is_logged(
    store: mlflow.MlflowClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    number = store.create_experiment("shop")
    check_experiment("shop")
    check_experiment("another")
    store.delete_experiment(number)
    said = f"'shop' is deleted in MLflow: restore it .*--experiment-id {number}.*or set tracking.experiment"
    folder = _folder(tmp_path)
    with pytest.raises(
        InputError, match=f"{said}.*the run itself is complete in {folder}; log it later: churn-clv log"
    ):
        log_page(_page(), folder)
    monkeypatch.setattr(terminal, "train", lambda *_: pytest.fail("the work began"))
    config = load_config(Path(__file__).parents[1] / "configs" / "simulated.yaml", ["tracking.experiment=shop"])
    with pytest.raises(InputError, match=said):
        terminal.train_and_log(config, tmp_path / "out")
    store.restore_experiment(number)
    log_later(folder)


ANSWERS = {
    "nothing": None,
    "garbage": b"\x00\x01\x02",
    "a page": b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\nConnection: close\r\n\r\n<html></html>",
    "an error": b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    "come back in an hour": b"HTTP/1.1 503 Busy\r\nRetry-After: 3600\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    "drop by drop": b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n",
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_a_server_that_is_no_help_is_told_of_in_time(answer: str, monkeypatch: pytest.MonkeyPatch):
    """With a patience of 1 s for a request and no second one; it is 4 s and one more where nobody says otherwise."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_answering, args=(server, ANSWERS[answer]), daemon=True).start()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{server.getsockname()[1]}")
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        started = time.monotonic()
        try:
            with pytest.raises(
                InputError, match=r"^MLFLOW_TRACKING_URI: the store http://127\.0\.0\.1:\d+ does not answer: "
            ):
                check_store()
        finally:
            mlflow.set_tracking_uri(None)
    assert time.monotonic() - started < 5


def test_what_is_only_asked_whether_it_can_be_written_is_left_as_it_is_and_a_run_clears_it(
    store: mlflow.MlflowClient, tmp_path: Path
):
    dead = [tmp_path / f".churn_clv_{kernel()}_dead", tmp_path / "shop" / f".a.{kernel()}.partial"]
    for folder in dead:
        folder.mkdir(parents=True)
    check_writable(tmp_path / "shop")
    assert all(folder.exists() for folder in dead)
    terminal._make_ready(tmp_path / "shop", "shop")
    assert not any(folder.exists() for folder in dead)


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444])
def test_a_file_that_is_replaced_keeps_who_may_read_it(tmp_path: Path, mode: int):
    (tmp_path / "scores.csv").write_text("old")
    (tmp_path / "scores.csv").chmod(mode)
    whole_file(tmp_path / "scores.csv", lambda partial: partial.write_text("new"))
    assert (tmp_path / "scores.csv").read_text() == "new"
    assert stat.S_IMODE((tmp_path / "scores.csv").stat().st_mode) == mode


def test_a_full_disk_is_named_with_the_bytes_that_are_free_and_the_old_file_stays(tmp_path: Path):
    (tmp_path / "scores.csv").write_text("old")
    with pytest.raises(
        InputError, match=r"scores\.csv: cannot be written: No space left on device \([\d,]+ bytes free at "
    ):
        whole_file(tmp_path / "scores.csv", lambda partial: Path("/dev/full").write_text("x"))
    assert (tmp_path / "scores.csv").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["scores.csv"]


def test_sigterm_ends_a_training_in_time_with_a_last_word(empty_store: str, tmp_path: Path):
    config = Path(__file__).parents[1] / "configs" / "simulated.yaml"
    command = [sys.executable, "-m", "churn_clv.cli", "train", str(config), "--set", "data.simulated.customers=300"]
    process = subprocess.Popen(
        command, cwd=tmp_path, env=os.environ | {"MLFLOW_TRACKING_URI": empty_store}, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    while "fit as of" not in process.stderr.readline():
        assert process.poll() is None
    time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    last = process.stderr.read().splitlines()[-1]
    assert process.wait(5) == 128 + signal.SIGTERM
    assert last == "churn-clv: stopped; nothing unfinished was left under a final name"
    assert list(tmp_path.rglob("*")) == []


QUERY = """
import churn_clv.cli, duckdb
def app(standalone_mode):
    print("begins", flush=True)
    duckdb.connect().execute("SELECT max(hash(a.range + b.range)) FROM range(3_000_000) AS a, range(30_000) AS b").fetchall()
churn_clv.cli.app = app
churn_clv.cli.main()
"""


def test_ctrl_c_in_a_query_of_the_engine_is_a_stop_too():
    process = subprocess.Popen([sys.executable, "-c", QUERY], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "begins\n"
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)  # 3.5 s, and what a busy machine adds
    assert (process.returncode, said) == (130, "churn-clv: stopped; nothing unfinished was left under a final name\n")


def _tag_of(process: subprocess.Popen[str]) -> str:
    machine, room, _, _ = this_process()[TAG].rsplit(" ", 3)
    began = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[19]
    return f"{machine} {room} {process.pid} {began}"


def _folder(tmp_path: Path) -> Path:
    folder = tmp_path / "runs" / "20260101T000000Z"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.html").write_text("a report")
    return folder


def _page() -> Page:
    child = Child("origin", {"kind": "origin"}, {"as_of": "2024-01-01"}, {"churn/auc": 0.7})
    return Page(
        "a run", "shop", {"kind": "run"}, {"churn.method": "auto"}, {"churn/auc": 0.75}, [("report.html", None)],
        "name: shop\n", ("cdnow", "0123456789"), {"sample": '{"columns":["a"],"data":[[1.5],[null]]}'}, [child],
    )  # fmt: skip


def _told(store: mlflow.MlflowClient, run_id: str) -> list[object]:
    """What MLflow knows of a run and its children, without what is one run's own."""
    run = store.get_run(run_id)
    below = store.search_runs([run.info.experiment_id], f"tags.`mlflow.parentRunId` = '{run_id}'")
    artifacts = {item.path for item in store.list_artifacts(run_id)}
    texts = [
        mlflow.artifacts.load_text(f"runs:/{run_id}/{name}") for name in ("report.html", "config.yaml", "sample.json")
    ]
    kinds = [
        (found.data.params, found.data.metrics, found.data.tags["kind"], found.info.status) for found in (run, *below)
    ]
    return [run.info.run_name, kinds, artifacts, texts, [data.dataset.digest for data in run.inputs.dataset_inputs]]


def _answering(server: socket.socket, answer: bytes | None) -> None:
    """Take connections as long as the server is open; hold those that get no answer, or get it drop by drop."""
    held = []
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        connection.recv(65536)
        if answer is None:
            held.append(connection)
            continue
        connection.sendall(answer)
        if b"1000" in answer:
            threading.Thread(target=_drop, args=(connection,), daemon=True).start()
        else:
            connection.close()


def _drop(connection: socket.socket) -> None:
    with connection:
        for _ in range(30):
            try:
                connection.sendall(b" ")
            except OSError:
                return
            time.sleep(0.3)
