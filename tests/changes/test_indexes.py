"""create_index and drop_index: concurrently, with every option, and back."""

from __future__ import annotations

import pytest
from tests.changes.conftest import Live
from tests.changes.life import Lived, spec
from tests.scene import Scene

from crossfade.execute import StepRefused

SCHEMA = """
CREATE TABLE items (id int PRIMARY KEY, name text, "groupName" text, tags int[], size int);
INSERT INTO items VALUES (1, 'a', 'x', '{1}', 1), (2, NULL, 'x', '{2}', 2), (3, NULL, 'y', NULL, 2)"""
# name: its options and what pg_dump says of it
INDEXES = {
    "plain": ("columns: [name]", "INDEX plain ON public.items USING btree (name)"),
    "Camel": ("columns: [groupName, name]", 'INDEX "Camel" ON public.items USING btree ("groupName", name)'),
    "ordered": (
        "columns: [{column: name, order: desc, nulls: last}, {column: size, nulls: first}]",
        "INDEX ordered ON public.items USING btree (name DESC NULLS LAST, size NULLS FIRST)",
    ),
    "pattern": (
        "columns: [{column: name, opclass: text_pattern_ops}]",
        "INDEX pattern ON public.items USING btree (name text_pattern_ops)",
    ),
    "folded": ("columns: [{expression: lower(name)}]", "INDEX folded ON public.items USING btree (lower(name))"),
    "sum": (
        "columns: [{expression: size + id, order: desc}]",
        "INDEX sum ON public.items USING btree (((size + id)) DESC)",
    ),
    "partial": (
        "columns: [size], where: name <> 'where'",
        "INDEX partial ON public.items USING btree (size) WHERE (name <> 'where'::text)",
    ),
    "wider": (
        "columns: [name], include: [size, id]",
        "INDEX wider ON public.items USING btree (name) INCLUDE (size, id)",
    ),
    "collated": (
        "columns: [{column: name, collation: C, opclass: text_pattern_ops, order: desc}]",
        'INDEX collated ON public.items USING btree (name COLLATE "C" text_pattern_ops DESC)',
    ),
    "filled": (
        "columns: [name], storage_parameters: {fillfactor: 70, deduplicate_items: false}, tablespace: pg_default",
        "INDEX filled ON public.items USING btree (name) WITH (fillfactor='70', deduplicate_items='false')",
    ),
    "ranges": (
        "columns: [size], method: brin, storage_parameters: {pages_per_range: 16}",
        "INDEX ranges ON public.items USING brin (size) WITH (pages_per_range='16')",
    ),
    "gisted": (
        "columns: [{expression: 'int4range(size, NULL)'}], method: gist",
        "INDEX gisted ON public.items USING gist (int4range(size, NULL::integer))",
    ),
    "hashed": ("columns: [name], method: hash", "INDEX hashed ON public.items USING hash (name)"),
    "inverted": ("columns: [tags], method: gin", "INDEX inverted ON public.items USING gin (tags)"),
    "once": ("columns: [name], unique: true", "UNIQUE INDEX once ON public.items USING btree (name)"),
    "once_of": (
        "columns: [size], unique: true, where: id < 3",
        "UNIQUE INDEX once_of ON public.items USING btree (size) WHERE (id < 3)",
    ),
}


@pytest.fixture(scope="module")
def lived(live: Live) -> Lived:
    return live(SCHEMA, *(f"create_index: {{table: items, name: {name}, {INDEXES[name][0]}}}" for name in INDEXES))


@pytest.mark.parametrize("name", INDEXES)
def test_the_index_is_built_as_it_is_said(lived: Lived, name: str) -> None:
    assert f"CREATE {INDEXES[name][1]};" in lived.schema.splitlines()


def test_every_index_is_valid(lived: Lived) -> None:
    assert lived.scene.one("SELECT bool_and(indisvalid AND indisready) FROM pg_index")


def test_an_index_on_a_column_of_the_same_migration_is_on_the_new_column(live: Live) -> None:
    lived = live(
        "CREATE TABLE items (id int PRIMARY KEY, code text, name text); INSERT INTO items VALUES (1, '01', 'a')",
        "change_column: {table: items, column: code, to: {type: integer}}",
        "rename_column: {table: items, from: name, to: title}",
        "add_column: {table: items, column: extra, type: text}",
        "create_index: {table: items, name: i, columns: [code, title, extra, {expression: code + 1}], where: code > 0}",
    )

    assert lived.lines("INDEX") == [
        "CREATE INDEX i ON public.items USING btree (code, title, extra, ((code + 1))) WHERE (code > 0)"
    ]


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ("columns: [groupName]", 1),
        ("columns: [name], nulls_distinct: false", 1),
        ("columns: [{expression: size % 1}]", 1),
    ],
)
def test_duplicates_hold_a_unique_index_up_before_it_is_built(scene: Scene, options: str, found: int) -> None:
    if "nulls_distinct" in options and scene.one("SHOW server_version_num") < "150000":
        pytest.skip("needs PostgreSQL 15")
    scene.sql(SCHEMA)
    spec(scene, f"create_index: {{table: items, name: once, {options}, unique: true}}")

    with pytest.raises(StepRefused, match=rf"^{found} values that stand in more than one row of public\.items"):
        scene.up()

    assert scene.sql("SELECT indexrelid::regclass::text FROM pg_index WHERE indexrelid::regclass::text = 'once'") == []


def test_an_index_is_dropped_in_the_last_stage_and_its_undo_builds_it_again(scene: Scene) -> None:
    scene.sql(f'{SCHEMA}; CREATE UNIQUE INDEX "oldOne" ON items (name DESC) INCLUDE (id) WHERE size > 0')
    scene.sql("COMMENT ON INDEX \"oldOne\" IS 'best first'")
    spec(scene, "drop_index: {index: oldOne}")
    before = scene.schema()

    assert scene.up().passed == ("expand", "backfill", "validate", "drop")
    assert "oldOne" not in scene.schema()

    scene.rollback()
    assert scene.schema() == before
    assert scene.one("SELECT indisvalid FROM pg_index WHERE indexrelid = '\"oldOne\"'::regclass")
