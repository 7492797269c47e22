"""A value planted in rows shows nowhere: not in what a command writes, not in the ledger's events, gates and steps."""

from __future__ import annotations

import pytest
from tests.cli.calls import Call
from tests.scene import Scene

MARKER = "S3cretRow"
ITEMS = f"""
CREATE TABLE items (id int PRIMARY KEY, code text, n int);
INSERT INTO items SELECT i, i::text FROM generate_series(1, 20) AS i;
UPDATE items SET code = '{MARKER}' WHERE id IN (7, 8);
CREATE FUNCTION strict_code(code text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN
  RAISE EXCEPTION 'no number: %', code USING ERRCODE = '42501', HINT = code; END $$;
CREATE TABLE narrow (id int PRIMARY KEY, code text CHECK (length(code) < 3))
"""
FAILING = {
    "a statement's own error": """
changes: [{sql: {up: "UPDATE items SET n = code::int"}}]
""",
    "a function that raises what it was given, as any SQLSTATE": """
changes: [{sql: {up: "UPDATE items SET n = strict_code(code)"}}]
""",
    "a value that dynamic SQL takes for a name": """
changes: [{sql: {up: "DO $$ BEGIN EXECUTE 'SELECT ' || (SELECT code FROM items WHERE id = 7); END $$"}}]
""",
    "a broken rule": """
changes: [{sql: {up: "INSERT INTO narrow SELECT id, code FROM items"}}]
""",
    "a unique index": """
changes: [{create_index: {table: items, name: items_code, columns: [code], unique: true}}]
""",
    "rows in conflict": """
changes: [{add_column: {table: items, column: number, type: int, up: "code::int"}}]
""",
    "rows that cannot be updated": """
changes: [{update_rows: {table: items, set: {n: 'code::int'}}}]
""",
    "a constraint": """
changes: [{add_constraint: {table: items, name: short, check: 'length(code) < 3'}}]
""",
    "a gate": """
changes: [{add_column: {table: items, column: number, type: int}}]
gates: {expand: [{sql: 'SELECT bool_and(code::int > 0) FROM items'}]}
""",
}


@pytest.mark.parametrize("spec", FAILING.values(), ids=list(FAILING))
def test_a_value_of_a_row_shows_in_no_output_and_in_no_row_of_the_ledger(scene: Scene, call: Call, spec: str) -> None:
    scene.sql(ITEMS)
    scene.spec(spec)

    said = [call("up", "m", "--yes"), call("up", "m", "--yes", "--json"), call("status", "--json")]
    said += [call("status"), call("audit", "log", "--json"), call("conflicts", "m")]

    assert said[0].exit_code == said[1].exit_code == 1
    assert MARKER not in "".join(each.output for each in said)
    for table in ("event", "gate", "step", "migration"):
        assert MARKER not in str(scene.sql(f"SELECT t::text FROM crossfade.{table} AS t"))
