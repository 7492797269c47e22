"""Asks PostgreSQL what a fragment or a type means, over columns that exist only in the question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import psycopg
from psycopg import errors, sql

from crossfade.changes import Facts, Refused
from crossfade.errors import Position
from crossfade.spec.fragment import Expression, trusted

# Stable, but another value at another moment.
_CLOCKS = {
    "now",
    "statement_timestamp",
    "transaction_timestamp",
    "clock_timestamp",
    "txid_current",
    "pg_current_xact_id",
}


class ServerProbe:
    """Questions of one change to one database, asked on a read-only session."""

    def __init__(self, connection: psycopg.Connection[Any], search_path: Sequence[str], where: Position) -> None:
        self._connection = connection
        self._search_path = search_path
        self._where = where

    def type(self, text: str) -> str:
        """A type as format_type spells it; raises Refused when there is none of that name."""
        if text.strip().lower() in ("serial", "bigserial", "smallserial"):
            self._refuse(f"{text} is no type of its own", fix="use identity: true in create_table, or an integer type")
        # Parsed first, so that nothing but a type can stand there.
        probe = Expression(f"NULL::{text}")
        if not probe.is_constant:
            self._refuse(f"not a type: {text}")
        oid, modifier = self._described(trusted(f"SELECT {probe}"), f"type {text}")
        row = self._connection.execute(
            "SELECT format_type(t.oid, %s), t.typtype, n.nspname FROM pg_type AS t"
            " JOIN pg_namespace AS n ON n.oid = t.typnamespace WHERE t.oid = %s",
            (modifier, oid),
        ).fetchone()
        assert row is not None
        return row[0]

    def expression(
        self, expression: Expression, *, table: str, row: Mapping[str, str], wanted: str | None = None
    ) -> Facts:
        """Resolve an expression over columns of the given types; raises Refused with the server's reason."""
        columns = [sql.SQL("CAST(NULL AS {}) AS {}").format(trusted(t), sql.Identifier(c)) for c, t in row.items()]
        # LIMIT 0 with NULLs: planned and described, nothing computed. In WHERE, aggregates, window functions and
        # set-returning functions are refused by PostgreSQL itself.
        source = sql.SQL("(SELECT {}) AS {}").format(sql.SQL(", ").join(columns), sql.Identifier(table))
        value = expression.render(table, table)
        question = sql.SQL("SELECT {value} FROM {source} WHERE ({value}) IS NULL LIMIT 0").format(
            value=value, source=source
        )
        oid, modifier = self._described(question, f"`{expression}`")
        given = self._format(oid, modifier)
        return Facts(
            type=given,
            assignable=wanted is None or expression.is_constant or self._assignable(oid, wanted),
            repeatable=not self._calls_volatile(expression) and not self._tells_time(expression),
            volatile=self._calls_volatile(expression),
        )

    def _described(self, question: sql.SQL | sql.Composed, subject: str) -> tuple[int, int]:
        try:
            with self._connection.transaction(force_rollback=True):
                path = sql.SQL(", ").join(map(sql.Identifier, self._search_path))
                self._connection.execute(sql.SQL("SET LOCAL search_path TO {}").format(path))
                cursor = self._connection.execute(question)
                assert cursor.description is not None
                result = cursor.pgresult
                assert result is not None
                return result.ftype(0), result.fmod(0)
        except (errors.ConnectionException, errors.OperationalError):
            raise
        except psycopg.Error as error:
            message = error.diag.message_primary or str(error)
            self._refuse(f"{subject}: {message}", why="PostgreSQL refuses it", fix=error.diag.message_hint)

    def _format(self, oid: int, modifier: int) -> str:
        row = self._connection.execute("SELECT format_type(%s, %s)", (oid, modifier)).fetchone()
        assert row is not None
        return row[0]

    def _assignable(self, given: int, wanted: str) -> bool:
        row = self._connection.execute(
            trusted(
                """
SELECT s.oid = t.oid OR s.typname = 'unknown'
       OR EXISTS (SELECT FROM pg_cast AS c WHERE c.castsource = s.oid AND c.casttarget = t.oid
                     AND c.castcontext IN ('a', 'i'))
       OR t.typcategory = 'S'
       OR (t.typtype = 'd' AND t.typbasetype = s.oid)
  FROM pg_type AS s, pg_type AS t WHERE s.oid = %s AND t.oid = %s"""
            ),
            (given, self._described(trusted(f"SELECT NULL::{wanted}"), wanted)[0]),
        ).fetchone()
        return bool(row and row[0])

    def _calls_volatile(self, expression: Expression) -> bool:
        names = [name[-1] for name in expression.functions]
        row = self._connection.execute(
            "SELECT count(*) FROM pg_proc WHERE proname = ANY(%s) AND provolatile = 'v'",
            (names,),
        ).fetchone()
        return bool(row and row[0])

    def _tells_time(self, expression: Expression) -> bool:
        return bool(_CLOCKS & {name[-1] for name in expression.functions}) or "SQLValueFunction" in expression.nodes

    def _refuse(self, what: str, *, why: str | None = None, fix: str | None = None) -> NoReturn:
        raise Refused(what, where=self._where, why=why, fix=fix)
