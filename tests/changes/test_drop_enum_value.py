"""drop_enum_value: the enum is made anew, its columns go over, and old writers of the word are mapped or told."""

from __future__ import annotations

import random
import time
from typing import Any

import psycopg
import pytest
from tests.changes.life import spec, whole_way
from tests.changes.refusing import refusal
from tests.execute.test_kills import run_until_complete
from tests.execute.writers import Writers
from tests.scene import Scene

from crossfade.execute.purge import expired, purge

SCHEMA = """
CREATE TYPE "Status" AS ENUM ('open', 'lost', 'closed');
COMMENT ON TYPE "Status" IS 'how far';
CREATE TABLE orders (
  id int PRIMARY KEY,
  now "Status" NOT NULL DEFAULT 'open',
  "Before" "Status");
COMMENT ON COLUMN orders.now IS 'now';
CREATE INDEX orders_now ON orders (now, id);
INSERT INTO orders SELECT i, (ARRAY['open', 'lost', 'closed'])[1 + i % 3]::"Status", 'lost'
  FROM generate_series(1, 300) AS i"""
CHANGE = "drop_enum_value: {enum: Status, value: lost, to: closed}"
VALUES = 'SELECT enum_range(NULL::"Status")::text'
ORDERS = 'SELECT id, now::text, "Before"::text FROM orders ORDER BY id'


