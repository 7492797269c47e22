"""What the catalog knows about indexes, and which columns tell the rows of a table apart."""

from __future__ import annotations

import psycopg
import pytest

from crossfade.catalog import Catalog, Index, Name
from crossfade.catalog.snapshot import read_catalog

from .conftest import After, Connection


def index(catalog: Catalog, name: str, table: str = "t") -> Index:
    return next(i for i in catalog.tables[Name("public", table)].indexes if i.name == name)


def test_an_index_reads_its_expressions_predicate_and_included_columns(after: After) -> None:
    catalog = after("""
        CREATE TABLE t (a int, b text, c int, d int, e int);
        CREATE INDEX i ON t (a, lower(b)) INCLUDE (c) WHERE d > 0;
    """)
    assert index(catalog, "i").columns == ("a", "")
    assert index(catalog, "i").reads == {"a", "b", "c", "d"}
    assert index(catalog, "i").predicate == "(d > 0)"


def test_an_index_belongs_to_its_constraint(after: After) -> None:
    catalog = after("CREATE TABLE t (a int, CONSTRAINT uq UNIQUE (a)); CREATE UNIQUE INDEX i ON t (a)")
    assert index(catalog, "uq").constraint == "uq"
    assert index(catalog, "i").constraint is None


def test_the_index_a_failed_concurrent_build_leaves_is_invalid(after: After, connection: Connection) -> None:
    after("CREATE TABLE t (a int); INSERT INTO t VALUES (1), (1)")
    with pytest.raises(psycopg.errors.UniqueViolation):
        connection.execute("CREATE UNIQUE INDEX CONCURRENTLY i ON t (a)")
    found = index(read_catalog(connection), "i")
    assert not found.valid
    assert not found.ready


def test_indexes_of_partitions_point_to_the_one_they_are_attached_to(after: After) -> None:
    catalog = after("""
        CREATE TABLE t (id int) PARTITION BY LIST (id);
        CREATE TABLE t1 PARTITION OF t FOR VALUES IN (1);
        CREATE TABLE t2 PARTITION OF t FOR VALUES IN (2);
        CREATE INDEX i ON t (id);
        CREATE INDEX own ON t1 (id);
    """)
    assert index(catalog, "t1_id_idx", "t1").partition_of == Name("public", "i")
    assert index(catalog, "own", "t1").partition_of is None
    assert index(catalog, "i").size == 2 * index(catalog, "t1_id_idx", "t1").size > 0


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ("a int PRIMARY KEY, b int NOT NULL UNIQUE", ("a",)),
        ("a int NOT NULL, b int NOT NULL, c int NOT NULL UNIQUE, UNIQUE (a, b)", ("c",)),
        ("a int UNIQUE", ()),
        ("a int NOT NULL UNIQUE DEFERRABLE", ()),
        ("a int NOT NULL, EXCLUDE USING btree (a WITH =)", ()),
        ("a int NOT NULL", ()),
    ],
)
def test_the_key_is_the_primary_key_or_a_unique_index_that_always_holds(
    after: After, table: str, key: tuple[str, ...]
) -> None:
    assert after(f"CREATE TABLE t ({table})").tables[Name("public", "t")].key == key


@pytest.mark.parametrize("on", ["(a) WHERE a > 0", "(abs(a))"])
def test_partial_and_expression_indexes_are_no_key(after: After, on: str) -> None:
    catalog = after(f"CREATE TABLE t (a int NOT NULL); CREATE UNIQUE INDEX ON t {on}")
    assert catalog.tables[Name("public", "t")].key == ()
