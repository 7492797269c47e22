"""Values that are hard to compare or to spell: types without equality, NULLs, scale, arrays, bytes."""

from __future__ import annotations

import psycopg
import pytest
from tests.scene import Scene
from tests.steps.conftest import Begin

from crossfade.server import Server

# column: type, a value, another value that `=` takes for the same or cannot compare, a different one
TYPES: dict[str, tuple[str, str, str]] = {
    "json": ("json", """'{"a": 1, "b": 2}'""", """'{"b": 2, "a": 1}'"""),
    "jsonb": ("jsonb", """'{"a": 1}'""", """'{"a": 2}'"""),
    "xml": ("xml", "'<a/>'", "'<b/>'"),
    "point": ("point", "'(1,2)'", "'(3,4)'"),
    "scaled": ("numeric", "'1.0'", "'1.00'"),
    "money": ("numeric(10,2)", "'1.50'", "'2.50'"),
    "double": ("double precision", "'0'", "'-0'"),
    "bytes": ("bytea", r"'\x00ff'", r"'\x00'"),
    "texts": ("text[]", "'{a,NULL}'", "'{a,\"NULL\"}'"),
    "points": ("point[]", """'{"(1,2)"}'""", """'{"(3,4)"}'"""),
    "span": ("int4range", "'[1,5)'", "'[1,6)'"),
    "wait": ("interval", "'1 day'", "'24 hours'"),
    "padded": ("char(4)", "'ab'", "'abc'"),
    "search": ("tsvector", "'cat'", "'cat:1'"),
    "box": ("box", "'(1,1),(0,0)'", "'(2,2),(0,0)'"),
    "mood": ("mood", "'happy'", "'sad'"),
    "pairing": ("pairing", """'(1,"(1,2)")'""", """'(1,"(3,4)")'"""),
}


@pytest.fixture(scope="module")
def scene(begin: Begin) -> Scene:
    columns = ", ".join(f"{name} {type_}" for name, (type_, _, _) in TYPES.items())
    schema = (
        "CREATE TYPE mood AS ENUM ('happy', 'sad'); CREATE TYPE pairing AS (n int, p point);"
        f"CREATE TABLE items (id int PRIMARY KEY, note text, {columns}); INSERT INTO items (id) VALUES (0)"
    )
    return begin(schema, *(f"rename_column: {{table: items, from: {name}, to: new_{name}}}" for name in TYPES))


@pytest.fixture(autouse=True)
def _rows_of_each_test_are_its_own(scene: Scene) -> None:
    scene.sql("DELETE FROM items WHERE id > 0")


def agreed(scene: Scene, column: str, value: str) -> bool:
    """Both sides hold the very bytes of the value."""
    type_ = TYPES[column][0]
    return scene.one(
        f"SELECT ROW({column})::record *= ROW(CAST({value} AS {type_}))::record"
        f" AND ROW(new_{column})::record *= ROW(CAST({value} AS {type_}))::record FROM items WHERE id = 1"
    )


@pytest.mark.parametrize("column", TYPES)
def test_an_old_change_of_bytes_alone_is_mapped_up(scene: Scene, column: str) -> None:
    _, value, other = TYPES[column]
    scene.sql(f"INSERT INTO items (id, {column}) VALUES (1, {value})")
    assert agreed(scene, column, value)

    scene.sql(f"UPDATE items SET {column} = {other} WHERE id = 1")

    assert agreed(scene, column, other)


@pytest.mark.parametrize("column", TYPES)
def test_a_new_change_of_bytes_alone_is_mapped_down(scene: Scene, column: str) -> None:
    _, value, other = TYPES[column]
    scene.sql(f"INSERT INTO items (id, new_{column}) VALUES (1, {value})")
    assert agreed(scene, column, value)

    scene.sql(f"UPDATE items SET new_{column} = {other} WHERE id = 1")

    assert agreed(scene, column, other)


@pytest.mark.parametrize("column", TYPES)
def test_a_value_is_emptied_on_both_sides(scene: Scene, column: str) -> None:
    scene.sql(f"INSERT INTO items (id, {column}) VALUES (1, {TYPES[column][1]})")

    scene.sql(f"UPDATE items SET new_{column} = NULL WHERE id = 1")

    assert scene.sql(f"SELECT {column} IS NULL, new_{column} IS NULL FROM items WHERE id = 1") == [(True, True)]


def test_large_values_that_are_stored_out_of_line_are_kept_and_mapped(scene: Scene) -> None:
    scene.sql(
        "INSERT INTO items (id, json) SELECT 1, to_json(string_agg(md5(i::text), '')) FROM generate_series(1, 3000) i"
    )
    scene.sql("UPDATE items SET note = 'x' WHERE id = 1")

    assert scene.sql("SELECT json::text = new_json::text, length(json::text) FROM items WHERE id = 1") == [
        (True, 96002)
    ]


def test_a_change_of_case_alone_is_mapped_where_the_collation_ignores_case(begin: Begin, server: Server) -> None:
    with psycopg.connect(server.url) as session:
        if session.execute("SELECT FROM pg_collation WHERE collname = 'und-x-icu'").fetchone() is None:
            pytest.skip("this server knows no ICU collations")
    scene = begin(
        "CREATE COLLATION folded (provider = icu, locale = 'und-u-ks-level2', deterministic = false);"
        "CREATE TABLE names (id int PRIMARY KEY, name text COLLATE folded); INSERT INTO names VALUES (1, 'anna')",
        "rename_column: {table: names, from: name, to: title}",
    )

    scene.sql("UPDATE names SET name = 'Anna'")
    assert scene.sql("SELECT name, title FROM names") == [("Anna", "Anna")]

    scene.sql("UPDATE names SET title = 'ANNA'")
    assert scene.sql("SELECT name, title FROM names") == [("ANNA", "ANNA")]
