"""set_row_security: policies bind from the stage on that is said, and what was there comes back."""

from __future__ import annotations

import random
import uuid
from collections.abc import Generator
from typing import Any

import psycopg
import pytest
from psycopg import sql
from tests.changes.life import spec, whole_way
from tests.changes.refusing import refusal
from tests.execute.writers import Writers
from tests.scene import Scene

SCHEMA = """
CREATE TABLE notes (id int PRIMARY KEY, tenant int NOT NULL, body text);
INSERT INTO notes SELECT i, i % 2, 'x' FROM generate_series(1, 20) AS i;
CREATE TABLE open (id int PRIMARY KEY);
ALTER TABLE open ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY few ON open USING (id < 3)"""
POLICY = (
    "create_policy: {table: notes, name: of_tenant,"
    " using: \"tenant = coalesce(current_setting('app.tenant', true), '0')::int\"}"
)
ENABLE = "set_row_security: {table: notes, enabled: true}"
DISABLE = "set_row_security: {table: open, enabled: false, forced: false}"


@pytest.fixture
def app(scene: Scene) -> Generator[str]:
    """An application's role."""
    name = f"app_{uuid.uuid4().hex[:8]}"
    scene.sql(SCHEMA)
    scene.sql(f"CREATE ROLE {name}; GRANT SELECT, INSERT, UPDATE ON notes TO {name}")
    yield name
    scene.sql(f"DROP OWNED BY {name}; DROP ROLE {name}")


def test_both_versions_have_all_rows_until_retire_and_what_policies_let_them_after(scene: Scene, app: str) -> None:
    spec(scene, POLICY, ENABLE)

    def old(connection: psycopg.Connection[Any], dice: random.Random, _: int) -> None:
        connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(app)))
        found = connection.execute("SELECT count(*) FROM notes").fetchone()
        assert found == (20,)
        connection.execute("UPDATE notes SET body = 'o' WHERE id = %s", (dice.randint(1, 20),))

    def new(connection: psycopg.Connection[Any], dice: random.Random, _: int) -> None:
        connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(app)))
        connection.execute("SET app.tenant = 1")
        connection.execute("UPDATE notes SET body = 'n' WHERE tenant = 1 AND id = %s", (dice.randint(1, 20),))

    with Writers(scene.connect, new) as late:
        with Writers(scene.connect, old) as writers:
            scene.up(through="validate")
        assert scene.up().ended == "complete"

    assert (writers.failures, late.failures) == ([], [])
    with scene.connect() as session:
        session.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(app)))
        assert session.execute("SELECT DISTINCT tenant FROM notes").fetchall() == [(0,)]


def test_it_is_switched_on_and_off_and_comes_back_as_it_was(scene: Scene) -> None:
    lived = whole_way(scene, SCHEMA, POLICY, ENABLE, DISABLE)
    assert lived.lines("ROW LEVEL SECURITY") == ["ALTER TABLE public.notes ENABLE ROW LEVEL SECURITY"]

    assert scene.rollback().ended == "undone"

    assert scene.sql(
        "SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE relname IN ('notes', 'open') ORDER BY relname"
    ) == [(False, False), (True, True)]


@pytest.mark.parametrize("point", ["before commit", "after step"])
def test_a_runner_killed_there_is_gone_on_with(scene: Scene, point: str) -> None:
    scene.sql(SCHEMA)
    before = scene.schema()
    spec(scene, POLICY, ENABLE, DISABLE)
    scene.up(through="validate")
    for _ in range(2):
        assert scene.start_process(fault=f"{point}:1").ending().killed
        scene.sql("UPDATE crossfade.migration SET lease_until = now() - interval '1s'")

    assert scene.up().ended == "complete"
    assert scene.rollback().ended == "undone"
    assert scene.schema() == before


def hazards(scene: Scene, *changes: str) -> set[str]:
    spec(scene, *changes)
    return {hazard.code for hazard in scene.runner().plan(scene.migration()).hazards}


def test_what_it_does_to_whom_is_told(scene: Scene) -> None:
    scene.sql(SCHEMA)

    assert hazards(scene, ENABLE) >= {"no-rows-left"}
    assert "no-rows-left" not in hazards(scene, POLICY, ENABLE)
    assert "rows-hidden" in hazards(scene, POLICY, ENABLE.replace("true", "true, at: cutover"))
    assert "rows-hidden" not in hazards(scene, POLICY, ENABLE)
    assert "rows-shown" in hazards(scene, DISABLE)


def test_on_a_table_of_the_same_migration_it_is_done_in_expand(scene: Scene) -> None:
    table = "create_table: {table: fresh, columns: [{name: id, type: int}]}"
    spec(scene, table, "set_row_security: {table: fresh, enabled: true, forced: true}")

    scene.up(through="expand")

    assert scene.sql("SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE relname = 'fresh'") == [
        (True, True)
    ]


def test_what_is_so_already_is_refused(scene: Scene) -> None:
    scene.sql(SCHEMA)

    (problem,) = refusal(scene, "set_row_security: {table: open, enabled: true}")

    assert problem.what == "public.open has `enabled: true` already"
