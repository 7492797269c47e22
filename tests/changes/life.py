"""A change lived through: up to validate, back as if nothing had been, then all the way with nothing of ours left."""

from __future__ import annotations

from dataclasses import dataclass

from tests.scene import Scene


@dataclass(frozen=True)
class Lived:
    """The scene after the migration is complete, and its schema then."""

    scene: Scene
    schema: str

    def lines(self, *words: str) -> list[str]:
        """The lines of the schema that hold any of the words, without what surrounds them."""
        return lines(self.schema, *words)

    def column(self, table: str, column: str) -> list[object]:
        """The column's values by id."""
        return [value for (value,) in self.scene.sql(f"SELECT {column} FROM {table} ORDER BY id")]


def spec(scene: Scene, *changes: str, more: str = "") -> None:
    scene.spec("changes:\n" + "".join(f"  - {change}\n" for change in changes) + more)


def rows(scene: Scene) -> dict[str, list[str]]:
    """The rows of every table in public, as text, in an order of their own."""
    tables = scene.sql(
        "SELECT oid::regclass::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
    )
    return {table: [row for (row,) in scene.sql(f"SELECT t::text FROM {table} AS t ORDER BY 1")] for (table,) in tables}


def lines(schema: str, *words: str) -> list[str]:
    said = (line for line in schema.splitlines() if not line.startswith("--"))
    return [line.strip().rstrip(",;") for line in said if any(word in line for word in words)]


def whole_way(scene: Scene, schema: str, *changes: str, more: str = "") -> Lived:
    scene.sql(schema)
    spec(scene, *changes, more=more)
    before = scene.schema(), rows(scene)

    assert scene.up(through="validate").ended in ("reached", "complete")
    assert scene.rollback().ended == "undone"
    assert (scene.schema(), rows(scene)) == before

    assert scene.up().ended == "complete"
    assert scene.own_objects() == []
    return Lived(scene, scene.schema())
