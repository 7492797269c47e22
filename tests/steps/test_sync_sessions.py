"""The writer's session does not matter: its role, search_path, time zone, formats, replication role, isolation."""

from __future__ import annotations

import uuid
from collections.abc import Generator
from itertools import count
from typing import Any

import psycopg
import pytest
from psycopg import sql
from tests.scene import Scene
from tests.steps.conftest import Begin

from crossfade.spec.fragment import trusted

SCHEMA = """
CREATE TABLE items (
  id int PRIMARY KEY, code text, seen text, wait interval, ratio double precision, raw bytea, born text);
CREATE FUNCTION tidy(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT pg_catalog.upper($1)';
CREATE SCHEMA shadow;
CREATE FUNCTION shadow.tidy(text) RETURNS text LANGUAGE sql AS $$ SELECT 'shadowed' $$;
CREATE FUNCTION shadow.upper(text) RETURNS text LANGUAGE sql AS $$ SELECT 'shadowed' $$;
CREATE TABLE shadow.conflict (); CREATE TABLE shadow.items ()"""
CHANGES = (
    "add_column: {table: items, column: tidied, type: text, up: tidy(code)}",
    "add_column: {table: items, column: at, type: timestamptz, up: 'seen::timestamptz', down: {seen: 'at::text'}}",
    "add_column: {table: items, column: waits, type: text, up: 'wait::text'}",
    "add_column: {table: items, column: ratios, type: text, up: 'ratio::text'}",
    "add_column: {table: items, column: hex, type: text, up: 'raw::text'}",
    "add_column: {table: items, column: born_on, type: date, up: 'born::date', down: {born: 'born_on::text'}}",
    "add_column: {table: items, column: number, type: integer, up: 'code::integer'}",
)
_keys = count(1)


@pytest.fixture(scope="module")
def scene(begin: Begin) -> Scene:
    return begin(SCHEMA, *CHANGES)


@pytest.fixture
def key() -> int:
    return next(_keys)


@pytest.mark.parametrize(
    "path",
    ["''", "pg_catalog", "shadow", "shadow, public", "shadow, pg_catalog", '"$user"', "pg_temp, public", "nowhere"],
)
def test_any_search_path_may_write(scene: Scene, key: int, path: str) -> None:
    with scene.connect() as application:
        application.execute(trusted(f"SET search_path TO {path}"))
        application.execute("INSERT INTO public.items (id, code) VALUES (%s, 'abc')", (key,))

    assert scene.sql(f"SELECT tidied, number FROM items WHERE id = {key}") == [("ABC", None)]
    assert scene.one(f"SELECT sqlstate FROM crossfade.conflict WHERE key->>'id' = '{key}'") == "22P02"


def test_temporary_objects_of_the_writer_do_not_stand_in_the_way(scene: Scene, key: int) -> None:
    with scene.connect() as application:
        application.execute("CREATE TEMP TABLE items (id int, code text)")
        application.execute("CREATE FUNCTION pg_temp.tidy(text) RETURNS text LANGUAGE sql AS $$ SELECT 'temporary' $$")
        application.execute("INSERT INTO public.items (id, code) VALUES (%s, 'abc')", (key,))

    assert scene.one(f"SELECT tidied FROM public.items WHERE id = {key}") == "ABC"


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/St_Johns"])
def test_the_time_zone_of_the_writer_does_not_matter(scene: Scene, key: int, zone: str) -> None:
    with scene.connect() as application:
        application.execute(trusted(f"SET timezone TO '{zone}'"))
        application.execute("INSERT INTO items (id, seen) VALUES (%s, '2024-07-01 12:00')", (key,))

    assert scene.one(f"SELECT at = '2024-07-01 12:00+00' FROM items WHERE id = {key}")


@pytest.mark.parametrize(
    ("setting", "column", "value", "mapped"),
    [
        ("datestyle TO 'German, DMY'", "born_on", "'2024-02-01'", "born = '2024-02-01'"),
        ("intervalstyle TO iso_8601", "wait", "'1 day 02:00'", "waits = '1 day 02:00:00'"),
        ("extra_float_digits TO -10", "ratio", "0.1234567890123", "ratios = '0.1234567890123'"),
        ("bytea_output TO escape", "raw", r"'\x00ff'", r"hex = '\x00ff'"),
    ],
)
def test_the_formats_of_the_writer_do_not_matter(
    scene: Scene, key: int, setting: str, column: str, value: str, mapped: str
) -> None:
    with scene.connect() as application:
        application.execute(trusted(f"SET {setting}"))
        application.execute(trusted(f"INSERT INTO items (id, {column}) VALUES ({key}, {value})"))

    assert scene.one(f"SELECT {mapped} FROM items WHERE id = {key}")


