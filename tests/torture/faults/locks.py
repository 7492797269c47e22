"""Sessions of others that hold what we need: the table for too long, rows for too long, or in the other order."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, ClassVar

import psycopg
from psycopg import sql
from tests.torture.faults.fault import Fault
from tests.torture.processes import Ending, RunnerProcess

if TYPE_CHECKING:
    from tests.torture.run import Run

_WAITS = """
SELECT EXISTS (SELECT FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)
                WHERE NOT l.granted AND l.locktype = 'relation' AND a.application_name LIKE 'crossfade%'
                  AND l.relation = {}::regclass AND l.database = (SELECT oid FROM pg_database
                                                                   WHERE datname = current_database()))"""


class HeldLock(Fault):
    """Another session holds a lock on the table for longer than the lock budget."""

    name = "held-lock"
    locks: ClassVar = {"timeout": "100ms", "budget": "1s"}
    most = 3

    def strike(self, run: Run, process: RunnerProcess) -> None:
        while self.left and not process.wait(self.dice.uniform(0.0, 0.3)):
            self.struck += 1
            with run.admin() as other, other.transaction():
                self._take(run, other)
                process.wait(self.dice.uniform(1.5, 3.0))

    def _take(self, run: Run, other: psycopg.Connection[Any]) -> None:
        other.execute(sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(run.table))

    def explains(self, ending: Ending) -> bool:
        return ending.error == "LockBudgetExceeded"


class HeldRows(HeldLock):
    """Another session holds some rows for longer than the lock budget."""

    name = "held-rows"

    def _take(self, run: Run, other: psycopg.Connection[Any]) -> None:
        # SKIP LOCKED: it must not meet a writer that holds one of these rows and wants another.
        other.execute(sql.SQL("SELECT FROM {} TABLESAMPLE BERNOULLI (5) FOR UPDATE SKIP LOCKED").format(run.table))

    def explains(self, ending: Ending) -> bool:
        held = ending.error == "StepRefused" and "held by other sessions" in ending.said
        return held or super().explains(ending)


class Deadlock(Fault):
    """Another session takes the table and then waits for us, while we wait for the table: PostgreSQL ends ours."""

    name = "deadlock"
    locks: ClassVar = {"timeout": "2s", "budget": "30s"}
    most = 4

    def prepare(self, admin: psycopg.Connection[Any], database: str) -> None:
        # Who waits this long looks for the circle, and is the one who is ended.
        admin.execute(sql.SQL("ALTER DATABASE {} SET deadlock_timeout = '20ms'").format(sql.Identifier(database)))

    def strike(self, run: Run, process: RunnerProcess) -> None:
        with run.admin() as other, run.admin() as look:
            other.execute("SET deadlock_timeout = '1min'")
            waits = sql.SQL(_WAITS).format(sql.Literal(run.table.as_string(None)))
            while self.left and not process.wait(0.01):
                with other.transaction():
                    other.execute(sql.SQL("LOCK TABLE {} IN ROW EXCLUSIVE MODE").format(run.table))
                    until = time.monotonic() + 0.2
                    while time.monotonic() < until and process.running:
                        if look.execute(waits).fetchone() == (True,):
                            self.struck += 1
                            other.execute("SELECT FROM crossfade.migration FOR UPDATE")
                            break
