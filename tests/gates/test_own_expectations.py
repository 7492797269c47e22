"""Crossfade's own expectations: what is compared, filled, repeated, and the same in another database."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.conftest import Databases
from tests.gates.asking import Desk

from crossfade.errors import Position
from crossfade.execute.session import reading
from crossfade.gates import Answer, GateError
from crossfade.gates.expectations import checked_suites
from crossfade.gates.suite import SuiteGate
from crossfade.spec import Database
from crossfade.spec.fragment import trusted

PLANES = """
CREATE TABLE planes (id int PRIMARY KEY, year text, built int, tail text);
INSERT INTO planes SELECT n, (1990 + n % 10)::text, 1990 + n % 10, 'N' || n FROM generate_series(1, 1000) AS n;
"""


@pytest.fixture
def planes(desk: Desk) -> Desk:
    """A thousand planes whose year is there as text and as a number."""
    desk.sql(PLANES)
    return desk


def asked(desk: Desk, *expectations: str, subject: str = "table: planes") -> Answer:
    return desk.ask_suite("\n".join([subject, "expectations:", *(f"  - {each}" for each in expectations)]) + "\n")


def test_a_complete_backfill_has_a_value_wherever_the_mapping_gives_one(planes: Desk) -> None:
    expectation = "expect_backfill_to_be_complete: {column: built, up: 'year::int'}"
    complete = asked(planes, expectation)
    planes.sql("UPDATE planes SET built = NULL WHERE id <= 12; UPDATE planes SET year = NULL WHERE id <= 5")

    begun = asked(planes, expectation)
    nearly = asked(planes, expectation.replace("}", ", mostly: 0.99}"))

    assert complete.state == "holds"
    assert begun.reason == ("1 of 1 expectations fails: 7 of 1,000 rows have no built where year::int has a value")
    assert nearly.state == "holds"


def test_duplicates_are_counted_under_an_expression_as_a_unique_index_would_see_them(planes: Desk) -> None:
    planes.sql("UPDATE planes SET tail = 'n1' WHERE id = 2; UPDATE planes SET tail = 'N1' WHERE id = 3")
    planes.sql("UPDATE planes SET tail = NULL, built = NULL WHERE id BETWEEN 10 AND 20")

    answer = asked(
        planes,
        "expect_no_duplicates_under: {expression: tail, severity: warning}",
        "expect_no_duplicates_under: {expression: lower(tail), severity: warning}",
        "expect_no_duplicates_under: {expression: lower(tail), mostly: 0.99}",
    )

    assert answer.reason == (
        "1 of 3 expectations hold on 1,000 rows;"
        " warning: 1 of 1,000 rows repeat another one's tail; 2 of 1,000 rows repeat another one's lower(tail)"
    )


def test_a_distribution_is_unchanged_though_rows_have_changed_places(planes: Desk) -> None:
    planes.sql("UPDATE planes SET built = 1990 + (n.year::int - 1989) % 10 FROM planes AS n WHERE n.id = planes.id")

    turned = asked(
        planes,
        "expect_distribution_to_be_unchanged: {column: built, to: 'year::int'}",
        "expect_columns_to_agree: {column: built, to: 'year::int', severity: warning}",
    )

    assert turned.state == "holds"
    assert "1,000 of 1,000 rows have another built than year::int" in turned.reason


def test_a_shifted_distribution_is_told_by_the_rows_that_have_no_like(planes: Desk) -> None:
    planes.sql(
        "UPDATE planes SET built = 1990 WHERE built = 1991 AND id <= 51; UPDATE planes SET built = NULL WHERE id = 5"
    )

    exact = asked(planes, "expect_distribution_to_be_unchanged: {column: built, to: 'year::int'}")
    mostly = asked(planes, "expect_distribution_to_be_unchanged: {column: built, to: 'year::int', mostly: 0.99}")
    binned = asked(
        planes, "expect_distribution_to_be_unchanged: {column: built, to: 'year::int', bins: [1990, 1995, 2000]}"
    )

    fails = "1 of 1 expectations fails:"
    assert exact.reason == f"{fails} 7 of 1,000 rows have a built that is not as frequent under year::int"
    assert mostly.state == "holds"
    assert binned.reason == f"{fails} 1 of 1,000 rows have a built that is not as frequent under year::int"


SAME = "expect_rows_to_match_another_database: {database: fleet, table: planes, column_list: [id, tail]}"


@pytest.fixture
def fleet(planes: Desk, databases: Databases, monkeypatch: pytest.MonkeyPatch) -> psycopg.Connection[Any]:
    """Another database, with the same planes in another order and with other columns beside."""
    (url,) = databases("fleet")
    monkeypatch.setenv("FLEET_URL", url)
    connection = psycopg.connect(url, autocommit=True)
    connection.execute("CREATE TABLE planes (tail varchar(20), seats int, id bigint)")
    connection.execute("INSERT INTO planes SELECT 'N' || n, 2, n FROM generate_series(1, 1000) AS n ORDER BY n DESC")
    return connection


def compared(desk: Desk, expectation: str = SAME) -> Answer:
    """Asked with both databases at hand."""
    both = {"profile": desk.database, "fleet": Database("fleet", "env:FLEET_URL", Position(Path("databases.yaml")))}

    def open_reading(database: str) -> AbstractContextManager[psycopg.Connection[Any]]:
        return reading(both[database], "crossfade gate")

    desk.suite(f"table: planes\nexpectations:\n  - {expectation}\n")
    return SuiteGate(suite="users_baseline").ask(replace(desk.context, open=open_reading))


def test_rows_of_two_databases_are_the_same_whatever_their_order(planes: Desk, fleet: psycopg.Connection[Any]) -> None:
    assert compared(planes).state == "holds"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("DELETE FROM planes WHERE id = 7", "1,000 rows here, 999 there"),
        ("UPDATE planes SET tail = 'N8' WHERE id = 7", "as many, but not the same"),
        ("UPDATE planes SET tail = NULL WHERE id = 7", "as many, but not the same"),
        ("UPDATE planes SET id = CASE id WHEN 1 THEN 2 ELSE 1 END WHERE id < 3", "as many, but not the same"),
    ],
)
def test_rows_that_differ_are_told_in_counts(
    planes: Desk, fleet: psycopg.Connection[Any], change: str, words: str
) -> None:
    fleet.execute(trusted(change))

    answer = compared(planes)

    assert answer.reason.endswith(f"1 of 1 expectations fails: the rows are not those of fleet: {words}")


def test_some_of_the_rows_there_are_given_by_a_query(planes: Desk, fleet: psycopg.Connection[Any]) -> None:
    fleet.execute("INSERT INTO planes VALUES ('N0', 2, 0)")
    by_query = SAME.replace("table: planes", "query: 'SELECT id, tail FROM planes WHERE id > 0'")

    assert compared(planes, by_query).state == "holds"


def test_what_is_not_there_in_the_other_database_is_told_by_its_name(
    planes: Desk, fleet: psycopg.Connection[Any]
) -> None:
    with pytest.raises(GateError, match=r"expect_rows_to_match_another_database in fleet: .*boats"):
        compared(planes, SAME.replace("table: planes", "table: boats"))


@pytest.mark.parametrize(
    ("expectation", "words"),
    [
        (SAME.replace("fleet", "flet"), "`flet` is no database of this project"),
        (SAME.replace("table: planes, ", ""), "looks at a `table` or at a `query` there"),
        (SAME.replace("[id, tail]", "[]"), "`column_list`"),
        (SAME.replace("table: planes", "query: DELETE FROM planes"), "only a query that reads may stand here"),
        ("expect_no_duplicates_under: {expression: 'a; b'}", "expression"),
        ("expect_backfill_to_be_complete: {column: a}", "has no `up`"),
    ],
    ids=str,
)
def test_what_could_not_be_asked_is_refused_without_a_database(tmp_path: Path, expectation: str, words: str) -> None:
    (tmp_path / "validations").mkdir()
    suite = f"suite: s\ntable: planes\nexpectations:\n  - {expectation}\n"
    (tmp_path / "validations" / "s.yaml").write_text(suite)

    (problem,) = checked_suites(tmp_path, {"fleet": None})

    assert words in problem.what
    assert problem.where is not None
    assert problem.where.line == 4


@pytest.mark.parametrize(
    ("head", "expectation", "words", "line"),
    [
        ("table: t", "expect_column_values_to_be_unique: {column: a}", "cannot be asked of a sample", 5),
        ("query: SELECT 1 AS a", "expect_column_to_exist: {column: a}", "only of a `table` a sample can be taken", 1),
    ],
)
def test_a_sample_that_would_mislead_is_refused(
    tmp_path: Path, head: str, expectation: str, words: str, line: int
) -> None:
    (tmp_path / "validations").mkdir()
    suite = f"suite: s\n{head}\nsample: 5000\nexpectations:\n  - {expectation}\n"
    (tmp_path / "validations" / "s.yaml").write_text(suite)

    (problem,) = checked_suites(tmp_path)

    assert words in problem.what
    assert problem.where is not None
    assert problem.where.line == line
