"""Which rows count as the same, and that every other one is found with its key."""

from __future__ import annotations

import random
from typing import Any

import pytest
from tests.compare.asking import Compared

TABLE = "CREATE TABLE t (id {type} PRIMARY KEY, name text, n int)"
ROWS = "INSERT INTO t SELECT n::{type}, 'name ' || n, n % 7 FROM generate_series(1, {rows}) AS n"


def filled(two: Compared, *, rows: int = 100, a: str = "int", b: str = "int") -> None:
    for database, type_ in (("a", a), ("b", b)):
        two.sql(TABLE.format(type=type_), database)
        two.sql(ROWS.format(type=type_, rows=rows), database)


def test_the_same_rows_are_equal(two: Compared) -> None:
    filled(two)

    comparison = two.compare()

    assert (comparison.equal, comparison.rows, comparison.columns, comparison.key) == (
        True,
        (100, 100),
        ("id", "name", "n"),
        ("id",),
    )
    assert comparison.verdict == "100 rows, the same on both sides"


@pytest.mark.parametrize("type_", ["int", "text"])
def test_each_difference_is_found_with_its_kind(two: Compared, type_: str) -> None:
    filled(two, a=type_, b=type_)
    two.sql("UPDATE t SET name = 'other' WHERE id = '7'", "b")
    two.sql("DELETE FROM t WHERE id = '8'", "a")
    two.sql("DELETE FROM t WHERE id = '9'", "b")
    two.sql("UPDATE t SET id = '200' WHERE id = '10'", "b")

    assert two.found() == {
        ("7",): "differs",
        ("8",): "missing_in_a",
        ("9",): "missing_in_b",
        ("10",): "missing_in_b",
        ("200",): "missing_in_a",
    }


def test_two_rows_that_swapped_their_values_differ(two: Compared) -> None:
    filled(two)
    two.sql("UPDATE t SET name = CASE id WHEN 7 THEN 'name 14' ELSE 'name 7' END WHERE id IN (7, 14)", "b")

    assert two.found() == {("7",): "differs", ("14",): "differs"}


@pytest.mark.parametrize("empty", ["a", "b"])
def test_an_empty_side_misses_every_row(two: Compared, empty: str) -> None:
    filled(two, rows=3)
    two.sql("TRUNCATE t", empty)

    assert two.found() == dict.fromkeys([("1",), ("2",), ("3",)], f"missing_in_{empty}")


def test_two_empty_tables_are_equal(two: Compared) -> None:
    filled(two, rows=0)

    assert two.compare().equal


def test_null_is_not_the_empty_text(two: Compared) -> None:
    two.both("CREATE TABLE t (id int PRIMARY KEY, name text, other text)")
    two.sql("INSERT INTO t VALUES (1, NULL, ''), (2, '', NULL), (3, NULL, NULL)", "a")
    two.sql("INSERT INTO t VALUES (1, '', NULL), (2, '', NULL), (3, NULL, NULL)", "b")

    assert two.found() == {("1",): "differs"}


def test_text_that_looks_like_two_values_is_one(two: Compared) -> None:
    two.both("CREATE TABLE t (id int PRIMARY KEY, name text, other text)")
    two.sql("INSERT INTO t VALUES (1, 'a,b', 'c')", "a")
    two.sql("INSERT INTO t VALUES (1, 'a', 'b,c')", "b")

    assert two.found() == {("1",): "differs"}


def test_the_order_of_columns_plays_no_part(two: Compared) -> None:
    filled(two)
    two.sql("DROP TABLE t", "b")
    two.sql("CREATE TABLE t (n int, name text, id int PRIMARY KEY)", "b")
    two.sql("INSERT INTO t SELECT n % 7, 'name ' || n, n FROM generate_series(1, 100) AS n", "b")

    assert two.compare().equal


@pytest.mark.parametrize(("a", "b"), [("int", "bigint"), ("int", "text"), ("smallint", "numeric")])
def test_types_may_differ_where_the_texts_agree(two: Compared, a: str, b: str) -> None:
    filled(two, a=a, b=b)
    assert two.compare().equal

    two.sql("UPDATE t SET n = -1 WHERE id::text = '42'", "b")
    assert two.found() == {("42",): "differs"}


