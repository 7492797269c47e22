"""Settings of storage and statistics that a column has of its own: they go over to the new one, and come back."""

from __future__ import annotations

import pytest
from tests.changes.conftest import Live
from tests.changes.life import Lived, spec
from tests.scene import Scene

SCHEMA = """
CREATE TABLE items (id int PRIMARY KEY, name text, code text, size text, gone text, plain text);
INSERT INTO items VALUES (1, 'a', 'b', '1', 'g', 'p');
""" + "".join(
    f"""
ALTER TABLE items ALTER {column} SET STATISTICS 500, ALTER {column} SET STORAGE EXTERNAL,
  ALTER {column} SET COMPRESSION pglz, ALTER {column} SET (n_distinct = -0.5, n_distinct_inherited = 7);"""
    for column in ("name", "code", "size", "gone")
)
CHANGES = (
    "rename_column: {table: items, from: name, to: nick}",
    "change_column: {table: items, column: code, to: {type: varchar(9)}}",
    "change_column: {table: items, column: size, to: {type: int}}",
    "drop_column: {table: items, column: gone}",
    "rename_column: {table: items, from: plain, to: simple}",
)
OPTIONS = "SET (n_distinct=-0.5, n_distinct_inherited=7)"
ALL = ["SET STATISTICS 500", "SET STORAGE EXTERNAL", "SET COMPRESSION pglz", OPTIONS]


@pytest.fixture(scope="module")
def lived(live: Live) -> Lived:
    return live(SCHEMA, *CHANGES)


@pytest.mark.parametrize(
    ("column", "kept"),
    [("nick", ALL), ("code", ALL), ("size", ["SET STATISTICS 500", OPTIONS]), ("simple", [])],
    ids=["renamed", "another type of text", "a type that is not stored out of line", "none of its own"],
)
def test_settings_of_the_old_column_are_those_of_the_new_one(lived: Lived, column: str, kept: list[str]) -> None:
    said = lived.lines(f"ALTER COLUMN {column} SET ")

    assert sorted(line.partition(f"COLUMN {column} ")[2] for line in said) == sorted(kept)


@pytest.mark.parametrize("leg", ["retire", "archive", "drop"])
def test_settings_come_back_with_the_old_column(scene: Scene, leg: str) -> None:
    scene.sql(SCHEMA)
    before = scene.schema()
    spec(scene, *CHANGES)
    scene.up(through=leg)

    assert scene.rollback().ended == "undone"

    assert scene.schema() == before
