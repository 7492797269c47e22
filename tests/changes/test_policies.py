"""create_policy and drop_policy: they bind, go, and come back exactly."""

from __future__ import annotations

import pytest
from tests.changes.life import spec, whole_way
from tests.changes.refusing import refusal
from tests.scene import Scene

SCHEMA = """
CREATE TABLE notes (id int PRIMARY KEY, owner text, size int);
CREATE TABLE teams (name text);
INSERT INTO notes VALUES (1, 'a', 1), (2, 'b', 2);
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY old ON notes AS RESTRICTIVE FOR UPDATE TO pg_monitor, pg_read_all_stats
  USING (owner = CURRENT_USER AND size IN (SELECT 1)) WITH CHECK (size > 0);
COMMENT ON POLICY old ON notes IS 'own ones';
GRANT SELECT ON notes TO pg_monitor"""
CREATE = (
    "create_policy: {table: notes, name: few, for: select, to: [pg_monitor],"
    " using: 'size < 2 AND NOT EXISTS (SELECT FROM teams WHERE name = notes.owner)', comment: few}"
)
DROP = "drop_policy: {table: notes, name: old}"


def test_policies_come_and_go_and_come_back_as_they_were(scene: Scene) -> None:
    whole_way(scene, SCHEMA, CREATE, DROP)

    assert scene.sql("SELECT polname FROM pg_policy") == [("few",)]
    with scene.connect() as reader:
        reader.execute("SET ROLE pg_monitor")
        with pytest.raises(Exception, match="permission denied for table teams"):
            reader.execute("SELECT id FROM notes")


def test_a_dropped_policy_comes_back_as_it_was_after_a_kill(scene: Scene) -> None:
    scene.sql(SCHEMA)
    before = scene.schema()
    spec(scene, CREATE, DROP)
    scene.up(through="validate")
    assert scene.start_process(fault="before commit:1").ending().killed
    scene.sql("UPDATE crossfade.migration SET lease_until = now() - interval '1s'")

    assert scene.up().ended == "complete"
    assert scene.rollback().ended == "undone"
    assert scene.schema() == before


REFUSED = {
    "a name that is taken": ("create_policy: {table: notes, name: old}", "policy old exists already on public.notes"),
    "a condition that is none": (
        "create_policy: {table: notes, name: p, using: size + 1}",
        "using gives integer, the column wants boolean",
    ),
    "rows to see of an insert": (
        "create_policy: {table: notes, name: p, for: insert, using: size > 1}",
        "an INSERT has no rows to see",
    ),
    "no such policy": ("drop_policy: {table: notes, name: p}", "policy p does not exist on public.notes"),
}


@pytest.mark.parametrize(("change", "what"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_done_is_refused_when_planned(scene: Scene, change: str, what: str) -> None:
    scene.sql(SCHEMA)

    (problem,) = refusal(scene, change)

    assert problem.what.startswith(what)


def test_what_a_policy_does_to_the_old_version_is_told(scene: Scene) -> None:
    scene.sql(SCHEMA)
    spec(scene, CREATE.replace("comment", "restrictive: true, comment"), DROP)

    codes = {hazard.code for hazard in scene.runner().plan(scene.migration()).hazards}

    assert codes >= {"policy-hides-rows", "policy-shows-rows"}
