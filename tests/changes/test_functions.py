"""create_function, drop_function, create_trigger, drop_trigger: made, replaced, dropped, and back exactly."""

from __future__ import annotations

import random
from typing import Any

import psycopg
import pytest
from tests.changes.life import spec, whole_way
from tests.changes.refusing import refusal
from tests.execute.writers import Writers
from tests.scene import Scene

from crossfade.spec import SpecError

SCHEMA = """
CREATE TABLE users (id int PRIMARY KEY, name text, touched int DEFAULT 0);
INSERT INTO users SELECT i, 'u' || i FROM generate_series(1, 20) AS i;
CREATE FUNCTION greet(who text, times int DEFAULT 1) RETURNS text LANGUAGE sql STABLE COST 7 SET work_mem = '5MB'
  AS $$ SELECT 'hello ' || who $$;
COMMENT ON FUNCTION greet IS 'politely';
REVOKE EXECUTE ON FUNCTION greet FROM PUBLIC;
GRANT EXECUTE ON FUNCTION greet TO pg_read_all_stats; GRANT EXECUTE ON FUNCTION greet TO pg_monitor;
CREATE PROCEDURE leave(INOUT n int) LANGUAGE plpgsql AS $$ BEGIN n := n + 1; END $$;
CREATE FUNCTION count_up() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.touched := 1; RETURN NEW; END $$;
CREATE TRIGGER "A_count" BEFORE UPDATE OF name ON users FOR EACH ROW
  WHEN (old.name IS DISTINCT FROM new.name) EXECUTE FUNCTION count_up('a', 'b''c');
COMMENT ON TRIGGER "A_count" ON users IS 'counts';
CREATE TRIGGER "B_late" AFTER INSERT ON users EXECUTE FUNCTION count_up();
ALTER TABLE users ENABLE ALWAYS TRIGGER "B_late";
CREATE VIEW greeted AS SELECT greet(name) FROM users"""
REPLACE = """create_function:
      definition: |
        CREATE FUNCTION greet(who text, times int DEFAULT 1) RETURNS text LANGUAGE sql
          AS $$ SELECT repeat('hi ' || who, times) $$
      comment: twice"""
OVERLOAD = """create_function:
      definition: |
        CREATE FUNCTION greet(who varchar(5)[]) RETURNS text LANGUAGE plpgsql SECURITY DEFINER
          AS $$ BEGIN RETURN 'all'; END $$"""
TOUCH = """create_function:
      definition: |
        CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS
          $$ BEGIN NEW.touched := NEW.touched + TG_ARGV[0]::int; RETURN NEW; END $$"""
TRIGGER = (
    "create_trigger: {table: users, name: A_touch, before: [insert, update], of: [name], function: touch,"
    " arguments: ['7'], when: new.id > 3, comment: seven}"
)
DROPS = ("drop_trigger: {table: users, name: A_count}", "drop_function: {function: leave}")


def test_functions_and_triggers_are_made_replaced_and_dropped_and_all_comes_back(scene: Scene) -> None:
    lived = whole_way(scene, SCHEMA, REPLACE, OVERLOAD, TOUCH, TRIGGER, *DROPS)

    assert scene.one("SELECT greet('you', 2)") == "hi youhi you"
    assert scene.one("SELECT greet('{a}'::varchar[])") == "all"
    assert "COMMENT ON FUNCTION public.greet(who text, times integer) IS 'twice'" in lived.schema
    assert [line for line in lived.lines("TRIGGER") if "touch" in line] == [
        """CREATE TRIGGER "A_touch" BEFORE INSERT OR UPDATE OF name ON public.users FOR EACH ROW\
 WHEN ((new.id > 3)) EXECUTE FUNCTION public.touch('7')""",
        "COMMENT ON TRIGGER \"A_touch\" ON public.users IS 'seven'",
    ]
    assert "leave" not in lived.schema
    scene.sql("UPDATE users SET name = 'x' WHERE id IN (3, 4)")
    assert scene.sql("SELECT touched FROM users WHERE id IN (3, 4) ORDER BY id") == [(0,), (7,)]


@pytest.mark.parametrize("drop", [*DROPS, "drop_trigger: {table: users, name: B_late}"])
def test_what_was_dropped_comes_back_as_it_was(scene: Scene, drop: str) -> None:
    scene.sql(SCHEMA)
    before = scene.schema()
    spec(scene, drop)

    assert scene.up().ended == "complete"
    assert scene.schema() != before
    assert scene.rollback().ended == "undone"

    assert scene.schema() == before


