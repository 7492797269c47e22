"""What depends on a table: found, named, with the columns it holds on to."""

from __future__ import annotations

import pytest

from crossfade.catalog import Catalog, Name, Publication
from crossfade.catalog.snapshot import read_catalog

from .conftest import After, Connection

NO_COLUMNS: set[str] = set()
TABLE = "CREATE TABLE t (id int PRIMARY KEY, email text, name text, price numeric, created timestamptz);"


def dependents(catalog: Catalog, table: str = "t", schema: str = "public") -> dict[tuple[str, str], set[str]]:
    found = catalog.tables[Name(schema, table)].dependents
    return {(dependent.kind, dependent.name): set(dependent.columns) for dependent in found}


@pytest.mark.parametrize(
    ("statement", "kind", "name", "columns"),
    [
        ("CREATE VIEW v AS SELECT email FROM t WHERE id > 1", "view", "public.v", {"email", "id"}),
        ("CREATE VIEW v AS SELECT count(*) FROM t", "view", "public.v", NO_COLUMNS),
        ("CREATE MATERIALIZED VIEW v AS SELECT id FROM t", "materialized view", "public.v", {"id"}),
        (
            "CREATE RULE r AS ON DELETE TO t WHERE old.id = 1 DO INSTEAD NOTHING",
            "rule",
            "r on public.t",
            {"id"},
        ),
        ("CREATE POLICY p ON t USING (email = CURRENT_USER)", "policy", "p on public.t", {"email"}),
        (
            "CREATE TABLE o (t_id int); CREATE POLICY p ON o USING (t_id IN (SELECT id FROM t))",
            "policy",
            "p on public.o",
            {"id"},
        ),
        (
            "ALTER TABLE t ADD g text GENERATED ALWAYS AS (lower(email) || name) STORED",
            "generated column",
            "g",
            {"email", "name"},
        ),
        ("CREATE STATISTICS s ON email, name FROM t", "statistics", "public.s", {"email", "name"}),
        ("CREATE TABLE o (t_id int REFERENCES t)", "foreign key", "o_t_id_fkey on public.o", {"id"}),
        ("CREATE TABLE o (whole t)", "column", "public.o.whole", NO_COLUMNS),
        ("CREATE TABLE o (whole t[])", "column", "public.o.whole", NO_COLUMNS),
        (
            "CREATE FUNCTION f(a int) RETURNS text BEGIN ATOMIC SELECT email FROM t; END",
            "function",
            "public.f(integer)",
            {"email"},
        ),
        (
            "CREATE FUNCTION f() RETURNS SETOF t LANGUAGE plpgsql AS 'BEGIN END'",
            "function",
            "public.f()",
            NO_COLUMNS,
        ),
        (
            "CREATE FUNCTION f(text, int) RETURNS int LANGUAGE plpgsql AS 'BEGIN PERFORM Id FROM T; END'",
            "function body",
            "public.f(text, integer) (text)",
            {"id"},
        ),
    ],
)
def test_what_depends_on_a_table_is_named_with_its_columns(
    after: After, statement: str, kind: str, name: str, columns: set[str]
) -> None:
    catalog = after(f"{TABLE} {statement}")
    assert dependents(catalog)[kind, name] == columns


@pytest.mark.since(15)
def test_a_publication_depends_on_its_column_list_and_row_filter(after: After) -> None:
    catalog = after(f"{TABLE} CREATE PUBLICATION p FOR TABLE t (id, name) WHERE (id > 1)")
    (publication,) = catalog.tables[Name("public", "t")].dependents
    assert (publication.kind, publication.name) == ("publication", "p")
    assert publication.columns == {"id", "name"}
    assert publication.definition == "FOR TABLE (id, name) WHERE (id > 1)"


@pytest.mark.parametrize("scope", ["FOR TABLE t", "FOR ALL TABLES"])
def test_a_publication_without_columns_depends_on_the_table_as_a_whole(after: After, scope: str) -> None:
    catalog = after(f"{TABLE} CREATE PUBLICATION p {scope}")
    assert dependents(catalog) == {("publication", "p"): set()}


