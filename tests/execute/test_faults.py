"""Servers that go away, sessions that are ended, tables that are rewritten: the run goes on or says why not."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import conninfo
from tests.execute.slow import slow_items
from tests.scene import Scene

from crossfade.catalog import UnsupportedServer
from crossfade.changes import Refused
from crossfade.execute import (
    Blocked,
    DatabaseUnreachable,
    ExecutionFailed,
    Notice,
    Progress,
    Runner,
    SpecEdited,
    StepFinished,
    StepRefused,
)
from crossfade.ledger import Ledger
from crossfade.server import LocalServer

ITEMS = """
CREATE TABLE items (id bigint PRIMARY KEY, name text, touched timestamptz);
INSERT INTO items SELECT i, 'Name ' || i FROM generate_series(1, 20000) AS i
"""
LOWERED = """
changes: [{add_column: {table: items, column: lowered, type: text, up: lower(name)}}]
backfill: {target: 20ms}
"""
END_SESSIONS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE application_name LIKE 'crossfade%m' AND datname = current_database()"
)


def wait_for_progress(scene: Scene) -> None:
    """Until a walk has begun to move."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if any(notice.batches > 1 for notice in scene.seen(Progress)):
            return
        time.sleep(0.02)
    raise AssertionError("no progress")


def test_sessions_that_are_ended_in_the_middle_of_a_walk_are_opened_again(scene: Scene) -> None:
    scene.sql(ITEMS)
    scene.spec(LOWERED)
    run = threading.Thread(target=scene.up)
    run.start()
    wait_for_progress(scene)

    scene.sql(END_SESSIONS)
    run.join(60)

    assert scene.one("SELECT count(*) FROM items WHERE lowered = lower(name)") == 20000
    record = scene.ledger().migration("m")
    assert record is not None
    assert record.state == "complete"


