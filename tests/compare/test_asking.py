"""What cannot be compared is refused with what to do; rows that are still on their way may settle."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from tests.compare.asking import Compared

from crossfade.compare import CompareFailed, Incomparable

SETTLE = timedelta(seconds=50)


@pytest.fixture
def filled(two: Compared) -> Compared:
    two.both("CREATE TABLE t (id int PRIMARY KEY, name text)")
    two.both("INSERT INTO t SELECT n, 'name' FROM generate_series(1, 10) AS n")
    return two


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"b": "b.tt"}, "there is no table or view tt in database `b`"),
        ({"b": "b.other.t"}, "there is no table or view other.t in database `b`"),
        ({"a": "a.wide"}, "b.t has no column more"),
        ({"b": "b.wide"}, "a.t has no column more"),
        ({"a": "a.keyless", "b": "b.keyless"}, "nothing tells the rows of a.keyless and b.keyless apart"),
        ({"key": ("nome",)}, "key: no column nome is compared"),
        ({"columns": ("id", "nome")}, "columns: no column nome is compared"),
        ({"skip": ("nome",)}, "skip: no column nome is compared"),
        ({"skip": ("id", "name")}, "no column is left to compare"),
        ({"map_b": {"name": "nome"}}, 'b.t: column "nome" does not exist'),
        ({"where_a": "name"}, "a.t: argument of AND must be type boolean, not type text"),
        ({"b": "b.v", "key": ("id",), "blocks": 1}, "b.v cannot be read in pieces"),
    ],
)
def test_what_cannot_be_compared_is_refused(filled: Compared, asked: dict[str, Any], words: str) -> None:
    filled.both("CREATE TABLE wide (id int PRIMARY KEY, name text, more int)")
    filled.both("CREATE TABLE keyless (name text)")
    filled.both("CREATE VIEW v AS TABLE t")

    with pytest.raises(Incomparable) as raised:
        filled.compare(**asked)

    assert (raised.value.what, raised.value.exit_code) == (words, 2)
    assert raised.value.fix


def test_of_a_value_that_an_expression_cannot_read_the_kind_of_error_is_told(filled: Compared) -> None:
    with pytest.raises(CompareFailed) as raised:
        filled.compare(map_b={"name": "name::int"})

    assert raised.value.what == (
        "b.t: invalid text representation (its text may hold values of rows and is left out; the server's log has it)"
    )


def test_columns_that_a_migration_has_put_there_are_left_out(filled: Compared) -> None:
    filled.sql("ALTER TABLE t ADD _cf_m_name text", "b")

    assert filled.compare().equal


def test_a_policy_that_hides_rows_is_an_error_and_no_difference(filled: Compared) -> None:
    role = f"hidden_{threading.get_native_id()}_{id(filled)}"
    filled.sql(f"CREATE ROLE {role}", "b")
    try:
        filled.sql("ALTER TABLE t ENABLE ROW LEVEL SECURITY", "b")
        filled.sql(f"GRANT SELECT ON t TO {role}", "b")
        path = filled.scene.root / "databases.yaml"
        path.write_text(path.read_text().replace("env:B_URL", f"env:B_URL, role: {role}"))

        with pytest.raises(CompareFailed, match="row-level security policy"):
            filled.compare()
    finally:
        filled.sql(f"DROP OWNED BY {role}", "b")
        filled.sql(f"DROP ROLE {role}", "b")


def test_a_statement_that_takes_too_long_says_what_to_do(filled: Compared) -> None:
    with pytest.raises(CompareFailed, match="--blocks") as raised:
        filled.compare(where_b="pg_sleep(1) IS NOT NULL", statement_timeout=timedelta(milliseconds=20))

    assert "b.t" in raised.value.what


def test_a_failure_of_one_side_ends_the_statement_of_the_other(filled: Compared) -> None:
    filled.both("CREATE VIEW v AS SELECT id, name FROM t WHERE pg_sleep(3600) IS NOT NULL")

    with pytest.raises(CompareFailed, match="division by zero"):
        filled.compare(a="a.v", key=("id",), map_b={"name": "(1 / (id - 1))::text"})


def test_a_row_that_comes_later_settles(filled: Compared) -> None:
    filled.sql("UPDATE t SET name = 'new' WHERE id IN (3, 4)", "a")
    filled.sql("INSERT INTO t VALUES (11, 'name')", "a")
    rested: list[float] = []

    def rest(seconds: float) -> None:
        rested.append(seconds)
        if len(rested) == 2:
            filled.sql("UPDATE t SET name = 'new' WHERE id = 3", "b")
            filled.sql("INSERT INTO t VALUES (11, 'name')", "b")

    comparison = filled.compare(settle=SETTLE, rest=rest)

    assert ([each.key for each in comparison.differences], comparison.settled) == ([("4",)], 2)
    assert sum(rested) == SETTLE.total_seconds()
    assert comparison.verdict == "1 row not the same: 1 differ; 2 rows differed at first and agreed later"


def test_nothing_is_waited_for_when_all_has_settled(filled: Compared) -> None:
    filled.sql("UPDATE t SET name = 'new' WHERE id = 3", "a")

    comparison = filled.compare(
        settle=SETTLE, rest=lambda _seconds: filled.both("UPDATE t SET name = 'new' WHERE id = 3") or None
    )

    assert (comparison.equal, comparison.settled) == (True, 1)
    assert comparison.verdict == "10 rows, the same on both sides, 1 row after a while"


def test_what_is_written_between_two_pieces_is_not_seen(filled: Compared) -> None:
    filled.both("INSERT INTO t SELECT n, repeat('x', 200) FROM generate_series(11, 200) AS n")

    comparison = filled.compare(blocks=1, rest=lambda _seconds: filled.both("DELETE FROM t") and None)

    assert (comparison.equal, comparison.rows) == (True, (200, 200))


def test_two_tables_kept_in_step_are_equal_while_they_are_written(filled: Compared) -> None:
    filled.sql("CREATE TABLE new AS TABLE t")
    filled.sql("ALTER TABLE new ADD PRIMARY KEY (id)")
    ended = threading.Event()

    def write() -> None:
        with filled.scene.connect("a") as writer:
            while not ended.is_set():
                with writer.transaction():
                    writer.execute("UPDATE t SET name = clock_timestamp()::text")
                    writer.execute("UPDATE new SET name = t.name FROM t WHERE t.id = new.id")

    thread = threading.Thread(target=write)
    thread.start()
    try:
        found = [filled.compare(b="a.new").equal for _ in range(5)]
    finally:
        ended.set()
        thread.join()

    assert found == [True] * 5
