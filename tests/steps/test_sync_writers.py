"""Old and new versions write beside each other: what each sees after every kind of write."""

from __future__ import annotations

from itertools import count

import pytest
from tests.scene import Scene
from tests.steps.conftest import Begin

# Old versions use `code`, new ones `number`. Rows that exist before expand are not filled yet; each test takes one.
SCHEMA = """
CREATE TABLE items (id int PRIMARY KEY, code text, note text);
INSERT INTO items SELECT i, '05', 'before' FROM generate_series(1, 100) AS i"""
CHANGE = 'add_column: {table: items, column: number, type: integer, up: "code::integer", down: {code: "number::text"}}'

Row = tuple[str | None, int | None]
_existing = count(1)
_later = count(1001)


@pytest.fixture(scope="module")
def scene(begin: Begin) -> Scene:
    return begin(SCHEMA, CHANGE)


def row(scene: Scene, key: int) -> Row:
    return scene.sql(f"SELECT code, number FROM items WHERE id = {key}")[0]


INSERTS: list[tuple[str, str, Row]] = [
    ("an old insert is mapped up", "(id, code) VALUES ({id}, '07')", ("07", 7)),
    ("an old insert without the column leaves both empty", "(id) VALUES ({id})", (None, None)),
    ("an old insert of NULL leaves both empty", "(id, code) VALUES ({id}, NULL)", (None, None)),
    ("a new insert is mapped down", "(id, number) VALUES ({id}, 7)", ("7", 7)),
    ("a new insert of NULL leaves both empty", "(id, number) VALUES ({id}, NULL)", (None, None)),
    ("what a dual writer gives is taken as it is", "(id, code, number) VALUES ({id}, '07', 7)", ("07", 7)),
    ("an insert by position is an old one", "VALUES ({id}, '07', 'x')", ("07", 7)),
]


@pytest.mark.parametrize(("insert", "expected"), [pytest.param(*case[1:], id=case[0]) for case in INSERTS])
def test_insert(scene: Scene, insert: str, expected: Row) -> None:
    key = next(_later)

    scene.sql(f"INSERT INTO items {insert.format(id=key)}")

    assert row(scene, key) == expected


UPDATES: list[tuple[str, str, Row]] = [
    ("an old update is mapped up", "code = '07'", ("07", 7)),
    ("an old update to the same value changes nothing", "code = '05'", ("05", 5)),
    ("an old update to NULL empties the new side", "code = NULL", (None, None)),
    ("a new update is mapped down", "number = 7", ("7", 7)),
    ("a new update to NULL empties the old side", "number = NULL", (None, None)),
    ("an update of another column keeps the old value byte for byte", "note = 'x'", ("05", 5)),
    ("a dual writer's values are taken as they are", "code = '007', number = 7", ("007", 7)),
    ("an old update beside another column is mapped up", "code = '07', note = 'x'", ("07", 7)),
    ("a new update beside another column is mapped down", "number = 7, note = 'x'", ("7", 7)),
]


@pytest.mark.parametrize(("update", "expected"), [pytest.param(*case[1:], id=case[0]) for case in UPDATES])
def test_update_of_a_row_that_is_mapped(scene: Scene, update: str, expected: Row) -> None:
    key = next(_later)
    scene.sql(f"INSERT INTO items (id, code) VALUES ({key}, '05')")

    scene.sql(f"UPDATE items SET {update} WHERE id = {key}")

    assert row(scene, key) == expected


NOT_FILLED = [case for case in UPDATES if case[1] != "number = NULL"]


@pytest.mark.parametrize(("update", "expected"), [pytest.param(*case[1:], id=case[0]) for case in NOT_FILLED])
def test_update_of_a_row_that_is_not_filled_yet(scene: Scene, update: str, expected: Row) -> None:
    key = next(_existing)
    assert row(scene, key) == ("05", None)

    scene.sql(f"UPDATE items SET {update} WHERE id = {key}")

    assert row(scene, key) == expected


def test_a_new_update_that_names_the_empty_new_column_of_a_row_not_filled_yet_loses_nothing(scene: Scene) -> None:
    key = next(_existing)

    scene.sql(f"UPDATE items SET number = NULL, note = 'x' WHERE id = {key}")

    assert row(scene, key) == ("05", 5)


def test_an_update_of_the_key_keeps_both_sides(scene: Scene) -> None:
    key, other = next(_existing), next(_later)

    scene.sql(f"UPDATE items SET id = {other} WHERE id = {key}")

    assert row(scene, other) == ("05", 5)


def test_old_and_new_updates_follow_each_other(scene: Scene) -> None:
    key = next(_later)
    scene.sql(f"INSERT INTO items (id, code) VALUES ({key}, '05')")

    seen: list[Row] = []
    for update in ("number = 6", "code = '07'", "number = 8", "note = 'x'", "code = '009'"):
        scene.sql(f"UPDATE items SET {update} WHERE id = {key}")
        seen.append(row(scene, key))

    assert seen == [("6", 6), ("07", 7), ("8", 8), ("8", 8), ("009", 9)]


def test_a_statement_over_many_rows_maps_each(scene: Scene) -> None:
    scene.sql("INSERT INTO items (id, code) SELECT 5000 + i, lpad(i::text, 4, '0') FROM generate_series(1, 100) AS i")

    scene.sql("UPDATE items SET number = number * 2 WHERE id BETWEEN 5001 AND 5050")
    scene.sql("UPDATE items SET code = code || '0' WHERE id BETWEEN 5051 AND 5100")

    assert scene.one("SELECT count(*) FROM items WHERE id BETWEEN 5001 AND 5100 AND code::int = number") == 100
    assert row(scene, 5010) == ("20", 20)
    assert row(scene, 5060) == ("00600", 600)


def test_a_write_that_is_rolled_back_leaves_neither_side_changed(scene: Scene) -> None:
    key = next(_existing)
    with scene.connect() as application, application.transaction(force_rollback=True):
        application.execute("UPDATE items SET number = 9 WHERE id = %s", (key,))

    assert row(scene, key) == ("05", None)
