"""update_rows: existing rows set once each, old values kept, and given back where nobody wrote since."""

from __future__ import annotations

import random
from typing import Any

import psycopg
import pytest
from tests.changes.life import spec
from tests.changes.meanwhile import SLOW, up_and_meanwhile
from tests.execute.writers import Writers
from tests.scene import Scene

from crossfade.execute import StepRefused

SCHEMA = """
CREATE TABLE teams (id int PRIMARY KEY, name text);
INSERT INTO teams VALUES (1, 'red'), (2, 'blue');
CREATE TABLE items (id int PRIMARY KEY, team_id int, team text, state text, n int, data json);
INSERT INTO items
  SELECT i, i % 3, NULL, CASE WHEN i % 2 = 0 THEN 'old' END, i, '{"a": 1}' FROM generate_series(1, 12) AS i"""


@pytest.fixture
def items(scene: Scene) -> Scene:
    scene.sql(SCHEMA)
    return scene


def rows(scene: Scene, columns: str = "*") -> list[tuple[Any, ...]]:
    return scene.sql(f"SELECT {columns} FROM items ORDER BY id")


def test_rows_that_match_are_set_and_others_are_not(items: Scene) -> None:
    spec(items, "update_rows: {table: items, set: {state: \"'new'\", n: n + 100}, where: state IS NULL}")

    assert items.up().ended == "complete"

    assert rows(items, "state, n") == [("old", i) if i % 2 == 0 else ("new", i + 100) for i in range(1, 13)]
    assert items.own_objects() == []


def test_every_row_is_set_without_where(items: Scene) -> None:
    spec(items, "update_rows: {table: items, set: {data: \"'{}'\"}}")

    items.up()

    assert items.one("SELECT count(*) FROM items WHERE data::text = '{}'") == 12


def test_values_may_come_from_another_table(items: Scene) -> None:
    by_name = "(SELECT teams.name FROM teams WHERE teams.id = items.team_id)"
    known = "EXISTS (SELECT FROM teams WHERE teams.id = items.team_id)"
    spec(items, f"update_rows: {{table: items, set: {{team: '{by_name}'}}, where: '{known}'}}")

    items.up()

    assert rows(items, "team") == [(("red", "blue", None)[(i - 1) % 3],) for i in range(1, 13)]


def test_each_row_is_set_once_even_where_it_goes_on_matching(items: Scene) -> None:
    spec(items, "update_rows: {table: items, set: {n: n + 1}, where: n > 0}")

    items.up()

    assert rows(items, "n") == [(i + 1,) for i in range(1, 13)]


def test_undo_gives_old_values_back_byte_for_byte(items: Scene) -> None:
    before = items.schema(), rows(items)
    spec(items, "update_rows: {table: items, set: {data: \"'{}'\", n: 'null', state: \"'new'\"}}")
    items.up()

    items.rollback()

    assert (items.schema(), str(rows(items))) == (before[0], str(before[1]))


def test_undo_keeps_what_others_wrote_since_and_leaves_deleted_rows_away(items: Scene) -> None:
    spec(items, "update_rows: {table: items, set: {n: n + 100}}")
    items.up()
    items.sql(
        "UPDATE items SET n = 0 WHERE id = 1; UPDATE items SET state = 'x' WHERE id = 2; DELETE FROM items WHERE id = 3"
    )

    items.rollback()

    assert rows(items, "id, n")[:3] == [(1, 0), (2, 2), (4, 4)]


def test_old_values_are_kept_in_the_archive(items: Scene) -> None:
    spec(items, "update_rows: {table: items, set: {n: n + 100}, where: id < 3}")

    items.up()

    ((stored, relation, columns),) = items.sql("SELECT stored_in, relation, columns FROM crossfade.archive")
    assert (relation, columns) == ("public.items", ["n"])
    assert items.sql(f'SELECT id, n FROM crossfade."{stored}" ORDER BY id') == [(1, 1), (2, 2)]


def test_a_row_that_cannot_be_set_is_a_conflict_and_the_others_are_set(items: Scene) -> None:
    items.sql("UPDATE items SET state = 'x' WHERE id = 7; UPDATE items SET state = '1' WHERE id <> 7")
    spec(items, "update_rows: {table: items, set: {n: 'state::integer'}}")

    with pytest.raises(StepRefused, match=r"^1 rows that could not be set"):
        items.up()

    assert rows(items, "n") == [(7,) if i == 7 else (1,) for i in range(1, 13)]
    assert [(c.relation, c.key, c.sqlstate) for c in items.ledger().conflicts("m")] == [
        ("public.items", {"id": 7}, "22P02")
    ]


