"""A value planted in rows shows nowhere: not in what a command writes, not in the ledger's events, gates and steps."""

from __future__ import annotations

import json
from pathlib import Path

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


PEOPLE = f"""
CREATE TABLE people (mail text PRIMARY KEY, name text);
INSERT INTO people SELECT '{MARKER}' || i, '{MARKER}' || i FROM generate_series(1, 30) AS i
"""
CHANGES = """
changes:
  - rename_column: {table: people, from: name, to: called}
gates:
  expand: [{suite: people}]
  backfill: [{sql: 'SELECT bool_and(called IS NOT NULL) FROM people'}]
contract: {stages: [{archive: {keep: 30d}}, {drop: }]}
"""
SUITE = """
suite: people
table: people
expectations:
  - expect_column_values_to_be_unique: {column: name}
  - expect_column_value_lengths_to_be_between: {column: name, max_value: 3, severity: warning}
"""


def test_nor_does_it_in_a_whole_life_there_and_back(
    scene: Scene, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.sql(PEOPLE)
    scene.spec(CHANGES)
    (scene.root / "validations" / "people.yaml").write_text(SUITE)
    file = scene.root / "databases.yaml"
    file.write_text("app: {url: env:APP_URL, personal: {columns: [people.mail, people.name], keep_at_most: 30d}}\n")
    lineage = tmp_path / "lineage.jsonl"
    for key, value in (("TYPE", "file"), ("LOG_FILE_PATH", str(lineage)), ("APPEND", "true")):
        monkeypatch.setenv(f"OPENLINEAGE__TRANSPORT__{key}", value)

    plans = [call("plan", "m", "--sql", "--format", form) for form in ("json", "markdown")]
    ways = [call("up", "m", "--yes"), call("rollback", "m", "--yes")]
    told = [call(*words) for words in (("status",), ("status", "--json"), ("why", "m"), ("report", "m"))]
    told += [call(*words) for words in (("conflicts", "m"), ("audit", "log", "--json"), ("audit", "export"))]

    assert [each.exit_code for each in (*plans, *ways)] == [0] * 4
    assert MARKER not in "".join(each.output for each in (*plans, *ways, *told))
    assert MARKER not in lineage.read_text()
    for table in ("event", "gate", "step", "migration", "progress", "conflict", "archive", "approval"):
        assert MARKER not in str(scene.sql(f"SELECT t::text FROM crossfade.{table} AS t"))


def test_the_key_of_a_row_in_conflict_is_listed_but_where_it_is_personal(scene: Scene, call: Call) -> None:
    scene.sql("CREATE TABLE people (mail text, n int, age text, PRIMARY KEY (mail, n))")
    scene.sql(f"INSERT INTO people VALUES ('{MARKER}', 5, 'old')")
    scene.spec("changes: [{add_column: {table: people, column: years, type: int, up: 'age::int'}}]\n")
    (scene.root / "databases.yaml").write_text("app: {url: env:APP_URL, personal: {columns: [people.mail]}}\n")
    call("up", "m", "--yes")

    shown = call("conflicts", "m", "--values")
    data = json.loads(call("conflicts", "m", "--values", "--json").output)

    assert data[0]["key"] == {"mail": "(personal)", "n": 5}
    assert "(personal)" in shown.output
    assert MARKER not in shown.output + str(data)
