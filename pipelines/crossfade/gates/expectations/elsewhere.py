"""Rows of another database, for suites that compare with them: counted and summed up there before the suite is run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from crossfade.compare.checksum import row_hash, total
from crossfade.composing import sql
from crossfade.gates._failure import asking
from crossfade.gates.expectations.names import relation
from crossfade.gates.expectations.suite import COMPARES, Expected, Suite
from crossfade.spec.fragment import trusted

if TYPE_CHECKING:
    import psycopg


def comparisons(suite: Suite) -> Iterable[Expected]:
    """The expectations that need another database."""
    return (expected for expected in suite.expectations if expected.name == COMPARES)


def rows_there(expected: Expected) -> sql.Composable:
    """The query of its rows in the other database."""
    query = expected.arguments.get("query")
    if query is not None:
        return trusted(query)
    return sql.SQL("SELECT * FROM {}").format(relation(expected.arguments["table"]))


def with_other_rows(
    suite: Suite, open_session: Callable[[str], AbstractContextManager[psycopg.Connection[Any]]]
) -> Suite:
    """The suite with what the other databases have, one number of rows and one checksum each.

    Raises GateError when one of them cannot be asked.
    """
    return replace(suite, expectations=tuple(_asked(suite, each, open_session) for each in suite.expectations))


def _asked(
    suite: Suite, expected: Expected, open_session: Callable[[str], AbstractContextManager[psycopg.Connection[Any]]]
) -> Expected:
    if expected.name != COMPARES:
        return expected
    query = sql.SQL("SELECT pg_catalog.count(*), {} FROM ({}\n) AS suite").format(
        checksum(expected.arguments["column_list"]), rows_there(expected)
    )
    database = expected.arguments["database"]
    with asking(f"suite {suite.name}: {COMPARES} in {database}"), open_session(database) as session:
        timeout = f"{suite.head.statement_timeout.total_seconds() * 1000:.0f}ms"
        session.execute("SELECT pg_catalog.set_config('statement_timeout', %s, false)", (timeout,))
        row = session.execute(query).fetchone()
    assert row is not None
    return replace(expected, arguments={**expected.arguments, "found": [str(row[0]), row[1]]})


def checksum(columns: Iterable[str]) -> sql.Composable:
    """An aggregate that tells whether rows are the same, whatever their order, by the text of their values.

    It is text itself: Great Expectations would round a number so long.
    """
    return sql.SQL("{}::text").format(total(row_hash(sql.Identifier(column) for column in columns)))
