"""Defaults of the old column and inserts of the new version: the default is no value that an old writer gave."""

from __future__ import annotations

import pytest
from tests.scene import Scene
from tests.steps.conftest import Begin

SCHEMA = """
CREATE SEQUENCE numbers;
CREATE TABLE items (
  id int PRIMARY KEY,
  plain text,
  constant text NOT NULL DEFAULT 'none',
  number int DEFAULT 0,
  stamp timestamptz NOT NULL DEFAULT now(),
  local timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  day date DEFAULT CURRENT_DATE,
  spelled text DEFAULT now()::text,
  counted bigint DEFAULT nextval('numbers'),
  token uuid DEFAULT gen_random_uuid())"""
COLUMNS = ("plain", "constant", "number", "stamp", "local", "day", "spelled", "counted", "token")
VALUES = {
    "plain": "'x'",
    "constant": "'x'",
    "number": "7",
    "stamp": "'2020-01-01 00:00:00+00'",
    "local": "'2020-01-01 00:00:00'",
    "day": "'2020-01-01'",
    "spelled": "'x'",
    "counted": "700",
    "token": "'00000000-0000-0000-0000-000000000007'",
}


@pytest.fixture(scope="module")
def scene(begin: Begin) -> Scene:
    return begin(SCHEMA, *(f"rename_column: {{table: items, from: {name}, to: new_{name}}}" for name in COLUMNS))


@pytest.fixture(autouse=True)
def _rows_of_each_test_are_its_own(scene: Scene) -> None:
    scene.sql("TRUNCATE items; SET timezone TO 'Asia/Tokyo'")


def pair(scene: Scene, column: str) -> tuple[object, object]:
    return scene.sql(f"SELECT {column}, new_{column} FROM items")[0]


@pytest.mark.parametrize("column", COLUMNS)
def test_a_new_insert_wins_over_the_default_of_the_old_column(scene: Scene, column: str) -> None:
    scene.sql(f"INSERT INTO items (id, new_{column}) VALUES (1, {VALUES[column]})")

    assert scene.one(f"SELECT {column} = {VALUES[column]} AND new_{column} = {VALUES[column]} FROM items")


@pytest.mark.parametrize("column", COLUMNS)
def test_an_old_insert_is_mapped_up(scene: Scene, column: str) -> None:
    scene.sql(f"INSERT INTO items (id, {column}) VALUES (1, {VALUES[column]})")

    assert scene.one(f"SELECT {column} = {VALUES[column]} AND new_{column} = {VALUES[column]} FROM items")


@pytest.mark.parametrize("column", [name for name in COLUMNS if name != "plain"])
def test_an_insert_without_the_column_gives_both_sides_the_default(scene: Scene, column: str) -> None:
    scene.sql("INSERT INTO items (id) VALUES (1)")

    old, new = pair(scene, column)
    assert old is not None
    assert old == new


def test_an_old_insert_of_the_very_default_is_mapped_up(scene: Scene) -> None:
    scene.sql("INSERT INTO items (id, constant, number) VALUES (1, 'none', 0)")

    assert pair(scene, "constant") == ("none", "none")
    assert pair(scene, "number") == (0, 0)


def test_a_new_update_to_the_old_default_is_mapped_down(scene: Scene) -> None:
    scene.sql("INSERT INTO items (id, new_constant) VALUES (1, 'x')")

    scene.sql("UPDATE items SET new_constant = 'none'")

    assert pair(scene, "constant") == ("none", "none")


def test_default_values_fill_both_sides(scene: Scene) -> None:
    scene.sql("INSERT INTO items VALUES (1, DEFAULT, DEFAULT)")

    assert pair(scene, "constant") == ("none", "none")


def test_volatile_defaults_differ_from_row_to_row_and_agree_in_each(scene: Scene) -> None:
    scene.sql("INSERT INTO items (id) SELECT generate_series(1, 20)")

    assert scene.sql(
        "SELECT count(DISTINCT token), bool_and(token = new_token), bool_and(counted = new_counted) FROM items"
    ) == [(20, True, True)]
