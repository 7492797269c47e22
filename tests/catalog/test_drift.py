"""How two snapshots differ, in words."""

from __future__ import annotations

import pytest

from crossfade.catalog import diff
from crossfade.catalog.snapshot import read_catalog

from .conftest import After, Connection

SCHEMA = """
    CREATE TYPE mood AS ENUM ('sad', 'ok');
    CREATE DOMAIN price AS numeric CONSTRAINT positive CHECK (VALUE > 0);
    CREATE TYPE pair AS (a int, b int);
    CREATE SEQUENCE s;
    CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
    CREATE TABLE t (id int PRIMARY KEY, a int, b text DEFAULT 'x');
    CREATE INDEX i ON t (a);
    CREATE VIEW v AS SELECT a FROM t;
    CREATE POLICY p ON t USING (a > 0);
    CREATE TRIGGER tr BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f();
    ALTER TABLE t ADD CONSTRAINT ck CHECK (a > 0) NOT VALID;
"""


@pytest.mark.parametrize(
    ("statement", "differences"),
    [
        ("CREATE SCHEMA app", ["schema app: was created"]),
        ("ALTER TYPE mood ADD VALUE 'happy'", ["enum public.mood: values was sad, ok, is sad, ok, happy"]),
        (
            "ALTER DOMAIN price SET DEFAULT 1",
            ["domain public.price: default was none, is 1"],
        ),
        (
            "ALTER TYPE pair DROP ATTRIBUTE b",
            ["composite type public.pair: attributes was a integer, b integer, is a integer"],
        ),
        (
            "CREATE TYPE r AS RANGE (subtype = text, multirange_type_name = rs)",
            ["range type public.r: was created", "range type public.rs: was created"],
        ),
        ("ALTER SEQUENCE s INCREMENT 2", ["sequence public.s: increment was 1, is 2"]),
        ("DROP VIEW v", ["view public.v: was dropped"]),
        ("CREATE TABLE u (id int PRIMARY KEY)", ["table public.u: was created"]),
        ("ALTER TABLE t ADD c int", ["column public.t.c: was created"]),
        ("ALTER TABLE t DROP b", ["column public.t.b: was dropped"]),
        ("ALTER TABLE t ALTER b DROP DEFAULT", ["column public.t.b: default was 'x'::text, is none"]),
        ("ALTER TABLE t ALTER b SET NOT NULL", ["column public.t.b: not null was no, is yes"]),
        ("ALTER TABLE t ALTER b TYPE varchar", ["column public.t.b: type was text, is character varying"]),
        (
            "ALTER TABLE t VALIDATE CONSTRAINT ck",
            ["constraint ck on public.t: definition was CHECK ((a > 0)) NOT VALID, is CHECK ((a > 0))"],
        ),
        ("ALTER TABLE t DROP CONSTRAINT ck", ["constraint ck on public.t: was dropped"]),
        ("ALTER TABLE t ENABLE ALWAYS TRIGGER tr", ["trigger tr on public.t: enabled was O, is A"]),
        ("DROP INDEX i", ["index i on public.t: was dropped"]),
        ("ALTER POLICY p ON t USING (a > 1)", ["policy p on public.t: using was (a > 0), is (a > 1)"]),
        ("ALTER TABLE t ENABLE ROW LEVEL SECURITY", ["table public.t: row security was no, is yes"]),
        ("COMMENT ON TABLE t IS 'hello'", ["table public.t: comment was none, is hello"]),
        ("CREATE STATISTICS st ON a, b FROM t", ["statistics public.st of public.t: was created"]),
        ("CREATE PUBLICATION pub FOR TABLE t", ["publication pub of public.t: was created"]),
        ("CREATE RULE r AS ON DELETE TO t DO ALSO NOTHING", ["rule r on public.t of public.t: was created"]),
        ("ALTER TABLE t RENAME b TO c", ["column public.t.b: was dropped", "column public.t.c: was created"]),
        ("DROP TABLE t CASCADE", ["table public.t: was dropped", "view public.v: was dropped"]),
    ],
)
def test_a_difference_is_told_in_words(after: After, statement: str, differences: list[str]) -> None:
    before = after(SCHEMA)
    found = [str(difference) for difference in diff(before, after(statement))]
    # PostgreSQL 18 has a named constraint behind each NOT NULL.
    assert [line for line in found if "_not_null on " not in line] == differences


def test_a_changed_function_shows_both_its_definitions(after: After) -> None:
    before = after(SCHEMA)
    catalog = after("CREATE OR REPLACE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN old; END'")
    function, trigger = diff(before, catalog)
    assert (function.kind, function.object) == ("function", "public.f()")
    assert "BEGIN RETURN new; END" in function.what
    assert "BEGIN RETURN old; END" in function.what
    assert str(trigger) == "trigger tr on public.t: body was BEGIN RETURN new; END, is BEGIN RETURN old; END"


def test_undoing_every_change_leaves_no_difference(after: After, connection: Connection) -> None:
    before = after(SCHEMA)
    connection.execute("ALTER TABLE t ADD c int CHECK (c > 0); CREATE INDEX ON t (c); GRANT SELECT ON t TO PUBLIC")
    connection.execute("CREATE VIEW w AS SELECT c FROM t; COMMENT ON COLUMN t.a IS 'hello'")
    assert diff(before, read_catalog(connection))
    connection.execute(
        "DROP VIEW w; ALTER TABLE t DROP c; REVOKE SELECT ON t FROM PUBLIC; COMMENT ON COLUMN t.a IS NULL"
    )
    assert diff(before, read_catalog(connection)) == ()


def test_rows_sizes_and_statistics_are_no_difference(after: After, connection: Connection) -> None:
    before = after(SCHEMA)
    connection.execute("INSERT INTO t SELECT n, n, 'x' FROM generate_series(1, 1000) AS n")
    connection.execute("VACUUM FULL ANALYZE t")
    assert diff(before, read_catalog(connection)) == ()


def test_the_same_schema_made_anew_is_no_difference(after: After, connection: Connection) -> None:
    before = after(SCHEMA)
    connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    assert diff(before, after(SCHEMA)) == ()


def test_columns_in_another_order_are_a_difference(after: After) -> None:
    before = after("CREATE TABLE t (a int, b int)")
    catalog = after("DROP TABLE t; CREATE TABLE t (b int, a int)")
    assert [str(difference) for difference in diff(before, catalog)] == [
        "table public.t: column order was a, b, is b, a"
    ]


def test_our_own_objects_can_be_left_out(after: After) -> None:
    before = after(SCHEMA)
    catalog = after("""
        CREATE FUNCTION _cf_sync() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
        CREATE TRIGGER _cf_sync BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION _cf_sync();
        ALTER TABLE t ADD _cf_a bigint;
        CREATE TABLE _cf_copy (a int);
    """)
    assert len(diff(before, catalog)) == 4
    assert diff(before, catalog, own=False) == ()


def test_what_belongs_to_an_extension_is_told_by_the_extension(after: After, connection: Connection) -> None:
    before = after(SCHEMA)
    connection.execute("CREATE EXTENSION pg_stat_statements")
    (difference,) = diff(before, read_catalog(connection))
    assert (difference.kind, difference.what) == ("extension", "was created")
