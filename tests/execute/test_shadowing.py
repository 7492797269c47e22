"""Whoever may create in the application's schema cannot have the migration's role run what they made."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import postgast
import pytest
from postgast import pg_query_pb2 as pg
from tests.scene import Scene

from crossfade.spec.fragment import trusted

SCHEMA = """
CREATE TABLE places (code varchar(9) PRIMARY KEY, title text);
INSERT INTO places VALUES ('a', 'A'), ('b', 'B');
CREATE TABLE items (id varchar(9) PRIMARY KEY, size text, gone text, place varchar(9), name text, note text);
CREATE INDEX items_size ON items (size);
INSERT INTO items SELECT i, i, 'g', 'a', 'n' || i, NULL FROM generate_series(1, 300) AS i;
CREATE TABLE parts (id varchar(9), amount text, PRIMARY KEY (id)) PARTITION BY HASH (id);
CREATE TABLE parts_0 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO parts SELECT i, i FROM generate_series(1, 300) AS i;
CREATE TABLE people (id varchar(9) PRIMARY KEY, title text, bio text, mail text DEFAULT 'none');
INSERT INTO people VALUES ('a', 'Dr', 'painter', 'x'), ('b', NULL, NULL, NULL);
CREATE TABLE numbered (id serial PRIMARY KEY);
CREATE TABLE guests (id serial PRIMARY KEY, name varchar(9) UNIQUE);
CREATE TABLE members (id serial PRIMARY KEY, name varchar(9) UNIQUE);
INSERT INTO guests (name) VALUES ('a'), ('b');
INSERT INTO members (name) VALUES ('c'), ('d');
"""
# Fragments of the author's are casts only: what they call is theirs to qualify.
CHANGES = """
changes:
  - change_column: {table: items, column: size, to: {type: integer}, up: "size::integer", down: "size::text"}
  - change_column: {table: parts, column: amount, to: {type: integer}, up: "amount::integer", down: "amount::text"}
  - drop_column: {table: items, column: gone}
  - update_rows: {table: items, set: {note: "items.name"}}
  - add_constraint: {table: items, name: items_place_fkey,
                     foreign_key: {columns: [place], references: {table: places, columns: [code]}}}
  - add_constraint: {table: items, name: items_name_key, unique: [name]}
  - create_index: {table: items, name: items_place, columns: [place]}
  - split_table: {table: people, columns: [bio, mail], into: profiles}
  - move_column: {table: people, column: title, to: places, as: of_person, by: {id: code}}
"""
MERGED = """
changes:
  - merge_tables: {table: members, from: guests}
  - change_column: {table: numbered, column: id, to: {identity: by default}}
  - partition_table: {table: places, hash: {columns: [code], partitions: 2}}
