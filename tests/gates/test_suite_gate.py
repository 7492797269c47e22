"""Suites run by Great Expectations on PostgreSQL. The first test here pays seconds for importing it."""

from __future__ import annotations

import json
import logging
import time
import traceback
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import pytest
from psycopg import conninfo
from tests.gates.asking import Desk

from crossfade.gates import GateError
from crossfade.gates.suite import SuiteGate

SECRET = "hunter2@secret.example"

USERS = f"""
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE DOMAIN address AS text;
CREATE TABLE teams (id int PRIMARY KEY);
INSERT INTO teams SELECT generate_series(1, 5);
CREATE TABLE users (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  n int, email text, lower_email address, mood mood, profile jsonb, team int
);
INSERT INTO users (n, email, lower_email, mood, profile, team)
SELECT n, 'User' || n || '@example.org', 'user' || n || '@example.org', 'ok', '{{"a": 1}}', 1 + n % 5
  FROM generate_series(1, 98) AS n;
INSERT INTO users (n, email, lower_email, mood, profile, team)
VALUES (99, '{SECRET}', 'else', 'sad', '{{}}', 77), (100, NULL, NULL, 'ok', '{{}}', NULL);
"""


@pytest.fixture
def users(desk: Desk) -> Desk:
    """A hundred users: one without e-mail, one whose lower-case e-mail is wrong and whose team is not there."""
    desk.sql(USERS)
    return desk


def expecting(*expectations: str, subject: str = "table: users", **options: str) -> str:
    """A suite's text."""
    lines = [subject, *(f"{key}: {value}" for key, value in options.items()), "expectations:"]
    return "\n".join([*lines, *(f"  - {each}" for each in expectations)]) + "\n"


def test_a_suite_holds_when_all_its_expectations_do(users: Desk) -> None:
    answer = users.ask_suite(
        expecting(
            "expect_column_values_to_not_be_null: {column: n}",
            "expect_column_values_to_be_unique: {column: id}",
            "expect_column_values_to_match_regex: {column: email, regex: '^[^@:%]+@[a-z.]{1,20}$'}",
        )
    )

    assert (answer.state, answer.reason) == ("holds", "all 3 expectations hold on 100 rows")


def test_a_failing_suite_waits_and_says_what_fails_in_counts(users: Desk) -> None:
    answer = users.ask_suite(
        expecting(
            "expect_column_values_to_not_be_null: {column: email}",
            "expect_columns_to_agree: {column: lower_email, to: lower(email)}",
            "expect_foreign_key_to_hold: {column: team, parent_table: teams, parent_column: id}",
            "expect_table_row_count_to_be_between: {min_value: 1000}",
            "expect_column_to_exist: {column: nickname}",
        )
    )

    assert answer.state == "waits"
    assert answer.reason == (
        "5 of 5 expectations fail:"
        " 1 of 100 rows fail expect_column_values_to_not_be_null of email;"
        " 1 of 100 rows have another lower_email than lower(email);"
        " 1 of 100 rows have a team that teams.id does not have; and 2 more"
    )
    assert answer.evidence["suite"] == "users_baseline"
    assert answer.evidence["rows"] == 100
    assert answer.evidence["expectations"][2:4] == [
        {
            "expectation": "expect_foreign_key_to_hold",
            "columns": ["team"],
            "severity": "critical",
            "success": False,
            "element_count": 100,
            "unexpected_count": 1,
        },
        {
            "expectation": "expect_table_row_count_to_be_between",
            "columns": [],
            "severity": "critical",
            "success": False,
            "observed_value": 100,
        },
    ]