@pytest.mark.since(15)
def test_a_publication_of_a_schema_depends_on_its_tables(after: After) -> None:
    catalog = after(f"{TABLE} CREATE PUBLICATION p FOR TABLES IN SCHEMA public")
    assert dependents(catalog) == {("publication", "p"): set()}


@pytest.mark.since(15)
@pytest.mark.parametrize(
    ("made", "publication"),
    [
        (
            "FOR TABLE t (id, name) WHERE (price > 1)",
            Publication("p", "table", ("id", "name"), updates=True, via_root=False),
        ),
        ("FOR TABLES IN SCHEMA public", Publication("p", "schema", (), updates=True, via_root=False)),
        (
            "FOR ALL TABLES WITH (publish_via_partition_root = true)",
            Publication("p", "all tables", (), updates=True, via_root=True),
        ),
    ],
)
def test_a_table_knows_its_publications(after: After, made: str, publication: Publication) -> None:
    catalog = after(f"{TABLE} CREATE PUBLICATION p {made}")
    assert catalog.tables[Name("public", "t")].publications == (publication,)


def test_a_trigger_depends_on_its_columns_and_its_condition(after: After) -> None:
    catalog = after(f"""{TABLE}
        CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
        CREATE TRIGGER tr BEFORE UPDATE OF email ON t FOR EACH ROW WHEN (old.price > 0) EXECUTE FUNCTION f();
    """)
    assert dependents(catalog) == {("trigger", "tr on public.t"): {"email", "price"}}


def test_the_function_of_a_trigger_mentions_columns_without_naming_the_table(after: After) -> None:
    catalog = after(f"""{TABLE}
        CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN new.created := now(); RETURN new; END';
        CREATE TRIGGER tr BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f();
    """)
    assert dependents(catalog) == {("function body", "public.f() (text)"): {"created"}}


def test_a_trigger_is_read_with_its_events_columns_and_body(after: After) -> None:
    catalog = after(f"""{TABLE}
        CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
        CREATE TRIGGER tr BEFORE INSERT OR UPDATE OF name, email ON t FOR EACH ROW EXECUTE FUNCTION f();
        ALTER TABLE t ENABLE ALWAYS TRIGGER tr;
    """)
    (trigger,) = catalog.tables[Name("public", "t")].triggers
    assert (trigger.before, trigger.row, trigger.enabled) == (True, True, "A")
    assert trigger.events == {"insert", "update"}
    assert trigger.columns == ("name", "email")
    assert (trigger.function, trigger.body) == (Name("public", "f"), "BEGIN RETURN new; END")


def test_a_view_over_a_view_depends_on_the_columns_the_lower_one_reads(after: After) -> None:
    catalog = after(f"""{TABLE}
        CREATE VIEW low AS SELECT id, email FROM t;
        CREATE VIEW middle AS SELECT id FROM low;
        CREATE MATERIALIZED VIEW high AS SELECT count(*) FROM middle;
    """)
    assert dependents(catalog) == {
        ("view", "public.low"): {"id", "email"},
        ("view", "public.middle"): {"id", "email"},
        ("materialized view", "public.high"): {"id", "email"},
    }


def test_a_view_knows_what_it_reads_itself(after: After) -> None:
    catalog = after(f"""{TABLE}
        CREATE VIEW low AS SELECT id, email FROM t;
        CREATE VIEW high AS SELECT low.id, (SELECT count(*) FROM t) FROM low;
    """)
    t, low = Name("public", "t"), Name("public", "low")
    assert catalog.views[low].reads == {(t, "id"), (t, "email")}
    assert catalog.views[Name("public", "high")].reads == {(low, "id"), (t, "")}
    assert [d.name for d in catalog.views[low].dependents] == ["public.high"]


def test_views_in_schemas_that_are_not_read_are_dependents_all_the_same(after: After, connection: Connection) -> None:
    after(f"""{TABLE}
        CREATE SCHEMA api;
        CREATE VIEW api.low AS SELECT id FROM t;
        CREATE VIEW api.high AS SELECT id FROM api.low;
        CREATE FUNCTION api.f() RETURNS int LANGUAGE sql AS 'SELECT id FROM t';
    """)
    catalog = read_catalog(connection, schemas=["public"])
    assert dependents(catalog) == {
        ("view", "api.low"): {"id"},
        ("view", "api.high"): {"id"},
        ("function body", "api.f() (text)"): {"id"},
    }
    assert not catalog.functions


