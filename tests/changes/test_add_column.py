"""add_column: empty, with a default, or made from the row."""

from __future__ import annotations

from typing import Any

import pytest
from tests.changes.conftest import Live
from tests.changes.life import Lived, spec
from tests.scene import Scene

ITEMS = "CREATE TABLE items (id int PRIMARY KEY, code text); INSERT INTO items VALUES (1, '01'), (2, NULL)"
LONG_TABLE, LONG_COLUMN = "t" * 50, "c" * 50

# The options of a column, its line in the schema in the end, and its values in both rows.
VARIANTS: dict[str, tuple[str, str, list[Any] | None]] = {
    "plain": ("type: text", "plain text", [None, None]),
    "constant": ("type: integer, default: 7", "constant integer DEFAULT 7", [7, 7]),
    "strict": ("type: integer, default: 7, nullable: false", "strict integer DEFAULT 7 NOT NULL", [7, 7]),
    "scaled": ("type: 'numeric(10,2)', default: 1.5", "scaled numeric(10,2) DEFAULT 1.5", None),
    "quoting": ("type: text, default: \"'it''s'\"", "quoting text DEFAULT 'it''s'::text", ["it's", "it's"]),
    "stamp": ("type: timestamptz, default: now()", "stamp timestamp with time zone DEFAULT now()", None),
    "list": ("type: 'text[]', default: \"'{}'\"", "list text[] DEFAULT '{}'::text[]", [[], []]),
    "label": ("type: label", "label public.label", [None, None]),
    "Camel Case": ("type: text", '"Camel Case" text', [None, None]),
    "filled": ("type: integer, up: 'code::integer'", "filled integer", [1, None]),
    "filled_strict": ("type: integer, up: 'id * 2', nullable: false", "filled_strict integer NOT NULL", [2, 4]),
    "filled_default": ("type: text, up: code, default: \"'x'\"", "filled_default text DEFAULT 'x'::text", ["01", None]),
    "both_ways": (
        "type: integer, up: 'code::integer', down: {code: 'both_ways::text'}",
        "both_ways integer",
        [1, None],
    ),
    "looked_up": (
        "type: text, up: '(SELECT teams.name FROM teams WHERE teams.id = items.id)'",
        "looked_up text",
        ["red", None],
    ),
}


@pytest.fixture(scope="module")
def lived(live: Live) -> Lived:
    schema = f"{ITEMS}; CREATE DOMAIN label AS varchar(20); CREATE TABLE teams (id int, name text);"
    schema += "INSERT INTO teams VALUES (1, 'red')"
    return live(schema, *(f"add_column: {{table: items, column: {name}, {VARIANTS[name][0]}}}" for name in VARIANTS))


@pytest.mark.parametrize("column", VARIANTS)
def test_the_column_is_there_in_the_end(lived: Lived, column: str) -> None:
    _, line, values = VARIANTS[column]

    assert line in lived.lines(f"    {column} ", f'    "{column}" ')
    assert values is None or lived.column("items", f'"{column}"') == values


@pytest.fixture(scope="module")
def ruled(live: Live) -> Lived:
    return live(
        f"{ITEMS}; CREATE TABLE {LONG_TABLE} (id int PRIMARY KEY)",
        "add_column: {table: items, column: extra, type: integer, check: extra > 0, unique: true, comment: it's new}",
        "add_column: {table: items, column: twice, type: integer, up: id * 2, nullable: false, check: twice > 0,"
        " unique: true, comment: twice the id}",
        f"add_column: {{table: {LONG_TABLE}, column: {LONG_COLUMN}, type: integer, check: '{LONG_COLUMN} > 0',"
        " unique: true}",
    )


@pytest.mark.parametrize("column", ["extra", "twice"])
def test_its_rules_have_the_names_postgresql_would_give_them(ruled: Lived, column: str) -> None:
    assert ruled.lines(f"CONSTRAINT items_{column}") == [
        f"CONSTRAINT items_{column}_check CHECK (({column} > 0))",
        f"ADD CONSTRAINT items_{column}_key UNIQUE ({column})",
    ]


def test_long_names_give_its_rules_names_that_differ(ruled: Lived) -> None:
    assert f"CONSTRAINT {'t' * 28}_{'c' * 28}_check CHECK" in ruled.schema
    assert f"CONSTRAINT {'t' * 29}_{'c' * 29}_key UNIQUE" in ruled.schema


def test_its_comment_stays(ruled: Lived) -> None:
    assert ruled.lines("COMMENT") == [
        "COMMENT ON COLUMN public.items.extra IS 'it''s new'",
        "COMMENT ON COLUMN public.items.twice IS 'twice the id'",
    ]


def test_a_plain_column_touches_no_row(scene: Scene) -> None:
    scene.sql(ITEMS)
    spec(scene, "add_column: {table: items, column: extra, type: integer, default: 7, nullable: false}")
    file = scene.one("SELECT pg_relation_filenode('items')")
    versions = scene.sql("SELECT ctid, xmin FROM items")

    scene.up()

    assert scene.one("SELECT pg_relation_filenode('items')") == file
    assert scene.sql("SELECT ctid, xmin FROM items") == versions


def test_a_volatile_default_gives_every_row_a_value_of_its_own_without_a_rewrite(scene: Scene) -> None:
    scene.sql(ITEMS)
    spec(scene, "add_column: {table: items, column: token, type: uuid, default: gen_random_uuid(), nullable: false}")
    file = scene.one("SELECT pg_relation_filenode('items')")

    scene.up(through="validate")
    scene.sql("INSERT INTO items (id) VALUES (3)")
    scene.up()
    scene.sql("INSERT INTO items (id) VALUES (4)")

    assert scene.one("SELECT pg_relation_filenode('items')") == file
    assert scene.one("SELECT count(DISTINCT token) FROM items") == 4
    assert "    token uuid DEFAULT gen_random_uuid() NOT NULL" in scene.schema()


def test_a_table_in_another_schema_is_named_with_it(scene: Scene) -> None:
    scene.sql("CREATE SCHEMA billing; CREATE TABLE billing.items (id int); INSERT INTO billing.items VALUES (1)")
    spec(scene, "add_column: {table: billing.items, column: extra, type: integer, up: id * 2, unique: true}")

    scene.up()

    assert scene.sql("SELECT extra FROM billing.items") == [(2,)]
    assert "ADD CONSTRAINT items_extra_key UNIQUE (extra)" in scene.schema()


def test_without_down_the_column_is_the_new_versions_own(scene: Scene) -> None:
    scene.sql("CREATE TABLE items (id int PRIMARY KEY, title text); INSERT INTO items VALUES (1, 'One'), (2, 'Two')")
    spec(scene, "add_column: {table: items, column: slug, type: text, up: lower(title), nullable: false}")
    scene.up(through="expand")
    assert "not-compared" in {hazard.code for hazard in scene.runner().plan(scene.migration()).hazards}

    scene.sql("UPDATE items SET slug = 'first' WHERE id = 1")
    scene.sql("INSERT INTO items VALUES (3, 'Three', 'third')")

    assert scene.up().ended == "complete"
    assert scene.sql("SELECT slug FROM items ORDER BY id") == [("first",), ("two",), ("third",)]
