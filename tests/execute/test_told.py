"""What is told of indexes and constraints beside their definition goes over with them, and comes back."""

from __future__ import annotations

import pytest
from tests.scene import Scene

SCHEMA = """
CREATE TABLE parents (code text PRIMARY KEY); INSERT INTO parents VALUES ('1'), ('2');
CREATE TABLE items (
  id int PRIMARY KEY, code text CONSTRAINT held CHECK (code <> 'x') CONSTRAINT bound REFERENCES parents, note text,
  CONSTRAINT single UNIQUE (code, id));
CREATE INDEX sorted ON items (note, length(code), lower(code));
CREATE INDEX plain ON items (code);
INSERT INTO items VALUES (1, '1', 'a'), (2, '2', 'b');
COMMENT ON INDEX sorted IS 'the report''s'; COMMENT ON INDEX single IS 'an index'; COMMENT ON INDEX plain IS 'it';
COMMENT ON CONSTRAINT single ON items IS 'a key'; COMMENT ON CONSTRAINT held ON items IS 'no x';
COMMENT ON CONSTRAINT bound ON items IS 'of its parent';
ALTER INDEX sorted ALTER COLUMN 2 SET STATISTICS 500; ALTER INDEX sorted ALTER COLUMN 3 SET STATISTICS 0;
ALTER TABLE items CLUSTER ON sorted"""
CHANGES = {
    "swap": 'change_column: {table: items, column: code, to: {type: "varchar(40)"}, up: "code || \'\'", down: code}',
    "rename": "rename_column: {table: items, from: code, to: kode}",
    "drop": "drop_column: {table: items, column: code}",
}


STAGES = {
    "swap": ("cutover", "archive", "drop"),
    "rename": ("retire", "archive", "drop"),
    "drop": ("retire", "archive", "drop"),
}


def told(scene: Scene) -> list[str]:
    """The lines of a dump that are about it, with the column by its old name."""
    lines = [line.replace("kode", "code") for line in scene.schema().splitlines()]
    return sorted(line for line in lines if line.startswith("COMMENT") or "STATISTICS" in line or "CLUSTER" in line)


@pytest.mark.parametrize(("kind", "through"), [(kind, stage) for kind in CHANGES for stage in STAGES[kind]])
def test_it_is_on_what_stays_and_on_what_comes_back(scene: Scene, kind: str, through: str) -> None:
    scene.sql(SCHEMA)
    scene.spec(f"changes:\n  - {CHANGES[kind]}\n")
    before = told(scene)
    assert len(before) == 9

    scene.up(through=through)
    if kind != "drop":
        assert [line for line in told(scene) if "_cf_" not in line] == before

    assert scene.rollback().ended == "undone"
    assert told(scene) == before
