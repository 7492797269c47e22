"""Partitioned tables: what is theirs, and what is summed from their leaves."""

from __future__ import annotations

import pytest

from crossfade.catalog import Name
from crossfade.catalog.snapshot import read_catalog

from .conftest import After, Connection

PARTITIONED = """
    CREATE TABLE t (id int, at date) PARTITION BY RANGE (at);
    CREATE TABLE t_2020 PARTITION OF t FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
    CREATE TABLE t_2021 PARTITION OF t FOR VALUES FROM ('2021-01-01') TO ('2022-01-01')
        PARTITION BY LIST (id);
    CREATE TABLE t_2021_1 PARTITION OF t_2021 FOR VALUES IN (1);
    INSERT INTO t SELECT 1, '2020-06-01'::date + n FROM generate_series(1, 400) AS n;
"""


def test_leaves_are_the_tables_that_hold_rows(after: After) -> None:
    catalog = after(PARTITIONED)
    assert [leaf.name.name for leaf in catalog.leaves(Name("public", "t"))] == ["t_2020", "t_2021_1"]
    assert [leaf.name.name for leaf in catalog.leaves(Name("public", "t_2020"))] == ["t_2020"]


def test_sizes_and_rows_of_a_partitioned_table_are_those_of_its_leaves(after: After, connection: Connection) -> None:
    after(PARTITIONED)
    connection.execute("ANALYZE")
    catalog = read_catalog(connection)
    table, leaves = catalog.tables[Name("public", "t")], tuple(catalog.leaves(Name("public", "t")))
    assert table.rows == 400
    assert table.size == sum(leaf.size for leaf in leaves) > 0
    assert table.blocks == sum(leaf.blocks for leaf in leaves) > 0


def test_rows_are_unknown_until_a_leaf_was_analysed(after: After, connection: Connection) -> None:
    assert after(PARTITIONED).tables[Name("public", "t")].rows == -1
    connection.execute("ANALYZE t_2020")
    catalog = read_catalog(connection)
    assert catalog.tables[Name("public", "t")].rows == catalog.tables[Name("public", "t_2020")].rows > 0


def test_a_partition_knows_its_bound_and_parent(after: After) -> None:
    catalog = after(PARTITIONED)
    assert catalog.tables[Name("public", "t")].partition_key == "RANGE (at)"
    partition = catalog.tables[Name("public", "t_2021")]
    assert partition.partition_of == Name("public", "t")
    assert partition.partition_bound == "FOR VALUES FROM ('2021-01-01') TO ('2022-01-01')"
    assert partition.partition_key == "LIST (id)"


def test_partitions_in_other_schemas_are_followed(after: After, connection: Connection) -> None:
    after("""
        CREATE SCHEMA elsewhere;
        CREATE TABLE t (id int) PARTITION BY LIST (id);
        CREATE TABLE elsewhere.t1 PARTITION OF t FOR VALUES IN (1);
    """)
    catalog = read_catalog(connection, schemas=["public"])
    assert [str(leaf.name) for leaf in catalog.leaves(Name("public", "t"))] == ["elsewhere.t1"]


def test_plain_inheritance_is_no_partitioning(after: After) -> None:
    catalog = after("CREATE TABLE a (); CREATE TABLE b (); CREATE TABLE t () INHERITS (b, a)")
    table = catalog.tables[Name("public", "t")]
    assert table.inherits == (Name("public", "b"), Name("public", "a"))
    assert table.partition_of is None


def test_triggers_of_partitions_are_those_of_the_table(after: After) -> None:
    catalog = after(
        PARTITIONED
        + """
        CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
        CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f();
        """
    )
    inherited = {
        table.name.name: [trigger.inherited for trigger in table.triggers] for table in catalog.tables.values()
    }
    assert inherited == {"t": [False], "t_2020": [True], "t_2021": [True], "t_2021_1": [True]}


def test_leaves_of_a_table_not_in_the_catalog_are_an_error(after: After) -> None:
    with pytest.raises(KeyError):
        list(after("SELECT 1").leaves(Name("public", "t")))
