"""Kinds of statement that write rows in other ways than INSERT ... VALUES and UPDATE."""

from __future__ import annotations

import pytest
from tests.scene import Scene
from tests.steps.conftest import Begin

SCHEMA = """
CREATE TABLE items (id int PRIMARY KEY, code text, note text);
INSERT INTO items VALUES (1, '05', 'a'), (2, '05', 'b'), (3, '05', 'c'), (4, '05', 'd'), (5, '05', 'e')"""
CHANGE = 'add_column: {table: items, column: number, type: integer, up: "code::integer", down: {code: "number::text"}}'


@pytest.fixture(scope="module")
def scene(begin: Begin) -> Scene:
    return begin(SCHEMA, CHANGE)


def rows(scene: Scene, condition: str) -> list[tuple[object, ...]]:
    return scene.sql(f"SELECT id, code, number FROM items WHERE {condition} ORDER BY id")


def test_an_old_upsert_is_mapped_where_it_updates_and_where_it_inserts(scene: Scene) -> None:
    scene.sql(
        "INSERT INTO items (id, code) VALUES (1, '08'), (11, '09') ON CONFLICT (id) DO UPDATE SET code = excluded.code"
    )

    assert rows(scene, "id IN (1, 11)") == [(1, "08", 8), (11, "09", 9)]


def test_a_new_upsert_is_mapped_where_it_updates_and_where_it_inserts(scene: Scene) -> None:
    scene.sql(
        "INSERT INTO items (id, number) VALUES (2, 8), (12, 9) ON CONFLICT (id) DO UPDATE SET number = excluded.number"
    )

    assert rows(scene, "id IN (2, 12)") == [(2, "8", 8), (12, "9", 9)]


def test_an_upsert_of_another_column_fills_the_row_and_keeps_the_old_value(scene: Scene) -> None:
    scene.sql("INSERT INTO items (id, note) VALUES (3, 'new') ON CONFLICT (id) DO UPDATE SET note = excluded.note")

    assert rows(scene, "id = 3") == [(3, "05", 5)]


def test_an_upsert_that_does_nothing_leaves_the_row_as_it_was(scene: Scene) -> None:
    scene.sql("INSERT INTO items (id, code) VALUES (4, '99') ON CONFLICT DO NOTHING")

    assert rows(scene, "id = 4") == [(4, "05", None)]


def test_an_upsert_whose_value_cannot_be_mapped_and_is_not_kept_maps_the_row_there_is(scene: Scene) -> None:
    scene.sql("INSERT INTO items (id, code) VALUES (5, 'x') ON CONFLICT (id) DO UPDATE SET note = 'kept'")

    assert rows(scene, "id = 5") == [(5, "05", 5)]


def test_insert_select_of_old_columns_maps_each_row(scene: Scene) -> None:
    scene.sql("INSERT INTO items (id, code, note) SELECT 20 + n, '0' || n, 'x' FROM generate_series(1, 3) AS n")

    assert rows(scene, "id BETWEEN 21 AND 23") == [(21, "01", 1), (22, "02", 2), (23, "03", 3)]


def test_a_row_copied_as_a_whole_keeps_both_sides(scene: Scene) -> None:
    scene.sql("INSERT INTO items (id, code) VALUES (30, '030')")
    columns = scene.sql(
        "SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute"
        " WHERE attrelid = 'items'::regclass AND attnum > 1"
    )[0][0]

    scene.sql(f"INSERT INTO items SELECT 31, {columns} FROM items WHERE id = 30")

    assert rows(scene, "id = 31") == [(31, "030", 30)]


def test_copy_of_old_columns_maps_each_row(scene: Scene) -> None:
    statement = "COPY items (id, code, note) FROM STDIN"
    with scene.connect() as application, application.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write_row((41, "041", "x"))
        copy.write_row((42, None, "x"))

    assert rows(scene, "id IN (41, 42)") == [(41, "041", 41), (42, None, None)]


def test_copy_of_new_columns_maps_each_row(scene: Scene) -> None:
    statement = "COPY items (id, number) FROM STDIN"
    with scene.connect() as application, application.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write_row((51, 51))

    assert rows(scene, "id = 51") == [(51, "51", 51)]


def test_returning_gives_what_was_mapped(scene: Scene) -> None:
    assert scene.sql("INSERT INTO items (id, code) VALUES (61, '061') RETURNING code, number") == [("061", 61)]
    assert scene.sql("UPDATE items SET number = 62 WHERE id = 61 RETURNING code, number") == [("62", 62)]


def test_prepared_statements_of_an_application_go_on(scene: Scene) -> None:
    with scene.connect() as application:
        for number in (71, 72):
            application.execute("INSERT INTO items (id, code) VALUES (%s, %s)", (number, f"0{number}"), prepare=True)

    assert rows(scene, "id IN (71, 72)") == [(71, "071", 71), (72, "072", 72)]


def test_merge_maps_what_it_writes(scene: Scene) -> None:
    if scene.one("SHOW server_version_num") < "150000":
        pytest.skip("needs PostgreSQL 15")
    scene.sql("INSERT INTO items (id, code) VALUES (81, '05')")

    scene.sql(
        "MERGE INTO items USING (VALUES (81, '081'), (82, '082')) AS given (id, code) ON items.id = given.id"
        " WHEN MATCHED THEN UPDATE SET code = given.code"
        " WHEN NOT MATCHED THEN INSERT (id, code) VALUES (given.id, given.code)"
    )

    assert rows(scene, "id IN (81, 82)") == [(81, "081", 81), (82, "082", 82)]
