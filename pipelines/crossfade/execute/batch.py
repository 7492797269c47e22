"""One batch of a walk: its rows and its progress in one transaction; a row that cannot be written is set aside."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import errors, sql

from crossfade.execute.called import Called
from crossfade.execute.errors import ExecutionFailed, Paused, is_about_rows
from crossfade.execute.site import Site
from crossfade.execute.units import Rewritten, Unit, filenode, note_progress
from crossfade.server_words import told
from crossfade.spec.fragment import trusted
from crossfade.steps.compose import table
from crossfade.steps.step import Relation, Walk

# Past any tuple number on a page: a 32 kB page holds at most 1,170.
_BEYOND = 2048
# Shares of deadlock_timeout. A statement that waits for a row may hold what that row's holder waits for. It ends, and
# lets go, before any client has waited long enough to look for a deadlock, so that none is ever told of one.
_LONGEST_STATEMENT, _LONGEST_WAIT, _LONGEST_CHECK = 0.9, 0.01, 0.3
_WARY_BATCHES = 16
_NOTHING = sql.SQL("NULL")


class Walker:
    """Writes batches of one step on one session."""

    def __init__(self, site: Site, step: Walk) -> None:
        self._site = site
        self._step = step
        self.connection = site.session()
        self._called = Called(site.root, step.function) if step.function is not None else None
        self._wary = 0  # so many batches skip held rows, because one met them

    def advance(self, unit: Unit, blocks: int) -> tuple[Unit, int]:
        """Walk the next `blocks` of a unit; gives the unit as it is then, and how many rows were written.

        Raises Rewritten when the leaf's file is another one, and psycopg's error for what passes by itself.
        """
        end = min(unit.next_block + blocks, unit.end_block)
        try:
            rows = self._write_waiting(unit, end)
            if rows is None:
                rows = self._write(unit, end, self._step.batch)
        except psycopg.Error as error:
            if not is_about_rows(error):
                raise
            if (rows := self._write_carefully(unit, end)) is not None:
                return unit.advanced(end), rows
            rows = self._halve(unit.leaf, f"({unit.next_block},0)", f"({end},0)", error)
            with self._transaction(unit) as work:
                note_progress(work, self._site.migration, self._step.id, unit, end, rows)
        return unit.advanced(end), rows

    def sweep(self, leaf: Relation, first: str, last: str) -> int:
        """Write rows in a range of tids that the walk had to skip; gives how many."""
        try:
            return self._plain(leaf, first, last, self._step.batch)
        except psycopg.Error as error:
            if not is_about_rows(error):
                raise
            return self._halve(leaf, first, last, error)

    def close(self) -> None:
        self.connection.close()

    def _write_waiting(self, unit: Unit, end: int) -> int | None:
        """By the statement that waits for rows others hold; None where that is no good now."""
        deadlock_timeout = self._site.deadlock_timeout * 1000
        longest = deadlock_timeout * _LONGEST_STATEMENT
        if self._step.waiting is None or self._site.settings.batch_target * 1000 > longest * 2 / 3:
            return None
        if self._wary > 0:
            self._wary -= 1
            return None
        try:
            return self._write(
                unit,
                end,
                self._step.waiting,
                statement_timeout=max(int(longest), 1),
                lock_timeout=max(int(deadlock_timeout * _LONGEST_WAIT), 1),
            )
        except (errors.LockNotAvailable, errors.QueryCanceled):  # canceled by its timeout, or by a person: asked next
            self._wary = _WARY_BATCHES
            return None

    def _write(self, unit: Unit, end: int, statement: str, **settings: int) -> int:
        with self._transaction(unit, **settings) as work:
            rows = self._run(work, unit.leaf, f"({unit.next_block},0)", f"({end},0)", statement)
            note_progress(work, self._site.migration, self._step.id, unit, end, rows)
        return rows

    def _write_carefully(self, unit: Unit, end: int) -> int | None:
        """By the statement that sets unmappable rows aside itself; None when there is none, or it fails too."""
        if self._step.careful is None:
            return None
        try:
            return self._write(unit, end, self._step.careful)
        except psycopg.Error as error:
            if not is_about_rows(error):
                raise
            return None

    def _plain(self, leaf: Relation, first: str, last: str, statement: str, *more: str) -> int:
        with self._site.transaction(self.connection) as work:
            self._prepare(work)
            return self._run(work, leaf, first, last, statement, *more)

    def _halve(self, leaf: Relation, first: str, last: str, error: psycopg.Error) -> int:
        """Split the range until the row that cannot be written is alone; it becomes a conflict, the rest goes on."""
        low, high = _parse(first), _parse(last)
        middle = _between(low, high)
        if middle is None:
            if self._step.conflict is None:
                raise ExecutionFailed(
                    f"{self._step.title}: a row cannot be written: {told(error)}",
                    why=f"SQLSTATE {error.sqlstate} in {self._site.name}",
                    fix=f"mend the row, then run {self._site.to_go_on} again",
                    sqlstate=error.sqlstate,
                ) from None
            self._plain(leaf, first, last, self._step.conflict, error.sqlstate or "XX000")
            return 0
        rows = 0
        for part in ((first, _text(middle)), (_text(middle), last)):
            try:
                rows += self._plain(leaf, *part, self._step.batch)
            except psycopg.Error as found:
                if not is_about_rows(found):
                    raise
                rows += self._halve(leaf, *part, found)
        return rows

    @contextmanager
    def _transaction(self, unit: Unit, **settings: int) -> Generator[psycopg.Connection[Any]]:
        with self._site.transaction(self.connection) as work:
            if self._prepare(work, filenode(unit.leaf), **settings) != unit.filenode:
                raise Rewritten(unit.leaf)
            yield work

    def _prepare(self, work: psycopg.Connection[Any], look: sql.Composable = _NOTHING, **settings: int) -> Any:
        """Set what holds for the transaction and give what `look` is there, in one round trip: batches may be short."""
        if self._site.paused:
            raise Paused
        # A batch waits for no row, but a foreign key's check or a trigger may, and who holds that row may want ours.
        longest = min(self._site.settings.lock_timeout, self._site.deadlock_timeout * _LONGEST_CHECK)
        wanted = {"lock_timeout": max(int(longest * 1000), 1)} | settings
        values = {name: str(milliseconds) for name, milliseconds in wanted.items()}
        if self._step.silent:
            values["session_replication_role"] = "replica"
        query = sql.SQL(
            "SELECT {}, (SELECT pg_catalog.count(pg_catalog.set_config(n, v, true))"
            " FROM unnest(%s::text[], %s::text[]) AS s(n, v))"
        )
        row = work.execute(query.format(look), (list(values), list(values.values()))).fetchone()
        return row[0] if row else None

    def _run(
        self, work: psycopg.Connection[Any], leaf: Relation, first: str, last: str, statement: str, *more: str
    ) -> int:
        rows = written = self._run_once(work, leaf, first, last, statement, *more)
        while written and self._step.in_order and statement == self._step.batch:
            rows += (written := self._run_once(work, leaf, first, last, statement))
        return rows

    def _run_once(
        self, work: psycopg.Connection[Any], leaf: Relation, first: str, last: str, statement: str, *more: str
    ) -> int:
        # $1 and $2 are the server's own placeholders: fragments may hold any % they like.
        cursor = psycopg.RawCursor(work)
        for each in (*self._step.first, statement) if statement == self._step.batch else (statement,):
            filled: dict[str, sql.Composable] = {"leaf": table(leaf)}
            if self._called is not None and each == self._step.batch:
                if (given := self._called.values(cursor, leaf, first, last)) is None:
                    return 0
                filled["given"] = given
            cursor.execute(trusted(each).format(**filled), (first, last, *more))
        return max(cursor.rowcount, 0)


_Tid = tuple[int, int]


def _parse(tid: str) -> _Tid:
    block, _, row = tid.strip("()").partition(",")
    return int(block), int(row)


def _text(tid: _Tid) -> str:
    return f"({tid[0]},{tid[1]})"


def _between(low: _Tid, high: _Tid) -> _Tid | None:
    """A tid that splits the half-open range in two; None when at most one row fits in it."""
    if high[1] == 0 and high[0] == low[0] + 1:
        high = (low[0], _BEYOND)
    if high[0] - low[0] > 1:
        return (low[0] + high[0]) // 2, 0
    if high[0] == low[0]:
        return (low[0], (low[1] + high[1]) // 2) if high[1] - low[1] > 1 else None
    return high[0], 0
