"""How the planner sees a batch: asked by EXPLAIN, for what it costs depends on the machine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
from psycopg import sql
from tests.changes.life import spec
from tests.scene import Scene

from crossfade.spec.fragment import trusted
from crossfade.steps.step import BACKFILL, Ddl, Walk

ROWS = 50_000
SCHEMA = f"""
CREATE TABLE posts (id int PRIMARY KEY, likes int);
CREATE TABLE likes (post int NOT NULL);
INSERT INTO posts SELECT i FROM generate_series(1, {ROWS}) AS i;
INSERT INTO likes SELECT i % 1000 + 1 FROM generate_series(1, 5000) AS i;
CREATE INDEX ON likes (post);
ANALYZE posts, likes"""


def test_the_planner_expects_about_as_many_rows_as_a_batch_that_looks_at_others_has_locked(scene: Scene) -> None:
    """Of few it would make a loop with a scan of the whole range in it, and hold all of them for as long."""
    scene.sql(SCHEMA)
    counted = "(SELECT count(*) FROM likes WHERE likes.post = posts.id)"
    spec(scene, f'update_rows: {{table: posts, set: {{likes: "{counted}"}}}}')
    scene.up(through="expand")
    room, walk = [
        step
        for step in scene.runner().plan(scene.migration()).steps_of(BACKFILL, scene.first)
        if isinstance(step, Ddl | Walk)
    ]
    assert isinstance(room, Ddl)
    assert isinstance(walk, Walk)
    for statement in room.statements:
        scene.sql(statement)

    with scene.connect() as connection, connection.transaction(force_rollback=True):
        for statement in walk.first:
            _run(connection, statement)
        [([explained],)] = _run(connection, f"EXPLAIN (FORMAT JSON) {walk.batch}").fetchall()

    (expected,) = [node["Plan Rows"] for node in _nodes(explained["Plan"]) if node["Node Type"] == "LockRows"]
    assert expected > ROWS / 10


def _run(connection: psycopg.Connection[Any], statement: str) -> psycopg.Cursor[Any]:
    cursor: psycopg.RawCursor[Any] = psycopg.RawCursor(connection)
    filled = trusted(statement).format(leaf=sql.Identifier("public", "posts"))
    return cursor.execute(filled, ("(0,0)", "(4294967295,0)"))


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for below in node.get("Plans", ()):
        yield from _nodes(below)
