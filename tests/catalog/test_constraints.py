"""What the catalog knows about constraints and foreign keys."""

from __future__ import annotations

import pytest

from crossfade.catalog import Catalog, Constraint, Name
from crossfade.catalog.snapshot import read_catalog

from .conftest import After, Connection


def constraint(catalog: Catalog, name: str, table: str = "t") -> Constraint:
    return next(c for c in catalog.tables[Name("public", table)].constraints if c.name == name)


def test_each_kind_of_constraint_has_its_columns_and_index(after: After) -> None:
    catalog = after("""
        CREATE TABLE p (id int PRIMARY KEY);
        CREATE TABLE t (
            a int, b int, r int4range,
            CONSTRAINT pk PRIMARY KEY (b, a), CONSTRAINT uq UNIQUE (a), CONSTRAINT ck CHECK (a > b),
            CONSTRAINT fk FOREIGN KEY (a) REFERENCES p, CONSTRAINT ex EXCLUDE USING gist (r WITH &&)
        );
    """)
    found = {c.name: (c.kind, c.columns, c.index) for c in catalog.tables[Name("public", "t")].constraints}
    expected = {
        "pk": ("primary_key", ("b", "a"), "pk"),
        "uq": ("unique", ("a",), "uq"),
        "ck": ("check", ("a", "b"), None),
        "fk": ("foreign_key", ("a",), None),
        "ex": ("exclude", ("r",), "ex"),
    }
    assert found.items() >= expected.items()


def test_a_check_of_the_whole_row_reads_every_column(after: After) -> None:
    catalog = after("CREATE TABLE t (a int, b int); ALTER TABLE t ADD CONSTRAINT ck CHECK (t IS DISTINCT FROM NULL)")
    assert constraint(catalog, "ck").columns == ("a", "b")


def test_not_valid_and_deferrable_constraints_say_so(after: After) -> None:
    catalog = after("""
        CREATE TABLE t (a int, CONSTRAINT uq UNIQUE (a) DEFERRABLE);
        ALTER TABLE t ADD CONSTRAINT ck CHECK (a > 0) NOT VALID;
    """)
    assert constraint(catalog, "uq").deferrable
    assert not constraint(catalog, "ck").validated


@pytest.mark.since(18)
def test_named_not_null_constraints_are_constraints(after: After) -> None:
    catalog = after("CREATE TABLE t (a int CONSTRAINT must NOT NULL)")
    assert constraint(catalog, "must").kind == "not_null"
    assert constraint(catalog, "must").columns == ("a",)


@pytest.mark.since(15)
def test_nulls_not_distinct_is_in_the_definition(after: After) -> None:
    catalog = after("CREATE TABLE t (a int, CONSTRAINT uq UNIQUE NULLS NOT DISTINCT (a))")
    assert constraint(catalog, "uq").definition == "UNIQUE NULLS NOT DISTINCT (a)"


def test_a_foreign_key_is_found_from_both_sides(after: After) -> None:
    catalog = after("""
        CREATE TABLE p (a int, b int, PRIMARY KEY (a, b));
        CREATE TABLE t (x int, y int, CONSTRAINT fk FOREIGN KEY (y, x) REFERENCES p (b, a));
    """)
    p, t = Name("public", "p"), Name("public", "t")
    (key,) = catalog.references_to(p)
    assert catalog.references_from(t) == (key,)
    assert (key.columns, key.referenced_columns) == (("y", "x"), ("b", "a"))
    assert constraint(catalog, "fk").references == p
    assert constraint(catalog, "fk").referenced_columns == ("b", "a")


def test_foreign_keys_across_schemas_are_named_when_one_schema_is_read(after: After, connection: Connection) -> None:
    after("""
        CREATE SCHEMA here; CREATE SCHEMA there;
        CREATE TABLE there.parent (code int PRIMARY KEY);
        CREATE TABLE here.t (id int PRIMARY KEY, parent_code int REFERENCES there.parent);
        CREATE TABLE there.child (t_id int REFERENCES here.t);
    """)
    catalog = read_catalog(connection, schemas=["here"])
    assert set(catalog.tables) == {Name("here", "t")}
    (leaving,) = catalog.references_from(Name("here", "t"))
    assert (leaving.columns, leaving.referenced_columns) == (("parent_code",), ("code",))
    (coming,) = catalog.references_to(Name("here", "t"))
    assert (coming.columns, coming.referenced_columns) == (("t_id",), ("id",))


def test_constraints_of_partitions_are_marked_as_inherited(after: After) -> None:
    catalog = after("""
        CREATE TABLE p (id int PRIMARY KEY);
        CREATE TABLE t (id int PRIMARY KEY REFERENCES p, CONSTRAINT ck CHECK (id > 0)) PARTITION BY LIST (id);
        CREATE TABLE t1 PARTITION OF t FOR VALUES IN (1);
        ALTER TABLE t1 ADD CONSTRAINT own CHECK (id < 10);
    """)
    inherited = {c.kind: c.inherited for c in catalog.tables[Name("public", "t1")].constraints if c.name != "own"}
    assert inherited.items() >= {"primary_key": True, "foreign_key": True, "check": True}.items()
    assert not constraint(catalog, "own", "t1").inherited


def test_a_foreign_key_between_partitioned_tables_is_listed_once(after: After) -> None:
    catalog = after("""
        CREATE TABLE p (id int PRIMARY KEY) PARTITION BY LIST (id);
        CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
        CREATE TABLE p2 PARTITION OF p FOR VALUES IN (2);
        CREATE TABLE t (id int, CONSTRAINT fk FOREIGN KEY (id) REFERENCES p) PARTITION BY LIST (id);
        CREATE TABLE t1 PARTITION OF t FOR VALUES IN (1) PARTITION BY LIST (id);
        CREATE TABLE t1a PARTITION OF t1 FOR VALUES IN (1);
    """)
    assert [(key.name, str(key.child), str(key.parent)) for key in catalog.foreign_keys] == [
        ("fk", "public.t", "public.p")
    ]
    for table in ("t", "t1", "t1a"):
        keys = [c for c in catalog.tables[Name("public", table)].constraints if c.kind == "foreign_key"]
        assert [(key.references, key.inherited) for key in keys] == [(Name("public", "p"), table != "t")]
