"""A pause takes effect after the batch or step at hand, on the way back too."""

from __future__ import annotations

import threading

import pytest
from tests.scene import Scene

from crossfade.execute import Blocked, Notice, Progress, Retrying, Runner, StepFinished, pause, resume

TWO = """
changes:
  - add_column: {table: items, column: one, type: text}
  - add_column: {table: items, column: two, type: text}
locks: {timeout: 100ms, budget: 20s}
"""


def pausing(scene: Scene, kind: type[Notice], *, throttled: bool = False) -> Runner:
    """A runner that is paused by a person at its first notice of the kind; throttled: at its first that says so."""

    def listen(notice: Notice) -> None:
        wanted = isinstance(notice, kind) and (not throttled or getattr(notice, "throttled", None))
        if wanted and not scene.ledger().paused("m"):
            pause(scene.project(), "m")

    return Runner(scene.project(), listen)


@pytest.fixture
def items(scene: Scene) -> Scene:
    scene.sql("CREATE TABLE items (id int PRIMARY KEY)")
    scene.spec(TWO)
    return scene


def test_a_phase_of_several_steps_stops_after_the_step_at_hand(items: Scene) -> None:
    outcome = pausing(items, StepFinished).advance(items.migration())

    assert outcome.ended == "paused"
    assert items.columns("items") == ["id", "one"]

    resume(items.project(), "m")
    assert items.up().ended == "complete"
    assert items.columns("items") == ["id", "one", "two"]


def test_a_step_that_waits_for_its_lock_stops_waiting(items: Scene) -> None:
    with items.connect() as blocker:
        blocker.execute("BEGIN")
        blocker.execute("SELECT FROM items")

        assert pausing(items, Retrying).advance(items.migration()).ended == "paused"

    assert items.columns("items") == ["id"]


def test_a_walk_that_is_held_back_by_pressure_can_be_paused(scene: Scene) -> None:
    scene.sql("CREATE TABLE items (id int PRIMARY KEY, n int)")
    scene.sql("INSERT INTO items SELECT i, i FROM generate_series(1, 100000) AS i")
    scene.spec(
        """
changes: [{update_rows: {table: items, set: {n: n + 1}}}]
backfill: {workers: 1, target: 10ms, pause_when: {blocked_sessions: 1}}
"""
    )

    with scene.connect() as holder, scene.connect() as waiting:
        holder.execute("SELECT pg_advisory_lock(1)")
        behind = threading.Thread(target=waiting.execute, args=("SELECT pg_advisory_lock(1)",))
        behind.start()
        try:
            outcome = pausing(scene, Progress, throttled=True).advance(scene.migration())
        finally:
            holder.execute("SELECT pg_advisory_unlock(1)")
            behind.join()

    assert outcome.ended == "paused"


def test_a_paused_migration_can_be_taken_back(items: Scene) -> None:
    pausing(items, StepFinished).advance(items.migration())

    assert items.rollback().ended == "undone"
    assert items.columns("items") == ["id"]


def test_a_pause_on_the_way_back_stops_it_and_rolling_back_again_goes_on(items: Scene) -> None:
    items.up(through="expand")

    stopped = pausing(items, StepFinished).rollback("m")

    assert stopped.ended == "paused"
    assert items.ledger().migration("m").state == "undoing"  # pyright: ignore[reportOptionalMemberAccess]
    assert items.rollback().ended == "undone"
    assert items.columns("items") == ["id"]


def test_what_is_complete_cannot_be_paused(items: Scene) -> None:
    items.up()

    with pytest.raises(Blocked, match="m is complete"):
        pause(items.project(), "m")
