"""What a suite of ten expectations costs, against one hand-written SELECT with the same aggregates."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg

from benchmarks.measured import Group, Way
from benchmarks.place import prepare
from crossfade.gates.expectations import load_suite
from crossfade.gates.expectations.subject import subject_of
from crossfade.server import LocalServer

TABLE = """
CREATE TABLE users (
  id bigint PRIMARY KEY, email text, lower_email text, year text, built int, net int, tax int, total int, team int);
INSERT INTO users SELECT n, format('User%s@Example.com', n), format('user%s@example.com', n), 1990 + n % 30,
                         1990 + n % 30, n % 1000, n % 100, n % 1000 + n % 100, n % 500
  FROM generate_series(1, {rows}) AS n
"""
_OWN = (
    ("expect_columns_to_agree: {column: lower_email, to: lower(email)}", "lower_email IS DISTINCT FROM lower(email)"),
    ("expect_columns_to_agree: {column: built, to: 'year::int'}", "built IS DISTINCT FROM year::int"),
    ("expect_columns_to_agree: {column: total, to: net + tax}", "total IS DISTINCT FROM net + tax"),
    ("expect_columns_to_agree: {column: team, to: (id % 500)::int}", "team IS DISTINCT FROM (id % 500)::int"),
    ("expect_columns_to_agree: {column: net, to: (id % 1000)::int}", "net IS DISTINCT FROM (id % 1000)::int"),
    ("expect_backfill_to_be_complete: {column: lower_email, up: email}", "lower_email IS NULL AND email IS NOT NULL"),
    ("expect_backfill_to_be_complete: {column: built, up: year}", "built IS NULL AND year IS NOT NULL"),
    ("expect_backfill_to_be_complete: {column: total, up: net}", "total IS NULL AND net IS NOT NULL"),
    ("expect_backfill_to_be_complete: {column: tax, up: id}", "tax IS NULL AND id IS NOT NULL"),
    ("expect_backfill_to_be_complete: {column: email, up: id}", "email IS NULL AND id IS NOT NULL"),
)
# Those of Great Expectations that are asked most.
_THEIRS = (
    ("expect_column_values_to_not_be_null: {column: email}", "email IS NULL"),
    ("expect_column_values_to_not_be_null: {column: lower_email}", "lower_email IS NULL"),
    ("expect_column_values_to_not_be_null: {column: built}", "built IS NULL"),
    ("expect_column_values_to_not_be_null: {column: total}", "total IS NULL"),
    (
        "expect_column_values_to_be_between: {column: built, min_value: 1990, max_value: 2020}",
        "built NOT BETWEEN 1990 AND 2020",
    ),
    ("expect_column_values_to_be_between: {column: net, min_value: 0}", "net < 0"),
    ("expect_column_values_to_be_between: {column: tax, min_value: 0}", "tax < 0"),
    ("expect_column_values_to_match_regex: {column: email, regex: '@'}", "email !~ '@'"),
    ("expect_column_value_lengths_to_be_between: {column: email, min_value: 5}", "length(email) < 5"),
    ("expect_column_pair_values_a_to_be_greater_than_b: {column_A: built, column_B: team}", "built <= team"),
)


def ten_expectations(server: LocalServer, rows: int, runs: int) -> Iterator[Group]:
    """In turns; Great Expectations was imported before."""
    prepare(server, "many", TABLE.format(rows=rows))
    url = server.database_url("many")
    for whose, expectations, target in (("of our own", _OWN, 1.2), ("of Great Expectations", _THEIRS, None)):
        by_hand: list[float] = []
        by_suite: list[float] = []
        for _ in range(runs + 1):
            by_hand.append(_select(url, [condition for _, condition in expectations]))
            by_suite.append(_run(url, [expectation for expectation, _ in expectations]))
        yield Group(
            f"ten expectations {whose} on {rows:,} rows",
            "s",
            (Way("one SELECT", tuple(by_hand[1:])), Way("suite", tuple(by_suite[1:]), target)),
            better="lower",
        )
    server.drop_database("many")


def _select(url: str, conditions: Sequence[str]) -> float:
    """As by hand: one scan that counts what each expectation counts."""
    counts = ", ".join(f"count(*) FILTER (WHERE {condition})" for condition in conditions)
    with psycopg.connect(url) as connection:
        began = time.monotonic()
        row = connection.execute(f"SELECT count(*), {counts} FROM users".encode()).fetchone()
        assert row is not None
        assert not any(row[1:])
        return time.monotonic() - began


def _run(url: str, expectations: Sequence[str]) -> float:
    from crossfade.gates.expectations.run import run

    with TemporaryDirectory() as folder:
        path = Path(folder) / "users.yaml"
        path.write_text(
            "suite: users\ntable: users\nexpectations:\n" + "".join(f"  - {each}\n" for each in expectations)
        )
        began = time.monotonic()
        suite = load_suite(path)
        with psycopg.connect(url, autocommit=True) as session:
            subject = subject_of(suite, session, None)
        report = run(suite, subject, url)
    assert report.holds, report.reason
    return time.monotonic() - began
