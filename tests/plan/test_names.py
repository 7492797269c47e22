"""Names in fragments and types are looked up in one way, whatever schema a table lies in."""

from __future__ import annotations

import pytest
from tests.changes.life import spec
from tests.scene import Scene

from crossfade.changes import Refused

BILLING = """
CREATE SCHEMA billing;
CREATE FUNCTION public.rate() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 2';
CREATE FUNCTION billing.rate() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 3';
CREATE FUNCTION billing.own() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 4';
CREATE TABLE billing.items (id int PRIMARY KEY, price int);
INSERT INTO billing.items VALUES (1, 10)
"""


def test_a_table_of_another_schema_is_mapped_alike_by_trigger_and_batch(scene: Scene) -> None:
    scene.sql(BILLING)
    spec(scene, "add_column: {table: billing.items, column: total, type: int, up: price * rate()}")

    scene.up(through="expand")
    scene.sql("INSERT INTO billing.items VALUES (2, 10)")
    scene.up(through="validate")

    assert scene.sql("SELECT id, total FROM billing.items ORDER BY id") == [(1, 20), (2, 20)]


def test_what_only_the_tables_own_schema_has_is_refused_when_planned(scene: Scene) -> None:
    scene.sql(BILLING)
    spec(scene, "add_column: {table: billing.items, column: total, type: int, up: price * own()}")

    with pytest.raises(Refused, match=r"function own\(\) does not exist"):
        scene.runner().plan(scene.migration())


def test_a_type_of_the_databases_own_schema_is_the_one_the_column_has(scene: Scene) -> None:
    scene.sql("CREATE TYPE mood AS ENUM ('sad', 'glad'); CREATE TABLE items (id int PRIMARY KEY, mood mood)")
    spec(scene, "change_column: {table: items, column: mood, to: {type: mood, nullable: false}}")

    plan = scene.runner().plan(scene.migration())

    assert not any(step.leg.phase == "backfill" for step in plan.steps)