@pytest.mark.parametrize(
    ("expectation", "told"),
    [
        ("table_row_count_to_be_between: {min_value: 1000}", "wants at least 1,000, found 100"),
        ("table_row_count_to_be_between: {min_value: 5, max_value: 9}", "wants at least 5 and at most 9, found 100"),
        ("table_row_count_to_be_between: {min_value: 100, strict_min: true}", "wants more than 100, found 100"),
        ("table_row_count_to_equal: {value: 7}", "wants 7, found 100"),
        ("column_values_to_be_in_type_list: {column: n, type_list: [text, date]}", "wants text or date, found integer"),
        ("column_max_to_be_between: {column: n, max_value: 1}", "wants at most 1"),
        ("column_to_exist: {column: nickname}", "of nickname fails"),
    ],
)
def test_a_failure_says_what_is_wanted_and_what_is_there_unless_that_is_a_rows_value(
    users: Desk, expectation: str, told: str
) -> None:
    answer = users.ask_suite(expecting(f"expect_{expectation}"))

    assert answer.reason.endswith(f" {told}")


def test_mostly_is_the_share_of_rows_that_must_be_as_expected(users: Desk) -> None:
    lenient = users.ask_suite(
        expecting(
            "expect_column_values_to_not_be_null: {column: email, mostly: 0.99}",
            "expect_columns_to_agree: {column: lower_email, to: lower(email), mostly: 0.99}",
        )
    )
    strict = users.ask_suite(expecting("expect_columns_to_agree: {column: email, to: lower_email, mostly: 0.5}"))

    assert lenient.state == "holds"
    assert strict.reason.endswith("99 of 100 rows have another email than lower_email (mostly: 0.5)")


def test_a_failing_warning_is_told_and_the_gate_holds(users: Desk) -> None:
    answer = users.ask_suite(
        expecting(
            "expect_column_values_to_not_be_null: {column: n}",
            "expect_column_values_to_not_be_null: {column: email, severity: warning}",
        )
    )

    assert answer.state == "holds"
    assert answer.reason == (
        "1 of 2 expectations hold on 100 rows; warning: 1 of 100 rows fail expect_column_values_to_not_be_null of email"
    )


def test_a_suite_that_looked_at_nothing_holds_only_where_that_is_allowed(users: Desk) -> None:
    nobody = "query: SELECT * FROM users WHERE n > 100 -- nobody"
    expectations = (
        "expect_column_values_to_not_be_null: {column: email}",
        "expect_columns_to_agree: {column: email, to: n::text}",
    )

    refused = users.ask_suite(expecting(*expectations, subject=nobody))
    allowed = users.ask_suite(expecting(*expectations, subject=nobody, allow_empty="true"))

    assert refused.state == "waits"
    assert refused.reason == "looked at 0 rows; where that is right, say `allow_empty: true`"
    assert allowed.state == "holds"


def test_of_a_table_with_more_rows_a_sample_is_looked_at_and_the_answer_says_so(desk: Desk) -> None:
    desk.sql("CREATE TABLE events (n int); INSERT INTO events SELECT generate_series(1, 50000); ANALYZE events")
    expectation = "expect_columns_to_agree: {column: n, to: n}"

    some = desk.ask_suite(expecting(expectation, subject="table: events", sample="10000"))
    failing = desk.ask_suite(
        expecting(expectation.replace("to: n", "to: '0'"), subject="table: events", sample="10000")
    )
    every = desk.ask_suite(expecting(expectation, subject="table: events", sample="50000"))

    assert some.evidence["sample_of_rows"] == 50000
    assert 2000 < some.evidence["rows"] < 25000
    assert some.reason == (f"all 1 expectations hold on {some.evidence['rows']:,} rows, a sample of about 50,000")
    assert failing.reason.endswith(f"; looked at {failing.evidence['rows']:,} rows, a sample of about 50,000")
    assert every.reason == "all 1 expectations hold on 50,000 rows"