"""
SHADOWS = Path(__file__).with_name("shadows.sql").read_text()


@pytest.fixture
def mallory(scene: Scene) -> Generator[Any]:
    """A role that may create in the application's schema, and nothing else."""
    role = f"mallory_{uuid4().hex[:8]}"  # roles are the server's, not the database's
    scene.sql(f"CREATE ROLE {role} LOGIN; GRANT CREATE, USAGE ON SCHEMA public TO {role}")
    with scene.connect() as session:
        session.execute(trusted(f"SET SESSION AUTHORIZATION {role}"))
        yield session
    scene.sql(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_nothing_that_another_role_made_in_the_schema_is_run_by_a_migration(scene: Scene, mallory: Any) -> None:
    scene.sql(SCHEMA)
    scene.spec(CHANGES)
    mallory.execute(trusted(SHADOWS))
    with pytest.raises(Exception, match="shadowed an operator"):
        scene.sql("SELECT FROM items WHERE id = place")

    assert scene.up(through="retire").ended == "reached"
    scene.sql("UPDATE items SET size = 7 WHERE note IS NOT NULL; UPDATE parts SET amount = 7")
    scene.sql("UPDATE profiles SET bio = 'poet'; UPDATE places SET of_person = 'Mr'")
    assert scene.rollback().ended == "undone"
    assert scene.up().ended == "complete"
    assert scene.rollback(to="retire").ended == "undone"

    assert scene.sql("SELECT bio FROM profiles") == [("poet",), ("poet",)]
    assert scene.one("SELECT sum(size) FROM items WHERE size = 7") == 2100


def test_nor_by_one_that_moves_rows_to_other_tables(scene: Scene, mallory: Any) -> None:
    scene.sql(SCHEMA)
    scene.spec(MERGED)
    mallory.execute(trusted(SHADOWS))

    assert scene.up(through="backfill").ended == "reached"
    scene.sql("INSERT INTO members (name) VALUES ('a'); DELETE FROM members WHERE name::text = 'a'")
    assert scene.up(through="archive").ended == "reached"
    scene.sql("INSERT INTO members (name) VALUES ('e'); INSERT INTO numbered DEFAULT VALUES")
    assert scene.rollback().ended == "undone"
    assert scene.up(through="validate").ended == "reached"
    scene.sql("UPDATE guests SET name = pg_catalog.concat(name, '!'); DELETE FROM places")
    assert scene.up(through="archive").ended == "reached"


@pytest.mark.parametrize("changes", [CHANGES, MERGED], ids=["in place", "moved"])
def test_every_function_that_a_plan_calls_is_named_with_its_schema(scene: Scene, changes: str) -> None:
    scene.sql(SCHEMA)
    scene.spec(changes)
    scene.up(through="expand")
    (plan,) = scene.sql("SELECT plan FROM crossfade.migration")[0]

    statements = [text.replace("{leaf}", "leaf").replace("{{", "{").replace("}}", "}") for text in _sql(plan["steps"])]

    assert len(statements) > 50
    called = {name for statement in statements for name in _unqualified(statement)}
    assert called <= {"nextval"}  # of a default, which is the table's own


def _sql(found: Any) -> Generator[str]:
    """Every statement in a plan, wherever it stands."""
    texts = {"query", "find", "witness", "batch", "waiting", "careful", "conflict", "retry", "pending", "pending_rows",
             "statement", "done", "each"}  # fmt: skip
    if isinstance(found, list):
        for one in cast(list[Any], found):
            yield from _sql(one)
    elif isinstance(found, dict):
        for key, value in cast(dict[str, Any], found).items():
            if key in texts and isinstance(value, str):
                yield value
            elif key in ("statements", "settle"):
                for each in value:
                    yield from [each] if isinstance(each, str) else _sql(each)
            else:
                yield from _sql(value)


def _unqualified(statement: str) -> Generator[str]:
    """Functions called without a schema, also in the bodies of functions that the statement makes."""
    tree = postgast.parse(statement)
    for _, node in postgast.walk(tree):
        if isinstance(node, pg.FuncCall) and len(node.funcname) == 1:
            yield node.funcname[0].string.sval
    if statement.startswith("CREATE OR REPLACE FUNCTION"):
        # The parser writes no JSON of a trigger's own variables, so these are declared.
        declared = statement.replace("RETURNS trigger", "RETURNS record").replace(
            "\nDECLARE", "\nDECLARE new record; old record;", 1
        )
        for expression in _expressions(postgast.parse_plpgsql(declared)):
            for prefix in ("", "SELECT "):
                try:
                    yield from _unqualified(prefix + expression)
                except postgast.PgQueryError:
                    continue
                break
            else:
                raise AssertionError(f"not read: {expression}")


def _expressions(found: Any) -> Generator[str]:
    if isinstance(found, list):
        for one in cast(list[Any], found):
            yield from _expressions(one)
    elif isinstance(found, dict):
        for key, value in cast(dict[str, Any], found).items():
            if key == "query":
                yield value.split(":=", 1)[-1]
            else:
                yield from _expressions(value)
