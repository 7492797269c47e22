"""Sessions of others that hold what we need: the table for too long, rows for too long, or in the other order."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, ClassVar

import psycopg
from psycopg import sql
from tests.processes import Ending, RunnerProcess
from tests.torture.faults.fault import Fault
from tests.torture.shapes import AREAS

if TYPE_CHECKING:
    from tests.torture.run import Run

_WAITS = """
SELECT EXISTS (SELECT FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)
                WHERE NOT l.granted AND l.locktype = 'relation' AND a.application_name LIKE 'crossfade%'
                  AND a.datname = current_database())"""


class HeldLock(Fault):
    """Another session holds a lock on the table for longer than the lock budget."""

    name = "held-lock"
    locks: ClassVar = {"timeout": "1s", "budget": "2s"}
    most = 3

    def strike(self, run: Run, process: RunnerProcess) -> None:
        while self.left and not process.wait(self.dice.uniform(0.0, 0.3)):
            self.struck += 1
            with run.admin() as other, other.transaction():
                self._take(run, other)
                process.wait(self.dice.uniform(2.5, 4.0))

    def _take(self, run: Run, other: psycopg.Connection[Any]) -> None:
        other.execute(sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(run.table))

    def explains(self, ending: Ending) -> bool:
        return ending.error == "LockBudgetExceeded"


class HeldRows(HeldLock):
    """Another session holds some rows for longer than the lock budget."""

    name = "held-rows"
    delays_writers = True

    def _take(self, run: Run, other: psycopg.Connection[Any]) -> None:
        # SKIP LOCKED: it must not meet a writer that holds one of these rows and wants another.
        other.execute(sql.SQL("SELECT FROM {} TABLESAMPLE BERNOULLI (5) FOR UPDATE SKIP LOCKED").format(run.table))

    def explains(self, ending: Ending) -> bool:
        held = ending.error == "StepRefused" and "held by other sessions" in ending.said
        return held or super().explains(ending)


class Deadlock(Fault):
    """Two sessions of others close a circle with us: one has a table that we wait for, and waits for the other, which
    then wants a table that we have or wait for. All look for a deadlock after the same time; none of theirs may be
    ended for it.
    """

    name = "deadlock"
    locks: ClassVar = {"timeout": "1s", "budget": "30s"}
    most = 4

    def prepare(self, admin: psycopg.Connection[Any], database: str) -> None:
        admin.execute(sql.SQL("ALTER DATABASE {} SET deadlock_timeout = '500ms'").format(sql.Identifier(database)))

    def strike(self, run: Run, process: RunnerProcess) -> None:
        with run.admin() as look:
            while self.left and not process.wait(0.01):
                had, wanted = self.dice.sample(_tables(run), 2)
                try:
                    self._close_circle(run, process, look, had, wanted)
                except psycopg.errors.DeadlockDetected as error:
                    run.result.problems.append(f"a client was ended: {error.diag.message_primary}")

    def _close_circle(
        self,
        run: Run,
        process: RunnerProcess,
        look: psycopg.Connection[Any],
        had: sql.Identifier,
        wanted: sql.Identifier,
    ) -> None:
        with run.admin() as one, run.admin() as other, ThreadPoolExecutor(1) as pool, one.transaction():
            one.execute(sql.SQL("LOCK TABLE {} IN ROW EXCLUSIVE MODE").format(had))
            with other.transaction():
                other.execute("SELECT pg_advisory_xact_lock(1)")
                waits_before_us = self.dice.random() < 0.5
                waiting = pool.submit(_wait_for_other, one) if waits_before_us else None
                until = time.monotonic() + 0.4
                while time.monotonic() < until and process.running:
                    if look.execute(_WAITS).fetchone() == (True,):
                        self.struck += 1
                        waiting = waiting or pool.submit(_wait_for_other, one)
                        other.execute(sql.SQL("LOCK TABLE {} IN ROW EXCLUSIVE MODE").format(wanted))
                        break
                    time.sleep(0.01)
            if waiting is not None:
                waiting.result()


def _tables(run: Run) -> list[sql.Identifier]:
    shape = run.scenario.shape
    beside = [f"people_{area}" for area in AREAS] if shape.partitioned else ["areas"]
    return [run.table, *map(sql.Identifier, beside), *([sql.Identifier("visits")] if shape.referenced else [])]


def _wait_for_other(one: psycopg.Connection[Any]) -> None:
    one.execute("SELECT pg_advisory_xact_lock(1)")
