"""A walk beside writers that lock rows in an order of their own."""

from __future__ import annotations

import random
import threading
from typing import Any

import psycopg
import pytest
from tests.execute.slow import slow_items
from tests.execute.writers import Writers
from tests.scene import Scene

from crossfade.execute import LockBudgetExceeded, Notice, Progress, Runner, StepFinished, StepRefused

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


def test_a_worker_rests_as_long_as_the_spec_says_for_each_second_it_writes(scene: Scene) -> None:
    scene.sql(slow_items(500))
    scene.spec(
        "changes: [{add_column: {table: items, column: lowered, type: text, up: slowly(name)}}]\n"
        "backfill: {workers: 1, target: 50ms, nice_ratio: 3}\n"
    )

    scene.up(through="backfill")

    walk = next(each for each in scene.seen(StepFinished) if each.step.kind == "walk")
    assert walk.rows == 500
    assert walk.seconds > 4 * 0.9 * 500 * 0.001  # a row takes a millisecond at least; the last batch needs no rest


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


def held_at_first(scene: Scene) -> psycopg.Connection[Any]:
    """A small table to fill, the first phase done, and a session that holds a row of it."""
    scene.sql("CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL)")
    scene.sql("INSERT INTO items SELECT i, 'Name ' || i FROM generate_series(1, 1000) AS i")
    scene.sql("ANALYZE items")
    scene.up(through="expand")
    holder = scene.connect()
    holder.execute("BEGIN")
    holder.execute("SELECT FROM items WHERE id = 500 FOR UPDATE")
    return holder


def test_a_lock_that_comes_while_rows_are_visited_again_is_waited_for(scene: Scene) -> None:
    scene.spec(FILL + "locks: {timeout: 100ms, budget: 60s}\n")
    locker = scene.connect()
    with held_at_first(scene) as holder:
        let_go = threading.Timer(1.0, lambda: locker.execute("COMMIT"))

        def lock_the_table(notice: Notice) -> None:
            if isinstance(notice, Progress) and "held by others" in (notice.throttled or "") and let_go.ident is None:
                holder.execute("COMMIT")
                locker.execute("BEGIN; LOCK TABLE items IN SHARE MODE")
                let_go.start()

        Runner(scene.project(), lock_the_table).advance(scene.migration(), through="backfill")
    let_go.join()

    assert scene.one("SELECT count(*) FROM items WHERE lowered = lower(name)") == 1000


@pytest.mark.parametrize("when", ["from the start", "while rows are visited again"])
def test_a_table_that_stays_locked_for_the_whole_budget_is_said_to_be(scene: Scene, when: str) -> None:
    scene.spec(FILL + "locks: {timeout: 100ms, budget: 1s}\n")
    locker = scene.connect()
    with held_at_first(scene) as holder, locker:

        def lock_the_table(notice: Notice) -> None:
            if isinstance(notice, Progress) and "held by others" in (notice.throttled or ""):
                holder.execute("COMMIT")
                locker.execute("BEGIN; LOCK TABLE items IN SHARE MODE")

        if when == "from the start":
            holder.execute("COMMIT; BEGIN; LOCK TABLE items IN SHARE MODE")
        with pytest.raises(LockBudgetExceeded, match="no batch could be written for") as failure:
            Runner(scene.project(), lock_the_table).advance(scene.migration(), through="backfill")

    assert "lock timeout" in (failure.value.why or "")


def test_a_repeatable_read_that_meets_a_row_of_a_batch_fails_as_the_plan_says_and_succeeds_when_tried_again(
    scene: Scene,
) -> None:
    scene.sql("CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL); INSERT INTO items VALUES (1, 'Name')")
    scene.spec(FILL)
    (hazard,) = (h for h in scene.runner().plan(scene.migration()).hazards if h.code == "repeatable-reads-fail")
    scene.up(through="expand")
    with scene.connect() as client:
        client.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        client.execute("SELECT FROM items")
        scene.up(through="backfill")

        with pytest.raises(psycopg.errors.SerializationFailure) as failure:
            client.execute("UPDATE items SET name = 'Other' WHERE id = 1")
        client.execute("ROLLBACK")
        client.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; UPDATE items SET name = 'Other' WHERE id = 1; COMMIT")

    assert failure.value.sqlstate is not None
    assert failure.value.sqlstate in hazard.what
    assert "public.items" in hazard.what
    assert scene.sql("SELECT name, lowered FROM items") == [("Other", "other")]
