"""Indexes, keys and foreign keys of partitioned tables: partition by partition, beside writers, and back."""

from __future__ import annotations

import random
from typing import Any

import psycopg
import pytest
from tests.changes.conftest import Live
from tests.changes.life import Lived, spec
from tests.changes.refusing import refusal
from tests.execute.test_kills import run_until_complete
from tests.execute.writers import Writers
from tests.scene import Scene

from crossfade.execute import StepRefused

SCHEMA = """
CREATE TABLE teams (id int PRIMARY KEY); INSERT INTO teams VALUES (1);
CREATE TABLE items (id int, at int NOT NULL, name text, team_id int, other_team int) PARTITION BY RANGE (at);
CREATE TABLE items_low PARTITION OF items FOR VALUES FROM (0) TO (10);
CREATE TABLE items_high PARTITION OF items FOR VALUES FROM (10) TO (20) PARTITION BY LIST (at);
CREATE TABLE items_ten PARTITION OF items_high FOR VALUES IN (10);
CREATE TABLE items_rest PARTITION OF items_high DEFAULT;
INSERT INTO items SELECT i, i % 20, 'n' || i, 1, 1 FROM generate_series(1, 60) AS i"""
CHANGES = (
    "create_index: {table: items, name: by_name, columns: [name, {expression: lower(name)}], where: items.id > 0}",
    "create_index: {table: items, name: once, columns: [id, at], unique: true}",
    "add_constraint: {table: items, name: two, unique: [name, at], deferrable: true}",
    "add_constraint: {table: items, name: items_key, primary_key: [at, id]}",
    "add_constraint: {table: items, name: of_team, foreign_key: {columns: [team_id], references: {table: teams}}}",
)
LEAVES = ("items_low", "items_ten", "items_rest")


@pytest.fixture(scope="module")
def lived(live: Live) -> Lived:
    return live(SCHEMA, *CHANGES)


@pytest.mark.parametrize("name", ["by_name", "once", "two", "items_key"])
def test_every_partition_has_its_part_and_the_whole_is_valid(lived: Lived, name: str) -> None:
    parts = lived.scene.sql(
        "SELECT i.indrelid::regclass::text, i.indisvalid, c.relname FROM pg_partition_tree"
        f"('{name}'::regclass) AS t JOIN pg_index AS i ON i.indexrelid = t.relid"
        " JOIN pg_class AS c ON c.oid = i.indexrelid ORDER BY 1"
    )

    assert parts == [
        (table, True, name if table == "items" else f"{table}_{name}")
        for table in sorted(("items", "items_high", *LEAVES))
    ]


def test_the_constraints_are_there_under_their_names(lived: Lived) -> None:
    assert {
        "ADD CONSTRAINT two UNIQUE (name, at) DEFERRABLE",
        "ADD CONSTRAINT items_key PRIMARY KEY (at, id)",
        "ADD CONSTRAINT of_team FOREIGN KEY (team_id) REFERENCES public.teams(id)",
    } <= {*lived.lines("ADD CONSTRAINT")}


def test_the_foreign_key_is_proved_in_every_partition(lived: Lived) -> None:
    assert lived.scene.sql("SELECT count(*), bool_and(convalidated) FROM pg_constraint WHERE conname = 'of_team'") == [
        (5, True)
    ]


def test_a_partition_that_comes_later_has_all_of_it(lived: Lived) -> None:
    lived.scene.sql("CREATE TABLE items_late PARTITION OF items FOR VALUES FROM (30) TO (40)")

    made = lived.scene.one("SELECT count(*) FROM pg_index WHERE indrelid = 'items_late'::regclass AND indisvalid")

    assert made == 4


def test_clients_write_all_the_time(scene: Scene) -> None:
    scene.sql(SCHEMA)
    spec(scene, *CHANGES)

    def write(session: psycopg.Connection[Any], dice: random.Random, number: int) -> None:
        id_ = dice.randrange(10**9)
        session.execute("INSERT INTO items VALUES (%s, %s, %s, 1, 1)", (id_, dice.randrange(20), f"{number} {id_}"))
        session.execute("UPDATE items SET other_team = 2 WHERE id = %s", (id_,))
        session.execute("DELETE FROM items WHERE id = %s AND at %% 2 = 0", (id_,))

    with Writers(scene.connect, write, write, pause=0.05) as writers:
        scene.up()

    assert writers.failures == []


@pytest.mark.parametrize("point", ["before commit", "after statement", "after step"])
def test_a_runner_killed_again_and_again_ends_as_an_undisturbed_one(lived: Lived, scene: Scene, point: str) -> None:
    scene.sql(SCHEMA)
    spec(scene, *CHANGES)

    assert run_until_complete(scene, [f"{point}:{count}" for count in (3, 8, 13)]) >= 1

    assert scene.schema() == lived.schema


def test_a_partition_that_came_too_early_for_the_index_is_told_of(scene: Scene) -> None:
    scene.sql(SCHEMA)
    spec(scene, CHANGES[0])
    scene.up(through="backfill")
    scene.sql("CREATE TABLE items_late PARTITION OF items FOR VALUES FROM (30) TO (40)")

    with pytest.raises(StepRefused, match="1 partitions without a valid part of index by_name"):
        scene.up()

    before = scene.one("SELECT count(*) FROM pg_indexes WHERE indexname LIKE '%by_name'")
    assert scene.rollback().ended == "undone"
    assert (before, scene.one("SELECT count(*) FROM pg_indexes WHERE indexname LIKE '%by_name'")) == (5, 0)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ("create_index: {table: items, name: i, columns: [name], unique: true}", "public.items is partitioned by at,"),
        ("add_constraint: {table: items, name: i, unique: [name]}", "public.items is partitioned by at, which is not"),
        ("add_constraint: {table: items, name: i, primary_key: [id]}", "public.items is partitioned by at, which is"),
        (
            "add_constraint: {table: items, name: i, exclude: {elements: [{column: at, with: '='}], method: btree}}",
            "public.items is partitioned",
        ),
    ],
)
def test_what_postgresql_keeps_in_no_partitioned_table_is_refused(scene: Scene, change: str, what: str) -> None:
    scene.sql(SCHEMA)

    (problem,) = refusal(scene, change)

    assert problem.what.startswith(what)


def test_an_index_is_dropped_with_its_parts_and_comes_back_as_it_was(scene: Scene) -> None:
    scene.sql(f"{SCHEMA}; CREATE INDEX by_name ON items (name) WITH (fillfactor = 80) WHERE id > 0")
    scene.sql("COMMENT ON INDEX items_ten_name_idx IS 'ten'; COMMENT ON INDEX by_name IS 'all'")
    spec(scene, "drop_index: {index: by_name}")
    before = scene.schema()

    assert scene.up().ended == "complete"
    assert "name_idx" not in scene.schema()

    assert scene.rollback().ended == "undone"
    assert scene.schema() == before