def test_another_scale_is_another_text_until_a_mapping_says_otherwise(two: Compared) -> None:
    two.both("CREATE TABLE t (id int PRIMARY KEY, price numeric)")
    two.sql("INSERT INTO t VALUES (1, 1.0), (2, 2.5)", "a")
    two.sql("INSERT INTO t VALUES (1, 1.00), (2, 2.5)", "b")
    whole = {"price": "trim_scale(price)"}

    assert two.found() == {("1",): "differs"}
    assert two.compare(map_a=whole, map_b=whole).equal


def test_types_with_other_texts_are_told(two: Compared) -> None:
    two.sql("CREATE TABLE t (id int PRIMARY KEY, at timestamp)", "a")
    two.sql("CREATE TABLE t (id bigint PRIMARY KEY, at timestamptz)", "b")

    (note,) = two.compare().notes

    assert note.startswith("at is timestamp without time zone in a.t and timestamp with time zone in b.t; the texts of")


def test_settings_of_a_database_play_no_part(two: Compared) -> None:
    two.both("CREATE TABLE t (id int PRIMARY KEY, at timestamptz, f float8, raw bytea, span interval, cash money)")
    two.both(
        "INSERT INTO t VALUES (1, '2026-03-29 01:30+00', 0.1::float8 + 0.2, decode('0001', 'hex'), '1 day 2 h', 7)"
    )
    for setting, value in (
        ("timezone", "Asia/Tokyo"),
        ("datestyle", "SQL, DMY"),
        ("extra_float_digits", "-5"),
        ("bytea_output", "escape"),
        ("intervalstyle", "iso_8601"),
    ):
        name = two.sql("SELECT current_database()", "b")[0][0]
        two.sql(f"ALTER DATABASE {name} SET {setting} TO '{value}'", "b")

    assert two.compare().equal


def test_a_mapping_and_a_filter_stand_for_columns_and_rows(two: Compared) -> None:
    two.sql("CREATE TABLE t (id int PRIMARY KEY, email text, seen int)", "a")
    two.sql("INSERT INTO t SELECT n, 'User' || n, n FROM generate_series(1, 50) AS n", "a")
    two.sql("CREATE TABLE people (person bigint PRIMARY KEY, mail text, gone boolean)", "b")
    two.sql("INSERT INTO people SELECT n, 'user' || n, n > 40 FROM generate_series(1, 60) AS n", "b")
    asked: dict[str, Any] = {
        "b": "b.people",
        "map_a": {"email": "lower(email)"},
        "map_b": {"id": "person", "email": "people.mail"},
        "skip": ("seen", "gone"),
        "where_a": "id <= 40",
        "where_b": "NOT gone",
    }

    assert two.compare(**asked).equal
    two.sql("UPDATE people SET mail = 'x' WHERE person = 3", "b")
    assert two.found(**asked) == {("3",): "differs"}


@pytest.mark.parametrize("blocks", [None, 3])
def test_a_hundred_random_differences_are_all_found(two: Compared, blocks: int | None) -> None:
    rows = 60_000  # more than are fetched at once, so that they are narrowed down first
    filled(two, rows=rows, a="int", b="bigint")
    expected: dict[tuple[str | None, ...], str] = {}
    for key in random.Random(20261123).sample(range(1, rows + 1), 100):
        match key % 3:
            case 0:
                two.sql(f"UPDATE t SET n = n + 1 WHERE id = {key}", "b")
                expected[(str(key),)] = "differs"
            case 1:
                two.sql(f"DELETE FROM t WHERE id = {key}", "a")
                expected[(str(key),)] = "missing_in_a"
            case _:
                two.sql(f"DELETE FROM t WHERE id = {key}", "b")
                expected[(str(key),)] = "missing_in_b"

    assert two.found(blocks=blocks) == expected
    assert two.found(key=("id", "name"), blocks=blocks, columns=("id", "name", "n")) == {
        (*key, f"name {key[0]}"): kind for key, kind in expected.items()
    }


def test_no_more_keys_are_looked_for_than_asked(two: Compared) -> None:
    filled(two)
    two.sql("UPDATE t SET n = -1", "b")

    some, none = two.compare(most=10), two.compare(most=0)

    assert (len(some.differences), some.more, none.differences, none.more) == (10, True, (), True)
    assert some.verdict == "at least 10 rows not the same: 10 differ"
    assert none.verdict == "they differ; a.t has 100 rows, b.t 100"