def test_a_sample_of_a_partitioned_table_is_of_all_its_partitions(desk: Desk) -> None:
    desk.sql("CREATE TABLE events (n int) PARTITION BY RANGE (n)")
    for part in range(3):
        begin, end = part * 9000, part * 9000 + 9000
        desk.sql(f"CREATE TABLE events_{part} PARTITION OF events FOR VALUES FROM ({begin}) TO ({end})")
    desk.sql("INSERT INTO events SELECT generate_series(0, 26999); ANALYZE events")

    answer = desk.ask_suite(
        expecting("expect_columns_to_agree: {column: n, to: n}", subject="table: events", sample="5000")
    )

    assert answer.reason.endswith("rows, a sample of about 27,000")


def test_every_query_of_a_suite_looks_at_the_same_sample(desk: Desk) -> None:
    desk.sql("CREATE TABLE events AS SELECT n::text FROM generate_series(1, 50000) AS n; ANALYZE events")

    answer = desk.ask_suite(
        expecting(
            "expect_columns_to_agree: {column: n, to: n}",
            "expect_column_values_to_match_regex: {column: n, regex: .}",
            "expect_column_values_to_not_be_null: {column: n}",
            subject="table: events",
            sample="10000",
        )
    )

    assert {each["element_count"] for each in answer.evidence["expectations"]} == {answer.evidence["rows"]}


def test_rows_that_a_query_should_not_find_are_counted(users: Desk) -> None:
    answer = users.ask_suite(
        expecting(
            'unexpected_rows_expectation: {unexpected_rows_query: "SELECT 1 FROM {batch} WHERE n % 50 = 0"}',
            'unexpected_rows_expectation: {unexpected_rows_query: "SELECT a.n FROM {batch} a JOIN {batch} b'
            " USING (n) WHERE a.email ~ '^U.{{30,}}' OR ':n' LIKE '%:m'\"}",
        )
    )

    assert answer.reason == ("1 of 2 expectations fails: 2 rows are found by SELECT 1 FROM {batch} WHERE n % 50 = 0")


def test_enum_uuid_and_jsonb_columns_and_types_of_the_catalog_are_asked(users: Desk) -> None:
    answer = users.ask_suite(
        expecting(
            "expect_column_values_to_be_in_set: {column: mood, value_set: [ok, sad]}",
            "expect_column_values_to_not_be_in_set: {column: id, value_set: [6f9619ff-8b86-d011-b42d-00c04fc964ff]}",
            "expect_column_values_to_not_be_null: {column: profile}",
            "expect_column_values_to_be_of_type: {column: profile, type_: jsonb}",
            "expect_column_type_to_be: {column: n, type_: INT}",
            "expect_column_type_to_be: {column: mood, type_: mood}",
            "expect_column_values_to_be_in_type_list: {column: n, type_list: [bigint, int4]}",
            "expect_column_type_to_be: {column: lower_email, type_: address}",
            "expect_column_type_to_be: {column: lower_email, type_: text, severity: warning}",
        )
    )

    assert answer.reason == (
        "8 of 9 expectations hold on 100 rows;"
        " warning: expect_column_type_to_be of lower_email wants text, found address"
    )


def test_a_bound_of_another_type_than_the_values_is_told_where_it_stands_and_without_them(users: Desk) -> None:
    with pytest.raises(GateError) as raised:
        users.ask_suite(
            expecting(
                "expect_column_values_to_be_unique: {column: id}",
                "expect_column_max_to_be_between: {column: lower_email, max_value: 5}",
            )
        )

    (problem,) = raised.value.problems
    assert str(problem.where).endswith("users_baseline.yaml:5:5")
    assert problem.what == (
        "suite users_baseline: expect_column_max_to_be_between cannot be asked:"
        " Great Expectations gave up with TypeError"
    )
    assert problem.fix == "correct it, or cast the column in the suite's `query`"


