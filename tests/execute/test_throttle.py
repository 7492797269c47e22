"""Pressure on the server stops a walk until it has gone; the terminal, Dagster and `status` say which."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.execute.slow import slow_items
from tests.scene import Scene

from crossfade.execute import Progress
from crossfade.execute.fault import no_fault
from crossfade.execute.site import Site
from crossfade.execute.status import read_status
from crossfade.execute.throttle import Throttle
from crossfade.server import LocalServer

ROWS = 1_500
ITEMS = slow_items(ROWS)
SPEC = """
changes: [{{add_column: {{table: items, column: lowered, type: text, up: slowly(name)}}}}]
backfill: {{workers: 1, target: 50ms, pause_when: {{{limit}}}}}
"""


@pytest.fixture
def scene_alone(own_server: LocalServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Scene]:
    """A scene on a server of its own: WAL and replicas are the server's, and other tests write WAL too."""
    made = Scene(tmp_path, {"app": own_server.create_database("app")}, monkeypatch.setenv)
    yield made
    made.close()


@contextmanager
def running(scene: Scene) -> Generator[Callable[[], str]]:
    """The migration runs beside the block, which gets why it waits now, "" while it does not."""
    run = threading.Thread(target=scene.up, kwargs={"through": "backfill"})
    run.start()
    try:
        yield lambda: next((each.throttled or "" for each in reversed(list(scene.seen(Progress)))), "")
    finally:
        run.join(240)
    assert not run.is_alive(), "the walk does not end"


def until(told: Callable[[], str], wanted: str) -> None:
    deadline = time.monotonic() + 120
    while wanted not in told():
        assert time.monotonic() < deadline, f"it does not wait for {wanted!r}"
        time.sleep(0.05)


@contextmanager
def site_of(scene: Scene) -> Generator[Site]:
    """Its database under the lease of a runner, the first phase done."""
    settings = scene.runner().plan(scene.migration()).settings
    scene.up(through="expand")
    site = Site(scene.project().databases["app"], "m", "a test", settings, scene.notices.append, no_fault, scene.root)
    try:
        yield site
    finally:
        site.close()


def until_share(throttle: Throttle, wanted: Callable[[float], bool]) -> float:
    deadline = time.monotonic() + 120
    while not wanted(share := throttle.share):
        assert time.monotonic() < deadline, f"the share of a batch stays {share}"
        time.sleep(0.05)
    return share


def filled(scene: Scene) -> int:
    with scene.connect() as app:
        row = app.execute("SELECT count(lowered) FROM items").fetchone()
    assert row is not None
    return int(row[0])


def assert_it_stands_still(scene: Scene) -> None:
    """At most the batch that was under way is written."""
    time.sleep(0.3)
    before = filled(scene)
    time.sleep(1.0)
    assert filled(scene) == before < ROWS


@contextmanager
def old_transaction(scene: Scene) -> Generator[psycopg.Connection[Any]]:
    """A session with a snapshot that it keeps until it commits."""
    with scene.connect() as reporter:
        reporter.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        reporter.execute("SELECT count(*) FROM pg_class")
        yield reporter


@contextmanager
def two_blocked_sessions(scene: Scene) -> Generator[psycopg.Connection[Any]]:
    """They wait until the session that is given commits."""
    scene.sql("CREATE TABLE other (id int)")
    with scene.connect() as holder:
        holder.execute("BEGIN")
        holder.execute("LOCK TABLE other")
        blocked = [threading.Thread(target=scene.connect().execute, args=("SELECT FROM other",)) for _ in range(2)]
        for thread in blocked:
            thread.start()
        yield holder
        for thread in blocked:
            thread.join()


# Each subtransaction that writes takes a transaction id; a table's freeze_max_age is at least so many.
BURNED = """
ALTER TABLE items SET (autovacuum_enabled = off);
CREATE TABLE burned (n int) WITH (autovacuum_enabled = off);
CREATE TABLE old WITH (autovacuum_freeze_max_age = 100000) AS
  SELECT i, repeat('x', 1000) AS filler FROM generate_series(1, 4000) AS i;
DO $$ BEGIN
  FOR i IN 1 .. 101000 LOOP
    BEGIN INSERT INTO burned VALUES (i); EXCEPTION WHEN division_by_zero THEN NULL; END;
  END LOOP;
END $$"""
SLOW_AUTOVACUUM = {
    "autovacuum_naptime": "1s",
    "autovacuum_vacuum_cost_delay": "100ms",
    "autovacuum_vacuum_cost_limit": "1",
}


@contextmanager
def anti_wraparound_vacuum(scene: Scene) -> Generator[Callable[[], None]]:
    """One is running, for much longer than the test takes; what is given ends it for good."""
    vacuums = (
        "SELECT pid FROM pg_stat_activity WHERE backend_type = 'autovacuum worker'"
        " AND query LIKE '%public.old (to prevent wraparound)'"
    )

    def end() -> None:
        scene.sql("ALTER SYSTEM SET autovacuum = off")
        scene.sql("SELECT pg_reload_conf()")
        while scene.sql(f"SELECT pg_terminate_backend(pid) FROM ({vacuums}) AS v"):
            time.sleep(0.1)

    scene.sql(BURNED)
    for name, value in SLOW_AUTOVACUUM.items():
        scene.sql(f"ALTER SYSTEM SET {name} = '{value}'")
    scene.sql("ALTER SYSTEM SET autovacuum = on")
    scene.sql("SELECT pg_reload_conf()")
    try:
        deadline = time.monotonic() + 60
        while not scene.sql(vacuums):
            assert time.monotonic() < deadline, "no anti-wraparound vacuum comes"
            time.sleep(0.1)
        yield end
    finally:
        end()