def test_the_time_zone_and_formats_of_the_writer_are_what_they_were_afterwards(scene: Scene, key: int) -> None:
    with scene.connect() as application:
        application.execute("SET timezone TO 'Asia/Tokyo'")
        application.execute("INSERT INTO items (id, seen) VALUES (%s, '2024-07-01')", (key,))

        assert application.execute("SHOW timezone").fetchone() == ("Asia/Tokyo",)


def test_a_writer_under_session_replication_role_is_mapped_too(scene: Scene, key: int) -> None:
    with scene.connect() as application:
        application.execute("SET session_replication_role TO replica")
        application.execute("INSERT INTO items (id, code) VALUES (%s, '07')", (key,))
        application.execute("UPDATE items SET at = '2024-07-01 12:00+00' WHERE id = %s", (key,))

    assert scene.sql(f"SELECT number, seen FROM items WHERE id = {key}") == [(7, "2024-07-01 12:00:00+00")]


@pytest.mark.parametrize("level", ["read committed", "repeatable read", "serializable"])
def test_a_conflict_may_happen_at_any_isolation_level(scene: Scene, key: int, level: str) -> None:
    with scene.connect() as application, application.transaction():
        application.execute(trusted(f"SET TRANSACTION ISOLATION LEVEL {level}"))
        application.execute("INSERT INTO items (id, code) VALUES (%s, 'abc')", (key,))

    assert scene.one(f"SELECT count(*) FROM crossfade.conflict WHERE key->>'id' = '{key}'") == 1


@pytest.fixture
def lowly(scene: Scene) -> Generator[psycopg.Connection[Any]]:
    """A session whose role may do nothing but read and write the table."""
    role = sql.Identifier(f"lowly_{uuid.uuid4().hex[:8]}")
    with scene.connect() as session:
        session.execute(sql.SQL("CREATE ROLE {}").format(role))
        session.execute(sql.SQL("GRANT SELECT, INSERT, UPDATE, DELETE ON items TO {}").format(role))
        session.execute(sql.SQL("SET ROLE {}").format(role))
        yield session
        session.execute("RESET ROLE")
        session.execute(sql.SQL("DROP OWNED BY {}").format(role))
        session.execute(sql.SQL("DROP ROLE {}").format(role))


def test_a_role_with_nothing_but_dml_grants_writes_as_old_and_new_version(
    scene: Scene, key: int, lowly: psycopg.Connection[Any]
) -> None:
    lowly.execute("INSERT INTO items (id, code) VALUES (%s, '07')", (key,))
    lowly.execute("UPDATE items SET at = '2024-07-01 12:00+00' WHERE id = %s", (key,))

    assert scene.sql(f"SELECT number, seen FROM items WHERE id = {key}") == [(7, "2024-07-01 12:00:00+00")]


def test_a_role_with_nothing_but_dml_grants_may_cause_and_mend_a_conflict(
    scene: Scene, key: int, lowly: psycopg.Connection[Any]
) -> None:
    lowly.execute("INSERT INTO items (id, code) VALUES (%s, 'abc')", (key,))
    lowly.execute("UPDATE items SET code = '7' WHERE id = %s", (key,))

    query = f"SELECT resolved_at IS NOT NULL FROM crossfade.conflict WHERE key->>'id' = '{key}'"
    assert scene.sql(query) == [(True,)]


@pytest.mark.parametrize("table", ["migration", "conflict", "event", "archive", "approval"])
def test_a_role_with_nothing_but_dml_grants_may_not_read_the_ledger(lowly: psycopg.Connection[Any], table: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        lowly.execute(sql.SQL("SELECT FROM crossfade.{}").format(sql.Identifier(table)))


def test_a_database_that_gives_no_execute_to_public_lets_applications_write(begin: Begin) -> None:
    scene = begin(
        "ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;"
        "CREATE TABLE items (id int PRIMARY KEY, code text); INSERT INTO items VALUES (1, '1')",
        "add_column: {table: items, column: number, type: integer, up: 'code::integer'}",
    )
    role = f"lowly_{uuid.uuid4().hex[:8]}"
    scene.sql(f"CREATE ROLE {role}; GRANT ALL ON items TO {role}; SET ROLE {role}")

    for code in ("abc", "abd", "7"):
        scene.sql(f"UPDATE items SET code = '{code}'")

    scene.sql(f"RESET ROLE; DROP OWNED BY {role}; DROP ROLE {role}")
    assert scene.sql("SELECT code, number FROM items") == [("7", 7)]
