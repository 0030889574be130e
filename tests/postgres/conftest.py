"""A scratch PostgreSQL of the distribution's package, on a free port of this machine only."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

OWNER = "postgres"  # initdb refuses to run as root; the package makes this account


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The SQLAlchemy address of an empty database, driver psycopg; the server is stopped and removed afterwards."""
    programs = _programs()
    # not below pytest's own folder, which only its owner may enter
    place = Path(tempfile.mkdtemp(prefix="churn-clv-postgres-"))
    if os.getuid() == 0:
        shutil.chown(place, OWNER)
    data, port = place / "data", _free_port()
    _as_owner(
        programs / "initdb", "--pgdata", data, "--auth=trust", f"--username={OWNER}", "--no-sync", "--encoding=UTF8"
    )
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={place} -c fsync=off"
    try:
        _as_owner(programs / "pg_ctl", "start", "--wait", "-D", data, "-l", place / "log", "-o", options)
        yield f"postgresql+psycopg://{OWNER}@127.0.0.1:{port}/postgres"
    finally:
        if (data / "postmaster.pid").exists():
            _as_owner(programs / "pg_ctl", "stop", "--wait", "--mode=immediate", "-D", data)
        shutil.rmtree(place)


def _programs() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    assert found, "the PostgreSQL tests need initdb; install the package postgresql"
    return found[-1].parent


def _as_owner(*command: str | Path) -> None:
    switch = ["runuser", "-u", OWNER, "--"] if os.getuid() == 0 else []
    # to a file, not a pipe: the server keeps it open
    with tempfile.TemporaryFile("w+") as said:
        done = subprocess.run([*switch, *map(str, command)], stdout=said, stderr=said, cwd="/", check=False)
        said.seek(0)
        assert done.returncode == 0, said.read()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
