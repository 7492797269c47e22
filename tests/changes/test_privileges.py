"""grant and revoke: who may do what from when on, and back to exactly what each had."""

from __future__ import annotations

import random
from typing import Any

import psycopg
import pytest
from psycopg import sql
from tests.changes.life import spec, whole_way
from tests.changes.refusing import refusal
from tests.execute.writers import Writers
from tests.scene import Scene

# Roles that every server has: those of an application would be everybody's on it.
READER, WRITER, OTHER = "pg_monitor", "pg_signal_backend", "pg_read_all_stats"
SCHEMA = f"""
CREATE SCHEMA api;
CREATE TYPE mood AS ENUM ('sad');
CREATE DOMAIN short AS text;
CREATE SEQUENCE numbers;
CREATE TABLE notes (id int PRIMARY KEY, body text, "Size" int);
INSERT INTO notes SELECT i, 'x', i FROM generate_series(1, 20) AS i;
CREATE VIEW seen AS SELECT id FROM notes;
CREATE FUNCTION shout(a text, b int) RETURNS text LANGUAGE sql RETURN upper(a);
GRANT SELECT ON notes TO {READER} WITH GRANT OPTION;
GRANT UPDATE, SELECT (body) ON notes TO {WRITER};
GRANT UPDATE (id, body) ON notes TO {WRITER};
GRANT DELETE ON notes TO {OTHER}"""
GRANTS = (
    f"grant: {{privileges: [select, insert], table: notes, to: [{READER}, {WRITER}]}}",
    f"grant: {{privileges: [update], table: notes, columns: [id, Size], to: [{OTHER}], grant_option: true}}",
    f"grant: {{privileges: [all], table: seen, to: [{READER}]}}",
    f"grant: {{privileges: [usage], sequence: numbers, to: [{READER}]}}",
    f"grant: {{privileges: [usage, create], schema: api, to: [{READER}]}}",
    f"grant: {{privileges: [execute], function: 'shout(text, integer)', to: [{READER}]}}",
    f"grant: {{privileges: [usage], type: mood, to: [{READER}]}}",
    f"grant: {{privileges: [usage], type: short, to: [{READER}]}}",
)
REVOKES = (
    f"revoke: {{privileges: [update], table: notes, from: [{WRITER}]}}",
    "revoke: {privileges: [execute], function: shout, from: [public], at: expand}",
    f"revoke: {{privileges: [select], table: notes, from: [{READER}]}}",
)


def may(scene: Scene, role: str, privilege: str, what: str = "notes", kind: str = "table") -> bool:
    return scene.one(f"SELECT has_{kind}_privilege('{role}', '{what}', '{privilege}')")


def held(scene: Scene) -> set[str]:
    """Every privilege on anything here."""
    found = scene.sql(
        "SELECT 'notes ' || g FROM pg_class, unnest(relacl) AS g WHERE relname IN ('notes', 'seen', 'numbers')"
        " UNION SELECT attname || ' ' || g FROM pg_attribute, unnest(attacl) AS g WHERE attrelid = 'notes'::regclass"
        " UNION SELECT 'shout ' || g FROM pg_proc, unnest(proacl) AS g WHERE proname = 'shout'"
    )
    return {item for (item,) in found}


def test_privileges_on_all_things_are_granted_in_expand_and_go_again(scene: Scene) -> None:
    lived = whole_way(scene, SCHEMA, *GRANTS)

    assert may(scene, READER, "INSERT")
    assert may(scene, WRITER, "SELECT")
    assert may(scene, READER, "CREATE", "api", "schema")
    assert may(scene, OTHER, "UPDATE WITH GRANT OPTION", "notes', 'Size", "column")
    assert f"GRANT ALL ON FUNCTION public.shout(a text, b integer) TO {READER}" in lived.schema
    assert f"GRANT ALL ON TYPE public.short TO {READER}" in lived.schema
    assert scene.rollback().ended == "undone"
    assert may(scene, READER, "SELECT WITH GRANT OPTION")
    assert not may(scene, READER, "INSERT")


