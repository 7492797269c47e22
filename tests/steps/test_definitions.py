"""Indexes and constraints rebuilt for the column that replaces theirs: the same but for the column."""

from __future__ import annotations

import uuid
from collections.abc import Generator
from typing import Any

import psycopg
import pytest

from crossfade.catalog import Catalog, Name, Table
from crossfade.catalog.snapshot import read_catalog
from crossfade.server import Server
from crossfade.spec.fragment import trusted
from crossfade.steps.carry import constraints_reading, indexes_reading
from crossfade.steps.definitions import carried_constraint, carried_index, check_text, index_texts
from crossfade.steps.step import Relation

Connection = psycopg.Connection[Any]
SCHEMA = """
CREATE TABLE parents (x int, y int, PRIMARY KEY (x, y));
CREATE TABLE items (id int PRIMARY KEY, a text, data text, "userName" text, x int, y int, tags int[],
                    a2 text, "userName2" text, y2 int, tags2 int[])"""
REPLACED = {"a": "a2", "userName": "userName2", "y": "y2", "tags": "tags2"}


@pytest.fixture(scope="module")
def connection(server: Server) -> Generator[Connection]:
    database = f"carry_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server.create_database(database), autocommit=True) as connection:
        connection.execute(SCHEMA)
        yield connection
    server.drop_database(database)


@pytest.fixture
def changed(connection: Connection) -> Generator[Connection]:
    """Whatever a test adds to the tables goes again."""
    with connection.transaction(force_rollback=True):
        yield connection


def skip_before_15(connection: Connection, definition: str) -> None:
    if connection.info.server_version < 150000 and ("NULLS NOT" in definition or "SET NULL (" in definition):
        pytest.skip("needs PostgreSQL 15")


def items(connection: Connection) -> Table:
    catalog: Catalog = read_catalog(connection)
    return catalog.tables[Name("public", "items")]


@pytest.mark.parametrize(
    ("definition", "carried"),
    [
        ("INDEX i ON items (a)", "INDEX own ON public.items USING btree (a2)"),
        ("INDEX i ON items (a, data)", "INDEX own ON public.items USING btree (a2, data)"),
        ("INDEX i ON items (data, a)", "INDEX own ON public.items USING btree (data, a2)"),
        ('INDEX i ON items ("userName")', 'INDEX own ON public.items USING btree ("userName2")'),
        ("UNIQUE INDEX i ON items (a)", "UNIQUE INDEX own ON public.items USING btree (a2)"),
        (
            "UNIQUE INDEX i ON items (a) NULLS NOT DISTINCT",
            "UNIQUE INDEX own ON public.items USING btree (a2) NULLS NOT DISTINCT",
        ),
        (
            "INDEX i ON items (a DESC NULLS LAST, data NULLS FIRST)",
            "INDEX own ON public.items USING btree (a2 DESC NULLS LAST, data NULLS FIRST)",
        ),
        ("INDEX i ON items (a text_pattern_ops)", "INDEX own ON public.items USING btree (a2 text_pattern_ops)"),
        ('INDEX i ON items (a COLLATE "C")', 'INDEX own ON public.items USING btree (a2 COLLATE "C")'),
        ("INDEX i ON items (data) INCLUDE (a, id)", "INDEX own ON public.items USING btree (data) INCLUDE (a2, id)"),
        (
            "INDEX i ON items (a) WITH (fillfactor='70')",
            "INDEX own ON public.items USING btree (a2) WITH (fillfactor='70')",
        ),
        ("INDEX i ON items USING hash (a)", "INDEX own ON public.items USING hash (a2)"),
        ("INDEX i ON items USING gin (tags)", "INDEX own ON public.items USING gin (tags2)"),
        (
            "INDEX i ON items (lower(a), upper(data))",
            "INDEX own ON public.items USING btree (lower(a2), upper(data))",
        ),
        (
            "INDEX i ON items (((a || 'a'::text) || data))",
            "INDEX own ON public.items USING btree ((((a2 || 'a'::text) || data)))",
        ),
        (
            "INDEX i ON items (id) WHERE a = 'a' AND data <> 'data'",
            "INDEX own ON public.items USING btree (id) WHERE ((a2 = 'a'::text) AND (data <> 'data'::text))",
        ),
    ],
)
def test_an_index_is_carried_to_the_new_column(changed: Connection, definition: str, carried: str) -> None:
    skip_before_15(changed, definition)
    changed.execute(trusted(f"CREATE {definition}"))
    (index,) = indexes_reading(items(changed), frozenset(REPLACED))

    changed.execute(trusted(carried_index(index, name="own", columns=REPLACED, concurrently=False)))

    assert changed.execute("SELECT pg_get_indexdef('own'::regclass)").fetchone() == (f"CREATE {carried}",)


