"""What the catalog knows about columns."""

from __future__ import annotations

import pytest

from crossfade.catalog import Catalog, Column, Name

from .conftest import After


def column(catalog: Catalog, name: str, table: str = "t") -> Column:
    found = catalog.table("public", table)
    assert found is not None
    return found.by_name[name]


@pytest.mark.parametrize(
    ("written", "spelled", "name"),
    [
        ("numeric(10, 2)", "numeric(10,2)", Name("pg_catalog", "numeric")),
        ("varchar(20)", "character varying(20)", Name("pg_catalog", "varchar")),
        ("timestamptz(3)", "timestamp(3) with time zone", Name("pg_catalog", "timestamptz")),
        ("int[]", "integer[]", Name("pg_catalog", "_int4")),
        ("mood", "public.mood", Name("public", "mood")),
        ("mood[]", "public.mood[]", Name("public", "_mood")),
        ("email", "public.email", Name("public", "email")),
        ("pair", "public.pair", Name("public", "pair")),
    ],
)
def test_a_type_is_spelled_with_its_modifiers_and_named_without(
    after: After, written: str, spelled: str, name: Name
) -> None:
    catalog = after(f"""
        CREATE TYPE mood AS ENUM ('sad', 'ok');
        CREATE DOMAIN email AS text CHECK (VALUE LIKE '%@%');
        CREATE TYPE pair AS (a int, b text);
        CREATE TABLE t (c {written});
    """)
    assert column(catalog, "c").type == spelled
    assert column(catalog, "c").type_name == name


@pytest.mark.parametrize(
    ("default", "volatile"),
    [
        ("7", False),
        ("'random()'", False),
        ("now()", False),
        ("CURRENT_TIMESTAMP", False),
        ("lower('A') || current_user", False),
        ("random()", True),
        ("clock_timestamp()", True),
        ("gen_random_uuid()::text", True),
        ("coalesce(NULL, 1 + (random() * 10)::int)", True),
        ("nextval('s')", True),
        ("app.volatile_one()", True),
        ('app."Odd \'name"()', True),
        ("app.stable_one()", False),
    ],
)
def test_a_default_is_volatile_when_it_calls_a_volatile_function(after: After, default: str, volatile: bool) -> None:
    catalog = after(f"""
        CREATE SEQUENCE s;
        CREATE SCHEMA app;
        CREATE FUNCTION app.volatile_one() RETURNS int LANGUAGE sql VOLATILE AS 'SELECT 1';
        CREATE FUNCTION app."Odd 'name"() RETURNS int LANGUAGE sql VOLATILE AS 'SELECT 1';
        CREATE FUNCTION app.stable_one() RETURNS int LANGUAGE sql STABLE AS 'SELECT 1';
        CREATE TABLE t (c text DEFAULT {default});
    """)
    assert column(catalog, "c").default_volatile is volatile


def test_a_serial_column_has_a_default_and_owns_its_sequence(after: After) -> None:
    catalog = after("CREATE TABLE t (id serial)")
    assert column(catalog, "id").default == "nextval('public.t_id_seq'::regclass)"
    assert column(catalog, "id").default_volatile
    assert column(catalog, "id").identity is None
    assert catalog.sequences[Name("public", "t_id_seq")].owned_by == (Name("public", "t"), "id")


@pytest.mark.parametrize(("clause", "kind"), [("ALWAYS", "always"), ("BY DEFAULT", "by default")])
def test_an_identity_column_has_no_default_and_owns_its_sequence(after: After, clause: str, kind: str) -> None:
    catalog = after(f"CREATE TABLE t (id bigint GENERATED {clause} AS IDENTITY)")
    assert column(catalog, "id").identity == kind
    assert column(catalog, "id").default is None
    assert not column(catalog, "id").default_volatile
    assert catalog.sequences[Name("public", "t_id_seq")].owned_by == (Name("public", "t"), "id")


