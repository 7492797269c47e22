"""add_column: empty, with a default, or made from the row."""

from __future__ import annotations

import pytest
from tests.changes.life import lines, spec, whole_way
from tests.scene import Scene

SCHEMA = "CREATE TABLE items (id int PRIMARY KEY, code text); INSERT INTO items VALUES (1, '01'), (2, NULL)"


def added(scene: Scene, options: str) -> tuple[list[str], list[object]]:
    """The column's line in the schema, and its value in both rows."""
    schema = whole_way(scene, SCHEMA, f"add_column: {{table: items, column: extra, {options}}}")
    return lines(schema, "    extra "), [value for (value,) in scene.sql("SELECT extra FROM items ORDER BY id")]


@pytest.mark.parametrize(
    ("options", "line", "values"),
    [
        ("type: text", "extra text", [None, None]),
        ("type: integer, default: 7", "extra integer DEFAULT 7", [7, 7]),
        ("type: integer, default: 7, nullable: false", "extra integer DEFAULT 7 NOT NULL", [7, 7]),
        ("type: 'numeric(10,2)', default: 1.5", "extra numeric(10,2) DEFAULT 1.5", None),
        ("type: text, default: \"'it''s'\"", "extra text DEFAULT 'it''s'::text", ["it's", "it's"]),
        ("type: timestamptz, default: now()", "extra timestamp with time zone DEFAULT now()", None),
        ("type: 'text[]', default: \"'{}'\"", "extra text[] DEFAULT '{}'::text[]", [[], []]),
        ("type: text, default: 'null'", "extra text", [None, None]),
        ("type: integer, up: 'code::integer'", "extra integer", [1, None]),
        ("type: integer, up: 'coalesce(code::integer, 0)', nullable: false", "extra integer NOT NULL", [1, 0]),
        ("type: text, up: code, default: \"'x'\"", "extra text DEFAULT 'x'::text", ["01", None]),
        ("type: integer, up: 'code::integer', down: {code: 'extra::text'}", "extra integer", [1, None]),
    ],
)
def test_a_column_is_there_in_the_end(scene: Scene, options: str, line: str, values: list[object] | None) -> None:
    found, given = added(scene, options)

    assert found == [line]
    assert values is None or given == values


def test_a_plain_column_touches_no_row(scene: Scene) -> None:
    scene.sql(SCHEMA)
    spec(scene, "add_column: {table: items, column: extra, type: integer, default: 7, nullable: false}")
    file = scene.one("SELECT pg_relation_filenode('items')")
    versions = scene.sql("SELECT ctid, xmin FROM items")

    scene.up()

    assert scene.one("SELECT pg_relation_filenode('items')") == file
    assert scene.sql("SELECT ctid, xmin FROM items") == versions


def test_a_volatile_default_gives_every_row_a_value_of_its_own_without_a_rewrite(scene: Scene) -> None:
    scene.sql(SCHEMA)
    spec(scene, "add_column: {table: items, column: token, type: uuid, default: gen_random_uuid(), nullable: false}")
    file = scene.one("SELECT pg_relation_filenode('items')")

    scene.up(through="validate")
    scene.sql("INSERT INTO items (id) VALUES (3)")
    scene.up()
    scene.sql("INSERT INTO items (id) VALUES (4)")

    assert scene.one("SELECT pg_relation_filenode('items')") == file
    assert scene.one("SELECT count(DISTINCT token) FROM items") == 4
    assert lines(scene.schema(), " token ") == ["token uuid DEFAULT gen_random_uuid() NOT NULL"]


def test_its_rules_have_the_names_postgresql_would_give_them(scene: Scene) -> None:
    schema = whole_way(
        scene, SCHEMA, "add_column: {table: items, column: extra, type: integer, check: extra > 0, unique: true}"
    )

    assert lines(schema, "CONSTRAINT items_extra") == [
        "CONSTRAINT items_extra_check CHECK ((extra > 0))",
        "ADD CONSTRAINT items_extra_key UNIQUE (extra)",
    ]


def test_rules_of_a_filled_column_hold_in_the_end(scene: Scene) -> None:
    schema = whole_way(
        scene,
        SCHEMA,
        "add_column: {table: items, column: extra, type: integer, up: id * 2, nullable: false,"
        " check: extra > 0, unique: true, comment: twice the id}",
    )

    assert lines(schema, "items_extra", " extra ", "twice") == [
        "extra integer NOT NULL",
        "CONSTRAINT items_extra_check CHECK ((extra > 0))",
        "COMMENT ON COLUMN public.items.extra IS 'twice the id'",
        "ADD CONSTRAINT items_extra_key UNIQUE (extra)",
    ]


def test_long_names_give_its_rules_names_that_differ(scene: Scene) -> None:
    table, column = "t" * 50, "c" * 50
    schema = whole_way(
        scene,
        f"CREATE TABLE {table} (id int PRIMARY KEY)",
        f"add_column: {{table: {table}, column: {column}, type: integer, check: '{column} > 0', unique: true}}",
    )

    assert f"CONSTRAINT {'t' * 28}_{'c' * 28}_check CHECK" in schema
    assert f"CONSTRAINT {'t' * 29}_{'c' * 29}_key UNIQUE" in schema


def test_a_comment_stays(scene: Scene) -> None:
    schema = whole_way(scene, SCHEMA, 'add_column: {table: items, column: extra, type: text, comment: "it\'s new"}')

    assert lines(schema, "COMMENT") == ["COMMENT ON COLUMN public.items.extra IS 'it''s new'"]


def test_a_domain_without_rules_stays_the_columns_type(scene: Scene) -> None:
    schema = whole_way(
        scene,
        "CREATE DOMAIN label AS varchar(20); CREATE TABLE items (id int PRIMARY KEY)",
        "add_column: {table: items, column: extra, type: label}",
    )

    assert lines(schema, "    extra ") == ["extra public.label"]


def test_a_value_from_another_table_is_filled_and_kept_right(scene: Scene) -> None:
    whole_way(
        scene,
        "CREATE TABLE teams (id int PRIMARY KEY, name text); INSERT INTO teams VALUES (1, 'red'), (2, 'blue');"
        "CREATE TABLE items (id int PRIMARY KEY, team_id int); INSERT INTO items VALUES (1, 1), (2, 2), (3, NULL)",
        "add_column: {table: items, column: team, type: text,"
        " up: '(SELECT teams.name FROM teams WHERE teams.id = items.team_id)'}",
    )

    assert scene.sql("SELECT id, team FROM items ORDER BY id") == [(1, "red"), (2, "blue"), (3, None)]


def test_a_table_in_another_schema_is_named_with_it(scene: Scene) -> None:
    scene.sql(
        "CREATE SCHEMA billing; CREATE TABLE billing.items (id int PRIMARY KEY); INSERT INTO billing.items VALUES (1)"
    )
    spec(scene, "add_column: {table: billing.items, column: extra, type: integer, up: id * 2, unique: true}")

    scene.up()

    assert scene.sql("SELECT extra FROM billing.items") == [(2,)]
    assert lines(scene.schema(), "items_extra") == ["ADD CONSTRAINT items_extra_key UNIQUE (extra)"]