def test_a_carried_index_is_built_concurrently_unless_told_otherwise(changed: Connection) -> None:
    changed.execute("CREATE UNIQUE INDEX i ON items (a)")
    (index,) = indexes_reading(items(changed), frozenset({"a"}))

    assert carried_index(index, name="own", columns=REPLACED).startswith("CREATE UNIQUE INDEX CONCURRENTLY own ")


@pytest.mark.parametrize(
    ("definition", "carried"),
    [
        ("CHECK (a <> 'a')", "CHECK ((a2 <> 'a'::text)) NOT VALID"),
        ("CHECK (a <> data)", "CHECK ((a2 <> data)) NOT VALID"),
        ("CHECK (data <> 'a of data')", None),
        (
            """CHECK ("userName" <> 'it''s "userName"')""",
            """CHECK (("userName2" <> 'it''s "userName"'::text)) NOT VALID""",
        ),
        (
            "CHECK (a IN ('a', 'b') OR a IS NULL)",
            "CHECK (((a2 = ANY (ARRAY['a'::text, 'b'::text])) OR (a2 IS NULL))) NOT VALID",
        ),
        ("CHECK (y > 0) NO INHERIT", "CHECK ((y2 > 0)) NO INHERIT NOT VALID"),
        ("FOREIGN KEY (x, y) REFERENCES parents", "FOREIGN KEY (x, y2) REFERENCES parents(x, y) NOT VALID"),
        (
            "FOREIGN KEY (x, y) REFERENCES parents ON UPDATE CASCADE ON DELETE RESTRICT",
            "FOREIGN KEY (x, y2) REFERENCES parents(x, y) ON UPDATE CASCADE ON DELETE RESTRICT NOT VALID",
        ),
        (
            "FOREIGN KEY (x, y) REFERENCES parents DEFERRABLE INITIALLY DEFERRED",
            "FOREIGN KEY (x, y2) REFERENCES parents(x, y) DEFERRABLE INITIALLY DEFERRED NOT VALID",
        ),
        (
            "FOREIGN KEY (x, y) REFERENCES parents MATCH FULL",
            "FOREIGN KEY (x, y2) REFERENCES parents(x, y) MATCH FULL NOT VALID",
        ),
        (
            "FOREIGN KEY (x, y) REFERENCES parents ON DELETE SET NULL (y)",
            "FOREIGN KEY (x, y2) REFERENCES parents(x, y) ON DELETE SET NULL (y2) NOT VALID",
        ),
    ],
)
def test_a_constraint_is_carried_to_the_new_column_and_not_validated(
    changed: Connection, definition: str, carried: str | None
) -> None:
    skip_before_15(changed, definition)
    changed.execute(trusted(f"ALTER TABLE items ADD CONSTRAINT c {definition}"))
    found = constraints_reading(items(changed), frozenset(REPLACED))
    if carried is None:
        assert found == ()
        return

    relation = Relation(schema_name="public", name="items")
    changed.execute(trusted(carried_constraint(relation, found[0], name="own", columns=REPLACED)))

    query = "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'own'"
    assert changed.execute(query).fetchone() == (carried,)


def test_the_primary_key_and_invalid_indexes_are_left_alone(changed: Connection) -> None:
    changed.execute("CREATE INDEX broken ON items (a)")
    changed.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'broken'::regclass")

    assert indexes_reading(items(changed), frozenset({"id", "a"})) == ()


def test_the_texts_of_a_check_and_an_index_are_its_expressions(changed: Connection) -> None:
    changed.execute("ALTER TABLE items ADD CONSTRAINT c CHECK (length(a) > 0)")
    changed.execute("CREATE INDEX i ON items (lower(a), data) WHERE a <> 'x'")
    table = items(changed)
    (check,) = constraints_reading(table, frozenset({"a"}))
    (index,) = indexes_reading(table, frozenset({"a"}))

    assert check_text(check) == "length(a) > 0"
    assert index_texts(index) == ("lower(a)", "a <> 'x'::text")
