"""Suites as they are read and checked: no database, and no Great Expectations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from crossfade.errors import Problem
from crossfade.gates import GATES
from crossfade.gates.expectations import Suite, checked_suites, load_suite, missing_suites, suite_schema
from crossfade.spec import SpecError, Vocabulary, load_migration
from crossfade.spec.values import SpecModel

Document = dict[str, Any]

GOOD = """\
suite: users_baseline
title: What sign-in relies on
table: users
expectations:
  - expect_column_values_to_not_be_null: {column: email, mostly: 0.99, severity: warning}
  - expect_column_values_to_be_between: {column: born, min_value: 1900-01-01}
  - expect_columns_to_agree: {column: email, to: lower(email)}
  - expect_column_type_to_be: {column: id, type_: "numeric(20, 0)"}
  - unexpected_rows_expectation: {unexpected_rows_query: "SELECT * FROM {batch} WHERE email ~ '^.{{0,2}}@'"}
"""


def write(root: Path, text: str, name: str = "users_baseline.yaml") -> Path:
    (root / "validations").mkdir(exist_ok=True)
    path = root / "validations" / name
    path.write_text(text)
    return path


def load(root: Path, expectation: str) -> Suite:
    return load_suite(write(root, f"suite: users_baseline\ntable: users\nexpectations:\n  - {expectation}\n"))


def problem(root: Path, expectation: str) -> Problem:
    """The one problem of a suite with this expectation, which stands in line 4."""
    with pytest.raises(SpecError) as raised:
        load(root, expectation)
    (found,) = raised.value.problems
    return found


def test_a_suite_is_read_with_the_place_of_each_expectation(tmp_path: Path) -> None:
    suite = load_suite(write(tmp_path, GOOD))

    first = suite.expectations[0]
    assert (suite.name, len(suite.expectations)) == ("users_baseline", 5)
    assert (first.name, first.severity) == ("expect_column_values_to_not_be_null", "warning")
    assert dict(first.arguments) == {"column": "email", "mostly": 0.99}
    assert (first.where.line, first.where.column) == (5, 5)


def test_an_unknown_expectation_is_told_with_the_nearest(tmp_path: Path) -> None:
    found = problem(tmp_path, "expect_column_value_to_not_be_null: {column: email}")

    assert found.what == "unknown expectation `expect_column_value_to_not_be_null`"
    assert found.fix == "did you mean `expect_column_values_to_not_be_null`?"
    assert str(found.where).endswith("users_baseline.yaml:4:5")


@pytest.mark.parametrize(
    ("expectation", "column", "what", "fix"),
    [
        (
            "expect_column_values_to_not_be_null: {colum: email}",
            43,
            "unknown key `colum` in `expect_column_values_to_not_be_null`",
            "did you mean `column`?",
        ),
        (
            "expect_column_values_to_not_be_null: {column: email, row_condition: x}",
            58,
            "unknown key `row_condition` in `expect_column_values_to_not_be_null`",
            "known here: column, mostly, severity, description",
        ),
        (
            "expect_column_values_to_be_in_set: {column: email}",
            40,
            "`expect_column_values_to_be_in_set` has no `value_set`",
            "add it",
        ),
        (
            "expect_column_values_to_not_be_null: {column: email, mostly: 99}",
            66,
            "`mostly` wants a number of at most 1.0, found the number 99",
            "mostly",
        ),
        (
            "expect_column_values_to_be_between: {column: id, min_value: 9007199254740993}",
            65,
            "`min_value`: Great Expectations would round it",
            None,
        ),
        ("expect_column_values_to_be_between: {column: id}", 5, "neither `min_value` nor `max_value`", "give one"),
        (
            "expect_column_type_to_be: {column: id, type_: bigint AS x}",
            51,
            "`type_`: a type is written as in SQL",
            None,
        ),
        ("expect_columns_to_agree: {column: id, to: lower(}", 53, "`to`: not a SQL expression", "write one SQL"),
        (
            "unexpected_rows_expectation: {unexpected_rows_query: DELETE FROM users RETURNING id}",
            58,
            "`unexpected_rows_query`: only a query that reads may stand here",
            None,
        ),
        (
            "unexpected_rows_expectation: {unexpected_rows_query: \"SELECT 'x{3}'\"}",
            58,
            "any other brace is written twice",
            None,
        ),
        (
            "expect_foreign_key_to_hold: {column: a, parent_table: a.b.c, parent_column: x}",
            59,
            "`parent_table`: a table is written as in the database",
            None,
        ),
        ("{}", 5, "an expectation is one key, its name; found 0", "begin each expectation with `- `"),
    ],
)
def test_a_wrong_key_or_value_is_told_where_it_stands(
    tmp_path: Path, expectation: str, column: int, what: str, fix: str | None
) -> None:
    found = problem(tmp_path, expectation)

    assert what in found.what
    assert found.where is not None
    assert (found.where.line, found.where.column) == (4, column)
    assert fix is None or fix in (found.fix or "")


@pytest.mark.parametrize("subject", ["", "table: users\nquery: SELECT 1\n"])
def test_a_suite_looks_at_a_table_or_a_query(tmp_path: Path, subject: str) -> None:
    text = f"suite: users_baseline\n{subject}expectations: [{{expect_table_column_count_to_equal: {{value: 1}}}}]\n"

    with pytest.raises(SpecError, match="one of the two"):
        load_suite(write(tmp_path, text))


def test_a_suite_is_named_like_its_file(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"the suite is called `users_baseline`, its file other\.yaml"):
        load_suite(write(tmp_path, GOOD, "other.yaml"))


def test_all_suites_of_a_project_are_checked_at_once(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    write(tmp_path, GOOD.replace("column: email", "kolumn: email"), "a.yaml")
    write(tmp_path, GOOD, "b.yml")
    write(tmp_path, GOOD.replace("_baseline", "_there") + "database: billing\n", "users_there.yaml")

    found = [
        (problem.where.file.name, problem.what) for problem in checked_suites(tmp_path, ["profile"]) if problem.where
    ]

    assert [file for file, _ in found] == ["a.yaml"] * 3 + ["b.yml", "users_there.yaml"]
    assert found[-1][1] == "`billing` is no database of this project"


def test_a_project_without_suites_has_no_problem(tmp_path: Path) -> None:
    assert checked_suites(tmp_path) == ()


class Change(SpecModel):
    """Anything."""


def test_a_gate_that_names_no_suite_is_told_with_the_nearest(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    spec = tmp_path / "first.yaml"
    spec.write_text("""\
