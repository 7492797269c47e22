"""Two sessions, each with one snapshot of its database, asked at the same time."""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from datetime import timedelta
from typing import Any

import psycopg
from psycopg import IsolationLevel, errors

from crossfade.compare.errors import CompareFailed, Incomparable
from crossfade.compare.question import Question, Side
from crossfade.composing import sql
from crossfade.server_words import needed_right, told

Open = Callable[[str], AbstractContextManager[psycopg.Connection[Any]]]
Answer = list[tuple[Any, ...]]

# What the texts of values depend on beside what a reading session sets. row_security: rows that a policy hides would
# count as missing. A session waits for the other one, for as long as that may take.
_SETTINGS = {
    "client_encoding": "UTF8",
    "lc_monetary": "C",
    "row_security": "off",
    "idle_in_transaction_session_timeout": "0",
}


class Snapshots:
    """Both sides, to be asked while `moment` lasts."""

    def __init__(self, question: Question, a: psycopg.Connection[Any], b: psycopg.Connection[Any]) -> None:
        self._sides = (question.a, question.b)
        self.sessions = (a, b)
        self._one_database = question.a.database == question.b.database
        self._timeout = question.statement_timeout
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="compare")
        for session in self.sessions:
            session.isolation_level = IsolationLevel.REPEATABLE_READ
            session.read_only = True

    @contextmanager
    def moment(self) -> Generator[None]:
        """One snapshot of each side; of the same moment where both are in one database."""
        a, b = self.sessions
        with ExitStack() as ending:
            ending.enter_context(a.transaction(force_rollback=True))
            _set(a, self._timeout)
            ending.enter_context(b.transaction(force_rollback=True))
            if self._one_database:
                row = a.execute("SELECT pg_catalog.pg_export_snapshot()").fetchone()
                assert row is not None
                b.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(row[0])))
            _set(b, self._timeout)
            yield

    def ask(self, of_a: sql.Composed, of_b: sql.Composed) -> tuple[Answer, Answer]:
        """Both at the same time. A failure, or Ctrl-C, ends what the other side is doing."""
        asked: list[Future[Answer]] = [
            self._threads.submit(_answer, session, side, query)
            for session, side, query in zip(self.sessions, self._sides, (of_a, of_b), strict=True)
        ]
        try:
            done, _ = wait(asked, return_when=FIRST_EXCEPTION)
            for each in done:
                each.result()
        except BaseException:
            self._cancel(asked)
            raise
        return asked[0].result(), asked[1].result()

    def close(self) -> None:
        self._threads.shutdown(wait=False)

    def _cancel(self, asked: list[Future[Answer]]) -> None:
        # Again: a statement that had not arrived yet is not ended by the first.
        while wait(asked, timeout=0).not_done:
            for session, future in zip(self.sessions, asked, strict=True):
                if not future.done():
                    with suppress(psycopg.Error):
                        session.cancel_safe(timeout=5)
            wait(asked, timeout=0.5)


@contextmanager
def snapshots(question: Question, open_session: Open) -> Generator[Snapshots]:
    """Open a session on each side; they end together."""
    with open_session(question.a.database) as a, open_session(question.b.database) as b:
        both = Snapshots(question, a, b)
        try:
            yield both
        finally:
            both.close()


def _set(session: psycopg.Connection[Any], timeout: timedelta) -> None:
    wanted = _SETTINGS | {"statement_timeout": f"{timeout.total_seconds() * 1000:.0f}ms"}
    session.execute(
        "SELECT pg_catalog.set_config(name, value, true) FROM unnest(%s::text[], %s::text[]) AS s(name, value)",
        (list(wanted), list(wanted.values())),
    )


def _answer(session: psycopg.Connection[Any], side: Side, query: sql.Composed) -> Answer:
    try:
        return session.execute(query).fetchall()
    except psycopg.Error as error:
        raise _failure(side, error) from None


def _failure(side: Side, error: psycopg.Error) -> CompareFailed | Incomparable:
    match error:
        case errors.InsufficientPrivilege():
            fix = needed_right(error)
        case errors.QueryCanceled():
            fix = "give it longer (--timeout), or have it read in pieces (--blocks)"
        case _ if (error.sqlstate or "").startswith("42"):  # about what the statement names and how it is written
            return Incomparable(f"{side}: {told(error)}", fix="correct what is said of its columns and rows")
        case _:
            fix = "ask again when the server answers"
    return CompareFailed(f"{side}: {told(error)}", fix=fix, sqlstate=error.sqlstate)