def test_old_statements_may_be_run_until_retire_and_what_each_had_comes_back(scene: Scene) -> None:
    scene.sql(SCHEMA)
    scene.sql("REVOKE EXECUTE ON FUNCTION shout FROM pg_monitor")  # so that its default privileges are spelled out
    before = held(scene)
    spec(scene, *REVOKES)

    def old(connection: psycopg.Connection[Any], dice: random.Random, _: int) -> None:
        connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(WRITER)))
        connection.execute("UPDATE notes SET body = 'o' WHERE body = %s", (str(dice.random()),))

    with Writers(scene.connect, old) as writers:
        scene.up(through="validate")
        assert not may(scene, "pg_monitor", "EXECUTE", "shout(text, int)", "function")
    assert writers.failures == []
    assert scene.up().ended == "complete"
    assert not may(scene, WRITER, "UPDATE", "notes', 'body", "column")
    assert not may(scene, READER, "SELECT")

    assert scene.rollback().ended == "undone"

    assert held(scene) == before


def test_what_the_same_migration_makes_may_be_named(scene: Scene) -> None:
    table = "create_table: {table: fresh, columns: [{name: id, type: int}]}"
    view = "create_view: {view: few, as: SELECT id FROM notes}"
    column = "add_column: {table: notes, column: mail, type: text, up: body}"
    whole_way(
        scene,
        SCHEMA,
        table,
        view,
        column,
        f"grant: {{privileges: [select], table: fresh, to: [{READER}]}}",
        f"grant: {{privileges: [update], table: notes, columns: [mail], to: [{READER}]}}",
    )

    assert may(scene, READER, "SELECT", "fresh")
    assert may(scene, READER, "UPDATE", "notes', 'mail", "column")


@pytest.mark.parametrize("leg", ["expand", "retire"])
def test_a_runner_killed_there_is_gone_on_with(scene: Scene, leg: str) -> None:
    scene.sql(SCHEMA)
    before = held(scene)
    spec(scene, *GRANTS, *REVOKES[:1])
    if leg == "retire":
        scene.up(through="validate")
    assert scene.start_process(fault="before commit:1").ending().killed
    scene.sql("UPDATE crossfade.migration SET lease_until = now() - interval '1s'")

    assert scene.up().ended == "complete"
    assert scene.rollback().ended == "undone"
    assert {item for item in held(scene) if "shout" not in item} >= {item for item in before if "shout" not in item}


def test_what_goes_on_being_granted_is_told(scene: Scene) -> None:
    scene.sql(SCHEMA + f"; GRANT SELECT ON notes TO PUBLIC; GRANT SELECT (id) ON notes TO {READER}")
    spec(
        scene,
        f"revoke: {{privileges: [select], table: notes, from: [{READER}]}}",
        f"revoke: {{privileges: [select], table: notes, columns: [id], from: [{READER}]}}",
    )

    told = [h.what for h in scene.runner().plan(scene.migration()).hazards if h.code == "still-granted"]

    assert any(what.endswith("through public") for what in told)
    assert any(what.endswith("on the whole table") for what in told)


REFUSED = {
    "no such role": ("grant: {privileges: [select], table: notes, to: [nobody]}", "role nobody does not exist"),
    "no such privilege": (
        "grant: {privileges: [execute], table: notes, to: [public]}",
        "there is no privilege execute on a table",
    ),
    "of a column": (
        "grant: {privileges: [delete], table: notes, columns: [id], to: [public]}",
        "there is no privilege delete on columns of a table",
    ),
    "no such thing": (
        "grant: {privileges: [usage], sequence: number, to: [public]}",
        "sequence public.number does not",
    ),
    "no such function": ("grant: {privileges: [execute], function: f(int), to: [public]}", "function f(int) does not"),
    "had already": (
        f"grant: {{privileges: [select], table: notes, to: [{READER}]}}",
        f"{READER} has select on table public.notes already",
    ),
    "not had": (
        f"revoke: {{privileges: [insert], table: notes, from: [{READER}]}}",
        f"none of {READER} has insert on table public.notes",
    ),
    "passed on": (
        f"revoke: {{privileges: [select], table: notes, from: [{READER}]}}",
        f"{READER} has granted SELECT on table public.notes on to {OTHER}",
    ),
    "from another": (
        f"revoke: {{privileges: [select], table: notes, from: [{OTHER}]}}",
        f"{OTHER} has SELECT on table public.notes from {READER}, who does not own it",
    ),
}


@pytest.mark.parametrize(("change", "what"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_done_is_refused_when_planned(scene: Scene, change: str, what: str) -> None:
    scene.sql(SCHEMA)
    if "from" in change:
        scene.sql(f"SET ROLE {READER}; GRANT SELECT ON notes TO {OTHER}; RESET ROLE")

    (problem,) = refusal(scene, change)

    assert problem.what.startswith(what)
