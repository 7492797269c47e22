"""drop_column: hidden, kept aside, dropped; and how its values come back."""

from __future__ import annotations

import pytest
from tests.changes.conftest import Live
from tests.changes.life import Lived, spec
from tests.scene import Scene

SCHEMA = """
CREATE TABLE items (
  id int PRIMARY KEY, nick text, name text, state text NOT NULL DEFAULT 'new', size int CHECK (size > 0));
CREATE INDEX by_nick ON items (nick);
CREATE INDEX by_both ON items (name, nick);
INSERT INTO items VALUES (1, 'bobby', 'Bob', 'old', 1), (2, NULL, 'Eve', 'new', 2)"""
NICK, NICK_DOWN = "drop_column: {table: items, column: nick}", "drop_column: {table: items, column: nick, down: name}"
STATE = "drop_column: {table: items, column: state}"


@pytest.fixture(scope="module")
def lived(live: Live) -> Lived:
    return live(SCHEMA, NICK, STATE, "drop_column: {table: items, column: size}")


def test_the_column_and_what_stood_on_it_alone_is_gone(lived: Lived) -> None:
    assert lived.scene.columns("items") == ["id", "name"]
    assert lived.lines("INDEX", "CHECK") == []


def test_its_values_are_kept_by_key(lived: Lived) -> None:
    stored = lived.scene.one("SELECT stored_in FROM crossfade.archive")

    kept = lived.scene.sql(f'SELECT id, nick, state, size FROM crossfade."{stored}" ORDER BY id')

    assert kept == [(1, "bobby", "old", 1), (2, None, "new", 2)]


def test_no_trigger_is_needed_for_a_column_that_only_leaves(scene: Scene) -> None:
    scene.sql(SCHEMA)
    spec(scene, NICK)

    scene.up(through="validate")

    assert scene.own_objects() == []


@pytest.mark.parametrize("leg", ["retire", "archive", "drop"])
@pytest.mark.parametrize("change", [NICK, NICK_DOWN], ids=["without down", "with down"])
def test_old_values_come_back_byte_for_byte(scene: Scene, leg: str, change: str) -> None:
    scene.sql(SCHEMA)
    spec(scene, change)
    scene.up(through=leg)
    scene.sql("UPDATE items SET name = name || '!'")

    scene.rollback()

    assert scene.sql("SELECT id, nick FROM items ORDER BY id") == [(1, "bobby"), (2, None)]
    assert scene.own_objects() == []


@pytest.mark.parametrize("leg", ["expand", "retire", "archive", "drop"])
def test_rows_of_the_new_version_get_their_old_value_through_down(scene: Scene, leg: str) -> None:
    scene.sql(SCHEMA)
    spec(scene, NICK_DOWN)
    scene.up(through=leg)
    scene.sql("INSERT INTO items (id, name) VALUES (3, 'Ann')")

    scene.rollback()

    assert scene.sql("SELECT nick FROM items WHERE id = 3") == [("Ann",)]


def test_a_value_that_old_writers_give_wins_over_down(scene: Scene) -> None:
    scene.sql(SCHEMA)
    spec(scene, NICK_DOWN)
    scene.up(through="validate")

    scene.sql("INSERT INTO items (id, name, nick) VALUES (3, 'Ann', 'annie')")
    scene.sql("UPDATE items SET name = 'Anna' WHERE id = 3")

    assert scene.sql("SELECT nick FROM items WHERE id = 3") == [("annie",)]


@pytest.mark.parametrize("leg", ["retire", "archive", "drop"])
def test_a_not_null_column_with_a_default_comes_back_whole(scene: Scene, leg: str) -> None:
    scene.sql(SCHEMA)
    before = scene.schema()
    spec(scene, STATE)
    scene.up(through=leg)
    scene.sql("INSERT INTO items (id) VALUES (3)")

    assert scene.rollback().ended == "undone"

    assert scene.sql("SELECT id, state FROM items ORDER BY id") == [(1, "old"), (2, "new"), (3, "new")]
    assert (scene.schema() == before) == (leg != "drop")  # a column that was dropped comes back as the last one


def test_without_a_key_the_hidden_column_itself_is_the_archive(scene: Scene) -> None:
    scene.sql("CREATE TABLE notes (body text, extra text); INSERT INTO notes VALUES ('a', 'x')")
    spec(
        scene,
        "drop_column: {table: notes, column: extra}",
        more="contract:\n  stages: [archive: {keep: 3d}, drop: {}]\n",
    )

    outcome = scene.up()

    assert [(waiting.point, waiting.label) for waiting in outcome.waiting] == [("before drop", "soak 3d")]
    scene.rollback()
    assert scene.sql("SELECT * FROM notes") == [("a", "x")]