@pytest.mark.parametrize(
    ("columns", "values"),
    [
        ("k uuid PRIMARY KEY", "md5(n::text)::uuid"),
        ("k text, l int, PRIMARY KEY (k, l)", "'x' || n / 2, n % 2"),
        ("k bigint UNIQUE NOT NULL", "n * 1000000000000000000"),
        ("k timestamptz PRIMARY KEY", "'2026-01-01 00:00+00'::timestamptz + n * interval '1 h'"),
    ],
)
def test_keys_of_any_type_tell_rows_apart(two: Compared, columns: str, values: str) -> None:
    two.both(f"CREATE TABLE t ({columns}, v int)")
    two.both(f"INSERT INTO t SELECT {values}, n FROM generate_series(1, 8) AS n")
    assert two.compare().equal

    two.both("SET timezone TO 'UTC'")
    two.sql("UPDATE t SET v = -1 WHERE v = 5", "b")
    names = ", ".join(f"{name}::text" for name in two.compare().key)

    assert two.found() == {two.sql(f"SELECT {names} FROM t WHERE v = -1", "b")[0]: "differs"}


def test_the_ends_of_bigint_are_keys_too(two: Compared) -> None:
    two.both("CREATE TABLE t (id bigint PRIMARY KEY, v int)")
    two.both("INSERT INTO t VALUES (-9223372036854775808, 1), (-1, 2), (0, 3), (9223372036854775807, 4)")
    assert two.compare().equal

    two.sql("UPDATE t SET v = 0", "b")
    assert {int(key or "") for (key,) in two.found()} == {-(2**63), -1, 0, 2**63 - 1}


def test_rows_that_share_a_key_are_compared_together(two: Compared) -> None:
    two.both("CREATE TABLE t (k text, v int)")
    two.both("INSERT INTO t VALUES ('x', 1), ('x', 2), (NULL, 3), ('y', 4)")
    two.sql("INSERT INTO t VALUES ('x', 2), (NULL, 5)", "b")

    assert two.found(key=("k",)) == {("x",): "differs", (None,): "differs"}


def test_partitions_views_and_plain_tables_are_compared_alike(two: Compared) -> None:
    filled(two)
    two.sql("CREATE TABLE p (id int PRIMARY KEY, name text, n int) PARTITION BY RANGE (id)", "b")
    two.sql("CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (50)", "b")
    two.sql("CREATE TABLE p2 PARTITION OF p DEFAULT", "b")
    two.sql("INSERT INTO p TABLE t", "b")
    two.sql("CREATE VIEW v AS TABLE p", "b")

    assert two.compare(b="b.p").equal
    assert two.compare(b="b.p", blocks=1).equal
    assert two.compare(b="b.v").equal
    two.sql("UPDATE p SET n = -1 WHERE id = 77", "b")
    assert two.found(b="b.p") == two.found(b="b.p", blocks=1) == two.found(b="b.v") == {("77",): "differs"}


def test_the_order_of_texts_may_differ_among_servers(two: Compared) -> None:
    filled(two, rows=0, a="text", b="text")
    two.sql('ALTER TABLE t ALTER id TYPE text COLLATE "C"', "a")
    two.sql("CREATE COLLATION turned (provider = icu, locale = 'en-u-kf-upper-kn-true', deterministic = false)", "b")
    two.sql("ALTER TABLE t ALTER id TYPE text COLLATE turned", "b")
    two.both(
        "INSERT INTO t SELECT (ARRAY['a', 'A', 'ä', 'b', 'B', 'z-', 'Z_'])[1 + n % 7] || n, 'x', n"
        " FROM generate_series(1, 500) AS n"
    )
    assert two.compare().equal

    two.sql("UPDATE t SET n = 0 WHERE n IN (4, 400)", "b")
    assert two.found() == {("B4",): "differs", ("A400",): "differs"}


def test_old_and_new_of_one_database_are_seen_at_one_moment(two: Compared) -> None:
    filled(two)
    two.sql("CREATE TABLE new AS TABLE t")

    assert two.compare(b="a.new").equal
