"""Which legs a migration may have, by its spec: never fewer than its plan turns out to have."""

from __future__ import annotations

import pytest
from tests.orchestrate.orchestra import FILL, SWAP
from tests.scene import Scene

from crossfade.orchestrate.legs import possible_legs

TABLES = """
CREATE TABLE owners (id int PRIMARY KEY);
CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL, size int NOT NULL DEFAULT 1, owner int, note text);
CREATE INDEX items_note ON items (note);
INSERT INTO items (id, name) VALUES (1, 'one');
"""
KINDS = {
    "fill a column": FILL,
    "swap a column": SWAP,
    "plain column": "changes: [{add_column: {table: items, column: extra, type: text}}]\n",
    "ruled column": "changes: [{add_column: {table: items, column: extra, type: int, check: extra > 0,"
    " unique: true}}]\n",
    "rename": "changes: [{rename_column: {table: items, from: note, to: remark}}]\n",
    "drop column": "changes: [{drop_column: {table: items, column: size}}]\n",
    "default": "changes: [{change_column: {table: items, column: size, to: {default: 7}}}]\n",
    "widen": "changes: [{change_column: {table: items, column: size, to: {type: bigint}}}]\n",
    "check": "changes: [{add_constraint: {table: items, name: positive, check: size > 0}}]\n",
    "foreign key": "changes: [{add_constraint: {table: items, name: owned, foreign_key: {columns: [owner],"
    " references: {table: owners}}}}]\n",
    "index": "changes: [{create_index: {table: items, name: items_size, columns: [size], unique: true}}]\n",
    "no index": "changes: [{drop_index: {index: items_note}}]\n",
    "table": "changes: [{create_table: {table: extra, columns: [{name: id, type: int}], primary_key: [id]}}]\n",
    "rows": "changes: [{update_rows: {table: items, set: {note: upper(name)}, where: note IS NULL}}]\n",
    "sql in expand": 'changes: [{sql: {up: "SELECT 1"}}]\n',
    "sql in contract": 'changes: [{sql: {up: "SELECT 1", phase: contract, stage: retire}}]\n',
}


@pytest.mark.parametrize("enforce", ["validate", "contract"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_leg_of_the_plan_was_foreseen(scene: Scene, kind: str, enforce: str) -> None:
    scene.sql(TABLES)
    scene.spec(f"enforce: {enforce}\n" + KINDS[kind])
    migration = scene.migration()

    foreseen, planned = possible_legs(migration), scene.runner().plan(migration).legs

    assert set(planned) <= set(foreseen)
    assert list(foreseen) == sorted(foreseen, key=lambda leg: leg.order)


@pytest.mark.parametrize(
    ("kind", "contract"),
    [
        ("swap a column", ["cutover", "retire", "archive", "drop"]),
        ("check", ["cutover"]),
        ("index", []),
        ("no index", ["drop"]),
        ("table", []),
        ("rows", []),
        ("sql in expand", []),
        ("sql in contract", ["retire"]),
    ],
)
def test_stages_that_no_change_can_need_are_left_out(scene: Scene, kind: str, contract: list[str]) -> None:
    scene.spec(KINDS[kind])

    assert [str(leg) for leg in possible_legs(scene.migration())] == ["expand", "backfill", "validate", *contract]


def test_rules_that_bind_late_may_have_a_stage_of_their_own(scene: Scene) -> None:
    scene.spec("changes: [{add_constraint: {table: items, name: positive, check: size > 0, enforce: contract}}]\n")

    assert [str(leg) for leg in possible_legs(scene.migration())][3:] == ["tighten", "cutover"]


def test_a_stage_with_gates_is_there_for_them(scene: Scene) -> None:
    scene.spec(KINDS["table"] + "contract: {stages: [{drop: {gates: [{soak: 1d}]}}]}\n")

    assert [str(leg) for leg in possible_legs(scene.migration())][3:] == ["drop"]
