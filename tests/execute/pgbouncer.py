"""PgBouncer in front of a database, as Debian packages it."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict

from crossfade.server.account import unprivileged

PROGRAM = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/usr/local/bin")
INI = """
[databases]
pooled = {target}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
admin_users = anybody
default_pool_size = 4
"""


@contextmanager
def pgbouncer(url: str, place: Path, mode: str) -> Generator[str]:
    """Run it in `mode` before the database at `url`; gives the URL of the pooled one."""
    assert PROGRAM
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    parts = {key: value for key, value in conninfo_to_dict(url).items() if key in ("host", "port", "user", "password")}
    target = " ".join(f"{key}={value}" for key, value in parts.items())
    dbname = conninfo_to_dict(url)["dbname"]
    ini = place / "pgbouncer.ini"
    ini.write_text(INI.format(target=f"{target} dbname={dbname}", port=port, mode=mode))
    account = unprivileged()  # it refuses to run as root
    started = subprocess.Popen(
        [PROGRAM, "--quiet", str(ini)],
        user=account.uid if account else None,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    pooled = f"postgresql://anybody@127.0.0.1:{port}/pooled"
    try:
        _wait_for(pooled)
        yield pooled
    finally:
        started.terminate()
        started.wait(10)


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            psycopg.connect(url).close()
            return
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
