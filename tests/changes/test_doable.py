"""What a refusal tells to do can be done, and gets the change through."""

from __future__ import annotations

from dataclasses import replace

import psycopg
import pytest
from tests.changes.life import spec
from tests.changes.refusing import refusal
from tests.scene import Scene

from crossfade.catalog.snapshot import read_catalog
from crossfade.changes import Refused
from crossfade.plan import Target, compile_plan
from crossfade.spec import Settings


def test_a_serial_column_is_widened_when_its_sequence_belongs_to_nobody(scene: Scene) -> None:
    scene.sql('CREATE TABLE items (id int PRIMARY KEY, "Number" serial); INSERT INTO items (id) VALUES (1), (2)')
    widen = "change_column: {table: items, column: Number, to: {type: bigint}}"
    (problem,) = refusal(scene, widen)

    assert problem.fix is not None
    scene.sql(problem.fix.partition(" first")[0])
    assert scene.up(through="expand").ended == "reached"
    scene.sql("INSERT INTO items (id) VALUES (3)")
    assert scene.up().ended == "complete"
    scene.sql("INSERT INTO items (id) VALUES (4)")

    assert scene.sql('SELECT "Number" FROM items ORDER BY id') == [(1,), (2,), (3,), (4,)]
    assert ("Number", "bigint") in scene.sql(
        "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = 'items'::regclass"
    )


def test_a_table_in_a_schema_that_does_not_exist_is_refused(scene: Scene) -> None:
    (problem,) = refusal(scene, "create_table: {table: billing.extra, columns: [{name: id, type: int}]}")

    assert problem.what.startswith("schema billing does not exist in database")


@pytest.mark.parametrize(
    "change",
    [
        "create_index: {table: items, name: i, columns: [code], unique: true, nulls_distinct: false}",
        "add_constraint: {table: items, name: k, unique: [code], nulls_distinct: false}",
    ],
)
def test_nulls_not_distinct_is_refused_on_a_server_that_does_not_know_it(scene: Scene, change: str) -> None:
    scene.sql("CREATE TABLE items (id int PRIMARY KEY, code text)")
    spec(scene, change)
    with psycopg.connect(scene.urls[scene.first], autocommit=True) as connection:
        catalog = read_catalog(connection)
        old = replace(catalog, server=replace(catalog.server, version=140019))

        with pytest.raises(Refused, match="needs PostgreSQL 15, and app runs 14") as refused:
            compile_plan(
                scene.migration(), lambda name: Target(name, "public", old, connection), scene.root, Settings()
            )

    assert "(code IS NULL) WHERE code IS NULL" in (refused.value.fix or "")
    scene.sql("CREATE UNIQUE INDEX ON items ((code IS NULL)) WHERE code IS NULL")