crossfade: 1
migration: first
title: First
database: profile
changes: [{change: {}}]
gates:
  expand: [{suite: users_baseline}]
  backfill: [{suite: user_baseline}]
contract:
  stages: [{drop: {gates: [{soak: 1d}, {suite: orders}]}}]
""")
    migration = load_migration(spec, changes=Vocabulary({"change": lambda: Change}), gates=GATES)

    found = [(str(problem.where), problem.what, problem.fix) for problem in missing_suites(tmp_path, [migration])]

    assert found == [
        (
            f"{spec}:8:15",
            "there is no suite `user_baseline`",
            "did you mean `users_baseline`? known here: users_baseline",
        ),
        (f"{spec}:10:41", "there is no suite `orders`", "known here: users_baseline"),
    ]


def test_the_schema_for_editors_takes_what_is_right_and_nothing_else() -> None:
    schema = suite_schema()
    good: Document = yaml.load(GOOD, yaml.BaseLoader)
    good["expectations"][0] = {"expect_column_values_to_not_be_null": {"column": "email", "mostly": 0.99}}
    wrong: list[Document] = [
        good | {"query": "SELECT 1"},
        good | {"tabel": "users"},
        good | {"expectations": [{"expect_column_values_to_not_be_null": {"colum": "email"}}]},
        good | {"expectations": [{"expect_nothing": {}}]},
    ]

    jsonschema.Draft202012Validator.check_schema(schema)

    jsonschema.validate(good, schema)
    for each in wrong:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(each, schema)
