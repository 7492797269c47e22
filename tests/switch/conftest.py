"""Blue and green: two databases that PgBouncer's clients can be switched between."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Generator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from tests.conftest import fast_directory
from tests.execute.pgbouncer import PROGRAM, pgbouncer
from tests.scene import Scene
from tests.switch.scene import SCHEMA, Pooled, spelled

from crossfade.server import LocalServer, start_local


@pytest.fixture(scope="session")
def logical() -> Generator[LocalServer]:
    """One of its own: a slot is made when the transactions of the whole server are over."""
    with start_local(parent=fast_directory()) as server:
        yield server


@pytest.fixture
def pair(tmp_path: Path, logical: LocalServer, monkeypatch: pytest.MonkeyPatch) -> Generator[Scene]:
    """A project over two databases with the same tables, of which the first has rows."""
    names = [f"{tmp_path.name}_{colour}"[-50:] for colour in ("blue", "green")]
    with psycopg.connect(logical.url, autocommit=True) as admin:
        for name in names:
            admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    urls = [logical.url.rpartition("/")[0] + f"/{name}" for name in names]
    scene = Scene(tmp_path, dict(zip(("blue", "green"), urls, strict=True)), monkeypatch.setenv)
    for name in scene.urls:
        for statement in SCHEMA:
            scene.sql(statement, name)
    scene.sql("INSERT INTO planes (code) SELECT 'P' || i FROM generate_series(1, 500) AS i")
    scene.sql("INSERT INTO flights (plane, seats) SELECT 1 + i % 500, i FROM generate_series(1, 3000) AS i")
    scene.spec(spelled(tmp_path / "pgbouncer.ini"))
    monkeypatch.setenv("PGBOUNCER_URL", "postgresql://anybody@127.0.0.1:1/pgbouncer")
    yield scene
    scene.close()
    for url in urls:
        _unsubscribe(url)
    with psycopg.connect(logical.url, autocommit=True) as admin:
        admin.execute("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active")
        while admin.execute("SELECT 1 FROM pg_replication_slots WHERE active").fetchone():
            time.sleep(0.01)
        admin.execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")
        for name in names:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _unsubscribe(url: str) -> None:
    with psycopg.connect(url, autocommit=True, options="-c default_transaction_read_only=off") as session:
        found = session.execute(
            "SELECT subname FROM pg_subscription AS s JOIN pg_database AS d ON d.oid = s.subdbid"
            " WHERE d.datname = current_database()"
        ).fetchall()
        for name in (sql.Identifier(name) for (name,) in found):
            session.execute(sql.SQL("ALTER SUBSCRIPTION {} DISABLE").format(name))
            session.execute(sql.SQL("ALTER SUBSCRIPTION {} SET (slot_name = NONE)").format(name))
            session.execute(sql.SQL("DROP SUBSCRIPTION {}").format(name))


@pytest.fixture
def pooled(pair: Scene, monkeypatch: pytest.MonkeyPatch) -> Generator[Pooled]:
    """The same, with clients who come through PgBouncer."""
    if PROGRAM is None:
        pytest.skip("PgBouncer is not installed")
    place = Path(tempfile.mkdtemp(prefix="crossfade-test-", dir="/tmp"))
    place.chmod(0o755)
    with pgbouncer(pair.urls["blue"], place, "transaction") as url:
        pair.spec(spelled(place / "pgbouncer.ini"))
        monkeypatch.setenv("PGBOUNCER_URL", os.path.dirname(url) + "/pgbouncer")
        yield Pooled(pair, url, place / "pgbouncer.ini")
    shutil.rmtree(place)
