"""drop_constraint, validate_constraint, rename_constraint, rename_index: of what is there already."""

from __future__ import annotations

import random
from typing import Any

import psycopg
import pytest
from tests.changes.life import spec, whole_way
from tests.changes.refusing import refusal
from tests.execute.test_kills import run_until_complete
from tests.execute.writers import Writers
from tests.scene import Scene

from crossfade.execute import StepRefused

SCHEMA = """
CREATE TABLE teams (id int PRIMARY KEY, code text UNIQUE);
CREATE TABLE items (id int CONSTRAINT items_key PRIMARY KEY, size int, team_id int, code text,
  CONSTRAINT sized CHECK (size > 0),
  CONSTRAINT once UNIQUE (code) DEFERRABLE INITIALLY DEFERRED,
  CONSTRAINT of_team FOREIGN KEY (team_id) REFERENCES teams ON DELETE CASCADE);
CREATE TABLE parts (item_id int CONSTRAINT of_item REFERENCES items, team_id int, size int, during int4range,
  CONSTRAINT apart EXCLUDE USING gist (during WITH &&));
ALTER TABLE parts ADD CONSTRAINT late FOREIGN KEY (team_id) REFERENCES teams NOT VALID,
  ADD CONSTRAINT small CHECK (size < 9) NOT VALID;
CREATE INDEX by_size ON items (size);
COMMENT ON CONSTRAINT sized ON items IS 'never nothing'; COMMENT ON CONSTRAINT once ON items IS 'one each';
COMMENT ON CONSTRAINT small ON parts IS 'few';
INSERT INTO teams VALUES (1, 'a');
INSERT INTO items SELECT i, i, 1, 'c' || i FROM generate_series(1, 20) AS i;
INSERT INTO parts VALUES (1, 1, 1)"""
CHANGES = (
    "drop_constraint: {table: items, name: sized}",
    "drop_constraint: {table: items, name: once}",
    "drop_constraint: {table: items, name: of_team}",
    "validate_constraint: {table: parts, name: late}",
    "validate_constraint: {table: parts, name: small}",
    "rename_constraint: {table: items, from: items_key, to: items_pkey}",
    "rename_constraint: {table: parts, from: of_item, to: parts_item}",
    "rename_index: {index: by_size, to: items_size}",
)
NAMES = (
    "SELECT conname FROM pg_constraint WHERE contype <> 'n' AND conrelid IN ('items'::regclass, 'parts'::regclass)"
    " UNION SELECT relname FROM pg_class WHERE relname LIKE '%size' ORDER BY 1"
)


def test_they_are_gone_proved_and_renamed_in_the_end(scene: Scene) -> None:
    whole_way(scene, SCHEMA, *CHANGES)

    assert scene.sql(NAMES) == [("apart",), ("items_pkey",), ("items_size",), ("late",), ("parts_item",), ("small",)]
    assert scene.one("SELECT bool_and(convalidated) FROM pg_constraint")


def test_all_of_it_comes_back_as_it_was(scene: Scene) -> None:
    scene.sql(SCHEMA)
    spec(scene, *CHANGES)
    before = scene.schema()

    assert scene.up().ended == "complete"
    assert scene.rollback().ended == "undone"

    assert scene.schema() == before


def test_clients_write_all_the_time_forward_and_back(scene: Scene) -> None:
    scene.sql(SCHEMA)
    spec(scene, *CHANGES)

    def write(session: psycopg.Connection[Any], dice: random.Random, number: int) -> None:
        id_ = dice.randrange(100, 10**9)
        session.execute("INSERT INTO items VALUES (%s, 1, 1, %s)", (id_, f"{number} {id_}"))
        session.execute("INSERT INTO parts VALUES (%s, 1, 2)", (id_,))
        session.execute("UPDATE items SET size = size + 1 WHERE id = %s", (id_,))

    with Writers(scene.connect, write, write, pause=0.05) as writers:
        scene.up()
        scene.rollback()

    assert writers.failures == []


@pytest.mark.parametrize("point", ["before commit", "after step"])
def test_a_runner_killed_again_and_again_ends_as_an_undisturbed_one(scene: Scene, point: str) -> None:
    scene.sql(SCHEMA)
    spec(scene, *CHANGES)

    assert run_until_complete(scene, [f"{point}:{count}" for count in (3, 6, 9)]) >= 1

    assert len(scene.sql(NAMES)) == 6
    assert scene.one("SELECT bool_and(convalidated) FROM pg_constraint")


def test_a_dropped_rule_binds_until_the_last_stage(scene: Scene) -> None:
    scene.sql(SCHEMA)
    spec(scene, CHANGES[0])

    scene.up(through="validate")

    with pytest.raises(psycopg.errors.CheckViolation):
        scene.sql("UPDATE items SET size = 0")


def test_rows_that_break_a_dropped_rule_hold_its_rollback_up(scene: Scene) -> None:
    scene.sql(SCHEMA)
    spec(scene, *CHANGES[:3])
    scene.up()
    scene.sql("UPDATE items SET size = 0 WHERE id = 1")

    with pytest.raises(StepRefused, match=r"^1 rows that break the check sized"):
        scene.rollback()

    scene.sql("UPDATE items SET size = 1 WHERE id = 1")
    assert scene.rollback().ended == "undone"


@pytest.mark.parametrize(
    ("change", "row", "said"),
    [
        (CHANGES[3], "INSERT INTO parts VALUES (1, 9, 1)", r"1 rows of public.parts \(team_id\) without a row in"),
        (CHANGES[4], "INSERT INTO parts VALUES (1, 1, 10)", "1 rows that break the check small"),
    ],
)
def test_rows_that_break_a_rule_not_valid_are_counted_first(scene: Scene, change: str, row: str, said: str) -> None:
    there = "ALTER TABLE parts DISABLE TRIGGER ALL; ALTER TABLE parts DROP CONSTRAINT small"
    again = "ALTER TABLE parts ENABLE TRIGGER ALL; ALTER TABLE parts ADD CONSTRAINT small CHECK (size < 9) NOT VALID"
    scene.sql(f"{SCHEMA}; {there}; {row}; {again}")
    spec(scene, change)

    with pytest.raises(StepRefused, match=said):
        scene.up()


def test_an_exclusion_constraint_is_dropped_for_good_and_the_plan_says_so(scene: Scene) -> None:
    scene.sql(SCHEMA)
    spec(scene, "drop_constraint: {table: parts, name: apart}")

    plan = scene.runner().plan(scene.migration())

    assert [step.irreversible for step in plan.steps] == [True]
    assert ("no-way-back", "danger") in {(hazard.code, hazard.risk) for hazard in plan.hazards}


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ("drop_constraint: {table: items, name: items_key}", "foreign key of_item of public.parts points at id of"),
        ("drop_constraint: {table: items, name: size}", "constraint size does not exist on public.items"),
        ("validate_constraint: {table: items, name: sized}", "constraint sized of public.items is valid already"),
        ("rename_constraint: {table: items, from: sized, to: once}", "constraint once exists already on public.items"),
        ("rename_constraint: {table: items, from: once, to: by_size}", "an index by_size exists already"),
        ("rename_index: {index: items_key, to: x}", "index items_key belongs to constraint items_key"),
        ("rename_index: {index: zzz, to: x}", "index zzz does not exist in schema public"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(scene: Scene, change: str, what: str) -> None:
    scene.sql(SCHEMA)

    (problem,) = refusal(scene, change)

    assert problem.what.startswith(what)
