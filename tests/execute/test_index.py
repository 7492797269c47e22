"""Indexes of the same name as ours: ours is what a build of ours left."""

from __future__ import annotations

import threading

import psycopg
import pytest
from tests.execute.test_kills import run_out_leases
from tests.scene import Scene

from crossfade.execute import ExecutionFailed, StepRefused

CREATE = "changes: [{create_index: {table: items, name: byv, columns: [v]}}]\n"
VALID = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'byv'::regclass"
DEFINITION = "SELECT pg_get_indexdef('byv'::regclass)"


@pytest.fixture
def items(scene: Scene) -> Scene:
    scene.sql("CREATE TABLE items (id int PRIMARY KEY, v int, w int)")
    scene.sql("INSERT INTO items SELECT i, i, i FROM generate_series(1, 100) AS i")
    return scene


def test_anothers_index_is_not_taken_for_ours_however_often_up_is_run(items: Scene) -> None:
    items.spec(CREATE)
    items.up(through="backfill")
    items.sql("CREATE INDEX byv ON items (w)")

    for _ in range(2):
        with pytest.raises(StepRefused, match=r"byv exists already .* not of this migration"):
            items.up()

    items.sql("DROP INDEX byv")
    assert items.up().ended == "complete"


def test_anothers_index_is_not_dropped_by_a_rollback(items: Scene) -> None:
    items.spec(CREATE)
    items.up(through="backfill")
    items.sql("CREATE INDEX byv ON items (v)")
    with pytest.raises(StepRefused):
        items.up()

    assert items.rollback().ended == "undone"

    assert items.one(VALID)


def test_an_index_that_another_put_in_the_place_of_ours_is_not_dropped_by_a_rollback(items: Scene) -> None:
    items.spec(CREATE)
    items.up()
    items.sql("DROP INDEX byv; CREATE INDEX byv ON items (w)")

    assert items.rollback().ended == "undone"

    assert items.one(DEFINITION).endswith("(w)")


def test_an_index_of_ours_that_was_built_anew_since_is_dropped_by_a_rollback(items: Scene) -> None:
    items.spec(CREATE)
    items.up()
    items.sql("REINDEX INDEX CONCURRENTLY byv")

    items.rollback()

    assert items.one("SELECT to_regclass('byv') IS NULL")


def test_an_index_that_is_being_built_when_ours_finds_the_name_taken_is_left_alone(items: Scene) -> None:
    items.spec(CREATE)
    process = items.start_process(fault="before statement:1")  # it has looked, and found nothing
    assert process.wait(30) == -9
    run_out_leases(items)
    cancelled(items, "CREATE INDEX CONCURRENTLY byv ON items (w)")

    with pytest.raises(StepRefused, match="byv exists already"):
        items.up()

    assert items.one(VALID) is False
    assert items.rollback().ended == "undone"
    assert items.one(DEFINITION).endswith("(w)")


def test_a_build_that_was_killed_leaves_nothing_after_a_rollback(items: Scene) -> None:
    items.spec(CREATE)
    process = items.start_process(fault="after statement:1")
    assert process.wait(30) == -9
    run_out_leases(items)
    assert items.one(VALID)

    items.rollback()

    assert items.one("SELECT to_regclass('byv') IS NULL")


def test_a_build_that_failed_leaves_no_invalid_index(items: Scene) -> None:
    items.spec("changes: [{create_index: {table: items, name: byv, columns: [{expression: 1 / v}]}}]\n")
    items.up(through="backfill")
    items.sql("INSERT INTO items VALUES (0, 0)")

    with pytest.raises(ExecutionFailed, match="division by zero"):
        items.up()

    assert items.one("SELECT to_regclass('byv') IS NULL")


def cancelled(scene: Scene, statement: str) -> None:
    """A concurrent build that a writer holds up, and that is then cancelled: it leaves an invalid index."""
    with scene.connect() as holder, scene.connect() as builder:
        holder.execute("BEGIN")
        holder.execute("UPDATE items SET w = w WHERE id = 1")
        canceller = threading.Timer(0.5, builder.cancel)
        canceller.start()
        with pytest.raises(psycopg.errors.QueryCanceled):
            builder.execute(statement.encode())
