"""A change lived through: up to validate and back as if nothing had been, then all the way, with nothing of ours left."""

from __future__ import annotations

from tests.scene import Scene


def spec(scene: Scene, *changes: str, more: str = "") -> None:
    scene.spec("changes:\n" + "".join(f"  - {change}\n" for change in changes) + more)


def rows(scene: Scene) -> dict[str, list[str]]:
    """The rows of every table in public, as text, in an order of their own."""
    tables = scene.sql(
        "SELECT oid::regclass::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
    )
    return {table: [row for (row,) in scene.sql(f"SELECT t::text FROM {table} AS t ORDER BY 1")] for (table,) in tables}


def whole_way(scene: Scene, schema: str, *changes: str, more: str = "") -> str:
    """Gives the schema in the end."""
    scene.sql(schema)
    spec(scene, *changes, more=more)
    before = scene.schema(), rows(scene)

    assert scene.up(through="validate").ended == "reached"
    assert scene.rollback().ended == "undone"
    assert (scene.schema(), rows(scene)) == before

    assert scene.up().ended == "complete"
    assert scene.own_objects() == []
    return scene.schema()


def lines(schema: str, *wanted: str) -> list[str]:
    """The lines of a schema that hold any of the words, without what surrounds them."""
    return [line.strip().rstrip(",;") for line in schema.splitlines() if any(word in line for word in wanted)]