def test_a_stored_generated_column_has_its_expression(after: After) -> None:
    catalog = after("CREATE TABLE t (a int, b int GENERATED ALWAYS AS (a * 2) STORED)")
    assert column(catalog, "b").generated == "stored"
    assert column(catalog, "b").default == "(a * 2)"


@pytest.mark.since(18)
def test_a_virtual_generated_column_is_told_from_a_stored_one(after: After) -> None:
    catalog = after("CREATE TABLE t (a int, b int GENERATED ALWAYS AS (a * 2) VIRTUAL)")
    assert column(catalog, "b").generated == "virtual"


def test_a_collation_is_named_only_where_it_is_not_the_types(after: After) -> None:
    catalog = after("""
        CREATE DOMAIN code AS text COLLATE "C";
        CREATE TABLE t (a text, b text COLLATE "POSIX", c code);
    """)
    assert column(catalog, "a").collation is None
    assert column(catalog, "b").collation == Name("pg_catalog", "POSIX")
    assert column(catalog, "c").collation is None
    assert catalog.domains[Name("public", "code")].collation == Name("pg_catalog", "C")


@pytest.mark.since(18)
def test_a_not_null_constraint_that_is_not_valid_is_not_relied_on(after: After) -> None:
    catalog = after("CREATE TABLE t (a int, b int NOT NULL); ALTER TABLE t ADD CONSTRAINT n NOT NULL a NOT VALID")
    assert not column(catalog, "a").not_null
    assert column(catalog, "b").not_null


def test_what_was_set_for_a_column_is_read(after: After) -> None:
    catalog = after("""
        CREATE TABLE t (c text);
        COMMENT ON COLUMN t.c IS 'hello';
        GRANT SELECT (c) ON t TO PUBLIC;
        ALTER TABLE t ALTER c SET STATISTICS 500, ALTER c SET STORAGE EXTERNAL, ALTER c SET (n_distinct = 7),
            ALTER c SET COMPRESSION pglz;
    """)
    c = column(catalog, "c")
    assert c.comment == "hello"
    assert [grant.split("/")[0] for grant in c.grants] == ["=r"]
    assert (c.statistics_target, c.storage, c.options, c.compression) == (500, "e", ("n_distinct=7",), "pglz")


def test_dropped_columns_are_gone_and_positions_stay(after: After) -> None:
    catalog = after("CREATE TABLE t (a int, b int, c int); ALTER TABLE t DROP b")
    table = catalog.tables[Name("public", "t")]
    assert [(c.name, c.position) for c in table.columns] == [("a", 1), ("c", 3)]


def test_enum_values_come_in_sort_order(after: After) -> None:
    catalog = after("CREATE TYPE mood AS ENUM ('sad', 'happy'); ALTER TYPE mood ADD VALUE 'ok' BEFORE 'happy'")
    assert catalog.enums[Name("public", "mood")].values == ("sad", "ok", "happy")


def test_a_domain_has_its_type_and_rules(after: After) -> None:
    catalog = after("CREATE DOMAIN price AS numeric(10,2) DEFAULT 1 NOT NULL CONSTRAINT positive CHECK (VALUE > 0)")
    domain = catalog.domains[Name("public", "price")]
    assert (domain.type, domain.default, domain.not_null) == ("numeric(10,2)", "1", True)
    assert ("positive", "CHECK ((VALUE > (0)::numeric))") in domain.constraints


def test_types_are_domains_enums_composites_and_ranges_but_no_rows_of_tables(after: After) -> None:
    catalog = after("""
        CREATE DOMAIN d AS int; CREATE TYPE e AS ENUM (); CREATE TYPE c AS (a int, "B" text);
        CREATE TYPE r AS RANGE (subtype = float8, multirange_type_name = rs); CREATE TABLE t ();
    """)
    assert {str(name) for name in catalog.types} == {
        "public.d",
        "public.e",
        "public.c",
        "public.r",
        "public.rs",
    }
    assert catalog.composites[Name("public", "c")].attributes == ("a integer", '"B" text')
