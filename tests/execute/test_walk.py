"""A walk beside writers that lock rows in an order of their own."""

from __future__ import annotations

import random
from typing import Any

import psycopg
import pytest
from tests.execute.writers import Writers
from tests.scene import Scene

from crossfade.execute import StepRefused

ROWS = 20_000
FILL = """
changes: [{add_column: {table: items, column: lowered, type: text, up: lower(name)}}]
backfill: {workers: 2, target: 300ms}
"""


def test_writers_that_lock_rows_against_the_order_of_the_walk_never_meet_a_deadlock(scene: Scene) -> None:
    scene.sql("CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL, filler text)")
    scene.sql(f"INSERT INTO items SELECT i, 'Name ' || i, repeat('x', 200) FROM generate_series(1, {ROWS}) AS i")
    scene.spec(FILL)

    def write_downwards(connection: psycopg.Connection[Any], dice: random.Random, number: int) -> None:
        with connection.transaction():
            for row in sorted(dice.sample(range(1, ROWS), 6), reverse=True):
                connection.execute("UPDATE items SET name = %s WHERE id = %s", (f"Name {number} {dice.random()}", row))

    with Writers(scene.connect, write_downwards) as writers:
        scene.up(through="backfill")

    assert writers.failures == []
    assert scene.one("SELECT count(*) FROM items WHERE lowered IS DISTINCT FROM lower(name)") == 0


def test_a_batch_does_not_wait_for_a_row_that_is_held_for_long(scene: Scene) -> None:
    scene.sql("CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL)")
    scene.sql("INSERT INTO items SELECT i, 'Name ' || i FROM generate_series(1, 1000) AS i")
    scene.spec(FILL + "locks: {timeout: 200ms, budget: 1s}\n")
    scene.up(through="expand")
    with scene.connect() as holder:
        holder.execute("BEGIN")
        holder.execute("UPDATE items SET name = 'Held' WHERE id = 500")

        with pytest.raises(StepRefused, match="1 rows are held"):
            scene.up(through="backfill")

        assert scene.one("SELECT count(*) FROM items WHERE lowered = lower(name)") == 999


def test_the_planner_knows_what_was_filled_and_what_it_knew_of_other_columns_stays(scene: Scene) -> None:
    scene.sql("CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL)")
    scene.sql("INSERT INTO items SELECT i, 'Name' FROM generate_series(1, 1000) AS i")
    scene.sql("ANALYZE items")
    scene.sql("UPDATE items SET name = 'Other'")
    scene.spec(FILL)

    scene.up(through="backfill")

    known = scene.sql("SELECT attname, most_common_vals::text FROM pg_stats WHERE tablename = 'items' ORDER BY attname")
    assert ("lowered", "{other}") in known
    assert ("name", "{Name}") in known
