"""What an index cannot hold and a foreign key cannot compare is refused when planned, at the key of the spec."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.changes.refusing import refusal
from tests.scene import Scene

ROOM = """
CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE DOMAIN word AS text;
CREATE TABLE parents (id int PRIMARY KEY, code varchar(9) UNIQUE, exact numeric UNIQUE, loose text, late int,
  part int, felt mood UNIQUE, spelt word UNIQUE, UNIQUE (late) DEFERRABLE);
CREATE UNIQUE INDEX some_parts ON parents (part) WHERE part > 0;
CREATE TABLE items (id int PRIMARY KEY, name text, small smallint, big bigint, doc json, tags text[], body jsonb,
  felt mood, spot point, spelt word, code varchar(3), span int4range)"""


@pytest.fixture(scope="module")
def room(shared_scene: Callable[[], Scene]) -> Scene:
    scene = shared_scene()
    scene.sql(ROOM)
    return scene


def key(columns: str, references: str) -> str:
    return f"add_constraint: {{table: items, name: c, foreign_key: {{columns: [{columns}], references: {references}}}}}"


def table(rest: str) -> str:
    return f"create_table: {{table: made, columns: [{{name: id, type: int}}, {{name: doc, type: json}}], {rest}}}"


def index(rest: str) -> str:
    return f"create_index: {{table: items, name: i, {rest}}}"


INDEX_REFUSALS = [
    (index("columns: [name], method: HEREnonsense"), "there is no index method nonsense"),
    (index("columns: [HEREname], method: gin"), "text has no default operator class for gin"),
    (index("columns: [HEREdoc]"), "json has no default operator class for btree"),
    (index("columns: [HEREspot]"), "point has no default operator class for btree"),
    (
        index("columns: [{column: name, opclass: HEREtext_patern_ops}]"),
        "no operator class text_patern_ops of btree takes text",
    ),
    (
        index("columns: [{column: id, opclass: HEREtext_pattern_ops}]"),
        "no operator class text_pattern_ops of btree takes integer",
    ),
    (index("columns: [name], method: hash, unique: HEREtrue"), "indexes of the method hash cannot be unique"),
    (
        index("columns: [name], method: hash, include: HERE[id]"),
        "indexes of the method hash cannot hold more columns than their keys (`include`)",
    ),
    (index("columns: HERE[name, id], method: hash"), "indexes of the method hash cannot have more than one key"),
    (
        index("columns: [HERE{column: body, order: desc}], method: gin"),
        "indexes of the method gin cannot be ordered (`order`, `nulls`)",
    ),
    (index("columns: [HERE{expression: body -> 'a'}], method: gist"), "jsonb has no default operator class for gist"),
]
KEY_REFUSALS = [
    ("add_column: {table: items, column: x, type: json, unique: HEREtrue}", "json has no default operator class"),
    ("change_column: {table: items, column: doc, to: {unique: HEREtrue}}", "json has no default operator class"),
    ("add_constraint: {table: items, name: c, unique: [id, HEREdoc]}", "json has no default operator class"),
    (table("primary_key: [HEREdoc]"), "json has no default operator class"),
    (table("unique: [[id, HEREdoc]]"), "json has no default operator class"),
    (
        "create_table: {table: made, columns: [{name: id, type: int, identity: true, default: HERE1}]}",
        "id has `identity` and `default`",
    ),
]
FOREIGN_KEYS = [
    (key("HEREname", "{table: parents}"), "name is text, and public.parents.id is integer"),
    (
        key("HEREid", "{table: parents, columns: [code]}"),
        "id is integer, and public.parents.code is character varying(9)",
    ),
    (key("HEREname", "{table: parents, columns: [felt]}"), "name is text, and public.parents.felt is public.mood"),
    (key("id", "HERE{table: parents, columns: [late]}"), "public.parents (late) has no unique index"),
    (key("id", "HERE{table: parents, columns: [part]}"), "public.parents (part) has no unique index"),
    (
        table("foreign_keys: {f: {columns: [HEREdoc], references: {table: parents}}}"),
        "doc is json, and public.parents.id is integer",
    ),
    (
        table("foreign_keys: {f: {columns: [id], references: HERE{table: parents, columns: [loose]}}}"),
        "public.parents (loose) has no unique index",
    ),
    (
        table("foreign_keys: {f: {columns: [id], references: HERE{table: made, columns: [doc]}}}"),
        "public.made (doc) has no unique index",
    ),
]


@pytest.mark.parametrize(("change", "what"), [*INDEX_REFUSALS, *KEY_REFUSALS, *FOREIGN_KEYS])
def test_it_is_refused_at_the_value_that_is_wrong_with_what_to_do(room: Scene, change: str, what: str) -> None:
    (problem,) = refusal(room, change.replace("HERE", ""))

    assert problem.what.startswith(what)
    assert problem.fix
    assert problem.where is not None
    assert (problem.where.line, problem.where.column) == (6, len("  - ") + change.index("HERE") + 1)


@pytest.mark.parametrize(
    "change",
    [
        index("columns: [tags], method: gin"),
        index("columns: [body], method: gin"),
        index("columns: [{column: body, opclass: jsonb_path_ops}], method: gin"),
        index("columns: [{column: code, opclass: text_pattern_ops}]"),
        index("columns: [{column: name, opclass: pg_catalog.text_pattern_ops}]"),
        index("columns: [felt, spelt, code, tags, span], include: [doc]"),
        index("columns: [spot, span], method: gist, include: [id]"),
        index("columns: [id, name], method: brin"),
        index("columns: [felt], method: hash"),
        key("small", "{table: parents}"),
        key("big", "{table: parents}"),
        key("id", "{table: parents, columns: [exact]}"),
        key("name", "{table: parents, columns: [code]}"),
        key("felt", "{table: parents, columns: [felt]}"),
        key("code", "{table: parents, columns: [spelt]}"),
        table("primary_key: [id], foreign_keys: {f: {columns: [id], references: {table: made}}}"),
    ],
)
def test_what_postgresql_takes_is_taken_and_can_be_done(scene: Scene, change: str) -> None:
    scene.sql(ROOM)

    assert refusal(scene, change) == ()
    assert scene.up().ended == "complete"


def test_rows_that_only_an_extension_tells_apart_are_not_kept_in_step(scene: Scene) -> None:
    """In a trigger `=` of citext would be that of text, and that of ltree would not be found."""
    scene.sql(
        "CREATE EXTENSION citext; CREATE TABLE tags (id citext PRIMARY KEY, name text);"
        "CREATE TABLE more (id citext PRIMARY KEY); CREATE TABLE kept (id serial PRIMARY KEY, name text)"
    )

    for change in (
        "split_table: {table: tags, columns: [name], into: names}",
        "move_column: {table: tags, column: name, to: more, by: {id: id}}",
        "partition_table: {table: tags, hash: {columns: [id], partitions: 2}}",
        "replace_key: {table: tags, column: key, type: bigint}",
        "merge_tables: {table: kept, from: tags}",
    ):
        (said,) = refusal(scene, change)
        assert said.what == "rows are told apart by values of public.citext, which operators of schema public compare"
