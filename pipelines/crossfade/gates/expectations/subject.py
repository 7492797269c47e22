"""What a suite looks at, learnt in a session of the engine's before Great Expectations is imported.

So a table or column that is not there is told in a moment, and Great Expectations need not look for columns.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from crossfade.composing import sql
from crossfade.errors import Problem
from crossfade.gates._gate import GateError
from crossfade.gates.expectations.names import relation
from crossfade.gates.expectations.suite import Expected, Suite
from crossfade.spec.errors import did_you_mean
from crossfade.spec.fragment import trusted

if TYPE_CHECKING:
    import psycopg

_LIKE_THE_SESSION = [
    "client_connection_check_interval",
    "datestyle",
    "lock_timeout",
    "role",
    "row_security",
    "search_path",
    "timezone",
]


@dataclass(frozen=True)
class Subject:
    """The rows of a suite, and a session like the engine's to look at them.

    source: the query that gives the rows.
    sampled: where it gives only some of them, of about how many.
    columns: the type of each column of it, as format_type writes it, in their order.
    types: what a type named in the suite is called by format_type.
    options: for libpq's connection parameter of this name.
    """

    source: str
    sampled: int | None
    columns: Mapping[str, str]
    types: Mapping[str, str]
    options: str


def subject_of(suite: Suite, session: psycopg.Connection[Any], schema: str | None) -> Subject:
    """Look at the suite's rows without reading any.

    schema: where a table named without a schema is; None for the search path's.
    Raises GateError when a column is not there, and the database's error when the table or a type is not.
    """
    rows = rows_of(suite, schema)
    columns = _described(session, rows)
    check_columns(suite, [*columns])
    named = _types_named(suite)
    nulls = [sql.SQL("NULL::{} AS {}").format(trusted(name), sql.Identifier(name)) for name in named]
    types = _described(session, sql.SQL("SELECT {}").format(sql.SQL(", ").join(nulls)))
    estimate = _rows_in(session, suite, schema) if suite.head.sample is not None else 0
    sampled = estimate if suite.head.sample is not None and estimate > suite.head.sample else None
    if sampled is not None:
        rows = _some(rows, (suite.head.sample or 0) / sampled)
    options = _options(session, suite.head.statement_timeout)
    return Subject(rows.as_string(session), sampled, columns, types, options)


def rows_of(suite: Suite, schema: str | None) -> sql.Composable:
    """The query that gives the suite's rows."""
    if suite.head.query:
        return trusted(suite.head.query)
    return sql.SQL("SELECT * FROM {}").format(relation(suite.head.table or "", schema))


def _rows_in(session: psycopg.Connection[Any], suite: Suite, schema: str | None) -> int:
    """About how many rows the table has, by the statistics; of partitions, all together."""
    row = session.execute(
        """
SELECT coalesce(pg_catalog.sum(greatest(c.reltuples, 0)), 0)::bigint
  FROM pg_class AS c
 WHERE c.relkind <> 'p'  -- which has the sum of its partitions, as of when it was analysed itself
   AND (c.oid = %(table)s::regclass
        OR c.oid IN (SELECT relid FROM pg_catalog.pg_partition_tree(%(table)s::regclass)))""",
        {"table": relation(suite.head.table or "", schema).as_string(session)},
    ).fetchone()
    assert row is not None
    return row[0]


def _some(rows: sql.Composable, share: float) -> sql.Composable:
    """Whole blocks of the table, others each time the suite is run, and the same for each of its queries."""
    seed = random.randrange(2**31)
    return sql.SQL("{} TABLESAMPLE SYSTEM ({}) REPEATABLE ({})").format(
        rows, sql.Literal(round(100 * share, 6)), sql.Literal(seed)
    )


def _types_named(suite: Suite) -> list[str]:
    named: list[str] = []
    for expected in suite.expectations:
        named += [expected.arguments["type_"]] if "type_" in expected.arguments else []
        named += expected.arguments.get("type_list", [])
    return list(dict.fromkeys(named))


def _described(session: psycopg.Connection[Any], rows: sql.Composable) -> dict[str, str]:
    """The columns of a query and their types."""
    cursor = session.execute(sql.SQL("SELECT * FROM ({}\n) AS suite LIMIT 0").format(rows))
    columns, result = cursor.description or [], cursor.pgresult
    assert result is not None
    # A result says the modifier, as in varchar(20), but of a domain only what it is made of. pg_typeof knows
    # domains; the outer join gives it a row to be asked of.
    typeof = [sql.SQL("pg_typeof(suite.{})::oid::int8").format(sql.Identifier(column.name)) for column in columns]
    declared = session.execute(
        sql.SQL(
            "SELECT {} FROM (SELECT) AS one LEFT JOIN (SELECT * FROM ({}\n) AS rows LIMIT 0) AS suite ON true"
        ).format(sql.SQL(", ").join(typeof), rows)
    ).fetchone()
    types = session.execute(
        """
SELECT CASE WHEN declared = sent THEN format_type(sent, modifier) ELSE format_type(declared, NULL) END
  FROM unnest(%s::oid[], %s::oid[], %s::int[]) AS given (declared, sent, modifier)""",
        (
            list(declared or ()),
            [column.type_code for column in columns],
            [result.fmod(index) for index in range(len(columns))],
        ),
    ).fetchall()
    return {column.name: type_[0] for column, type_ in zip(columns, types, strict=True)}


def _options(session: psycopg.Connection[Any], statement_timeout: timedelta) -> str:
    rows = session.execute("SELECT name, current_setting(name) FROM unnest(%s::text[]) AS name", (_LIKE_THE_SESSION,))
    settings = dict(rows.fetchall())
    settings["default_transaction_read_only"] = "on"
    settings["statement_timeout"] = f"{statement_timeout // timedelta(milliseconds=1)}ms"
    return " ".join(f"-c {name}={_escaped(value)}" for name, value in settings.items())


def _escaped(value: str) -> str:
    """For libpq's `options`, which are split at spaces."""
    return value.replace("\\", "\\\\").replace(" ", "\\ ")


def check_columns(suite: Suite, columns: Sequence[str]) -> None:
    """Raises GateError with every column that the suite reads and its rows do not have."""
    whose = suite.head.table or "its query"
    problems = [
        _no_column(suite, expected, whose, name, columns)
        for expected in suite.expectations
        for name in expected.reads
        if name not in columns
    ]
    if problems:
        raise GateError.of(problems)


def check_columns_there(suite: Suite, expected: Expected, columns: Sequence[str]) -> None:
    """Raises GateError with every column that the expectation compares and the other database does not have."""
    whose = f"{expected.arguments.get('table', 'its query')} in {expected.arguments['database']}"
    problems = [_no_column(suite, expected, whose, name, columns) for name in expected.columns if name not in columns]
    if problems:
        raise GateError.of(problems)


def _no_column(suite: Suite, expected: Expected, whose: str, name: str, columns: Sequence[str]) -> Problem:
    return Problem(
        f"suite {suite.name}: {whose} has no column {name}",
        expected.where,
        f"{expected.name} reads it",
        did_you_mean(name, columns),
    )
