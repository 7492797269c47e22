"""A runner whose machine stands still in the middle of a transaction does not keep clients waiting for long."""

from __future__ import annotations

from tests.scene import Scene


def test_a_client_gets_through_while_the_runner_stands_still_and_the_runner_goes_on_when_it_wakes(scene: Scene) -> None:
    scene.sql("CREATE TABLE items (id int PRIMARY KEY, name text)")
    scene.sql("INSERT INTO items SELECT i, 'A' FROM generate_series(1, 9) AS i")
    scene.spec("changes: [{add_column: {table: items, column: lowered, type: text, up: lower(name)}}]\n")
    stalled = scene.start_process(fault="before commit:4:SIGSTOP")
    try:
        assert stalled.waits_for_a_signal()
        held = scene.sql(
            "SELECT mode FROM pg_locks JOIN pg_stat_activity USING (pid)"
            " WHERE relation = 'items'::regclass AND application_name LIKE 'crossfade%'"
        )
        assert ("AccessExclusiveLock",) in held

        scene.sql("UPDATE items SET name = 'B'")

        stalled.wake()
        ending = stalled.ending()
    finally:
        stalled.kill()
    assert ending.outcome == "complete", ending
    assert scene.sql("SELECT DISTINCT lowered FROM items") == [("b",)]