def mapped(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [tuple("closed" if value == "lost" else value for value in row) for row in rows]


def test_the_word_is_gone_in_the_end_and_rows_have_what_it_became(scene: Scene) -> None:
    scene.sql(SCHEMA)
    before = scene.sql(ORDERS)
    spec(scene, CHANGE)

    assert scene.up().ended == "complete"

    assert scene.one(VALUES) == "{open,closed}"
    assert scene.sql(ORDERS) == mapped(before)
    assert scene.own_objects() == []
    dump = scene.schema()
    assert 'now public."Status" DEFAULT \'open\'::public."Status" NOT NULL' in dump
    assert "CREATE INDEX orders_now ON public.orders USING btree (now, id)" in dump
    assert "COMMENT ON TYPE public.\"Status\" IS 'how far'" in dump


@pytest.mark.parametrize("through", ["expand", "validate", "cutover", "archive", "drop"])
def test_it_comes_back_with_the_word_that_rows_had(scene: Scene, through: str) -> None:
    scene.sql(SCHEMA)
    before = scene.schema(), scene.sql(ORDERS)
    spec(scene, CHANGE)
    scene.up(through=through)

    assert scene.rollback().ended == "undone"

    assert (scene.schema(), scene.sql(ORDERS)) == before


def test_old_writers_of_the_word_go_on_until_cutover_and_casts_to_the_enum_all_the_way(scene: Scene) -> None:
    scene.sql(SCHEMA)
    spec(scene, CHANGE)

    def old(connection: psycopg.Connection[Any], dice: random.Random, number: int) -> None:
        connection.execute(
            "UPDATE orders SET now = %s WHERE id = %s", (dice.choice(["lost", "open"]), dice.randrange(9))
        )

    def both(connection: psycopg.Connection[Any], dice: random.Random, number: int) -> None:
        connection.execute(
            'UPDATE orders SET "Before" = %s::"Status" WHERE id = %s AND now <> %s::"Status"',
            (dice.choice(["open", "closed"]), 10 + dice.randrange(100), "open"),
        )

    with Writers(scene.connect, both, both) as casting:
        with Writers(scene.connect, old) as writers:
            scene.up(through="validate")
            written = writers.statements
            while writers.statements < written + 5:
                time.sleep(0.01)
        scene.up(through="cutover")
        scene.rollback(to="validate")
        assert scene.up().ended == "complete"

    assert (writers.failures, casting.failures) == ([], [])
    with pytest.raises(psycopg.errors.InvalidTextRepresentation):
        scene.sql("UPDATE orders SET now = 'lost' WHERE id = 1")


def test_without_a_say_what_it_becomes_rows_with_the_word_hold_cutover_back(scene: Scene) -> None:
    scene.sql(SCHEMA)
    spec(scene, "drop_enum_value: {enum: Status, value: lost}")

    with pytest.raises(Exception, match="conflict"):
        scene.up()
    scene.sql("UPDATE orders SET now = 'open', \"Before\" = NULL WHERE now = 'lost' OR \"Before\" = 'lost'")
    assert scene.up().ended == "complete"

    assert scene.one(VALUES) == "{open,closed}"


@pytest.mark.parametrize("point", ["before commit", "after commit", "after step"])
def test_a_runner_that_is_killed_is_gone_on_from(scene: Scene, point: str) -> None:
    scene.sql(SCHEMA)
    before = scene.sql(ORDERS)
    spec(scene, CHANGE)

    assert run_until_complete(scene, [f"{point}:{count}" for count in (4, 5, 6, 7, 9)]) >= 3

    assert scene.sql(ORDERS) == mapped(before)
    assert scene.own_objects() == []


SEVERAL = """
CREATE TABLE shelves (id int PRIMARY KEY, state "Status" DEFAULT 'lost', history "Status"[] DEFAULT '{open,lost}');
CREATE INDEX shelves_history ON shelves USING gin (history);
INSERT INTO shelves SELECT i, (ARRAY['open', 'lost'])[1 + i % 2]::"Status", ARRAY[NULL, 'lost', 'closed']::"Status"[]
  FROM generate_series(1, 100) AS i"""
SHELVES = "SELECT id, state::text, history::text FROM shelves ORDER BY id"


def test_columns_of_several_tables_and_arrays_go_over_at_one_instant(scene: Scene) -> None:
    scene.sql(SCHEMA)
    scene.sql(SEVERAL)
    before = scene.schema(), scene.sql(ORDERS), scene.sql(SHELVES)
    spec(scene, CHANGE, more="contract: {stages: [{archive: {keep: 0s}}, {drop: {}}]}")

    def both(connection: psycopg.Connection[Any], dice: random.Random, number: int) -> None:
        connection.execute(
            "UPDATE shelves AS s SET state = o.now FROM orders AS o WHERE o.id = s.id AND o.now = 'open'::\"Status\""
            " AND s.id = %s AND s.history @> ARRAY['closed']::\"Status\"[]",
            (dice.randrange(100),),
        )
        connection.execute(
            "INSERT INTO shelves (id, history) VALUES (%s, '{open,closed}'::\"Status\"[])"
            " ON CONFLICT (id) DO UPDATE SET history = excluded.history",
            (101 + dice.randrange(50),),
        )

    with Writers(scene.connect, both, both, pause=0.02) as writers:
        scene.up(through="cutover")
        assert scene.one("SELECT history::text FROM shelves WHERE id = 1") == "{NULL,closed,closed}"
        scene.rollback(to="validate")
        scene.up(through="cutover")
    assert writers.failures == []
    scene.sql("DELETE FROM shelves WHERE id > 100; UPDATE shelves SET state = 'open' WHERE id % 2 = 0")
    scene.sql("UPDATE orders SET now = now WHERE id = 1")

    assert scene.rollback().ended == "undone"
    assert scene.schema() == before[0]
    assert scene.sql(ORDERS) == before[1]
    assert [row[2] for row in scene.sql(SHELVES)] == ["{NULL,lost,closed}"] * 100

    assert scene.up().ended == "complete"
    assert scene.own_objects() == []
    assert scene.sql("SELECT DISTINCT history::text FROM shelves") == [("{NULL,closed,closed}",)]
    assert 'history public."Status"[] DEFAULT \'{open,closed}\'::public."Status"[]' in scene.schema()
    assert "CREATE INDEX shelves_history ON public.shelves USING gin (history)" in scene.schema()


def test_the_old_enum_goes_with_the_old_values(scene: Scene) -> None:
    scene.sql(SCHEMA)
    spec(scene, CHANGE, more="contract: {stages: [{archive: {keep: 0s}}, {drop: {}}]}")
    scene.up()
    kept = "SELECT count(*) FROM pg_type WHERE typtype = 'e' AND typnamespace = 'crossfade'::regnamespace"
    assert scene.one(kept) == 1

    found = expired(scene.project())
    assert len([*purge(scene.project(), found, "test", lambda _: None)]) == 2

    assert scene.one(kept) == 0


def test_an_enum_that_nothing_uses_is_made_anew_at_once(scene: Scene) -> None:
    whole_way(scene, "CREATE TYPE mood AS ENUM ('a', 'b', 'c')", "drop_enum_value: {enum: mood, value: b}")

    assert scene.one("SELECT enum_range(NULL::mood)::text") == "{a,c}"


@pytest.mark.parametrize(
    ("made", "change", "what"),
    [
        ('ALTER TABLE orders ADD s "Status"[] DEFAULT ARRAY[\'open\'::"Status"]', CHANGE, "is no plain value"),
        ("CREATE MATERIALIZED VIEW v AS SELECT now FROM orders", CHANGE, "is used by"),
        (
            "CREATE FUNCTION f(\"Status\") RETURNS int LANGUAGE sql AS 'SELECT 1'",
            CHANGE,
            "is used by function public.f",
        ),
        ("CREATE VIEW v AS SELECT id FROM orders WHERE now = 'open'", CHANGE, "is used by"),
        ("ALTER TABLE orders ADD CHECK (now <> 'lost') NOT VALID", CHANGE, "is used by table constraint"),
        (
            "ALTER TABLE orders ALTER now SET DEFAULT 'lost'",
            "drop_enum_value: {enum: Status, value: lost}",
            "which goes",
        ),
        ("SELECT 1", "drop_enum_value: {enum: Status, value: los}", "has no value los"),
        ("SELECT 1", "drop_enum_value: {enum: Status, value: lost, to: lost}", "`to` is what goes"),
    ],
)
def test_what_cannot_be_is_refused_by_name(scene: Scene, made: str, change: str, what: str) -> None:
    scene.sql(SCHEMA)
    scene.sql(made)

    (problem,) = refusal(scene, change)

    assert what in problem.what
