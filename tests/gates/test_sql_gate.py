from __future__ import annotations

import pytest
from pydantic import ValidationError
from tests.gates.asking import Desk

from crossfade.gates import GateError
from crossfade.gates.sql import SqlGate


def gate(query: str) -> SqlGate:
    return SqlGate.model_validate({"sql": query})


@pytest.mark.parametrize(
    ("query", "state", "reason"),
    [
        ("SELECT true", "holds", "it gives true"),
        ("SELECT false;", "waits", "it gives false"),
        ("SELECT NULL::boolean -- not yet known", "waits", "it gives NULL"),
        ("WITH n AS (SELECT 1 AS n) SELECT n = 1 FROM n", "holds", "it gives true"),
        ("VALUES (true)", "holds", "it gives true"),
        ("SELECT 7 % 2 = 1 AND '{}%s' LIKE '{%'", "holds", "it gives true"),
        ("SELECT 1", "never", "it gives (int4), not one boolean"),
        ("SELECT true, false", "never", "it gives (bool, bool), not one boolean"),
        ("SELECT true FROM generate_series(1, 3)", "never", "it gives several rows, not one"),
        ("SELECT true WHERE false", "never", "it gives no row, not one"),
    ],
)
def test_a_sql_gate_holds_when_its_one_value_is_true(desk: Desk, query: str, state: str, reason: str) -> None:
    answer = desk.ask(gate(query))

    assert (answer.state, answer.reason) == (state, reason)


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("SELECT true; SELECT true", "found 2 statements"),
        ("", "found 0 statements"),
        ("DELETE FROM users RETURNING true", "only a query that reads"),
        ("SELECT true INTO told", "only a query that reads"),
        ("SELECT true FROM users FOR UPDATE", "only a query that reads"),
        ("SELECT\n  tru e e", 'syntax error at or near "e" in line 2'),
    ],
)
def test_what_is_not_one_query_is_refused_when_it_is_read(query: str, reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        gate(query)


def test_a_query_that_writes_through_a_function_is_refused_by_the_session(desk: Desk) -> None:
    desk.sql("CREATE TABLE users (id int)")
    desk.sql("INSERT INTO users VALUES (1)")
    desk.sql("CREATE FUNCTION wipe() RETURNS boolean LANGUAGE sql AS 'DELETE FROM users RETURNING true'")

    with pytest.raises(GateError, match="cannot execute DELETE in a read-only transaction"):
        desk.ask(gate("SELECT wipe()"))

    assert desk.sql("SELECT count(*) FROM users") == [(1,)]


def test_an_error_of_the_database_is_no_answer(desk: Desk) -> None:
    with pytest.raises(GateError) as raised:
        desk.ask(gate("SELECT count(*) = 0 FROM nowhere"))

    assert 'relation "nowhere" does not exist (SQLSTATE 42P01)' in raised.value.what


def test_an_error_that_may_quote_a_row_is_told_by_its_name(desk: Desk) -> None:
    desk.sql("CREATE TABLE users (secret text)")
    desk.sql("INSERT INTO users VALUES ('hunter2')")

    with pytest.raises(GateError) as raised:
        desk.ask(gate("SELECT bool_and(secret::int > 0) FROM users"))

    assert "invalid text representation (its text may hold values of rows" in raised.value.what
    assert "hunter2" not in str(raised.value)


def test_the_label_is_the_title_or_the_query() -> None:
    titled = SqlGate.model_validate({"sql": "SELECT true", "title": "no open orders"})

    assert [titled.label, gate("SELECT\n  true").label] == ["sql no open orders", "sql SELECT true"]
