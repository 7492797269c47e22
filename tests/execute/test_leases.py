"""Two runners: one wins; one that lost its lease cannot write."""

from __future__ import annotations

import threading
import time

import pytest
from tests.scene import Scene

from crossfade.execute import Notice, Runner, StepStarted
from crossfade.ledger import LeaseLost, LeaseTaken, lease

ADD = "changes: [{add_column: {table: items, column: extra, type: text}}]\n"


def test_the_second_runner_is_told_who_works(scene: Scene) -> None:
    scene.sql("CREATE TABLE items (id int PRIMARY KEY)")
    scene.spec(ADD)
    scene.up(through="expand")
    with scene.connect() as other:
        lease.acquire(other, "m", "ada@host pid 7")

        with pytest.raises(LeaseTaken, match="ada@host pid 7"):
            scene.up()


def test_a_lease_that_has_run_out_is_taken_over(scene: Scene) -> None:
    scene.sql("CREATE TABLE items (id int PRIMARY KEY)")
    scene.spec(ADD)
    scene.up(through="expand")
    with scene.connect() as other:
        lease.acquire(other, "m", "ada@host pid 7")
        scene.sql("UPDATE crossfade.migration SET lease_until = now() - interval '1s'")

        assert scene.up().ended == "complete"


def test_a_runner_that_lost_its_lease_cannot_commit(scene: Scene) -> None:
    scene.sql("CREATE TABLE items (id int PRIMARY KEY)")
    scene.spec(ADD)
    scene.up(through="expand")
    with scene.connect() as stalled, scene.connect() as other:
        mine = lease.acquire(stalled, "m", "stalled")
        scene.sql("UPDATE crossfade.migration SET lease_until = now() - interval '1s'")
        lease.acquire(other, "m", "other")

        with pytest.raises(LeaseLost):
            lease.fence(stalled, mine)


def test_taking_over_ends_the_sessions_of_the_runner_before(scene: Scene) -> None:
    scene.sql("CREATE TABLE items (id int PRIMARY KEY)")
    scene.spec(ADD)
    scene.up(through="expand")
    with scene.connect() as first, scene.connect() as other:
        before = lease.acquire(first, "m", "first")
        working = scene.connect()
        working.execute("SELECT set_config('application_name', %s, false)", (lease.session_name("m", before.epoch),))
        working.execute("BEGIN")
        lease.fence(working, before)
        scene.sql("UPDATE crossfade.migration SET lease_until = now() - interval '1s'")

        lease.acquire(other, "m", "other")

        with pytest.raises(Exception, match=r"terminat|closed"):
            working.execute("SELECT 1")


def test_a_runner_that_wakes_without_its_lease_leaves_the_index_alone_that_the_next_one_builds(scene: Scene) -> None:
    scene.sql("CREATE TABLE items (id int PRIMARY KEY, size int)")
    scene.spec("changes: [{create_index: {table: items, name: by_size, columns: [size]}}]\n")
    scene.up(through="backfill")
    with scene.connect() as reader, scene.connect() as other, scene.connect() as next_runner:
        reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        reader.execute("SELECT FROM items")  # which the build waits for
        building = threading.Thread(
            target=other.execute, args=("CREATE INDEX CONCURRENTLY by_size ON items (size)",), daemon=True
        )

        def sleep_too_long(notice: Notice) -> None:
            if isinstance(notice, StepStarted) and not building.is_alive():
                scene.sql("UPDATE crossfade.migration SET lease_until = now() - interval '1s'")
                lease.acquire(next_runner, "m", "next")
                building.start()
                while not scene.one("SELECT to_regclass('by_size') IS NOT NULL"):
                    time.sleep(0.01)

        with pytest.raises(LeaseLost):
            Runner(scene.project(), sleep_too_long).advance(scene.migration())
        reader.execute("COMMIT")
        building.join(30)

    assert scene.one("SELECT indisvalid FROM pg_index WHERE indexrelid = 'by_size'::regclass")
    assert scene.one("SELECT count(*) FROM crossfade.step WHERE id LIKE '%by_size%'") == 0