def test_a_function_comes_back_with_its_grants_in_their_order(scene: Scene) -> None:
    scene.sql(SCHEMA + "; DROP VIEW greeted")
    before = scene.schema()
    spec(scene, 'drop_function: {function: "greet(text, int)"}')

    scene.up()
    scene.rollback()

    assert scene.schema() == before


def test_writers_notice_nothing_of_a_trigger_that_comes_and_one_that_goes(scene: Scene) -> None:
    scene.sql(SCHEMA)
    spec(scene, TOUCH, TRIGGER, REPLACE, *DROPS)

    def write(connection: psycopg.Connection[Any], dice: random.Random, number: int) -> None:
        connection.execute("UPDATE users SET name = %s WHERE id = %s", (f"w{number}", dice.randint(1, 20)))
        connection.execute("SELECT greet(name) FROM users WHERE id = %s", (dice.randint(1, 20),))

    with Writers(scene.connect, write, write) as writers:
        assert scene.up().ended == "complete"
        assert scene.rollback().ended == "undone"

    assert writers.failures == []


@pytest.mark.parametrize("leg", ["expand", "drop"])
def test_a_runner_killed_midway_is_gone_on_with(scene: Scene, leg: str) -> None:
    scene.sql(SCHEMA)
    spec(scene, TOUCH, TRIGGER, REPLACE, *DROPS)
    before = scene.schema()
    if leg == "drop":
        scene.up(through="validate")
    assert scene.start_process(fault="before commit:1").ending().killed
    scene.sql("UPDATE crossfade.migration SET lease_until = now() - interval '1s'")

    assert scene.up().ended == "complete"
    assert scene.rollback().ended == "undone"
    assert scene.schema() == before


REFUSED = {
    "a function that a view calls": (
        "drop_function: {function: greet}",
        "public.greet(text, integer) is used by rule _RETURN on view public.greeted",
    ),
    "a function of a trigger": ("drop_function: {function: count_up}", "public.count_up() is used by trigger A_count"),
    "no such function": ("drop_function: {function: gret(text)}", "function gret(text) does not exist"),
    "a result of another type": (
        'create_function: {definition: "CREATE FUNCTION greet(who text, times int) RETURNS int LANGUAGE sql RETURN 1"}',
        "public.greet(text, integer) would not be what its callers know",
    ),
    "a type that is not there": (
        'create_function: {definition: "CREATE FUNCTION f(a txt) RETURNS int LANGUAGE sql RETURN 1"}',
        'type txt: type "txt" does not exist',
    ),
    "a trigger of a function that is not there": (
        "create_trigger: {table: users, name: t, after: [insert], function: nothing}",
        "function public.nothing() does not exist",
    ),
    "a trigger of a column that is not there": (
        "create_trigger: {table: users, name: t, after: [update], of: [nam], function: count_up}",
        "column nam does not exist in public.users",
    ),
    "a condition that PostgreSQL does not understand": (
        "create_trigger: {table: users, name: t, after: [update], when: new.nam > 3, function: count_up}",
        "column new.nam does not exist",
    ),
    "no such trigger": ("drop_trigger: {table: users, name: a}", "trigger a does not exist on public.users"),
}


@pytest.mark.parametrize(("change", "what"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_done_is_refused_when_planned(scene: Scene, change: str, what: str) -> None:
    scene.sql(SCHEMA)

    (problem,) = refusal(scene, change)

    assert problem.what.startswith(what)


@pytest.mark.parametrize(
    "body",
    [
        "CREATE TABLE t (a int)",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELCT 1'",
        "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETRN 1; END'",
    ],
)
def test_a_definition_that_is_no_function_is_found_before_any_database_is_asked(scene: Scene, body: str) -> None:
    spec(scene, f'create_function: {{definition: "{body}"}}')

    with pytest.raises(SpecError, match="`definition`"):
        scene.project()


def test_both_versions_calling_and_an_overload_are_told(scene: Scene) -> None:
    scene.sql(SCHEMA)
    spec(scene, REPLACE, OVERLOAD, TOUCH, TRIGGER)

    codes = {hazard.code for hazard in scene.runner().plan(scene.migration()).hazards}

    assert codes >= {"function-for-both", "overload", "definer-search-path", "trigger-for-both"}
