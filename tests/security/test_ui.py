"""S8: the MLflow UI is for this machine alone, asks of a page where it is from, and leaves no process behind."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = pytest.mark.odd
PROGRAM = Path(sys.executable).parent / "churn-clv"
SECRET = "canary-store"  # noqa: S105 (a word to look for)


@dataclass
class Ui:
    port: int
    process: subprocess.Popen[bytes]

    def status(self, method: str = "GET", path: str = "/", body: str | None = None, **headers: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, {"Content-Type": "application/json"} | named)
        return connection.getresponse().status


@pytest.fixture(scope="module")
def ui(migrated_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ui]:
    place = tmp_path_factory.mktemp("ui")
    store = shutil.copy(migrated_store, place / f"{SECRET}.db")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    with (place / "log").open("w") as log:
        process = subprocess.Popen(
            [PROGRAM, "ui", "--port", str(port)], cwd=place, stdout=log, stderr=log, start_new_session=True,
            env=environment | {"MLFLOW_TRACKING_URI": f"sqlite:///{store}"},
        )  # fmt: skip
    found = Ui(port, process)
    try:
        for _ in range(240):
            assert process.poll() is None, (place / "log").read_text()
            try:
                found.status()
                break
            except OSError:
                time.sleep(0.5)
        yield found
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=60)


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "localhost:{port}"])
def test_its_own_names_are_answered(ui: Ui, host: str) -> None:
    assert ui.status(Host=host.format(port=ui.port)) == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:{port}", "10.0.0.1", "10.0.0.1:{port}", "192.168.1.7:{port}", "172.16.0.1", "0.0.0.0:{port}",
     "[fd00::1]", "localhost.evil.example:{port}", "127.0.0.1:1", ""],
)  # fmt: skip
def test_any_other_name_is_refused_private_ones_included(ui: Ui, host: str) -> None:
    """A page of elsewhere whose name was made to point here (DNS rebinding) sends its own name."""
    assert ui.status(Host=host.format(port=ui.port)) in {400, 403}
    body = '{"name": "planted"}'
    assert ui.status("POST", "/api/2.0/mlflow/experiments/create", body, Host=host.format(port=ui.port)) in {400, 403}


@pytest.mark.parametrize("origin", ["https://evil.example", "http://10.0.0.1", "http://localhost.evil.example", "null"])
def test_a_page_of_elsewhere_cannot_write(ui: Ui, origin: str) -> None:
    body = '{"name": "planted"}'
    assert ui.status("POST", "/api/2.0/mlflow/experiments/create", body, Origin=origin) == 403
    assert ui.status("GET", "/api/2.0/mlflow/experiments/get-by-name?experiment_name=planted") == 404


def listening() -> set[tuple[str, int]]:
    """The addresses, as the kernel writes them, and ports at which somebody listens."""
    rows = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    ends = [row[1].split(":") for row in rows if row[3] == "0A"]
    return {(address, int(port, 16)) for address, port in ends}


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="reads Linux' list of sockets")
def test_it_listens_on_the_loopback_alone(ui: Ui) -> None:
    assert {address for address, port in listening() if port == ui.port} == {"0100007F"}


def commands() -> dict[int, str]:
    """What every process was started with."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found[int(path.parent.name)] = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
    return found


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="reads Linux' list of processes")
def test_the_address_of_its_store_stands_in_no_list_of_processes_and_ctrl_c_ends_them_all(ui: Ui) -> None:
    """Last in this file: it stops the server."""
    before = commands()
    ours = {pid for pid, words in before.items() if f"--port {ui.port}" in words or f"127.0.0.1:{ui.port}" in words}
    assert len(ours) >= 2, "the command and its server"
    assert not [words for words in before.values() if SECRET in words]
    children = {pid for pid in before if pid in ours or parent_of(pid) in ours}
    ui.process.send_signal(signal.SIGINT)
    ui.process.wait(timeout=60)
    time.sleep(1)
    left = {pid: words for pid, words in commands().items() if pid in children}
    assert left == {}
    assert not [end for end in listening() if end[1] == ui.port]


def parent_of(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    except OSError:
        return 0
