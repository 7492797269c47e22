"""Indexes of the same name as ours: ours is what a build of ours left, and a drop of ours half dropped."""

from __future__ import annotations

import threading
import time

import psycopg
import pytest
from tests.execute.test_kills import run_out_leases
from tests.scene import Scene

from crossfade.changes import Refused
from crossfade.execute import ExecutionFailed, StepRefused

CREATE = "changes: [{create_index: {table: items, name: byv, columns: [v]}}]\n"
DROP = "changes: [{drop_index: {index: byv}}]\n"
VALID = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'byv'::regclass"
OID = "SELECT 'byv'::regclass::oid"
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
    assert items.start_process(fault="before statement:1").ending().killed
    run_out_leases(items)
    cancelled(items, "CREATE INDEX CONCURRENTLY byv ON items (w)")

    with pytest.raises(StepRefused, match="byv exists already"):
        items.up()

    assert items.one(VALID) is False
    assert items.rollback().ended == "undone"
    assert items.one(DEFINITION).endswith("(w)")


def test_a_build_that_was_killed_leaves_nothing_after_a_rollback(items: Scene) -> None:
    items.spec(CREATE)
    assert items.start_process(fault="after statement:1").ending().killed
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


@pytest.mark.parametrize("way", ["up", "rollback"])
def test_a_drop_that_was_cut_off_can_be_finished_and_taken_back(items: Scene, way: str) -> None:
    items.sql("CREATE INDEX byv ON items (v DESC, w) WHERE v > 0")
    before = items.schema()
    items.spec(DROP)
    items.up(through="validate")
    with items.connect() as reader:
        reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        reader.execute("SELECT v FROM items WHERE v = 1")
        process = items.start_process()
        until(items, "SELECT NOT indisvalid FROM pg_index WHERE indexrelid = 'byv'::regclass")
        process.kill()
        assert process.ending().killed
        items.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'DROP INDEX CONCURRENTLY%'")
    run_out_leases(items)
    assert items.one(VALID) is False

    if way == "up":
        assert items.up().ended == "complete"
        assert items.one("SELECT to_regclass('byv') IS NULL")
    items.rollback()

    assert items.schema() == before
    assert items.one(VALID)


def test_a_drop_that_was_refused_keeps_the_index_as_it_is_when_it_is_taken_back(items: Scene) -> None:
    items.sql("CREATE UNIQUE INDEX byv ON items (v)")
    items.spec(DROP)
    items.up(through="validate")
    items.sql("CREATE TABLE lines (v int REFERENCES items (v))")
    oid = items.one(OID)
    with pytest.raises(ExecutionFailed, match="other objects depend on it"):
        items.up()

    assert items.rollback().ended == "undone"

    assert items.one(OID) == oid
    assert items.one(VALID)


def test_an_index_that_another_made_after_the_drop_is_not_replaced_when_it_is_taken_back(items: Scene) -> None:
    items.sql("CREATE INDEX byv ON items (v)")
    items.spec(DROP)
    items.up()
    items.sql("CREATE INDEX byv ON items (w)")

    with pytest.raises(StepRefused, match="drop or rename it, then run `crossfade rollback m` again"):
        items.rollback()

    items.sql("ALTER INDEX byv RENAME TO byw")
    assert items.rollback().ended == "undone"
    assert items.one(DEFINITION).endswith("(v)")


def test_a_part_of_a_partitioned_index_is_refused_when_planning(scene: Scene) -> None:
    scene.sql("CREATE TABLE items (v int) PARTITION BY RANGE (v); CREATE INDEX byv ON items (v)")
    scene.sql("CREATE TABLE p PARTITION OF items DEFAULT")
    scene.spec("changes: [{drop_index: {index: p_v_idx}}]\n")

    with pytest.raises(Refused, match="a part of the partitioned index"):
        scene.up()


def cancelled(scene: Scene, statement: str) -> None:
    """A concurrent build that a writer holds up, and that is then cancelled: it leaves an invalid index."""
    with scene.connect() as holder, scene.connect() as builder:
        holder.execute("BEGIN")
        holder.execute("UPDATE items SET w = w WHERE id = 1")
        canceller = threading.Timer(0.5, builder.cancel)
        canceller.start()
        with pytest.raises(psycopg.errors.QueryCanceled):
            builder.execute(statement.encode())


def until(scene: Scene, question: str) -> None:
    for _ in range(300):
        if scene.one(question):
            return
        time.sleep(0.1)
    raise AssertionError(f"never: {question}")
