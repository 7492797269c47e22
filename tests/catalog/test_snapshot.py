"""Reading: consistent, harmless to the session and to others, and possible for anybody."""

from __future__ import annotations

import pickle
import threading
import time
import uuid
from collections.abc import Generator

import psycopg
import pytest
from psycopg import sql
from psycopg.pq import TransactionStatus

from crossfade.catalog import CatalogLocked, Name, UnsupportedServer, snapshot
from crossfade.catalog.snapshot import read_catalog
from crossfade.server import LocalServer

from .conftest import After, Connection


@pytest.fixture
def other(database: str) -> Generator[Connection]:
    """A second session, not in autocommit mode."""
    with psycopg.connect(database, application_name="the other one") as connection:
        yield connection


@pytest.fixture
def role(connection: Connection) -> Generator[str]:
    """A role without any privilege of its own."""
    name = f"nobody_{uuid.uuid4().hex[:8]}"
    connection.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(name)))
    yield name
    connection.execute("RESET ROLE")
    connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def reported(primary: Connection) -> bool:
    """A standby has told how far it is, which it does a moment after it began to stream."""
    return primary.execute("SELECT FROM pg_stat_replication WHERE replay_lsn IS NOT NULL").rowcount > 0


def test_an_idle_session_is_left_as_it_was(database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute("SET search_path = somewhere; SET lock_timeout = '7s'")
        connection.commit()
        read_catalog(connection)
        assert connection.info.transaction_status == TransactionStatus.IDLE
        row = connection.execute(
            "SELECT current_setting('search_path'), current_setting('lock_timeout'),"
            " current_setting('transaction_isolation'), current_setting('transaction_read_only')"
        ).fetchone()
        assert row == ("somewhere", "7s", "read committed", "off")


def test_inside_a_transaction_its_own_changes_are_seen_and_it_goes_on(other: Connection) -> None:
    other.execute("CREATE TABLE t (a int)")
    other.execute("SET LOCAL lock_timeout = '7s'")
    catalog = read_catalog(other)
    assert catalog.table("public", "t") is not None
    assert other.execute("SELECT current_setting('lock_timeout')").fetchone() == ("7s",)
    other.execute("INSERT INTO t VALUES (1)")
    other.commit()


def test_what_others_have_not_committed_is_not_seen(connection: Connection, other: Connection) -> None:
    other.execute("CREATE TABLE t (a int)")
    assert not read_catalog(connection).tables


def test_all_but_the_systems_schemas_and_our_own_are_read(after: After) -> None:
    catalog = after("CREATE SCHEMA app; CREATE SCHEMA crossfade; CREATE TABLE crossfade.t (); CREATE TEMP TABLE x ()")
    assert set(catalog.schemas) == {"app", "public"}
    assert not catalog.tables


def test_only_the_schemas_asked_for_are_read(after: After, connection: Connection) -> None:
    after("CREATE SCHEMA app; CREATE TABLE app.t (); CREATE TABLE t ()")
    assert set(read_catalog(connection, schemas={"app"}).tables) == {Name("app", "t")}
    assert not read_catalog(connection, schemas=[]).tables


def test_the_sessions_search_path_does_not_change_how_things_are_spelled(after: After, connection: Connection) -> None:
    before = after("""
        CREATE SCHEMA app; CREATE TYPE app.mood AS ENUM ('ok'); CREATE TABLE app.t (m app.mood DEFAULT 'ok');
        CREATE VIEW app.v AS SELECT m FROM app.t;
    """)
    connection.execute("SET search_path = app")
    after_it = read_catalog(connection)
    assert (after_it.tables, after_it.views) == (before.tables, before.views)
    assert after_it.tables[Name("app", "t")].by_name["m"].default == "'ok'::app.mood"


def test_a_catalog_survives_pickling(after: After) -> None:
    catalog = after("CREATE TABLE t (a int PRIMARY KEY); CREATE VIEW v AS SELECT a FROM t")
    assert pickle.loads(pickle.dumps(catalog)) == catalog


def test_a_role_without_privileges_can_read(after: After, connection: Connection, role: str) -> None:
    after("CREATE TABLE t (id serial PRIMARY KEY, a text); CREATE VIEW v AS SELECT a FROM t")
    connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
    catalog = read_catalog(connection)
    assert set(catalog.tables) == {Name("public", "t")}
    assert (catalog.role.name, catalog.role.superuser) == (role, False)
    assert catalog.role.member_of == {role}
    assert not catalog.role.may_set_replication_role
    assert not catalog.role.may_create_schema


@pytest.mark.since(15)
def test_the_replication_role_may_be_set_once_it_is_granted(after: After, connection: Connection, role: str) -> None:
    granted = sql.SQL("{} ON PARAMETER session_replication_role {} {}")
    after("SELECT 1")
    connection.execute(granted.format(sql.SQL("GRANT SET"), sql.SQL("TO"), sql.Identifier(role)))
    connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
    assert read_catalog(connection).role.may_set_replication_role
    connection.execute("RESET ROLE")
    connection.execute(granted.format(sql.SQL("REVOKE SET"), sql.SQL("FROM"), sql.Identifier(role)))


def test_a_superuser_may_do_everything(after: After) -> None:
    catalog = after("SELECT 1")
    assert catalog.role.superuser
    assert catalog.role.may_set_replication_role
    assert catalog.role.may_create_schema
    assert catalog.schemas == {"public": True}


def test_the_server_is_described_with_the_sessions_settings(after: After, connection: Connection) -> None:
    catalog = after("SET lock_timeout = '7s'; SET timezone = 'Europe/Oslo'")
    assert catalog.server.version == connection.info.server_version
    assert (catalog.server.timezone, catalog.server.settings["lock_timeout"]) == ("Europe/Oslo", "7s")
    assert not catalog.server.in_recovery
    assert catalog.database == connection.info.dbname


def test_an_exclusive_lock_is_named_with_its_holder_and_without_his_query(
    connection: Connection, other: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "LOCK_TIMEOUT", "20ms")
    other.execute("LOCK TABLE pg_description; SELECT 'secret'")
    with pytest.raises(CatalogLocked) as caught:
        read_catalog(connection)
    assert "secret" not in str(caught.value)
    assert connection.info.transaction_status == TransactionStatus.IDLE


def test_a_table_that_is_locked_exclusively_is_told_and_keeps_no_other_from_being_read(
    after: After, connection: Connection, other: Connection
) -> None:
    after(
        "CREATE TABLE parent (id int PRIMARY KEY, a text DEFAULT 'x' CHECK (a <> ''), UNIQUE (a));"
        "CREATE TABLE child (id int PRIMARY KEY, parent int REFERENCES parent, n int DEFAULT 7, big text);"
        "CREATE INDEX parent_lower ON parent (lower(a)) WHERE a > 'b';"
        "CREATE VIEW both_tables AS SELECT a, n FROM parent JOIN child ON child.parent = parent.id;"
        "CREATE VIEW above AS SELECT a FROM both_tables;"
        "CREATE FUNCTION longest() RETURNS text LANGUAGE sql AS 'SELECT max(a) FROM parent'"
    )
    other.execute("LOCK TABLE parent")

    connection.execute("SET lock_timeout = '100ms'")
    began = time.monotonic()
    catalog = read_catalog(connection)

    assert time.monotonic() - began < 2
    assert catalog.locked[Name("public", "parent")] == f"pid {other.info.backend_pid} (the other one)"
    assert Name("public", "child") not in catalog.locked
    child = catalog.tables[Name("public", "child")]
    assert child.by_name["n"].default == "7"
    assert [key.parent for key in catalog.references_from(child.name)] == [Name("public", "parent")]
    assert {Name("public", "both_tables"), Name("public", "above")} <= catalog.views.keys()


def test_reading_does_not_keep_others_from_changing_a_table(
    after: After, connection: Connection, other: Connection
) -> None:
    after("CREATE TABLE t (a int DEFAULT 1); CREATE INDEX i ON t (a)")
    with connection.transaction():
        read_catalog(connection)
        other.execute("SET lock_timeout = '1s'; ALTER TABLE t ADD b int DEFAULT 2")
        other.commit()


def test_reading_survives_tables_that_come_and_go(connection: Connection, database: str) -> None:
    stop = threading.Event()

    def churn() -> None:
        with psycopg.connect(database, autocommit=True) as busy:
            while not stop.is_set():
                busy.execute("CREATE TABLE t (id serial PRIMARY KEY, a int DEFAULT 1 CHECK (a > 0))")
                busy.execute("CREATE VIEW v AS SELECT a FROM t")
                busy.execute("DROP TABLE t CASCADE")

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        for _ in range(15):
            read_catalog(connection)
    finally:
        stop.set()
        thread.join()


def test_a_standby_is_listed_and_can_be_read_itself(own_server: LocalServer) -> None:
    with (
        own_server.replica() as replica,
        psycopg.connect(own_server.url, autocommit=True) as primary,
        psycopg.connect(replica.url) as standby,
    ):
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and not reported(primary):
            time.sleep(0.01)
        (seen,) = read_catalog(primary).server.replicas
        assert seen.state == "streaming"
        assert seen.lag_bytes is not None
        assert read_catalog(standby).server.in_recovery

        primary.execute("CREATE ROLE nobody; SET ROLE nobody")
        (seen,) = read_catalog(primary).server.replicas
        assert (seen.state, seen.lag_seconds, seen.lag_bytes) == ("unknown", None, None)


def test_a_server_too_old_is_refused_by_its_version(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "OLDEST_VERSION", 990000)
    with pytest.raises(UnsupportedServer) as caught:
        read_catalog(connection)
    assert f"PostgreSQL {connection.info.server_version // 10000}" in caught.value.what
    assert "99" in (caught.value.fix or "")


def test_functions_are_read_with_their_overloads_and_without_aggregates(after: After) -> None:
    catalog = after("""
        CREATE FUNCTION f(a int) RETURNS int LANGUAGE sql AS 'SELECT 1';
        CREATE FUNCTION f(a text) RETURNS int LANGUAGE sql AS 'SELECT 1';
        CREATE PROCEDURE p() LANGUAGE plpgsql AS 'BEGIN END';
        CREATE AGGREGATE total(int) (SFUNC = int4pl, STYPE = int);
    """)
    assert set(catalog.functions) == {"public.f(integer)", "public.f(text)", "public.p()"}
    assert catalog.functions["public.p()"].definition.startswith("CREATE OR REPLACE PROCEDURE public.p()")


def test_what_was_set_for_a_table_is_read(after: After) -> None:
    catalog = after("""
        CREATE UNLOGGED TABLE t (a text) WITH (fillfactor = 70, toast.autovacuum_enabled = off);
        ALTER TABLE t REPLICA IDENTITY FULL, ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
        COMMENT ON TABLE t IS 'hello';
    """)
    table = catalog.tables[Name("public", "t")]
    assert table.storage_parameters == ("fillfactor=70", "toast.autovacuum_enabled=off")
    assert (table.replica_identity, table.unlogged, table.comment) == ("full", True, "hello")
    assert table.row_security
    assert table.force_row_security


def test_grants_are_the_same_whether_untouched_or_given_back(after: After) -> None:
    untouched = after(
        "CREATE TABLE t (); CREATE TABLE u (); GRANT SELECT ON u TO PUBLIC; REVOKE SELECT ON u FROM PUBLIC"
    )
    assert untouched.tables[Name("public", "t")].grants == untouched.tables[Name("public", "u")].grants
