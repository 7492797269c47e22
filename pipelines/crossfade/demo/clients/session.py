"""A client's connection: every statement timed, every failure counted, nothing retried."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import Any, LiteralString

import psycopg
from psycopg import sql
from psycopg.rows import DictRow, dict_row

from crossfade.demo.clients.messages import Figures, Version

Rows = list[dict[str, Any]]


class StatementFailed(Exception):
    """A statement of a client failed; it is counted already."""


class Gauge:
    """The figures of all clients, kept by their threads together."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._statements = 0
        self._longest = (0.0, "")
        self._failed: Counter[str] = Counter()
        self._misread = 0

    def took(self, statement: str, seconds: float) -> None:
        with self._lock:
            self._statements += 1
            self._longest = max(self._longest, (seconds, statement))

    def failed(self, statement: str, error: psycopg.Error) -> None:
        with self._lock:
            said = (error.diag.message_primary or str(error)).splitlines() or [type(error).__name__]
            self._failed[f"{error.sqlstate or 'no SQLSTATE'} {statement}: {said[0]}"] += 1

    def misread(self) -> None:
        with self._lock:
            self._misread += 1

    def figures(self, running: tuple[Version, ...]) -> Figures:
        with self._lock:
            longest, of = self._longest
            return Figures(
                statements=self._statements,
                longest=longest,
                longest_of=of,
                failed=dict(self._failed),
                misread=self._misread,
                running=running,
            )


class Session:
    """One connection, in autocommit, with unprepared statements as behind a pooler."""

    def __init__(self, url: str, version: Version, gauge: Gauge) -> None:
        self._version = version
        self._gauge = gauge
        self._connection = psycopg.Connection[DictRow].connect(
            url,
            autocommit=True,
            prepare_threshold=None,
            application_name=str(version),
            options="-c timezone=UTC",
            row_factory=dict_row,
        )

    def run(self, name: str, query: LiteralString, *values: object, **columns: str) -> Rows:
        """Run one statement and give its rows, if it has any.

        name: for people. columns: the names that this version has for what the query calls {so}.
        Raises StatementFailed.
        """
        composed = sql.SQL(query).format(**{key: sql.Identifier(column) for key, column in columns.items()})
        began = time.monotonic()
        try:
            cursor = self._connection.execute(composed, values)
            return cursor.fetchall() if cursor.description else []
        except psycopg.Error as error:
            self._gauge.failed(name, error)
            if self._connection.info.transaction_status and not self._connection.closed:
                self._connection.rollback()
            raise StatementFailed(name) from None
        finally:
            self._gauge.took(f"{name} ({self._version})", time.monotonic() - began)

    def misread(self) -> None:
        """Count a row that was not as this client had written it."""
        self._gauge.misread()

    def close(self) -> None:
        self._connection.close()
