"""Two runners: one wins; one that lost its lease cannot write."""

from __future__ import annotations

import pytest
from tests.scene import Scene

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