def test_a_replica_that_does_not_replay_stops_the_walk_until_it_does(
    own_server: LocalServer, scene_alone: Scene
) -> None:
    scene = scene_alone
    scene.sql(ITEMS)
    scene.spec(SPEC.format(limit="replica_lag: 100ms"))
    with own_server.replica() as replica, psycopg.connect(replica.url, autocommit=True) as standby:
        standby.execute("SELECT pg_wal_replay_pause()")
        with running(scene) as told:
            until(told, "a replica is")
            assert_it_stands_still(scene)
            (status,) = read_status(scene.project())
            standby.execute("SELECT pg_wal_replay_resume()")

    assert "a replica is" in status.waits_for
    assert filled(scene) == ROWS


def test_sessions_that_wait_for_locks_stop_the_walk_until_they_have_them(scene: Scene) -> None:
    scene.sql(ITEMS)
    scene.spec(SPEC.format(limit="blocked_sessions: 2"))
    scene.up(through="expand")
    with two_blocked_sessions(scene) as holder, running(scene) as told:
        until(told, "2 sessions wait for locks (limit 2)")
        assert_it_stands_still(scene)
        holder.execute("COMMIT")

    assert filled(scene) == ROWS


def test_the_walk_stops_where_it_visits_rows_again_too(scene: Scene) -> None:
    scene.sql(ITEMS)
    scene.spec(SPEC.format(limit="blocked_sessions: 2"))
    scene.up(through="expand")
    with scene.connect() as writer, running(scene) as told:
        writer.execute("BEGIN")
        writer.execute("SELECT FROM items WHERE id = 700 FOR UPDATE")
        until(told, "rows were held by others")
        with two_blocked_sessions(scene) as holder:
            until(told, "2 sessions wait for locks (limit 2)")
            writer.execute("ROLLBACK")
            assert_it_stands_still(scene)
            holder.execute("COMMIT")

    assert filled(scene) == ROWS


def test_an_old_transaction_stops_the_walk_until_it_ends(scene: Scene) -> None:
    scene.sql(ITEMS)
    scene.spec(SPEC.format(limit="transaction_age: 300ms"))
    with old_transaction(scene) as reporter, running(scene) as told:
        until(told, "and holds back vacuum (limit 0.3 s)")
        assert_it_stands_still(scene)
        reporter.execute("COMMIT")

    assert filled(scene) == ROWS


def test_an_anti_wraparound_vacuum_stops_the_walk_until_it_ends(own_server: LocalServer, scene_alone: Scene) -> None:
    scene = scene_alone
    scene.sql(ITEMS)
    scene.spec(SPEC.format(limit="transaction_age: 1h"))
    scene.up(through="expand")
    with anti_wraparound_vacuum(scene) as end, running(scene) as told:
        until(told, "an anti-wraparound vacuum runs")
        assert_it_stands_still(scene)
        (status,) = read_status(scene.project())
        end()

    assert "an anti-wraparound vacuum runs" in status.waits_for
    assert filled(scene) == ROWS


def test_wal_is_written_no_faster_than_the_limit_for_long(scene_alone: Scene) -> None:
    scene_alone.sql(ITEMS)
    scene_alone.spec(SPEC.format(limit="wal_rate: 100kB"))

    with running(scene_alone) as told:
        until(told, "WAL grows by")

    assert filled(scene_alone) == ROWS


def test_no_limit_is_said_once_the_walk_goes_on(scene: Scene) -> None:
    scene.sql(ITEMS)
    scene.spec(SPEC.format(limit="transaction_age: 300ms"))
    with old_transaction(scene) as reporter, running(scene) as told:
        until(told, "holds back vacuum")
        reporter.execute("COMMIT")

    (status,) = read_status(scene.project())
    assert "vacuum" not in status.waits_for


def test_batches_get_shorter_while_a_client_waits_for_their_rows_and_longer_again_after(scene: Scene) -> None:
    """As the workers of a walk are told: they write under the site's name, as `worker` does here."""
    scene.sql(ITEMS)
    scene.spec(SPEC.format(limit="transaction_age: 1h"))

    with site_of(scene) as site, Throttle(site, "walk") as throttle:
        with scene.connect() as client:
            site.work.execute("BEGIN")
            site.work.execute("SET LOCAL idle_in_transaction_session_timeout = 0")  # a worker would not idle
            site.work.execute("UPDATE items SET name = 'Mine' WHERE id = 1")
            waiting = threading.Thread(target=client.execute, args=("DELETE FROM items WHERE id = 1",))
            waiting.start()
            while_it_waits = until_share(throttle, lambda share: share < 0.2)
            site.work.execute("COMMIT")
            waiting.join()
        until_share(throttle, lambda share: share > while_it_waits)