def test_a_batch_is_not_written_twice_when_the_answer_to_its_commit_is_lost_with_all_sessions(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.sql(ITEMS)
    scene.spec(LOWERED)
    lost: list[str] = []

    def lose_the_answer(point: str) -> None:
        if point == "after commit" and threading.current_thread().name.startswith("worker") and not lost:
            lost.append(point)
            with scene.connect() as app:
                app.execute(END_SESSIONS)
            raise psycopg.OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr("crossfade.execute.runner.from_environment", lambda: lose_the_answer)

    assert scene.up().ended == "complete"

    assert lost
    assert scene.one("SELECT count(*) FROM items WHERE lowered = lower(name)") == 20000


def test_an_outage_is_waited_for_however_long_the_run_had_lasted(scene: Scene) -> None:
    scene.sql(ITEMS)
    scene.spec(LOWERED + "locks: {timeout: 100ms, budget: 1s}\n")
    ended_at: list[str] = []

    def end_sessions_late(notice: Notice) -> None:
        if isinstance(notice, StepFinished) and notice.step.leg.phase == "backfill" and not ended_at:
            time.sleep(1.1)
            ended_at.append(notice.step.id)
            scene.sql(END_SESSIONS)

    assert Runner(scene.project(), end_sessions_late).advance(scene.migration()).ended == "complete"
    assert ended_at


def test_a_statement_that_ends_its_own_session_is_not_tried_for_ever(scene: Scene) -> None:
    scene.spec(
        """
changes: [{sql: {up: SELECT pg_terminate_backend(pg_backend_pid()), down: SELECT 1}}]
locks: {timeout: 100ms, budget: 2s}
"""
    )

    with pytest.raises(ExecutionFailed, match="a database did not answer"):
        scene.up()


def test_a_server_that_is_killed_and_comes_back_is_waited_for(
    own_server: LocalServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene(tmp_path, {"app": own_server.create_database("app")}, monkeypatch.setenv)
    scene.sql(ITEMS)
    scene.spec(LOWERED)
    failures: list[BaseException] = []

    def run_up() -> None:
        try:
            scene.up()
        except BaseException as error:
            failures.append(error)

    run = threading.Thread(target=run_up)
    run.start()
    wait_for_progress(scene)

    own_server.kill()
    own_server.restart()
    run.join(90)

    assert failures == []
    with scene.connect() as app:
        row = app.execute("SELECT count(*) FROM items WHERE lowered = lower(name)").fetchone()
    assert row == (20000,)


def test_a_server_that_does_not_answer_is_one_clear_error_without_the_password(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.spec("changes: [{drop_column: {table: items, column: name}}]\n")
    monkeypatch.setenv("APP_URL", "postgresql://app:s3cret@127.0.0.1:1/app")

    with pytest.raises(DatabaseUnreachable, match="database `app` cannot be reached") as refusal:
        scene.up()

    assert "s3cret" not in str(refusal.value)


@pytest.fixture
def postgresql_13() -> Iterator[int]:
    """The port of a peer that greets as PostgreSQL 13 does and then says no more."""
    listener = socket.create_server(("127.0.0.1", 0))

    def message(kind: bytes, body: bytes) -> bytes:
        return kind + struct.pack("!I", len(body) + 4) + body

    def greet() -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            with peer:
                while struct.unpack("!I", peer.recv(4))[0] == 8:  # SSL or GSS asked for: no
                    peer.recv(4)
                    peer.sendall(b"N")
                peer.recv(4096)
                version = message(b"S", b"server_version\x0013.14\x00")
                encoding = message(b"S", b"client_encoding\x00UTF8\x00")
                peer.sendall(message(b"R", struct.pack("!I", 0)) + version + encoding)
                peer.sendall(message(b"K", struct.pack("!II", 1, 1)) + message(b"Z", b"I"))
                peer.recv(4096)

    threading.Thread(target=greet, daemon=True).start()
    yield listener.getsockname()[1]
    listener.close()


def test_postgresql_13_is_refused_by_name(scene: Scene, postgresql_13: int, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.spec("changes: [{drop_column: {table: items, column: name}}]\n")
    monkeypatch.setenv("APP_URL", f"postgresql://app@127.0.0.1:{postgresql_13}/app")

    with pytest.raises(UnsupportedServer, match="runs PostgreSQL 13, crossfade needs 14 or later"):
        scene.up()


def test_a_table_that_is_rewritten_during_the_walk_is_walked_anew(scene: Scene) -> None:
    scene.sql(ITEMS)
    scene.spec(LOWERED)
    run = threading.Thread(target=lambda: scene.up(through="backfill"))
    run.start()
    wait_for_progress(scene)

    scene.sql("VACUUM FULL items")
    run.join(60)

    assert scene.one("SELECT count(*) FROM items WHERE lowered = lower(name)") == 20000


def test_rows_that_others_hold_are_skipped_and_visited_again(scene: Scene) -> None:
    scene.sql(ITEMS)
    scene.spec(LOWERED)
    scene.up(through="expand")
    with scene.connect() as holder:
        holder.execute("BEGIN")
        holder.execute("UPDATE items SET touched = now() WHERE id IN (5, 10000)")
        threading.Timer(1.5, lambda: holder.execute("ROLLBACK")).start()

        scene.up(through="backfill")

    assert scene.one("SELECT count(*) FROM items WHERE lowered = lower(name)") == 20000


def test_contract_is_refused_while_a_sync_trigger_is_off(scene: Scene) -> None:
    scene.sql(ITEMS)
    scene.spec("changes: [{rename_column: {table: items, from: name, to: label}}]\n")
    scene.up(through="validate")
    trigger = scene.one("SELECT tgname FROM pg_trigger WHERE tgname LIKE '%upd%'")
    scene.sql(f'ALTER TABLE items DISABLE TRIGGER "{trigger}"')

    with pytest.raises(StepRefused, match="missing, disabled or not enabled ALWAYS"):
        scene.up()

    scene.sql("UPDATE items SET name = 'unseen' WHERE id = 3")
    scene.sql(f'ALTER TABLE items ENABLE ALWAYS TRIGGER "{trigger}"')
    with pytest.raises(StepRefused, match="1 rows whose sides disagree"):
        scene.up()


_NOT_COMPARED = "add_column: {table: items, column: lowered, type: text, up: lower(name)}"
_SWITCHED = "ALTER TABLE items DISABLE TRIGGER {0}", "ALTER TABLE items ENABLE ALWAYS TRIGGER {0}"


@pytest.mark.parametrize(
    ("away", "back"),
    [_SWITCHED, ("DROP TRIGGER {0} ON items", f"{{1}}; {_SWITCHED[1]}")],
    ids=["switched off and on", "dropped and made again"],
)
def test_a_gap_of_the_sync_is_found_where_values_are_not_compared(scene: Scene, away: str, back: str) -> None:
    scene.sql(ITEMS.replace("20000", "20"))
    scene.spec(f"changes: [{{{_NOT_COMPARED}}}]\n")
    scene.up(through="backfill")
    ((trigger, made),) = scene.sql(
        "SELECT quote_ident(tgname), pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname LIKE '%upd%'"
    )
    scene.sql(away.format(trigger))
    scene.sql("UPDATE items SET name = 'Unseen' WHERE id = 3")
    scene.sql(back.format(trigger, made))

    with pytest.raises(StepRefused, match="1 sync triggers that were off, or not there, for a while"):
        scene.up()

    scene.rollback()
    assert scene.up().ended == "complete"
    assert scene.one("SELECT lowered FROM items WHERE id = 3") == "unseen"


def test_partitions_that_come_and_triggers_that_crossfade_makes_again_are_no_gap(scene: Scene) -> None:
    scene.sql(
        "CREATE TABLE items (id int PRIMARY KEY, name text, n int) PARTITION BY RANGE (id);"
        "CREATE TABLE low PARTITION OF items FOR VALUES FROM (0) TO (100); INSERT INTO items VALUES (1, 'A', 1)"
    )
    scene.spec(f"changes:\n- {_NOT_COMPARED}\n- change_column: {{table: items, column: n, to: {{type: bigint}}}}\n")
    scene.up(through="cutover")
    scene.rollback(to="backfill")
    scene.sql("CREATE TABLE high PARTITION OF items FOR VALUES FROM (100) TO (200)")
    scene.sql("INSERT INTO items VALUES (101, 'B', 2)")

    assert scene.up().ended == "complete"

    assert scene.sql("SELECT id, lowered, n FROM items ORDER BY id") == [(1, "a", 1), (101, "b", 2)]


def test_user_triggers_do_not_fire_for_rows_we_fill(scene: Scene) -> None:
    scene.sql(ITEMS)
    scene.sql(
        """
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN new.touched := now(); RETURN new; END $$;
CREATE TRIGGER touch BEFORE UPDATE ON items FOR EACH ROW EXECUTE FUNCTION touch()"""
    )
    scene.spec(LOWERED)

    scene.up()

    assert scene.one("SELECT count(touched) FROM items") == 0
    assert scene.one("SELECT count(*) FROM items WHERE lowered = lower(name)") == 20000


NOTED = """
CREATE TABLE fired (said text);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN INSERT INTO fired VALUES (TG_NAME); RETURN NULL; END $$;
CREATE TRIGGER usual AFTER UPDATE ON items FOR EACH ROW EXECUTE FUNCTION note();
CREATE TRIGGER replica AFTER UPDATE ON items FOR EACH ROW EXECUTE FUNCTION note();
ALTER TABLE items ENABLE REPLICA TRIGGER replica;"""


def test_a_replica_trigger_alone_fires_for_no_row_we_fill(scene: Scene) -> None:
    scene.sql(f"{ITEMS};{NOTED} ALTER TABLE items DISABLE TRIGGER usual")
    scene.spec(LOWERED)

    scene.up()

    assert scene.one("SELECT count(*) FROM fired") == 0


def test_a_replica_trigger_that_silence_would_fire_is_refused_and_stays_silent_where_the_others_may_fire(
    scene: Scene,
) -> None:
    scene.sql(f"{ITEMS};{NOTED}")
    scene.spec(LOWERED)
    with pytest.raises(Refused, match=r"trigger replica of public\.items would fire for every row that is filled"):
        scene.up()

    scene.spec(LOWERED.replace("20ms", "20ms, fire_triggers: true"))
    scene.up()

    assert scene.sql("SELECT DISTINCT said FROM fired") == [("usual",)]


def test_a_pause_from_another_session_stops_the_walk_and_resume_finishes_it(scene: Scene) -> None:
    scene.sql(slow_items(1500))
    scene.spec(LOWERED.replace("lower(name)", "slowly(name)"))

    with scene.connect() as other:

        def pause_the_walk(notice: Notice) -> None:
            if isinstance(notice, Progress):
                Ledger(other).pause("m")

        assert Runner(scene.project(), pause_the_walk).advance(scene.migration()).ended == "paused"
        assert 0 < scene.one("SELECT count(lowered) FROM items") < 1500
        Ledger(other).resume("m")

    assert scene.up().ended == "complete"
    assert scene.one("SELECT count(*) FROM items WHERE lowered = lower(name)") == 1500


def test_an_edited_spec_of_a_started_migration_is_refused_with_the_difference(scene: Scene) -> None:
    scene.sql(ITEMS)
    scene.spec(LOWERED)
    scene.up(through="expand")
    scene.spec(LOWERED.replace("lower(name)", "upper(name)"))

    with pytest.raises(SpecEdited, match=r"(?s)-changes.*lower\(name\).*\+changes.*upper\(name\)"):
        scene.up()


def test_a_comment_may_change_under_a_running_migration(scene: Scene) -> None:
    scene.sql(ITEMS)
    scene.spec(LOWERED)
    scene.up(through="expand")
    scene.spec("# reviewed by ada\n" + LOWERED)

    assert scene.up().ended == "complete"


def test_a_migration_waits_for_those_it_comes_after(scene: Scene) -> None:
    scene.sql(ITEMS)
    scene.spec(LOWERED, id="first")
    scene.spec("after: [first]\nchanges: [{drop_column: {table: items, column: touched}}]\n", id="second")

    with pytest.raises(Blocked, match="second comes after first, which has not started"):
        scene.up(id="second")

    scene.up(id="first")
    assert scene.up(id="second").ended == "complete"


def test_two_migrations_do_not_map_one_table_at_the_same_time(scene: Scene) -> None:
    scene.sql(ITEMS)
    scene.spec(LOWERED, id="first")
    scene.spec("changes: [{rename_column: {table: items, from: name, to: label}}]\n", id="second")
    scene.up(id="first", through="expand")

    with pytest.raises(Blocked, match=r"second changes rows of public.items, which first is changing now"):
        scene.up(id="second")


def test_the_password_is_in_no_row_of_the_ledger(scene: Scene) -> None:
    scene.sql(ITEMS)
    scene.spec(LOWERED)
    scene.up()
    password = conninfo.conninfo_to_dict(scene.urls["app"])["password"]

    for table in ("migration", "step", "event", "gate", "progress"):
        assert scene.one(f"SELECT count(*) FROM crossfade.{table} AS t WHERE t::text LIKE '%{password}%'") == 0