def test_what_belongs_to_the_table_itself_is_no_dependent(after: After) -> None:
    catalog = after("""
        CREATE TABLE t (id serial PRIMARY KEY, parent int REFERENCES t, a int CHECK (a > 0), UNIQUE (a));
        CREATE INDEX ON t ((a + 1)) WHERE a > 5;
        CREATE POLICY p ON t USING (true);
        ALTER TABLE t ENABLE ROW LEVEL SECURITY;
    """)
    assert dependents(catalog) == {}
    (policy,) = catalog.tables[Name("public", "t")].policies
    assert (policy.command, policy.roles, policy.using, policy.reads) == (
        "all",
        ("public",),
        "true",
        frozenset(),
    )


@pytest.mark.parametrize(
    ("text", "mentions"),
    [
        ("SELECT 1 FROM orders", True),
        ("SELECT 1 FROM Orders", True),
        ("SELECT 1 FROM shop.orders", True),
        ('SELECT 1 FROM "orders"', True),
        ("SELECT 1 FROM orders_archive", False),
        ("SELECT 1 FROM old_orders", False),
        ("SELECT 1 /* orders */", True),
    ],
)
def test_a_function_mentions_a_table_only_as_a_word(after: After, text: str, mentions: bool) -> None:
    catalog = after(f"""
        CREATE TABLE orders (id int);
        CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$ BEGIN {text}; END $$;
    """)
    assert (("function body", "public.f() (text)") in dependents(catalog, "orders")) is mentions


def test_a_table_whose_name_needs_quotes_is_found_in_quotes(after: After) -> None:
    catalog = after("""
        CREATE TABLE "Order items" (id int);
        CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$ BEGIN PERFORM 1 FROM "Order items"; END $$;
    """)
    assert dependents(catalog, "Order items") == {("function body", "public.f() (text)"): set()}


def test_of_tables_with_one_name_a_function_means_that_of_its_schema_or_of_the_schema_it_names(
    after: After,
) -> None:
    catalog = after("""
        CREATE SCHEMA a; CREATE SCHEMA b; CREATE SCHEMA c;
        CREATE TABLE a.t (id int); CREATE TABLE b.t (id int);
        CREATE FUNCTION a.own() RETURNS int LANGUAGE plpgsql AS 'BEGIN PERFORM 1 FROM t; END';
        CREATE FUNCTION a.named() RETURNS int LANGUAGE plpgsql AS 'BEGIN PERFORM 1 FROM b.t; END';
        CREATE FUNCTION c.either() RETURNS int LANGUAGE plpgsql AS 'BEGIN PERFORM 1 FROM t; END';
    """)
    assert {name for _, name in dependents(catalog, "t", "b")} == {"a.named() (text)", "c.either() (text)"}
    assert "a.own() (text)" in {name for _, name in dependents(catalog, "t", "a")}


def test_what_uses_a_type_or_a_sequence_is_known(after: After) -> None:
    catalog = after(
        """
        CREATE TYPE mood AS ENUM ('sad');
        CREATE SEQUENCE numbers;
        CREATE TABLE "T" (id int DEFAULT nextval('numbers'), "Mood" mood, moods mood[]);
        CREATE VIEW feeling AS SELECT 'sad'::mood AS felt;
        CREATE FUNCTION feel(mood) RETURNS int LANGUAGE sql AS 'SELECT 1';
        CREATE TABLE plain (mood text)"""
    )

    types = {str(use): use.path for use in catalog.enums[Name("public", "mood")].uses}
    assert types['table column public."T"."Mood"'] == ("public", "T", "Mood")
    assert {'table column public."T".moods', "function public.feel(public.mood)"} < types.keys()
    assert any("feeling" in use for use in types)
    assert not any("plain" in use for use in types)
    (default,) = catalog.sequences[Name("public", "numbers")].uses
    assert (default.kind, default.path) == ("default value", ("public", "T", "id"))
