"""rename_column: everything goes over to the new name, and comes back."""

from __future__ import annotations

import pytest
from tests.changes.conftest import Live
from tests.changes.life import Lived, spec
from tests.scene import Scene

SCHEMA = """
CREATE TABLE teams (name text PRIMARY KEY);
CREATE TABLE items (
  id int PRIMARY KEY,
  team text NOT NULL DEFAULT 'red' CONSTRAINT item_team REFERENCES teams ON DELETE CASCADE,
  name text COLLATE "C" CONSTRAINT named CHECK (name <> 'name'),
  code text CONSTRAINT codes UNIQUE DEFERRABLE INITIALLY DEFERRED);
COMMENT ON COLUMN items.team IS 'who owns it';
CREATE INDEX by_team ON items (team, name DESC);
CREATE UNIQUE INDEX by_name ON items (lower(name)) WHERE name <> 'name';
INSERT INTO teams VALUES ('red'), ('blue');
INSERT INTO items VALUES (1, 'red', 'a', 'x'), (2, 'blue', NULL, NULL)"""
CHANGES = (
    "rename_column: {table: items, from: team, to: owner}",
    "rename_column: {table: items, from: name, to: title}",
    "rename_column: {table: items, from: code, to: sku}",
)


@pytest.fixture(scope="module")
def lived(live: Live) -> Lived:
    return live(SCHEMA, *CHANGES)


@pytest.mark.parametrize(
    ("word", "line"),
    [
        ("    owner ", "owner text DEFAULT 'red'::text NOT NULL"),
        ("    title ", 'title text COLLATE pg_catalog."C"'),
        ("COMMENT", "COMMENT ON COLUMN public.items.owner IS 'who owns it'"),
        ("INDEX by_team ", "CREATE INDEX by_team ON public.items USING btree (owner, title DESC)"),
        (
            "INDEX by_name ",
            "CREATE UNIQUE INDEX by_name ON public.items USING btree (lower(title)) WHERE (title <> 'name'::text)",
        ),
        ("named", "CONSTRAINT named CHECK ((title <> 'name'::text))"),
        ("codes", "ADD CONSTRAINT codes UNIQUE (sku) DEFERRABLE INITIALLY DEFERRED"),
        ("item_team", "ADD CONSTRAINT item_team FOREIGN KEY (owner) REFERENCES public.teams(name) ON DELETE CASCADE"),
    ],
)
def test_what_was_on_the_old_name_is_on_the_new_one(lived: Lived, word: str, line: str) -> None:
    assert lived.lines(word) == [line]


def test_no_trace_of_the_old_names_is_left(lived: Lived) -> None:
    assert lived.scene.columns("items") == ["id", "owner", "title", "sku"]
    assert lived.scene.sql("SELECT * FROM items ORDER BY id") == [(1, "red", "a", "x"), (2, "blue", None, None)]


def test_the_archive_keeps_the_old_values_by_key(lived: Lived) -> None:
    (kept,) = lived.scene.sql(
        "SELECT stored_in, columns, keep_until - now() BETWEEN '29 days' AND '31 days' FROM crossfade.archive"
    )
    assert kept[1:] == (["team", "name", "code"], True)
    assert lived.scene.sql(f'SELECT id, team, name, code FROM crossfade."{kept[0]}" ORDER BY id') == [
        (1, "red", "a", "x"),
        (2, "blue", None, None),
    ]


def test_both_names_hold_the_same_until_the_old_one_is_hidden(scene: Scene) -> None:
    scene.sql(SCHEMA)
    spec(scene, *CHANGES)

    scene.up(through="validate")
    scene.sql("INSERT INTO items (id, team) VALUES (3, 'blue')")
    scene.sql("INSERT INTO items (id, owner) VALUES (4, 'blue')")
    scene.sql("INSERT INTO items (id) VALUES (5)")

    assert scene.sql("SELECT team, owner FROM items WHERE id > 2 ORDER BY id") == [
        ("blue", "blue"),
        ("blue", "blue"),
        ("red", "red"),
    ]
    scene.up(through="retire")
    assert scene.columns("items") == ["id", "owner", "title", "sku"]


@pytest.mark.parametrize("leg", ["retire", "archive", "drop"])
def test_the_old_name_comes_back_with_what_was_written_since(scene: Scene, leg: str) -> None:
    scene.sql(SCHEMA)
    before = scene.schema()
    spec(scene, *CHANGES)
    scene.up(through=leg)
    scene.sql("INSERT INTO items (id, owner, title) VALUES (3, 'blue', 'c')")
    scene.sql("UPDATE items SET owner = 'blue' WHERE id = 1")
    scene.sql("DELETE FROM items WHERE id = 2")

    assert scene.rollback().ended == "undone"

    assert scene.schema() == before
    assert scene.own_objects() == []
    assert scene.sql("SELECT id, team, name, code FROM items ORDER BY id") == [
        (1, "blue", "a", "x"),
        (3, "blue", "c", None),
    ]


def test_a_column_that_is_the_tables_only_key_may_be_renamed(scene: Scene) -> None:
    scene.sql("CREATE TABLE items (code text NOT NULL UNIQUE, note text); INSERT INTO items VALUES ('01', 'x')")
    spec(scene, "rename_column: {table: items, from: code, to: sku}", more="contract:\n  stages: [drop: {}]\n")

    assert scene.up().ended == "complete"

    assert scene.sql("SELECT sku, note FROM items") == [("01", "x")]
    assert "ADD CONSTRAINT items_code_key UNIQUE (sku)" in scene.schema()
    assert scene.own_objects() == []
