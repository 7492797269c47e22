"""Killed at any commit, statement or step, and run again: the same catalog and the same rows as undisturbed."""

from __future__ import annotations

import pytest
from tests.processes import Act
from tests.scene import Scene

TABLE = """
CREATE TABLE people (id bigint PRIMARY KEY, name text NOT NULL DEFAULT 'anon', age int CHECK (age >= 0), zip text);
CREATE INDEX people_name ON people (name, age);
INSERT INTO people SELECT i, 'N' || i, i % 90, lpad((i % 10000)::text, 5, '0') FROM generate_series(1, 3000) AS i
"""
SPEC = """
changes:
  - change_column: {table: people, column: age, to: {type: bigint, nullable: false}}
  - change_column: {table: people, column: zip, to: {type: int}, up: "zip::int", down: "lpad(zip::text, 5, '0')"}
  - rename_column: {table: people, from: name, to: full_name}
  - add_column: {table: people, column: token, type: uuid, default: gen_random_uuid(), nullable: false, unique: true}
  - create_index: {table: people, name: people_zip, columns: [zip, id]}
backfill: {target: 20ms}
contract: {count_writes: true}
"""
ROWS = "SELECT id, full_name, age, zip, token IS NULL FROM people ORDER BY id"
POINTS = ("before commit", "after commit", "before statement", "after statement", "before step", "after step")


def run_out_leases(scene: Scene) -> None:
    """As time does: the dead runner's lease ends."""
    if scene.one("SELECT to_regclass('crossfade.migration') IS NOT NULL"):
        scene.sql("UPDATE crossfade.migration SET lease_until = now() - interval '1s'")


def run_until_complete(scene: Scene, faults: list[str], act: Act = "advance") -> int:
    """Runs the migration, or takes it back, in processes that die one after the other; gives how many died."""
    for kills, fault in enumerate([*faults, ""]):
        ending = scene.start_process(fault=fault, act=act).ending()
        if ending.outcome:
            return kills
        assert ending.killed, ending
        run_out_leases(scene)
    raise AssertionError("never completed")


@pytest.mark.parametrize("point", POINTS)
def test_a_runner_killed_again_and_again_at_a_kind_of_point_ends_as_an_undisturbed_one(
    scene: Scene, point: str
) -> None:
    scene.sql(TABLE)
    scene.spec(SPEC)

    kills = run_until_complete(scene, [f"{point}:{count}" for count in (1, 2, 3, 5, 8, 3)])

    assert kills >= 2
    assert scene.sql(ROWS) == [(i, f"N{i}", i % 90, i % 10000, False) for i in range(1, 3001)]
    assert scene.one("SELECT count(DISTINCT token) FROM people") == 3000
    assert scene.own_objects() == []
    assert "CREATE INDEX people_name ON public.people USING btree (full_name, age)" in scene.schema()
    assert "CREATE INDEX people_zip ON public.people USING btree (zip, id)" in scene.schema()
    assert "CONSTRAINT people_age_check CHECK ((age >= 0))" in scene.schema()
    assert scene.one("SELECT bool_and(indisvalid) FROM pg_index") is True


def test_a_runner_that_was_killed_while_undoing_is_finished_by_the_next(scene: Scene) -> None:
    scene.sql(TABLE)
    scene.spec(SPEC)
    before = scene.schema(), scene.sql("SELECT * FROM people ORDER BY id")
    scene.up(through="retire")
    scene.ledger().set_state("m", "undoing")

    from crossfade.execute import Blocked

    with pytest.raises(Blocked, match="being undone"):
        scene.up()
    scene.rollback()

    assert (scene.schema(), scene.sql("SELECT * FROM people ORDER BY id")) == before