def test_names_with_capitals_are_found_and_queries_keep_their_signs(users: Desk) -> None:
    users.sql('CREATE SCHEMA "Sales"; CREATE TABLE "Sales"."Order" ("Id" int, note text)')
    users.sql("""INSERT INTO "Sales"."Order" VALUES (7, '50% :now')""")

    table = users.ask_suite(
        expecting(
            "expect_column_values_to_be_between: {column: Id, min_value: 1}",
            "expect_foreign_key_to_hold: {column: Id, parent_table: Sales.Order, parent_column: Id}",
            subject="table: Sales.Order",
        )
    )
    query = users.ask_suite(
        expecting(
            "expect_column_values_to_be_in_set: {column: note, value_set: ['50% :now']}",
            "expect_columns_to_agree: {column: note, to: \"'50% :now'\"}",
            subject="""query: SELECT note FROM "Sales"."Order" WHERE note ~ '% :n' AND "Id" % 7 = 0 AND '{}' <> ''""",
        )
    )

    assert (table.state, query.state) == ("holds", "holds")


def test_a_suite_runs_as_the_role_of_its_database(users: Desk) -> None:
    users.database = replace(users.database, role="pg_read_all_data")

    answer = users.ask_suite(
        expecting(
            "expect_column_values_to_be_in_set: {column: who, value_set: [pg_read_all_data]}",
            "expect_column_values_to_be_in_set: {column: zone, value_set: [UTC]}",
            subject="query: SELECT current_user AS who, current_setting('timezone') AS zone FROM users",
        )
    )

    assert answer.state == "holds"