def test_a_mended_row_is_set_when_it_is_run_again(items: Scene) -> None:
    items.sql("UPDATE items SET state = CASE id WHEN 7 THEN 'x' ELSE '1' END")
    spec(items, "update_rows: {table: items, set: {n: 'state::integer'}}")
    with pytest.raises(StepRefused):
        items.up()

    items.sql("UPDATE items SET state = '1' WHERE id = 7")

    assert items.up().ended == "complete"
    assert rows(items, "n") == [(1,)] * 12


def test_user_triggers_do_not_fire_unless_the_spec_says_so(items: Scene) -> None:
    items.sql(
        "CREATE TABLE fired (id int);"
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN INSERT INTO fired VALUES (new.id); RETURN new; END $$;"
        "CREATE TRIGGER noted AFTER UPDATE ON items FOR EACH ROW EXECUTE FUNCTION note()"
    )
    change = "update_rows: {table: items, set: {n: n + 1}}"
    spec(items, change)
    items.up()
    assert items.one("SELECT count(*) FROM fired") == 0

    items.spec(f"changes: [{{{change}}}]\nbackfill: {{fire_triggers: true}}\n", id="loud")
    items.up(id="loud")
    assert items.one("SELECT count(*) FROM fired") == 12


def test_partitions_are_walked_leaf_by_leaf(scene: Scene) -> None:
    scene.sql(
        "CREATE TABLE parts (id int PRIMARY KEY, n int) PARTITION BY RANGE (id);"
        "CREATE TABLE low PARTITION OF parts FOR VALUES FROM (0) TO (100);"
        "CREATE TABLE high PARTITION OF parts FOR VALUES FROM (100) TO (200);"
        "INSERT INTO parts VALUES (1, 1), (101, 101)"
    )
    spec(scene, "update_rows: {table: parts, set: {n: n + 1}}")

    scene.up()
    assert scene.sql("SELECT n FROM parts ORDER BY id") == [(2,), (102,)]

    scene.rollback()
    assert scene.sql("SELECT n FROM parts ORDER BY id") == [(1,), (101,)]


def test_a_column_in_transition_is_mapped_when_its_old_side_is_updated(scene: Scene) -> None:
    scene.sql("CREATE TABLE items (id int PRIMARY KEY, code text); INSERT INTO items VALUES (1, ' 01'), (2, '02')")
    spec(
        scene,
        "update_rows: {table: items, set: {code: btrim(code)}, where: code <> btrim(code)}",
        'change_column: {table: items, column: code, to: {type: integer}, up: "code::integer"}',
    )

    assert scene.up().ended == "complete"

    assert scene.sql("SELECT code FROM items ORDER BY id") == [(1,), (2,)]


def test_a_child_that_comes_between_the_look_and_the_lock_is_counted(scene: Scene) -> None:
    """The application increments only a counter that is there already."""
    scene.sql(
        "CREATE TABLE posts (id int PRIMARY KEY, likes int); CREATE TABLE likes (post int NOT NULL REFERENCES posts);"
        f"INSERT INTO posts VALUES (1), (2), (3); INSERT INTO likes VALUES (1), (2), (2); {SLOW}"
    )
    counted = "(SELECT count(*) FROM likes WHERE likes.post = posts.id)"
    spec(scene, f'update_rows: {{table: posts, set: {{likes: "{counted}"}}, where: slow(id)}}')

    up_and_meanwhile(
        scene, "INSERT INTO likes VALUES (2); UPDATE posts SET likes = likes + 1 WHERE id = 2 AND likes IS NOT NULL"
    )

    assert scene.sql("SELECT id, likes FROM posts ORDER BY id") == [(1, 1), (2, 3), (3, 0)]


def test_a_counter_set_while_it_is_incremented_loses_no_increment(scene: Scene) -> None:
    scene.sql(
        "CREATE TABLE posts (id int PRIMARY KEY, likes int NOT NULL DEFAULT 0);"
        "CREATE TABLE likes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, post int NOT NULL REFERENCES posts);"
        "CREATE INDEX ON likes (post);"
        "INSERT INTO posts SELECT i FROM generate_series(1, 400) AS i;"
        "INSERT INTO likes (post) SELECT i % 400 + 1 FROM generate_series(1, 2000) AS i"
    )
    counted = "(SELECT count(*) FROM likes WHERE likes.post = posts.id)"
    spec(scene, f'update_rows: {{table: posts, set: {{likes: "{counted}"}}}}', more="backfill: {target: 20ms}\n")

    def like(connection: psycopg.Connection[Any], dice: random.Random, _number: int) -> None:
        with connection.transaction():
            post = dice.randint(1, 400)
            connection.execute("INSERT INTO likes (post) VALUES (%s)", (post,))
            connection.execute("UPDATE posts SET likes = likes + 1 WHERE id = %s", (post,))

    with Writers(scene.connect, like, like, like) as writers:
        assert scene.up().ended == "complete"

    assert writers.failures == []
    assert writers.statements > 0
    assert scene.one(f"SELECT count(*) FROM posts WHERE likes <> {counted}") == 0
