"""Several pairs on one table: each keeps its own values, and a write passes through those that follow from another."""

from __future__ import annotations

import pytest
from tests.scene import Scene
from tests.steps.conftest import Begin

REPLACE = (
    'drop_column: {table: items, column: code, down: "note"}',
    'add_column: {table: items, column: number, type: integer, up: "code::integer", down: {code: "number::text"}}',
)


@pytest.fixture(scope="module")
def replacing(begin: Begin) -> Scene:
    """A column replaced by another: added with both ways, the old one dropped."""
    return begin("CREATE TABLE items (id int PRIMARY KEY, code text NOT NULL, note text)", *REPLACE)


@pytest.fixture(scope="module")
def replaced(begin: Begin) -> Scene:
    """The same, its old column hidden by now."""
    schema = (
        "CREATE TABLE items (id int PRIMARY KEY, code text NOT NULL, note text); INSERT INTO items VALUES (0, '00')"
    )
    return begin(schema, *REPLACE, through="retire")


def test_the_added_column_and_not_the_drops_own_value_gives_the_old_one(replacing: Scene) -> None:
    replacing.sql("INSERT INTO items (id, number, note) VALUES (1, 1, 'fallback')")

    assert replacing.sql("SELECT code, number FROM items WHERE id = 1") == [("1", 1)]


def test_the_drops_own_value_is_used_where_the_new_version_gives_none(replacing: Scene) -> None:
    replacing.sql("INSERT INTO items (id, note) VALUES (2, '2')")

    assert replacing.sql("SELECT code FROM items WHERE id = 2") == [("2",)]


def test_an_old_insert_wins_over_the_drops_own_value(replacing: Scene) -> None:
    replacing.sql("INSERT INTO items (id, code, note) VALUES (3, '03', 'fallback')")

    assert replacing.sql("SELECT code, number FROM items WHERE id = 3") == [("03", 3)]


def test_when_the_old_column_is_hidden_it_follows_the_new_one(replaced: Scene) -> None:
    hidden = replaced.one(
        "SELECT quote_ident(attname) FROM pg_attribute"
        " WHERE attrelid = 'items'::regclass AND attname LIKE '%\\_old\\_%'"
    )

    replaced.sql("INSERT INTO items (id, number, note) VALUES (1, 1, 'fallback')")
    replaced.sql("INSERT INTO items (id, note) VALUES (2, '2')")
    replaced.sql("INSERT INTO items (id, number) VALUES (3, 3)")
    replaced.sql("UPDATE items SET number = 4 WHERE id = 3")
    replaced.sql("UPDATE items SET note = 'x' WHERE id = 0")

    assert replaced.sql(f"SELECT id, number, {hidden} FROM items ORDER BY id") == [
        (0, 0, "00"),
        (1, 1, "1"),
        (2, None, "2"),
        (3, 4, "4"),
    ]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["as it flows", "the other way round"])
def test_a_new_write_passes_through_a_column_that_another_is_made_from(begin: Begin, order: tuple[int, int]) -> None:
    changes = (
        'add_column: {table: items, column: number, type: integer, up: "code::integer", down: {code: "number::text"}}',
        "add_column: {table: items, column: label, type: text, up: \"'no. ' || code\"}",
    )
    scene = begin("CREATE TABLE items (id int PRIMARY KEY, code text)", *(changes[index] for index in order))

    scene.sql("INSERT INTO items (id, number) VALUES (1, 7)")
    assert scene.sql("SELECT code, number, label FROM items") == [("7", 7, "no. 7")]

    scene.sql("UPDATE items SET number = 8")
    assert scene.sql("SELECT code, number, label FROM items") == [("8", 8, "no. 8")]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["swap first", "swap last"])
def test_after_a_cutover_a_column_made_from_the_swapped_one_follows_the_new_type(
    begin: Begin, order: tuple[int, int]
) -> None:
    changes = (
        "change_column: {table: items, column: code, to: {type: integer}}",
        "add_column: {table: items, column: label, type: text, up: \"'no. ' || code\"}",
    )
    scene = begin(
        "CREATE TABLE items (id int PRIMARY KEY, code text); INSERT INTO items VALUES (1, '05')",
        *(changes[index] for index in order),
        through="cutover",
    )
    assert scene.sql("SELECT code, label FROM items") == [(5, "no. 05")]

    scene.sql("UPDATE items SET code = 8")

    assert scene.sql("SELECT code, label FROM items") == [(8, "no. 8")]


def test_a_write_of_one_pair_leaves_the_others_as_they_are(begin: Begin) -> None:
    scene = begin(
        "CREATE TABLE items (id int PRIMARY KEY, a text, b text); INSERT INTO items VALUES (1, '01', '02')",
        'add_column: {table: items, column: na, type: integer, up: "a::integer", down: {a: "na::text"}}',
        'add_column: {table: items, column: nb, type: integer, up: "b::integer", down: {b: "nb::text"}}',
    )

    scene.sql("UPDATE items SET na = 3")

    assert scene.sql("SELECT a, na, b, nb FROM items") == [("3", 3, "02", 2)]