def test_expectations_of_our_own_are_one_scan(users: Desk) -> None:
    from sqlalchemy import Engine, event

    statements: list[str] = []

    def note(connection: object, cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        users.ask_suite(
            expecting(
                "expect_columns_to_agree: {column: lower_email, to: lower(email)}",
                "expect_columns_to_agree: {column: n, to: n}",
                "expect_foreign_key_to_hold: {column: team, parent_table: teams, parent_column: id}",
            )
        )
    finally:
        event.remove(Engine, "before_cursor_execute", note)

    assert len([statement for statement in statements if '"users"' in statement]) == 1


def test_what_is_not_there_is_told_with_the_nearest(users: Desk) -> None:
    with pytest.raises(GateError) as no_column:
        users.ask_suite(expecting("expect_column_values_to_not_be_null: {column: emial}"))
    with pytest.raises(GateError) as no_table:
        users.ask_suite(expecting("expect_column_to_exist: {column: n}", subject="table: user"))
    with pytest.raises(GateError) as no_file:
        users.ask(SuiteGate(suite="nowhere"))

    assert no_column.value.what == "suite users_baseline: users has no column emial"
    assert (no_column.value.fix or "").startswith("did you mean `email`?")
    assert str(no_column.value).startswith(f"{users.root}/validations/users_baseline.yaml:4:5: ")
    assert 'relation "public.user" does not exist (SQLSTATE 42P01)' in no_table.value.what
    assert "there is no such file" in no_file.value.what


def test_an_expectation_the_database_refuses_is_told_by_name_and_is_no_failure(users: Desk) -> None:
    with pytest.raises(GateError) as raised:
        users.ask_suite(
            expecting(
                "expect_column_values_to_not_be_null: {column: email}",
                "expect_column_values_to_match_regex: {column: profile, regex: x}",
                "expect_column_values_to_be_in_set: {column: mood, value_set: [glad]}",
            )
        )

    regex, enum = raised.value.problems
    assert str(regex.where).endswith("users_baseline.yaml:5:5")
    assert regex.what == (
        "suite users_baseline: expect_column_values_to_match_regex cannot be asked:"
        " operator does not exist: jsonb ~ unknown (SQLSTATE 42883)"
    )
    assert str(enum.where).endswith("users_baseline.yaml:6:5")
    assert enum.what.endswith('invalid input value for enum mood: "glad" (SQLSTATE 22P02)')


def test_a_suite_gives_up_when_a_query_takes_too_long(users: Desk) -> None:
    with pytest.raises(GateError, match="canceling statement due to statement timeout"):
        users.ask_suite(
            expecting(
                "unexpected_rows_expectation: {unexpected_rows_query: SELECT pg_sleep(9)}", statement_timeout="200ms"
            )
        )


def test_a_suite_that_writes_through_a_function_is_refused_by_the_session(users: Desk) -> None:
    users.sql("CREATE FUNCTION wipe() RETURNS SETOF users LANGUAGE sql AS 'DELETE FROM users RETURNING *'")

    with pytest.raises(GateError, match="cannot execute DELETE in a read-only transaction"):
        users.ask_suite(expecting("unexpected_rows_expectation: {unexpected_rows_query: SELECT * FROM wipe()}"))

    assert users.sql("SELECT count(*) FROM users") == [(100,)]


def test_a_suite_with_delete_returning_in_it_deletes_nothing(users: Desk) -> None:
    delete = "WITH gone AS (DELETE FROM users RETURNING *) SELECT * FROM gone"

    with pytest.raises(GateError):
        users.ask_suite(expecting(f"unexpected_rows_expectation: {{unexpected_rows_query: {delete}}}"))
    with pytest.raises(GateError):
        users.ask_suite(expecting("expect_column_to_exist: {column: n}", subject=f"query: {delete}"))

    assert users.sql("SELECT count(*) FROM users") == [(100,)]


@pytest.fixture
def password(users: Desk) -> Generator[str]:
    """The password with which the gates log in, as a role of its own."""
    password, role = "pa55 w/rd:%40", f"gate_{users.connection.info.dbname}"
    users.sql(f"CREATE ROLE \"{role}\" LOGIN PASSWORD '{password}' IN ROLE pg_read_all_data")
    users.url = conninfo.make_conninfo(users.url, user=role, password=password)
    yield password
    users.sql(f'DROP ROLE "{role}"')


def test_neither_values_of_rows_nor_the_password_reach_words(
    users: Desk, password: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)

    answer = users.ask_suite(
        expecting(
            "expect_column_values_to_match_regex: {column: email, regex: '^User'}",
            "expect_column_max_to_be_between: {column: n, max_value: 5}",
            "expect_column_distinct_values_to_be_in_set: {column: email, value_set: [x]}",
            "expect_column_most_common_value_to_be_in_set: {column: lower_email, value_set: [x]}",
            "expect_compound_columns_to_be_unique: {column_list: [mood, team]}",
            "expect_column_pair_values_to_be_equal: {column_A: email, column_B: lower_email}",
            "unexpected_rows_expectation: {unexpected_rows_query: SELECT * FROM users WHERE n = 99}",
        )
    )
    with pytest.raises(GateError) as raised:
        users.ask_suite(expecting("expect_columns_to_agree: {column: n, to: email::int}"))

    told = [answer.reason, json.dumps(answer.evidence), *traceback.format_exception(raised.value)]
    everything = "\n".join([*told, caplog.text, *capfd.readouterr()])
    assert answer.state == "waits"
    assert "invalid text representation" in everything
    for secret in (SECRET, "User98@", password, conninfo.conninfo_to_dict(users.url)["password"]):
        assert str(secret) not in everything


def test_no_session_is_left_behind(users: Desk) -> None:
    users.ask_suite(expecting("expect_column_to_exist: {column: n}"))
    with pytest.raises(GateError):
        users.ask_suite(expecting("expect_column_values_to_match_regex: {column: profile, regex: x}"))

    patience = time.monotonic() + 5
    while users.sessions() and time.monotonic() < patience:
        time.sleep(0.01)
    assert users.sessions() == 0


def test_no_file_is_left_behind(users: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)

    users.ask_suite(expecting("expect_column_to_exist: {column: n}"))

    assert [path.name for path in users.root.rglob("*") if path.is_file()] == ["users_baseline.yaml"]
    assert not (Path.home() / ".great_expectations").exists()


def test_the_list_of_expectations_is_that_of_the_installed_great_expectations() -> None:
    from crossfade.gates.expectations import describe

    assert describe.FILE.read_text() == describe.described(), (
        "known.json is stale: run python -m crossfade.gates.expectations.describe"
    )
